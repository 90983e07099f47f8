//! The speed of Recurve: one recurrent layer in one direction over a whole batch, and products of
//! matrices, on the vector instructions of the machine.
//!
//! **A cell is only its pointwise function.** [`CellKernels::of`] turns any
//! [`Cell`](recurve_cell::Cell) into vector code; everything else (products, time, lengths, resets,
//! threads, packing) is here, once, for all cells.
//!
//! How a layer runs, and why it is fast:
//!
//! - The input product is formed for many steps at once, the bias folded in; only the recurrent product
//!   waits for the step before.
//! - Weights are packed in blocks of units, so many that the columns of a block fill a tile of registers.
//!   What a tile sums up are the columns of its units, which the cell reads while they are in the
//!   nearest cache. The same layout serves as operand of all products backward; nothing is repacked.
//! - Backward runs the cell in reverse and one product per step for `dh`; the gradients of all weights are
//!   large products over the steps of a chunk, while their columns are in cache.
//! - Workers stay together for the whole sequence. They share out sequences (and then never wait), or
//!   units where the weights are too large for one core's cache (and then meet once per step).
//!
//! What never changes: every sum is one chain of additions in the order of K. So results do not depend
//! on the batch around a sequence, on the number of threads, or on how the work was cut; and running
//! many steps gives the same bits as running them one by one.
//!
//! This is the only crate with `unsafe`. Shapes are checked where a call comes in, by panics that are
//! bugs of the caller; inside, addresses follow from the layout and are not checked again, but in debug
//! builds.

mod detect;
mod each;
mod element;
mod engine;
mod exp64;
mod gemm;
mod half;
mod isa;
mod loops;
mod math;
mod memory;
mod pool;
pub mod profile;
mod recurrent;
mod softmax;

pub use detect::{Isa, UnknownIsa};
pub use each::each;
pub use element::Element;
pub use engine::{Engine, Precision};
pub use exp64::exp_nonpositive;
pub use gemm::{Matrix, Packed, Start, product};
pub use half::HalfIsa;
pub use loops::Loops;
pub use memory::{Buffer, Plain, Rows, RowsMut};
pub use pool::{Member, available_threads, together};
pub use recurrent::{
    CellKernels, Errors, INT8_DEPTH, Keep, RecurrentLayer, Sequences, Steps, Strip, StripMut, Tape,
    UnitRows, Weights, WeightsMut, bf16_of, int8_of, int8_scale,
};
pub use softmax::{LogSum, Softmax};
