//! A recurrent layer as an operator of a graph: as ONNX defines RNN, LSTM and GRU.
//!
//! With the functions that the cells of Recurve can be given, and with limits on what goes into them, a layer runs
//! on the engine. With others it runs on the plain steps of [`super::plain`].

use super::function::Function;
use super::plain::Plain;
use super::value::{Array, Value};
use crate::arrange;
use crate::error::{Error, Result};
use recurve_nn::{
    Activation, Activations, Batch, Bias, CellKind, Description, Element, Engine, Input, Mode,
    Model, Network, Recurrent, State,
};
use std::sync::Arc;

/// The families of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The vanilla RNN.
    Rnn,
    /// The LSTM.
    Lstm,
    /// The GRU, with the reset after the recurrent product or before it.
    Gru {
        /// Whether it is after.
        reset_after: bool,
    },
}

impl Family {
    /// Gates.
    pub fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
        }
    }
    /// Functions that a cell applies: those of the gates, of the candidate and of the output.
    pub fn functions(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 3,
            Self::Gru { .. } => 2,
        }
    }
    /// The gates of ONNX for each gate of Recurve.
    pub fn onnx_order(self) -> &'static [usize] {
        match self {
            Self::Rnn => &[0],
            Self::Lstm => &[0, 2, 3, 1],
            Self::Gru { .. } => &[1, 0, 2],
        }
    }
}

/// The directions of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Directions {
    Forward,
    Reverse,
    Both,
}

/// A recurrent layer. Its inputs are `x [T, B, I]`, `w [D, G*H, I]`, `r [D, G*H, H]` and, each if there,
/// `b [D, 2*G*H]` (of the input product, then of the recurrent one), lengths `[B]`, `h [D, B, H]`,
/// `c [D, B, H]`, peepholes `[D, 3*H]`. Its outputs are `y [T, D, B, H]`, `h` and `c` after the last steps.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentOp {
    /// The family.
    pub family: Family,
    /// The directions.
    pub directions: Directions,
    /// For every direction, the functions of gates, candidate and output.
    pub functions: Vec<Function>,
    /// The largest size of what goes into a function of a gate or of the candidate.
    pub clip: Option<f64>,
    /// Whether the forget gate is 1 minus the input gate.
    pub coupled: bool,
    /// Whether sequences come before steps: `x [B, T, I]`, `y [B, T, D, H]`, `h [B, D, H]`.
    pub batch_first: bool,
    /// The gate of the weights for each gate of Recurve.
    pub order: Vec<usize>,
    /// The peephole of the weights for each of i, f and o.
    pub peepholes: [usize; 3],
}

/// A layer with the weights it was last run with.
#[derive(Debug, Default)]
pub(super) struct Machine<E: Element> {
    of: Vec<Option<Arc<Vec<E>>>>,
    directions: Vec<Direction<E>>,
}

#[derive(Debug)]
enum Direction<E: Element> {
    Engine(Box<OnEngine<E>>),
    Plain(Box<Plain<E>>),
}

struct OnEngine<E: Element> {
    network: Network<E>,
    state: State<E>,
    description: Description,
    y: Vec<E>,
}

impl<E: Element> std::fmt::Debug for OnEngine<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.description)
    }
}

/// The weights of one direction, gates in the order of Recurve. Empty where there are none.
#[derive(Clone, Debug)]
pub(super) struct DirectionWeights {
    pub(super) w: Vec<f64>,
    pub(super) r: Vec<f64>,
    pub(super) b: Vec<f64>,
    pub(super) b_r: Vec<f64>,
    /// i, f, o.
    pub(super) p: Vec<f64>,
}

/// What one direction reads: `x [T, B, I]` from its own beginning on, the lengths, and its states `[B, H]`.
pub(super) struct Sequences<'a, E> {
    pub(super) x: &'a [E],
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) lengths: &'a [usize],
    pub(super) h: &'a mut [E],
    pub(super) c: &'a mut [E],
}

/// The sizes of a layer.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
}

impl RecurrentOp {
    fn count(&self) -> usize {
        if self.directions == Directions::Both { 2 } else { 1 }
    }

