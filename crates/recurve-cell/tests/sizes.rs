//! A slice of the wrong size is named before anything is computed.

mod support;

use recurve_cell::reference::{Layer, Sequences, Weights};
use recurve_cell::{Lstm, Sightless, Standard};
use support::{Net, Parameters, Random, Size};

const SIZE: Size = Size { inputs: 2, hidden: 3 };

fn run(sequences: &Sequences<'_>, x: usize, state: usize) {
    let weights = Parameters::<f64>::build::<Lstm>(SIZE, |count| Random(0).values(count));
    let net = Net { cell: Lstm(Sightless, Standard), size: SIZE, weights: &weights };
    net.run(sequences, &vec![0.0; x], &vec![0.0; state]);
}

#[test]
#[should_panic(expected = "w holds 23 values, its shape [G*H, I] needs 24")]
fn weights() {
    let weights = Weights { w: &[0.0; 23], r: &[0.0; 36], b: &[], b_r: &[], p: &[] };
    Layer::new(Lstm(Sightless, Standard), 2, 3, weights);
}

#[test]
#[should_panic(expected = "b_r holds 11 values, its shape [G*H], or 0 for none needs 12")]
fn bias() {
    let weights = Weights { w: &[0.0; 24], r: &[0.0; 36], b: &[], b_r: &[0.0; 11], p: &[] };
    Layer::new(Lstm(Sightless, Standard), 2, 3, weights);
}

#[test]
#[should_panic(expected = "x holds 39 values, its shape [T, B, I] needs 40")]
fn inputs() {
    run(&Sequences::new(5, 4), 39, 24);
}

#[test]
#[should_panic(expected = "state holds 23 values, its shape [B, S, H] needs 24")]
fn states() {
    run(&Sequences::new(5, 4), 40, 23);
}

#[test]
#[should_panic(expected = "lengths[2] is 6, expected at most the 5 steps of the batch")]
fn lengths() {
    let sequences = Sequences { lengths: Some(&[5, 0, 6, 1]), ..Sequences::new(5, 4) };
    run(&sequences, 40, 24);
}

#[test]
#[should_panic(expected = "resets holds 5 values, its shape [T, B] needs 20")]
fn resets() {
    let sequences = Sequences { resets: Some(&[false; 5]), ..Sequences::new(5, 4) };
    run(&sequences, 40, 24);
}

#[test]
fn nothing_at_all_is_a_batch() {
    run(&Sequences::new(0, 0), 0, 0);
    run(&Sequences::new(0, 2), 0, 12);
}
