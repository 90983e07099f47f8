//! Keras: `.keras` archives, `.weights.h5`, and the `.h5` files of Keras 2.
//!
//! A file with a configuration says all that its model computes. A file of weights alone does not:
//! layers are recognised by the names and shapes of their weights, and take the activations that Keras
//! gives them where nothing is said. Version 2 and 3 of Keras differ in one function, the hard sigmoid.

mod config;
mod export;
mod graph;
mod keys;
mod layers;
mod plain;
mod plan;
mod recognise;
mod variables;
mod wiring;

pub use export::{archive, weights};
pub(crate) use plain::{assemble_layers, plain_layer};

use crate::archive::Archive;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::foreign::{Contents, Format, MakeGraph, Options, Refusal};
use crate::hdf5::{self, File, Object, Value};
use crate::source::Source;
use crate::tensors::{Data, Tensor, Tensors};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an archive holds.
const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// Whose functions a model was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Two,
    Three,
    /// The file does not say, or says another one.
    Other(String),
}

impl Version {
    fn of(text: Option<&str>) -> Self {
        match text.and_then(|text| text.split('.').next()) {
            Some("2") => Self::Two,
            Some("3") => Self::Three,
            _ => Self::Other(text.unwrap_or("none").to_owned()),
        }
    }

    /// The slope of the hard sigmoid.
    fn hard_sigmoid(&self) -> Result<f64> {
        match self {
            Self::Two => Ok(0.2),
            Self::Three => Ok(1.0 / 6.0),
            Self::Other(version) => Err(Error::refused(format!(
                "the hard sigmoid of Keras 2 and 3 are two functions, and the file was made by version \
                 {version}"
            ))),
        }
    }
}

/// Whether an archive is one of Keras.
pub(crate) fn is_archive(archive: &Archive) -> bool {
    archive.get(CONFIG).is_some() && archive.get(WEIGHTS).is_some()
}

/// Whether bytes look like the beginning of an HDF5 file.
pub(crate) fn is_hdf5(head: &[u8]) -> bool {
    head.starts_with(&hdf5::SIGNATURE)
}

/// Opens a `.keras` archive.
pub(crate) fn open_archive(archive: &Archive, options: &Options) -> Result<Contents> {
    let text = |name: &str| -> Result<String> {
        let bytes = archive.description(name)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| Error::damaged("expected a text in UTF-8").within(name))
    };
    let config = text(CONFIG)?;
    let version = match archive.get(METADATA) {
        None => None,
        Some(_) => {
            let metadata: serde_json::Value = serde_json::from_str(&text(METADATA)?)
                .map_err(|error| Error::damaged(error.to_string()).within(METADATA))?;
            metadata.get("keras_version").and_then(|v| v.as_str()).map(str::to_owned)
        }
    };
    let bytes = archive.read(WEIGHTS)?;
    let told = |error: Error| error.within(format_args!("member `{WEIGHTS}`"));
    let file = File::open(&bytes, &options.limits).map_err(told)?;
    contents(&file, Some(config), version, options)
}

/// Opens an HDF5 file: a whole model, or weights.
pub(crate) fn open_hdf5(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    let bytes = source.read_all()?;
    let file = File::open(&bytes, &options.limits)?;
    let root = file.root();
    let text = |object: &Object, name: &str| match object.attribute(name) {
        Some(Value::Texts(texts)) => texts.first().cloned(),
        _ => None,
    };
    let config = text(root, "model_config");
    let version =
        text(root, "keras_version").or_else(|| text(root.at("model_weights")?, "keras_version"));
    contents(&file, config, version, options)
}

fn contents(
    file: &File<'_>,
    config: Option<String>,
    version: Option<String>,
    options: &Options,
) -> Result<Contents> {
    let mut tensors = Tensors::new();
    let mut refused = vec![];
    read(file, file.root(), "", &mut tensors, &mut refused)?;
    let mut texts = BTreeMap::new();
    if let Some(version) = &version {
        texts.insert("keras_version".to_owned(), version.clone());
    }
    let store = variables::Store::new(file.root(), &tensors)?;
    let kind = Version::of(version.as_deref());
    let (mut found, mut graph) = (vec![], None::<Arc<MakeGraph>>);
    if let Some(config) = config {
        let plan = config::parse(&config, kind, &options.limits)?;
        match layers::found(&plan, &store)? {
            Ok(layers) => found = layers,
            Err(why) => {
                texts.insert("graph_because".to_owned(), why.0);
                let steps = plan.steps.iter().cloned();
                let pairs = steps.map(|step| {
                    let told = |error: Error| error.within(format_args!("layer `{}`", step.name));
                    let weights = store.of(&step).map_err(told)?;
                    Ok((step, weights))
                });
                let layers = pairs.collect::<Result<Vec<_>>>()?;
                graph = Some(Arc::new(move || graph::graph(&plan, &layers)));
            }
        }
        texts.insert("model_config".to_owned(), config);
        if let Some(tensor) = store.left() {
            let why = "weights that belong to no layer of the configuration".to_owned();
            refused.push(Refusal { name: tensor.name.clone(), why });
        }
    } else {
        let (layers, others) =
            recognise::recognise(&store, file.root(), &tensors, version.as_deref())?;
        found = layers;
        refused.extend(others);
    }
    Ok(Contents {
        format: Format::Keras,
        texts,
        tensors,
        found,
        refused,
        ordered: true,
        graph,
        exact: None,
    })
}

/// All numbers below `object`, as tensors.
fn read(
    file: &File<'_>,
    object: &Object,
    path: &str,
    tensors: &mut Tensors,
    refused: &mut Vec<Refusal>,
) -> Result<()> {
    if let Some(set) = object.dataset() {
        let name = path.trim_start_matches('/');
        // Keras notes what two bytes without a meaning are.
        let noted =
            matches!(object.attribute("dtype"), Some(Value::Texts(t)) if t == &["bfloat16"]);
        let dtype = match &set.kind {
            hdf5::Kind::Opaque { size: 2 } if noted => Some(Dtype::Bf16),
            kind => kind.dtype(),
        };
        let Some(dtype) = dtype else {
            refused.push(Refusal {
                name: name.into(),
                why: format!("values that are {}", set.kind.name()),
            });
            return Ok(());
        };
        let bytes = file.read(set, name)?;
        let shape = set.shape.iter().map(|axis| *axis as usize).collect();
        return tensors.add(Tensor::new(name, dtype, shape, Data::Held(bytes.into()))?);
    }
    for (name, child) in object.children() {
        read(file, child, &format!("{path}/{name}"), tensors, refused)?;
    }
    Ok(())
}

/// The last part of the name of a tensor, without the `:0` of Keras 2.
fn leaf(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.strip_suffix(":0").unwrap_or(last)
}
