//! Layers in a state dict, by the names and shapes of its tensors.
//!
//! PyTorch names the weights of a module `path.weight_ih_l0`, where the path is that of the author's own
//! classes. Gates stand as in Recurve (i f g o, r z n; the reset after the recurrent product), every weight
//! is `[rows, columns]` of `W x`, and there are two biases or none; candle, whose names are the same, also has
//! either of them alone. What a state dict does not hold is the nonlinearity of a vanilla RNN, dropout, the
//! order of axes, and all that has no weights: where there is a choice it is asked for or assumed aloud.

use crate::error::{Error, Result};
use crate::foreign::{Options, Refusal};
use crate::found::{Found, Weight};
use crate::tensors::{Tensor, Tensors};
use recurve_nn::{Bias, CellKind, Layer, Recurrent};
use std::collections::HashMap;

/// The tensors of one module: by what of their names follows its path.
pub(crate) struct Module<'a> {
    pub(crate) path: &'a str,
    pub(crate) tensors: Vec<(&'a str, &'a Tensor)>,
}

impl<'a> Module<'a> {
    pub(crate) fn get(&self, leaf: &str) -> Option<&'a Tensor> {
        self.tensors.iter().find(|(name, _)| *name == leaf).map(|(_, tensor)| *tensor)
    }
    pub(crate) fn has(&self, beginning: &str) -> bool {
        self.tensors.iter().any(|(name, _)| name.starts_with(beginning))
    }
    /// Its tensors, for people.
    pub(crate) fn leaves(&self) -> String {
        let leaves: Vec<&str> = self.tensors.iter().map(|(name, _)| *name).collect();
        leaves.join(", ")
    }
    /// Whether all its tensors are among `leaves`.
    pub(crate) fn is_of(&self, leaves: &[&str]) -> bool {
        self.tensors.iter().all(|(name, _)| leaves.contains(name))
    }
}

/// The layers among `tensors`, and what has weights and is none. `ordered` says whether the tensors stand
/// in the order in which their modules were made.
///
/// # Errors
/// The options name a cell that a vanilla RNN cannot be.
pub fn recognise(
    tensors: &Tensors,
    options: &Options,
    ordered: bool,
) -> Result<(Vec<Found>, Vec<Refusal>)> {
    check_rnn(options)?;
    let modules = modules(tensors, |name| name.rsplit_once('.').unwrap_or(("", name)));
    let (mut found, mut refused) = (vec![], vec![]);
    let mut matrices = vec![];
    for module in &modules {
        match layer(module, options) {
            Ok(Some(layer)) => found.push(layer),
            Ok(None) => {}
            Err(Unclear::Matrix(weight)) => {
                matrices.push((found.len(), module.path, weight));
            }
            Err(Unclear::Refused(why)) => {
                refused.push(Refusal { name: module.path.to_owned(), why });
            }
        }
    }
    // From the last on, so that places stay.
    for (at, path, weight) in matrices.into_iter().rev() {
        let first = ordered && at == 0;
        match matrix(path, weight, &found, first, options) {
            Ok(layer) => found.insert(at, layer),
            Err(why) => refused.push(Refusal { name: path.to_owned(), why }),
        }
    }
    Ok((found, refused))
}

/// Refuses a cell that no vanilla RNN is.
pub(crate) fn check_rnn(options: &Options) -> Result<()> {
    match options.rnn {
        Some(cell) if !matches!(cell, CellKind::RnnTanh | CellKind::RnnRelu) => {
            let text = format!("a vanilla RNN computes rnn-tanh or rnn-relu, not {}", cell.name());
            Err(Error::asked(text))
        }
        _ => Ok(()),
    }
}

/// Modules in the order of their first tensors; `split` cuts a name into the path of its module and the rest.
pub(crate) fn modules<'a>(
    tensors: &'a Tensors,
    split: impl Fn(&'a str) -> (&'a str, &'a str),
) -> Vec<Module<'a>> {
    let (mut modules, mut places) = (Vec::<Module<'_>>::new(), HashMap::new());
    for tensor in tensors.iter() {
        let (path, leaf) = split(&tensor.name);
        let at = *places.entry(path).or_insert(modules.len());
        if at == modules.len() {
            modules.push(Module { path, tensors: vec![] });
        }
        modules[at].tensors.push((leaf, tensor));
    }
    modules
}

