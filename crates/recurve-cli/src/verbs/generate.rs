//! `recurve generate`.

use crate::{args, console};
use recurve_train::atomic;
use recurve_train::data::{Roll, midi};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{ComposeOptions, GenerateOptions, LanguageModel, MusicModel, Task};
use serde_json::json;
use std::ops::ControlFlow;

/// Tokens and frames where no length is given.
const TOKENS: usize = 500;
const FRAMES: usize = 64;

/// Writes text, or music.
pub(crate) fn run(args: &args::Generate, json: bool) -> Result<()> {
    let file = ModelFile::load(&args.run)?;
    if file.task() == Task::Music {
        return music(args, file, json);
    }
    text(args, file, json)
}

/// Writes text, character by character as it comes.
fn text(args: &args::Generate, file: ModelFile, json: bool) -> Result<()> {
    let model = LanguageModel::of(file)?.with_threads(super::count(args.threads))?;
    let options = GenerateOptions {
        length: args.length.unwrap_or(TOKENS),
        temperature: args.temperature,
        top_k: args.top_k.unwrap_or(0),
        top_p: args.top_p.unwrap_or(1.0),
        seed: args.seed,
    };
    if args.top_k == Some(0) {
        return Err(Error::usage("--top-k must be at least 1"));
    }
    let prompt = args.prompt.as_deref().unwrap_or_default();
    if let Some(beam) = args.beam {
        let length = args.length.unwrap_or(TOKENS);
        let (text, log_probability) = model.likeliest(prompt, length, beam as usize)?;
        let whole = [prompt.as_bytes(), &text].concat();
        if let Some(path) = &args.output {
            atomic::write(path, &whole)?;
        }
        return match (json, args.output.is_some()) {
            (true, _) => console::json(&json!({
                "prompt": prompt,
                "text": String::from_utf8_lossy(&text),
                "length": length,
                "beam": beam,
                "log_probability": log_probability,
            })),
            (false, true) => Ok(()),
            (false, false) => {
                console::write(&whole)?;
                console::line("")
            }
        };
    }
    let mut text = vec![];
    let mut result = Ok(());
    let mut begun = false;
    let whole = json || args.output.is_some();
    model.generate(prompt, &options, &mut |bytes| {
        if whole {
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
    if let Some(path) = &args.output {
        atomic::write(path, &[prompt.as_bytes(), &text].concat())?;
    }
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
    if args.output.is_some() { Ok(()) } else { console::line("") }
}

/// Writes a piece, a line for each frame, or a file of it.
fn music(args: &args::Generate, file: ModelFile, json: bool) -> Result<()> {
    if args.top_k.is_some() || args.top_p.is_some() || args.beam.is_some() {
        return Err(Error::usage(
            "--top-k, --top-p and --beam choose among tokens; the keys of a frame are drawn one by one, \
             leave them out",
        ));
    }
    let begun = frames(args.prompt.as_deref().unwrap_or_default())?;
    let options = ComposeOptions {
        frames: args.length.unwrap_or(FRAMES),
        temperature: args.temperature,
        seed: args.seed,
    };
    let composed = MusicModel::of(file, super::count(args.threads))?.compose(&begun, &options)?;
    let piece: Roll = [&begun[..], &composed].concat();
    if let Some(path) = &args.output {
        let as_midi = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mid"));
        let bytes = if as_midi { midi(&piece) } else { json!([piece]).to_string().into_bytes() };
        atomic::write(path, &bytes)?;
    }
    if json {
        return console::json(&json!({
            "prompt": begun,
            "frames": composed,
            "temperature": options.temperature,
            "seed": options.seed,
        }));
    }
    if args.output.is_some() {
        return Ok(());
    }
    piece.iter().try_for_each(|notes| console::line(written(notes)))
}

/// The notes of a frame between blanks.
pub(crate) fn written(notes: &[u8]) -> String {
    notes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}

/// The frames of a prompt.
fn frames(prompt: &str) -> Result<Roll> {
    if prompt.trim().is_empty() {
        return Ok(vec![]);
    }
    let note = |word: &str| {
        word.parse::<u8>().map_err(|_| {
            Error::usage(format!(
                "--prompt: `{word}` is no note; write frames between commas and the numbers of their notes \
                 between blanks, like \"60 64 67, 62 65\""
            ))
        })
    };
    let frame = |frame: &str| frame.split_whitespace().map(note).collect();
    prompt.split(',').map(frame).collect()
}
