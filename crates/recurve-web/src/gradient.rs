//! How far back an error reaches: the norm of the gradient of one loss with respect to the states and the
//! inputs before it, in this model and in fresh cells of the same size.
//!
//! The error goes back a few steps at a time through the engine's own backward pass, each time from the states
//! of the trace, so that the gradient of the states can be looked at in between: at every step of a short way, at
//! some forty places of a long one. A
//! model that reads from both ends, or takes a mean over all steps, has no such in-between; of it the
//! gradient of the inputs alone is told, from one pass over the whole window.
//!
//! The fresh cells are not trained. They read what this model's first recurrent layer reads, and the error
//! is a random direction of length 1 at their last `h`: what is compared is how errors travel, not how
//! good a model is. The LSTM without forget gate is one whose forget gate is held at 1.

use crate::facts;
use crate::trace::{self, Sequence, run, unsound};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Entries, Input, InputKind, Layer, Mode, Model,
    Network, Noise, Pooling, Recurrent, State,
};
use recurve_train::error::{Error, Result};
use recurve_train::initialise;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Steps that an error is followed back, at most.
pub(crate) const MOST_BACK: usize = 200;
/// Places at which the gradient of the states is looked at, at most.
const POINTS: usize = 40;
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
    /// Whether only the fresh cells are wanted: what a slider of theirs changes.
    #[serde(default)]
    pub(crate) fresh_only: bool,
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

/// The gradient of a loss with respect to what came before it, as norms; the loss is at the last step.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// The steps after which it is looked at, from the last back.
    pub(crate) at: Vec<usize>,
    /// Of each layer's `h` there: `[parts][points]`.
    pub(crate) h: Vec<Vec<f64>>,
    /// Of `c`, as `h`; 0 where there is none.
    pub(crate) c: Vec<Vec<f64>>,
    /// Of the input of each step: `[T]`.
    pub(crate) x: Vec<f64>,
}

