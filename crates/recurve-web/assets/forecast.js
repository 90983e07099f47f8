// View: the forecast from any row with its fan, and the windows on which the model was tested.

import { choice, css, el, field, num, signed } from "./dom.js";
import { frame, lines } from "./plot.js";
import { set, state } from "./store.js";

/** The share of `values` (sorted) below `share`, between neighbours. */
function quantile(values, share) {
  const at = share * (values.length - 1), low = Math.floor(at);
  return values[low] + ((values[low + 1] ?? values[low]) - values[low]) * (at - low);
}

export const forecast = {
  id: "forecast",
  title: "Forecast",
  when: (context) => context.run.data.kind === "table",
  mount(root, context) {
    const { run } = context;
    let charts = [], told = null, target = 0, other = null, column = null;
    const changes = new Map(), cells = el("div"), difference = el("p", { class: "readout" }, "Nothing is changed.");
    const fan = frame(320), windows = frame(280), scores = el("div", { class: "scroll" });
    const head = el("p", { class: "readout" }), pick = el("span"), note = el("p", { class: "note" }), by = frame(170);
    root.append(el("div", { class: "stack" }, ...[
      el("section", { class: "panel" }, el("div", { class: "row" }, el("h2", { style: { flex: 1 } }, "The forecast from here"), pick),
        el("p", { class: "lead" }, "Choose the row to forecast from above. The fan says how far it may be off."), head, fan, note),
      context.live && run.data.known.length ? el("section", { class: "panel" }, el("h2", {}, "What if?"), el("p", { class: "lead" }, `What is known ahead (${run.data.known.join(", ")}) over the rows to forecast. Change a value and see the forecast move, dashed above.`), cells, difference) : null,
      el("section", { class: "panel" }, el("h2", {}, "Tested on what was held out"), el("p", { class: "lead" }, "Every row once, from origins a horizon apart. Click to forecast from there."), windows),
      el("div", { class: "even" },
        el("section", { class: "panel" }, el("h2", {}, "Beside the naive forecasts"), scores),
        el("section", { class: "panel" }, el("h2", {}, "Error by distance"), by))].filter(Boolean)));

    const live = context.live;
    const series = () => run.data.series[state.series ?? 0] ?? { name: null, rows: 0 };
    const ofThis = (list) => list?.filter((one) => one.target === run.data.targets[target] && (series().name === null || one.series === series().name)) ?? [];
    const spread = () => {
      const rows = ofThis(told?.validation?.length ? told.validation : told?.held_out);
      const steps = Array.from({ length: run.data.horizon }, () => []);
      for (const one of rows) steps[one.step - 1]?.push(one.actual - one.forecast);
      const all = rows.map((one) => one.actual - one.forecast).sort((a, b) => a - b);
      // Few errors at one distance say little; then those of all distances stand in.
      return { steps: steps.map((list) => (list.length >= 20 ? list.sort((a, b) => a - b) : all)), count: all.length, each: steps.every((list) => list.length >= 20) };
    };

    /** The ends of the fan, `[low, high, name]` with a value for each row of the horizon. */
    function fanOf(channel, levels) {
      if (channel.quantiles.length) {
        // The model tells quantiles: those that lie alike on both sides belong together.
        const pairs = levels.map((level, at) => [level, at, levels.findIndex((other) => Math.abs(other - (1 - level)) < 1e-6)]).filter(([level, , other]) => level < 0.5 && other >= 0);
        return { ends: pairs.map(([level, low, high]) => [channel.quantiles.map((row) => row[low]), channel.quantiles.map((row) => row[high]), `${num(100 * (1 - 2 * level))} %`]), says: "The fan is what the model itself says: its quantiles." };
      }
      const { steps, count, each } = spread();
      if (!count) return { ends: [], says: "The errors of the validation part are not there." };
      const edge = (share) => channel.forecast.map((value, k) => (steps[k].length ? value + quantile(steps[k], share) : null));
      return { ends: [[0.025, "95 %"], [0.1, "80 %"], [0.25, "50 %"]].map(([share, name]) => [edge(share), edge(1 - share), name]), says: `The fan holds 50, 80 and 95 % of ${count} errors of the validation part${each ? ", at each distance" : "; those of all distances together, as there are few at each"}.` };
    }

    function drawFan() {
      const { trace } = context;
      const { history } = trace, patch = run.data.patch;
      const { channels } = trace, channel = channels[target];
      const past = channel.values.slice(0, history);
      const ahead = channel.forecast.length;
      const x = [...past.map((_, k) => trace.from - (history - 1 - k) * patch), ...channel.forecast.map((_, k) => trace.from + k + 1)];
      const labels = new Map(x.map((row, k) => [row, k < history ? trace.labels[k] : trace.ahead[k - history]]));
      const last = past.at(-1) ?? null;
      const from = (list) => [...new Array(history - 1).fill(null), last, ...list];
      const shown = [{ label: channel.name, values: [...past, ...channel.actual], colour: css("--s5") },
        { label: "forecast", values: from(channel.forecast), colour: css("--s1"), width: 2.4, points: history + ahead < 80 }];
      const bands = [];
      const { ends, says } = fanOf(channel, trace.levels);
      const wide = ends.length;
      ends.forEach(([low, high, name], at) => {
        shown.push({ label: `${name} to`, values: from(high), colour: "transparent", width: 0 }, { label: `${name} from`, values: from(low), colour: "transparent", width: 0 });
        bands.push({ series: [shown.length - 1, shown.length], fill: `color-mix(in srgb, ${css("--s1")} ${12 + (18 * (at + 1)) / wide}%, transparent)` });
      });
      if (other) shown.push({ label: "with the change", values: from(other.channels[target].forecast), colour: css("--s0"), width: 2.4, dash: [6, 4] });
      charts.push(lines(fan, { x, series: shown, bands, height: 320, xTitle: "row", yTitle: channel.name, xName: (v) => labels.get(v) ?? v, legend: wide <= 5 }));
      const known = channel.actual.map((v, k) => [v, channel.forecast[k]]).filter(([v]) => v !== null);
      const error = known.length ? known.reduce((sum, [v, said]) => sum + Math.abs(v - said), 0) / known.length : null;
      head.replaceChildren(`${series().name === null ? "" : `${series().name}, `}${trace.ahead[0]} to ${trace.ahead.at(-1)}: `, el("b", {}, `${num(channel.forecast[0])} … ${num(channel.forecast.at(-1))}`),
        channel.lower.length ? ` · the program's interval for ${num(100 * trace.coverage)} %: ${num(channel.lower[0])} to ${num(channel.upper[0])} … ${num(channel.lower.at(-1))} to ${num(channel.upper.at(-1))}` : "",
        error === null ? " · what came is not known yet" : ` · mean absolute error ${num(error)}`);
      note.textContent = says;
    }

    /** Cells of the horizon that are known ahead, to be changed. */
    function buildWhatIf() {
      const { known } = context.trace;
      if (!known.length) return;
      const own = known.find((one) => one.name === column) ?? known[0];
      column = own.name;
      const value = (step) => changes.get(`${column} ${step}`)?.value ?? own.cells[step];
      const change = (step, text) => {
        if (text === own.cells[step] || text === "") changes.delete(`${column} ${step}`);
        else changes.set(`${column} ${step}`, { column, step, value: text });
      };
      const input = (step) => (own.levels.length
        ? choice(own.levels.map((level) => [level, level]), value(step), (text) => { change(step, text); ask(); }, `${column}, ${context.trace.ahead[step]}`)
        : el("input", { type: "number", step: "any", value: value(step), "aria-label": `${column}, ${context.trace.ahead[step]}`, onchange: (event) => { change(step, event.target.value); ask(); } }));
      const all = own.levels.length ? choice([["", "…"], ...own.levels.map((level) => [level, level])], "", (text) => { if (text) { own.cells.forEach((_, step) => change(step, text)); ask(); } }, "all rows")
        : el("input", { type: "number", step: "any", id: "whatif-all", "aria-label": `${column} in all rows`, onchange: (event) => { own.cells.forEach((_, step) => change(step, event.target.value)); ask(); } });
      cells.replaceChildren(
        el("div", { class: "row" }, field("column", choice(known.map((one) => [one.name, one.name]), column, (name) => { column = name; buildWhatIf(); }, "what is known ahead")), field("all rows", all),
          el("button", { type: "button", onclick: () => { changes.clear(); ask(); } }, "Undo all")),
        el("div", { class: "scroll" }, el("table", { class: "numbers narrow" }, el("tbody", {},
          el("tr", {}, el("th", {}, ""), context.trace.ahead.map((time) => el("th", {}, time))),
          el("tr", {}, el("td", {}, column), own.cells.map((_, step) => el("td", {}, input(step))))))));
    }

    async function ask() {
      buildWhatIf();
      if (!changes.size) { other = null; difference.textContent = "Nothing is changed."; render(); return; }
      try {
        other = await context.ask("whatif", { trace: context.trace.id, changes: [...changes.values()] });
        if (!root.isConnected) return;
        const was = context.trace.channels[target].forecast, now = other.channels[target].forecast;
        const mean = now.reduce((sum, v, k) => sum + v - was[k], 0) / now.length;
        difference.replaceChildren(`with ${changes.size} cell${changes.size > 1 ? "s" : ""} changed, `, el("b", {}, `${now.map((v, k) => signed(v - was[k])).slice(0, 12).join("  ")}${now.length > 12 ? " …" : ""}`), ` · ${signed(mean)} on average`);
        context.tell(null);
        render();
      } catch (error) { context.refused(error); }
    }

    function drawWindows() {
      const name = run.data.targets[target];
      const rows = ofThis(told.held_out);
      const x = rows.map((_, k) => k + 1);
      const first = series().rows - rows.length;
      charts.push(lines(windows, { x, height: 280, xTitle: "held-out row", yTitle: name, xName: (k) => rows[k - 1]?.time ?? k,
        series: [{ label: "actual", values: rows.map((one) => one.actual), colour: css("--s5") }, { label: "forecast", values: rows.map((one) => one.forecast), colour: css("--s1") }],
        pick: (k) => set({ from: first + (k - 1) - ((k - 1) % run.data.horizon), t: 0 }) }));
      const own = told.report.targets.find((one) => one.target === name);
      const rowsOf = [["this model", own.model], ...own.baselines.map((one) => [one.name, one.scores])];
      const keys = Object.keys(rowsOf[0][1]).filter((key) => typeof rowsOf[0][1][key] === "number");
      scores.replaceChildren(el("table", { class: "numbers" }, el("thead", {}, el("tr", {}, el("th", {}, ""), keys.map((key) => el("th", {}, key.toUpperCase())))),
        el("tbody", {}, rowsOf.map(([title, values], at) => el("tr", {}, el("td", {}, at ? title : el("b", {}, title)), keys.map((key) => el("td", {}, num(values[key]))))))));
      const errors = Array.from({ length: run.data.horizon }, (_, k) => {
        const at = rows.filter((one) => one.step === k + 1);
        return at.reduce((sum, one) => sum + Math.abs(one.actual - one.forecast), 0) / Math.max(1, at.length);
      });
      charts.push(lines(by, { x: errors.map((_, k) => k + 1), height: 170, zero: true, xTitle: "rows ahead", yTitle: "mean absolute error", series: [{ label: "MAE", values: errors, points: true }] }));
    }

    function render() {
      charts.forEach((chart) => chart.remove());
      charts = [];
      pick.replaceChildren(run.data.targets.length > 1 ? field("target", choice(run.data.targets.map((name, at) => [at, name]), target, (value) => { target = +value; render(); }, "target")) : "");
      drawFan();
      if (told) drawWindows();
    }

    async function load() {
      try { told = await context.ask("backtest"); } catch (error) { context.refused(error); }
      if (root.isConnected) render();
    }
    render();
    if (live) buildWhatIf();
    load();
    return {
      update(changed) {
        if (!changed.has("trace")) return;
        other = null;
        changes.clear();
        difference.textContent = "Nothing is changed.";
        render();
        if (live) buildWhatIf();
      },
      remove() { charts.forEach((chart) => chart.remove()); },
    };
  },
};
