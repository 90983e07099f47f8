//! PyTorch: a safetensors file with the names of a state dict, and a module in Python that loads it.

use super::{DESCRIPTION, EMBEDDING, bytes_of, check_merge, check_stack, is_single, to_json};
use crate::error::{Error, Result};
use crate::found::Exact;
use crate::tensors::Tensors;
use recurve_nn::{Bias, CellKind, Description, Element, Layer, Model, Pooling, Recurrent};
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::fmt::Write as _;

const CELLS: [CellKind; 4] = [CellKind::RnnTanh, CellKind::RnnRelu, CellKind::Lstm, CellKind::Gru];

/// The name of layer `at` among the attributes of the module.
fn name(at: usize, layer: &Layer) -> String {
    let kind = match layer {
        Layer::Embedding { .. } => "embedding",
        Layer::Recurrent(_) => "rnn",
        Layer::LayerNorm => "norm",
        Layer::Linear { .. } => "linear",
        Layer::Dropout { .. } => "dropout",
        Layer::Pool { .. } => "pool",
        other => other.name(),
    };
    format!("{kind}{at}")
}

/// What PyTorch calls an entry; and whether it is a bias that PyTorch has and the model has not.
struct Named {
    entry: Option<String>,
    theirs: String,
    shape: Vec<usize>,
}

/// All tensors of a state dict, in the order of the module.
fn names(description: &Description) -> Result<Vec<Named>> {
    let widths = description.widths()?;
    let mut all = vec![];
    for (at, layer) in description.layers.iter().enumerate() {
        let (input, output) = (widths[at], widths[at + 1]);
        let own = name(at, layer);
        let mut add = |entry: Option<String>, leaf: &str, shape: &[usize]| {
            let entry = entry.map(|entry| format!("{at}.{}.{entry}", layer.name()));
            all.push(Named { entry, theirs: format!("{own}.{leaf}"), shape: shape.to_vec() });
        };
        match layer {
            Layer::Embedding { width, .. } => {
                add(Some("weight".into()), "weight", &[input, *width])
            }
            Layer::Linear { outputs } => {
                add(Some("weight".into()), "weight", &[*outputs, input]);
                add(Some("bias".into()), "bias", &[*outputs]);
            }
            Layer::Tied => {
                add(Some("bias".into()), "bias", &[output]);
                // PyTorch names shared weights in both places.
                let entry = Some(EMBEDDING.to_owned());
                all.push(Named {
                    entry,
                    theirs: format!("{own}.weight"),
                    shape: vec![output, input],
                });
            }
            Layer::LayerNorm => {
                add(Some("gain".into()), "weight", &[output]);
                add(Some("shift".into()), "bias", &[output]);
            }
            Layer::Recurrent(stack) => {
                // Of the LSTM, the cell that the description allows it for.
                let plain = Recurrent { projection: None, ..stack.clone() };
                check_stack(at, &plain, &CELLS, "PyTorch")?;
                check_merge(at, stack, "PyTorch")?;
                let rows = stack.cell.gates() * stack.hidden;
                for l in 0..stack.layers {
                    for (direction, suffix) in [("forward", ""), ("reverse", "_reverse")]
                        .into_iter()
                        .take(stack.directions())
                    {
                        let entry = |weights: &str| Some(format!("{l}.{direction}.{weights}"));
                        let leaf = |weights: &str| format!("{weights}_l{l}{suffix}");
                        let width = stack.layer_input(l, input);
                        add(entry("w"), &leaf("weight_ih"), &[rows, width]);
                        add(entry("r"), &leaf("weight_hh"), &[rows, stack.output()]);
                        if stack.bias != Bias::None {
                            add(entry("b"), &leaf("bias_ih"), &[rows]);
                            let second = (stack.bias == Bias::Two).then(|| entry("b_r")).flatten();
                            add(second, &leaf("bias_hh"), &[rows]);
                        }
                        if let Some(output) = stack.projection {
                            add(entry("projection"), &leaf("weight_hr"), &[output, stack.hidden]);
                        }
                    }
                }
            }
            Layer::Dropout { .. } => {}
            Layer::Pool { by: Pooling::Last | Pooling::Mean | Pooling::Max } => {}
            other => return Err(super::no_layer(at, other, "PyTorch")),
        }
    }
    Ok(all)
}

/// The state dict.
pub(super) fn write<E: Element>(model: &Model<E>) -> Result<Vec<u8>> {
    let dtype = if is_single::<E>() { safetensors::Dtype::F32 } else { safetensors::Dtype::F64 };
    let mut data = vec![];
    for named in names(model.description())? {
        let count: usize = named.shape.iter().product();
        let values = match &named.entry {
            Some(entry) => model.get(entry).map(<[E]>::to_vec).unwrap_or_default(),
            None => vec![E::default(); count],
        };
        data.push((named.theirs, named.shape, bytes_of(values)));
    }
    let failed = |error| Error::failed(format!("cannot write the tensors: {error}"));
    let mut views = vec![];
    for (name, shape, bytes) in &data {
        let view = TensorView::new(dtype, shape.clone(), bytes).map_err(failed)?;
        views.push((name.clone(), view));
    }
    // One text alone: more would stand in no fixed order.
    let texts = HashMap::from([(DESCRIPTION.to_owned(), to_json(model.description())?)]);
    safetensors::serialize(views, Some(texts)).map_err(failed)
}

