// View: how far back an error reaches, in this model and in fresh cells of the same size.

import { partName } from "./controls.js";
import { choice, css, el, field, framed, num, shown, slider } from "./dom.js";
import { heat } from "./gates.js";
import { frame, lines } from "./plot.js";
import { amount, legend } from "./scales.js";
import { set, state } from "./store.js";
import { textOf } from "./units.js";

export const gradient = {
  id: "gradient",
  title: "Gradient",
  when: (context) => context.run.parts.length > 0,
  mount(root, context) {
    const { run, live } = context;
    const tokens = run.data.reads === "tokens";
    let ask = { back: 60, forget_bias: 1, radius: 1, add: 0, seed: 1 }, charts = [], freshChart = null, pairs = null, text = null;
    const [ownPlot, freshPlot, inputPlot] = [frame(230), frame(230), frame(170)];
    const controls = el("div", { class: "row" });
    const note = el("p", { class: "readout" });
    const matrix = el("div");
    const connect = el("p", { class: "readout" });
    const reading = el("div");
    root.append(el("div", { class: "stack" },
      el("section", { class: "panel" }, el("h2", {}, "How far back an error reaches"),
        el("p", { class: "lead" }, "The loss of the step under the cursor is sent back through time. A line that falls steeply is a memory that cannot be taught; one that climbs is a gradient that explodes."),
        controls, note,
        el("div", { class: "even" },
          el("div", {}, el("h3", {}, "This model: ‖∂loss/∂h‖ and ‖∂loss/∂c‖ by layer"), ownPlot),
          el("div", {}, el("h3", {}, "Fresh cells of the same size: ‖∂error/∂h‖"), freshPlot))),
      el("section", { class: "panel" }, el("h2", {}, "What the output hangs on"),
        el("p", { class: "lead" }, "The norm of the gradient with respect to each input before it: on what the answer at the cursor really depends."),
        inputPlot, connect, matrix, reading)));

    function buildControls() {
      const change = (key) => (value) => { ask = { ...ask, [key]: value }; load(); };
      const move = (key) => (value) => { ask = { ...ask, [key]: value }; moved(); };
      const keeps = run.parts[0].facts?.keeps !== null && run.parts[0].facts?.keeps !== undefined;
      controls.replaceChildren(
        field("steps back", choice([[30, "30"], [60, "60"], [120, "120"], [200, "200"]], ask.back, (value) => change("back")(+value), "steps back")),
        slider({ name: "forget bias of the fresh cells", min: -4, max: 8, step: 0.5, value: ask.forget_bias, id: "forget-bias", move: move("forget_bias") }),
        slider({ name: "spectral radius of r", min: 0.1, max: 3, step: 0.05, value: ask.radius, id: "radius", move: move("radius") }),
        keeps ? slider({ name: "added to this model's forget bias", min: -6, max: 6, step: 0.5, value: ask.add, id: "add", change: change("add") }) : null);
      if (!live) for (const input of controls.querySelectorAll("input, select")) input.disabled = true;
    }

    function render(told) {
      charts.forEach((chart) => chart.remove());
      charts = [];
      const { first, step, own, fresh } = told;
      ownPlot.replaceChildren();
      const lagsOf = (reach) => reach.at.map((t) => step - t);
      if (own.h.length && own.at.length) {
        const series = own.h.flatMap((values, part) => {
          const name = partName(run, part);
          const list = [{ label: `h, ${name}`, values }];
          if (own.c[part]?.some((v) => v > 0)) list.push({ label: `c, ${name}`, values: own.c[part], dash: [6, 3] });
          return list;
        });
        charts.push(lines(ownPlot, { x: lagsOf(own), series, log: true, xTitle: "steps back", yTitle: "norm" }));
      } else ownPlot.replaceChildren(el("p", { class: "empty" }, own.whole ? "This model reads from both ends or pools all steps, so there is no single way back; see the inputs below." : "There is no step before."));
      renderFresh(told);
      const x = own.x.map((_, k) => (own.from ?? first) + k + 1);
      charts.push(lines(inputPlot, { x, height: 170, log: true, xTitle: "step", yTitle: "norm", xName: (t) => (run.data.kind === "examples" && !tokens ? `${t}` : `${t} “${shown(context.trace.labels[t - 1])}”`),
        series: [{ label: "‖∂loss/∂x‖", values: own.x, points: true }], pick: (t) => set({ t: t - 1 }) }));
    }

    /** The fresh cells alone: a slider of theirs changes nothing else. */
    function renderFresh({ step, fresh }) {
      freshChart?.remove();
      freshChart = null;
      freshPlot.replaceChildren();
      const lags = fresh[0]?.reach.at.map((t) => step - t) ?? [];
      if (!lags.length) { freshPlot.replaceChildren(el("p", { class: "empty" }, "There is no step before.")); note.textContent = ""; return; }
      freshChart = lines(freshPlot, { x: lags, log: true, xTitle: "steps back", yTitle: "norm", series: fresh.map((one, at) => ({
        label: one.name, values: one.reach.h[0], colour: css(["--s1", "--s2", "--s0", "--s3"][at]), dash: at === 3 ? [6, 3] : undefined,
      })) });
      const far = Math.max(0, lags.findIndex((lag) => lag >= 20)) || lags.length - 1;
      note.replaceChildren(`Of the error that is there ${lags[0]} step${lags[0] > 1 ? "s" : ""} back, ${lags[far]} steps back there is left: `, ...fresh.flatMap((one, k) => {
        const h = one.reach.h[0];
        return [k ? " · " : "", `${one.name} `, el("b", {}, num(h[far] / h[0]))];
      }));
    }

    function renderPairs(told) {
      const count = told.pairs.length;
      const flat = new Float32Array(count * count);
      const worst = Math.max(...told.pairs.flat(), 1e-30);
      // Rows are outputs, columns inputs; on a logarithmic scale over five decades.
      told.pairs.forEach((row, out) => row.forEach((v, s) => { flat[s * count + out] = Math.max(0, 1 + Math.log10(Math.max(v, 1e-30) / worst) / 5); }));
      const scale = amount(1);
      const canvas = el("canvas", { style: { height: "300px", maxWidth: "600px" }, role: "img", "aria-label": "the gradient of the loss of each step with respect to each input" });
      heat(canvas, flat, count, Array.from({ length: count }, (_, k) => k), scale);
      const label = (t) => (tokens ? `“${shown(context.trace.labels[t])}”` : run.data.kind === "table" ? context.trace.labels[t] : "");
      const show = (out) => {
        if (!tokens) return;
        text ??= build(told.first, count);
        const row = told.pairs[out], most = Math.max(...row, 1e-30);
        text.paint(scale, (t) => (t <= out ? row[t] / most : null));
        text.spans.forEach((span, t) => span.classList.toggle("at", t === out));
      };
      canvas.addEventListener("pointermove", (event) => {
        const box = canvas.getBoundingClientRect();
        const s = Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * count)));
        const out = Math.min(count - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * count)));
        connect.replaceChildren(el("b", {}, num(told.pairs[out][s])), ` · the loss after step ${told.first + out + 1} ${label(told.first + out)} with respect to step ${told.first + s + 1} ${label(told.first + s)}`);
        show(out);
      });
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        set({ t: told.first + Math.min(count - 1, Math.floor(((event.clientY - box.top) / box.height) * count)) });
      });
      connect.textContent = "Point at the matrix: each row is the loss of a step, each column an input. Five decades, from nothing to the largest.";
      text = null;
      matrix.replaceChildren(el("div", { class: "heat" }, legend(scale, "share of the largest, logarithmic"), canvas));
      reading.replaceChildren();
      show(count - 1);
    }

    function build(first, count) {
      const part = { labels: context.trace.labels.slice(first, first + count), joint: context.trace.joint };
      const own = textOf(part, (t) => { if (t !== null && pairs) { const row = pairs.pairs[t]; connect.replaceChildren(el("b", {}, `step ${first + t + 1}`), ` hangs most on step ${first + row.indexOf(Math.max(...row)) + 1}`); } });
      own.root.style.maxHeight = "140px";
      own.root.style.marginTop = "10px";
      reading.replaceChildren(el("h3", {}, "What the loss of the outlined step hangs on"), own.root);
      return own;
    }

    let waiting = 0;
    const load = framed(async () => {
      const own = ++waiting;
      note.textContent = live ? "computing…" : "";
      try {
        const body = { trace: context.trace.id, step: state.t, ...ask };
        const told = await context.ask("gradient", body);
        if (own !== waiting || !root.isConnected) return;
        render(told);
        if (run.pooled) {
          matrix.replaceChildren();
          connect.textContent = "This model gives one output for the whole window, so one line says it all.";
          return;
        }
        try {
          pairs = await context.ask("pairs", { trace: context.trace.id, step: told.step, back: ask.back });
          if (own === waiting && root.isConnected) renderPairs(pairs);
        } catch (error) {
          matrix.replaceChildren();
          reading.replaceChildren();
          connect.textContent = error.message;
        }
        context.tell(null);
      } catch (error) { note.textContent = ""; context.refused(error); }
    });
    // While a slider moves, one question at a time is under way, and the last place of the slider is asked for.
    let asking = false, again = false;
    async function moved() {
      if (asking) { again = true; return; }
      asking = true;
      try {
        do {
          again = false;
          const told = await context.ask("gradient", { trace: context.trace.id, step: state.t, ...ask, fresh_only: true });
          if (!root.isConnected) return;
          renderFresh(told);
        } while (again);
      } catch (error) { context.refused(error); } finally { asking = false; }
    }
    let resting = 0;
    buildControls();
    load();
    return {
      update(changed) {
        // An error is sent back once the cursor rests.
        if (changed.has("t") && live) { clearTimeout(resting); resting = setTimeout(load, 250); }
        if (changed.has("trace")) load();
      },
      remove() { clearTimeout(resting); freshChart?.remove(); charts.forEach((chart) => chart.remove()); },
    };
  },
};
