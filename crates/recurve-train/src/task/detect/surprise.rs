//! From errors of prediction to alarms, row by row.
//!
//! How large an error is means nothing by itself: some streams are noisy. So the mean of the last few errors is
//! compared with what such means were before: the *surprise* is how many standard deviations it lies above their
//! mean (as in the anomaly likelihood of Lavin & Ahmad 2015, whose tail probability is a function of it). What
//! is compared leaves out the newest errors themselves. An event makes many errors; it is told once: after a
//! surprise only one that is clearly greater is an alarm, until it is forgotten.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Means that must have been seen before there is a surprise.
const FEWEST: usize = 50;
/// The smallest standard deviation, in that of the training part.
const LEAST: f64 = 1e-3;
/// How much greater than those before a surprise must be to be told too.
const GREATER: f64 = 1.1;

/// How errors become alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarms {
    /// Errors of which the mean is taken.
    pub smoothing: usize,
    /// Rows after a surprise in which only a greater one is an alarm.
    pub quiet: usize,
    /// Standard deviations from which on a surprise is an alarm.
    pub threshold: f64,
}

/// Errors so far.
#[derive(Clone, Debug)]
pub(super) struct Surprise {
    how: Alarms,
    recent: VecDeque<f64>,
    /// Means that are not compared with yet.
    waiting: VecDeque<f64>,
    count: f64,
    mean: f64,
    squares: f64,
    /// Surprises of the last rows that no later one reaches, with their rows.
    peaks: VecDeque<(u64, f64)>,
    row: u64,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) surprise: f64,
    pub(super) alarm: bool,
}

impl Surprise {
    pub(super) fn new(how: Alarms) -> Self {
        Self {
            how,
            recent: VecDeque::new(),
            waiting: VecDeque::new(),
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
            peaks: VecDeque::new(),
            row: 0,
        }
    }

    /// Takes the next error.
    pub(super) fn push(&mut self, error: f64) -> Judged {
        let how = self.how;
        if self.recent.len() == how.smoothing {
            self.recent.pop_front();
        }
        self.recent.push_back(error);
        let now = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
        if self.waiting.len() == how.smoothing {
            let then = self.waiting.pop_front().unwrap_or(now);
            // Welford's sums, which lose no digits.
            self.count += 1.0;
            let before = then - self.mean;
            self.mean += before / self.count;
            self.squares += before * (then - self.mean);
        }
        self.waiting.push_back(now);
        let deviation = (self.squares / self.count.max(1.0)).sqrt().max(LEAST);
        let enough = self.count >= FEWEST as f64;
        let surprise = if enough { ((now - self.mean) / deviation).max(0.0) } else { 0.0 };
        while self.peaks.front().is_some_and(|(row, _)| row + (how.quiet as u64) < self.row) {
            self.peaks.pop_front();
        }
        let peak = self.peaks.front().map_or(0.0, |(_, peak)| *peak);
        let fresh = surprise > GREATER * peak;
        while self.peaks.back().is_some_and(|(_, peak)| *peak <= surprise) {
            self.peaks.pop_back();
        }
        self.peaks.push_back((self.row, surprise));
        self.row += 1;
        Judged { surprise, alarm: fresh && surprise >= how.threshold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_event_is_told_once() {
        let how = Alarms { smoothing: 2, quiet: 20, threshold: 5.0 };
        let mut own = Surprise::new(how);
        let usual = |at: usize| 1.0 + 0.1 * ((at % 3) as f64 - 1.0);
        let mut alarms = vec![];
        for at in 0..400 {
            let error = match at {
                30 | 200..204 => 9.0,
                300 => 30.0,
                _ => usual(at),
            };
            if own.push(error).alarm {
                alarms.push(at);
            }
        }
        // Too early at 30; the second error of the event makes a greater mean.
        assert_eq!(alarms, [200, 201, 300]);
    }

    proptest! {
        #[test]
        fn surprises_are_those_of_the_definition(
            errors in prop::collection::vec(0.0..4.0_f64, 60..160),
            smoothing in 1..5_usize,
        ) {
            let mut own = Surprise::new(Alarms { smoothing, quiet: 3, threshold: 2.0 });
            let means: Vec<f64> = (0..errors.len())
                .map(|at| {
                    let last = &errors[(at + 1).saturating_sub(smoothing)..=at];
                    last.iter().sum::<f64>() / last.len() as f64
                })
                .collect();
            for (at, error) in errors.iter().enumerate() {
                let judged = own.push(*error);
                let before = &means[..at.saturating_sub(smoothing - 1).min(at)];
                let count = before.len() as f64;
                if before.len() < FEWEST {
                    prop_assert_eq!(judged.surprise, 0.0);
                    continue;
                }
                let mean = before.iter().sum::<f64>() / count;
                let squares: f64 = before.iter().map(|m| (m - mean).powi(2)).sum();
                let expected = ((means[at] - mean) / (squares / count).sqrt().max(LEAST)).max(0.0);
                prop_assert!((judged.surprise - expected).abs() < 1e-9 * (1.0 + expected));
            }
        }
    }
}
