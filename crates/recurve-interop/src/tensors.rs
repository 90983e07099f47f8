//! Named tensors of a file, of whatever format. Their values are read when they are asked for.

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::source::Source;
use std::fmt;
use std::sync::Arc;

/// Where the bytes of a tensor are.
#[derive(Clone)]
pub enum Data {
    /// In a file, from this byte on.
    Stored(Arc<Source>, u64),
    /// In memory.
    Held(Arc<[u8]>),
    /// Made when asked for: inflated, or put together from pieces.
    Made(Arc<Make>),
}

/// Makes the bytes that a tensor lies in.
pub type Make = dyn Fn() -> Result<Arc<[u8]>> + Send + Sync;

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored(..) => "Stored",
            Self::Held(..) => "Held",
            Self::Made(..) => "Made",
        })
    }
}

/// A tensor: its name, type and shape, and where its values are.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// The type of its values.
    pub dtype: Dtype,
    /// Its shape; empty for a single value.
    pub shape: Vec<usize>,
    /// Where its first value is, in values from the beginning of the data.
    first: usize,
    /// How far apart values are along each axis; row-major if absent.
    strides: Option<Vec<usize>>,
    data: Data,
}

impl Tensor {
    /// A tensor whose values lie row-major in `data`.
    ///
    /// # Errors
    /// The shape is larger than any memory, or than the file or memory that `data` is in.
    pub fn new(
        name: impl Into<String>,
        dtype: Dtype,
        shape: Vec<usize>,
        data: Data,
    ) -> Result<Self> {
        let tensor = Self { name: name.into(), dtype, shape, first: 0, strides: None, data };
        let told = |error: Error| error.within(format_args!("tensor `{}`", tensor.name));
        let bytes = size_of(&tensor.shape, dtype).map_err(told)? as u64;
        match &tensor.data {
            Data::Stored(source, at) => source.check(*at, bytes).map_err(told)?,
            Data::Held(held) if (held.len() as u64) < bytes => {
                return Err(told(short(bytes, held.len())));
            }
            Data::Held(_) | Data::Made(_) => {}
        }
        Ok(tensor)
    }

    /// The same with values that begin at `first` and lie `strides` apart, in values.
    ///
    /// # Errors
    /// There is not one stride per axis, or the last value is beyond `values`, the number there are.
    pub fn strided(mut self, first: usize, strides: Vec<usize>, values: usize) -> Result<Self> {
        let told = |error: Error| error.within(format_args!("tensor `{}`", self.name));
        if strides.len() != self.shape.len() {
            let text = format!("{} strides for the shape {:?}", strides.len(), self.shape);
            return Err(told(Error::damaged(text)));
        }
        let mut last = Some(first);
        for (stride, size) in strides.iter().zip(&self.shape) {
            let along = size.saturating_sub(1).checked_mul(*stride);
            last = last.zip(along).and_then(|(last, along)| last.checked_add(along));
        }
        let empty = self.shape.contains(&0);
        if !empty && last.is_none_or(|last| last >= values) {
            return Err(told(Error::damaged(format!(
                "the shape {:?} with strides {strides:?} from value {first} on goes beyond the \
                 {values} values of its storage",
                self.shape
            ))));
        }
        // Strides of zero would let a small file hold a huge tensor.
        if self.count() > values {
            return Err(told(Error::refused(format!(
                "the shape {:?} repeats the {values} values of its storage",
                self.shape
            ))));
        }
        (self.first, self.strides) = (first, Some(strides));
        Ok(self)
    }

    /// The same with another shape; its values lie where [`Tensor::strided`] then says.
    pub(crate) fn reshaped(self, shape: Vec<usize>) -> Result<Self> {
        size_of(&shape, self.dtype)
            .map_err(|error| error.within(format_args!("tensor `{}`", self.name)))?;
        Ok(Self { shape, ..self })
    }

    /// A tensor of `f64` values that are in memory.
    ///
    /// # Errors
    /// The number of values is not that of the shape.
    pub fn of_reals(name: impl Into<String>, shape: Vec<usize>, values: &[f64]) -> Result<Self> {
        let name = name.into();
        if size_of(&shape, Dtype::F64)? != 8 * values.len() {
            let text = format!("{} values for the shape {shape:?}", values.len());
            return Err(Error::damaged(text).within(format_args!("tensor `{name}`")));
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(name, Dtype::F64, shape, Data::Held(bytes))
    }

    /// Values in it.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The bytes of its values, row-major and little-endian.
    ///
    /// # Errors
    /// They cannot be read, or there are fewer than the shape needs.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        self.read().map_err(|error| error.within(format_args!("tensor `{}`", self.name)))
    }

