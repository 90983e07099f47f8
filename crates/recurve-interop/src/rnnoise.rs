//! RNNoise: the network of the noise suppressor, as bytes without a header.
//!
//! Six layers lie one after the other: a count of inputs, a count of units, the number of an activation, and
//! weights of 1/256 in one byte each, those of one input side by side. Gates stand in the order z r h, and the
//! reset comes before the product. How the layers read each other is the same in all files, and so is the
//! graph; features of a frame go in, gains of 22 bands and the probability of a voice come out.

use crate::arrange;
use crate::error::{Error, Result};
use crate::foreign::{Contents, Format};
use crate::graph::{
    Binary, Directions, Family, Function, Graph, GraphBuilder, Kind, Op, RecurrentOp, Size, Slot,
};
use crate::source::Source;
use crate::tensors::{Tensor, Tensors};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The layers in their order, and whether each is recurrent.
const LAYERS: [(&str, bool); 6] = [
    ("input_dense", false),
    ("vad_gru", true),
    ("noise_gru", true),
    ("denoise_gru", true),
    ("denoise_output", false),
    ("vad_output", false),
];
/// The longest file; each layer has 255 inputs and units at most.
const LONGEST: u64 = 1 << 21;

/// A layer of the file.
#[derive(Clone, Debug)]
struct Layer {
    inputs: usize,
    units: usize,
    function: Function,
    /// `[inputs, columns]`.
    w: Vec<f64>,
    /// `[units, columns]`, of a recurrent layer.
    r: Vec<f64>,
    b: Vec<f64>,
}

/// Whether a file is one of these: its layers end where it ends, and fit each other.
pub(crate) fn is_file(source: &Arc<Source>) -> bool {
    source.length() < LONGEST && source.read_all().is_ok_and(|bytes| layers(&bytes).is_ok())
}

/// Opens a file.
pub(crate) fn open(source: &Arc<Source>) -> Result<Contents> {
    let layers = layers(&source.read_all()?)?;
    let mut tensors = Tensors::new();
    for (layer, (name, _)) in layers.iter().zip(LAYERS) {
        let columns = layer.b.len();
        tensors.add(Tensor::of_reals(
            format!("{name}.w"),
            vec![layer.inputs, columns],
            &layer.w,
        )?)?;
        if !layer.r.is_empty() {
            let shape = vec![layer.units, columns];
            tensors.add(Tensor::of_reals(format!("{name}.r"), shape, &layer.r)?)?;
        }
        tensors.add(Tensor::of_reals(format!("{name}.b"), vec![columns], &layer.b)?)?;
    }
    Ok(Contents {
        format: Format::Rnnoise,
        texts: BTreeMap::new(),
        tensors,
        found: vec![],
        refused: vec![],
        ordered: true,
        graph: Some(Arc::new(move || graph(&layers))),
        exact: None,
    })
}

/// The layers of a file.
fn layers(bytes: &[u8]) -> Result<Vec<Layer>> {
    let mut rest = bytes;
    let mut layers = vec![];
    for (name, recurrent) in LAYERS {
        let at = (bytes.len() - rest.len()) as u64;
        let told =
            |text: String| Error::damaged(text).within(format_args!("layer `{name}`")).at(at);
        let Some(([inputs, units, activation], after)) = rest.split_first_chunk() else {
            return Err(told("expected a layer, found the end of the file".into()));
        };
        let function = match activation {
            0 => Function::Tanh,
            1 => Function::Sigmoid,
            2 => Function::Relu,
            other => return Err(told(format!("activation {other}; there are 0, 1 and 2"))),
        };
        let (inputs, units) = (usize::from(*inputs), usize::from(*units));
        let columns = if recurrent { 3 * units } else { units };
        if inputs == 0 || units == 0 {
            return Err(told(format!("{inputs} inputs and {units} units")));
        }
        rest = after;
        let mut take = |count: usize| -> Result<Vec<f64>> {
            let (own, after) = rest
                .split_at_checked(count)
                .ok_or_else(|| told(format!("expected {count} weights, found {}", rest.len())))?;
            rest = after;
            Ok(own.iter().map(|byte| f64::from(byte.cast_signed()) / 256.0).collect())
        };
        let w = take(inputs * columns)?;
        let r = take(if recurrent { units * columns } else { 0 })?;
        layers.push(Layer { inputs, units, function, w, r, b: take(columns)? });
    }
    if !rest.is_empty() {
        return Err(Error::damaged(format!("{} bytes follow the last layer", rest.len())));
    }
    let units = |at: usize| layers[at].units;
    let features = layers[0].inputs;
    let expected = [
        features,
        units(0),
        units(0) + units(1) + features,
        units(1) + units(2) + features,
        units(3),
        units(1),
    ];
    for ((layer, expected), (name, _)) in layers.iter().zip(expected).zip(LAYERS) {
        if layer.inputs != expected {
            let found = layer.inputs;
            let text =
                format!("layer `{name}` has {found} inputs, what it reads has {expected} values");
            return Err(Error::damaged(text));
        }
    }
    Ok(layers)
}

