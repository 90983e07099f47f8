//! What a file may ask for.
//!
//! Nothing is ever allocated because a file declares a size: a size is first checked against the bytes
//! that are there, and against these limits. Values of tensors are the only thing that may be large, and
//! they are never larger than the file, but where they are compressed; then the ratio is limited.

use crate::error::{Error, Result};

/// What a file may ask for before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a description: a header, a pickle, a graph without its tensors, a text.
    pub description: u64,
    /// Tensors, nodes, or other things that a file lists.
    pub things: usize,
    /// How deep things may lie in each other.
    pub depth: usize,
    /// How many times as large as its compressed form something may become...
    pub inflation: u64,
    /// ...once it is larger than this many bytes.
    pub inflated: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            description: 16 << 20,
            things: 100_000,
            depth: 64,
            inflation: 100,
            inflated: 8 << 20,
        }
    }
}

impl Limits {
    /// Refuses a description of `bytes` bytes that is too long.
    ///
    /// # Errors
    /// Where it is.
    pub fn check_description(&self, bytes: u64) -> Result<()> {
        if bytes <= self.description {
            return Ok(());
        }
        Err(Error::refused(format!(
            "a description of {bytes} bytes; the most is {}",
            self.description
        )))
    }

    /// Refuses `count` things where that is too many.
    ///
    /// # Errors
    /// Where it is.
    pub fn check_things(&self, count: usize, what: &str) -> Result<()> {
        if count <= self.things {
            return Ok(());
        }
        Err(Error::refused(format!("more than {} {what}", self.things)))
    }

    /// Refuses a depth that is too large.
    ///
    /// # Errors
    /// Where it is.
    pub fn check_depth(&self, depth: usize) -> Result<()> {
        if depth <= self.depth {
            return Ok(());
        }
        Err(Error::refused(format!("things lie deeper in each other than {} levels", self.depth)))
    }

    /// Refuses `size` bytes that come out of `compressed` bytes where the ratio is that of a bomb.
    ///
    /// # Errors
    /// Where it is.
    pub fn check_inflation(&self, compressed: u64, size: u64) -> Result<()> {
        if size <= self.inflated || size / self.inflation <= compressed {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{compressed} compressed bytes become {size}; more than {} times as many are not \
             unpacked",
            self.inflation
        )))
    }
}
