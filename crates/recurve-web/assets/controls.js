// What is looked at: which piece of the data, which layer, plane and unit; and the cursor of time.

import { choice, el, field, num, shown, signed } from "./dom.js";
import { set, state } from "./store.js";

/** What a layer is called. */
export function partName(run, part) {
  const own = run.parts[part];
  const several = run.parts.some((other) => other.reverse);
  return `layer ${own.layer + 1}${several ? (own.reverse ? ", from the end" : ", from the start") : ""}`;
}

const TITLES = {
  i: "i · input gate", f: "f · forget gate", g: "g · candidate", o: "o · output gate",
  r: "r · reset gate", z: "z · update gate", n: "n · candidate", c: "c · cell state", h: "h · output",
};

/** What a plane is called. */
export function planeName(plane) {
  return TITLES[plane] ?? plane;
}

/** The row that says what is looked at. */
export function buildControls(root, context) {
  const { run, live } = context;
  const typed = el("div", { class: "typed", hidden: true });
  const pieces = el("span", { class: "row" });
  const unit = el("input", { type: "number", min: 0, "aria-label": "unit", id: "unit",
    onchange: () => set({ unit: Math.max(0, Math.min(run.parts[state.part].hidden - 1, Math.trunc(+unit.value) || 0)) }) });
  const layer = el("span"), plane = el("span"), edits = el("span");

  if (run.data.kind === "text") buildText(pieces, typed, context);
  else if (run.data.kind === "table") buildTable(pieces, context);
  else if (run.data.kind === "examples") buildExamples(pieces, typed, context);

  function selects() {
    layer.replaceChildren(field("layer", choice(run.parts.map((_, at) => [at, partName(run, at)]), state.part, (value) => set({ part: +value }), "layer")));
    plane.replaceChildren(field("show", choice(run.parts[state.part].planes.map((name) => [name, planeName(name)]), state.plane, (value) => set({ plane: value }), "gate or state")));
    edits.replaceChildren();
    const kept = run.epochs ?? [];
    if (kept.length && live) {
      // Among the kept epochs; the last place is the model itself.
      const out = el("output", { style: { minWidth: "6.5em" } });
      const name = (at) => (at >= kept.length ? "best" : kept[at] === 0 ? "before training" : `after epoch ${kept[at]}`);
      const place = state.epoch === null ? kept.length : kept.indexOf(state.epoch);
      const input = el("input", { type: "range", min: 0, max: kept.length, step: 1, id: "epoch", "aria-label": "weights after epoch", "aria-valuetext": name(place),
        oninput: () => { out.textContent = name(+input.value); }, onchange: () => set({ epoch: kept[+input.value] ?? null }) });
      input.value = place;
      out.textContent = name(place);
      edits.append(el("label", {}, "weights", input, out));
    }
    if (state.edits.length) {
      edits.append(el("button", { type: "button", class: "primary", onclick: () => set({ edits: [] }) },
        `${state.edits.length} change${state.edits.length > 1 ? "s" : ""} applied · undo`));
    }
  }

  if (run.parts.length) {
    root.replaceChildren(pieces, layer, plane, field("unit", unit), edits, typed);
    selects();
  }
  return {
    update(changed) {
      if (!run.parts.length) return;
      if (changed.has("part") || changed.has("plane") || changed.has("edits") || changed.has("epoch")) selects();
      unit.max = run.parts[state.part].hidden - 1;
      if (document.activeElement !== unit) unit.value = state.unit;
      pieces.update?.(changed);
    },
    live,
  };
}

