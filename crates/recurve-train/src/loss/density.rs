//! Losses of distributions: what a model says is not one number but how likely each number is.
//!
//! A value has as many outputs side by side as its distribution has parameters. Outputs are any numbers;
//! what must be above 0 goes through `softplus(a) = ln(1 + e^a)` and a small floor, so that a likelihood is
//! never infinite. Every loss has its gradient by the outputs written out beside it; the tests hold it to
//! central differences.
//!
//! | distribution | outputs | parameters |
//! |---|---|---|
//! | quantiles | `q_1 … q_Q` | one number for each level |
//! | normal | `m, s` | mean `m`, deviation `softplus(s)` |
//! | Student's t | `m, s, n` | place `m`, scale `softplus(s)`, degrees of freedom `2 + softplus(n)` |
//! | negative binomial | `m, a` | mean `softplus(m)` in scaled counts, dispersion `softplus(a)` |
//! | mixture of normals | `w_k, m_k, s_k`, kind by kind | weights `softmax(w)`, means, deviations `softplus(s_k)` |

use super::Loss;
use super::levels::Levels;
use recurve_cell::Real;
use std::f64::consts::PI;

/// The least deviation, scale or mean: of scaled values, a ten-thousandth of their spread.
const LEAST: f64 = 1e-4;

/// The most outputs of a value.
const MOST: usize = 96;

/// A distribution of each value, by the outputs of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Density {
    /// A number for each level.
    Quantile(Levels),
    /// A normal distribution.
    Normal,
    /// Student's t.
    StudentT,
    /// Counts.
    NegativeBinomial,
    /// A mixture of normal distributions.
    Mixture(usize),
}

/// What outputs are held against: `targets [rows, values]`.
pub(super) struct Judged<'a, F> {
    pub(super) density: Density,
    pub(super) targets: &'a [F],
    pub(super) scales: Option<&'a [F]>,
}

/// `ln(1 + e^a)`.
pub(crate) fn softplus(a: f64) -> f64 {
    a.max(0.0) + (-a.abs()).exp().ln_1p()
}

/// Its derivative.
fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// `ln Γ(x)` of `x > 0`: the asymptotic series (Abramowitz, Stegun 6.1.41) from 12 on, after as many steps
/// of `Γ(x + 1) = x Γ(x)`.
pub(crate) fn ln_gamma(mut x: f64) -> f64 {
    let mut before = 0.0;
    while x < 12.0 {
        before -= x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series =
        1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)));
    before + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series / x
}

/// The derivative of `ln Γ` (6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut before = 0.0;
    while x < 12.0 {
        before -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series =
        y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y / 132.0))));
    before + x.ln() - 0.5 / x - series
}

impl Density {
    /// The distribution of a loss, if it is one.
    pub fn of(loss: &Loss) -> Option<Self> {
        match *loss {
            Loss::Quantile { levels } => Some(Self::Quantile(levels)),
            Loss::Normal {} => Some(Self::Normal),
            Loss::StudentT {} => Some(Self::StudentT),
            Loss::NegativeBinomial {} => Some(Self::NegativeBinomial),
            Loss::Mixture { components } => Some(Self::Mixture(components)),
            _ => None,
        }
    }

    /// Outputs of a value.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Quantile(levels) => levels.as_slice().len(),
            Self::Normal | Self::NegativeBinomial => 2,
            Self::StudentT => 3,
            Self::Mixture(components) => 3 * components,
        }
    }

    /// The loss of a value `t` and, in `d`, its derivatives by the outputs. `scale` is what counts were
    /// divided by.
    pub fn judge(&self, outputs: &[f64], t: f64, scale: f64, d: &mut [f64]) -> f64 {
        match self {
            Self::Quantile(levels) => pinball(levels.as_slice(), outputs, t, d),
            Self::Normal => {
                let s = LEAST + softplus(outputs[1]);
                let z = (t - outputs[0]) / s;
                d[0] = -z / s;
                d[1] = (1.0 - z * z) / s * sigmoid(outputs[1]);
                0.5 * (2.0 * PI).ln() + s.ln() + 0.5 * z * z
            }
            Self::StudentT => student(outputs, t, d),
            Self::NegativeBinomial => counts(outputs, t * scale, scale, d),
            Self::Mixture(components) => mixture(*components, outputs, t, d),
        }
    }
}

