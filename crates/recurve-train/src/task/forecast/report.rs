//! How good forecasts are, beside the naive ones, in numbers that serialise.

use super::evaluate::Calibration;
use crate::error::{Error, Result};
use crate::metrics::Scores;
use crate::task::{Report, Skill, better, short};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// The file of a run that holds the margins of its intervals.
pub(super) const CALIBRATION: &str = "calibration.json";

/// Forecasts measured on one part of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForecastReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Rows forecast from each origin.
    pub horizon: usize,
    /// Rows between origins.
    pub stride: usize,
    /// Series that were forecast.
    pub series: usize,
    /// Origins of all series.
    pub origins: usize,
    /// The time of the first row that is forecast.
    pub first_time: String,
    /// The time of the last one.
    pub last_time: String,
    /// Each target by itself.
    pub targets: Vec<TargetReport>,
    /// Errors in deviations of the training values, the mean of the targets.
    pub standardised: Standardised,
    /// The skill in mean absolute error, averaged over the targets.
    pub skills: Vec<Skill>,
    /// What the intervals were widened by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// A forecast of every row, target by target, series by series, origin by origin, step by step.
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
    /// The errors of the model by distance.
    pub steps: Vec<StepScores>,
    /// How good the distributions are, where the model gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// How good the intervals are, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// Errors in deviations of the training values (1/N) of each series and target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Standardised {
    /// The mean square.
    pub mse: f64,
    /// The mean size.
    pub mae: f64,
}

/// Errors at one distance, in the units of the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepScores {
    /// Rows after the origin, from 1.
    pub step: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
}

/// How good distributions are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probability {
    /// [`crps`](crate::metrics::crps) of the quantiles, in the units of the file.
    pub crps: f64,
    /// The mean pinball loss over the levels, in the units of the file.
    pub pinball: f64,
    /// What central intervals of the distribution held, without calibration.
    pub coverage: Vec<Coverage>,
}

/// What an interval should hold and what it held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The share it should hold.
    pub nominal: f64,
    /// The share it held.
    pub found: f64,
}

/// How good the intervals are that are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The share they should hold.
    pub nominal: f64,
    /// The share they held.
    pub found: f64,
    /// Their mean width, in the units of the file.
    pub width: f64,
    /// Whether they were calibrated on the validation part.
    pub calibrated: bool,
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
    /// The series, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
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
    /// The lower end of its interval, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// The upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// What the naive forecasts said, in the order of [`TargetReport::baselines`].
    pub baselines: Vec<f64>,
}

impl TargetReport {
    pub(crate) fn new(target: &str, model: Scores, baselines: Vec<BaselineReport>) -> Self {
        let skills = baselines
            .iter()
            .filter_map(|baseline| Skill::of(&baseline.name, model.mae, baseline.scores.mae));
        Self {
            target: target.to_owned(),
            model,
            skills: skills.collect(),
            baselines,
            steps: Vec::new(),
            probability: None,
            interval: None,
        }
    }
}

impl ForecastReport {
    /// The skills over all targets.
    pub(crate) fn finish(&mut self) {
        let Some(first) = self.targets.first() else {
            return;
        };
        let targets = self.targets.len() as f64;
        self.standardised.mse /= targets;
        self.standardised.mae /= targets;
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
            let (named, told) = match self.predictions.first() {
                Some(row) => (row.series.is_some(), row.lower.is_some()),
                None => (false, false),
            };
            let mut header: Vec<&str> = Vec::new();
            header.extend(named.then_some("series"));
            header.extend(["target", "origin", "time", "step", "actual", "forecast"]);
            header.extend(if told { &["lower", "upper"][..] } else { &[] });
            if let Some(target) = self.targets.first() {
                header.extend(target.baselines.iter().map(|baseline| baseline.name.as_str()));
            }
            writer.write_record(&header)?;
            let width = header.len();
            let number =
                |value: f64| if value.is_nan() { String::new() } else { value.to_string() };
            for row in &self.predictions {
                let mut record: Vec<String> = row.series.clone().into_iter().collect();
                record.extend([row.target.clone(), row.origin.clone(), row.time.clone()]);
                record.extend([row.step.to_string(), number(row.actual), row.forecast.to_string()]);
                record.extend(row.lower.iter().chain(&row.upper).map(f64::to_string));
                record.extend(row.baselines.iter().map(f64::to_string));
                // Targets may differ in the naive forecasts they allow.
                record.resize(width, String::new());
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
        let rows = match self.series {
            1 => format!("rows {} to {}", self.first_time, self.last_time),
            series => format!("rows of {series} series"),
        };
        let mut lines = vec![format!(
            "{} {rows}, forecast {} ahead from {} origin{}",
            self.part,
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
            if let Some(probability) = &target.probability {
                let held = probability.coverage.iter().map(|coverage| {
                    let Coverage { nominal, found } = coverage;
                    format!("{:.0} % interval holds {:.1} %", 100.0 * nominal, 100.0 * found)
                });
                let held: Vec<String> = held.take(3).collect();
                let (crps, pinball) = (short(probability.crps), short(probability.pinball));
                lines.push(format!("  CRPS {crps} · pinball {pinball} · {}", held.join(" · ")));
            }
            if let Some(interval) = target.interval.filter(|interval| interval.calibrated) {
                lines.push(format!(
                    "  calibrated {:.0} % interval holds {:.1} %, mean width {}",
                    100.0 * interval.nominal,
                    100.0 * interval.found,
                    short(interval.width)
                ));
            }
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
        match self.series {
            1 => format!("{error} on the {} rows {first} to {last}", self.part),
            series => format!("{error} on the {} rows of {series} series", self.part),
        }
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

    fn beside(&self) -> Result<Option<(&'static str, Vec<u8>)>> {
        let Some(calibration) = &self.calibration else {
            return Ok(None);
        };
        let bytes = serde_json::to_vec_pretty(calibration)
            .map_err(|error| Error::failed("cannot write the calibration").with_source(error))?;
        Ok(Some((CALIBRATION, bytes)))
    }
}