function buildText(pieces, typed, context) {
  const { run, live } = context;
  const { total, trained, usual, most, unit } = run.data;
  const area = el("textarea", { rows: 3, "aria-label": "Your own text", maxLength: most * 4, placeholder: "Type or paste a text, and see what the model makes of it." });
  const show = el("button", { type: "button", class: "primary", onclick: () => { if (area.value) set({ text: area.value, t: 0, a: null, b: null }); } }, "Show");
  area.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) show.click(); });
  typed.append(area, show);
  const from = el("input", { type: "number", min: 0, max: Math.max(0, total - 1), "aria-label": `first ${unit}`, onchange: () => go(+from.value) });
  const count = choice([[200, "200"], [400, "400"], [1000, "1,000"], [2000, "2,000"]], state.count ?? usual, (value) => set({ count: +value }), `${unit}s`);
  const go = (at) => set({ from: Math.max(0, Math.min(total - 2, Math.trunc(at) || 0)), text: null, t: 0, a: null, b: null });
  const hop = (sign) => go((state.from ?? context.trace?.from ?? 0) + sign * (state.count ?? usual));
  const own = el("span", { class: "row" },
    field(`from ${unit}`, from), field("show", count),
    el("button", { type: "button", onclick: () => hop(-1), "aria-label": "the piece before" }, "‹"),
    el("button", { type: "button", onclick: () => hop(1), "aria-label": "the piece after" }, "›"));
  const where = choice([["data", "the run's data"], ["typed", "my own text"]], state.text === null ? "data" : "typed", (value) => {
    if (value === "data") set({ text: null, t: 0 });
    typed.hidden = value === "data";
    if (value === "typed") area.focus();
  }, "Where the text comes from");
  pieces.append(field("text", where), own);
  for (const control of [from, count, where, area, show, ...own.querySelectorAll("button")]) control.disabled = !live;
  if (!total) own.hidden = true;
  const note = el("span", { class: "note" });
  pieces.append(note);
  pieces.update = () => {
    const at = context.trace?.from ?? null;
    if (document.activeElement !== from) from.value = at ?? "";
    where.value = state.text === null && (total || !live) ? (typed.hidden ? "data" : "typed") : "typed";
    typed.hidden = where.value === "data";
    own.hidden = state.text !== null || !total;
    if (state.text !== null && document.activeElement !== area) area.value = state.text;
    note.textContent = at === null ? "" : at >= trained ? "held out" : "trained on";
  };
  if (!total) typed.hidden = false;
  pieces.update();
}

/** Which of the sequences of the data, or a text of one's own. */
function buildExamples(pieces, typed, context) {
  const { run, live } = context;
  const { total, first, unit, typed: readable } = run.data;
  const area = el("textarea", { rows: 2, "aria-label": "Your own text", maxLength: 8000, placeholder: run.task === "tag" ? "Type a sentence, with blanks between its words." : "Type a text, and see what the model makes of it." });
  const show = el("button", { type: "button", class: "primary", onclick: () => { if (area.value.trim()) set({ text: area.value, t: 0, a: null, b: null }); } }, "Show");
  area.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); show.click(); } });
  typed.append(area, show);
  const go = (at) => set({ from: Math.max(0, Math.min(total - 1, Math.trunc(at) || 0)), text: null, t: 0, a: null, b: null });
  const at = () => state.from ?? context.trace?.from ?? first;
  const number = el("input", { type: "number", min: 1, max: Math.max(1, total), "aria-label": `number of the ${unit}`, onchange: () => go(+number.value - 1) });
  const before = el("button", { type: "button", onclick: () => go(at() - 1), "aria-label": `the ${unit} before` }, "‹");
  const after = el("button", { type: "button", onclick: () => go(at() + 1), "aria-label": `the ${unit} after` }, "›");
  const own = el("span", { class: "row" }, field(unit, number), before, after);
  const where = choice([["data", "the run's data"], ["typed", "my own text"]], state.text === null ? "data" : "typed", (value) => {
    if (value === "data") set({ text: null, t: 0 });
    typed.hidden = value === "data";
    if (value === "typed") area.focus();
  }, "Where the text comes from");
  const note = el("output", { class: "note which" });
  pieces.append(...(readable ? [field("text", where)] : []), own, note);
  for (const control of [number, before, after, where, area, show]) control.disabled = !live || (control !== area && control !== show && control !== where && !total);
  pieces.update = () => {
    if (document.activeElement !== number) number.value = total ? at() + 1 : "";
    if (readable) {
      where.value = state.text === null && total ? (typed.hidden ? "data" : "typed") : "typed";
      typed.hidden = where.value === "data";
      if (state.text !== null && document.activeElement !== area) area.value = state.text;
    }
    own.hidden = state.text !== null || !total;
    const example = context.trace?.example;
    const short = example?.actual && example.actual.length > 40 ? `${example.actual.slice(0, 40)}…` : example?.actual;
    note.textContent = example && state.text === null ? [`of ${total.toLocaleString("en")}`, run.data.unit === "sentence" ? null : example.id, example.part ? `${example.part} part` : null, short && run.task !== "tag" ? `right: ${short}` : null].filter(Boolean).join(" · ") : "";
  };
  if (!total && readable) typed.hidden = false;
  pieces.update();
}

