//! A model as a graph of ONNX: `x` (or `tokens`) `[batch, time, ...]` to `y`, both axes of any size, and for
//! every recurrent stack its states as inputs and outputs, so that the graph runs as a stream.

use super::wire::Message;
use crate::arrange;
use crate::error::{Error, Result};
use crate::export::{self, DESCRIPTION, EMBEDDING, bytes_of, is_single};
use crate::graph::Family;
use recurve_nn::{
    Bias, CellKind, Description, Element, InputKind, Layer, Merge, Model, Pooling, Recurrent,
};

/// The version of the operators.
const OPSET: i64 = 17;

const CELLS: [CellKind; 8] = [
    CellKind::RnnTanh,
    CellKind::RnnRelu,
    CellKind::Lstm,
    CellKind::LstmPeephole,
    CellKind::LstmCoupled,
    CellKind::LstmCoupledPeephole,
    CellKind::Gru,
    CellKind::GruResetBefore,
];

/// An axis of an input or output.
enum Axis {
    Named(&'static str),
    Fixed(usize),
}

/// The value of an attribute.
enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Ints(&'a [i64]),
    Texts(&'a [&'a str]),
    Float(f32),
}

/// A graph while it is written.
struct Writer<'m, E: Element> {
    model: &'m Model<E>,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
    count: usize,
}

/// The bytes of a model.
pub(crate) fn write<E: Element>(model: &Model<E>) -> Result<Vec<u8>> {
    let mut writer = Writer {
        model,
        nodes: vec![],
        initializers: vec![],
        inputs: vec![],
        outputs: vec![],
        count: 0,
    };
    writer.layers()?;
    let mut graph = Message::new();
    writer.nodes.into_iter().for_each(|node| graph.message(1, node));
    graph.text(2, "recurve");
    writer.initializers.into_iter().for_each(|tensor| graph.message(5, tensor));
    writer.inputs.into_iter().for_each(|port| graph.message(11, port));
    writer.outputs.into_iter().for_each(|port| graph.message(12, port));
    let mut opset = Message::new();
    opset.text(1, "");
    opset.integer(2, OPSET);
    let mut description = Message::new();
    description.text(1, DESCRIPTION);
    description.text(2, &export::to_json(model.description())?);
    let mut file = Message::new();
    file.integer(1, 8);
    file.text(2, "recurve");
    file.message(8, opset);
    file.message(14, description);
    // The graph last: what is cut off anywhere is then no whole model.
    file.message(7, graph);
    Ok(file.into_bytes())
}

