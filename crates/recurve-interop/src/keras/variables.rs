//! Which tensors of a file belong to which layer.
//!
//! Keras 3, and the archives of late Keras 2, name groups after the class and the place of a layer
//! (`layers/lstm_1/cell/vars/0`) and note the layer's own name beside its variables. The older files
//! name groups after the layer and list the names of its weights in order.

use super::plan::{Cell, Kind, Rnn, Step};
use crate::error::{Error, Result};
use crate::hdf5::{Object, Value};
use crate::tensors::{Tensor, Tensors};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

/// Weights of a file.
pub(super) struct Store<'a> {
    root: &'a Object,
    tensors: &'a Tensors,
    form: Form,
    taken: RefCell<HashSet<String>>,
}

/// How a file names weights.
enum Form {
    /// By class and place, below this group.
    Classes { layers: &'static str },
    /// By the name of the layer: the tensors of each, in order.
    Layers(BTreeMap<String, Vec<Tensor>>),
}

/// The weights of a cell: kernel, recurrent kernel, bias.
#[derive(Clone, Debug)]
pub(super) struct CellWeights {
    pub(super) kernel: Tensor,
    pub(super) recurrent: Tensor,
    pub(super) bias: Option<Tensor>,
}

/// The weights of a layer, in the order in which Keras makes them.
#[derive(Clone, Debug)]
pub(super) enum LayerWeights {
    Plain(Vec<Tensor>),
    Cells(Vec<CellWeights>),
    Directions(Vec<CellWeights>, Vec<CellWeights>),
}

/// Where weights by layers lie in a file: in a group of a whole model, or at the root.
const WHOLE_MODEL: &str = "model_weights";
/// Groups whose tensors are no weights of the model.
const OTHERS: [&str; 4] = ["optimizer_weights", "optimizer", "metrics", "compile_metrics"];
/// The state of a layer's random numbers, which are for training.
const SEED: &str = "seed_generator_state";

impl<'a> Store<'a> {
    /// Looks how the file names weights.
    ///
    /// # Errors
    /// It does so in neither way.
    pub(super) fn new(root: &'a Object, tensors: &'a Tensors) -> Result<Self> {
        let classes = ["layers", "_layer_checkpoint_dependencies"];
        let classes = classes.into_iter().find(|path| root.at(path).is_some_and(Object::is_group));
        let form = match classes {
            Some(layers) => Form::Classes { layers },
            None => Form::Layers(by_layer(root, tensors)?),
        };
        Ok(Self { root, tensors, form, taken: RefCell::default() })
    }

    /// Layers with weights, in the order of the file, where the file names layers.
    pub(super) fn layers(&self) -> Option<&BTreeMap<String, Vec<Tensor>>> {
        match &self.form {
            Form::Layers(layers) => Some(layers),
            Form::Classes { .. } => None,
        }
    }

    /// The weights of a layer.
    ///
    /// # Errors
    /// There are more or fewer than the layer has.
    pub(super) fn of(&self, step: &Step) -> Result<LayerWeights> {
        let mut source = match &self.form {
            Form::Classes { layers } => Source::Group(self.group(layers, step)),
            Form::Layers(layers) => {
                Source::List(layers.get(&step.name).map_or(&[][..], Vec::as_slice).iter())
            }
        };
        let leaves = |bias: bool| &["kernel", "bias"][..1 + usize::from(bias)];
        let weights = match &step.kind {
            Kind::Embedding { .. } => {
                LayerWeights::Plain(self.take(&mut source, "", &["embeddings"])?)
            }
            Kind::Dense { bias, wrapped, .. } => {
                let path = if *wrapped { "/layer" } else { "" };
                LayerWeights::Plain(self.take(&mut source, path, leaves(*bias))?)
            }
            Kind::LayerNorm { gain, shift, .. } => {
                let names: Vec<&str> = [("gamma", *gain), ("beta", *shift)]
                    .iter()
                    .filter_map(|(name, is_there)| is_there.then_some(*name))
                    .collect();
                LayerWeights::Plain(self.take(&mut source, "", &names)?)
            }
            Kind::Recurrent(rnn) => LayerWeights::Cells(self.cells(&mut source, "", rnn)?),
            Kind::Bidirectional { forward, backward, .. } => LayerWeights::Directions(
                self.cells(&mut source, "/forward_layer", forward)?,
                self.cells(&mut source, "/backward_layer", backward)?,
            ),
            Kind::Masking { .. } | Kind::Pool(_) | Kind::Activation(_) | Kind::Nothing => {
                LayerWeights::Plain(vec![])
            }
        };
        if let Source::List(mut rest) = source
            && let Some(tensor) = rest.next()
        {
            return Err(Error::damaged(format!("`{}` is a weight too many", tensor.name)));
        }
        Ok(weights)
    }

    /// The group of a layer: the one that notes its name, or the one of its place.
    fn group(&self, layers: &str, step: &Step) -> String {
        let children = self.root.at(layers).map_or(&[][..], Object::children);
        let named = children.iter().find(|(_, layer)| {
            let vars = layer.at("vars").and_then(|vars| vars.attribute("name"));
            matches!(vars, Some(Value::Texts(texts)) if texts == std::slice::from_ref(&step.name))
        });
        let group = named.map_or_else(|| numbered(step.class), |(group, _)| group.clone());
        format!("{layers}/{group}")
    }

