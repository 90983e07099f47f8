//! Rows to mean 0 and variance 1, and the way back (Ba, Kiros & Hinton 2016).

use recurve_kernels::{Element, Loops};
use std::ops::Range;

/// Added to the variance, as in most implementations.
const EPSILON: f64 = 1e-5;

/// One part, of one column.
pub(super) const WHOLE: [Range<usize>; 1] = [Range { start: 0, end: 1 }];

/// Sums side by side: as many as hide how long an addition takes.
const LANES: usize = 32;

/// `M` sums over numbers, in an order that does not depend on the instruction set.
struct Sums<E, const M: usize>([[E; LANES]; M]);

impl<E: Element, const M: usize> Sums<E, M> {
    #[inline(always)]
    fn new() -> Self {
        Self([[E::default(); LANES]; M])
    }

    /// Adds what `f` makes of each place of `of`.
    #[inline(always)]
    fn add<const N: usize>(&mut self, of: [&[E]; N], f: impl Fn([E; N]) -> [E; M]) {
        let len = of[0].len();
        let whole = len / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let of = of.map(|of| &of[at..at + LANES]);
            for lane in 0..LANES {
                let terms = f(of.map(|of| of[lane]));
                for (sums, term) in self.0.iter_mut().zip(terms) {
                    sums[lane] = sums[lane] + term;
                }
            }
        }
        for at in whole..len {
            let terms = f(of.map(|of| of[at]));
            for (sums, term) in self.0.iter_mut().zip(terms) {
                sums[at - whole] = sums[at - whole] + term;
            }
        }
    }

    #[inline(always)]
    fn all(self) -> [E; M] {
        self.0.map(|mut sums| {
            let mut half = LANES / 2;
            while half > 0 {
                for lane in 0..half {
                    sums[lane] = sums[lane] + sums[half + lane];
                }
                half /= 2;
            }
            sums[0]
        })
    }
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

/// Numbers that are kept of each part: its mean, and what it is multiplied by.
pub(super) const MOMENTS: usize = 2;

/// Finds the mean of each part of a row, and the inverse of its deviation.
///
/// In one pass, over distances from the first number of the part: its own distance from the mean is at most
/// `√n` deviations, so at most `n` roundings of the variance are lost in the difference at the end.
pub(super) struct Moments<'a, E> {
    pub(super) grid: Grid,
    pub(super) parts: &'a [Range<usize>],
    pub(super) row: &'a [E],
    pub(super) to: &'a mut [E],
}

impl<E: Element> Loops for Moments<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, parts, row, to } = self;
        for (part, to) in parts.iter().zip(to.chunks_exact_mut(MOMENTS)) {
            let scale = E::from_f64(1.0 / (part.len() * grid.hidden) as f64);
            let near = row[part.start * grid.unit];
            let mut sums = Sums::new();
            for own in grid.columns(part) {
                sums.add([&row[own]], |[x]| [x - near, (x - near) * (x - near)]);
            }
            let [mean, square] = sums.all().map(|sum| sum * scale);
            let variance = (square - mean * mean).to_f64().max(0.0);
            to.copy_from_slice(&[near + mean, E::from_f64(1.0 / (variance + EPSILON).sqrt())]);
        }
    }
}

/// A row that is normalised where it is read.
#[derive(Clone, Copy)]
pub(super) struct Normal<'a, E> {
    pub(super) parts: &'a [Range<usize>],
    pub(super) row: &'a [E],
    pub(super) moments: &'a [E],
    pub(super) gain: &'a [E],
    /// The column of the sum that its first column is added to.
    pub(super) first: usize,
}

impl<'a, E: Element> Normal<'a, E> {
    /// What is added to a column of the sum: values, gains, mean and inverse.
    #[inline(always)]
    fn column(&self, grid: Grid, column: usize) -> Option<(&'a [E], &'a [E], [E; MOMENTS])> {
        let column = column.checked_sub(self.first)?;
        let part = self.parts.iter().position(|part| part.contains(&column))?;
        let own = column * grid.unit..column * grid.unit + grid.hidden;
        let moments = [self.moments[part * MOMENTS], self.moments[part * MOMENTS + 1]];
        Some((&self.row[own.clone()], &self.gain[own], moments))
    }
}

/// `to = bias + Σ gain ∘ normalised`, of the columns that anything is added to.
pub(super) struct AddNormal<'a, E, const N: usize> {
    pub(super) grid: Grid,
    pub(super) bias: &'a [E],
    pub(super) rows: [Normal<'a, E>; N],
    pub(super) to: &'a mut [E],
}

impl<E: Element, const N: usize> Loops for AddNormal<'_, E, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, bias, rows, to } = self;
        let columns = to.chunks_exact_mut(grid.unit).zip(bias.chunks_exact(grid.unit));
        for (column, (to, bias)) in columns.enumerate() {
            let mut own = rows.iter().filter_map(|row| row.column(grid, column));
            let Some((x, gain, [mean, inverse])) = own.next() else { continue };
            let (to, beyond) = to.split_at_mut(grid.hidden);
            beyond.copy_from_slice(&bias[grid.hidden..]);
            let values = to.iter_mut().zip(bias).zip(x.iter().zip(gain));
            let Some((y, gain_y, [mean_y, inverse_y])) = own.next() else {
                for ((to, bias), (x, gain)) in values {
                    *to = *bias + *gain * ((*x - mean) * inverse);
                }
                continue;
            };
            for (((to, bias), (x, gain)), (y, gain_y)) in values.zip(y.iter().zip(gain_y)) {
                let of_x = *bias + *gain * ((*x - mean) * inverse);
                *to = of_x + *gain_y * ((*y - mean_y) * inverse_y);
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

/// The reverse of [`AddNormal`] for one row: from the gradient `d` of what was added, that of the row, in its
/// place. Adds to the gradient of the gain.
pub(super) struct NormalBackward<'a, E> {
    pub(super) grid: Grid,
    pub(super) parts: &'a [Range<usize>],
    pub(super) gain: &'a [E],
    pub(super) d: &'a [E],
    pub(super) row: &'a mut [E],
    pub(super) moments: &'a [E],
    pub(super) d_gain: &'a mut [E],
}

impl<E: Element> Loops for NormalBackward<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, parts, gain, d, row, moments, d_gain } = self;
        for (part, moments) in parts.iter().zip(moments.chunks_exact(MOMENTS)) {
            let (of_row, inverse) = (moments[0], moments[1]);
            let scale = E::from_f64(1.0 / (part.len() * grid.hidden) as f64);
            let mut sums = Sums::new();
            for own in grid.columns(part) {
                let (d, gain, row) = (&d[own.clone()], &gain[own.clone()], &row[own.clone()]);
                let to = &mut d_gain[own];
                for ((to, d), x) in to.iter_mut().zip(d).zip(row) {
                    *to = *to + *d * ((*x - of_row) * inverse);
                }
                sums.add([d, gain, row], |[d, gain, x]| {
                    [d * gain, d * gain * ((x - of_row) * inverse)]
                });
            }
            let [mean, along] = sums.all().map(|sum| sum * scale);
            for own in grid.columns(part) {
                let (d, gain) = (&d[own.clone()], &gain[own.clone()]);
                for ((x, d), gain) in row[own].iter_mut().zip(d).zip(gain) {
                    let normal = (*x - of_row) * inverse;
                    *x = (*d * *gain - mean - normal * along) * inverse;
                }
            }
        }
    }
}
