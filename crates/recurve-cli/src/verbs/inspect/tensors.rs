//! The tensors of a safetensors file, and what their numbers are like.

use crate::console;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Serialize;
use std::collections::BTreeMap;

/// A tensor in short.
#[derive(Serialize)]
pub(super) struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// How many numbers.
    pub(super) elements: usize,
    /// Of the finite numbers; absent for types that are no real numbers.
    #[serde(flatten)]
    statistics: Option<Statistics>,
    /// How many are NaN or infinite.
    pub(super) not_finite: usize,
}

/// What the numbers are like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Statistics {
    /// The root of the sum of squares.
    norm: f64,
    mean: f64,
    /// The standard deviation.
    std: f64,
    min: f64,
    max: f64,
}

/// The texts and the tensors of a file, the tensors in the order of the file.
pub(super) fn read(
    bytes: &[u8],
) -> Result<(BTreeMap<String, String>, Vec<Tensor>), SafeTensorError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let texts = metadata.metadata().iter().flatten();
    let texts = texts.map(|(key, text)| (key.clone(), text.clone())).collect();
    let file = SafeTensors::deserialize(bytes)?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let numbers = numbers(view.dtype(), view.data());
        let elements = view.shape().iter().product();
        let not_finite = numbers
            .as_ref()
            .map_or(0, |numbers| numbers.iter().filter(|number| !number.is_finite()).count());
        Tensor {
            name,
            dtype: view.dtype().to_string(),
            shape: view.shape().to_vec(),
            elements,
            statistics: numbers.as_deref().and_then(Statistics::of),
            not_finite,
        }
    };
    let mut tensors: Vec<Tensor> = file.tensors().into_iter().map(tensor).collect();
    tensors.sort_by(|a, b| by_number(&a.name, &b.name));
    Ok((texts, tensors))
}

/// Names in the order of people: `layer.2` before `layer.10`.
fn by_number(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |name: &str| -> Vec<(Option<u64>, String)> {
        let parts = name.split('.');
        parts.map(|part| (part.parse().ok(), part.to_owned())).collect()
    };
    parts(a).cmp(&parts(b))
}

/// The numbers of a floating-point tensor.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    fn all<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f64) -> Option<Vec<f64>> {
        let (chunks, _) = bytes.as_chunks::<N>();
        Some(chunks.iter().map(|chunk| number(*chunk)).collect())
    }
    match dtype {
        Dtype::F64 => all(bytes, f64::from_le_bytes),
        Dtype::F32 => all(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        // The upper half of an f32.
        Dtype::BF16 => all(bytes, |[low, high]| f64::from(f32::from_le_bytes([0, 0, low, high]))),
        Dtype::I8 => all(bytes, |byte| f64::from(i8::from_le_bytes(byte))),
        _ => None,
    }
}

impl Statistics {
    fn of(numbers: &[f64]) -> Option<Self> {
        let finite = || numbers.iter().copied().filter(|number| number.is_finite());
        let count = finite().count() as f64;
        if count == 0.0 {
            return None;
        }
        let mean = finite().sum::<f64>() / count;
        Some(Self {
            norm: finite().map(|x| x * x).sum::<f64>().sqrt(),
            mean,
            std: (finite().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt(),
            min: finite().fold(f64::INFINITY, f64::min),
            max: finite().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

impl Tensor {
    /// The cells of a table.
    pub(super) fn row(&self) -> Vec<String> {
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let mut row = vec![self.name.clone(), self.dtype.clone(), sizes.join(" × ")];
        match self.statistics {
            Some(s) => row.extend([s.norm, s.mean, s.std, s.min, s.max].map(console::number)),
            None => row.extend(std::iter::repeat_n("–".to_owned(), 5)),
        }
        row.push(self.not_finite.to_string());
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_real_type() {
        let expected = Some(vec![1.5, -2.0]);
        let bytes = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
        assert_eq!(numbers(Dtype::F32, &bytes), expected);
        let bytes = [1.5_f64, -2.0].map(f64::to_le_bytes).concat();
        assert_eq!(numbers(Dtype::F64, &bytes), expected);
        assert_eq!(numbers(Dtype::BF16, &[0xc0, 0x3f, 0x00, 0xc0]), expected);
        assert_eq!(numbers(Dtype::I64, &[0; 8]), None);
    }

    #[test]
    fn statistics_leave_out_what_is_not_finite() {
        let found = Statistics::of(&[3.0, f64::NAN, -4.0, f64::INFINITY]);
        let expected = Statistics { norm: 5.0, mean: -0.5, std: 3.5, min: -4.0, max: 3.0 };
        assert_eq!(found, Some(expected));
        assert_eq!(Statistics::of(&[f64::NAN]), None);
    }

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let mut names = ["10.b", "2.r", "2.b", "adam.m"];
        names.sort_by(|a, b| by_number(a, b));
        assert_eq!(names, ["adam.m", "2.b", "2.r", "10.b"]);
    }
}
