//! What the outputs of a model say of a value: a number, quantiles, or a distribution.
//!
//! The forecast is the number, or the median. Whatever a distribution is made of, it leaves here as
//! quantiles at fixed levels, and as samples for paths. Values are those that training saw: scaled, and
//! relative where the model reads so.

use crate::loss::{Density, Loss, ln_gamma, softplus};
use rand::{Rng, RngExt};
use std::f64::consts::PI;

/// The levels at which distributions are told: every 5 %, and the ends of the 95 % interval.
const LEVELS: [f64; 21] = [
    0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8,
    0.85, 0.9, 0.95, 0.975,
];

/// What is added to what must be above 0, as in the loss.
const LEAST: f64 = 1e-4;

/// How outputs are read.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    density: Option<Density>,
    levels: Vec<f64>,
    /// The quantiles of the standard normal distribution at the levels.
    normal: Vec<f64>,
}

impl Head {
    pub(crate) fn of(loss: &Loss) -> Self {
        let density = Density::of(loss);
        let levels = match &density {
            None => Vec::new(),
            Some(Density::Quantile(levels)) => levels.as_slice().to_vec(),
            Some(_) => LEVELS.to_vec(),
        };
        let normal = levels.iter().map(|level| inverse(*level, (-9.0, 9.0), normal_cdf)).collect();
        Self { density, levels, normal }
    }

    /// Outputs of a value.
    pub(crate) fn parameters(&self) -> usize {
        self.density.map_or(1, |density| density.parameters())
    }

    /// The levels of its quantiles; none where it gives a number alone.
    pub(crate) fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// Whether values are counts, which know their scale.
    pub(crate) fn is_counts(&self) -> bool {
        self.density == Some(Density::NegativeBinomial)
    }

    /// Writes the quantiles of a value and gives its forecast; `scale` is what counts were divided by.
    pub(crate) fn read(&self, outputs: &[f32], scale: f64, quantiles: &mut [f64]) -> f64 {
        let out = |at: usize| f64::from(outputs[at]);
        match self.density {
            None => return out(0),
            Some(Density::Quantile(_)) => {
                for (room, output) in quantiles.iter_mut().zip(outputs) {
                    *room = f64::from(*output);
                }
                // Quantiles that were learned apart may cross.
                quantiles.sort_unstable_by(f64::total_cmp);
            }
            Some(Density::Normal) => {
                let deviation = LEAST + softplus(out(1));
                for (room, z) in quantiles.iter_mut().zip(&self.normal) {
                    *room = out(0) + deviation * z;
                }
            }
            Some(Density::StudentT) => {
                let (deviation, freedom) = (LEAST + softplus(out(1)), 2.0 + softplus(out(2)));
                for (room, level) in quantiles.iter_mut().zip(&self.levels) {
                    *room = out(0) + deviation * student_quantile(*level, freedom);
                }
            }
            Some(Density::NegativeBinomial) => {
                let found = count_quantiles(&self.levels, counts(outputs, scale));
                for (room, count) in quantiles.iter_mut().zip(found) {
                    *room = count / scale;
                }
            }
            Some(Density::Mixture(components)) => {
                let mixture = Mixture::of(components, outputs);
                for (room, level) in quantiles.iter_mut().zip(&self.levels) {
                    *room = mixture.quantile(*level);
                }
            }
        }
        let median = self.levels.iter().position(|level| *level == 0.5).unwrap_or(0);
        quantiles[median]
    }

