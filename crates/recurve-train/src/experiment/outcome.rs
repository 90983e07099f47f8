//! What an experiment came to: numbers with their words, drawn and written by whoever shows them.

use serde::Serialize;

/// The result of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// What was found, computed from the numbers, the most important first.
    pub findings: Vec<String>,
    /// Under which conditions: names and values.
    pub conditions: Vec<(String, String)>,
    /// Curves to be drawn.
    pub figures: Vec<Figure>,
    /// The same and more as numbers.
    pub tables: Vec<Table>,
}

/// Curves over common axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upward.
    pub y: Axis,
    /// The curves.
    pub curves: Vec<Curve>,
    /// A height to compare with, and what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<(String, f64)>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// What it counts or measures.
    pub name: String,
    /// Whether equal distances are equal factors.
    pub logarithmic: bool,
    /// Of an axis that neither counts nor measures, the names of the places 0, 1, 2, …; points on it are not joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Axis {
    /// An axis on which equal distances are equal differences.
    pub fn linear(name: impl Into<String>) -> Self {
        Self { name: name.into(), logarithmic: false, names: vec![] }
    }
    /// An axis on which equal distances are equal factors.
    pub fn logarithmic(name: impl Into<String>) -> Self {
        Self { name: name.into(), logarithmic: true, names: vec![] }
    }
    /// An axis of places with names.
    pub fn named(name: impl Into<String>, names: Vec<String>) -> Self {
        Self { name: name.into(), logarithmic: false, names }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its points from left to right.
    pub points: Vec<Point>,
}

/// A value at a place, over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The middle one of the seeds (the mean of the two middle ones of an even number).
    pub median: f64,
    /// The lowest of the seeds.
    pub low: f64,
    /// The highest of the seeds.
    pub high: f64,
}

impl Point {
    /// The point of some seeds at `x`; not a number where there are none.
    pub fn of(x: f64, seeds: &[f64]) -> Self {
        let mut sorted = seeds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        let median = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { x, median, low: at(0), high: at(last) }
    }
}

/// Numbers in rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// What they are.
    pub title: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows; the first cell names the row.
    pub rows: Vec<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_middle_and_the_ends_of_the_seeds() {
        let of = |seeds: &[f64]| Point::of(2.0, seeds);
        assert_eq!(of(&[3.0, 1.0, 7.0]), Point { x: 2.0, median: 3.0, low: 1.0, high: 7.0 });
        assert_eq!(of(&[3.0, 1.0]), Point { x: 2.0, median: 2.0, low: 1.0, high: 3.0 });
        assert!(of(&[]).median.is_nan());
    }
}