impl Reach {
    fn tell(&self) -> Value {
        json!({"at": self.at, "h": self.h, "c": self.c, "x": self.x})
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
            _ => {
                let below = Description {
                    input: description.input,
                    layers: vec![description.layers.remove(0)],
                };
                let count = Entries::of(&below).map_err(unsound)?.len();
                let read = (sequence.steps(0), sequence.input());
                let x = run(engine, &below, &model.values()[..count], read)?;
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

    /// Follows the error of the last of some steps back over them. `before` gives the states before a step.
    ///
    /// # Errors
    /// The model cannot be built.
    pub(crate) fn reach(
        &self,
        engine: Engine,
        (first, end): (usize, usize),
        before: &dyn Fn(usize) -> Result<State<f32>>,
        error: &dyn Fn(&[f32]) -> Vec<f32>,
    ) -> Result<Reach> {
        let mut network = self.network(engine)?;
        let mut gradients = vec![0.0; self.values.len()];
        let mut d_state = State::zero(&self.description, 1);
        let parts = d_state.parts().len();
        let mut reach = Reach {
            at: vec![],
            h: vec![vec![]; parts],
            c: vec![vec![]; parts],
            x: vec![0.0; end - first],
        };
        let stride = (end - first).div_ceil(POINTS);
        let width = network.output_width();
        let mut stop = end;
        while stop > first {
            let start = stop.saturating_sub(stride).max(first);
            let mut state = before(start)?;
            let rows = &self.x[start * self.width..stop * self.width];
            let batch = Batch::new(stop - start, 1, Input::Values(rows));
            let mode = Mode::Train(Noise { seed: 0, step: 0 });
            let y = network.forward(&batch, Some(&mut state), mode).map_err(unsound)?;
            let mut dy = vec![0.0; y.len()];
            if stop == end {
                let last = y.len() - width;
                let own = y[last..].to_vec();
                dy[last..].copy_from_slice(&error(&own));
            }
            network.backward(&dy, &mut gradients, Some(&mut d_state)).map_err(unsound)?;
            if let Some(d) = network.d_input() {
                (start..stop).for_each(|t| reach.x[t - first] = norm(d.row(t - start)));
            }
            if start > first {
                reach.at.push(start - 1);
                for (at, part) in d_state.parts().iter().enumerate() {
                    reach.h[at].push(norm(&part.h));
                    reach.c[at].push(norm(&part.c));
                }
            }
            stop = start;
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
        // What comes after a loss changes nothing where no direction reads from the end.
        let lengths: Vec<usize> = (1..=count).collect();
        let mut batch = Batch::new(count, count, Input::Values(&x));
        if self.is_stepwise() {
            batch = batch.lengths(&lengths);
        }
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

    /// Fresh cells over the same inputs, and how far an error reaches back in each.
    ///
    /// # Errors
    /// The cells cannot be built.
    pub(crate) fn fresh(
        &self,
        engine: Engine,
        (first, end): (usize, usize),
        (drawn, ask): (&Drawn, &Ask),
    ) -> Result<Vec<Value>> {
        let kinds = [
            ("RNN (tanh)", CellKind::RnnTanh, None),
            ("LSTM", CellKind::Lstm, Some(ask.forget_bias)),
            ("GRU", CellKind::Gru, Some(ask.forget_bias)),
            ("LSTM without forget gate", CellKind::Lstm, None),
        ];
        let window = &self.x[first * self.width..end * self.width];
        // One step of one sequence is too little work to share; the cells are shared out instead.
        let engine = engine.with_threads(1);
        let one = |(name, cell, keep)| -> Result<Value> {
            let model = cells(cell, drawn, keep, ask)?;
            let trace = trace::trace(&model, engine, &Sequence::Values(window.to_vec()))?;
            let (description, values) = (model.description().clone(), model.values().to_vec());
            let own = Self { description, values, x: window.to_vec(), width: self.width };
            let before = |t: usize| trace::states(&own.description, &trace, |_| t.checked_sub(1));
            let mut reach =
                own.reach(engine, (0, end - first), &before, &|_| drawn.direction.clone())?;
            reach.at.iter_mut().for_each(|at| *at += first);
            Ok(json!({"name": name, "reach": reach.tell()}))
        };
        let one = &one;
        let work = |two: [(&'static str, CellKind, Option<f64>); 2]| two.map(one);
        std::thread::scope(|scope| {
            let others = scope.spawn(move || work([kinds[2], kinds[3]]));
            let [rnn, lstm] = work([kinds[0], kinds[1]]);
            let [gru, open] = others.join().map_err(|_| broken())?;
            Ok(vec![rnn?, gru?, lstm?, open?])
        })
    }
}

/// The weights of fresh cells as they were drawn: those of every gate that any of them has.
pub(crate) struct Drawn {
    width: usize,
    hidden: usize,
    seed: u64,
    /// By the letter of the gate: `w` with variance `1/I`, and `r` with spectral radius 1.
    gates: BTreeMap<&'static str, [Vec<f32>; 2]>,
    /// The error, of length 1.
    direction: Vec<f32>,
}

impl Drawn {
    /// Draws them.
    ///
    /// # Errors
    /// A number out of range, which does not happen.
    pub(crate) fn new((width, hidden): (usize, usize), seed: u64) -> Result<Self> {
        let mut direction = vec![0.0_f32; hidden];
        fill(&mut direction, 1.0, seed, "direction")?;
        let length = norm(&direction) as f32;
        direction.iter_mut().for_each(|d| *d /= length);
        let mut gates = BTreeMap::new();
        for cell in [CellKind::RnnTanh, CellKind::Gru, CellKind::Lstm] {
            for gate in facts::of(cell.name()).iter().flat_map(|facts| facts.gates) {
                let (mut w, mut r) = (vec![0.0; hidden * width], vec![0.0; hidden * hidden]);
                fill(&mut w, (1.0 / width as f64).sqrt(), seed, &format!("w{}", gate.name))?;
                fill(&mut r, (1.0 / hidden as f64).sqrt(), seed, &format!("r{}", gate.name))?;
                let scale = (1.0 / radius(&r, hidden)) as f32;
                r.iter_mut().for_each(|weight| *weight *= scale);
                gates.insert(gate.name, [w, r]);
            }
        }
        Ok(Self { width, hidden, seed, gates, direction })
    }

    /// Whether these are those of such cells.
    pub(crate) fn is_of(&self, (width, hidden): (usize, usize), seed: u64) -> bool {
        (self.width, self.hidden, self.seed) == (width, hidden, seed)
    }

    /// What such cells read and hold.
    pub(crate) fn sizes(bare: &Bare, hidden: usize) -> (usize, usize) {
        (bare.width, hidden)
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
fn cells(cell: CellKind, drawn: &Drawn, keep: Option<f64>, ask: &Ask) -> Result<Model<f32>> {
    let (inputs, hidden) = (drawn.width, drawn.hidden);
    let stack = Recurrent::new(cell, hidden).bias(Bias::One);
    let description = Description::values(inputs).recurrent(stack);
    let mut model = Model::<f32>::new(description).map_err(unsound)?;
    let facts = facts::of(cell.name()).ok_or_else(|| Error::failed("a cell is not known"))?;
    let name = |weights: &str| format!("0.recurrent.0.forward.{weights}");
    let held = facts.keeps.filter(|_| keep.is_none());
    for (at, gate) in facts.gates.iter().enumerate().filter(|(at, _)| Some(*at) != held) {
        let [w, r] = &drawn.gates[gate.name];
        debug_assert_eq!(at, gate.rows, "these cells have a row for each gate");
        if let Some(own) = model.get_mut(&name("w")) {
            own[gate.rows * w.len()..][..w.len()].copy_from_slice(w);
        }
        if let Some(own) = model.get_mut(&name("r")) {
            let own = &mut own[gate.rows * r.len()..][..r.len()];
            own.iter_mut().zip(r).for_each(|(to, weight)| *to = weight * ask.radius as f32);
        }
    }
    if let (Some(gate), Some(bias)) = (facts.keeps, model.get_mut(&name("b"))) {
        // 40 is 1 after the sigmoid.
        bias[gate * hidden..(gate + 1) * hidden].fill(keep.unwrap_or(40.0) as f32);
    }
    Ok(model)
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
