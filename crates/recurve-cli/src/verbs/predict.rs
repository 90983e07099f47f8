//! `recurve predict`: a model over a whole file.

use crate::{args, console};
use recurve_train::atomic;
use recurve_train::error::Result;
use recurve_train::imported;
use recurve_train::task::Predictions;
use std::path::Path;

/// Runs over the file and writes every prediction: as CSV to the output file or to standard output,
/// or as JSON lines.
pub(crate) fn run(args: &args::Predict, json: bool) -> Result<()> {
    if imported::is_imported(&args.run) {
        let csv = super::imported::predict(args)?;
        return match &args.output {
            Some(path) => atomic::write(path, &csv),
            None => console::write(&csv),
        };
    }
    super::only_for_sound(args.frames)?;
    let predictions = super::load(&args.run, args.threads)?.predict(&args.data)?;
    match &args.output {
        Some(path) => {
            atomic::write(path, &predictions.csv)?;
            tell(&predictions, path, json)
        }
        None if json => predictions.json.iter().try_for_each(console::json),
        None => console::write(&predictions.csv),
    }
}

/// What was written to a file, in short.
fn tell(predictions: &Predictions, path: &Path, json: bool) -> Result<()> {
    let (count, (fields, words)) = (predictions.json.len(), &predictions.scores);
    if json {
        let mut told = serde_json::json!({ "output": path, "predictions": count });
        if let Some(told) = told.as_object_mut() {
            told.extend(fields.clone());
        }
        return console::json(&told);
    }
    console::line(format!("{}: {count} {}", path.display(), predictions.what))?;
    words.iter().try_for_each(console::line)
}
