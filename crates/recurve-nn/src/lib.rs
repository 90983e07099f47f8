//! stub docs
#![forbid(unsafe_code)]

mod batch;
mod cells;
mod description;
mod error;
mod layers;
mod network;
mod parameters;
mod session;
mod state;

pub use batch::{Batch, Input, Order};
pub use description::{Bias, CellKind, Description, InputKind, Layer, Pooling, Recurrent};
pub use error::{Error, Result};
pub use layers::{Mode, Noise};
pub use network::Network;
pub use parameters::{Entries, Entry, Model, Role};
pub use recurve_kernels::{Element, Engine, Isa, Rows};
pub use session::Session;
pub use state::{Part, State};
