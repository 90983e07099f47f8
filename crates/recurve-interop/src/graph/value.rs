//! What flows through a graph: arrays of numbers, integers or truth values.

use crate::error::{Error, Result};
use recurve_nn::Element;
use std::sync::Arc;

/// Values that a graph may make in one array.
const MOST_VALUES: usize = 1 << 26;

/// An array, row-major. Copies share their values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    /// Its shape; empty for a single value.
    pub shape: Vec<usize>,
    /// Its values.
    pub data: Arc<Vec<T>>,
}

/// How many values an array of this shape has.
pub(crate) fn volume(shape: &[usize]) -> Result<usize> {
    let volume = shape.iter().try_fold(1_usize, |volume, size| volume.checked_mul(*size));
    volume.filter(|volume| *volume <= MOST_VALUES).ok_or_else(|| {
        Error::refused(format!("an array of shape {shape:?}; the most is {MOST_VALUES} values"))
    })
}

impl<T: Copy> Array<T> {
    /// An array.
    ///
    /// # Errors
    /// The number of values is not that of the shape.
    pub fn new(shape: Vec<usize>, data: Vec<T>) -> Result<Self> {
        if volume(&shape)? == data.len() {
            return Ok(Self { shape, data: Arc::new(data) });
        }
        Err(Error::asked(format!("{} values for the shape {shape:?}", data.len())))
    }
    /// A single value.
    pub fn single(value: T) -> Self {
        Self { shape: vec![], data: Arc::new(vec![value]) }
    }
    /// The same values in another shape.
    pub(crate) fn shaped(&self, shape: Vec<usize>) -> Result<Self> {
        if volume(&shape)? == self.data.len() {
            return Ok(Self { shape, data: self.data.clone() });
        }
        Err(Error::refused(format!("the shape {:?} cannot become {shape:?}", self.shape)))
    }
    /// How far apart values are along each axis.
    pub(crate) fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }
    /// The values at `first` and steps of `strides` from it, as an array of this shape.
    pub(crate) fn view(&self, first: usize, shape: Vec<usize>, strides: &[isize]) -> Result<Self> {
        let count = volume(&shape)?;
        let mut data = Vec::with_capacity(count);
        if count > 0 {
            let (inner, step) = match (shape.last(), strides.last()) {
                (Some(size), Some(step)) => (*size, *step),
                _ => (1, 1),
            };
            let outer = shape.len().saturating_sub(1);
            let mut index = vec![0; outer];
            let mut place = first as isize;
            loop {
                if step == 1 {
                    data.extend_from_slice(&self.data[place as usize..place as usize + inner]);
                } else {
                    data.extend(
                        (0..inner).map(|i| self.data[(place + i as isize * step) as usize]),
                    );
                }
                let mut axis = outer;
                loop {
                    if axis == 0 {
                        return Ok(Self { shape, data: Arc::new(data) });
                    }
                    axis -= 1;
                    index[axis] += 1;
                    place += strides[axis];
                    if index[axis] < shape[axis] {
                        break;
                    }
                    place -= strides[axis] * shape[axis] as isize;
                    index[axis] = 0;
                }
            }
        }
        Ok(Self { shape, data: Arc::new(data) })
    }
}

/// What flows along an edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<E> {
    /// Floating-point numbers.
    Reals(Array<E>),
    /// Integers.
    Integers(Array<i64>),
    /// Truth values.
    Truths(Array<bool>),
}

/// Does the same to an array of whatever type and gives it as a value again.
macro_rules! each {
    ($value:expr, $array:ident => $result:expr) => {
        match $value {
            $crate::graph::value::Value::Reals($array) => {
                $crate::graph::value::Value::Reals($result)
            }
            $crate::graph::value::Value::Integers($array) => {
                $crate::graph::value::Value::Integers($result)
            }
            $crate::graph::value::Value::Truths($array) => {
                $crate::graph::value::Value::Truths($result)
            }
        }
    };
}
pub(crate) use each;

impl Value<f64> {
    /// The same in numbers of another type.
    pub fn narrowed<E: Element>(&self) -> Value<E> {
        match self {
            Self::Reals(array) => {
                let data = array.data.iter().map(|value| E::from_f64(*value)).collect();
                Value::Reals(Array { shape: array.shape.clone(), data: Arc::new(data) })
            }
            Self::Integers(array) => Value::Integers(array.clone()),
            Self::Truths(array) => Value::Truths(array.clone()),
        }
    }
}

impl<E: Element> Value<E> {
    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Reals(array) => &array.shape,
            Self::Integers(array) => &array.shape,
            Self::Truths(array) => &array.shape,
        }
    }
    /// How many values it has.
    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }
    /// What kind of values it has, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reals(_) => "numbers",
            Self::Integers(_) => "integers",
            Self::Truths(_) => "truth values",
        }
    }
    /// Its numbers.
    ///
    /// # Errors
    /// It has others.
    pub fn reals(&self) -> Result<&Array<E>> {
        match self {
            Self::Reals(array) => Ok(array),
            other => Err(Error::refused(format!("expected numbers, found {}", other.kind()))),
        }
    }
    /// Its integers.
    ///
    /// # Errors
    /// It has others.
    pub fn integers(&self) -> Result<&Array<i64>> {
        match self {
            Self::Integers(array) => Ok(array),
            other => Err(Error::refused(format!("expected integers, found {}", other.kind()))),
        }
    }
    /// Its truth values.
    ///
    /// # Errors
    /// It has others.
    pub fn truths(&self) -> Result<&Array<bool>> {
        match self {
            Self::Truths(array) => Ok(array),
            other => Err(Error::refused(format!("expected truth values, found {}", other.kind()))),
        }
    }
}

/// The axis that a number from `-rank` to `rank - 1` names.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    let found = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    found.ok_or_else(|| Error::refused(format!("axis {axis} of an array of {rank} axes")))
}

/// The shape that two shapes are stretched to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    let join = |axis| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(Error::refused(format!("the shapes {a:?} and {b:?} do not fit"))),
    };
    (0..rank).map(join).collect()
}

impl<T: Copy> Array<T> {
    /// The same, stretched to a shape that [`broadcast`] gave.
    pub(crate) fn stretched(&self, shape: &[usize]) -> Result<Self> {
        if self.shape == shape {
            return Ok(self.clone());
        }
        let (own, extra) = (self.strides(), shape.len() - self.shape.len());
        let stride = |axis: usize| match axis.checked_sub(extra) {
            Some(axis) if self.shape[axis] != 1 => own[axis] as isize,
            _ => 0,
        };
        let strides: Vec<isize> = (0..shape.len()).map(stride).collect();
        self.view(0, shape.to_vec(), &strides)
    }
}
