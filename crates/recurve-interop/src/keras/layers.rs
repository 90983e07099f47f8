//! From a [`Plan`] and its weights to layers of Recurve, where Recurve has them.
//!
//! Keras multiplies `x W` with `W [I, G*H]`; gates stand in the order i f c o and z r h. A CuDNN layer of
//! Keras 2 holds the same weights in other places: two biases of the LSTM, and matrices that lie transposed
//! gate by gate.

use super::plan::{Activation, Cell, Form, Kind, Plan, Rnn, Step};
use super::variables::{CellWeights, LayerWeights, Store};
use crate::arrange;
use crate::error::{Error, Result};
use crate::found::{Found, Weight};
use crate::tensors::Tensor;
use recurve_nn::{Bias, CellKind, Layer, Merge, Pooling, Recurrent};

/// The gates of Keras for each gate of Recurve.
pub(super) fn order(form: Form) -> &'static [usize] {
    match form {
        Form::Simple => &[0],
        Form::Lstm => &[0, 1, 2, 3],
        Form::Gru { .. } => &[1, 0, 2],
    }
}

/// The weights of a cell, gates in the order of Recurve: `w [G*H, I]`, `r [G*H, H]`, `b [G*H]`, `b_r [G*H]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Arranged {
    pub(super) w: Vec<f64>,
    pub(super) r: Vec<f64>,
    /// Empty where there is none.
    pub(super) b: Vec<f64>,
    /// Only of a GRU whose reset comes after the product.
    pub(super) b_r: Vec<f64>,
}

impl Arranged {
    /// The weights that a model calls `name`.
    fn part(self, name: &str) -> Vec<f64> {
        match name {
            "w" => self.w,
            "r" => self.r,
            "b" => self.b,
            _ => self.b_r,
        }
    }
}

/// The equations and sizes of a cell, checked against the shapes of its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) form: Form,
    pub(super) input: usize,
    pub(super) hidden: usize,
    /// Whether the weights lie as CuDNN has them.
    fused: bool,
}

impl Sizes {
    /// # Errors
    /// The shapes are not those of the cell.
    pub(super) fn of(cell: &Cell, weights: &CellWeights) -> Result<Self> {
        let (hidden, rows) = (cell.units, cell.form.gates() * cell.units);
        let &[input, columns] = &weights.kernel.shape[..] else {
            weights.kernel.check_shape(&[0, rows])?;
            return Err(Error::damaged("a kernel without axes"));
        };
        weights.kernel.check_shape(&[input, rows])?;
        debug_assert_eq!(columns, rows);
        weights.recurrent.check_shape(&[hidden, rows])?;
        let bias = weights.bias.as_ref().map(|bias| &bias.shape[..]);
        let mut form = cell.form;
        let fused = match (form, bias) {
            (_, None) => cell.class.0.starts_with("cu_dnn"),
            (Form::Gru { reset_after }, Some([2, n]))
                if *n == rows && reset_after != Some(false) =>
            {
                form = Form::Gru { reset_after: Some(true) };
                false
            }
            (Form::Gru { reset_after }, Some([n])) if *n == rows && reset_after != Some(true) => {
                form = Form::Gru { reset_after: Some(false) };
                false
            }
            (Form::Gru { reset_after: Some(true) }, Some([n])) if *n == 2 * rows => true,
            (Form::Lstm, Some([n])) if *n == 2 * rows => true,
            (Form::Lstm | Form::Simple, Some([n])) if *n == rows => false,
            (_, Some(shape)) => {
                return Err(Error::damaged(format!(
                    "a bias of shape {shape:?} does not belong to {rows} columns"
                )));
            }
        };
        if let Form::Gru { reset_after: None } = form {
            // Before it had the option, Keras knew this one alone.
            form = Form::Gru { reset_after: Some(false) };
        }
        Ok(Self { form, input, hidden, fused })
    }
}

