// View: what the model says about the sequence that is looked at, and what it chose that from: classes, numbers,
// tags with their alternatives, what is heard at every frame, or attention and search of what is written.

import { css, el, num, shown, signed, svg } from "./dom.js";
import { heat } from "./gates.js";
import { frame, lines } from "./plot.js";
import { amount, ground, legend } from "./scales.js";
import { set, state } from "./store.js";

const TITLES = { classify: "Class", regress: "Numbers", tag: "Tags", transcribe: "Transcript", translate: "Translation" };
const percent = (p) => `${num(100 * p)} %`;

/** Bars of probabilities, the largest first; `mark` names the right one. */
function bars(names, probabilities, { mark, most = 12, chosen } = {}) {
  const list = names.map((name, at) => ({ name, p: probabilities[at] })).sort((a, b) => b.p - a.p);
  const kept = list.slice(0, most);
  const right = list.find((one) => one.name === mark);
  if (right && !kept.includes(right)) kept.push(right);
  return el("div", { class: "odds" }, kept.map(({ name, p }) => el("div", { class: "odd" },
    el("span", { class: name === chosen ? "name on" : "name" }, name === "" ? "(nothing)" : shown(name), name === mark ? el("small", {}, " ✓ as it is") : null),
    el("span", { class: "track-bar" }, el("i", { style: { width: `${100 * p}%`, background: css(name === mark ? "--s2" : "--s0") } })),
    el("span", { class: "value" }, percent(p)))));
}

const panel = (title, lead, ...children) => el("section", { class: "panel" }, el("h2", {}, title), lead ? el("p", { class: "lead" }, lead) : null, ...children);

/** What is right, where that is known. */
function rightText(context) {
  const actual = context.trace.example?.actual;
  return actual === null || actual === undefined ? "" : [" · right is ", el("b", {}, actual)];
}

function ofClass(said, context) {
  const best = said.classes[said.probabilities.indexOf(Math.max(...said.probabilities))];
  const root = panel("The class", "The probability of every class, over the whole sequence.",
    el("p", { class: "readout" }, "the model says ", el("b", {}, best), ...rightText(context)),
    bars(said.classes, said.probabilities, { mark: context.trace.example?.actual, chosen: best }));
  return { root };
}

function ofNumbers(said) {
  const rows = said.predicted.length;
  if (rows === 1) {
    return { root: panel("The numbers", "What the model says about the whole sequence.", el("div", { class: "scroll" }, el("table", { class: "numbers narrow" },
      el("thead", {}, el("tr", {}, ["target", "predicted", "right", "off by"].map((name) => el("th", {}, name)))),
      el("tbody", {}, said.targets.map((name, at) => {
        const right = said.actual[0]?.[at];
        return el("tr", {}, el("td", {}, name), el("td", {}, el("b", {}, num(said.predicted[0][at]))), el("td", {}, num(right)), el("td", {}, right === undefined ? "" : signed(said.predicted[0][at] - right)));
      }))))) };
  }
  const charts = [];
  const root = el("div", { class: "stack" }, said.targets.map((name, at) => {
    const place = frame(300);
    charts.push({ place, name, at });
    return panel(name, "What the model says at every step, from what it has read until then.", place);
  }));
  let drawn = [];
  return {
    root,
    draw() {
      drawn = charts.map(({ place, name, at }) => lines(place, {
        x: said.predicted.map((_, t) => t + 1), height: 300, xTitle: "step", yTitle: name, pick: (t) => set({ t: t - 1 }),
        series: [...(said.actual.length ? [{ label: "right", values: said.actual.map((row) => row[at]), colour: css("--s5") }] : []),
          { label: "predicted", values: said.predicted.map((row) => row[at]), colour: css("--s1") }],
      }));
      this.at();
    },
    at() { drawn.forEach((chart) => chart.at(state.t + 1)); },
    remove() { drawn.forEach((chart) => chart.remove()); },
  };
}

function ofTags(said, context) {
  const right = context.trace.example?.actual?.split(" ") ?? [];
  const scale = amount(1);
  const odds = el("div"), head = el("p", { class: "readout" });
  const words = context.trace.labels.map((word, t) => {
    const tag = said.tags[said.chosen[t]], sure = said.probabilities[t][said.chosen[t]];
    const miss = right[t] !== undefined && right[t] !== tag;
    const button = el("button", { type: "button", class: miss ? "word miss" : "word", onclick: () => set({ t }), title: `${tag} with probability ${percent(sure)}` },
      el("b", {}, word), el("small", { style: ground(scale, 1 - sure) }, miss ? `${tag} (${right[t]})` : tag));
    return button;
  });
  const missed = right.length ? words.filter((word) => word.classList.contains("miss")).length : null;
  return {
    root: el("div", { class: "stack" },
      panel("Tags on the text", `The tag of every word; the stronger its ground, the less sure. A mistake is framed, with the right tag behind it.${missed === null ? "" : ` Here ${missed} of ${words.length}.`}`,
        legend(scale, "probability of another tag"), el("div", { class: "tagged pick" }, words)),
      panel("Alternatives", "The probability of each tag for the word under the cursor, whatever the others are.", head, odds)),
    at() {
      const t = Math.min(state.t, words.length - 1);
      words.forEach((word, at) => word.classList.toggle("on", at === t));
      head.replaceChildren(el("b", {}, context.trace.labels[t]), ` is ${said.tags[said.chosen[t]]}`, right[t] === undefined ? "" : ` · right is ${right[t]}`);
      odds.replaceChildren(bars(said.tags, said.probabilities[t], { mark: right[t], most: 5, chosen: said.tags[said.chosen[t]] }));
    },
  };
}

