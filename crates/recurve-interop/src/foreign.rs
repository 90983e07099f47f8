//! An opened file: what it is, what it holds, and the model that can be made of it.

use crate::archive::{self, Archive};
use crate::error::{Error, Result};
use crate::found::{Exact, Found, Layers, assemble, chain};
use crate::graph::Graph;
use crate::limits::Limits;
use crate::source::Source;
use crate::tensors::Tensors;
use crate::{audio, keras, numpy, onnx, rnnoise, safetensors, torch};
use recurve_nn::{CellKind, Element};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What the caller says about a file that the file does not say itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only layers whose name is this, or begins with it and a dot.
    pub prefix: Option<String>,
    /// The layers of the model by name, from the input up; `name:embedding` and `name:linear` also say what
    /// a matrix without bias is.
    pub layers: Vec<String>,
    /// What a vanilla RNN of PyTorch computes, which a state dict does not say: [`CellKind::RnnTanh`] or
    /// [`CellKind::RnnRelu`].
    pub rnn: Option<CellKind>,
    /// Whether tensors of ONNX may lie in other files of the model's folder.
    pub external_data: bool,
    /// Values that inputs of a graph have for good.
    pub fixed: Vec<(String, Vec<f64>)>,
    /// Inputs of a graph that hold a state, each with the output that gives it; beside those that are
    /// recognised.
    pub states: Vec<(String, String)>,
    /// What the file may ask for.
    pub limits: Limits,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors, of whatever program.
    Safetensors,
    /// A file of `torch.save`.
    Torch,
    /// A model of ONNX.
    Onnx,
    /// A `.keras` archive, or an HDF5 file of Keras.
    Keras,
    /// Arrays of NumPy.
    Numpy,
    /// A `.nam` file of Neural Amp Modeler.
    Nam,
    /// JSON of RTNeural.
    Rtneural,
    /// The network of RNNoise.
    Rnnoise,
}

impl Format {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "PyTorch",
            Self::Onnx => "ONNX",
            Self::Keras => "Keras",
            Self::Numpy => "NumPy",
            Self::Nam => "Neural Amp Modeler",
            Self::Rtneural => "RTNeural",
            Self::Rnnoise => "RNNoise",
        }
    }
}

/// Something in a file that Recurve cannot represent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is called in the file.
    pub name: String,
    /// Why it cannot be represented.
    pub why: String,
}

/// Makes the graph of a file.
pub type MakeGraph = dyn Fn() -> Result<Graph> + Send + Sync;

/// What lies in a file, as its format reads it.
pub struct Contents {
    /// What the file is.
    pub format: Format,
    /// The texts in it.
    pub texts: BTreeMap<String, String>,
    /// The tensors in it.
    pub tensors: Tensors,
    /// The layers that were recognised.
    pub found: Vec<Found>,
    /// What else there is with weights, and why it is no layer.
    pub refused: Vec<Refusal>,
    /// Whether layers stand in the order in which the file's author made them.
    pub ordered: bool,
    /// Makes the graph of the file, where it holds how the model is wired. Else the layers that were found
    /// are all there is.
    pub graph: Option<Arc<MakeGraph>>,
    /// The model that Recurve wrote into this file, where it is unchanged since.
    pub exact: Option<Exact>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}, {:?}", self.format.name(), self.tensors, self.found)
    }
}

/// An opened file.
#[derive(Debug)]
pub struct Foreign {
    /// Its path.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What lies in it.
    pub contents: Contents,
    options: Options,
}

/// What a file gave.
#[derive(Debug)]
pub enum Imported<E: Element> {
    /// A model of layers that Recurve has: it can be trained on, and exported.
    Layers(Layers<E>),
    /// A graph of operators: it can be run, whole and as a stream.
    Graph(Graph),
}

/// Opens a file of any of the formats.
///
/// # Errors
/// It is of none of them, is truncated or altered, or asks for more than the limits. The error names
/// the file and the place.
pub fn open(path: &Path, options: &Options) -> Result<Foreign> {
    open_source(&Source::open(path)?, options)
}

/// As [`open`], for bytes that are in memory.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(name: &str, bytes: Vec<u8>, options: &Options) -> Result<Foreign> {
    open_source(&Source::of_bytes(name, bytes), options)
}

/// Bytes by which a format is told.
const HEAD: u64 = 16;
/// What can be opened, for people.
const FORMATS: &str = "safetensors, .pt and .pth of PyTorch, .keras and .h5 of Keras, ONNX, .npy and .npz of \
     NumPy, .nam, JSON of RTNeural, .rnn of RNNoise";

