//! How good a model is, beside the naive ones, in numbers that serialise.

use crate::error::{Error, Result};
use crate::metrics::{self, Scores, skill};
use serde::Serialize;
use std::io::Write;

/// The evaluation of a trained model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Evaluation {
    /// Of forecasts.
    Forecast(ForecastReport),
    /// Of a language model.
    Language(LanguageReport),
}

/// How much better than a naive model: `1 - error / error of the naive one`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skill {
    /// The naive model.
    pub baseline: String,
    /// 0.21 is 21 % better, negative is worse.
    pub skill: f64,
}

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
        let skills = baselines.iter().filter_map(|baseline| {
            Some(Skill {
                baseline: baseline.name.clone(),
                skill: skill(model.mae, baseline.scores.mae)?,
            })
        });
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

    /// The result in sentences for a person.
    pub fn summary(&self) -> Vec<String> {
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
}

/// A language model measured on one part of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageReport {
    /// `validation`, `training` or `all`.
    pub part: String,
    /// What a token is: `character` or `byte`.
    pub unit: String,
    /// Tokens predicted.
    pub tokens: u64,
    /// Mean cross-entropy in nats per token.
    pub nats: f64,
    /// The same in bits.
    pub bits: f64,
    /// The same as perplexity.
    pub perplexity: f64,
    /// Cross-entropy of the token frequencies of the training part, in nats per token.
    pub unigram: Option<f64>,
    /// The same of the frequencies after each token.
    pub bigram: Option<f64>,
    /// The skill in cross-entropy against both.
    pub skills: Vec<Skill>,
}

impl LanguageReport {
    pub(crate) fn new(
        (part, unit): (&str, &str),
        (nats, tokens): (f64, u64),
        (unigram, bigram): (Option<f64>, Option<f64>),
    ) -> Self {
        let against = |name: &str, baseline: Option<f64>| {
            Some(Skill { baseline: name.to_owned(), skill: skill(nats, baseline?)? })
        };
        Self {
            part: part.to_owned(),
            unit: unit.to_owned(),
            tokens,
            nats,
            bits: metrics::bits(nats),
            perplexity: metrics::perplexity(nats),
            unigram,
            bigram,
            skills: [against("unigram", unigram), against("bigram", bigram)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// The result in sentences for a person.
    pub fn summary(&self) -> Vec<String> {
        let unit = &self.unit;
        let mut lines = vec![format!(
            "{} part, {} {unit}s: {:.4} nats per {unit} · {:.4} bits · perplexity {:.3}",
            self.part, self.tokens, self.nats, self.bits, self.perplexity
        )];
        for (name, nats) in [("unigram", self.unigram), ("bigram", self.bigram)] {
            let skill = self.skills.iter().find(|skill| skill.baseline == name);
            if let (Some(nats), Some(skill)) = (nats, skill) {
                let against = better(skill.skill, "it");
                lines.push(format!("  {name} {nats:.4} nats per {unit} · model {against}"));
            }
        }
        lines
    }
}

impl Evaluation {
    /// The result in sentences for a person.
    pub fn summary(&self) -> Vec<String> {
        match self {
            Self::Forecast(report) => report.summary(),
            Self::Language(report) => report.summary(),
        }
    }
}

/// A skill in words.
pub(crate) fn better(skill: f64, than: &str) -> String {
    let percent = 100.0 * skill;
    if percent >= 0.0 {
        format!("{percent:.1} % better than {than}")
    } else {
        format!("{:.1} % worse than {than}", -percent)
    }
}

/// A number with four digits that matter.
fn short(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e9).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - value.abs().max(1e-12).log10().floor()).clamp(0.0, 12.0);
    format!("{value:.*}", digits as usize)
}