    /// The layer of Recurve that computes one direction of this, if there is one; its bias is left open.
    pub fn layer(&self, direction: usize, peepholes: bool, hidden: usize) -> Option<Recurrent> {
        let count = self.family.functions();
        let functions = self.functions.get(direction * count..(direction + 1) * count)?;
        let own = Activations::default();
        let (cell, functions, standard) = match (self.family, functions) {
            (Family::Rnn, [Function::Relu]) => {
                return Some(self.clipped(Recurrent::new(CellKind::RnnRelu, hidden)));
            }
            (Family::Rnn, [candidate]) => {
                (CellKind::RnnTanh, Activations { candidate: activation(*candidate)?, ..own }, own)
            }
            (Family::Gru { reset_after }, [gate, candidate]) => {
                let cell = if reset_after { CellKind::Gru } else { CellKind::GruResetBefore };
                let (gate, candidate) = (activation(*gate)?, activation(*candidate)?);
                (cell, Activations { gate, candidate, ..own }, own)
            }
            (Family::Lstm, [gate, candidate, output]) => {
                let cell = match (self.coupled, peepholes) {
                    (false, false) => CellKind::Lstm,
                    (false, true) => CellKind::LstmPeephole,
                    (true, false) => CellKind::LstmCoupled,
                    (true, true) => CellKind::LstmCoupledPeephole,
                };
                let (gate, candidate) = (activation(*gate)?, activation(*candidate)?);
                (cell, Activations { gate, candidate, output: activation(*output)? }, own)
            }
            _ => return None,
        };
        let mut layer = self.clipped(Recurrent::new(cell, hidden));
        layer.activations = (functions != standard).then_some(functions);
        Some(layer)
    }

    fn clipped(&self, layer: Recurrent) -> Recurrent {
        Recurrent { clip_sums: self.clip.filter(|clip| clip.is_finite()), ..layer }
    }

    fn sizes(&self, inputs: &[Option<&Value<impl Element>>]) -> Result<Sizes> {
        let shape =
            |at: usize| inputs.get(at).copied().flatten().map(|value| value.shape().to_vec());
        let need = |at: usize, what: &str| {
            shape(at).ok_or_else(|| Error::damaged(format!("the input {what} is missing")))
        };
        let (x, w, r) = (need(0, "X")?, need(1, "W")?, need(2, "R")?);
        let (&[first, second, input], &[directions, rows, wi], &[rd, rr, hidden]) =
            (&x[..], &w[..], &r[..])
        else {
            return Err(Error::damaged(format!(
                "X {x:?}, W {w:?}, R {r:?}; expected three axes each"
            )));
        };
        let (steps, batch) = if self.batch_first { (second, first) } else { (first, second) };
        let sizes = Sizes { steps, batch, input, hidden, directions };
        let states = if self.batch_first {
            vec![batch, directions, hidden]
        } else {
            vec![directions, batch, hidden]
        };
        let gates = self.family.gates();
        let rest = [
            ("B", 3, vec![directions, 2 * gates * hidden]),
            ("sequence_lens", 4, vec![batch]),
            ("initial_h", 5, states.clone()),
            ("initial_c", 6, states),
            ("P", 7, vec![directions, 3 * hidden]),
        ];
        let wrong =
            rest.iter().find(|(_, at, expected)| shape(*at).is_some_and(|s| s != *expected));
        if let Some((name, at, expected)) = wrong {
            let found = shape(*at).unwrap_or_default();
            return Err(Error::damaged(format!("{name} {found:?}; expected {expected:?}")));
        }
        let fits = directions == self.count() && rd == directions && rr == rows && wi == input;
        if !fits || rows != gates * hidden || hidden == 0 || input == 0 {
            let text =
                format!("X {x:?}, W {w:?}, R {r:?} do not belong to {} directions", self.count());
            return Err(Error::damaged(text));
        }
        Ok(sizes)
    }

