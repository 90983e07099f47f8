// The page: what is looked at, the views, the keyboard, and news from the run.

import { Refused, ask, live, numbers } from "./api.js";
import { buildControls, buildTime } from "./controls.js";
import { el, num } from "./dom.js";
import { listen, set, state } from "./store.js";
import { ablation } from "./ablation.js";
import { answer } from "./answer.js";
import { cell } from "./cell.js";
import { forecast } from "./forecast.js";
import { gates } from "./gates.js";
import { gradient } from "./gradient.js";
import { match } from "./match.js";
import { results } from "./results.js";
import { sampling } from "./sampling.js";
import { training } from "./training.js";
import { units } from "./units.js";

const VIEWS = [units, gates, cell, gradient, match, ablation, sampling, forecast, answer, results, training];
/** Views that read what the run wrote, and need no trace. */
const FROM_THE_FOLDER = new Set(["training", "results"]);
const byId = (id) => document.getElementById(id);
const banner = byId("banner");

/** What every view works with. */
const context = { live, run: null, trace: null, plane, refused, ask, tell };
let planes = new Map();
let view = null;
let problems = { run: null, page: null };

function showBanner() {
  const text = problems.page ?? problems.run;
  banner.hidden = !text;
  banner.textContent = text ?? "";
}

/** Says what went wrong, or that nothing is wrong any more. */
function tell(text) {
  problems.page = text;
  showBanner();
}

function refused(error) {
  if (!(error instanceof Refused)) throw error;
  tell(error.message);
}

/** A plane of the trace that is shown; asked for once. */
function plane(part, name) {
  const key = `${context.trace.id} ${part} ${name}`;
  if (!planes.has(key)) {
    const asked = numbers(context.trace.id, part, name);
    planes.set(key, asked);
    asked.catch(() => planes.delete(key));
  }
  return planes.get(key);
}

let asked = 0;
async function loadTrace() {
  const own = ++asked;
  const question = { edits: state.edits };
  if (state.text !== null) question.text = state.text;
  else {
    if (state.from !== null) question.from = state.from;
    if (state.count !== null) question.count = state.count;
    if (state.series !== null) question.series = state.series;
    if (state.epoch !== null) question.epoch = state.epoch;
  }
  try {
    const trace = await ask("trace", question);
    if (own !== asked) return;
    planes = new Map();
    context.trace = trace;
    tell(live || !Object.keys(question).some((key) => key !== "edits") ? null
      : "This page was exported with one piece of the data; it cannot show another.");
  } catch (error) {
    if (own === asked) refused(error);
    return;
  }
  if (state.t >= context.trace.steps) set({ t: context.trace.steps - 1 });
  if (state.a !== null && state.b > context.trace.steps) set({ a: null, b: null });
  notify(new Set(["trace"]));
}

function soundState() {
  const { parts } = context.run;
  const fix = {};
  const part = Math.min(state.part, parts.length - 1);
  if (part !== state.part) fix.part = Math.max(0, part);
  const own = parts[Math.max(0, part)];
  if (own) {
    if (!own.planes.includes(state.plane)) fix.plane = own.planes.includes("c") ? "c" : "h";
    if (state.unit >= own.hidden) fix.unit = own.hidden - 1;
  }
  if (state.epoch !== null && !context.run.epochs?.includes(state.epoch)) fix.epoch = null;
  if (context.trace && state.t >= context.trace.steps) fix.t = context.trace.steps - 1;
  if (!views().some((one) => one.id === state.view)) fix.view = views()[0].id;
  set(fix);
}

function views() {
  return VIEWS.filter((one) => !one.when || one.when(context));
}

function notify(changed) {
  controls?.update(changed);
  time?.update(changed);
  if (changed.has("view") || !view) mountView();
  else if (context.trace || FROM_THE_FOLDER.has(view.id)) {
    try { view.shown.update(changed); } catch (error) { refused(error); }
  }
}

function mountView() {
  const chosen = views().find((one) => one.id === state.view) ?? views()[0];
  const root = byId("view");
  view?.shown.remove?.();
  root.replaceChildren();
  root.setAttribute("aria-labelledby", `tab-${chosen.id}`);
  for (const tab of byId("tabs").children) {
    const on = tab.id === `tab-${chosen.id}`;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
    if (on) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (!context.trace && !FROM_THE_FOLDER.has(chosen.id)) {
    root.append(el("p", { class: "empty" }, "There is nothing to look at yet."));
    view = null;
    return;
  }
  view = { id: chosen.id, shown: chosen.mount(root, context) };
}

function buildTabs() {
  const tabs = byId("tabs");
  tabs.replaceChildren(...views().map((one) => el("button", {
    type: "button", role: "tab", id: `tab-${one.id}`, "aria-controls": "view",
    onclick: () => set({ view: one.id }),
  }, one.titleOf?.(context.run) ?? one.title)));
  tabs.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const list = views();
    const at = list.findIndex((one) => one.id === state.view);
    set({ view: list[(at + step + list.length) % list.length].id });
    tabs.querySelector("[aria-selected=true]").focus();
  };
}

