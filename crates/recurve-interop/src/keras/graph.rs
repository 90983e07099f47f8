//! From a [`Plan`] to a graph, for all that Recurve has no layer for: other activations, masks, layers that
//! read from the end alone, directions that stay apart.
//!
//! Inputs and outputs are those of the model: `[batch, time, values]`. Where all layers read forward, the states
//! of recurrent layers are inputs and outputs too, so that a sequence can be run piece by piece: those that
//! the model has as inputs, or `layer.h` and `layer.c`.

use super::layers::{Sizes, arranged};
use super::plan::{Activation, Cell, Kind, Plan, Rnn, Step};
use super::variables::{CellWeights, LayerWeights};
use crate::error::{Error, Result};
use crate::graph::{
    Binary, Comparison, Directions, Family, Function, Graph, GraphBuilder, Kind as Of, Op,
    RecurrentOp, Reduction, Size, Slot,
};
use crate::tensors::Tensor;
use recurve_nn::{Merge, Pooling};

/// The graph of a model with these layers and their weights.
///
/// # Errors
/// A combination of layers that is not read; the error names the layer.
pub(super) fn graph(plan: &Plan, layers: &[(Step, LayerWeights)]) -> Result<Graph> {
    let forward = layers.iter().all(|(step, _)| match &step.kind {
        Kind::Recurrent(rnn) => !rnn.backwards,
        Kind::Bidirectional { .. } | Kind::Pool(_) => false,
        _ => true,
    });
    let mut builder = Builder { to: GraphBuilder::new(), mask: None, states: vec![], forward };
    let tokens = matches!(layers.first(), Some((Step { kind: Kind::Embedding { .. }, .. }, _)));
    let named = |name: &str| Size::Named(name.to_owned());
    let mut shape = vec![named("batch"), named("time")];
    if !tokens {
        shape.push(width(layers).map_or_else(|| named("values"), Size::Fixed));
    }
    let kind = if tokens { Of::Integers } else { Of::Reals };
    let x = builder.to.input(&plan.input, kind, Some(shape));
    let mut flow = Flow { slots: vec![x], sequence: true };
    for (step, weights) in layers {
        let told = |error: Error| error.within(format_args!("layer `{}`", step.name));
        flow = builder.step(step, weights, &flow).map_err(told)?;
    }
    for (at, slot) in flow.slots.iter().enumerate() {
        let name = if at == 0 { "y".to_owned() } else { format!("y_{at}") };
        builder.to.output(&name, *slot, Of::Reals, None);
    }
    let mut names = vec![];
    for (name, slot) in builder.states {
        let after = format!("{name}.after");
        builder.to.output(&after, slot, Of::Reals, None);
        names.push((name, after));
    }
    let mut graph = builder.to.finish()?;
    for (before, after) in names {
        graph.set_state(&before, &after)?;
    }
    Ok(graph)
}

/// Values that a step of the input has: rows of the first kernel.
fn width(layers: &[(Step, LayerWeights)]) -> Option<usize> {
    layers.iter().find_map(|(_, weights)| match weights {
        LayerWeights::Plain(weights) => weights.first()?.shape.first().copied(),
        LayerWeights::Cells(cells) | LayerWeights::Directions(cells, _) => {
            cells.first()?.kernel.shape.first().copied()
        }
    })
}

/// What goes from layer to layer.
struct Flow {
    /// One; two where directions stay apart.
    slots: Vec<Slot>,
    /// Whether there are steps, and not one vector for a sequence.
    sequence: bool,
}

struct Builder {
    to: GraphBuilder,
    /// Which steps count, where some may not.
    mask: Option<Slot>,
    /// Whether all layers read forward, so that a sequence can be run piece by piece.
    forward: bool,
    /// States: the name of the input, and the edge after a run.
    states: Vec<(String, Slot)>,
}

