//! ONNX: graphs of operators, read and written.

mod nodes;
mod proto;
mod tensor;
mod wire;
mod write;

pub(crate) use write::write;

use crate::error::{Error, Result};
use crate::foreign::{Contents, Format, Options};
use crate::graph::{Graph, GraphBuilder, Node, Op, Slot, Subgraph};
use crate::source::Source;
use crate::tensors::Tensors;
use proto::{Attribute, Model, Reader};
use std::collections::HashMap;
use std::sync::Arc;

/// The versions of the operators that are known.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// Whether bytes look like the beginning of a model: its version, then a field with a text or the graph.
pub(crate) fn is_beginning(head: &[u8]) -> bool {
    let known = |byte: u8| matches!(byte, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42);
    matches!(head, [0x08, 1..=20, next, ..] if known(*next))
}

/// Opens a model.
pub(crate) fn open(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    let bytes = source.read_all()?;
    let mut reader = Reader::new(source, &bytes, &options.limits, options.external_data);
    let model = reader.model()?;
    let mut tensors = Tensors::new();
    let graph = model.graph.as_ref().ok_or_else(|| Error::damaged("the model holds no graph"))?;
    list(graph, "", &mut tensors)?;
    let mut texts = model.texts.clone();
    texts.insert("producer".to_owned(), model.producer.clone());
    let versions = model.opsets.iter().map(|(domain, version)| format!("{domain}{version}"));
    texts.insert("opset".to_owned(), versions.collect::<Vec<_>>().join(", "));
    // What Recurve wrote is a model of its own; that is sure where writing it again gives the same bytes.
    let exact = model.texts.get(crate::export::DESCRIPTION).and_then(|text| {
        let exact = write::read_back(&tensors, text).ok()?;
        let single = || write(&exact.model::<f32>().ok()?).ok();
        let double = || write(&exact.model::<f64>().ok()?).ok();
        let same = single().is_some_and(|b| b == bytes) || double().is_some_and(|b| b == bytes);
        same.then_some(exact)
    });
    drop(bytes);
    let fixed = options.fixed.clone();
    let states = options.states.clone();
    let build = move || build(&model, &fixed, &states);
    Ok(Contents {
        format: Format::Onnx,
        texts,
        tensors,
        found: vec![],
        refused: vec![],
        ordered: true,
        graph: Some(Arc::new(build)),
        exact,
    })
}

/// All tensors of a graph and its branches.
fn list(graph: &proto::Graph, path: &str, to: &mut Tensors) -> Result<()> {
    let mut add = |name: &str, tensor: &crate::tensors::Tensor| {
        let mut own = tensor.clone();
        own.name = format!("{path}{name}");
        // Names in branches may be those of others.
        while to.get(&own.name).is_some() {
            own.name.push('\'');
        }
        to.add(own)
    };
    for tensor in &graph.initializers {
        add(&tensor.name, tensor)?;
    }
    let mut branches = vec![];
    for node in &graph.nodes {
        for (name, attribute) in &node.attributes {
            match attribute {
                Attribute::Tensor(tensor) => {
                    add(node.outputs.first().map_or(name, |output| output), tensor)?;
                }
                Attribute::Graph(branch) => branches.push((node, name, branch)),
                _ => {}
            }
        }
    }
    for (node, name, branch) in branches {
        list(branch, &format!("{path}{}.{name}.", node.name), to)?;
    }
    Ok(())
}

/// Names of edges and where they are known: outside, or in a branch.
struct Names<'a> {
    outer: Option<&'a Names<'a>>,
    own: HashMap<String, Slot>,
}

impl Names<'_> {
    fn find(&self, name: &str) -> Option<Slot> {
        self.own.get(name).copied().or_else(|| self.outer?.find(name))
    }
}

