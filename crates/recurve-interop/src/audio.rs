//! Small models of audio effects in JSON: Neural Amp Modeler (`.nam`) and RTNeural.
//!
//! A `.nam` file holds an LSTM whose weights are one list: for each layer a matrix `[4H, I+H]` with the gates
//! i f g o, a bias, and the states it begins with; then the head. RTNeural writes layers as Keras has them, or a
//! state dict of PyTorch as nested lists. Both are told by their keys.

use crate::error::{Error, Result};
use crate::foreign::{Contents, Format, Options};
use crate::found::{Found, Weight};
use crate::keras;
use crate::source::Source;
use crate::tensors::{Tensor, Tensors};
use crate::torch;
use recurve_nn::{Bias, CellKind, Layer, Recurrent};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether bytes look like the beginning of JSON.
pub(crate) fn is_beginning(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    text.first() == Some(&b'{')
        && text.get(1..).is_some_and(|rest| {
            let rest = rest.trim_ascii_start();
            rest.is_empty() || rest[0] == b'"'
        })
}

/// Opens a file.
pub(crate) fn open(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    options.limits.check_description(source.length())?;
    let root: Map<String, Value> = serde_json::from_slice(&source.read_all()?)
        .map_err(|error| Error::damaged(format!("this is no whole JSON object ({error})")))?;
    if root.contains_key("architecture") {
        nam(&root)
    } else if let Some(layers) = root.get("layers") {
        rtneural(&root, layers)
    } else {
        state_dict(&root, options)
    }
}

/// The numbers of nested lists, and the lengths of the lists.
fn numbers(value: &Value) -> Result<(Vec<usize>, Vec<f64>)> {
    fn walk(value: &Value, depth: usize, shape: &mut Vec<usize>, to: &mut Vec<f64>) -> Result<()> {
        let Some(list) = value.as_array() else {
            let number = value.as_f64().filter(|_| depth == shape.len());
            to.push(
                number
                    .ok_or_else(|| Error::damaged("expected numbers in lists of equal length"))?,
            );
            return Ok(());
        };
        if shape.len() == depth && to.is_empty() {
            shape.push(list.len());
        }
        if shape.get(depth) != Some(&list.len()) || depth > 8 {
            return Err(Error::damaged("lists of different lengths side by side"));
        }
        list.iter().try_for_each(|value| walk(value, depth + 1, shape, to))
    }
    let (mut shape, mut values) = (vec![], vec![]);
    walk(value, 0, &mut shape, &mut values)?;
    Ok((shape, values))
}

fn tensor(name: &str, value: &Value) -> Result<Tensor> {
    let told = |error: Error| error.within(format_args!("`{name}`"));
    let (shape, values) = numbers(value).map_err(told)?;
    Tensor::of_reals(name, shape, &values)
}

/// A state dict of PyTorch as JSON.
fn state_dict(root: &Map<String, Value>, options: &Options) -> Result<Contents> {
    let mut tensors = Tensors::new();
    for (name, value) in root {
        tensors.add(tensor(name, value)?)?;
    }
    let (found, refused) = torch::recognise(&tensors, options, true)?;
    let (format, texts) = (Format::Rtneural, BTreeMap::new());
    Ok(Contents { format, texts, tensors, found, refused, ordered: true, graph: None, exact: None })
}

/// Layers as RTNeural lists them.
fn rtneural(root: &Map<String, Value>, layers: &Value) -> Result<Contents> {
    let list = layers.as_array().ok_or_else(|| Error::damaged("`layers` is no list"))?;
    let width = root.get("in_shape").and_then(|shape| shape.as_array()?.last()?.as_u64());
    let mut width = width.ok_or_else(|| Error::damaged("`in_shape` says no width"))?;
    let (mut tensors, mut made) = (Tensors::new(), vec![]);
    for (at, layer) in list.iter().enumerate() {
        let text = |key: &str| layer.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}_{at}", text("type"));
        let told = |error: Error| error.within(format_args!("layer `{name}`"));
        let units = layer.get("shape").and_then(|shape| shape.as_array()?.last()?.as_u64());
        let units = units.ok_or_else(|| told(Error::damaged("`shape` says no width")))?;
        let weights = layer.get("weights").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut own = vec![];
        for (number, weight) in weights.iter().enumerate() {
            let tensor = tensor(&format!("{name}.{number}"), weight).map_err(told)?;
            tensors.add(tensor.clone())?;
            own.push(tensor);
        }
        if own.first().is_some_and(|kernel| kernel.shape.first() != Some(&(width as usize))) {
            let shape = &own[0].shape;
            let text = format!("a kernel {shape:?} below which there are {width} values");
            return Err(told(Error::damaged(text)));
        }
        let sizes = (units as usize, own);
        made.push(
            keras::plain_layer(&name, text("type"), text("activation"), sizes).map_err(told)?,
        );
        width = units;
    }
    let (found, graph) = keras::assemble_layers(&made)?;
    let (format, texts) = (Format::Rtneural, BTreeMap::new());
    Ok(Contents {
        format,
        texts,
        tensors,
        found,
        refused: vec![],
        ordered: true,
        graph,
        exact: None,
    })
}

