//! What a report says about a translator: its errors, and what it looked at.

use super::page::{Block, Figure, Section, escape};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Answers, Attended, Reader, Report, TranslateReport};
use std::fmt::Write;

/// Mistakes that are shown.
const MISTAKES: usize = 20;
/// The side of a cell of an attention matrix, and the room for tokens before and above, in pixels.
const CELL: usize = 22;
const ROOM: (usize, usize) = (84, 84);

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(report: &TranslateReport, file: &ModelFile) -> (Vec<Section>, Vec<String>) {
    let decided = match file.reader() {
        Reader::Sequences(reader) => {
            let mut decided = reader.source.describe();
            if let Answers::Written(written) = &reader.answers {
                let (count, longest) = (written.symbols.known().len(), written.longest);
                decided.push(format!("writes up to {longest} of {count} {}s", report.unit));
            }
            decided
        }
        _ => vec![],
    };
    let mut sections = vec![Section {
        title: "How good it is".to_owned(),
        blocks: vec![Block::List(report.summary())],
    }];
    let wrong = report.predictions.iter().filter_map(|prediction| {
        let actual = prediction.actual.as_ref().filter(|text| **text != prediction.predicted)?;
        let source = prediction.source.as_ref().unwrap_or(&prediction.id);
        Some(vec![source.clone(), actual.clone(), prediction.predicted.clone()])
    });
    let rows: Vec<Vec<String>> = wrong.take(MISTAKES).collect();
    if !rows.is_empty() {
        let head = ["source", "is", "written"].map(str::to_owned).to_vec();
        let blocks = vec![Block::Table { head, rows, marked: None }];
        sections.push(Section { title: "What it gets wrong".to_owned(), blocks });
    }
    if !report.attention.is_empty() {
        let figures = report.attention.iter().map(|attended| Figure {
            title: attended.target[..attended.target.len() - 1].join(" "),
            legend: vec![],
            svg: matrix(attended),
            caption: String::new(),
        });
        let text = "A row for each symbol that was written, a column for each step of the source; the \
                    darker, the more it was looked at.";
        let blocks = vec![Block::Text(text.to_owned()), Block::Charts(figures.collect())];
        sections.push(Section { title: "What it looked at".to_owned(), blocks });
    }
    (sections, decided)
}

/// The weights as squares, the tokens beside and above them.
fn matrix(attended: &Attended) -> String {
    let (columns, rows) = (attended.source.len(), attended.target.len());
    let (width, height) = (ROOM.0 + CELL * columns, ROOM.1 + CELL * rows);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         font-size=\"12\" fill=\"currentColor\">"
    );
    for (at, token) in attended.source.iter().enumerate() {
        let (x, y) = (ROOM.0 + CELL * at + CELL / 2, ROOM.1 - 6);
        let token = escape(&shortened(token));
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" transform=\"rotate(-60 {x} {y})\">{token}</text>"
        );
    }
    for (row, (token, weights)) in attended.target.iter().zip(&attended.weights).enumerate() {
        let y = ROOM.1 + CELL * row;
        let (x, base, token) = (ROOM.0 - 6, y + CELL - 7, escape(&shortened(token)));
        let _ = write!(svg, "<text x=\"{x}\" y=\"{base}\" text-anchor=\"end\">{token}</text>");
        for (column, weight) in weights.iter().enumerate() {
            let (x, side) = (ROOM.0 + CELL * column, CELL - 1);
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill-opacity=\"{weight:.3}\">\
                 <title>{weight:.3}</title></rect>"
            );
        }
    }
    svg + "</svg>"
}

/// The first letters of a token.
fn shortened(token: &str) -> String {
    match token.char_indices().nth(11) {
        Some((end, _)) => format!("{}…", &token[..end]),
        None => token.to_owned(),
    }
}
