//! What of a graph must be computed again for every input of the same shapes.
//!
//! Exporters fill graphs with arithmetic on shapes and with branches that only shapes decide. While a graph
//! runs for the first time on inputs of some shapes, every edge is followed: does its value depend on the
//! values of the inputs, or on their shapes alone? What depends on shapes alone is kept; branches that
//! they decide become straight code. A stream then runs what is left.

use super::op::{Inputs, Machine, Op};
use super::value::Value;
use super::{Graph, Node, Slot, Subgraph};
use crate::error::{Error, Result};
use recurve_nn::{Element, Engine};
use std::collections::HashMap;

/// What an edge depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Depends {
    /// Its values on those of the inputs.
    values: bool,
    /// Its shape on those of the inputs.
    shape: bool,
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Step<'g> {
    Run(&'g Node),
    /// The value of one edge is that of another.
    Copy(Slot, Slot),
}

/// The machines of the nodes, by the edge that a node gives first.
pub(super) type Machines<E> = HashMap<usize, Machine<E>>;

/// All that runs a graph.
#[derive(Debug)]
pub(super) struct Runner<E: Element> {
    pub(super) engine: Engine,
    pub(super) machines: Machines<E>,
}

/// The values of all edges that have one.
pub(super) type Edges<E> = Vec<Option<Value<E>>>;

/// What is left to do, and the values that never change.
#[derive(Debug)]
pub(super) struct Plan<E> {
    /// The places of nodes in the graph, branches flattened; and copies.
    pub(super) steps: Vec<Planned>,
    pub(super) fixed: Vec<Option<Value<E>>>,
}

/// A step, by the place of its node.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    Run(Vec<usize>),
    Copy(Slot, Slot),
}

struct Tracer<'a, E: Element> {
    runner: &'a mut Runner<E>,
    values: Vec<Option<Value<E>>>,
    depends: Vec<Depends>,
    steps: Vec<Planned>,
}

/// Runs a graph on inputs (by slot) and plans the next runs on inputs of the same shapes. Gives all edges.
pub(super) fn trace<E: Element>(
    graph: &Graph,
    runner: &mut Runner<E>,
    (constants, inputs): (&Edges<E>, &[(Slot, Value<E>)]),
) -> Result<(Plan<E>, Edges<E>)> {
    let mut values = constants.clone();
    let mut depends = vec![Depends::default(); values.len()];
    for (slot, value) in inputs {
        values[*slot] = Some(value.clone());
        depends[*slot] = Depends { values: true, shape: false };
    }
    let mut tracer = Tracer { runner, values, depends, steps: vec![] };
    tracer.body(&graph.body, &mut vec![])?;
    let Tracer { values, depends, steps, .. } = tracer;
    let keep =
        |(value, depends): (&Option<Value<E>>, &Depends)| value.clone().filter(|_| !depends.values);
    let fixed = values.iter().zip(&depends).map(keep).collect();
    Ok((Plan { steps, fixed }, values))
}

impl<E: Element> Tracer<'_, E> {
    fn body(&mut self, body: &Subgraph, path: &mut Vec<usize>) -> Result<()> {
        for (at, node) in body.nodes.iter().enumerate() {
            path.push(at);
            self.node(node, path)
                .map_err(|error| error.within(format_args!("node `{}`", node.name)))?;
            path.pop();
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, path: &mut Vec<usize>) -> Result<()> {
        let of = |at: usize| node.inputs.get(at).copied().flatten().map(|slot| self.depends[slot]);
        let all = (0..node.inputs.len()).filter_map(of);
        let any_value = all.clone().any(|depends| depends.values);
        let any_shape = all.clone().any(|depends| depends.shape);
        if let Op::If { then, otherwise } = &node.op {
            if !any_value {
                let condition = truth(node, &self.values)?;
                let (branch, which) = if condition { (then, 0) } else { (otherwise, 1) };
                path.push(which);
                self.body(branch, path)?;
                path.pop();
                for (inner, outer) in branch.outputs.iter().zip(&node.outputs) {
                    let Some(outer) = outer else { continue };
                    self.values[*outer] = self.values[*inner].clone();
                    self.depends[*outer] = self.depends[*inner];
                    if self.depends[*inner].values {
                        self.steps.push(Planned::Copy(*inner, *outer));
                    }
                }
                return Ok(());
            }
            run_if(self.runner, node, &mut self.values)?;
            self.mark(node, Depends { values: true, shape: true });
            self.steps.push(Planned::Run(path.clone()));
            return Ok(());
        }
        run(self.runner, node, &mut self.values)?;
        let shaped =
            node.op.shaping().iter().filter_map(|at| of(*at)).any(|depends| depends.values);
        let shape = any_shape || shaped;
        let values = if node.op.is_of_shape() { shape } else { any_value };
        self.mark(node, Depends { values: values || shape, shape });
        if values || shape {
            self.steps.push(Planned::Run(path.clone()));
        }
        Ok(())
    }

    fn mark(&mut self, node: &Node, depends: Depends) {
        for slot in node.outputs.iter().flatten() {
            self.depends[*slot] = depends;
        }
    }
}