fn open_source(source: &Arc<Source>, options: &Options) -> Result<Foreign> {
    read(source, options).map_err(|error| error.within(format_args!("`{}`", source.name())))
}

fn read(source: &Arc<Source>, options: &Options) -> Result<Foreign> {
    let head = source.head(HEAD)?;
    let contents = if safetensors::is_beginning(&head) {
        torch::open_safetensors(source, options)?
    } else if archive::is_beginning(&head) {
        open_archive(&Archive::open(source, &options.limits)?, options)?
    } else if torch::is_stream(&head) {
        torch::open_stream(source, options)?
    } else if onnx::is_beginning(&head) {
        onnx::open(source, options)?
    } else if keras::is_hdf5(&head) {
        keras::open_hdf5(source, options)?
    } else if numpy::is_beginning(&head) {
        numpy::open(source, options)?
    } else if audio::is_beginning(&head) {
        audio::open(source, options)?
    } else if rnnoise::is_file(source) {
        rnnoise::open(source)?
    } else {
        return Err(unknown());
    };
    let (name, bytes) = (source.name().to_owned(), source.length());
    // Tensors may share their values.
    let total = contents.tensors.iter().map(|tensor| (tensor.count() * tensor.dtype.size()) as u64);
    options.limits.check_inflation(bytes, total.fold(0, u64::saturating_add))?;
    Ok(Foreign { name, bytes, contents, options: options.clone() })
}

/// What an archive holds is told by its members.
fn open_archive(archive: &Arc<Archive>, options: &Options) -> Result<Contents> {
    if torch::is_archive(archive) {
        return torch::open_archive(archive, options);
    }
    if keras::is_archive(archive) {
        return keras::open_archive(archive, options);
    }
    if numpy::is_archive(archive) {
        return numpy::open_archive(archive, options);
    }
    Err(unknown())
}

fn unknown() -> Error {
    Error::refused(format!("this is no file of a known format: {FORMATS}"))
}

impl Foreign {
    /// The model of the file, in numbers of type `E`.
    ///
    /// # Errors
    /// It holds what Recurve cannot represent, or leaves open what must be said; or values cannot be read.
    pub fn import<E: Element>(&self) -> Result<Imported<E>> {
        let told = |error: Error| error.within(format_args!("`{}`", self.name));
        let asked = self.options.prefix.is_some() || !self.options.layers.is_empty();
        if let Some(exact) = self.contents.exact.as_ref().filter(|_| !asked) {
            let model = exact.model().map_err(told)?;
            return Ok(Imported::Layers(Layers { model, initial: None, assumed: vec![] }));
        }
        if let Some(make) = &self.contents.graph {
            return make().map(Imported::Graph).map_err(told);
        }
        let layers = self.choose().and_then(|layers| assemble(&layers));
        layers.map(Imported::Layers).map_err(told)
    }

    /// Whether a name lies under the prefix that was asked for.
    fn is_chosen(&self, name: &str) -> bool {
        self.options.prefix.as_ref().is_none_or(|prefix| {
            let rest = name.strip_prefix(prefix.trim_end_matches('.'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The layers of the model, in their order.
    fn choose(&self) -> Result<Vec<&Found>> {
        let known = || {
            let names: Vec<&str> =
                self.contents.found.iter().map(|found| found.name.as_str()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        if !self.options.layers.is_empty() {
            let named = self.options.layers.iter().map(|name| {
                let plain = name.split_once(':').map_or(name.as_str(), |(name, _)| name);
                let refused = self.contents.refused.iter().find(|refusal| refusal.name == plain);
                if let Some(Refusal { why, .. }) = refused {
                    return Err(Error::refused(why.clone()).within(format_args!("`{plain}`")));
                }
                self.contents.found.iter().find(|found| found.name == plain).ok_or_else(|| {
                    let text = format!("there is no layer `{plain}`; there are: {}", known());
                    Error::asked(text)
                })
            });
            return named.collect();
        }
        if let Some(Refusal { name, why }) =
            self.contents.refused.iter().find(|refusal| self.is_chosen(&refusal.name))
        {
            let text = format!("{why}; to leave it out, say which layers make the model");
            return Err(Error::refused(text).within(format_args!("`{name}`")));
        }
        let chosen: Vec<&Found> =
            self.contents.found.iter().filter(|found| self.is_chosen(&found.name)).collect();
        if chosen.is_empty() {
            let text = match &self.options.prefix {
                Some(prefix) => format!("no layer lies under `{prefix}`; there are: {}", known()),
                None => "no layer was recognised".to_owned(),
            };
            return Err(Error::asked(text));
        }
        let order = chain(&chosen, self.contents.ordered)?;
        Ok(order.into_iter().map(|at| chosen[at]).collect())
    }
}
