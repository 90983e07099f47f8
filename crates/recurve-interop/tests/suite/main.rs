//! The tests of files.
//!
//! One program, so that the generic code of the library is compiled once for all of them.

mod export;
mod formats;
mod hostile;
mod keras;
mod onnx;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod torch;
