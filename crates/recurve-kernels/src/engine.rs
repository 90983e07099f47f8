//! Which instructions and how many threads a computation uses.

use crate::detect::{Isa, UnknownIsa};
use crate::element::Element;
use crate::gemm::tile::Tiles;
use crate::pool::available_threads;

/// Work below which waking another thread costs more than it brings, in floating-point operations.
const WORTH_A_THREAD: usize = 2_000_000;

/// The instruction set and the number of threads. The number changes the time, never a bit of a
/// result; the instruction set changes the last digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    isa: Isa,
    threads: usize,
}

impl Engine {
    /// The chosen instruction set (see [`Isa::chosen`]) and all threads the process may use.
    ///
    /// # Errors
    /// Where `RECURVE_ISA` names what is not there.
    pub fn detect() -> Result<Self, UnknownIsa> {
        Ok(Self { isa: Isa::chosen()?, threads: available_threads() })
    }

    /// The given instruction set, one thread.
    pub fn new(isa: Isa) -> Self {
        Self { isa, threads: 1 }
    }

    /// The same with `threads` threads, at least 1; no more are used than the process may.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// The number of threads.
    pub fn threads(self) -> usize {
        self.threads
    }

    /// `width` rounded up to whole vectors: what rows that kernels write must have room for.
    pub fn padded<E: Element>(self, width: usize) -> usize {
        width.next_multiple_of(self.lanes::<E>())
    }

    pub(crate) fn lanes<E: Element>(self) -> usize {
        Tiles::<E>::new(self.isa).lanes
    }

    /// The threads that `operations` are worth.
    pub(crate) fn threads_for(self, operations: usize) -> usize {
        if operations < WORTH_A_THREAD { 1 } else { self.threads }
    }
}
