//! What a report says about a training.

use super::chart::{Chart, Line, Look, whole};
use super::forecast;
use super::page::{Block, Figure, Page, Section};
use crate::console;
use recurve_train::data::{Series, Text};
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::run::RunFolder;
use recurve_train::task::{
    Evaluation, ForecastReport, Forecaster, GenerateOptions, LanguageModel, LanguageReport, Skill,
};
use recurve_train::trainer::{EpochRecord, Report};
use std::fs;
use std::ops::ControlFlow;

/// Width and height of a chart that stands beside another.
const HALF: (u32, u32) = (470, 270);
/// Points of a curve; more would not be seen.
const POINTS: usize = 400;
/// Characters of a sample of text.
const SAMPLE: usize = 500;

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
    let layers = match model.layers {
        1 => "1 layer".to_owned(),
        layers => format!("{layers} layers"),
    };
    let data = file.data().path.display().to_string();
    let mut facts = vec![
        ("Task".to_owned(), report.task.to_string()),
        ("Data".to_owned(), data),
        (
            "Model".to_owned(),
            format!(
                "{}{}, {layers} of {} units",
                if model.bidirectional { "bidirectional " } else { "" },
                model.cell.name(),
                model.hidden
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
    let (mut sections, skills, decided) = match &report.evaluation {
        Evaluation::Forecast(result) => {
            let mut model = Forecaster::of(file)?;
            let table = model.own_table(None)?;
            let series = Series::new(&table, model.plan())?;
            let next = model.forecast(&table)?;
            let sections = forecast::sections(result, &series, &next)?;
            (sections, &result.skills, model.plan().describe(&table))
        }
        Evaluation::Language(result) => {
            let model = LanguageModel::of(file)?;
            let path = model.file().data().locate(None)?;
            let text = Text::read_with(&path, model.vocabulary(), held_out(&model))?;
            let decided = vec![text.describe()];
            (language(result, &model)?, &result.skills, decided)
        }
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
        good: verdict(skills),
        facts,
        sections,
    })
}

/// The fraction of the text that was held out.
fn held_out(model: &LanguageModel) -> f64 {
    match &model.file().config().data {
        recurve_train::config::DataConfig::Language(options) => options.validation,
        recurve_train::config::DataConfig::Forecast(_) => 0.0,
    }
}

/// The result in one sentence; the same stands on the terminal.
pub(crate) fn headline(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Forecast(report) => {
            format!("{}{}", forecast_error(report), against(&report.skills))
        }
        Evaluation::Language(report) => format!(
            "{:.3} nats per {} on the {} part{}",
            report.nats,
            report.unit,
            report.part,
            against(&report.skills)
        ),
    }
}

fn forecast_error(report: &ForecastReport) -> String {
    let count = report.targets.len().max(1) as f64;
    let mases = report.targets.iter().map(|target| target.model.mase);
    let error = match (mases.sum::<Option<f64>>(), report.targets.first()) {
        (Some(sum), Some(_)) => format!("MASE {:.2}", sum / count),
        (None, Some(target)) => {
            format!("MAE {} of {}", console::number(target.model.mae), target.target)
        }
        (_, None) => String::new(),
    };
    let (first, last) = (&report.first_time, &report.last_time);
    format!("{error} on the {} rows {first} to {last}", report.part)
}

/// The baselines that a model is first of all compared with.
const NAIVE: [&str; 4] = ["seasonal naive", "naive", "bigram", "unigram"];

/// Good news where the model beats every baseline, bad where it loses to one of [`NAIVE`].
fn verdict(skills: &[Skill]) -> Option<bool> {
    let loses = |skill: &&Skill| skill.skill <= 0.0;
    let lost: Vec<&Skill> = skills.iter().filter(loses).collect();
    if lost.iter().any(|skill| NAIVE.contains(&skill.baseline.as_str())) {
        Some(false)
    } else {
        (lost.is_empty() && !skills.is_empty()).then_some(true)
    }
}

/// The skills worth a sentence: against [`NAIVE`], and whatever else is not beaten.
fn against(skills: &[Skill]) -> String {
    let named = NAIVE.iter().filter_map(|name| skills.iter().find(|skill| skill.baseline == *name));
    let others = skills
        .iter()
        .filter(|skill| skill.skill < 0.0 && !NAIVE.contains(&skill.baseline.as_str()));
    let words: Vec<String> =
        named.chain(others).map(|skill| console::skill(skill.skill, &skill.baseline)).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
}

fn language(report: &LanguageReport, model: &LanguageModel) -> Result<Vec<Section>> {
    let mut samples = vec![Block::Text(format!(
        "The model writes {SAMPLE} tokens after a new line, more carefully at low temperatures."
    ))];
    for temperature in [0.5, 0.8, 1.0] {
        let options = GenerateOptions { length: SAMPLE, temperature, ..GenerateOptions::default() };
        let mut text = vec![];
        model.generate("", &options, &mut |bytes| {
            text.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })?;
        samples.push(Block::Text(format!("Temperature {temperature}:")));
        samples.push(Block::Verbatim {
            name: None,
            text: String::from_utf8_lossy(&text).into_owned(),
        });
    }
    let row = |name: &str, nats: f64| {
        vec![
            name.to_owned(),
            format!("{nats:.4}"),
            format!("{:.4}", recurve_train::metrics::bits(nats)),
            format!("{:.3}", recurve_train::metrics::perplexity(nats)),
        ]
    };
    let naive = [("bigram", report.bigram), ("unigram", report.unigram)];
    let naive = naive.iter().filter_map(|(name, nats)| Some(row(name, (*nats)?)));
    let rows = std::iter::once(row("model", report.nats)).chain(naive);
    let unit = &report.unit;
    let measures = vec![
        Block::Text(format!(
            "Measured on {} {unit}s of the {} part. The unigram knows how often each {unit} stands in \
             the training part, the bigram how often after each other {unit}. Lower is better.",
            console::thousands(report.tokens),
            report.part
        )),
        Block::Table {
            head: vec![
                String::new(),
                format!("nats per {unit}"),
                format!("bits per {unit}"),
                "perplexity".to_owned(),
            ],
            rows: rows.collect(),
            marked: Some(0),
        },
    ];
    Ok(vec![
        Section { title: "What it writes".to_owned(), blocks: samples },
        Section { title: "How good it is".to_owned(), blocks: measures },
    ])
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