impl<E: Element> Writer<'_, E> {
    fn numbers() -> i64 {
        if is_single::<E>() { 1 } else { 11 }
    }
    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}_{}", self.count)
    }
    fn port(name: &str, kind: i64, shape: &[Axis]) -> Message {
        let (mut own, mut kinds, mut tensor, mut sizes) =
            (Message::new(), Message::new(), Message::new(), Message::new());
        for axis in shape {
            let mut size = Message::new();
            match axis {
                Axis::Fixed(fixed) => size.integer(1, *fixed as i64),
                Axis::Named(name) => size.text(2, name),
            }
            sizes.message(1, size);
        }
        tensor.integer(1, kind);
        tensor.message(2, sizes);
        kinds.message(1, tensor);
        own.text(1, name);
        own.message(2, kinds);
        own
    }
    fn tensor(&mut self, name: &str, kind: i64, shape: &[usize], bytes: &[u8]) {
        let mut tensor = Message::new();
        shape.iter().for_each(|size| tensor.integer(1, *size as i64));
        tensor.integer(2, kind);
        tensor.text(8, name);
        tensor.bytes(9, bytes);
        self.initializers.push(tensor);
    }
    /// Numbers that never change.
    fn reals(&mut self, name: &str, shape: &[usize], values: &[f64]) {
        let values = values.iter().map(|value| E::from_f64(*value));
        self.tensor(name, Self::numbers(), shape, &bytes_of(values));
    }
    /// Integers that never change; gives their name.
    fn integers(&mut self, values: &[i64]) -> String {
        let name = self.name("integers");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(&name, 7, &[values.len()], &bytes);
        name
    }
    /// A node with outputs of these names.
    fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) {
        let mut node = Message::new();
        inputs.iter().for_each(|input| node.text(1, input));
        outputs.iter().for_each(|output| node.text(2, output));
        let name = self.name(op);
        node.text(3, &name);
        node.text(4, op);
        for (name, value) in attributes {
            let mut attribute = Message::new();
            attribute.text(1, name);
            let kind = match value {
                Value::Float(value) => {
                    attribute.float(2, *value);
                    1
                }
                Value::Int(value) => {
                    attribute.integer(3, *value);
                    2
                }
                Value::Text(value) => {
                    attribute.text(4, value);
                    3
                }
                Value::Ints(values) => {
                    values.iter().for_each(|value| attribute.integer(8, *value));
                    7
                }
                Value::Texts(values) => {
                    values.iter().for_each(|value| attribute.text(9, value));
                    8
                }
            };
            attribute.integer(20, kind);
            node.message(5, attribute);
        }
        self.nodes.push(node);
    }
    /// A node with one output; gives its name.
    fn made(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Value<'_>)]) -> String {
        let output = self.name("edge");
        self.node(op, inputs, &[&output], attributes);
        output
    }
    fn entry(&self, name: &str) -> Vec<f64> {
        self.model.get(name).map_or(vec![], |values| values.iter().map(|v| v.to_f64()).collect())
    }

    fn layers(&mut self) -> Result<()> {
        let description: Description = self.model.description().clone();
        let widths = description.widths()?;
        let swap = [("perm", Value::Ints(&[1, 0, 2]))];
        let axes = |last: Option<usize>| {
            let mut axes = vec![Axis::Named("batch"), Axis::Named("time")];
            axes.extend(last.map(Axis::Fixed));
            axes
        };
        let mut edge = match description.input {
            InputKind::Tokens { .. } => {
                self.inputs.push(Self::port("tokens", 7, &axes(None)));
                "tokens".to_owned()
            }
            InputKind::Values { width } => {
                self.inputs.push(Self::port("x", Self::numbers(), &axes(Some(width))));
                self.made("Transpose", &["x"], &swap)
            }
            InputKind::Words { .. } => {
                let text = "a model that reads words and their letters cannot be written as ONNX";
                return Err(Error::refused(text));
            }
        };
        let (mut stacks, mut pooled) = (0, false);
        let mut reverse: Option<usize> = None;
        for (at, layer) in description.layers.iter().enumerate() {
            let (input, output) = (widths[at], widths[at + 1]);
            let prefix = format!("{at}.{}", layer.name());
            match layer {
                Layer::Embedding { width, .. } => {
                    let name = format!("{prefix}.weight");
                    let values = self.entry(&name);
                    self.reals(&name, &[input, *width], &values);
                    let rows = self.made("Gather", &[&name, &edge], &[("axis", Value::Int(0))]);
                    edge = self.made("Transpose", &[&rows], &swap);
                }
                Layer::Recurrent(stack) => {
                    edge = self.stack(&prefix, at, stack, &edge, (input, stacks))?;
                    stacks += 1;
                    let side_by_side = stack.bidirectional && stack.merge == Merge::Concat;
                    reverse = side_by_side.then_some(stack.hidden);
                }
                Layer::Dropout { .. } => {}
                Layer::LayerNorm => {
                    let names = [format!("{prefix}.gain"), format!("{prefix}.shift")];
                    for name in &names {
                        let values = self.entry(name);
                        self.reals(name, &[output], &values);
                    }
                    let attributes = [("axis", Value::Int(-1)), ("epsilon", Value::Float(1e-5))];
                    let inputs = [edge.as_str(), &names[0], &names[1]];
                    edge = self.made("LayerNormalization", &inputs, &attributes);
                }
                Layer::Linear { outputs } => {
                    let names = [format!("{prefix}.weight"), format!("{prefix}.bias")];
                    let weight = arrange::transposed(&self.entry(&names[0]), *outputs, input);
                    let bias = self.entry(&names[1]);
                    self.reals(&names[0], &[input, *outputs], &weight);
                    self.reals(&names[1], &[*outputs], &bias);
                    let product = self.made("MatMul", &[&edge, &names[0]], &[]);
                    edge = self.made("Add", &[&product, &names[1]], &[]);
                    reverse = None;
                }
                Layer::Tied => {
                    // The table of the embedding stands in the file once.
                    let bias = format!("{prefix}.bias");
                    let values = self.entry(&bias);
                    self.reals(&bias, &[output], &values);
                    let turned = [("perm", Value::Ints(&[1, 0]))];
                    let weight = self.made("Transpose", &[EMBEDDING], &turned);
                    let product = self.made("MatMul", &[&edge, &weight], &[]);
                    edge = self.made("Add", &[&product, &bias], &[]);
                }
                Layer::Pool { by } if *by != Pooling::Attention => {
                    edge = self.pool(*by, &edge, reverse.map(|hidden| (hidden, input)));
                    pooled = true;
                }
                other => return Err(export::no_layer(at, other, "ONNX")),
            }
        }
        let last = *widths.last().ok_or_else(|| Error::failed("a model without widths"))?;
        if pooled {
            self.node("Identity", &[&edge], &["y"], &[]);
            let shape = [Axis::Named("batch"), Axis::Fixed(last)];
            self.outputs.insert(0, Self::port("y", Self::numbers(), &shape));
        } else {
            self.node("Transpose", &[&edge], &["y"], &swap);
            self.outputs.insert(0, Self::port("y", Self::numbers(), &axes(Some(last))));
        }
        Ok(())
    }

    /// One vector `[batch, width]` for `[time, batch, width]`. Of two directions side by side, the last of
    /// the second is at the first step.
    fn pool(&mut self, by: Pooling, edge: &str, reverse: Option<(usize, usize)>) -> String {
        let over = [("axes", Value::Ints(&[0])), ("keepdims", Value::Int(0))];
        match (by, reverse) {
            (Pooling::Mean, _) => self.made("ReduceMean", &[edge], &over),
            (Pooling::Max, _) => self.made("ReduceMax", &[edge], &over),
            (_, None) => self.at_step(edge, -1),
            (_, Some((hidden, width))) => {
                let (last, first) = (self.at_step(edge, -1), self.at_step(edge, 0));
                let forward = self.cut(&last, (0, hidden), -1);
                let backward = self.cut(&first, (hidden, width), -1);
                self.made("Concat", &[&forward, &backward], &[("axis", Value::Int(-1))])
            }
        }
    }
    fn at_step(&mut self, edge: &str, step: i64) -> String {
        let name = self.name("step");
        self.tensor(&name, 7, &[], &step.to_le_bytes());
        self.made("Gather", &[edge, &name], &[("axis", Value::Int(0))])
    }
    fn cut(&mut self, edge: &str, (start, end): (usize, usize), axis: i64) -> String {
        let (start, end) = (self.integers(&[start as i64]), self.integers(&[end as i64]));
        let axis = self.integers(&[axis]);
        self.made("Slice", &[edge, &start, &end, &axis], &[])
    }

    /// A stack of recurrent layers on `[time, batch, input]`.
    fn stack(
        &mut self,
        prefix: &str,
        at: usize,
        stack: &Recurrent,
        edge: &str,
        (input, number): (usize, usize),
    ) -> Result<String> {
        export::check_stack(at, stack, &CELLS, "ONNX")?;
        let (d, h) = (stack.directions(), stack.hidden);
        let family = family(stack.cell);
        let states: &[&str] = if family == Family::Lstm { &["h", "c"] } else { &["h"] };
        let shape = [Axis::Fixed(stack.layers * d), Axis::Named("batch"), Axis::Fixed(h)];
        let names: Vec<String> = states.iter().map(|state| format!("{state}{number}")).collect();
        for name in &names {
            self.inputs.push(Self::port(name, Self::numbers(), &shape));
            self.outputs.push(Self::port(&format!("{name}_out"), Self::numbers(), &shape));
        }
        let mut edge = edge.to_owned();
        let mut after: Vec<Vec<String>> = vec![vec![]; states.len()];
        for layer in 0..stack.layers {
            let width = stack.layer_input(layer, input);
            let mut initial = vec![];
            for name in &names {
                let range = (layer * d, (layer + 1) * d);
                initial.push(if stack.layers == 1 {
                    name.clone()
                } else {
                    self.cut(name, range, 0)
                });
            }
            let own = format!("{prefix}.{layer}");
            let mut outputs = vec![self.name("y")];
            for (state, after) in states.iter().zip(&mut after) {
                let name = self.name(state);
                after.push(name.clone());
                outputs.push(name);
            }
            let weights = self.weights(&own, stack, width);
            let mut inputs = vec![edge.as_str(), &weights[0], &weights[1], &weights[2], ""];
            inputs.extend(initial.iter().map(String::as_str));
            if !weights[3].is_empty() {
                inputs.push(&weights[3]);
            }
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            let relu = vec!["Relu"; d];
            let direction = if stack.bidirectional { "bidirectional" } else { "forward" };
            let mut attributes =
                vec![("hidden_size", Value::Int(h as i64)), ("direction", Value::Text(direction))];
            match stack.cell {
                CellKind::RnnRelu => attributes.push(("activations", Value::Texts(&relu))),
                CellKind::Gru => attributes.push(("linear_before_reset", Value::Int(1))),
                CellKind::LstmCoupled | CellKind::LstmCoupledPeephole => {
                    attributes.push(("input_forget", Value::Int(1)));
                }
                _ => {}
            }
            let op = match family {
                Family::Rnn => "RNN",
                Family::Lstm => "LSTM",
                Family::Gru { .. } => "GRU",
            };
            self.node(op, &inputs, &outputs, &attributes);
            edge = self.joined(outputs[0], stack);
        }
        for (name, after) in names.iter().zip(&after) {
            let after: Vec<&str> = after.iter().map(String::as_str).collect();
            let output = format!("{name}_out");
            self.node("Concat", &after, &[&output], &[("axis", Value::Int(0))]);
        }
        Ok(edge)
    }

    /// `[time, D, batch, H]` as `[time, batch, width]`.
    fn joined(&mut self, y: &str, stack: &Recurrent) -> String {
        let turned = self.made("Transpose", &[y], &[("perm", Value::Ints(&[0, 2, 1, 3]))]);
        if !stack.bidirectional || stack.merge == Merge::Concat {
            let shape = self.integers(&[0, 0, (stack.directions() * stack.hidden) as i64]);
            return self.made("Reshape", &[&turned, &shape], &[]);
        }
        let mut parts = vec![];
        for direction in 0..2_i64 {
            let name = self.name("direction");
            self.tensor(&name, 7, &[], &direction.to_le_bytes());
            parts.push(self.made("Gather", &[&turned, &name], &[("axis", Value::Int(2))]));
        }
        let op = if stack.merge == Merge::Product { "Mul" } else { "Add" };
        let merged = self.made(op, &[&parts[0], &parts[1]], &[]);
        if stack.merge != Merge::Mean {
            return merged;
        }
        let half = self.name("half");
        self.reals(&half, &[], &[0.5]);
        self.made("Mul", &[&merged, &half], &[])
    }

    /// W, R, B and P of a layer; an absent one has no name.
    fn weights(&mut self, own: &str, stack: &Recurrent, input: usize) -> [String; 4] {
        let (h, family) = (stack.hidden, family(stack.cell));
        let order = arrange::inverse(family.onnx_order());
        let coupled = matches!(stack.cell, CellKind::LstmCoupled | CellKind::LstmCoupledPeephole);
        let gates = family.gates();
        let ordered = |values: Vec<f64>, columns: usize| {
            // i g o, with nothing for the forget gate.
            let values = if coupled && !values.is_empty() {
                let block = h * columns;
                [&values[..block], &vec![0.0; block], &values[block..]].concat()
            } else {
                values
            };
            if values.is_empty() { values } else { arrange::gates(&values, &order, h, columns) }
        };
        let (mut w, mut r, mut b, mut p) = (vec![], vec![], vec![], vec![]);
        for direction in ["forward", "reverse"].iter().take(stack.directions()) {
            let entry = |weights: &str| self.entry(&format!("{own}.{direction}.{weights}"));
            w.extend(ordered(entry("w"), input));
            r.extend(ordered(entry("r"), h));
            b.extend(ordered(entry("b"), 1));
            b.extend(match stack.bias {
                Bias::Two => ordered(entry("b_r"), 1),
                Bias::One => vec![0.0; gates * h],
                Bias::None => vec![],
            });
            let peepholes = entry("p");
            if !peepholes.is_empty() {
                // i f o, or i o; ONNX has i o f.
                let last = &peepholes[peepholes.len() - h..];
                let middle = if coupled { vec![0.0; h] } else { peepholes[h..2 * h].to_vec() };
                p.extend([&peepholes[..h], last, &middle].concat());
            }
        }
        let d = stack.directions();
        let shapes = [
            ("w", w, vec![d, gates * h, input]),
            ("r", r, vec![d, gates * h, h]),
            ("b", b, vec![d, 2 * gates * h]),
            ("p", p, vec![d, 3 * h]),
        ];
        shapes.map(|(kind, values, shape)| {
            if values.is_empty() {
                return String::new();
            }
            let name = format!("{own}.{kind}");
            self.reals(&name, &shape, &values);
            name
        })
    }
}

