//! The options of a layer of Keras: each is asked for, and what nobody asked for must be harmless.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// Options that change nothing when a model is used.
const HARMLESS: [&str; 15] = [
    "trainable",
    "dropout",
    "recurrent_dropout",
    "seed",
    "implementation",
    "unroll",
    "unit_forget_bias",
    "stateful",
    "batch_input_shape",
    "build_input_shape",
    "input_length",
    "input_dim",
    "autocast",
    "use_cudnn",
    "supports_masking",
];
/// Ends of the names of such options.
const HARMLESS_ENDS: [&str; 3] = ["_initializer", "_regularizer", "_constraint"];

/// The options of a layer. Each is asked for once; what is left must be harmless.
pub(super) struct Keys<'a> {
    map: &'a Map<String, Value>,
    seen: RefCell<Vec<String>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, seen: RefCell::default() }
    }
    pub(super) fn seen(&self, key: &str) {
        self.seen.borrow_mut().push(key.to_owned());
    }
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.seen(key);
        self.map.get(key)
    }
    pub(super) fn value(&self, key: &str) -> Result<&'a Value> {
        self.get(key).ok_or_else(|| Error::damaged(format!("the option `{key}` is missing")))
    }
    pub(super) fn count(&self, key: &str) -> Result<usize> {
        let value = self.value(key)?;
        // Some programs write sizes as `5.0`.
        let whole = value.as_u64().or_else(|| {
            value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v)).map(|v| v as u64)
        });
        let whole = whole.filter(|count| (1..1 << 28).contains(count));
        whole.map(|count| count as usize).ok_or_else(|| unexpected(key, "a size", value))
    }
    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| unexpected(key, "a number", value)),
        }
    }
    pub(super) fn optional(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_f64();
                number.map(Some).ok_or_else(|| unexpected(key, "a number", value))
            }
        }
    }
    pub(super) fn optional_flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => {
                let flag = value.as_bool();
                flag.map(Some).ok_or_else(|| unexpected(key, "true or false", value))
            }
        }
    }
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.optional_flag(key)?.unwrap_or(default))
    }
    /// An option that must not be used.
    pub(super) fn none(&self, key: &str) -> Result<()> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Error::refused(format!("the option `{key}` is not supported"))),
        }
    }
    /// The axis of a layer that works along one; none if it is the last.
    pub(super) fn axis(&self) -> Result<Option<usize>> {
        let Some(value) = self.get("axis") else { return Ok(None) };
        let axis = match value {
            Value::Array(axes) if axes.len() == 1 => axes[0].as_i64(),
            value => value.as_i64(),
        };
        match axis {
            Some(-1) => Ok(None),
            Some(axis @ 1..) => Ok(Some(axis as usize)),
            _ => Err(Error::refused(format!("the axis {value}"))),
        }
    }
    /// Refuses options that were not asked for and are not harmless.
    pub(super) fn finish(&self) -> Result<()> {
        let seen = self.seen.borrow();
        for (key, value) in self.map {
            let harmless = HARMLESS.contains(&key.as_str())
                || HARMLESS_ENDS.iter().any(|end| key.ends_with(end))
                || matches!(key.as_str(), "name" | "dtype");
            if !harmless && !seen.iter().any(|seen| seen == key) && !value.is_null() {
                return Err(Error::refused(format!("the option `{key}` is not known")));
            }
        }
        Ok(())
    }
}

fn unexpected(key: &str, expected: &str, found: &Value) -> Error {
    Error::damaged(format!("`{key}`: expected {expected}, found {found}"))
}
