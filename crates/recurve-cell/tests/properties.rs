//! What holds of the reference layer whatever the cell, the sizes and the numbers.

mod cells;
mod support;

use cells::every_cell;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use recurve_cell::Cell;
use recurve_cell::reference::{Layer, Sequences};
use support::{Backward, Forward, Net, Parameters, Random, Size};

/// Sizes, lengths, resets and direction; the numbers follow from the seed.
#[derive(Clone, Debug)]
struct Batch {
    size: Size,
    steps: usize,
    lengths: Vec<usize>,
    resets: Vec<bool>,
    reverse: bool,
    seed: u64,
}

fn batches() -> impl Strategy<Value = Batch> {
    (1..4_usize, 1..5_usize, 0..7_usize, 1..4_usize).prop_flat_map(
        |(inputs, hidden, steps, batch)| {
            let lengths = prop::collection::vec(0..=steps, batch);
            let resets = prop::collection::vec(prop::bool::weighted(0.3), steps * batch);
            (lengths, resets, any::<bool>(), any::<u64>()).prop_map(
                move |(lengths, resets, reverse, seed)| Batch {
                    size: Size { inputs, hidden },
                    steps,
                    lengths,
                    resets,
                    reverse,
                    seed,
                },
            )
        },
    )
}

/// The numbers of a batch, and what the layer makes of them.
struct Pass {
    weights: Parameters<f64>,
    x: Vec<f64>,
    initial: Vec<f64>,
    dy: Vec<f64>,
    d_state: Vec<f64>,
    forward: Forward<f64>,
    backward: Backward<f64>,
}

impl Batch {
    fn sequences(&self) -> Sequences<'_> {
        Sequences {
            lengths: Some(&self.lengths),
            resets: Some(&self.resets),
            reverse: self.reverse,
            ..Sequences::new(self.steps, self.lengths.len())
        }
    }

    fn pass<C: Cell>(&self, cell: C) -> Pass {
        let mut random = Random(self.seed);
        let (all, batch) = (self.steps * self.lengths.len(), self.lengths.len());
        let Size { inputs, hidden } = self.size;
        let weights = Parameters::build::<C>(self.size, |count| random.values(count));
        let x = random.values(all * inputs);
        let initial = random.values(batch * C::STATES * hidden);
        let dy = random.values(all * hidden);
        let d_state = random.values(batch * C::STATES * hidden);
        self.pass_on(cell, weights, [x, initial, dy, d_state])
    }

    fn pass_on<C: Cell>(
        &self,
        cell: C,
        weights: Parameters<f64>,
        [x, initial, dy, d_state]: [Vec<f64>; 4],
    ) -> Pass {
        let net = Net { cell, size: self.size, weights: &weights };
        let sequences = self.sequences();
        let mut forward = net.run(&sequences, &x, &initial);
        let backward = net.backward(&sequences, &x, &mut forward, &dy, &d_state);
        Pass { weights, x, initial, dy, d_state, forward, backward }
    }

    /// Every step of every sequence, real or not: `(t, b, the place in [T, B])`.
    fn places(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let batch = self.lengths.len();
        (0..self.steps).flat_map(move |t| (0..batch).map(move |b| (t, b, t * batch + b)))
    }
}

/// The rows of `values [N, len]` at the given places.
fn rows(values: &[f64], len: usize, places: impl IntoIterator<Item = usize>) -> Vec<f64> {
    places.into_iter().flat_map(|at| values[at * len..][..len].iter().copied()).collect()
}

/// Tries the property on random batches, and shrinks one that fails. Where the input is `passed` on, there
/// are as many inputs as units.
fn hold(name: &str, passed: bool, property: impl Fn(Batch) -> Result<(), TestCaseError>) {
    let config =
        ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&batches(), |mut batch| {
            if passed {
                batch.size.inputs = batch.size.hidden;
            }
            property(batch)
        })
        .unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

mod a_run_is_its_steps_in_order {
    use super::*;

