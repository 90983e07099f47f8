//! Files of Burn and candle, as `golden/gen/foreign.py` writes them, give what PyTorch computes with the same
//! weights.

use crate::support::{Golden, Run, assert_close, layers};
use recurve_interop::{Options, open};
use recurve_nn::{Bias, CellKind, Element, Layer};
use std::path::PathBuf;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../golden/foreign").join(name)
}

fn gives<E: Element>(name: &str, tolerance: f64) {
    let file = golden(&format!("{name}.safetensors"));
    let layers = layers::<E>(&file, &Options::default());
    let io = Golden::read(&golden(&format!("{name}.io.safetensors")));
    let (x, batch) = (io.get("x"), io.shape("x")[1]);
    let whole = Run::new(&layers, batch).run(&x, None);
    assert_close(&whole, &io.get("y"), tolerance, name);
    if layers.model.description().stacks().any(|stack| stack.bidirectional) {
        return;
    }
    let mut run = Run::new(&layers, batch);
    let row = x.len() / io.shape("x")[0];
    let (first, second) = x.split_at(2 * row);
    let mut pieces = run.run(first, None);
    pieces.extend(run.run(second, None));
    assert_close(&pieces, &io.get("y"), tolerance, &format!("{name} in pieces"));
}

#[test]
fn models_of_burn_and_candle() {
    for name in [
        "burn_lstm",
        "burn_bilstm",
        "burn_coupled",
        "burn_gru",
        "burn_bigru",
        "burn_rnn",
        "candle_lstm",
        "candle_gru",
        "candle_gru_hidden_bias",
        "candle_bilstm",
    ] {
        gives::<f32>(name, 5e-6);
        gives::<f64>(name, 1e-12);
    }
}

#[test]
fn what_is_recognised_and_what_is_assumed_is_said() {
    let read = |name: &str| open(&golden(&format!("{name}.safetensors")), &Options::default());
    let stack = |name: &str| match &read(name).unwrap().contents.found {
        found if found.iter().any(|layer| layer.stack().is_some()) => {
            found.iter().find_map(|layer| layer.stack().cloned()).unwrap()
        }
        found => panic!("{found:?}"),
    };
    assert_eq!(stack("burn_coupled").cell, CellKind::LstmCoupled);
    assert_eq!(stack("candle_gru").bias, Bias::One);
    assert_eq!(stack("burn_bigru").bias, Bias::None);
    let burn = read("burn_gru").unwrap();
    let names: Vec<&str> = burn.contents.found.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(burn.contents.found.iter().any(|found| matches!(found.layer, Layer::LayerNorm)));
    let assumed: Vec<String> =
        burn.contents.found.iter().flat_map(|found| found.assumed.clone()).collect();
    assert!(assumed.iter().any(|text| text.contains("the reset after the product")), "{assumed:?}");
    let relu = Options { rnn: Some(CellKind::RnnRelu), ..Options::default() };
    let relu = layers::<f32>(&golden("burn_rnn.safetensors"), &relu);
    assert_eq!(relu.model.description().stacks().next().unwrap().cell, CellKind::RnnRelu);
}
