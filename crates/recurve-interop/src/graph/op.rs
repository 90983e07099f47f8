//! The operators of a graph.

use super::function::Function;
use super::masks;
use super::moving::{self, Cut, Filling};
use super::numbers::{self, Binary, Comparison, Reduction};
use super::products::{self, Conv, Gemm, Kept};
use super::recurrent::{self, RecurrentOp};
use super::value::{Array, Value, broadcast, each, volume};
use super::{Kind, Subgraph};
use crate::error::{Error, Result};
use recurve_nn::{Element, Engine};

/// What a node does. Axes count from the end where negative. `None` for axes, starts or sizes says that they
/// come as inputs, in the order of ONNX.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Op {
    Identity,
    Transpose(Option<Vec<i64>>),
    Reshape {
        zero: bool,
    },
    Flatten(i64),
    Squeeze(Option<Vec<i64>>),
    Unsqueeze(Option<Vec<i64>>),
    Concat(i64),
    Slice(Option<Vec<[i64; 3]>>),
    Split {
        axis: i64,
        sizes: Option<Vec<i64>>,
        parts: usize,
    },
    Gather(i64),
    Expand,
    Tile,
    Pad {
        filling: Filling,
        pads: Option<Vec<i64>>,
        with: Option<f64>,
    },
    Shape {
        start: i64,
        end: Option<i64>,
    },
    Size,
    ConstantOfShape(Value<f64>),
    Range,
    Cast(Kind),
    Function(Function),
    Clip {
        min: Option<f64>,
        max: Option<f64>,
    },
    Binary(Binary),
    Compare(Comparison),
    And,
    Or,
    Not,
    Where,
    Softmax {
        axis: i64,
        joined: bool,
        logarithm: bool,
    },
    Reduce {
        how: Reduction,
        axes: Option<Vec<i64>>,
        keep: bool,
    },
    ArgMax {
        axis: i64,
        keep: bool,
    },
    LayerNorm {
        axis: i64,
        epsilon: f64,
    },
    MatMul,
    Gemm(Gemm),
    Conv(Conv),
    Recurrent(RecurrentOp),
    /// The steps of `x [B, T, I]` that a mask `[B, T]` keeps, each sequence from its beginning on, and how
    /// many they are `[B]`.
    Compact,
    /// The reverse: steps in their places. A step that is masked repeats the one before it, or is zero.
    Spread {
        zero: bool,
    },
    If {
        then: Subgraph,
        otherwise: Subgraph,
    },
}

/// What a node keeps from run to run: packed weights.
#[derive(Debug)]
pub(super) enum Machine<E: Element> {
    Nothing,
    Product(Kept<E>),
    Conv(Vec<Kept<E>>),
    Recurrent(Box<recurrent::Machine<E>>),
}

impl<E: Element> Machine<E> {
    pub(super) fn new(op: &Op) -> Self {
        match op {
            Op::MatMul | Op::Gemm(_) => Self::Product(Kept::default()),
            Op::Conv(_) => Self::Conv(vec![]),
            Op::Recurrent(_) => Self::Recurrent(Box::default()),
            _ => Self::Nothing,
        }
    }
}

/// The inputs of a node, absent ones among them.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a, E>(pub(super) &'a [Option<&'a Value<E>>]);

impl<'a, E: Element> Inputs<'a, E> {
    fn find(self, at: usize) -> Option<&'a Value<E>> {
        self.0.get(at).copied().flatten()
    }
    fn get(self, at: usize) -> Result<&'a Value<E>> {
        self.find(at).ok_or_else(|| Error::damaged(format!("input {at} is missing")))
    }
    /// Integers that are an attribute or an input.
    fn list(self, attribute: Option<&[i64]>, at: usize) -> Result<Option<Vec<i64>>> {
        match (attribute, self.find(at)) {
            (Some(list), _) => Ok(Some(list.to_vec())),
            (None, Some(input)) => Ok(Some(input.integers()?.data.to_vec())),
            (None, None) => Ok(None),
        }
    }
    fn number(self, at: usize) -> Result<Option<f64>> {
        let Some(input) = self.find(at) else { return Ok(None) };
        Ok(match input {
            Value::Integers(x) => x.data.first().map(|x| *x as f64),
            other => other.reals()?.data.first().map(|x| x.to_f64()),
        })
    }
}