fn pinball(levels: &[f64], outputs: &[f64], t: f64, d: &mut [f64]) -> f64 {
    let share = 1.0 / levels.len() as f64;
    let mut sum = 0.0;
    for ((level, q), d) in levels.iter().zip(outputs).zip(d) {
        let error = t - q;
        sum += (level * error).max((level - 1.0) * error);
        // A NaN stays one.
        *d = share * (if error > 0.0 { -level } else { 1.0 - level }) + 0.0 * error;
    }
    share * sum
}

fn student(outputs: &[f64], t: f64, d: &mut [f64]) -> f64 {
    let (s, n) = (LEAST + softplus(outputs[1]), 2.0 + softplus(outputs[2]));
    let z = (t - outputs[0]) / s;
    let q = 1.0 + z * z / n;
    // The derivative by z, then by the parameters.
    let dz = (n + 1.0) * z / (n * q);
    d[0] = -dz / s;
    d[1] = (1.0 - dz * z) / s * sigmoid(outputs[1]);
    let dn = 0.5 * (digamma(0.5 * n) - digamma(0.5 * (n + 1.0)) + 1.0 / n + q.ln())
        - 0.5 * (n + 1.0) * z * z / (n * n * q);
    d[2] = dn * sigmoid(outputs[2]);
    ln_gamma(0.5 * n) - ln_gamma(0.5 * (n + 1.0))
        + 0.5 * (n * PI).ln()
        + s.ln()
        + 0.5 * (n + 1.0) * q.ln()
}

/// Of mean `m` and dispersion `a`: variance `m + a m²`. With `r = 1 / a`,
/// `p(y) = Γ(y + r) / (Γ(r) y!) (r / (r + m))^r (m / (r + m))^y`.
fn counts(outputs: &[f64], y: f64, scale: f64, d: &mut [f64]) -> f64 {
    let m = scale * (LEAST + softplus(outputs[0]));
    let a = LEAST + softplus(outputs[1]);
    let r = 1.0 / a;
    let dm = (r + y) / (r + m) - y / m;
    let dr = digamma(r) - digamma(y + r) - (r / (r + m)).ln() - 1.0 + (r + y) / (r + m);
    d[0] = dm * scale * sigmoid(outputs[0]);
    d[1] = -dr * r * r * sigmoid(outputs[1]);
    ln_gamma(r) + ln_gamma(y + 1.0)
        - ln_gamma(y + r)
        - r * (r / (r + m)).ln()
        - y * (m / (r + m)).ln()
}

fn mixture(components: usize, outputs: &[f64], t: f64, d: &mut [f64]) -> f64 {
    let (w, rest) = outputs.split_at(components);
    let (m, s) = rest.split_at(components);
    let largest = w.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = largest + w.iter().map(|w| (w - largest).exp()).sum::<f64>().ln();
    let mut parts = [0.0; MOST];
    for (k, part) in parts[..components].iter_mut().enumerate() {
        let deviation = LEAST + softplus(s[k]);
        let z = (t - m[k]) / deviation;
        *part = w[k] - weight - deviation.ln() - 0.5 * z * z;
    }
    let parts = &parts[..components];
    let largest = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let whole = largest + parts.iter().map(|part| (part - largest).exp()).sum::<f64>().ln();
    for k in 0..components {
        let (own, deviation) = ((parts[k] - whole).exp(), LEAST + softplus(s[k]));
        let z = (t - m[k]) / deviation;
        d[k] = (w[k] - weight).exp() - own;
        d[components + k] = -own * z / deviation;
        d[2 * components + k] = own * (1.0 - z * z) / deviation * sigmoid(s[k]);
    }
    0.5 * (2.0 * PI).ln() - whole
}

