// View: units switched off, gates held at a value, and what that costs.

import { planeName } from "./controls.js";
import { choice, css, el, field, num, shown, signed, slider } from "./dom.js";
import { frame, lines } from "./plot.js";
import { scaleOf } from "./scales.js";
import { set, state } from "./store.js";
import { textOf } from "./units.js";

export const ablation = {
  id: "ablation",
  title: "Ablation",
  when: (context) => context.live && context.run.parts.some((part) => part.facts),
  mount(root, context) {
    const { run } = context;
    let draft = [], charts = [], stop = false, changed = null, text = null;
    const facts = () => run.parts[state.part].facts;
    const controls = el("div", { class: "row" }), list = el("div", { class: "chips", style: { minHeight: "32px", margin: "8px 0" } });
    const cost = el("p", { class: "readout" }), place = el("div"), note = el("p", { class: "readout" });
    const progress = el("div", { class: "row" }), ranks = frame(220);
    root.append(el("div", { class: "stack" },
      el("section", { class: "panel" }, el("h2", {}, "Switch off a unit, hold a gate"),
        el("p", { class: "lead" }, "The loss is measured on what did not train the model. A unit that is off keeps h and c at zero."),
        controls, list, cost, place, note),
      el("section", { class: "panel" }, el("h2", {}, "Which units matter"),
        el("p", { class: "lead" }, "Every unit of the layer is switched off in turn; the line says how much the loss grows."), progress, ranks)));

    function buildControls() {
      if (!facts()) { controls.replaceChildren(el("p", { class: "note" }, "The gates of this cell are not known to the explorer.")); return; }
      const gate = choice(facts().gates.map((one) => [one.name, planeName(one.name)]), facts().gates[0].name, () => bound(), "gate");
      const all = choice([["unit", "of this unit"], ["all", "of all units"]], "unit", () => {}, "of which units");
      let value = 0;
      const at = el("span");
      const bound = () => {
        const about = facts().gates.find((one) => one.name === gate.value);
        const low = about.squash === "tanh" ? -1 : 0;
        value = about.squash === "tanh" ? 0 : 1;
        at.replaceChildren(slider({ name: "at", min: low, max: 1, step: 0.05, value, id: "hold", move: (v) => { value = v; } }));
      };
      bound();
      controls.replaceChildren(
        el("button", { type: "button", class: "primary", id: "off", onclick: () => add({ do: "off", part: state.part, units: [state.unit] }) }, `Switch off unit ${state.unit}`),
        el("span", { class: "note" }, "or hold"), field("gate", gate), all, at,
        el("button", { type: "button", id: "clamp", onclick: () => add({ do: "clamp", part: state.part, gate: gate.value, unit: all.value === "all" ? null : state.unit, value }) }, "Hold"));
    }

    const name = (edit) => (edit.do === "off" ? `unit ${edit.units.join(", ")} off` : `${edit.gate}${edit.unit === null ? "" : `[${edit.unit}]`} held at ${num(edit.value)}`)
      + (run.parts.length > 1 ? `, layer ${run.parts[edit.part].layer + 1}` : "");

    function add(edit) {
      draft = [...draft.filter((one) => JSON.stringify(one) !== JSON.stringify(edit)), edit];
      measure();
    }

    async function measure() {
      list.replaceChildren(...draft.map((edit, at) => el("button", { type: "button", "aria-label": `undo: ${name(edit)}`, onclick: () => { draft.splice(at, 1); measure(); } }, `${name(edit)} ×`)));
      if (draft.length) {
        list.append(el("button", { type: "button", onclick: () => { draft = []; measure(); } }, "Undo all"),
          el("button", { type: "button", class: "primary", id: "everywhere", onclick: () => set({ edits: draft, t: state.t }) }, "Show in all views"));
      }
      if (!draft.length) { cost.textContent = "Nothing is changed."; changed = null; paint(); return; }
      cost.textContent = "measuring…";
      try {
        const told = await context.ask("loss", { edits: draft });
        if (!root.isConnected) return;
        cost.replaceChildren(`loss ${num(told.whole)} → `, el("b", {}, num(told.changed)), ` ${told.unit} (${signed(told.changed - told.whole)}; over ${told.over})`);
        if (run.data.kind === "text") {
          const question = { edits: draft };
          if (state.text !== null) question.text = state.text;
          else if (context.trace.from !== null) Object.assign(question, { from: context.trace.from, count: context.trace.steps });
          changed = await context.ask("trace", question);
          // The trace of the page must stay the one that is kept.
          if (root.isConnected) paint();
        }
        context.tell(null);
      } catch (error) { cost.textContent = ""; context.refused(error); }
    }

    function paint() {
      if (run.data.kind !== "text") return;
      if (!text) {
        const hover = (t) => {
          if (t === null || !changed || context.trace.bits[t] === null) return;
          note.textContent = `step ${t + 1} “${shown(context.trace.labels[t])}”: surprise ${num(context.trace.bits[t])} → ${num(changed.bits[t])} bits`;
        };
        text = textOf(context.trace, hover);
        place.replaceChildren(text.root);
      }
      const scale = scaleOf("x", null);
      const difference = (t) => (changed?.bits?.[t] === null || !changed || changed.steps !== context.trace.steps ? null : changed.bits[t] - context.trace.bits[t]);
      text.paint({ ...scale, low: -3, high: 3, at: (v) => (v / 3 + 1) / 2 }, (t) => difference(t));
      note.textContent = changed ? "The text is coloured by the change of surprise: orange where the next character became harder to foresee, blue where easier (3 bits at the ends)." : "";
    }

    function buildRanks() {
      stop = true;
      charts.forEach((chart) => chart.remove());
      charts = [];
      const hidden = run.parts[state.part].hidden;
      progress.replaceChildren(el("button", { type: "button", class: "primary", id: "rank-units", onclick: () => rank(hidden) }, `Measure all ${hidden} units`));
      ranks.replaceChildren(el("p", { class: "empty" }, "Not measured yet."));
    }

    async function rank(hidden) {
      stop = false;
      const bar = el("progress", { max: hidden, value: 0 });
      progress.replaceChildren(bar, el("button", { type: "button", onclick: () => { stop = true; } }, "Stop"));
      const part = state.part, losses = [];
      let told = null;
      try {
        for (let first = 0; first < hidden && !stop && root.isConnected && part === state.part; first += 8) {
          told = await context.ask("units", { part, first, count: 8 });
          losses.push(...told.losses.map((loss, k) => ({ unit: first + k, more: loss - told.whole })));
          bar.value = losses.length;
        }
      } catch (error) { context.refused(error); return; }
      if (!root.isConnected || !losses.length || part !== state.part) return;
      losses.sort((a, b) => b.more - a.more);
      progress.replaceChildren(el("span", { class: "note" }, `whole model ${num(told.whole)} ${told.unit}. Most needed:`),
        el("span", { class: "chips" }, losses.slice(0, 12).map((one) => el("button", { type: "button", "aria-pressed": one.unit === state.unit, onclick: () => set({ unit: one.unit }) }, `#${one.unit} ${signed(one.more)}`))));
      ranks.replaceChildren();
      charts.push(lines(ranks, { x: losses.map((_, k) => k + 1), height: 220, xTitle: "units, the most needed first", yTitle: "growth of the loss", xName: (v) => `unit ${losses[v - 1]?.unit}`,
        series: [{ label: "growth", values: losses.map((one) => one.more), points: true, colour: css("--s1") }], pick: (v) => set({ unit: losses[v - 1].unit }) }));
    }

    buildControls();
    buildRanks();
    measure();
    return {
      update(keys) {
        if (keys.has("part")) { draft = []; buildRanks(); measure(); }
        if (keys.has("part") || keys.has("unit")) buildControls();
        if (keys.has("trace")) { text = null; changed = null; paint(); if (draft.length) measure(); }
        if (keys.has("t")) text?.mark(state.t);
      },
      remove() { stop = true; charts.forEach((chart) => chart.remove()); },
    };
  },
};
