//! Schedules: which learning rate belongs to which step.
//!
//! A schedule is a pure function of the step, the epoch and, for the plateau, the history of the
//! validation metric. That history is a small serialisable [`PlateauState`], so a resumed run meets
//! the same rates. Rates are multiples of one base rate, the one the optimiser was given: to
//! change it moves the whole curve.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Which schedule, with its options: the description that stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The base rate throughout.
    Constant {},
    /// A linear rise to the base rate over `warmup_steps`, then half a cosine down to
    /// `final_factor` times the base rate at the end (Loshchilov & Hutter 2017, without restarts).
    Cosine {
        /// How many steps the rise takes; 0 for none.
        #[serde(default)]
        warmup_steps: u64,
        /// From 0 to 1.
        #[serde(default)]
        final_factor: f64,
    },
    /// The rate is multiplied by `factor` every `every_epochs` epochs.
    Step {
        /// At least 1.
        every_epochs: u64,
        /// Above 0, at most 1.
        #[serde(default = "tenth")]
        factor: f64,
    },
    /// The rate is multiplied by `factor` when the validation metric has not become better for more
    /// than `patience` epochs.
    Plateau {
        /// Above 0 and less than 1.
        #[serde(default = "tenth")]
        factor: f64,
        /// How many epochs without a better metric are borne.
        #[serde(default = "ten")]
        patience: u64,
        /// What counts as better: lower than the best by this share of it. At least 0.
        #[serde(default = "threshold")]
        threshold: f64,
        /// How many epochs after a reduction nothing is counted.
        #[serde(default)]
        cooldown: u64,
        /// The rate never falls below this multiple of the base rate. From 0 to 1.
        #[serde(default)]
        final_factor: f64,
    },
    /// Half a cosine up to the base rate, then half a cosine down to almost nothing
    /// (Smith & Topin 2018). The momentum is left as it is.
    OneCycle {
        /// The share of all steps spent rising. From 0 to 1.
        #[serde(default = "three_tenths")]
        warmup_fraction: f64,
        /// The first rate, as a multiple of the base rate. Above 0, at most 1.
        #[serde(default = "start_factor")]
        start_factor: f64,
        /// The last rate, as a multiple of the base rate. From 0 to 1.
        #[serde(default = "final_factor")]
        final_factor: f64,
    },
}

fn tenth() -> f64 {
    0.1
}
fn ten() -> u64 {
    10
}
fn threshold() -> f64 {
    1e-4
}
fn three_tenths() -> f64 {
    0.3
}
fn start_factor() -> f64 {
    1.0 / 25.0
}
fn final_factor() -> f64 {
    1.0 / 25.0 / 1e4
}

impl ScheduleConfig {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        let within =
            |key: &str, value: f64| expect((0.0..=1.0).contains(&value), key, "from 0 to 1", value);
        match *self {
            Self::Constant {} => Ok(()),
            Self::Cosine { final_factor, .. } => within("final_factor", final_factor),
            Self::Step { every_epochs, factor } => {
                if every_epochs == 0 {
                    return Err(Error::usage("schedule.every_epochs must be at least 1, not 0"));
                }
                expect(factor > 0.0 && factor <= 1.0, "factor", "above 0 and at most 1", factor)
            }
            Self::Plateau { factor, threshold, final_factor, .. } => {
                expect(factor > 0.0 && factor < 1.0, "factor", "above 0 and less than 1", factor)?;
                let fits = threshold.is_finite() && threshold >= 0.0;
                expect(fits, "threshold", "at least 0", threshold)?;
                within("final_factor", final_factor)
            }
            Self::OneCycle { warmup_fraction, start_factor, final_factor } => {
                within("warmup_fraction", warmup_fraction)?;
                let fits = start_factor > 0.0 && start_factor <= 1.0;
                expect(fits, "start_factor", "above 0 and at most 1", start_factor)?;
                within("final_factor", final_factor)
            }
        }
    }
}

fn expect(fits: bool, key: &str, range: &str, value: f64) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::usage(format!("schedule.{key} must be {range}, not {value}")))
}

