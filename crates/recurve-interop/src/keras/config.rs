//! From the JSON of a Keras configuration to a [`Plan`].
//!
//! Read are sequential models, and functional ones that are a chain. Every option of a layer is either
//! honoured, or known to change nothing when a model is used (initial values, regularisers, rates of dropout),
//! or refused by name; so are classes that are not known, and code.

use super::Version;
use super::keys::Keys;
use super::plan::{Activation, Cell, Form, Kind, Plan, Rnn, Step};
use super::wiring::{ends, sources};
use crate::error::{Error, Result};
use crate::limits::Limits;
use recurve_nn::{Merge, Pooling};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// The model that `text` configures.
///
/// # Errors
/// It is no configuration, or one of something that is not read; the error names the layer.
pub(super) fn parse(text: &str, version: Version, limits: &Limits) -> Result<Plan> {
    limits.check_description(text.len() as u64)?;
    let root: Value = serde_json::from_str(text)
        .map_err(|error| Error::damaged(format!("the configuration is no JSON ({error})")))?;
    let class = root.get("class_name").and_then(Value::as_str).unwrap_or("none");
    let config = root.get("config").unwrap_or(&Value::Null);
    let layers = config.get("layers").unwrap_or(config).as_array();
    let layers = layers.ok_or_else(|| Error::damaged("the configuration lists no layers"))?;
    limits.check_things(layers.len(), "layers")?;
    let reader = Reader { version, counts: RefCell::default() };
    match class {
        "Sequential" => reader.sequential(layers),
        "Functional" | "Model" => reader.functional(layers, config),
        other => Err(Error::refused(format!(
            "a model of the class `{other}`; sequential and functional models are read"
        ))),
    }
}

struct Reader {
    version: Version,
    /// Layers of each class so far.
    counts: RefCell<HashMap<&'static str, usize>>,
}

/// The class and the configuration of an object.
fn object(value: &Value) -> Result<(&str, &Map<String, Value>)> {
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config").and_then(Value::as_object);
    let (Some(class), Some(config)) = (class, config) else {
        return Err(Error::damaged("expected an object with `class_name` and `config`"));
    };
    // Since Keras 3 an object says where its class comes from.
    let module = value.get("module").and_then(Value::as_str).unwrap_or("keras");
    let registered = value.get("registered_name").and_then(Value::as_str);
    let own = module == "keras" || module.starts_with("keras.") || module.starts_with("tf_keras");
    if !own || registered.is_some_and(|name| name.contains('>')) {
        return Err(Error::refused(format!(
            "`{class}` is a class of its author's own; it is Python code, which is not executed"
        )));
    }
    Ok((class, config))
}

fn name(config: &Map<String, Value>) -> &str {
    config.get("name").and_then(Value::as_str).unwrap_or("")
}

impl Reader {
    fn sequential(&self, layers: &[Value]) -> Result<Plan> {
        let mut plan = Plan { input: "x".into(), steps: vec![] };
        for layer in layers {
            let (class, config) = object(layer)?;
            if class == "InputLayer" {
                plan.input = name(config).into();
                continue;
            }
            plan.steps.push(self.step(class, config)?);
        }
        Ok(plan)
    }

    fn functional(&self, layers: &[Value], config: &Value) -> Result<Plan> {
        let inputs = ends(config.get("input_layers"));
        let outputs = ends(config.get("output_layers"));
        let (Some((input, _)), Some((output, _))) = (inputs.first(), outputs.first()) else {
            return Err(Error::damaged("the configuration names no inputs or outputs"));
        };
        // Layers by the name of the one they read.
        let mut readers: BTreeMap<String, Vec<Step>> = BTreeMap::new();
        for layer in layers {
            let (class, config) = object(layer)?;
            let own = name(config);
            if class == "InputLayer" {
                continue;
            }
            let told = |error: Error| error.within(format_args!("layer `{own}`"));
            let mut sources = sources(layer.get("inbound_nodes")).map_err(told)?.into_iter();
            let Some(first) = sources.next() else {
                return Err(told(Error::damaged("it reads nothing")));
            };
            let mut step = self.step(class, config)?;
            let recurrent = matches!(step.kind, Kind::Recurrent(_) | Kind::Bidirectional { .. });
            for (source, _) in sources {
                if !recurrent || !inputs.iter().any(|(name, _)| *name == source) {
                    return Err(told(Error::refused(format!(
                        "it reads `{}` and `{source}`; models that are not a chain are not read",
                        first.0
                    ))));
                }
                step.initial.push(source);
            }
            if first.1 != 0 {
                return Err(told(Error::refused(format!(
                    "it reads output {} of `{}`; only first outputs are read on",
                    first.1, first.0
                ))));
            }
            readers.entry(first.0).or_default().push(step);
        }
        let mut plan = Plan { input: input.clone(), steps: vec![] };
        let mut at = input.clone();
        while let Some(mut next) = readers.remove(&at) {
            if let [first, second, ..] = &next[..] {
                return Err(Error::refused(format!(
                    "`{}` and `{}` both read `{at}`; models that are not a chain are not read",
                    first.name, second.name
                )));
            }
            if at == *output && plan.steps.iter().any(|step| step.name == at) {
                break;
            }
            let step = next.remove(0);
            at.clone_from(&step.name);
            plan.steps.push(step);
        }
        if let Some((source, steps)) = readers.first_key_value() {
            return Err(Error::refused(format!(
                "`{}` reads `{source}`, which is not on the way from `{input}` to `{output}`; models that \
                 are not a chain are not read",
                steps[0].name
            )));
        }
        let last = plan.steps.last().map(|step| step.name.as_str());
        for (number, (name, place)) in outputs.iter().enumerate() {
            if Some(name.as_str()) != last || *place != number {
                return Err(Error::refused(format!(
                    "output {number} of the model is output {place} of `{name}`; only outputs of the last \
                     layer are read, in their order"
                )));
            }
        }
        Ok(plan)
    }

