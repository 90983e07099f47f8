//! Cross-validation: as many runs as there are folds, each tested on the sequences that it alone did not see.
//!
//! A fold is a setting of its run (`data.fold`), so each run is a run like any other: it can be resumed,
//! measured and used. They lie side by side as `NAME-fold-1` and so on; beside them `NAME-folds.json` holds what
//! each came to, with mean and standard deviation, and `NAME-folds.csv` what was predicted of every sequence
//! by the run that had not seen it. A cross-validation that was stopped goes on with the same name.

use crate::atomic;
use crate::config::{Config, Settings};
use crate::data::Fold;
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::task::{Skill, Task, csv_of};
use crate::trainer::{Event, Outcome, Report, Trainer};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// A cross-validation that is to be made.
pub struct Folds<'a> {
    /// The data.
    pub data: &'a Path,
    /// What is said about all runs.
    pub settings: &'a Settings,
    /// How many folds.
    pub folds: usize,
    /// The folder of run folders.
    pub runs: &'a Path,
    /// What the runs are named after; that of the data and a number if absent.
    pub name: Option<&'a str>,
    /// A run whose weights every run begins with.
    pub load: Option<&'a Path>,
}

/// What happens on the way.
pub enum FoldEvent<'a> {
    /// A run begins, or goes on where it was stopped.
    Begins {
        /// Its fold.
        fold: Fold,
        /// What is trained.
        trainer: &'a Trainer,
        /// Its folder.
        folder: &'a RunFolder,
        /// Whether it was begun before.
        resumed: bool,
    },
    /// A step or epoch of it.
    Trains(&'a Event<'a>),
    /// A run is over.
    Ends {
        /// Its folder.
        folder: &'a RunFolder,
        /// What it came to.
        report: &'a Report,
        /// Whether it was begun before.
        resumed: bool,
    },
}

/// What a cross-validation came to.
#[derive(Clone, Debug, Serialize)]
pub struct CrossValidation {
    /// What the runs are named after.
    pub name: String,
    /// What was trained for.
    pub task: Task,
    /// Every measure over all folds, the most important first.
    pub measures: Vec<Spread>,
    /// Every fold.
    pub folds: Vec<FoldResult>,
}

/// One measure over all folds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// What it is.
    pub measure: String,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation from fold to fold, of a sample (`n - 1`).
    pub deviation: f64,
    /// Of each fold.
    pub values: Vec<f64>,
}

/// One fold.
#[derive(Clone, Debug, Serialize)]
pub struct FoldResult {
    /// Which.
    pub fold: Fold,
    /// Its run folder.
    pub run: PathBuf,
    /// Epochs trained.
    pub epochs: u64,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: u64,
    /// The result in one sentence.
    pub headline: String,
    /// What was measured on the fold.
    pub measures: Vec<(String, f64)>,
    /// How much better than the naive models it is.
    pub skills: Vec<Skill>,
}

/// The end of a cross-validation, or of a part of it.
pub enum FoldsOutcome {
    /// All folds were held out.
    Finished(Box<CrossValidation>),
    /// It was stopped; the same name goes on.
    Interrupted {
        /// What the runs are named after.
        name: String,
    },
}

