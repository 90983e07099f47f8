// Small helpers for building elements and writing numbers.

const NS = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || (value === false && !key.startsWith("aria-"))) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.setAttribute("class", value);
    else if (key === "style") Object.assign(node.style, value);
    else if (key in node && !(node instanceof SVGElement) && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value === true && !key.startsWith("aria-") ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** An HTML element with properties, listeners (`onclick`) and children. */
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(NS, tag), props, children);
}

/** A number for people: four significant digits at most. */
export function num(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(2).replace("-", "−");
  const text = value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size)) - (size < 1 ? 1 : 0)));
  return (text.includes(".") ? text.replace(/\.?0+$/, "") : text).replace("-", "−");
}

/** The same with a sign always there. */
export function signed(value) {
  const text = num(value);
  return value > 0 ? `+${text}` : text;
}

/** A token that can be seen. */
export function shown(label) {
  if (label === undefined || label === null) return "";
  return label.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍").replaceAll(" ", "␣");
}

/** A control with its name. */
export function field(name, control) {
  return el("label", {}, name, control);
}

/** A choice of options `[value, title]`. */
export function choice(options, value, change, name) {
  const select = el("select", { onchange: () => change(select.value), "aria-label": name },
    options.map(([option, title]) => el("option", { value: option }, title)));
  select.value = value;
  return select;
}

/** A slider with its value beside it; `change` comes when it rests, `move` while it moves. */
export function slider({ name, min, max, step, value, change, move, id }) {
  const out = el("output", { style: { minWidth: "3.6em" } }, num(value));
  const input = el("input", {
    type: "range", min, max, step, value, id, "aria-label": name,
    oninput: () => { out.textContent = num(+input.value); move?.(+input.value); },
    onchange: () => change?.(+input.value),
  });
  input.value = value;
  return el("label", {}, name, input, out);
}

/** Runs `work` at most once per frame. */
export function framed(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  };
}

/** A canvas context with room for the screen's own pixels. */
export function sharp(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

/** A colour of the style sheet. */
export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