/// The graph of a model.
fn build(
    model: &Model,
    fixed: &[(String, Vec<f64>)],
    states: &[(String, String)],
) -> Result<Graph> {
    let version = model.opsets.iter().find(|(domain, _)| is_standard(domain));
    let opset = version.map_or(1, |(_, version)| *version);
    if !OPSETS.contains(&opset) {
        return Err(Error::refused(format!(
            "operators of version {opset}; known are {} to {}; convert the model",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    if model.functions > 0 {
        return Err(Error::refused("functions of its own; inline them when the model is exported"));
    }
    let graph = model.graph.as_ref().ok_or_else(|| Error::damaged("the model holds no graph"))?;
    let mut builder = GraphBuilder::new();
    let mut names = Names { outer: None, own: HashMap::new() };
    let initial: Vec<&str> = graph.initializers.iter().map(|tensor| tensor.name.as_str()).collect();
    for port in graph.inputs.iter().filter(|port| !initial.contains(&port.name.as_str())) {
        let told = |error: Error| error.within(format_args!("input `{}`", port.name));
        let slot = builder.input(
            &port.name,
            nodes::kind(port.elements).map_err(told)?,
            port.shape.clone(),
        );
        names.own.insert(port.name.clone(), slot);
    }
    let made = body(graph, &mut builder, &mut names, opset)?;
    made.into_iter().for_each(|node| builder.push(node));
    for (name, values) in fixed {
        builder.fix(name, values)?;
    }
    for port in &graph.outputs {
        let told = |error: Error| error.within(format_args!("output `{}`", port.name));
        let slot = names.find(&port.name);
        let slot = slot.ok_or_else(|| told(Error::damaged("nothing gives it")))?;
        // An output without a type is a number.
        let kind = if port.elements == 0 {
            crate::graph::Kind::Reals
        } else {
            nodes::kind(port.elements).map_err(told)?
        };
        builder.output(&port.name, slot, kind, port.shape.clone());
    }
    let mut graph = builder.finish()?;
    for (input, output) in states {
        graph.set_state(input, output)?;
    }
    Ok(graph)
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The nodes of a graph or a branch; constants become values of the builder.
fn body(
    graph: &proto::Graph,
    builder: &mut GraphBuilder,
    names: &mut Names<'_>,
    opset: i64,
) -> Result<Vec<Node>> {
    for tensor in &graph.initializers {
        let slot = builder.constant(nodes::value(tensor)?);
        if names.own.insert(tensor.name.clone(), slot).is_some() {
            return Err(Error::damaged(format!("two edges are called `{}`", tensor.name)));
        }
    }
    let mut made = vec![];
    for (at, node) in graph.nodes.iter().enumerate() {
        let name =
            if node.name.is_empty() { format!("{at} ({})", node.op) } else { node.name.clone() };
        let told = |error: Error| error.within(format_args!("node `{name}` ({})", node.op));
        if let Some(node) = one(node, &name, builder, names, opset).map_err(told)? {
            made.push(node);
        }
    }
    Ok(made)
}

/// A node; none where it is a constant.
fn one(
    node: &proto::Node,
    name: &str,
    builder: &mut GraphBuilder,
    names: &mut Names<'_>,
    opset: i64,
) -> Result<Option<Node>> {
    if !is_standard(&node.domain) {
        return Err(Error::refused(format!("an operator of the domain `{}`", node.domain)));
    }
    let mut attributes = nodes::Attributes::of(node)?;
    let mut inputs = vec![];
    for input in &node.inputs {
        let found = if input.is_empty() { None } else { Some(names.find(input)) };
        inputs.push(match found {
            None => None,
            Some(Some(slot)) => Some(slot),
            Some(None) => {
                return Err(Error::damaged(format!(
                    "it reads `{input}`, which nothing gave before it"
                )));
            }
        });
    }
    let mut define = |output: &str, slot: Slot| {
        if names.own.insert(output.to_owned(), slot).is_some() {
            return Err(Error::damaged(format!("two edges are called `{output}`")));
        }
        Ok(())
    };
    if node.op == "Constant" {
        let slot = builder.constant(nodes::constant(&mut attributes)?);
        attributes.finish()?;
        let output = node.outputs.first().ok_or_else(|| Error::damaged("it has no output"))?;
        define(output, slot)?;
        return Ok(None);
    }
    let op = if node.op == "If" {
        let mut branch = |name: &str| -> Result<Subgraph> {
            let Some(Attribute::Graph(graph)) = attributes.take(name) else {
                return Err(Error::damaged(format!("the attribute `{name}` is no graph")));
            };
            let mut inner = Names { outer: Some(names), own: HashMap::new() };
            let nodes = body(&graph, builder, &mut inner, opset)?;
            let find = |port: &proto::Port| {
                let slot = inner.find(&port.name);
                slot.ok_or_else(|| Error::damaged(format!("nothing gives `{}`", port.name)))
            };
            let outputs = graph.outputs.iter().map(find).collect::<Result<_>>()?;
            Ok(Subgraph { nodes, outputs })
        };
        let (then, otherwise) = (branch("then_branch")?, branch("else_branch")?);
        if then.outputs.len() != node.outputs.len() || otherwise.outputs.len() != node.outputs.len()
        {
            return Err(Error::damaged("its branches give another number of outputs"));
        }
        Op::If { then, otherwise }
    } else {
        nodes::operator(node, &mut attributes, opset)?
    };
    attributes.finish()?;
    let mut outputs = vec![];
    for output in &node.outputs {
        outputs.push(if output.is_empty() {
            None
        } else {
            let slot = builder.slot();
            if names.own.insert(output.clone(), slot).is_some() {
                return Err(Error::damaged(format!("two edges are called `{output}`")));
            }
            Some(slot)
        });
    }
    Ok(Some(Node { name: name.to_owned(), op, inputs, outputs }))
}
