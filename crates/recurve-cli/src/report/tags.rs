//! What a report says about a tagger: each tag, and what was confused.

use super::page::{Block, Section};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Reader, Report, TagReport};
use std::collections::BTreeMap;

/// Confusions that are shown.
const CONFUSED: usize = 20;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(report: &TagReport, file: &ModelFile) -> (Vec<Section>, Vec<String>) {
    let decided = match file.reader() {
        Reader::Tags(reader) => vec![format!(
            "the word in column {}, the tag in column {}; {} words and {} letters known",
            reader.columns.word,
            reader.columns.tag,
            reader.words.size(),
            reader.letters.size()
        )],
        _ => vec![],
    };
    let rows = report.tags.iter().map(|tag| {
        vec![
            tag.tag.clone(),
            tag.words.to_string(),
            format!("{:.4}", tag.precision),
            format!("{:.4}", tag.recall),
        ]
    });
    let good = vec![
        Block::List(report.summary()),
        Block::Table {
            head: ["tag", "words", "precision", "recall"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
            marked: None,
        },
    ];
    let mut sections = vec![Section { title: "How good it is".to_owned(), blocks: good }];
    let rows = confused(report);
    if !rows.is_empty() {
        let head = ["is", "said", "words", "for example"].map(str::to_owned).to_vec();
        let blocks = vec![Block::Table { head, rows, marked: None }];
        sections.push(Section { title: "What it confuses".to_owned(), blocks });
    }
    (sections, decided)
}

fn confused(report: &TagReport) -> Vec<Vec<String>> {
    let mut pairs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for word in &report.predictions {
        if let Some(actual) = word.actual.as_deref().filter(|tag| *tag != word.predicted) {
            pairs.entry((actual, &word.predicted)).or_default().push(&word.word);
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(_, words)| std::cmp::Reverse(words.len()));
    let row = |((actual, said), words): ((&str, &str), Vec<&str>)| {
        let some: Vec<&str> = words.iter().take(5).copied().collect();
        vec![actual.to_owned(), said.to_owned(), words.len().to_string(), some.join(", ")]
    };
    pairs.into_iter().take(CONFUSED).map(row).collect()
}
