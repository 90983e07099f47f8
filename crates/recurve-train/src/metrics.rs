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
    /// [`mase`]; `None` where its scale does not exist.
    pub mase: Option<f64>,
}

impl Scores {
    /// Measures forecasts; `scale` is that of [`mase_scale`].
    pub fn new(forecast: &[f64], actual: &[f64], scale: Option<f64>) -> Self {
        Self {
            mae: mae(forecast, actual),
            rmse: rmse(forecast, actual),
            smape: smape(forecast, actual),
            mase: scale.map(|scale| mase(forecast, actual, scale)),
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
