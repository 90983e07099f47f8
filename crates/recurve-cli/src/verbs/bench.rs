//! `recurve bench`.

use crate::args;
use crate::args::{Memory, Mode};
use crate::bench::{
    By, Contender, Measured, PRESETS, Shape, gates, in_turns, measure, peak, preset, scans,
};
use crate::console;
use recurve_nn::{CellKind, Precision};
use recurve_train::error::{Error, Result};
use serde::Serialize;

/// Times the shapes that were asked for.
pub(crate) fn run(args: &args::Bench, json: bool) -> Result<()> {
    if args.list {
        return list(json);
    }
    if !(args.seconds >= 0.0 && args.seconds <= 86_400.0) {
        let text = format!("--seconds {}: expected a time from 0 to 86400", args.seconds);
        return Err(Error::usage(text));
    }
    match args.preset.as_deref() {
        Some("cells") => return beside(args, gates, json),
        Some("scans") => return beside(args, scans, json),
        _ => {}
    }
    let shapes = shapes(args)?;
    for (_, shape) in &shapes {
        check(shape)?;
    }
    let engine = super::engine(args.threads)?.with_precision(precision(&args.dtype, &shapes)?);
    if !json {
        let (isa, threads) = (engine.isa(), engine.threads());
        console::note(format!("{isa}, {}", super::threads(threads)));
        console::line(HEAD)?;
    }
    for (name, shape) in shapes {
        let peak = peak(engine);
        let mut measured = measure(&shape, engine, args.seconds, peak)?;
        measured.name = name;
        if json {
            console::json(&measured)?;
        } else {
            console::line(row(&measured))?;
        }
    }
    Ok(())
}

fn precision(name: &str, shapes: &[(Option<String>, Shape)]) -> Result<Precision> {
    let all = [Precision::Full, Precision::Bf16, Precision::Int8];
    let Some(precision) = all.into_iter().find(|precision| precision.name() == name) else {
        let names = all.map(Precision::name).join(", ");
        return Err(Error::usage(format!("--dtype {name}: no such type; there are {names}")));
    };
    let trains = shapes.iter().any(|(_, shape)| shape.mode == Mode::Train);
    if precision == Precision::Int8 && trains {
        return Err(Error::usage(format!(
            "--dtype {name} with --mode train: not available; choose --mode infer or step"
        )));
    }
    Ok(precision)
}

fn shapes(args: &args::Bench) -> Result<Vec<(Option<String>, Shape)>> {
    let Some(wanted) = &args.preset else {
        return Ok(vec![(None, typed(args)?)]);
    };
    let varied = |shape: Shape| Shape { lengths: args.lengths, memory: args.memory, ..shape };
    if wanted == "all" {
        let of_mode =
            PRESETS.iter().filter(|(_, shape)| args.mode.is_none_or(|mode| mode == shape.mode));
        return Ok(of_mode
            .map(|(name, shape)| (Some((*name).to_owned()), varied(*shape)))
            .collect());
    }
    let Some(shape) = preset(wanted) else {
        let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
        return Err(Error::usage(format!(
            "--preset {wanted}: no such shape; there are {}, all, cells and scans",
            names.join(", ")
        )));
    };
    let mode = args.mode.unwrap_or(shape.mode);
    let shape = Shape { mode, ..varied(shape) };
    Ok(vec![(Some(wanted.clone()), shape)])
}

