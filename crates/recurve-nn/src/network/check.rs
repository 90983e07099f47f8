//! Whether a network can work in a precision, and on a batch.

use crate::batch::{Batch, Input};
use crate::description::{Description, InputKind, Recurrent};
use crate::error::{Error, Result};
use recurve_kernels::{Element, INT8_DEPTH, Precision};
use std::any::TypeId;

/// Whether a network of these widths can work in `precision`.
pub(super) fn check_precision<E: Element>(widths: &[usize], precision: Precision) -> Result<()> {
    if precision != Precision::Full && TypeId::of::<E>() != TypeId::of::<f32>() {
        return Err(Error::new(format!(
            "the precision `{}` is one for networks of f32; this one is of f64, which has full \
             precision only",
            precision.name()
        )));
    }
    match widths.iter().max() {
        Some(&widest) if precision == Precision::Int8 && widest > INT8_DEPTH => {
            Err(Error::new(format!(
                "a layer of width {widest} in 8 bits, whose sums hold at most {INT8_DEPTH} products; \
                 choose another precision"
            )))
        }
        _ => Ok(()),
    }
}

/// Weights in 8 bits are multiplied by the fused steps alone.
pub(super) fn check_int8(description: &Description, precision: Precision) -> Result<()> {
    let plain =
        |stack: &Recurrent| !stack.is_staged_in_inference() && stack.matrix_memory(0).is_none();
    if precision == Precision::Int8 && !description.stacks().all(plain) {
        return Err(Error::new(
            "weights in 8 bits are not available for a recurrent layer with a projection, \
             normalisation, zoneout or gates that are fed back, nor for an mlstm; choose the precision f32 or bf16",
        ));
    }
    Ok(())
}

/// Whether the slices of a batch are as long as it says, and of the kind that the model reads.
pub(super) fn check_sizes<E: Element>(batch: &Batch<'_, E>, kind: InputKind) -> Result<()> {
    let (t, b) = (batch.steps, batch.batch);
    let places = t.saturating_mul(b);
    let (what, found, expected) = match (batch.input, kind) {
        (Input::Tokens(tokens), InputKind::Tokens { .. }) => ("tokens", tokens.len(), places),
        (Input::Values(values), InputKind::Values { width }) => {
            ("values", values.len(), places.saturating_mul(width))
        }
        (Input::Words(words), InputKind::Words { .. }) if words.forms.len() == places => {
            ("words", words.tokens.len(), places)
        }
        (Input::Words(words), InputKind::Words { .. }) => ("forms", words.forms.len(), places),
        (input, kind) => {
            let given = match input {
                Input::Tokens(_) => "tokens",
                Input::Values(_) => "values",
                Input::Words(_) => "words",
            };
            let wanted = match kind {
                InputKind::Tokens { .. } => "tokens",
                InputKind::Values { .. } => "values",
                InputKind::Words { .. } => "words",
            };
            return Err(Error::new(format!("{given} for a model that reads {wanted}")));
        }
    };
    let flags = |flags: Option<&[bool]>| flags.map_or(places, <[bool]>::len);
    let (resets, mask) = (flags(batch.resets), flags(batch.mask));
    for (what, found, expected) in
        [(what, found, expected), ("resets", resets, places), ("flags of the mask", mask, places)]
    {
        if found != expected {
            return Err(Error::new(format!(
                "{found} {what} for {t} steps of {b} sequences, expected {expected}"
            )));
        }
    }
    Ok(())
}
