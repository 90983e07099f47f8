//! How good a regression is, in the units of the file.

use crate::error::Result;
use crate::metrics::{mae, rmse};
use crate::task::{Report, Skill, better, short};
use serde::Serialize;

/// A regression measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegressReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Sequences measured.
    pub sequences: usize,
    /// Each target by itself.
    pub targets: Vec<RegressTarget>,
    /// How much smaller the root mean squared error is than that of the mean, averaged over the targets.
    pub skills: Vec<Skill>,
    /// Every prediction.
    #[serde(skip)]
    pub predictions: Vec<RegressPrediction>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegressTarget {
    /// Its name.
    pub target: String,
    /// The scores of the model.
    pub model: RegressScores,
    /// Those of always saying the mean of the training part.
    pub mean: RegressScores,
    /// The scores at the last step of each sequence, where every step has a target.
    pub last: Option<RegressScores>,
    /// The score of the prognostics challenge of 2008 at the last steps, where steps that are left are
    /// learned: the sum of `exp(-d/13) - 1` for predictions that are too small by `d`, and of
    /// `exp(d/10) - 1` for those that are too large (Saxena, Goebel, Simon, Eklund 2008).
    pub phm: Option<f64>,
}

/// The scores of some predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RegressScores {
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
}

/// A predicted number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegressPrediction {
    /// The name of the sequence.
    pub id: String,
    /// The step, from 1, where every step has a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The target.
    pub target: String,
    /// What is right, where it is known.
    pub actual: Option<f64>,
    /// What the model says.
    pub predicted: f64,
    /// Whether it is the last step.
    #[serde(skip)]
    pub last: bool,
}

fn scores(pairs: &[(f64, f64)]) -> RegressScores {
    let (said, right): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    RegressScores { rmse: rmse(&said, &right), mae: mae(&said, &right) }
}

impl RegressReport {
    /// Measures predictions that all have a right answer; `means` are those of the training part.
    pub(super) fn new(
        part: &str,
        (names, means): (&[String], &[f64]),
        remaining: bool,
        predictions: Vec<RegressPrediction>,
    ) -> Self {
        let targets = names.iter().zip(means).map(|(name, mean)| {
            let own = || predictions.iter().filter(|p| p.target == *name);
            let pair = |p: &RegressPrediction| (p.predicted, p.actual.unwrap_or(f64::NAN));
            let model: Vec<(f64, f64)> = own().map(pair).collect();
            let naive: Vec<(f64, f64)> = model.iter().map(|(_, right)| (*mean, *right)).collect();
            let last: Vec<(f64, f64)> =
                own().filter(|p| p.last && p.step.is_some()).map(pair).collect();
            let phm = remaining.then(|| last.iter().map(|(said, right)| phm(said - right)).sum());
            RegressTarget {
                target: name.clone(),
                model: scores(&model),
                mean: scores(&naive),
                last: (!last.is_empty()).then(|| scores(&last)),
                phm,
            }
        });
        let targets: Vec<RegressTarget> = targets.collect();
        let ratios: f64 = targets.iter().map(|t| t.model.rmse / t.mean.rmse).sum();
        let skill = Skill::of("mean", ratios / targets.len().max(1) as f64, 1.0);
        let skill = skill.filter(|skill| skill.skill.is_finite());
        Self {
            part: part.to_owned(),
            sequences: predictions.iter().filter(|p| p.last && p.target == names[0]).count(),
            targets,
            skills: skill.into_iter().collect(),
            predictions,
        }
    }
}

fn phm(d: f64) -> f64 {
    if d < 0.0 { (-d / 13.0).exp_m1() } else { (d / 10.0).exp_m1() }
}

impl Report for RegressReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!("{} part, {} sequences", self.part, self.sequences)];
        let words = |s: &RegressScores| format!("RMSE {} · MAE {}", short(s.rmse), short(s.mae));
        for target in &self.targets {
            lines.push(format!("{}: model {}", target.target, words(&target.model)));
            if let Some(last) = &target.last {
                let phm = target.phm.map_or(String::new(), |phm| format!(" · PHM score {phm:.0}"));
                lines.push(format!("  at the last steps {}{phm}", words(last)));
            }
            let skill = metrics_skill(target);
            lines.push(format!(
                "  mean {}{}",
                words(&target.mean),
                skill.map_or(String::new(), |s| format!(" · model {}", better(s, "it")))
            ));
        }
        lines
    }

    fn headline(&self) -> String {
        let words = self.targets.iter().map(|target| match &target.last {
            Some(last) => {
                format!("RMSE {} of {} at the last steps", short(last.rmse), target.target)
            }
            None => format!("RMSE {} of {}", short(target.model.rmse), target.target),
        });
        let words: Vec<String> = words.take(3).collect();
        format!(
            "{} on the {} sequences of the {} part",
            words.join(", "),
            self.sequences,
            self.part
        )
    }

    fn measures(&self) -> Vec<(String, f64)> {
        let of = |own: &RegressTarget| {
            let name = &own.target;
            let mut found = vec![
                (format!("RMSE of {name}"), own.model.rmse),
                (format!("MAE of {name}"), own.model.mae),
            ];
            if let Some(last) = &own.last {
                found.push((format!("RMSE of {name} at the last steps"), last.rmse));
            }
            found.push((format!("RMSE of the mean of {name}"), own.mean.rmse));
            found
        };
        self.targets.iter().flat_map(of).collect()
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["mean"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv(&self.predictions).map(Some)
    }
}

fn metrics_skill(target: &RegressTarget) -> Option<f64> {
    crate::metrics::skill(target.model.rmse, target.mean.rmse)
}

/// Predictions as CSV.
pub(super) fn csv(predictions: &[RegressPrediction]) -> Result<Vec<u8>> {
    let steps = predictions.iter().any(|prediction| prediction.step.is_some());
    let known = predictions.iter().any(|prediction| prediction.actual.is_some());
    crate::task::csv_of(|writer| {
        let mut head = vec!["id"];
        head.extend(steps.then_some("step"));
        head.push("target");
        head.extend(known.then_some("actual"));
        head.push("predicted");
        writer.write_record(&head)?;
        for p in predictions {
            let mut row = vec![p.id.clone()];
            row.extend(steps.then(|| p.step.map_or(String::new(), |step| step.to_string())));
            row.push(p.target.clone());
            row.extend(known.then(|| p.actual.map_or(String::new(), |a| a.to_string())));
            row.push(p.predicted.to_string());
            writer.write_record(&row)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let p = |step: usize, actual: f64, predicted: f64, last| RegressPrediction {
            id: "a".to_owned(),
            step: Some(step),
            target: "left".to_owned(),
            actual: Some(actual),
            predicted,
            last,
        };
        let predictions = vec![p(1, 2.0, 5.0, false), p(2, 1.0, 1.0, false), p(3, 0.0, 10.0, true)];
        let names = ["left".to_owned()];
        let report = RegressReport::new("test", (&names, &[1.0]), true, predictions);
        let target = &report.targets[0];
        assert!((target.model.rmse - (109.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((target.mean.rmse - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(target.last.unwrap().rmse, 10.0);
        assert!((target.phm.unwrap() - 1_f64.exp_m1()).abs() < 1e-12);
        assert_eq!(report.sequences, 1);
        assert!((phm(-13.0) - 1_f64.exp_m1()).abs() < 1e-12);
    }
}
