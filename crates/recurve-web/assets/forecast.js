// View: the forecast from any row with its fan, and the windows on which the model was tested.

import { choice, css, el, field, num } from "./dom.js";
import { frame, lines } from "./plot.js";
import { set } from "./store.js";

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
    let charts = [], told = null, target = 0;
    const fan = frame(320), windows = frame(280), scores = el("div", { class: "scroll" });
    const head = el("p", { class: "readout" }), pick = el("span"), note = el("p", { class: "note" }), by = frame(170);
    root.append(el("div", { class: "stack" },
      el("section", { class: "panel" }, el("div", { class: "row" }, el("h2", { style: { flex: 1 } }, "The forecast from here"), pick),
        el("p", { class: "lead" }, "Choose the row to forecast from above. The fan holds 50, 80 and 95 % of the errors that the model made on the validation part at that distance."), head, fan, note),
      el("section", { class: "panel" }, el("h2", {}, "Tested on what was held out"), el("p", { class: "lead" }, "Every row once, from origins a horizon apart. Click to forecast from there."), windows),
      el("div", { class: "even" },
        el("section", { class: "panel" }, el("h2", {}, "Beside the naive forecasts"), scores),
        el("section", { class: "panel" }, el("h2", {}, "Error by distance"), by))));

    const spread = () => {
      const name = run.data.targets[target];
      const rows = (told?.validation?.length ? told.validation : told?.held_out)?.filter((one) => one.target === name) ?? [];
      const steps = Array.from({ length: run.data.horizon }, () => []);
      for (const one of rows) steps[one.step - 1]?.push(one.actual - one.forecast);
      const all = rows.map((one) => one.actual - one.forecast).sort((a, b) => a - b);
      // Few errors at one distance say little; then those of all distances stand in.
      return { steps: steps.map((list) => (list.length >= 20 ? list.sort((a, b) => a - b) : all)), count: all.length, each: steps.every((list) => list.length >= 20) };
    };

    function drawFan() {
      const { trace } = context;
      const channel = trace.channels[target];
      const history = channel.values.length, total = history + channel.forecast.length;
      const x = Array.from({ length: total }, (_, k) => trace.from - history + k + 1);
      const labels = [...trace.labels, ...trace.ahead];
      const pad = (list, before) => [...new Array(before).fill(null), ...list];
      const { steps, count, each } = spread();
      const edge = (share) => pad([channel.values.at(-1), ...channel.forecast.map((value, k) => (steps[k].length ? value + quantile(steps[k], share) : null))], history - 1);
      const series = [{ label: channel.name, values: [...channel.values, ...channel.actual.map((v) => v ?? null)], colour: css("--s5") },
        { label: "forecast", values: pad([channel.values.at(-1), ...channel.forecast], history - 1), colour: css("--s1"), width: 2.4, points: total < 80 }];
      const bands = [];
      if (count) {
        for (const [high, low, name, strength] of [[0.975, 0.025, "95 %", 0.13], [0.9, 0.1, "80 %", 0.2], [0.75, 0.25, "50 %", 0.28]]) {
          series.push({ label: `${name} to`, values: edge(high), colour: "transparent", width: 0 }, { label: `${name} from`, values: edge(low), colour: "transparent", width: 0 });
          bands.push({ series: [series.length - 1, series.length], fill: `color-mix(in srgb, ${css("--s1")} ${strength * 100}%, transparent)` });
        }
      }
      charts.push(lines(fan, { x, series, bands, height: 320, xTitle: "row", yTitle: channel.name, xName: (v) => labels[v - x[0]] ?? v }));
      const known = channel.actual.filter((v) => v !== null);
      const error = known.length ? known.reduce((sum, v, k) => sum + Math.abs(v - channel.forecast[k]), 0) / known.length : null;
      head.replaceChildren(`${trace.ahead[0]} to ${trace.ahead.at(-1)}: `, el("b", {}, `${num(channel.forecast[0])} … ${num(channel.forecast.at(-1))}`), error === null ? " · what came is not known yet" : ` · mean absolute error ${num(error)}`);
      note.textContent = count ? `from ${count} errors${each ? "" : ", those of all distances together, as there are few at each"}` : "The errors of the validation part are not there.";
    }

    function drawWindows() {
      const name = run.data.targets[target];
      const rows = told.held_out.filter((one) => one.target === name);
      const x = rows.map((_, k) => k + 1);
      const first = run.data.total - rows.length;
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
    load();
    return {
      update(changed) { if (changed.has("trace")) render(); },
      remove() { charts.forEach((chart) => chart.remove()); },
    };
  },
};
