//! What every unit did at every step of one sequence: the engine's own trace, by the letters of the gates.
//!
//! `h`, `c`, the gates and the outputs are those of [`Network::trace`], to the bit. A model with weights in fewer
//! bits is looked at in full precision, with the weights as they were rounded; its outputs are its own. What a layer
//! read is put together from what stands below it: the states of the layer before, or the layers before the stack.

use crate::equations::gates_of;
use crate::facts::{self, Facts};
use recurve_nn::{
    Batch, CellKind, Connection, Description, Engine, Entries, Initial, Input, Layer, Merge, Mode,
    Model, Network, Precision, Recurrent, State, Words,
};
use recurve_train::error::{Error, Result};
use std::collections::BTreeMap;

/// One sequence as the model reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sequence {
    /// Tokens `[T]`.
    Tokens(Vec<u32>),
    /// Rows `[T, I]`.
    Values(Vec<f32>),
    /// Words with their letters.
    Words {
        /// Words `[T]`.
        tokens: Vec<u32>,
        /// Their forms `[T]`.
        forms: Vec<u32>,
        /// The letters of the forms `[longest, forms]`.
        letters: Vec<u32>,
        /// Letters of each form.
        lengths: Vec<usize>,
    },
}

impl Sequence {
    /// A batch of one sequence.
    pub(crate) fn of(batch: &Batch<'_, f32>) -> Self {
        match batch.input {
            Input::Tokens(tokens) => Self::Tokens(tokens.to_vec()),
            Input::Values(values) => Self::Values(values.to_vec()),
            Input::Words(words) => Self::Words {
                tokens: words.tokens.to_vec(),
                forms: words.forms.to_vec(),
                letters: words.letters.to_vec(),
                lengths: words.lengths.to_vec(),
            },
        }
    }

    /// Steps, where a row has this many numbers.
    pub(crate) fn steps(&self, width: usize) -> usize {
        match self {
            Self::Tokens(tokens) | Self::Words { tokens, .. } => tokens.len(),
            Self::Values(values) => values.len() / width.max(1),
        }
    }

    pub(crate) fn input(&self) -> Input<'_, f32> {
        match self {
            Self::Tokens(tokens) => Input::Tokens(tokens),
            Self::Values(values) => Input::Values(values),
            Self::Words { tokens, forms, letters, lengths } => {
                Input::Words(Words { tokens, forms, letters, lengths })
            }
        }
    }
}

/// What happened in one layer and direction.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Gates and states by their letters, `[T, H]` each.
    pub(crate) planes: BTreeMap<&'static str, Vec<f32>>,
    /// What the layer read, `[T, I]`.
    pub(crate) x: Vec<f32>,
    /// Values in a row of `x`.
    pub(crate) inputs: usize,
}

/// What happened in a model over one sequence.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// Steps.
    pub(crate) steps: usize,
    /// Every layer and direction, in the order of [`places`].
    pub(crate) parts: Vec<Part>,
    /// The outputs: a row per step, or one row where the model pools.
    pub(crate) outputs: Vec<f32>,
}

/// One recurrent layer in one direction, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The layer of the description.
    pub(crate) at: usize,
    /// The layer of the stack.
    pub(crate) layer: usize,
    /// Whether it reads from the end.
    pub(crate) reverse: bool,
    /// The cell.
    pub(crate) cell: CellKind,
    /// Units.
    pub(crate) hidden: usize,
    /// Values it reads per step.
    pub(crate) inputs: usize,
}

impl Place {
    /// What is known about its cell.
    pub(crate) fn facts(&self) -> Option<Facts> {
        facts::of(self.cell.name())
    }

    /// The name of some of its weights.
    pub(crate) fn name(&self, weights: &str) -> String {
        let direction = if self.reverse { "reverse" } else { "forward" };
        format!("{}.recurrent.{}.{direction}.{weights}", self.at, self.layer)
    }

