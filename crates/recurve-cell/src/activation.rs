//! Activations: the functions between a sum and a value, fixed in a cell's type or chosen when it is made.
//!
//! All of them have a derivative that follows from the value alone, so a cell keeps what it made, not what it
//! made it of. That is why functions that are not monotonic, such as `x σ(x)`, are not among them.

use crate::Lanes;

/// A function of a sum.
pub trait Activation: Copy + Send + Sync + 'static {
    /// `φ(sum)`.
    fn forward<V: Lanes>(self, sum: V) -> V;
    /// `φ'(sum)`, from `y = φ(sum)`.
    fn derivative<V: Lanes>(self, y: V) -> V;
}

/// The hyperbolic tangent: between -1 and 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tanh;

/// `max(0, ·)`: the derivative is 1 or 0 (0 at the kink), and the value is unbounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relu;

impl Activation for Tanh {
    #[inline(always)]
    fn forward<V: Lanes>(self, sum: V) -> V {
        sum.tanh()
    }
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        y.like(1.0) - y * y
    }
}

impl Activation for Relu {
    #[inline(always)]
    fn forward<V: Lanes>(self, sum: V) -> V {
        sum.relu()
    }
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        y.positive()
    }
}

/// A function that is chosen at run time. Where the derivative jumps, it is that of the left or of the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `scale tanh(slope x)`; `scale` is not 0.
    Tanh {
        /// The bound of the value.
        scale: f64,
        /// What the sum is multiplied by.
        slope: f64,
    },
    /// `slope x + shift`, not below `low` nor above `high`: a straight line, max(x, 0), and the functions
    /// that replace the sigmoid and the tanh by three straight pieces.
    Clamp {
        /// What the sum is multiplied by.
        slope: f64,
        /// What is added to it.
        shift: f64,
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// `x / (1 + |x|)`
    Softsign,
    /// `log(1 + exp(x))`
    Softplus,
    /// `scale x` above 0, `scale alpha (exp(x) - 1)` below; neither factor is negative.
    Elu {
        /// The slope above 0.
        scale: f64,
        /// `scale alpha` is what is reached far below 0.
        alpha: f64,
    },
    /// `x` above 0, `alpha x` below; `alpha` is not negative.
    LeakyRelu {
        /// The slope below 0.
        alpha: f64,
    },
    /// `x` from `alpha` on, else 0.
    ThresholdedRelu {
        /// Where it begins.
        alpha: f64,
    },
}

impl Function {
    /// `tanh(x)`
    pub const TANH: Self = Self::Tanh { scale: 1.0, slope: 1.0 };
    /// `x`
    pub const LINEAR: Self = Self::affine(1.0, 0.0);
    /// `max(x, 0)`
    pub const RELU: Self = Self::Clamp { slope: 1.0, shift: 0.0, low: 0.0, high: f64::INFINITY };

    /// `slope x + shift`
    pub const fn affine(slope: f64, shift: f64) -> Self {
        Self::Clamp { slope, shift, low: f64::NEG_INFINITY, high: f64::INFINITY }
    }
    /// `slope x + shift`, from 0 to 1.
    pub const fn hard_sigmoid(slope: f64, shift: f64) -> Self {
        Self::Clamp { slope, shift, low: 0.0, high: 1.0 }
    }
}

/// `value`, not below `low` nor above `high`. NaN stays NaN.
#[inline(always)]
fn clamp<V: Lanes>(value: V, low: f64, high: f64) -> V {
    value.like(high).smaller(value.like(low).larger(value))
}

/// 1 between the two, else 0.
#[inline(always)]
fn between<V: Lanes>(value: V, low: V, high: V) -> V {
    (value - low).positive() * (high - value).positive()
}

/// `above` where `x` is positive, else `below`.
#[inline(always)]
fn either<V: Lanes>(x: V, above: V, below: V) -> V {
    let positive = x.positive();
    positive.mul_add(above, (x.like(1.0) - positive) * below)
}

impl Activation for Function {
    #[inline(always)]
    fn forward<V: Lanes>(self, x: V) -> V {
        match self {
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh { scale, slope } => x.like(scale) * (x * x.like(slope)).tanh(),
            Self::Clamp { slope, shift, low, high } => {
                clamp(x.mul_add(x.like(slope), x.like(shift)), low, high)
            }
            Self::Softsign => x / (x.like(1.0) + x.abs()),
            Self::Softplus => x.softplus(),
            Self::Elu { scale, alpha } => {
                let below = (-(-x).relu()).exp_minus_one();
                x.like(scale) * below.mul_add(x.like(alpha), x.relu())
            }
            Self::LeakyRelu { alpha } => x.relu() - x.like(alpha) * (-x).relu(),
            Self::ThresholdedRelu { alpha } => x * (x.like(1.0) - (x.like(alpha) - x).positive()),
        }
    }

    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let one = y.like(1.0);
        match self {
            Self::Sigmoid => y * (one - y),
            Self::Tanh { scale, slope } => {
                y.like(slope) * (y.like(scale) - y * y * y.like(1.0 / scale))
            }
            Self::Clamp { slope, low, high, .. } => {
                y.like(slope) * between(y, y.like(low), y.like(high))
            }
            Self::Softsign => (one - y.abs()) * (one - y.abs()),
            Self::Softplus => -(-y).exp_minus_one(),
            Self::Elu { scale, alpha } => either(y, y.like(scale), y + y.like(scale * alpha)),
            Self::LeakyRelu { alpha } => either(y, one, y.like(alpha)),
            Self::ThresholdedRelu { .. } => y.abs().positive(),
        }
    }
}

/// What a function of a gated cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A gate.
    Gate,
    /// The candidate, or all there is of a vanilla cell.
    Candidate,
    /// What is shown of the cell state.
    Output,
}

