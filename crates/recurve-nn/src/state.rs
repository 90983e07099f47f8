//! What recurrent layers carry from one batch to the next.

use crate::description::Description;
use crate::error::{Error, Result};
use recurve_kernels::Element;

/// `h` and `c` of every recurrent layer and direction, for each sequence of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct State<E> {
    batch: usize,
    parts: Vec<Part<E>>,
    /// Whether this is still before the first step, so that the model says what the states are.
    fresh: bool,
}

/// The states of one layer and direction; of a convolution, its last inputs in `h`; of attention, the
/// number of steps in one part, and its last keys and values in another.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<E> {
    /// Units.
    pub hidden: usize,
    /// `h [B, H]`, or what it is projected to.
    pub h: Vec<E>,
    /// `c [B, H]`, with gates that are fed back `[B, 4H]`; or the states but `h`, `[S-1, B, H]`, of a cell with more than two; empty for a cell
    /// with one. Of an mLSTM, its memory: for each sequence and head `C [d, d]`, `n [d]` and `m`.
    pub c: Vec<E>,
}

/// The first bytes of a saved state.
const MAGIC: &[u8; 8] = b"RCVSTAT1";

impl<E: Element> State<E> {
    /// Before the first step of `batch` sequences: zeros, which a model with learned initial states
    /// replaces by those when it runs. What is written by [`State::parts_mut`] it takes as it is.
    pub fn zero(description: &Description, batch: usize) -> Self {
        let parts = description.states().into_iter().map(|(hidden, of_h, of_c)| {
            let zeros = |count: usize| vec![E::default(); batch * count];
            Part { hidden, h: zeros(of_h), c: zeros(of_c) }
        });
        Self { batch, parts: parts.collect(), fresh: true }
    }

    /// Whether the parts have these units and numbers per sequence.
    pub(crate) fn is_of(&self, parts: &[(usize, usize, usize)]) -> bool {
        let batch = self.batch;
        let expected =
            parts.iter().map(|&(hidden, of_h, of_c)| (hidden, batch * of_h, batch * of_c));
        self.parts.iter().map(|part| (part.hidden, part.h.len(), part.c.len())).eq(expected)
    }

    /// Sequences.
    pub fn batch(&self) -> usize {
        self.batch
    }
    /// Every layer and direction: of each stack from the input up, of each of its layers, forward
    /// and then reverse.
    pub fn parts(&self) -> &[Part<E>] {
        &self.parts
    }
    /// The same, to change.
    pub fn parts_mut(&mut self) -> &mut [Part<E>] {
        self.fresh = false;
        &mut self.parts
    }
    /// Whether it is before the first step, and nothing was written into it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }
    /// Back to before the first step.
    pub fn reset(&mut self) {
        self.fresh = true;
        for part in &mut self.parts {
            part.h.fill(E::default());
            part.c.fill(E::default());
        }
    }

    /// The state as bytes: the same on every machine, exact for `f32` and `f64`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.batch, self.parts.len()] {
            bytes.extend((number as u64).to_le_bytes());
        }
        for part in &self.parts {
            bytes.extend((part.hidden as u64).to_le_bytes());
            bytes.extend((part.c.len() as u64).to_le_bytes());
            for value in part.h.iter().chain(&part.c) {
                bytes.extend(value.to_f64().to_le_bytes());
            }
        }
        bytes
    }

    /// Replaces the state by one that [`State::to_bytes`] saved.
    ///
    /// # Errors
    /// Where the bytes are not a saved state, or of another model or batch; the state stays as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let mut bytes = Bytes(bytes);
        if &bytes.next("its mark")? != MAGIC {
            return Err(Error::new("this is not a saved state: it does not begin with RCVSTAT1"));
        }
        let mut new = self.clone();
        bytes.expect("batch", new.batch)?;
        bytes.expect("layers", new.parts.len())?;
        for part in &mut new.parts {
            bytes.expect("hidden size", part.hidden)?;
            bytes.expect("cell states", part.c.len())?;
            for value in part.h.iter_mut().chain(&mut part.c) {
                let number = f64::from_le_bytes(bytes.next("its last value")?);
                *value = E::from_f64(number);
                if !value.is_finite() {
                    return Err(Error::new(format!(
                        "the saved state holds {number}, expected finite numbers"
                    )));
                }
            }
        }
        if !bytes.0.is_empty() {
            return Err(Error::new(format!("{} bytes follow the saved state", bytes.0.len())));
        }
        *self = Self { fresh: false, ..new };
        Ok(())
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self, what: &str) -> Result<[u8; 8]> {
        let (head, rest) = self
            .0
            .split_first_chunk::<8>()
            .ok_or_else(|| Error::new(format!("the saved state ends before {what}")))?;
        self.0 = rest;
        Ok(*head)
    }

    fn expect(&mut self, what: &str, expected: usize) -> Result<()> {
        let found = u64::from_le_bytes(self.next(what)?);
        if found == expected as u64 {
            return Ok(());
        }
        Err(Error::new(format!("the saved state has {what} {found}, this model has {expected}")))
    }
}