/// Reads back what [`write()`] wrote, where the file still is that.
///
/// # Errors
/// The tensors are not those of the description.
pub(crate) fn read_back(tensors: &Tensors, description: &str) -> Result<Exact> {
    let description = super::from_json(description, tensors)?;
    let mut values: Vec<(String, Vec<f64>)> = vec![];
    let all = names(&description)?;
    for named in &all {
        let tensor = tensors.get(&named.theirs).ok_or_else(|| {
            Error::damaged(format!("the tensor `{}` of the description is missing", named.theirs))
        })?;
        tensor.check_shape(&named.shape)?;
        let read = tensor.reals()?;
        match &named.entry {
            Some(entry) => match values.iter().find(|(known, _)| known == entry) {
                None => values.push((entry.clone(), read)),
                Some((_, before)) if *before == read => {}
                Some(_) => {
                    let text = format!("`{}` is not what the embedding has", named.theirs);
                    return Err(Error::damaged(text));
                }
            },
            None if read.iter().all(|value| *value == 0.0) => {}
            None => {
                let text =
                    format!("`{}` is not zero, and the description has one bias", named.theirs);
                return Err(Error::damaged(text));
            }
        }
    }
    if tensors.len() != all.len() {
        return Err(Error::damaged("there are more tensors than the description has"));
    }
    Ok(Exact { description, values })
}

/// A module in Python that loads the weights.
pub(super) fn module(description: &Description, weights: &str) -> Result<String> {
    let widths = description.widths()?;
    let (mut made, mut run) = (String::new(), String::new());
    let mut stacks = 0;
    let mut last: Option<&Recurrent> = None;
    for (at, layer) in description.layers.iter().enumerate() {
        let (input, output, own) = (widths[at], widths[at + 1], name(at, layer));
        let mut plain = |module: String| {
            let _ = writeln!(made, "        self.{own} = torch.nn.{module}");
            let _ = writeln!(run, "        x = self.{own}(x)");
        };
        match layer {
            Layer::Embedding { width, .. } => plain(format!("Embedding({input}, {width})")),
            Layer::Linear { outputs } => plain(format!("Linear({input}, {outputs})")),
            Layer::Tied => {
                plain(format!("Linear({input}, {output})"));
                let embedding = name(0, &description.layers[0]);
                let _ = writeln!(made, "        self.{own}.weight = self.{embedding}.weight");
            }
            Layer::LayerNorm => plain(format!("LayerNorm({output})")),
            Layer::Dropout { rate, .. } => plain(format!("Dropout({rate})")),
            Layer::Pool { by } => {
                let reverse = last.filter(|stack| stack.bidirectional).map(Recurrent::output);
                let pooled = match (by, reverse) {
                    (Pooling::Last, None) => "x[:, -1]".to_owned(),
                    (Pooling::Last, Some(h)) => {
                        format!("torch.cat([x[:, -1, :{h}], x[:, 0, {h}:]], -1)")
                    }
                    (Pooling::Mean, _) => "x.mean(1)".to_owned(),
                    (Pooling::Max, _) => "x.max(1).values".to_owned(),
                    (Pooling::Attention, _) => return Err(super::no_layer(at, layer, "PyTorch")),
                };
                let _ = writeln!(run, "        x = {pooled}");
            }
            Layer::Recurrent(stack) => {
                let (kind, more) = match (stack.cell, stack.projection) {
                    (CellKind::Lstm, None) => ("LSTM", String::new()),
                    (CellKind::Lstm, Some(size)) => ("LSTM", format!(", proj_size={size}")),
                    (CellKind::Gru, _) => ("GRU", String::new()),
                    (CellKind::RnnRelu, _) => ("RNN", ", nonlinearity=\"relu\"".to_owned()),
                    _ => ("RNN", ", nonlinearity=\"tanh\"".to_owned()),
                };
                let flag = |value: bool| if value { "True" } else { "False" };
                let _ = writeln!(
                    made,
                    "        self.{own} = torch.nn.{kind}(\n            {input}, {}, num_layers={}, \
                     bias={}, batch_first=True,\n            dropout={}, bidirectional={}{more})",
                    stack.hidden,
                    stack.layers,
                    flag(stack.bias != Bias::None),
                    if stack.layers > 1 { stack.dropout } else { 0.0 },
                    flag(stack.bidirectional),
                );
                let _ = writeln!(run, "        x, after = self.{own}(x, states[{stacks}])");
                run.push_str("        new.append(after)\n");
                stacks += 1;
            }
            other => return Err(super::no_layer(at, other, "PyTorch")),
        }
        last = match layer {
            Layer::Recurrent(stack) => Some(stack),
            Layer::Linear { .. } | Layer::Tied => None,
            _ => last,
        };
    }
    Ok(format!(
        "\"\"\"A model written by recurve, for PyTorch. Needs torch and safetensors.

    from {stem} import load
    model = load()
    y, states = model(x)            # x: [batch, time, ...]
    y, states = model(more, states) # goes on where it stopped
\"\"\"

from pathlib import Path

import torch
from safetensors.torch import load_file


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
{made}
    def forward(self, x, states=None):
        states = states or [None] * {stacks}
        new = []
{run}        return x, new


def load(path=Path(__file__).with_name(\"{weights}\")):
    weights = load_file(path)
    model = Model().to(next(iter(weights.values())).dtype)
    model.load_state_dict(weights)
    return model.eval()


if __name__ == \"__main__\":
    print(load())
",
        stem = weights.trim_end_matches(".safetensors"),
    ))
}
