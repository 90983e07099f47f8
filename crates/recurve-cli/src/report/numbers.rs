//! What a report says about a regression: its errors, and what was said beside what is right.

use super::chart::{Chart, Line, Look};
use super::page::{Block, Figure, Section};
use crate::console;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Reader, RegressPrediction, RegressReport, RegressScores, RegressTarget};

/// Sequences that are drawn step by step.
const DRAWN: usize = 4;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(
    report: &RegressReport,
    file: &ModelFile,
) -> Result<(Vec<Section>, Vec<String>)> {
    let decided = match file.reader() {
        Reader::Sequences(reader) => reader.source.describe(),
        _ => vec![],
    };
    let mut blocks = vec![Block::Text(format!(
        "Measured on {} sequences of the {} part, in the units of the file.",
        report.sequences, report.part
    ))];
    let mut figures = vec![];
    for target in &report.targets {
        blocks.push(table(target));
        figures.push(sorted(report, target)?);
    }
    blocks.push(Block::Charts(figures));
    let mut sections = vec![Section { title: "How good it is".to_owned(), blocks }];
    let steps = by_step(report)?;
    if !steps.is_empty() {
        let blocks = vec![Block::Charts(steps)];
        sections.push(Section { title: "Step by step".to_owned(), blocks });
    }
    Ok((sections, decided))
}

fn table(target: &RegressTarget) -> Block {
    let row = |name: &str, scores: &RegressScores| {
        vec![name.to_owned(), console::digits(scores.rmse), console::digits(scores.mae)]
    };
    let mut rows = vec![row("model", &target.model), row("mean", &target.mean)];
    rows.extend(target.last.as_ref().map(|last| row("model, last steps", last)));
    let head = [target.target.as_str(), "RMSE", "MAE"].map(str::to_owned).to_vec();
    Block::Table { head, rows, marked: Some(0) }
}

fn legend() -> Vec<(&'static str, String)> {
    vec![(Look::Truth.class(), "right".to_owned()), (Look::Model.class(), "model".to_owned())]
}

fn figure(title: String, lines: Vec<Line>, names: (&str, &str)) -> Result<Figure> {
    let chart = Chart {
        size: (470, 270),
        lines,
        x_name: names.0.to_owned(),
        y_name: names.1.to_owned(),
        ..Chart::default()
    };
    Ok(Figure { title, legend: legend(), svg: chart.svg()?, caption: String::new() })
}

/// What is right in order of size, and what was said there.
fn sorted(report: &RegressReport, target: &RegressTarget) -> Result<Figure> {
    let name = &target.target;
    let own = report.predictions.iter().filter(|p| p.target == *name && p.last);
    let mut own: Vec<&RegressPrediction> = own.collect();
    own.sort_by(|a, b| a.actual.unwrap_or(0.0).total_cmp(&b.actual.unwrap_or(0.0)));
    let line = |look, value: &dyn Fn(&RegressPrediction) -> f64| Line {
        look,
        points: own.iter().enumerate().map(|(at, p)| (at as f64, value(p))).collect(),
    };
    let lines = vec![
        line(Look::Model, &|p| p.predicted),
        line(Look::Truth, &|p| p.actual.unwrap_or_default()),
    ];
    figure(format!("{name}: sequences in order of what is right"), lines, ("sequence", name))
}

/// The first sequences at every step.
fn by_step(report: &RegressReport) -> Result<Vec<Figure>> {
    let Some(target) = report.targets.first().filter(|target| target.last.is_some()) else {
        return Ok(vec![]);
    };
    let mut ids: Vec<&str> = vec![];
    for prediction in &report.predictions {
        if !ids.contains(&prediction.id.as_str()) {
            ids.push(&prediction.id);
        }
        if ids.len() > DRAWN {
            break;
        }
    }
    let one = |id: &&str| {
        let own = || report.predictions.iter().filter(|p| p.id == *id && p.target == target.target);
        let at = |p: &RegressPrediction| p.step.unwrap_or(1) as f64;
        let said = own().map(|p| (at(p), p.predicted)).collect();
        let right = own().filter_map(|p| Some((at(p), p.actual?))).collect();
        let lines = vec![
            Line { look: Look::Model, points: said },
            Line { look: Look::Truth, points: right },
        ];
        figure(format!("sequence {id}"), lines, ("step", &target.target))
    };
    ids.iter().take(DRAWN).map(one).collect()
}
