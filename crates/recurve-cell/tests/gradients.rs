//! Every gradient against differences of the loss, for every cell, reading order and arrangement.
//!
//! The loss is a fixed random weighing of all outputs and all final states. Its derivative by each
//! number in turn is measured by the central difference over four points, whose error is of the fourth
//! order in the distance.

mod cells;
mod support;

use cells::every_cell;
use recurve_cell::Cell;
use recurve_cell::reference::Sequences;
use std::ops::Range;
use support::{Forward, NAMES, Net, Parameters, Random, Size};

const STEPS: usize = 5;
const BATCH: usize = 4;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;

/// The difference must match to this part of the larger of the two, or of `SMALL` if both are less.
const TOLERANCE: f64 = 1e-7;
const SMALL: f64 = 1e-3;
const DISTANCE: f64 = 1e-4;
/// Two slopes that differ by more, at two distances, have a jump of the derivative between them: what is
/// measured there is the derivative on neither side.
const KINK: f64 = 1e-5;

/// How the layers are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrangement {
    Single,
    Stacked,
    Bidirectional,
}

/// How sequences are read: lengths, resets, reverse.
const READING: [(&str, bool, bool, bool); 5] = [
    ("plain", false, false, false),
    ("lengths", true, false, false),
    ("resets", false, true, false),
    ("reverse", false, false, true),
    ("all", true, true, true),
];

/// A sequence without steps is among them.
const LENGTHS: [usize; BATCH] = [5, 0, 3, 4];

/// Amid a sequence, at its first step, at two steps running, and in the padding.
const RESETS: [(usize, usize); 6] = [(2, 0), (0, 1), (1, 2), (2, 2), (3, 3), (4, 3)];

/// Two layers at most, whose numbers (weights, initial states) and the inputs lie in one vector.
struct Network<C> {
    cell: C,
    arrangement: Arrangement,
    lengths: Option<Vec<usize>>,
    resets: Option<Vec<bool>>,
    reverse: bool,
    dy: Vec<f64>,
    d_state: Vec<f64>,
}

impl<C: Cell> Network<C> {
    fn new(cell: C, arrangement: Arrangement, reading: (&str, bool, bool, bool)) -> Self {
        let (_, lengths, resets, reverse) = reading;
        let mut flags = vec![false; STEPS * BATCH];
        for (t, b) in RESETS {
            flags[t * BATCH + b] = true;
        }
        let mut random = Random(7);
        Self {
            cell,
            arrangement,
            lengths: lengths.then(|| LENGTHS.to_vec()),
            resets: resets.then_some(flags),
            reverse,
            dy: random.values(2 * STEPS * BATCH * HIDDEN),
            d_state: random.values(2 * BATCH * C::STATES * HIDDEN),
        }
    }

