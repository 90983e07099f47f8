// The drawing of a cell: wires with the numbers that run along them.

import { num, signed, svg } from "./dom.js";

/**
 * Draws a cell. `now` and `was` hold numbers by name; where they differ, the new one stands out with the
 * old one below. `chosen` is the gate whose sentence is read; `choose` hears of clicks.
 */
export function diagram(facts, now, was, chosen, choose) {
  const parts = [];
  const wire = (d, belt) => parts.push(svg("path", { class: belt ? "wire belt" : "wire", d, "marker-end": belt ? "url(#tip-belt)" : "url(#tip)" }));
  const text = (x, y, content, cls, anchor = "middle") => parts.push(svg("text", { x, y, class: cls, "text-anchor": anchor }, content));
  const value = (x, y, name, title, anchor = "start") => {
    const changed = was && was[name] !== undefined && now[name] !== was[name];
    text(x, y, `${title} ${signed(now[name])}`, changed ? "changed" : null, anchor);
    if (changed) text(x, y + 13, `was ${signed(was[name])}`, "tiny", anchor);
  };
  const op = (x, y, sign) => {
    parts.push(svg("circle", { class: "op", cx: x, cy: y, r: 13 }));
    text(x, y + 5, sign, "name");
  };
  const gate = (x, y, name, title, squash) => {
    const changed = was && was[name] !== undefined && now[name] !== was[name];
    parts.push(svg("g", {
      class: `gate${chosen === name ? " on" : ""}`, tabindex: 0, role: "button", "aria-label": `${title}, ${num(now[name])}`, "data-gate": name,
      onclick: () => choose(name), onkeydown: (event) => { if (event.key === "Enter") choose(name); },
    },
    svg("rect", { class: "box", x: x - 46, y: y - 30, width: 92, height: 60, rx: 8 }),
    svg("text", { x, y: y - 12, class: "name", "text-anchor": "middle" }, `${name} · ${squash}`),
    svg("text", { x, y: y + 7, "text-anchor": "middle", class: changed ? "changed" : null }, num(now[name])),
    svg("text", { x, y: y + 23, "text-anchor": "middle", class: "tiny" }, changed ? `was ${num(was[name])}` : title)));
  };
  const names = facts.gates.map((one) => one.name);
  let height = 360;
  if (facts.has_c) {
    wire("M 30 62 H 848", true);
    value(30, 34, "c_before", "c′");
    value(868, 34, "c", "c", "end");
    wire("M 30 318 H 640");
    value(30, 344, "h_before", "h′");
    wire("M 140 356 V 324");
    text(150, 350, "x", "name", "start");
    text(190, 344, "x and h′ reach every gate", "tiny", "start");
    if (facts.coupled) {
      wire("M 400 180 V 140 H 240 V 76");
      op(240, 62, "×");
      value(250, 112, "f", "f = 1−i");
    } else {
      wire("M 240 180 V 76");
      op(240, 62, "×");
      value(250, 130, "f", "f");
      wire("M 240 316 V 242");
      gate(240, 210, "f", "forget gate", "σ");
    }
    value(256, 92, "kept", "kept", "start");
    wire("M 400 316 V 242");
    wire("M 520 316 V 242");
    wire("M 400 180 V 140 H 448");
    wire("M 520 180 V 140 H 474");
    op(460, 140, "×");
    wire("M 460 127 V 76");
    op(460, 62, "+");
    value(476, 100, "written", "written");
    gate(400, 210, "i", "input gate", "σ");
    gate(520, 210, "g", "candidate", "tanh");
    wire("M 640 316 V 242");
    gate(640, 210, "o", "output gate", "σ");
    wire("M 760 62 V 110");
    parts.push(svg("rect", { class: "box", x: 724, y: 112, width: 72, height: 26, rx: 6 }));
    text(760, 130, "tanh", "name");
    wire("M 760 138 V 196");
    value(772, 164, "tanh_c", "tanh c");
    op(760, 210, "×");
    wire("M 686 210 H 745");
    wire("M 760 224 V 318 H 848");
    value(868, 344, "h", "h", "end");
  } else if (names.includes("z")) {
    wire("M 30 62 H 848", true);
    value(30, 34, "h_before", "h′");
    value(868, 34, "h", "h", "end");
    wire("M 30 318 H 640");
    wire("M 140 356 V 324");
    text(150, 350, "x", "name", "start");
    text(190, 344, "x and h′ reach every gate; the candidate sees as much of h′ as r lets through", "tiny", "start");
    wire("M 240 316 V 242");
    gate(240, 210, "z", "update gate", "σ");
    wire("M 240 180 V 76");
    op(240, 62, "×");
    value(256, 92, "kept", "kept z∘h′");
    wire("M 560 316 V 242");
    gate(560, 210, "n", "candidate", "tanh");
    wire("M 560 180 V 154");
    op(560, 140, "×");
    wire("M 286 210 H 340 V 140 H 545");
    text(352, 132, "1 − z", "tiny", "start");
    wire("M 560 127 V 76");
    op(560, 62, "+");
    value(576, 100, "written", "written (1−z)∘n");
    wire("M 400 316 V 242");
    gate(400, 210, "r", "reset gate", "σ");
    wire("M 446 210 H 512");
  } else {
    height = 300;
    wire("M 30 200 H 350");
    value(30, 186, "h_before", "h′");
    wire("M 400 300 V 262");
    text(414, 292, "x", "name", "start");
    gate(400, 230, "a", "the whole state", facts.gates[0].squash);
    wire("M 446 230 H 848");
    value(868, 214, "h", "h", "end");
    wire("M 700 230 V 120 H 120 V 200");
    text(410, 110, "the state comes back at the next step", "tiny");
  }
  const tip = (id, color) => svg("marker", { id, viewBox: "0 0 10 10", refX: 8, refY: 5, markerWidth: id === "tip" ? 7 : 4, markerHeight: id === "tip" ? 7 : 4, orient: "auto" },
    svg("path", { d: "M 0 0 L 10 5 L 0 10 z", fill: color }));
  return svg("svg", { class: "cells", viewBox: `0 0 900 ${height}`, role: "group", "aria-label": "the cell with the numbers on its wires" },
    svg("defs", {}, tip("tip", "var(--dim)"), tip("tip-belt", "var(--accent)")), ...parts);
}
