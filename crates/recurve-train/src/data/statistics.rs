//! The few statistics behind the guesses: season, trend, and whether the spread follows the level.
//!
//! They are rules of thumb, computed on the training part only; every guess is said aloud and can be
//! overruled. Where the values do not speak clearly the answer is the plain one: no season, no
//! transform.

/// Mean and standard deviation (1/N) of the values; of none, zero and zero.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, square.sqrt())
}

/// A straight line fitted by least squares.
struct Line {
    /// The values less the line.
    rest: Vec<f64>,
    /// The share of the variance that the line explains, in `[0, 1]`.
    explained: f64,
}

fn fit_line(values: &[f64]) -> Line {
    let centre = (values.len() as f64 - 1.0) / 2.0;
    let (mean, deviation) = mean_and_deviation(values);
    let (mut product, mut square) = (0.0, 0.0);
    for (row, value) in values.iter().enumerate() {
        let time = row as f64 - centre;
        product += time * (value - mean);
        square += time * time;
    }
    let slope = if square > 0.0 { product / square } else { 0.0 };
    let rest = values.iter().enumerate();
    let rest: Vec<f64> =
        rest.map(|(row, value)| value - mean - slope * (row as f64 - centre)).collect();
    let left = mean_and_deviation(&rest).1;
    let explained = if deviation > 0.0 { 1.0 - (left / deviation).powi(2) } else { 0.0 };
    Line { rest, explained }
}

/// The autocorrelation at a lag, of values with mean zero: the mean product of the pairs over the mean
/// square, so that long lags, of which there are fewer pairs, are not made small.
fn autocorrelation(centred: &[f64], lag: usize) -> f64 {
    let power: f64 = centred.iter().map(|value| value * value).sum();
    if power == 0.0 || lag >= centred.len() {
        return 0.0;
    }
    let product: f64 = centred.iter().zip(&centred[lag..]).map(|(a, b)| a * b).sum();
    let pairs = (centred.len() - lag) as f64;
    (product / pairs) / (power / centred.len() as f64)
}

/// The season that the values show, in rows, or 1: the first clear peak of the autocorrelation of
/// the detrended values, beyond the point where it has fallen below zero.
pub(crate) fn season(values: &[f64]) -> usize {
    const CLEAR: f64 = 0.3;
    let rest = fit_line(values).rest;
    let lags = (values.len() / 3).min(400);
    let peaks: Vec<f64> = (0..=lags + 1).map(|lag| autocorrelation(&rest, lag)).collect();
    let Some(fallen) = peaks.iter().position(|&r| r < 0.0) else {
        return 1;
    };
    let highest = peaks[fallen..].iter().copied().fold(0.0, f64::max);
    let peak = (fallen..=lags).find(|&lag| {
        let here = peaks[lag];
        let summit = here >= peaks[lag - 1] && here >= peaks[lag + 1];
        lag > 1 && summit && here >= CLEAR && here >= 0.8 * highest
    });
    peak.unwrap_or(1)
}

/// Whether a straight line explains more than half of the variance.
pub(crate) fn has_trend(values: &[f64]) -> bool {
    values.len() >= 8 && fit_line(values).explained > 0.5
}

/// Whether the detrended values resemble themselves one season earlier.
pub(crate) fn has_season(values: &[f64], season: usize) -> bool {
    season > 1
        && values.len() >= 3 * season
        && autocorrelation(&fit_line(values).rest, season) > 0.4
}

/// Whether the spread grows with the level: all values are positive, the level at least doubles, and
/// from block to block the logarithm of the spread follows that of the level with a slope above one
/// half and a correlation above 0.7.
pub(crate) fn spread_follows_level(values: &[f64], season: usize) -> bool {
    let block = if season > 1 { season } else { 10 };
    if values.len() < 4 * block || values.iter().any(|&value| value <= 0.0) {
        return false;
    }
    let blocks: Vec<(f64, f64)> = values.chunks_exact(block).map(mean_and_deviation).collect();
    if blocks.iter().any(|&(_, spread)| spread == 0.0) {
        return false;
    }
    let levels: Vec<f64> = blocks.iter().map(|(level, _)| level.ln()).collect();
    let spreads: Vec<f64> = blocks.iter().map(|(_, spread)| spread.ln()).collect();
    let lowest = levels.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ((x, dx), (y, dy)) = (mean_and_deviation(&levels), mean_and_deviation(&spreads));
    let shared: f64 = levels.iter().zip(&spreads).map(|(a, b)| (a - x) * (b - y)).sum();
    let shared = shared / levels.len() as f64;
    highest - lowest > 2_f64.ln() && shared > 0.5 * dx * dx && shared > 0.7 * dx * dy
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn a_season_is_found_in_a_wave_with_trend() {
        for period in [3_usize, 7, 12, 24] {
            let values: Vec<f64> = (0..10 * period)
                .map(|row| (TAU * row as f64 / period as f64).sin() + 0.3 * row as f64)
                .collect();
            assert_eq!(season(&values), period);
            assert!(has_season(&values, period));
            assert!(has_trend(&values));
        }
    }

    #[test]
    fn a_long_lag_is_not_made_small() {
        let wave: Vec<f64> = (0..36).map(|row| (TAU * f64::from(row) / 12.0).sin()).collect();
        assert!((autocorrelation(&wave, 12) - 1.0).abs() < 1e-9);
        assert!((autocorrelation(&wave, 6) + 1.0).abs() < 1e-9);
    }

    #[test]
    fn values_without_structure_have_none() {
        let noise: Vec<f64> = (0..200_u64)
            .map(|row| (row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64)
            .collect();
        assert_eq!(season(&[5.0; 50]), 1);
        assert_eq!(season(&[]), 1);
        assert!(!has_trend(&noise) && !has_trend(&[5.0; 50]));
        assert!(!spread_follows_level(&noise, 12) && !spread_follows_level(&[5.0; 50], 1));
    }

    #[test]
    fn the_logarithm_is_for_growing_waves() {
        let wave = |row: usize| 1.0 + 0.2 * (TAU * row as f64 / 12.0).sin();
        let growing: Vec<f64> = (0..96).map(|row| wave(row) * 1.02_f64.powi(row as i32)).collect();
        let even: Vec<f64> = (0..96).map(|row| 10.0 * wave(row) + row as f64).collect();
        assert!(spread_follows_level(&growing, 12));
        assert!(!spread_follows_level(&even, 12));
    }
}
