//! Models of recurrent layers: what people compose.
//!
//! A [`Description`] says what a model is made of, a [`Model`] adds its weights (one flat buffer with
//! named parts), a [`Network`] runs it over batches, forward and backward through time, and a
//! [`Session`] runs it step by step as a stream. There is no file format here, no optimiser and no input
//! or output.
//!
//! ```
//! use recurve_nn::{Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Recurrent, Session};
//!
//! let description = Description::values(3).recurrent(Recurrent::new(CellKind::Lstm, 20).layers(2)).linear(1);
//! let mut model = Model::<f32>::new(description)?;
//! model.values_mut().iter_mut().enumerate().for_each(|(i, w)| *w = (i as f32).sin() * 0.2);
//!
//! // A batch of 4 sequences of 10 steps.
//! let engine = Engine::detect()?;
//! let mut network = Network::new(model.description(), engine)?;
//! network.load(model.values(), false);
//! let x = vec![0.5; 10 * 4 * 3];
//! let y = network.forward(&Batch::new(10, 4, Input::Values(&x)), None, Mode::Infer)?;
//! assert_eq!(y.len(), 10 * 4);
//!
//! // The same as a stream: to the bit, and without allocating.
//! let mut session = Session::new(&model, engine, 4)?;
//! for t in 0..10 {
//!     let step = session.step(&x[t * 12..][..12]);
//!     assert_eq!(step, &y[t * 4..][..4]);
//! }
//! # Ok::<(), recurve_nn::Error>(())
//! ```
//!
//! Batches may hold sequences of different lengths in any order ([`Batch::lengths`]); work and memory are
//! proportional to the sum of the lengths, and outputs are those of each sequence alone, to the bit.
//! A reset ([`Batch::resets`]) starts a new sequence in the middle: documents joined end to end, or
//! episodes. Truncated backpropagation through time is a [`State`] handed from one batch to the next.
#![forbid(unsafe_code)]

mod batch;
mod cells;
mod description;
mod error;
mod layers;
mod memory;
mod network;
mod options;
mod parameters;
pub mod seq2seq;
mod session;
mod state;
mod trace;

pub use batch::{Batch, Input, Order, Words};
pub use cells::WithCell;
pub use description::{
    Activation, Activations, Attention, Bias, CellKind, Connection, Description, Initial,
    InputKind, Layer, Merge, OwnCell, Pooling, Positions, Recurrent, Tcn, Transformer,
};
pub use error::{Error, Result};
pub use layers::{Judge, Mode, Noise};
pub use memory::Memory;
pub use network::Network;
pub use parameters::{Entries, Entry, Model, Role};
pub use recurve_kernels::{
    Element, Engine, HalfIsa, Isa, Precision, Rows, bf16_of, int8_of, int8_scale, profile,
};
pub use session::Session;
pub use state::{Part, State};
pub use trace::{LayerTrace, Trace};
