//! The page of a cross-validation: what every fold came to, and how far they lie apart.

use super::page::{Block, Page, Section};
use crate::console;
use recurve_train::folds::{CrossValidation, Spread};
use std::path::Path;

/// A measure over all folds, in words.
pub(crate) fn spread(spread: &Spread) -> String {
    format!(
        "{}: {} ± {} over {} folds",
        spread.measure,
        console::number(spread.mean),
        console::number(spread.deviation),
        spread.values.len()
    )
}

/// The page as an HTML file.
pub(crate) fn html(result: &CrossValidation, data: &Path, seconds: f64) -> String {
    let mut head = vec!["fold".to_owned(), "run".to_owned(), "best epoch".to_owned()];
    head.extend(result.measures.iter().map(|own| own.measure.clone()));
    let mut rows: Vec<Vec<String>> = vec![];
    for (at, fold) in result.folds.iter().enumerate() {
        let name = fold.run.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let epoch = format!("{} of {}", fold.best_epoch, fold.epochs);
        let values = result.measures.iter().map(|own| console::number(own.values[at]));
        rows.push([fold.fold.to_string(), name, epoch].into_iter().chain(values).collect());
    }
    for (name, value) in [
        ("mean", (|own: &Spread| own.mean) as fn(&Spread) -> f64),
        ("standard deviation", |own| own.deviation),
    ] {
        let values = result.measures.iter().map(|own| console::number(value(own)));
        let start = [name.to_owned(), String::new(), String::new()];
        rows.push(start.into_iter().chain(values).collect());
    }
    let marked = Some(result.folds.len());
    let better = result.folds.iter().all(|fold| fold.skills.iter().all(|own| own.skill > 0.0));
    let page = Page {
        title: format!("{}: cross-validation", result.name),
        headline: result.measures.first().map(spread).unwrap_or_default(),
        good: Some(better),
        facts: vec![
            ("Task".to_owned(), result.task.to_string()),
            ("Data".to_owned(), data.display().to_string()),
            ("Folds".to_owned(), result.folds.len().to_string()),
            ("Time".to_owned(), console::took(seconds)),
        ],
        sections: vec![
            Section {
                title: "Every fold".to_owned(),
                blocks: vec![
                    Block::Text(
                        "Each run trained on all other folds and was measured once, on the fold that it \
                         had not seen; so every sequence was held out exactly once."
                            .to_owned(),
                    ),
                    Block::Table { head, rows, marked },
                ],
            },
            Section {
                title: "In words".to_owned(),
                blocks: vec![Block::List(
                    result.folds.iter().map(|own| format!("{}: {}", own.fold, own.headline)).collect(),
                )],
            },
        ],
    };
    page.html()
}
