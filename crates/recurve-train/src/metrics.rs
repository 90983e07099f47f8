//! How good a forecast or a text model is, in the field's usual measures.
//!
//! Forecast and truth are slices of equal length, in the units of the file; an empty or unequal pair
//! is a mistake of the program and panics. Measures of several origins or targets are taken over all
//! their values laid end to end.

/// Mean absolute error, `mean |f - y|`, in the units of the data.
pub fn mae(forecast: &[f64], actual: &[f64]) -> f64 {
    mean(forecast, actual, |f, y| (f - y).abs())
}

/// Root of the mean squared error, `sqrt(mean (f - y)^2)`, in the units of the data.
pub fn rmse(forecast: &[f64], actual: &[f64]) -> f64 {
    mean(forecast, actual, |f, y| (f - y).powi(2)).sqrt()
}

/// Symmetric mean absolute percentage error as the M4 competition defines it,
/// `200/h * sum |f - y| / (|f| + |y|)`, in percent from 0 to 200. A pair of zeros counts 0.
///
/// Makridakis, Spiliotis, Assimakopoulos (2020), "The M4 Competition", equation 1.
pub fn smape(forecast: &[f64], actual: &[f64]) -> f64 {
    let share = |f: f64, y: f64| {
        let size = f.abs() + y.abs();
        if size == 0.0 { 0.0 } else { (f - y).abs() / size }
    };
    200.0 * mean(forecast, actual, share)
}

/// The scale of MASE: the mean absolute error of the seasonal naive forecast, one season ahead,
/// within the training values. `None` where it is zero or there is not a season to compare.
pub fn mase_scale(train: &[f64], season: usize) -> Option<f64> {
    if season == 0 || train.len() <= season {
        return None;
    }
    let scale = mae(&train[..train.len() - season], &train[season..]);
    (scale > 0.0 && scale.is_finite()).then_some(scale)
}

/// Mean absolute scaled error: [`mae`] over [`mase_scale`]. Below 1 the forecast errs less than the
/// seasonal naive one did within the training values.
///
/// Hyndman, Koehler (2006), "Another look at measures of forecast accuracy".
pub fn mase(forecast: &[f64], actual: &[f64], scale: f64) -> f64 {
    mae(forecast, actual) / scale
}

/// The efficiency of Nash and Sutcliffe (1970), `1 − Σ (f − y)² / Σ (y − mean y)²`: 1 is perfect, 0 no better
/// than the mean of what came. `None` where that never changes.
pub fn nse(forecast: &[f64], actual: &[f64]) -> Option<f64> {
    check(forecast.len(), actual.len());
    let (_, deviation) = crate::data::mean_and_deviation(actual);
    (deviation > 0.0).then(|| 1.0 - (rmse(forecast, actual) / deviation).powi(2))
}

/// The efficiency of Kling and Gupta (2009), `1 − √((r − 1)² + (σ_f/σ_y − 1)² + (μ_f/μ_y − 1)²)` of the
/// correlation, the deviations and the means. `None` where a deviation or the mean of what came is 0.
pub fn kge(forecast: &[f64], actual: &[f64]) -> Option<f64> {
    check(forecast.len(), actual.len());
    let (mean_f, of_f) = crate::data::mean_and_deviation(forecast);
    let (mean_y, of_y) = crate::data::mean_and_deviation(actual);
    if of_f == 0.0 || of_y == 0.0 || mean_y == 0.0 {
        return None;
    }
    let shared = forecast.iter().zip(actual).map(|(f, y)| (f - mean_f) * (y - mean_y));
    let r = shared.sum::<f64>() / actual.len() as f64 / (of_f * of_y);
    let parts = [r - 1.0, of_f / of_y - 1.0, mean_f / mean_y - 1.0];
    Some(1.0 - parts.iter().map(|part| part * part).sum::<f64>().sqrt())
}

/// The pinball loss of a quantile `q` of a level: `max(level (y − q), (level − 1) (y − q))`.
pub fn pinball(level: f64, q: f64, y: f64) -> f64 {
    (level * (y - q)).max((level - 1.0) * (y - q))
}

/// The continuous ranked probability score of quantiles at rising levels: twice the integral of the pinball
/// loss over the level, by the trapezium rule, nothing at 0 and 1 (Gneiting, Ranjan 2011, equation 9). Of
/// few levels it is rough.
pub fn crps(levels: &[f64], quantiles: &[f64], y: f64) -> f64 {
    let losses = levels.iter().zip(quantiles).map(|(&level, &q)| (level, pinball(level, q, y)));
    let (mut sum, mut before) = (0.0, (0.0, 0.0));
    for (level, loss) in losses.chain([(1.0, 0.0)]) {
        sum += (level - before.0) * (loss + before.1);
        before = (level, loss);
    }
    sum
}

/// The share of predictions that are right, from 0 to 1.
pub fn accuracy<T: PartialEq>(predicted: &[T], actual: &[T]) -> f64 {
    check(predicted.len(), actual.len());
    let right = predicted.iter().zip(actual).filter(|(p, a)| p == a).count();
    right as f64 / actual.len() as f64
}

/// The fewest insertions, deletions and substitutions that make one list the other (Levenshtein 1966).
pub fn edits<T: PartialEq>(one: &[T], other: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, item) in one.iter().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (place, wanted) in other.iter().enumerate() {
            let changed = before + usize::from(item != wanted);
            before = row[place + 1];
            row[place + 1] = changed.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

/// Bits of a number of nats: `nats / ln 2`.
pub fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}

