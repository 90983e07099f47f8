//! `recurve inspect`: what is in a run folder, a checkpoint, or any safetensors file.
//!
//! A file that says it is Recurve's must be whole: its checksum is verified. A file of another
//! program is shown as far as safetensors goes; numbers that are not finite are counted, not hidden.

mod tensors;

use crate::{args, console};
use recurve_interop::Format;
use recurve_train::checkpoint::Checkpoint;
use recurve_train::error::{Error, Result};
use recurve_train::imported;
use recurve_train::run::RunFolder;
use recurve_train::trainer::EpochRecord;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use tensors::Tensor;

/// Epochs that are shown; JSON has them all.
const EPOCHS: usize = 12;

#[derive(Serialize)]
struct Inspected {
    path: String,
    /// `recurve model`, `recurve checkpoint` or `safetensors`.
    kind: &'static str,
    bytes: usize,
    /// What the file says about itself; JSON texts as JSON.
    texts: BTreeMap<String, Value>,
    parameters: usize,
    tensors: Vec<Tensor>,
}

/// Looks and tells.
pub(crate) fn run(args: &args::Inspect, json: bool) -> Result<()> {
    if imported::is_imported(&args.path) {
        return tell_imported(args, json);
    }
    if !args.path.is_dir() {
        return inspect_file(args, json);
    }
    let folder = RunFolder::open(&args.path)?;
    let read = |path: &Path| path.exists().then(|| inspect(path)).transpose();
    let (model, checkpoint) = (read(&folder.model())?, read(&folder.checkpoint())?);
    if json {
        return console::json(&serde_json::json!({
            "run": folder.path(), "model": model, "checkpoint": checkpoint,
        }));
    }
    console::line(format!("run {}", folder.path().display()))?;
    match (&model, &checkpoint) {
        (Some(model), checkpoint) => tell(model, checkpoint.as_ref()),
        (None, Some(checkpoint)) => tell(checkpoint, None),
        (None, None) => Ok(()),
    }
}

/// A file of Recurve's, or of another program.
fn inspect_file(args: &args::Inspect, json: bool) -> Result<()> {
    let options = super::import::options(&args.said)?;
    let foreign = recurve_interop::open(&args.path, &options);
    // What does not begin as our own files do, and cannot be opened, is refused by its own words.
    let mut head = vec![];
    if let Ok(file) = fs::File::open(&args.path) {
        let _ = file.take(16).read_to_end(&mut head);
    }
    if head.len() == 16 && !recurve_interop::safetensors::is_beginning(&head) {
        foreign.as_ref().map(|_| ()).map_err(|error| match error.kind() {
            recurve_interop::Kind::Failed => Error::failed(error.to_string()),
            _ => Error::usage(error.to_string()),
        })?;
    }
    let safetensors = foreign.as_ref().map_or(true, |f| f.contents.format == Format::Safetensors);
    if !safetensors {
        let foreign = foreign.map_err(imported::told)?;
        return if json {
            console::json(&super::foreign::to_json(&foreign))
        } else {
            super::foreign::tell_all(&foreign)
        };
    }
    let inspected = inspect(&args.path)?;
    if json {
        return console::json(&inspected);
    }
    tell(&inspected, None)?;
    match foreign {
        Ok(foreign) if inspected.kind == "safetensors" => super::foreign::tell(&foreign),
        _ => Ok(()),
    }
}

/// A run folder with an imported model.
fn tell_imported(args: &args::Inspect, json: bool) -> Result<()> {
    let facts = imported::facts(&args.path)?;
    let (kind, parts) = super::foreign::parts(&imported::load(&args.path)?);
    if json {
        return console::json(
            &serde_json::json!({ "run": args.path, "imported": facts, "kind": kind, "parts": parts }),
        );
    }
    console::line(format!("run {}: {kind}", args.path.display()))?;
    console::line(format!("imported from {} ({})", facts.path.display(), facts.format))?;
    parts.iter().try_for_each(|part| console::line(format!("  {part}")))?;
    facts.assumed.iter().try_for_each(|text| console::line(format!("assumed: {text}")))
}

fn inspect(path: &Path) -> Result<Inspected> {
    let name = path.display();
    let refuse = |what: String| Error::usage(format!("`{name}`: {what}"));
    let bytes = match fs::metadata(path) {
        Ok(there) if !there.is_file() => return Err(refuse("it is not a regular file".to_owned())),
        _ => fs::read(path).map_err(|error| {
            Error::usage(format!("`{name}`: cannot read the file")).with_source(error)
        })?,
    };
    let (header, _) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|error| {
        refuse(format!(
            "this is no whole safetensors file ({error}); it was truncated, altered or is of another \
             kind"
        ))
    })?;
    let (texts, tensors) = tensors::read(&bytes)
        .map_err(|error| refuse(format!("this is no whole safetensors file ({error})")))?;
    let format = texts.get("format").map_or("", String::as_str);
    let ours = format.starts_with("recurve-") || texts.contains_key("sha256");
    let kind = match format {
        _ if !ours => "safetensors",
        "recurve-model-1" => "recurve model",
        _ => "recurve checkpoint",
    };
    // Texts that can be altered without a trace are another program's; ours have a checksum.
    if ours || mentions_recurve(&bytes[..(8 + header).min(bytes.len())]) {
        Checkpoint::from_bytes(&bytes).map_err(|error| error.context(format!("`{name}`")))?;
    }
    let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Inspected {
        path: name.to_string(),
        kind,
        bytes: bytes.len(),
        parameters: tensors.iter().map(|tensor| tensor.elements).sum(),
        texts: texts.into_iter().map(|(key, text)| (key, value(text))).collect(),
        tensors,
    })
}

