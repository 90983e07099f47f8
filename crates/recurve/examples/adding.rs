//! The adding problem: remember two numbers for up to a hundred steps, then say their sum.
//!
//! ```text
//! cargo run --release -p recurve --example adding [figure.csv]
//! ```
//!
//! A sequence has a hundred pairs: a number between 0 and 1, and a mark that stands at two of them. The
//! target is the sum of the two marked numbers. Always saying 1 gives a mean squared error of 1/6,
//! about 0.167; to do better, the gradient has to reach back over the whole sequence. It is the task
//! on which Hochreiter and Schmidhuber (1997, experiment 4) showed that an LSTM learns what a plain
//! recurrent network does not.
//!
//! Each cell gets the same model, data, optimiser and number of steps, and for fairness its own
//! learning rate: the best of four, tried with a seed that is not used again. Then three seeds each.
//! The curve of every run is written as CSV (`cell,seed,step,mse`), the figure of the documentation.

use recurve::train::clip::Clip;
use recurve::train::config::InitialiseConfig;
use recurve::train::generate::Adding;
use recurve::train::loss::{Loss, Outputs, Targets};
use recurve::train::optimiser::{Adam, Optimiser, OptimiserConfig};
use recurve::train::schedule::{Schedule, ScheduleConfig};
use recurve::train::trainer::initialise;
use recurve::{
    Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Pooling, Recurrent,
};
use std::error::Error;
use std::fmt::Write;

/// Steps of a sequence: `T`.
const T: usize = 100;
/// Units: `H`.
const H: usize = 64;
/// Sequences of a batch: `B`.
const B: usize = 64;
/// Updates of a run.
const UPDATES: u64 = 3000;
/// Updates of a run that tries a learning rate.
const TRIAL: u64 = 1000;
/// Sequences that measure, from a seed that trains nothing.
const TEST: usize = 1000;

/// One run.
struct Run {
    cell: CellKind,
    seed: u64,
    learning_rate: f64,
    updates: u64,
}

impl Run {
    /// Trains, and gives the mean squared error on the test sequences every hundred updates.
    fn train(&self) -> Result<Vec<(u64, f64)>, Box<dyn Error>> {
        let description = Description::values(2)
            .recurrent(Recurrent::new(self.cell, H))
            .pool(Pooling::Last)
            .linear(1);
        let mut model = Model::<f32>::new(description)?;
        initialise(&mut model, &InitialiseConfig::default(), self.seed)?;
        let mut network = Network::new(model.description(), Engine::detect()?)?;
        let adam = OptimiserConfig::Adam(Adam::default());
        let mut adam = Optimiser::new(adam, model.values().len())?;
        let down = ScheduleConfig::Cosine { warmup_steps: 0, final_factor: 0.01 };
        let schedule = Schedule::new(down, self.learning_rate, self.updates)?;

        let (data, loss) = (Adding { steps: T, seed: self.seed }, Loss::Mse {});
        let mut gradients = vec![0.0; model.values().len()];
        let mut d_outputs = vec![0.0; B];
        let mut curve = vec![(0, test(&model, &mut network)?)];
        for step in 0..self.updates {
            let samples = data.batch(step * B as u64, B);
            network.load(model.values(), true);
            let batch = Batch::new(T, B, Input::Values(&samples.x));
            let noise = Noise { seed: self.seed, step };
            let outputs = network.forward(&batch, None, Mode::Train(noise))?;
            let (outputs, targets) = (Outputs::new(outputs, 1), Targets::Values(&samples.y));
            loss.backward(outputs, targets, &mut d_outputs)?;
            network.backward(&d_outputs, &mut gradients, None)?;
            Clip::Norm { limit: 1.0 }.apply(&mut gradients);
            adam.step(model.values_mut(), &gradients, schedule.rate(step, 0))?;
            if (step + 1) % 100 == 0 {
                curve.push((step + 1, test(&model, &mut network)?));
            }
        }
        Ok(curve)
    }
}

/// The mean squared error on sequences that no run has trained on.
fn test(model: &Model<f32>, network: &mut Network<f32>) -> Result<f64, Box<dyn Error>> {
    let samples = Adding { steps: T, seed: u64::MAX }.batch(0, TEST);
    network.load(model.values(), false);
    let batch = Batch::new(T, TEST, Input::Values(&samples.x));
    let outputs = Outputs::new(network.forward(&batch, None, Mode::Infer)?, 1);
    Ok(Loss::Mse {}.forward(outputs, Targets::Values(&samples.y))?.mean)
}

/// The learning rate with the lowest error at the end of a short run.
fn tuned(cell: CellKind) -> Result<f64, Box<dyn Error>> {
    let mut best = (f64::INFINITY, 0.0);
    for learning_rate in [3e-4, 1e-3, 3e-3, 1e-2] {
        let run = Run { cell, seed: 1000, learning_rate, updates: TRIAL };
        let curve = run.train()?;
        let error = curve.last().map_or(f64::INFINITY, |(_, error)| *error);
        println!("  {:8} learning rate {learning_rate:<6} error {error:.5}", cell.name());
        if error < best.0 {
            best = (error, learning_rate);
        }
    }
    Ok(best.1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let figure = std::env::args().nth(1).unwrap_or("adding.csv".to_owned());
    let mut csv = "cell,seed,step,mse\n".to_owned();
    let mut table = format!("{:8} {:>13}   seed 1    seed 2    seed 3\n", "cell", "learning rate");
    for cell in [CellKind::Lstm, CellKind::Gru, CellKind::RnnTanh] {
        println!("{} of {H} units, {T} steps, {UPDATES} updates of {B} sequences", cell.name());
        let learning_rate = tuned(cell)?;
        write!(table, "{:8} {learning_rate:>13}", cell.name())?;
        for seed in 1..=3 {
            let curve = Run { cell, seed, learning_rate, updates: UPDATES }.train()?;
            for (step, error) in &curve {
                writeln!(csv, "{},{seed},{step},{error}", cell.name())?;
            }
            let error = curve.last().map_or(f64::NAN, |(_, error)| *error);
            println!("  {:8} seed {seed}: error {error:.5}", cell.name());
            write!(table, " {error:>9.5}")?;
        }
        table.push('\n');
    }
    std::fs::write(&figure, csv)?;
    println!("\nmean squared error on {TEST} new sequences (saying 1 gives 0.16667)\n{table}");
    println!("the curves are in {figure}");
    Ok(())
}