/// Why a module is not simply a layer.
enum Unclear<'a> {
    /// A matrix without bias: an embedding, or a linear layer.
    Matrix(&'a Tensor),
    /// Something that Recurve does not have.
    Refused(String),
}

fn layer<'a>(
    module: &Module<'a>,
    options: &Options,
) -> std::result::Result<Option<Found>, Unclear<'a>> {
    let refuse = |why: String| Err(Unclear::Refused(why));
    if module.has("weight_ih") || module.has("weight_hh") {
        return recurrent(module, options).map(Some).map_err(Unclear::Refused);
    }
    let Some(weight) = module.get("weight") else {
        let looks = module.has("weight") || module.has("bias") || module.has("parametrizations");
        if looks {
            return refuse(format!("no layer of Recurve has the weights {}", module.leaves()));
        }
        return Ok(None);
    };
    if !module.is_of(&["weight", "bias"]) {
        let leaves = module.leaves();
        let what = if module.has("running_mean") { "a batch normalisation" } else { "a module" };
        return refuse(format!("{what} with {leaves}; no layer of Recurve is that"));
    }
    let bias = module.get("bias");
    match (&weight.shape[..], bias.map(|bias| &bias.shape[..])) {
        ([_, _], None) => Err(Unclear::Matrix(weight)),
        ([rows, columns], Some([size])) if rows == size => {
            Ok(Some(linear(module.path, weight, bias, *rows, *columns)))
        }
        ([width], Some([size])) if width == size => {
            Ok(Some(norm(module.path, *width, weight, bias.unwrap_or(weight))))
        }
        (shape, bias) => refuse(format!(
            "a weight of shape {shape:?} {}: no layer of Recurve is that",
            bias.map_or("without bias".to_owned(), |bias| format!("with a bias of {bias:?}"))
        )),
    }
}

/// A layer normalisation.
pub(crate) fn norm(path: &str, width: usize, gain: &Tensor, shift: &Tensor) -> Found {
    let weights = vec![plain("gain", gain), plain("shift", shift)];
    let mut norm = Found::new(path, Layer::LayerNorm, width, weights);
    let text = "a layer normalisation adds 1e-5 to the variance, the default; weights do not say";
    norm.assumed.push(text.to_owned());
    norm
}

/// Weights as they stand in a tensor.
pub(crate) fn plain(entry: impl Into<String>, tensor: &Tensor) -> Weight {
    let own = tensor.clone();
    Weight::new(entry, &[&tensor.name], move || own.reals())
}

fn linear(
    path: &str,
    weight: &Tensor,
    bias: Option<&Tensor>,
    rows: usize,
    columns: usize,
) -> Found {
    let bias = match bias {
        Some(bias) => plain("bias", bias),
        None => Weight::new("bias", &[], move || Ok(vec![0.0; rows])),
    };
    let weights = vec![plain("weight", weight), bias];
    Found::new(path, Layer::Linear { outputs: rows }, columns, weights)
}

/// A matrix without bias: what it is follows from what was said, its name, or its neighbours.
fn matrix(
    path: &str,
    weight: &Tensor,
    found: &[Found],
    first: bool,
    options: &Options,
) -> std::result::Result<Found, String> {
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let said = options.layers.iter().find_map(|name| name.strip_prefix(path)?.strip_prefix(':'));
    let reads = found.iter().any(|layer| layer.stack().is_some() && layer.inputs == columns);
    let gives = found.iter().any(|layer| layer.stack().is_some() && layer.outputs() == columns);
    let embedding = match said {
        Some("embedding") => true,
        Some("linear") => false,
        Some(other) => return Err(format!("it cannot be `{other}`, only embedding or linear")),
        None if path.to_lowercase().contains("emb") => true,
        None if reads && (first || !gives) => true,
        None if gives && !reads => false,
        None => {
            return Err(format!(
                "a matrix {rows} x {columns} without bias is an embedding or a linear layer; say \
                 which: `{path}:embedding` or `{path}:linear` among the layers"
            ));
        }
    };
    if !embedding {
        return Ok(linear(path, weight, None, rows, columns));
    }
    let layer = Layer::Embedding { width: columns, dropout: 0.0 };
    Ok(Found::new(path, layer, rows, vec![plain("weight", weight)]))
}

