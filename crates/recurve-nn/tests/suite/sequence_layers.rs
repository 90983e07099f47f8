//! Convolutions and attention over sequences: streams, windows, batches, resets and threads.

use crate::support::{Random, isas, random_model};
use proptest::prelude::*;
use recurve_nn::{
    Attention, Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Pooling,
    Positions, Recurrent, Session, State, Tcn, Transformer,
};

const INPUTS: usize = 3;
const TRAIN: Mode = Mode::Train(Noise { seed: 3, step: 8 });

/// The layers that run as a stream, as models.
fn streams() -> Vec<Description> {
    let values = || Description::values(INPUTS);
    let positions = Positions::None;
    vec![
        values().tcn(Tcn::new(5, 3)).linear(2),
        values().tcn(Tcn { kernel: 2, weight_norm: true, ..Tcn::new(INPUTS, 2) }),
        values().linear(6).transformer(Transformer::causal(2, 3, 9, 4)).linear(2),
        values()
            .linear(8)
            .transformer(Transformer { positions, ..Transformer::causal(1, 1, 4, 2) }),
        values().linear(4).attention(Attention { heads: 2, causal: true, context: 5 }),
        values()
            .recurrent(Recurrent::new(CellKind::Gru, 4))
            .tcn(Tcn::new(4, 2))
            .transformer(Transformer::causal(1, 2, 6, 30))
            .recurrent(Recurrent::new(CellKind::Lstm, 3)),
    ]
}