impl Op {
    /// The inputs whose values decide the shape of the output.
    pub(super) fn shaping(&self) -> &'static [usize] {
        match self {
            Self::Reshape { .. } | Self::Expand | Self::Tile | Self::Pad { .. } => &[1],
            Self::Squeeze(None) | Self::Unsqueeze(None) | Self::Reduce { axes: None, .. } => &[1],
            Self::Split { sizes: None, .. } => &[1],
            Self::Slice(None) => &[1, 2, 3, 4],
            Self::ConstantOfShape(_) => &[0],
            Self::Range => &[0, 1, 2],
            _ => &[],
        }
    }
    /// Whether only the shape of the input counts, not its values.
    pub(super) fn is_of_shape(&self) -> bool {
        matches!(self, Self::Shape { .. } | Self::Size)
    }

    /// Computes the outputs. An [`Op::If`] is run by the session.
    pub(super) fn run<E: Element>(
        &self,
        engine: Engine,
        machine: &mut Machine<E>,
        inputs: Inputs<'_, E>,
    ) -> Result<Vec<Value<E>>> {
        let one = |value: Result<Value<E>>| value.map(|value| vec![value]);
        let function = |function: Function| numbers::function(inputs.get(0)?, function);
        match self {
            Self::Identity => one(inputs.get(0).cloned()),
            Self::Transpose(order) => one(moving::transpose(inputs.get(0)?, order.as_deref())),
            Self::Reshape { zero } => {
                one(moving::reshape(inputs.get(0)?, &inputs.get(1)?.integers()?.data, *zero))
            }
            Self::Flatten(axis) => one(flatten(inputs.get(0)?, *axis)),
            Self::Squeeze(axes) => {
                one(moving::squeeze(inputs.get(0)?, inputs.list(axes.as_deref(), 1)?.as_deref()))
            }
            Self::Unsqueeze(axes) => {
                let axes = inputs.list(axes.as_deref(), 1)?;
                let axes = axes.ok_or_else(|| Error::damaged("the axes are missing"))?;
                one(moving::unsqueeze(inputs.get(0)?, &axes))
            }
            Self::Concat(axis) => {
                let all: Vec<_> = inputs.0.iter().copied().flatten().collect();
                one(moving::concat(&all, *axis))
            }
            Self::Slice(cuts) => one(slice(inputs, cuts.as_deref())),
            Self::Split { axis, sizes, parts } => split(inputs, *axis, sizes.as_deref(), *parts),
            Self::Gather(axis) => {
                one(moving::gather(inputs.get(0)?, inputs.get(1)?.integers()?, *axis))
            }
            Self::Expand => one(expand(inputs.get(0)?, inputs.get(1)?)),
            Self::Tile => one(tile(inputs.get(0)?, inputs.get(1)?)),
            Self::Pad { filling, pads, with } => one(pad(inputs, *filling, pads.as_deref(), *with)),
            Self::Shape { start, end } => one(shape(inputs.get(0)?, *start, *end)),
            Self::Size => one(Ok(Value::Integers(Array::single(inputs.get(0)?.count() as i64)))),
            Self::ConstantOfShape(value) => one(filled(inputs.get(0)?, value)),
            Self::Range => one(range(inputs)),
            Self::Cast(to) => one(cast(inputs.get(0)?, *to)),
            Self::Function(name) => one(function(*name)),
            Self::Clip { min, max } => one(clip(inputs, *min, *max)),
            Self::Binary(how) => {
                let first = inputs.get(0)?;
                // Min and Max take any number of inputs.
                let rest = inputs.0.iter().skip(1).copied().flatten();
                let mut rest = rest;
                one(rest.try_fold(first.clone(), |a, b| numbers::binary(&a, b, *how)))
            }
            Self::Compare(how) => one(numbers::compare(inputs.get(0)?, inputs.get(1)?, *how)),
            Self::And => one(numbers::logic(inputs.get(0)?, inputs.get(1)?, |a, b| a && b)),
            Self::Or => one(numbers::logic(inputs.get(0)?, inputs.get(1)?, |a, b| a || b)),
            Self::Not => {
                let x = inputs.get(0)?.truths()?;
                let data = x.data.iter().map(|x| !x).collect();
                one(Array::new(x.shape.clone(), data).map(Value::Truths))
            }
            Self::Where => one(numbers::choose(inputs.get(0)?, inputs.get(1)?, inputs.get(2)?)),
            Self::Softmax { axis, joined, logarithm } => {
                one(numbers::softmax(inputs.get(0)?, *axis, *joined, *logarithm))
            }
            Self::Reduce { how, axes, keep } => {
                let axes = inputs.list(axes.as_deref(), 1)?.unwrap_or_default();
                one(numbers::reduce(inputs.get(0)?, &axes, *keep, *how))
            }
            Self::ArgMax { axis, keep } => one(numbers::arg_max(inputs.get(0)?, *axis, *keep)),
            Self::LayerNorm { axis, epsilon } => {
                let (x, gain, shift) = (inputs.get(0)?, inputs.get(1)?, inputs.find(2));
                one(numbers::layer_norm(x, gain, shift, (*axis, *epsilon)))
            }
            Self::MatMul => match machine {
                Machine::Product(kept) => {
                    one(products::matmul(engine, kept, inputs.get(0)?, inputs.get(1)?))
                }
                _ => unreachable!("a product has its machine"),
            },
            Self::Gemm(how) => match machine {
                Machine::Product(kept) => {
                    let all = (inputs.get(0)?, inputs.get(1)?, inputs.find(2));
                    one(products::gemm(engine, kept, *how, all))
                }
                _ => unreachable!("a product has its machine"),
            },
            Self::Conv(how) => match machine {
                Machine::Conv(kept) => {
                    let all = (inputs.get(0)?, inputs.get(1)?, inputs.find(2));
                    one(products::conv(engine, kept, how, all))
                }
                _ => unreachable!("a convolution has its machine"),
            },
            Self::Recurrent(op) => match machine {
                Machine::Recurrent(own) => op.run(engine, own, inputs.0),
                _ => unreachable!("a recurrent layer has its machine"),
            },
            Self::Compact => masks::compact(inputs.get(0)?, inputs.get(1)?),
            Self::Spread { zero } => one(masks::spread(inputs.get(0)?, inputs.get(1)?, *zero)),
            Self::If { .. } => unreachable!("a session runs the branches"),
        }
    }
}