function ofHeard(said, context) {
  const frames = said.posteriors.length;
  // Symbols that are never heard have no row.
  const heard = said.symbols.map((symbol, at) => ({ symbol, at, most: Math.max(...said.posteriors.map((row) => row[at])) })).filter((one) => one.most > 0.02);
  const flat = new Float32Array(frames * heard.length);
  said.posteriors.forEach((row, t) => heard.forEach((one, k) => { flat[t * heard.length + k] = row[one.at]; }));
  const scale = amount(1);
  const height = Math.max(90, 20 * heard.length);
  const canvas = el("canvas", { style: { height: `${height}px` }, role: "img", "aria-label": "the probability of each symbol at each frame" });
  const hair = el("i", { class: "hair" }), head = el("p", { class: "readout" });
  const colours = ["--s0", "--s1", "--s2", "--s3", "--s4"];
  const track = said.alignment ? el("div", { class: "frames", role: "img", "aria-label": `where “${said.text}” is heard` }, said.alignment.symbols.map(([symbol, first, last], at) => el("i", {
    title: `“${symbol}” in frames ${first} to ${last} of ${frames}`,
    style: { left: `${(100 * (first - 1)) / frames}%`, width: `${(100 * (last - first + 1)) / frames}%`, borderColor: css(colours[at % colours.length]) },
  }, shown(symbol)))) : el("p", { class: "note" }, "There is no alignment of this text.");
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    set({ t: Math.min(frames - 1, Math.floor(((event.clientX - box.left) / box.width) * frames)) });
  });
  const odds = el("div");
  return {
    root: el("div", { class: "stack" },
      panel("What is heard at every frame", "Rows are symbols, columns frames; between the symbols the model says nothing (the blank). Below, where each symbol of the text lies.",
        el("p", { class: "readout" }, "the model understands ", el("b", {}, said.text === "" ? "(nothing)" : said.text), ` with log-probability ${num(said.log_probability)}`, ...rightText(context)),
        legend(scale, "probability"),
        el("div", { class: "heard" },
          el("div", { class: "names", style: { height: `${height}px` } }, heard.map((one) => el("span", {}, one.symbol === "" ? "blank" : shown(one.symbol)))),
          el("div", { class: "heat" }, canvas, hair), el("span"), track)),
      panel("At the cursor", null, head, odds)),
    draw() { heat(canvas, flat, heard.length, heard.map((_, k) => k), scale); this.at(); },
    at() {
      const t = Math.min(state.t, frames - 1);
      Object.assign(hair.style, { left: `${(100 * (t + 0.5)) / frames}%`, top: 0, width: "1px", height: `${height}px` });
      head.replaceChildren(el("b", {}, `frame ${t + 1}`), ` of ${frames}`);
      odds.replaceChildren(bars(said.symbols.map((symbol) => symbol || "blank"), said.posteriors[t], { most: 5 }));
    },
  };
}

/** The beginnings that a beam search kept: symbols from left to right, the best on top. */
function beamTree(tree, path) {
  const step = 54, line = 21;
  const children = tree.map(() => []), roots = [];
  tree.forEach((node, at) => (node.from === null ? roots : children[node.from]).push(at));
  const depth = tree.map((node, at) => { let d = 0; for (let k = at; tree[k].from !== null; k = tree[k].from) d += 1; return d; });
  const best = tree.map((node) => node.log_probability);
  // A beginning stands where the best of what came of it stands.
  for (let at = tree.length - 1; at >= 0; at--) if (children[at].length) best[at] = Math.max(...children[at].map((child) => best[child]));
  const alive = tree.map((node) => node.ends);
  for (let at = tree.length - 1; at >= 0; at--) if (children[at].some((child) => alive[child])) alive[at] = true;
  const row = new Array(tree.length);
  let rows = 0;
  const order = (list) => list.slice().sort((a, b) => alive[b] - alive[a] || best[b] - best[a]);
  const place = (at) => {
    const own = order(children[at]);
    own.forEach(place);
    row[at] = own.length ? row[own[0]] : rows++;
  };
  order(roots).forEach(place);
  const width = (Math.max(0, ...depth) + 2) * step, height = rows * line + 12;
  const x = (at) => (depth[at] + 1) * step, y = (at) => row[at] * line + 14;
  const links = tree.map((node, at) => {
    const [x0, y0] = node.from === null ? [12, y(order(roots)[0])] : [x(node.from), y(node.from)];
    const p = Math.exp(node.log_probability - (node.from === null ? 0 : tree[node.from].log_probability));
    return svg("path", { d: `M${x0 + 9},${y0} C${x0 + 30},${y0} ${x(at) - 30},${y(at)} ${x(at) - 11},${y(at)}`, class: path.has(at) ? "link on" : alive[at] ? "link" : "link dead", "stroke-width": 0.8 + 4 * p },
      svg("title", {}, `“${node.ends && !node.symbol ? "end" : node.symbol}” with probability ${percent(p)} after what stands before it; all of it has log-probability ${num(node.log_probability)}`));
  });
  const nodes = tree.map((node, at) => svg("text", { x: x(at), y: y(at) + 4, "text-anchor": "middle", class: path.has(at) ? "on" : alive[at] ? "" : "dead" }, node.symbol ? shown(node.symbol) : "■"));
  return svg("svg", { class: "beam", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `the beginnings that the search kept: ${tree.length}` }, links, nodes);
}

