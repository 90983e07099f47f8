//! A model of Recurve as a file that Keras 3 loads.
//!
//! The archive holds a sequential model, so that `keras.saving.load_model` needs no code; the file of weights
//! fits such a model that is there already. What Keras has no layer for is refused by name. Two biases of a cell
//! that only knows their sum are added up; all other numbers are those of the model, to the bit.

use super::layers::order;
use super::plan::Form;
use super::{CONFIG, METADATA, WEIGHTS};
use crate::arrange;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::export::{EMBEDDING, check_stack};
use crate::hdf5::write::{Group, Node};
use recurve_nn::{CellKind, Element, InputKind, Layer, Merge, Model, Pooling, Recurrent};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The cells that Keras has.
const CELLS: [CellKind; 5] =
    [CellKind::RnnTanh, CellKind::RnnRelu, CellKind::Lstm, CellKind::Gru, CellKind::GruResetBefore];
/// The version of Keras whose layout is written.
const VERSION: &str = "3.15.1";

/// The bytes of a `.keras` archive: configuration and weights.
///
/// # Errors
/// The model has a layer that Keras does not have; the error names it.
pub fn archive<E: Element>(model: &Model<E>) -> Result<Vec<u8>> {
    let written = Written::of(model)?;
    let metadata = json!({ "keras_version": VERSION, "date_saved": "1980-01-01@00:00:00" });
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let members = [
        (METADATA, metadata.to_string().into_bytes()),
        (CONFIG, written.config().to_string().into_bytes()),
        (WEIGHTS, written.weights.file()?),
    ];
    let failed =
        |error: &dyn std::fmt::Display| Error::failed(format!("cannot write the archive: {error}"));
    for (name, bytes) in members {
        zip.start_file(name, stored).map_err(|error| failed(&error))?;
        zip.write_all(&bytes).map_err(|error| failed(&error))?;
    }
    let bytes = zip.finish().map_err(|error| failed(&error))?;
    Ok(bytes.into_inner())
}

/// The bytes of a `.weights.h5` file.
///
/// # Errors
/// As [`archive`].
pub fn weights<E: Element>(model: &Model<E>) -> Result<Vec<u8>> {
    Written::of(model)?.weights.file()
}

/// The shape and the values of a variable.
type Variable = (Vec<usize>, Vec<f64>);

/// The layers of Keras so far, and their weights.
struct Written {
    dtype: Dtype,
    /// What one step is: its axes after the batch.
    input: Value,
    layers: Vec<Value>,
    weights: Group,
    counts: HashMap<&'static str, usize>,
}

