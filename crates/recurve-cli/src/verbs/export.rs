//! `recurve export`.

use crate::{args, console};
use clap::ValueEnum;
use recurve_interop::export::Target;
use recurve_nn::Precision;
use recurve_train::error::{Error, Result};
use recurve_train::export::Export;
use recurve_train::imported;
use recurve_train::run::RunFolder;

/// Exports a model and tells what it costs and what it saves.
pub(crate) fn run(args: &args::Export, json: bool) -> Result<()> {
    if let Some(format) = args.to {
        return to_format(args, format, json);
    }
    let precision = if args.int8 { Precision::Int8 } else { Precision::Bf16 };
    let export = Export {
        run: args.run.clone(),
        output: args.output.clone(),
        data: args.data.clone(),
        threads: args.threads.threads.map_or(0, |threads| threads as usize),
    };
    let exported = export.to(precision)?;
    if json {
        return console::json(&exported);
    }
    let kib = exported.bytes.map(|bytes| bytes as f64 / 1024.0);
    console::line(format!(
        "{}: {:.0} KiB in f32, {:.0} KiB with recurrent weights in {}",
        exported.path.display(),
        kib[0],
        kib[1],
        exported.precision
    ))?;
    for (when, evaluation) in [("before", &exported.before), ("after", &exported.after)] {
        console::line(format!("{when}:"))?;
        for line in evaluation.report().summary() {
            console::line(format!("  {line}"))?;
        }
    }
    Ok(())
}

/// Writes the model in the format of another program, into a folder of its own.
fn to_format(args: &args::Export, format: args::Format, json: bool) -> Result<()> {
    if args.data.is_some() || args.threads.threads.is_some() {
        return Err(Error::usage(
            "--data and --threads measure what rounding costs; nothing is rounded here",
        ));
    }
    let target = match format {
        args::Format::Onnx => Target::Onnx,
        args::Format::Torch | args::Format::Safetensors => Target::Torch,
        args::Format::Npz => Target::Npz,
        args::Format::Keras => Target::Keras,
    };
    let end = format.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
    let (path, mut files) = imported::export(&args.run, args.output.as_deref(), target, &end)?;
    if format == args::Format::Safetensors {
        files.retain(|file| !file.name.ends_with(".py"));
    }
    let folder = RunFolder::create_at(&path)?;
    files.iter().try_for_each(|file| folder.write(&file.name, &file.bytes))?;
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    if json {
        return console::json(&serde_json::json!({ "path": path, "files": names }));
    }
    console::line(format!("{}: {}", path.display(), names.join(", ")))
}
