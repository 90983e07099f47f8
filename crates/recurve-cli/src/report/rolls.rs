//! What a report says about a model of music: its measures, a roll that was drawn, and what was hard.

use super::page::{Block, Section};
use crate::console;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{ComposeOptions, MusicModel, MusicReport, Report};

/// Frames of the drawn piece.
const FRAMES: usize = 64;
/// Frames that are shown as hard.
const HARD: usize = 10;
/// Width and height of a frame and a key, in pixels.
const CELL: (usize, usize) = (12, 5);

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(report: &MusicReport, file: ModelFile) -> Result<(Vec<Section>, Vec<String>)> {
    let model = MusicModel::of(file, 0)?;
    let options = ComposeOptions { frames: FRAMES, temperature: 1.0, seed: 1 };
    let piece = model.compose(&[], &options)?;
    let drawn = super::page::Figure {
        title: format!("{FRAMES} frames at temperature 1"),
        legend: vec![],
        svg: picture(&piece),
        caption: "Time goes to the right, a row is a key, the highest on top.".to_owned(),
    };
    let mut hard: Vec<_> = report.predictions.iter().collect();
    hard.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    let notes = crate::verbs::generate::written;
    let row = |frame: &&recurve_train::task::MusicFrame| {
        vec![
            format!("piece {}, frame {}", frame.piece, frame.frame),
            console::digits(frame.nats),
            notes(&frame.notes),
            notes(&frame.predicted),
        ]
    };
    let head = ["frame", "nats", "sounds", "likelier than not"].map(str::to_owned).to_vec();
    let rows = hard.iter().take(HARD).map(row).collect();
    let sections = vec![
        Section { title: "What it plays".to_owned(), blocks: vec![Block::Charts(vec![drawn])] },
        Section {
            title: "How good it is".to_owned(),
            blocks: vec![
                Block::List(report.summary()),
                Block::Text("The frames that were expected least:".to_owned()),
                Block::Table { head, rows, marked: None },
            ],
        },
    ];
    Ok((sections, vec!["88 keys, notes 21 to 108".to_owned()]))
}

/// A roll as a picture of the keys that are used.
fn picture(piece: &[Vec<u8>]) -> String {
    let notes = || piece.iter().flatten().map(|note| usize::from(*note));
    let (low, high) = (notes().min().unwrap_or(60), notes().max().unwrap_or(60));
    let (width, height) = (piece.len() * CELL.0, (high - low + 1) * CELL.1);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\">");
    for (at, frame) in piece.iter().enumerate() {
        for note in frame {
            let (x, y) = (at * CELL.0, (high - usize::from(*note)) * CELL.1);
            svg += &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"currentColor\"/>",
                CELL.0,
                CELL.1 - 1
            );
        }
    }
    svg + "</svg>"
}