/// The condition of a branch.
fn truth<E: Element>(node: &Node, values: &[Option<Value<E>>]) -> Result<bool> {
    let slot = node.inputs.first().copied().flatten();
    let value = slot.and_then(|slot| values[slot].as_ref());
    let value = value.ok_or_else(|| Error::damaged("the condition is missing"))?;
    let first = value.truths()?.data.first().copied();
    first.ok_or_else(|| Error::damaged("the condition is empty"))
}

/// The step that a plan names, in its graph.
pub(super) fn resolve<'g>(graph: &'g Graph, planned: &Planned) -> Option<Step<'g>> {
    match planned {
        Planned::Copy(from, to) => Some(Step::Copy(*from, *to)),
        Planned::Run(path) => {
            let mut body = &graph.body;
            let (last, way) = path.split_last()?;
            for pair in way.chunks(2) {
                let Op::If { then, otherwise } = &body.nodes[pair[0]].op else { return None };
                body = if pair[1] == 0 { then } else { otherwise };
            }
            Some(Step::Run(&body.nodes[*last]))
        }
    }
}

/// Runs a node.
pub(super) fn run<E: Element>(
    runner: &mut Runner<E>,
    node: &Node,
    values: &mut [Option<Value<E>>],
) -> Result<()> {
    run_on(runner, node, values, &[])
}

/// Runs a node whose inputs are among `values` or, where not there, among `fixed`.
pub(super) fn run_on<E: Element>(
    runner: &mut Runner<E>,
    node: &Node,
    values: &mut [Option<Value<E>>],
    fixed: &[Option<Value<E>>],
) -> Result<()> {
    let find = |slot: Slot| values[slot].as_ref().or_else(|| fixed.get(slot)?.as_ref());
    let inputs: Vec<Option<&Value<E>>> =
        node.inputs.iter().map(|slot| slot.and_then(find)).collect();
    if inputs.iter().zip(&node.inputs).any(|(found, slot)| found.is_none() && slot.is_some()) {
        return Err(Error::damaged("it reads what was not made"));
    }
    let key = std::ptr::from_ref(node) as usize;
    let machine = runner.machines.entry(key).or_insert_with(|| Machine::new(&node.op));
    let outputs = node.op.run(runner.engine, machine, Inputs(&inputs))?;
    for (slot, value) in node.outputs.iter().zip(outputs) {
        if let Some(slot) = slot {
            values[*slot] = Some(value);
        }
    }
    if let Some(slot) = node.outputs.iter().flatten().find(|slot| values[**slot].is_none()) {
        return Err(Error::damaged(format!("it has no output for edge {slot}")));
    }
    Ok(())
}

/// Runs the branch that the condition chooses.
pub(super) fn run_if<E: Element>(
    runner: &mut Runner<E>,
    node: &Node,
    values: &mut Vec<Option<Value<E>>>,
) -> Result<()> {
    let Op::If { then, otherwise } = &node.op else { return run(runner, node, values) };
    let branch = if truth(node, values)? { then } else { otherwise };
    for inner in &branch.nodes {
        run_if(runner, inner, values)
            .map_err(|error| error.within(format_args!("node `{}`", inner.name)))?;
    }
    for (inner, outer) in branch.outputs.iter().zip(&node.outputs) {
        if let Some(outer) = outer {
            values[*outer] = values[*inner].clone();
        }
    }
    Ok(())
}
