//! A checkpoint as bytes: the safetensors layout and the checksum over it.
//!
//! The header is written here, sorted, because the bytes of a checkpoint should depend on its content
//! alone; it is read and validated by the `safetensors` crate.

use super::{Checkpoint, Tensor, Values};
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write};

/// The header entry that holds the texts.
pub(super) const METADATA: &str = "__metadata__";
/// The text that holds the checksum.
pub(super) const CHECKSUM: &str = "sha256";
/// What readers of safetensors accept.
const MAX_HEADER: usize = 100_000_000;

impl Checkpoint {
    /// The whole file in memory.
    ///
    /// # Errors
    /// A number that is not finite, by tensor and index.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = self.header()?;
        let mut bytes = Vec::new();
        self.write(&header, &mut bytes)
            .map_err(|e| Error::failed("cannot write to memory").with_source(e))?;
        Ok(bytes)
    }

    /// The checkpoint in the bytes of a file.
    ///
    /// # Errors
    /// Anything other than the whole, unaltered bytes of a checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes).map_err(|why| {
            Error::usage(format!(
                "not a whole checkpoint ({why}): it was truncated, altered or written by another program; \
                 use another copy of it, or train again"
            ))
        })
    }

    /// The header of the file, length included, once everything is known to be writable.
    pub(super) fn header(&self) -> Result<Vec<u8>> {
        for (name, tensor) in &self.tensors {
            if let Some((index, value)) = tensor.values.first_not_finite() {
                return Err(Error::failed(format!(
                    "element {index} of `{name}` is {value}, and a number that is not finite must not reach a checkpoint"
                )));
            }
        }
        let mut texts: Map<String, Value> =
            self.metadata.iter().map(|(key, text)| (key.clone(), json!(text))).collect();
        texts.insert(CHECKSUM.to_owned(), json!(self.checksum()));
        let mut entries = Map::new();
        entries.insert(METADATA.to_owned(), Value::Object(texts));
        let mut start = 0;
        for (name, tensor) in self.in_file_order() {
            let end = start + tensor.values.len() * tensor.values.width();
            let info = json!({"dtype": tensor.values.dtype(), "shape": tensor.shape, "data_offsets": [start, end]});
            entries.insert(name.to_owned(), info);
            start = end;
        }
        let mut text = Value::Object(entries).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        if text.len() > MAX_HEADER {
            return Err(Error::failed(format!(
                "the names and texts of a checkpoint take {} bytes and may take {MAX_HEADER}",
                text.len()
            )));
        }
        let mut header = (text.len() as u64).to_le_bytes().to_vec();
        header.append(&mut text);
        Ok(header)
    }

    /// Everything after the header is the numbers, least significant byte first.
    pub(super) fn write(&self, header: &[u8], out: &mut impl Write) -> io::Result<()> {
        out.write_all(header)?;
        for (_, tensor) in self.in_file_order() {
            tensor.values.for_each_piece(|piece| out.write_all(piece))?;
        }
        Ok(())
    }

    /// Wide types first, so that every tensor starts at a multiple of the size of its numbers.
    fn in_file_order(&self) -> Vec<(&str, &Tensor)> {
        let mut tensors: Vec<_> = self.tensors().collect();
        tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.values.width()));
        tensors
    }

    /// The SHA-256, as lowercase hexadecimal digits, of all content but itself. Every part is
    /// preceded by its length, so no two contents are written alike.
    fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        let number = |hash: &mut Sha256, n: usize| hash.update((n as u64).to_le_bytes());
        let text = |hash: &mut Sha256, text: &str| {
            number(hash, text.len());
            hash.update(text);
        };
        number(&mut hash, self.metadata.len());
        for (key, value) in &self.metadata {
            text(&mut hash, key);
            text(&mut hash, value);
        }
        number(&mut hash, self.tensors.len());
        for (name, tensor) in &self.tensors {
            text(&mut hash, name);
            text(&mut hash, tensor.values.dtype());
            number(&mut hash, tensor.shape.len());
            for &dim in &tensor.shape {
                number(&mut hash, dim);
            }
            let Ok(()) = tensor.values.for_each_piece(|piece| {
                hash.update(piece);
                Ok::<(), Infallible>(())
            });
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (header, described) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let data = &bytes[8 + header..];
        let mut metadata: BTreeMap<String, String> =
            described.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let Some(checksum) = metadata.remove(CHECKSUM) else {
            return Err("it has no checksum".into());
        };
        let mut tensors = BTreeMap::new();
        for (name, info) in described.tensors() {
            let tensor = read_tensor(&name, info, data)?;
            tensors.insert(name, tensor);
        }
        let checkpoint = Self { tensors, metadata };
        if checkpoint.checksum() != checksum {
            return Err("its checksum does not match its content".into());
        }
        for (name, tensor) in &checkpoint.tensors {
            if let Some((index, value)) = tensor.values.first_not_finite() {
                return Err(format!("element {index} of `{name}` is {value}"));
            }
        }
        Ok(checkpoint)
    }
}

