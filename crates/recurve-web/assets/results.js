// View: what the model said about the data that was held out, for tasks whose answers are labels, tags,
// numbers or texts. It reads what the run wrote at its end.

import { css, el, num, shown, slider } from "./dom.js";
import { frame, lines } from "./plot.js";
import { amount, ground, legend } from "./scales.js";
import { set } from "./store.js";

const OWN_VIEW = new Set(["forecast", "language"]);

export const results = {
  id: "results",
  title: "Results",
  when: (context) => !OWN_VIEW.has(context.run.task),
  mount(root, context) {
    let charts = [];
    const body = el("div", { class: "stack" }, el("p", { class: "empty" }, "reading what the run wrote…"));
    root.append(body);

    /** The rows of predictions.csv as objects. */
    const records = (told) => told.rows.map((row) => Object.fromEntries(told.columns.map((name, at) => [name, row[at]])));
    const panel = (title, lead, ...children) => el("section", { class: "panel" }, el("h2", {}, title), lead ? el("p", { class: "lead" }, lead) : null, ...children);

    function confusion(evaluation, rows) {
      const names = evaluation.classes.map((one) => one.class);
      const counts = evaluation.confusion;
      const scale = amount(1);
      const head = el("p", { class: "readout" }, "Click a cell to see its examples.");
      const list = el("div", { class: "found" });
      const show = (actual, predicted) => {
        const own = rows.filter((row) => row.actual === names[actual] && row.predicted === names[predicted]);
        head.replaceChildren(el("b", {}, `${counts[actual][predicted]} of ${names[actual]} taken for ${names[predicted]}`), own.length ? ", the least sure last:" : "");
        const sure = (row) => +row[`p(${names[predicted]})`];
        list.replaceChildren(...own.sort((a, b) => sure(b) - sure(a)).slice(0, 60).map((row) => el("button", { type: "button", title: `probability ${num(sure(row))}`, onclick: () => open(row.id) },
          el("span", { class: "dim" }, `${num(100 * sure(row))} %`), el("span", {}, row.id))));
      };
      const table = el("table", { class: "numbers narrow matrix" },
        el("thead", {}, el("tr", {}, el("th", {}, "actual ↓ said →"), names.map((name) => el("th", {}, name)), el("th", {}, "found"))),
        el("tbody", {}, names.map((name, actual) => {
          const all = counts[actual].reduce((a, b) => a + b, 0) || 1;
          return el("tr", {}, el("th", { scope: "row" }, name), counts[actual].map((count, predicted) => el("td", {
            style: ground(scale, count / all), tabIndex: 0, role: "button", "aria-label": `${name} taken for ${names[predicted]}: ${count}`,
            onclick: () => show(actual, predicted), onkeydown: (event) => { if (event.key === "Enter") show(actual, predicted); },
          }, count)), el("td", {}, `${Math.round(100 * evaluation.classes[actual].recall)} %`));
        })));
      return panel("Who is taken for whom", `${evaluation.sequences} sequences, ${num(100 * evaluation.accuracy)} % right; always saying ${evaluation.majority} would be right for ${num(100 * evaluation.majority_accuracy)} %. Rows are coloured by their shares.`,
        legend(scale, "share of the row"), el("div", { class: "scroll" }, table), head, list);
    }

    function tags(evaluation, rows) {
      const sentences = new Map();
      for (const row of rows) {
        if (!sentences.has(row.sentence)) sentences.set(row.sentence, []);
        sentences.get(row.sentence).push(row);
      }
      const tagScores = el("table", { class: "numbers narrow" }, el("thead", {}, el("tr", {}, ["tag", "words", "precision", "recall"].map((name) => el("th", {}, name)))),
        el("tbody", {}, evaluation.tags.map((one) => el("tr", {}, el("td", {}, one.tag), el("td", {}, one.words), el("td", {}, num(one.precision)), el("td", {}, num(one.recall))))));
      const wrong = [...sentences.values()].sort((a, b) => share(b) - share(a));
      function share(words) { return words.filter((word) => word.actual !== undefined && word.actual !== word.predicted).length / words.length; }
      return [
        panel("Tags on the text", `${evaluation.words} words, ${num(100 * evaluation.accuracy)} % right${evaluation.unknown_accuracy === null ? "" : `, ${num(100 * evaluation.unknown_accuracy)} % of those never seen in training`}. Sentences with the most mistakes first; a mistake is framed, with the right tag behind it.`,
          el("div", { class: "tagged" }, wrong.slice(0, 60).map((words) => el("p", {}, words.map((word) => {
            const miss = word.actual !== undefined && word.actual !== word.predicted;
            return el("span", { class: miss ? "word miss" : "word" }, el("b", {}, word.word), el("small", {}, miss ? `${word.predicted} (${word.actual})` : word.predicted));
          }))))),
        panel("Tag by tag", null, el("div", { class: "scroll" }, tagScores)),
      ];
    }

    /** Leads to a sequence of the data, in the view that shows what the model says about it. */
    const open = async (id) => {
      if (!context.live) return;
      try { set({ from: (await context.ask("named", { id })).from, text: null, t: 0, view: context.run.parts.length ? "answer" : "results" }); } catch (error) { context.refused(error); }
    };

    function written(evaluation, rows) {
      const list = rows.slice(0, 300).sort((a, b) => (a.actual === a.predicted) - (b.actual === b.predicted));
      const say = (name, value) => (value === null || value === undefined ? null : `${name} ${num(value)}`);
      return [panel("What was written", [`${evaluation.sequences} sequences`, `${num(100 * evaluation.symbol_error_rate)} % errors of ${evaluation.unit}s`, `${num(100 * evaluation.right)} % of the texts without any`, say("BLEU", evaluation.bleu), say("chrF", evaluation.chrf)].filter(Boolean).join(", ") + ". Mistakes first; choose one to see what the model looked at.",
        el("div", { class: "scroll" }, el("table", { class: "numbers" }, el("thead", {}, el("tr", {}, ["source", "right", "written"].map((name) => el("th", {}, name)))),
          el("tbody", {}, list.map((row) => el("tr", {}, el("td", {}, el("button", { type: "button", class: "quiet", onclick: () => open(row.id) }, row.source || row.id)), el("td", {}, row.actual ?? ""), el("td", {}, row.actual === row.predicted ? row.predicted : el("b", {}, row.predicted))))))))];
    }

    function watched(evaluation, rows) {
      const columns = evaluation.columns.slice(0, 3);
      const plots = columns.map(() => frame(200)), score = frame(200);
      const head = el("p", { class: "readout" }), list = el("div", { class: "found" });
      const surprise = rows.map((row) => +row.surprise), top = Math.max(...surprise, evaluation.threshold, 1);
      let threshold = evaluation.threshold, chart = null;
      const x = rows.map((_, at) => at + 1), name = (at) => rows[at - 1]?.time ?? at;
      function judge() {
        const above = rows.map((row, at) => ({ row, at })).filter(({ at }) => surprise[at] >= threshold);
        // A row above the threshold right after another belongs to the same stretch.
        const stretches = above.filter(({ at }) => !(at > 0 && surprise[at - 1] >= threshold)).length;
        head.replaceChildren(el("b", {}, `${above.length} of ${rows.length} rows`), ` in ${stretches} stretches lie above ${num(threshold)} standard deviations; the run raised ${evaluation.alarms.length} alarms with ${num(evaluation.threshold)}`);
        list.replaceChildren(...above.sort((a, b) => surprise[b.at] - surprise[a.at]).slice(0, 40).map(({ row, at }) => el("button", { type: "button", tabIndex: -1 }, el("span", { class: "dim" }, `${num(surprise[at])} above`), el("span", {}, `${row.time}: ${columns.map((column) => `${column} ${num(+row[column])}, expected ${num(+row[`expected ${column}`])}`).join("; ")}`))));
        chart?.remove();
        chart = lines(score, { x, height: 200, xTitle: "row", yTitle: "surprise", xName: name, series: [{ label: "surprise", values: surprise, colour: css("--s0") }, { label: "threshold", values: x.map(() => threshold), colour: css("--s1"), dash: [6, 4] },
          { label: "alarm of the run", values: rows.map((row, at) => (row.alarm === "1" ? surprise[at] : null)), colour: css("--s1"), width: 0, points: true }] });
      }
      requestAnimationFrame(() => {
        if (!root.isConnected || !rows.length) return;
        columns.forEach((column, at) => charts.push(lines(plots[at], { x, height: 200, xTitle: "row", yTitle: column, xName: name, series: [{ label: column, values: rows.map((row) => +row[column]), colour: css("--s5") }, { label: "expected", values: rows.map((row) => +row[`expected ${column}`]), colour: css("--s1") }] })));
        judge();
        charts.push({ remove: () => chart?.remove() });
      });
      const known = evaluation.known;
      return [
        panel("Score and threshold", `A row is an alarm where the error lies this many standard deviations above the errors before it${known ? `; known: ${known.found} of ${known.windows} anomalies found, ${known.false_alarms} false alarms` : ""}. Move the threshold to see what another would have said; what the run counts as alarms is a dot.`,
          el("div", { class: "row" }, slider({ name: "threshold", min: 0, max: Math.ceil(top), step: Math.ceil(top) / 200, value: threshold, id: "alarm-threshold", change: (value) => { threshold = value; judge(); } })), head, score),
        panel("The stream and what was expected", `Error ${num(evaluation.error)} standard deviations; expecting the last row again has ${num(evaluation.naive_error)}.`, ...plots),
        panel("Rows above the threshold", "The most surprising first.", list),
      ];
    }

    function heard(evaluation, rows) {
      const colours = ["--s0", "--s1", "--s2", "--s3", "--s4"];
      const tracks = (evaluation.alignments ?? []).map((one) => el("div", { class: "track" }, el("span", { class: "note" }, one.id),
        el("div", { class: "frames", role: "img", "aria-label": `${one.id}: ${one.symbols.map(([symbol]) => symbol).join("")}` }, one.symbols.map(([symbol, first, last], at) => el("i", {
          title: `“${symbol}” in frames ${first} to ${last} of ${one.frames}`,
          style: { left: `${(100 * (first - 1)) / one.frames}%`, width: `${(100 * (last - first + 1)) / one.frames}%`, borderColor: css(colours[at % colours.length]) },
        }, shown(symbol))))));
      const list = rows.slice(0, 300).sort((a, b) => (a.actual === a.predicted) - (b.actual === b.predicted));
      return [
        panel("Where each symbol is heard", "From the first frame to the last; between the symbols the model says nothing (the blank). Point at one to read its frames.", ...(tracks.length ? tracks : [el("p", { class: "note" }, "The run told no alignments.")])),
        panel("What was understood", `${num(100 * evaluation.symbol_error_rate)} % errors of ${evaluation.unit}s, ${num(100 * evaluation.right)} % of the texts without any. Mistakes first.`,
          el("div", { class: "scroll" }, el("table", { class: "numbers" }, el("thead", {}, el("tr", {}, ["sequence", "actual", "understood"].map((name) => el("th", {}, name)))),
            el("tbody", {}, list.map((row) => el("tr", {}, el("td", {}, el("button", { type: "button", class: "quiet", onclick: () => open(row.id) }, row.id)), el("td", {}, row.actual ?? ""), el("td", {}, row.actual === row.predicted ? row.predicted : el("b", {}, row.predicted)))))))),
      ];
    }

    function numbers(evaluation, rows) {
      const targets = [...new Set(rows.map((row) => row.target))];
      return targets.map((target) => {
        const own = rows.filter((row) => row.target === target && row.actual !== undefined).sort((a, b) => a.actual - b.actual);
        const place = frame(280);
        requestAnimationFrame(() => {
          if (!root.isConnected || !own.length) return;
          charts.push(lines(place, { x: own.map((_, at) => at + 1), height: 280, xTitle: "sequences, the smallest actual value first", yTitle: target, xName: (at) => own[at - 1]?.id,
            series: [{ label: "actual", values: own.map((row) => +row.actual), colour: css("--s5") }, { label: "predicted", values: own.map((row) => +row.predicted), colour: "transparent", width: 0, points: true }] }));
        });
        const scores = evaluation.targets?.find((one) => one.target === target);
        return panel(target, scores ? `RMSE ${num(scores.model.rmse)} (the mean of the training part: ${num(scores.mean.rmse)}), MAE ${num(scores.model.mae)}` : null, place);
      });
    }

    async function load() {
      try {
        const log = await context.ask("log", { after: 0 });
        const told = await context.ask("predictions");
        if (!root.isConnected) return;
        const evaluation = log.entries.findLast((one) => one.event === "evaluation");
        if (!evaluation) { body.replaceChildren(el("p", { class: "empty" }, "The run has not been evaluated yet; that comes at the end of the training.")); return; }
        const rows = records(told);
        const parts = evaluation.confusion ? [confusion(evaluation, rows)] : evaluation.tags ? tags(evaluation, rows)
          : evaluation.threshold !== undefined ? watched(evaluation, rows) : evaluation.chrf !== undefined ? written(evaluation, rows)
          : evaluation.symbol_error_rate !== undefined ? heard(evaluation, rows) : numbers(evaluation, rows);
        body.replaceChildren(...parts, told.more ? el("p", { class: "note" }, "Only the first 5,000 predictions are shown.") : "");
      } catch (error) { context.refused(error); }
    }
    load();
    return { update() {}, remove() { charts.forEach((chart) => chart.remove()); } };
  },
};
