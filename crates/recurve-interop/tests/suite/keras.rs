//! Files of Keras give what Keras computed with them.

use crate::support::{Golden, assert_close, cases, say, shared};
use recurve_interop::graph::{Array, GraphSession, Value};
use recurve_interop::{Imported, Options, keras, open, open_bytes};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Element, Engine, Input, InputKind, Merge, Mode, Model,
    Network, Pooling, Recurrent, State,
};
use std::path::Path;
use std::sync::Arc;

const KERAS: &str = "models/fixtures/keras";
const KERAS_2: &str = "models/fixtures/keras2";

/// `[a, b, n]` as `[b, a, n]`.
fn turned<T: Copy>(values: &[T], a: usize, b: usize) -> Vec<T> {
    let n = values.len() / a / b;
    let row = |(j, i): (usize, usize)| &values[(i * b + j) * n..][..n];
    (0..b).flat_map(|j| (0..a).map(move |i| (j, i))).flat_map(row).copied().collect()
}

/// What a model of Keras reads: sequences `[B, T, I]`, or tokens `[B, T]`.
struct Given {
    values: Vec<f64>,
    tokens: bool,
    batch: usize,
    steps: usize,
}

impl Given {
    fn of(io: &Golden) -> Self {
        let x = if io.find("x").is_some() { "x" } else { "tokens" };
        let shape = io.shape(x);
        Self { values: io.get(x), tokens: shape.len() == 2, batch: shape[0], steps: shape[1] }
    }
    /// The steps from `first` to `end`.
    fn part(&self, first: usize, end: usize) -> Self {
        let row = self.values.len() / self.batch;
        let step = row / self.steps;
        let part = |sequence: &[f64]| sequence[first * step..end * step].to_vec();
        let values = self.values.chunks(row).flat_map(part).collect();
        Self { values, tokens: self.tokens, batch: self.batch, steps: end - first }
    }
}

/// A model at work.
enum Running<E: Element> {
    Layers(Box<Network<E>>, State<E>),
    Graph(Box<GraphSession<E>>),
}