/// The loss of a row is the mean over its values that were measured.
impl<F: Real> Judged<'_, F> {
    pub(super) fn forward(&self, index: usize, row: &[F]) -> f64 {
        self.each(index, row, |_, _| ())
    }

    /// Replaces the row by `scale` times the derivative of its loss.
    pub(super) fn backward(&self, index: usize, row: &mut [F], scale: f64) -> f64 {
        let parameters = self.density.parameters();
        let mut gradients = vec![0.0; row.len()];
        let mut measured = 0.0;
        let loss = self.each(index, row, |value, d| {
            measured += 1.0;
            gradients[value * parameters..][..parameters].copy_from_slice(d);
        });
        for (y, d) in row.iter_mut().zip(gradients) {
            *y = F::from_f64(if d == 0.0 { 0.0 } else { scale / measured * d });
        }
        loss
    }

    fn each(&self, index: usize, row: &[F], mut take: impl FnMut(usize, &[f64])) -> f64 {
        let parameters = self.density.parameters();
        let values = row.len() / parameters;
        let (mut sum, mut measured) = (0.0, 0_usize);
        let (mut outputs, mut d) = ([0.0; MOST], [0.0; MOST]);
        let (outputs, d) = (&mut outputs[..parameters], &mut d[..parameters]);
        for (value, own) in row.chunks_exact(parameters).enumerate() {
            let at = index * values + value;
            let t = self.targets[at].to_f64();
            if t.is_nan() {
                continue;
            }
            for (room, output) in outputs.iter_mut().zip(own) {
                *room = output.to_f64();
            }
            let scale = self.scales.map_or(1.0, |scales| scales[at].to_f64());
            sum += self.density.judge(outputs, t, scale, d);
            measured += 1;
            take(value, d);
        }
        sum / measured.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_by_hand() {
        assert!((ln_gamma(5.0) - 24_f64.ln()).abs() < 1e-12);
        assert!((ln_gamma(0.5) - PI.sqrt().ln()).abs() < 1e-12);
        assert!((ln_gamma(100.5) - 361.435_540_467_777_6).abs() < 1e-10);
        assert!((digamma(1.0) + 0.577_215_664_901_532_9).abs() < 1e-12);
        for x in [0.3, 2.5, 40.0] {
            let slope = (ln_gamma(x + 1e-6) - ln_gamma(x - 1e-6)) / 2e-6;
            assert!((slope - digamma(x)).abs() < 1e-7, "{x}");
        }
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        let levels = Levels::try_from(vec![0.1, 0.5, 0.9]).unwrap();
        for density in [
            Density::Quantile(levels),
            Density::Normal,
            Density::StudentT,
            Density::NegativeBinomial,
            Density::Mixture(3),
        ] {
            let count = density.parameters();
            for (case, t) in [0.0, 1.0, 3.0, 0.5].into_iter().enumerate() {
                let outputs: Vec<f64> =
                    (0..count).map(|k| (1.7 * (k + 3 * case) as f64 + 0.4).sin()).collect();
                let (mut d, mut spare) = (vec![0.0; count], vec![0.0; count]);
                let scale = 2.0;
                density.judge(&outputs, t, scale, &mut d);
                for k in 0..count {
                    let mut at = |step: f64| {
                        let mut moved = outputs.clone();
                        moved[k] += step;
                        density.judge(&moved, t, scale, &mut spare)
                    };
                    let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!(
                        (slope - d[k]).abs() < 1e-8,
                        "{density:?} {case} {k}: {slope} {}",
                        d[k]
                    );
                }
            }
        }
    }

    #[test]
    fn likelihoods_by_hand_and_sums_to_one() {
        let mut d = [0.0; 9];
        // softplus(s) + LEAST = 1.
        let one = ((1.0 - LEAST).exp() - 1.0).ln();
        let normal = Density::Normal.judge(&[2.0, one], 3.0, 1.0, &mut d);
        assert!((normal - 0.5 - 0.5 * (2.0 * PI).ln()).abs() < 1e-12);
        let counts: f64 = (0..400)
            .map(|y| {
                (-Density::NegativeBinomial.judge(&[0.7, -0.3], f64::from(y) / 3.0, 3.0, &mut d))
                    .exp()
            })
            .sum();
        assert!((counts - 1.0).abs() < 1e-6, "{counts}");
        let mean: f64 = (0..400)
            .map(|y| {
                let y = f64::from(y);
                y * (-Density::NegativeBinomial.judge(&[0.7, -0.3], y / 3.0, 3.0, &mut d)).exp()
            })
            .sum();
        assert!((mean - 3.0 * (LEAST + softplus(0.7))).abs() < 1e-3, "{mean}");
        for density in [Density::StudentT, Density::Mixture(2)] {
            let outputs: Vec<f64> =
                (0..density.parameters()).map(|k| 0.3 * k as f64 - 0.5).collect();
            let step = 0.01;
            let whole: f64 = (-20_000..20_000)
                .map(|at| {
                    step * (-density.judge(&outputs, f64::from(at) * step, 1.0, &mut d)).exp()
                })
                .sum();
            assert!((whole - 1.0).abs() < 1e-3, "{density:?} {whole}");
        }
        let levels = Levels::try_from(vec![0.1, 0.5, 0.9]).unwrap();
        let loss = Density::Quantile(levels).judge(&[0.0, 1.0, 2.0], 1.5, 1.0, &mut d);
        assert!((loss - (0.15 + 0.25 + 0.05) / 3.0).abs() < 1e-12);
    }
}
