//! What every unit did at every step of one sequence.
//!
//! The model is walked layer by layer, each run by the engine alone on what the layer below gave, so `h`
//! and the outputs are those of a [`Session`](recurve_nn::Session) over the whole model to the bit. The
//! sums of the gates are formed again from `x` and `h'` by two products over all steps at once, and the
//! cell's own equations turn them into gates and `c`; these agree with the engine's to rounding.

use crate::facts::{self, Facts};
use recurve_cell::{
    Cell, CoupledLstm, Gru, GruResetBefore, Lstm, Relu, Rnn, Sees, Sightless, Standard, Tanh,
};
use recurve_nn::{
    Batch, CellKind, Connection, Description, Engine, Initial, Input, InputKind, Layer, Merge,
    Mode, Model, Network, Recurrent, State,
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
    let widths = description.widths().map_err(unsound)?;
    let places = places(description)?;
    let (mut rows, mut parts, mut steps) = (vec![], vec![], 0);
    for (at, layer) in description.layers.iter().enumerate() {
        if at == 0 {
            steps = match sequence {
                Sequence::Tokens(tokens) => tokens.len(),
                Sequence::Values(values) => values.len() / widths[0],
            };
            if steps == 0 {
                return Err(Error::usage("there is no step to look at; give a longer piece"));
            }
            if let Sequence::Values(values) = sequence {
                rows.clone_from(values);
            }
        }
        let below = Below { rows: &rows, width: widths[at], sequence, first: at == 0 };
        rows = match layer {
            Layer::Recurrent(stack) => {
                let own = places.iter().filter(|place| place.at == at);
                recurrent(model, engine, (at, stack), below, own, &mut parts)?
            }
            other => {
                let values = weights(model, &format!("{at}."));
                below.run(engine, steps, vec![other.clone()], values)?
            }
        };
    }
    Ok(Trace { steps, parts, outputs: rows })
}

/// What a layer reads.
#[derive(Clone, Copy)]
struct Below<'a> {
    rows: &'a [f32],
    width: usize,
    sequence: &'a Sequence,
    first: bool,
}

impl Below<'_> {
    /// Runs some layers alone.
    fn run(
        self,
        engine: Engine,
        steps: usize,
        layers: Vec<Layer>,
        values: &[f32],
    ) -> Result<Vec<f32>> {
        let (input, given) = match self.sequence {
            Sequence::Tokens(tokens) if self.first => {
                let rows = values.len() / width_of(&layers).max(1);
                (InputKind::Tokens { vocabulary: rows }, Input::Tokens(tokens))
            }
            _ => (InputKind::Values { width: self.width }, Input::Values(self.rows)),
        };
        // After pooling there is one row.
        let steps = if let Input::Values(rows) = given { rows.len() / self.width } else { steps };
        run(engine, &Description { input, layers }, values, steps, given)
    }
}

/// The width of an embedding that stands first.
fn width_of(layers: &[Layer]) -> usize {
    match layers.first() {
        Some(Layer::Embedding { width, .. }) => *width,
        _ => 0,
    }
}

/// Runs a model of these layers and weights over one sequence.
pub(crate) fn run(
    engine: Engine,
    description: &Description,
    values: &[f32],
    steps: usize,
    input: Input<'_, f32>,
) -> Result<Vec<f32>> {
    let mut network = Network::new(description, engine).map_err(unsound)?;
    network.load(values, false);
    let batch = Batch::new(steps, 1, input);
    Ok(network.forward(&batch, None, Mode::Infer).map_err(unsound)?.to_vec())
}

/// The weights whose names begin so; they lie side by side.
fn weights<'a>(model: &'a Model<f32>, start: &str) -> &'a [f32] {
    let mut own = model.entries().iter().filter(|entry| entry.name.starts_with(start));
    let Some(first) = own.next() else { return &[] };
    let end = own.next_back().unwrap_or(first).range.end;
    &model.values()[first.range.start..end]
}