fn family(cell: CellKind) -> Family {
    match cell {
        CellKind::RnnTanh | CellKind::RnnRelu => Family::Rnn,
        CellKind::Gru => Family::Gru { reset_after: true },
        CellKind::GruResetBefore => Family::Gru { reset_after: false },
        _ => Family::Lstm,
    }
}

/// Reads back the tensors that [`write()`] wrote; the caller compares the whole.
pub(super) fn read_back(
    tensors: &crate::tensors::Tensors,
    description: &str,
) -> Result<crate::found::Exact> {
    let description = export::from_json(description, tensors)?;
    let widths = description.widths()?;
    let mut values = vec![];
    let read = |name: &str| -> Result<Vec<f64>> {
        let tensor = tensors.get(name);
        tensor.ok_or_else(|| Error::damaged(format!("the tensor `{name}` is missing")))?.reals()
    };
    for (at, layer) in description.layers.iter().enumerate() {
        let prefix = format!("{at}.{}", layer.name());
        match layer {
            Layer::Linear { outputs } => {
                let name = format!("{prefix}.weight");
                let weight = read(&name)?;
                if weight.len() != widths[at] * outputs {
                    let (found, input) = (weight.len(), widths[at]);
                    return Err(Error::damaged(format!(
                        "{found} values for `{name}`, expected {input} times {outputs}"
                    )));
                }
                values.push((name, arrange::transposed(&weight, widths[at], *outputs)));
                values.push((format!("{prefix}.bias"), read(&format!("{prefix}.bias"))?));
            }
            Layer::Recurrent(stack) => {
                export::check_stack(at, stack, &CELLS, "ONNX")?;
                for layer in 0..stack.layers {
                    let input = stack.layer_input(layer, widths[at]);
                    take_layer(&format!("{prefix}.{layer}"), stack, input, &read, &mut values)?;
                }
            }
            Layer::Embedding { .. } => {
                values.push((format!("{prefix}.weight"), read(&format!("{prefix}.weight"))?));
            }
            Layer::Tied => {
                values.push((format!("{prefix}.bias"), read(&format!("{prefix}.bias"))?));
            }
            Layer::LayerNorm => {
                for part in ["gain", "shift"] {
                    values.push((format!("{prefix}.{part}"), read(&format!("{prefix}.{part}"))?));
                }
            }
            Layer::Dropout { .. } | Layer::Pool { .. } => {}
            other => return Err(export::no_layer(at, other, "ONNX")),
        }
    }
    Ok(crate::found::Exact { description, values })
}

