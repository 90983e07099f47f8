//! Changes to a trained model, made on a copy of its weights: a unit switched off, a gate held at a value,
//! one weight, a bias raised.
//!
//! A gate that is held is a gate whose rows of `w`, `r` and peepholes are zero and whose bias is the value
//! before squashing, so the engine runs the changed model as any other. A unit is off where its candidate
//! is held at 0: from a zero state, `c` and `h` then stay exactly 0.

use crate::facts::Squash;
use crate::trace::Place;
use recurve_nn::Model;
use recurve_train::error::{Error, Result};
use serde::Deserialize;

/// One change.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Edit {
    /// Units that stay silent.
    Off { part: usize, units: Vec<usize> },
    /// A gate held at a value; of all units where none is named.
    Clamp { part: usize, gate: String, unit: Option<usize>, value: f32 },
    /// A weight of the layer: which of `w r b b_r p`, its place there, its new value.
    Weight { part: usize, weights: String, index: usize, value: f32 },
    /// Something added to the bias of a gate of all units.
    Bias { part: usize, gate: String, add: f32 },
}

/// A sigmoid this far out is 0 or 1 in `f32`.
const FAR: f32 = 40.0;

/// The model with changes.
///
/// # Errors
/// A change names a part, gate, unit or weight that is not there, or needs a bias the model lacks.
pub(crate) fn apply(model: &Model<f32>, places: &[Place], edits: &[Edit]) -> Result<Model<f32>> {
    let mut model = model.clone();
    for edit in edits {
        one(&mut model, places, edit)?;
    }
    Ok(model)
}

fn one(model: &mut Model<f32>, places: &[Place], edit: &Edit) -> Result<()> {
    match edit {
        Edit::Off { part, units } => {
            let place = place(places, *part)?;
            let facts = known(place)?;
            units.iter().try_for_each(|unit| hold(model, place, facts.candidate, *unit, 0.0))
        }
        Edit::Clamp { part, gate, unit, value } => {
            let place = place(places, *part)?;
            let gate = gate_of(place, gate)?;
            let squashed = known(place)?.gates[gate].squash;
            let sum = before_squash(squashed, *value)?;
            match unit {
                Some(unit) => hold(model, place, gate, *unit, sum),
                None => (0..place.hidden).try_for_each(|unit| hold(model, place, gate, unit, sum)),
            }
        }
        Edit::Weight { part, weights, index, value } => {
            let name = place(places, *part)?.name(weights);
            let refuse = || Error::usage(format!("the model has no weight {index} in `{name}`"));
            let to = model.get_mut(&name).and_then(|own| own.get_mut(*index));
            let to = to.ok_or_else(refuse)?;
            if !value.is_finite() {
                return Err(Error::usage("a weight must be a number"));
            }
            *to = *value;
            Ok(())
        }
        Edit::Bias { part, gate, add } => {
            let place = place(places, *part)?;
            let rows = known(place)?.gates[gate_of(place, gate)?].rows;
            let bias = model.get_mut(&place.name("b")).ok_or_else(no_bias)?;
            for bias in &mut bias[rows * place.hidden..(rows + 1) * place.hidden] {
                *bias += add;
            }
            Ok(())
        }
    }
}

/// Holds the sum of a gate of one unit at a value.
fn hold(model: &mut Model<f32>, place: &Place, gate: usize, unit: usize, sum: f32) -> Result<()> {
    let hidden = place.hidden;
    if unit >= hidden {
        return Err(Error::usage(format!("there is no unit {unit}; the layer has {hidden}")));
    }
    let gate = known(place)?.gates[gate];
    let row = gate.rows * hidden + unit;
    for (weights, width) in [("w", place.inputs), ("r", hidden), ("b_r", 1)] {
        if let Some(own) = model.get_mut(&place.name(weights)) {
            own[row * width..(row + 1) * width].fill(0.0);
        }
    }
    if let (Some(at), Some(own)) = (gate.peephole, model.get_mut(&place.name("p"))) {
        own[at * hidden + unit] = 0.0;
    }
    match model.get_mut(&place.name("b")) {
        Some(bias) => bias[row] = sum,
        None if sum == 0.0 => {}
        None => return Err(no_bias()),
    }
    Ok(())
}

fn before_squash(squash: Squash, value: f32) -> Result<f32> {
    let (low, high) = match squash {
        Squash::Sigmoid => (0.0, 1.0),
        Squash::Tanh => (-1.0, 1.0),
        Squash::Relu => (0.0, f32::MAX),
    };
    if !(low..=high).contains(&value) {
        return Err(Error::usage(format!(
            "the gate lies between {low} and {high}, not at {value}"
        )));
    }
    Ok(match squash {
        Squash::Sigmoid => (value / (1.0 - value)).ln().clamp(-FAR, FAR),
        Squash::Tanh => value.atanh().clamp(-FAR, FAR),
        Squash::Relu => value,
    })
}

fn no_bias() -> Error {
    Error::usage("the layer has no bias, so a gate cannot be held at this value")
}

/// The layer and direction of this number.
pub(crate) fn place(places: &[Place], part: usize) -> Result<&Place> {
    places.get(part).ok_or_else(|| {
        Error::usage(format!("there is no recurrent layer {part}; the model has {}", places.len()))
    })
}

fn known(place: &Place) -> Result<crate::facts::Facts> {
    place.facts().ok_or_else(|| {
        Error::usage(format!("the gates of the cell {} are not known here", place.cell.name()))
    })
}

fn gate_of(place: &Place, name: &str) -> Result<usize> {
    known(place)?.gates.iter().position(|gate| gate.name == name).ok_or_else(|| {
        Error::usage(format!("the cell {} has no gate `{name}` of its own", place.cell.name()))
    })
}
