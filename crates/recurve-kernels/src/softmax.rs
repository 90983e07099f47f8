//! The softmax of rows of any length.
//!
//! With `m` the greatest entry of a row and `S = Σ exp(zⱼ - m)`, the probabilities are
//! `exp(zⱼ - m) / S`, and no exponential overflows. A row is read twice and written once; what follows
//! from it, such as `p - q`, is one more pass of [`Softmax::scale`] over a row that is still near.
//!
//! The exponentials are those of the vectors (`f32`: 1.5 units in the last place, see `math`; `f64`:
//! 2.5e-16), `zⱼ - m` is rounded to the element, and `S` is summed in `f64`, one running sum per lane,
//! folded in order. So a probability in `f32` is within `p (|ln p| 2⁻²⁴ + 2⁻²²)` of the exact one.

use crate::detect::Isa;
use crate::element::Element;
use crate::isa::{Entry, Kernel, Simd, entry};
use std::cell::Cell;
use std::marker::PhantomData;

/// Lanes of the widest vector.
const WIDEST: usize = 16;

/// What a softmax divides by: `S` stands for `exp(greatest) sum`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogSum {
    /// The greatest entry of the row.
    pub greatest: f64,
    /// The sum of the exponentials of the entries minus the greatest.
    pub sum: f64,
}

/// The functions for the rows of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Softmax<E: Element> {
    sum: Entry<Row<E>>,
    replace: Entry<Row<E>>,
    scale: Entry<Scaled<E>>,
}

impl<E: Element> Softmax<E> {
    /// For an instruction set.
    pub fn new(isa: Isa) -> Self {
        E::compiled(isa).softmax
    }

    pub(crate) fn instance(isa: Isa) -> Self {
        Self {
            sum: entry::<E, Exponentials<E, false>>(isa),
            replace: entry::<E, Exponentials<E, true>>(isa),
            scale: entry::<E, Scale<E>>(isa),
        }
    }

    /// The sum alone. NaN where an entry is NaN, or infinite and the greatest.
    pub fn sum(&self, row: &[E]) -> LogSum {
        let row = Row { start: row.as_ptr().cast_mut(), len: row.len(), found: Cell::default() };
        // SAFETY: the row is readable, and this instance does not write; the table was made from an
        // `Isa`, so the instructions exist.
        unsafe { (self.sum)(&row) }
        row.found.get()
    }

    /// Replaces the entries by the exponentials of them minus the greatest.
    pub fn exponentials(&self, row: &mut [E]) -> LogSum {
        let row = Row { start: row.as_mut_ptr(), len: row.len(), found: Cell::default() };
        // SAFETY: the row is borrowed exclusively; the instructions exist, as above.
        unsafe { (self.replace)(&row) }
        row.found.get()
    }

    /// `row = factor row + addend`.
    pub fn scale(&self, row: &mut [E], factor: E, addend: E) {
        let row = Scaled { start: row.as_mut_ptr(), len: row.len(), factor, addend };
        // SAFETY: the row is borrowed exclusively; the instructions exist, as above.
        unsafe { (self.scale)(&row) }
    }
}

struct Row<E> {
    start: *mut E,
    len: usize,
    found: Cell<LogSum>,
}

struct Exponentials<E, const REPLACE: bool>(PhantomData<E>);

impl<E: Element, const REPLACE: bool> Kernel<E> for Exponentials<E, REPLACE> {
    type Args = Row<E>;
    /// # Safety
    /// The row is readable, and writable where it is to be replaced.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(row: &Row<E>) {
        let whole = row.len / V::LANES * V::LANES;
        let rest = row.len - whole;
        let lowest = E::from_f64(f64::NEG_INFINITY);
        // SAFETY: all addresses are within the row; the arrays have the lanes of the widest vector.
        unsafe {
            let mut end = [lowest; WIDEST];
            for (at, to) in end.iter_mut().enumerate().take(rest) {
                *to = *row.start.add(whole + at);
            }
            let mut most = [V::load(end.as_ptr()).larger(V::splat(lowest)); 4];
            for at in (0..whole).step_by(V::LANES) {
                let most = &mut most[at / V::LANES % 4];
                *most = V::load(row.start.add(at)).larger(*most);
            }
            let most = most[0].larger(most[1]).larger(most[2].larger(most[3]));
            let mut lanes = [lowest; WIDEST];
            most.store(lanes.as_mut_ptr());
            let greatest = lanes.iter().fold(lowest, |a, b| if *b > a { *b } else { a });

            let shift = V::splat(greatest);
            let mut sums = [0.0; WIDEST];
            for at in (0..whole).step_by(V::LANES) {
                let e = (V::load(row.start.add(at)) - shift).exp();
                if REPLACE {
                    e.store(row.start.add(at));
                }
                e.store(lanes.as_mut_ptr());
                for (sum, lane) in sums.iter_mut().zip(&lanes).take(V::LANES) {
                    *sum += lane.to_f64();
                }
            }
            (V::load(end.as_ptr()) - shift).exp().store(end.as_mut_ptr());
            for (at, e) in end.iter().enumerate().take(rest) {
                sums[at] += e.to_f64();
                if REPLACE {
                    *row.start.add(whole + at) = *e;
                }
            }
            row.found.set(LogSum { greatest: greatest.to_f64(), sum: sums.iter().sum() });
        }
    }
}