fn graph(layers: &[Layer]) -> Result<Graph> {
    let mut to = GraphBuilder::new();
    let named = |name: &str| Size::Named(name.to_owned());
    let shape = vec![named("batch"), named("time"), Size::Fixed(layers[0].inputs)];
    let features = to.input("features", Kind::Reals, Some(shape));
    let mut states = vec![];
    let mut gru = |to: &mut GraphBuilder, at: usize, x: Slot| -> Result<Slot> {
        let (layer, name) = (&layers[at], LAYERS[at].0);
        let (hidden, columns) = (layer.units, layer.b.len());
        let turned = |values: &[f64], inputs: usize| arrange::transposed(values, inputs, columns);
        let w = to.reals(&[1, columns, layer.inputs], &turned(&layer.w, layer.inputs))?;
        let r = to.reals(&[1, columns, hidden], &turned(&layer.r, hidden))?;
        let mut both = layer.b.clone();
        both.resize(2 * columns, 0.0);
        let b = to.reals(&[1, 2 * columns], &both)?;
        let state = vec![named("batch"), Size::Fixed(hidden)];
        let before = to.input(&format!("{name}.h"), Kind::Reals, Some(state));
        let h = to.node(name, Op::Unsqueeze(Some(vec![1])), &[before]);
        let op = Op::Recurrent(RecurrentOp {
            family: Family::Gru { reset_after: false },
            directions: Directions::Forward,
            functions: vec![Function::Sigmoid, layer.function],
            clip: None,
            coupled: false,
            batch_first: true,
            order: vec![1, 0, 2],
            peepholes: [0, 1, 2],
        });
        let made = to.nodes(name, op, &[Some(x), Some(w), Some(r), Some(b), None, Some(h)], 2);
        let after = to.node(name, Op::Squeeze(Some(vec![1])), &[made[1]]);
        states.push((format!("{name}.h"), after));
        Ok(to.node(name, Op::Squeeze(Some(vec![2])), &[made[0]]))
    };
    let dense = |to: &mut GraphBuilder, at: usize, x: Slot| -> Result<Slot> {
        let (layer, name) = (&layers[at], LAYERS[at].0);
        let w = to.reals(&[layer.inputs, layer.units], &layer.w)?;
        let b = to.reals(&[layer.units], &layer.b)?;
        let product = to.node(name, Op::MatMul, &[x, w]);
        let sum = to.node(name, Op::Binary(Binary::Add), &[product, b]);
        Ok(to.node(name, Op::Function(layer.function), &[sum]))
    };
    let first = dense(&mut to, 0, features)?;
    let voice = gru(&mut to, 1, first)?;
    let joined = to.node("noise_input", Op::Concat(-1), &[first, voice, features]);
    let noise = gru(&mut to, 2, joined)?;
    let joined = to.node("denoise_input", Op::Concat(-1), &[voice, noise, features]);
    let denoise = gru(&mut to, 3, joined)?;
    let gains = dense(&mut to, 4, denoise)?;
    let probability = dense(&mut to, 5, voice)?;
    to.output("gains", gains, Kind::Reals, None);
    to.output("voice", probability, Kind::Reals, None);
    let mut pairs = vec![];
    for (before, slot) in states {
        let after = format!("{before}.after");
        to.output(&after, slot, Kind::Reals, None);
        pairs.push((before, after));
    }
    let mut graph = to.finish()?;
    for (before, after) in pairs {
        graph.set_state(&before, &after)?;
    }
    Ok(graph)
}
