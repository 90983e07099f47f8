//! Graphs of simple operators around recurrent layers: what exporters make of a model.
//!
//! A graph is for running a model that is more than layers one on top of the other. Its recurrent nodes and
//! products run on the engine, everything around them is plain and clear. All floating-point numbers are
//! of one type, that of the session; other integers than 64-bit ones become such.
//!
//! An edge of the graph is a number, its *slot*. Nodes stand in an order in which every one comes after
//! those it reads.

mod function;
mod masks;
mod moving;
mod numbers;
mod op;
mod plain;
mod products;
mod recurrent;
mod session;
mod states;
mod trace;
mod value;

pub use function::Function;
pub use moving::Filling;
pub use numbers::{Binary, Comparison, Reduction};
pub use op::Op;
pub use products::{Conv, Gemm, Padding};
pub use recurrent::{Directions, Family, RecurrentOp};
pub use session::GraphSession;
pub use value::{Array, Value};

use crate::error::{Error, Result};

/// The number of an edge.
pub type Slot = usize;

/// What flows along an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floating-point numbers.
    Reals,
    /// Integers.
    Integers,
    /// Truth values.
    Truths,
}

/// The size of an axis of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Always this.
    Fixed(usize),
    /// Any; the same wherever the name is the same.
    Named(String),
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its edge.
    pub slot: Slot,
    /// What flows there.
    pub kind: Kind,
    /// Its shape, where it is known.
    pub shape: Option<Vec<Size>>,
}

/// An operator with its edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What errors call it.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads; absent inputs among them.
    pub inputs: Vec<Option<Slot>>,
    /// What it gives; outputs that nobody reads may be absent.
    pub outputs: Vec<Option<Slot>>,
}

/// A branch: its nodes may read all edges that stand before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subgraph {
    /// Its nodes, in order.
    pub nodes: Vec<Node>,
    /// The edges that it gives.
    pub outputs: Vec<Slot>,
}

/// A graph that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// What is given to it.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
    /// Pairs of an input and the output that holds the same state after a run, by their places.
    pub states: Vec<(usize, usize)>,
    pub(crate) body: Subgraph,
    pub(crate) constants: Vec<Option<Value<f64>>>,
}

/// Builds a graph node by node.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    nodes: Vec<Node>,
    constants: Vec<Option<Value<f64>>>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }
    /// A new edge that nothing gives yet.
    pub fn slot(&mut self) -> Slot {
        self.constants.push(None);
        self.constants.len() - 1
    }
    /// An input.
    pub fn input(&mut self, name: &str, kind: Kind, shape: Option<Vec<Size>>) -> Slot {
        let slot = self.slot();
        self.inputs.push(Port { name: name.to_owned(), slot, kind, shape });
        slot
    }
    /// A value that never changes.
    pub fn constant(&mut self, value: Value<f64>) -> Slot {
        self.constants.push(Some(value));
        self.constants.len() - 1
    }
    /// Numbers that never change.
    ///
    /// # Errors
    /// The number of values is not that of the shape.
    pub fn reals(&mut self, shape: &[usize], values: &[f64]) -> Result<Slot> {
        Ok(self.constant(Value::Reals(Array::new(shape.to_vec(), values.to_vec())?)))
    }
    /// Integers that never change, along one axis.
    pub fn integers(&mut self, values: &[i64]) -> Slot {
        let array = Array { shape: vec![values.len()], data: values.to_vec().into() };
        self.constant(Value::Integers(array))
    }
    /// A node with one output.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[Slot]) -> Slot {
        let inputs: Vec<Option<Slot>> = inputs.iter().map(|slot| Some(*slot)).collect();
        self.nodes(name, op, &inputs, 1)[0]
    }
    /// A node with any number of outputs, and inputs that may be absent.
    pub fn nodes(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<Slot>],
        outputs: usize,
    ) -> Vec<Slot> {
        let outputs: Vec<Slot> = (0..outputs).map(|_| self.slot()).collect();
        let (inputs, given) = (inputs.to_vec(), outputs.iter().map(|slot| Some(*slot)).collect());
        self.nodes.push(Node { name: name.to_owned(), op, inputs, outputs: given });
        outputs
    }
    pub(crate) fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }
    /// Says that an edge is an output.
    pub fn output(&mut self, name: &str, slot: Slot, kind: Kind, shape: Option<Vec<Size>>) {
        self.outputs.push(Port { name: name.to_owned(), slot, kind, shape });
    }
    /// Gives an input a value for good.
    ///
    /// # Errors
    /// There is no such input, or it is of another kind.
    pub fn fix(&mut self, name: &str, values: &[f64]) -> Result<()> {
        let Some(at) = self.inputs.iter().position(|port| port.name == name) else {
            let names: Vec<&str> = self.inputs.iter().map(|port| port.name.as_str()).collect();
            let text = format!("there is no input `{name}`; there are: {}", names.join(", "));
            return Err(Error::asked(text));
        };
        let port = self.inputs.remove(at);
        let rank = port.shape.as_ref().map_or(usize::from(values.len() > 1), Vec::len);
        let shape = match (rank, values.len()) {
            (0, 1) => vec![],
            (rank, count) if rank > 0 => {
                let mut shape = vec![1; rank];
                shape[rank - 1] = count;
                shape
            }
            (_, count) => {
                let text = format!("{count} values for `{name}`, which is a single one");
                return Err(Error::asked(text));
            }
        };
        let value = match port.kind {
            Kind::Reals => Value::Reals(Array::new(shape, values.to_vec())?),
            Kind::Integers => {
                Value::Integers(Array::new(shape, values.iter().map(|v| *v as i64).collect())?)
            }
            Kind::Truths => {
                Value::Truths(Array::new(shape, values.iter().map(|v| *v != 0.0).collect())?)
            }
        };
        self.constants[port.slot] = Some(value);
        Ok(())
    }

    /// The graph, with the states that it carries recognised.
    ///
    /// # Errors
    /// A node reads an edge that nothing gave before it.
    pub fn finish(self) -> Result<Graph> {
        let mut known: Vec<bool> = self.constants.iter().map(Option::is_some).collect();
        self.inputs.iter().for_each(|port| known[port.slot] = true);
        check(&self.nodes, &mut known)?;
        let mut graph = Graph {
            inputs: self.inputs,
            outputs: self.outputs,
            states: vec![],
            body: Subgraph { nodes: self.nodes, outputs: vec![] },
            constants: self.constants,
        };
        if let Some(port) = graph.outputs.iter().find(|port| !known[port.slot]) {
            return Err(Error::damaged(format!("nothing gives the output `{}`", port.name)));
        }
        graph.body.outputs = graph.outputs.iter().map(|port| port.slot).collect();
        graph.states = states::recognise(&graph);
        Ok(graph)
    }
}

