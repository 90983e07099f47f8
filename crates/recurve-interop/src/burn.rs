//! Burn: modules in safetensors, as its store writes them.
//!
//! Burn has a linear map for each gate and each of its two products, `rnn.input_gate.hidden_transform.weight`, and
//! matrices `[inputs, outputs]`; an LSTM without a forget gate is one whose gates are coupled. Of two directions
//! there is a module each, `forward` and `reverse`. Not among the weights are the functions of a cell, its
//! limit, whether it reads from the end, and where the reset of a GRU acts: Burn's defaults are assumed, aloud.

use crate::arrange;
use crate::error::Result;
use crate::foreign::{Options, Refusal};
use crate::found::{Found, Weight};
use crate::tensors::{Tensor, Tensors};
use crate::torch::{Module, check_rnn, modules, norm, plain};
use recurve_nn::{Bias, CellKind, Layer, Recurrent};
use std::collections::BTreeMap;

/// The two products of a gate.
const PRODUCTS: [&str; 2] = ["input_transform", "hidden_transform"];
/// The modules of two directions.
const DIRECTIONS: [&str; 2] = ["forward", "reverse"];

/// Whether tensors have the names of Burn.
pub(crate) fn is_burn(tensors: &Tensors, texts: &BTreeMap<String, String>) -> bool {
    texts.get("producer").is_some_and(|producer| producer == "burn")
        || tensors.iter().any(|tensor| tensor.name.contains(".input_transform."))
}

/// Cuts a name behind the path of a layer: `rnn` and `forward.input_gate.hidden_transform.weight`.
fn split(name: &str) -> (&str, &str) {
    let parts: Vec<&str> = name.split('.').collect();
    let count = parts.len();
    let is_gate = count >= 3 && PRODUCTS.contains(&parts[count - 2]);
    let rest = match is_gate {
        true if count >= 4 && DIRECTIONS.contains(&parts[count - 4]) => 4,
        true => 3,
        false => 1,
    };
    let path: usize = parts[..count - rest].iter().map(|part| part.len() + 1).sum();
    (name[..path].trim_end_matches('.'), &name[path..])
}

/// The layers among `tensors`, and what has weights and is none.
///
/// # Errors
/// The options name a cell that a vanilla RNN cannot be.
pub(crate) fn recognise(
    tensors: &Tensors,
    options: &Options,
) -> Result<(Vec<Found>, Vec<Refusal>)> {
    check_rnn(options)?;
    let (mut found, mut refused) = (vec![], vec![]);
    for module in modules(tensors, split) {
        match layer(&module, options) {
            Ok(layer) => found.push(layer),
            Err(why) => refused.push(Refusal { name: module.path.to_owned(), why }),
        }
    }
    Ok((found, refused))
}

fn layer(module: &Module<'_>, options: &Options) -> std::result::Result<Found, String> {
    let path = module.path;
    if module.tensors.iter().any(|(leaf, _)| PRODUCTS.iter().any(|name| leaf.contains(name))) {
        return recurrent(module, options);
    }
    if let (Some(gamma), Some(beta)) = (module.get("gamma"), module.get("beta"))
        && module.tensors.len() == 2
        && let [width] = gamma.shape[..]
        && beta.shape == gamma.shape
    {
        return Ok(norm(path, width, gamma, beta));
    }
    let (Some(weight), true) = (module.get("weight"), module.is_of(&["weight", "bias"])) else {
        return Err(format!("no layer of Recurve has the weights {}", module.leaves()));
    };
    let bias = module.get("bias");
    let &[rows, columns] = &weight.shape[..] else {
        return Err(format!("a weight of shape {:?}: no layer of Recurve is that", weight.shape));
    };
    if bias.is_some_and(|bias| bias.shape != [columns]) {
        return Err(format!(
            "a linear map [{rows}, {columns}] of Burn has {columns} biases; if this file was written with \
             the layout of PyTorch, write it without an adapter"
        ));
    }
    let said = options.layers.iter().find_map(|name| name.strip_prefix(path)?.strip_prefix(':'));
    let embedding = match said {
        Some("embedding") if bias.is_none() => true,
        Some("linear") => false,
        Some(other) => return Err(format!("it cannot be `{other}`")),
        None if bias.is_some() => false,
        None if path.to_lowercase().contains("emb") => true,
        None => {
            return Err(format!(
                "a matrix {rows} x {columns} without bias is an embedding or a linear layer; say \
                 which: `{path}:embedding` or `{path}:linear` among the layers"
            ));
        }
    };
    if embedding {
        let layer = Layer::Embedding { width: columns, dropout: 0.0 };
        return Ok(Found::new(path, layer, rows, vec![plain("weight", weight)]));
    }
    let bias = match bias {
        Some(bias) => plain("bias", bias),
        None => Weight::new("bias", &[], move || Ok(vec![0.0; columns])),
    };
    let weights = vec![turned("weight", &[weight]), bias];
    Ok(Found::new(path, Layer::Linear { outputs: columns }, rows, weights))
}

