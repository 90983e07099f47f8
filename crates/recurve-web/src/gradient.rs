//! How far back an error reaches: the norm of the gradient of one loss with respect to the states and the
//! inputs before it, in this model and in fresh cells of the same size.
//!
//! The error goes back one step at a time through the engine's own backward pass, each step with the
//! states it started from, so that the gradient of the states can be looked at between any two steps. A
//! model that reads from both ends, or takes a mean over all steps, has no such in-between; of it the
//! gradient of the inputs alone is told, from one pass over the whole window.
//!
//! The fresh cells are not trained. They read what this model's first recurrent layer reads, and the error
//! is a random direction of length 1 at their last `h`: what is compared is how errors travel, not how
//! good a model is. The LSTM without forget gate is one whose forget gate is held at 1.

use crate::facts;
use crate::trace::{Sequence, run, unsound};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Entries, Input, InputKind, Layer, Mode, Model,
    Network, Noise, Pooling, Recurrent, State,
};
use recurve_train::error::{Error, Result};
use recurve_train::initialise;
use serde::Deserialize;
use serde_json::{Value, json};

/// Steps that an error is followed back, at most.
pub(crate) const MOST_BACK: usize = 200;
/// Steps of a matrix of all pairs, at most.
pub(crate) const MOST_PAIRS: usize = 64;

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) trace: String,
    /// The step whose loss is looked at.
    pub(crate) step: usize,
    /// Steps to go back.
    pub(crate) back: usize,
    /// The bias of the gate that keeps, in the fresh cells.
    pub(crate) forget_bias: f64,
    /// The spectral radius of every recurrent matrix of the fresh cells.
    pub(crate) radius: f64,
    /// Added to the bias of the gate that keeps in every layer of this model.
    #[serde(default)]
    pub(crate) add: f32,
    #[serde(default)]
    pub(crate) seed: u64,
}

impl Ask {
    /// Refuses numbers that no slider gives.
    pub(crate) fn check(&self) -> Result<()> {
        let fine = (0.0..=10.0).contains(&self.radius)
            && (-20.0..=20.0).contains(&self.forget_bias)
            && (-20.0..=20.0).contains(&self.add)
            && (1..=MOST_BACK).contains(&self.back);
        if fine {
            return Ok(());
        }
        Err(Error::usage(format!(
            "a radius is from 0 to 10, a bias from -20 to 20, and 1 to {MOST_BACK} steps back"
        )))
    }
}

/// The gradient of a loss with respect to what came before it, as norms per step; the loss is at the last.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Of each layer's `h` after each step but the last: `[parts][T-1]`.
    pub(crate) h: Vec<Vec<f64>>,
    /// Of `c`, or empty.
    pub(crate) c: Vec<Vec<f64>>,
    /// Of the input of each step: `[T]`.
    pub(crate) x: Vec<f64>,
}

impl Reach {
    fn tell(&self) -> Value {
        json!({"h": self.h, "c": self.c, "x": self.x})
    }
}

/// A model that reads values: without its embedding if it had one, and without dropout.
pub(crate) struct Bare {
    description: Description,
    values: Vec<f32>,
    /// `[T, I]`
    x: Vec<f32>,
    width: usize,
}

impl Bare {
    /// The model and what its second layer reads of a sequence, where the first is an embedding.
    ///
    /// # Errors
    /// The sequence is not what the model reads.
    pub(crate) fn of(model: &Model<f32>, engine: Engine, sequence: &Sequence) -> Result<Self> {
        let mut description = model.description().clone();
        for layer in &mut description.layers {
            match layer {
                Layer::Dropout { rate, .. } => *rate = 0.0,
                Layer::Embedding { dropout, .. } => *dropout = 0.0,
                Layer::Recurrent(stack) => (stack.dropout, stack.weight_dropout) = (0.0, 0.0),
                _ => {}
            }
        }
        let widths = description.widths().map_err(unsound)?;
        let (x, width, from) = match sequence {
            Sequence::Values(x) => (x.clone(), widths[0], 0),
            Sequence::Tokens(tokens) => {
                let below = Description {
                    input: description.input,
                    layers: vec![description.layers.remove(0)],
                };
                let count = Entries::of(&below).map_err(unsound)?.len();
                let input = Input::Tokens(tokens);
                let x = run(engine, &below, &model.values()[..count], tokens.len(), input)?;
                description.input = InputKind::Values { width: widths[1] };
                (x, widths[1], count)
            }
        };
        Ok(Self { description, values: model.values()[from..].to_vec(), x, width })
    }