    fn step(&self, class: &str, config: &Map<String, Value>) -> Result<Step> {
        let name = name(config).to_owned();
        let told = |error: Error| error.within(format_args!("layer `{name}`"));
        let class = known(class).map_err(told)?;
        let number = self.number(class);
        let keys = Keys::new(config);
        let kind = self.kind(class, &keys).map_err(told)?;
        Ok(Step { class: (class, number), kind, initial: vec![], name })
    }

    /// How many layers of the class were before.
    fn number(&self, class: &'static str) -> usize {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(class).or_default();
        *count += 1;
        *count - 1
    }

    fn kind(&self, class: &str, keys: &Keys<'_>) -> Result<Kind> {
        let kind = match class {
            "embedding" => {
                // The one class for which this option says something.
                let tokens = keys.count("input_dim")?;
                let kind = Kind::Embedding {
                    tokens,
                    width: keys.count("output_dim")?,
                    mask_zero: keys.flag("mask_zero", false)?,
                };
                keys.none("quantization_config")?;
                kind
            }
            "masking" => Kind::Masking { value: keys.number("mask_value", 0.0)? },
            "dense" => self.dense(keys, false)?,
            "time_distributed" => {
                let (class, config) = object(keys.value("layer")?)?;
                if class != "Dense" {
                    let text = format!("`TimeDistributed` of `{class}`; of `Dense` it is read");
                    return Err(Error::refused(text));
                }
                let inner = Keys::new(config);
                let kind = self.dense(&inner, true)?;
                inner.finish()?;
                kind
            }
            "layer_normalization" => {
                if keys.flag("rms_scaling", false)? {
                    return Err(Error::refused("normalisation by the root of the mean square"));
                }
                Kind::LayerNorm {
                    epsilon: keys.number("epsilon", 1e-3)?,
                    gain: keys.flag("scale", true)?,
                    shift: keys.flag("center", true)?,
                    axis: keys.axis()?,
                }
            }
            "activation" => Kind::Activation(self.activation(keys.value("activation")?)?),
            "re_lu" => {
                let slope = keys.number("negative_slope", 0.0)?;
                let most = keys.optional("max_value")?;
                let threshold = keys.number("threshold", 0.0)?;
                Kind::Activation(match (most, slope, threshold) {
                    (None, 0.0, 0.0) => Activation::Relu,
                    (None, slope, 0.0) => Activation::LeakyRelu { slope },
                    (Some(6.0), 0.0, 0.0) => Activation::Relu6,
                    _ => {
                        let text = "a ReLU with a threshold, or a largest value other than 6";
                        return Err(Error::refused(text));
                    }
                })
            }
            "leaky_re_lu" => {
                // Keras 2 called it `alpha`, with another default.
                let old = keys.number("alpha", 0.3)?;
                let slope = keys.number("negative_slope", old)?;
                Kind::Activation(Activation::LeakyRelu { slope })
            }
            "elu" => Kind::Activation(Activation::Elu { alpha: keys.number("alpha", 1.0)? }),
            "softmax" => match keys.axis()? {
                None => Kind::Activation(Activation::Softmax),
                Some(axis) => {
                    return Err(Error::refused(format!(
                        "a softmax over axis {axis}; only the last"
                    )));
                }
            },
            "global_average_pooling1d" | "global_max_pooling1d" => {
                let format = keys.get("data_format").and_then(Value::as_str);
                if keys.flag("keepdims", false)? || format.is_some_and(|f| f != "channels_last") {
                    return Err(Error::refused("`keepdims` or another order of axes"));
                }
                let mean = class == "global_average_pooling1d";
                Kind::Pool(if mean { Pooling::Mean } else { Pooling::Max })
            }
            "bidirectional" => self.bidirectional(keys)?,
            "lstm" | "gru" | "simple_rnn" | "cu_dnnlstm" | "cu_dnngru" | "rnn" => {
                Kind::Recurrent(self.rnn(class, keys)?)
            }
            _ => {
                // Noise and dropout, which training alone has.
                ["rate", "noise_shape", "stddev", "l1", "l2", "activity_regularizer"]
                    .iter()
                    .for_each(|key| keys.seen(key));
                Kind::Nothing
            }
        };
        keys.finish()?;
        Ok(kind)
    }

