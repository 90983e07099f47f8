// Colours for numbers. Two scales, both readable without telling red from green: one from blue over the
// ground to orange for what has a sign, and one from dark blue to yellow (cividis) for what lies in 0 to 1.

import { el, num } from "./dom.js";

const CIVIDIS = [[0, 34, 78], [42, 63, 109], [87, 93, 109], [125, 124, 120], [165, 156, 116], [211, 193, 100], [254, 232, 56]];
const SIGMOIDS = new Set(["i", "f", "o", "r", "z"]);

/** Whether a plane lies between 0 and 1. */
export function isOpening(plane) {
  return SIGMOIDS.has(plane);
}

/** Whether the page is dark now. */
export function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function between(anchors, at) {
  const place = Math.min(1, Math.max(0, at)) * (anchors.length - 1);
  const low = Math.min(Math.floor(place), anchors.length - 2);
  return anchors[low].map((value, k) => Math.round(value + (anchors[low + 1][k] - value) * (place - low)));
}

function diverging() {
  return isDark()
    ? [[110, 190, 245], [48, 118, 178], [27, 31, 37], [186, 100, 22], [250, 176, 96]]
    : [[20, 82, 148], [104, 168, 220], [252, 252, 252], [242, 162, 80], [158, 72, 0]];
}

/** The scale of a plane: from `low` to `high`, `at(value)` from 0 to 1, and its colours. */
export function scaleOf(plane, data) {
  if (isOpening(plane)) return { low: 0, high: 1, anchors: CIVIDIS, at: (v) => v };
  const most = data ? largest(data) : 1;
  // What is squashed to -1 to 1 and fills most of it is shown on all of it.
  const high = most > 0.7 && most <= 1 ? 1 : most;
  return { low: -high, high, anchors: diverging(), at: (v) => (v / high + 1) / 2 };
}

/** A scale for what is 0 or more. */
export function amount(high) {
  return { low: 0, high, anchors: isDark() ? diverging().slice(2) : diverging().slice(2), at: (v) => v / high };
}

/** The size that all but the most extreme values stay within. */
export function largest(data) {
  const step = Math.max(1, Math.floor(data.length / 4000));
  const sizes = [];
  for (let at = 0; at < data.length; at += step) sizes.push(Math.abs(data[at]));
  sizes.sort((a, b) => a - b);
  return sizes[Math.floor(0.995 * (sizes.length - 1))] || 1;
}

/** A lookup table of 256 colours for canvases, as 32-bit pixels. */
export function table(scale) {
  const pixels = new Uint32Array(256);
  for (let at = 0; at < 256; at++) {
    const [r, g, b] = between(scale.anchors, at / 255);
    pixels[at] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return pixels;
}

/** A colour to draw with. */
export function colour(scale, value) {
  const [r, g, b] = between(scale.anchors, scale.at(value));
  return `rgb(${r} ${g} ${b})`;
}

/** Ground and ink for a piece of text, so that it can be read on any colour. */
export function ground(scale, value) {
  const [r, g, b] = between(scale.anchors, scale.at(value));
  const light = 0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2;
  return { background: `rgb(${r} ${g} ${b})`, color: light > 0.22 ? "#101418" : "#f6f7f9" };
}

/** A bar that says what the colours mean. */
export function legend(scale, title) {
  const canvas = el("canvas", { width: 150, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  for (let x = 0; x < 150; x++) {
    const [r, g, b] = between(scale.anchors, x / 149);
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(x, 0, 1, 1);
  }
  return el("div", { class: "legend" }, title ?? "", el("span", {}, num(scale.low)), canvas, el("span", {}, num(scale.high)));
}