    fn steps(&self) -> usize {
        self.x.len() / self.width
    }

    /// Whether an error can go back step by step.
    pub(crate) fn is_stepwise(&self) -> bool {
        self.description.layers.iter().all(|layer| match layer {
            Layer::Recurrent(stack) => !stack.bidirectional,
            Layer::Pool { by } => *by == Pooling::Last,
            _ => true,
        })
    }

    fn network(&self, engine: Engine) -> Result<Network<f32>> {
        let mut network = Network::new(&self.description, engine).map_err(unsound)?;
        network.load(&self.values, true);
        network.set_input_gradient(true);
        Ok(network)
    }

    /// Follows the error of the last of some steps back over them, from the states before the first.
    ///
    /// # Errors
    /// The model cannot be built.
    pub(crate) fn reach(
        &self,
        engine: Engine,
        (first, end): (usize, usize),
        start: &State<f32>,
        error: &dyn Fn(&[f32]) -> Vec<f32>,
    ) -> Result<Reach> {
        let mut network = self.network(engine)?;
        let row = |t: usize| &self.x[t * self.width..][..self.width];
        let mut states = vec![start.clone()];
        let mut dy = vec![];
        for t in first..end {
            let mut state = states[t - first].clone();
            let batch = Batch::new(1, 1, Input::Values(row(t)));
            let y = network.forward(&batch, Some(&mut state), Mode::Infer).map_err(unsound)?;
            dy = error(y);
            states.push(state);
        }
        let mut gradients = vec![0.0; self.values.len()];
        let mut d_state = State::zero(&self.description, 1);
        let parts = d_state.parts().len();
        let steps = end - first;
        let mut reach = Reach {
            h: vec![vec![0.0; steps - 1]; parts],
            c: vec![vec![0.0; steps - 1]; parts],
            x: vec![0.0; steps],
        };
        for t in (0..steps).rev() {
            let batch = Batch::new(1, 1, Input::Values(row(first + t)));
            let mode = Mode::Train(Noise { seed: 0, step: 0 });
            network.forward(&batch, Some(&mut states[t]), mode).map_err(unsound)?;
            network.backward(&dy, &mut gradients, Some(&mut d_state)).map_err(unsound)?;
            dy.fill(0.0);
            reach.x[t] = network.d_input().map_or(0.0, |d| norm(d.row(0)));
            for (at, part) in d_state.parts().iter().enumerate().filter(|_| t > 0) {
                reach.h[at][t - 1] = norm(&part.h);
                reach.c[at][t - 1] = norm(&part.c);
            }
        }
        Ok(reach)
    }

    /// The gradient of one output row with respect to every input, in one pass over the whole sequence.
    ///
    /// # Errors
    /// The model cannot be built.
    pub(crate) fn inputs(
        &self,
        engine: Engine,
        at: usize,
        error: &dyn Fn(&[f32]) -> Vec<f32>,
    ) -> Result<Vec<f64>> {
        let mut network = self.network(engine)?;
        let batch = Batch::new(self.steps(), 1, Input::Values(&self.x));
        let mode = Mode::Train(Noise { seed: 0, step: 0 });
        let y = network.forward(&batch, None, mode).map_err(unsound)?.to_vec();
        let width = network.output_width();
        let row = at.min(y.len() / width - 1);
        let mut dy = vec![0.0; y.len()];
        dy[row * width..][..width].copy_from_slice(&error(&y[row * width..][..width]));
        let mut gradients = vec![0.0; self.values.len()];
        network.backward(&dy, &mut gradients, None).map_err(unsound)?;
        let d = network.d_input().ok_or_else(|| Error::failed("the model gave no gradient"))?;
        Ok((0..self.steps()).map(|t| norm(d.row(t))).collect())
    }