impl Builder {
    fn step(&mut self, step: &Step, weights: &LayerWeights, flow: &Flow) -> Result<Flow> {
        let &[x] = &flow.slots[..] else {
            return Err(Error::refused("it reads two directions that stay apart"));
        };
        let name = step.name.as_str();
        let one = |slot| Flow { slots: vec![slot], sequence: flow.sequence };
        Ok(match (&step.kind, weights) {
            (Kind::Embedding { tokens, width, mask_zero }, LayerWeights::Plain(weights)) => {
                weights[0].check_shape(&[*tokens, *width])?;
                if *mask_zero {
                    let zero = self.to.integers(&[0]);
                    let equal = self.to.node(name, Op::Compare(Comparison::Equal), &[x, zero]);
                    self.mask = Some(self.to.node(name, Op::Not, &[equal]));
                }
                let table = self.tensor(&weights[0])?;
                one(self.to.node(name, Op::Gather(0), &[table, x]))
            }
            (Kind::Masking { value }, _) => {
                let value = self.to.reals(&[1], &[*value])?;
                let equal = self.to.node(name, Op::Compare(Comparison::Equal), &[x, value]);
                let other = self.to.node(name, Op::Not, &[equal]);
                let other = self.to.node(name, Op::Cast(Of::Reals), &[other]);
                let any = |keep| Op::Reduce { how: Reduction::Max, axes: Some(vec![-1]), keep };
                let (flag, factor) = (any(false), any(true));
                let flag = self.to.node(name, flag, &[other]);
                self.mask = Some(self.to.node(name, Op::Cast(Of::Truths), &[flag]));
                let factor = self.to.node(name, factor, &[other]);
                one(self.to.node(name, Op::Binary(Binary::Mul), &[x, factor]))
            }
            (Kind::Recurrent(rnn), LayerWeights::Cells(cells)) => {
                let given = self.recurrent(name, rnn, cells, x, &step.initial)?;
                self.after(rnn.sequences);
                Flow { slots: vec![given], sequence: rnn.sequences }
            }
            (Kind::Bidirectional { forward, backward, merge }, LayerWeights::Directions(f, b)) => {
                if !step.initial.is_empty() {
                    let text =
                        "states as inputs of two directions, with what Recurve has no layer for";
                    return Err(Error::refused(text));
                }
                // Keras does so, whatever the layers say.
                let zero = |rnn: &Rnn| Rnn { zero_where_masked: rnn.sequences, ..rnn.clone() };
                let forward = zero(forward);
                let one = self.cells(name, &forward, f, x, None)?;
                let mut other = self.recurrent(name, &zero(backward), b, x, &[])?;
                if forward.sequences {
                    other = self.reversed(name, other);
                }
                self.after(forward.sequences);
                let slots = match merge {
                    None => vec![one, other],
                    Some(Merge::Concat) => vec![self.to.node(name, Op::Concat(-1), &[one, other])],
                    Some(Merge::Product) => {
                        vec![self.to.node(name, Op::Binary(Binary::Mul), &[one, other])]
                    }
                    Some(merge) => {
                        let sum = self.to.node(name, Op::Binary(Binary::Add), &[one, other]);
                        let half = self.to.reals(&[1], &[0.5])?;
                        vec![if *merge == Merge::Mean {
                            self.to.node(name, Op::Binary(Binary::Mul), &[sum, half])
                        } else {
                            sum
                        }]
                    }
                };
                Flow { slots, sequence: forward.sequences }
            }
            (Kind::Dense { units, then, .. }, LayerWeights::Plain(weights)) => {
                super::layers::inputs(&weights[0], *units)?;
                let kernel = self.tensor(&weights[0])?;
                let mut y = self.to.node(name, Op::MatMul, &[x, kernel]);
                if let Some(bias) = weights.get(1) {
                    bias.check_shape(&[*units])?;
                    let bias = self.tensor(bias)?;
                    y = self.to.node(name, Op::Binary(Binary::Add), &[y, bias]);
                }
                one(self.activation(name, *then, y)?)
            }
            (Kind::LayerNorm { epsilon, gain, shift, axis }, LayerWeights::Plain(weights)) => {
                let last = if flow.sequence { 2 } else { 1 };
                if axis.is_some_and(|axis| axis != last) {
                    return Err(Error::refused("a normalisation over another axis than the last"));
                }
                let mut weights = weights.iter();
                let mut next = |is_there: bool, to: &mut Self| -> Result<Option<Slot>> {
                    is_there.then(|| weights.next()).flatten().map(|w| to.tensor(w)).transpose()
                };
                let (gain, shift) = (next(*gain, self)?, next(*shift, self)?);
                let gain = match gain {
                    Some(gain) => gain,
                    None => self.to.reals(&[1], &[1.0])?,
                };
                let op = Op::LayerNorm { axis: -1, epsilon: *epsilon };
                one(self.to.nodes(name, op, &[Some(x), Some(gain), shift], 1)[0])
            }
            (Kind::Pool(by), _) => {
                if self.mask.is_some() {
                    return Err(Error::refused("pooling of steps of which some do not count"));
                }
                let how = match by {
                    Pooling::Mean => Reduction::Mean,
                    Pooling::Max => Reduction::Max,
                    other => return Err(Error::refused(format!("pooling by {other:?}"))),
                };
                let op = Op::Reduce { how, axes: Some(vec![1]), keep: false };
                Flow { slots: vec![self.to.node(name, op, &[x])], sequence: false }
            }
            (Kind::Activation(activation), _) => one(self.activation(name, *activation, x)?),
            (Kind::Nothing, _) => one(x),
            _ => return Err(Error::damaged("its weights are not those of such a layer")),
        })
    }

