//! Models of Recurve in other people's formats.
//!
//! What a format cannot represent is refused by name; nothing is approximated. Each file carries the
//! description of the model as a text, so that reading it back gives the same model to the bit; a file that
//! was changed since is read like anybody else's.

mod npz;
mod torch;

pub(crate) use torch::read_back as read_torch;

use crate::error::{Error, Result};
use crate::tensors::{Tensor, Tensors};
use crate::{keras, onnx};
use recurve_nn::{
    CellKind, Connection, Description, Element, Entries, Initial, Layer, Merge, Model, Recurrent,
};

/// The key of the text that holds the description.
pub(crate) const DESCRIPTION: &str = "recurve.description";

/// The entry of the vectors of tokens, which a tied output shares.
pub(crate) const EMBEDDING: &str = "0.embedding.weight";

/// A format that models are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A model of ONNX, operators of version 17.
    Onnx,
    /// Weights under the names of PyTorch, and a module in Python that loads them.
    Torch,
    /// An archive of Keras 3 with a sequential model, and its weights alone.
    Keras,
    /// NumPy arrays under the names of Recurve.
    Npz,
}

/// A file that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Writes a model. The files are named after `name`.
///
/// # Errors
/// The format cannot represent a layer, which is named.
pub fn export<E: Element>(model: &Model<E>, target: Target, name: &str) -> Result<Vec<Written>> {
    let file = |end: &str, bytes: Vec<u8>| Written { name: format!("{name}{end}"), bytes };
    Ok(match target {
        Target::Onnx => vec![file(".onnx", onnx::write(model)?)],
        Target::Keras => vec![
            file(".keras", keras::archive(model)?),
            file(".weights.h5", keras::weights(model)?),
        ],
        Target::Npz => vec![file(".npz", npz::write(model)?)],
        Target::Torch => {
            let weights = format!("{name}.safetensors");
            vec![
                file(".safetensors", torch::write(model)?),
                file(".py", torch::module(model.description(), &weights)?.into_bytes()),
            ]
        }
    })
}

/// Whether `E` is `f32`.
pub(crate) fn is_single<E: Element>() -> bool {
    size_of::<E>() == 4
}

/// Values as bytes of their own type, little-endian.
pub(crate) fn bytes_of<E: Element>(values: impl IntoIterator<Item = E>) -> Vec<u8> {
    let values = values.into_iter();
    if is_single::<E>() {
        values.flat_map(|value| (value.to_f64() as f32).to_le_bytes()).collect()
    } else {
        values.flat_map(|value| value.to_f64().to_le_bytes()).collect()
    }
}

pub(crate) fn to_json(description: &Description) -> Result<String> {
    serde_json::to_string(description)
        .map_err(|error| Error::failed(format!("cannot write the description: {error}")))
}

/// The description in a text of a file that holds these tensors.
pub(crate) fn from_json(text: &str, tensors: &Tensors) -> Result<Description> {
    let description: Description = serde_json::from_str(text)
        .map_err(|error| Error::damaged(format!("not a description of a model: {error}")))?;
    // A short text can name very many layers; each of them has a tensor at least.
    let layers: usize = description.stacks().map(|stack| stack.layers).sum();
    if layers > tensors.len() {
        return Err(Error::damaged(format!(
            "{layers} recurrent layers in {} tensors",
            tensors.len()
        )));
    }
    // Nor can it have more values than the tensors.
    let held: usize = tensors.iter().map(Tensor::count).sum();
    let wide = description.stacks().map(|stack| stack.hidden.max(stack.output())).max();
    let needed = match wide {
        Some(wide) if wide > held => wide,
        _ => Entries::of(&description)?.len(),
    };
    if needed > held {
        let text = format!("a description of {needed} values, of which the tensors hold {held}");
        return Err(Error::damaged(text));
    }
    Ok(description)
}

/// Refuses a stack whose layers are connected as no other program connects them.
pub(crate) fn check_stack(
    at: usize,
    stack: &Recurrent,
    cells: &[CellKind],
    what: &str,
) -> Result<()> {
    let refuse = |text: String| Err(Error::refused(format!("layer {at}: {what} has {text}")));
    if !cells.contains(&stack.cell) {
        return refuse(format!("no cell like {}", stack.cell.name()));
    }
    if stack.connection != Connection::Plain {
        return refuse(format!("no connection like {:?} between layers", stack.connection));
    }
    if stack.initial != Initial::Zero {
        return refuse("no initial states of its own".to_owned());
    }
    let plain = Recurrent {
        cell: stack.cell,
        hidden: stack.hidden,
        layers: stack.layers,
        bidirectional: stack.bidirectional,
        bias: stack.bias,
        dropout: stack.dropout,
        locked: stack.locked,
        weight_dropout: stack.weight_dropout,
        merge: stack.merge,
        ..Recurrent::new(stack.cell, stack.hidden)
    };
    if plain != *stack {
        let keys = |stack: &Recurrent| serde_json::to_value(stack).unwrap_or_default();
        let (own, plain) = (keys(stack), keys(&plain));
        let differ = own
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| plain.get(key) != Some(value));
        let names: Vec<String> = differ.map(|(key, value)| format!("`{key} = {value}`")).collect();
        return refuse(format!("no option like {} of a recurrent layer", names.join(", ")));
    }
    Ok(())
}

/// A layer that a format has not.
pub(crate) fn no_layer(at: usize, layer: &Layer, what: &str) -> Error {
    Error::refused(format!("layer {at}: {what} is not written with a layer like {}", layer.name()))
}

/// Refuses another merge than side by side.
pub(crate) fn check_merge(at: usize, stack: &Recurrent, what: &str) -> Result<()> {
    if stack.bidirectional && stack.merge != Merge::Concat {
        let text = format!("layer {at}: {what} has no merge of directions like {:?}", stack.merge);
        return Err(Error::refused(text));
    }
    Ok(())
}