    /// One value at random; the number itself where there is no distribution.
    pub(crate) fn sample(&self, outputs: &[f32], scale: f64, rng: &mut impl Rng) -> f64 {
        let out = |at: usize| f64::from(outputs[at]);
        let mut level = || rng.random_range(1e-6..1.0 - 1e-6);
        match self.density {
            None => out(0),
            Some(Density::Quantile(_)) => {
                let mut quantiles: Vec<f64> = outputs.iter().map(|q| f64::from(*q)).collect();
                quantiles.sort_unstable_by(f64::total_cmp);
                between(&self.levels, &quantiles, level())
            }
            Some(Density::Normal) => {
                out(0) + (LEAST + softplus(out(1))) * gaussian(level(), level())
            }
            Some(Density::StudentT) => {
                let freedom = 2.0 + softplus(out(2));
                out(0) + (LEAST + softplus(out(1))) * student_quantile(level(), freedom)
            }
            Some(Density::NegativeBinomial) => {
                count_quantiles(&[level()], counts(outputs, scale))[0] / scale
            }
            Some(Density::Mixture(components)) => {
                let mixture = Mixture::of(components, outputs);
                let mut left = level();
                let mut at = 0;
                while at + 1 < components && left > mixture.weights[at] {
                    left -= mixture.weights[at];
                    at += 1;
                }
                mixture.means[at] + mixture.deviations[at] * gaussian(level(), level())
            }
        }
    }
}

/// The quantile of a level, on straight lines between those that are known.
fn between(levels: &[f64], quantiles: &[f64], level: f64) -> f64 {
    let above = levels.partition_point(|known| *known < level).clamp(1, levels.len().max(2) - 1);
    if levels.len() < 2 {
        return quantiles[0];
    }
    let share = (level - levels[above - 1]) / (levels[above] - levels[above - 1]);
    quantiles[above - 1] + share.clamp(0.0, 1.0) * (quantiles[above] - quantiles[above - 1])
}

/// The quantiles of equally likely samples at some levels; the samples come sorted.
pub(super) fn of_samples(samples: &[f64], level: f64) -> f64 {
    let place = level * (samples.len() - 1) as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(samples.len() - 1);
    samples[low] + (place - low as f64) * (samples[high] - samples[low])
}

/// A normal number of two uniform ones (Box, Muller 1958).
fn gaussian(one: f64, other: f64) -> f64 {
    (-2.0 * one.ln()).sqrt() * (2.0 * PI * other).cos()
}

/// The distribution function of the standard normal, by its series (Marsaglia 2004).
fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut at) = (x, x, 1.0);
    while sum + term != sum {
        at += 2.0;
        term *= x * x / at;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x - 0.5 * (2.0 * PI).ln()).exp()
}

