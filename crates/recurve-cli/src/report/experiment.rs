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
    let figures = outcome.figures.iter().map(drawn).collect::<Result<Vec<_>>>()?;
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

/// A figure as a file of its own, on white paper.
///
/// # Errors
/// As [`html`].
pub(crate) fn alone(figure: &outcome::Figure) -> Result<String> {
    let svg = drawn(figure)?.svg;
    let (head, rest) = svg.split_once('>').unwrap_or(("<svg", "</svg>"));
    Ok(format!("{head}>\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>{rest}"))
}

fn drawn(figure: &outcome::Figure) -> Result<Figure> {
    let named = !figure.x.names.is_empty();
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
    let names = figure.x.names.iter().enumerate();
    let x_labels = if named {
        names.map(|(at, name)| (at as f64, name.clone())).collect()
    } else if figure.x.logarithmic || marks.len() <= 12 {
        marks.iter().map(|x| (place(*x), console::number(*x))).collect()
    } else {
        vec![]
    };
    let look = |at| if named { Look::Dots(at) } else { Look::Curve(at) };
    let line = |(at, curve)| Line { look: look(at), points: points(curve) };
    let ends = || {
        let places =
            figure.curves.iter().flat_map(|curve| &curve.points).map(|point| place(point.x));
        let room = if named { 0.5 } else { 0.0 };
        let (first, last) =
            places.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        (first - room, last + room)
    };
    let level = || {
        figure
            .level
            .iter()
            .filter(|(_, y)| y.is_finite())
            .map(|(_, y)| Line { look: Look::Third, points: vec![(ends().0, *y), (ends().1, *y)] })
    };
    let chart = Chart {
        size: (860, 400),
        lines: level().chain(curves().map(line)).collect(),
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
            .chain(figure.level.iter().map(|(name, _)| (Look::Third.class(), name.clone())))
            .collect(),
        svg: chart.svg()?,
        caption: figure.caption.clone(),
    })
}
