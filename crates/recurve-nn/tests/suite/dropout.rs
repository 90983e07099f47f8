//! Dropout: how much of what it drops, and what decides.

use crate::support::{Random, random_model};
use recurve_nn::{Batch, CellKind, Description, Engine, Input, Mode, Network, Noise, Recurrent};

const RATE: f64 = 0.3;
const WIDTH: usize = 50;

/// Dropout alone on a batch of ones.
fn dropped(steps: usize, batch: usize, mode: Mode) -> Vec<f32> {
    let description = Description::values(WIDTH).dropout(RATE);
    let mut network = Network::new(&description, Engine::detect().unwrap()).unwrap();
    network.load(&[], true);
    let ones = vec![1.0; steps * batch * WIDTH];
    let batch = Batch::new(steps, batch, Input::Values(&ones));
    network.forward(&batch, None, mode).unwrap().to_vec()
}

fn train(seed: u64, step: u64) -> Mode {
    Mode::Train(Noise { seed, step })
}

#[test]
fn values_are_zero_at_the_rate_and_scaled_otherwise() {
    let y = dropped(40, 25, train(1, 1));
    let kept = (1.0 / (1.0 - RATE)) as f32;
    assert!(y.iter().all(|y| *y == 0.0 || *y == kept));
    let zeros = y.iter().filter(|y| **y == 0.0).count() as f64 / y.len() as f64;
    // Five standard deviations.
    let bound = 5.0 * (RATE * (1.0 - RATE) / y.len() as f64).sqrt();
    assert!((zeros - RATE).abs() < bound, "{zeros} of the values are zero");
}

#[test]
fn nothing_is_dropped_outside_training() {
    assert!(dropped(4, 5, Mode::Infer).iter().all(|y| *y == 1.0));
}

/// What is dropped depends on seed, update, sequence, step and unit.
#[test]
fn masks_differ_where_they_should_and_only_there() {
    let mask = dropped(6, 4, train(1, 1));
    assert_eq!(mask, dropped(6, 4, train(1, 1)));
    assert_ne!(mask, dropped(6, 4, train(2, 1)), "seed");
    assert_ne!(mask, dropped(6, 4, train(1, 2)), "update");
    let row = |t: usize, b: usize| &mask[(t * 4 + b) * WIDTH..][..WIDTH];
    for t in 0..6 {
        for b in 0..4 {
            let others = (0..6).flat_map(|t| (0..4).map(move |b| (t, b)));
            for (other_t, other_b) in others.filter(|other| *other != (t, b)) {
                assert_ne!(row(t, b), row(other_t, other_b));
            }
        }
    }
    // More sequences and more steps leave those that were there as they were.
    let more = dropped(8, 7, train(1, 1));
    for t in 0..6 {
        for b in 0..4 {
            assert_eq!(row(t, b), &more[(t * 7 + b) * WIDTH..][..WIDTH]);
        }
    }
}

/// Two layers of dropout in a row drop different values.
#[test]
fn layers_draw_their_own_masks() {
    let description = Description::values(WIDTH).dropout(RATE).dropout(RATE);
    let mut network = Network::new(&description, Engine::detect().unwrap()).unwrap();
    network.load(&[], true);
    let ones = vec![1.0_f32; 200 * WIDTH];
    let batch = Batch::new(200, 1, Input::Values(&ones));
    let y = network.forward(&batch, None, train(1, 1)).unwrap();
    let kept = y.iter().filter(|y| **y != 0.0).count() as f64 / y.len() as f64;
    let expected = (1.0 - RATE) * (1.0 - RATE);
    let bound = 5.0 * (expected * (1.0 - expected) / y.len() as f64).sqrt();
    assert!((kept - expected).abs() < bound, "{kept} of the values are left");
}

/// Between the layers of a stack, not after the last.
#[test]
fn a_stack_drops_between_its_layers() {
    let y = |layers, rate, mode| {
        let stack = Recurrent::new(CellKind::Gru, 9).layers(layers).dropout(rate);
        let description = Description::values(4).recurrent(stack);
        let model = random_model::<f32>(&description, 3);
        let mut network = Network::new(&description, Engine::detect().unwrap()).unwrap();
        network.load(model.values(), true);
        let x = Random(1).values(5 * 3 * 4, 1.0);
        let batch = Batch::new(5, 3, Input::Values(&x));
        network.forward(&batch, None, mode).unwrap().to_vec()
    };
    assert_eq!(y(1, 0.5, train(1, 1)), y(1, 0.0, train(1, 1)));
    assert_eq!(y(2, 0.5, Mode::Infer), y(2, 0.0, Mode::Infer));
    let trained = y(2, 0.5, train(1, 1));
    assert_ne!(trained, y(2, 0.0, train(1, 1)));
    assert!(trained.iter().all(|y| *y != 0.0), "the output itself is not dropped");
}