function ofWritten(said, context) {
  const { labels } = context.trace;
  const scale = amount(1);
  const list = el("div", { class: "found wide" }), place = el("div", { class: "scroll" }), tree = el("div", { class: "scroll" });
  const head = el("p", { class: "readout" }), pointed = el("p", { class: "readout" });
  let chosen = 0, columns = [];
  const ends = said.tree.map((node, at) => ({ node, at })).filter(({ node }) => node.ends);

  function choose(which) {
    chosen = which;
    const own = said.translations[chosen];
    if (!own) { head.textContent = "Nothing was written."; return; }
    list.replaceChildren(...said.translations.map((one, at) => el("button", { type: "button", "aria-pressed": at === chosen, onclick: () => choose(at) },
      el("span", { class: "dim" }, `log p ${num(one.log_probability)}, ${num(one.log_probability / one.symbols.length)} a symbol`), el("span", {}, one.text === "" ? "(empty)" : one.text))));
    head.replaceChildren("the model writes ", el("b", {}, said.translations[0].text), ...rightText(context));
    const tell = (row, s) => pointed.replaceChildren(el("b", {}, num(own.attention[row][s])), ` of what is looked at for “${shown(own.symbols[row])}” is “${shown(labels[s])}” (step ${s + 1})`);
    columns = labels.map(() => []);
    const heads = labels.map((label, s) => { const cell = el("th", { scope: "col", title: `step ${s + 1}` }, shown(label)); columns[s].push(cell); return cell; });
    place.replaceChildren(el("table", { class: "attention" },
      el("thead", {}, el("tr", {}, el("th", {}, "wrote ↓ read →"), heads)),
      el("tbody", {}, own.symbols.map((symbol, row) => el("tr", {}, el("th", { scope: "row" }, shown(symbol)), own.attention[row].map((weight, s) => {
        const cell = el("td", { style: { background: ground(scale, weight).background }, "aria-label": num(weight), onpointerenter: () => tell(row, s), onclick: () => { tell(row, s); set({ t: s }); } });
        columns[s].push(cell);
        return cell;
      }))))));
    pointed.textContent = "Point at the matrix for its numbers; click to put the cursor on a step of the source.";
    const end = ends.reduce((near, one) => (near === null || Math.abs(one.node.log_probability - own.log_probability) < Math.abs(near.node.log_probability - own.log_probability) ? one : near), null);
    const path = new Set();
    for (let at = end?.at ?? null; at !== null; at = said.tree[at].from) path.add(at);
    tree.replaceChildren(beamTree(said.tree, path));
    mark();
  }
  function mark() { columns.forEach((cells, s) => cells.forEach((cell) => cell.classList.toggle("at", s === state.t))); }
  choose(0);
  return {
    root: el("div", { class: "stack" },
      panel("What is written", "The best texts that the search found, the best first. Choose one to see how it came about.", head, list),
      panel("What each symbol looked at", "A row for each symbol that was written, a column for each step of the source; the weights of a row add up to 1.", legend(scale, "weight"), place, pointed),
      panel("The search", "Every beginning that was kept, from left to right; the thicker the line, the likelier the symbol after what stands before it. Black ends ■ are whole texts, faded beginnings were given up.", tree)),
    at: mark,
  };
}

const KINDS = { class: ofClass, numbers: ofNumbers, tags: ofTags, heard: ofHeard, written: ofWritten };

export const answer = {
  id: "answer",
  title: "Answer",
  titleOf: (run) => TITLES[run.task] ?? "Answer",
  when: (context) => context.run.data.kind === "examples" && context.run.parts.length > 0,
  mount(root, context) {
    const body = el("div", {}, el("p", { class: "empty" }, "computing…"));
    root.append(body);
    let own = null, asked = 0;
    async function load() {
      const mine = ++asked;
      try {
        const said = await context.ask("answer", { trace: context.trace.id });
        if (mine !== asked || !root.isConnected) return;
        own?.remove?.();
        own = KINDS[said.said](said, context);
        body.replaceChildren(own.root);
        own.draw?.();
        own.at?.();
        context.tell(null);
      } catch (error) { context.refused(error); }
    }
    load();
    return {
      update(changed) {
        if (changed.has("trace")) load();
        else if (changed.has("t")) own?.at?.();
      },
      remove() { own?.remove?.(); },
    };
  },
};