/// The functions of a gated cell: [`Standard`], or [`Chosen`] when it is made.
pub trait Activations: Copy + Send + Sync + 'static {
    /// The values of sums, each with the function of its role.
    fn values<V: Lanes, const N: usize>(self, roles: [Role; N], sums: [V; N]) -> [V; N];
    /// The derivatives, from the values.
    fn derivatives<V: Lanes, const N: usize>(self, roles: [Role; N], values: [V; N]) -> [V; N];
    /// A new cell state within its bounds.
    #[inline(always)]
    fn bounded<V: Lanes>(self, c: V) -> V {
        c
    }
    /// The gradient of a cell state before it was bounded, from the state and its gradient after.
    #[inline(always)]
    fn bounded_backward<V: Lanes>(self, c: V, dc: V) -> V {
        let _ = c;
        dc
    }
}

/// The sigmoid for gates, tanh for all else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl Standard {
    #[inline(always)]
    fn value<V: Lanes>(role: Role, sum: V) -> V {
        match role {
            Role::Gate => sum.sigmoid(),
            Role::Candidate | Role::Output => sum.tanh(),
        }
    }
    #[inline(always)]
    fn derivative<V: Lanes>(role: Role, y: V) -> V {
        match role {
            Role::Gate => y * (y.like(1.0) - y),
            Role::Candidate | Role::Output => y.like(1.0) - y * y,
        }
    }
}

/// The most functions that a gated cell asks for at once.
const MOST: usize = 5;

// Written out place by place. So much text in a closure, or in a loop that is not unrolled, may become a
// function of its own, and such a function does not know the instructions of the vectors: twice the time.
impl Activations for Standard {
    #[inline(always)]
    fn values<V: Lanes, const N: usize>(self, roles: [Role; N], sums: [V; N]) -> [V; N] {
        const { assert!(N <= MOST) };
        let mut values = sums;
        if N > 0 {
            values[0] = Self::value(roles[0], sums[0]);
        }
        if N > 1 {
            values[1] = Self::value(roles[1], sums[1]);
        }
        if N > 2 {
            values[2] = Self::value(roles[2], sums[2]);
        }
        if N > 3 {
            values[3] = Self::value(roles[3], sums[3]);
        }
        if N > 4 {
            values[4] = Self::value(roles[4], sums[4]);
        }
        values
    }
    #[inline(always)]
    fn derivatives<V: Lanes, const N: usize>(self, roles: [Role; N], values: [V; N]) -> [V; N] {
        const { assert!(N <= MOST) };
        let mut derivatives = values;
        if N > 0 {
            derivatives[0] = Self::derivative(roles[0], values[0]);
        }
        if N > 1 {
            derivatives[1] = Self::derivative(roles[1], values[1]);
        }
        if N > 2 {
            derivatives[2] = Self::derivative(roles[2], values[2]);
        }
        if N > 3 {
            derivatives[3] = Self::derivative(roles[3], values[3]);
        }
        if N > 4 {
            derivatives[4] = Self::derivative(roles[4], values[4]);
        }
        derivatives
    }
}

/// Functions and bounds that are chosen when the cell is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The function of the gates.
    pub gate: Function,
    /// The function of the candidate.
    pub candidate: Function,
    /// The function of what is shown of the cell state.
    pub output: Function,
    /// The sums of gates and candidate are taken between this and its negative: ONNX's `clip`.
    pub most_sum: f64,
    /// The cell state is kept between this and its negative: TensorFlow's `cell_clip`.
    pub most_state: f64,
}

impl Default for Chosen {
    /// As [`Standard`].
    fn default() -> Self {
        Self {
            gate: Function::Sigmoid,
            candidate: Function::TANH,
            output: Function::TANH,
            most_sum: f64::INFINITY,
            most_state: f64::INFINITY,
        }
    }
}

impl Chosen {
    #[inline(always)]
    fn of(&self, role: Role) -> Function {
        match role {
            Role::Gate => self.gate,
            Role::Candidate => self.candidate,
            Role::Output => self.output,
        }
    }
}

// Plain loops: the choice among functions is compiled once for all values, not once for each.
impl Activations for Chosen {
    #[inline(always)]
    fn values<V: Lanes, const N: usize>(self, roles: [Role; N], sums: [V; N]) -> [V; N] {
        let mut values = sums;
        for (role, value) in roles.into_iter().zip(&mut values) {
            if role != Role::Output && self.most_sum < f64::INFINITY {
                *value = clamp(*value, -self.most_sum, self.most_sum);
            }
            *value = self.of(role).forward(*value);
        }
        values
    }
    #[inline(always)]
    fn derivatives<V: Lanes, const N: usize>(self, roles: [Role; N], values: [V; N]) -> [V; N] {
        let mut derivatives = values;
        for (role, y) in roles.into_iter().zip(&mut derivatives) {
            let function = self.of(role);
            let slope = function.derivative(*y);
            *y = if role != Role::Output && self.most_sum < f64::INFINITY {
                let mut ends = [y.like(-self.most_sum), y.like(self.most_sum)];
                for end in &mut ends {
                    *end = function.forward(*end);
                }
                slope * between(*y, ends[0].smaller(ends[1]), ends[0].larger(ends[1]))
            } else {
                slope
            };
        }
        derivatives
    }
    #[inline(always)]
    fn bounded<V: Lanes>(self, c: V) -> V {
        if self.most_state < f64::INFINITY {
            clamp(c, -self.most_state, self.most_state)
        } else {
            c
        }
    }
    #[inline(always)]
    fn bounded_backward<V: Lanes>(self, c: V, dc: V) -> V {
        if self.most_state < f64::INFINITY {
            dc * (c.like(self.most_state) - c.abs()).positive()
        } else {
            dc
        }
    }
}