/// Perplexity of a mean cross-entropy in nats per token: `e^nats`.
pub fn perplexity(nats: f64) -> f64 {
    nats.exp()
}

/// The skill against a baseline, `1 - error / baseline`: 0.21 is 21 % better, negative is worse.
/// `None` where the baseline makes no error.
pub fn skill(error: f64, baseline: f64) -> Option<f64> {
    (baseline > 0.0).then(|| 1.0 - error / baseline)
}

/// The measures of one set of forecasts.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Scores {
    /// [`mae`].
    pub mae: f64,
    /// [`rmse`].
    pub rmse: f64,
    /// [`smape`], in percent.
    pub smape: f64,
    /// [`mase`]; `None` where its scale does not exist. Of several series, the mean.
    pub mase: Option<f64>,
    /// [`nse`]; of several series, the median.
    pub nse: Option<f64>,
    /// [`kge`]; of several series, the median.
    pub kge: Option<f64>,
}

impl Scores {
    /// Measures forecasts; `scale` is that of [`mase_scale`].
    pub fn new(forecast: &[f64], actual: &[f64], scale: Option<f64>) -> Self {
        Self {
            mae: mae(forecast, actual),
            rmse: rmse(forecast, actual),
            smape: smape(forecast, actual),
            mase: scale.map(|scale| mase(forecast, actual, scale)),
            nse: nse(forecast, actual),
            kge: kge(forecast, actual),
        }
    }

    /// The scores of several series, each with its number of values: errors over all values, the mean of
    /// MASE, the medians of the efficiencies.
    pub fn over(series: &[(Self, usize)]) -> Self {
        if let [(only, _)] = series {
            return *only;
        }
        let count = series.iter().map(|(_, count)| *count as f64).sum::<f64>().max(1.0);
        let mean = |of: fn(&Self) -> f64| {
            series.iter().map(|(scores, own)| of(scores) * *own as f64).sum::<f64>() / count
        };
        let some = |of: fn(&Self) -> Option<f64>| -> Vec<f64> {
            let mut found: Vec<f64> = series.iter().filter_map(|(scores, _)| of(scores)).collect();
            found.sort_unstable_by(f64::total_cmp);
            found
        };
        let mases = some(|scores| scores.mase);
        let median = |of| {
            let found = some(of);
            found.get(found.len() / 2).copied()
        };
        Self {
            mae: mean(|scores| scores.mae),
            rmse: mean(|scores| scores.rmse.powi(2)).sqrt(),
            smape: mean(|scores| scores.smape),
            mase: (!mases.is_empty()).then(|| mases.iter().sum::<f64>() / mases.len() as f64),
            nse: median(|scores| scores.nse),
            kge: median(|scores| scores.kge),
        }
    }
}

fn mean(forecast: &[f64], actual: &[f64], error: impl Fn(f64, f64) -> f64) -> f64 {
    check(forecast.len(), actual.len());
    let sum: f64 = forecast.iter().zip(actual).map(|(&f, &y)| error(f, y)).sum();
    sum / actual.len() as f64
}

fn check(predicted: usize, actual: usize) {
    assert_eq!(predicted, actual, "a forecast for every value");
    assert_ne!(actual, 0, "at least one value");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_by_hand() {
        let (forecast, actual) = ([110.0, 90.0, 0.0], [100.0, 100.0, 0.0]);
        assert!((mae(&forecast, &actual) - 20.0 / 3.0).abs() < 1e-12);
        assert!((rmse(&forecast, &actual) - (200.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        let percent = 200.0 / 3.0 * (10.0 / 210.0 + 10.0 / 190.0);
        assert!((smape(&forecast, &actual) - percent).abs() < 1e-12);
        // One season of 2 apart: |3-1|, |2-2|, |6-3| have mean 5/3.
        let scale = mase_scale(&[1.0, 2.0, 3.0, 2.0, 6.0], 2).unwrap();
        assert!((scale - 5.0 / 3.0).abs() < 1e-12);
        assert!((mase(&forecast, &actual, scale) - 4.0).abs() < 1e-12);
        assert_eq!(accuracy(&[1, 2, 3, 4], &[1, 2, 0, 4]), 0.75);
        assert!((bits(8_f64.ln()) - 3.0).abs() < 1e-15);
        assert_eq!(perplexity(0.0), 1.0);
        assert_eq!(skill(3.0, 4.0), Some(0.25));
    }

    #[test]
    fn edits_by_hand() {
        let edits = |a: &str, b: &str| super::edits(a.as_bytes(), b.as_bytes());
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("ab", "")), (3, 3, 2));
        assert_eq!((edits("abc", "abc"), edits("flaw", "lawn")), (0, 2));
    }

    #[test]
    fn a_scale_that_does_not_exist_is_none() {
        assert_eq!(mase_scale(&[5.0; 10], 1), None);
        assert_eq!(mase_scale(&[1.0, 2.0], 2), None);
        assert_eq!(mase_scale(&[1.0, 2.0], 0), None);
        assert_eq!(skill(1.0, 0.0), None);
        assert_eq!(Scores::new(&[1.0], &[2.0], None).mase, None);
    }
}
