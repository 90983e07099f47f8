//! Rows to mean 0 and variance 1, and the way back (Ba, Kiros & Hinton 2016).

use recurve_kernels::{Element, Loops};
use std::ops::Range;

/// Added to the variance, as in most implementations.
const EPSILON: f64 = 1e-5;

/// Sums side by side.
const LANES: usize = 16;

/// `Σ f(at)` over numbers, in an order that does not depend on the instruction set.
#[inline(always)]
fn sum<E: Element>(a: &[E], b: &[E], f: impl Fn(E, E) -> E) -> E {
    let mut sums = [E::default(); LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = *sum + f(*a, *b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b));
    rest.chain(sums).fold(E::default(), |sum, value| sum + value)
}

/// Where the units of columns are in a row: `hidden` of every `unit` numbers.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) hidden: usize,
    pub(super) unit: usize,
}

impl Grid {
    #[inline(always)]
    fn columns(self, part: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        part.clone().map(move |column| column * self.unit..column * self.unit + self.hidden)
    }
}

/// Normalises a row in place, each part by itself; `inverse` receives what each was multiplied by.
pub(super) struct Normalise<'a, E> {
    pub(super) grid: Grid,
    pub(super) parts: &'a [Range<usize>],
    pub(super) row: &'a mut [E],
    pub(super) inverse: &'a mut [E],
}

impl<E: Element> Loops for Normalise<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, parts, row, inverse } = self;
        for (part, inverse) in parts.iter().zip(inverse) {
            let scale = E::from_f64(1.0 / (part.len() * grid.hidden) as f64);
            let mut mean = E::default();
            for own in grid.columns(part) {
                mean = mean + sum(&row[own.clone()], &row[own], |x, _| x);
            }
            mean = mean * scale;
            let mut variance = E::default();
            for own in grid.columns(part) {
                variance =
                    variance + sum(&row[own.clone()], &row[own], |x, _| (x - mean) * (x - mean));
            }
            let variance = (variance * scale).to_f64();
            *inverse = E::from_f64(1.0 / (variance + EPSILON).sqrt());
            for own in grid.columns(part) {
                for x in &mut row[own] {
                    *x = (*x - mean) * *inverse;
                }
            }
        }
    }
}

/// `to += gain ∘ row`.
pub(super) struct AddScaled<'a, E> {
    pub(super) gain: &'a [E],
    pub(super) row: &'a [E],
    pub(super) to: &'a mut [E],
}

impl<E: Element> Loops for AddScaled<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((to, gain), x) in self.to.iter_mut().zip(self.gain).zip(self.row) {
            *to = *to + *gain * *x;
        }
    }
}

/// The reverse of [`Normalise`] and [`AddScaled`]: from the gradient `d` of the scaled row, that of the row
/// before it was normalised, in place of the normalised row. Adds to the gradient of the gain.
pub(super) struct NormaliseBackward<'a, E> {
    pub(super) grid: Grid,
    pub(super) parts: &'a [Range<usize>],
    pub(super) gain: &'a [E],
    pub(super) d: &'a [E],
    pub(super) row: &'a mut [E],
    pub(super) inverse: &'a [E],
    pub(super) d_gain: &'a mut [E],
}

impl<E: Element> Loops for NormaliseBackward<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, parts, gain, d, row, inverse, d_gain } = self;
        for (part, inverse) in parts.iter().zip(inverse) {
            let scale = E::from_f64(1.0 / (part.len() * grid.hidden) as f64);
            let (mut mean, mut along) = (E::default(), E::default());
            for own in grid.columns(part) {
                mean = mean + sum(&d[own.clone()], &gain[own.clone()], |d, g| d * g);
                let d_gain = &mut d_gain[own.clone()];
                for ((to, d), x) in d_gain.iter_mut().zip(&d[own.clone()]).zip(&row[own]) {
                    *to = *to + *d * *x;
                }
            }
            for own in grid.columns(part) {
                let mut sums = [E::default(); LANES];
                let (d, gain, row) = (&d[own.clone()], &gain[own.clone()], &row[own]);
                let whole = d.len() / LANES * LANES;
                for at in (0..whole).step_by(LANES) {
                    let (d, gain, row) =
                        (&d[at..at + LANES], &gain[at..at + LANES], &row[at..at + LANES]);
                    for lane in 0..LANES {
                        sums[lane] = sums[lane] + d[lane] * gain[lane] * row[lane];
                    }
                }
                for at in whole..d.len() {
                    along = along + d[at] * gain[at] * row[at];
                }
                along = sums.iter().fold(along, |sum, value| sum + *value);
            }
            let (mean, along) = (mean * scale, along * scale);
            for own in grid.columns(part) {
                for ((x, d), gain) in
                    row[own.clone()].iter_mut().zip(&d[own.clone()]).zip(&gain[own])
                {
                    *x = (*d * *gain - mean - *x * along) * *inverse;
                }
            }
        }
    }
}