function keys(event) {
  const own = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || !context.trace) return;
  if (own.matches("textarea, select, input:not([type=range]):not([type=checkbox])")) return;
  const slides = own.matches("input[type=range]") && own.id !== "cursor";
  const last = context.trace.steps - 1;
  const hop = event.shiftKey ? 10 : 1;
  const go = (t) => {
    const to = Math.min(last, Math.max(0, t));
    const span = event.shiftKey && state.view === "match" ? { a: Math.min(state.a ?? state.t, to), b: Math.max((state.b ?? state.t + 1), to + 1) } : {};
    set({ t: to, ...span });
  };
  const actions = slides ? {} : {
    ArrowLeft: () => go(state.t - (state.view === "match" ? 1 : hop)),
    ArrowRight: () => go(state.t + (state.view === "match" ? 1 : hop)),
    ArrowUp: () => set({ unit: Math.max(0, state.unit - 1) }),
    ArrowDown: () => set({ unit: Math.min(context.run.parts[state.part].hidden - 1, state.unit + 1) }),
    Home: () => go(0), End: () => go(last),
    " ": own.matches("button, summary, .text") ? null : () => time.play(),
  };
  const number = /^[1-9]$/.test(event.key) && !slides ? views()[+event.key - 1] : null;
  const action = actions[event.key] ?? (number && (() => set({ view: number.id })));
  if (!action) return;
  event.preventDefault();
  action();
}

function buildTheme() {
  const button = byId("theme");
  const order = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("recurve-theme") ?? "auto"; } catch { /* a page from disk may have no store */ }
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = theme;
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
    if (view || context.trace) mountView();
  };
  button.onclick = () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    try { localStorage.setItem("recurve-theme", theme); } catch { /* not kept, then */ }
    apply();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (theme === "auto") apply(); });
  apply();
}

function tellRun() {
  const { run } = context;
  const part = run.parts[0];
  const layers = part ? `${run.data.encoder ? "encoder: " : ""}${part.facts?.title ?? part.cell}, ${new Set(run.parts.map((one) => `${one.at}.${one.layer}`)).size} × ${part.hidden} units${run.parts.some((one) => one.reverse) ? " in both directions" : ""}` : "no recurrent layer";
  const best = run.best?.metric;
  byId("run").textContent = [run.name, `${run.task} model`, layers, `${run.parameters.toLocaleString("en")} weights`,
    best === undefined || best === null ? null : `best epoch ${run.best.epoch + 1}, validation ${num(best)}`,
    run.source ? `data ${run.source}` : null].filter(Boolean).join(" · ");
  document.title = `${run.name} · Recurve explorer`;
}

let version = 0;
async function watch() {
  try {
    const status = await ask("status");
    if (problems.lost) { problems.lost = false; tell(null); }
    problems.run = status.problem;
    showBanner();
    if (status.version !== version) {
      version = status.version;
      context.run = await ask("run");
      tellRun();
      await loadTrace();
    }
  } catch (error) {
    problems.lost = true;
    refused(error);
  }
}

let controls = null, time = null;
async function start() {
  try {
    context.run = await ask("run");
  } catch (error) {
    refused(error);
    byId("run").textContent = "";
    return;
  }
  version = context.run.version;
  problems.run = context.run.problem;
  showBanner();
  tellRun();
  buildTabs();
  controls = buildControls(byId("controls"), context);
  time = buildTime(byId("time"), context);
  // Without a layer to look into there is nothing to choose.
  byId("controls").hidden = byId("time").hidden = !context.run.parts.length;
  soundState();
  buildTheme();
  mountView();
  listen((changed) => {
    soundState();
    if (["from", "count", "text", "edits", "series", "epoch"].some((key) => changed.has(key))) loadTrace();
    notify(changed);
  });
  document.addEventListener("keydown", keys);
  if (context.run.data.problem) tell(context.run.data.problem);
  if (context.run.data.total || state.text !== null || !live) await loadTrace();
  if (live) setInterval(() => { if (!document.hidden) watch(); }, 2000);
  document.body.dataset.ready = "yes";
}

start();