    /// Runs the layer.
    pub(super) fn run<E: Element>(
        &self,
        engine: Engine,
        machine: &mut Machine<E>,
        inputs: &[Option<&Value<E>>],
    ) -> Result<Vec<Value<E>>> {
        let sizes = self.sizes(inputs)?;
        let Sizes { steps, batch, input, hidden, directions } = sizes;
        let given = |at: usize| inputs.get(at).copied().flatten();
        self.load(engine, machine, inputs, sizes)?;
        let x = given(0).ok_or_else(|| Error::damaged("the input X is missing"))?;
        let x = if self.batch_first && steps != 1 && batch != 1 {
            super::moving::transpose(x, Some(&[1, 0, 2]))?
        } else {
            x.clone()
        };
        let x = x.reals()?;
        let lengths: Vec<usize> = match given(4) {
            None => vec![],
            Some(lengths) => {
                let length = |length: &i64| usize::try_from(*length).ok().filter(|l| *l <= steps);
                let lengths: Option<_> = lengths.integers()?.data.iter().map(length).collect();
                lengths.ok_or_else(|| Error::asked(format!("a length beyond the {steps} steps")))?
            }
        };
        let states = |at: usize| -> Result<Vec<E>> {
            let Some(states) = given(at) else {
                return Ok(vec![E::default(); directions * batch * hidden]);
            };
            let states = if self.batch_first {
                super::moving::transpose(states, Some(&[1, 0, 2]))?
            } else {
                states.clone()
            };
            Ok(states.reals()?.data.to_vec())
        };
        let (mut h, mut c) = (states(5)?, states(6)?);
        let mut y = vec![E::default(); super::value::volume(&[steps, directions, batch, hidden])?];
        let mirror = |t: usize, b: usize| match lengths.get(b) {
            _ if steps == 0 => 0,
            None => steps - 1 - t,
            Some(length) if t < *length => length - 1 - t,
            Some(_) => t,
        };
        for (at, direction) in machine.directions.iter_mut().enumerate() {
            let reverse = at == 1 || self.directions == Directions::Reverse;
            let mirrored;
            let own = if reverse && steps > 1 {
                let mut turned = vec![E::default(); x.data.len()];
                for (row, to) in turned.chunks_mut(input).enumerate() {
                    let from = mirror(row / batch, row % batch) * batch + row % batch;
                    to.copy_from_slice(&x.data[from * input..][..input]);
                }
                mirrored = turned;
                &mirrored[..]
            } else {
                &x.data[..]
            };
            let range = at * batch * hidden..(at + 1) * batch * hidden;
            let sequences = Sequences {
                x: own,
                steps,
                batch,
                lengths: &lengths,
                h: &mut h[range.clone()],
                c: &mut c[range],
            };
            let mut place = |t: usize, b: usize, row: &[E]| {
                let t = if reverse { mirror(t, b) } else { t };
                let to = (t * directions + at) * batch + b;
                y[to * hidden..][..hidden].copy_from_slice(row);
            };
            if steps > 0 && batch > 0 {
                match direction {
                    Direction::Engine(on) => on.run(sequences, &mut place)?,
                    Direction::Plain(plain) => plain.run(engine, sequences, &mut place),
                }
            }
        }
        let y = Value::Reals(Array::new(vec![steps, directions, batch, hidden], y)?);
        let state = |values: Vec<E>| {
            let state = Value::Reals(Array::new(vec![directions, batch, hidden], values)?);
            if self.batch_first {
                super::moving::transpose(&state, Some(&[1, 0, 2]))
            } else {
                Ok(state)
            }
        };
        let y =
            if self.batch_first { super::moving::transpose(&y, Some(&[2, 0, 1, 3]))? } else { y };
        let mut outputs = vec![y, state(h)?];
        if self.family == Family::Lstm {
            outputs.push(state(c)?);
        }
        Ok(outputs)
    }

    /// Takes over the weights, where they are others than last time.
    fn load<E: Element>(
        &self,
        engine: Engine,
        machine: &mut Machine<E>,
        inputs: &[Option<&Value<E>>],
        sizes: Sizes,
    ) -> Result<()> {
        let weights = |at: usize| inputs.get(at).copied().flatten().map(Value::reals).transpose();
        let given = [weights(1)?, weights(2)?, weights(3)?, weights(7)?];
        let same = machine.of.len() == given.len()
            && machine.of.iter().zip(&given).all(|(old, new)| match (old, new) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, &new.data),
                (None, None) => true,
                _ => false,
            });
        if same {
            return Ok(());
        }
        machine.directions.clear();
        for at in 0..sizes.directions {
            let own = self.direction(at, given, sizes);
            let layer = self.layer(at, !own.p.is_empty(), sizes.hidden);
            let direction = match layer.filter(|_| self.clip.is_none_or(|clip| clip > 0.0)) {
                Some(layer) => {
                    Direction::Engine(Box::new(OnEngine::new(engine, layer, &own, sizes, self)?))
                }
                None => Direction::Plain(Box::new(Plain::new(engine, self, at, sizes.hidden, own))),
            };
            machine.directions.push(direction);
        }
        machine.of = given.iter().map(|array| array.map(|array| array.data.clone())).collect();
        Ok(())
    }

    /// The weights of direction `at`, gates in the order of Recurve.
    fn direction<E: Element>(
        &self,
        at: usize,
        [w, r, b, p]: [Option<&Array<E>>; 4],
        sizes: Sizes,
    ) -> DirectionWeights {
        let (gates, h) = (self.family.gates(), sizes.hidden);
        let wide = |array: Option<&Array<E>>, first: usize, count: usize| -> Vec<f64> {
            let own = array.map(|array| &array.data[at * array.data.len() / sizes.directions..]);
            own.map_or(vec![], |own| own[first..][..count].iter().map(|v| v.to_f64()).collect())
        };
        let ordered = |values: Vec<f64>, columns: usize| {
            if values.is_empty() {
                values
            } else {
                arrange::gates(&values, &self.order, h, columns)
            }
        };
        let p = wide(p, 0, 3 * h);
        let p = if p.is_empty() { p } else { arrange::gates(&p, &self.peepholes, h, 1) };
        let rows = gates * h;
        DirectionWeights {
            w: ordered(wide(w, 0, rows * sizes.input), sizes.input),
            r: ordered(wide(r, 0, rows * h), h),
            b: ordered(wide(b, 0, rows), 1),
            b_r: ordered(wide(b, rows, rows), 1),
            p,
        }
    }
}