impl Written {
    fn of<E: Element>(model: &Model<E>) -> Result<Self> {
        let description = model.description();
        let widths = description.widths()?;
        let dtype = if size_of::<E>() == 8 { Dtype::F64 } else { Dtype::F32 };
        let input = match description.input {
            InputKind::Tokens { .. } => json!([null, null]),
            InputKind::Values { width } => json!([null, null, width]),
            InputKind::Words { .. } => {
                return Err(Error::refused(
                    "Keras has no layer that reads words and their letters",
                ));
            }
        };
        let mut to = Self {
            dtype,
            input,
            layers: vec![],
            weights: Group::default(),
            counts: HashMap::new(),
        };
        let layers = &description.layers;
        for (at, layer) in layers.iter().enumerate() {
            let told = |error: Error| error.within(format_args!("layer {at}"));
            // The last step of a recurrent layer is an option of the layer.
            let last = layers[at + 1..]
                .iter()
                .find(|next| !matches!(next, Layer::Dropout { .. }))
                .is_some_and(|next| *next == Layer::Pool { by: Pooling::Last });
            let get = |name: &str| -> Vec<f64> {
                let values = model.get(&format!("{at}.{name}")).unwrap_or_default();
                values.iter().map(|value| value.to_f64()).collect()
            };
            match layer {
                Layer::Embedding { width, .. } => {
                    let tokens = widths[at];
                    let config =
                        json!({ "input_dim": tokens, "output_dim": width, "mask_zero": false });
                    let table = (vec![tokens, *width], get("embedding.weight"));
                    to.add("Embedding", "embedding", config, &[("", vec![table])]);
                }
                Layer::Recurrent(stack) => {
                    check_stack(at, stack, &CELLS, "Keras")?;
                    to.stack(stack, widths[at], last, get).map_err(told)?;
                }
                Layer::Dropout { rate, .. } => {
                    to.add("Dropout", "dropout", json!({ "rate": rate }), &[]);
                }
                Layer::LayerNorm => {
                    let width = widths[at];
                    let config =
                        json!({ "axis": -1, "epsilon": 1e-5, "center": true, "scale": true });
                    let vectors = ["layer-norm.gain", "layer-norm.shift"]
                        .map(|name| (vec![width], get(name)));
                    let class = "LayerNormalization";
                    to.add(class, "layer_normalization", config, &[("", vectors.to_vec())]);
                }
                Layer::Pool { by: Pooling::Last } => {
                    let below =
                        layers[..at].iter().rev().find(|b| !matches!(b, Layer::Dropout { .. }));
                    if !matches!(below, Some(Layer::Recurrent(_))) {
                        let text = "the last step of a layer that is not recurrent; Keras has no layer for it";
                        return Err(told(Error::refused(text)));
                    }
                }
                Layer::Pool { by: Pooling::Mean } => {
                    to.add("GlobalAveragePooling1D", "global_average_pooling1d", json!({}), &[]);
                }
                Layer::Pool { by: Pooling::Max } => {
                    to.add("GlobalMaxPooling1D", "global_max_pooling1d", json!({}), &[]);
                }
                Layer::Linear { outputs } => {
                    let inputs = widths[at];
                    let config =
                        json!({ "units": outputs, "activation": "linear", "use_bias": true });
                    let kernel = arrange::transposed(&get("linear.weight"), *outputs, inputs);
                    let weights = vec![
                        (vec![inputs, *outputs], kernel),
                        (vec![*outputs], get("linear.bias")),
                    ];
                    to.add("Dense", "dense", config, &[("", weights)]);
                }
                Layer::Tied => {
                    // A sequential model shares no weights, so the output has a copy of them.
                    let (inputs, outputs) = (widths[at], widths[at + 1]);
                    let config =
                        json!({ "units": outputs, "activation": "linear", "use_bias": true });
                    let table = model.get(EMBEDDING).unwrap_or_default();
                    let table: Vec<f64> = table.iter().map(|value| value.to_f64()).collect();
                    let weights = vec![
                        (vec![inputs, outputs], arrange::transposed(&table, outputs, inputs)),
                        (vec![outputs], get("tied.bias")),
                    ];
                    to.add("Dense", "dense", config, &[("", weights)]);
                }
                other => {
                    let text = format!("Keras has no layer like `{}`", other.name());
                    return Err(told(Error::refused(text)));
                }
            }
        }
        Ok(to)
    }

    /// The layers of a stack, and the dropout between them.
    fn stack(
        &mut self,
        stack: &Recurrent,
        input: usize,
        last: bool,
        get: impl Fn(&str) -> Vec<f64>,
    ) -> Result<()> {
        let (class, group, form, activation) = match stack.cell {
            CellKind::RnnTanh => ("SimpleRNN", "simple_rnn", Form::Simple, "tanh"),
            CellKind::RnnRelu => ("SimpleRNN", "simple_rnn", Form::Simple, "relu"),
            CellKind::Lstm => ("LSTM", "lstm", Form::Lstm, "tanh"),
            CellKind::Gru => ("GRU", "gru", Form::Gru { reset_after: Some(true) }, "tanh"),
            CellKind::GruResetBefore => {
                ("GRU", "gru", Form::Gru { reset_after: Some(false) }, "tanh")
            }
            other => {
                return Err(Error::refused(format!("Keras has no cell like {}", other.name())));
            }
        };
        let mode = match stack.merge {
            Merge::Concat => "concat",
            Merge::Sum => "sum",
            Merge::Product => "mul",
            Merge::Mean => "ave",
        };
        for layer in 0..stack.layers {
            let top = layer + 1 == stack.layers;
            let mut config = json!({
                "units": stack.hidden,
                "activation": activation,
                "use_bias": stack.bias != recurve_nn::Bias::None,
                "return_sequences": !(top && last),
            });
            match form {
                Form::Simple => {}
                Form::Lstm => config["recurrent_activation"] = "sigmoid".into(),
                Form::Gru { reset_after } => {
                    config["recurrent_activation"] = "sigmoid".into();
                    config["reset_after"] = reset_after.into();
                }
            }
            let input = stack.layer_input(layer, input);
            let direction = |name: &str| {
                let part = |part: &str| get(&format!("recurrent.{layer}.{name}.{part}"));
                cell(form, stack.hidden, input, [part("w"), part("r"), part("b"), part("b_r")])
            };
            if stack.bidirectional {
                let inner = |name: &str, backwards: bool| {
                    let mut config = config.clone();
                    config["name"] = format!("{name}_{group}").into();
                    config["go_backwards"] = backwards.into();
                    object(class, config)
                };
                let config = json!({
                    "merge_mode": mode,
                    "layer": inner("forward", false),
                    "backward_layer": inner("backward", true),
                });
                let weights = [
                    ("forward_layer/cell", direction("forward")),
                    ("backward_layer/cell", direction("reverse")),
                ];
                self.add("Bidirectional", "bidirectional", config, &weights);
            } else {
                self.add(class, group, config, &[("cell", direction("forward"))]);
            }
            if !top && stack.dropout > 0.0 {
                self.add("Dropout", "dropout", json!({ "rate": stack.dropout }), &[]);
            }
        }
        Ok(())
    }

