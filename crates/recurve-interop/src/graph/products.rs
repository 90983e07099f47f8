//! Operators that multiply matrices, on the packed products of the kernels.

use super::value::{Array, Value, broadcast, volume};
use crate::error::{Error, Result};
use recurve_kernels::{Matrix, Packed, RowsMut, Start, product};
use recurve_nn::{Element, Engine};
use std::sync::Arc;

/// A packed matrix, and the values it was packed of: packed again only where they are others.
#[derive(Debug)]
pub(super) struct Kept<E: Element> {
    of: Option<Arc<Vec<E>>>,
    packed: Packed<E>,
}

impl<E: Element> Default for Kept<E> {
    fn default() -> Self {
        Self { of: None, packed: Packed::default() }
    }
}

impl<E: Element> Kept<E> {
    fn is_of(&self, data: &Arc<Vec<E>>) -> bool {
        self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, data))
    }
}

/// `A B` as in NumPy: the last two axes are matrices, those before are stretched.
pub(super) fn matmul<E: Element>(
    engine: Engine,
    kept: &mut Kept<E>,
    a: &Value<E>,
    b: &Value<E>,
) -> Result<Value<E>> {
    let (a, b) = (a.reals()?, b.reals()?);
    let as_matrix = |array: &Array<E>, shape: Vec<usize>| array.shaped(shape);
    let row = a.shape.len() == 1;
    let column = b.shape.len() == 1;
    let left = if row { as_matrix(a, vec![1, a.shape[0]])? } else { a.clone() };
    let right = if column { as_matrix(b, vec![b.shape[0], 1])? } else { b.clone() };
    let ([.., rows, depth], [.., inner, columns]) = (&left.shape[..], &right.shape[..]) else {
        return Err(Error::refused("a product of single values"));
    };
    let (rows, depth, columns) = (*rows, *depth, *columns);
    if depth != *inner {
        let text = format!("a product of the shapes {:?} and {:?}", a.shape, b.shape);
        return Err(Error::refused(text));
    }
    let (outer_a, outer_b) =
        (&left.shape[..left.shape.len() - 2], &right.shape[..right.shape.len() - 2]);
    let outer = broadcast(outer_a, outer_b)?;
    let mut shape = outer.clone();
    shape.extend([rows, columns]);
    let mut data = vec![E::default(); volume(&shape)?];
    if outer_b.is_empty() {
        // One matrix for all rows.
        if !kept.is_of(&right.data) {
            kept.packed.pack(engine, Matrix::new(&right.data, depth, columns, columns));
            kept.of = Some(right.data.clone());
        }
        let rows = left.data.len().checked_div(depth).unwrap_or(0);
        multiply(engine, (&left.data, rows, depth), &kept.packed, &mut data, columns);
    } else {
        let stretched = |array: &Array<E>, rows: usize, columns: usize| {
            array.stretched(&[&outer[..], &[rows, columns]].concat())
        };
        let (left, right) = (stretched(&left, rows, depth)?, stretched(&right, depth, columns)?);
        kept.of = None;
        for (at, to) in data.chunks_mut((rows * columns).max(1)).enumerate() {
            let matrix = &right.data[at * depth * columns..][..depth * columns];
            kept.packed.pack(engine, Matrix::new(matrix, depth, columns, columns));
            let from = &left.data[at * rows * depth..][..rows * depth];
            multiply(engine, (from, rows, depth), &kept.packed, to, columns);
        }
    }
    if row {
        shape.remove(shape.len() - 2);
    }
    if column {
        shape.pop();
    }
    Array::new(shape, data).map(Value::Reals)
}

/// `to [rows, columns] = from [rows, depth] packed`.
fn multiply<E: Element>(
    engine: Engine,
    (from, rows, depth): (&[E], usize, usize),
    packed: &Packed<E>,
    to: &mut [E],
    columns: usize,
) {
    if rows > 0 && depth > 0 && columns > 0 {
        let matrix = Matrix::new(from, rows, depth, depth);
        product(engine, matrix, packed, Start::Zero, &mut RowsMut::new(to, columns, columns));
    }
}

/// `alpha A' B' + beta C`, where `A'` and `B'` may be transposed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Gemm {
    pub alpha: f64,
    pub beta: f64,
    pub transpose_a: bool,
    pub transpose_b: bool,
}