    /// The letters of what a trace holds of it: gates first, then states.
    pub(crate) fn planes(&self) -> Vec<&'static str> {
        let Some(facts) = self.facts() else { return vec!["h"] };
        let mut names: Vec<_> = facts.gates.iter().map(|gate| gate.name).collect();
        if facts.coupled {
            names.insert(1, "f");
        }
        names.retain(|name| *name != "a");
        names.extend(if facts.has_c { &["c", "h"][..] } else { &["h"] });
        names
    }

    /// The step read before step `t` of `steps`, if there is one.
    pub(crate) fn before(&self, t: usize, steps: usize) -> Option<usize> {
        if self.reverse { Some(t + 1).filter(|t| *t < steps) } else { t.checked_sub(1) }
    }
}

/// Every recurrent layer and direction of a model, from the input up, forward before reverse.
pub(crate) fn places(description: &Description) -> Result<Vec<Place>> {
    let widths = description.widths().map_err(unsound)?;
    let mut places = vec![];
    for (at, layer) in description.layers.iter().enumerate() {
        let Layer::Recurrent(stack) = layer else { continue };
        for layer in 0..stack.layers {
            for direction in 0..stack.directions() {
                places.push(Place {
                    at,
                    layer,
                    reverse: direction == 1,
                    cell: stack.cell,
                    hidden: stack.hidden,
                    inputs: if layer == 0 { widths[at] } else { stack.width() },
                });
            }
        }
    }
    Ok(places)
}

/// What is looked into of a model: itself, or the encoder of one with a decoder.
pub(crate) fn looked_into(model: &Model<f32>) -> Result<Model<f32>> {
    let Some(pair) = model.description().seq2seq() else { return Ok(model.clone()) };
    let mut encoder = Model::new(pair.encoder).map_err(unsound)?;
    let own = &model.values()[..encoder.values().len()];
    encoder.values_mut().copy_from_slice(own);
    Ok(encoder)
}

/// A model with what is [looked into](looked_into) replaced.
pub(crate) fn whole(model: &Model<f32>, part: &Model<f32>) -> Model<f32> {
    let mut whole = model.clone();
    whole.values_mut()[..part.values().len()].copy_from_slice(part.values());
    whole
}

/// Why a model cannot be walked layer by layer, if it cannot.
pub(crate) fn unfit(description: &Description) -> Option<String> {
    let plain = |stack: &&Recurrent| {
        stack.connection == Connection::Plain
            && stack.merge == Merge::Concat
            && stack.initial == Initial::Zero
            && (stack.activations, stack.clip_sums, stack.clip_state) == (None, None, None)
            && !stack.has_stages()
    };
    description.stacks().find(|stack| !plain(stack)).map(|stack| {
        format!(
            "the explorer traces stacks with plain steps and connections, directions side by side and \
             initial states of zero; this one has `{}`, `{}` and `{}`{}; the training log is shown",
            stack.connection.name(),
            stack.merge.name(),
            stack.initial.name(),
            if stack.has_stages() { ", and more in its steps than a cell" } else { "" }
        )
    })
}

/// The states after step `t` of a trace; those before the first step where there is none.
///
/// # Errors
/// The gates of a cell are not known, and so its states other than `h` are not.
pub(crate) fn states(
    description: &Description,
    trace: &Trace,
    t: impl Fn(usize) -> Option<usize>,
) -> Result<State<f32>> {
    let mut states = State::zero(description, 1);
    for (at, (part, own)) in states.parts_mut().iter_mut().zip(&trace.parts).enumerate() {
        let Some(t) = t(at) else { continue };
        let row = |plane: &Vec<f32>| plane[t * part.hidden..][..part.hidden].to_vec();
        if !part.c.is_empty() {
            let c = own.planes.get("c").map(row);
            part.c = c.filter(|c| c.len() == part.c.len()).ok_or_else(|| {
                Error::usage("the states of this cell are not known to the explorer")
            })?;
        }
        part.h = row(&own.planes["h"]);
    }
    Ok(states)
}

