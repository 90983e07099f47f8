//! Recurrent sequence models: train them, understand them, run them as streams.
//!
//! This crate is the other crates under one name:
//!
//! | module | what |
//! |---|---|
//! | [`nn`] | models, layers, networks, states, sessions |
//! | [`train`] | data, losses, optimisers, the trainer, checkpoints, run folders |
//! | [`interop`] | models of PyTorch, ONNX and others, read and written |
//! | [`cell`] | the equations of the cells, with an introduction to the field |
//!
//! The names used most stand at the top.
//!
//! # Use a trained model as a stream
//!
//! ```no_run
//! use recurve::{Engine, ModelFile, Session};
//! use std::path::Path;
//!
//! let file = ModelFile::load(Path::new("runs/latest"))?;
//! let mut session = Session::new(file.model(), Engine::detect()?, 1)?;
//! let y = session.step(&[0.3, 0.1]); // nothing is allocated, nothing can fail
//! println!("{y:?}");
//!
//! let saved = session.state().to_bytes(); // and back, on another machine
//! session.state_mut().restore(&saved)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Build a model and train it in a program
//!
//! A network learns to tell how many ones a sequence of ten bits holds.
//!
//! ```
//! use recurve::train::{clip, initialise, loss, optimiser};
//! use recurve::{Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Pooling, Recurrent};
//!
//! let description = Description::values(1)
//!     .recurrent(Recurrent::new(CellKind::Gru, 16))
//!     .pool(Pooling::Last)
//!     .linear(1);
//! let mut model = Model::<f32>::new(description)?;
//! let count = model.entries().len();
//! let mut rng = initialise::generator(1, "weights");
//! let uniform = initialise::Initialiser::Uniform { bound: 0.25 };
//! uniform.fill(model.values_mut(), initialise::Blocks::one(1, count), &mut rng)?;
//!
//! let mut network = Network::new(model.description(), Engine::detect()?)?;
//! let adam = optimiser::OptimiserConfig::Adam(Default::default());
//! let mut adam = optimiser::Optimiser::new(adam, count)?;
//! let mse = loss::Loss::Mse {};
//! let mut gradients = vec![0.0; count];
//! let mut errors = vec![];
//! for step in 0..300_u64 {
//!     // 32 sequences of 10 steps: the bits of consecutive numbers.
//!     let bit = |t: usize, b: u64| ((step * 32 + b) * 2_654_435_761 >> t & 1) as f32;
//!     let x: Vec<f32> = (0..10).flat_map(|t| (0..32).map(move |b| bit(t, b))).collect();
//!     let target: Vec<f32> = (0..32).map(|b| (0..10).map(|t| bit(t, b)).sum::<f32>() / 10.0).collect();
//!
//!     network.load(model.values(), true);
//!     let noise = Noise { seed: 1, step };
//!     let y = network.forward(&Batch::new(10, 32, Input::Values(&x)), None, Mode::Train(noise))?;
//!     let outputs = loss::Outputs::new(y, 1);
//!     errors.push(mse.forward(outputs, loss::Targets::Values(&target))?.mean);
//!     let mut dy = vec![0.0; y.len()];
//!     mse.backward(outputs, loss::Targets::Values(&target), &mut dy)?;
//!     network.backward(&dy, &mut gradients, None)?;
//!     clip::Clip::Norm { limit: 1.0 }.apply(&mut gradients);
//!     adam.step(model.values_mut(), &gradients, 0.01)?;
//! }
//! assert!(errors[299] < 0.001 && errors[0] > 0.01, "{} {}", errors[0], errors[299]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Train on a file, as the program does
//!
//! See [`train`]: a [`Trainer`](train::trainer::Trainer) reads a table or a text, says what it guessed,
//! checks it, trains, and writes a run folder that the program `recurve` can use, and the other way
//! round.

#![forbid(unsafe_code)]

pub use recurve_cell as cell;
pub use recurve_interop as interop;
pub use recurve_nn as nn;
pub use recurve_train as train;

pub use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Input, Memory, Mode, Model, Network, Noise,
    Pooling, Precision, Recurrent, Session, State,
};
pub use recurve_train::error::{Error, Result};
pub use recurve_train::model_file::ModelFile;