impl<E: Element> Running<E> {
    fn new(file: &Path, batch: usize) -> Result<Self, String> {
        let imported = open(file, &Options::default()).and_then(|foreign| foreign.import());
        let layers = match imported.map_err(|error| error.to_string())? {
            Imported::Layers(layers) => layers,
            Imported::Graph(graph) => {
                let engine = Engine::detect().unwrap();
                return Ok(Self::Graph(Box::new(GraphSession::new(Arc::new(graph), engine))));
            }
        };
        let description = layers.model.description();
        let mut network = Network::new(description, Engine::detect().unwrap()).unwrap();
        network.load(layers.model.values(), false);
        let state = State::zero(description, batch);
        Ok(Self::Layers(Box::new(network), state))
    }
    /// Sets the states, `[B, H]` each, in the order of Keras: h, c, of each direction.
    fn begin(&mut self, states: &[Vec<f64>]) {
        let Self::Layers(_, state) = self else { panic!("a graph whose states are inputs") };
        let mut states = states.iter();
        for part in state.parts_mut() {
            for to in [&mut part.h, &mut part.c].into_iter().filter(|to| !to.is_empty()) {
                let from = states.next().expect("a state");
                to.iter_mut().zip(from).for_each(|(to, from)| *to = E::from_f64(*from));
            }
        }
        assert!(states.next().is_none());
    }
    fn states(&self) -> Vec<Vec<E>> {
        let Self::Layers(_, state) = self else { return vec![] };
        let parts = state.parts().iter();
        parts.flat_map(|part| [part.h.clone(), part.c.clone()]).filter(|s| !s.is_empty()).collect()
    }
    /// Whether a sequence can be run piece by piece.
    fn streams(&self) -> bool {
        match self {
            Self::Layers(network, _) => {
                network.description().stacks().all(|stack| !stack.bidirectional)
                    && !network.description().is_pooled()
            }
            Self::Graph(session) => !session.graph().states.is_empty(),
        }
    }
    fn reset(&mut self) {
        match self {
            Self::Layers(_, state) => state.reset(),
            Self::Graph(session) => session.reset(),
        }
    }
    /// Runs on from the states; gives the outputs in the order of Keras.
    fn run(&mut self, given: &Given) -> Vec<Vec<E>> {
        let (batch, steps) = (given.batch, given.steps);
        let values: Vec<E> = given.values.iter().map(|value| E::from_f64(*value)).collect();
        match self {
            Self::Layers(network, state) => {
                let tokens: Vec<u32> = given.values.iter().map(|token| *token as u32).collect();
                let (tokens, values) =
                    (turned(&tokens, batch, steps), turned(&values, batch, steps));
                let is_tokens = matches!(network.description().input, InputKind::Tokens { .. });
                assert_eq!(is_tokens, given.tokens);
                let input =
                    if given.tokens { Input::Tokens(&tokens) } else { Input::Values(&values) };
                let rows = Batch::new(steps, batch, input);
                let y = network.forward(&rows, Some(state), Mode::Infer).unwrap().to_vec();
                let pooled = network.description().is_pooled();
                vec![if pooled { y } else { turned(&y, steps, batch) }]
            }
            Self::Graph(session) => {
                let (name, shape) = {
                    let graph = session.graph();
                    let port = &graph.inputs[graph.data_inputs()[0]];
                    (port.name.clone(), vec![batch, steps, given.values.len() / batch / steps])
                };
                let x = if given.tokens {
                    let tokens = given.values.iter().map(|token| *token as i64).collect();
                    Value::Integers(Array::new(vec![batch, steps], tokens).unwrap())
                } else {
                    Value::Reals(Array::new(shape, values).unwrap())
                };
                let all = session.run(&[(&name, x)]).unwrap_or_else(|error| panic!("{error}"));
                let places = session.graph().data_outputs();
                places.iter().map(|at| all[*at].reals().unwrap().data.to_vec()).collect()
            }
        }
    }
}

/// One file against its golden numbers: the whole sequence, its states, and the same in pieces.
fn check<E: Element>(file: &Path, io: &Golden, tolerance: f64) -> Result<(), String> {
    let given = Given::of(io);
    let what = |key: &str| format!("{} {key}", file.display());
    let mut running = Running::<E>::new(file, given.batch)?;
    let states: Vec<Vec<f64>> = (0..4).map_while(|at| io.find(&format!("s{at}"))).collect();
    if !states.is_empty() {
        running.begin(&states);
    }
    let outputs: Vec<Vec<f64>> = (1..5).map_while(|at| io.find(&format!("out{at}"))).collect();
    let y = running.run(&given);
    assert_close(&y[0], &io.get("y"), tolerance, &what("y"));
    let rest = y[1..].iter().cloned().chain(running.states());
    for (at, (found, expected)) in rest.zip(&outputs).enumerate() {
        assert_close(&found, expected, tolerance, &what(&format!("output {at}")));
    }
    if let Some(second) = io.find("y_second_call") {
        assert_close(&running.run(&given)[0], &second, tolerance, &what("second call"));
    }
    if let Some(pieces) = io.find("chunk_lens") {
        running.begin(&states);
        let (mut at, mut all, mut after) =
            (0, vec![vec![]; given.batch], vec![vec![]; states.len()]);
        for piece in pieces {
            let end = at + piece as usize;
            let y = running.run(&given.part(at, end)).remove(0);
            let row = y.len() / given.batch;
            all.iter_mut().zip(y.chunks(row)).for_each(|(all, y)| all.extend_from_slice(y));
            after.iter_mut().zip(running.states()).for_each(|(all, state)| all.extend(state));
            at = end;
        }
        assert_close(&all.concat(), &io.get("chunk_y"), tolerance, &what("pieces"));
        for (at, states) in after.iter().enumerate() {
            let key = format!("chunk_s{at}");
            assert_close(states, &io.get(&key), tolerance, &what(&key));
        }
    }
    if running.streams() && states.is_empty() {
        // One step at a time, for every sequence.
        running.reset();
        let mut last = vec![];
        let mut all = vec![vec![]; given.batch];
        for at in 0..given.steps {
            last = running.run(&given.part(at, at + 1)).remove(0);
            let row = last.len() / given.batch;
            all.iter_mut().zip(last.chunks(row)).for_each(|(all, y)| all.extend_from_slice(y));
        }
        let (y, all) = (io.get("y"), all.concat());
        let found = if y.len() == all.len() { all } else { last };
        // A masked first step repeats an output that a piece does not know.
        if !what("").contains("mask") {
            assert_close(&found, &y, tolerance, &what("step by step"));
        }
    }
    Ok(())
}