/// Reads the weights of a cell.
///
/// # Errors
/// They cannot be read.
pub(super) fn arranged(sizes: Sizes, weights: &CellWeights) -> Result<Arranged> {
    let Sizes { form, input, hidden, fused } = sizes;
    let gates = form.gates();
    let rows = gates * hidden;
    let (kernel, recurrent) = (weights.kernel.reals()?, weights.recurrent.reals()?);
    let bias = weights.bias.as_ref().map(Tensor::reals).transpose()?.unwrap_or_default();
    // From `[columns, rows]` to `[rows, columns]`, gate by gate.
    let turned = |values: &[f64], columns: usize, mixed: bool| {
        if !mixed {
            return arrange::transposed(values, columns, rows);
        }
        // Columns of a gate, read row by row, are a matrix `[H, columns]` already.
        let gate = |gate: usize| {
            let row = move |at: usize| &values[at * rows + gate * hidden..][..hidden];
            (0..columns).flat_map(row).copied()
        };
        (0..gates).flat_map(gate).collect()
    };
    let w = turned(&kernel, input, fused);
    let r = if fused {
        // Each gate of the recurrent kernel is transposed: column k of it is row k of `r`, turned once more.
        let plain = arrange::transposed(&recurrent, hidden, rows);
        let turn = |gate: &[f64]| arrange::transposed(gate, hidden, hidden);
        plain.chunks_exact(hidden * hidden).flat_map(turn).collect()
    } else {
        turned(&recurrent, hidden, false)
    };
    let order = order(form);
    let (b, b_r) = match form {
        Form::Gru { reset_after: Some(true) } if !bias.is_empty() => {
            let (b, b_r) = bias.split_at(rows);
            (b.to_vec(), b_r.to_vec())
        }
        Form::Lstm if fused && !bias.is_empty() => {
            let (b, b_r) = bias.split_at(rows);
            (arrange::sums(b, b_r), vec![])
        }
        _ => (bias, vec![]),
    };
    let ordered = |values: Vec<f64>, columns: usize| {
        if values.is_empty() { values } else { arrange::gates(&values, order, hidden, columns) }
    };
    Ok(Arranged {
        w: ordered(w, input),
        r: ordered(r, hidden),
        b: ordered(b, 1),
        b_r: ordered(b_r, 1),
    })
}

/// The cell of Recurve that computes the same, if there is one.
pub(super) fn cell_kind(cell: &Cell, form: Form) -> Option<CellKind> {
    use Activation::{Linear, Relu, Sigmoid, Tanh};
    Some(match (form, cell.activation, cell.gates) {
        (Form::Simple, Tanh, Linear) => CellKind::RnnTanh,
        (Form::Simple, Relu, Linear) => CellKind::RnnRelu,
        (Form::Lstm, Tanh, Sigmoid) => CellKind::Lstm,
        (Form::Gru { reset_after: Some(true) }, Tanh, Sigmoid) => CellKind::Gru,
        (Form::Gru { .. }, Tanh, Sigmoid) => CellKind::GruResetBefore,
        _ => return None,
    })
}

/// Why a plan is not layers of Recurve on top of each other; then it is a graph.
#[derive(Debug)]
pub(super) struct Unlike(pub(super) String);

/// A result that may be "not like Recurve".
type Like<T> = Result<std::result::Result<T, Unlike>>;

/// The layers of a plan.
///
/// # Errors
/// Weights are missing or of another shape.
pub(super) fn found(plan: &Plan, store: &Store<'_>) -> Like<Vec<Found>> {
    let mut all: Vec<Found> = vec![];
    for step in &plan.steps {
        let told = |error: Error| error.within(format_args!("layer `{}`", step.name));
        let weights = store.of(step).map_err(told)?;
        let width = all.last().map_or(0, Found::outputs);
        match layer(step, &weights, width).map_err(told)? {
            Ok(layers) => all.extend(layers),
            Err(Unlike(why)) => return Ok(Err(Unlike(format!("layer `{}`: {why}", step.name)))),
        }
    }
    Ok(Ok(all))
}

