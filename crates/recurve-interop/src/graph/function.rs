//! Functions of one number: as operators of their own, and as activations of recurrent cells.

use recurve_nn::Element;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Function {
    Sigmoid,
    Tanh,
    Relu,
    Softplus,
    Softsign,
    Exp,
    Log,
    Sqrt,
    Neg,
    Abs,
    Reciprocal,
    Erf,
    Floor,
    Ceil,
    Sin,
    Cos,
    /// `max(x, 0) + alpha min(x, 0)`
    LeakyRelu(f64),
    /// `x` above `alpha`, 0 below.
    ThresholdedRelu(f64),
    /// `alpha (exp(x) - 1)` below 0.
    Elu(f64),
    /// `alpha x + beta`
    Affine(f64, f64),
    /// `alpha tanh(beta x)`
    ScaledTanh(f64, f64),
    /// `alpha x + beta`, between 0 and 1.
    HardSigmoid(f64, f64),
    /// `gamma (alpha exp(x) - alpha)` below 0, `gamma x` above.
    Selu(f64, f64),
    /// `x`, between the two.
    Between(f64, f64),
    /// `x / (1 + exp(-x))`
    Silu,
    /// `x` times the probability that a normal variable is below it.
    Gelu,
    /// The same with the probability as a hyperbolic tangent.
    GeluTanh,
    /// `x` times its hard sigmoid with a slope of a sixth.
    HardSilu,
    /// `x tanh(softplus x)`
    Mish,
}

impl Function {
    /// Its value.
    pub fn of<E: Element>(self, x: E) -> E {
        match self {
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Relu => x.relu(),
            other => E::from_f64(other.wide(x.to_f64())),
        }
    }

    fn wide(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => 0.5 * (1.0 + (0.5 * x).tanh()),
            Self::Tanh => x.tanh(),
            Self::Relu => x.max(0.0),
            // Exact for large x, where exp overflows, and for small ones, where 1 is lost.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Sqrt => x.sqrt(),
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Reciprocal => 1.0 / x,
            Self::Erf => erf(x),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::LeakyRelu(alpha) => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Self::ThresholdedRelu(alpha) => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Self::Elu(alpha) => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Self::Between(least, most) => x.clamp(least, most),
            Self::Silu => x * Self::Sigmoid.wide(x),
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::HardSilu => x * Self::HardSigmoid(1.0 / 6.0, 0.5).wide(x),
            Self::Mish => x * Self::Softplus.wide(x).tanh(),
            Self::Affine(alpha, beta) => alpha * x + beta,
            Self::ScaledTanh(alpha, beta) => alpha * (beta * x).tanh(),
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::Selu(alpha, gamma) => {
                if x > 0.0 {
                    gamma * x
                } else {
                    gamma * alpha * x.exp_m1()
                }
            }
        }
    }
}

/// The error function: its Taylor series near 0, and the continued fraction of its complement beyond; to
/// about 15 digits.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() {
        return x;
    }
    if size < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while f64::abs(term) > 1e-17 * f64::abs(sum) && n < 100.0 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (size + fraction);
    }
    let complement =
        (-size * size).exp() / (size + fraction) * std::f64::consts::FRAC_2_SQRT_PI / 2.0;
    (1.0 - complement).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_is_that_of_tables() {
        for (x, expected) in [
            (0.1, 0.112_462_916_018_284_9),
            (0.5, 0.520_499_877_813_046_5),
            (1.5, 0.966_105_146_475_310_7),
            (2.5, 0.999_593_047_982_555),
            (-1.0, -0.842_700_792_949_714_9),
        ] {
            assert!((erf(x) - expected).abs() < 1e-14, "erf({x}) is {}", erf(x));
        }
        assert_eq!(erf(30.0), 1.0);
    }
}
