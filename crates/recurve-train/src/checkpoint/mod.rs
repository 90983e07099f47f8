//! Checkpoints: everything a run is, in one file that is whole or absent.
//!
//! A [`Checkpoint`] is named tensors and named texts. On disk it is a safetensors file, readable by
//! any program that reads those, whose `__metadata__` holds one entry more: a SHA-256 of everything
//! else, names, types, shapes, bytes and texts. A truncated or altered file is therefore an error,
//! never a model that is slightly wrong.
//!
//! [`save`](Checkpoint::save) writes a temporary file beside the old one, brings it to the disk and
//! renames it over the old one; whatever happens on the way, the old file stays whole. Reading takes
//! no size on trust: every allocation is bounded by bytes that are there.
//!
//! What it refuses: numbers that are not finite, in either direction.

mod file;
mod format;

use crate::error::{Error, Result};
use recurve_cell::Real;
use std::any::TypeId;
use std::collections::BTreeMap;

/// Named tensors and named texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

/// Numbers of one type in a row-major shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

/// The numbers of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Counters and generator states.
    U64(Vec<u64>),
    /// Bytes.
    U8(Vec<u8>),
    /// Multiples of a scale.
    I8(Vec<i8>),
    /// Upper halves of `f32`.
    Bf16(Vec<u16>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::U64(v) => v.len(),
            Values::U8(v) => v.len(),
            Values::I8(v) => v.len(),
            Values::Bf16(v) => v.len(),
        }
    }

    /// The name of the type as safetensors writes it.
    fn dtype(&self) -> &'static str {
        match self {
            Values::F32(_) => "F32",
            Values::F64(_) => "F64",
            Values::U64(_) => "U64",
            Values::U8(_) => "U8",
            Values::I8(_) => "I8",
            Values::Bf16(_) => "BF16",
        }
    }

    /// The first element that is not finite, as text.
    fn first_not_finite(&self) -> Option<(usize, String)> {
        match self {
            Values::F32(v) => v.iter().position(|x| !x.is_finite()).map(|i| (i, v[i].to_string())),
            Values::F64(v) => v.iter().position(|x| !x.is_finite()).map(|i| (i, v[i].to_string())),
            Values::Bf16(v) => {
                let value = |bits: &u16| f32::from_bits(u32::from(*bits) << 16);
                let at = v.iter().position(|bits| !value(bits).is_finite())?;
                Some((at, value(&v[at]).to_string()))
            }
            Values::U64(_) | Values::U8(_) | Values::I8(_) => None,
        }
    }
}

impl Tensor {
    /// # Errors
    /// A shape that does not hold exactly the values.
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self> {
        let elements = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        if elements != Some(values.len()) {
            return Err(Error::usage(format!(
                "a tensor of shape {shape:?} cannot hold {} numbers",
                values.len()
            )));
        }
        Ok(Self { shape, values })
    }

    /// Counters.
    ///
    /// # Errors
    /// A shape that does not hold exactly the values.
    pub fn u64(shape: Vec<usize>, values: Vec<u64>) -> Result<Self> {
        Self::new(shape, Values::U64(values))
    }

    /// Bytes.
    ///
    /// # Errors
    /// A shape that does not hold exactly the values.
    pub fn u8(shape: Vec<usize>, values: Vec<u8>) -> Result<Self> {
        Self::new(shape, Values::U8(values))
    }

    /// Floating-point numbers in their own precision: `f32` as F32, all else as F64.
    ///
    /// # Errors
    /// A shape that does not hold exactly the values.
    pub fn reals<F: Real>(shape: Vec<usize>, values: &[F]) -> Result<Self> {
        let wide = values.iter().map(|x| x.to_f64());
        let values = if is_single::<F>() {
            Values::F32(wide.map(|x| x as f32).collect())
        } else {
            Values::F64(wide.collect())
        };
        Self::new(shape, values)
    }

