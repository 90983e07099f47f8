// View: the log of the run, live while it trains.

import { partName, planeName } from "./controls.js";
import { css, el, num } from "./dom.js";
import { frame, lines } from "./plot.js";
import { set, state } from "./store.js";

/** At most so many points of a line; the rest adds nothing that a screen shows. */
const POINTS = 2000;

function thinned(rows) {
  if (rows.length <= POINTS) return rows;
  const step = rows.length / POINTS;
  return Array.from({ length: POINTS }, (_, k) => rows[Math.floor(k * step)]);
}

export const training = {
  id: "training",
  title: "Training",
  mount(root, context) {
    let entries = [], next = 0, timer = 0, charts = [], grown = 0;
    const plots = { loss: frame(240), rate: frame(180), norm: frame(180), metric: frame(240), layers: frame(240) };
    const saturated = frame(240), saturatedNote = el("p", { class: "note" });
    let saturationChart = null, stopped = false;
    const head = el("p", { class: "readout" });
    const final = el("div", { class: "scroll" });
    root.append(el("div", { class: "stack" }, ...[
      el("section", { class: "panel" }, el("h2", {}, "Training"), el("p", { class: "lead" }, "Read from log.jsonl of the run; while `recurve train` runs, new lines come in every second."), head,
        el("div", { class: "even" },
          el("div", {}, el("h3", {}, "Loss"), plots.loss), el("div", {}, el("h3", {}, "Validation metric per epoch"), plots.metric),
          el("div", {}, el("h3", {}, "Norm of the gradient, before clipping"), plots.norm), el("div", {}, el("h3", {}, "Learning rate"), plots.rate),
          el("div", {}, el("h3", {}, "Norm of the gradient by layer, mean of each epoch"), plots.layers))),
      context.run.parts.length ? el("section", { class: "panel" }, el("h2", {}, "Gates epoch by epoch"), el("p", { class: "lead" }, "The share of gates that are open (above 0.9, drawn through) and closed (below 0.1, dashed) on the piece that is looked at, in the chosen layer. Click to look at the weights of an epoch in all views."), saturated, saturatedNote) : null,
      el("section", { class: "panel" }, el("h2", {}, "How good it is in the end"), final)].filter(Boolean)));

    function render() {
      charts.forEach((chart) => chart.remove());
      charts = [];
      const steps = thinned(entries.filter((one) => one.event === "step" && Number.isFinite(one.loss)));
      const epochs = entries.filter((one) => one.event === "epoch");
      const evaluation = entries.findLast((one) => one.event === "evaluation");
      if (!entries.length) { head.textContent = "The run has no log yet."; return; }
      const last = entries.findLast((one) => one.event === "step") ?? epochs.at(-1);
      const lastEpoch = epochs.at(-1);
      head.replaceChildren(...[last?.step ? `step ${last.step.toLocaleString("en")}${last.steps ? ` of at most ${last.steps.toLocaleString("en")}` : ""}` : "",
        lastEpoch ? ` · epoch ${lastEpoch.epoch}` : "", last?.per_second ? ` · ${Math.round(last.per_second).toLocaleString("en")} ${last.unit} per second` : "",
        evaluation ? " · finished" : " · not finished, or interrupted"]);
      const chart = (name, data, series, title, more) => {
        if (data.length && series.some((one) => one.values.some((v) => Number.isFinite(v)))) charts.push(lines(plots[name], { x: data.map((one) => one.step), series, xTitle: "step", yTitle: title, height: name === "norm" || name === "rate" ? 180 : 240, ...more }));
        else plots[name].replaceChildren(el("p", { class: "empty" }, "The log holds nothing of this. Every step is logged with --set log.every=1."));
      };
      const own = steps.length >= 20 ? steps : epochs;
      const loss = (one) => one.loss ?? null;
      const pick = (rows, key) => rows.map((one) => (Number.isFinite(one[key]) ? one[key] : null));
      chart("loss", own, [{ label: "training loss", values: own.map(loss), points: own === epochs }], "loss");
      chart("metric", epochs, [{ label: epochs.at(-1)?.metric ?? "validation", values: epochs.map((one) => one.validation ?? null), points: true, colour: css("--s1") }], "metric");
      chart("norm", own, [{ label: "gradient norm", values: pick(own, "grad_norm"), colour: css("--s2"), points: own === epochs }], "norm");
      chart("rate", own, [{ label: "learning rate", values: pick(own, "learning_rate"), colour: css("--s3"), points: own === epochs }], "rate");
      const layers = [...new Set(epochs.flatMap((one) => (one.layer_norms ?? []).map(([name]) => name)))];
      const normOf = (one, name) => one.layer_norms?.find(([own]) => own === name)?.[1] ?? null;
      chart("layers", epochs, layers.map((name, at) => ({ label: name, values: epochs.map((one) => normOf(one, name)), points: true, dash: at > 5 ? [6, 3] : undefined })), "norm", { log: true });
      final.replaceChildren(evaluation ? tableOf(evaluation) : el("p", { class: "note" }, "The evaluation comes at the end of the training."));
    }

    /** The weights of each kept epoch read the piece of the page once more. */
    async function saturation() {
      const { run, trace, live } = context;
      const kept = run.epochs ?? [];
      if (!run.parts.length) return;
      if (!live || !trace || kept.length < 2) {
        saturatedNote.textContent = live ? "No weights of epochs were kept. Train with --set train.snapshots=20 to keep some, evenly spread, and to move through them in the views." : "not in an exported page";
        return;
      }
      const rows = [];
      try {
        for (const epoch of kept) {
          if (stopped || !root.isConnected || context.trace !== trace) return;
          saturatedNote.textContent = `reading the weights after epoch ${epoch}…`;
          rows.push((await context.ask("saturation", { trace: trace.id, epoch })));
        }
      } catch (error) { context.refused(error); return; }
      if (!root.isConnected) return;
      const part = Math.min(state.part, run.parts.length - 1);
      const gates = rows[0].parts[part].map(([name]) => name);
      saturationChart?.remove();
      saturationChart = gates.length ? lines(saturated, { x: kept, height: 240, zero: true, xTitle: "epoch", yTitle: "share of gates",
        series: gates.flatMap((name, at) => [["open", 2, undefined], ["closed", 1, [6, 4]]].map(([word, which, dash]) => ({ label: `${planeName(name)}, ${word}`, values: rows.map((row) => row.parts[part][at][which]), colour: css(["--s0", "--s1", "--s2"][at % 3]), dash, points: !dash }))),
        pick: (epoch) => set({ epoch }) }) : null;
      saturatedNote.textContent = gates.length ? `${partName(run, part)}, ${kept.length} epochs` : "This cell has no gates between 0 and 1.";
    }

    function tableOf(evaluation) {
      const rows = [];
      for (const [key, value] of Object.entries(evaluation)) {
        if (["event", "step", "seconds", "task"].includes(key)) continue;
        if (typeof value === "number" || typeof value === "string") rows.push([key.replaceAll("_", " "), typeof value === "number" ? num(value) : value]);
      }
      for (const target of evaluation.targets ?? []) {
        for (const [name, scores] of [[`${target.target}: this model`, target.model], ...(target.baselines ?? []).map((one) => [`${one.name}`, one.scores])]) {
          rows.push([name, Object.entries(scores ?? {}).filter(([, v]) => typeof v === "number").map(([k, v]) => `${k.toUpperCase()} ${num(v)}`).join("   ")]);
        }
      }
      return el("table", { class: "numbers narrow" }, el("tbody", {}, rows.map(([key, value]) => el("tr", {}, el("td", {}, key), el("td", { style: { textAlign: "left" } }, value)))));
    }

    async function load() {
      try {
        const told = await context.ask("log", { after: next });
        if (!root.isConnected) return;
        if (told.anew) entries = [];
        entries.push(...told.entries);
        next = told.next;
        if (told.entries.length || told.anew || !grown) { grown += 1; render(); }
        if (context.live) timer = setTimeout(load, told.more ? 10 : 1000);
      } catch (error) {
        context.refused(error);
        if (context.live) timer = setTimeout(load, 3000);
      }
    }
    load();
    saturation();
    return {
      update(changed) { if (changed.has("trace") || changed.has("part")) saturation(); },
      remove() { stopped = true; clearTimeout(timer); saturationChart?.remove(); charts.forEach((chart) => chart.remove()); },
    };
  },
};
