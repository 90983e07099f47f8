// View: text that the model writes, with what else it might have written, and other ways on from any place.

import { choice, el, field, num, shown, slider } from "./dom.js";
import { amount, ground, legend } from "./scales.js";
import { set } from "./store.js";

export const sampling = {
  id: "sample",
  title: "Sample",
  when: (context) => context.live && context.run.data.kind === "text",
  mount(root, context) {
    let options = { length: 200, temperature: 0.8, top_k: 0, top_p: 1, seed: 1 }, branches = [], chosen = null;
    const prompt = el("textarea", { rows: 2, id: "prompt", "aria-label": "The text begins with", placeholder: "What the text begins with" });
    const go = el("button", { type: "button", class: "primary", id: "write", onclick: () => write(prompt.value, null) }, "Write");
    const list = el("div", { class: "stack" });
    const other = el("div", { class: "stack" }, el("p", { class: "note" }, "Click a character to see what else the model might have written there; click one of those to go on from there instead."));
    const change = (key) => (value) => { options = { ...options, [key]: value }; };
    const number = (key, min, step) => { const input = el("input", { type: "number", min, step, value: options[key], "aria-label": key.replace("_", " "), id: `sample-${key}`, onchange: () => change(key)(Math.max(min, +input.value || min)) }); return input; };
    root.append(el("div", { class: "split" },
      el("section", { class: "panel stack" }, el("div", {}, el("h2", {}, "Sampling desk"), el("p", { class: "lead" }, "The same seed writes the same text as `recurve generate` does.")),
        prompt,
        el("div", { class: "row" },
          slider({ name: "temperature", min: 0, max: 2, step: 0.05, value: options.temperature, id: "temperature", change: change("temperature") }),
          field("likeliest K only (0: all)", number("top_k", 0, 1)), slider({ name: "top P", min: 0.05, max: 1, step: 0.05, value: 1, change: change("top_p") }),
          field("length", choice([[100, "100"], [200, "200"], [500, "500"], [1000, "1,000"]], options.length, (value) => change("length")(+value), "length")),
          field("seed", number("seed", 0, 1)), go),
        legend(amount(1), "probability of the character"), list),
      el("aside", { class: "panel" }, el("h2", {}, "What else"), other)));

    async function write(start, from) {
      go.disabled = true;
      try {
        const told = await context.ask("sample", { prompt: start, ...options });
        if (!root.isConnected) return;
        branches.unshift({ told, from, options: { ...options } });
        branches = branches.slice(0, 12);
        chosen = null;
        context.tell(null);
        render();
      } catch (error) { context.refused(error); } finally { go.disabled = false; }
    }

    function render() {
      const scale = amount(1);
      list.replaceChildren(...branches.map((branch, at) => {
        const { told } = branch;
        const begun = told.labels.length - [...told.labels].slice(0).reduce((count, _, t, all) => (all.slice(0, t).join("").length < told.prompt.length ? count : count + 1), 0);
        const text = el("div", { class: "text", "aria-label": `text ${branches.length - at}` });
        told.labels.forEach((label, t) => {
          const span = el("span", { class: label === "\n" ? "nl" : null }, label === "\n" ? "↵\n" : label);
          if (t >= begun && told.bits[t] !== null) Object.assign(span.style, ground(scale, 2 ** -told.bits[t]));
          if (chosen && chosen.branch === branch && chosen.t === t) span.classList.add("at");
          if (t > 0) span.addEventListener("click", () => { chosen = { branch, t }; render(); alternatives(); });
          text.append(span);
        });
        return el("div", { class: `branch${at === 0 ? " on" : ""}` },
          el("p", { class: "note" }, `temperature ${num(branch.options.temperature)}, seed ${branch.options.seed}${branch.from ? ` · went on with “${shown(branch.from)}”` : ""} `,
            el("button", { type: "button", class: "quiet", onclick: () => set({ text: told.labels.join("").slice(0, 2000), t: 0, view: "units" }) }, "look at its units")), text);
      }));
    }

    function alternatives() {
      const { branch, t } = chosen;
      const { labels, top } = branch.told;
      const before = labels.slice(0, t).join("");
      other.replaceChildren(
        el("p", { class: "note" }, `after “…${shown(before.slice(-16))}” came “${shown(labels[t])}”, probability ${num(2 ** -branch.told.bits[t])}. Likeliest were:`),
        el("div", { class: "found", id: "alternatives" }, top[t - 1].map(([label, p]) => el("button", { type: "button", onclick: () => write(before + label, label) },
          el("b", {}, shown(label)), el("span", {}, `${num(100 * p)} %${label === labels[t] ? ", as written" : ": go on from here"}`)))));
    }
    return { update() {} };
  },
};
