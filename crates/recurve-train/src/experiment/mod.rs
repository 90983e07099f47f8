//! Experiments that explain the LSTM: each asks one question, trains small models until the numbers
//! answer it, and says what was found, also where it is not what the textbooks expect.
//!
//! An experiment is a [`Problem`] or several (samples that a generator makes), some [`Subject`]s (cells,
//! sizes, starts), and what is compared. [`learner`] trains one subject on one problem; [`outcome`] is what
//! comes out: findings in words that are computed from the numbers, conditions, figures and tables. Whoever
//! shows it (the program draws a page) adds no number of its own.
//!
//! Every subject gets the same data, updates and optimiser, and for fairness its own learning rate, chosen
//! by short runs on samples that are not used again. Scores are of samples that no run trains on.

mod agreement;
mod bidirectional;
mod chorales;
mod depth;
mod forget_bias;
mod gates_off;
mod keeping;
mod lags;
pub mod learner;
mod long_lag;
pub mod outcome;
pub mod problem;
mod study;
mod tasks;
mod vanishing;

pub use learner::{Subject, Trained, Training};
pub use long_lag::{Lag, lags};
pub use outcome::Outcome;
pub use problem::Problem;

use crate::error::{Error, Result};
use std::path::PathBuf;

/// An experiment.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// What it is called.
    pub name: &'static str,
    /// The question that it asks.
    pub question: &'static str,
    run: fn(&Options<'_>) -> Result<Outcome>,
}

/// How thoroughly an experiment is made.
pub struct Options<'a> {
    /// Runs of each kind, which differ in their weights and samples; at least 1.
    pub seeds: u64,
    /// Whether it is only a first look: a twentieth of the updates, whose numbers mean little.
    pub quick: bool,
    /// Gets a line whenever a run has ended.
    pub watch: &'a (dyn Fn(&str) + Sync),
    /// Gives the files of a data set of the registry by its name.
    pub get: &'a (dyn Fn(&str) -> Result<Vec<PathBuf>> + Sync),
}

impl Options<'_> {
    fn updates(&self, whole: u64) -> u64 {
        if self.quick { whole / 20 } else { whole }
    }
    fn seeds(&self) -> Vec<u64> {
        (1..=self.seeds.max(1)).collect()
    }
}

/// All experiments.
pub const ALL: [Experiment; 8] = [
    Experiment {
        name: "agreement",
        question: "Over how many words does a network know which verb, which language must follow?",
        run: agreement::run,
    },
    Experiment {
        name: "vanishing",
        question: "How much of an error is left after many steps back?",
        run: vanishing::run,
    },
    Experiment { name: "lags", question: "How long a lag does each cell bridge?", run: lags::run },
    Experiment {
        name: "bidirectional",
        question: "What does it help to read from both ends?",
        run: bidirectional::run,
    },
    Experiment {
        name: "depth",
        question: "Are several layers better than one of the same number of weights?",
        run: depth::run,
    },
    Experiment {
        name: "forget-bias",
        question: "Why does an LSTM start with an open forget gate?",
        run: forget_bias::run,
    },
    Experiment {
        name: "gates-off",
        question: "Which parts of an LSTM matter: what happens when each is taken away?",
        run: gates_off::run,
    },
    Experiment {
        name: "long-lag",
        question: "How many sequences does it take to solve the tasks of the first papers on the LSTM?",
        run: long_lag::run,
    },
];

/// The experiment of this name.
///
/// # Errors
/// There is none; the error names the nearest and all.
pub fn find(name: &str) -> Result<&'static Experiment> {
    ALL.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names = ALL.iter().map(|experiment| experiment.name);
        let near = |known: &&str| (1000.0 * strsim::jaro(known, name)) as i64;
        let nearest = names.clone().max_by_key(near).unwrap_or_default();
        let all = names.collect::<Vec<_>>().join(", ");
        Error::usage(format!("no experiment `{name}`; did you mean `{nearest}`? There are {all}"))
    })
}

impl Experiment {
    /// Makes the experiment.
    ///
    /// # Errors
    /// A run that failed.
    pub fn run(&self, options: &Options<'_>) -> Result<Outcome> {
        (self.run)(options)
    }
}

/// A share as per cent.
fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A score with three significant digits.
fn score_text(score: f64) -> String {
    match score.abs() {
        size if !size.is_finite() => "no number".to_owned(),
        size if size >= 0.1 || size == 0.0 => format!("{score:.3}"),
        size if size >= 1e-4 => {
            format!("{score:.*}", (2 - size.log10().floor() as i32).max(0) as usize)
        }
        _ => format!("{score:.1e}"),
    }
}

/// The conditions of runs.
fn settings(training: Training, seeds: usize, network: &str) -> Vec<(String, String)> {
    let Training { updates, batch, .. } = training;
    [
        ("network", network.to_owned()),
        ("training", format!("{updates} updates of {batch} sequences, each new")),
        (
            "optimiser",
            "Adam, the rate falling as half a cosine, gradients clipped to norm 1".to_owned(),
        ),
        ("learning rate", "of each subject the best of some in short runs".to_owned()),
        ("seeds", seeds.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
