//! Models written for others: read back, they are the same to the bit; run as a graph, they give the same.

use crate::support::assert_close;
use recurve_interop::export::{Target, export};
use recurve_interop::graph::{Array, GraphSession, Value};
use recurve_interop::{Imported, Options, open_bytes};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Element, Engine, Input, InputKind, Layer, Merge, Mode,
    Model, Network, Pooling, Recurrent,
};
use std::sync::Arc;

/// A model with weights that are all different.
fn model<E: Element>(description: &Description) -> Model<E> {
    let mut model = Model::new(description.clone()).unwrap();
    for (at, value) in model.values_mut().iter_mut().enumerate() {
        *value = E::from_f64(((at as f64 + 1.0) * 0.7391).sin() * 0.4);
    }
    model
}

fn descriptions() -> Vec<Description> {
    let mut all = vec![];
    for cell in [
        CellKind::RnnTanh,
        CellKind::RnnRelu,
        CellKind::Lstm,
        CellKind::LstmPeephole,
        CellKind::LstmCoupled,
        CellKind::LstmCoupledPeephole,
        CellKind::Gru,
        CellKind::GruResetBefore,
    ] {
        for bias in [Bias::None, Bias::One, Bias::Two] {
            let stack = Recurrent::new(cell, 5).bias(bias);
            all.push(Description::values(3).recurrent(stack.clone().layers(2)).linear(2));
            all.push(
                Description::values(3).recurrent(stack.bidirectional()).layer_norm().linear(4),
            );
        }
    }
    let lstm = Recurrent::new(CellKind::Lstm, 4);
    for by in [Pooling::Last, Pooling::Mean, Pooling::Max] {
        all.push(Description::values(2).recurrent(lstm.clone()).pool(by).linear(3));
        all.push(Description::values(2).recurrent(lstm.clone().bidirectional()).pool(by));
    }
    for merge in [Merge::Sum, Merge::Mean, Merge::Product] {
        all.push(Description::values(2).recurrent(lstm.clone().bidirectional().merge(merge)));
    }
    let gru = Recurrent::new(CellKind::Gru, 6).layers(2).dropout(0.25);
    all.push(Description::tokens(9).embedding(4).dropout(0.1).recurrent(gru).linear(9));
    let gru = Recurrent::new(CellKind::Gru, 3);
    all.push(Description::values(3).recurrent(lstm.clone()).recurrent(gru));
    let tied = Recurrent::new(CellKind::Lstm, 4).layers(2).dropout(0.2);
    all.push(Description::tokens(9).embedding(4).dropout(0.1).recurrent(tied).tied());
    let projected = lstm.projection(3).layers(2);
    all.push(Description::values(2).recurrent(projected.clone()).linear(2));
    let both = projected.bidirectional().bias(Bias::Two);
    all.push(Description::values(2).recurrent(both.clone()).pool(Pooling::Last));
    all.push(Description::values(2).recurrent(both));
    all
}

/// A model in a format, if it has its layers; what it has not is named.
fn written<E: Element>(model: &Model<E>, target: Target) -> Option<Vec<u8>> {
    match export(model, target, "model") {
        Ok(mut files) => Some(files.remove(0).bytes),
        Err(error) => {
            let text = error.to_string();
            let name = match target {
                Target::Torch => "PyTorch has no ",
                Target::Onnx => "ONNX has no ",
                Target::Keras => "Keras has no ",
                Target::Npz => panic!("{text}"),
            };
            assert!(text.starts_with("layer ") && text.contains(name), "{text}");
            None
        }
    }
}

fn read_back<E: Element>(bytes: Vec<u8>) -> Model<E> {
    let opened = open_bytes("model", bytes, &Options::default()).unwrap();
    match opened.import::<E>().unwrap() {
        Imported::Layers(back) => back.model,
        Imported::Graph(_) => panic!("a graph"),
    }
}

fn bits<E: Element>(model: &Model<E>) -> Vec<u64> {
    model.values().iter().map(|value| value.to_f64().to_bits()).collect()
}

/// From any format to any other and back: the same description and the same bits, and the same file again.
///
/// Keras has no stacks, and adds up two biases of a cell that knows their sum alone; so what begins there is what
/// Keras keeps of a model.
#[test]
fn between_any_two_formats_nothing_is_lost() {
    let mut pairs = std::collections::BTreeMap::new();
    let mut check = |model: &Model<f32>, targets: &[Target]| {
        for first in targets {
            let Some(bytes) = written(model, *first) else { continue };
            let one = read_back::<f32>(bytes.clone());
            for second in targets {
                let Some(other) = written(&one, *second) else { continue };
                let back = read_back::<f32>(other);
                assert_eq!(back.description(), model.description(), "{first:?} to {second:?}");
                assert_eq!(bits(&back), bits(model), "{first:?} to {second:?}");
                assert!(written(&back, *first).unwrap() == bytes, "{first:?} to {second:?}");
                *pairs.entry(format!("{first:?} to {second:?}")).or_insert(0) += 1;
            }
        }
    };
    for description in descriptions() {
        let model = model::<f32>(&description);
        check(&model, &[Target::Torch, Target::Onnx, Target::Npz]);
        if let Some(bytes) = written(&model, Target::Keras) {
            let kept = read_back::<f32>(bytes);
            check(&kept, &[Target::Torch, Target::Onnx, Target::Keras, Target::Npz]);
        }
    }
    assert_eq!(pairs.len(), 16);
    assert!(pairs.values().all(|models| *models >= 8), "{pairs:?}");
}

