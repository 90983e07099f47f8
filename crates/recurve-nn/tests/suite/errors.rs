//! What does not fit is refused with one message that names what was found and what was expected.

use crate::support;
use crate::support::{Random, random_model};
use recurve_nn::{
    Activation, Activations, Batch, CellKind, Connection, Description, Engine, Input, InputKind,
    Layer, Merge, Mode, Model, Network, Noise, Pooling, Precision, Recurrent, Session, State,
};

const TRAIN: Mode = Mode::Train(Noise { seed: 1, step: 1 });

fn lstm(hidden: usize) -> Recurrent {
    Recurrent::new(CellKind::Lstm, hidden)
}

fn engine() -> Engine {
    Engine::detect().unwrap()
}

#[track_caller]
fn says<T>(result: recurve_nn::Result<T>, expected: &[&str]) {
    let Err(error) = result else { panic!("expected an error with {expected:?}") };
    let text = error.to_string();
    for part in expected {
        assert!(text.contains(part), "{text:?} has no {part:?}");
    }
}

#[test]
fn precisions() {
    let description = Description::values(4).recurrent(lstm(3));
    for precision in [Precision::Bf16, Precision::Int8] {
        let engine = engine().with_precision(precision);
        let expected = [precision.name(), "networks of f32", "f64"];
        says(Network::<f64>::new(&description, engine), &expected);
        let model = random_model::<f64>(&description, 1);
        says(Session::new(&model, engine, 1), &expected);
    }
    let wide = Description::values((1 << 17) + 1).recurrent(lstm(1));
    let int8 = engine().with_precision(Precision::Int8);
    says(Network::<f32>::new(&wide, int8), &["width 131073", "at most 131072"]);

    let model = random_model::<f32>(&description, 1);
    let mut network = Network::new(&description, int8).unwrap();
    network.load(model.values(), true);
    let x = [0.5; 8];
    let batch = Batch::new(2, 1, Input::Values(&x));
    says(network.forward(&batch, None, TRAIN), &["8 bits", "not for training", "f32"]);
    network.forward(&batch, None, Mode::Infer).unwrap();
}

#[test]
fn descriptions() {
    let values = || Description::values(4);
    let cases: Vec<(Description, &[&str])> = vec![
        (Description::values(0), &["input width is 0", "at least 1"]),
        (Description::tokens(0).embedding(3), &["vocabulary is 0", "at least 1"]),
        (Description::tokens(5).embedding(0), &["layer 0", "embedding width is 0"]),
        (values().linear(0), &["layer 0", "linear outputs is 0"]),
        (values().linear(3).recurrent(lstm(0)), &["layer 1", "hidden is 0"]),
        (values().recurrent(lstm(usize::MAX)), &["hidden is", "at most 268435456"]),
        (values().recurrent(lstm(3).layers(0)), &["layers is 0"]),
        (values().recurrent(lstm(1).layers(1 << 20)), &["layers is 1048576", "at most 4096"]),
        (values().recurrent(lstm(3).dropout(1.0)), &["a dropout of 1;", "less than 1"]),
        (values().dropout(-0.1), &["layer 0", "a dropout of -0.1", "at least 0"]),
        (values().dropout(f64::NAN), &["a dropout of NaN"]),
        (values().recurrent(lstm(1 << 28)), &["0.recurrent.0.forward.r", "larger than any memory"]),
        (
            values().recurrent(lstm(3).merge(Merge::Sum)),
            &["layer 0", "merge is `sum`", "one direction"],
        ),
        (
            values().recurrent(lstm(3).connection(Connection::Residual)),
            &["connection is `residual`", "one layer"],
        ),
        (values().recurrent(lstm(3).layers(2).locked_dropout(0.0)), &["locked", "rate of 0"]),
        (values().recurrent(lstm(3).weight_dropout(1.0)), &["a dropout of 1;"]),
        (Description::tokens(5).embedding_dropped(3, 2.0), &["a dropout of 2;"]),
        (
            values()
                .recurrent(lstm(3).bidirectional().merge(Merge::Mean))
                .layer_norm()
                .pool(Pooling::Last),
            &["layer 2", "merged by mean", "merge by concat"],
        ),
        (Description::tokens(5), &["reads tokens begins with an embedding"]),
        (Description::tokens(5).embedding(3).linear(4).tied(), &["layer 2", "3 wide", "4 values"]),
        (Description::tokens(5).embedding(3).tied().layer_norm(), &["layer 1", "comes last"]),
        (values().linear(4).tied(), &["there is no embedding"]),
        (Description::tokens(5).tied(), &["begins with an embedding"]),
        (Description::tokens(5).linear(2), &["layer 0", "Linear", "begins with an embedding"]),
        (
            values().embedding(2),
            &["layer 0", "Embedding", "it reads tokens or words, and here are values"],
        ),
        (
            Description::tokens(5).embedding(2).embedding(2),
            &["layer 1", "Embedding", "it reads tokens or words"],
        ),
        (
            values().pool(Pooling::Mean).recurrent(lstm(2)),
            &["layer 1", "no steps left after pooling"],
        ),
        (
            values().pool(Pooling::Mean).linear(3).pool(Pooling::Last),
            &["layer 2", "no steps left after pooling"],
        ),
    ];
    for (description, expected) in cases {
        says(Network::<f32>::new(&description, engine()), expected);
        says(Model::<f32>::new(description), expected);
    }
}

