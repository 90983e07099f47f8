//! The fast layers beside the slow clear one: a small recurrent layer, forward and backward.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recurve_cell::Cell;
use recurve_cell::reference::{Errors, Gradients, Layer, Sequences, Tape, Weights};
use recurve_nn::{
    Batch, CellKind, Description, Engine, Input, Isa, Mode, Model, Network, Noise, Recurrent,
    WithCell,
};
use recurve_train::error::{Error, Result};

/// Sizes that no tile divides.
const STEPS: usize = 5;
const BATCH: usize = 3;
const INPUT: usize = 17;
const HIDDEN: usize = 37;

/// The largest difference of outputs, input gradients and weight gradients between the `f32` layer on
/// `isa` and the reference in `f64`, each relative to its largest value.
///
/// Nothing for a layer that is more than a cell: its reference is in the tests.
pub(super) fn difference(kind: CellKind, isa: Isa) -> Result<Option<f64>> {
    let slow = |model: &Model<f32>, x: &[f32], dy: &[f32]| kind.with(Slow { model, x, dy });
    let wrong = |error: recurve_nn::Error| Error::failed(error.to_string());
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // This one has as many inputs as units.
    let input = if kind == CellKind::Sru { HIDDEN } else { INPUT };
    let description = Description::values(input).recurrent(Recurrent::new(kind, HIDDEN));
    let mut model = Model::<f32>::new(description).map_err(wrong)?;
    for weight in model.values_mut() {
        *weight = rng.random_range(-0.3..0.3);
    }
    let mut values =
        |count| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let (x, dy) = (values(STEPS * BATCH * input), values(STEPS * BATCH * HIDDEN));
    let fast = fast(&model, isa, &x, &dy).map_err(wrong)?;
    let slow = slow(&model, &x, &dy);
    Ok(slow.map(|slow| {
        let parts = fast.iter().zip(&slow);
        parts.map(|(fast, slow)| relative(fast, slow)).fold(0.0, f64::max)
    }))
}

/// Output, gradient of the input, gradients of the weights.
type Computed = [Vec<f64>; 3];

fn fast(model: &Model<f32>, isa: Isa, x: &[f32], dy: &[f32]) -> recurve_nn::Result<Computed> {
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let mut network = Network::new(model.description(), Engine::new(isa))?;
    network.set_input_gradient(true);
    network.load(model.values(), true);
    let batch = Batch::new(STEPS, BATCH, Input::Values(x));
    let mode = Mode::Train(Noise { seed: 0, step: 0 });
    let y = wide(network.forward(&batch, None, mode)?);
    let mut gradients = vec![0.0; model.values().len()];
    network.backward(dy, &mut gradients, None)?;
    let dx = network.d_input().map_or_else(Vec::new, |rows| {
        (0..STEPS * BATCH).flat_map(|row| wide(rows.row(row))).collect()
    });
    Ok([y, dx, wide(&gradients)])
}

/// The same by the reference.
struct Slow<'a> {
    model: &'a Model<f32>,
    x: &'a [f32],
    dy: &'a [f32],
}

impl WithCell for Slow<'_> {
    type Output = Computed;
    fn with<C: Cell>(self, cell: C) -> Computed {
        slow(cell, self.model, self.x, self.dy)
    }
}

fn slow<C: Cell>(cell: C, model: &Model<f32>, x: &[f32], dy: &[f32]) -> Computed {
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let named = |name: &str| {
        let values = model.get(&format!("0.recurrent.0.forward.{name}"));
        wide(values.unwrap_or_default())
    };
    let [w, r, b, b_r, p] = ["w", "r", "b", "b_r", "p"].map(named);
    let weights = Weights { w: &w, r: &r, b: &b, b_r: &b_r, p: &p };
    let layer = Layer::new(cell, x.len() / (STEPS * BATCH), HIDDEN, weights);
    let sequences = Sequences::new(STEPS, BATCH);
    let (all, states) = (STEPS * BATCH, C::STATES * HIDDEN);
    let kept = all * Layer::<C, f64>::KEPT * HIDDEN;
    let (x, dy) = (wide(x), wide(dy));
    let [mut before, mut after] = [vec![0.0; all * states], vec![0.0; all * states]];
    let (mut kept, mut d_kept) = (vec![0.0; kept], vec![0.0; kept]);
    let mut tape = Tape { before: &mut before, kept: &mut kept, after: &mut after };
    let mut y = vec![0.0; dy.len()];
    layer.run(&sequences, &x, &mut vec![0.0; BATCH * states], &mut y, &mut tape);
    let mut dx = vec![0.0; x.len()];
    let mut errors = Errors {
        dy: &dy,
        d_state: &mut vec![0.0; BATCH * states],
        dx: &mut dx,
        d_kept: &mut d_kept,
    };
    let [mut dw, mut dr, mut db, mut db_r, mut dp] =
        [&w, &r, &b, &b_r, &p].map(|part| vec![0.0; part.len()]);
    let mut gradients =
        Gradients { dw: &mut dw, dr: &mut dr, db: &mut db, db_r: &mut db_r, dp: &mut dp };
    layer.backward(&sequences, &x, &tape, &mut errors, &mut gradients);
    // The order of the weights in a model.
    [y, dx, [dw, dr, db, db_r, dp].concat()]
}

fn relative(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-30, |max: f64, value| max.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    // A NaN is the largest difference of all.
    differences
        .map(|difference| if difference.is_nan() { f64::INFINITY } else { difference / largest })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_a_difference() {
        assert_eq!(relative(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(relative(&[1.0, 1.0], &[1.0, 2.0]), 0.5);
        assert_eq!(relative(&[1.0, f64::NAN], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(relative(&[1.0], &[1.0, 2.0]), f64::INFINITY);
    }
}