    /// Adds a layer with its weights, in groups below its own.
    fn add(
        &mut self,
        class: &str,
        group: &'static str,
        mut config: Value,
        weights: &[(&str, Vec<Variable>)],
    ) {
        let count = self.counts.entry(group).or_default();
        let name = if *count == 0 { group.to_owned() } else { format!("{group}_{count}") };
        *count += 1;
        config["name"] = name.as_str().into();
        self.layers.push(object(class, config));
        let dtype = self.dtype;
        let own = self.weights.at(&format!("layers/{name}/vars"));
        own.texts.push(("name".into(), name.clone()));
        for (path, variables) in weights {
            let vars = self.weights.at(&format!("layers/{name}/{path}/vars"));
            for (number, (shape, values)) in variables.iter().enumerate() {
                let bytes = match dtype {
                    Dtype::F64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                    _ => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
                };
                let node = Node::Numbers { dtype, shape: shape.clone(), bytes };
                vars.children.push((number.to_string(), node));
            }
        }
    }

    fn config(&self) -> Value {
        let dtype = if self.dtype == Dtype::F64 { "float64" } else { "float32" };
        let tokens = self.input.as_array().is_some_and(|axes| axes.len() == 2);
        let input = json!({
            "batch_shape": self.input,
            "dtype": if tokens { "int32" } else { dtype },
            "name": "input",
        });
        let mut layers = vec![object("InputLayer", input)];
        layers.extend(self.layers.iter().cloned().map(|mut layer| {
            set_dtype(&mut layer, dtype);
            layer
        }));
        let config = json!({
            "name": "sequential",
            "layers": layers,
            "build_input_shape": self.input,
        });
        let mut model = object("Sequential", config);
        model["module"] = "keras".into();
        model["build_config"] = json!({ "input_shape": self.input });
        model
    }
}

fn set_dtype(layer: &mut Value, dtype: &str) {
    layer["config"]["dtype"] = dtype.into();
    for inner in ["layer", "backward_layer"] {
        if layer["config"].get(inner).is_some() {
            set_dtype(&mut layer["config"][inner], dtype);
        }
    }
}

/// An object as Keras 3 writes it.
fn object(class: &str, config: Value) -> Value {
    let mut object = Map::new();
    object.insert("module".into(), "keras.layers".into());
    object.insert("class_name".into(), class.into());
    object.insert("config".into(), config);
    object.insert("registered_name".into(), Value::Null);
    Value::Object(object)
}

/// Kernel, recurrent kernel and bias of a cell, in the order of gates of Keras.
fn cell(form: Form, hidden: usize, input: usize, [w, r, b, b_r]: [Vec<f64>; 4]) -> Vec<Variable> {
    let rows = form.gates() * hidden;
    let back = arrange::inverse(order(form));
    let ordered = |values: &[f64], columns: usize| arrange::gates(values, &back, hidden, columns);
    let turned = |values: &[f64], columns: usize| {
        arrange::transposed(&ordered(values, columns), rows, columns)
    };
    let mut weights =
        vec![(vec![input, rows], turned(&w, input)), (vec![hidden, rows], turned(&r, hidden))];
    if b.is_empty() {
        return weights;
    }
    let zeros = || vec![0.0; rows];
    weights.push(match form {
        Form::Gru { reset_after: Some(true) } => {
            let b_r = if b_r.is_empty() { zeros() } else { ordered(&b_r, 1) };
            (vec![2, rows], [ordered(&b, 1), b_r].concat())
        }
        _ if b_r.is_empty() => (vec![rows], ordered(&b, 1)),
        _ => (vec![rows], ordered(&arrange::sums(&b, &b_r), 1)),
    });
    weights
}