/// Whether every node reads what is known before it.
fn check(nodes: &[Node], known: &mut [bool]) -> Result<()> {
    for node in nodes {
        if node.inputs.iter().flatten().any(|slot| !known[*slot]) {
            let text = format!("the node `{}` reads what nothing gave before it", node.name);
            return Err(Error::damaged(text));
        }
        if let Op::If { then, otherwise } = &node.op {
            for branch in [then, otherwise] {
                check(&branch.nodes, known)?;
                if branch.outputs.iter().any(|slot| !known[*slot]) {
                    let text = format!("a branch of `{}` gives what nothing made", node.name);
                    return Err(Error::damaged(text));
                }
            }
        }
        node.outputs.iter().flatten().for_each(|slot| known[*slot] = true);
    }
    Ok(())
}

impl Graph {
    /// Says which input holds the state that an output gives.
    ///
    /// # Errors
    /// There is no such input or output.
    pub fn set_state(&mut self, input: &str, output: &str) -> Result<()> {
        let place = |ports: &[Port], name: &str, what: &str| {
            let names =
                || ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
            let found = ports.iter().position(|port| port.name == name);
            found.ok_or_else(|| {
                Error::asked(format!("there is no {what} `{name}`; there are: {}", names()))
            })
        };
        let input = place(&self.inputs, input, "input")?;
        let output = place(&self.outputs, output, "output")?;
        self.states.retain(|(i, o)| *i != input && *o != output);
        self.states.push((input, output));
        Ok(())
    }
    /// The nodes, branches left out.
    pub fn nodes(&self) -> &[Node] {
        &self.body.nodes
    }
    /// The value of an edge that never changes.
    pub fn constant(&self, slot: Slot) -> Option<&Value<f64>> {
        self.constants.get(slot)?.as_ref()
    }
    /// The inputs that are no states, by their places.
    pub fn data_inputs(&self) -> Vec<usize> {
        let is_state = |at: &usize| self.states.iter().any(|(input, _)| input == at);
        (0..self.inputs.len()).filter(|at| !is_state(at)).collect()
    }
    /// The outputs that are no states, by their places.
    pub fn data_outputs(&self) -> Vec<usize> {
        let is_state = |at: &usize| self.states.iter().any(|(_, output)| output == at);
        (0..self.outputs.len()).filter(|at| !is_state(at)).collect()
    }
}