fn flatten<E: Element>(x: &Value<E>, axis: i64) -> Result<Value<E>> {
    let rank = x.shape().len();
    let at = if axis == rank as i64 { rank } else { super::value::axis_of(axis, rank)? };
    let (outer, inner) = x.shape().split_at(at);
    let shape = vec![outer.iter().product(), inner.iter().product()];
    Ok(each!(x, a => a.shaped(shape)?))
}

fn slice<E: Element>(inputs: Inputs<'_, E>, cuts: Option<&[[i64; 3]]>) -> Result<Value<E>> {
    let x = inputs.get(0)?;
    let cuts: Vec<Cut> = match cuts {
        Some(cuts) => {
            let cut = |[axis, start, end]: &[i64; 3]| Cut {
                axis: *axis,
                start: *start,
                end: *end,
                step: 1,
            };
            cuts.iter().map(cut).collect()
        }
        None => {
            let (starts, ends) = (inputs.get(1)?.integers()?, inputs.get(2)?.integers()?);
            let axes = inputs.list(None, 3)?;
            let axes = axes.unwrap_or_else(|| (0..starts.data.len() as i64).collect());
            let steps = inputs.list(None, 4)?.unwrap_or_else(|| vec![1; axes.len()]);
            if [ends.data.len(), axes.len(), steps.len()] != [starts.data.len(); 3] {
                return Err(Error::refused(
                    "starts, ends, axes and steps of a slice differ in number",
                ));
            }
            let all = axes.iter().zip(&*starts.data).zip(&*ends.data).zip(&steps);
            all.map(|(((axis, start), end), step)| Cut {
                axis: *axis,
                start: *start,
                end: *end,
                step: *step,
            })
            .collect()
        }
    };
    moving::slice(x, &cuts)
}

