//! What a report says about a training.

use super::chart::{Chart, Line, Look, whole};
use super::page::{Block, Figure, Page, Section};
use super::{
    alarms, blanks, classes, forecast, language, numbers, rolls, tags, texts, translations,
};
use crate::console;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::run::RunFolder;
use recurve_train::task::{self, Evaluation, Skill};
use recurve_train::trainer::{EpochRecord, Report};
use std::fs;

/// Width and height of a chart that stands beside another.
const HALF: (u32, u32) = (470, 270);
/// Points of a curve; more would not be seen.
const POINTS: usize = 400;

/// How long training took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Seconds of this process.
    pub(crate) seconds: f64,
    /// Whether another process trained before.
    pub(crate) resumed: bool,
}

/// Writes `report.html` into the folder of a run that is over.
pub(crate) fn write(folder: &RunFolder, report: &Report, took: Took) -> Result<()> {
    let file = ModelFile::load(folder.path())?;
    let page = page(folder, report, file, took)?;
    folder.write("report.html", page.html().as_bytes())
}

fn page(folder: &RunFolder, report: &Report, file: ModelFile, took: Took) -> Result<Page> {
    let model = &file.config().model;
    let data = file.data().path.display().to_string();
    let mut facts = vec![
        ("Task".to_owned(), report.task.to_string()),
        ("Data".to_owned(), data),
        (
            "Model".to_owned(),
            format!(
                "{}{}, {}",
                if model.bidirectional { "bidirectional " } else { "" },
                model.cell.name(),
                model.shape()
            ),
        ),
        ("Weights".to_owned(), console::thousands(report.parameters as u64)),
        (
            "Best epoch".to_owned(),
            format!(
                "{} of {}{}",
                report.best_epoch,
                report.epochs,
                if report.stopped_early { ", stopped early" } else { "" }
            ),
        ),
        (format!("Best {}", report.metric), console::number(report.validation)),
        (
            if took.resumed { "Time since it was resumed" } else { "Time" }.to_owned(),
            console::took(took.seconds),
        ),
    ];
    if report.skipped_steps > 0 {
        let count = console::thousands(report.skipped_steps);
        facts.push(("Steps left out (no number)".to_owned(), count));
    }
    let config = file.config().commented();
    let (mut sections, decided) = match &report.evaluation {
        Evaluation::Forecast(result) => forecast::whole(result, file)?,
        Evaluation::Language(result) => language::whole(result, file)?,
        Evaluation::Classify(result) => classes::whole(result, &file)?,
        Evaluation::Regress(result) => numbers::whole(result, &file)?,
        Evaluation::Tag(result) => tags::whole(result, &file),
        Evaluation::Transcribe(result) => texts::whole(result, &file),
        Evaluation::Translate(result) => translations::whole(result, &file),
        Evaluation::Detect(result) => alarms::whole(result, &file)?,
        Evaluation::Music(result) => rolls::whole(result, file)?,
        Evaluation::Fill(result) => blanks::whole(result, file)?,
    };
    sections.push(training(folder, report)?);
    sections.push(Section {
        title: "What was decided".to_owned(),
        blocks: vec![
            Block::List(decided),
            Block::Verbatim { name: Some("The complete configuration".to_owned()), text: config },
        ],
    });
    sections.push(usage(folder, report));
    let title = folder.path().file_name().map_or_else(
        || folder.path().display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(Page {
        title,
        headline: headline(&report.evaluation),
        good: verdict(report.evaluation.report()),
        facts,
        sections,
    })
}

/// The result in one sentence; the same stands on the terminal.
pub(crate) fn headline(evaluation: &Evaluation) -> String {
    let report = evaluation.report();
    format!("{}{}", report.headline(), against(report))
}

/// Good news where the model beats every baseline, bad where it loses to one that it must beat.
fn verdict(report: &dyn task::Report) -> Option<bool> {
    let lost: Vec<&Skill> = report.skills().iter().filter(|skill| skill.skill <= 0.0).collect();
    if lost.iter().any(|skill| report.naive().contains(&skill.baseline.as_str())) {
        Some(false)
    } else {
        (lost.is_empty() && !report.skills().is_empty()).then_some(true)
    }
}

/// The skills worth a sentence: against what must be beaten, and whatever else is not.
fn against(report: &dyn task::Report) -> String {
    let (skills, naive) = (report.skills(), report.naive());
    let named = naive.iter().filter_map(|name| skills.iter().find(|skill| skill.baseline == *name));
    let others = skills
        .iter()
        .filter(|skill| skill.skill < 0.0 && !naive.contains(&skill.baseline.as_str()));
    let words: Vec<String> =
        named.chain(others).map(|skill| console::skill(skill.skill, &skill.baseline)).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
}

/// The curves of a training.
fn training(folder: &RunFolder, report: &Report) -> Result<Section> {
    let history = &report.history;
    let last = history.last().map_or(1, |epoch| epoch.epoch);
    let axis = |title: &str, lines: Vec<Line>| Chart {
        size: HALF,
        logarithmic: spread(&lines),
        lines,
        x_name: "epoch".to_owned(),
        y_name: title.to_owned(),
        x_labels: whole(0, last, 9),
        ..Chart::default()
    };
    let line = |look: Look, value: fn(&EpochRecord) -> f64| Line {
        look,
        points: history.iter().map(|epoch| (epoch.epoch as f64, value(epoch))).collect(),
    };
    let figure = |title: &str,
                  legend: Vec<(&'static str, String)>,
                  chart: Chart|
     -> Result<Figure> {
        Ok(Figure { title: title.to_owned(), legend, svg: chart.svg()?, caption: String::new() })
    };
    let best = history.iter().find(|epoch| epoch.epoch == report.best_epoch);
    let best = best.map(|epoch| (epoch.epoch as f64, epoch.validation));
    let mut figures = vec![];
    let train = ("model", "training".to_owned());
    let validated = ("line", "validation".to_owned());
    let learned = Line {
        look: Look::Model,
        points: steps(folder, report)
            .unwrap_or_else(|| line(Look::Model, |epoch| epoch.loss).points),
    };
    if let Evaluation::Language(result) = &report.evaluation {
        let mut lines = vec![learned, line(Look::Line, |epoch| epoch.validation)];
        let mut legend = vec![train, validated];
        let width = [0.0, last as f64];
        let level = |look, nats: f64| Line { look, points: width.map(|x| (x, nats)).to_vec() };
        if let Some(nats) = result.bigram {
            lines.push(level(Look::Third, nats));
            legend.push(("third", "bigram".to_owned()));
        }
        let mut chart = axis(&format!("nats per {}", result.unit), lines);
        (chart.size, chart.marked, chart.logarithmic) = ((960, 340), best, false);
        figures.push(figure("Loss", legend, chart)?);
    } else {
        figures.push(figure("Training loss", vec![train], axis("loss", vec![learned]))?);
        let lines = vec![line(Look::Line, |epoch| epoch.validation)];
        let mut chart = axis(&report.metric, lines);
        chart.marked = best;
        figures.push(figure("Validation", vec![validated], chart)?);
    }
    let mut rate = axis("learning rate", vec![line(Look::Model, |epoch| epoch.learning_rate)]);
    (rate.logarithmic, rate.from_zero) = (false, true);
    let norm = axis("norm", vec![line(Look::Model, |epoch| epoch.grad_norm)]);
    let rate = figure("Learning rate", vec![], rate)?;
    let norm = figure("Gradient before clipping", vec![], norm)?;
    let mut blocks = vec![Block::Text(
        "The ring marks the epoch whose weights were kept: the best on the validation part."
            .to_owned(),
    )];
    if matches!(report.evaluation, Evaluation::Language(_)) {
        blocks.push(Block::Charts(figures));
        blocks.push(Block::Charts(vec![rate, norm]));
    } else {
        figures.extend([rate, norm]);
        blocks.push(Block::Charts(figures));
    }
    Ok(Section { title: "How it was trained".to_owned(), blocks })
}

/// Whether the values of some lines are so far apart that they need a logarithmic axis.
fn spread(lines: &[Line]) -> bool {
    let values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let (low, high) = values
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    low > 0.0 && high > 30.0 * low
}

/// The training loss step by step over epochs, as far as the log has it, averaged where it is dense.
fn steps(folder: &RunFolder, report: &Report) -> Option<Vec<(f64, f64)>> {
    let log = fs::read_to_string(folder.log()).ok()?;
    let last = report.history.last()?;
    let epochs = last.epoch as f64 / last.step.max(1) as f64;
    let found: Vec<(f64, f64)> = log
        .lines()
        .filter_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            let step = (entry["event"] == "step").then(|| entry["step"].as_f64())??;
            Some((step * epochs, entry["loss"].as_f64().filter(|loss| loss.is_finite())?))
        })
        .collect();
    let size = found.len().div_ceil(POINTS).max(1);
    let mean = |piece: &[(f64, f64)]| {
        let count = piece.len() as f64;
        let sum = piece.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / count, sum.1 / count)
    };
    // A few points say less than the epochs do.
    (found.len() >= 2 * report.history.len()).then(|| found.chunks(size).map(mean).collect())
}