fn read_tensor(name: &str, info: &TensorInfo, data: &[u8]) -> std::result::Result<Tensor, String> {
    fn numbers<const N: usize, T>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| from(*chunk)).collect()
    }
    let (start, end) = info.data_offsets;
    let bytes = data.get(start..end).ok_or_else(|| format!("`{name}` lies outside of it"))?;
    let values = match info.dtype {
        Dtype::F32 => Values::F32(numbers(bytes, f32::from_le_bytes)),
        Dtype::F64 => Values::F64(numbers(bytes, f64::from_le_bytes)),
        Dtype::U64 => Values::U64(numbers(bytes, u64::from_le_bytes)),
        Dtype::U8 => Values::U8(bytes.to_vec()),
        Dtype::I8 => Values::I8(numbers(bytes, i8::from_le_bytes)),
        Dtype::BF16 => Values::Bf16(numbers(bytes, u16::from_le_bytes)),
        other => return Err(format!("`{name}` is of type {other}")),
    };
    Tensor::new(info.shape.clone(), values).map_err(|e| format!("`{name}`: {e}"))
}

impl Values {
    /// Bytes of one number.
    fn width(&self) -> usize {
        match self {
            Values::F32(_) => 4,
            Values::F64(_) | Values::U64(_) => 8,
            Values::Bf16(_) => 2,
            Values::U8(_) | Values::I8(_) => 1,
        }
    }

    /// Gives the bytes piece by piece, so that no second copy of a large tensor is needed.
    fn for_each_piece<E>(
        &self,
        sink: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        fn pieces<const N: usize, T: Copy, E>(
            values: &[T],
            to: fn(T) -> [u8; N],
            mut sink: impl FnMut(&[u8]) -> std::result::Result<(), E>,
        ) -> std::result::Result<(), E> {
            let mut piece = Vec::with_capacity(8192 * N);
            for chunk in values.chunks(8192) {
                piece.clear();
                piece.extend(chunk.iter().flat_map(|value| to(*value)));
                sink(&piece)?;
            }
            Ok(())
        }
        let mut sink = sink;
        match self {
            Values::F32(v) => pieces(v, f32::to_le_bytes, sink),
            Values::F64(v) => pieces(v, f64::to_le_bytes, sink),
            Values::U64(v) => pieces(v, u64::to_le_bytes, sink),
            Values::U8(v) => sink(v),
            Values::I8(v) => pieces(v, i8::to_le_bytes, sink),
            Values::Bf16(v) => pieces(v, u16::to_le_bytes, sink),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_is_an_error() {
        let Ok(mut full) = std::fs::File::options().write(true).open("/dev/full") else {
            panic!("this system has no /dev/full to test against");
        };
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert("w", Tensor::reals(vec![2], &[1.0f32, 2.0]).unwrap()).unwrap();
        let header = checkpoint.header().unwrap();
        let error = checkpoint.write(&header, &mut full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_checksum_over_a_nan_does_not_let_it_in() {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert("w", Tensor::reals(vec![1], &[1.0f32]).unwrap()).unwrap();
        let header = |c: &Checkpoint| String::from_utf8(c.header().unwrap()[8..].to_vec()).unwrap();
        let fine = header(&checkpoint);
        let old = checkpoint.checksum();
        checkpoint.tensors.insert("w".into(), Tensor::reals(vec![1], &[f32::NAN]).unwrap());
        let forged = fine.replace(&old, &checkpoint.checksum());
        let mut bytes = (forged.len() as u64).to_le_bytes().to_vec();
        bytes.extend(forged.bytes());
        bytes.extend(f32::NAN.to_le_bytes());
        let error = Checkpoint::from_bytes(&bytes).unwrap_err();
        assert!(error.to_string().contains("element 0 of `w` is NaN"), "{error}");
    }
}