/// And those that do not.
fn others() -> Vec<Description> {
    let below = || Description::values(INPUTS).linear(6);
    let positions = Positions::Learned { most: 12 };
    vec![
        below().transformer(Transformer { positions, ..Transformer::encoder(2, 2, 8) }),
        below().attention(Attention { heads: 3, causal: false, context: 0 }),
        below().pool(Pooling::Attention).linear(2),
    ]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn network(model: &Model<f32>, engine: Engine) -> Network<f32> {
    let mut network = Network::new(model.description(), engine).unwrap();
    network.load(model.values(), true);
    network
}

#[test]
fn steps_are_the_run_and_a_saved_state_goes_on() {
    for description in streams() {
        let model = random_model::<f32>(&description, 4);
        let x = Random(7).values::<f32>(23 * 2 * INPUTS, 1.0);
        for isa in isas() {
            let mut session = Session::new(&model, Engine::new(isa), 2).unwrap();
            let whole = bits(session.run(&x));
            let last = session.state().to_bytes();
            session.reset();
            let mut steps = vec![];
            for (t, x) in x.chunks_exact(2 * INPUTS).enumerate() {
                if t == 9 {
                    let saved = session.state().to_bytes();
                    session = Session::new(&model, Engine::new(isa), 2).unwrap();
                    session.state_mut().restore(&saved).unwrap();
                }
                steps.extend(bits(session.step(x)));
            }
            assert_eq!(whole, steps, "{description:?} {isa}");
            assert_eq!(last, session.state().to_bytes(), "{description:?} {isa}");
        }
    }
}

/// A window after the other, with the gradient carried back over the cut, is the whole.
#[test]
fn two_windows_are_the_whole() {
    for description in streams() {
        let model = random_model::<f64>(&description, 4);
        let mut network = Network::<f64>::new(&description, Engine::detect().unwrap()).unwrap();
        network.set_input_gradient(true);
        network.load(model.values(), true);
        let x = Random(7).values::<f64>(11 * 2 * INPUTS, 1.0);
        let width = *description.widths().unwrap().last().unwrap();
        let dy = Random(8).values::<f64>(11 * 2 * width, 1.0);
        let mut pass = |steps: std::ops::Range<usize>,
                        state: &mut State<f64>,
                        d: &mut State<f64>| {
            let cut = |values: &[f64]| {
                let row = values.len() / 11;
                values[steps.start * row..steps.end * row].to_vec()
            };
            let x = cut(&x);
            let batch = Batch::new(steps.len(), 2, Input::Values(&x));
            let mut gradients = vec![0.0; model.values().len()];
            let y = network.forward(&batch, Some(state), TRAIN).unwrap().to_vec();
            network.backward(&cut(&dy), &mut gradients, Some(d)).unwrap();
            let dx = network.d_input().unwrap();
            let dx: Vec<f64> = (0..steps.len() * 2).flat_map(|row| dx.row(row).to_vec()).collect();
            (y, dx, gradients)
        };
        let zero = || State::zero(&description, 2);
        let (mut after_whole, mut after, mut d) = (zero(), zero(), zero());
        let whole = pass(0..11, &mut after_whole, &mut d);
        let first = pass(0..6, &mut after, &mut zero());
        let mut between = after.clone();
        let mut d_between = zero();
        let late = pass(6..11, &mut between, &mut d_between);
        assert_eq!(between.to_bytes(), after_whole.to_bytes());
        assert_eq!([first.0, late.0].concat(), whole.0, "{description:?}");
        let early = pass(0..6, &mut zero(), &mut d_between);
        let close = |a: &[f64], b: &[f64]| {
            let largest = b.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            let far = a.iter().zip(b).find(|(a, b)| (*a - *b).abs() > 1e-12 * largest);
            assert_eq!(far, None, "{description:?}");
        };
        close(&[early.1, late.1].concat(), &whole.1);
        let sums: Vec<f64> = early.2.iter().zip(&late.2).map(|(a, b)| a + b).collect();
        close(&sums, &whole.2);
    }
}

/// What no step should see: later steps, other sequences, steps before a reset or out of reach.
#[test]
fn steps_see_what_they_may() {
    let x = Random(7).values::<f32>(10 * INPUTS, 1.0);
    let seen = |description: &Description, resets: &[bool]| -> Vec<Vec<usize>> {
        let model = random_model::<f32>(description, 4);
        let mut network = network(&model, Engine::detect().unwrap());
        let mut y = |x: &[f32]| {
            let batch = Batch::new(10, 1, Input::Values(x)).resets(resets);
            network.forward(&batch, None, Mode::Infer).unwrap().to_vec()
        };
        let base = y(&x);
        let width = base.len() / 10;
        let mut seen = vec![vec![]; 10];
        for t in 0..10 {
            let mut other = x.clone();
            other[t * INPUTS] += 1.0;
            let other = y(&other);
            for (step, seen) in seen.iter_mut().enumerate() {
                let row = step * width..(step + 1) * width;
                if base[row.clone()] != other[row] {
                    seen.push(t);
                }
            }
        }
        seen
    };
    let none = [false; 10];
    let mut at_six = none;
    at_six[6] = true;
    let window =
        |first: usize, t: usize, reach: usize| (t + 1).saturating_sub(reach).max(first)..t + 1;
    let below = || Description::values(INPUTS).linear(4);
    let tcn = Tcn { kernel: 2, ..Tcn::new(16, 2) };
    assert_eq!(tcn.sight(), 7);
    let causal = [
        (Description::values(INPUTS).tcn(tcn), 7),
        (below().transformer(Transformer::causal(1, 2, 8, 3)), 3),
        (below().attention(Attention { heads: 1, causal: true, context: 4 }), 4),
    ];
    for (description, reach) in causal {
        let (whole, cut) = (seen(&description, &none), seen(&description, &at_six));
        for t in 0..10 {
            assert!(whole[t].iter().copied().eq(window(0, t, reach)), "{description:?} {t}");
            let first = if t < 6 { 0 } else { 6 };
            assert!(cut[t].iter().copied().eq(window(first, t, reach)), "{description:?} {t}");
        }
    }
    let all = below().transformer(Transformer::encoder(1, 2, 8));
    for (t, seen) in seen(&all, &at_six).iter().enumerate() {
        let expected = if t < 6 { 0..6 } else { 6..10 };
        assert!(seen.iter().copied().eq(expected), "{t}: {seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A sequence alone, in a batch, on one thread or two: the same bits, and gradients that add up.
    #[test]
    fn a_batch_changes_no_sequence(
        lengths in prop::collection::vec(0_usize..9, 1..6),
        seed in 0_u64..1000,
        which in 0_usize..9,
        reset: bool,
    ) {
        let description = [streams(), others()].concat()[which].clone();
        let model = random_model::<f32>(&description, seed);
        let (batch, steps) = (lengths.len(), 9);
        let x = Random(seed).values::<f32>(steps * batch * INPUTS, 1.0);
        let resets: Vec<bool> = (0..steps * batch).map(|at| reset && at % 5 == 2).collect();
        let engine = Engine::detect().unwrap();
        let pooled = description.is_pooled();
        let pass = |threads, of: &[usize]| {
            let pick = |t: usize, b: &usize| {
                let at = t * batch + b;
                (x[at * INPUTS..][..INPUTS].to_vec(), resets[at])
            };
            let rows: Vec<_> = (0..steps).flat_map(|t| of.iter().map(move |b| pick(t, b))).collect();
            let x: Vec<f32> = rows.iter().flat_map(|row| row.0.clone()).collect();
            let resets: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let lengths: Vec<usize> = of.iter().map(|b| lengths[*b]).collect();
            let mut network = network(&model, engine.with_threads(threads));
            let given = Batch::new(steps, of.len(), Input::Values(&x));
            let y = network.forward(&given.lengths(&lengths).resets(&resets), None, TRAIN).unwrap();
            let y = bits(y);
            let width = network.output_width();
            let dy: Vec<f32> = y.iter().map(|y| f32::from_bits(*y) + 0.5).collect();
            let mut d = vec![9.0; model.values().len()];
            network.backward(&dy, &mut d, None).unwrap();
            let mut by_sequence = vec![vec![]; of.len()];
            if pooled {
                by_sequence = y.chunks(width).map(<[u32]>::to_vec).collect();
            } else {
                for (row, _, b) in network.order().places() {
                    by_sequence[b].extend_from_slice(&y[row * width..][..width]);
                }
            }
            (by_sequence, bits(&d))
        };
        let all: Vec<usize> = (0..batch).collect();
        let together = pass(1, &all);
        prop_assert_eq!(&together, &pass(2, &all));
        for b in 0..batch {
            prop_assert_eq!(&together.0[b], &pass(1, &[b]).0[0], "sequence {}", b);
        }
    }
}

#[test]
fn weights_of_attention_can_be_read() {
    let description = Description::values(INPUTS).pool(Pooling::Attention);
    let model = random_model::<f32>(&description, 3);
    let mut network = network(&model, Engine::detect().unwrap());
    assert_eq!(network.attention(), Some(&[][..]));
    let x = Random(1).values::<f32>(5 * 3 * INPUTS, 1.0);
    let batch = Batch::new(5, 3, Input::Values(&x)).lengths(&[2, 0, 5]);
    let y = network.forward(&batch, None, Mode::Infer).unwrap().to_vec();
    let weights = network.attention().unwrap();
    let (mut sums, mut expected) = ([0.0; 3], vec![0.0; y.len()]);
    for (row, t, b) in network.order().places() {
        sums[b] += weights[row];
        for unit in 0..INPUTS {
            expected[b * INPUTS + unit] += weights[row] * x[(t * 3 + b) * INPUTS + unit];
        }
    }
    assert!((sums[0] - 1.0).abs() < 1e-6 && sums[1] == 0.0 && (sums[2] - 1.0).abs() < 1e-6);
    assert!(y.iter().zip(&expected).all(|(y, expected)| (y - expected).abs() < 1e-6));
}

#[test]
fn what_does_not_fit_is_refused() {
    let says = |result: recurve_nn::Result<()>, parts: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?}, expected {parts:?}");
    };
    let below = || Description::values(INPUTS).linear(6);
    let sound = |description: Description| Model::<f32>::new(description).map(|_| ());
    let causal = Transformer::causal(1, 2, 8, 4);
    let cases: Vec<(Description, &[&str])> = vec![
        (
            below().tcn(Tcn { kernel: 1, ..Tcn::new(4, 2) }),
            &["layer 1", "kernel is 1", "at least 2"],
        ),
        (below().tcn(Tcn::new(4, 25)), &["blocks is 25", "at most 24"]),
        (below().tcn(Tcn::new(0, 2)), &["channels is 0"]),
        (below().tcn(Tcn::new(1 << 20, 20)), &["a stream carries", "at most"]),
        (
            below().transformer(Transformer { heads: 4, ..causal.clone() }),
            &["4 heads do not divide a width of 6"],
        ),
        (below().transformer(Transformer { context: 0, ..causal.clone() }), &["context is 0"]),
        (
            below().transformer(Transformer { causal: false, ..causal.clone() }),
            &["context is 4", "whole sequences"],
        ),
        (below().attention(Attention { heads: 0, causal: false, context: 0 }), &["heads is 0"]),
        (below().pool(Pooling::Attention).tcn(Tcn::new(4, 1)), &["no steps left after pooling"]),
    ];
    for (description, expected) in cases {
        says(sound(description), expected);
    }
    let stream = |description: &Description| {
        let model = random_model::<f32>(description, 1);
        Session::new(&model, Engine::detect().unwrap(), 1).map(|_| ())
    };
    let [learned, whole, pooled] = &others()[..] else { unreachable!() };
    says(stream(learned), &["whole sequences", "Make it causal"]);
    says(stream(whole), &["whole sequences"]);
    says(stream(pooled), &["attention over a sequence", "cannot run step by step"]);
    let positions = Positions::Learned { most: 3 };
    let table = below().transformer(Transformer { positions, ..causal });
    says(stream(&table), &["end after 3 steps", "Choose sinusoidal"]);

    let model = random_model::<f32>(&table, 1);
    let mut network = network(&model, Engine::detect().unwrap());
    let x = Random(1).values::<f32>(4 * 2 * INPUTS, 1.0);
    let batch = Batch::new(4, 2, Input::Values(&x));
    let mut forward = |batch: Batch<'_, f32>| network.forward(&batch, None, TRAIN).map(|_| ());
    says(forward(batch.lengths(&[3, 4])), &["layer 1: sequence 1 has 4 steps", "end after 3"]);
    forward(batch.lengths(&[3, 2])).unwrap();
}