fn recurrent<'p>(
    model: &Model<f32>,
    engine: Engine,
    (at, stack): (usize, &Recurrent),
    below: Below<'_>,
    places: impl Iterator<Item = &'p Place>,
    parts: &mut Vec<Part>,
) -> Result<Vec<f32>> {
    let places: Vec<&Place> = places.collect();
    let one = Recurrent { layers: 1, ..stack.clone() };
    let mut rows = below.rows.to_vec();
    for layer in 0..stack.layers {
        let own: Vec<_> = places.iter().filter(|place| place.layer == layer).collect();
        let inputs = own[0].inputs;
        let steps = rows.len() / inputs;
        let description = Description::values(inputs).recurrent(one.clone());
        let values = weights(model, &format!("{at}.recurrent.{layer}."));
        let y = run(engine, &description, values, steps, Input::Values(&rows))?;
        for (direction, place) in own.into_iter().enumerate() {
            let own = y.chunks_exact(stack.width());
            let own = own.map(|row| &row[direction * stack.hidden..][..stack.hidden]);
            let h = own.flatten().copied().collect();
            parts.push(part(model, engine, place, rows.clone(), h)?);
        }
        rows = y;
    }
    Ok(rows)
}

/// The gates of a layer from what it read and the `h` that it made.
fn part(
    model: &Model<f32>,
    engine: Engine,
    place: &Place,
    x: Vec<f32>,
    h: Vec<f32>,
) -> Result<Part> {
    let (hidden, inputs) = (place.hidden, place.inputs);
    let mut planes = BTreeMap::new();
    let steps = h.len() / hidden;
    if let Some(cell) = gates_of(place.cell) {
        let get = |name: &str| model.get(&place.name(name)).unwrap_or_default();
        let mut before = vec![0.0; h.len()];
        for t in 0..steps {
            if let Some(from) = place.before(t, steps) {
                before[t * hidden..][..hidden].copy_from_slice(&h[from * hidden..][..hidden]);
            }
        }
        let sums = Sums {
            input: product(engine, (get("w"), get("b")), &x, inputs)?,
            recurrent: product(engine, (get("r"), get("b_r")), &before, hidden)?,
            peepholes: get("p").to_vec(),
        };
        let mut second = |operand: &[f32]| {
            let rows = 2 * hidden * hidden..3 * hidden * hidden;
            let bias = get("b_r").get(2 * hidden..).unwrap_or_default();
            product(engine, (&get("r")[rows], bias), operand, hidden)
        };
        gates(&cell, &sums, (place, &before, steps), &mut second, &mut planes)?;
    }
    planes.insert("h", h);
    Ok(Part { planes, x, inputs })
}

/// `x wᵀ + b` over all rows, by a linear layer of the engine: `[T, outputs]`.
fn product(engine: Engine, (w, b): (&[f32], &[f32]), x: &[f32], inputs: usize) -> Result<Vec<f32>> {
    let outputs = w.len() / inputs;
    let mut values = w.to_vec();
    values.extend_from_slice(b);
    values.resize(w.len() + outputs, 0.0);
    let description = Description::values(inputs).linear(outputs);
    run(engine, &description, &values, x.len() / inputs, Input::Values(x))
}

/// What goes into the gates, `[T, G*H]` each, in the order of the weights.
struct Sums {
    input: Vec<f32>,
    recurrent: Vec<f32>,
    peepholes: Vec<f32>,
}

/// From the two sums of each gate, the peepholes and the states before: what is shown of one unit at one
/// step, and `c`.
pub(crate) type UnitStep = fn(&dyn Fn(usize) -> [f32; 2], &[f32], [f32; 2]) -> ([f32; 4], f32);

pub(crate) struct Gates {
    /// The letters of what it gives.
    pub(crate) names: &'static [&'static str],
    pub(crate) step: UnitStep,
}