    fn check<C: Cell>(name: &str, cell: C) {
        hold(name, C::PASSED, |batch| {
            let pass = batch.pass(cell);
            let Size { inputs, hidden } = batch.size;
            let states = C::STATES * hidden;
            let net = Net { cell, size: batch.size, weights: &pass.weights };
            let mut kept = vec![0.0; Layer::<C, f64>::KEPT * hidden];
            for (b, &length) in batch.lengths.iter().enumerate() {
                let mut state = pass.initial[b * states..][..states].to_vec();
                for read in 0..length {
                    let t = if batch.reverse { length - 1 - read } else { read };
                    // The border that lies between this step and the one read before it.
                    let border = if batch.reverse { t + 1 } else { t };
                    if border < length && batch.resets[border * batch.lengths.len() + b] {
                        state.fill(0.0);
                    }
                    let at = t * batch.lengths.len() + b;
                    net.layer().step(&pass.x[at * inputs..][..inputs], &mut state, &mut kept);
                    prop_assert_eq!(&state[..hidden], &rows(&pass.forward.y, hidden, [at])[..]);
                }
                prop_assert_eq!(&state[..], &pass.forward.state[b * states..][..states]);
            }
            Ok(())
        });
    }
    every_cell!(check);
}

mod a_batch_is_its_sequences_alone {
    use super::*;

    fn check<C: Cell>(name: &str, cell: C) {
        hold(name, C::PASSED, |batch| {
            let together = batch.pass(cell);
            let Size { inputs, hidden } = batch.size;
            let states = C::STATES * hidden;
            let count = batch.lengths.len();
            let mut weights =
                Parameters::build::<C>(batch.size, |count| vec![0.0; count]).parts().concat();
            for (b, &length) in batch.lengths.iter().enumerate() {
                let own = || (0..length).map(|t| t * count + b);
                let alone = Batch {
                    steps: length,
                    lengths: vec![length],
                    resets: own().map(|at| batch.resets[at]).collect(),
                    ..batch.clone()
                };
                let numbers = [
                    rows(&together.x, inputs, own()),
                    rows(&together.initial, states, [b]),
                    rows(&together.dy, hidden, own()),
                    rows(&together.d_state, states, [b]),
                ];
                let alone = alone.pass_on(cell, together.weights.clone(), numbers);
                let (run, back) = (&together.forward, &together.backward);
                prop_assert_eq!(&alone.forward.y, &rows(&run.y, hidden, own()));
                prop_assert_eq!(&alone.forward.state, &rows(&run.state, states, [b]));
                prop_assert_eq!(&alone.backward.dx, &rows(&back.dx, inputs, own()));
                prop_assert_eq!(&alone.backward.d_state, &rows(&back.d_state, states, [b]));
                for (sum, d) in weights.iter_mut().zip(alone.backward.weights.parts().concat()) {
                    *sum += d;
                }
            }
            for (sum, d) in weights.iter().zip(together.backward.weights.parts().concat()) {
                prop_assert!((sum - d).abs() <= 1e-12 * sum.abs().max(1.0), "{sum}, {d}");
            }
            Ok(())
        });
    }
    every_cell!(check);
}

mod padding_is_neither_read_nor_written {
    use super::*;

    fn check<C: Cell>(name: &str, cell: C) {
        hold(name, C::PASSED, |batch| {
            let clean = batch.pass(cell);
            let Size { inputs, hidden } = batch.size;
            let (mut x, mut dy) = (clean.x.clone(), clean.dy.clone());
            let mut padding = Vec::new();
            for (t, b, at) in batch.places() {
                if t >= batch.lengths[b] {
                    x[at * inputs..][..inputs].fill(f64::NAN);
                    dy[at * hidden..][..hidden].fill(f64::NAN);
                    padding.push(at);
                }
            }
            let spoilt = [x, clean.initial.clone(), dy, clean.d_state.clone()];
            let spoilt = batch.pass_on(cell, clean.weights.clone(), spoilt);
            prop_assert_eq!(&spoilt.forward, &clean.forward);
            prop_assert_eq!(&spoilt.backward, &clean.backward);
            let zero = |values: Vec<f64>| values.iter().all(|value| *value == 0.0);
            prop_assert!(zero(rows(&clean.forward.y, hidden, padding.clone())));
            prop_assert!(zero(rows(&clean.backward.dx, inputs, padding)));
            Ok(())
        });
    }
    every_cell!(check);
}

