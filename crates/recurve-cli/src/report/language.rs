//! What a report says about a language model: what it writes, and how well it knows the text.

use super::page::{Block, Section};
use crate::console;
use recurve_train::data::Text;
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{DataConfig, GenerateOptions, LanguageModel, LanguageReport};
use std::ops::ControlFlow;

/// Characters of a sample of text.
const SAMPLE: usize = 500;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(
    report: &LanguageReport,
    file: ModelFile,
) -> Result<(Vec<Section>, Vec<String>)> {
    let held_out = match &file.config().data {
        DataConfig::Language(options) => (options.validation, options.test),
        _ => (0.0, 0.0),
    };
    let model = LanguageModel::of(file)?;
    let path = model.file().data().locate(None)?;
    let text = Text::read_with(&path, model.vocabulary(), held_out)?;
    Ok((sections(report, &model)?, vec![text.describe()]))
}

fn sections(report: &LanguageReport, model: &LanguageModel) -> Result<Vec<Section>> {
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