/// Where a rising function reaches a level, by halving.
fn inverse(level: f64, (mut low, mut high): (f64, f64), cdf: impl Fn(f64) -> f64) -> f64 {
    while high - low > 1e-9 * (1.0 + low.abs()) {
        let middle = 0.5 * (low + high);
        if cdf(middle) < level { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The quantile of Student's t with `n` degrees of freedom.
fn student_quantile(level: f64, n: f64) -> f64 {
    if level < 0.5 {
        return -student_quantile(1.0 - level, n);
    }
    // The share beyond x is half of a beta function of n / (n + x²).
    let beyond = |x: f64| 0.5 * beta_share(n / (n + x * x), 0.5 * n, 0.5);
    let mut high = 1.0;
    while 1.0 - beyond(high) < level {
        high *= 2.0;
    }
    inverse(level, (0.0, high), |x| 1.0 - beyond(x))
}

/// The incomplete beta function, as a share of the whole (Abramowitz, Stegun 26.5.8, a continued
/// fraction, here by Lentz's method).
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_share(1.0 - x, b, a);
    }
    let safe = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / safe(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / safe(1.0 + even * d);
        c = safe(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / safe(1.0 + odd * d);
        c = safe(1.0 + odd / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front.exp() * fraction / a
}

/// Mean and dispersion of counts.
fn counts(outputs: &[f32], scale: f64) -> (f64, f64) {
    let positive = |output: f32| LEAST + softplus(f64::from(output));
    (scale * positive(outputs[0]), positive(outputs[1]))
}

/// The quantiles of counts at rising levels. Beyond a mean of 5,000 the normal distribution of the same
/// mean and variance takes their place, which is closer than their rounding.
fn count_quantiles(levels: &[f64], (mean, dispersion): (f64, f64)) -> Vec<f64> {
    let (r, deviation) = (1.0 / dispersion, (mean + dispersion * mean * mean).sqrt());
    if mean > 5_000.0 || !mean.is_finite() {
        let of = |level: &f64| {
            (mean + deviation * inverse(*level, (-9.0, 9.0), normal_cdf)).max(0.0).round()
        };
        return levels.iter().map(of).collect();
    }
    let (mut count, mut likely) = (0.0, (r * (r / (r + mean)).ln()).exp());
    let mut sum = likely;
    let most = mean + 50.0 * deviation + 50.0;
    levels
        .iter()
        .map(|level| {
            while sum < *level && count < most {
                likely *= (count + r) / (count + 1.0) * mean / (r + mean);
                count += 1.0;
                sum += likely;
            }
            count
        })
        .collect()
}

struct Mixture {
    weights: Vec<f64>,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Mixture {
    fn of(components: usize, outputs: &[f32]) -> Self {
        let (w, rest) = outputs.split_at(components);
        let (m, s) = rest.split_at(components);
        Self {
            weights: crate::task::softmax(w),
            means: m.iter().map(|m| f64::from(*m)).collect(),
            deviations: s.iter().map(|s| LEAST + softplus(f64::from(*s))).collect(),
        }
    }

    fn quantile(&self, level: f64) -> f64 {
        let parts = || self.weights.iter().zip(&self.means).zip(&self.deviations);
        let low = parts().map(|((_, m), s)| m - 9.0 * s).fold(f64::INFINITY, f64::min);
        let high = parts().map(|((_, m), s)| m + 9.0 * s).fold(f64::NEG_INFINITY, f64::max);
        let cdf = |x: f64| parts().map(|((w, m), s)| w * normal_cdf((x - m) / s)).sum::<f64>();
        inverse(level, (low, high), cdf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Levels;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn quantiles_by_tables() {
        let near =
            |found: f64, table: f64| assert!((found - table).abs() < 2e-4, "{found} {table}");
        near(inverse(0.975, (-9.0, 9.0), normal_cdf), 1.959_964);
        near(student_quantile(0.975, 3.0), 3.182_446);
        near(student_quantile(0.05, 10.0), -1.812_461);
        near(student_quantile(0.9, 2.5), 1.730_252);
        // Counts of mean 4 and dispersion 1/4: a success chance of 1/2 and 4 of them.
        assert_eq!(count_quantiles(&[0.05, 0.6, 0.95], (4.0, 0.25)), [0.0, 4.0, 9.0]);
        assert_eq!(of_samples(&[1.0, 2.0, 4.0], 0.75), 3.0);
        near(between(&[0.1, 0.5, 0.9], &[0.0, 4.0, 6.0], 0.3), 2.0);
    }

    #[test]
    fn samples_have_the_quantiles_that_are_told() {
        let levels = Levels::try_from(vec![0.1, 0.25, 0.5, 0.75, 0.9]).unwrap();
        for (loss, outputs, scale) in [
            (Loss::Normal {}, vec![0.5, 0.2], 1.0),
            (Loss::StudentT {}, vec![0.5, 0.2, -1.0], 1.0),
            (Loss::NegativeBinomial {}, vec![0.7, 0.1], 20.0),
            (Loss::Mixture { components: 2 }, vec![0.2, -0.4, -0.3, 0.9, 0.1, -0.6], 1.0),
            (Loss::Quantile { levels }, vec![-1.0, 0.0, 0.5, 1.5, 2.0], 1.0),
        ] {
            let head = Head::of(&loss);
            let outputs: Vec<f32> = outputs.into_iter().collect();
            let mut told = vec![0.0; head.levels().len()];
            let median = head.read(&outputs, scale, &mut told);
            assert!(told.is_sorted() && told.contains(&median));
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut samples: Vec<f64> =
                (0..20_000).map(|_| head.sample(&outputs, scale, &mut rng)).collect();
            samples.sort_unstable_by(f64::total_cmp);
            for (level, told) in head.levels().iter().zip(&told) {
                if (0.09..0.91).contains(level) {
                    let found = of_samples(&samples, *level);
                    assert!((found - told).abs() < 0.08, "{loss:?} {level}: {found} {told}");
                }
            }
        }
    }
}
