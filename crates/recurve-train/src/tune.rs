//! Search for settings: many drawn at random, the better ones trained on (successive halving).
//!
//! A *space* is a TOML file: how many trials, after how many epochs they are compared, and what may vary.
//! Every trial is a run folder of its own and is trained as far as the round asks; the better part of the
//! trials goes on from where it stands ([`Trainer::resume`]), so no work is lost to the comparison. What
//! was measured stands in `trials.jsonl` beside the folders, so a search that was stopped goes on where it
//! was, trial by trial. Trials are judged by the validation part; the test part is looked at by the ones
//! that are trained to the end.
//!
//! Bergstra, Bengio (2012), "Random search for hyper-parameter optimization"; Jamieson, Talwalkar (2016),
//! "Non-stochastic best arm identification".

use crate::atomic;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::trainer::{Event, Outcome, Trainer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The file that holds what was measured.
const TRIALS: &str = "trials.jsonl";

/// What may vary, and how it is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Settings that are tried at first.
    #[serde(default = "twenty")]
    pub trials: usize,
    /// Of which the draws come.
    #[serde(default = "one")]
    pub seed: u64,
    /// Epochs after which trials are compared, rising; those that are left are trained to the end.
    #[serde(default)]
    pub rounds: Vec<u64>,
    /// The share that goes on after a round.
    #[serde(default = "third")]
    pub keep: f64,
    /// What varies: a key of the configuration, and its values.
    pub space: BTreeMap<String, Values>,
}

fn twenty() -> usize {
    20
}

fn one() -> u64 {
    1
}

fn third() -> f64 {
    1.0 / 3.0
}

/// The values of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of values, or { from = 0.1, to = 0.5 } with log = true if wanted"
)]
pub enum Values {
    /// Any of these.
    Choice(Vec<toml::Value>),
    /// Any number between two.
    Range(NumberRange),
}

/// Numbers between two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRange {
    /// The least.
    from: f64,
    /// The greatest.
    to: f64,
    /// Whether each order of magnitude is as likely as another.
    #[serde(default)]
    log: bool,
    /// Whether only whole numbers are drawn.
    #[serde(default)]
    whole: bool,
}

/// One trial as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 1.
    pub trial: usize,
    /// Its settings, as on the command line.
    pub settings: Vec<String>,
    /// Rounds it was trained for.
    pub rounds: usize,
    /// Its epochs.
    pub epochs: u64,
    /// The best validation metric so far, lower is better; none where training failed.
    pub validation: Option<f64>,
    /// The name of the metric, or why training failed.
    pub metric: String,
    /// Its run folder.
    pub run: PathBuf,
}

impl Space {
    /// Reads a space.
    ///
    /// # Errors
    /// The file cannot be read, is no space, or a value is out of range; names the key.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("{name}: cannot read the space")).with_source(error)
        })?;
        Self::parse(&text).map_err(|error| error.context(name))
    }

    /// Reads the text of a space.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self> {
        let space: Self = toml::from_str(text).map_err(|error: toml::de::Error| {
            Error::usage(format!("this is no space: {}", error.message().replace('\n', " ")))
        })?;
        let refuse = |text: String| Err(Error::usage(text));
        if space.trials == 0 || space.space.is_empty() {
            return refuse("a space needs trials of at least 1 and a key in [space]".to_owned());
        }
        if !(space.keep > 0.0 && space.keep < 1.0) {
            return refuse(format!("keep is {}, expected a share between 0 and 1", space.keep));
        }
        if space.rounds.contains(&0) || !space.rounds.is_sorted_by(|a, b| a < b) {
            return refuse(format!(
                "rounds are {:?}, expected rising numbers of epochs",
                space.rounds
            ));
        }
        for (key, values) in &space.space {
            match values {
                Values::Choice(values) if values.is_empty() => {
                    return refuse(format!("`{key}` has no values to choose from"));
                }
                Values::Range(NumberRange { from, to, log, .. })
                    if !(from < to && to.is_finite() && (*from > 0.0 || !log)) =>
                {
                    return refuse(format!(
                        "`{key}` goes from {from} to {to}, expected numbers that rise, above 0 with log"
                    ));
                }
                _ => {}
            }
        }
        // Whatever is drawn first must be settings: a misspelt key is told before anything is trained.
        let mut settings = Settings::default();
        space.draw(0).iter().try_for_each(|setting| settings.set(setting))?;
        Ok(space)
    }

    /// The settings of a trial, counted from 0.
    pub fn draw(&self, trial: usize) -> Vec<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(trial as u64);
        let draw = |(key, values): (&String, &Values)| {
            let value = match values {
                Values::Choice(values) => {
                    values[rng.random_range(0..values.len() as u64) as usize].to_string()
                }
                Values::Range(range) => {
                    let share = rng.random_range(0.0..1.0);
                    let number = match range.log {
                        true => range.from * (range.to / range.from).powf(share),
                        false => range.from + share * (range.to - range.from),
                    };
                    match range.whole {
                        true => format!("{}", number.round()),
                        // Three digits are as much as the draw means.
                        false => {
                            format!("{}", format!("{number:.2e}").parse::<f64>().unwrap_or(number))
                        }
                    }
                }
            };
            format!("{key}={value}")
        };
        self.space.iter().map(draw).collect()
    }
}