#[test]
fn descriptions_in_files() {
    let read = |text: &str| serde_json::from_str::<Description>(text);
    let good = Description::tokens(5).embedding(3).recurrent(lstm(4)).pool(Pooling::Last).linear(2);
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(read(&text).unwrap(), good);
    for (from, to, expected) in [
        ("\"lstm\"", "\"lstn\"", "unknown cell `lstn`; there are rnn-tanh, rnn-relu, lstm,"),
        ("\"hidden\"", "\"hiden\"", "unknown field `hiden`"),
        ("\"layers\"", "\"layrs\"", "unknown field `layrs`"),
        ("\"hidden\":4", "\"hidden\":-4", "invalid value"),
        ("\"last\"", "\"first\"", "unknown variant `first`"),
    ] {
        assert!(text.contains(from), "{text}");
        let error = read(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for kind in CellKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn batches() {
    let of_values = Description::values(3).recurrent(lstm(4));
    let of_tokens = Description::tokens(7).embedding(3).recurrent(lstm(4));
    let (values, tokens) = (random_model::<f32>(&of_values, 1), random_model::<f32>(&of_tokens, 1));
    let x = Random(1).values::<f32>(4 * 2 * 3, 1.0);
    let t = [0, 1, 2, 3, 4, 5, 6, 0];
    let forward = |model: &Model<f32>, batch: Batch<'_, f32>| {
        let mut network = Network::new(model.description(), engine()).unwrap();
        network.load(model.values(), true);
        network.forward(&batch, None, TRAIN).map(<[f32]>::to_vec)
    };
    let read = |steps, batch| Batch::new(steps, batch, Input::Values(&x));
    assert!(forward(&values, read(4, 2)).is_ok());
    says(forward(&values, read(5, 2)), &["24 values for 5 steps of 2 sequences", "expected 30"]);
    says(forward(&values, read(usize::MAX, 2)), &["24 values", "expected"]);
    says(forward(&values, read(4, 2).lengths(&[4])), &["1 lengths for a batch of 2"]);
    says(forward(&values, read(4, 2).lengths(&[1, 5])), &["sequence 1 has length 5", "of 4 steps"]);
    says(
        forward(&values, read(4, 2).mask(&[true; 9])),
        &["9 flags of the mask for 4 steps of 2 sequences", "expected 8"],
    );
    says(
        forward(&values, read(4, 2).resets(&[true; 7])),
        &["7 resets for 4 steps of 2 sequences", "expected 8"],
    );
    let read = |tokens| Batch::new(4, 2, Input::Tokens(tokens));
    assert!(forward(&tokens, read(&t)).is_ok());
    says(forward(&tokens, read(&t[1..])), &["7 tokens for 4 steps of 2", "expected 8"]);
    let unknown = [0, 1, 2, 3, 4, 7, 6, 0];
    says(
        forward(&tokens, read(&unknown)),
        &["token 7 at step 2 of sequence 1", "the tokens 0 to 6"],
    );
    // What stands beyond the end of a sequence is not read.
    assert!(forward(&tokens, read(&unknown).lengths(&[4, 2])).is_ok());
    says(forward(&values, read(&t)), &["tokens for a model that reads values"]);
    says(
        forward(&tokens, Batch::new(4, 2, Input::Values(&x))),
        &["values for a model that reads tokens"],
    );
}

#[test]
fn states_and_gradients() {
    let description = Description::values(3).recurrent(lstm(4));
    let model = random_model::<f32>(&description, 1);
    let x = Random(1).values::<f32>(4 * 2 * 3, 1.0);
    let batch = Batch::new(4, 2, Input::Values(&x));
    let dy = [0.1; 4 * 2 * 4];
    let mut d = vec![0.0; model.values().len()];
    let mut network = Network::new(&description, engine()).unwrap();
    says(network.forward(&batch, None, TRAIN), &["no weights yet", "load them first"]);

    network.load(model.values(), true);
    let mut three = State::zero(&description, 3);
    let mut other = State::zero(&Description::values(3).recurrent(lstm(5)), 2);
    let of_three = ["a state of 3 sequences for a batch of 2"];
    says(network.forward(&batch, Some(&mut three), TRAIN), &of_three);
    says(network.forward(&batch, Some(&mut other), TRAIN), &["a state of another model"]);
    says(network.backward(&dy, &mut d, None), &["backward follows a forward pass for training"]);

    network.forward(&batch, None, Mode::Infer).unwrap();
    says(network.backward(&dy, &mut d, None), &["backward follows a forward pass for training"]);

    network.forward(&batch, None, TRAIN).unwrap();
    says(
        network.backward(&dy[1..], &mut d, None),
        &["31 outputs", "expected 32", &d.len().to_string()],
    );
    says(network.backward(&dy, &mut d[1..], None), &["127 weights", "expected 32 and 128"]);
    says(network.backward(&dy, &mut d, Some(&mut three)), &of_three);
    says(network.backward(&dy, &mut d, Some(&mut other)), &["a state of another model"]);
    // A refusal spoils nothing; a pass can be used once.
    network.backward(&dy, &mut d, None).unwrap();
    says(network.backward(&dy, &mut d, None), &["one backward for each"]);

    // A pass that failed is not one to go back through.
    network.forward(&batch, None, TRAIN).unwrap();
    let longer = batch.lengths(&[9, 9]);
    says(network.forward(&longer, None, TRAIN), &["sequence 0 has length 9"]);
    says(network.backward(&dy, &mut d, None), &["backward follows a forward pass for training"]);

    // Nor one with other weights.
    network.forward(&batch, None, TRAIN).unwrap();
    network.load(model.values(), false);
    says(network.backward(&dy, &mut d, None), &["backward follows a forward pass for training"]);
    network.forward(&batch, None, TRAIN).unwrap();
    says(network.backward(&dy, &mut d, None), &["loaded for forward only"]);
}

#[test]
fn sessions() {
    let new = |description: Description, batch| {
        let model = random_model::<f32>(&description, 1);
        Session::new(&model, engine(), batch).map(|_| ())
    };
    let values = || Description::values(3);
    assert!(new(values().recurrent(lstm(4)).pool(Pooling::Last), 1).is_ok());
    says(new(values().recurrent(lstm(4)), 0), &["0 streams", "at least 1"]);
    says(
        new(values().recurrent(lstm(4).bidirectional()), 1),
        &["bidirectional", "cannot run step by step"],
    );
    for by in [Pooling::Mean, Pooling::Max] {
        says(
            new(values().recurrent(lstm(4)).pool(by), 1),
            &["mean or maximum", "cannot run step by step"],
        );
    }
}

/// What a cell does not have cannot be chosen.
#[test]
fn functions_and_bounds_of_cells() {
    let of = |stack: Recurrent| Description::values(3).recurrent(stack).widths();
    let new = |cell| Recurrent::new(cell, 4);
    let with = |activations: Activations| move |cell| new(cell).activations(activations);
    let standard = with(Activations::default());
    let relu = |activations: &mut Activations| activations.output = Activation::Relu;
    let mut shown = Activations::default();
    relu(&mut shown);
    assert!(of(with(shown)(CellKind::Lstm).clip_sums(3.0).clip_state(1.0)).is_ok());
    says(of(standard(CellKind::Slstm)), &["`slstm`", "cannot be chosen"]);
    says(of(with(shown)(CellKind::Gru)), &["`gru` has no output", "Relu"]);
    says(of(new(CellKind::Gru).clip_state(1.0)), &["`gru`", "clip_state"]);
    says(of(new(CellKind::Lstm).clip_state(-1.0)), &["clip_state is -1", "positive"]);
    says(of(new(CellKind::Qrnn).clip_sums(1.0)), &["`qrnn`", "clip_sums"]);
    let elu = Activations { candidate: Activation::Elu { alpha: -1.0 }, ..Activations::default() };
    says(of(with(elu)(CellKind::Lstm)), &["Elu", "not negative"]);
    says(of(new(CellKind::Sru)), &["`sru`", "3 inputs and 4 units", "sru-projected"]);
}

/// A file from before a choice existed says nothing of it.
#[test]
fn what_is_not_chosen_is_not_written() {
    let text = serde_json::to_string(&lstm(4)).unwrap();
    assert!(!text.contains("clip") && !text.contains("activations"), "{text}");
    assert_eq!(serde_json::from_str::<Recurrent>(&text).unwrap(), lstm(4));
    let hard = Activation::HardSigmoid { alpha: 0.2, beta: 0.5 };
    let stack =
        lstm(4).activations(Activations { gate: hard, ..Activations::default() }).clip_state(2.0);
    let text = serde_json::to_string(&stack).unwrap();
    assert!(text.contains(r#""gate":{"hard-sigmoid":{"alpha":0.2,"beta":0.5}}"#), "{text}");
    assert_eq!(serde_json::from_str::<Recurrent>(&text).unwrap(), stack);
    let some = r#"{"candidate":"relu"}"#;
    let some = serde_json::from_str::<Activations>(some).unwrap();
    assert_eq!(some, Activations { candidate: Activation::Relu, ..Activations::default() });
}

/// Numbers that are not finite come out, they are not swallowed on the way.
#[test]
fn nan_shows() {
    let x: Vec<f32> = (0..5 * 3).map(|at| if at == 7 { f32::NAN } else { 0.5 }).collect();
    let layers: Vec<(&str, Description)> = support::cells()
        .map(|cell| (cell.name(), Description::values(3).recurrent(Recurrent::new(cell, 4))))
        .chain([
            ("layer norm", Description::values(3).layer_norm()),
            ("linear", Description::values(3).linear(2)),
            ("mean", Description::values(3).pool(Pooling::Mean)),
            ("max", Description::values(3).pool(Pooling::Max)),
        ])
        .collect();
    for (name, description) in layers {
        let model = random_model::<f32>(&description, 1);
        for isa in support::isas() {
            let mut network = Network::new(&description, Engine::new(isa)).unwrap();
            network.load(model.values(), false);
            let batch = Batch::new(5, 1, Input::Values(&x));
            let y = network.forward(&batch, None, Mode::Infer).unwrap();
            assert!(y.iter().any(|y| y.is_nan()), "{name} {isa}: {y:?}");
        }
    }
}

/// The builder and the parts it is made of say the same.
#[test]
fn a_description_lists_its_layers() {
    let description =
        Description::tokens(5).embedding(3).dropout(0.5).layer_norm().pool(Pooling::Max).linear(2);
    let expected = Description {
        input: InputKind::Tokens { vocabulary: 5 },
        layers: vec![
            Layer::Embedding { width: 3, dropout: 0.0 },
            Layer::Dropout { rate: 0.5, locked: false },
            Layer::LayerNorm,
            Layer::Pool { by: Pooling::Max },
            Layer::Linear { outputs: 2 },
        ],
    };
    assert_eq!(description, expected);
    assert_eq!(description.widths().unwrap(), [5, 3, 3, 3, 3, 2]);
}