    /// The gradient of the loss of every step with respect to every input: `[T][T]`, first the step of the
    /// loss. All losses go back at once, each in a sequence of its own.
    ///
    /// # Errors
    /// The model pools its steps into one, or cannot be built.
    pub(crate) fn pairs(
        &self,
        engine: Engine,
        (first, end): (usize, usize),
        error: &dyn Fn(usize, &[f32]) -> Vec<f32>,
    ) -> Result<Vec<Vec<f64>>> {
        if self.description.is_pooled() {
            return Err(Error::usage("the model gives one output for the whole window"));
        }
        let count = end - first;
        let rows = self.x[first * self.width..end * self.width].chunks_exact(self.width);
        let x: Vec<f32> =
            rows.flat_map(|row| row.iter().copied().cycle().take(count * self.width)).collect();
        let mut network = self.network(engine)?;
        let batch = Batch::new(count, count, Input::Values(&x));
        let mode = Mode::Train(Noise { seed: 0, step: 0 });
        let y = network.forward(&batch, None, mode).map_err(unsound)?.to_vec();
        let width = network.output_width();
        let mut dy = vec![0.0; y.len()];
        for (row, t, b) in network.order().places().filter(|(_, t, b)| t == b) {
            let own = row * width..(row + 1) * width;
            dy[own.clone()].copy_from_slice(&error(first + t.max(b), &y[own]));
        }
        let mut gradients = vec![0.0; self.values.len()];
        network.backward(&dy, &mut gradients, None).map_err(unsound)?;
        let d = network.d_input().ok_or_else(|| Error::failed("the model gave no gradient"))?;
        let mut pairs = vec![vec![0.0; count]; count];
        for (row, t, b) in network.order().places() {
            pairs[b][t] = norm(d.row(row));
        }
        Ok(pairs)
    }

    /// Fresh cells of `hidden` units over the same inputs, and how far an error reaches back in each.
    ///
    /// # Errors
    /// The cells cannot be built.
    pub(crate) fn fresh(
        &self,
        engine: Engine,
        window: (usize, usize),
        hidden: usize,
        ask: &Ask,
    ) -> Result<Vec<Value>> {
        let kinds = [
            ("RNN (tanh)", CellKind::RnnTanh, None),
            ("GRU", CellKind::Gru, Some(ask.forget_bias)),
            ("LSTM", CellKind::Lstm, Some(ask.forget_bias)),
            ("LSTM without forget gate", CellKind::Lstm, None),
        ];
        let mut direction = vec![0.0_f32; hidden];
        fill(&mut direction, 1.0, ask.seed, "direction")?;
        let length = norm(&direction) as f32;
        direction.iter_mut().for_each(|d| *d /= length);
        let direction = &direction;
        let one = |(name, cell, keep)| -> Result<Value> {
            let (description, values) = cells(cell, (self.width, hidden), keep, ask)?;
            let own = Self { description, values, x: self.x.clone(), width: self.width };
            let start = State::zero(&own.description, 1);
            let reach = own.reach(engine, window, &start, &|_| direction.clone())?;
            Ok(json!({"name": name, "reach": reach.tell()}))
        };
        // One step of one sequence is too little work to share; the cells are shared out instead.
        std::thread::scope(|scope| {
            let all = kinds.map(|kind| scope.spawn(move || one(kind)));
            let joined = all.into_iter().map(|own| own.join().unwrap_or_else(|_| Err(broken())));
            joined.collect()
        })
    }
}

/// This model's reach as the page reads it.
pub(crate) fn tell(reach: &Reach) -> Value {
    reach.tell()
}

