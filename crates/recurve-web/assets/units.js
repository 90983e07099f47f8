// View: a text or series coloured by one unit, units ranked by how telling they are, and what the model
// expects next.

import { choice, css, el, field, framed, num, sharp, shown, signed } from "./dom.js";
import { lines } from "./plot.js";
import { features, ranked } from "./rank.js";
import { amount, colour, ground, legend, scaleOf } from "./scales.js";
import { set, state } from "./store.js";

/** Columns of a sequence that are drawn; more cannot be told apart. */
const CHANNELS = 5;

/** Spans for the tokens of a piece; a click moves the cursor, `hover` hears of the pointer. */
export function textOf(trace, hover) {
  const root = el("div", { class: "text", tabIndex: 0, "aria-label": "the text; arrow keys move the cursor" });
  const spans = trace.labels.map((label, t) => {
    const span = el("span", {}, label === "\n" ? "↵\n" : label + (trace.joint ?? ""));
    if (label === "\n") span.classList.add("nl");
    span.dataset.t = t;
    return span;
  });
  root.append(...spans);
  const step = (event) => event.target.dataset?.t;
  root.addEventListener("click", (event) => { if (step(event)) set({ t: +step(event) }); });
  root.addEventListener("pointermove", (event) => hover?.(step(event) === undefined ? null : +step(event)));
  root.addEventListener("pointerleave", () => hover?.(null));
  let at = -1;
  return {
    root, spans,
    mark(t) {
      spans[at]?.classList.remove("at");
      at = t;
      const span = spans[t];
      if (!span) return;
      span.classList.add("at");
      const top = span.offsetTop - root.scrollTop;
      if (top < 0 || top > root.clientHeight - 30) root.scrollTop = span.offsetTop - root.clientHeight / 2;
    },
    paint(scale, value) {
      spans.forEach((span, t) => {
        const own = value(t);
        if (own === null || own === undefined) { span.style.background = ""; span.style.color = ""; return; }
        Object.assign(span.style, ground(scale, own));
      });
    },
  };
}

/** Tokens around the cursor with the five likeliest next ones under each. */
export function expectations(trace) {
  const root = el("div", { class: "strip", tabIndex: -1 });
  const scale = () => amount(1);
  function update(t) {
    const room = Math.max(8, Math.floor((root.clientWidth || 900) / 26) - 1);
    const first = Math.max(0, Math.min(t - Math.floor(room / 2), trace.steps - room));
    const steps = Array.from({ length: Math.min(room, trace.steps - first) }, (_, k) => first + k);
    const own = scale();
    const head = el("tr", {}, steps.map((s) => el("th", {
      class: s === t ? "at" : null, scope: "col", onclick: () => set({ t: s }), title: `step ${s + 1}`,
    }, shown(trace.labels[s]))));
    const rows = [0, 1, 2, 3, 4].map((rank) => el("tr", {}, steps.map((s) => {
      const pair = trace.top[s]?.[rank];
      if (!pair) return el("td");
      const hit = trace.labels[s + 1] === pair[0];
      return el("td", {
        class: [s === t ? "at" : "", hit ? "hit" : ""].join(" ").trim() || null, style: ground(own, pair[1]),
        title: `after step ${s + 1}: “${shown(pair[0])}” with probability ${num(pair[1])}${hit ? ", and it came" : ""}`,
      }, shown(pair[0]));
    })));
    root.replaceChildren(el("table", { "aria-label": "likeliest next, after each step" }, el("thead", {}, head), el("tbody", {}, rows)));
  }
  return { root, update };
}