/// Cells and options beside the LSTM.
fn beside(args: &args::Bench, contenders: fn(Mode) -> Vec<Contender>, json: bool) -> Result<()> {
    if args.lengths.is_some() || args.memory == Memory::Low || args.mode == Some(Mode::Step) {
        return Err(Error::usage(
            "--preset cells and --preset scans compare training and inference of whole batches; leave out \
             --lengths, --memory and --mode step",
        ));
    }
    let modes = args.mode.map_or(vec![Mode::Train, Mode::Infer], |mode| vec![mode]);
    let all: Vec<Contender> = modes.into_iter().flat_map(contenders).collect();
    let shapes: Vec<_> = all.iter().map(|one| (None, one.shape)).collect();
    let engine = super::engine(args.threads)?.with_precision(precision(&args.dtype, &shapes)?);
    if !json {
        console::note(format!("{}, {}", engine.isa(), super::threads(engine.threads())));
        console::line(
            "mode   cell or option                  its rate or time     that of the LSTM  quotient  wanted",
        )?;
    }
    let mut below = vec![];
    for contender in &all {
        let beside = in_turns(contender, engine, args.seconds)?;
        if json {
            console::json(&beside)?;
            continue;
        }
        let unit = if beside.by == By::Rate { "GFLOP/s" } else { "µs a step" };
        let [own, lstm] = beside.values;
        let (mode, name) = (format!("{:?}", beside.mode).to_lowercase(), &beside.name);
        let (quotient, wanted) = (beside.quotient, beside.wanted);
        console::line(format!(
            "{mode:6} {name:28} {own:>9.1} {unit:9} {lstm:>10.1} {unit:9} {quotient:>8.2} {wanted:>7}"
        ))?;
        if quotient < wanted {
            below.push(format!("{name} ({mode}, {quotient:.2})"));
        }
    }
    if !json {
        let none = below.is_empty();
        let below = if none { "none".to_owned() } else { below.join(", ") };
        console::line(format!("below what is wanted: {below}"))?;
    }
    Ok(())
}

/// Refuses what would be ignored.
fn check(shape: &Shape) -> Result<()> {
    if shape.mode == Mode::Step && shape.lengths.is_some() {
        return Err(Error::usage("--lengths has no meaning for --mode step"));
    }
    if shape.mode != Mode::Train && shape.memory == Memory::Low {
        return Err(Error::usage("--memory low has a meaning for --mode train only"));
    }
    Ok(())
}

fn typed(args: &args::Bench) -> Result<Shape> {
    let mode = args.mode.unwrap_or(Mode::Train);
    Ok(Shape {
        mode,
        cell: cell(&args.cell)?,
        steps: args.steps,
        batch: args.batch,
        input: args.input,
        hidden: args.hidden,
        layers: args.layers,
        bidirectional: args.bidirectional,
        stages: args.stages,
        lengths: args.lengths,
        memory: args.memory,
    })
}

fn cell(name: &str) -> Result<CellKind> {
    let wanted = if name == "rnn" { "rnn-tanh" } else { name };
    CellKind::named(wanted).map_err(|error| Error::usage(format!("--cell {name}: {error}")))
}

/// A line of `--list --json`.
#[derive(Serialize)]
struct Named {
    name: &'static str,
    #[serde(flatten)]
    shape: Shape,
}

fn list(json: bool) -> Result<()> {
    for (name, shape) in PRESETS {
        if json {
            console::json(&Named { name, shape })?;
            continue;
        }
        let mode = format!("{:?}", shape.mode).to_lowercase();
        console::line(format!(
            "{name:12} {mode:6} {:10} T {:4}  B {:4}  I {:5}  H {:5}  L {}{}",
            shape.cell.name(),
            shape.steps,
            shape.batch,
            shape.input,
            shape.hidden,
            shape.layers,
            if shape.bidirectional { "  bidirectional" } else { "" }
        ))?;
    }
    Ok(())
}

const HEAD: &str =
    "shape           median ms        min ms   runs   GFLOP/s  of the peak of   memory MiB";

fn row(measured: &Measured) -> String {
    let name = measured.name.as_deref().unwrap_or("as typed");
    let memory = measured.peak_rss_mb.map_or_else(|| "?".to_owned(), |mb| format!("{mb:.0}"));
    format!(
        "{name:12} {:>12} {:>13} {:>6} {:>9.1}  {:>3.0} % of {:>6.0} {memory:>12}",
        measured.median_ms,
        measured.min_ms,
        measured.runs,
        measured.gflops,
        100.0 * measured.gflops / measured.peak_gflops,
        measured.peak_gflops,
    )
}