#[test]
fn models_of_keras_3() {
    let Some(folder) = shared(KERAS) else { return };
    let (mut run, mut refused) = (0, vec![]);
    for case in cases(&folder) {
        let name = case["folder"].as_str().unwrap();
        let folder = folder.join(name);
        let wide = Golden::read(&folder.join("io_f64.safetensors"));
        let narrow = Golden::read(&folder.join("io_f32.safetensors"));
        for file in ["model.keras", "model.h5"] {
            let file = folder.join(file);
            // Keras keeps a constant of this function in 32 bits; then 1e-8 is the distance, not the ratio.
            let largest = wide.get("y").iter().fold(0.0_f64, |most, y| most.max(y.abs()));
            let tolerance = if name.contains("gelu") { 1e-8 / largest } else { 1e-12 };
            match check::<f64>(&file, &wide, tolerance) {
                Ok(()) => {
                    check::<f32>(&file, &narrow, 5e-6).unwrap();
                    run += 1;
                }
                Err(error) => refused.push(error),
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    say(format_args!("{run} files run"));
}

#[test]
fn models_of_keras_2() {
    let Some(folder) = shared(KERAS_2) else { return };
    for case in cases(&folder) {
        let name = case["folder"].as_str().unwrap();
        let folder = folder.join(name);
        let io = Golden::read(&folder.join("io.safetensors"));
        for file in ["model.keras", "model.h5", "cudnn.weights.h5"] {
            let file = folder.join(file);
            if file.exists() {
                check::<f32>(&file, &io, 5e-6).unwrap();
            }
        }
    }
}

/// Values of the weights of a model, and the file it is written to.
fn written<E: Element>(name: &str, bytes: Vec<u8>) -> (Vec<E>, recurve_nn::Description, Vec<u8>) {
    let imported =
        open_bytes(name, bytes, &Options::default()).and_then(|foreign| foreign.import());
    let Ok(Imported::Layers(layers)) = imported else { panic!("{name}: no layers") };
    let model = layers.model;
    let archive = keras::archive(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
    (model.values().to_vec(), model.description().clone(), archive)
}

#[test]
fn a_model_that_goes_there_and_back_is_the_same_to_the_bit() {
    let mut count = 0;
    for folder in [KERAS, KERAS_2] {
        let Some(folder) = shared(folder) else { return };
        for case in cases(&folder) {
            let file = folder.join(case["folder"].as_str().unwrap()).join("model.keras");
            if !matches!(Running::<f32>::new(&file, 1), Ok(Running::Layers(..))) {
                continue;
            }
            let name = file.display().to_string();
            let (values, description, archive) =
                written::<f32>(&name, std::fs::read(&file).unwrap());
            let (again, same, twice) = written::<f32>(&name, archive.clone());
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values), bits(&again), "{name}");
            assert_eq!(description, same, "{name}");
            assert!(archive == twice, "{name}: another file");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// Every cell that Keras has, in stacks, with each bias.
fn models() -> Vec<Description> {
    use CellKind::{Gru, GruResetBefore, Lstm, RnnRelu, RnnTanh};
    let stack = |cell| Recurrent::new(cell, 5);
    let mut models = vec![
        Description::tokens(11)
            .embedding(4)
            .dropout(0.2)
            .recurrent(stack(Lstm))
            .pool(Pooling::Last)
            .linear(3),
        Description::values(4).recurrent(stack(Gru).bias(Bias::One)).layer_norm().linear(2),
        Description::values(4)
            .recurrent(stack(Lstm).bidirectional())
            .dropout(0.5)
            .pool(Pooling::Last),
        Description::values(4)
            .linear(6)
            .recurrent(stack(Gru).layers(2).dropout(0.1))
            .pool(Pooling::Mean),
        Description::values(4)
            .recurrent(stack(Lstm))
            .recurrent(Recurrent::new(Gru, 3))
            .pool(Pooling::Max),
        // Keras gets a copy of the weights that are shared here.
        Description::tokens(11).embedding(5).recurrent(stack(Lstm)).tied(),
    ];
    for merge in [Merge::Sum, Merge::Mean, Merge::Product] {
        models.push(Description::values(4).recurrent(stack(Lstm).bidirectional().merge(merge)));
    }
    for cell in [RnnTanh, RnnRelu, Lstm, Gru, GruResetBefore] {
        for bias in [Bias::None, Bias::One, Bias::Two] {
            let stack = stack(cell).bias(bias).layers(2).bidirectional();
            models.push(Description::values(4).recurrent(stack));
        }
    }
    models
}

fn filled<E: Element>(description: Description) -> Model<E> {
    let mut model = Model::<E>::new(description).unwrap();
    let value = |at: usize| f64::from(((at * 37) % 101) as f32 / 101.0 - 0.5);
    model.values_mut().iter_mut().enumerate().for_each(|(at, v)| *v = E::from_f64(value(at)));
    model
}

#[test]
fn what_keras_has_no_layer_for_is_refused() {
    let refused = |description: Description, expected: &str| {
        let error = keras::archive(&filled::<f32>(description)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let peephole = Recurrent::new(CellKind::LstmPeephole, 5);
    refused(
        Description::values(4).recurrent(peephole),
        "layer 0: Keras has no cell like lstm-peephole",
    );
    refused(Description::values(4).linear(3).pool(Pooling::Last), "layer 1: the last step");
}

/// Written files go through Keras itself, which must give the same outputs, and come back.
#[test]
fn keras_computes_the_same() {
    let Some(python) = std::env::var_os("RECURVE_KERAS_PYTHON") else {
        say(format_args!("not run: RECURVE_KERAS_PYTHON names no Python with Keras"));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (number, description) in models().into_iter().enumerate() {
        let model = filled::<f32>(description);
        let own = folder.path().join(format!("{number}.keras"));
        std::fs::write(&own, keras::archive(&model).unwrap()).unwrap();
        std::fs::write(own.with_extension("weights.h5"), keras::weights(&model).unwrap()).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/run_keras.py");
    let status =
        std::process::Command::new(python).arg(script).arg(folder.path()).status().unwrap();
    assert!(status.success());
    for (number, description) in models().into_iter().enumerate() {
        let own = folder.path().join(format!("{number}.keras"));
        let io = Golden::read(&folder.path().join(format!("{number}.io.safetensors")));
        check::<f32>(&own, &io, 5e-6).unwrap();
        // What Keras saved again.
        for again in ["again.keras", "again.h5"] {
            let file = own.with_extension(again);
            check::<f32>(&file, &io, 5e-6)
                .unwrap_or_else(|error| panic!("{description:?}: {error}"));
            let (values, ..) = written::<f32>("again", std::fs::read(&file).unwrap());
            let (first, ..) = written::<f32>("first", std::fs::read(&own).unwrap());
            assert_eq!(values, first, "{description:?}");
        }
    }
    say(format_args!("{} models went through Keras", models().len()));
}
