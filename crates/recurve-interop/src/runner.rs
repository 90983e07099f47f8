//! An imported model at work on rows of numbers, whatever it is made of.
//!
//! A model of layers reads rows of its width, or tokens. A graph has one input that is no state; its
//! last axis is a row, an axis called after time (or the second of three) holds the steps, all others are 1.

use crate::error::{Error, Result};
use crate::foreign::Imported;
use crate::found::Layers;
use crate::graph::{Array, Graph, GraphSession, Kind, Size, Value};
use recurve_nn::{Batch, Element, Engine, Input, InputKind, Mode, Network, State};
use std::sync::Arc;

/// A model at work, with its states.
pub struct Runner<E: Element> {
    work: Work<E>,
    width: Option<usize>,
    tokens: bool,
}

enum Work<E: Element> {
    Layers { network: Box<Network<E>>, state: State<E>, first: State<E>, streams: bool },
    Graph { session: Box<GraphSession<E>>, input: usize, output: usize, time: Option<usize> },
}

impl<E: Element> Runner<E> {
    /// A model at work, its states as they are at first.
    ///
    /// # Errors
    /// The model cannot be built, or is a graph with several inputs that are no states.
    pub fn new(imported: Imported<E>, engine: Engine) -> Result<Self> {
        match imported {
            Imported::Layers(layers) => Self::of_layers(&layers, engine),
            Imported::Graph(graph) => Self::of_graph(graph, engine),
        }
    }

    fn of_layers(layers: &Layers<E>, engine: Engine) -> Result<Self> {
        let description = layers.model.description();
        let mut network = Box::new(Network::new(description, engine)?);
        network.load(layers.model.values(), false);
        let first = layers.initial.clone().unwrap_or_else(|| State::zero(description, 1));
        let (width, tokens) = match description.input {
            InputKind::Tokens { .. } => (1, true),
            InputKind::Values { width } => (width, false),
            InputKind::Words { .. } => {
                return Err(Error::asked(
                    "a model that reads words with their characters, not rows",
                ));
            }
        };
        let streams = !description.is_pooled() && description.stacks().all(|s| !s.bidirectional);
        let work = Work::Layers { network, state: first.clone(), first, streams };
        Ok(Self { work, width: Some(width), tokens })
    }

    fn of_graph(graph: Graph, engine: Engine) -> Result<Self> {
        let (inputs, outputs) = (graph.data_inputs(), graph.data_outputs());
        let (&[input], Some(&output)) = (&inputs[..], outputs.first()) else {
            let name = |at: &usize| graph.inputs[*at].name.as_str();
            let names: Vec<&str> = inputs.iter().map(name).collect();
            return Err(Error::asked(format!(
                "the graph reads {}; give all but one of them a value for good, or say which hold a state",
                names.join(", ")
            )));
        };
        let port = &graph.inputs[input];
        let shape = port.shape.clone().unwrap_or_default();
        let tokens = port.kind == Kind::Integers;
        let is_time = |size: &Size| match size {
            Size::Named(name) => {
                let name = name.to_lowercase();
                ["time", "seq", "step", "frame", "len"].iter().any(|word| name.contains(word))
            }
            Size::Fixed(_) => false,
        };
        // The last axis of numbers is a row; that of tokens may be the steps.
        let axes = if tokens { shape.len() } else { shape.len().saturating_sub(1) };
        let named = shape[..axes].iter().position(is_time);
        let second = (shape.len() == 3 && matches!(shape[1], Size::Named(_))).then_some(1);
        let time = named.or(second);
        let width = match (tokens, shape.last()) {
            (true, _) => Some(1),
            (false, Some(Size::Fixed(width))) => Some(*width),
            _ => None,
        };
        let session = Box::new(GraphSession::new(Arc::new(graph), engine));
        Ok(Self { work: Work::Graph { session, input, output, time }, width, tokens })
    }

    /// Values in a row of the input; absent where rows of any width are taken.
    pub fn width(&self) -> Option<usize> {
        self.width
    }
    /// Whether the input is tokens.
    pub fn reads_tokens(&self) -> bool {
        self.tokens
    }
    /// Whether a step can be run before the next is known.
    pub fn streams(&self) -> bool {
        match &self.work {
            Work::Layers { streams, .. } => *streams,
            Work::Graph { .. } => true,
        }
    }
    /// Makes the states what they are at first.
    pub fn reset(&mut self) {
        match &mut self.work {
            Work::Layers { state, first, .. } => state.clone_from(first),
            Work::Graph { session, .. } => session.reset(),
        }
    }

    /// Runs `rows` rows on from the states before. Gives the values of all outputs, as many for each row; or
    /// those of one output where a model gives one for all.
    ///
    /// # Errors
    /// The number of values is not that of the rows, a token is none, or the model does not take them.
    pub fn run(&mut self, values: &[E], rows: usize) -> Result<Vec<E>> {
        let width = self.width.unwrap_or(values.len() / rows.max(1));
        if rows == 0 || values.len() != rows * width {
            let text = format!("{} values for {rows} rows of {width}", values.len());
            return Err(Error::asked(text));
        }
        let tokens = || -> Result<Vec<u32>> {
            let token = |value: &E| {
                let value = value.to_f64();
                let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
                whole
                    .then_some(value as u32)
                    .ok_or_else(|| Error::asked(format!("{value} is no token")))
            };
            values.iter().map(token).collect()
        };
        match &mut self.work {
            Work::Layers { network, state, .. } => {
                let ids = if self.tokens { tokens()? } else { vec![] };
                let input = if self.tokens { Input::Tokens(&ids) } else { Input::Values(values) };
                let batch = Batch::new(rows, 1, input);
                Ok(network.forward(&batch, Some(state), Mode::Infer)?.to_vec())
            }
            Work::Graph { session, input, output, time } => {
                let port = session.graph().inputs[*input].clone();
                let rank = port.shape.as_ref().map_or(2, Vec::len);
                let mut together = vec![1; rank];
                let last = rank.saturating_sub(1);
                if !self.tokens && rank > 0 {
                    together[last] = width;
                }
                let pieces = match time {
                    Some(time) => {
                        together[*time] = rows;
                        1
                    }
                    None => rows,
                };
                let mut given = vec![];
                for piece in values.chunks(values.len() / pieces) {
                    let value = if self.tokens {
                        let ids = piece.iter().map(|value| value.to_f64() as i64).collect();
                        tokens()?;
                        Value::Integers(Array::new(together.clone(), ids)?)
                    } else {
                        Value::Reals(Array::new(together.clone(), piece.to_vec())?)
                    };
                    let outputs = session.run(&[(port.name.as_str(), value)])?;
                    given.extend_from_slice(&outputs[*output].reals()?.data);
                }
                Ok(given)
            }
        }
    }
}
