//! The safetensors format: a JSON header with types, shapes and places, then the values.
//!
//! The header alone is read when a file is opened. Its claims are checked against the length of the file:
//! tensors lie one after the other without gaps and end where the file ends.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::Source;
use crate::tensors::{Data, Tensor, Tensors};
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a file holds: its tensors in the order of their places, and its texts.
pub type Contents = (Tensors, BTreeMap<String, String>);

/// Whether bytes look like the beginning of this format.
pub fn is_beginning(head: &[u8]) -> bool {
    let length = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length < 1 << 40) && head.get(8) == Some(&b'{')
}

/// Reads the header.
///
/// # Errors
/// The file is truncated or altered, or holds values of a type that is not known here.
pub fn read(source: &Arc<Source>, limits: &Limits) -> Result<Contents> {
    let bytes = source.read(0, 8)?;
    let length = bytes.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
    limits.check_description(length).map_err(|error| error.at(0))?;
    let header = source.read(8, length)?;
    let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|error| {
        let text = format!("the header is no JSON object ({error}); the file was altered");
        Error::damaged(text).at(8)
    })?;
    limits.check_things(header.len(), "tensors").map_err(|error| error.within("header"))?;
    let (mut found, mut texts) = (vec![], BTreeMap::new());
    for (name, value) in header {
        let told = |error: Error| error.within(format_args!("tensor `{name}`"));
        if name == "__metadata__" {
            texts = serde_json::from_value(value).map_err(|error| {
                Error::damaged(format!("expected texts ({error})")).within("__metadata__")
            })?;
            continue;
        }
        let info: TensorInfo = serde_json::from_value(value).map_err(|error| {
            told(Error::damaged(format!("expected dtype, shape and data_offsets ({error})")))
        })?;
        let dtype = dtype(&info).map_err(told)?;
        let (from, to) = info.data_offsets;
        let (from, to) = (from as u64, to as u64);
        let begin = (8 + length).checked_add(from).filter(|_| from <= to);
        let Some(begin) = begin else {
            return Err(told(Error::damaged(format!("its values lie from {from} to {to}"))));
        };
        let data = Data::Stored(source.clone(), begin);
        let tensor = Tensor::new(name.clone(), dtype, info.shape, data)?;
        let size = (tensor.count() * dtype.size()) as u64;
        if to - from != size {
            let text =
                format!("the shape {:?} needs {size} bytes, found {}", tensor.shape, to - from);
            return Err(told(Error::damaged(text)));
        }
        found.push((from, to, tensor));
    }
    found.sort_by_key(|(from, to, _)| (*from, *to));
    let (mut tensors, mut end) = (Tensors::new(), 0);
    for (from, to, tensor) in found {
        if from != end {
            let text = format!("its values begin at {from}, those before end at {end}");
            return Err(Error::damaged(text).within(format_args!("tensor `{}`", tensor.name)));
        }
        end = to;
        tensors.add(tensor)?;
    }
    if 8 + length + end != source.length() {
        return Err(Error::damaged(format!(
            "the tensors end at byte {}, the file at byte {}",
            8 + length + end,
            source.length()
        )));
    }
    Ok((tensors, texts))
}

fn dtype(info: &TensorInfo) -> Result<Dtype> {
    use safetensors::Dtype as Theirs;
    Ok(match info.dtype {
        Theirs::F64 => Dtype::F64,
        Theirs::F32 => Dtype::F32,
        Theirs::F16 => Dtype::F16,
        Theirs::BF16 => Dtype::Bf16,
        Theirs::I64 => Dtype::I64,
        Theirs::I32 => Dtype::I32,
        Theirs::I16 => Dtype::I16,
        Theirs::I8 => Dtype::I8,
        Theirs::U64 => Dtype::U64,
        Theirs::U32 => Dtype::U32,
        Theirs::U16 => Dtype::U16,
        Theirs::U8 => Dtype::U8,
        Theirs::BOOL => Dtype::Bool,
        other => return Err(Error::refused(format!("values of the type {other:?}"))),
    })
}
