//! The tests of networks.
//!
//! One program, so that the generic code of the library is compiled once for all of them.

mod cells;
mod dropout;
mod errors;
mod golden;
mod golden_sequences;
mod gradients;
mod halves;
mod mlstm;
mod pooling;
mod seq2seq;
mod sequence_layers;
mod stacking;
mod states;
mod streaming;
#[path = "../support/mod.rs"]
mod support;
mod trace;
mod words;
