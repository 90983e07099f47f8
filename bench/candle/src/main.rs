//! Times candle's LSTM.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{RNN, VarBuilder, VarMap, rnn};
use clap::Parser;
use contract::{Mode, Shape, time};

fn main() -> Result<()> {
    let shape = Shape::parse();
    shape.require_plain_lstm();
    let device = Device::Cpu;
    let map = VarMap::new();
    let weights = VarBuilder::from_varmap(&map, DType::F32, &device);
    let layers = (0..shape.layers)
        .map(|l| rnn::lstm(shape.width(l), shape.hidden, Default::default(), weights.pp(l)))
        .collect::<Result<Vec<_>>>()?;
    let (t, b) = (shape.steps, shape.batch);
    let x = Var::from_tensor(&Tensor::randn(0f32, 1f32, (b, t, shape.input), &device)?)?;
    let dy = Tensor::randn(0f32, 1f32, (b, t, shape.hidden), &device)?;
    let through = |x: &Tensor| -> Result<Tensor> {
        let mut y = x.clone();
        for layer in &layers {
            y = layer.states_to_tensor(&layer.seq(&y)?)?;
        }
        Ok(y)
    };
    let version = "0.11.1";
    match shape.mode {
        Mode::Train => time("candle", version, &shape, || {
            let y = through(x.as_tensor()).expect("forward");
            (y * &dy).and_then(|y| y.sum_all()?.backward()).expect("backward");
        }),
        Mode::Infer => time("candle", version, &shape, || {
            through(&x.as_detached_tensor()).expect("forward");
        }),
        Mode::Step | Mode::Product => {
            let x = x.as_detached_tensor().squeeze(1)?;
            let mut states =
                layers.iter().map(|layer| layer.zero_state(b)).collect::<Result<Vec<_>>>()?;
            time("candle", version, &shape, || {
                let mut y = x.clone();
                for (layer, state) in layers.iter().zip(&mut states) {
                    *state = layer.step(&y, state).expect("a step");
                    y = state.h().clone();
                }
            });
        }
    }
    Ok(())
}
