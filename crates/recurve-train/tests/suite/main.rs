//! The tests of training.
//!
//! One program, so that the generic code of the library is compiled once for all of them.

mod checkpoint;
mod config;
mod curves;
mod pytorch;
mod step;
mod tables;
mod text;
mod training;