mod reverse_is_forward_over_the_mirror_image {
    use super::*;

    fn check<C: Cell>(name: &str, cell: C) {
        hold(name, C::PASSED, |batch| {
            let mut batch = batch;
            let count = batch.lengths.len();
            // Forward, a reset at the first step drops the initial state; in reverse nothing does.
            if batch.steps > 0 {
                batch.resets[..count].fill(false);
            }
            let there = batch.pass(cell);
            let Size { inputs, hidden } = batch.size;
            // The place of each step after every sequence is turned round within its own length.
            let turned: Vec<usize> = batch
                .places()
                .map(|(t, b, at)| match batch.lengths[b].checked_sub(t + 1) {
                    Some(t) => t * count + b,
                    None => at,
                })
                .collect();
            let mut mirror = Batch { reverse: !batch.reverse, ..batch.clone() };
            for (t, b, at) in batch.places() {
                // The border before step t is, seen from the other end, the border before length - t.
                mirror.resets[at] = t > 0
                    && t < batch.lengths[b]
                    && batch.resets[(batch.lengths[b] - t) * count + b];
            }
            let turn = |values: &[f64], len| rows(values, len, turned.iter().copied());
            let numbers = [
                turn(&there.x, inputs),
                there.initial.clone(),
                turn(&there.dy, hidden),
                there.d_state.clone(),
            ];
            let back = mirror.pass_on(cell, there.weights.clone(), numbers);
            prop_assert_eq!(&back.forward.state, &there.forward.state);
            prop_assert_eq!(turn(&back.forward.y, hidden), &there.forward.y[..]);
            prop_assert_eq!(turn(&back.backward.dx, inputs), &there.backward.dx[..]);
            prop_assert_eq!(&back.backward.d_state, &there.backward.d_state);
            Ok(())
        });
    }
    every_cell!(check);
}

mod a_reset_parts_two_sequences {
    use super::*;

    /// One sequence with a border in it is two sequences, the second (as read) from zero.
    fn check<C: Cell>(name: &str, cell: C) {
        hold(name, C::PASSED, |batch| {
            prop_assume!(batch.steps >= 2);
            let Size { inputs, hidden } = batch.size;
            let states = C::STATES * hidden;
            let border = 1 + batch.seed as usize % (batch.steps - 1);
            let of = |steps, resets| Batch { steps, lengths: vec![steps], resets, ..batch.clone() };
            let resets: Vec<bool> = (0..batch.steps).map(|t| t == border).collect();
            let whole = of(batch.steps, resets).pass(cell);
            let none = vec![0.0; states];
            let part = |steps: std::ops::Range<usize>, initial: &[f64], d_state: &[f64]| {
                let numbers = [
                    rows(&whole.x, inputs, steps.clone()),
                    initial.to_vec(),
                    rows(&whole.dy, hidden, steps.clone()),
                    d_state.to_vec(),
                ];
                let batch = of(steps.len(), vec![false; steps.len()]);
                batch.pass_on(cell, whole.weights.clone(), numbers)
            };
            let (early, late) = (0..border, border..batch.steps);
            let (early, late) = if batch.reverse {
                (part(early, &none, &whole.d_state), part(late, &whole.initial, &none))
            } else {
                (part(early, &whole.initial, &none), part(late, &none, &whole.d_state))
            };
            let (first, last) = if batch.reverse { (&late, &early) } else { (&early, &late) };
            prop_assert_eq!([&early.forward.y[..], &late.forward.y].concat(), &whole.forward.y[..]);
            prop_assert_eq!(
                [&early.backward.dx[..], &late.backward.dx].concat(),
                &whole.backward.dx[..]
            );
            prop_assert_eq!(&last.forward.state, &whole.forward.state);
            prop_assert_eq!(&first.backward.d_state, &whole.backward.d_state);
            Ok(())
        });
    }
    every_cell!(check);
}
