//! `recurve export`.

use crate::{args, console};
use recurve_nn::Precision;
use recurve_train::error::Result;
use recurve_train::export::Export;

/// Exports a model and tells what it costs and what it saves.
pub(crate) fn run(args: &args::Export, json: bool) -> Result<()> {
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
