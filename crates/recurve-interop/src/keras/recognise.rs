//! Layers in a file of weights without a configuration.
//!
//! What the file does not say is assumed aloud: activations, and that a recurrent layer gives every step.
//! Layers stand in the order in which the file lists them, or, where it lists none, in the only order in
//! which their widths fit.

use super::layers;
use super::plan::{Activation, Cell, Form, Kind, Rnn, Step};
use super::variables::Store;
use crate::error::{Error, Result};
use crate::foreign::Refusal;
use crate::found::Found;
use crate::hdf5::{Object, Value};
use crate::tensors::{Tensor, Tensors};
use recurve_nn::Merge;

/// The layers, and what has weights and is none that is known.
pub(super) fn recognise(
    store: &Store<'_>,
    root: &Object,
    tensors: &Tensors,
    version: Option<&str>,
) -> Result<(Vec<Found>, Vec<Refusal>)> {
    let mut steps = vec![];
    let (mut found, mut refused) = (vec![], vec![]);
    match store.layers() {
        Some(_) => {
            // The order of the file, not that of the names.
            let base = root.at("model_weights").unwrap_or(root);
            for name in super::variables::texts(base, "layer_names")?.unwrap_or_default() {
                let own = store.layers().and_then(|layers| layers.get(&name));
                let own: Vec<&Tensor> = own.into_iter().flatten().collect();
                if !own.is_empty() {
                    steps.push((name.clone(), step(&name, ("", 0), &own, version)));
                }
            }
        }
        None => {
            let groups = root.at("layers").or_else(|| root.at("_layer_checkpoint_dependencies"));
            let prefix = if root.at("layers").is_some() {
                "layers"
            } else {
                "_layer_checkpoint_dependencies"
            };
            for (group, layer) in groups.map_or(&[][..], Object::children) {
                let inside = format!("{prefix}/{group}/");
                let own: Vec<&Tensor> =
                    tensors.iter().filter(|tensor| tensor.name.starts_with(&inside)).collect();
                if own.is_empty() {
                    continue;
                }
                let noted = match layer.at("vars").and_then(|vars| vars.attribute("name")) {
                    Some(Value::Texts(texts)) => texts.first().cloned(),
                    _ => None,
                };
                let (class, number) = class_of(group);
                let name = noted.unwrap_or_else(|| group.clone());
                steps.push((name.clone(), step(&name, (class, number), &own, version)));
            }
        }
    }
    for (name, step) in steps {
        let layer = step.and_then(|(step, assumed)| {
            let weights = store.of(&step).map_err(|error| error.to_string())?;
            match layers::layer(&step, &weights, 0).map_err(|error| error.to_string())? {
                Ok(layers) => Ok((layers, assumed)),
                Err(unlike) => Err(unlike.0),
            }
        });
        match layer {
            Ok((layers, assumed)) => found.extend(layers.into_iter().map(|mut layer| {
                layer.assumed.clone_from(&assumed);
                layer
            })),
            Err(why) => refused.push(Refusal { name, why }),
        }
    }
    if found.is_empty() && refused.is_empty() {
        return Err(Error::refused("no layer of Keras has weights in this file"));
    }
    Ok((found, refused))
}

/// `lstm_1` is the second of its class.
fn class_of(group: &str) -> (&'static str, usize) {
    let classes = [
        "bidirectional",
        "time_distributed",
        "layer_normalization",
        "simple_rnn",
        "embedding",
        "lstm",
        "gru",
        "dense",
    ];
    for class in classes {
        if group == class {
            return (class, 0);
        }
        let number = group.strip_prefix(class).and_then(|rest| rest.strip_prefix('_'));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            return (class, number);
        }
    }
    ("", 0)
}

