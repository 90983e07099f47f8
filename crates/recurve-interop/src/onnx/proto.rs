//! The messages of ONNX, as much of them as a model needs. What is not known is refused where it could
//! change what a model computes; texts for people are passed over.

use super::tensor;
use super::wire::{Field, Fields};
use crate::error::{Error, Result};
use crate::graph::Size;
use crate::limits::Limits;
use crate::source::Source;
use crate::tensors::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A model.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) producer: String,
    /// The version of the operators of each domain.
    pub(super) opsets: Vec<(String, i64)>,
    pub(super) texts: BTreeMap<String, String>,
    pub(super) graph: Option<Graph>,
    pub(super) functions: usize,
}

/// A graph or a branch.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) initializers: Vec<Tensor>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// An input or output.
#[derive(Clone, Debug, Default)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) elements: i64,
    pub(super) shape: Option<Vec<Size>>,
}

/// An operator.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) domain: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<(String, Attribute)>,
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Tensor(Tensor),
    Graph(Box<Graph>),
    Floats(Vec<f64>),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    /// Of a kind that no operator here has.
    Other,
}

/// Reads the messages of a file.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) bytes: &'a [u8],
    pub(super) limits: &'a Limits,
    /// Whether tensors may lie in other files of the folder.
    pub(super) external: bool,
    /// Nodes, tensors and other things read so far.
    things: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a Arc<Source>,
        bytes: &'a [u8],
        limits: &'a Limits,
        external: bool,
    ) -> Self {
        Self { source, bytes, limits, external, things: 0 }
    }

    /// Calls `with` for every field of a message.
    fn each(
        &mut self,
        range: Range<usize>,
        mut with: impl FnMut(&mut Self, Field) -> Result<()>,
    ) -> Result<()> {
        let mut fields = Fields::new(self.bytes, range);
        while let Some(field) = fields.next()? {
            with(self, field)?;
        }
        Ok(())
    }
    /// Counts one thing more.
    pub(super) fn count(&mut self, at: usize) -> Result<()> {
        self.things += 1;
        let checked = self.limits.check_things(self.things, "nodes, edges, attributes and tensors");
        checked.map_err(|error| error.at(at as u64))
    }

    pub(super) fn model(&mut self) -> Result<Model> {
        let mut model = Model::default();
        self.each(0..self.bytes.len(), |own, field| {
            match field.number {
                1 | 5 => {
                    field.integer()?;
                }
                2 => model.producer = field.text(own.bytes)?,
                3 | 4 | 6 => {
                    field.range()?;
                }
                7 => {
                    if model.graph.is_some() {
                        return Err(Error::damaged("a second graph").at(field.at as u64));
                    }
                    model.graph = Some(own.graph(field.range()?, 0)?);
                }
                8 => {
                    let (mut domain, mut version) = (String::new(), 0);
                    own.each(field.range()?, |own, field| {
                        match field.number {
                            1 => domain = field.text(own.bytes)?,
                            2 => version = field.integer()?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                    own.count(field.at)?;
                    model.opsets.push((domain, version));
                }
                14 => {
                    let (key, value) = own.pair(field.range()?)?;
                    own.count(field.at)?;
                    model.texts.insert(key, value);
                }
                25 => model.functions += 1,
                other => return Err(unknown("model", other, &field)),
            }
            Ok(())
        })?;
        Ok(model)
    }

    /// A key and a value.
    pub(super) fn pair(&mut self, range: Range<usize>) -> Result<(String, String)> {
        let (mut key, mut value) = (String::new(), String::new());
        self.each(range, |own, field| {
            match field.number {
                1 => key = field.text(own.bytes)?,
                2 => value = field.text(own.bytes)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((key, value))
    }

    fn graph(&mut self, range: Range<usize>, depth: usize) -> Result<Graph> {
        self.limits.check_depth(depth).map_err(|error| error.at(range.start as u64))?;
        let mut graph = Graph::default();
        self.each(range, |own, field| {
            own.count(field.at)?;
            match field.number {
                1 => graph.nodes.push(own.node(field.range()?, depth)?),
                5 => graph.initializers.push(tensor::read(own, field.range()?)?),
                11 => graph.inputs.push(own.port(field.range()?)?),
                12 => graph.outputs.push(own.port(field.range()?)?),
                // Name, texts, shapes of edges, notes on rounding.
                2 | 10 | 13 | 14 | 16 => {
                    field.range()?;
                }
                15 => {
                    let text = "a sparse initializer; save the model with dense ones";
                    return Err(Error::refused(text).at(field.at as u64));
                }
                other => return Err(unknown("graph", other, &field)),
            }
            Ok(())
        })?;
        Ok(graph)
    }

    fn node(&mut self, range: Range<usize>, depth: usize) -> Result<Node> {
        let mut node = Node::default();
        self.each(range, |own, field| {
            own.count(field.at)?;
            match field.number {
                1 => node.inputs.push(field.text(own.bytes)?),
                2 => node.outputs.push(field.text(own.bytes)?),
                3 => node.name = field.text(own.bytes)?,
                4 => node.op = field.text(own.bytes)?,
                5 => node.attributes.push(own.attribute(field.range()?, depth)?),
                7 => node.domain = field.text(own.bytes)?,
                6 | 8 | 9 | 10 => {
                    field.range()?;
                }
                other => return Err(unknown("node", other, &field)),
            }
            Ok(())
        })?;
        Ok(node)
    }

    fn attribute(&mut self, range: Range<usize>, depth: usize) -> Result<(String, Attribute)> {
        let (mut name, mut kind, mut single) = (String::new(), 0, None);
        let (mut floats, mut ints, mut texts) = (vec![], vec![], vec![]);
        self.each(range, |own, field| {
            match field.number {
                1 => name = field.text(own.bytes)?,
                2 => single = Some(Attribute::Float(field.float()?)),
                3 => single = Some(Attribute::Int(field.integer()?)),
                4 => {
                    // Bytes that are no text belong to no operator here.
                    let text = field.text(own.bytes);
                    single = Some(text.map_or(Attribute::Other, Attribute::Text));
                }
                5 => single = Some(Attribute::Tensor(tensor::read(own, field.range()?)?)),
                6 => {
                    let graph = own.graph(field.range()?, depth + 1)?;
                    single = Some(Attribute::Graph(Box::new(graph)));
                }
                7 => field.floats(own.bytes, &mut floats)?,
                8 => field.integers(own.bytes, &mut ints)?,
                9 => {
                    own.count(field.at)?;
                    texts.push(field.text(own.bytes)?);
                }
                20 => kind = field.integer()?,
                13 => {
                    field.range()?;
                }
                _ => single = Some(Attribute::Other),
            }
            Ok(())
        })?;
        let value = match kind {
            6 => Attribute::Floats(floats),
            7 => Attribute::Ints(ints),
            8 => Attribute::Texts(texts),
            // An absent field is its zero.
            1 => single.unwrap_or(Attribute::Float(0.0)),
            2 => single.unwrap_or(Attribute::Int(0)),
            3 => single.unwrap_or(Attribute::Text(String::new())),
            _ if !floats.is_empty() => Attribute::Floats(floats),
            _ if !ints.is_empty() => Attribute::Ints(ints),
            _ if !texts.is_empty() => Attribute::Texts(texts),
            _ => single.unwrap_or(Attribute::Other),
        };
        Ok((name, value))
    }

    fn port(&mut self, range: Range<usize>) -> Result<Port> {
        let mut port = Port::default();
        self.each(range, |own, field| {
            match field.number {
                1 => port.name = field.text(own.bytes)?,
                2 => own.each(field.range()?, |own, field| match field.number {
                    1 => own.each(field.range()?, |own, field| {
                        match field.number {
                            1 => port.elements = field.integer()?,
                            2 => port.shape = Some(own.shape(field.range()?)?),
                            _ => {}
                        }
                        Ok(())
                    }),
                    // A sequence, a map or an optional: no number.
                    _ => Ok(()),
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(port)
    }

    fn shape(&mut self, range: Range<usize>) -> Result<Vec<Size>> {
        let mut shape = vec![];
        self.each(range, |own, field| {
            if field.number == 1 {
                own.count(field.at)?;
                let mut size = Size::Named(String::new());
                own.each(field.range()?, |own, field| {
                    match field.number {
                        1 => {
                            let found = field.integer()?;
                            let fixed = usize::try_from(found).map_err(|_| {
                                let text = format!("an axis of size {found}");
                                Error::damaged(text).at(field.at as u64)
                            })?;
                            size = Size::Fixed(fixed);
                        }
                        2 => size = Size::Named(field.text(own.bytes)?),
                        _ => {}
                    }
                    Ok(())
                })?;
                // Axes without a name may each have any size.
                if size == Size::Named(String::new()) {
                    size = Size::Named(format!("?{}", field.at));
                }
                shape.push(size);
            }
            Ok(())
        })?;
        Ok(shape)
    }
}

fn unknown(what: &str, number: u64, field: &Field) -> Error {
    let text =
        format!("the unknown field {number} of a {what}; it could change what the model computes");
    Error::refused(text).at(field.at as u64)
}