fn recurrent(module: &Module<'_>, options: &Options) -> std::result::Result<Found, String> {
    let need = |name: &str| module.get(name).ok_or_else(|| format!("`{name}` is missing"));
    let cell = module.get("weight_ih").is_some();
    let suffix = |layer: usize, reverse: bool| match (cell, reverse) {
        (true, _) => String::new(),
        (false, true) => format!("_l{layer}_reverse"),
        (false, false) => format!("_l{layer}"),
    };
    let first = suffix(0, false);
    let (w, r) = (need(&format!("weight_ih{first}"))?, need(&format!("weight_hh{first}"))?);
    let (&[rows, input], &[_, output]) = (&w.shape[..], &r.shape[..]) else {
        return Err(format!("expected two matrices, found {:?} and {:?}", w.shape, r.shape));
    };
    let projection = module.get(&format!("weight_hr{first}"));
    let hidden = match projection.map(|projection| &projection.shape[..]) {
        None => output,
        Some(&[width, hidden]) if width == output => hidden,
        Some(shape) => {
            return Err(format!("a projection {shape:?} does not give the {output} values of h"));
        }
    };
    let gates = rows.checked_div(hidden).unwrap_or(0);
    let mut assumed = vec![];
    let kind = match gates {
        _ if rows == 0 || rows != gates * hidden => {
            return Err(format!("{rows} rows of gates do not belong to {hidden} units"));
        }
        1 => options.rnn.unwrap_or_else(|| {
            let text = "a vanilla RNN computes tanh, PyTorch's default; a state dict does not say";
            assumed.push(text.to_owned());
            CellKind::RnnTanh
        }),
        3 => CellKind::Gru,
        4 => CellKind::Lstm,
        _ => return Err(format!("{gates} gates; an RNN has 1, a GRU 3, an LSTM 4")),
    };
    if projection.is_some() && kind != CellKind::Lstm {
        return Err(format!("a {} with a projection; only an LSTM has one", kind.name()));
    }
    let layers = if cell {
        1
    } else {
        (0..).take_while(|at| module.get(&format!("weight_ih_l{at}")).is_some()).count()
    };
    let bidirectional = !cell && module.get("weight_ih_l0_reverse").is_some();
    let biases = [module.has("bias_ih"), module.has("bias_hh")];
    let bias = match biases {
        [false, false] => Bias::None,
        [true, false] => Bias::One,
        [_, true] => Bias::Two,
    };
    let mut stack = Recurrent { layers, bidirectional, bias, ..Recurrent::new(kind, hidden) };
    stack.projection = projection.map(|_| output);
    let (mut weights, mut known) = (vec![], vec![]);
    for at in 0..layers {
        for (reverse, direction) in [(false, "forward"), (true, "reverse")] {
            if reverse && !bidirectional {
                continue;
            }
            let input = if at == 0 { input } else { stack.width() };
            let parts = [
                ("weight_ih", "w", vec![rows, input], true),
                ("weight_hh", "r", vec![rows, output], true),
                ("weight_hr", "projection", vec![output, hidden], projection.is_some()),
                ("bias_ih", "b", vec![rows], biases[0]),
                ("bias_hh", "b_r", vec![rows], biases[1]),
            ];
            for (theirs, ours, shape, _) in parts.into_iter().filter(|(.., there)| *there) {
                let name = format!("{theirs}{}", suffix(at, reverse));
                let tensor = need(&name)?;
                tensor.check_shape(&shape).map_err(|error| error.to_string())?;
                weights.push(plain(format!("{at}.{direction}.{ours}"), tensor));
                known.push(name);
            }
            if biases == [false, true] {
                let entry = format!("{at}.{direction}.b");
                weights.push(Weight::new(entry, &[], move || Ok(vec![0.0; rows])));
            }
        }
    }
    if let Some((name, _)) = module.tensors.iter().find(|(name, _)| known.iter().all(|k| k != name))
    {
        return Err(format!("`{name}` belongs to no layer of this {}", kind.name()));
    }
    let mut found = Found::new(module.path, Layer::Recurrent(stack), input, weights);
    found.assumed = assumed;
    Ok(found)
}