/// The equations of a cell for one unit.
pub(crate) fn gates_of(cell: CellKind) -> Option<Gates> {
    Some(match cell.name() {
        "lstm" => Gates {
            names: &["i", "f", "g", "o"],
            step: |s, _, before| {
                let (gates, [_, c]) =
                    Lstm(Sightless, Standard).forward([0, 1, 2, 3].map(|k| both(s, k)), [], before);
                (gates, c)
            },
        },
        "lstm-peephole" => Gates {
            names: &["i", "f", "g", "o"],
            step: |s, p, before| {
                let columns = [0, 1, 2, 3].map(|k| both(s, k));
                let (gates, [_, c]) =
                    Lstm(Sees, Standard).forward(columns, [p[0], p[1], p[2]], before);
                (gates, c)
            },
        },
        "lstm-coupled" => Gates {
            names: &["i", "f", "g", "o"],
            step: |s, _, before| {
                let columns = [0, 1, 2].map(|k| both(s, k));
                let ([i, g, o], [_, c]) =
                    CoupledLstm(Sightless, Standard).forward(columns, [], before);
                ([i, 1.0 - i, g, o], c)
            },
        },
        "lstm-coupled-peephole" => Gates {
            names: &["i", "f", "g", "o"],
            step: |s, p, before| {
                let columns = [0, 1, 2].map(|k| both(s, k));
                let ([i, g, o], [_, c]) =
                    CoupledLstm(Sees, Standard).forward(columns, [p[0], p[1]], before);
                ([i, 1.0 - i, g, o], c)
            },
        },
        "gru" => Gates {
            names: &["r", "z", "n"],
            step: |s, _, [h, _]| {
                let columns = [s(2)[0], both(s, 0), both(s, 1), s(2)[1]];
                let ([n, r, z, _], _) = Gru(Standard).forward(columns, [], [h]);
                ([r, z, n, 0.0], 0.0)
            },
        },
        "gru-reset-before" => Gates {
            names: &["r", "z", "n"],
            step: |s, _, [h, _]| {
                let columns = [both(s, 0), both(s, 1), both(s, 2)];
                let (columns, _) = GruResetBefore(Standard).operand(columns, [h]);
                let ([r, z, n], _) = GruResetBefore(Standard).forward(columns, [], [h]);
                ([r, z, n, 0.0], 0.0)
            },
        },
        "rnn-tanh" => Gates { names: &[], step: |s, _, [h, _]| rnn(Rnn(Tanh), both(s, 0), h) },
        "rnn-relu" => Gates { names: &[], step: |s, _, [h, _]| rnn(Rnn(Relu), both(s, 0), h) },
        _ => return None,
    })
}

fn both(sums: &dyn Fn(usize) -> [f32; 2], gate: usize) -> f32 {
    let [input, recurrent] = sums(gate);
    input + recurrent
}

fn rnn<A: recurve_cell::Activation>(cell: Rnn<A>, sum: f32, h: f32) -> ([f32; 4], f32) {
    let (_, [h]) = cell.forward([sum], [], [h]);
    ([h, 0.0, 0.0, 0.0], 0.0)
}

/// A product of the recurrent rows of the candidate with its own operand, over all steps.
type Second<'a> = dyn FnMut(&[f32]) -> Result<Vec<f32>> + 'a;

fn gates(
    cell: &Gates,
    sums: &Sums,
    (place, before, steps): (&Place, &[f32], usize),
    second: &mut Second<'_>,
    planes: &mut BTreeMap<&'static str, Vec<f32>>,
) -> Result<()> {
    let hidden = place.hidden;
    let width = sums.input.len() / steps;
    let mut recurrent = sums.recurrent.clone();
    if place.cell == CellKind::GruResetBefore {
        // The candidate's product is with r∘h'.
        let mut operand = before.to_vec();
        for (at, h) in operand.iter_mut().enumerate() {
            let (t, unit) = (at / hidden, at % hidden);
            let sum = sums.input[t * width + unit] + recurrent[t * width + unit];
            *h = GruResetBefore(Standard).operand([sum, 0.0, 0.0], [*h]).1;
        }
        for (t, row) in second(&operand)?.chunks_exact(hidden).enumerate() {
            recurrent[t * width + 2 * hidden..][..hidden].copy_from_slice(row);
        }
    }
    let mut shown = vec![vec![0.0; steps * hidden]; cell.names.len()];
    let has_c = place.facts().is_some_and(|facts| facts.has_c);
    let mut cells = vec![0.0; if has_c { steps * hidden } else { 0 }];
    for nth in 0..steps {
        let t = if place.reverse { steps - 1 - nth } else { nth };
        for unit in 0..hidden {
            let at = t * hidden + unit;
            let c_before = match place.before(t, steps) {
                Some(from) if has_c => cells[from * hidden + unit],
                _ => 0.0,
            };
            let sum = |gate: usize| {
                let at = t * width + gate * hidden + unit;
                [sums.input[at], recurrent[at]]
            };
            let own: [f32; 3] = std::array::from_fn(|k| {
                sums.peepholes.get(k * hidden + unit).copied().unwrap_or_default()
            });
            let (values, c) = (cell.step)(&sum, &own, [before[at], c_before]);
            for (plane, value) in shown.iter_mut().zip(values) {
                plane[at] = value;
            }
            if has_c {
                cells[at] = c;
            }
        }
    }
    planes.extend(cell.names.iter().copied().zip(shown));
    if has_c {
        planes.insert("c", cells);
    }
    Ok(())
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
