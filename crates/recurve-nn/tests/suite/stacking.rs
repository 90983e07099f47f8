//! What joins layers and directions, where sequences start, and steps that are not there.

use crate::support::{Random, isas, random_model};
use proptest::prelude::*;
use recurve_nn::{
    Batch, CellKind, Connection, Description, Engine, Initial, Input, Merge, Mode, Network, Noise,
    Recurrent, Session, State,
};

const INPUTS: usize = 3;
const HIDDEN: usize = 5;
const TRAIN: Mode = Mode::Train(Noise { seed: 3, step: 8 });

fn stack(cell: CellKind) -> Recurrent {
    Recurrent::new(cell, HIDDEN)
}

fn network(description: &Description, seed: u64) -> Network<f32> {
    let model = random_model::<f32>(description, seed);
    let mut network = Network::new(description, Engine::detect().unwrap()).unwrap();
    network.load(model.values(), true);
    network
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The output of a whole stack, and of its parts put together by hand.
#[test]
fn directions_are_merged_as_they_say() {
    let x = Random(2).values::<f32>(6 * 2 * INPUTS, 1.0);
    let batch = Batch::new(6, 2, Input::Values(&x)).lengths(&[4, 6]);
    let y = |merge| {
        let stack = stack(CellKind::Lstm).bidirectional().merge(merge);
        let description = Description::values(INPUTS).recurrent(stack);
        network(&description, 1).forward(&batch, None, Mode::Infer).unwrap().to_vec()
    };
    let both = y(Merge::Concat);
    let pairs = |join: fn(f32, f32) -> f32| -> Vec<f32> {
        let rows = both.chunks_exact(2 * HIDDEN).map(|row| row.split_at(HIDDEN));
        rows.flat_map(|(f, r)| f.iter().zip(r).map(|(f, r)| join(*f, *r)).collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(y(Merge::Sum), pairs(|f, r| f + r));
    assert_eq!(y(Merge::Mean), pairs(|f, r| (f + r) * 0.5));
    assert_eq!(y(Merge::Product), pairs(|f, r| f * r));
}

/// Layers of a stack, each run as a stack of its own with the same weights.
#[test]
fn layers_are_connected_as_they_say() {
    let x = Random(2).values::<f32>(5 * INPUTS, 1.0);
    for connection in Connection::ALL {
        let whole = stack(CellKind::Gru).layers(3).connection(*connection);
        let description = Description::values(INPUTS).recurrent(whole.clone());
        let model = random_model::<f32>(&description, 5);
        let part = |layer: usize, x: &[f32]| {
            let width = x.len() / 5;
            let one = Description::values(width).recurrent(stack(CellKind::Gru));
            let mut weights = vec![];
            for entry in model.entries().iter() {
                if entry.name.starts_with(&format!("0.recurrent.{layer}.forward.")) {
                    weights.extend_from_slice(&model.values()[entry.range.clone()]);
                }
            }
            let mut network = Network::<f32>::new(&one, Engine::detect().unwrap()).unwrap();
            network.load(&weights, false);
            let batch = Batch::new(5, 1, Input::Values(x));
            network.forward(&batch, None, Mode::Infer).unwrap().to_vec()
        };
        let beside = |parts: &[&[f32]]| -> Vec<f32> {
            let row =
                |t: usize, part: &&[f32]| part[t * part.len() / 5..][..part.len() / 5].to_vec();
            (0..5).flat_map(|t| parts.iter().flat_map(move |part| row(t, part))).collect()
        };
        let blend = |layer: usize, x: &[f32], z: &[f32]| -> Vec<f32> {
            let get =
                |part: &str| model.get(&format!("0.recurrent.{layer}.highway.{part}")).unwrap();
            let (weight, bias) = (get("weight"), get("bias"));
            let rows = x.chunks_exact(HIDDEN).zip(z.chunks_exact(HIDDEN));
            rows.flat_map(|(x, z)| {
                let gate = weight.chunks_exact(HIDDEN).zip(bias).map(|(row, bias)| {
                    let sum: f32 = bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
                    1.0 / (1.0 + (-sum).exp())
                });
                let parts = gate.zip(x).zip(z);
                parts.map(|((t, x), z)| t * z + (1.0 - t) * x).collect::<Vec<_>>()
            })
            .collect()
        };
        let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>();
        let first = part(0, &x);
        let expected = match connection {
            Connection::Plain => part(2, &part(1, &first)),
            Connection::Residual => {
                let second = sum(&part(1, &first), &first);
                sum(&part(2, &second), &second)
            }
            Connection::Highway => {
                let second = blend(1, &first, &part(1, &first));
                blend(2, &second, &part(2, &second))
            }
            Connection::Skip => {
                let second = part(1, &beside(&[&x, &first]));
                let third = part(2, &beside(&[&x, &second]));
                beside(&[&first, &second, &third])
            }
            Connection::Dense => {
                let second = part(1, &beside(&[&x, &first]));
                let third = part(2, &beside(&[&x, &first, &second]));
                beside(&[&first, &second, &third])
            }
        };
        let batch = Batch::new(5, 1, Input::Values(&x));
        let mut network = Network::<f32>::new(&description, Engine::detect().unwrap()).unwrap();
        network.load(model.values(), false);
        let y = network.forward(&batch, None, Mode::Infer).unwrap();
        assert_eq!(y.len(), expected.len(), "{connection:?}");
        for (y, expected) in y.iter().zip(&expected) {
            assert!((y - expected).abs() < 1e-6, "{connection:?}: {y}, expected {expected}");
        }
    }
}

/// Every way of joining as a stream.
#[test]
fn steps_are_the_run() {
    for connection in Connection::ALL {
        for initial in Initial::ALL {
            let stack = stack(CellKind::Lstm).layers(3).connection(*connection).initial(*initial);
            let description = Description::values(INPUTS).recurrent(stack.weight_dropout(0.3));
            let model = random_model::<f32>(&description, 4);
            let x = Random(7).values::<f32>(9 * 2 * INPUTS, 1.0);
            for isa in isas() {
                let mut session = Session::new(&model, Engine::new(isa), 2).unwrap();
                let whole = bits(session.run(&x));
                session.reset();
                let rows = x.chunks_exact(2 * INPUTS);
                let steps: Vec<u32> = rows.flat_map(|x| bits(session.step(x))).collect();
                assert_eq!(whole, steps, "{connection:?} {initial:?} {isa}");
            }
        }
    }
}

/// No state given, or the learned one: the same; and its gradient is the sum over the sequences.
#[test]
fn sequences_start_from_what_was_learned() {
    for cell in [CellKind::Lstm, CellKind::Gru, CellKind::Slstm] {
        let stack = stack(cell).layers(2).bidirectional().initial(Initial::Learned);
        let description = Description::values(INPUTS).recurrent(stack);
        let mut network = network(&description, 6);
        let x = Random(2).values::<f32>(4 * 3 * INPUTS, 1.0);
        let batch = Batch::new(4, 3, Input::Values(&x)).lengths(&[2, 0, 4]);
        let dy = Random(3).values::<f32>(6 * 2 * HIDDEN, 1.0);
        let count = random_model::<f32>(&description, 6).values().len();
        let mut learned = State::zero(&description, 3);
        network.begin(&mut learned).unwrap();
        assert!(learned.parts().iter().all(|part| part.h.iter().any(|h| *h != 0.0)));
        let mut new = State::zero(&description, 3);
        let y_new = bits(network.forward(&batch, Some(&mut new), TRAIN).unwrap());
        let mut d_new = vec![0.0; count];
        network.backward(&dy, &mut d_new, None).unwrap();

        let (mut alone, mut given) = (vec![0.0; count], vec![0.0; count]);
        let y = network.forward(&batch, None, TRAIN).unwrap().to_vec();
        network.backward(&dy, &mut alone, None).unwrap();
        assert_eq!((bits(&y), bits(&alone)), (y_new, bits(&d_new)), "a new state is none");
        let mut state = learned.clone();
        assert_eq!(bits(&y), bits(network.forward(&batch, Some(&mut state), TRAIN).unwrap()));
        let mut d_initial = State::zero(&description, 3);
        network.backward(&dy, &mut given, Some(&mut d_initial)).unwrap();
        let entries = random_model::<f32>(&description, 6).entries().clone();
        let learned = entries.iter().filter(|entry| entry.name.ends_with("initial"));
        for (entry, part) in learned.zip(d_initial.parts()) {
            assert!(given[entry.range.clone()].iter().all(|d| *d == 0.0));
            let size = part.h.len();
            let states = part.h.chunks_exact(size).chain(part.c.chunks_exact(size));
            for (state, d) in states.enumerate() {
                for unit in 0..HIDDEN {
                    let sum: f32 = (0..3).map(|b| d[b * HIDDEN + unit]).sum();
                    let got = alone[entry.range.start + state * HIDDEN + unit];
                    assert!((got - sum).abs() < 1e-6, "{}: {got}, expected {sum}", entry.name);
                }
            }
        }
        // What was given is used, and no sequence without steps changes its state.
        assert_eq!(state.parts()[0].h[HIDDEN..2 * HIDDEN], {
            let mut begun = State::zero(&description, 3);
            network.begin(&mut begun).unwrap();
            begun.parts()[0].h[HIDDEN..2 * HIDDEN].to_vec()
        });
    }
}

/// The mask of a step in its place in `[T, B]`.
fn compacted(x: &[f32], mask: &[bool], steps: usize, batch: usize) -> (Vec<f32>, Vec<usize>) {
    let mut to = vec![0.0; x.len()];
    let mut lengths = vec![0; batch];
    for t in 0..steps {
        for b in (0..batch).filter(|b| mask[t * batch + b]) {
            let from = &x[(t * batch + b) * INPUTS..][..INPUTS];
            to[(lengths[b] * batch + b) * INPUTS..][..INPUTS].copy_from_slice(from);
            lengths[b] += 1;
        }
    }
    (to, lengths)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Steps that are not there might as well be cut out: outputs, states and gradients to the bit.
    #[test]
    fn gaps_are_cut_out(
        steps in 1_usize..7,
        batch in 1_usize..5,
        flags in prop::collection::vec(any::<bool>(), 36),
        bidirectional: bool,
        learned: bool,
    ) {
        let mut stack = stack(CellKind::Lstm).layers(2);
        if bidirectional {
            stack = stack.bidirectional();
        }
        if learned {
            stack = stack.initial(Initial::Learned);
        }
        let description = Description::values(INPUTS).recurrent(stack).layer_norm().linear(2);
        let mut network = network(&description, 2);
        let mask = &flags[..steps * batch];
        let x = Random(4).values::<f32>(steps * batch * INPUTS, 1.0);
        let (dense, lengths) = compacted(&x, mask, steps, batch);
        let mut pass = |given: Batch<'_, f32>| {
            let mut state = State::zero(&description, batch);
            let y = bits(network.forward(&given, Some(&mut state), TRAIN).unwrap());
            let dy = Random(5).values::<f32>(y.len(), 1.0);
            let mut d = vec![0.0; random_model::<f32>(&description, 2).values().len()];
            network.backward(&dy, &mut d, None).unwrap();
            let times: Vec<_> = network.order().places().map(|(_, t, b)| (t, b)).collect();
            (y, state.to_bytes(), bits(&d), times)
        };
        let masked = pass(Batch::new(steps, batch, Input::Values(&x)).mask(mask));
        let cut = pass(Batch::new(steps, batch, Input::Values(&dense)).lengths(&lengths));
        prop_assert_eq!(&masked.0, &cut.0);
        prop_assert_eq!(&masked.1, &cut.1);
        prop_assert_eq!(&masked.2, &cut.2);
        prop_assert!(masked.3.iter().all(|(t, b)| mask[t * batch + b]));
        let count = mask.iter().filter(|there| **there).count();
        prop_assert_eq!(masked.3.len(), count);
    }
}

/// What is drawn, joined and summed, on one thread and on two.
#[test]
fn threads_change_no_bit() {
    let stack = Recurrent::new(CellKind::Lstm, 90).layers(3).bidirectional();
    let stack = stack.connection(Connection::Dense).weight_dropout(0.3).locked_dropout(0.2);
    let dense = stack.clone().initial(Initial::Learned);
    let highway = stack.connection(Connection::Highway).merge(Merge::Product);
    for stack in [dense, highway] {
        let description =
            Description::tokens(50).embedding_dropped(40, 0.2).locked_dropout(0.1).recurrent(stack);
        let model = random_model::<f32>(&description, 3);
        let tokens = Random(1).tokens(20 * 17, 50);
        let lengths: Vec<usize> = (0..17).map(|b| 20 - b % 6).collect();
        let resets: Vec<bool> = (0..20 * 17).map(|at| at % 31 == 4).collect();
        let pass = |threads| {
            let engine = Engine::detect().unwrap().with_threads(threads);
            let mut network = Network::<f32>::new(&description, engine).unwrap();
            network.load(model.values(), true);
            let batch = Batch::new(20, 17, Input::Tokens(&tokens)).lengths(&lengths);
            let y = network.forward(&batch.resets(&resets), None, TRAIN).unwrap().to_vec();
            let mut d = vec![0.0; model.values().len()];
            let dy = Random(5).values::<f32>(y.len(), 1.0);
            network.backward(&dy, &mut d, None).unwrap();
            (bits(&y), bits(&d))
        };
        assert!(pass(1) == pass(2));
    }
}

/// A reset at a step that is not there happens before the next that is.
#[test]
fn a_reset_in_a_gap_is_not_lost() {
    for initial in Initial::ALL {
        let description =
            Description::values(INPUTS).recurrent(stack(CellKind::Gru).initial(*initial));
        let mut network = network(&description, 9);
        let x = Random(4).values::<f32>(5 * INPUTS, 1.0);
        let mut y = |mask: [bool; 5], resets: [bool; 5]| {
            let batch = Batch::new(5, 1, Input::Values(&x)).mask(&mask).resets(&resets);
            network.forward(&batch, None, Mode::Infer).unwrap().to_vec()
        };
        let mask = [true, true, false, false, true];
        let in_gap = y(mask, [false, false, true, false, false]);
        let after = y(mask, [false, false, false, false, true]);
        let never = y(mask, [false; 5]);
        assert_eq!(in_gap, after);
        assert_ne!(in_gap, never);
    }
}