/// A search over a space.
pub struct Search<'a> {
    /// The data.
    pub data: &'a Path,
    /// What does not vary.
    pub settings: &'a Settings,
    /// What varies.
    pub space: &'a Space,
    /// The folder of the search.
    pub folder: &'a Path,
}

impl Search<'_> {
    /// Searches, or goes on searching; `observe` sees each trial that was trained on. The trials come
    /// back, the best first.
    ///
    /// # Errors
    /// The data or settings are wrong, the folder is of another search, or a file cannot be written.
    pub fn run(&self, observe: &mut dyn FnMut(&Trial), stop: &AtomicBool) -> Result<Vec<Trial>> {
        let space = toml::to_string(self.space)
            .map_err(|error| Error::failed("cannot write the space").with_source(error))?;
        fs::create_dir_all(self.folder).map_err(|error| {
            let name = self.folder.display();
            Error::usage(format!("{name}: cannot make the folder")).with_source(error)
        })?;
        let own = self.folder.join("space.toml");
        match fs::read_to_string(&own) {
            Ok(before) if before != space => {
                return Err(Error::usage(format!(
                    "{}: the folder is of a search over another space; name another folder",
                    self.folder.display()
                )));
            }
            Ok(_) => {}
            Err(_) => atomic::write(&own, space.as_bytes())?,
        }
        let mut trials = self.read()?;
        let mut alive: Vec<usize> = (0..self.space.trials).collect();
        let rounds = self.space.rounds.len() + 1;
        for round in 0..rounds {
            for &trial in &alive {
                if stop.load(Ordering::Relaxed) {
                    return Ok(ranked(trials));
                }
                let done = trials.iter().any(|own| own.trial == trial + 1 && own.rounds > round);
                if done {
                    continue;
                }
                let Some(result) = self.train(trial, round, stop)? else {
                    return Ok(ranked(trials));
                };
                observe(&result);
                trials.retain(|own| own.trial != result.trial);
                trials.push(result);
                self.write(&trials)?;
            }
            if round + 1 < rounds {
                let mut order: Vec<(f64, usize)> = alive
                    .iter()
                    .filter_map(|&trial| {
                        let own = trials.iter().find(|own| own.trial == trial + 1)?;
                        Some((own.validation?, trial))
                    })
                    .collect();
                order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let kept = ((alive.len() as f64 * self.space.keep).round() as usize).max(1);
                alive = order.into_iter().take(kept).map(|(_, trial)| trial).collect();
            }
        }
        Ok(ranked(trials))
    }

    /// Trains a trial up to the end of a round; none where it was interrupted.
    fn train(&self, trial: usize, round: usize, stop: &AtomicBool) -> Result<Option<Trial>> {
        let drawn = self.space.draw(trial);
        let path = self.folder.join(format!("trial-{:03}", trial + 1));
        let mut told = Trial {
            trial: trial + 1,
            settings: drawn.clone(),
            rounds: round + 1,
            epochs: 0,
            validation: None,
            metric: String::new(),
            run: path.clone(),
        };
        let begun = path.join("last.ckpt").exists();
        let (mut trainer, folder) = if begun {
            let folder = RunFolder::open(&path)?;
            (Trainer::resume(&folder, None)?, folder)
        } else {
            let mut settings = self.settings.clone();
            drawn.iter().try_for_each(|setting| settings.set(setting))?;
            // Settings that do not go together are a trial that failed, not the end of the search.
            let trainer = match Trainer::prepare(self.data, &settings) {
                Ok(trainer) => trainer,
                Err(error) if trial > 0 => {
                    told.metric = error.to_string();
                    return Ok(Some(told));
                }
                Err(error) => return Err(error),
            };
            (trainer, RunFolder::create_at(&path)?)
        };
        let until = self.space.rounds.get(round).copied();
        let history = trainer.history();
        let best = history.iter().map(|epoch| epoch.validation).fold(f64::INFINITY, f64::min);
        let (mut best, mut epochs) = (best, history.len() as u64);
        let mut metric = history.last().map(|epoch| epoch.metric.clone()).unwrap_or_default();
        // Training ends at the end of the round, or with the search.
        let ends = AtomicBool::new(false);
        let outcome = if until.is_some_and(|until| epochs >= until) {
            None
        } else {
            let mut watch = |event: Event<'_>| {
                if let Event::Epoch(record) = event {
                    best = best.min(record.validation);
                    (epochs, metric) = (record.epoch, record.metric.clone());
                    if until.is_some_and(|until| epochs >= until) {
                        ends.store(true, Ordering::Relaxed);
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    ends.store(true, Ordering::Relaxed);
                }
            };
            Some(trainer.train(&folder, &mut watch, &ends))
        };
        match outcome {
            Some(Err(error)) => {
                told.metric = error.to_string();
                return Ok(Some(told));
            }
            Some(Ok(Outcome::Interrupted { .. })) if stop.load(Ordering::Relaxed) => {
                return Ok(None);
            }
            _ => {}
        }
        told.epochs = epochs;
        told.validation = best.is_finite().then_some(best);
        told.metric = metric;
        Ok(Some(told))
    }

    fn read(&self) -> Result<Vec<Trial>> {
        let path = self.folder.join(TRIALS);
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(Vec::new());
        };
        let line = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| {
                let name = path.display();
                Error::usage(format!("{name}, line {}: no trial: {error}", at + 1))
            })
        };
        text.lines().enumerate().map(line).collect()
    }

    fn write(&self, trials: &[Trial]) -> Result<()> {
        let line = |trial| serde_json::to_string(trial).map(|line| line + "\n");
        let text: serde_json::Result<String> = trials.iter().map(line).collect();
        let text = text.map_err(|error| Error::failed("cannot write trials").with_source(error))?;
        atomic::write(&self.folder.join(TRIALS), text.as_bytes())
    }
}

