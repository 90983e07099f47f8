// View: every gate and state of a layer, units by time, with the share of saturated gates.

import { planeName } from "./controls.js";
import { choice, css, el, field, framed, sharp, shown, signed } from "./dom.js";
import { clustered } from "./rank.js";
import { isOpening, legend, scaleOf, table } from "./scales.js";
import { set, state } from "./store.js";

const SORTS = [["index", "by number"], ["mean", "by mean"], ["peak", "by first peak"], ["cluster", "in groups that move alike"]];

/** Draws a plane `[T, H]` with its units in an order. */
export function heat(canvas, plane, hidden, order, scale) {
  const steps = plane.length / hidden;
  canvas.width = steps;
  canvas.height = hidden;
  const context = canvas.getContext("2d");
  const image = context.createImageData(steps, hidden);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = table(scale);
  for (let y = 0; y < hidden; y++) {
    const unit = order[y];
    for (let t = 0; t < steps; t++) {
      const at = scale.at(plane[t * hidden + unit]);
      pixels[y * steps + t] = colours[at <= 0 ? 0 : at >= 1 ? 255 : Math.floor(at * 255.999)];
    }
  }
  context.putImageData(image, 0, 0);
}

export const gates = {
  id: "gates",
  title: "Gates",
  when: (context) => context.run.parts.length > 0,
  mount(root, context) {
    const { run } = context;
    let sort = "index", by = null, order = [], group = null, planes = [], frames = [];
    const sortField = el("span");
    const readout = el("p", { class: "readout" }, "Point at a heat map to read every number; click to choose unit and step.");
    const grid = el("div", { class: "heats" });
    const saturation = el("div", { class: "even" });
    root.append(el("div", { class: "stack" },
      el("section", { class: "panel" },
        el("div", { class: "row" }, el("h2", { style: { flex: 1 } }, "Gates and states, units by steps"), sortField),
        readout, grid),
      el("section", { class: "panel" }, el("h2", {}, "How saturated the gates are"),
        el("p", { class: "lead" }, "A gate near 0 is closed, near 1 open; in between it mixes. A unit whose forget gate is mostly open remembers for long. Each dot is a unit: how often it is closed (below 0.1) and open (above 0.9)."),
        saturation)));

    const own = () => run.parts[state.part];

    function arrange() {
      const { hidden } = own();
      const at = Math.max(0, own().planes.indexOf(by ?? state.plane));
      const plane = planes[at], steps = plane.length / hidden;
      order = Array.from({ length: hidden }, (_, unit) => unit);
      group = null;
      const key = (unit) => {
        let sum = 0, peak = 0, best = -Infinity;
        for (let t = 0; t < steps; t++) {
          const value = plane[t * hidden + unit];
          sum += value;
          if (Math.abs(value) > best + 1e-9) { best = Math.abs(value); peak = t; }
        }
        return sort === "mean" ? -sum : peak;
      };
      if (sort === "cluster") ({ order, group } = clustered(plane, hidden));
      else if (sort !== "index") {
        const keys = order.map(key);
        order.sort((a, b) => keys[a] - keys[b] || a - b);
      }
    }

    function tell(t, unit) {
      const { trace } = context;
      const values = own().planes.map((name, at) => `${name} ${signed(planes[at][t * own().hidden + unit])}`);
      const label = run.data.reads === "tokens" ? `“${shown(trace.labels[t])}”` : run.data.kind === "table" ? trace.labels[t] : "";
      readout.replaceChildren(el("b", {}, `unit ${unit}, step ${t + 1} ${label}`), ` · ${values.join("  ")}${group ? ` · group ${group[unit] + 1}` : ""}`);
    }

    function place(event, canvas) {
      const box = canvas.getBoundingClientRect();
      const within = (v, size) => Math.max(0, Math.min(size - 1, Math.floor(v * size)));
      const t = within((event.clientX - box.left) / box.width, context.trace.steps);
      return [t, order[within((event.clientY - box.top) / box.height, own().hidden)]];
    }

    function hairs() {
      const row = order.indexOf(state.unit);
      for (const { canvas, down, across } of frames) {
        const [w, h] = [canvas.clientWidth, canvas.clientHeight];
        Object.assign(down.style, { left: `${((state.t + 0.5) / context.trace.steps) * w + canvas.offsetLeft}px`, top: `${canvas.offsetTop}px`, width: "1px", height: `${h}px` });
        Object.assign(across.style, { top: `${((row + 0.5) / own().hidden) * h + canvas.offsetTop}px`, left: `${canvas.offsetLeft}px`, height: "1px", width: `${w}px` });
      }
    }

    function render() {
      const { hidden, planes: names } = own();
      const height = Math.max(110, Math.min(300, hidden * 4));
      arrange();
      frames = [];
      grid.replaceChildren(...names.map((name, at) => {
        const scale = scaleOf(name, planes[at]);
        const canvas = el("canvas", { style: { height: `${height}px` }, role: "img", "aria-label": `${planeName(name)}: ${hidden} units by ${context.trace.steps} steps` });
        heat(canvas, planes[at], hidden, order, scale);
        canvas.addEventListener("pointermove", (event) => tell(...place(event, canvas)));
        canvas.addEventListener("click", (event) => { const [t, unit] = place(event, canvas); set({ t, unit, plane: name }); });
        const down = el("i", { class: "hair" }), across = el("i", { class: "hair" });
        frames.push({ canvas, down, across });
        return el("div", { class: "heat" }, el("div", { class: "head" }, el("h3", {}, planeName(name)), legend(scale)), canvas, down, across);
      }));
      sortField.replaceChildren(
        el("span", { class: "row" }, field("units", choice(SORTS, sort, (value) => { sort = value; render(); }, "order of the units")),
          field("of", choice(names.map((name) => [name, planeName(name)]), by ?? state.plane, (value) => { by = value; render(); }, "sorted by which plane"))));
      hairs();
      tell(state.t, state.unit);
      saturations();
    }

    function saturations() {
      const { hidden, planes: names } = own();
      const list = names.map((name, at) => [name, planes[at]]).filter(([name]) => isOpening(name));
      saturation.replaceChildren(...list.map(([name, plane]) => {
        const steps = plane.length / hidden;
        const low = new Float64Array(hidden), high = new Float64Array(hidden);
        plane.forEach((value, at) => { if (value < 0.1) low[at % hidden] += 1 / steps; else if (value > 0.9) high[at % hidden] += 1 / steps; });
        const mean = (list) => list.reduce((a, b) => a + b, 0) / hidden;
        const [closed, open] = [mean(low), mean(high)];
        const percent = (v) => `${Math.round(100 * v)} %`, width = (v) => `${100 * v}%`;
        const canvas = el("canvas", { style: { width: "100%", height: "170px" }, role: "img", "aria-label": `${planeName(name)}: share of steps closed and open, per unit` });
        const hovered = el("span", { class: "note" });
        requestAnimationFrame(() => {
          const [w, h] = [canvas.clientWidth || 300, 170];
          const draw = sharp(canvas, w, h);
          const x = (v) => 34 + v * (w - 46), y = (v) => h - 26 - v * (h - 36);
          draw.strokeStyle = css("--line");
          draw.beginPath(); draw.moveTo(x(0), y(1)); draw.lineTo(x(0), y(0)); draw.lineTo(x(1), y(0)); draw.stroke();
          draw.fillStyle = css("--dim");
          draw.font = "11px system-ui";
          draw.fillText("closed, share of steps →", x(0) + 4, h - 8);
          draw.fillText("open", 2, y(1) + 10);
          draw.fillText("0", x(0) - 12, y(0) + 4); draw.fillText("1", x(1) - 4, y(0) + 14);
          for (let unit = 0; unit < hidden; unit++) {
            draw.beginPath();
            draw.arc(x(low[unit]), y(high[unit]), unit === state.unit ? 5 : 3, 0, 7);
            draw.fillStyle = unit === state.unit ? css("--s1") : css("--s0");
            draw.globalAlpha = unit === state.unit ? 1 : 0.55;
            draw.fill();
          }
          draw.globalAlpha = 1;
          const near = (event) => {
            const box = canvas.getBoundingClientRect();
            let best = -1, distance = 200;
            for (let unit = 0; unit < hidden; unit++) {
              const d = (x(low[unit]) - (event.clientX - box.left)) ** 2 + (y(high[unit]) - (event.clientY - box.top)) ** 2;
              if (d < distance) { distance = d; best = unit; }
            }
            return best;
          };
          canvas.onpointermove = (event) => { const unit = near(event); hovered.textContent = unit < 0 ? "" : `unit ${unit}: closed ${percent(low[unit])}, open ${percent(high[unit])}`; };
          canvas.onclick = (event) => { const unit = near(event); if (unit >= 0) set({ unit }); };
        });
        return el("div", {}, el("h3", {}, planeName(name)),
          el("div", { class: "sat", role: "img", "aria-label": `closed ${percent(closed)}, open ${percent(open)}` },
            el("i", { style: { width: width(closed), background: css("--s0") } }),
            el("i", { style: { width: width(1 - closed - open), background: "transparent" } }),
            el("i", { style: { width: width(open), background: css("--s1") } })),
          el("p", { class: "note" }, `closed ${percent(closed)} · between ${percent(1 - closed - open)} · open ${percent(open)} `, hovered), canvas);
      }));
      if (!list.length) saturation.replaceChildren(el("p", { class: "note" }, "This cell has no gates between 0 and 1."));
    }

    const draw = framed(async () => {
      try {
        planes = await Promise.all(own().planes.map((name) => context.plane(state.part, name)));
      } catch (error) { context.refused(error); return; }
      if (root.isConnected && planes[0].length === context.trace.steps * own().hidden) render();
    });
    draw();
    const watch = new ResizeObserver(() => { if (frames.length) hairs(); });
    watch.observe(grid);
    return {
      update(changed) {
        if (changed.has("trace") || changed.has("part")) return draw();
        if (!frames.length) return undefined;
        if (changed.has("plane") && sort !== "index" && by === null) render();
        if (changed.has("t") || changed.has("unit")) { hairs(); tell(state.t, state.unit); }
        if (changed.has("unit")) saturations();
        return undefined;
      },
      remove() { watch.disconnect(); },
    };
  },
};

