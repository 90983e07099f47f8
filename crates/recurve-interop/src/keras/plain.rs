//! Layers as Keras has them, in files of other programs.

use super::graph;
use super::layers;
use super::plan::{Activation, Cell, Form, Kind, Plan, Rnn, Step};
use super::variables::{CellWeights, LayerWeights};
use crate::error::{Error, Result};
use crate::foreign::MakeGraph;
use crate::found::Found;
use crate::tensors::Tensor;
use std::sync::Arc;

/// A layer with its weights.
#[derive(Clone, Debug)]
pub(crate) struct PlainLayer(Step, LayerWeights);

/// A layer of this class, with kernel, recurrent kernel and bias as Keras has them.
///
/// # Errors
/// The class or the activation is not known, or weights are missing or of another shape.
pub(crate) fn plain_layer(
    name: &str,
    class: &str,
    activation: &str,
    (units, weights): (usize, Vec<Tensor>),
) -> Result<PlainLayer> {
    let then = match activation {
        "" | "linear" => Activation::Linear,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "elu" => Activation::Elu { alpha: 1.0 },
        "softmax" => Activation::Softmax,
        other => return Err(Error::refused(format!("the activation `{other}`"))),
    };
    let expect = |counts: &[usize]| {
        let found = weights.len();
        if counts.contains(&found) {
            return Ok(());
        }
        Err(Error::damaged(format!("{found} weights, expected {counts:?}")))
    };
    let (kind, weights) = match class {
        "dense" | "time-distributed-dense" => {
            expect(&[1, 2])?;
            let bias = weights.len() == 2;
            let kind = Kind::Dense { units, bias, then, wrapped: false };
            (kind, LayerWeights::Plain(weights))
        }
        "lstm" | "gru" => {
            expect(&[3])?;
            if !matches!(then, Activation::Tanh | Activation::Linear) {
                return Err(Error::refused(format!(
                    "the activation `{activation}` of a recurrent layer"
                )));
            }
            let form = match class {
                "lstm" => Form::Lstm,
                _ => Form::Gru { reset_after: Some(true) },
            };
            let cell = Cell {
                class: ("", 0),
                form,
                units,
                // RTNeural computes tanh whatever is written there.
                activation: Activation::Tanh,
                gates: Activation::Sigmoid,
                bias: true,
            };
            let rnn = Rnn {
                cells: vec![cell],
                stacked: false,
                sequences: true,
                backwards: false,
                zero_where_masked: false,
            };
            let [kernel, recurrent, bias] = <[Tensor; 3]>::try_from(weights)
                .map_err(|_| Error::damaged("expected three weights"))?;
            let own = CellWeights { kernel, recurrent, bias: Some(bias) };
            (Kind::Recurrent(rnn), LayerWeights::Cells(vec![own]))
        }
        "activation" => {
            expect(&[0])?;
            (Kind::Activation(then), LayerWeights::Plain(weights))
        }
        other => return Err(Error::refused(format!("layers of the type `{other}` are not read"))),
    };
    let step = Step { name: name.into(), class: ("", 0), kind, initial: vec![] };
    // What is wrong with shapes is told now, not when values are read.
    layers::layer(&step, &weights, 0)?.ok();
    Ok(PlainLayer(step, weights))
}

/// Layers of Recurve, or a graph where Recurve does not have them.
type Assembled = (Vec<Found>, Option<Arc<MakeGraph>>);

/// A model of these layers, from the input up.
///
/// # Errors
/// Weights are of another shape.
pub(crate) fn assemble_layers(all: &[PlainLayer]) -> Result<Assembled> {
    let mut found: Vec<Found> = vec![];
    for PlainLayer(step, weights) in all {
        let width = found.last().map_or(0, Found::outputs);
        match layers::layer(step, weights, width)? {
            Ok(layers) => found.extend(layers),
            Err(_) => {
                let pair = |PlainLayer(step, weights): &PlainLayer| (step.clone(), weights.clone());
                let all: Vec<(Step, LayerWeights)> = all.iter().map(pair).collect();
                let plan = Plan { input: "x".into(), steps: vec![] };
                return Ok((vec![], Some(Arc::new(move || graph::graph(&plan, &all)))));
            }
        }
    }
    Ok((found, None))
}
