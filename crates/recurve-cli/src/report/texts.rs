//! What a report says about a transcriber: its errors, and where the symbols are heard.

use super::page::{Block, Section};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Alignment, Reader, Report, TranscribeReport};

/// Mistakes that are shown.
const MISTAKES: usize = 20;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(report: &TranscribeReport, file: &ModelFile) -> (Vec<Section>, Vec<String>) {
    let decided = match file.reader() {
        Reader::Sequences(reader) => reader.source.describe(),
        _ => vec![],
    };
    let mut sections = vec![Section {
        title: "How good it is".to_owned(),
        blocks: vec![Block::List(report.summary())],
    }];
    let wrong = report.predictions.iter().filter_map(|prediction| {
        let actual = prediction.actual.as_ref().filter(|text| **text != prediction.predicted)?;
        Some(vec![prediction.id.clone(), actual.clone(), prediction.predicted.clone()])
    });
    let rows: Vec<Vec<String>> = wrong.take(MISTAKES).collect();
    if !rows.is_empty() {
        let head = ["sequence", "is", "understood"].map(str::to_owned).to_vec();
        let blocks = vec![Block::Table { head, rows, marked: None }];
        sections.push(Section { title: "What it misunderstands".to_owned(), blocks });
    }
    if !report.alignments.is_empty() {
        let head = ["sequence", "frames", "symbols, each with its frames"];
        let blocks = vec![
            Block::Text(
                "The most probable frames of each symbol of what was understood; between them is the blank."
                    .to_owned(),
            ),
            Block::Table {
                head: head.map(str::to_owned).to_vec(),
                rows: report.alignments.iter().map(aligned).collect(),
                marked: None,
            },
        ];
        sections.push(Section { title: "Where the symbols are".to_owned(), blocks });
    }
    (sections, decided)
}

fn aligned(alignment: &Alignment) -> Vec<String> {
    let span = |(symbol, first, last): &(String, usize, usize)| {
        if first == last {
            format!("{symbol} {first}")
        } else {
            format!("{symbol} {first}–{last}")
        }
    };
    let symbols: Vec<String> = alignment.symbols.iter().map(span).collect();
    vec![alignment.id.clone(), alignment.frames.to_string(), symbols.join(" · ")]
}