/// Matrices `[inputs, outputs]` turned round, one below the other.
fn turned(entry: impl Into<String>, tensors: &[&Tensor]) -> Weight {
    let own: Vec<Tensor> = tensors.iter().map(|tensor| (*tensor).clone()).collect();
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    Weight::new(entry, &names, move || {
        let mut all = vec![];
        for tensor in &own {
            all.extend(match tensor.shape[..] {
                [rows, columns] => arrange::transposed(&tensor.reals()?, rows, columns),
                _ => tensor.reals()?,
            });
        }
        Ok(all)
    })
}

/// The cell of a layer, and its gates in the order of Recurve.
fn cell(module: &Module<'_>, prefix: &str, options: &Options) -> (CellKind, Vec<&'static str>) {
    let has = |gate: &str| module.has(&format!("{prefix}{gate}."));
    if has("update_gate") {
        (CellKind::Gru, vec!["reset_gate", "update_gate", "new_gate"])
    } else if has("gate") {
        (options.rnn.unwrap_or(CellKind::RnnTanh), vec!["gate"])
    } else if has("forget_gate") {
        (CellKind::Lstm, vec!["input_gate", "forget_gate", "cell_gate", "output_gate"])
    } else {
        (CellKind::LstmCoupled, vec!["input_gate", "cell_gate", "output_gate"])
    }
}

fn recurrent(module: &Module<'_>, options: &Options) -> std::result::Result<Found, String> {
    let both = module.has("reverse.");
    let prefixes: &[&str] = match (module.has("forward."), both) {
        (true, true) => &["forward.", "reverse."],
        (false, false) => &[""],
        _ => return Err("one direction of two".to_owned()),
    };
    let (kind, gates) = cell(module, prefixes[0], options);
    let need = |name: &str| module.get(name).ok_or_else(|| format!("`{name}` is missing"));
    let first = need(&format!("{}{}.input_transform.weight", prefixes[0], gates[0]))?;
    let &[input, hidden] = &first.shape[..] else {
        return Err(format!("expected a matrix, found {:?}", first.shape));
    };
    let bias = if module.tensors.iter().any(|(leaf, _)| leaf.ends_with(".bias")) {
        Bias::Two
    } else {
        Bias::None
    };
    let mut weights = vec![];
    for (prefix, direction) in prefixes.iter().zip(DIRECTIONS) {
        for (product, leaf, entry, shape) in [
            (PRODUCTS[0], "weight", "w", &[input, hidden][..]),
            (PRODUCTS[1], "weight", "r", &[hidden, hidden]),
            (PRODUCTS[0], "bias", "b", &[hidden]),
            (PRODUCTS[1], "bias", "b_r", &[hidden]),
        ] {
            if leaf == "bias" && bias == Bias::None {
                continue;
            }
            let mut tensors = vec![];
            for gate in &gates {
                let tensor = need(&format!("{prefix}{gate}.{product}.{leaf}"))?;
                tensor.check_shape(shape).map_err(|error| error.to_string())?;
                tensors.push(tensor);
            }
            weights.push(turned(format!("0.{direction}.{entry}"), &tensors));
        }
    }
    let read: usize = weights.iter().map(|weight| weight.tensors.len()).sum();
    if read != module.tensors.len() {
        return Err(format!("a {} does not have the weights {}", kind.name(), module.leaves()));
    }
    let stack = Recurrent { bidirectional: both, bias, ..Recurrent::new(kind, hidden) };
    let mut found = Found::new(module.path, Layer::Recurrent(stack), input, weights);
    let more = match kind {
        CellKind::Gru => "sigmoid and tanh, no clip, the reset after the product",
        CellKind::RnnRelu => "ReLU, no clip",
        CellKind::RnnTanh => "tanh, no clip",
        _ => "sigmoid and tanh, no clip",
    };
    found.assumed.push(format!("a {} of Burn computes {more}; weights do not say", kind.name()));
    Ok(found)
}
