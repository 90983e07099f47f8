//! A graph at work, as a whole or as a stream that carries its states.

use super::trace::{Edges, Plan, Runner, Step, resolve, run_if, run_on, trace};
use super::value::{Array, Value};
use super::{Graph, Kind, Op, Port, Size};
use crate::error::{Error, Result};
use recurve_nn::{Element, Engine};
use std::collections::HashMap;
use std::sync::Arc;

/// Shapes of inputs whose plans are kept.
const MOST_PLANS: usize = 8;

/// A graph at work. States go from one run to the next; they are zero at first.
#[derive(Debug)]
pub struct GraphSession<E: Element> {
    graph: Arc<Graph>,
    constants: Edges<E>,
    runner: Runner<E>,
    states: Vec<Option<Value<E>>>,
    plans: Vec<(Vec<Vec<usize>>, Plan<E>)>,
}

impl<E: Element> GraphSession<E> {
    /// A graph at work, its states zero.
    pub fn new(graph: Arc<Graph>, engine: Engine) -> Self {
        let states = vec![None; graph.states.len()];
        let runner = Runner { engine, machines: HashMap::new() };
        let constants = graph.constants.iter();
        let constants = constants.map(|value| Some(value.as_ref()?.narrowed())).collect();
        Self { graph, constants, runner, states, plans: vec![] }
    }
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// Makes the states zero.
    pub fn reset(&mut self) {
        self.states.fill(None);
    }
    /// The states after the last run, each under the name of the input it is for; absent while zero.
    pub fn states(&self) -> impl Iterator<Item = (&str, Option<&Value<E>>)> {
        let names =
            self.graph.states.iter().map(|(input, _)| self.graph.inputs[*input].name.as_str());
        names.zip(self.states.iter().map(Option::as_ref))
    }

    /// Runs the graph on inputs given by name. Inputs that hold a state may be given too; where not, the
    /// state of the run before is taken. Gives all outputs, in the order of the graph.
    ///
    /// # Errors
    /// An input is missing or of another kind or shape, or an operator does not take what comes to it.
    pub fn run(&mut self, inputs: &[(&str, Value<E>)]) -> Result<Vec<Value<E>>> {
        let given = self.gather(inputs)?;
        let shapes: Vec<Vec<usize>> =
            given.iter().map(|(_, value)| value.shape().to_vec()).collect();
        let outputs = match self.plans.iter().position(|(known, _)| *known == shapes) {
            Some(at) => self.again(at, given)?,
            None => {
                let (plan, values) =
                    trace(&self.graph, &mut self.runner, (&self.constants, &given))?;
                if self.plans.len() == MOST_PLANS {
                    self.plans.remove(0);
                }
                self.plans.push((shapes, plan));
                outputs(&self.graph, &values, &[])?
            }
        };
        for (state, (_, output)) in self.states.iter_mut().zip(&self.graph.states) {
            *state = Some(outputs[*output].clone());
        }
        Ok(outputs)
    }

    /// Runs what a plan left to do.
    fn again(&mut self, at: usize, given: Vec<(usize, Value<E>)>) -> Result<Vec<Value<E>>> {
        let plan = &self.plans[at].1;
        let mut values = vec![None; self.graph.constants.len()];
        for (slot, value) in given {
            values[slot] = Some(value);
        }
        for planned in &plan.steps {
            match resolve(&self.graph, planned) {
                Some(Step::Copy(from, to)) => values[to] = values[from].clone(),
                Some(Step::Run(node)) => {
                    let told = |error: Error| error.within(format_args!("node `{}`", node.name));
                    if matches!(node.op, Op::If { .. }) {
                        for (value, fixed) in values.iter_mut().zip(&plan.fixed) {
                            if value.is_none() {
                                value.clone_from(fixed);
                            }
                        }
                        run_if(&mut self.runner, node, &mut values).map_err(told)?;
                    } else {
                        run_on(&mut self.runner, node, &mut values, &plan.fixed).map_err(told)?;
                    }
                }
                None => return Err(Error::failed("a plan of another graph")),
            }
        }
        outputs(&self.graph, &values, &plan.fixed)
    }

