//! Operators that compute value by value, or along an axis.

use super::function::Function;
use super::value::{Array, Value, axis_of, broadcast};
use crate::error::{Error, Result};
use recurve_nn::Element;

/// Arithmetic of two arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
}

/// Comparison of two arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How values along axes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    L2,
}

pub(super) fn function<E: Element>(x: &Value<E>, function: Function) -> Result<Value<E>> {
    match (x, function) {
        (Value::Integers(x), Function::Neg) => {
            let data = x.data.iter().map(|x| x.wrapping_neg()).collect();
            Array::new(x.shape.clone(), data).map(Value::Integers)
        }
        (Value::Integers(x), Function::Abs) => {
            let data = x.data.iter().map(|x| x.wrapping_abs()).collect();
            Array::new(x.shape.clone(), data).map(Value::Integers)
        }
        _ => {
            let x = x.reals()?;
            let data = x.data.iter().map(|x| function.of(*x)).collect();
            Array::new(x.shape.clone(), data).map(Value::Reals)
        }
    }
}

/// Two arrays value by value, stretched to one shape.
fn pairs<T: Copy, U: Copy, R: Copy>(
    a: &Array<T>,
    b: &Array<U>,
    join: impl Fn(T, U) -> R,
) -> Result<Array<R>> {
    if b.data.len() == 1 && b.shape.len() <= a.shape.len() {
        let b = b.data[0];
        return Array::new(a.shape.clone(), a.data.iter().map(|a| join(*a, b)).collect());
    }
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (a.stretched(&shape)?, b.stretched(&shape)?);
    Array::new(shape, a.data.iter().zip(&*b.data).map(|(a, b)| join(*a, *b)).collect())
}

pub(super) fn binary<E: Element>(a: &Value<E>, b: &Value<E>, how: Binary) -> Result<Value<E>> {
    if let (Value::Integers(a), Value::Integers(b)) = (a, b) {
        if how == Binary::Div && b.data.contains(&0) {
            return Err(Error::refused("a division of integers by 0"));
        }
        return pairs(a, b, |a, b| match how {
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::Mul => a.wrapping_mul(b),
            Binary::Div => a.wrapping_div(b),
            Binary::Pow => a.wrapping_pow(b.clamp(0, 64) as u32),
            Binary::Min => a.min(b),
            Binary::Max => a.max(b),
        })
        .map(Value::Integers);
    }
    let power = |a: E, b: E| match b.to_f64() {
        2.0 => a * a,
        1.0 => a,
        b => E::from_f64(a.to_f64().powf(b)),
    };
    let (a, b) = match (a, b) {
        // A power may have an exponent of another type.
        (Value::Reals(a), Value::Integers(b)) if how == Binary::Pow => {
            let data = b.data.iter().map(|b| E::from_f64(*b as f64)).collect();
            (a, &Array::new(b.shape.clone(), data)?)
        }
        _ => (a.reals()?, b.reals()?),
    };
    match how {
        Binary::Add => pairs(a, b, |a, b| a + b),
        Binary::Sub => pairs(a, b, |a, b| a - b),
        Binary::Mul => pairs(a, b, |a, b| a * b),
        Binary::Div => pairs(a, b, |a, b| E::from_f64(a.to_f64() / b.to_f64())),
        Binary::Pow => pairs(a, b, power),
        Binary::Min => pairs(a, b, |a, b| if b < a { b } else { a }),
        Binary::Max => pairs(a, b, |a, b| if b > a { b } else { a }),
    }
    .map(Value::Reals)
}

pub(super) fn compare<E: Element>(a: &Value<E>, b: &Value<E>, how: Comparison) -> Result<Value<E>> {
    fn compared<T: PartialOrd + Copy>(
        a: &Array<T>,
        b: &Array<T>,
        how: Comparison,
    ) -> Result<Array<bool>> {
        pairs(a, b, |a, b| match how {
            Comparison::Equal => a == b,
            Comparison::Less => a < b,
            Comparison::LessOrEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterOrEqual => a >= b,
        })
    }
    Ok(Value::Truths(match (a, b) {
        (Value::Reals(a), Value::Reals(b)) => compared(a, b, how)?,
        (Value::Integers(a), Value::Integers(b)) => compared(a, b, how)?,
        (Value::Truths(a), Value::Truths(b)) => compared(a, b, how)?,
        _ => {
            let text = format!("{} compared with {}", a.kind(), b.kind());
            return Err(Error::refused(text));
        }
    }))
}

pub(super) fn logic<E: Element>(
    a: &Value<E>,
    b: &Value<E>,
    join: fn(bool, bool) -> bool,
) -> Result<Value<E>> {
    pairs(a.truths()?, b.truths()?, join).map(Value::Truths)
}

/// `a` where the condition holds, `b` where not.
pub(super) fn choose<E: Element>(
    condition: &Value<E>,
    a: &Value<E>,
    b: &Value<E>,
) -> Result<Value<E>> {
    let condition = condition.truths()?;
    fn chosen<T: Copy>(c: &Array<bool>, a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
        let taken = pairs(c, a, |c, a| (c, a))?;
        pairs(&taken, b, |(c, a), b| if c { a } else { b })
    }
    Ok(match (a, b) {
        (Value::Reals(a), Value::Reals(b)) => Value::Reals(chosen(condition, a, b)?),
        (Value::Integers(a), Value::Integers(b)) => Value::Integers(chosen(condition, a, b)?),
        (Value::Truths(a), Value::Truths(b)) => Value::Truths(chosen(condition, a, b)?),
        _ => {
            let text = format!("a choice between {} and {}", a.kind(), b.kind());
            return Err(Error::refused(text));
        }
    })
}