/// Those that came furthest first, and of these the best.
fn ranked(mut trials: Vec<Trial>) -> Vec<Trial> {
    let value = |trial: &Trial| trial.validation.unwrap_or(f64::INFINITY);
    trials.sort_by(|a, b| {
        let failed = a.validation.is_none().cmp(&b.validation.is_none());
        failed.then(b.rounds.cmp(&a.rounds)).then(value(a).total_cmp(&value(b)))
    });
    trials
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPACE: &str = "trials = 4\nrounds = [1, 3]\nkeep = 0.5\n[space]\n\"model.hidden\" = [8, 16]\n\
                         \"optimiser.learning_rate\" = { from = 1e-4, to = 1e-1, log = true }\n\
                         \"data.input\" = { from = 4, to = 9, whole = true }\n";

    #[test]
    fn draws_are_of_the_space_and_of_the_seed() {
        let space = Space::parse(SPACE).unwrap();
        for trial in 0..50 {
            let drawn = space.draw(trial);
            assert_eq!(drawn, space.draw(trial));
            let of = |key: &str| {
                let found = drawn.iter().find_map(|one| one.strip_prefix(&format!("{key}=")));
                found.unwrap().parse::<f64>().unwrap()
            };
            assert!([8.0, 16.0].contains(&of("model.hidden")));
            assert!((1e-4..=1e-1).contains(&of("optimiser.learning_rate")));
            assert_eq!(of("data.input").fract(), 0.0);
        }
        assert_ne!(space.draw(0), space.draw(1));
    }

    #[test]
    fn what_is_no_space_is_refused_by_name() {
        for (text, why) in [
            ("trials = 3\n", "no space: missing field `space`"),
            ("[space]\n\"model.hiden\" = [1]\n", "did you mean `model.hidden`"),
            ("[space]\n\"model.hidden\" = []\n", "`model.hidden` has no values"),
            ("[space]\n\"model.dropout\" = { from = 0.5, to = 0.1 }\n", "numbers that rise"),
            (
                "[space]\n\"model.dropout\" = { from = 0, to = 0.1, log = true }\n",
                "above 0 with log",
            ),
            ("rounds = [3, 2]\n[space]\n\"model.hidden\" = [1]\n", "rising numbers of epochs"),
            ("keep = 1.5\n[space]\n\"model.hidden\" = [1]\n", "between 0 and 1"),
        ] {
            let error = Space::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_space_or_an_error(text in "[a-z0-9\\[\\]{}=.,\"\n ]{0,120}") {
            let _ = Space::parse(&text);
        }
    }
}
