//! The tests of files.
//!
//! One program, so that the generic code of the library is compiled once for all of them.

mod all_models;
mod export;
mod formats;
mod keras;
mod onnx;
mod rust_programs;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod torch;