function buildTable(pieces, context) {
  const { series } = context.run.data;
  const own = () => series[Math.min(state.series ?? 0, series.length - 1)];
  const which = series.length > 1
    ? field("series", choice(series.map((one, at) => [at, one.name]), state.series ?? 0, (value) => set({ series: +value, from: null, t: 0 }), "series")) : null;
  const where = el("input", { type: "range", step: 1, "aria-label": "row after the window", style: { width: "220px" },
    oninput: () => { text.textContent = name(+where.value); }, onchange: () => set({ from: +where.value, t: 0 }) });
  const text = el("output", { style: { minWidth: "13em" } });
  const name = (row) => {
    const { rows, split } = own();
    const part = row >= split.train + split.validation ? "test part" : row >= split.train ? "validation part" : "training part";
    return row >= rows ? `after the last row, ${rows}` : `row ${row + 1} of ${rows} · ${part}`;
  };
  where.disabled = !context.live || !series.length;
  if (which) which.querySelector("select").disabled = !context.live;
  pieces.append(...(which ? [which] : []), field("forecast from", where), text);
  pieces.update = () => {
    if (!series.length) return;
    const { first, last } = own();
    Object.assign(where, { min: first, max: last });
    const at = context.trace?.from ?? last;
    where.value = at;
    text.textContent = name(at);
    if (which) which.querySelector("select").value = state.series ?? 0;
  };
  pieces.update();
}

/** The row with the cursor of time. */
export function buildTime(root, context) {
  const slider = el("input", { type: "range", min: 0, max: 0, step: 1, id: "cursor", "aria-label": "step", oninput: () => set({ t: +slider.value }) });
  const output = el("output", { id: "where", for: "cursor" });
  const step = (by) => () => set({ t: Math.max(0, Math.min((context.trace?.steps ?? 1) - 1, state.t + by)) });
  let playing = 0;
  const button = el("button", { type: "button", id: "play", "aria-label": "play", "aria-pressed": "false", onclick: () => play() }, "▶");
  function play(stop) {
    const on = !playing && !stop;
    clearInterval(playing);
    playing = 0;
    if (on && context.trace) {
      if (state.t >= context.trace.steps - 1) set({ t: 0 });
      playing = setInterval(() => {
        if (state.t >= context.trace.steps - 1) play(true);
        else set({ t: state.t + 1 });
      }, 400);
    }
    button.textContent = on ? "❚❚" : "▶";
    button.setAttribute("aria-label", on ? "pause" : "play");
    button.setAttribute("aria-pressed", on);
  }
  root.append(
    el("button", { type: "button", onclick: step(-1), "aria-label": "a step back" }, "◀"), button,
    el("button", { type: "button", onclick: step(1), "aria-label": "a step on" }, "▶|"), slider, output);
  async function update() {
    const { trace } = context;
    if (!trace) return;
    slider.max = trace.steps - 1;
    slider.value = state.t;
    const at = state.t;
    const tokens = context.run.data.reads === "tokens";
    const label = trace.labels && (tokens || context.run.data.kind === "table") ? ` · ${tokens ? `“${shown(trace.labels[at])}”` : trace.labels[at]}` : "";
    const bits = trace.bits?.[at];
    const surprise = bits === null || bits === undefined ? "" : ` · surprise ${num(bits)} bits`;
    slider.setAttribute("aria-valuetext", `step ${at + 1} of ${trace.steps}${label}`);
    output.textContent = `step ${at + 1} of ${trace.steps}${label}${surprise}`;
  }
  update();
  return { update, play };
}

/** A value of the chosen unit in words. */
export function unitValue(plane, hidden, unit, t, name) {
  return `${name}[${unit}] = ${signed(plane[t * hidden + unit])}`;
}