    fn dense(&self, keys: &Keys<'_>, wrapped: bool) -> Result<Kind> {
        keys.none("quantization_config")?;
        keys.none("lora_rank")?;
        Ok(Kind::Dense {
            units: keys.count("units")?,
            bias: keys.flag("use_bias", true)?,
            then: self.activation(keys.value("activation")?)?,
            wrapped,
        })
    }

    fn bidirectional(&self, keys: &Keys<'_>) -> Result<Kind> {
        let direction = |value: &Value| -> Result<Rnn> {
            let (class, config) = object(value)?;
            let class = known(class)?;
            if class == "bidirectional" || class == "time_distributed" {
                return Err(Error::refused("a wrapper within a wrapper"));
            }
            let inner = Keys::new(config);
            let rnn = self.rnn(class, &inner)?;
            inner.finish()?;
            Ok(rnn)
        };
        let forward = direction(keys.value("layer")?)?;
        let backward = match keys.value("backward_layer") {
            Ok(layer) if !layer.is_null() => direction(layer)?,
            _ => Rnn { backwards: !forward.backwards, ..forward.clone() },
        };
        if forward.backwards || !backward.backwards || forward.sequences != backward.sequences {
            return Err(Error::refused("directions that are not one forward and one backward"));
        }
        let merge = match keys.value("merge_mode")? {
            Value::Null => None,
            Value::String(mode) => Some(match mode.as_str() {
                "concat" => Merge::Concat,
                "sum" => Merge::Sum,
                "mul" => Merge::Product,
                "ave" => Merge::Mean,
                other => return Err(Error::refused(format!("the merge mode `{other}`"))),
            }),
            other => return Err(Error::damaged(format!("the merge mode {other}"))),
        };
        Ok(Kind::Bidirectional { forward, backward, merge })
    }

    fn rnn(&self, class: &str, keys: &Keys<'_>) -> Result<Rnn> {
        if keys.flag("time_major", false)? {
            return Err(Error::refused("`time_major`; the batch comes first in what is read"));
        }
        keys.seen("return_state");
        let (mut cells, mut stacked) = (vec![], false);
        if class == "rnn" {
            let (class, config) = object(keys.value("cell")?)?;
            let inner = Keys::new(config);
            if class == "StackedRNNCells" {
                stacked = true;
                let list = inner.value("cells")?.as_array();
                let list = list.ok_or_else(|| Error::damaged("`cells` is no list"))?;
                let mut counts = HashMap::<&str, usize>::new();
                for cell in list {
                    let (class, config) = object(cell)?;
                    let class = known(class)?;
                    let inner = Keys::new(config);
                    let count = counts.entry(class).or_default();
                    cells.push(self.cell(class, *count, &inner)?);
                    *count += 1;
                    inner.finish()?;
                }
            } else {
                cells.push(self.cell(known(class)?, 0, &inner)?);
            }
            inner.finish()?;
        } else {
            cells.push(self.cell(known_cell(class)?, 0, keys)?);
        }
        if cells.is_empty() {
            return Err(Error::damaged("a recurrent layer without cells"));
        }
        Ok(Rnn {
            cells,
            stacked,
            sequences: keys.flag("return_sequences", false)?,
            backwards: keys.flag("go_backwards", false)?,
            zero_where_masked: keys.flag("zero_output_for_mask", false)?,
        })
    }

    fn cell(&self, class: &'static str, number: usize, keys: &Keys<'_>) -> Result<Cell> {
        let form = match class {
            "simple_rnn_cell" => Form::Simple,
            "lstm_cell" | "cu_dnnlstm" => Form::Lstm,
            "gru_cell" => Form::Gru { reset_after: keys.optional_flag("reset_after")? },
            "cu_dnngru" => Form::Gru { reset_after: Some(true) },
            other => return Err(Error::refused(format!("`{other}` is no cell that is read"))),
        };
        let fused = class.starts_with("cu_dnn");
        let activation = |key: &str, default: Activation| match keys.value(key) {
            Ok(value) => self.activation(value),
            Err(_) if fused => Ok(default),
            Err(error) => Err(error),
        };
        let gates = match form {
            Form::Simple => Activation::Linear,
            _ => activation("recurrent_activation", Activation::Sigmoid)?,
        };
        Ok(Cell {
            class: (class, number),
            form,
            units: keys.count("units")?,
            activation: activation("activation", Activation::Tanh)?,
            gates,
            bias: keys.flag("use_bias", true)?,
        })
    }