/// Whether a header was written by Recurve, even where the key that says so is damaged.
fn mentions_recurve(header: &[u8]) -> bool {
    header.windows(8).any(|piece| piece == b"recurve-")
}

fn tell(file: &Inspected, history: Option<&Inspected>) -> Result<()> {
    console::line(format!(
        "{}: {}, {} bytes, {} tensors, {} numbers",
        file.path,
        file.kind,
        console::thousands(file.bytes as u64),
        file.tensors.len(),
        console::thousands(file.parameters as u64)
    ))?;
    for (key, value) in &file.texts {
        if let Some(text) = text(key, value) {
            console::line(format!("{key:12} {text}"))?;
        }
    }
    console::line("")?;
    let head = ["tensor", "type", "shape", "norm", "mean", "std", "min", "max", "not finite"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(file.tensors.iter().map(Tensor::row));
    if file.tensors.iter().all(|tensor| tensor.not_finite == 0) {
        rows.iter_mut().for_each(|row| row.truncate(head.len() - 1));
    }
    console::columns(&rows).iter().try_for_each(console::line)?;
    tell_history(history.unwrap_or(file))
}

/// A text of a file in one line; none where a line says nothing.
fn text(key: &str, value: &Value) -> Option<String> {
    let text = match (key, value) {
        ("sha256" | "progress" | "config", _) => return None,
        ("description", description) => layers(description),
        ("data", data) => data["path"].as_str().unwrap_or_default().to_owned(),
        ("best", best) => format!(
            "epoch {}, metric {}",
            best["epoch"].as_u64().unwrap_or(0) + 1,
            console::number(best["metric"].as_f64().unwrap_or(f64::NAN))
        ),
        ("reader", reader) => columns(reader),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    let line: String = text.replace('\n', " ").chars().take(300).collect();
    Some(line)
}

/// `values 1 → recurrent lstm 64 → pool last → linear 12`
fn layers(description: &Value) -> String {
    let words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let named = fields.iter().map(|(name, value)| match value {
                Value::Object(inner) => {
                    let inner = inner.iter().map(|(name, value)| {
                        let value = value.to_string();
                        format!("{name} {}", value.trim_matches('"'))
                    });
                    format!("{name} ({})", inner.collect::<Vec<_>>().join(", "))
                }
                other => format!("{name} {other}"),
            });
            named.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let empty = vec![];
    let layers = description["layers"].as_array().unwrap_or(&empty);
    let all = std::iter::once(&description["input"]).chain(layers);
    all.map(words).collect::<Vec<_>>().join(" → ")
}

/// How data is read: the columns of a table, or the tokens of a text.
fn columns(reader: &Value) -> String {
    if let Some(plan) = reader.get("table") {
        let names = |channels: &Value| {
            let channels = channels.as_array().map_or(&[][..], Vec::as_slice);
            let names = channels.iter().filter_map(|channel| channel["column"].as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let covariates = names(&plan["covariates"]);
        let covariates = if covariates.is_empty() { "none".to_owned() } else { covariates };
        return format!(
            "targets {}; covariates {covariates}; reads {} rows, forecasts {}",
            names(&plan["targets"]),
            plan["input"],
            plan["horizon"]
        );
    }
    let list = |names: &Value| {
        let names = names.as_array().map_or(&[][..], Vec::as_slice);
        names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    if let Some(sequences) = reader.get("sequences") {
        let (layout, answers) = (&sequences["source"]["layout"], &sequences["answers"]);
        let layout = layout.as_str().unwrap_or("unknown");
        return match answers.get("classes") {
            Some(names) => format!("layout {layout}; classes {}", list(names)),
            None => format!("layout {layout}; answers {answers}"),
        };
    }
    if let Some(tags) = reader.get("tags") {
        let known = tags["words"].as_array().map_or(0, Vec::len);
        return format!("{known} words; tags {}", list(&tags["tags"]));
    }
    let text = &reader["text"];
    match text["characters"].as_str() {
        Some(characters) => format!("{} characters: {characters:?}", characters.chars().count()),
        None => text["kind"].as_str().unwrap_or("unknown").to_owned(),
    }
}

fn tell_history(file: &Inspected) -> Result<()> {
    let history = file.texts.get("progress").map(|progress| &progress["history"]);
    let history = history.and_then(|history| serde_json::from_value(history.clone()).ok());
    let history: Vec<EpochRecord> = history.unwrap_or_default();
    if history.is_empty() {
        return Ok(());
    }
    let metric = history[0].metric.as_str();
    let head = ["epoch", "step", "loss", metric, "gradient", "learning rate", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let skipped = history.len().saturating_sub(EPOCHS);
    rows.extend(history.iter().enumerate().filter(|(at, e)| *at >= skipped || e.best).map(
        |(_, epoch)| {
            vec![
                epoch.epoch.to_string(),
                epoch.step.to_string(),
                console::number(epoch.loss),
                console::number(epoch.validation),
                console::number(epoch.grad_norm),
                console::number(epoch.learning_rate),
                if epoch.best { "best so far" } else { "" }.to_owned(),
            ]
        },
    ));
    // Of the earlier epochs, the last few that were best.
    let most = EPOCHS + 6;
    if rows.len() > most {
        rows.drain(1..=rows.len() - most);
    }
    console::line("")?;
    console::line(format!("{} epochs trained, the last of them:", history.len()))?;
    console::columns(&rows).iter().try_for_each(console::line)
}