    /// Sizes from the slowest to the fastest index.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn values(&self) -> &Values {
        &self.values
    }
}

fn is_single<F: 'static>() -> bool {
    TypeId::of::<F>() == TypeId::of::<f32>()
}

impl Checkpoint {
    /// One that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor.
    ///
    /// # Errors
    /// A name that is taken, or `__metadata__`, which the format keeps for itself.
    pub fn insert(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        if name == format::METADATA || self.tensors.contains_key(name) {
            return Err(Error::usage(format!(
                "a checkpoint cannot take a further tensor named `{name}`"
            )));
        }
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// Adds a text.
    ///
    /// # Errors
    /// A key that is taken, or `sha256`, which the format keeps for itself.
    pub fn insert_text(&mut self, key: &str, text: impl Into<String>) -> Result<()> {
        if key == format::CHECKSUM || self.metadata.contains_key(key) {
            return Err(Error::usage(format!(
                "a checkpoint cannot take a further text named `{key}`"
            )));
        }
        self.metadata.insert(key.to_owned(), text.into());
        Ok(())
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// All texts, by key.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// A text.
    ///
    /// # Errors
    /// There is none under this key.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| {
            Error::usage(format!(
                "the checkpoint has no text `{key}`; it is one of another kind of model or run"
            ))
        })
    }

    /// A tensor of any type and shape.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| {
            Error::usage(format!(
                "the checkpoint has no tensor `{name}`; it is one of another kind of model or run"
            ))
        })
    }

    /// The numbers of a floating-point tensor of exactly this shape and precision.
    ///
    /// # Errors
    /// No such tensor, another shape, or another precision: what is expected and what was found.
    pub fn reals<F: Real>(&self, name: &str, shape: &[usize]) -> Result<Vec<F>> {
        let expected = if is_single::<F>() { "F32" } else { "F64" };
        match self.shaped(name, shape, expected)? {
            Values::F32(v) => Ok(v.iter().map(|x| F::from_f64(f64::from(*x))).collect()),
            Values::F64(v) => Ok(v.iter().map(|x| F::from_f64(*x)).collect()),
            _ => unreachable!("the type was checked"),
        }
    }

    /// The numbers of a tensor in 8 bits of exactly this shape.
    ///
    /// # Errors
    /// No such tensor, another shape, or another type: what is expected and what was found.
    pub fn i8s(&self, name: &str, shape: &[usize]) -> Result<&[i8]> {
        match self.shaped(name, shape, "I8")? {
            Values::I8(v) => Ok(v),
            _ => unreachable!("the type was checked"),
        }
    }

    /// The numbers of a tensor in `bf16` of exactly this shape.
    ///
    /// # Errors
    /// No such tensor, another shape, or another type: what is expected and what was found.
    pub fn bf16s(&self, name: &str, shape: &[usize]) -> Result<&[u16]> {
        match self.shaped(name, shape, "BF16")? {
            Values::Bf16(v) => Ok(v),
            _ => unreachable!("the type was checked"),
        }
    }

    /// The numbers of an unsigned tensor of exactly this shape.
    ///
    /// # Errors
    /// No such tensor, another shape, or another type: what is expected and what was found.
    pub fn u64s(&self, name: &str, shape: &[usize]) -> Result<&[u64]> {
        match self.shaped(name, shape, "U64")? {
            Values::U64(v) => Ok(v),
            _ => unreachable!("the type was checked"),
        }
    }

    fn shaped(&self, name: &str, shape: &[usize], dtype: &str) -> Result<&Values> {
        let tensor = self.tensor(name)?;
        if tensor.shape == shape && tensor.values.dtype() == dtype {
            return Ok(&tensor.values);
        }
        Err(Error::usage(format!(
            "the tensor `{name}` of the checkpoint is {} {:?} where {dtype} {shape:?} is expected; \
             it is one of another model or precision",
            tensor.values.dtype(),
            tensor.shape
        )))
    }
}