/// The activation of a cell that is exactly this function.
fn activation(function: Function) -> Option<Activation> {
    Some(match function {
        Function::Sigmoid => Activation::Sigmoid,
        Function::Tanh => Activation::Tanh,
        Function::Relu => Activation::Relu,
        Function::Softplus => Activation::Softplus,
        Function::Softsign => Activation::Softsign,
        Function::LeakyRelu(alpha) if alpha >= 0.0 => Activation::LeakyRelu { alpha },
        Function::Elu(alpha) if alpha >= 0.0 => Activation::Elu { alpha },
        Function::Affine(alpha, beta) => Activation::Affine { alpha, beta },
        Function::ScaledTanh(alpha, beta) if alpha != 0.0 => Activation::ScaledTanh { alpha, beta },
        Function::HardSigmoid(alpha, beta) => Activation::HardSigmoid { alpha, beta },
        Function::Between(0.0, 6.0) => Activation::Relu6,
        Function::Between(-1.0, 1.0) => Activation::HardTanh,
        _ => return None,
    })
}

impl<E: Element> OnEngine<E> {
    fn new(
        engine: Engine,
        layer: Recurrent,
        weights: &DirectionWeights,
        sizes: Sizes,
        op: &RecurrentOp,
    ) -> Result<Self> {
        let bias = if weights.b.is_empty() { Bias::None } else { Bias::Two };
        let description = Description::values(sizes.input).recurrent(layer.bias(bias));
        let mut model = Model::<E>::new(description.clone())?;
        let h = sizes.hidden;
        let without_forget = |values: &[f64], columns: usize| -> Vec<f64> {
            if op.coupled && !values.is_empty() {
                arrange::gates(values, &[0, 2, 3], h, columns)
            } else {
                values.to_vec()
            }
        };
        let p = if op.coupled && !weights.p.is_empty() {
            arrange::gates(&weights.p, &[0, 2], h, 1)
        } else {
            weights.p.clone()
        };
        for (name, values) in [
            ("w", without_forget(&weights.w, sizes.input)),
            ("r", without_forget(&weights.r, h)),
            ("b", without_forget(&weights.b, 1)),
            ("b_r", without_forget(&weights.b_r, 1)),
            ("p", p),
        ] {
            if let Some(to) = model.get_mut(&format!("0.recurrent.0.forward.{name}")) {
                to.iter_mut().zip(&values).for_each(|(to, value)| *to = E::from_f64(*value));
            }
        }
        let mut network = Network::new(&description, engine)?;
        network.load(model.values(), false);
        let state = State::zero(&description, 0);
        Ok(Self { network, state, description, y: vec![] })
    }

    fn run(
        &mut self,
        sequences: Sequences<'_, E>,
        place: &mut impl FnMut(usize, usize, &[E]),
    ) -> Result<()> {
        if self.state.batch() != sequences.batch {
            self.state = State::zero(&self.description, sequences.batch);
        }
        let part = &mut self.state.parts_mut()[0];
        part.h.copy_from_slice(sequences.h);
        if !part.c.is_empty() {
            part.c.copy_from_slice(sequences.c);
        }
        let mut batch = Batch::new(sequences.steps, sequences.batch, Input::Values(sequences.x));
        batch.lengths = (!sequences.lengths.is_empty()).then_some(sequences.lengths);
        let width = self.network.output_width();
        self.y.clear();
        let y = self.network.forward(&batch, Some(&mut self.state), Mode::Infer)?;
        self.y.extend_from_slice(y);
        for (row, t, b) in self.network.order().places() {
            place(t, b, &self.y[row * width..][..width]);
        }
        let part = &self.state.parts()[0];
        sequences.h.copy_from_slice(&part.h);
        if !part.c.is_empty() {
            sequences.c.copy_from_slice(&part.c);
        }
        Ok(())
    }
}