fn split<E: Element>(
    inputs: Inputs<'_, E>,
    axis: i64,
    sizes: Option<&[i64]>,
    parts: usize,
) -> Result<Vec<Value<E>>> {
    let x = inputs.get(0)?;
    let size = x.shape()[super::value::axis_of(axis, x.shape().len())?];
    let sizes: Vec<usize> = match inputs.list(sizes, 1)? {
        Some(sizes) => {
            let sizes: Option<_> = sizes.iter().map(|size| usize::try_from(*size).ok()).collect();
            sizes.ok_or_else(|| Error::refused("a part of negative size"))?
        }
        None => {
            let each = size.div_ceil(parts.max(1));
            (0..parts).map(|at| each.min(size.saturating_sub(at * each))).collect()
        }
    };
    moving::split(x, axis, &sizes)
}

fn sizes(shape: &Array<i64>) -> Result<Vec<usize>> {
    let sizes: Option<Vec<usize>> = shape.data.iter().map(|n| usize::try_from(*n).ok()).collect();
    let sizes = sizes.ok_or_else(|| Error::refused(format!("the shape {:?}", shape.data)))?;
    volume(&sizes)?;
    Ok(sizes)
}

fn expand<E: Element>(x: &Value<E>, to: &Value<E>) -> Result<Value<E>> {
    let shape = broadcast(x.shape(), &sizes(to.integers()?)?)?;
    volume(&shape)?;
    Ok(each!(x, a => a.stretched(&shape)?))
}

fn tile<E: Element>(x: &Value<E>, repeats: &Value<E>) -> Result<Value<E>> {
    let repeats = sizes(repeats.integers()?)?;
    if repeats.len() != x.shape().len() {
        return Err(Error::refused(format!("{} repeats for {:?}", repeats.len(), x.shape())));
    }
    // Every axis becomes two: which repeat, and where in it.
    let mut wide = vec![];
    let mut tiled = vec![];
    for (size, repeat) in x.shape().iter().zip(&repeats) {
        wide.extend([*repeat, *size]);
        tiled.push(repeat.checked_mul(*size).ok_or_else(|| Error::refused("a tile too large"))?);
    }
    volume(&wide)?;
    Ok(each!(x, a => {
        let mut split = vec![];
        a.shape.iter().for_each(|size| split.extend([1, *size]));
        a.shaped(split)?.stretched(&wide)?.shaped(tiled)?
    }))
}

fn pad<E: Element>(
    inputs: Inputs<'_, E>,
    filling: Filling,
    pads: Option<&[i64]>,
    with: Option<f64>,
) -> Result<Value<E>> {
    let x = inputs.get(0)?;
    let pads = inputs.list(pads, 1)?.ok_or_else(|| Error::damaged("the pads are missing"))?;
    let fill = with.map(|with| Value::Reals(Array::single(E::from_f64(with))));
    let fill = fill.as_ref().or(inputs.find(2));
    let Some(axes) = inputs.find(3) else { return moving::pad(x, &pads, filling, fill) };
    let (axes, rank) = (axes.integers()?, x.shape().len());
    if pads.len() != 2 * axes.data.len() {
        return Err(Error::refused(format!("{} pads for {} axes", pads.len(), axes.data.len())));
    }
    let mut all = vec![0; 2 * rank];
    for (at, axis) in axes.data.iter().enumerate() {
        let axis = super::value::axis_of(*axis, rank)?;
        (all[axis], all[rank + axis]) = (pads[at], pads[axes.data.len() + at]);
    }
    moving::pad(x, &all, filling, fill)
}

