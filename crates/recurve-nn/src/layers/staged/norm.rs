//! Rows to mean 0 and variance 1, and the way back (Ba, Kiros & Hinton 2016).

use recurve_kernels::{Element, Loops};
use std::ops::Range;

/// Added to the variance, as in most implementations.
const EPSILON: f64 = 1e-5;

/// Sums side by side: as many as hide how long an addition takes.
const LANES: usize = 64;

/// `Σ f(at)` over numbers, in an order that does not depend on the instruction set.
#[inline(always)]
fn sum<E: Element, const N: usize>(of: [&[E]; N], f: impl Fn([E; N]) -> E) -> E {
    let mut sums = [E::default(); LANES];
    let len = of[0].len();
    let whole = len / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let of = of.map(|of| &of[at..at + LANES]);
        for lane in 0..LANES {
            sums[lane] = sums[lane] + f(of.map(|of| of[lane]));
        }
    }
    for at in whole..len {
        sums[at - whole] = sums[at - whole] + f(of.map(|of| of[at]));
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] = sums[lane] + sums[half + lane];
        }
        half /= 2;
    }
    sums[0]
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

/// Normalises a row in place, each part by itself, and adds it, times the gain, to what `to` holds or to
/// the bias; `inverse` receives what each part was multiplied by.
pub(super) struct Normalise<'a, E> {
    pub(super) grid: Grid,
    pub(super) parts: &'a [Range<usize>],
    pub(super) row: &'a mut [E],
    pub(super) inverse: &'a mut [E],
    pub(super) gain: &'a [E],
    pub(super) bias: Option<&'a [E]>,
    pub(super) to: &'a mut [E],
}

impl<E: Element> Loops for Normalise<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, parts, row, inverse, gain, bias, to } = self;
        for (part, inverse) in parts.iter().zip(inverse) {
            let scale = E::from_f64(1.0 / (part.len() * grid.hidden) as f64);
            let mut mean = E::default();
            for own in grid.columns(part) {
                mean = mean + sum([&row[own]], |[x]| x);
            }
            mean = mean * scale;
            let mut variance = E::default();
            for own in grid.columns(part) {
                variance = variance + sum([&row[own]], |[x]| (x - mean) * (x - mean));
            }
            let variance = (variance * scale).to_f64();
            *inverse = E::from_f64(1.0 / (variance + EPSILON).sqrt());
            for own in grid.columns(part) {
                let whole = own.start..own.start + grid.unit;
                let (row, gain, to) = (&mut row[own.clone()], &gain[own], &mut to[whole.clone()]);
                match bias {
                    Some(bias) => {
                        let bias = &bias[whole];
                        for (((x, gain), to), bias) in
                            row.iter_mut().zip(gain).zip(&mut *to).zip(bias)
                        {
                            *x = (*x - mean) * *inverse;
                            *to = *bias + *gain * *x;
                        }
                        to[grid.hidden..].copy_from_slice(&bias[grid.hidden..]);
                    }
                    None => {
                        for ((x, gain), to) in row.iter_mut().zip(gain).zip(to) {
                            *x = (*x - mean) * *inverse;
                            *to = *to + *gain * *x;
                        }
                    }
                }
            }
        }
    }
}

/// `to += row`.
pub(super) struct Add<'a, E> {
    pub(super) row: &'a [E],
    pub(super) to: &'a mut [E],
}

impl<E: Element> Loops for Add<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (to, x) in self.to.iter_mut().zip(self.row) {
            *to = *to + *x;
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
                let (d, gain, row) = (&d[own.clone()], &gain[own.clone()], &row[own.clone()]);
                mean = mean + sum([d, gain], |[d, gain]| d * gain);
                along = along + sum([d, gain, row], |[d, gain, x]| d * gain * x);
                for ((to, d), x) in d_gain[own].iter_mut().zip(d).zip(row) {
                    *to = *to + *d * *x;
                }
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