fn take_layer(
    own: &str,
    stack: &Recurrent,
    input: usize,
    read: &impl Fn(&str) -> Result<Vec<f64>>,
    values: &mut Vec<(String, Vec<f64>)>,
) -> Result<()> {
    let (h, family, d) = (stack.hidden, family(stack.cell), stack.directions());
    let coupled = matches!(stack.cell, CellKind::LstmCoupled | CellKind::LstmCoupledPeephole);
    let rows = family.gates() * h;
    let peepholes = matches!(stack.cell, CellKind::LstmPeephole | CellKind::LstmCoupledPeephole);
    for (kind, columns, there) in [
        ("w", rows * input, true),
        ("r", rows * h, true),
        ("b", 2 * rows, stack.bias != Bias::None),
        ("p", 3 * h, peepholes),
    ] {
        if !there {
            continue;
        }
        let all = read(&format!("{own}.{kind}"))?;
        if all.len() != d * columns {
            let text = format!("{} values for `{own}.{kind}`, expected {}", all.len(), d * columns);
            return Err(Error::damaged(text));
        }
        for (values_of, direction) in all.chunks(columns).zip(["forward", "reverse"]) {
            let ordered = |values: &[f64], columns: usize| {
                let order: Vec<usize> = family.onnx_order().to_vec();
                let order = if coupled { vec![order[0], order[2], order[3]] } else { order };
                arrange::gates(values, &order, h, columns)
            };
            let mut add = |kind: &str, values_of: Vec<f64>| {
                values.push((format!("{own}.{direction}.{kind}"), values_of));
            };
            match kind {
                "w" => add("w", ordered(values_of, input)),
                "r" => add("r", ordered(values_of, h)),
                "b" => {
                    add("b", ordered(&values_of[..rows], 1));
                    if stack.bias == Bias::Two {
                        add("b_r", ordered(&values_of[rows..], 1));
                    }
                }
                _ => {
                    let order: &[usize] = if coupled { &[0, 1] } else { &[0, 2, 1] };
                    add("p", arrange::gates(values_of, order, h, 1));
                }
            }
        }
    }
    Ok(())
}