    /// After the last step alone, no mask is left.
    fn after(&mut self, sequences: bool) {
        self.mask = self.mask.filter(|_| sequences);
    }

    /// Values that a tensor holds.
    fn tensor(&mut self, tensor: &Tensor) -> Result<Slot> {
        self.to.reals(&tensor.shape, &tensor.reals()?)
    }

    fn reversed(&mut self, name: &str, x: Slot) -> Slot {
        let ends = [&[-1][..], &[i64::MIN], &[1], &[-1]].map(|values| self.to.integers(values));
        let [start, end, axis, step] = ends;
        self.to.node(name, Op::Slice(None), &[x, start, end, axis, step])
    }

    fn activation(&mut self, name: &str, activation: Activation, x: Slot) -> Result<Slot> {
        Ok(match activation {
            Activation::Linear => x,
            Activation::Softmax => {
                let op = Op::Softmax { axis: -1, joined: false, logarithm: false };
                self.to.node(name, op, &[x])
            }
            other => self.to.node(name, Op::Function(function(other)?), &[x]),
        })
    }

    fn recurrent(
        &mut self,
        name: &str,
        rnn: &Rnn,
        cells: &[CellWeights],
        x: Slot,
        initial: &[String],
    ) -> Result<Slot> {
        if rnn.backwards {
            if !initial.is_empty() {
                return Err(Error::refused("states as inputs of a layer that reads from the end"));
            }
            let (x, mask) = (self.reversed(name, x), self.mask);
            self.mask = mask.map(|mask| self.reversed(name, mask));
            let given = self.cells(name, rnn, cells, x, None);
            // The mask goes on as it was, though the steps are turned; so does Keras.
            self.mask = mask;
            return given;
        }
        let carried = self.forward || !initial.is_empty();
        self.cells(name, rnn, cells, x, carried.then_some(initial))
    }