fn shape<E: Element>(x: &Value<E>, start: i64, end: Option<i64>) -> Result<Value<E>> {
    let rank = x.shape().len() as i64;
    let place =
        |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (place(start), place(end.unwrap_or(rank)));
    let sizes = x.shape().get(start..end).unwrap_or_default();
    let sizes: Vec<i64> = sizes.iter().map(|size| *size as i64).collect();
    Array::new(vec![sizes.len()], sizes).map(Value::Integers)
}

fn filled<E: Element>(shape: &Value<E>, with: &Value<f64>) -> Result<Value<E>> {
    let shape = sizes(shape.integers()?)?;
    Ok(each!(with.narrowed::<E>(), a => {
        let one = a.data.first().copied();
        let one = one.ok_or_else(|| Error::damaged("the value of a constant is missing"))?;
        Array::new(shape.clone(), vec![one; volume(&shape)?])?
    }))
}

fn range<E: Element>(inputs: Inputs<'_, E>) -> Result<Value<E>> {
    let number = |at: usize| -> Result<f64> {
        inputs.number(at)?.ok_or_else(|| Error::damaged(format!("input {at} is missing")))
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    let count = ((end - start) / step).ceil().max(0.0);
    let count = volume(&[if count.is_finite() { count as usize } else { usize::MAX }])?;
    let at = |i: usize| start + i as f64 * step;
    match inputs.get(0)? {
        Value::Integers(_) => {
            Array::new(vec![count], (0..count).map(|i| at(i) as i64).collect()).map(Value::Integers)
        }
        _ => Array::new(vec![count], (0..count).map(|i| E::from_f64(at(i))).collect())
            .map(Value::Reals),
    }
}

fn cast<E: Element>(x: &Value<E>, to: Kind) -> Result<Value<E>> {
    let shape = x.shape().to_vec();
    let wide: Vec<f64> = match x {
        Value::Reals(_) if to == Kind::Reals => return Ok(x.clone()),
        Value::Integers(_) if to == Kind::Integers => return Ok(x.clone()),
        Value::Reals(x) => x.data.iter().map(|x| x.to_f64()).collect(),
        Value::Integers(x) => x.data.iter().map(|x| *x as f64).collect(),
        Value::Truths(x) => x.data.iter().map(|x| f64::from(u8::from(*x))).collect(),
    };
    match to {
        Kind::Reals => {
            Array::new(shape, wide.into_iter().map(E::from_f64).collect()).map(Value::Reals)
        }
        Kind::Integers => {
            Array::new(shape, wide.into_iter().map(|x| x as i64).collect()).map(Value::Integers)
        }
        Kind::Truths => {
            Array::new(shape, wide.into_iter().map(|x| x != 0.0).collect()).map(Value::Truths)
        }
    }
}

fn clip<E: Element>(inputs: Inputs<'_, E>, min: Option<f64>, max: Option<f64>) -> Result<Value<E>> {
    let min = min.or(inputs.number(1)?).unwrap_or(f64::NEG_INFINITY);
    let max = max.or(inputs.number(2)?).unwrap_or(f64::INFINITY);
    match inputs.get(0)? {
        Value::Integers(x) => {
            let data = x.data.iter().map(|x| (*x).max(min as i64).min(max as i64)).collect();
            Array::new(x.shape.clone(), data).map(Value::Integers)
        }
        other => {
            let x = other.reals()?;
            let data = x.data.iter().map(|x| E::from_f64(x.to_f64().max(min).min(max))).collect();
            Array::new(x.shape.clone(), data).map(Value::Reals)
        }
    }
}
