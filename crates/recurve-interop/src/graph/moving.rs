//! Operators that move values and change none.

use super::value::{Array, Value, axis_of, each, volume};
use crate::error::{Error, Result};
use recurve_nn::Element;

/// Axes in another order; reversed if `order` is absent.
pub(super) fn transpose<E: Element>(x: &Value<E>, order: Option<&[i64]>) -> Result<Value<E>> {
    let rank = x.shape().len();
    let order: Vec<usize> = match order {
        None => (0..rank).rev().collect(),
        Some(order) => order.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(Error::refused(format!("the order of axes {order:?} for {rank} axes")));
    }
    let shape: Vec<usize> = order.iter().map(|axis| x.shape()[*axis]).collect();
    // Moving axes of size 1 moves no value.
    let long = |axis: &&usize| x.shape()[**axis] != 1;
    if order.iter().filter(long).is_sorted() {
        return Ok(each!(x, a => a.shaped(shape)?));
    }
    Ok(each!(x, a => {
        let own = a.strides();
        let strides: Vec<isize> = order.iter().map(|axis| own[*axis] as isize).collect();
        a.view(0, shape, &strides)?
    }))
}

/// Another shape: -1 is what is left, 0 the size it was (unless `zero` allows none).
pub(super) fn reshape<E: Element>(x: &Value<E>, to: &[i64], zero: bool) -> Result<Value<E>> {
    let mut shape = vec![];
    let mut open = None;
    for (axis, size) in to.iter().enumerate() {
        shape.push(match *size {
            0 if !zero => *x.shape().get(axis).ok_or_else(|| {
                Error::refused(format!("the shape {to:?} keeps axis {axis} of {:?}", x.shape()))
            })?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            size => {
                usize::try_from(size).map_err(|_| Error::refused(format!("a reshape to {to:?}")))?
            }
        });
    }
    if let Some(axis) = open {
        let rest = volume(&shape)?;
        shape[axis] = x.count().checked_div(rest).unwrap_or(0);
    }
    Ok(each!(x, a => a.shaped(shape)?))
}

