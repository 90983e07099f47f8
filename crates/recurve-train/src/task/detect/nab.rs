//! How good alarms are, where it is known when something was wrong: the score of the Numenta Anomaly Benchmark.
//!
//! Of each window in which something was wrong only the first alarm counts, the earlier the better; a window
//! without one costs 1. Each alarm outside of the windows costs 0.11, less where a window has just ended. The
//! first 15 % of the rows, at most 750, count nothing. 0 is no alarm at all, 100 is every window at its first
//! row and nothing else (Lavin & Ahmad 2015; the standard profile).

use serde::Serialize;

/// What an alarm outside of the windows costs.
const FALSE: f64 = 0.11;

/// Rows in which something was wrong: the first and the last.
pub type Window = (usize, usize);

/// How good the alarms of one or several streams are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NabScore {
    /// Windows in which something was wrong.
    pub windows: usize,
    /// Those with an alarm.
    pub found: usize,
    /// Alarms outside of them.
    pub false_alarms: usize,
    /// The sum of what alarms give and cost.
    pub raw: f64,
}

impl NabScore {
    /// From 0, no alarm at all, to 100; none where nothing was ever wrong.
    pub fn score(&self) -> Option<f64> {
        let windows = self.windows as f64;
        (self.windows > 0).then(|| 100.0 * (self.raw + windows) / (2.0 * windows))
    }

    /// That of the streams of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            found: self.found + other.found,
            false_alarms: self.false_alarms + other.false_alarms,
            raw: self.raw + other.raw,
        }
    }
}

/// From almost 1 at -1 over 0 at 0 to almost -1 at 1.
fn sigmoid(y: f64) -> f64 {
    2.0 / (1.0 + (5.0 * y).exp()) - 1.0
}

/// Rows of a stream that count nothing.
pub fn warm_up(rows: usize) -> usize {
    (rows * 15 / 100).min(750)
}

/// Judges alarms, at these rows of a stream of `rows`. Windows are in order and apart.
pub fn judge(alarms: &[usize], windows: &[Window], rows: usize) -> NabScore {
    let mut best: Vec<Option<f64>> = vec![None; windows.len()];
    let mut score = NabScore { windows: windows.len(), ..NabScore::default() };
    for alarm in alarms.iter().copied().filter(|alarm| (warm_up(rows)..rows).contains(alarm)) {
        let within = windows.iter().position(|(first, last)| (*first..=*last).contains(&alarm));
        if let Some(at) = within {
            let (first, last) = windows[at];
            let width = (last - first + 1) as f64;
            let value = sigmoid(-((last - alarm + 1) as f64) / width) / sigmoid(-1.0);
            best[at] = Some(best[at].map_or(value, |best| best.max(value)));
            continue;
        }
        score.false_alarms += 1;
        let before = windows.iter().rev().find(|(_, last)| *last < alarm);
        let far = before.map(|(first, last)| (alarm - last) as f64 / (last - first).max(1) as f64);
        score.raw += FALSE * far.filter(|far| *far <= 3.0).map_or(-1.0, sigmoid);
    }
    score.found = best.iter().flatten().count();
    score.raw += best.iter().map(|best| best.unwrap_or(-1.0)).sum::<f64>();
    score
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let windows = [(200, 299), (600, 699)];
        let none = judge(&[], &windows, 1000);
        assert_eq!((none.raw, none.score()), (-2.0, Some(0.0)));
        let perfect = judge(&[200, 600, 650], &windows, 1000);
        assert!((perfect.score().unwrap() - 100.0).abs() < 1e-9);
        assert_eq!((perfect.found, perfect.false_alarms), (2, 0));
        // The middle of the first window: y = -0.5, so 2 / (1 + e^-2.5) - 1 = 0.848284 over 0.986614.
        let late = judge(&[250], &windows, 1000);
        assert!((late.raw - (0.848_283_639 / 0.986_614_298 - 1.0)).abs() < 1e-6, "{late:?}");
        // Far from any window; 50 rows after one of 100: 0.11 * s(50 / 99); within the first 15 %.
        assert!((judge(&[190], &windows, 1000).raw - (-2.0 - 0.11)).abs() < 1e-9);
        let after = judge(&[349], &windows, 1000).raw + 2.0;
        assert!((after - 0.11 * sigmoid(50.0 / 99.0)).abs() < 1e-12);
        assert!((judge(&[599], &windows, 1000).raw - (-2.0 - 0.11)).abs() < 1e-9);
        assert_eq!(judge(&[149], &windows, 1000).raw, -2.0);
        assert_eq!(warm_up(10_000), 750);
        let both = perfect.and(none);
        assert!((both.score().unwrap() - 50.0).abs() < 1e-9);
        assert_eq!(judge(&[500], &[], 1000).score(), None);
    }

    proptest! {
        #[test]
        fn the_first_alarm_of_a_window_decides(first in 200..298_usize, more in 0..100_usize) {
            let windows = [(200, 299)];
            let alone = judge(&[first], &windows, 1000);
            let later = (first + 1 + more).min(299);
            prop_assert_eq!(alone.raw, judge(&[first, later], &windows, 1000).raw);
            prop_assert!(alone.raw >= judge(&[later], &windows, 1000).raw);
        }
    }
}