/// Runs a model over one sequence and keeps what every unit did.
///
/// # Errors
/// The sequence is empty or not what the model reads.
pub(crate) fn trace(model: &Model<f32>, engine: Engine, sequence: &Sequence) -> Result<Trace> {
    let description = model.description();
    let steps = sequence.steps(description.widths().map_err(unsound)?[0]);
    if steps == 0 {
        return Err(Error::usage("there is no step to look at; give a longer piece"));
    }
    let full = engine.with_precision(Precision::Full);
    let mut network = Network::new(description, full).map_err(unsound)?;
    network.load(model.values(), false);
    let traced = network.trace(&Batch::new(steps, 1, sequence.input()), None).map_err(unsound)?;
    let outputs = match engine.precision() {
        Precision::Full => traced.outputs,
        _ => run(engine, description, model.values(), (steps, sequence.input()))?,
    };
    let places = places(description)?;
    let mut parts: Vec<Part> = vec![];
    for (place, layer) in places.iter().zip(&traced.layers) {
        let x = if place.layer > 0 {
            let below = places
                .iter()
                .zip(&parts)
                .filter(|(other, _)| (other.at, other.layer + 1) == (place.at, place.layer));
            let planes: Vec<&[f32]> = below.map(|(_, part)| &part.planes["h"][..]).collect();
            side_by_side(&planes, place.hidden)
        } else {
            before(model, engine, place.at, (steps, sequence))?
        };
        let plane = |all: &[f32], at: usize| {
            all[at * steps * place.hidden..][..steps * place.hidden].to_vec()
        };
        let mut planes = BTreeMap::from([("h", plane(&layer.states, 0))]);
        if let (Some(cell), Some(facts)) = (gates_of(place.cell), place.facts()) {
            for (name, column) in cell.names.iter().zip(cell.columns) {
                planes.insert(*name, plane(&layer.gates, *column));
            }
            if let (true, Some(forget)) = (facts.coupled, planes.get_mut("f")) {
                forget.iter_mut().for_each(|gate| *gate = 1.0 - *gate);
            }
            if facts.has_c {
                planes.insert("c", plane(&layer.states, 1));
            }
        }
        parts.push(Part { planes, x, inputs: place.inputs });
    }
    Ok(Trace { steps, parts, outputs })
}

/// Of every layer and gate that lies between 0 and 1: its letter, the share of values below 0.1 and of those above
/// 0.9 (Karpathy, Johnson & Fei-Fei 2015).
pub(crate) fn saturation(places: &[Place], trace: &Trace) -> Vec<Vec<(&'static str, f64, f64)>> {
    let shares = |plane: &Vec<f32>| {
        let share = |is: &dyn Fn(f32) -> bool| {
            plane.iter().filter(|gate| is(**gate)).count() as f64 / plane.len() as f64
        };
        (share(&|gate| gate < 0.1), share(&|gate| gate > 0.9))
    };
    let of_part = |(place, part): (&Place, &Part)| {
        let names = place.planes().into_iter();
        let opening = names.filter(|name| ["i", "f", "o", "r", "z"].contains(name));
        let told = opening.filter_map(|name| Some((name, shares(part.planes.get(name)?))));
        told.map(|(name, (closed, open))| (name, closed, open)).collect()
    };
    places.iter().zip(&trace.parts).map(of_part).collect()
}

/// Rows of several planes, one beside the other.
pub(crate) fn side_by_side(planes: &[&[f32]], hidden: usize) -> Vec<f32> {
    let steps = planes.first().map_or(0, |plane| plane.len() / hidden);
    let row = |t: usize| planes.iter().flat_map(move |plane| &plane[t * hidden..][..hidden]);
    (0..steps).flat_map(row).copied().collect()
}

/// What layer `at` of a model reads of a sequence.
fn before(
    model: &Model<f32>,
    engine: Engine,
    at: usize,
    (steps, sequence): (usize, &Sequence),
) -> Result<Vec<f32>> {
    if let (0, Sequence::Values(values)) = (at, sequence) {
        return Ok(values.clone());
    }
    let description = model.description();
    let below = Description { input: description.input, layers: description.layers[..at].to_vec() };
    let count = Entries::of(&below).map_err(unsound)?.len();
    run(engine, &below, &model.values()[..count], (steps, sequence.input()))
}

