//! The speed of Recurve: vector kernels for recurrent layers. (Essay follows below.)

mod detect;
mod element;
mod engine;
mod gemm;
mod isa;
mod math;
mod memory;
mod pool;
mod recurrent;

pub use detect::{Isa, UnknownIsa};
pub use element::Element;
pub use engine::Engine;
pub use gemm::{Matrix, Packed, Start, product};
pub use memory::{Buffer, Rows, RowsMut};
pub use pool::{Member, available_threads, together};
pub use recurrent::{
    CellKernels, Errors, RecurrentLayer, Sequences, Steps, Tape, Weights, WeightsMut,
};