pub(super) fn gemm<E: Element>(
    engine: Engine,
    kept: &mut Kept<E>,
    how: Gemm,
    (a, b, c): (&Value<E>, &Value<E>, Option<&Value<E>>),
) -> Result<Value<E>> {
    let (left, right) = (a.reals()?, b.reals()?);
    let (&[ra, ca], &[rb, cb]) = (&left.shape[..], &right.shape[..]) else {
        let text = format!("a product of the shapes {:?} and {:?}", left.shape, right.shape);
        return Err(Error::refused(text));
    };
    let left = if how.transpose_a {
        super::moving::transpose(a, None)?.reals()?.clone()
    } else {
        left.clone()
    };
    let (rows, depth) = if how.transpose_a { (ca, ra) } else { (ra, ca) };
    let (inner, columns) = if how.transpose_b { (cb, rb) } else { (rb, cb) };
    if depth != inner {
        let text = format!("a product of the shapes {:?} and {:?}", a.shape(), b.shape());
        return Err(Error::refused(text));
    }
    if !kept.is_of(&right.data) {
        let matrix = Matrix::new(&right.data, rb, cb, cb);
        kept.packed.pack(engine, if how.transpose_b { matrix.transposed() } else { matrix });
        kept.of = Some(right.data.clone());
    }
    let mut data = vec![E::default(); volume(&[rows, columns])?];
    multiply(engine, (&left.data, rows, depth), &kept.packed, &mut data, columns);
    if how.alpha != 1.0 {
        let alpha = E::from_f64(how.alpha);
        data.iter_mut().for_each(|y| *y = *y * alpha);
    }
    if let Some(c) = c.filter(|_| how.beta != 0.0) {
        let c = c.reals()?.stretched(&[rows, columns])?;
        let beta = E::from_f64(how.beta);
        data.iter_mut().zip(&*c.data).for_each(|(y, c)| *y = *y + beta * *c);
    }
    Array::new(vec![rows, columns], data).map(Value::Reals)
}

/// A convolution over one or two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// How far the filter moves from output to output.
    pub strides: Vec<usize>,
    /// How far its taps are apart.
    pub dilations: Vec<usize>,
    /// Zeros around the input.
    pub padding: Padding,
    /// Into how many groups the channels are cut.
    pub groups: usize,
}

/// Zeros around the input of a convolution.
#[derive(Clone, Debug, PartialEq)]
pub enum Padding {
    /// So many before each axis, and then after each.
    Given(Vec<usize>),
    /// As many as keep the size (over the stride); an odd one comes last.
    SameUpper,
    /// The same; an odd one comes first.
    SameLower,
}

/// One axis of a convolution.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    before: usize,
}

impl Conv {
    fn axes(&self, x: &[usize], w: &[usize]) -> Result<[Axis; 2]> {
        let spatial = x.len() - 2;
        let one = Axis { input: 1, output: 1, taps: 1, stride: 1, dilation: 1, before: 0 };
        let mut axes = [one; 2];
        for at in 0..spatial {
            let (input, taps) = (x[2 + at], w[2 + at]);
            let stride = self.strides.get(at).copied().unwrap_or(1);
            let dilation = self.dilations.get(at).copied().unwrap_or(1);
            let span = taps.checked_sub(1).and_then(|t| t.checked_mul(dilation)).map(|t| t + 1);
            let refuse = || Error::refused(format!("a convolution of {x:?} with filters {w:?}"));
            let span = span.filter(|_| stride > 0).ok_or_else(refuse)?;
            let same = |output: usize| ((output - 1) * stride + span).saturating_sub(input);
            let (before, after) = match &self.padding {
                Padding::Given(pads) => {
                    let pad = |at: usize| pads.get(at).copied().unwrap_or(0);
                    (pad(at), pad(spatial + at))
                }
                Padding::SameUpper => {
                    let sum = same(input.div_ceil(stride).max(1));
                    (sum / 2, sum - sum / 2)
                }
                Padding::SameLower => {
                    let sum = same(input.div_ceil(stride).max(1));
                    (sum - sum / 2, sum / 2)
                }
            };
            let padded = input.checked_add(before).and_then(|n| n.checked_add(after));
            let room = padded.and_then(|padded| padded.checked_sub(span)).ok_or_else(refuse)?;
            // One axis is that of the values side by side.
            axes[2 - spatial + at] =
                Axis { input, output: room / stride + 1, taps, stride, dilation, before };
        }
        Ok(axes)
    }
}

