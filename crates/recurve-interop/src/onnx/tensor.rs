//! Tensors of ONNX: in the file, or in another file of its folder where that is allowed.

use super::proto::Reader;
use super::wire::Fields;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::source::Source;
use crate::tensors::{Data, Tensor};
use std::ops::Range;
use std::path::{Component, Path};

/// The type of values that ONNX numbers so.
pub(super) fn dtype(number: i64) -> Result<Dtype> {
    Ok(match number {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        13 => Dtype::U64,
        16 => Dtype::Bf16,
        8 => return Err(Error::refused("texts as values")),
        other => return Err(Error::refused(format!("values of the type {other}"))),
    })
}

/// Reads a tensor; its values stay where they are.
pub(super) fn read(reader: &mut Reader<'_>, range: Range<usize>) -> Result<Tensor> {
    let begin = range.start as u64;
    let (mut name, mut kind, mut shape) = (String::new(), 0, vec![]);
    let (mut raw, mut outside, mut location) = (None, false, vec![]);
    let (mut integers, mut floats, mut doubles) = (vec![], vec![], vec![]);
    let bytes = reader.bytes;
    let mut fields = Fields::new(bytes, range);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => field.integers(bytes, &mut shape)?,
            2 => kind = field.integer()?,
            4 => field.floats(bytes, &mut floats)?,
            5 | 7 | 11 => field.integers(bytes, &mut integers)?,
            8 => name = field.text(bytes)?,
            9 => raw = Some(field.range()?),
            10 => field.doubles(bytes, &mut doubles)?,
            12 | 16 => {
                field.range()?;
            }
            13 => {
                reader.count(field.at)?;
                location.push(reader.pair(field.range()?)?);
            }
            14 => outside = field.integer()? == 1,
            other => {
                let text = format!("the field {other} of a tensor: pieces and texts are not read");
                return Err(Error::refused(text).at(field.at as u64));
            }
        }
    }
    let told = |error: Error| error.at(begin).within(format_args!("tensor `{name}`"));
    let dtype = dtype(kind).map_err(told)?;
    reader.limits.check_depth(shape.len()).map_err(told)?;
    let shape: std::result::Result<Vec<usize>, _> =
        shape.into_iter().map(usize::try_from).collect();
    let shape = shape.map_err(|_| told(Error::damaged("an axis of negative size")))?;
    if outside {
        return external(reader, &name, dtype, shape, &location).map_err(told);
    }
    if let Some(raw) = raw {
        let (start, length) = (raw.start, raw.len());
        let data = Data::Stored(reader.source.clone(), start as u64);
        let tensor = Tensor::new(name.clone(), dtype, shape, data)?;
        let expected = tensor.count() * dtype.size();
        if length != expected {
            let text = format!("expected {expected} bytes of values, found {length}");
            return Err(told(Error::damaged(text)));
        }
        return Ok(tensor);
    }
    let held: Vec<u8> = match dtype {
        Dtype::F32 => floats.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        Dtype::F64 => doubles.iter().flat_map(|v| v.to_le_bytes()).collect(),
        other => {
            integers.iter().flat_map(|v| v.to_le_bytes().into_iter().take(other.size())).collect()
        }
    };
    let count = held.len() / dtype.size();
    let tensor = Tensor::new(name.clone(), dtype, shape, Data::Held(held.into()))?;
    if tensor.count() != count {
        let text = format!("expected {} values, found {count}", tensor.count());
        return Err(told(Error::damaged(text)));
    }
    Ok(tensor)
}

/// A tensor in another file: only where that was allowed, only in the folder of the model, and through no
/// link.
fn external(
    reader: &Reader<'_>,
    name: &str,
    dtype: Dtype,
    shape: Vec<usize>,
    location: &[(String, String)],
) -> Result<Tensor> {
    let find = |key: &str| location.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let file =
        find("location").ok_or_else(|| Error::damaged("the location of its values is missing"))?;
    let number = |key: &str| -> Result<Option<u64>> {
        let Some(text) = find(key) else { return Ok(None) };
        let parsed = text.parse::<u64>();
        parsed.map(Some).map_err(|_| Error::damaged(format!("the {key} `{text}` is no number")))
    };
    if !reader.external {
        return Err(Error::refused(format!(
            "its values lie in another file, `{file}`; allow that if you trust the model and its folder"
        )));
    }
    let path = Path::new(file);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let Some(folder) = reader.source.folder().filter(|_| plain && !file.is_empty()) else {
        let text =
            format!("its values lie in `{file}`, which is not below the folder of the model");
        return Err(Error::refused(text));
    };
    let refuse_link =
        || Error::refused(format!("its values lie in `{file}`, which is or lies behind a link"));
    let mut walked = folder.to_owned();
    for part in path.components() {
        walked.push(part);
        let found = std::fs::symlink_metadata(&walked).map_err(|error| {
            Error::asked(format!("cannot read `{}`: {error}", walked.display()))
        })?;
        if found.is_symlink() || is_hard_link(&found) {
            return Err(refuse_link());
        }
    }
    let source = Source::open(&walked)?;
    let offset = number("offset")?.unwrap_or(0);
    let data = Data::Stored(source, offset);
    let tensor = Tensor::new(name, dtype, shape, data)?;
    let expected = (tensor.count() * dtype.size()) as u64;
    match number("length")? {
        Some(length) if length != expected => {
            Err(Error::damaged(format!("expected {expected} bytes of values, found {length}")))
        }
        _ => Ok(tensor),
    }
}

#[cfg(unix)]
fn is_hard_link(file: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1 && file.is_file()
}
#[cfg(not(unix))]
fn is_hard_link(_: &std::fs::Metadata) -> bool {
    false
}
