//! One step of one unit with every number on every wire, and what follows when one of them is changed.
//!
//! The sums are formed here in plain loops, so that each can be shown as what it is made of. What follows
//! is run by the engine: the direction of the layer runs on from the step with the changed `h` and `c`, and the
//! layers above read what it gives. A changed weight stays changed for the steps after.

use crate::edit::{self, Edit, place};
use crate::equations::gates_of;
use crate::subject::{best, log_softmax};
use crate::trace::{Place, Trace, run, side_by_side, unsound};
use recurve_nn::{
    Batch, Description, Engine, Input, Layer, Mode, Model, Network, Pooling, Recurrent, State,
};
use recurve_train::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Terms of a sum that are named.
const TERMS: usize = 6;
/// Steps that are read on after a change, at most.
const AFTER: usize = 60;

/// Which unit at which step, and what is changed there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) trace: String,
    pub(crate) part: usize,
    pub(crate) unit: usize,
    pub(crate) step: usize,
    /// New values of `x`, by index.
    #[serde(default)]
    pub(crate) x: Vec<(usize, f32)>,
    /// New values of `h'`, by unit.
    #[serde(default)]
    pub(crate) h: Vec<(usize, f32)>,
    /// New values of `c'`, by unit.
    #[serde(default)]
    pub(crate) c: Vec<(usize, f32)>,
    /// New weights of the layer: matrix, index, value.
    #[serde(default)]
    pub(crate) weights: Vec<(String, usize, f32)>,
}

impl Ask {
    fn changes(&self) -> bool {
        !(self.x.is_empty() && self.h.is_empty() && self.c.is_empty() && self.weights.is_empty())
    }
}

/// What goes into one step of a layer.
#[derive(Clone)]
struct Step {
    x: Vec<f32>,
    h: Vec<f32>,
    c: Vec<f32>,
}

/// A trace and what made it.
pub(crate) struct Run<'a> {
    pub(crate) model: &'a Model<f32>,
    pub(crate) engine: Engine,
    pub(crate) places: &'a [Place],
    /// The tokens of a text whose next token is what the model gives.
    pub(crate) next: Option<&'a [u32]>,
    pub(crate) trace: &'a Trace,
}

impl Run<'_> {
    /// Answers a question about a unit.
    ///
    /// # Errors
    /// The part, unit, step or a changed value is not there.
    pub(crate) fn answer(&self, ask: &Ask) -> Result<Value> {
        let Self { model, places, trace, .. } = *self;
        let place = place(places, ask.part)?;
        let hidden = place.hidden;
        if ask.step >= trace.steps || ask.unit >= hidden {
            return Err(Error::usage(format!(
                "there is no step {} of unit {}; the piece has {} steps and the layer {hidden} units",
                ask.step, ask.unit, trace.steps
            )));
        }
        let was = before(place, trace, ask.part, ask.step);
        let mut now = was.clone();
        for (what, changes, to) in
            [("x", &ask.x, &mut now.x), ("h", &ask.h, &mut now.h), ("c", &ask.c, &mut now.c)]
        {
            for (at, value) in changes {
                let count = to.len();
                let to = to.get_mut(*at).filter(|_| value.is_finite());
                *to.ok_or_else(|| {
                    Error::usage(format!(
                        "there is no {what} {at} to set to a number; there are {count}"
                    ))
                })? = *value;
            }
        }
        let edits: Vec<Edit> = ask
            .weights
            .iter()
            .map(|(weights, index, value)| Edit::Weight {
                part: ask.part,
                weights: weights.clone(),
                index: *index,
                value: *value,
            })
            .collect();
        let changed = edit::apply(model, places, &edits)?;
        let mut answer = json!({
            "unit": unit(model, place, &was, ask.unit),
            "inputs": place.inputs,
            "hidden": hidden,
        });
        if ask.changes() {
            answer["changed"] = unit(&changed, place, &now, ask.unit);
            answer["after"] = match self.after(&changed, ask, &now) {
                Ok(after) => after,
                Err(error) => json!({"refused": error.to_string()}),
            };
        }
        Ok(answer)
    }

    /// The outputs as they were and with the change. The direction of the layer runs on from the step with the
    /// changed states and weights; what lies above reads that.
    fn after(&self, changed: &Model<f32>, ask: &Ask, now: &Step) -> Result<Value> {
        let Self { engine, places, trace, .. } = *self;
        let description = changed.description();
        let place = &places[ask.part];
        let Layer::Recurrent(stack) = &description.layers[place.at] else {
            return Err(Error::usage("the layer is not recurrent"));
        };
        let both = description.stacks().any(|stack| stack.bidirectional);
        let pooled = description.is_pooled();
        let end = if both || pooled { trace.steps } else { trace.steps.min(ask.step + 1 + AFTER) };
        let mut plane = trace.parts[ask.part].planes["h"][..end * place.hidden].to_vec();
        let h = alone(changed, (place, stack), now, self.read_on(ask, now, end), engine)?;
        for (nth, row) in h.chunks_exact(place.hidden).enumerate() {
            let t = if place.reverse { ask.step - nth } else { ask.step + nth };
            plane[t * place.hidden..][..place.hidden].copy_from_slice(row);
        }
        let beside = places.iter().zip(&trace.parts).enumerate();
        let beside = beside.filter(|(_, (own, _))| (own.at, own.layer) == (place.at, place.layer));
        let planes: Vec<&[f32]> = beside
            .map(|(at, (_, part))| if at == ask.part { &plane } else { &part.planes["h"] })
            .map(|plane| &plane[..end * place.hidden])
            .collect();
        let mut outputs = side_by_side(&planes, place.hidden);
        let mut above = above(description, place, stack);
        let mut rows = end;
        if let (true, Some(Layer::Pool { by: Pooling::Last })) =
            (stack.bidirectional, above.layers.first())
        {
            // The last step of each direction: the pool alone would not know which rows those are.
            let (h, width) = (place.hidden, stack.width());
            outputs = [&outputs[(end - 1) * width..][..h], &outputs[h..width]].concat();
            above.layers.remove(0);
            rows = 1;
        }
        if !above.layers.is_empty() {
            let count = recurve_nn::Entries::of(&above).map_err(unsound)?.len();
            let values = changed.values();
            let input = Input::Values(&outputs);
            outputs = run(engine, &above, &values[values.len() - count..], (rows, input))?;
        }
        if pooled {
            return Ok(json!({"was": trace.outputs, "now": outputs}));
        }
        let width = outputs.len() / end;
        let first = if both { 0 } else { ask.step };
        if let Some(tokens) = self.next {
            return Ok(compare_text(tokens, trace, ask.step, &outputs[first * width..]));
        }
        let far = |t: usize| {
            let pairs = trace.outputs[t * width..].iter().zip(&outputs[t * width..][..width]);
            pairs.map(|(was, now)| f64::from(now - was).powi(2)).sum::<f64>().sqrt()
        };
        Ok(json!({"first": first, "far": (first..end).map(far).collect::<Vec<f64>>()}))
    }

    /// What the direction reads from the changed step on, in its order.
    fn read_on(&self, ask: &Ask, now: &Step, end: usize) -> Vec<f32> {
        let own = &self.trace.parts[ask.part];
        let row = |t: usize| &own.x[t * own.inputs..][..own.inputs];
        let mut x = now.x.clone();
        if self.places[ask.part].reverse {
            (0..ask.step).rev().for_each(|t| x.extend_from_slice(row(t)));
        } else {
            (ask.step + 1..end).for_each(|t| x.extend_from_slice(row(t)));
        }
        x
    }
}

