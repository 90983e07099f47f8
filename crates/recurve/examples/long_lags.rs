//! Two more tasks with a long time lag: temporal order and copy memory.
//!
//! ```text
//! cargo run --release -p recurve --example long_lags
//! ```
//!
//! *Temporal order* (Hochreiter and Schmidhuber 1997, experiment 6a): two rare symbols stand among a
//! hundred others; in which order they came is asked at the end, when they are 40 to 100 steps past.
//! The sequences have different lengths, and a model reads each to its own end. *Copy memory*
//! (Arjovsky, Shah and Bengio 2016): ten symbols are to be repeated after a pause; remembering nothing
//! has the cross-entropy that is printed beside the model's. The first task shows a batch with lengths
//! and one answer per sequence, the second an answer at every step.

use recurve::train::clip::Clip;
use recurve::train::config::InitialiseConfig;
use recurve::train::generate::{CopyMemory, TemporalOrder};
use recurve::train::loss::{Loss, Outputs, Targets};
use recurve::train::optimiser::{Adam, Optimiser, OptimiserConfig};
use recurve::train::trainer::initialise;
use recurve::{
    Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Pooling, Recurrent,
};
use std::error::Error;

/// Sequences of a batch: `B`.
const B: usize = 64;
/// Units: `H`.
const H: usize = 64;
const LOSS: Loss = Loss::CrossEntropy { label_smoothing: 0.0 };

/// A model, its network and its optimiser.
struct Learner {
    model: Model<f32>,
    network: Network<f32>,
    adam: Optimiser<f32>,
    gradients: Vec<f32>,
    d_outputs: Vec<f32>,
}

impl Learner {
    fn new(description: Description) -> Result<Self, Box<dyn Error>> {
        let mut model = Model::new(description)?;
        initialise(&mut model, &InitialiseConfig::default(), 1)?;
        let weights = model.values().len();
        Ok(Self {
            network: Network::new(model.description(), Engine::detect()?)?,
            adam: Optimiser::new(OptimiserConfig::Adam(Adam::default()), weights)?,
            gradients: vec![0.0; weights],
            d_outputs: vec![],
            model,
        })
    }

    /// One update; the loss before it. `classes` has one target for each row of the output.
    fn learn(
        &mut self,
        batch: &Batch<'_, f32>,
        classes: &[u32],
        step: u64,
    ) -> Result<f64, Box<dyn Error>> {
        self.network.load(self.model.values(), true);
        let width = self.network.output_width();
        let outputs = self.network.forward(batch, None, Mode::Train(Noise { seed: 1, step }))?;
        self.d_outputs.resize(outputs.len(), 0.0);
        let outputs = Outputs::new(outputs, width);
        let loss = LOSS.backward(outputs, Targets::Classes(classes), &mut self.d_outputs)?;
        self.network.backward(&self.d_outputs, &mut self.gradients, None)?;
        Clip::Norm { limit: 1.0 }.apply(&mut self.gradients);
        self.adam.step(self.model.values_mut(), &self.gradients, 3e-3)?;
        Ok(loss.mean)
    }

    /// The outputs for a batch.
    fn answer(&mut self, batch: &Batch<'_, f32>) -> Result<&[f32], Box<dyn Error>> {
        self.network.load(self.model.values(), false);
        Ok(self.network.forward(batch, None, Mode::Infer)?)
    }
}

fn temporal_order() -> Result<(), Box<dyn Error>> {
    let task = TemporalOrder::two_symbols(1);
    let description = Description::tokens(TemporalOrder::SYMBOLS)
        .embedding(16)
        .recurrent(Recurrent::new(CellKind::Lstm, H))
        .pool(Pooling::Last)
        .linear(task.classes());
    let mut learner = Learner::new(description)?;
    println!("temporal order, sequences of 100 to 110 steps");
    for step in 0..=1500 {
        let made = task.batch(step * B as u64, B);
        let batch = Batch::new(made.steps, B, Input::Tokens(&made.x)).lengths(&made.lengths);
        let loss = learner.learn(&batch, &made.y, step)?;
        if step % 250 == 0 {
            println!("  update {step:4}: loss {loss:.4}");
        }
    }
    let test = TemporalOrder::two_symbols(2).batch(0, 1000);
    let batch = Batch::new(test.steps, 1000, Input::Tokens(&test.x)).lengths(&test.lengths);
    let answers = learner.answer(&batch)?.chunks_exact(task.classes());
    let largest = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    let right = answers.zip(&test.y).filter(|(row, y)| largest(row) == Some(**y as usize)).count();
    println!("  {right} of 1000 new sequences are classified right\n");
    Ok(())
}

fn copy_memory() -> Result<(), Box<dyn Error>> {
    let task = CopyMemory { pause: 30, seed: 1 };
    let description = Description::tokens(CopyMemory::SYMBOLS)
        .embedding(16)
        .recurrent(Recurrent::new(CellKind::Gru, 2 * H))
        .linear(CopyMemory::SYMBOLS);
    let mut learner = Learner::new(description)?;
    println!("copy memory, {} steps; remembering nothing: {:.4}", task.steps(), task.baseline());
    for step in 0..=3000 {
        let made = task.batch(step * B as u64, B);
        // Without lengths, rows are steps and sequences in the order [T, B] of the targets.
        let batch = Batch::new(task.steps(), B, Input::Tokens(&made.x));
        let loss = learner.learn(&batch, &made.y, step)?;
        if step % 500 == 0 {
            println!("  update {step:4}: loss {loss:.4}");
        }
    }
    let test = CopyMemory { seed: 2, ..task }.batch(0, 1000);
    let batch = Batch::new(task.steps(), 1000, Input::Tokens(&test.x));
    let outputs = Outputs::new(learner.answer(&batch)?, CopyMemory::SYMBOLS);
    let loss = LOSS.forward(outputs, Targets::Classes(&test.y))?.mean;
    println!("  cross-entropy on 1000 new sequences: {loss:.4}");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    temporal_order()?;
    copy_memory()
}