/// Without axes of size 1: these, or all.
pub(super) fn squeeze<E: Element>(x: &Value<E>, axes: Option<&[i64]>) -> Result<Value<E>> {
    let rank = x.shape().len();
    let gone: Vec<usize> = match axes {
        Some(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_>>()?,
        None => (0..rank).filter(|axis| x.shape()[*axis] == 1).collect(),
    };
    if let Some(axis) = gone.iter().find(|axis| x.shape()[**axis] != 1) {
        return Err(Error::refused(format!("axis {axis} of {:?} is not of size 1", x.shape())));
    }
    let left = x.shape().iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
    let shape = left.map(|(_, size)| *size).collect();
    Ok(each!(x, a => a.shaped(shape)?))
}

/// With new axes of size 1.
pub(super) fn unsqueeze<E: Element>(x: &Value<E>, axes: &[i64]) -> Result<Value<E>> {
    let rank = x.shape().len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_>>()?;
    let mut old = x.shape().iter().copied();
    let mut shape = vec![];
    for axis in 0..rank {
        let size = if axes.contains(&axis) { Some(1) } else { old.next() };
        shape.push(size.ok_or_else(|| Error::refused(format!("an axis twice in {axes:?}")))?);
    }
    Ok(each!(x, a => a.shaped(shape)?))
}

/// Arrays one after the other along an axis.
pub(super) fn concat<E: Element>(all: &[&Value<E>], axis: i64) -> Result<Value<E>> {
    let first = all.first().ok_or_else(|| Error::refused("nothing to join"))?;
    let axis = axis_of(axis, first.shape().len())?;
    macro_rules! join {
        ($take:ident, $kind:ident) => {{
            let arrays: Vec<_> = all.iter().map(|value| value.$take()).collect::<Result<_>>()?;
            Value::$kind(joined(&arrays, axis)?)
        }};
    }
    Ok(match first {
        Value::Reals(_) => join!(reals, Reals),
        Value::Integers(_) => join!(integers, Integers),
        Value::Truths(_) => join!(truths, Truths),
    })
}

fn joined<T: Copy>(all: &[&Array<T>], axis: usize) -> Result<Array<T>> {
    let mut shape = all[0].shape.clone();
    shape[axis] = 0;
    for array in all {
        let fits = array.shape.len() == shape.len()
            && shape.iter().zip(&array.shape).enumerate().all(|(at, (a, b))| at == axis || a == b);
        if !fits {
            let text =
                format!("the shapes {:?} and {:?} along axis {axis}", all[0].shape, array.shape);
            return Err(Error::refused(text));
        }
        shape[axis] += array.shape[axis];
    }
    let outer: usize = shape[..axis].iter().product();
    let mut data = Vec::with_capacity(volume(&shape)?);
    for at in 0..outer {
        for array in all {
            let block = array.data.len() / outer.max(1);
            data.extend_from_slice(&array.data[at * block..][..block]);
        }
    }
    Array::new(shape, data)
}

/// What a slice takes of an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) axis: i64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

/// Parts of axes.
pub(super) fn slice<E: Element>(x: &Value<E>, cuts: &[Cut]) -> Result<Value<E>> {
    let mut shape = x.shape().to_vec();
    let mut taken = vec![(0_i64, 1_i64); shape.len()];
    for cut in cuts {
        let axis = axis_of(cut.axis, shape.len())?;
        let size = shape[axis] as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let (start, end) = (from_end(cut.start), from_end(cut.end));
        let (start, count) = match cut.step {
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                (start, (end - start).max(0).div_ceil_by(cut.step))
            }
            0 => return Err(Error::refused("a slice with step 0")),
            _ => {
                let (start, end) = (start.clamp(-1, size - 1), end.clamp(-1, size - 1));
                (start.max(0), (start - end).max(0).div_ceil_by(cut.step.saturating_neg()))
            }
        };
        (shape[axis], taken[axis]) = (count as usize, (start, cut.step));
    }
    Ok(each!(x, a => {
        let own = a.strides();
        let first = taken.iter().zip(&own).map(|((start, _), stride)| *start as usize * stride).sum();
        let strides: Vec<isize> = taken
            .iter()
            .zip(&own)
            .zip(&shape)
            .map(|(((_, step), stride), size)| if *size > 1 { *step as isize * *stride as isize } else { 0 })
            .collect();
        let first = if shape.contains(&0) { 0 } else { first };
        a.view(first, shape, &strides)?
    }))
}

trait DivCeil {
    fn div_ceil_by(self, step: Self) -> Self;
}
impl DivCeil for i64 {
    fn div_ceil_by(self, step: Self) -> Self {
        self / step + Self::from(self % step != 0)
    }
}

/// Parts of an axis of these sizes.
pub(super) fn split<E: Element>(x: &Value<E>, axis: i64, sizes: &[usize]) -> Result<Vec<Value<E>>> {
    let at = axis_of(axis, x.shape().len())?;
    let sum = sizes.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size));
    if sum != Some(x.shape()[at]) {
        let text = format!("parts of {sizes:?} of an axis of size {}", x.shape()[at]);
        return Err(Error::refused(text));
    }
    let mut start = 0;
    let part = |size: &usize| {
        let cut = Cut { axis, start, end: start + *size as i64, step: 1 };
        start += *size as i64;
        slice(x, &[cut])
    };
    sizes.iter().map(part).collect()
}