/// One direction of one layer from these states on.
fn alone(
    model: &Model<f32>,
    (place, stack): (&Place, &Recurrent),
    now: &Step,
    x: Vec<f32>,
    engine: Engine,
) -> Result<Vec<f32>> {
    let one = Recurrent { layers: 1, bidirectional: false, ..stack.clone() };
    let alone = Description::values(place.inputs).recurrent(one);
    let first = model.entries().get(&place.name("w")).map_or(0, |entry| entry.range.start);
    let end = first + recurve_nn::Entries::of(&alone).map_err(unsound)?.len();
    let mut state = State::zero(&alone, 1);
    state.parts_mut()[0].h.copy_from_slice(&now.h);
    if state.parts()[0].c.len() != now.c.len() {
        return Err(Error::usage("the states of this cell are not known to the explorer"));
    }
    state.parts_mut()[0].c.copy_from_slice(&now.c);
    let mut network = Network::new(&alone, engine).map_err(unsound)?;
    network.load(&model.values()[first..end], false);
    let batch = Batch::new(x.len() / place.inputs, 1, Input::Values(&x));
    Ok(network.forward(&batch, Some(&mut state), Mode::Infer).map_err(unsound)?.to_vec())
}

/// What a layer had before it at a step.
fn before(place: &Place, trace: &Trace, part: usize, step: usize) -> Step {
    let own = &trace.parts[part];
    let row = |name: &str| match (own.planes.get(name), place.before(step, trace.steps)) {
        (Some(plane), Some(from)) => plane[from * place.hidden..][..place.hidden].to_vec(),
        (Some(_), None) => vec![0.0; place.hidden],
        (None, _) => vec![],
    };
    let x = own.x[step * own.inputs..][..own.inputs].to_vec();
    Step { x, h: row("h"), c: row("c") }
}

