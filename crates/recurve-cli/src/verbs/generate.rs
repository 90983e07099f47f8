//! `recurve generate`.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::task::{GenerateOptions, LanguageModel};
use serde_json::json;
use std::ops::ControlFlow;

/// Writes text, character by character as it comes.
pub(crate) fn run(args: &args::Generate, json: bool) -> Result<()> {
    let model = LanguageModel::load(&args.run)?.with_threads(super::count(args.threads))?;
    let options = GenerateOptions {
        length: args.length,
        temperature: args.temperature,
        top_k: args.top_k.unwrap_or(0),
        top_p: args.top_p.unwrap_or(1.0),
        seed: args.seed,
    };
    if args.top_k == Some(0) {
        return Err(Error::usage("--top-k must be at least 1"));
    }
    let prompt = args.prompt.as_deref().unwrap_or_default();
    let mut text = vec![];
    let mut result = Ok(());
    let mut begun = false;
    model.generate(prompt, &options, &mut |bytes| {
        if json {
            text.extend_from_slice(bytes);
            return ControlFlow::Continue(());
        }
        // The prompt only once it is known to be one the model can read.
        let prompt = if begun { "" } else { prompt };
        begun = true;
        result = console::write(&[prompt.as_bytes(), bytes].concat());
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result?;
    if json {
        return console::json(&json!({
            "prompt": prompt,
            "text": String::from_utf8_lossy(&text),
            "length": options.length,
            "temperature": options.temperature,
            "top_k": args.top_k,
            "top_p": args.top_p,
            "seed": options.seed,
        }));
    }
    console::line("")
}