    /// The cells of a layer, on top of each other, read in the order of the steps. `initial` names the inputs
    /// that are its states; where there is none at all, states are zero and not carried.
    fn cells(
        &mut self,
        name: &str,
        rnn: &Rnn,
        cells: &[CellWeights],
        x: Slot,
        initial: Option<&[String]>,
    ) -> Result<Slot> {
        let (mut x, mut lengths) = (x, None);
        if let Some(mask) = self.mask {
            let moved = self.to.nodes(name, Op::Compact, &[Some(x), Some(mask)], 2);
            (x, lengths) = (moved[0], Some(moved[1]));
        }
        let mut names = initial.unwrap_or_default().iter().cloned();
        let (mut y, mut last) = (x, x);
        for (at, (cell, weights)) in rnn.cells.iter().zip(cells).enumerate() {
            let layer = if rnn.cells.len() == 1 { name.to_owned() } else { format!("{name}.{at}") };
            let sizes = Sizes::of(cell, weights)?;
            let arranged = arranged(sizes, weights)?;
            let (hidden, rows) = (sizes.hidden, cell.form.gates() * sizes.hidden);
            let op = op(cell, sizes)?;
            let counts = if op.family == Family::Lstm { 2 } else { 1 };
            let w = self.to.reals(&[1, rows, sizes.input], &arranged.w)?;
            let r = self.to.reals(&[1, rows, hidden], &arranged.r)?;
            let mut both = arranged.b;
            let b = if both.is_empty() {
                None
            } else {
                both.extend(arranged.b_r);
                both.resize(2 * rows, 0.0);
                Some(self.to.reals(&[1, 2 * rows], &both)?)
            };
            let mut inputs = vec![Some(y), Some(w), Some(r), b, lengths];
            let mut carried = vec![];
            for state in ["h", "c"].iter().take(counts) {
                if initial.is_none() {
                    break;
                }
                let own = names.next().unwrap_or_else(|| format!("{layer}.{state}"));
                let shape = vec![Size::Named("batch".into()), Size::Fixed(hidden)];
                let before = self.to.input(&own, Of::Reals, Some(shape));
                inputs.push(Some(self.to.node(&layer, Op::Unsqueeze(Some(vec![1])), &[before])));
                carried.push(own);
            }
            let outputs = self.to.nodes(&layer, Op::Recurrent(op), &inputs, 1 + counts);
            y = self.to.node(&layer, Op::Squeeze(Some(vec![2])), &[outputs[0]]);
            let squeeze = || Op::Squeeze(Some(vec![1]));
            last = self.to.node(&layer, squeeze(), &[outputs[1]]);
            for (own, after) in carried.into_iter().zip(&outputs[1..]) {
                let after = self.to.node(&layer, squeeze(), &[*after]);
                self.states.push((own, after));
            }
        }
        let Some(mask) = self.mask else {
            return Ok(if rnn.sequences { y } else { last });
        };
        let spread = Op::Spread { zero: rnn.zero_where_masked };
        let mut y = self.to.node(name, spread, &[y, mask]);
        if !rnn.sequences {
            let place = self.to.integers(&[-1]);
            let row = self.to.node(name, Op::Gather(1), &[y, place]);
            y = self.to.node(name, Op::Squeeze(Some(vec![1])), &[row]);
        }
        Ok(y)
    }
}

/// The operator of a cell whose weights stand in the order of Recurve.
fn op(cell: &Cell, sizes: Sizes) -> Result<RecurrentOp> {
    use super::plan::Form;
    let (gates, own) = (function(cell.gates)?, function(cell.activation)?);
    let (family, functions) = match sizes.form {
        Form::Simple => (Family::Rnn, vec![own]),
        Form::Lstm => (Family::Lstm, vec![gates, own, own]),
        Form::Gru { reset_after } => {
            let reset_after = reset_after == Some(true);
            (Family::Gru { reset_after }, vec![gates, own])
        }
    };
    Ok(RecurrentOp {
        family,
        directions: Directions::Forward,
        functions,
        clip: None,
        coupled: false,
        batch_first: true,
        order: (0..family.gates()).collect(),
        peepholes: [0, 1, 2],
    })
}

/// A function of one number.
fn function(activation: Activation) -> Result<Function> {
    Ok(match activation {
        Activation::Linear => Function::Affine(1.0, 0.0),
        Activation::Tanh => Function::Tanh,
        Activation::Sigmoid => Function::Sigmoid,
        Activation::HardSigmoid { slope } => Function::HardSigmoid(slope, 0.5),
        Activation::Relu => Function::Relu,
        Activation::Relu6 => Function::Between(0.0, 6.0),
        Activation::LeakyRelu { slope } => Function::LeakyRelu(slope),
        Activation::Elu { alpha } => Function::Elu(alpha),
        Activation::Selu => Function::Selu(1.673_263_242_354_377_2, 1.050_700_987_355_480_5),
        Activation::Softplus => Function::Softplus,
        Activation::Softsign => Function::Softsign,
        Activation::Silu => Function::Silu,
        Activation::Gelu { approximate: false } => Function::Gelu,
        Activation::Gelu { approximate: true } => Function::GeluTanh,
        Activation::HardTanh => Function::Between(-1.0, 1.0),
        Activation::HardSilu => Function::HardSilu,
        Activation::Exponential => Function::Exp,
        Activation::Mish => Function::Mish,
        Activation::Softmax => {
            return Err(Error::refused("a softmax within a recurrent cell"));
        }
    })
}