/// Softmax, or its logarithm, along an axis; along all axes from it on where `joined`.
pub(super) fn softmax<E: Element>(
    x: &Value<E>,
    axis: i64,
    joined: bool,
    logarithm: bool,
) -> Result<Value<E>> {
    let x = x.reals()?;
    let axis = axis_of(axis, x.shape.len())?;
    let (size, inner) = if joined {
        (x.shape[axis..].iter().product(), 1)
    } else {
        (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>())
    };
    let mut data = (*x.data).clone();
    for block in data.chunks_mut((size * inner).max(1)) {
        for at in 0..inner {
            let lane = || block.iter().skip(at).step_by(inner).map(|x| x.to_f64());
            let largest = lane().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = lane().map(|x| (x - largest).exp()).sum();
            for x in block.iter_mut().skip(at).step_by(inner) {
                let shifted = x.to_f64() - largest;
                *x = E::from_f64(if logarithm { shifted - sum.ln() } else { shifted.exp() / sum });
            }
        }
    }
    Array::new(x.shape.clone(), data).map(Value::Reals)
}

/// Values along axes as one; along all axes where none are given.
pub(super) fn reduce<E: Element>(
    x: &Value<E>,
    axes: &[i64],
    keep: bool,
    how: Reduction,
) -> Result<Value<E>> {
    let x = x.reals()?;
    let rank = x.shape.len();
    let axes: Vec<usize> = match axes {
        [] => (0..rank).collect(),
        axes => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_>>()?,
    };
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let order = kept.iter().chain(&axes).map(|axis| *axis as i64).collect::<Vec<_>>();
    let Value::Reals(moved) = super::moving::transpose(&Value::Reals(x.clone()), Some(&order))?
    else {
        unreachable!("moving numbers gives numbers")
    };
    let size: usize = axes.iter().map(|axis| x.shape[*axis]).product();
    let outer: usize = kept.iter().map(|axis| x.shape[*axis]).product();
    if size == 0 {
        return Err(Error::refused("a reduction of no values"));
    }
    let one = |at: usize| {
        let lane = || moved.data[at * size..][..size].iter().map(|x| x.to_f64());
        E::from_f64(match how {
            Reduction::Sum => lane().sum(),
            Reduction::Mean => lane().sum::<f64>() / size as f64,
            Reduction::Max => lane().fold(f64::NEG_INFINITY, f64::max),
            Reduction::Min => lane().fold(f64::INFINITY, f64::min),
            Reduction::L2 => lane().map(|x| x * x).sum::<f64>().sqrt(),
        })
    };
    let shape = (0..rank)
        .filter(|axis| keep || kept.contains(axis))
        .map(|axis| if axes.contains(&axis) { 1 } else { x.shape[axis] });
    Array::new(shape.collect(), (0..outer).map(one).collect()).map(Value::Reals)
}

/// Where the largest value along an axis is: the first of equals.
pub(super) fn arg_max<E: Element>(x: &Value<E>, axis: i64, keep: bool) -> Result<Value<E>> {
    let x = x.reals()?;
    let axis = axis_of(axis, x.shape.len())?;
    let (size, inner) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
    let outer: usize = x.shape[..axis].iter().product();
    let mut data = vec![];
    for (at, lane) in (0..outer).flat_map(|at| (0..inner).map(move |lane| (at, lane))) {
        let value = |i: usize| x.data[(at * size + i) * inner + lane];
        let best = (0..size).reduce(|best, i| if value(i) > value(best) { i } else { best });
        data.push(best.unwrap_or(0) as i64);
    }
    let mut shape = x.shape.clone();
    if keep {
        shape[axis] = 1;
    } else {
        shape.remove(axis);
    }
    Array::new(shape, data).map(Value::Integers)
}

/// Mean 0 and variance 1 over all axes from `axis` on, then a gain and a shift.
pub(super) fn layer_norm<E: Element>(
    x: &Value<E>,
    gain: &Value<E>,
    shift: Option<&Value<E>>,
    (axis, epsilon): (i64, f64),
) -> Result<Value<E>> {
    let x = x.reals()?;
    let axis = axis_of(axis, x.shape.len())?;
    let size: usize = x.shape[axis..].iter().product();
    let mut data = (*x.data).clone();
    for lane in data.chunks_mut(size.max(1)) {
        let mean = lane.iter().map(|x| x.to_f64()).sum::<f64>() / size as f64;
        let square = |x: &E| (x.to_f64() - mean) * (x.to_f64() - mean);
        let variance = lane.iter().map(square).sum::<f64>() / size as f64;
        let scale = 1.0 / (variance + epsilon).sqrt();
        lane.iter_mut().for_each(|x| *x = E::from_f64((x.to_f64() - mean) * scale));
    }
    let normal = Value::Reals(Array::new(x.shape.clone(), data)?);
    let scaled = binary(&normal, gain, Binary::Mul)?;
    shift.map_or(Ok(scaled.clone()), |shift| binary(&scaled, shift, Binary::Add))
}