#[test]
fn double_precision_comes_back_to_the_bit_too() {
    for description in descriptions() {
        let model = model::<f64>(&description);
        for target in [Target::Torch, Target::Onnx, Target::Npz] {
            let Some(bytes) = written(&model, target) else { continue };
            let back = read_back::<f64>(bytes.clone());
            assert_eq!(back.description(), &description);
            assert_eq!(bits(&back), bits(&model));
            assert_eq!(written(&back, target), Some(bytes));
        }
    }
}

#[test]
fn a_graph_gives_what_the_model_gives_whole_and_in_chunks() {
    const STEPS: usize = 7;
    const BATCH: usize = 3;
    for description in descriptions() {
        let model = model::<f64>(&description);
        let mut network = Network::new(&description, Engine::detect().unwrap()).unwrap();
        network.load(model.values(), false);
        let width = description.widths().unwrap()[0];
        let x: Vec<f64> = (0..STEPS * BATCH * width).map(|i| (i as f64 * 0.37).cos()).collect();
        let tokens: Vec<u32> = (0..STEPS * BATCH).map(|i| (i * 5 % width) as u32).collect();
        let is_tokens = matches!(description.input, InputKind::Tokens { .. });
        let input = if is_tokens { Input::Tokens(&tokens) } else { Input::Values(&x) };
        let y =
            network.forward(&Batch::new(STEPS, BATCH, input), None, Mode::Infer).unwrap().to_vec();
        // The description is not found under another name.
        let Some(mut bytes) = written(&model, Target::Onnx) else { continue };
        let key = b"recurve.description";
        let at = bytes.windows(key.len()).position(|piece| piece == key).unwrap();
        bytes[at] = b'x';
        let opened = open_bytes("model.onnx", bytes, &Options::default()).unwrap();
        let Imported::Graph(graph) = opened.import::<f64>().unwrap() else { panic!("no graph") };
        let states: usize = description
            .stacks()
            .map(|stack| if stack.cell.name().starts_with("lstm") { 2 } else { 1 })
            .sum();
        assert_eq!(graph.states.len(), states, "{description:?}");
        let name = graph.inputs[graph.data_inputs()[0]].name.clone();
        let graph = Arc::new(graph);
        let outputs = y.len() / BATCH / if description.is_pooled() { 1 } else { STEPS };
        let one_way = description.stacks().all(|stack| !stack.bidirectional);
        for chunk in [STEPS, 2] {
            if chunk != STEPS && (!one_way || description.is_pooled()) {
                continue;
            }
            let mut session = GraphSession::<f64>::new(graph.clone(), Engine::detect().unwrap());
            let mut given = vec![f64::NAN; y.len()];
            for begin in (0..STEPS).step_by(chunk) {
                let steps = chunk.min(STEPS - begin);
                let places =
                    || (0..BATCH).flat_map(|b| (begin..begin + steps).map(move |t| t * BATCH + b));
                let value = if is_tokens {
                    let tokens = places().map(|at| i64::from(tokens[at])).collect();
                    Value::Integers(Array::new(vec![BATCH, steps], tokens).unwrap())
                } else {
                    let rows = places().flat_map(|at| x[at * width..][..width].to_vec()).collect();
                    Value::Reals(Array::new(vec![BATCH, steps, width], rows).unwrap())
                };
                let out = session.run(&[(name.as_str(), value)]).unwrap();
                let out = &out[0].reals().unwrap().data;
                if description.is_pooled() {
                    given.copy_from_slice(out);
                } else {
                    for (row, at) in out.chunks(outputs).zip(places()) {
                        given[at * outputs..][..outputs].copy_from_slice(row);
                    }
                }
            }
            // The 1e-5 of a layer normalisation is an attribute of 32 bits.
            let norm = description.layers.contains(&Layer::LayerNorm);
            let tolerance = if norm { 1e-9 } else { 1e-12 };
            assert_close(&given, &y, tolerance, &format!("{description:?} in chunks of {chunk}"));
        }
    }
}

#[test]
fn a_changed_file_is_read_as_anybody_elses() {
    let description = Description::values(3).recurrent(Recurrent::new(CellKind::Lstm, 4)).linear(1);
    let model = model::<f32>(&description);
    let mut bytes = export(&model, Target::Onnx, "m").unwrap().remove(0).bytes;
    let at = bytes.windows(7).position(|piece| piece == b"forward").unwrap();
    bytes[at..at + 7].copy_from_slice(b"reverse");
    let opened = open_bytes("m.onnx", bytes, &Options::default()).unwrap();
    assert!(matches!(opened.import::<f32>().unwrap(), Imported::Graph(_)));
}

#[test]
fn what_a_format_has_not_is_refused_by_name() {
    let stack = Recurrent::new(CellKind::Slstm, 4);
    let model = model::<f32>(&Description::values(3).recurrent(stack));
    for target in [Target::Onnx, Target::Torch] {
        let text = export(&model, target, "m").unwrap_err().to_string();
        assert!(text.contains("layer 0") && text.contains("slstm"), "{text}");
    }
    let stack = Recurrent::new(CellKind::Lstm, 4).projection(3);
    let model = self::model::<f32>(&Description::values(3).linear(3).recurrent(stack));
    for (target, name) in [(Target::Onnx, "ONNX"), (Target::Keras, "Keras")] {
        let text = export(&model, target, "m").unwrap_err().to_string();
        let expected = format!("layer 1: {name} has no option like `projection = 3`");
        assert!(text.starts_with(&expected), "{text}");
    }
}