    /// The values of all inputs, by their slots.
    fn gather(&self, inputs: &[(&str, Value<E>)]) -> Result<Vec<(usize, Value<E>)>> {
        let graph = &self.graph;
        for (name, _) in inputs {
            if graph.inputs.iter().all(|port| port.name != *name) {
                let names: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
                let text = format!("there is no input `{name}`; there are: {}", names.join(", "));
                return Err(Error::asked(text));
            }
        }
        let mut sizes = HashMap::new();
        for (name, value) in inputs {
            let port = graph.inputs.iter().find(|port| port.name == *name);
            port.map_or(Ok(()), |port| check(port, value, &mut sizes))?;
        }
        let mut all = vec![];
        for (at, port) in graph.inputs.iter().enumerate() {
            let given = inputs.iter().find(|(name, _)| *name == port.name);
            let state = graph.states.iter().position(|(input, _)| *input == at);
            let value = match (given, state) {
                (Some((_, value)), _) => value.clone(),
                (None, Some(state)) => match &self.states[state] {
                    Some(value) => value.clone(),
                    None => zeros(port, &sizes)?,
                },
                (None, None) => {
                    let text = format!("the input `{}` is missing", port.name);
                    return Err(Error::asked(text));
                }
            };
            all.push((port.slot, value));
        }
        Ok(all)
    }
}

fn outputs<E: Element>(
    graph: &Graph,
    values: &[Option<Value<E>>],
    fixed: &[Option<Value<E>>],
) -> Result<Vec<Value<E>>> {
    let find = |port: &Port| {
        let value = values[port.slot].as_ref().or_else(|| fixed.get(port.slot)?.as_ref());
        value.cloned().ok_or_else(|| Error::damaged(format!("nothing made `{}`", port.name)))
    };
    graph.outputs.iter().map(find).collect()
}

/// Whether a value fits an input; remembers the sizes of named axes.
fn check<'a, E: Element>(
    port: &'a Port,
    value: &Value<E>,
    sizes: &mut HashMap<&'a str, usize>,
) -> Result<()> {
    let told = |error: Error| error.within(format_args!("input `{}`", port.name));
    let fits = match port.kind {
        Kind::Reals => value.reals().map(|_| ()),
        Kind::Integers => value.integers().map(|_| ()),
        Kind::Truths => value.truths().map(|_| ()),
    };
    fits.map_err(told)?;
    let Some(shape) = &port.shape else { return Ok(()) };
    let mut fits = shape.len() == value.shape().len();
    for (size, found) in shape.iter().zip(value.shape()) {
        fits &= match size {
            Size::Fixed(size) => size == found,
            Size::Named(name) => *sizes.entry(name).or_insert(*found) == *found,
        };
    }
    if fits {
        return Ok(());
    }
    let text = format!("expected the shape {}, found {:?}", shape_text(shape), value.shape());
    Err(told(Error::asked(text)))
}

/// A shape for people: `[batch, 576]`.
pub(super) fn shape_text(shape: &[Size]) -> String {
    let size = |size: &Size| match size {
        Size::Fixed(size) => size.to_string(),
        Size::Named(name) => name.clone(),
    };
    format!("[{}]", shape.iter().map(size).collect::<Vec<_>>().join(", "))
}

/// A state of zeros; axes of unknown size are 1.
fn zeros<E: Element>(port: &Port, sizes: &HashMap<&str, usize>) -> Result<Value<E>> {
    let Some(shape) = &port.shape else {
        let text = format!("the shape of the state `{}` is not known; give it once", port.name);
        return Err(Error::asked(text));
    };
    let size = |size: &Size| match size {
        Size::Fixed(size) => *size,
        Size::Named(name) => sizes.get(name.as_str()).copied().unwrap_or(1),
    };
    let shape: Vec<usize> = shape.iter().map(size).collect();
    let count = super::value::volume(&shape)?;
    Ok(match port.kind {
        Kind::Reals => Value::Reals(Array::new(shape, vec![E::default(); count])?),
        Kind::Integers => Value::Integers(Array::new(shape, vec![0; count])?),
        Kind::Truths => Value::Truths(Array::new(shape, vec![false; count])?),
    })
}