/// A layer by its weights, and what was assumed of it.
fn step(
    name: &str,
    class: (&'static str, usize),
    own: &[&Tensor],
    version: Option<&str>,
) -> std::result::Result<(Step, Vec<String>), String> {
    let shapes: Vec<&[usize]> = own.iter().map(|tensor| &tensor.shape[..]).collect();
    let inside: Vec<&str> = own.iter().map(|tensor| tensor.name.as_str()).collect();
    let bidirectional = class.0 == "bidirectional"
        || inside
            .iter()
            .any(|name| name.contains("/backward_") || name.contains("/backward_layer"));
    let leaves: Vec<&str> = own.iter().map(|tensor| super::leaf(&tensor.name)).collect();
    let numbered = leaves.iter().all(|leaf| leaf.parse::<usize>().is_ok());
    let unknown =
        || Err(format!("weights of the shapes {shapes:?} belong to no layer that is known"));
    let make = |kind: Kind, assumed: &[&str]| {
        let assumed = assumed.iter().map(|text| (*text).to_owned()).collect();
        Ok((Step { name: name.into(), class, kind, initial: vec![] }, assumed))
    };
    let cells = if bidirectional { own.len() / 2 } else { own.len() };
    if !own.len().is_multiple_of(cells.max(1)) || inside.iter().any(|name| name.contains("/cells/"))
    {
        return unknown();
    }
    let first = &shapes[..cells];
    let recurrent = leaves.contains(&"recurrent_kernel")
        || numbered && matches!(class.0, "lstm" | "gru" | "simple_rnn" | "bidirectional");
    if recurrent {
        let (cell, assumed) = cell(first, version)?;
        let rnn = Rnn {
            cells: vec![cell],
            stacked: false,
            sequences: true,
            backwards: false,
            zero_where_masked: false,
        };
        let kind = if bidirectional {
            let backward = Rnn { backwards: true, ..rnn.clone() };
            Kind::Bidirectional { forward: rnn, backward, merge: Some(Merge::Concat) }
        } else {
            Kind::Recurrent(rnn)
        };
        return make(kind, &[assumed, "recurrent layers give every step, in their own order"]);
    }
    let dense = |bias, units: usize| {
        let wrapped = class.0 == "time_distributed";
        let kind = Kind::Dense { units, bias, then: Activation::Linear, wrapped };
        make(kind, &["dense layers are linear, Keras' default; weights do not say more"])
    };
    match (&leaves[..], first) {
        (["embeddings"], [[tokens, width]]) => {
            let kind = Kind::Embedding { tokens: *tokens, width: *width, mask_zero: false };
            make(kind, &["tokens all count: no mask"])
        }
        (["0"], [[tokens, width]]) if class.0 == "embedding" => {
            let kind = Kind::Embedding { tokens: *tokens, width: *width, mask_zero: false };
            make(kind, &["tokens all count: no mask"])
        }
        (["gamma", "beta"], _) => {
            Err("a layer normalisation, whose epsilon weights do not say".into())
        }
        (["kernel"], [[_, units]]) => dense(false, *units),
        (["kernel", "bias"], [[_, units], [size]]) if units == size => dense(true, *units),
        (["0"], [[_, units]]) if class.0 == "dense" || class.0 == "time_distributed" => {
            dense(false, *units)
        }
        (["0", "1"], [[_, units], [size]])
            if units == size && (class.0 == "dense" || class.0 == "time_distributed") =>
        {
            dense(true, *units)
        }
        _ => unknown(),
    }
}

/// A cell by the shapes of kernel, recurrent kernel and bias.
fn cell(
    shapes: &[&[usize]],
    version: Option<&str>,
) -> std::result::Result<(Cell, &'static str), String> {
    let (Some([_, columns]), Some([units, rows])) = (shapes.first(), shapes.get(1)) else {
        return Err(format!("a recurrent layer with weights of the shapes {shapes:?}"));
    };
    let gates = columns.checked_div(*units).unwrap_or(0);
    if rows != columns || gates * units != *columns {
        return Err(format!("a recurrent layer with weights of the shapes {shapes:?}"));
    }
    let bias = shapes.get(2).copied();
    let doubled = bias.is_some_and(|bias| *bias == [2 * columns]);
    let (form, class) = match gates {
        1 => (Form::Simple, "simple_rnn_cell"),
        4 if doubled => (Form::Lstm, "cu_dnnlstm"),
        4 => (Form::Lstm, "lstm_cell"),
        3 if doubled => (Form::Gru { reset_after: Some(true) }, "cu_dnngru"),
        3 if bias.is_none() => {
            return Err(
                "a GRU without bias, whose reset may come before the product or after it".into()
            );
        }
        3 => (Form::Gru { reset_after: None }, "gru_cell"),
        _ => return Err(format!("{gates} gates; a simple RNN has 1, a GRU 3, an LSTM 4")),
    };
    // Keras changed what it takes where nothing is said, in version 2.3 and in TensorFlow.
    let old = version.is_some_and(|version| {
        ["2.0", "2.1", "2.2"].iter().any(|old| version.starts_with(old))
            && !version.ends_with("-tf")
    });
    if old && !doubled && gates > 1 {
        return Err(format!(
            "Keras {} gave gates a hard sigmoid where nothing was said, and later ones a sigmoid; weights \
             do not say which",
            version.unwrap_or_default()
        ));
    }
    let cell = Cell {
        class: (class, 0),
        form,
        units: *units,
        activation: Activation::Tanh,
        gates: if gates == 1 { Activation::Linear } else { Activation::Sigmoid },
        bias: bias.is_some(),
    };
    Ok((cell, "recurrent layers compute tanh, their gates a sigmoid, Keras' defaults"))
}
