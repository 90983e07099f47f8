// View: one unit at one step, as the diagram of its cell with every number; changes, and what follows.

import { partName } from "./controls.js";
import { diagram } from "./diagram.js";
import { choice, css, el, field, framed, num, shown, signed } from "./dom.js";
import { frame, lines } from "./plot.js";
import { set, state } from "./store.js";

/** The numbers of a unit by name, with what is kept and written worked out. */
function wires(unit, facts) {
  const now = { h_before: unit.h_before, h: unit.h, c_before: unit.c_before, c: unit.c, tanh_c: unit.tanh_c };
  for (const [name, value] of unit.values) now[name] = value;
  if (!facts.has_c && facts.gates[0].name === "a") now.a = unit.h;
  if (facts.has_c) { now.kept = now.f * unit.c_before; now.written = now.i * now.g; }
  else if ("z" in now) { now.kept = now.z * unit.h_before; now.written = (1 - now.z) * now.n; }
  return now;
}

export const cell = {
  id: "cell",
  title: "Cell",
  when: (context) => context.run.parts.some((part) => part.facts),
  mount(root, context) {
    const { run, live } = context;
    let changes = [], answer = null, chosen = null, chart = null;
    const title = el("h2", { style: { flex: 1 } });
    const picture = el("div", { class: "scroll", style: { minHeight: "250px" } });
    const says = el("p", { class: "readout", "aria-live": "polite" });
    const sums = el("div", { class: "scroll", style: { minHeight: "190px" } });
    const terms = el("div", { class: "even" });
    const editor = el("div", { class: "row" });
    const list = el("div", { class: "chips", style: { minHeight: "30px", margin: "8px 0" } });
    const after = el("div", { class: "stack" });
    const graph = frame(190);
    const told = el("p", { class: "readout" });
    root.append(el("div", { class: "stack" },
      el("section", { class: "panel" }, el("div", { class: "row" }, title), picture, says),
      el("section", { class: "panel" }, el("h2", {}, "How each gate comes about"),
        el("p", { class: "lead" }, "A gate is a sum, squashed: what the input adds, what the old state adds, and the bias. Click a row for its largest terms."), sums, terms),
      el("section", { class: "panel" }, el("h2", {}, "What if?"),
        el("p", { class: "lead" }, "Change a number at this step and see what follows, here and in the steps after. A changed weight stays changed from this step on."),
        editor, list, after)));

    const facts = () => run.parts[state.part].facts;
    const own = () => run.parts[state.part];

    function buildEditor() {
      if (!live) {
        editor.replaceChildren(el("p", { class: "note" }, "This page was exported: it shows the numbers, and cannot compute what follows from others. Run `recurve explore` for that."));
        return;
      }
      const kinds = [["h", "h′ of unit"], ...(facts().has_c ? [["c", "c′ of unit"]] : []), ["x", "x, input number"],
        ...facts().gates.flatMap((gate) => [[`w ${gate.name}`, `weight w of ${gate.name}, from input`], [`r ${gate.name}`, `weight r of ${gate.name}, from unit`], [`b ${gate.name}`, `bias of ${gate.name}`]])];
      const what = choice(kinds, facts().has_c ? "c" : "h", () => suggest(), "what to change");
      const index = el("input", { type: "number", min: 0, value: state.unit, "aria-label": "its number", id: "edit-index", onchange: () => suggest() });
      const value = el("input", { type: "number", step: "any", value: 0, "aria-label": "new value", id: "edit-value" });
      const add = el("button", { type: "button", class: "primary", id: "edit-add", onclick: () => {
        if (value.value === "" || !Number.isFinite(+value.value)) return;
        const [kind, gate] = what.value.split(" ");
        const at = Math.max(0, Math.trunc(+index.value) || 0);
        changes = changes.filter((one) => !(one.kind === kind && one.gate === gate && one.at === at));
        changes.push({ kind, gate, at, value: +value.value, unit: state.unit });
        load();
      } }, "Change");
      const suggest = () => {
        index.disabled = what.value.startsWith("b ");
        if (answer) {
          if (what.value === "c" && +index.value === state.unit) value.value = num(answer.unit.c_before).replace("−", "-");
          if (what.value === "h" && +index.value === state.unit) value.value = num(answer.unit.h_before).replace("−", "-");
        }
      };
      editor.replaceChildren(field("change", what), field("number", index), field("to", value), add,
        el("button", { type: "button", onclick: () => { changes = []; load(); } }, "Undo all"));
      suggest();
    }

    function question() {
      const body = { trace: context.trace.id, part: state.part, unit: state.unit, step: state.t, x: [], h: [], c: [], weights: [] };
      const { hidden, inputs } = own();
      for (const one of changes) {
        if (one.gate) {
          const row = facts().gates.find((gate) => gate.name === one.gate).rows * hidden + one.unit;
          const width = { w: inputs, r: hidden, b: 1 }[one.kind];
          body.weights.push([one.kind, row * width + (one.kind === "b" ? 0 : one.at), one.value]);
        } else body[one.kind].push([one.at, one.value]);
      }
      return body;
    }

    /** In an exported page, the numbers that stand in the planes. */
    async function fromPlanes() {
      const { hidden, planes, reverse } = own();
      const all = Object.fromEntries(await Promise.all(planes.map(async (name) => [name, await context.plane(state.part, name)])));
      const before = reverse ? state.t + 1 : state.t - 1;
      const get = (name, t) => (t < 0 || t >= context.trace.steps ? 0 : all[name][t * hidden + state.unit]);
      const c = all.c ? get("c", state.t) : null;
      return { unit: {
        gates: null, values: planes.filter((name) => name !== "c" && name !== "h").map((name) => [name, get(name, state.t)]),
        h_before: get("h", before), c_before: all.c ? get("c", before) : null, c, tanh_c: c === null ? null : Math.tanh(c), h: get("h", state.t),
      } };
    }

    function render() {
      const label = run.data.reads === "tokens" ? `“${shown(context.trace.labels[state.t])}”` : run.data.kind === "table" ? context.trace.labels[state.t] : "";
      title.textContent = `${facts().title}, ${partName(run, state.part)}, unit ${state.unit}, at step ${state.t + 1} ${label}`;
      const was = wires(answer.unit, facts());
      const now = answer.changed ? wires(answer.changed, facts()) : was;
      picture.replaceChildren(diagram(facts(), now, answer.changed ? was : null, chosen, choose));
      const gate = facts().gates.find((one) => one.name === chosen);
      says.replaceChildren(gate ? el("b", {}, `${gate.title} ${gate.name} = ${num(now[gate.name])}. `) : "", gate ? gate.says : `Choose a gate to read what it does. ${facts().equations.join(" · ")}`);
      const shownUnit = answer.changed ?? answer.unit;
      if (!shownUnit.gates) sums.replaceChildren(el("p", { class: "note" }, "The sums behind the gates are computed by `recurve explore`."));
      else {
        const sees = shownUnit.gates.some((one) => one.peephole !== null);
        sums.replaceChildren(el("table", { class: "numbers" },
          el("thead", {}, el("tr", {}, ["gate", "w x", "r h′", "bias", ...(sees ? ["peephole"] : []), "sum", "value", ""].map((name) => el("th", {}, name)))),
          el("tbody", {}, shownUnit.gates.map((one, at) => {
            const bias = one.bias + one.bias_r;
            const sum = one.input + one.recurrent + bias + (one.peephole ?? 0);
            const about = facts().gates[at];
            return el("tr", { onclick: () => choose(one.name), style: { cursor: "pointer" } },
              el("td", {}, el("b", {}, one.name)), [one.input, one.recurrent, bias].map((v) => el("td", {}, signed(v))),
              sees ? el("td", {}, one.peephole === null ? "" : signed(one.peephole)) : null,
              el("td", {}, about.name === "n" && facts().title.startsWith("GRU") && !facts().title.includes("before") ? "w x + r∘(r h′)" : signed(sum)),
              el("td", {}, el("b", {}, num(one.value))), el("td", { class: "says" }, about.says));
          }))));
        const one = shownUnit.gates.find((own) => own.name === chosen);
        terms.replaceChildren(...(one ? [["largest terms of w x", one.x, "x"], ["largest terms of r h′", one.h, "h′"]].map(([name, rows, letter]) => el("div", { class: "scroll" }, el("h3", {}, `${one.name}: ${name}`),
          el("table", { class: "numbers" }, el("tbody", {}, rows.map(([k, w, v]) => el("tr", {}, el("td", {}, `${letter}[${k}]`), el("td", {}, `${signed(w)} × ${signed(v)}`), el("td", {}, `= ${signed(w * v)}`))))))) : []));
      }
      list.replaceChildren(...changes.map((one, at) => el("button", { type: "button", "aria-label": "undo this change", onclick: () => { changes.splice(at, 1); load(); } },
        `${one.kind}${one.gate ? ` of ${one.gate}` : "′"}[${one.kind === "b" ? one.unit : one.at}] → ${num(one.value)} ×`.replace("x′", "x"))));
      follow();
    }

    function follow() {
      chart?.remove();
      chart = null;
      const what = answer.after;
      if (!what) { after.replaceChildren(); return; }
      if (what.refused) { after.replaceChildren(el("p", { class: "refused" }, what.refused)); return; }
      after.replaceChildren(graph, told);
      if (what.bits) {
        const rows = what.bits.filter(([, was]) => was !== null);
        const sum = rows.reduce((total, [, was, now]) => total + now - was, 0);
        const top = (list) => list.map(([label, p]) => `${shown(label)} ${Math.round(p * 100)} %`).join("  ");
        told.replaceChildren("next before: ", top(what.top_was), " · next now: ", el("b", {}, top(what.top_now)), ` · the next ${rows.length} characters cost ${signed(sum)} bits`);
        if (rows.length > 1) {
          chart = lines(graph, { x: rows.map(([t]) => t + 2), height: 190, xTitle: "step", yTitle: "surprise, bits", xName: (t) => `${t} “${shown(context.trace.labels[t - 1])}”`,
            series: [{ label: "as it was", values: rows.map(([, was]) => was), colour: css("--dim") }, { label: "changed", values: rows.map(([, , now]) => now), colour: css("--s1") }], pick: (t) => set({ t: t - 1 }) });
        }
      } else if (what.far) {
        told.textContent = "how far the outputs of the model move at each step: the length of the difference, before and after the change";
        chart = lines(graph, { x: what.far.map((_, at) => what.first + at + 1), height: 190, zero: true, xTitle: "step", yTitle: "‖change of the outputs‖",
          series: [{ label: "change", values: what.far, colour: css("--s1"), points: what.far.length < 80 }], pick: (t) => set({ t: t - 1 }) });
      } else {
        told.textContent = "the outputs of the model, in scaled units, as they were and with the change";
        chart = lines(graph, { x: what.now.map((_, at) => at + 1), height: 190, xTitle: "output", yTitle: "scaled",
          series: [{ label: "as it was", values: what.was, colour: css("--dim") }, { label: "changed", values: what.now, colour: css("--s1") }] });
      }
    }

    function choose(name) { chosen = chosen === name ? null : name; render(); picture.querySelector(`[data-gate="${name}"]`)?.focus(); }

    const load = framed(async () => {
      if (!facts()) {
        title.textContent = `The gates of the cell ${own().cell} are not known to the explorer.`;
        return;
      }
      const asked = question();
      try {
        const told = live ? await context.ask("cell", asked) : await fromPlanes();
        if (asked.step !== state.t || asked.unit !== state.unit || !root.isConnected) return;
        answer = told;
        context.tell(null);
        render();
        // Above it all is in place now, so that it does not move under the pointer.
        if (!editor.childElementCount) buildEditor();
      } catch (error) { context.refused(error); }
    });
    load();
    return {
      update(changed) {
        if (["part", "trace", "unit"].some((key) => changed.has(key))) { changes = []; editor.replaceChildren(); }
        if (["part", "unit", "t", "trace"].some((key) => changed.has(key))) load();
      },
      remove() { chart?.remove(); },
    };
  },
};
