//! `recurve translate`: a target for every line of standard input.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Search, Translator};
use serde_json::json;
use std::io::{self, BufRead};

/// Lines that are translated at once.
const AT_ONCE: usize = 64;

/// Reads a source from each line and writes what is best for it; with `--best` a line for each, numbered by the
/// line of the source.
pub(crate) fn run(args: &args::Translate, json: bool) -> Result<()> {
    if args.best > args.beam {
        return Err(Error::usage(format!(
            "--best {} of a --beam of {}; keep at least as many beginnings as targets are wanted",
            args.best, args.beam
        )));
    }
    let file = ModelFile::load(&args.run)?;
    let search = Search {
        beam: args.beam as usize,
        best: args.best as usize,
        length_power: args.length_power,
    };
    let model = Translator::of(file, super::count(args.threads))?;
    let mut model = model.with_search(search);
    let (mut lines, mut first) = (vec![], 1);
    for (at, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                Error::usage(format!("standard input, line {}: it is not UTF-8 text", at + 1))
            }
            _ => Error::failed("cannot read standard input").with_source(error),
        })?;
        lines.push(line);
        if lines.len() == AT_ONCE {
            tell(&mut model, &std::mem::take(&mut lines), first, (args.best, json))?;
            first = at + 2;
        }
    }
    tell(&mut model, &lines, first, (args.best, json))
}

fn tell(
    model: &mut Translator,
    lines: &[String],
    first: usize,
    (best, json): (u32, bool),
) -> Result<()> {
    for ((at, source), found) in (first..).zip(lines).zip(model.translate(lines)?) {
        if json {
            let found: Vec<_> = found
                .iter()
                .map(|own| {
                    json!({
                        "target": own.predicted,
                        "log_probability": own.log_probability,
                        "symbols": own.attended.target,
                        "attention": own.attended.weights,
                    })
                })
                .collect();
            console::json(&json!({ "source": source, "targets": found }))?;
            continue;
        }
        if found.is_empty() && best == 1 {
            console::line("")?;
        }
        for own in found {
            match best {
                1 => console::line(own.predicted)?,
                _ => console::line(format!("{at}\t{:.4}\t{}", own.log_probability, own.predicted))?,
            }
        }
    }
    Ok(())
}
