//! What a report says about a classifier: each class, and who is taken for whom.

use super::page::{Block, Section};
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{ClassifyReport, Reader};

/// Classes whose confusions are a table; of more, the most frequent mistakes are listed.
const TABLE: usize = 24;
/// Mistakes that are shown one by one.
const MISTAKES: usize = 20;

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(
    report: &ClassifyReport,
    file: &ModelFile,
) -> Result<(Vec<Section>, Vec<String>)> {
    let decided = match file.reader() {
        Reader::Sequences(reader) => reader.source.describe(),
        _ => vec![],
    };
    let mut good = vec![
        Block::Text(format!(
            "Measured on {} sequences of the {} part: accuracy {:.2} %, macro F1 {:.4}, cross-entropy \
             {:.4} nats. Always saying `{}`, the most frequent class of the training part, is right in \
             {:.2} %.",
            report.sequences,
            report.part,
            100.0 * report.accuracy,
            report.macro_f1,
            report.nats,
            report.majority,
            100.0 * report.majority_accuracy
        )),
        classes(report),
    ];
    if report.classes.len() <= TABLE {
        good.push(Block::Text("Rows are what is right, columns what was said.".to_owned()));
        good.push(confusion(report));
    }
    let mut sections = vec![Section { title: "How good it is".to_owned(), blocks: good }];
    let wrong = mistakes(report);
    if !wrong.is_empty() {
        let block = Block::Table {
            head: ["sequence", "is", "said", "probability of that"].map(str::to_owned).to_vec(),
            rows: wrong,
            marked: None,
        };
        let title = "Where it is wrong and most certain".to_owned();
        sections.push(Section { title, blocks: vec![block] });
    }
    Ok((sections, decided))
}

fn classes(report: &ClassifyReport) -> Block {
    let row = |class: &recurve_train::task::ClassReport| {
        vec![
            class.class.clone(),
            class.sequences.to_string(),
            format!("{:.4}", class.precision),
            format!("{:.4}", class.recall),
            format!("{:.4}", class.f1),
        ]
    };
    Block::Table {
        head: ["class", "sequences", "precision", "recall", "F1"].map(str::to_owned).to_vec(),
        rows: report.classes.iter().map(row).collect(),
        marked: None,
    }
}

fn confusion(report: &ClassifyReport) -> Block {
    let names = || report.classes.iter().map(|class| class.class.clone());
    let rows = report.confusion.iter().zip(names()).map(|(row, name)| {
        let cells = row.iter().map(|count| match count {
            0 => "·".to_owned(),
            count => count.to_string(),
        });
        std::iter::once(name).chain(cells).collect()
    });
    Block::Table {
        head: std::iter::once(String::new()).chain(names()).collect(),
        rows: rows.collect(),
        marked: None,
    }
}

fn mistakes(report: &ClassifyReport) -> Vec<Vec<String>> {
    let mut wrong: Vec<(f64, Vec<String>)> = report
        .predictions
        .iter()
        .filter_map(|prediction| {
            let actual =
                prediction.actual.as_ref().filter(|name| **name != prediction.predicted)?;
            let p = prediction.probabilities.iter().copied().fold(0.0, f64::max);
            let said = prediction.predicted.clone();
            Some((p, vec![prediction.id.clone(), actual.clone(), said, format!("{p:.3}")]))
        })
        .collect();
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0));
    wrong.into_iter().take(MISTAKES).map(|(_, row)| row).collect()
}