/// The layers of Recurve that a layer of Keras is; `width` values come from those below.
///
/// # Errors
/// Weights are of another shape.
pub(super) fn layer(step: &Step, weights: &LayerWeights, width: usize) -> Like<Vec<Found>> {
    let unlike = |why: &str| Ok(Err(Unlike(why.to_owned())));
    let name = step.name.as_str();
    match (&step.kind, weights) {
        (Kind::Embedding { tokens, width, mask_zero }, LayerWeights::Plain(weights)) => {
            weights[0].check_shape(&[*tokens, *width])?;
            if *mask_zero {
                return unlike("token 0 does not count (`mask_zero`)");
            }
            let weight = plain("weight", &weights[0]);
            Ok(Ok(vec![Found::new(
                name,
                Layer::Embedding { width: *width, dropout: 0.0 },
                *tokens,
                vec![weight],
            )]))
        }
        (Kind::Masking { value }, _) => {
            Ok(Err(Unlike(format!("steps of the value {value} do not count"))))
        }
        (Kind::Recurrent(rnn), LayerWeights::Cells(cells)) => {
            if rnn.backwards {
                return unlike("it reads from the end alone (`go_backwards`)");
            }
            let mut layers = vec![];
            let count = rnn.cells.len();
            for (at, (cell, weights)) in rnn.cells.iter().zip(cells).enumerate() {
                let name = if count == 1 { name.to_owned() } else { format!("{name}.{at}") };
                match recurrent(&name, &[(cell, weights)])? {
                    Ok(layer) => layers.push(layer),
                    Err(why) => return Ok(Err(why)),
                }
            }
            layers.extend(last(name, rnn, layers.last()));
            Ok(Ok(layers))
        }
        (Kind::Bidirectional { forward, backward, merge }, LayerWeights::Directions(f, b)) => {
            let merge = match merge {
                None => return unlike("its directions stay apart (`merge_mode`)"),
                Some(Merge::Concat) => Merge::Concat,
                Some(_) if !forward.sequences => {
                    return unlike("the last steps of its directions are merged (`merge_mode`)");
                }
                Some(other) => *other,
            };
            let ([one], [other]) = (&forward.cells[..], &backward.cells[..]) else {
                return unlike("several cells within a step of a bidirectional layer");
            };
            let mut layer = match recurrent(name, &[(one, &f[0]), (other, &b[0])])? {
                Ok(layer) => layer,
                Err(why) => return Ok(Err(why)),
            };
            if let Layer::Recurrent(stack) = &mut layer.layer {
                stack.merge = merge;
            }
            let pool = last(name, forward, Some(&layer));
            Ok(Ok([layer].into_iter().chain(pool).collect()))
        }
        (Kind::Dense { units, then, .. }, LayerWeights::Plain(weights)) => {
            let inputs = inputs(&weights[0], *units)?;
            if *then != Activation::Linear {
                return unlike("a linear layer with an activation");
            }
            let kernel = weights[0].clone();
            let (own, rows) = (kernel.clone(), *units);
            let weight = Weight::new("weight", &[&kernel.name], move || {
                Ok(arrange::transposed(&own.reals()?, inputs, rows))
            });
            let bias = match weights.get(1) {
                Some(bias) => {
                    bias.check_shape(&[rows])?;
                    plain("bias", bias)
                }
                None => Weight::new("bias", &[], move || Ok(vec![0.0; rows])),
            };
            let layer = Layer::Linear { outputs: rows };
            Ok(Ok(vec![Found::new(name, layer, inputs, vec![weight, bias])]))
        }
        (Kind::LayerNorm { epsilon, gain, shift, axis }, LayerWeights::Plain(weights)) => {
            if *epsilon != 1e-5 || !gain || !shift || axis.is_some() {
                return unlike(
                    "a normalisation that adds other than 1e-5, or has no gain or shift",
                );
            }
            let (gain, shift) = (plain("gain", &weights[0]), plain("shift", &weights[1]));
            let width = weights[0].count();
            Ok(Ok(vec![Found::new(name, Layer::LayerNorm, width, vec![gain, shift])]))
        }
        (Kind::Pool(by), _) => {
            Ok(Ok(vec![Found::new(name, Layer::Pool { by: *by }, width, vec![])]))
        }
        (Kind::Activation(Activation::Linear) | Kind::Nothing, _) => Ok(Ok(vec![])),
        (Kind::Activation(_), _) => unlike("an activation"),
        _ => Err(Error::damaged("its weights are not those of such a layer")),
    }
}