    /// An activation: its name, or an object with its constants.
    fn activation(&self, value: &Value) -> Result<Activation> {
        let no_constants = Map::new();
        let (name, constants) = match value {
            Value::Null => ("linear", &no_constants),
            Value::String(name) => (name.as_str(), &no_constants),
            // A function of Keras by its name, or a layer such as `LeakyReLU`.
            Value::Object(map) if map.get("config").is_some_and(Value::is_string) => {
                let own = map.get("module").and_then(Value::as_str).unwrap_or("builtins");
                let registered = map.get("registered_name").and_then(Value::as_str);
                let name = map["config"].as_str().unwrap_or_default();
                if own != "builtins" && !own.starts_with("keras")
                    || registered.is_some_and(|r| r.contains('>'))
                {
                    return Err(code(name));
                }
                (name, &no_constants)
            }
            value => {
                let (class, config) = object(value)?;
                (class, config)
            }
        };
        let constant =
            |key: &str, default: f64| constants.get(key).and_then(Value::as_f64).unwrap_or(default);
        Ok(match name {
            "linear" => Activation::Linear,
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "hard_sigmoid" => Activation::HardSigmoid { slope: self.version.hard_sigmoid()? },
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            "leaky_relu" | "LeakyReLU" => {
                // TensorFlow keeps this constant in 32 bits, in models of 64 bits too.
                let own = f64::from(0.2_f32);
                let slope = if name == "LeakyReLU" { constant("alpha", 0.3) } else { own };
                Activation::LeakyRelu { slope: constant("negative_slope", slope) }
            }
            "elu" | "ELU" => Activation::Elu { alpha: constant("alpha", 1.0) },
            "selu" => Activation::Selu,
            "softplus" => Activation::Softplus,
            "softsign" => Activation::Softsign,
            "silu" | "swish" => Activation::Silu,
            "gelu" => Activation::Gelu { approximate: false },
            "hard_tanh" => Activation::HardTanh,
            "hard_silu" | "hard_swish" => Activation::HardSilu,
            "exponential" => Activation::Exponential,
            "mish" => Activation::Mish,
            "softmax" => Activation::Softmax,
            other => return Err(code(other)),
        })
    }
}

fn code(name: &str) -> Error {
    Error::refused(format!("the activation `{name}` is not known; its code is not executed"))
}

/// Classes that are read, in small letters.
fn known(class: &str) -> Result<&'static str> {
    Ok(match class {
        "LSTM" => "lstm",
        "GRU" => "gru",
        "SimpleRNN" => "simple_rnn",
        "CuDNNLSTM" => "cu_dnnlstm",
        "CuDNNGRU" => "cu_dnngru",
        "RNN" => "rnn",
        "LSTMCell" => "lstm_cell",
        "GRUCell" => "gru_cell",
        "SimpleRNNCell" => "simple_rnn_cell",
        "Bidirectional" => "bidirectional",
        "TimeDistributed" => "time_distributed",
        "Dense" => "dense",
        "Embedding" => "embedding",
        "Masking" => "masking",
        "LayerNormalization" => "layer_normalization",
        "Activation" => "activation",
        "ReLU" => "re_lu",
        "LeakyReLU" => "leaky_re_lu",
        "ELU" => "elu",
        "Softmax" => "softmax",
        "GlobalAveragePooling1D" => "global_average_pooling1d",
        "GlobalMaxPooling1D" => "global_max_pooling1d",
        "Dropout" => "dropout",
        "SpatialDropout1D" => "spatial_dropout1d",
        "AlphaDropout" => "alpha_dropout",
        "GaussianDropout" => "gaussian_dropout",
        "GaussianNoise" => "gaussian_noise",
        "ActivityRegularization" => "activity_regularization",
        "Lambda" => {
            let text = "a `Lambda` layer is Python code, which is not executed";
            return Err(Error::refused(text));
        }
        "Sequential" | "Functional" | "Model" => {
            return Err(Error::refused("a model within a model is not read"));
        }
        other => return Err(Error::refused(format!("layers of the class `{other}` are not read"))),
    })
}

/// The cell of a layer.
fn known_cell(layer: &str) -> Result<&'static str> {
    Ok(match layer {
        "lstm" => "lstm_cell",
        "gru" => "gru_cell",
        "simple_rnn" => "simple_rnn_cell",
        "cu_dnnlstm" => "cu_dnnlstm",
        "cu_dnngru" => "cu_dnngru",
        other => return Err(Error::refused(format!("`{other}` is no recurrent layer"))),
    })
}