struct Scaled<E> {
    start: *mut E,
    len: usize,
    factor: E,
    addend: E,
}

struct Scale<E>(PhantomData<E>);

impl<E: Element> Kernel<E> for Scale<E> {
    type Args = Scaled<E>;
    /// # Safety
    /// The row is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(row: &Scaled<E>) {
        let whole = row.len / V::LANES * V::LANES;
        // SAFETY: all addresses are within the row; the array has the lanes of the widest vector.
        unsafe {
            let (factor, addend) = (V::splat(row.factor), V::splat(row.addend));
            for at in (0..whole).step_by(V::LANES) {
                let place = row.start.add(at);
                V::load(place).mul_add(factor, addend).store(place);
            }
            let mut end = [E::default(); WIDEST];
            let rest = row.len - whole;
            end.as_mut_ptr().copy_from_nonoverlapping(row.start.add(whole), rest);
            V::load(end.as_ptr()).mul_add(factor, addend).store(end.as_mut_ptr());
            row.start.add(whole).copy_from_nonoverlapping(end.as_ptr(), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * i * 7919 + 13) % 1000) as f32 * 0.05 - 20.0).collect()
    }

    #[test]
    fn probabilities_keep_their_bound() {
        for isa in Isa::available() {
            let softmax = Softmax::<f32>::new(isa);
            for len in (1..70).chain([1000, 10_001]) {
                let z = row(len);
                let m = z.iter().copied().fold(f32::MIN, f32::max);
                let exact: Vec<f64> =
                    z.iter().map(|z| (f64::from(*z) - f64::from(m)).exp()).collect();
                let sum: f64 = exact.iter().sum();
                let mut p = z.clone();
                let found = softmax.exponentials(&mut p);
                assert_eq!(found, softmax.sum(&z), "{isa} {len}");
                assert_eq!(found.greatest, f64::from(m));
                assert!((found.sum / sum - 1.0).abs() < 3e-7, "{isa} {len}: {}", found.sum / sum);
                softmax.scale(&mut p, (1.0 / found.sum) as f32, 0.0);
                for (p, exact) in p.iter().zip(&exact) {
                    let exact = exact / sum;
                    let bound = exact * (exact.ln().abs() * 2f64.powi(-24) + 2f64.powi(-22));
                    assert!((f64::from(*p) - exact).abs() <= bound, "{isa} {len}: {p} {exact}");
                }
            }
        }
    }

    #[test]
    fn f64_goes_to_the_last_digits() {
        for isa in Isa::available() {
            let softmax = Softmax::<f64>::new(isa);
            let mut z: Vec<f64> = row(77).into_iter().map(f64::from).collect();
            let m = z.iter().copied().fold(f64::MIN, f64::max);
            let exact: Vec<f64> = z.iter().map(|z| (z - m).exp()).collect();
            let found = softmax.exponentials(&mut z);
            assert!((found.sum / exact.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            for (e, exact) in z.iter().zip(&exact) {
                assert!((e / exact - 1.0).abs() < 6e-16, "{isa}: {e} {exact}");
            }
        }
    }

    #[test]
    fn what_is_no_number_shows_in_the_sum() {
        for isa in Isa::available() {
            let softmax = Softmax::<f32>::new(isa);
            for len in [1, 5, 16, 40] {
                for at in 0..len {
                    for bad in [f32::NAN, f32::INFINITY] {
                        let mut z = row(len);
                        z[at] = bad;
                        assert!(softmax.sum(&z).sum.is_nan(), "{isa}: {bad} at {at} of {len}");
                    }
                    let mut z = row(len);
                    z[at] = f32::NEG_INFINITY;
                    assert_eq!(softmax.sum(&z).sum.is_nan(), len == 1, "{isa}");
                }
            }
        }
    }

    #[test]
    fn scaling_reaches_every_element() {
        for isa in Isa::available() {
            for len in 0..40 {
                let mut row: Vec<f64> = (0..len).map(f64::from).collect();
                Softmax::<f64>::new(isa).scale(&mut row, 2.0, -1.0);
                assert!(row.into_iter().eq((0..len).map(|i| 2.0 * f64::from(i) - 1.0)));
            }
        }
    }
}
