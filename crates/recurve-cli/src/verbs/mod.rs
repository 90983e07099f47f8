//! What each verb means: from what was typed to one call of the library, and to words about what it
//! gave.

pub(crate) mod backtest;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod detect;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod experiment;
#[cfg(feature = "explore")]
pub(crate) mod explore;
pub(crate) mod export;
pub(crate) mod fill;
pub(crate) mod find_lr;
mod folds;
pub(crate) mod forecast;
mod foreign;
pub(crate) mod generate;
pub(crate) mod import;
mod imported;
pub(crate) mod inspect;
pub(crate) mod predict;
pub(crate) mod reproduce;
pub(crate) mod stream;
pub(crate) mod tag;
pub(crate) mod train;
pub(crate) mod transcribe;
pub(crate) mod translate;
pub(crate) mod tune;

use crate::args::Threads;
use recurve_nn::Engine;
use recurve_train::error::{Error, Result};
use recurve_train::task::{self, Trained};
use std::path::Path;

/// Loads the model of a run folder or a model file.
pub(crate) fn load(run: &Path, wanted: Threads) -> Result<Box<dyn Trained>> {
    task::load(run, count(wanted))
}

/// The number of threads as the library takes it.
pub(crate) fn count(threads: Threads) -> usize {
    threads.threads.map_or(0, |threads| threads as usize)
}

/// Refuses what says how sound is cut, where there is none.
fn only_for_sound(frames: crate::args::Frames) -> Result<()> {
    if frames.hop.is_none() && frames.frame.is_none() {
        return Ok(());
    }
    Err(Error::usage(
        "--hop and --frame cut sound for imported models; this one was trained on a file",
    ))
}

/// The engine with as many threads as were asked for, at most as many as there are.
pub(crate) fn engine(threads: Threads) -> Result<Engine> {
    let engine = Engine::detect().map_err(|error| Error::usage(error.to_string()))?;
    let there = engine.threads();
    Ok(engine.with_threads(threads.threads.map_or(there, |n| (n as usize).min(there))))
}

/// A number of threads in words.
pub(crate) fn threads(count: usize) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}
