// View: choose a span, see which units stay on in it, and find other places with the same units on.

import { choice, el, field, framed, num, shown, slider } from "./dom.js";
import { amount, scaleOf } from "./scales.js";
import { set, state } from "./store.js";
import { sparkline, textOf } from "./units.js";

export const match = {
  id: "match",
  title: "Match",
  when: (context) => context.run.parts.length > 0,
  mount(root, context) {
    const { run, live } = context;
    const tokens = run.data.reads === "tokens", examples = run.data.kind === "examples";
    let threshold = 0.5, share = 0.8, edges = "any", plane = null, body = null, on = [], dropped = new Set(), stop = false;
    const place = el("div");
    const units = el("div", { class: "ranks", role: "list", style: { maxHeight: "300px" } });
    const head = el("p", { class: "readout" });
    const controls = el("div", { class: "row" });
    const here = el("div", { class: "found" }), all = el("div", { class: "found" });
    const progress = el("span", { class: "row" });
    root.append(el("div", { class: "split" },
      el("div", { class: "stack" },
        el("section", { class: "panel" }, el("h2", {}, "Choose a span"),
          el("p", { class: "lead" }, tokens ? "Drag over the text, or hold Shift and press an arrow key. Units that stay on through the span are listed; other places where they are on are below." : "Drag over the steps, or hold Shift and press an arrow key."),
          controls, place, head),
        el("section", { class: "panel" }, el("h2", {}, "Other places in this piece"), here),
        run.data.kind !== "table" ? el("section", { class: "panel" }, el("h2", {}, "Places in all of the data"), progress, all) : null),
      el("aside", { class: "panel" }, el("h2", {}, "Units that stay on"), el("p", { class: "lead" }, "On: the value is at least the threshold away from zero, on one side, at every step of the span. Click to leave one out."), units)));

    const limit = el("span");
    /** The threshold in the units of the plane: half of the scale, or nine tenths for what opens and closes. */
    function buildThreshold(scale) {
      const opening = scale.low === 0;
      threshold = opening ? 0.9 : +(scale.high / 2).toPrecision(2);
      limit.replaceChildren(slider({ name: "threshold", min: scale.high / 20, max: scale.high, step: scale.high / 100, value: threshold, id: "threshold", change: (value) => { threshold = value; find(); } }));
    }
    controls.append(limit,
      slider({ name: "share of units", min: 0.5, max: 1, step: 0.05, value: share, id: "share", change: (value) => { share = value; find(); } }),
      field("outside the span", choice([["any", "they may be on too"], ["off", "they are off just before and after"]], edges, (value) => { edges = value; find(); }, "outside the span")));

    const hidden = () => run.parts[state.part].hidden;
    const span = () => {
      if (state.a !== null && state.b !== null && state.b > state.a) return [state.a, Math.min(state.b, context.trace.steps)];
      const end = Math.min(context.trace.steps, state.t + 5);
      return [Math.max(0, end - 5), end];
    };

    function brush(target, stepOf) {
      let from = null;
      target.addEventListener("pointerdown", (event) => {
        const t = stepOf(event);
        if (t === null) return;
        from = t;
        set({ a: t, b: t + 1, t });
        event.preventDefault();
        target.focus({ preventScroll: true });
      });
      target.addEventListener("pointermove", (event) => {
        const t = stepOf(event);
        if (from === null || t === null || !(event.buttons & 1)) return;
        set({ a: Math.min(from, t), b: Math.max(from, t) + 1 });
      });
      window.addEventListener("pointerup", () => { from = null; });
    }

    function build() {
      if (tokens) {
        body = textOf(context.trace);
        body.root.style.userSelect = "none";
        brush(body.root, (event) => {
          const step = document.elementFromPoint(event.clientX, event.clientY)?.dataset?.t;
          return step === undefined ? null : +step;
        });
      } else {
        const labels = context.trace.labels;
        body = textOf({ labels: labels.map((label) => `${label} `) });
        brush(body.root, (event) => {
          const step = document.elementFromPoint(event.clientX, event.clientY)?.dataset?.t;
          return step === undefined ? null : +step;
        });
      }
      body.mark(state.t);
      place.replaceChildren(body.root);
      load();
    }

    function find() {
      if (!plane) return;
      const [a, b] = span(), size = hidden(), { steps } = context.trace;
      const is = (t, unit, sign) => plane[t * size + unit] * sign >= threshold;
      on = [];
      for (let unit = 0; unit < size; unit++) {
        const sign = plane[a * size + unit] < 0 ? -1 : 1;
        let stays = true, sum = 0;
        for (let t = a; t < b && stays; t++) { stays = is(t, unit, sign); sum += plane[t * size + unit]; }
        if (stays && edges === "off") stays = !(a > 0 && is(a - 1, unit, sign)) && !(b < steps && is(b, unit, sign));
        if (stays) on.push({ unit, sign, mean: sum / (b - a) });
      }
      on.sort((x, y) => Math.abs(y.mean) - Math.abs(x.mean));
      body.spans.forEach((own, t) => own.classList.toggle("in", t >= a && t < b));
      const kept = on.filter((one) => !dropped.has(one.unit));
      const scale = scaleOf(state.plane, plane);
      const shade = amount(1);
      // Below half of them, a place is not like the span.
      body.paint(shade, (t) => (kept.length ? Math.max(0, 2 * kept.filter((one) => is(t, one.unit, one.sign)).length / kept.length - 1) : null));
      const label = tokens ? ` “${context.trace.labels.slice(a, b).map(shown).join(context.trace.joint ?? "")}”` : "";
      head.replaceChildren(el("b", {}, `steps ${a + 1} to ${b}${label}`), ` · ${on.length} of ${size} units of ${state.plane} stay on. What is coloured has them on too: the stronger, the more of them.`);
      units.replaceChildren(...on.slice(0, 60).map((one) => {
        const spark = el("canvas", { "aria-hidden": "true" });
        requestAnimationFrame(() => sparkline(spark, plane, size, one.unit, scale));
        return el("button", { type: "button", role: "listitem", "aria-pressed": !dropped.has(one.unit), "aria-label": `unit ${one.unit}, mean ${num(one.mean)}`,
          onclick: () => { if (!dropped.delete(one.unit)) dropped.add(one.unit); set({ unit: one.unit }); find(); } },
        el("span", {}, `#${one.unit}`), spark, el("span", { class: "score" }, num(one.mean)));
      }));
      if (!on.length) units.append(el("p", { class: "note" }, "None. Lower the threshold or shorten the span."));
      here.replaceChildren(...rows(runs(kept, is, steps, b - a).filter(([x, y]) => y <= a || x >= b), context.trace.labels, 0, (t) => set({ t, a: null, b: null })));
      buildSearch(kept, b - a);
    }

    function runs(kept, is, steps, length) {
      if (!kept.length) return [];
      const list = [];
      for (let t = 0; t < steps; t++) {
        const count = kept.filter((one) => is(t, one.unit, one.sign)).length;
        if (count < share * kept.length) continue;
        const last = list.at(-1);
        if (last && last[1] === t) { last[1] = t + 1; last[2] += count; } else list.push([t, t + 1, count]);
      }
      return list.map(([x, y, sum]) => [x, y, sum / (y - x) / kept.length]).sort((p, q) => Math.abs(p[1] - p[0] - length) - Math.abs(q[1] - q[0] - length) || p[0] - q[0]).slice(0, 30);
    }

    function rows(found, labels, from, go, where = "") {
      if (!found.length) return [el("p", { class: "note" }, "None.")];
      return found.map(([x, y, mean]) => {
        const [p, q] = [x - from, y - from];
        const join = (list) => list.map((label) => (tokens ? (label === "\n" ? "↵" : label) + (context.trace.joint ?? "") : `${label} `)).join("");
        return el("button", { type: "button", onclick: () => go(x) },
          el("span", { class: "dim" }, `${where}${x + 1}–${y} ${Math.round(mean * 100)} %`),
          el("span", {}, join(labels.slice(Math.max(0, p - 24), p)), el("mark", {}, join(labels.slice(p, q))), join(labels.slice(q, q + 24))));
      });
    }

    function buildSearch(kept, length) {
      stop = true;
      all.replaceChildren();
      const button = el("button", { type: "button", class: "primary", id: "search", disabled: !live || !kept.length || !run.data.total, onclick: () => search(kept, length) }, "Search");
      progress.replaceChildren(button, el("span", { class: "note" }, live ? `${run.data.total.toLocaleString("en")} ${run.data.unit}s, from the first` : "not in an exported page"));
    }

    async function search(kept, length) {
      stop = false;
      const { total } = run.data;
      const most = Math.min(total, examples ? 3000 : 60000), chunk = 2000;
      const bar = el("progress", { max: most, value: 0 });
      const halt = el("button", { type: "button", onclick: () => { stop = true; } }, "Stop");
      progress.replaceChildren(bar, halt);
      const found = [];
      try {
        for (let from = 0; from < most && !stop && root.isConnected && examples;) {
          const told = await context.ask("match", { part: state.part, plane: state.plane, units: kept.map((one) => [one.unit, one.sign]), threshold, share, length, from, count: Math.min(50, most - from) });
          for (const one of told.sequences) for (const [x, y, mean] of one.places) found.push({ x, y, mean, labels: one.labels, from: 0, sequence: one.sequence });
          found.sort((p, q) => Math.abs(p.y - p.x - length) - Math.abs(q.y - q.x - length) || q.mean - p.mean);
          found.splice(60);
          all.replaceChildren(...found.flatMap((one) => rows([[one.x, one.y, one.mean]], one.labels, 0, (t) => set({ text: null, from: one.sequence, t, a: one.x, b: one.y }), `${run.data.unit} ${one.sequence + 1}, `)));
          from = told.next;
          bar.value = from;
        }
        for (let from = 0; from < most && !stop && root.isConnected && !examples; from += chunk) {
          const told = await context.ask("match", { part: state.part, plane: state.plane, units: kept.map((one) => [one.unit, one.sign]), threshold, share, length, from, count: Math.min(chunk, most - from) });
          for (const [x, y, mean] of told.places) {
            found.push({ x, y, mean, labels: told.labels.slice(Math.max(0, x - from - 24), y - from + 24), from: Math.max(from, x - 24) });
          }
          found.sort((p, q) => Math.abs(p.y - p.x - length) - Math.abs(q.y - q.x - length) || q.mean - p.mean);
          found.splice(60);
          all.replaceChildren(...found.flatMap((one) => rows([[one.x, one.y, one.mean]], one.labels, one.from, (t) => set({ text: null, from: Math.max(0, t - 60), t: Math.min(60, t), a: null, b: null }))));
          bar.value = from + chunk;
        }
        progress.replaceChildren(el("span", { class: "note" }, `${found.length} places${most < total ? ` in the first ${most.toLocaleString("en")}` : ""}${stop ? ", stopped early" : ""}`));
      } catch (error) { context.refused(error); }
    }

    const load = framed(async () => {
      try { plane = await context.plane(state.part, state.plane); } catch (error) { context.refused(error); return; }
      if (root.isConnected && plane.length === context.trace.steps * hidden()) { buildThreshold(scaleOf(state.plane, plane)); find(); }
    });
    build();
    return {
      update(changed) {
        if (changed.has("trace")) return build();
        if (changed.has("part") || changed.has("plane")) { dropped = new Set(); return load(); }
        if (changed.has("t")) body.mark(state.t);
        if (changed.has("a") || changed.has("b") || (changed.has("t") && state.a === null)) { dropped = new Set(); find(); }
        return undefined;
      },
      remove() { stop = true; },
    };
  },
};