/// A model of Neural Amp Modeler.
fn nam(root: &Map<String, Value>) -> Result<Contents> {
    let architecture = root.get("architecture").and_then(Value::as_str).unwrap_or_default();
    if architecture != "LSTM" {
        let text = format!("the architecture `{architecture}`; of these files the LSTM is read");
        return Err(Error::refused(text));
    }
    let config = root.get("config").and_then(Value::as_object);
    let config = config.ok_or_else(|| Error::damaged("`config` is missing"))?;
    for key in config.keys() {
        if !["input_size", "hidden_size", "num_layers"].contains(&key.as_str()) {
            return Err(Error::refused(format!("the option `{key}` is not known")).within("config"));
        }
    }
    let size = |key: &str| {
        let size = config.get(key).and_then(Value::as_u64).filter(|n| (1..1 << 16).contains(n));
        let size =
            size.ok_or_else(|| Error::damaged(format!("`{key}` is no size")).within("config"));
        size.map(|size| size as usize)
    };
    let (input, hidden, layers) = (size("input_size")?, size("hidden_size")?, size("num_layers")?);
    let weights = root.get("weights").ok_or_else(|| Error::damaged("`weights` is missing"))?;
    let weights = tensor("weights", weights)?;
    let values: Arc<[f64]> = weights.reals()?.into();
    let rows = 4 * hidden;
    let size = |input: usize| rows * (input + hidden) + rows + 2 * hidden;
    let expected = size(input) + (layers - 1) * size(hidden) + hidden + 1;
    if weights.shape.len() != 1 || values.len() != expected {
        let (found, shape) = (values.len(), &weights.shape);
        return Err(Error::damaged(format!(
            "expected {expected} weights for {layers} layers of {hidden} units, found {found} {shape:?}"
        )));
    }
    let mut own = vec![];
    let mut initial = vec![];
    let mut at = 0;
    // Columns of a matrix whose rows are `width` long.
    let part = |entry: String,
                first: usize,
                (rows, width): (usize, usize),
                columns: std::ops::Range<usize>| {
        let values = values.clone();
        Weight::new(entry, &["weights"], move || {
            let row = |row: usize| values[first + row * width..][columns.clone()].iter().copied();
            Ok((0..rows).flat_map(row).collect())
        })
    };
    for layer in 0..layers {
        let input = if layer == 0 { input } else { hidden };
        let name = |entry: &str| format!("{layer}.forward.{entry}");
        let width = input + hidden;
        own.push(part(name("w"), at, (rows, width), 0..input));
        own.push(part(name("r"), at, (rows, width), input..width));
        at += rows * width;
        own.push(part(name("b"), at, (1, rows), 0..rows));
        at += rows;
        let state = |at: usize| values[at..at + hidden].to_vec();
        initial.push([state(at), state(at + hidden)]);
        at += 2 * hidden;
    }
    let stack = Recurrent::new(CellKind::Lstm, hidden).layers(layers).bias(Bias::One);
    let mut lstm = Found::new("lstm", Layer::Recurrent(stack), input, own);
    lstm.initial = initial;
    let head = vec![
        part("weight".into(), at, (1, hidden), 0..hidden),
        part("bias".into(), at + hidden, (1, 1), 0..1),
    ];
    let head = Found::new("head", Layer::Linear { outputs: 1 }, hidden, head);
    let mut texts = BTreeMap::new();
    for key in ["version", "sample_rate"] {
        if let Some(value) = root.get(key) {
            texts.insert(key.to_owned(), value.to_string());
        }
    }
    let mut tensors = Tensors::new();
    tensors.add(weights)?;
    let (format, found) = (Format::Nam, vec![lstm, head]);
    Ok(Contents {
        format,
        texts,
        tensors,
        found,
        refused: vec![],
        ordered: true,
        graph: None,
        exact: None,
    })
}
