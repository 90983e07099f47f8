//! Places where the same units are on.
//!
//! A unit is on where its value, times the sign that it had in the chosen span, is at least a threshold. A
//! place is a run of steps, as long as it lasts, in which at least a share of the units is on; places
//! whose length is near that of the span come first (after Strobelt et al. 2018, LSTMVis).

use serde::Deserialize;
use serde_json::{Value, json};

/// What to look for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) part: usize,
    pub(crate) plane: String,
    /// Units with the sign of their value in the span.
    pub(crate) units: Vec<(usize, f32)>,
    pub(crate) threshold: f32,
    /// The share of units that must be on, from 0 to 1.
    pub(crate) share: f32,
    /// Steps of the span.
    pub(crate) length: usize,
    /// Where in the data to look.
    pub(crate) from: usize,
    pub(crate) count: usize,
}

/// Runs of steps that fit, the best first: `[first, end, mean share]`.
pub(crate) fn places(plane: &[f32], hidden: usize, ask: &Ask, from: usize) -> Vec<Value> {
    let needed = ask.share * ask.units.len() as f32;
    let on = |row: &[f32]| {
        let is_on = |&&(unit, sign): &&(usize, f32)| row[unit] * sign >= ask.threshold;
        ask.units.iter().filter(is_on).count() as f32
    };
    let counts: Vec<f32> = plane.chunks_exact(hidden).map(on).collect();
    let mut runs: Vec<(usize, usize, f32)> = vec![];
    for (t, count) in counts.iter().enumerate().filter(|(_, count)| **count >= needed.max(1.0)) {
        match runs.last_mut().filter(|run| run.1 == t) {
            Some(run) => (run.1, run.2) = (t + 1, run.2 + count),
            None => runs.push((t, t + 1, *count)),
        }
    }
    let off = |run: &(usize, usize, f32)| (run.1 - run.0).abs_diff(ask.length);
    runs.sort_by_key(|run| (off(run), run.0));
    runs.truncate(50);
    let tell = |(first, end, sum): &(usize, usize, f32)| {
        let mean = sum / (end - first) as f32 / ask.units.len().max(1) as f32;
        json!([first + from, end + from, mean])
    };
    runs.iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_length_come_first() {
        // Unit 0 is on (negative) at 1..3 and 5..6, unit 1 at 1..3 and 5..9.
        let rows = [[0.0, 0.0], [-0.9, 0.8], [-0.9, 0.8], [0.0, 0.0], [0.0, 0.0], [-0.9, 0.8]];
        let more = [[0.9, 0.8], [0.0, 0.8], [0.0, 0.8]];
        let plane: Vec<f32> = rows.iter().chain(&more).flatten().copied().collect();
        let ask = |share, length| Ask {
            part: 0,
            plane: "h".to_owned(),
            units: vec![(0, -1.0), (1, 1.0)],
            threshold: 0.5,
            share,
            length,
            from: 100,
            count: 9,
        };
        let found = places(&plane, 2, &ask(1.0, 2), 100);
        assert_eq!(found, [json!([101, 103, 1.0]), json!([105, 106, 1.0])]);
        let found = places(&plane, 2, &ask(0.5, 4), 100);
        assert_eq!(found[0], json!([105, 109, 0.625]));
        assert_eq!(found.len(), 2);
    }
}
