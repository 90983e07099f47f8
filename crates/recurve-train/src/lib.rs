//! Training for Recurve: from a file to a model that is measured, saved and used.
//!
//! ```text
//! file → data → batches → model: layers → kernels → loss
//!                           ↑                         │
//!  checkpoint ← optimiser ← clip ← gradients ← backward
//! ```
//!
//! The modules are the parts of a run, each usable alone. [`data`] turns tables into windows and text
//! into tokens. [`loss`], [`optimiser`], [`clip`], [`schedule`], [`accumulate`], [`initialise`],
//! [`stopping`] and [`nan_policy`] are what happens to a model between two steps; each has a small
//! description that stands in a configuration and a state that stands in a checkpoint. [`checkpoint`]
//! is one file that is whole or absent, as [`atomic`] writes all files. [`metrics`] and [`baseline`] say how good a model is, always
//! beside a naive one. [`profile`] says where the time of a training went. [`generate`] makes the long-time-lag tasks of the literature.
//!
//! [`compare`] trains architectures side by side, [`folds`] holds out every sequence in turn.
//!
//! [`config`], [`task`] and [`trainer`] put them together, [`run`] is the folder they write, and
//! [`model_file`] the one file that is enough to predict:
//!
//! ```no_run
//! use recurve_train::config::Settings;
//! use recurve_train::run::RunFolder;
//! use recurve_train::task::Forecaster;
//! use recurve_train::trainer::Trainer;
//! use std::path::Path;
//!
//! let mut settings = Settings::default();
//! settings.set("data.horizon=12")?;
//! let mut trainer = Trainer::prepare(Path::new("sales.csv"), &settings)?;
//! let folder = RunFolder::create(Path::new("runs"), &trainer.name())?;
//! trainer.train(&folder, &mut |_| {}, &Default::default())?;
//!
//! let mut forecaster = Forecaster::load(folder.path())?;
//! let forecast = forecaster.forecast(&forecaster.own_table(None)?)?;
//! println!("{:?}: {:?}", forecast.times, forecast.values);
//! # Ok::<(), recurve_train::error::Error>(())
//! ```
//!
//! What holds throughout: a seed gives the same bits for any number of threads; a resumed run ends as
//! an unbroken one; only the training part teaches, only the validation part chooses, and the test
//! part is looked at once; what is accepted is honoured, what is wrong is refused by name; and a
//! number that is not finite never reaches a checkpoint.

#![forbid(unsafe_code)]

pub mod accumulate;
pub mod atomic;
pub mod baseline;
pub mod checkpoint;
pub mod clip;
pub mod compare;
pub mod config;
pub mod data;
pub mod error;
pub mod experiment;
pub mod export;
pub mod folds;
pub mod generate;
pub mod imported;
pub mod initialise;
pub mod loss;
mod memory;
pub mod metrics;
pub mod model_file;
pub mod nan_policy;
mod narrow;
pub mod optimiser;
pub mod profile;
pub mod registry;
pub mod run;
pub mod schedule;
pub mod stopping;
pub mod task;
pub mod trainer;
pub mod tune;
