//! Whole training against PyTorch's: twenty updates of a character model, embedding, two layers of
//! LSTM and a linear layer, with the losses, the clipping and the optimisers of this crate.
//!
//! The curves in `golden/training` are described in `golden/README.md`. Larger ones of the same kind
//! in `models/fixtures/training` of the shared folder are run too where that is there.

#[path = "../../../recurve-nn/tests/support/fixtures.rs"]
mod curves_fixtures;

use curves_fixtures::{Tensors, assert_close, golden, index, shared};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Element, Engine, Input, Isa, Mode, Model, Network, Noise,
    Recurrent, State,
};
use recurve_train::clip::Clip;
use recurve_train::loss::{Loss, Outputs, Targets};
use recurve_train::optimiser::{Adam, Optimiser, OptimiserConfig, Sgd};
use serde::Deserialize;

/// The sizes of the model and of its batches.
#[derive(Clone, Deserialize)]
struct Size {
    vocab: usize,
    embedding: usize,
    hidden: usize,
    layers: usize,
    batch: usize,
    /// Steps of a batch.
    #[serde(rename = "steps")]
    time: usize,
    updates: usize,
    clip_norm: f64,
}

/// One curve: where the model starts, how it is trained, and where that leads.
struct Curve {
    what: String,
    size: Size,
    /// Whether update `n` reads on where the one before ended, from its states.
    stream: bool,
    optimiser: OptimiserConfig,
    /// `[B, N]`.
    tokens: Vec<usize>,
    /// `<prefix><weight>`.
    start: (Tensors, &'static str),
    /// The gradients of the first update, before clipping.
    gradients: (Tensors, &'static str),
    expected: Tensors,
    /// After how many updates the weights are known, under which prefix.
    known: Vec<(usize, String)>,
}

/// Relative to the largest value.
struct Tolerance {
    losses: f64,
    norms: f64,
    gradients: f64,
    weights: f64,
}

const F64: Tolerance = Tolerance { losses: 1e-10, norms: 1e-10, gradients: 1e-12, weights: 1e-9 };
const F32: Tolerance = Tolerance { losses: 5e-6, norms: 5e-6, gradients: 5e-6, weights: 1e-5 };

impl Curve {
    fn description(&self) -> Description {
        let size = &self.size;
        let stack = Recurrent::new(CellKind::Lstm, size.hidden).layers(size.layers);
        Description::tokens(size.vocab)
            .embedding(size.embedding)
            .recurrent(stack.bias(Bias::Two))
            .linear(size.vocab)
    }

    /// PyTorch's name of one of our parameters.
    fn their_name(&self, ours: &str) -> String {
        match ours {
            "0.embedding.weight" => "emb.weight".into(),
            "2.linear.weight" => "out.weight".into(),
            "2.linear.bias" => "out.bias".into(),
            _ => {
                let parts: Vec<_> = ours.split('.').collect();
                let ["1", "recurrent", layer, "forward", weights] = parts[..] else {
                    panic!("{}: a parameter {ours}", self.what)
                };
                let weights = match weights {
                    "w" => "weight_ih",
                    "r" => "weight_hh",
                    "b" => "bias_ih",
                    _ => "bias_hh",
                };
                format!("rnn.{weights}_l{layer}")
            }
        }
    }

    /// The tokens of an update `[T, B]`, `shift` steps on.
    fn read(&self, update: usize, shift: usize) -> Vec<u32> {
        let (time, batch) = (self.size.time, self.size.batch);
        let first = shift + if self.stream { update * time } else { 0 };
        let length = self.tokens.len() / batch;
        let places = (0..time).flat_map(|t| (0..batch).map(move |b| b * length + first + t));
        places.map(|at| self.tokens[at] as u32).collect()
    }

    fn check<E: Element>(&self, isa: Isa, tolerance: &Tolerance) {
        let what = format!("{} {isa} {}", self.what, std::any::type_name::<E>());
        let description = self.description();
        let mut model = Model::<E>::new(description.clone()).unwrap();
        for entry in model.entries().clone().iter() {
            let name = format!("{}{}", self.start.1, self.their_name(&entry.name));
            let values = self.start.0.get(&name).iter().map(|v| E::from_f64(*v));
            let values: Vec<E> = values.collect();
            model.get_mut(&entry.name).unwrap().copy_from_slice(&values);
        }
        let engine = Engine::new(isa).with_threads(2);
        let mut network = Network::<E>::new(&description, engine).unwrap();
        let mut gradients = vec![E::default(); model.values().len()];
        let mut optimiser = Optimiser::new(self.optimiser, gradients.len()).unwrap();
        let mut state = State::zero(&description, self.size.batch);
        let (mut losses, mut norms): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
        for update in 0..self.size.updates {
            if !self.stream {
                state.reset();
            }
            network.load(model.values(), true);
            let tokens = self.read(update, 0);
            let batch = Batch::new(self.size.time, self.size.batch, Input::Tokens(&tokens));
            let mode = Mode::Train(Noise { seed: 0, step: update as u64 });
            let y = network.forward(&batch, Some(&mut state), mode).unwrap();
            let mut dy = vec![E::default(); y.len()];
            let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
            let targets = self.read(update, 1);
            let outputs = Outputs::new(y, self.size.vocab);
            let loss = loss.backward(outputs, Targets::Classes(&targets), &mut dy).unwrap();
            losses.push(loss.mean);
            network.backward(&dy, &mut gradients, None).unwrap();
            if update == 0 {
                let expected = (&self.gradients.0, self.gradients.1);
                self.compare(&model, &gradients, expected, tolerance.gradients, &what);
            }
            norms.push(Clip::Norm { limit: self.size.clip_norm }.apply(&mut gradients));
            let rate = self.optimiser.learning_rate();
            optimiser.step(model.values_mut(), &gradients, rate).unwrap();
            for (_, prefix) in self.known.iter().filter(|(updates, _)| *updates == update + 1) {
                let expected = (&self.expected, prefix.as_str());
                self.compare(&model, model.values(), expected, tolerance.weights, &what);
            }
        }
        let expected = |name| self.expected.get(name);
        assert_close(&losses, expected("losses"), tolerance.losses, &format!("{what}: losses"));
        assert_close(&norms, expected("grad_norms"), tolerance.norms, &format!("{what}: norms"));
        if self.stream {
            let h: Vec<E> = state.parts().iter().flat_map(|part| part.h.clone()).collect();
            let c: Vec<E> = state.parts().iter().flat_map(|part| part.c.clone()).collect();
            assert_close(&h, expected("final_h"), tolerance.weights, &format!("{what}: h"));
            assert_close(&c, expected("final_c"), tolerance.weights, &format!("{what}: c"));
        }
    }

    /// Compares every parameter, or its gradient, with `<prefix><weight>`.
    fn compare<E: Element>(
        &self,
        model: &Model<E>,
        got: &[E],
        (expected, prefix): (&Tensors, &str),
        tolerance: f64,
        what: &str,
    ) {
        for entry in model.entries().iter() {
            let name = format!("{prefix}{}", self.their_name(&entry.name));
            let got = &got[entry.range.clone()];
            assert_close(got, expected.get(&name), tolerance, &format!("{what}: {name}"));
        }
    }
}

/// Every instruction set, at the precision of the curve.
fn check(curves: Vec<(Curve, String)>) {
    assert_eq!(curves.len(), 8, "two modes, two optimisers, two precisions");
    for (curve, dtype) in curves {
        for isa in Isa::available() {
            match dtype.as_str() {
                "f64" => curve.check::<f64>(isa, &F64),
                _ => curve.check::<f32>(isa, &F32),
            }
        }
    }
}

#[derive(Deserialize)]
struct GoldenIndex {
    #[serde(flatten)]
    size: Size,
    cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
struct GoldenCase {
    file: String,
    start: String,
    mode: String,
    optimiser: String,
    lr: f64,
    dtype: String,
}

fn optimiser(name: &str, learning_rate: f64) -> OptimiserConfig {
    match name {
        "adam" => OptimiserConfig::Adam(Adam { learning_rate, ..Adam::default() }),
        "sgd" => OptimiserConfig::Sgd(Sgd { learning_rate, momentum: 0.9, ..Sgd::default() }),
        other => panic!("an optimiser {other}"),
    }
}

#[test]
fn golden_curves() {
    let folder = golden().join("training");
    let index: GoldenIndex = index(&folder.join("index.json"));
    let curve = |case: GoldenCase| {
        let start = Tensors::read(&folder.join(&case.start));
        let curve = Curve {
            size: index.size.clone(),
            stream: case.mode == "stream",
            optimiser: optimiser(&case.optimiser, case.lr),
            tokens: start.integers("tokens"),
            start: (start.clone(), "initial."),
            gradients: (start, "grad."),
            expected: Tensors::read(&folder.join(&case.file)),
            known: vec![(index.size.updates, "final.".into())],
            what: case.file,
        };
        (curve, case.dtype)
    };
    check(index.cases.into_iter().map(curve).collect());
}

/// The settings of the shared curves; their `steps` are our updates, their `T` our steps.
#[derive(Deserialize)]
struct SharedIndex {
    vocab: usize,
    emb: usize,
    hidden: usize,
    layers: usize,
    #[serde(rename = "B")]
    batch: usize,
    #[serde(rename = "T")]
    time: usize,
    steps: usize,
    snapshots: Vec<usize>,
    clip: f64,
    adam_lr: f64,
    sgd_lr: f64,
}

#[test]
fn shared_curves() {
    let Some(folder) = shared("models/fixtures/training") else {
        return;
    };
    let index: SharedIndex = index(&folder.join("curves.json"));
    let read = |name: &str| Tensors::read(&folder.join(format!("{name}.safetensors")));
    let mut curves = vec![];
    for mode in ["same", "stream"] {
        for (name, rate) in [("adam", index.adam_lr), ("sgd", index.sgd_lr)] {
            for dtype in ["f32", "f64"] {
                let what = format!("{mode}_{name}_{dtype}");
                let expected = read(&what);
                let curve = Curve {
                    size: Size {
                        vocab: index.vocab,
                        embedding: index.emb,
                        hidden: index.hidden,
                        layers: index.layers,
                        batch: index.batch,
                        time: index.time,
                        updates: index.steps,
                        clip_norm: index.clip,
                    },
                    stream: mode == "stream",
                    optimiser: optimiser(name, rate),
                    tokens: read("tokens").integers("tokens"),
                    start: (read(&format!("initial_{dtype}")), ""),
                    gradients: (expected.clone(), "step1.grad."),
                    expected,
                    known: index.snapshots.iter().map(|n| (*n, format!("step{n}."))).collect(),
                    what,
                };
                curves.push((curve, dtype.to_owned()));
            }
        }
    }
    check(curves);
}