    fn read(&self) -> Result<Vec<u8>> {
        let size = self.dtype.size();
        let needed = self.count() * size;
        let Some(strides) = &self.strides else {
            return match &self.data {
                Data::Stored(source, at) => {
                    let read = source.read(*at, needed as u64);
                    read.map_err(|error| error.within(format_args!("`{}`", source.name())))
                }
                Data::Held(held) => Ok(held[..needed].to_vec()),
                Data::Made(make) => {
                    let made = make()?;
                    let found = made.get(..needed);
                    found.map(<[u8]>::to_vec).ok_or_else(|| short(needed as u64, made.len()))
                }
            };
        };
        let span = self.shape.iter().zip(strides).map(|(n, s)| n.saturating_sub(1) * s);
        let span = if needed == 0 { 0 } else { 1 + span.sum::<usize>() };
        let all = match &self.data {
            Data::Stored(source, at) => {
                source.read(at + (self.first * size) as u64, (span * size) as u64)?.into()
            }
            Data::Held(held) => held.clone(),
            Data::Made(make) => make()?,
        };
        let first = if matches!(self.data, Data::Stored(..)) { 0 } else { self.first };
        if needed > 0 && all.len() < (first + span) * size {
            return Err(short(((first + span) * size) as u64, all.len()));
        }
        let mut bytes = Vec::with_capacity(needed);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.count() {
            let place = first + index.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>();
            bytes.extend_from_slice(&all[place * size..][..size]);
            for (i, n) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *n {
                    break;
                }
                *i = 0;
            }
        }
        Ok(bytes)
    }

    /// Its values, row-major. Exact, but for integers beyond 2^53.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn reals(&self) -> Result<Vec<f64>> {
        Ok(self.dtype.reals(&self.bytes()?))
    }

    /// Its values as integers, row-major.
    ///
    /// # Errors
    /// They cannot be read, or are not integers.
    pub fn integers(&self) -> Result<Vec<i64>> {
        let values = self.dtype.integers(&self.bytes()?);
        values.map_err(|error| error.within(format_args!("tensor `{}`", self.name)))
    }

    /// Refuses another shape than `expected`.
    ///
    /// # Errors
    /// Where it is another.
    pub fn check_shape(&self, expected: &[usize]) -> Result<()> {
        if self.shape == expected {
            return Ok(());
        }
        let text = format!("expected the shape {expected:?}, found {:?}", self.shape);
        Err(Error::refused(text).within(format_args!("tensor `{}`", self.name)))
    }
}

/// Bytes of a tensor.
fn size_of(shape: &[usize], dtype: Dtype) -> Result<usize> {
    let size = shape.iter().try_fold(dtype.size(), |size, n| size.checked_mul(*n));
    size.filter(|size| *size < 1 << 46)
        .ok_or_else(|| Error::damaged(format!("the shape {shape:?} is larger than any memory")))
}

fn short(needed: u64, found: usize) -> Error {
    Error::damaged(format!("expected {needed} bytes of values, found {found}"))
}

/// Named tensors, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    all: Vec<Tensor>,
    by_name: std::collections::HashMap<String, usize>,
}

impl Tensors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a tensor.
    ///
    /// # Errors
    /// There is one of this name already.
    pub fn add(&mut self, tensor: Tensor) -> Result<()> {
        if self.by_name.insert(tensor.name.clone(), self.all.len()).is_some() {
            return Err(Error::damaged(format!("two tensors are called `{}`", tensor.name)));
        }
        self.all.push(tensor);
        Ok(())
    }
    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        Some(&self.all[*self.by_name.get(name)?])
    }
    /// All, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.all.iter()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_followed_and_bounded() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        let tensor = Tensor::of_reals("x", vec![2, 3], &values).unwrap();
        let turned = Tensor { shape: vec![3, 2], ..tensor.clone() };
        let turned = turned.strided(0, vec![1, 3], 6).unwrap();
        assert_eq!(turned.reals().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let part = Tensor { shape: vec![2], ..tensor.clone() };
        assert_eq!(part.clone().strided(3, vec![2], 6).unwrap().reals().unwrap(), [3.0, 5.0]);
        let error = part.strided(4, vec![2], 6).unwrap_err().to_string();
        assert!(error.contains("tensor `x`") && error.contains("beyond the 6 values"), "{error}");
        let all = Tensor { shape: vec![1000], ..tensor.clone() }.strided(0, vec![0], 6);
        assert!(all.unwrap_err().to_string().contains("repeats"));
        let huge = Tensor::new("h", Dtype::F64, vec![usize::MAX, 2], Data::Held([].into()));
        assert!(huge.unwrap_err().to_string().contains("larger than any memory"));
    }
}
