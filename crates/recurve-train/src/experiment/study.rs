//! Many runs that differ in one thing: all cases, each from all seeds, side by side.

use super::learner::{Subject, Training, side_by_side, train};
use super::outcome::Table;
use super::problem::Problem;
use super::{Options, score_text};
use crate::error::Result;

/// A subject that learns a problem with a learning rate of its own.
pub(super) struct Case<'a> {
    /// What is learned.
    pub(super) problem: &'a dyn Problem,
    /// Its name in the lines that tell of progress.
    pub(super) about: String,
    /// Who learns.
    pub(super) subject: Subject,
    /// The learning rate.
    pub(super) rate: f64,
}

/// The score of every case and seed.
pub(super) fn scores(
    cases: &[Case<'_>],
    training: Training,
    options: &Options<'_>,
) -> Result<Vec<Vec<f64>>> {
    let seeds = options.seeds();
    let jobs: Vec<(&Case<'_>, u64)> =
        cases.iter().flat_map(|case| seeds.iter().map(move |seed| (case, *seed))).collect();
    let scores = side_by_side(&jobs, |(case, seed)| {
        let training = Training { rate: case.rate, seed: *seed, ..training };
        let score = train(case.problem, &case.subject, training)?.score();
        let (about, name) = (&case.about, &case.subject.name);
        (options.watch)(&format!("{about}: {name}, seed {seed}: {}", score_text(score)));
        Ok(score)
    })?;
    Ok(scores.chunks_exact(seeds.len()).map(<[f64]>::to_vec).collect())
}

/// A table of scores of seeds, "median (lowest to highest)".
pub(super) fn table(
    title: &str,
    corner: &str,
    columns: &[String],
    rows: impl Iterator<Item = (String, Vec<Vec<f64>>)>,
) -> Table {
    let row = |(name, cells): (String, Vec<Vec<f64>>)| {
        let cells = cells.iter().map(|seeds| {
            let point = super::outcome::Point::of(0.0, seeds);
            let (median, low, high) =
                (score_text(point.median), score_text(point.low), score_text(point.high));
            if low == high { median } else { format!("{median} ({low} to {high})") }
        });
        std::iter::once(name).chain(cells).collect()
    };
    Table {
        title: title.to_owned(),
        head: std::iter::once(corner.to_owned()).chain(columns.iter().cloned()).collect(),
        rows: rows.map(row).collect(),
    }
}
