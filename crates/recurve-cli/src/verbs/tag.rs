//! `recurve tag`: a tag for every word of standard input.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::Tagger;
use serde_json::json;
use std::io::{self, BufRead};

/// Sentences that are tagged at once.
const AT_ONCE: usize = 256;

/// Reads a sentence from each line, its words between blanks, and writes a word and its tag per line, with an
/// empty line after each sentence.
pub(crate) fn run(args: &args::Tag, json: bool) -> Result<()> {
    let file = ModelFile::load(&args.run)?;
    let mut model = Tagger::of(file, super::count(args.threads))?;
    let mut sentences: Vec<Vec<String>> = vec![];
    for (at, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                Error::usage(format!("standard input, line {}: it is not UTF-8 text", at + 1))
            }
            _ => Error::failed("cannot read standard input").with_source(error),
        })?;
        sentences.push(line.split_whitespace().map(str::to_owned).collect());
        if sentences.len() == AT_ONCE {
            tell(&mut model, &std::mem::take(&mut sentences), json)?;
        }
    }
    tell(&mut model, &sentences, json)
}

fn tell(model: &mut Tagger, sentences: &[Vec<String>], json: bool) -> Result<()> {
    for (words, tags) in sentences.iter().zip(model.tag(sentences)?) {
        if json {
            console::json(&json!({ "words": words, "tags": tags }))?;
            continue;
        }
        for (word, tag) in words.iter().zip(tags) {
            console::line(format!("{word}\t{tag}"))?;
        }
        console::line("")?;
    }
    Ok(())
}
