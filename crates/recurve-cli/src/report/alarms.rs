//! What a report says about a detector: its alarms, and how surprised it was.

use super::chart::{Chart, Line, Look};
use super::page::{Block, Figure, Section};
use crate::console;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::detect::DetectReport;
use recurve_train::task::{Reader, Report};

/// Points of a curve; more would not be seen.
const POINTS: usize = 400;
/// Alarms that are shown.
const ALARMS: usize = 40;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(
    report: &DetectReport,
    file: &ModelFile,
) -> Result<(Vec<Section>, Vec<String>)> {
    let decided = match file.reader() {
        Reader::Stream(reader) => reader.describe(),
        _ => vec![],
    };
    let good = vec![Block::List(report.summary()), Block::Charts(vec![surprises(report)?])];
    let mut sections = vec![Section { title: "What it found".to_owned(), blocks: good }];
    if !report.alarms.is_empty() {
        let head = ["row", "time", "surprise", "values", "expected"].map(str::to_owned).to_vec();
        let list = |values: &[f64]| {
            values.iter().map(|value| console::number(*value)).collect::<Vec<_>>().join(", ")
        };
        let rows = report.alarms.iter().take(ALARMS).map(|alarm| {
            let surprise = format!("{:.1}", alarm.surprise);
            let (values, expected) = (list(&alarm.values), list(&alarm.expected));
            vec![alarm.row.to_string(), alarm.time.clone(), surprise, values, expected]
        });
        let blocks = vec![Block::Table { head, rows: rows.collect(), marked: None }];
        sections.push(Section { title: "Alarms".to_owned(), blocks });
    }
    Ok((sections, decided))
}

/// The greatest surprise of some rows after the other.
fn surprises(report: &DetectReport) -> Result<Figure> {
    let size = report.all.len().div_ceil(POINTS).max(1);
    let points = report.all.chunks(size).enumerate().map(|(at, rows)| {
        let greatest = rows.iter().map(|row| row.surprise).fold(0.0, f64::max);
        ((at * size) as f64, greatest)
    });
    let end = report.all.len() as f64;
    let level = [0.0, end].map(|x| (x, report.threshold)).to_vec();
    let chart = Chart {
        size: (960, 300),
        lines: vec![
            Line { look: Look::Model, points: points.collect() },
            Line { look: Look::Third, points: level },
        ],
        x_name: "row".to_owned(),
        y_name: "standard deviations".to_owned(),
        from_zero: true,
        ..Chart::default()
    };
    Ok(Figure {
        title: "Surprise".to_owned(),
        legend: vec![("model", "surprise".to_owned()), ("third", "threshold".to_owned())],
        svg: chart.svg()?,
        caption: String::new(),
    })
}