    fn cells(&self, source: &mut Source<'_>, path: &str, rnn: &Rnn) -> Result<Vec<CellWeights>> {
        let one = |cell: &Cell, path: &str, source: &mut Source<'_>| {
            let leaves = ["kernel", "recurrent_kernel", "bias"];
            let mut taken =
                self.take(source, path, &leaves[..2 + usize::from(cell.bias)])?.into_iter();
            let (Some(kernel), Some(recurrent)) = (taken.next(), taken.next()) else {
                return Err(Error::damaged("a cell without weights"));
            };
            Ok(CellWeights { kernel, recurrent, bias: taken.next() })
        };
        if !rnn.stacked {
            return Ok(vec![one(&rnn.cells[0], &format!("{path}/cell"), source)?]);
        }
        let cells = rnn.cells.iter();
        cells
            .map(|cell| one(cell, &format!("{path}/cell/cells/{}", numbered(cell.class)), source))
            .collect()
    }

    /// The next weights, which must be called `leaves`.
    fn take(&self, source: &mut Source<'_>, path: &str, leaves: &[&str]) -> Result<Vec<Tensor>> {
        let tensors: Vec<Tensor> = match source {
            Source::Group(group) => {
                let vars = format!("{group}{path}/vars");
                let count = self.root.at(&vars).map_or(0, |vars| vars.children().len());
                if count != leaves.len() {
                    return Err(Error::damaged(format!(
                        "`{vars}` has {count} weights, expected {}: {}",
                        leaves.len(),
                        leaves.join(", ")
                    )));
                }
                let all = (0..count).map(|at| {
                    let name = format!("{vars}/{at}");
                    let tensor = self.tensors.get(&name).cloned();
                    tensor
                        .ok_or_else(|| Error::damaged(format!("the weights `{name}` are missing")))
                });
                all.collect::<Result<_>>()?
            }
            Source::List(list) => {
                let all = leaves.iter().map(|leaf| {
                    let Some(tensor) = list.next() else {
                        return Err(Error::damaged(format!("the weights `{leaf}` are missing")));
                    };
                    if super::leaf(&tensor.name) != *leaf {
                        let name = &tensor.name;
                        return Err(Error::damaged(format!("expected `{leaf}`, found `{name}`")));
                    }
                    Ok(tensor.clone())
                });
                all.collect::<Result<_>>()?
            }
        };
        self.taken.borrow_mut().extend(tensors.iter().map(|tensor| tensor.name.clone()));
        Ok(tensors)
    }

    /// Weights that no layer took.
    pub(super) fn left(&self) -> Option<&'a Tensor> {
        let taken = self.taken.borrow();
        self.tensors.iter().find(|tensor| {
            let first = tensor.name.split('/').next().unwrap_or_default();
            let seed = super::leaf(&tensor.name) == SEED || tensor.name.contains("seed_generator");
            !OTHERS.contains(&first) && !seed && !taken.contains(&tensor.name)
        })
    }
}

/// Where the weights of a layer come from.
enum Source<'a> {
    Group(String),
    List(std::slice::Iter<'a, Tensor>),
}

/// `lstm`, `lstm_1`, `lstm_2`…
fn numbered((class, number): (&str, usize)) -> String {
    if number == 0 { class.to_owned() } else { format!("{class}_{number}") }
}

/// The tensors of every layer, as the file lists them.
fn by_layer(root: &Object, tensors: &Tensors) -> Result<BTreeMap<String, Vec<Tensor>>> {
    let (base, prefix) = match root.at(WHOLE_MODEL) {
        Some(group) => (group, format!("{WHOLE_MODEL}/")),
        None => (root, String::new()),
    };
    let Some(names) = texts(base, "layer_names")? else {
        return Err(Error::refused(
            "this HDF5 file is none of Keras: it has no group `layers` and no list `layer_names`",
        ));
    };
    let mut layers = BTreeMap::new();
    for layer in names {
        let told = |error: Error| error.within(format_args!("layer `{layer}`"));
        let group = base.at(&layer);
        let group = group.ok_or_else(|| told(Error::damaged("its group is missing")))?;
        let mut own = vec![];
        for weight in texts(group, "weight_names").map_err(told)?.unwrap_or_default() {
            if super::leaf(&weight) == SEED {
                continue;
            }
            let name = format!("{prefix}{layer}/{weight}");
            let tensor = tensors.get(&name);
            own.push(tensor.cloned().ok_or_else(|| {
                told(Error::damaged(format!("its weights `{weight}` are missing")))
            })?);
        }
        layers.insert(layer, own);
    }
    Ok(layers)
}

/// A list of texts that is an attribute; a long one goes on in attributes with numbers.
pub(super) fn texts(object: &Object, name: &str) -> Result<Option<Vec<String>>> {
    let list = |value: &Value| match value {
        Value::Texts(texts) => Ok(texts.clone()),
        // An empty list has lost its type.
        Value::Numbers(none) if none.is_empty() => Ok(vec![]),
        _ => Err(Error::damaged(format!("the attribute `{name}` is no list of texts"))),
    };
    if let Some(value) = object.attribute(name) {
        return list(value).map(Some);
    }
    let mut all = vec![];
    let pieces = (0..).map_while(|number| object.attribute(&format!("{name}{number}")));
    for piece in pieces {
        all.extend(list(piece)?);
    }
    Ok(if all.is_empty() { None } else { Some(all) })
}