/// A schedule over a run of a known length.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    base: f64,
    total_steps: u64,
    plateau: PlateauState,
}

/// What the plateau schedule remembers; other schedules leave it untouched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    /// The best metric so far, if there was one.
    best: Option<f64>,
    /// Epochs in a row that were not better.
    waited: u64,
    /// Epochs that are still not counted after a reduction.
    cooling: u64,
    /// The present rate as a multiple of the base rate.
    multiple: f64,
}

impl Schedule {
    /// A schedule around the rate `base` for a run of `total_steps` steps.
    ///
    /// # Errors
    /// An option outside its range, by name.
    pub fn new(config: ScheduleConfig, base: f64, total_steps: u64) -> Result<Self> {
        config.validate()?;
        let plateau = PlateauState { best: None, waited: 0, cooling: 0, multiple: 1.0 };
        Ok(Self { config, base, total_steps, plateau })
    }

    /// The rate of step `step` in epoch `epoch`, both counted from 0. After the end of the run the
    /// last rate stays.
    pub fn rate(&self, step: u64, epoch: u64) -> f64 {
        let multiple = match self.config {
            ScheduleConfig::Constant {} => 1.0,
            ScheduleConfig::Cosine { warmup_steps, .. } if step < warmup_steps => {
                (step + 1) as f64 / warmup_steps as f64
            }
            ScheduleConfig::Cosine { warmup_steps, final_factor } => {
                let length = self.total_steps.saturating_sub(warmup_steps).max(1);
                cosine(1.0, final_factor, (step - warmup_steps) as f64 / length as f64)
            }
            ScheduleConfig::Step { every_epochs, factor } => {
                factor.powf((epoch / every_epochs) as f64)
            }
            ScheduleConfig::Plateau { .. } => self.plateau.multiple,
            ScheduleConfig::OneCycle { warmup_fraction, start_factor, final_factor } => {
                let peak = warmup_fraction * self.total_steps as f64 - 1.0;
                let last = self.total_steps as f64 - 1.0;
                let step = step as f64;
                if step <= peak && peak > 0.0 {
                    cosine(start_factor, 1.0, step / peak)
                } else if last > peak {
                    cosine(1.0, final_factor, (step - peak) / (last - peak))
                } else {
                    final_factor
                }
            }
        };
        self.base * multiple
    }

    /// Tells the schedule the validation metric of an epoch that has ended; lower is better. A
    /// metric that is not finite is not better than any.
    pub fn observe(&mut self, metric: f64) {
        let ScheduleConfig::Plateau { factor, patience, threshold, cooldown, final_factor } =
            self.config
        else {
            return;
        };
        let state = &mut self.plateau;
        let better = state.best.is_none_or(|best| metric < best - threshold * best.abs());
        if metric.is_finite() && better {
            state.best = Some(metric);
            state.waited = 0;
        } else {
            state.waited += 1;
        }
        if state.cooling > 0 {
            state.cooling -= 1;
            state.waited = 0;
        }
        if state.waited > patience {
            state.multiple = (state.multiple * factor).max(final_factor);
            state.cooling = cooldown;
            state.waited = 0;
        }
    }

    /// What must be saved for a resumed run to meet the same rates.
    pub fn state(&self) -> PlateauState {
        self.plateau
    }

    /// The schedule as it was when `state` was saved.
    ///
    /// # Errors
    /// A state that no schedule can have been in.
    pub fn restore(&mut self, state: PlateauState) -> Result<()> {
        let possible =
            (0.0..=1.0).contains(&state.multiple) && state.best.is_none_or(f64::is_finite);
        if !possible {
            return Err(Error::usage(format!(
                "the saved state of the schedule is impossible: {state:?}"
            )));
        }
        self.plateau = state;
        Ok(())
    }
}

