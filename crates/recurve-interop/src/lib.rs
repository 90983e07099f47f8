//! Other people's models: opened, made into models of Recurve, and given back.
//!
//! [`open`] finds out what a file is and what lies in it, without reading its weights: tensors, layers that
//! were recognised, and what cannot be represented, by name and with the reason. [`Foreign::import`] then
//! makes a model of it.
//!
//! Three rules hold in every format:
//!
//! - *Nothing is ignored.* An attribute, a tensor or an operator that cannot be represented is refused by
//!   name; what a file does not say is assumed aloud ([`Layers::assumed`]) or asked for ([`Options`]).
//! - *Nothing is executed*, and nothing outside the file is read.
//! - *Nothing is believed.* A size is checked against the bytes that are there before memory is taken
//!   for it ([`Limits`]); an error names the file and the place in it.
//!
//! Gates stand in the order of Recurve everywhere but here; [`arrange`] reorders them.
#![forbid(unsafe_code)]

pub mod archive;
pub mod arrange;
mod audio;
mod burn;
mod dtype;
mod error;
pub mod export;
mod foreign;
mod found;
pub mod graph;
mod hdf5;
pub mod keras;
mod limits;
mod numpy;
mod onnx;
mod rnnoise;
mod runner;
pub mod safetensors;
mod source;
mod tensors;
pub mod torch;

pub use dtype::Dtype;
pub use error::{Error, Kind, Result};
pub use foreign::{
    Contents, Foreign, Format, Imported, MakeGraph, Options, Refusal, open, open_bytes,
};
pub use found::{Exact, Found, Layers, Weight, assemble, chain};
pub use limits::Limits;
pub use runner::Runner;
pub use source::{Cursor, Source};
pub use tensors::{Data, Make, Tensor, Tensors};
