//! Where the time of a training goes, phase by phase.
//!
//! The measuring points are [spans](recurve_nn::profile) in the layers, the kernels and the trainer. Here
//! they become a table: a part whose name starts with a digit is a layer, or a layer in a stack, and
//! together they are named as its weights are (`1.recurrent.0.forward`); the other names are phases.
//! What is no part of a step (validation, checkpoints) is one phase each. The time that no span saw
//! stands there too, so the phases add up to the whole.

use recurve_nn::profile::{Entry, Profile};
use serde::Serialize;
use std::time::Duration;

/// The phases of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingProfile {
    /// Steps of the optimiser while it was recorded.
    pub steps: u64,
    /// Time that was recorded.
    pub seconds: f64,
    /// The phases in the order of a step.
    pub phases: Vec<Phase>,
}

/// One phase of one layer, or of the step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// The layer; empty where it is none.
    pub layer: String,
    /// What was done.
    pub phase: String,
    /// Milliseconds, divided by the steps.
    pub ms_per_step: f64,
    /// The part of all time: 0 to 1.
    pub share: f64,
}

impl TrainingProfile {
    /// Ends a recording of `steps` steps.
    pub(crate) fn of(profile: Profile, steps: u64) -> Self {
        let (entries, passed) = profile.end();
        Self::from_entries(&entries, passed, steps)
    }

    fn from_entries(entries: &[Entry], passed: Duration, steps: u64) -> Self {
        let mut phases: Vec<(String, String, Duration)> = vec![];
        let mut add = |layer: String, phase: String, time: Duration| match phases
            .iter_mut()
            .find(|(l, p, _)| (l, p) == (&layer, &phase))
        {
            Some((.., sum)) => *sum += time,
            None => phases.push((layer, phase, time)),
        };
        for entry in entries {
            let (layer, phase) = names(&entry.path);
            add(layer, phase, entry.time);
        }
        let seen: Duration = entries.iter().map(|entry| entry.time).sum();
        add(String::new(), "other".to_owned(), passed.saturating_sub(seen));
        let whole = passed.as_secs_f64().max(f64::MIN_POSITIVE);
        let phases = phases.into_iter().map(|(layer, phase, time)| Phase {
            layer,
            phase,
            ms_per_step: 1e3 * time.as_secs_f64() / steps.max(1) as f64,
            share: time.as_secs_f64() / whole,
        });
        Self { steps, seconds: passed.as_secs_f64(), phases: phases.collect() }
    }
}

/// The layer and the phase of a path.
fn names(path: &[String]) -> (String, String) {
    let is_layer = |name: &&String| name.starts_with(|c: char| c.is_ascii_digit());
    if let Some(first) = path.first().filter(|first| !is_layer(first)) {
        return (String::new(), first.clone());
    }
    let layers: Vec<&str> = path.iter().filter(is_layer).map(String::as_str).collect();
    let phases: Vec<&str> =
        path.iter().filter(|name| !is_layer(name)).map(String::as_str).collect();
    let phase = if phases.is_empty() { "other".to_owned() } else { phases.join(": ") };
    (layers.join("."), phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_named_by_layer_and_add_up() {
        let entry = |path: &[&str], millis| Entry {
            path: path.iter().map(ToString::to_string).collect(),
            time: Duration::from_millis(millis),
            count: 1,
        };
        let entries = [
            entry(&["data"], 4),
            entry(&["1.recurrent"], 1),
            entry(&["1.recurrent", "forward", "0.forward", "steps"], 20),
            entry(&["1.recurrent", "forward", "1.forward", "steps"], 30),
            entry(&["validation", "1.recurrent", "forward"], 8),
            entry(&["validation"], 2),
        ];
        let profile = TrainingProfile::from_entries(&entries, Duration::from_millis(100), 2);
        let rows: Vec<(&str, &str, f64)> = profile
            .phases
            .iter()
            .map(|p| (p.layer.as_str(), p.phase.as_str(), p.ms_per_step))
            .collect();
        assert_eq!(
            rows,
            [
                ("", "data", 2.0),
                ("1.recurrent", "other", 0.5),
                ("1.recurrent.0.forward", "forward: steps", 10.0),
                ("1.recurrent.1.forward", "forward: steps", 15.0),
                ("", "validation", 5.0),
                ("", "other", 17.5),
            ]
        );
        assert!((profile.phases.iter().map(|p| p.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