    /// The input sizes of the layers.
    fn inputs(&self) -> &'static [usize] {
        match self.arrangement {
            _ if C::PASSED && self.arrangement == Arrangement::Single => &[HIDDEN],
            _ if C::PASSED => &[HIDDEN, HIDDEN],
            Arrangement::Single => &[INPUTS],
            Arrangement::Stacked => &[INPUTS, HIDDEN],
            Arrangement::Bidirectional => &[INPUTS, INPUTS],
        }
    }

    /// The name and place of every slice of numbers in the vector.
    fn places(&self) -> Vec<(String, Range<usize>)> {
        let mut places = Vec::new();
        let mut end = 0;
        let mut place = |name: String, count: usize| {
            places.push((name, end..end + count));
            end += count;
        };
        for (layer, &inputs) in self.inputs().iter().enumerate() {
            let size = Size { inputs, hidden: HIDDEN };
            let sizes = Parameters::<f64>::build::<C>(size, |count| vec![0.0; count]);
            for (name, part) in NAMES.iter().zip(sizes.parts()) {
                place(format!("layer {layer} {name}"), part.len());
            }
            place(format!("layer {layer} initial state"), BATCH * C::STATES * HIDDEN);
        }
        place("x".into(), STEPS * BATCH * self.inputs()[0]);
        places
    }

    fn layer(&self, values: &[f64], layer: usize) -> (Size, Parameters<f64>, Vec<f64>) {
        let size = Size { inputs: self.inputs()[layer], hidden: HIDDEN };
        let places = self.places();
        let mut parts = places[layer * 6..].iter().map(|(_, at)| values[at.clone()].to_vec());
        let weights = Parameters::build::<C>(size, |_| parts.next().unwrap());
        (size, weights, parts.next().unwrap())
    }

    fn sequences(&self, layer: usize) -> Sequences<'_> {
        Sequences {
            lengths: self.lengths.as_deref(),
            resets: self.resets.as_deref(),
            reverse: self.reverse ^ (layer == 1 && self.arrangement == Arrangement::Bidirectional),
            ..Sequences::new(STEPS, BATCH)
        }
    }

    /// The loss, and its gradient by every number of the vector.
    fn evaluate(&self, values: &[f64]) -> (f64, Vec<f64>) {
        let stacked = self.arrangement == Arrangement::Stacked;
        let x = &values[values.len() - STEPS * BATCH * self.inputs()[0]..];
        let layers = self.inputs().len();
        let parameters: Vec<_> = (0..layers).map(|at| self.layer(values, at)).collect();
        let nets: Vec<_> = parameters
            .iter()
            .map(|(size, weights, _)| Net { cell: self.cell, size: *size, weights })
            .collect();
        let weighing = |layer| {
            let (y, state) = (STEPS * BATCH * HIDDEN, BATCH * C::STATES * HIDDEN);
            (&self.dy[layer * y..][..y], &self.d_state[layer * state..][..state])
        };

        let mut loss = 0.0;
        let mut inputs = Vec::new();
        let mut runs: Vec<Forward<f64>> = Vec::new();
        for layer in 0..layers {
            inputs.push(if stacked && layer == 1 { runs[0].y.clone() } else { x.to_vec() });
            let run = nets[layer].run(&self.sequences(layer), &inputs[layer], &parameters[layer].2);
            let (dy, d_state) = weighing(layer);
            loss += dot(&run.y, dy) + dot(&run.state, d_state);
            runs.push(run);
        }

        let mut gradient = Vec::new();
        let mut dx = vec![0.0; x.len()];
        let mut dy_from_above = vec![0.0; runs[0].y.len()];
        for layer in (0..layers).rev() {
            let (dy, d_state) = weighing(layer);
            let dy = sum(dy, &dy_from_above);
            let back = nets[layer].backward(
                &self.sequences(layer),
                &inputs[layer],
                &mut runs[layer],
                &dy,
                d_state,
            );
            if stacked && layer == 1 {
                dy_from_above = back.dx;
            } else {
                dx = sum(&dx, &back.dx);
            }
            let layer: Vec<f64> = [back.weights.parts().concat(), back.d_state].concat();
            gradient.splice(..0, layer);
        }
        gradient.extend(dx);
        (loss, gradient)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn check<C: Cell>(name: &str, cell: C) {
    for arrangement in [Arrangement::Single, Arrangement::Stacked, Arrangement::Bidirectional] {
        for reading in READING {
            let network = Network::new(cell, arrangement, reading);
            let places = network.places();
            let count = places.last().unwrap().1.end;
            let mut values = Random(1).values(count);
            let (_, gradient) = network.evaluate(&values);
            assert_eq!(gradient.len(), count);

            let mut loss_at = |at: usize, distance: f64| {
                let here = values[at];
                values[at] = here + distance;
                let (loss, _) = network.evaluate(&values);
                values[at] = here;
                loss
            };
            let mut kinks = 0;
            for (place, range) in places {
                // Where nothing depends on a number both sides are zero; a whole slice of them is an error.
                let slice = &gradient[range.clone()];
                assert!(
                    slice.is_empty() || slice.iter().any(|d| d.abs() > SMALL),
                    "{name}, {arrangement:?}, {}: {place} has no gradient",
                    reading.0
                );
                for at in range.clone() {
                    let near = loss_at(at, DISTANCE) - loss_at(at, -DISTANCE);
                    let far = loss_at(at, 2.0 * DISTANCE) - loss_at(at, -2.0 * DISTANCE);
                    let expected = (8.0 * near - far) / (12.0 * DISTANCE);
                    let found = gradient[at];
                    let scale = found.abs().max(expected.abs()).max(SMALL);
                    if (2.0 * near - far).abs() > KINK * scale * 4.0 * DISTANCE {
                        kinks += 1;
                        continue;
                    }
                    assert!(
                        (found - expected).abs() <= TOLERANCE * scale,
                        "{name}, {arrangement:?}, {}: d {place}[{}] is {found}, expected {expected}",
                        reading.0,
                        at - range.start
                    );
                }
            }
            assert!(6 * kinks <= count, "{name}: {kinks} of {count} gradients are not measured");
        }
    }
}

every_cell!(check);