/// The numbers of one unit at one step.
fn unit(model: &Model<f32>, place: &Place, step: &Step, unit: usize) -> Value {
    let (Some(facts), Some(cell)) = (place.facts(), gates_of(place.cell)) else {
        return Value::Null;
    };
    let hidden = place.hidden;
    let get = |name: &str| model.get(&place.name(name)).unwrap_or_default();
    let (w, r, b, b_r, p) = (get("w"), get("r"), get("b"), get("b_r"), get("p"));
    let bias = |of: &[f32], row: usize| of.get(row).copied().unwrap_or_default();
    let sum_of = |weights: &[f32], row: usize, of: &[f32]| -> f32 {
        weights[row * of.len()..(row + 1) * of.len()].iter().zip(of).map(|(w, v)| w * v).sum()
    };
    // The candidate of a GRU that resets before the product sees r∘h'.
    let reset_before = place.cell.name() == "gru-reset-before";
    let seen: Vec<f32> = if reset_before {
        let reset = |k: usize| {
            sigmoid(sum_of(w, k, &step.x) + bias(b, k) + sum_of(r, k, &step.h) + bias(b_r, k))
        };
        (0..hidden).map(|k| reset(k) * step.h[k]).collect()
    } else {
        step.h.clone()
    };
    let sums = |gate: usize| {
        let row = gate * hidden + unit;
        let operand = if reset_before && gate == 2 { &seen } else { &step.h };
        [sum_of(w, row, &step.x) + bias(b, row), sum_of(r, row, operand) + bias(b_r, row)]
    };
    let own: [f32; 3] = std::array::from_fn(|k| bias(p, k * hidden + unit));
    let (h, c) = (step.h[unit], step.c.get(unit).copied().unwrap_or_default());
    let (values, c_after) = (cell.step)(&sums, &own, [h, c]);
    let value = |name: &str| cell.names.iter().position(|own| *own == name).map(|at| values[at]);
    let gates: Vec<Value> = facts
        .gates
        .iter()
        .map(|gate| {
            let row = gate.rows * hidden + unit;
            let [input, recurrent] = sums(gate.rows);
            let operand = if reset_before && gate.rows == 2 { &seen } else { &step.h };
            let sees = if gate.name == "o" { c_after } else { c };
            let peephole = gate.peephole.map(|at| own[at] * sees);
            json!({
                "name": gate.name,
                "input": input - bias(b, row),
                "recurrent": recurrent - bias(b_r, row),
                "bias": bias(b, row),
                "bias_r": bias(b_r, row),
                "peephole": peephole,
                "value": value(gate.name).unwrap_or(values[0]),
                "row": row,
                "x": terms(w, row, &step.x),
                "h": terms(r, row, operand),
            })
        })
        .collect();
    let h_after = match facts.candidate {
        _ if facts.has_c => value("o").unwrap_or_default() * c_after.tanh(),
        _ if cell.names.is_empty() => values[0],
        _ => {
            let (z, n) = (value("z").unwrap_or_default(), value("n").unwrap_or_default());
            (1.0 - z) * n + z * h
        }
    };
    json!({
        "gates": gates,
        "values": cell.names.iter().zip(values).map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
        "h_before": h, "c_before": facts.has_c.then_some(c),
        "c": facts.has_c.then_some(c_after), "tanh_c": facts.has_c.then(|| c_after.tanh()),
        "h": h_after,
    })
}

/// The largest terms of a product: index, weight, operand.
fn terms(weights: &[f32], row: usize, operand: &[f32]) -> Vec<(usize, f32, f32)> {
    let own = &weights[row * operand.len()..(row + 1) * operand.len()];
    let all = own.iter().zip(operand).enumerate();
    let mut terms: Vec<_> = all.map(|(at, (w, v))| (at, *w, *v)).collect();
    terms.sort_by(|a, b| (b.1 * b.2).abs().total_cmp(&(a.1 * a.2).abs()));
    terms.truncate(TERMS);
    terms
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// What lies above a layer, as a model that reads its `h`.
fn above(description: &Description, place: &Place, stack: &Recurrent) -> Description {
    let mut above = Description::values(stack.width());
    let rest = stack.layers - place.layer - 1;
    if rest > 0 {
        above = above.recurrent(Recurrent { layers: rest, ..stack.clone() });
    }
    above.layers.extend_from_slice(&description.layers[place.at + 1..]);
    above
}

/// Surprise per step and the likeliest next tokens, before and after.
fn compare_text(tokens: &[u32], trace: &Trace, step: usize, outputs: &[f32]) -> Value {
    let width = trace.outputs.len() / trace.steps;
    let bits = |outputs: &[f32], t: usize| {
        let next = *tokens.get(t + 1)? as usize;
        Some(-log_softmax(outputs)[next] / std::f64::consts::LN_2)
    };
    let was = trace.outputs[step * width..].chunks_exact(width);
    let now = outputs.chunks_exact(width);
    let steps: Vec<Value> = was
        .zip(now)
        .enumerate()
        .map(|(at, (was, now))| json!([step + at, bits(was, step + at), bits(now, step + at)]))
        .collect();
    json!({
        "bits": steps,
        "top_was": best(&log_softmax(&trace.outputs[step * width..][..width]), 5),
        "top_now": best(&log_softmax(&outputs[..width]), 5),
    })
}