/// Half a cosine from `start` at 0 to `end` at 1 and beyond.
fn cosine(start: f64, end: f64, at: f64) -> f64 {
    end + (start - end) / 2.0 * ((PI * at.min(1.0)).cos() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ScheduleConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn warm_up_and_cosine_meet_their_corners() {
        let config = read("kind = \"cosine\"\nwarmup_steps = 4\nfinal_factor = 0.5");
        let schedule = Schedule::new(config, 2.0, 12).unwrap();
        let rates: Vec<f64> = (0..4).map(|step| schedule.rate(step, 0)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.5, 2.0]);
        assert_eq!(schedule.rate(4, 0), 2.0);
        assert_eq!(schedule.rate(8, 0), 1.5);
        assert_eq!(schedule.rate(12, 0), 1.0);
        assert_eq!(schedule.rate(1000, 0), 1.0);
    }

    #[test]
    fn every_rate_of_every_schedule_is_a_finite_share_of_the_base() {
        let texts = [
            "kind = \"constant\"",
            "kind = \"cosine\"\nwarmup_steps = 30",
            "kind = \"step\"\nevery_epochs = 1",
            "kind = \"plateau\"",
            "kind = \"one-cycle\"",
            "kind = \"one-cycle\"\nwarmup_fraction = 1.0",
            "kind = \"one-cycle\"\nwarmup_fraction = 0.0",
        ];
        for text in texts {
            for total in 0..25 {
                let schedule = Schedule::new(read(text), 3.0, total).unwrap();
                for step in 0..40 {
                    let rate = schedule.rate(step, step / 4);
                    assert!((0.0..=3.0).contains(&rate), "{text} {step}/{total}: {rate}");
                }
            }
        }
    }

    #[test]
    fn the_plateau_waits_reduces_and_survives_a_save() {
        let config = read("kind = \"plateau\"\npatience = 1\nfactor = 0.5\nfinal_factor = 0.2");
        let mut schedule = Schedule::new(config, 1.0, 0).unwrap();
        let mut rates = Vec::new();
        for metric in [0.1 + 0.2, 0.3, f64::NAN, 0.4, -1.0, -0.9, -1.0, f64::INFINITY, 1.0] {
            schedule.observe(metric);
            let text = serde_json::to_string(&schedule.state()).unwrap();
            schedule = Schedule::new(config, 1.0, 0).unwrap();
            schedule.restore(serde_json::from_str(&text).unwrap()).unwrap();
            rates.push(schedule.rate(0, 0));
        }
        assert_eq!(rates, [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2]);
    }

    #[test]
    fn a_saved_state_keeps_every_bit() {
        let mut schedule = Schedule::new(read("kind = \"plateau\""), 1.0, 0).unwrap();
        let mut x = 0.7f64;
        for _ in 0..1000 {
            x = (3.99 * x) * (1.0 - x);
            schedule.plateau.multiple = x;
            schedule.plateau.best = Some(x * 1e-9);
            let text = serde_json::to_string(&schedule.state()).unwrap();
            assert_eq!(serde_json::from_str::<PlateauState>(&text).unwrap(), schedule.state());
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let cases = [
            ("kind = \"cosine\"\nfinal_factor = 2.0", "schedule.final_factor"),
            ("kind = \"step\"\nevery_epochs = 0", "schedule.every_epochs"),
            ("kind = \"step\"\nevery_epochs = 1\nfactor = 0.0", "schedule.factor"),
            ("kind = \"plateau\"\nfactor = 1.0", "schedule.factor"),
            ("kind = \"plateau\"\nthreshold = nan", "schedule.threshold"),
            ("kind = \"one-cycle\"\nwarmup_fraction = -0.1", "schedule.warmup_fraction"),
            ("kind = \"one-cycle\"\nstart_factor = 0.0", "schedule.start_factor"),
        ];
        for (text, key) in cases {
            let error = Schedule::new(read(text), 1.0, 1).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(key), "{error}");
        }
        assert!(toml::from_str::<ScheduleConfig>("kind = \"constant\"\nfactor = 0.1").is_err());
        let bad = PlateauState { best: None, waited: 0, cooling: 0, multiple: f64::NAN };
        assert!(Schedule::new(read("kind = \"plateau\""), 1.0, 1).unwrap().restore(bad).is_err());
    }
}
