//! `recurve transcribe`: the text of every sequence of a file or folder.

use crate::{args, console};
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::Transcriber;
use serde_json::json;

/// Writes a line for each sequence: its name and its text; with where each symbol is heard as JSON.
pub(crate) fn run(args: &args::Transcribe, json: bool) -> Result<()> {
    let file = ModelFile::load(&args.run)?;
    let model = Transcriber::of(file, super::count(args.threads))?;
    let mut model = model.with_beam(args.beam as usize);
    for path in &args.data {
        let (found, alignments) = model.transcribe(path)?;
        for transcription in found {
            if json {
                let own = alignments.iter().find(|own| own.id == transcription.id);
                console::json(&json!({
                    "id": transcription.id,
                    "text": transcription.predicted,
                    "log_probability": transcription.log_probability,
                    "frames": own.map(|own| own.frames),
                    "symbols": own.map(|own| &own.symbols),
                }))?;
            } else {
                console::line(format!("{}\t{}", transcription.id, transcription.predicted))?;
            }
        }
    }
    Ok(())
}