pub(crate) fn broken() -> Error {
    Error::failed("following an error back failed, which is a bug")
}

/// One fresh layer: `w` with variance `1/I`, each `r` scaled to a spectral radius, biases zero but that of
/// the gate that keeps. An LSTM without such a bias has its forget gate held at 1.
fn cells(
    cell: CellKind,
    (inputs, hidden): (usize, usize),
    keep: Option<f64>,
    ask: &Ask,
) -> Result<(Description, Vec<f32>)> {
    let stack = Recurrent::new(cell, hidden).bias(Bias::One);
    let description = Description::values(inputs).recurrent(stack);
    let mut model = Model::<f32>::new(description.clone()).map_err(unsound)?;
    let facts = facts::of(cell.name()).ok_or_else(|| Error::failed("a cell is not known"))?;
    let name = |weights: &str| format!("0.recurrent.0.forward.{weights}");
    let (w, r) = (name("w"), name("r"));
    for gate in facts.gates {
        if let Some(own) = model.get_mut(&w) {
            let rows = gate.rows * hidden * inputs..(gate.rows + 1) * hidden * inputs;
            let deviation = (1.0 / inputs as f64).sqrt();
            fill(&mut own[rows], deviation, ask.seed, &format!("w{}", gate.name))?;
        }
        if let Some(own) = model.get_mut(&r) {
            let own = &mut own[gate.rows * hidden * hidden..(gate.rows + 1) * hidden * hidden];
            let deviation = (1.0 / hidden as f64).sqrt();
            fill(own, deviation, ask.seed, &format!("r{}", gate.name))?;
            let scale = (ask.radius / radius(own, hidden)) as f32;
            own.iter_mut().for_each(|weight| *weight *= scale);
        }
    }
    if let Some(gate) = facts.keeps {
        let held = keep.is_none();
        for (weights, width) in [(&w, inputs), (&r, hidden)] {
            if let Some(own) = model.get_mut(weights).filter(|_| held) {
                own[gate * hidden * width..(gate + 1) * hidden * width].fill(0.0);
            }
        }
        if let Some(bias) = model.get_mut(&name("b")) {
            // 40 is 1 after the sigmoid.
            bias[gate * hidden..(gate + 1) * hidden].fill(keep.unwrap_or(40.0) as f32);
        }
    }
    let values = model.values().to_vec();
    Ok((description, values))
}

fn fill(values: &mut [f32], deviation: f64, seed: u64, name: &str) -> Result<()> {
    let mut rng = initialise::generator(seed, name);
    let normal = initialise::Initialiser::Normal { std: deviation };
    let count = values.len();
    normal.fill(values, initialise::Blocks::one(1, count), &mut rng)
}

/// The spectral radius of a square matrix, by Gelfand's formula: the rate at which a vector grows.
pub(crate) fn radius(matrix: &[f32], size: usize) -> f64 {
    const WARM: usize = 12;
    const STEPS: usize = 32;
    let mut vector: Vec<f64> = (0..size).map(|at| ((at + 1) as f64).sin()).collect();
    let mut growth = 0.0;
    for step in 0..WARM + STEPS {
        let next: Vec<f64> = matrix
            .chunks_exact(size)
            .map(|row| row.iter().zip(&vector).map(|(m, v)| f64::from(*m) * v).sum())
            .collect();
        let length = next.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-300);
        if step >= WARM {
            growth += length.ln();
        }
        vector = next.into_iter().map(|v| v / length).collect();
    }
    (growth / STEPS as f64).exp()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radius_of_a_rotation_and_of_a_triangle() {
        let (c, s) = (0.7_f32.cos() * 1.5, 0.7_f32.sin() * 1.5);
        assert!((radius(&[c, -s, s, c], 2) - 1.5).abs() < 1e-6);
        assert!((radius(&[0.5, 3.0, 0.0, 0.25], 2) - 0.5).abs() < 0.02);
    }
}