impl Folds<'_> {
    /// Trains every fold, or those that are left.
    ///
    /// # Errors
    /// The data cannot be folded, a setting is wrong, a run of the name is of other settings or data, or a
    /// file cannot be written.
    pub fn run(
        &self,
        observe: &mut dyn FnMut(FoldEvent<'_>) -> Result<()>,
        stop: &AtomicBool,
    ) -> Result<FoldsOutcome> {
        let mut name = self.name.map(str::to_owned);
        let mut results: Vec<FoldResult> = vec![];
        let mut task = None;
        for number in 1..=self.folds {
            let fold = Fold::new(number, self.folds)?;
            let fresh = self.prepare(fold)?;
            task = Some(fresh.task());
            let name = name.get_or_insert_with(|| self.free(&fresh.name()));
            let run = format!("{name}-fold-{number}");
            let (mut trainer, folder, resumed) = self.open(fresh, &run)?;
            observe(FoldEvent::Begins { fold, trainer: &trainer, folder: &folder, resumed })?;
            let mut watched = Ok(());
            let mut watch = |event: Event<'_>| {
                if watched.is_ok() {
                    watched = observe(FoldEvent::Trains(&event));
                }
            };
            let outcome = trainer.train(&folder, &mut watch, stop);
            watched?;
            match outcome {
                Ok(Outcome::Interrupted { .. }) => {
                    return Ok(FoldsOutcome::Interrupted { name: name.clone() });
                }
                Ok(Outcome::Finished(report)) => {
                    observe(FoldEvent::Ends { folder: &folder, report: &report, resumed })?;
                    results.push(FoldResult::new(fold, &folder, &report));
                }
                Err(error) => {
                    if !folder.checkpoint().exists() {
                        // Best effort: the error that brought us here is the one to tell.
                        let _ = fs::remove_dir_all(folder.path());
                    }
                    return Err(error.context(format!("fold {fold}")));
                }
            }
        }
        let (Some(task), Some(name)) = (task, name) else {
            return Err(Error::usage("no folds; at least 2 are needed to hold one out"));
        };
        let result = CrossValidation { measures: spreads(&results), folds: results, name, task };
        self.write(&result)?;
        Ok(FoldsOutcome::Finished(Box::new(result)))
    }

    /// Where a file of the cross-validation lies: `runs/NAME-folds.json` of `json`.
    pub fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.runs.join(format!("{name}-folds.{ending}"))
    }

    /// The training of a fold from its beginning.
    fn prepare(&self, fold: Fold) -> Result<Trainer> {
        let mut settings = self.settings.clone();
        if settings.is_set("data.fold") {
            return Err(Error::usage(
                "data.fold is set, and a cross-validation sets it for each run; leave it out",
            ));
        }
        let task = match settings.task() {
            Some(task) => task,
            None => crate::data::guess(self.data)?.task,
        };
        if Config::of(task).data.tested().is_none() {
            return Err(Error::usage(format!(
                "the task {task} has no separate sequences to be held out in turn: its parts follow each \
                 other in time{}",
                if task == Task::Forecast {
                    "; `recurve backtest` measures at many times"
                } else {
                    ""
                }
            )));
        }
        settings.set_task(task);
        settings.set(&format!("data.fold={fold}"))?;
        let mut trainer = Trainer::prepare(self.data, &settings)?;
        if let Some(run) = self.load {
            trainer.load_weights(run)?;
        }
        Ok(trainer)
    }

    /// A name that no run has.
    fn free(&self, stem: &str) -> String {
        let taken = |name: &String| {
            self.runs.join(name).exists() || self.runs.join(format!("{name}-fold-1")).exists()
        };
        let mut names = (1_u64..).map(|number| format!("{stem}-{number}"));
        names.find(|name| !taken(name)).unwrap_or_else(|| stem.to_owned())
    }

    /// The run of a fold as it stands: as it was prepared, or as it was left.
    fn open(&self, fresh: Trainer, run: &str) -> Result<(Trainer, RunFolder, bool)> {
        let path = self.runs.join(run);
        if !path.join("last.ckpt").exists() {
            return Ok((fresh, RunFolder::create_named(self.runs, run)?, false));
        }
        let folder = RunFolder::open(&path)?;
        let resumed = Trainer::resume(&folder, Some(self.data))?;
        let mut then = resumed.config().clone();
        then.train.threads = fresh.config().train.threads;
        let read = |config: &Config| Settings::parse("the configuration", &config.commented());
        if let Some(key) = read(fresh.config())?.first_difference(&read(&then)?) {
            return Err(Error::usage(format!(
                "`{}` was trained with another {} ({} then, {} now); choose another --name, or give the \
                 settings of then",
                path.display(),
                key.key,
                key.other.unwrap_or("nothing".to_owned()),
                key.one.unwrap_or("nothing".to_owned())
            )));
        }
        let resumed = resumed.with_threads(fresh.config().train.threads)?;
        Ok((resumed, folder, true))
    }

    /// Writes what all runs came to beside them.
    fn write(&self, result: &CrossValidation) -> Result<()> {
        let json = serde_json::to_vec_pretty(result)
            .map_err(|error| Error::failed("cannot write the result as JSON").with_source(error))?;
        atomic::write(&self.file(&result.name, "json"), &json)?;
        let mut head: Vec<String> = vec![];
        let mut rows: Vec<Vec<String>> = vec![];
        for own in &result.folds {
            let path = own.run.join("predictions.csv");
            let told = |error: csv::Error| {
                let path = path.display();
                Error::failed(format!("cannot read `{path}` back")).with_source(error)
            };
            let mut reader = csv::Reader::from_path(&path).map_err(told)?;
            let names = reader.headers().map_err(told)?;
            head = std::iter::once("fold").chain(names).map(str::to_owned).collect();
            for row in reader.records() {
                let row = row.map_err(told)?;
                let number = own.fold.number().to_string();
                let cells = std::iter::once(number.as_str()).chain(row.iter());
                rows.push(cells.map(str::to_owned).collect());
            }
        }
        let csv = csv_of(|writer| {
            writer.write_record(&head)?;
            rows.iter().try_for_each(|row| writer.write_record(row))
        })?;
        atomic::write(&self.file(&result.name, "csv"), &csv)
    }
}

impl FoldResult {
    fn new(fold: Fold, folder: &RunFolder, report: &Report) -> Self {
        let measured = report.evaluation.report();
        Self {
            fold,
            run: folder.path().to_owned(),
            epochs: report.epochs,
            best_epoch: report.best_epoch,
            headline: measured.headline(),
            measures: measured.measures(),
            skills: measured.skills().to_vec(),
        }
    }
}

/// The measures that every fold has.
fn spreads(folds: &[FoldResult]) -> Vec<Spread> {
    let Some(first) = folds.first() else { return vec![] };
    let spread = |(measure, _): &(String, f64)| {
        let of = |own: &FoldResult| {
            own.measures.iter().find(|(name, _)| name == measure).map(|(_, value)| *value)
        };
        let values: Vec<f64> = folds.iter().filter_map(of).collect();
        if values.len() < folds.len() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / (values.len().max(2) - 1) as f64).sqrt();
        Some(Spread { measure: measure.clone(), mean, deviation, values })
    };
    first.measures.iter().filter_map(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_that_a_fold_lacks_are_left_out_and_the_deviation_is_of_a_sample() {
        let fold = |number: usize, measures: &[(&str, f64)]| FoldResult {
            fold: Fold::new(number, 3).unwrap(),
            run: PathBuf::new(),
            epochs: 1,
            best_epoch: 1,
            headline: String::new(),
            measures: measures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            skills: vec![],
        };
        let folds = [
            fold(1, &[("accuracy", 0.5), ("BLEU", 3.0)]),
            fold(2, &[("accuracy", 0.75)]),
            fold(3, &[("accuracy", 1.0), ("BLEU", 4.0)]),
        ];
        let values = vec![0.5, 0.75, 1.0];
        let measure = "accuracy".to_owned();
        assert_eq!(spreads(&folds), [Spread { measure, mean: 0.75, deviation: 0.25, values }]);
    }
}