/// Runs a model of these layers and weights over one sequence.
pub(crate) fn run(
    engine: Engine,
    description: &Description,
    values: &[f32],
    (steps, input): (usize, Input<'_, f32>),
) -> Result<Vec<f32>> {
    let mut network = Network::new(description, engine).map_err(unsound)?;
    network.load(values, false);
    let batch = Batch::new(steps, 1, input);
    Ok(network.forward(&batch, None, Mode::Infer).map_err(unsound)?.to_vec())
}

/// A sequence or model that the layers refuse.
pub(crate) fn unsound(error: recurve_nn::Error) -> Error {
    Error::usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{self, Edit};
    use recurve_nn::{Bias, Session};

    /// Weights that no two units share.
    pub(crate) fn filled(description: Description) -> Model<f32> {
        let mut model = Model::new(description).unwrap();
        for (at, weight) in model.values_mut().iter_mut().enumerate() {
            *weight = ((at as f32 * 0.7).sin() + (at as f32 * 0.013).cos()) * 0.4;
        }
        model
    }

    fn known() -> impl Iterator<Item = CellKind> {
        CellKind::ALL.into_iter().filter(|cell| facts::of(cell.name()).is_some())
    }

    fn rows(steps: usize, width: usize) -> Vec<f32> {
        (0..steps * width).map(|at| (at as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn every_cell_gives_what_a_session_gives() {
        let engine = Engine::detect().unwrap();
        for cell in known() {
            let stack = Recurrent::new(cell, 11).layers(2);
            let model = filled(Description::values(3).recurrent(stack).layer_norm().linear(2));
            let x = rows(14, 3);
            let trace = trace(&model, engine, &Sequence::Values(x.clone())).unwrap();
            let mut session = Session::new(&model, engine, 1).unwrap();
            for (t, row) in x.chunks_exact(3).enumerate() {
                assert_eq!(session.step(row), &trace.outputs[t * 2..][..2], "{cell:?}");
                for (part, state) in trace.parts.iter().zip(session.state().parts()) {
                    assert_eq!(part.planes["h"][t * 11..][..11], state.h, "{cell:?} step {t}");
                    for (at, c) in state.c.iter().enumerate() {
                        let own = part.planes["c"][t * 11 + at];
                        assert!((own - c).abs() < 1e-5, "{cell:?} step {t}: {own} {c}");
                    }
                }
            }
            // The gates give the h that the engine gave.
            for part in &trace.parts {
                let get = |name: &str, at: usize| part.planes[name][at];
                for at in 11..14 * 11 {
                    let h = match cell {
                        CellKind::RnnTanh | CellKind::RnnRelu => continue,
                        CellKind::Gru | CellKind::GruResetBefore => {
                            (1.0 - get("z", at)) * get("n", at) + get("z", at) * get("h", at - 11)
                        }
                        _ => get("o", at) * get("c", at).tanh(),
                    };
                    assert!((h - get("h", at)).abs() < 1e-5, "{cell:?}: {h} {}", get("h", at));
                }
            }
        }
    }

    #[test]
    fn of_a_cell_that_is_not_known_the_output_alone_is_shown() {
        let engine = Engine::detect().unwrap();
        let mut count = 0;
        let unknown = CellKind::ALL.into_iter().filter(|cell| facts::of(cell.name()).is_none());
        // This one has as many inputs as units.
        for cell in unknown.filter(|cell| *cell != CellKind::Sru) {
            let model = filled(Description::values(3).recurrent(Recurrent::new(cell, 4)));
            if unfit(model.description()).is_some() {
                continue;
            }
            let traced = trace(&model, engine, &Sequence::Values(rows(5, 3))).unwrap();
            assert_eq!(traced.parts[0].planes.keys().collect::<Vec<_>>(), [&"h"], "{cell:?}");
            assert_eq!(traced.parts[0].planes["h"], traced.outputs);
            let states = states(model.description(), &traced, |_| Some(2));
            let one = State::<f32>::zero(model.description(), 1).parts()[0].c.is_empty();
            assert_eq!(states.is_ok(), one, "{cell:?}");
            count += 1;
        }
        assert!(count > 0);
    }

    #[test]
    fn a_stack_that_cannot_be_walked_is_refused_by_name() {
        let stack = Recurrent::new(CellKind::Lstm, 4).layers(2);
        assert_eq!(unfit(&Description::values(3).recurrent(stack.clone())), None);
        let stack = Recurrent { connection: Connection::Residual, ..stack };
        let why = unfit(&Description::values(3).recurrent(stack)).unwrap();
        assert!(why.contains("`residual`"), "{why}");
    }

    #[test]
    fn both_directions_are_traced_and_their_gates_read_the_right_way() {
        let engine = Engine::detect().unwrap();
        let stack = Recurrent::new(CellKind::Lstm, 5).layers(2).bidirectional();
        let model = filled(Description::tokens(7).embedding(4).recurrent(stack).linear(3));
        let tokens = vec![3, 1, 4, 1, 5, 2, 6];
        let traced = trace(&model, engine, &Sequence::Tokens(tokens.clone())).unwrap();
        let mut network = Network::new(model.description(), engine).unwrap();
        network.load(model.values(), false);
        let batch = Batch::new(7, 1, Input::Tokens(&tokens));
        assert_eq!(network.forward(&batch, None, Mode::Infer).unwrap(), traced.outputs);
        let places = places(model.description()).unwrap();
        assert_eq!(
            places.iter().map(|place| place.reverse).collect::<Vec<_>>(),
            [false, true, false, true]
        );
        for part in &traced.parts {
            for (at, h) in part.planes["h"].iter().enumerate() {
                let found = part.planes["o"][at] * part.planes["c"][at].tanh();
                assert!((found - h).abs() < 1e-5, "{found} {h}");
            }
        }
    }

    #[test]
    fn a_unit_that_is_off_is_silent_in_every_cell() {
        let engine = Engine::detect().unwrap();
        for cell in known() {
            let model = filled(Description::values(2).recurrent(Recurrent::new(cell, 6)).linear(1));
            let places = places(model.description()).unwrap();
            let off = Edit::Off { part: 0, units: vec![1, 4] };
            let changed = edit::apply(&model, &places, &[off]).unwrap();
            let traced = trace(&changed, engine, &Sequence::Values(rows(9, 2))).unwrap();
            for (at, h) in traced.parts[0].planes["h"].iter().enumerate() {
                let silent = [1, 4].contains(&(at % 6));
                assert!(!silent || *h == 0.0, "{cell:?}: {h}");
            }
            for gate in places[0].facts().unwrap().gates.iter().filter(|gate| gate.name != "a") {
                let held =
                    Edit::Clamp { part: 0, gate: gate.name.to_owned(), unit: None, value: 0.5 };
                let changed = edit::apply(&model, &places, &[held]).unwrap();
                let traced = trace(&changed, engine, &Sequence::Values(rows(9, 2))).unwrap();
                let all = traced.parts[0].planes[gate.name].iter();
                assert!(all.clone().all(|v| (v - 0.5).abs() < 1e-6), "{cell:?} {}", gate.name);
            }
        }
    }

    #[test]
    fn a_gate_that_needs_a_bias_the_layer_lacks_is_refused() {
        let stack = Recurrent::new(CellKind::Lstm, 3).bias(Bias::None);
        let model = filled(Description::values(2).recurrent(stack));
        let places = places(model.description()).unwrap();
        let held = |value| Edit::Clamp { part: 0, gate: "f".to_owned(), unit: Some(0), value };
        let error = edit::apply(&model, &places, &[held(1.0)]).unwrap_err();
        assert!(error.to_string().contains("no bias"), "{error}");
        edit::apply(&model, &places, &[held(0.5)]).unwrap();
    }
}
