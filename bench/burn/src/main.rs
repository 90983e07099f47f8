//! Times Burn's LSTM on its `flex` backend for processors.

use burn::nn::{Lstm, LstmConfig, LstmState};
use burn::prelude::*;
use burn::tensor::Distribution;
use clap::Parser;
use contract::{Mode, Shape, time};

fn main() {
    let shape = Shape::parse();
    shape.require_plain_lstm();
    let train = shape.mode == Mode::Train;
    let device = if train { Device::flex().autodiff() } else { Device::flex() };
    let layers: Vec<Lstm> = (0..shape.layers)
        .map(|l| LstmConfig::new(shape.width(l), shape.hidden, true).init(&device))
        .collect();
    let (t, b) = (shape.steps, shape.batch);
    let normal = Distribution::Normal(0.0, 1.0);
    let x: Tensor<3> = Tensor::random([b, t, shape.input], normal, &device);
    let x = if train { x.require_grad() } else { x };
    let dy: Tensor<3> = Tensor::random([b, t, shape.hidden], normal, &device);
    let mut states: Vec<Option<LstmState<2>>> = vec![None; shape.layers];
    time("burn", "0.22.1", &shape, || {
        let mut y = x.clone();
        for (layer, state) in layers.iter().zip(&mut states) {
            let before = if shape.mode == Mode::Step { state.take() } else { None };
            let (output, after) = layer.forward(y, before);
            y = output;
            if shape.mode == Mode::Step {
                *state = Some(after);
            }
        }
        if train {
            std::hint::black_box(&(y * dy.clone()).sum().backward());
        } else {
            std::hint::black_box(y.into_data());
        }
    });
}
