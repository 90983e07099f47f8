//! What a report says about a model that fills blanks: how often it is right, and what it said.

use super::page::{Block, Section};
use crate::console;
use recurve_train::data::Text;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{DataConfig, FillReport, Filler, Guess};

/// Blanks that are shown.
const SHOWN: usize = 12;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(report: &FillReport, file: ModelFile) -> Result<(Vec<Section>, Vec<String>)> {
    let held_out = match &file.config().data {
        DataConfig::Fill(options) => (options.validation, options.test),
        _ => (0.0, 0.0),
    };
    let path = file.data().locate(None)?;
    let model = Filler::of(file, 1)?;
    let text = Text::read_with(&path, model.vocabulary(), held_out)?;
    Ok((sections(report), vec![text.describe()]))
}

fn sections(report: &FillReport) -> Vec<Section> {
    let row = |name: &str, nats: f64, accuracy: f64| {
        vec![name.to_owned(), format!("{nats:.4}"), format!("{:.1} %", 100.0 * accuracy)]
    };
    let naive = [("bigram", report.bigram), ("unigram", report.unigram)];
    let naive =
        naive.iter().filter_map(|(name, own)| Some(row(name, (*own)?.nats, (*own)?.accuracy)));
    let rows = std::iter::once(row("model", report.nats, report.accuracy)).chain(naive).collect();
    let unit = &report.unit;
    let measures = vec![
        Block::Text(format!(
            "Of the {} {unit}s of the {} part, {} were hidden, and the model was asked what stands there. The \
             unigram knows how often each {unit} stands in the training part, the bigram how often after the \
             one before the blank, where that is to be seen.",
            console::thousands(report.tokens as u64),
            report.part,
            console::thousands(report.blanks as u64)
        )),
        Block::Table {
            head: ["", "nats per blank", "right"].map(str::to_owned).to_vec(),
            rows,
            marked: Some(0),
        },
    ];
    let told = |guess: &&Guess| {
        vec![
            guess.index.to_string(),
            guess.actual.escape_debug().to_string(),
            guess.predicted.escape_debug().to_string(),
            console::digits(guess.nats),
        ]
    };
    let head = [unit.as_str(), "stands there", "likeliest", "nats"].map(str::to_owned).to_vec();
    let mut hard: Vec<&Guess> = report.guesses.iter().collect();
    hard.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    let table = |guesses: &[&Guess]| Block::Table {
        head: head.clone(),
        rows: guesses.iter().take(SHOWN).map(told).collect(),
        marked: None,
    };
    let first: Vec<&Guess> = report.guesses.iter().collect();
    vec![
        Section { title: "How good it is".to_owned(), blocks: measures },
        Section {
            title: "What it filled".to_owned(),
            blocks: vec![
                Block::Text("The first blanks:".to_owned()),
                table(&first),
                Block::Text("Those that were expected least:".to_owned()),
                table(&hard),
            ],
        },
    ]
}
