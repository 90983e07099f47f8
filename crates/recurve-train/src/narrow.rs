//! Weights of a model file in 8 and 16 bits.
//!
//! Only the matrices of recurrent layers are narrow: they are most of such a model, and all that a step
//! reads again and again. A matrix in `bf16` is a tensor of that type. One in 8 bits is integers under
//! its own name and, under that and `.scale`, the value of 1 in each row. Integer times scale is exact in
//! `f32`, and rounding the result gives the same integers again; so a model is held in `f32`, and its file
//! says in which precision it is stored and multiplied.

use crate::checkpoint::{Checkpoint, Tensor, Values};
use crate::error::{Error, Result};
use recurve_nn::{Entry, Model, Precision, Role, bf16_of, int8_of, int8_scale};

/// The text that says in which precision the weights are; absent in full precision.
const PRECISION: &str = "precision";

const SCALE: &str = ".scale";

/// Whether a tensor is narrow in a narrow model.
fn is_narrow(entry: &Entry) -> bool {
    matches!(entry.role, Role::InputWeights(_) | Role::RecurrentWeights(_))
}

/// The precision that a model file says its weights are in.
pub(crate) fn precision(checkpoint: &Checkpoint) -> Result<Precision> {
    let Some((_, name)) = checkpoint.texts().find(|(key, _)| *key == PRECISION) else {
        return Ok(Precision::Full);
    };
    [Precision::Bf16, Precision::Int8].into_iter().find(|known| known.name() == name).ok_or_else(
        || {
            Error::usage(format!(
                "its weights are in `{name}`, expected bf16 or int8; the file is of another version"
            ))
        },
    )
}

/// Whether a tensor holds the scales of another one.
pub(crate) fn is_scale(precision: Precision, model: &Model<f32>, name: &str) -> bool {
    let matrix = name.strip_suffix(SCALE).and_then(|name| model.entries().get(name));
    precision == Precision::Int8 && matrix.is_some_and(is_narrow)
}

/// Adds the weights of a model, and in which precision they are.
pub(crate) fn write_weights(
    checkpoint: &mut Checkpoint,
    precision: Precision,
    model: &Model<f32>,
) -> Result<()> {
    if precision != Precision::Full {
        checkpoint.insert_text(PRECISION, precision.name())?;
    }
    for entry in model.entries().iter() {
        let (values, shape) = (&model.values()[entry.range.clone()], entry.shape.clone());
        let narrow = if is_narrow(entry) { precision } else { Precision::Full };
        let tensor = match narrow {
            Precision::Full => Tensor::reals(shape, values)?,
            Precision::Bf16 => {
                Tensor::new(shape, Values::Bf16(values.iter().map(|w| bf16_of(*w)).collect()))?
            }
            Precision::Int8 => {
                let rows = || values.chunks_exact(shape[1]);
                let scales: Vec<f32> = rows().map(int8_scale).collect();
                let rounded = rows().zip(&scales);
                let rounded = rounded.flat_map(|(row, s)| row.iter().map(|w| int8_of(*w, *s)));
                let integers = Values::I8(rounded.collect());
                let name = format!("{}{SCALE}", entry.name);
                checkpoint.insert(&name, Tensor::reals(vec![shape[0]], &scales)?)?;
                Tensor::new(shape, integers)?
            }
        };
        checkpoint.insert(&entry.name, tensor)?;
    }
    Ok(())
}

/// Takes the weights of a model from a checkpoint; an error names the tensor that does not fit.
pub(crate) fn read_weights(
    checkpoint: &Checkpoint,
    precision: Precision,
    model: &Model<f32>,
) -> Result<Vec<f32>> {
    let mut values = vec![0.0; model.values().len()];
    for entry in model.entries().iter() {
        let to = &mut values[entry.range.clone()];
        let narrow = if is_narrow(entry) { precision } else { Precision::Full };
        match narrow {
            Precision::Full => {
                to.copy_from_slice(&checkpoint.reals(&entry.name, &entry.shape)?);
            }
            Precision::Bf16 => {
                for (to, bits) in to.iter_mut().zip(checkpoint.bf16s(&entry.name, &entry.shape)?) {
                    *to = f32::from_bits(u32::from(*bits) << 16);
                }
            }
            Precision::Int8 => {
                let integers = checkpoint.i8s(&entry.name, &entry.shape)?;
                let name = format!("{}{SCALE}", entry.name);
                let scales: Vec<f32> = checkpoint.reals(&name, &entry.shape[..1])?;
                let width = entry.shape[1];
                for (at, (to, integer)) in to.iter_mut().zip(integers).enumerate() {
                    *to = f32::from(*integer) * scales[at / width];
                }
            }
        }
    }
    Ok(values)
}
