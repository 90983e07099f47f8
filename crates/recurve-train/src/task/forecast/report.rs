//! How good forecasts are, beside the naive ones, in numbers that serialise.

use crate::error::{Error, Result};
use crate::metrics::Scores;
use crate::task::{Report, Skill, better, short};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// Forecasts measured on one part of a table, every row forecast once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForecastReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Rows forecast from each origin.
    pub horizon: usize,
    /// Origins, a horizon apart.
    pub origins: usize,
    /// The time of the first row that is forecast.
    pub first_time: String,
    /// The time of the last one.
    pub last_time: String,
    /// Each target by itself.
    pub targets: Vec<TargetReport>,
    /// The skill in mean absolute error, averaged over the targets.
    pub skills: Vec<Skill>,
    /// Every forecast, target by target, origin by origin, step by step.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
}

/// The scores of one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetReport {
    /// Its column.
    pub target: String,
    /// The scores of the model, in the units of the file.
    pub model: Scores,
    /// Those of the naive forecasts from the same origins.
    pub baselines: Vec<BaselineReport>,
    /// The skill in mean absolute error against each of them.
    pub skills: Vec<Skill>,
}

/// The scores of a naive forecast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineReport {
    /// Its name.
    pub name: String,
    /// Its scores, in the units of the file.
    pub scores: Scores,
}

/// One forecast value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The column.
    pub target: String,
    /// The time of the first row of its horizon.
    pub origin: String,
    /// The time it is for.
    pub time: String,
    /// Its place in the horizon, from 1.
    pub step: usize,
    /// What came.
    pub actual: f64,
    /// What was forecast.
    pub forecast: f64,
    /// What the naive forecasts said, in the order of [`TargetReport::baselines`].
    pub baselines: Vec<f64>,
}

impl TargetReport {
    pub(crate) fn new(target: &str, model: Scores, baselines: Vec<BaselineReport>) -> Self {
        let skills = baselines
            .iter()
            .filter_map(|baseline| Skill::of(&baseline.name, model.mae, baseline.scores.mae));
        Self { target: target.to_owned(), model, skills: skills.collect(), baselines }
    }
}

impl ForecastReport {
    pub(crate) fn add(&mut self, (target, predictions): (TargetReport, Vec<Prediction>)) {
        self.targets.push(target);
        self.predictions.extend(predictions);
    }

    /// The skills over all targets.
    pub(crate) fn finish(&mut self) {
        let Some(first) = self.targets.first() else {
            return;
        };
        let mean = |name: &str| {
            let of = |target: &TargetReport| {
                let found = target.skills.iter().find(|skill| skill.baseline == name);
                found.map(|skill| skill.skill)
            };
            let all: Option<Vec<f64>> = self.targets.iter().map(of).collect();
            all.map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        let skills = first.baselines.iter().filter_map(|baseline| {
            Some(Skill { baseline: baseline.name.clone(), skill: mean(&baseline.name)? })
        });
        self.skills = skills.collect();
    }

    /// The skill over all targets against a naive forecast, by its name.
    pub fn skill(&self, baseline: &str) -> Option<f64> {
        let found = self.skills.iter().find(|skill| skill.baseline == baseline);
        found.map(|skill| skill.skill)
    }

    /// A prediction as JSON in which the naive forecasts have names.
    pub(crate) fn named(&self, prediction: &Prediction) -> Value {
        let mut value = serde_json::to_value(prediction).unwrap_or_default();
        let target = self.targets.iter().find(|target| target.target == prediction.target);
        if let Some(target) = target {
            let names = target.baselines.iter().map(|baseline| baseline.name.clone());
            let values = prediction.baselines.iter().map(|value| (*value).into());
            value["baselines"] = names.zip(values).collect::<serde_json::Map<_, _>>().into();
        }
        value
    }

    /// Writes every forecast as CSV.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_csv(&self, out: impl Write) -> Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        let mut write = || -> csv::Result<()> {
            let mut header: Vec<String> =
                ["target", "origin", "time", "step", "actual", "forecast"]
                    .map(str::to_owned)
                    .to_vec();
            if let Some(target) = self.targets.first() {
                header.extend(target.baselines.iter().map(|baseline| baseline.name.clone()));
            }
            writer.write_record(&header)?;
            for row in &self.predictions {
                let mut record = vec![
                    row.target.clone(),
                    row.origin.clone(),
                    row.time.clone(),
                    row.step.to_string(),
                    row.actual.to_string(),
                    row.forecast.to_string(),
                ];
                record.extend(row.baselines.iter().map(f64::to_string));
                // Targets may differ in the naive forecasts they allow.
                record.resize(header.len(), String::new());
                writer.write_record(&record)?;
            }
            writer.flush()?;
            Ok(())
        };
        write().map_err(|error| Error::failed("cannot write the forecasts").with_source(error))
    }
}

impl Report for ForecastReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} rows {} to {}, forecast {} ahead from {} origin{}",
            self.part,
            self.first_time,
            self.last_time,
            self.horizon,
            self.origins,
            if self.origins == 1 { "" } else { "s" }
        )];
        for target in &self.targets {
            let scores = |scores: &Scores| {
                let mase = scores.mase.map(|mase| format!(" · MASE {mase:.3}"));
                format!(
                    "MAE {} · RMSE {} · sMAPE {:.2} %{}",
                    short(scores.mae),
                    short(scores.rmse),
                    scores.smape,
                    mase.unwrap_or_default()
                )
            };
            lines.push(format!("{}: model {}", target.target, scores(&target.model)));
            for baseline in &target.baselines {
                let skill = target.skills.iter().find(|s| s.baseline == baseline.name);
                let against = skill.map(|skill| better(skill.skill, "it"));
                lines.push(format!(
                    "  {} {}{}",
                    baseline.name,
                    scores(&baseline.scores),
                    against.map_or(String::new(), |against| format!(" · model {against}"))
                ));
            }
        }
        lines
    }
    fn headline(&self) -> String {
        let count = self.targets.len().max(1) as f64;
        let mases = self.targets.iter().map(|target| target.model.mase);
        let error = match (mases.sum::<Option<f64>>(), self.targets.first()) {
            (Some(sum), Some(_)) => format!("MASE {:.2}", sum / count),
            (None, Some(target)) => format!("MAE {} of {}", short(target.model.mae), target.target),
            (_, None) => String::new(),
        };
        let (first, last) = (&self.first_time, &self.last_time);
        format!("{error} on the {} rows {first} to {last}", self.part)
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["seasonal naive", "naive"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.write_csv(&mut bytes)?;
        Ok(Some(bytes))
    }
}
