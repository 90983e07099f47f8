// Lines over steps, drawn by uPlot: values on hover, a click moves the shared cursor. What spans decades is
// drawn as its logarithm.

import { css, el, num } from "./dom.js";

const { uPlot } = globalThis;
const COLOURS = ["--s0", "--s1", "--s2", "--s3", "--s4", "--s5"];

/**
 * Draws lines. `series`: label, values, and where wanted colour, width, dash, axis. Gives an object with
 * `at(x)`, which moves the mark of the shared cursor, and `remove()`.
 */
export function lines(root, { x, series, bands, height = 230, xTitle, yTitle, yTitle2, log, zero, pick, xName, legend = true }) {
  const ink = css("--dim"), grid = css("--line");
  let marked = null;
  const axis = (title, more) => ({
    stroke: ink, label: title, labelSize: 18, labelFont: "12px system-ui, sans-serif", font: "11.5px system-ui, sans-serif",
    grid: { stroke: grid, width: 0.6 }, ticks: { stroke: grid, width: 0.6 }, ...more,
  });
  const second = series.some((own) => own.axis === "two");
  const spread = (u, low, high) => {
    if (low === null) return [0, 1];
    if (zero) low = Math.min(0, low);
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [low - room, high + room];
  };
  const options = {
    width: Math.max(200, root.clientWidth), height,
    legend: { show: legend, live: true },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false },
      y: { range: spread },
      ...(second ? { two: { range: spread } } : {}),
    },
    axes: [
      axis(xTitle, { size: 34, labelSize: 16, labelGap: 0 }),
      axis(yTitle, log
        ? { size: 62, incrs: [0.5, 1, 2, 3, 5, 10, 20], values: (u, splits) => splits.map((v) => (Number.isInteger(v) ? `1e${v}` : num(10 ** v))) }
        : { size: 62, values: (u, splits) => splits.map(num) }),
      ...(second ? [axis(yTitle2, { scale: "two", side: 1, size: 56, grid: { show: false }, values: (u, s) => s.map(num) })] : []),
    ],
    series: [
      { label: xTitle ?? "step", value: (u, v) => (v === null ? "–" : xName ? xName(v) : num(v)) },
      ...series.map((own, at) => ({
        label: own.label, scale: own.axis ?? "y", stroke: own.colour ?? css(COLOURS[at % COLOURS.length]),
        width: own.width ?? 1.8, dash: own.dash, fill: own.fill, points: { show: own.points ?? false, size: 5 },
        spanGaps: own.spanGaps ?? false, value: (u, v) => num(log && v !== null ? 10 ** v : v),
      })),
    ],
    bands,
    hooks: {
      draw: [(u) => {
        if (marked === null) return;
        const left = u.valToPos(marked, "x", true);
        u.ctx.save();
        u.ctx.strokeStyle = css("--ink");
        u.ctx.lineWidth = devicePixelRatio;
        u.ctx.setLineDash([4, 3]);
        u.ctx.beginPath();
        u.ctx.moveTo(left, u.bbox.top);
        u.ctx.lineTo(left, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.restore();
      }],
    },
  };
  const own = series.map((one) => (log ? Array.from(one.values, (v) => (v > 1e-30 ? Math.log10(v) : null)) : Array.from(one.values)));
  const chart = new uPlot(options, [Array.from(x), ...own], root);
  if (pick) {
    chart.over.addEventListener("click", () => { if (chart.cursor.idx !== null) pick(x[chart.cursor.idx]); });
  }
  const watch = new ResizeObserver(() => {
    if (root.clientWidth && Math.abs(root.clientWidth - chart.width) > 1) chart.setSize({ width: root.clientWidth, height });
  });
  watch.observe(root);
  return {
    at(value) { marked = value; chart.redraw(false, false); },
    remove() { watch.disconnect(); chart.destroy(); root.replaceChildren(); },
  };
}

/** A place for lines that keeps its height while they are drawn anew. */
export function frame(height) {
  return el("div", { class: "plot", style: { minHeight: `${height + 46}px` } });
}