/// Weights as they stand in a tensor.
fn plain(entry: &str, tensor: &Tensor) -> Weight {
    let own = tensor.clone();
    Weight::new(entry, &[&tensor.name], move || own.reals())
}

/// The inputs of a kernel `[inputs, outputs]`.
pub(super) fn inputs(kernel: &Tensor, outputs: usize) -> Result<usize> {
    let inputs = kernel.shape.first().copied().unwrap_or(0);
    kernel.check_shape(&[inputs, outputs])?;
    Ok(inputs)
}

/// The last step alone, where a recurrent layer gives no more.
fn last(name: &str, rnn: &Rnn, below: Option<&Found>) -> Option<Found> {
    let layer = Layer::Pool { by: Pooling::Last };
    let width = below.map_or(0, Found::outputs);
    (!rnn.sequences).then(|| Found::new(format!("{name}.last"), layer, width, vec![]))
}

/// A recurrent layer of one direction or of two.
fn recurrent(name: &str, directions: &[(&Cell, &CellWeights)]) -> Like<Found> {
    let sizes: Vec<Sizes> =
        directions.iter().map(|(cell, weights)| Sizes::of(cell, weights)).collect::<Result<_>>()?;
    let kinds: Vec<Option<CellKind>> = directions
        .iter()
        .zip(&sizes)
        .map(|((cell, _), sizes)| cell_kind(cell, sizes.form))
        .collect();
    let same = |other: &Sizes| (other.input, other.hidden) == (sizes[0].input, sizes[0].hidden);
    let Some(kind) = kinds[0].filter(|kind| kinds.iter().all(|other| *other == Some(*kind))) else {
        return Ok(Err(Unlike("a cell with other activations".into())));
    };
    let biases = directions.iter().all(|(cell, _)| cell.bias == directions[0].0.bias);
    if !biases || !sizes.iter().all(same) {
        return Ok(Err(Unlike("two directions that are not alike".into())));
    }
    let bias = match (directions[0].0.bias, kind) {
        (false, _) => Bias::None,
        (true, CellKind::Gru) => Bias::Two,
        (true, _) => Bias::One,
    };
    let stack = Recurrent {
        bidirectional: directions.len() == 2,
        bias,
        ..Recurrent::new(kind, sizes[0].hidden)
    };
    let mut all = vec![];
    for (((_, weights), sizes), direction) in
        directions.iter().zip(&sizes).zip(["forward", "reverse"])
    {
        let parts =
            [("w", true), ("r", true), ("b", bias != Bias::None), ("b_r", bias == Bias::Two)];
        let names: Vec<&str> =
            [Some(&weights.kernel), Some(&weights.recurrent), weights.bias.as_ref()]
                .into_iter()
                .flatten()
                .map(|tensor| tensor.name.as_str())
                .collect();
        for (part, _) in parts.into_iter().filter(|(_, is_there)| *is_there) {
            let (own, sizes) = ((*weights).clone(), *sizes);
            let names = match part {
                "w" => &names[..1],
                "r" => &names[1..2],
                _ => &names[2..],
            };
            all.push(Weight::new(format!("0.{direction}.{part}"), names, move || {
                arranged(sizes, &own).map(|all| all.part(part))
            }));
        }
    }
    Ok(Ok(Found::new(name, Layer::Recurrent(stack), sizes[0].input, all)))
}
