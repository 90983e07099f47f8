//! Activations on vectors of `f32`.
//!
//! All rest on one approximation. With `n = round(t / ln 2)` and `r = t - n ln 2`, so that
//! `|r| ≤ ln(2)/2`, `expm1(r) = r + r² q(r)` for a polynomial `q` of degree 4 whose coefficients come
//! from `expm1_coefficients.py` beside this file (worst relative error 1.4e-8 before rounding).
//! Then `exp(t) - 1 = 2ⁿ expm1(r) + (2ⁿ - 1)`, without cancellation near 0, and
//!
//! ```text
//! exp(x) = 2ⁿ expm1(r) + 2ⁿ    tanh(x) = (exp(2x) - 1) / (exp(2x) + 1)    σ(x) = 1 / (1 + exp(-x))
//! ```
//!
//! The error of each is below 3 units in the last place, over all `f32` and on every instruction set
//! (σ: down to -87, below which it stays at σ(-87) = 1.6e-38). Measured over all 2³² arguments: tanh
//! 2.61, σ 2.48. That of the exponential, of arguments from 0 down to -87, where it
//! becomes 0, is below 1.5; measured 1.05. NaN stays NaN.

use crate::isa::Rounded;

const Q: [f64; 5] = [
    0.499_999_981_496_204_17,
    0.166_665_434_242_790_43,
    0.041_667_200_711_399_43,
    0.008_366_547_130_333_985,
    0.001_388_251_648_333_493,
];

/// `ln 2` in two parts: the first has trailing zeros, so that `n` times it is exact.
const LN2: [f64; 2] = [0.693_359_375, -2.121_944_400_546_905_8e-4];

/// `(2ⁿ, expm1(r))` of `t = n ln 2 + r`.
#[inline(always)]
fn reduced<V: Rounded>(t: V) -> (V, V) {
    let n = (t * t.like(core::f64::consts::LOG2_E)).round();
    let r = n.mul_add(t.like(-LN2[0]), t);
    let r = n.mul_add(t.like(-LN2[1]), r);
    let mut q = t.like(Q[4]);
    for c in Q[..4].iter().rev() {
        q = q.mul_add(r, t.like(*c));
    }
    (n.power_of_two(), (r * r).mul_add(q, r))
}

/// `exp(x)` of `x ≤ 0`. From -87 down, where it is 1.6e-38, it is 0: numbers too small for a normal `f32`
/// would slow down every product they go into.
#[inline(always)]
pub(crate) fn exp<V: Rounded>(x: V) -> V {
    let (scale, e) = reduced(x.at_least(-87.0));
    scale.mul_add(e, scale) * (x + x.like(87.0)).positive()
}

