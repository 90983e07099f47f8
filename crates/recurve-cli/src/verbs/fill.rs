//! `recurve fill`: what stands in the blanks of a text.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Filled, Filler};
use std::io::{self, BufRead};

/// Fills the text that is given, or every line of standard input.
pub(crate) fn run(args: &args::Fill, json: bool) -> Result<()> {
    let file = ModelFile::load(&args.run)?;
    let mut model = Filler::of(file, super::count(args.threads))?;
    let mut fill =
        |source: &str, text: &str| tell(&model.fill(source, text, &args.blank, args.top)?, json);
    if let Some(text) = &args.text {
        return fill("the text", text);
    }
    for (at, line) in io::stdin().lock().lines().enumerate() {
        let source = format!("standard input, line {}", at + 1);
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Error::usage(format!("{source}: it is not UTF-8 text")),
            _ => Error::failed("cannot read standard input").with_source(error),
        })?;
        fill(&source, &line)?;
    }
    Ok(())
}

/// The text with its blanks filled, then each blank with what may stand there.
fn tell(filled: &Filled, json: bool) -> Result<()> {
    if json {
        return console::json(filled);
    }
    console::line(&filled.text)?;
    for own in &filled.blanks {
        let words = own.fillings.iter().map(|filling| {
            format!("{} {}", filling.text.escape_debug(), console::number(filling.probability))
        });
        let words: Vec<String> = words.collect();
        console::line(format!("  blank {}: {}", own.blank, words.join(" · ")))?;
    }
    Ok(())
}
