//! What the tests of all formats share: fixtures, golden numbers, and a model at work.
#![allow(dead_code, reason = "every test takes what it needs")]

use recurve_interop::{Imported, Layers, Options, open};
use recurve_nn::{Batch, Element, Engine, Input, Mode, Network, State};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of the fixtures that the repository does not hold: in `RECURVE_SHARED`, or in `shared` beside
/// the repository. Where it is not there, that is said aloud.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RECURVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if !path.is_dir() {
        say(format_args!("not run: {} is not there", path.display()));
        return None;
    }
    Some(path)
}

/// Says something past the capture of the harness, which would hide it.
pub(crate) fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// The cases of an index.
pub(crate) fn cases(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let index: Value = serde_json::from_str(&text).unwrap();
    index["cases"].as_array().unwrap().clone()
}

/// Golden numbers.
pub(crate) struct Golden(recurve_interop::Foreign);

impl Golden {
    pub(crate) fn read(path: &Path) -> Self {
        Self(open(path, &Options::default()).unwrap())
    }
    pub(crate) fn find(&self, name: &str) -> Option<Vec<f64>> {
        Some(self.0.contents.tensors.get(name)?.reals().unwrap())
    }
    pub(crate) fn get(&self, name: &str) -> Vec<f64> {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.0.name))
    }
    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.0
            .contents
            .tensors
            .get(name)
            .unwrap_or_else(|| panic!("no tensor {name}"))
            .shape
            .clone()
    }
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.contents.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }
}

/// The model of a file, which consists of layers.
pub(crate) fn layers<E: Element>(path: &Path, options: &Options) -> Layers<E> {
    let foreign = open(path, options).unwrap();
    match foreign.import() {
        Ok(Imported::Layers(layers)) => layers,
        Ok(Imported::Graph(_)) => panic!("{} is a graph", path.display()),
        Err(error) => panic!("{error}"),
    }
}

/// Compares values, relative to the largest of them.
pub(crate) fn assert_close<E: Element>(got: &[E], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}: the number of values");
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(1e-30);
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got.to_f64() - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}[{at}] is {got}, expected {expected} ({:e} of the largest)",
            difference / largest
        );
    }
}

/// A model with its network and states, for sequences `[T, B, I]` side by side.
pub(crate) struct Run<E: Element> {
    network: Network<E>,
    pub(crate) state: State<E>,
    batch: usize,
    width: usize,
}

impl<E: Element> Run<E> {
    pub(crate) fn new(layers: &Layers<E>, batch: usize) -> Self {
        let description = layers.model.description();
        let mut network = Network::new(description, Engine::detect().unwrap()).unwrap();
        network.load(layers.model.values(), false);
        let width = description.widths().unwrap()[0];
        Self { network, state: State::zero(description, batch), batch, width }
    }

    /// Sets the states from `[parts, B, H]`.
    pub(crate) fn begin(&mut self, h0: Option<&[f64]>, c0: Option<&[f64]>) {
        let (mut at_h, mut at_c) = (0, 0);
        for part in self.state.parts_mut() {
            for (to, from, at) in [(&mut part.h, h0, &mut at_h), (&mut part.c, c0, &mut at_c)] {
                let Some(from) = from else { continue };
                for value in to.iter_mut() {
                    *value = E::from_f64(from[*at]);
                    *at += 1;
                }
            }
        }
    }

    /// Runs `[T, B, I]` on from the states; gives `[T, B, outputs]`.
    pub(crate) fn run(&mut self, x: &[f64], lengths: Option<&[usize]>) -> Vec<E> {
        let steps = x.len() / self.batch / self.width;
        let x: Vec<E> = x.iter().map(|value| E::from_f64(*value)).collect();
        let mut batch = Batch::new(steps, self.batch, Input::Values(&x));
        batch.lengths = lengths;
        let width = self.network.output_width();
        let y = self.network.forward(&batch, Some(&mut self.state), Mode::Infer).unwrap().to_vec();
        let mut all = vec![E::default(); steps * self.batch * width];
        for (row, t, b) in self.network.order().places() {
            let to = &mut all[(t * self.batch + b) * width..][..width];
            to.copy_from_slice(&y[row * width..][..width]);
        }
        all
    }

    /// All `h`, or all `c`, `[parts, B, H]`.
    pub(crate) fn states(&self, c: bool) -> Vec<E> {
        let parts = self.state.parts().iter();
        parts.flat_map(|part| if c { &part.c } else { &part.h }).copied().collect()
    }
}