/// The parts of an axis that `indices` name.
pub(super) fn gather<E: Element>(
    x: &Value<E>,
    indices: &Array<i64>,
    axis: i64,
) -> Result<Value<E>> {
    let axis = axis_of(axis, x.shape().len())?;
    let size = x.shape()[axis];
    let places: Vec<usize> = indices
        .data
        .iter()
        .map(|index| {
            let counted =
                if *index < 0 { index.checked_add_unsigned(size as u64) } else { Some(*index) };
            let place = counted.and_then(|place| usize::try_from(place).ok());
            place.filter(|place| *place < size).ok_or_else(|| {
                Error::asked(format!("index {index}; there are {size} to choose from"))
            })
        })
        .collect::<Result<_>>()?;
    let outer: usize = x.shape()[..axis].iter().product();
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let shape = [&x.shape()[..axis], &indices.shape, &x.shape()[axis + 1..]].concat();
    volume(&shape)?;
    Ok(each!(x, a => {
        let rows = (0..outer).flat_map(|at| places.iter().map(move |place| at * size + place));
        let data = rows.flat_map(|row| &a.data[row * inner..][..inner]).copied().collect();
        Array::new(shape, data)?
    }))
}

/// How a pad is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// With one value.
    Constant,
    /// With the values beside it, mirrored at the last.
    Reflect,
    /// With the last value.
    Edge,
}

/// More values before and after each axis (fewer where negative).
pub(super) fn pad<E: Element>(
    x: &Value<E>,
    pads: &[i64],
    filling: Filling,
    with: Option<&Value<E>>,
) -> Result<Value<E>> {
    let rank = x.shape().len();
    if pads.len() != 2 * rank {
        return Err(Error::refused(format!("{} sizes of padding for {rank} axes", pads.len())));
    }
    let mut shape = vec![];
    for (axis, size) in x.shape().iter().enumerate() {
        let padded = (*size as i64).checked_add(pads[axis]);
        let padded = padded.and_then(|padded| padded.checked_add(pads[rank + axis]));
        let padded = padded.and_then(|padded| usize::try_from(padded).ok());
        shape.push(padded.ok_or_else(|| Error::refused(format!("a padding of {pads:?}")))?);
    }
    let count = volume(&shape)?;
    // For every axis, where each value comes from.
    let from = |axis: usize| -> Vec<Option<usize>> {
        let size = x.shape()[axis] as i64;
        (0..shape[axis] as i64)
            .map(|at| {
                let at = at - pads[axis];
                let at = match filling {
                    Filling::Constant => at,
                    Filling::Edge => at.clamp(0, size - 1),
                    Filling::Reflect if at < 0 => -at,
                    Filling::Reflect if at >= size => 2 * (size - 1) - at,
                    Filling::Reflect => at,
                };
                (0..size).contains(&at).then_some(at as usize)
            })
            .collect()
    };
    let places: Vec<Vec<Option<usize>>> = (0..rank).map(from).collect();
    if filling != Filling::Constant && places.iter().flatten().any(Option::is_none) {
        return Err(Error::refused(format!("a padding of {pads:?} of {:?}", x.shape())));
    }
    fn fill<T: Copy>(
        a: &Array<T>,
        shape: Vec<usize>,
        places: &[Vec<Option<usize>>],
        with: T,
    ) -> Array<T> {
        let strides = a.strides();
        let mut data = Vec::with_capacity(shape.iter().product());
        let mut index = vec![0; shape.len()];
        for _ in 0..shape.iter().product() {
            let mut place = Some(0);
            for (axis, at) in index.iter().enumerate() {
                place = place.zip(places[axis][*at]).map(|(place, at)| place + at * strides[axis]);
            }
            data.push(place.map_or(with, |place| a.data[place]));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Array { shape, data: std::sync::Arc::new(data) }
    }
    let _ = count;
    Ok(match x {
        Value::Reals(a) => {
            let with = with.map(Value::reals).transpose()?;
            let with = with.and_then(|with| with.data.first().copied());
            Value::Reals(fill(a, shape, &places, with.unwrap_or_default()))
        }
        Value::Integers(a) => {
            let with = with.map(Value::integers).transpose()?;
            let with = with.and_then(|with| with.data.first().copied());
            Value::Integers(fill(a, shape, &places, with.unwrap_or(0)))
        }
        Value::Truths(a) => Value::Truths(fill(a, shape, &places, false)),
    })
}
