//! `recurve doctor`: is this machine fit, and does it compute right?

mod checks;
mod machine;

use crate::{args, bench, console};
use recurve_nn::{CellKind, Engine, Isa};
use recurve_train::error::{Error, Result};
use serde::Serialize;
use std::path::Path;

/// Largest difference that the kernels may have to the reference, relative to the largest value.
const TOLERANCE: f64 = 1e-5;

#[derive(Serialize)]
struct Doctor {
    version: &'static str,
    cpu: String,
    isa_found: Vec<&'static str>,
    isa_used: &'static str,
    bf16_by: &'static str,
    threads: usize,
    cpu_quota: Option<f64>,
    product_gflops: f64,
    runs_folder: String,
    runs_writable: bool,
    checks: Vec<Check>,
    healthy: bool,
}

/// A cell on an instruction set beside the reference.
#[derive(Serialize)]
struct Check {
    cell: &'static str,
    isa: &'static str,
    /// The largest difference of outputs and gradients, relative to the largest value.
    difference: f64,
    passed: bool,
}

/// Looks, checks and tells; fails where something is wrong.
pub(crate) fn run(args: &args::Doctor, json: bool) -> Result<()> {
    let engine = Engine::detect().map_err(|error| Error::usage(error.to_string()))?;
    let found = Isa::available();
    let mut checks = vec![];
    for isa in &found {
        for cell in CellKind::ALL {
            let Some(difference) = checks::difference(cell, *isa)? else { continue };
            checks.push(Check {
                cell: cell.name(),
                isa: isa.name(),
                difference,
                passed: difference <= TOLERANCE,
            });
        }
    }
    let writable = writable(&args.runs);
    let doctor = Doctor {
        version: env!("CARGO_PKG_VERSION"),
        cpu: machine::cpu(),
        isa_found: found.iter().map(|isa| isa.name()).collect(),
        isa_used: engine.isa().name(),
        bf16_by: engine.half().name(),
        threads: engine.threads(),
        cpu_quota: machine::quota(),
        product_gflops: bench::peak(engine).round(),
        runs_folder: args.runs.display().to_string(),
        runs_writable: writable.is_ok(),
        healthy: writable.is_ok() && checks.iter().all(|check| check.passed),
        checks,
    };
    if json {
        console::json(&doctor)?;
    } else {
        tell(&doctor)?;
    }
    if let Some(check) = doctor.checks.iter().find(|check| !check.passed) {
        return Err(Error::failed(format!(
            "{} on {} differs from the reference by {:.1e}, at most {TOLERANCE:.0e} is right; set \
             RECURVE_ISA to another instruction set and report this",
            check.cell, check.isa, check.difference
        )));
    }
    writable
}

fn tell(doctor: &Doctor) -> Result<()> {
    let quota = doctor
        .cpu_quota
        .map_or_else(|| "no quota".to_owned(), |cpus| format!("quota of {cpus:.2} CPUs"));
    let rows = [
        ("recurve", doctor.version.to_owned()),
        ("CPU", doctor.cpu.clone()),
        ("instructions", format!("{} (found {})", doctor.isa_used, doctor.isa_found.join(", "))),
        ("products of bf16", doctor.bf16_by.to_owned()),
        ("threads", format!("{}, {quota}", super::threads(doctor.threads))),
        ("matrix product", format!("{:.0} GFLOP/s in f32", doctor.product_gflops)),
        (
            "runs",
            format!(
                "`{}` can{} be written",
                doctor.runs_folder,
                if doctor.runs_writable { "" } else { "not" }
            ),
        ),
    ];
    for (name, value) in rows {
        console::line(format!("{name:16} {value}"))?;
    }
    for isa in &doctor.isa_found {
        let own = doctor.checks.iter().filter(|check| check.isa == *isa);
        let worst = own.clone().map(|check| check.difference).fold(0.0, f64::max);
        let passed = own.clone().filter(|check| check.passed).count();
        console::line(format!(
            "{:16} {passed} of {} cells agree with the reference, forward and backward (largest \
             relative difference {worst:.1e})",
            format!("check {isa}"),
            own.count()
        ))?;
    }
    if doctor.healthy {
        console::line("all is well")?;
    }
    Ok(())
}

/// Whether a run folder could be made in `folder`.
fn writable(folder: &Path) -> Result<()> {
    let mut there = folder;
    while !there.exists() {
        there = match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    let tried = tempfile::Builder::new().prefix(".recurve-").tempdir_in(there);
    tried.map(drop).map_err(|error| {
        Error::failed(format!(
            "nothing can be written in `{}`; choose another folder with --runs",
            there.display()
        ))
        .with_source(error)
    })
}
