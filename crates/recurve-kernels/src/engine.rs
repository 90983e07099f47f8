//! Which instructions and how many threads a computation uses.

use crate::detect::{Isa, UnknownIsa};
use crate::element::Element;
use crate::gemm::tile::lanes_and_sums;
use crate::half::{HalfIsa, Halves};
use crate::pool::available_threads;
use std::any::TypeId;

/// Work below which waking another thread costs more than it brings, in floating-point operations.
const WORTH_A_THREAD: usize = 2_000_000;
/// The same in numbers that are read and written once.
const WORTH_A_PASS: usize = 1 << 16;

/// In which numbers the operands of the matrix products are. Sums, states, biases, gradients and the
/// weights that a model keeps are in the element of the layer, whatever the operands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The element of the layer: `f32`, or `f64`.
    #[default]
    Full,
    /// Both operands rounded to `bf16`, the upper half of an `f32`.
    Bf16,
    /// Weights in 8 bits with one scale per row: for running a model, not for training it.
    Int8,
}

impl Precision {
    /// `f32`, `bf16` or `int8`, as programs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// The instruction set, the number of threads, and the precision of products. The number of threads
/// changes the time, never a bit of a result; the others change digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    isa: Isa,
    threads: usize,
    precision: Precision,
    half: HalfIsa,
}

impl Engine {
    /// The chosen instruction set (see [`Isa::chosen`]) and all threads the process may use.
    ///
    /// # Errors
    /// Where `RECURVE_ISA` names what is not there.
    pub fn detect() -> Result<Self, UnknownIsa> {
        Ok(Self { threads: available_threads(), ..Self::new(Isa::chosen()?) })
    }

    /// The given instruction set, one thread.
    pub fn new(isa: Isa) -> Self {
        Self { isa, threads: 1, precision: Precision::Full, half: HalfIsa::available(isa)[0] }
    }

    /// The same with `threads` threads, at least 1; no more are used than the process may.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// The same with products in `precision`.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same with products of `bf16` formed by `half`, where the precision asks for such.
    ///
    /// # Panics
    /// Where `half` is not among those of [`HalfIsa::available`] for the instruction set.
    #[must_use]
    pub fn with_half(self, half: HalfIsa) -> Self {
        assert!(HalfIsa::available(self.isa).contains(&half), "{half} goes with {}", self.isa);
        Self { half, ..self }
    }

    /// How products of `bf16` are formed.
    pub fn half(self) -> HalfIsa {
        self.half
    }

    /// The precision of products.
    pub fn precision(self) -> Precision {
        self.precision
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
        width.next_multiple_of(self.row_lanes::<E>())
    }

    /// What the width of rows is a multiple of.
    pub(crate) fn row_lanes<E: Element>(self) -> usize {
        if self.precision == Precision::Bf16 { crate::half::COLUMNS } else { self.lanes::<E>() }
    }

    /// The functions of products of `bf16`, where the precision asks for them.
    ///
    /// # Panics
    /// Where it does, and `E` is not `f32`.
    pub(crate) fn halves<E: Element>(self) -> Option<Halves> {
        (self.precision == Precision::Bf16).then(|| {
            let of_f32 = TypeId::of::<E>() == TypeId::of::<f32>();
            assert!(of_f32, "products of `bf16` are for layers of `f32`");
            Halves::new(self.isa, self.half)
        })
    }

    pub(crate) fn lanes<E: Element>(self) -> usize {
        lanes_and_sums::<E>(self.isa).0
    }

    /// The threads that a pass over `elements` numbers in memory is worth.
    pub fn threads_over(self, elements: usize) -> usize {
        if elements < WORTH_A_PASS { 1 } else { self.threads }
    }

    /// The threads that `operations` are worth.
    pub(crate) fn threads_for(self, operations: usize) -> usize {
        if operations < WORTH_A_THREAD { 1 } else { self.threads }
    }
}