pub(super) fn conv<E: Element>(
    engine: Engine,
    kept: &mut Vec<Kept<E>>,
    how: &Conv,
    (x, w, b): (&Value<E>, &Value<E>, Option<&Value<E>>),
) -> Result<Value<E>> {
    let (x, w) = (x.reals()?, w.reals()?);
    let bias = b.map(Value::reals).transpose()?;
    let groups = how.groups.max(1);
    let fits = matches!(x.shape.len(), 3 | 4)
        && w.shape.len() == x.shape.len()
        && w.shape[1].checked_mul(groups) == Some(x.shape[1])
        && w.shape[0].is_multiple_of(groups)
        && bias.is_none_or(|bias| bias.data.len() == w.shape[0]);
    if !fits {
        let text = format!("a convolution of {:?} with filters {:?}", x.shape, w.shape);
        return Err(Error::refused(text));
    }
    let axes = how.axes(&x.shape, &w.shape)?;
    let [rows, columns] = axes;
    let (batch, channels, filters) = (x.shape[0], w.shape[1], w.shape[0] / groups);
    let (taps, places) = (rows.taps * columns.taps, rows.output * columns.output);
    let depth = channels * taps;
    let mut shape = vec![batch, w.shape[0]];
    shape.extend(&[rows.output, columns.output][4 - x.shape.len()..]);
    let mut data = vec![E::default(); volume(&shape)?];
    volume(&[places, depth])?;
    kept.resize_with(groups, Kept::default);
    let (mut gathered, mut y) =
        (vec![E::default(); places * depth], vec![E::default(); places * filters]);
    for (group, kept) in kept.iter_mut().enumerate() {
        if !kept.is_of(&w.data) {
            let own = &w.data[group * filters * depth..][..filters * depth];
            kept.packed.pack(engine, Matrix::new(own, filters, depth, depth).transposed());
            kept.of = Some(w.data.clone());
        }
        let bias: Vec<E> = match bias {
            Some(bias) => bias.data[group * filters..][..filters].to_vec(),
            None => vec![E::default(); filters],
        };
        for at in 0..batch {
            let first = (at * x.shape[1] + group * channels) * rows.input * columns.input;
            let own = &x.data[first..][..channels * rows.input * columns.input];
            gather_taps(own, axes, channels, &mut gathered);
            if places > 0 && depth > 0 && filters > 0 {
                let matrix = Matrix::new(&gathered, places, depth, depth);
                let mut to = RowsMut::new(&mut y, filters, filters);
                product(engine, matrix, &kept.packed, Start::Bias(&bias), &mut to);
            }
            let to = &mut data[(at * w.shape[0] + group * filters) * places..][..filters * places];
            if places == 1 {
                to.copy_from_slice(&y);
                continue;
            }
            for (filter, to) in to.chunks_mut(places.max(1)).enumerate() {
                for (place, to) in to.iter_mut().enumerate() {
                    *to = y[place * filters + filter];
                }
            }
        }
    }
    Array::new(shape, data).map(Value::Reals)
}

/// For every output, the values under the taps: `[places, channels * taps]`.
fn gather_taps<E: Element>(x: &[E], [rows, columns]: [Axis; 2], channels: usize, to: &mut [E]) {
    let place = |axis: Axis, output: usize, tap: usize| {
        let at = (output * axis.stride + tap * axis.dilation).checked_sub(axis.before);
        at.filter(|at| *at < axis.input)
    };
    let mut lines = to.chunks_mut(columns.taps.max(1));
    for row in 0..rows.output {
        for column in 0..columns.output {
            // Where taps lie side by side and none is outside, they are one piece of a line.
            let first = place(columns, column, 0);
            let last = place(columns, column, columns.taps.saturating_sub(1));
            let whole = first.zip(last).filter(|_| columns.dilation == 1).map(|(first, _)| first);
            for channel in x.chunks(rows.input * columns.input).take(channels) {
                for row_tap in 0..rows.taps {
                    let Some(to) = lines.next() else { return };
                    let line = place(rows, row, row_tap);
                    let line = line.map(|line| &channel[line * columns.input..][..columns.input]);
                    match (line, whole) {
                        (Some(line), Some(first)) => {
                            to.copy_from_slice(&line[first..][..to.len()]);
                        }
                        (Some(line), None) => {
                            for (tap, to) in to.iter_mut().enumerate() {
                                let at = place(columns, column, tap);
                                *to = at.map_or(E::default(), |at| line[at]);
                            }
                        }
                        (None, _) => to.fill(E::default()),
                    }
                }
            }
        }
    }
}