export const units = {
  id: "units",
  title: "Units",
  when: (context) => context.run.parts.length > 0,
  mount(root, context) {
    const { run } = context;
    // Steps that are tokens stand as a text; what comes next is told by a language model only.
    const text = run.data.reads === "tokens", next = run.data.kind === "text";
    let shownText = null, chart = null, strip = null, plane = null, hovered = null, list = [];
    const readout = el("p", { class: "readout", "aria-live": "off" });
    const bar = el("div");
    const left = el("div", { class: "panel stack" });
    const place = el("div");
    const ranks = el("div", { class: "ranks", role: "list" });
    const rankBy = el("span");
    const right = el("aside", { class: "panel" }, el("h2", {}, "Telling units"),
      el("p", { class: "lead" }, "Ranked by variance, or by how they move with something in the data."), rankBy, ranks);
    const colourBy = next
      ? field("colour", choice([["unit", "the unit"], ["surprise", "surprise"]], state.colour, (value) => set({ colour: value }), "colour by"))
      : null;
    left.append(el("div", { class: "row" }, el("h2", { style: { flex: 1 } }, text ? "The text, coloured" : "The series, and what a unit makes of it"), colourBy, bar),
      place, readout);
    if (next) {
      left.append(el("h3", {}, "What the model expects next"),
        el("p", { class: "note" }, "Under each step the five likeliest next characters, the likeliest on top; the one that came is underlined."));
      strip = expectations(context.trace);
      left.append(strip.root);
    }
    root.append(el("div", { class: "split" }, left, right));

    const hidden = () => run.parts[state.part].hidden;
    const value = (t) => plane[t * hidden() + state.unit];

    function tellStep() {
      const t = hovered ?? state.t;
      const { trace } = context;
      if (!plane || t >= trace.steps) return;
      const parts = [`step ${t + 1}`];
      if (text) parts.push(`“${shown(trace.labels[t])}”`, (trace.bits?.[t] ?? null) === null ? null : `surprise ${num(trace.bits[t])} bits`);
      else parts.push(run.data.kind === "table" ? trace.labels[t] : null, ...trace.channels.slice(0, CHANNELS).map((channel) => `${channel.name} ${num(channel.values[t])}`));
      readout.replaceChildren(el("b", {}, `${state.plane}[${state.unit}] = ${signed(value(t))}`), ` · ${parts.filter(Boolean).join(" · ")}`);
      if (next && trace.top[t]) readout.append(" · next: ", trace.top[t].map(([label, p]) => `${shown(label)} ${Math.round(p * 100)} %`).join("  "));
    }

    function paint() {
      const bySurprise = next && state.colour === "surprise";
      const scale = bySurprise ? amount(8) : scaleOf(state.plane, plane);
      bar.replaceChildren(legend(scale, bySurprise ? "bits" : state.plane));
      if (text) shownText.paint(scale, bySurprise ? (t) => context.trace.bits[t] : value);
      else drawSeries();
      tellStep();
    }

    function drawSeries() {
      chart?.remove();
      const { trace } = context;
      const x = Array.from({ length: trace.steps }, (_, t) => t + 1);
      const own = trace.channels.slice(0, CHANNELS).map((channel, at) => ({ label: channel.name, values: channel.values, colour: css(["--s0", "--s2", "--s3", "--s4", "--s5"][at]) }));
      own.push({ label: `${state.plane}[${state.unit}]`, values: x.map((_, t) => value(t)), axis: "two", colour: css("--s1"), dash: [5, 3] });
      const [graph, colours] = place.children;
      chart = lines(graph, { x, series: own, xTitle: "step", xName: (v) => `${v} (${trace.labels[v - 1] ?? ""})`, yTitle: "value", yTitle2: `${state.plane}[${state.unit}]`, pick: (v) => set({ t: v - 1 }), height: 300 });
      chart.at(state.t + 1);
      const scale = scaleOf(state.plane, plane);
      const context2 = sharp(colours, colours.clientWidth || 600, 22);
      const width = (colours.clientWidth || 600) / trace.steps;
      for (let t = 0; t < trace.steps; t++) {
        context2.fillStyle = colour(scale, value(t));
        context2.fillRect(t * width, 0, width + 0.5, 22);
      }
    }

    function rank() {
      const feature = features(context.trace, run).find((one) => one.id === state.rank);
      list = ranked(plane, hidden(), feature?.values).slice(0, 40);
      const options = [["variance", "variance"], ...features(context.trace, run).map((one) => [one.id, one.title])];
      rankBy.replaceChildren(field("by", choice(options, feature ? state.rank : "variance", (value) => set({ rank: value }), "rank units by")));
      const scale = scaleOf(state.plane, plane);
      ranks.replaceChildren(...list.map(({ unit, score }) => {
        const spark = el("canvas", { "aria-hidden": "true" });
        const button = el("button", {
          type: "button", role: "listitem", onclick: () => set({ unit }), "aria-pressed": unit === state.unit,
          "aria-label": `unit ${unit}, ${feature ? "correlation" : "variance"} ${num(score)}`,
        }, el("span", {}, `#${unit}`), spark, el("span", { class: "score" }, feature ? signed(score) : num(score)));
        button.dataset.unit = unit;
        requestAnimationFrame(() => sparkline(spark, plane, hidden(), unit, scale));
        return button;
      }));
    }

    const draw = framed(async () => {
      try {
        plane = await context.plane(state.part, state.plane);
      } catch (error) { context.refused(error); return; }
      if (!root.isConnected || plane.length !== context.trace.steps * hidden()) return;
      paint();
      rank();
    });

    function build() {
      if (text) {
        shownText = textOf(context.trace, (t) => { hovered = t; tellStep(); });
        place.replaceChildren(shownText.root);
        if (strip) {
          const anew = expectations(context.trace);
          strip.root.replaceWith(anew.root);
          strip = anew;
          strip.update(state.t);
        }
        shownText.mark(state.t);
      } else {
        place.replaceChildren(el("div", { class: "plot", style: { minHeight: "346px" } }),
          el("canvas", { style: { width: "100%", height: "22px", borderRadius: "4px" }, "aria-label": `the window coloured by the unit`, role: "img" }));
      }
      draw();
    }
    build();
    return {
      update(changed) {
        if (changed.has("trace")) return build();
        if (changed.has("part") || changed.has("plane") || changed.has("rank")) draw();
        else if (plane && (changed.has("unit") || changed.has("colour"))) {
          paint();
          for (const button of ranks.children) button.setAttribute("aria-pressed", +button.dataset.unit === state.unit);
        }
        if (changed.has("t")) {
          shownText?.mark(state.t);
          strip?.update(state.t);
          chart?.at(state.t + 1);
          tellStep();
        }
      },
      remove() { chart?.remove(); },
    };
  },
};

/** A unit over time as a strip of colours. */
export function sparkline(canvas, plane, hidden, unit, scale) {
  const width = canvas.clientWidth || 160, height = canvas.clientHeight || 20;
  const context = sharp(canvas, width, height);
  const steps = plane.length / hidden;
  for (let x = 0; x < width; x++) {
    const t = Math.min(steps - 1, Math.floor((x / width) * steps));
    context.fillStyle = colour(scale, plane[t * hidden + unit]);
    context.fillRect(x, 0, 1, height);
  }
}

