//! `recurve import`: another program's model becomes a run folder.

use crate::{args, console};
use recurve_interop::Options;
use recurve_train::error::{Error, Result};
use recurve_train::imported;
use serde_json::json;

/// Imports and tells what came of it.
pub(crate) fn run(args: &args::Import, json: bool) -> Result<()> {
    let options = options(&args.said)?;
    let folder = imported::import(&args.file, &options, args.output.as_deref(), &args.runs)?;
    let (facts, model) = (imported::facts(folder.path())?, imported::load(folder.path())?);
    let (kind, parts) = super::foreign::parts(&model);
    if json {
        return console::json(&json!({
            "run": folder.path(), "format": facts.format, "kind": kind, "assumed": facts.assumed, "parts": parts,
        }));
    }
    console::line(format!("{}: {kind} from {}", folder.path().display(), facts.format))?;
    parts.iter().try_for_each(|part| console::line(format!("  {part}")))?;
    facts.assumed.iter().try_for_each(|text| console::line(format!("assumed: {text}")))
}

/// What a person said, as the library takes it.
pub(super) fn options(said: &args::Said) -> Result<Options> {
    let pair = |text: &String, what: &str| -> Result<(String, String)> {
        let pair =
            text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let (name, value) =
            pair.ok_or_else(|| Error::usage(format!("`{text}`: expected {what}")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let mut fixed = vec![];
    for text in &said.fix {
        let (name, values) = pair(text, "NAME=VALUES, such as sr=16000")?;
        let values: std::result::Result<_, _> =
            values.split(',').map(|v| v.trim().parse::<f64>()).collect();
        let values =
            values.map_err(|_| Error::usage(format!("`{text}`: expected numbers after `=`")))?;
        fixed.push((name, values));
    }
    let states = said.state.iter().map(|text| pair(text, "INPUT=OUTPUT, such as h0=hn"));
    Ok(Options {
        prefix: said.prefix.clone(),
        layers: said.layers.clone(),
        rnn: said.nonlinearity.as_deref().map(imported::nonlinearity).transpose()?,
        fixed,
        states: states.collect::<Result<_>>()?,
        ..Options::default()
    })
}
