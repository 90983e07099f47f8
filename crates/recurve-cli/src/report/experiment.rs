//! The page of an experiment: its question, what was found, the figures, the numbers.

use super::chart::{Bar, CURVES, Chart, Line, Look};
use super::page::{Block, Figure, Page, Section};
use crate::console;
use recurve_train::error::Result;
use recurve_train::experiment::Experiment;
use recurve_train::experiment::outcome::{self, Curve, Outcome, Point};

/// The page as an HTML file.
///
/// # Errors
/// A drawing fails, which is a mistake of the program.
pub(crate) fn html(
    experiment: &Experiment,
    outcome: &Outcome,
    (seconds, quick): (f64, bool),
) -> Result<String> {
    let mut facts = outcome.conditions.clone();
    facts.push(("took".to_owned(), format!("{seconds:.0} s")));
    let figures = outcome.figures.iter().map(figure).collect::<Result<Vec<_>>>()?;
    let mut sections = vec![Section {
        title: "What was found".to_owned(),
        blocks: vec![Block::List(outcome.findings.clone())],
    }];
    for figure in figures {
        let title = figure.title.clone();
        sections.push(Section { title, blocks: vec![Block::Charts(vec![figure])] });
    }
    let table = |table: &outcome::Table| Section {
        title: table.title.clone(),
        blocks: vec![Block::Table {
            head: table.head.clone(),
            rows: table.rows.clone(),
            marked: None,
        }],
    };
    sections.extend(outcome.tables.iter().map(table));
    let page = Page {
        title: format!("Experiment: {}", experiment.name),
        headline: if quick {
            format!("{} (a first look; the numbers mean little)", experiment.question)
        } else {
            experiment.question.to_owned()
        },
        good: None,
        facts,
        sections,
    };
    Ok(page.html())
}

fn figure(figure: &outcome::Figure) -> Result<Figure> {
    let place = |x: f64| if figure.x.logarithmic { x.log10() } else { x };
    let drawn =
        |point: &&Point| point.median.is_finite() && (!figure.y.logarithmic || point.low > 0.0);
    let points = |curve: &Curve| {
        curve.points.iter().filter(drawn).map(|point| (place(point.x), point.median)).collect()
    };
    let curves = || figure.curves.iter().enumerate();
    let bars = curves().flat_map(|(at, curve)| {
        let spread = curve.points.iter().filter(drawn).filter(|point| point.low < point.high);
        spread.map(move |point| Bar {
            look: Look::Curve(at),
            x: place(point.x),
            low: point.low,
            high: point.high,
        })
    });
    let mut marks: Vec<f64> =
        figure.curves.iter().flat_map(|curve| &curve.points).map(|point| point.x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    let x_labels = if figure.x.logarithmic || marks.len() <= 12 {
        marks.iter().map(|x| (place(*x), console::number(*x))).collect()
    } else {
        vec![]
    };
    let chart = Chart {
        size: (860, 400),
        lines: curves()
            .map(|(at, curve)| Line { look: Look::Curve(at), points: points(curve) })
            .collect(),
        bars: bars.collect(),
        x_name: figure.x.name.clone(),
        y_name: figure.y.name.clone(),
        x_labels,
        logarithmic: figure.y.logarithmic,
        ..Chart::default()
    };
    Ok(Figure {
        title: figure.title.clone(),
        legend: curves()
            .map(|(at, curve)| (CURVES[at % CURVES.len()].0, curve.name.clone()))
            .collect(),
        svg: chart.svg()?,
        caption: figure.caption.clone(),
    })
}