/// The hyperbolic tangent. Beyond ±9.02 it is ±1 to the last bit.
#[inline(always)]
pub(crate) fn tanh<V: Rounded>(x: V) -> V {
    let (scale, e) = reduced((x + x).at_most(18.04).at_least(-18.04));
    let expm1 = scale.mul_add(e, scale - x.like(1.0));
    expm1.divide(expm1 + x.like(2.0))
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<V: Rounded>(x: V) -> V {
    let (scale, e) = reduced((-x).at_most(87.0).at_least(-87.0));
    let one = x.like(1.0);
    one.divide(scale.mul_add(e, scale) + one)
}

#[cfg(test)]
mod tests {
    use crate::Isa;
    use crate::isa::{Kernel, Simd, entry};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The bound that the module promises, in units in the last place.
    const BOUND: f64 = 3.0;

    /// The same of the exponential.
    const EXP_BOUND: f64 = 1.5;

    /// Where the logistic function stops falling, and the exponential is 0.
    const LOWEST: f32 = -87.0;

    /// Lanes of the widest vector.
    const WIDEST: usize = 16;

    /// Replaces values by one of the [`Function`]s.
    struct Map<const FUNCTION: usize>;

    /// `count` values, a multiple of the lanes of any vector.
    struct Values {
        start: *mut f32,
        count: usize,
    }

    impl<const FUNCTION: usize> Kernel<f32> for Map<FUNCTION> {
        type Args = Values;
        /// # Safety
        /// The values are readable and writable.
        #[inline(always)]
        unsafe fn run<V: Simd<Elem = f32>>(values: &Values) {
            for at in (0..values.count).step_by(V::LANES) {
                // SAFETY: the caller's promise; the count is a multiple of the lanes.
                unsafe {
                    let x = V::load(values.start.add(at));
                    let y = match FUNCTION {
                        0 => x.tanh(),
                        1 => x.sigmoid(),
                        _ => x.exp(),
                    };
                    y.store(values.start.add(at));
                }
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Function {
        Tanh,
        Sigmoid,
        /// Of minus the size of the argument.
        Exp,
    }

    const ALL: [Function; 3] = [Function::Tanh, Function::Sigmoid, Function::Exp];

    impl Function {
        fn apply(self, isa: Isa, values: &mut [f32]) {
            assert!(values.len().is_multiple_of(WIDEST));
            let run = match self {
                Self::Tanh => entry::<f32, Map<0>>(isa),
                Self::Sigmoid => entry::<f32, Map<1>>(isa),
                Self::Exp => entry::<f32, Map<2>>(isa),
            };
            if let Self::Exp = self {
                values.iter_mut().for_each(|x| *x = -x.abs());
            }
            // SAFETY: the slice is borrowed exclusively, and its length is a multiple of all lanes.
            unsafe { run(&Values { start: values.as_mut_ptr(), count: values.len() }) }
        }

        fn exact(self, x: f32) -> f64 {
            match self {
                Self::Tanh => f64::from(x).tanh(),
                Self::Sigmoid => 1.0 / (1.0 + (-f64::from(x.max(LOWEST))).exp()),
                Self::Exp if x.abs() >= -LOWEST => 0.0,
                Self::Exp => f64::from(-x.abs()).exp(),
            }
        }

        fn least(self) -> f32 {
            match self {
                Self::Tanh => -1.0,
                Self::Sigmoid | Self::Exp => 0.0,
            }
        }
    }

    /// The distance from the exact value, in the spacing of `f32` around that.
    fn ulps(got: f32, exact: f64) -> f64 {
        let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).to_bits() >> 52;
        let spacing = f64::from_bits((exponent - 23) << 52);
        (f64::from(got) - exact).abs() / spacing
    }

    /// The worst of each function on an instruction set: the error and where it was made.
    #[derive(Clone, Copy, Debug, Default)]
    struct Worst([(f64, f32); ALL.len()]);

    impl Worst {
        fn or(self, other: Self) -> Self {
            let larger =
                |at: usize| if other.0[at].0 > self.0[at].0 { other.0[at] } else { self.0[at] };
            Self([larger(0), larger(1), larger(2)])
        }
    }

    /// Computes the functions of all `x` on all of `isas`.
    ///
    /// # Panics
    /// Where a NaN is lost, or a result lies outside the range of the function.
    fn worst(isas: &[Isa], x: &[f32]) -> Vec<Worst> {
        let mut all = vec![Worst::default(); isas.len()];
        for (slot, function) in ALL.into_iter().enumerate() {
            let exact: Vec<f64> = x.iter().map(|x| function.exact(*x)).collect();
            for (isa, worst) in isas.iter().zip(&mut all) {
                let mut y = x.to_vec();
                function.apply(*isa, &mut y);
                for ((x, y), exact) in x.iter().zip(&y).zip(&exact) {
                    if x.is_nan() {
                        assert!(y.is_nan(), "{function:?} of NaN is {y} on {isa}");
                        continue;
                    }
                    let inside = (function.least()..=1.0).contains(y);
                    assert!(inside, "{function:?} of {x} is {y} on {isa}");
                    let error = ulps(*y, *exact);
                    if error > worst.0[slot].0 {
                        worst.0[slot] = (error, *x);
                    }
                }
            }
        }
        all
    }

    fn assert_bound(isas: &[Isa], all: &[Worst]) {
        for (isa, worst) in isas.iter().zip(all) {
            for (function, (error, at)) in ALL.iter().zip(worst.0) {
                println!("{isa}: {function:?} {error:.3} ulp at {at:e}");
                let bound = if let Function::Exp = function { EXP_BOUND } else { BOUND };
                assert!(error <= bound, "{isa}: {function:?} {error} ulp at {at:e}");
            }
        }
    }

    #[test]
    fn activations_are_close_for_numbers_of_every_size() {
        // A prime step through all bit patterns, and both sides of every place where the method changes.
        let mut x: Vec<f32> = (0..=u32::MAX).step_by(4001).map(f32::from_bits).collect();
        let n_changes = (-140..140).map(|n| (f64::from(n) * 0.25 * std::f64::consts::LN_2) as f32);
        let limits =
            [0.0, 1.0, 9.01, 9.02, 17.0, 18.04, 87.0, 88.0, 104.0, f32::MAX, f32::INFINITY];
        let denormals = [1, 2, 3, 0x40_0000, 0x7f_ffff, 0x80_0000].map(f32::from_bits);
        for middle in n_changes.chain(limits).chain(denormals) {
            for near in [middle.next_down(), middle, middle.next_up()] {
                x.extend([near, -near]);
            }
        }
        x.resize(x.len().next_multiple_of(WIDEST), f32::NAN);
        let isas = Isa::available();
        assert_bound(&isas, &worst(&isas, &x));
    }

    #[test]
    fn activations_at_the_ends_of_the_line() {
        for isa in Isa::available() {
            let special =
                [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
            let mut x = [f32::from_bits(1); WIDEST];
            x[..special.len()].copy_from_slice(&special);
            let mut y = x;
            Function::Tanh.apply(isa, &mut y);
            assert_eq!(y[..4], [0.0, 0.0, 1.0, -1.0], "{isa}");
            assert!(y[4].is_nan(), "{isa}");
            assert_eq!(y[5..8], [1.0, -1.0, f32::from_bits(1)], "{isa}");
            let mut y = x;
            Function::Sigmoid.apply(isa, &mut y);
            let lowest = Function::Sigmoid.exact(LOWEST);
            assert_eq!(y[..3], [0.5, 0.5, 1.0], "{isa}");
            assert!(ulps(y[3], lowest) <= BOUND && y[3] == y[6], "{isa}: {y:?}");
            assert!(y[4].is_nan(), "{isa}");
            assert_eq!(y[5], 1.0, "{isa}");
            assert_eq!(y[7], 0.5, "{isa}");
        }
    }

    /// About 150 seconds of processor time: `cargo test --release -p recurve-kernels -- --ignored every_f32`.
    #[test]
    #[ignore = "all 2^32 arguments"]
    fn activations_of_every_f32() {
        const PIECE: u32 = 1 << 16;
        let isas = Isa::available();
        let next = AtomicU32::new(0);
        let all = Mutex::new(vec![Worst::default(); isas.len()]);
        std::thread::scope(|scope| {
            for _ in 0..crate::available_threads() {
                scope.spawn(|| {
                    loop {
                        let piece = next.fetch_add(1, Ordering::Relaxed);
                        let Some(first) = piece.checked_mul(PIECE) else { break };
                        let x: Vec<f32> = (0..PIECE).map(|at| f32::from_bits(first + at)).collect();
                        let found = worst(&isas, &x);
                        for (all, found) in all.lock().unwrap().iter_mut().zip(found) {
                            *all = all.or(found);
                        }
                    }
                });
            }
        });
        assert_bound(&isas, &all.into_inner().unwrap());
    }
}