/// Commands that go on from here.
pub(crate) fn commands(run: &str, evaluation: &Evaluation) -> Vec<(String, &'static str)> {
    match evaluation {
        Evaluation::Forecast(_) => vec![
            (format!("recurve forecast {run}"), "the rows after the last one"),
            (format!("recurve forecast {run} newer.csv"), "the rows after those of a newer file"),
            (format!("recurve predict {run} other.csv"), "rolling forecasts over a whole file"),
            (format!("recurve stream {run}"), "a forecast for every line of standard input"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Language(_) => vec![
            (format!("recurve generate {run}"), "new text"),
            (format!("recurve generate {run} --prompt \"...\""), "text that goes on from a prompt"),
            (
                format!("recurve predict {run} other.txt"),
                "the probability of every character of a text",
            ),
            (
                format!("recurve stream {run}"),
                "the next character after every line of standard input",
            ),
            (format!("recurve eval {run} other.txt"), "how well another text is known"),
        ],
        Evaluation::Classify(_) => vec![
            (format!("recurve predict {run} new-data"), "the class of every sequence of a file"),
            (
                format!("recurve eval {run} other-data"),
                "how well those of another file are told apart",
            ),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Regress(_) => vec![
            (format!("recurve predict {run} new-data"), "the numbers of every sequence of a file"),
            (format!("recurve eval {run} other-data"), "how well those of another file are met"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Tag(_) => vec![
            (format!("recurve tag {run} < text"), "a tag for every word, a sentence on each line"),
            (format!("recurve predict {run} new.conll"), "the tags of a file in columns"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Transcribe(_) => vec![
            (format!("recurve transcribe {run} new-data"), "the text of every sequence"),
            (format!("recurve predict {run} new-data"), "the same as CSV"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Translate(_) => vec![
            (format!("recurve translate {run} < sources"), "a target for every line"),
            (format!("recurve predict {run} new-data"), "the targets of a file as CSV"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Detect(_) => vec![
            (format!("recurve stream {run}"), "an answer for every line of standard input"),
            (format!("recurve detect {run} new.csv"), "the alarms of a file"),
            (format!("recurve predict {run} new.csv"), "what was expected of every row"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Fill(_) => vec![
            (format!("recurve fill {run} \"...\""), "the blanks of a text, ___ each"),
            (format!("recurve predict {run} other.txt"), "the blanks of a file as CSV"),
            (format!("recurve eval {run} other.txt"), "how well blanks of another text are filled"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
        Evaluation::Music(_) => vec![
            (format!("recurve generate {run} -o new.mid"), "a new piece to listen to"),
            (format!("recurve generate {run} --prompt \"60 64 67\""), "a piece that begins so"),
            (format!("recurve predict {run} other.json"), "how well other pieces were expected"),
            (format!("recurve eval {run}"), "these measures again"),
        ],
    }
}

fn usage(folder: &RunFolder, report: &Report) -> Section {
    let run = folder.path().display().to_string();
    Section {
        title: "How to use it".to_owned(),
        blocks: vec![
            Block::Commands(commands(&run, &report.evaluation)),
            Block::Text(
                "model.safetensors in the run folder is all that is needed to predict; last.ckpt \
                 continues the training."
                    .to_owned(),
            ),
        ],
    }
}
