//! Steps that do not count, anywhere in a sequence.
//!
//! A recurrent layer that keeps its states over a masked step computes the same without that step. So the
//! steps that count are moved together, run as shorter sequences, and moved back.

use super::value::{Array, Value};
use crate::error::{Error, Result};
use recurve_nn::Element;

/// The sizes of `x [B, T, I]`, and a mask `[B, T]` for it.
fn sizes<'a, E: Element>(
    x: &'a Value<E>,
    mask: &'a Value<E>,
) -> Result<(&'a Array<E>, [usize; 3], &'a [bool])> {
    let (x, mask) = (x.reals()?, mask.truths()?);
    match (&x.shape[..], &mask.shape[..]) {
        (&[batch, steps, width], &[b, t]) if (b, t) == (batch, steps) => {
            Ok((x, [batch, steps, width], &mask.data))
        }
        (x, mask) => Err(Error::refused(format!("a mask {mask:?} for a sequence {x:?}"))),
    }
}

/// Steps moved together, and how many they are.
pub(super) fn compact<E: Element>(x: &Value<E>, mask: &Value<E>) -> Result<Vec<Value<E>>> {
    let (x, [batch, steps, width], mask) = sizes(x, mask)?;
    let mut data = vec![E::default(); x.data.len()];
    let mut lengths = vec![0_i64; batch];
    for (b, length) in lengths.iter_mut().enumerate() {
        for t in (0..steps).filter(|t| mask[b * steps + t]) {
            let (from, to) = ((b * steps + t) * width, (b * steps + *length as usize) * width);
            data[to..to + width].copy_from_slice(&x.data[from..from + width]);
            *length += 1;
        }
    }
    let moved = Array::new(x.shape.clone(), data)?;
    Ok(vec![Value::Reals(moved), Value::Integers(Array::new(vec![batch], lengths)?)])
}

/// Steps moved back to their places.
pub(super) fn spread<E: Element>(y: &Value<E>, mask: &Value<E>, zero: bool) -> Result<Value<E>> {
    let (y, [batch, steps, width], mask) = sizes(y, mask)?;
    let mut data = vec![E::default(); y.data.len()];
    for b in 0..batch {
        let mut count = 0;
        for t in 0..steps {
            let keeps = mask[b * steps + t];
            count += usize::from(keeps);
            // Before the first step that counts there is nothing to repeat.
            if count > 0 && (keeps || !zero) {
                let (from, to) = ((b * steps + count - 1) * width, (b * steps + t) * width);
                data[to..to + width].copy_from_slice(&y.data[from..from + width]);
            }
        }
    }
    Array::new(y.shape.clone(), data).map(Value::Reals)
}
