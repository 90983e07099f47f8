//! A model at work: forward, and backward through time.

mod check;
mod look;
mod read;

use crate::batch::{Batch, Order};
use crate::description::{Description, InputKind, Layer, Pooling};
use crate::error::{Error, Result};
use crate::layers::{
    AttentionLayer, AttentionPool, Back, Context, Dropout, Embedding, Ends, Flow, Judge, LayerNorm,
    Linear, Mask, Mode, Node, Noise, Pool, Stack, TcnStack, TransformerStack, Transitions,
    WordVectors,
};
use crate::memory::Memory;
use crate::parameters::{EMBEDDING, Entries};
use crate::seq2seq::Seq2Seq;
use crate::state::State;
use check::{check_int8, check_precision, check_sizes};
use read::{Read, signal};
use recurve_kernels::profile::span;
use recurve_kernels::{Element, Engine, Precision, Rows};
use std::ops::Range;

/// The layers of a model with their weights packed for the machine, and all the memory that passes
/// need. One network serves one thread at a time; its memory is kept from batch to batch, and grows with
/// the largest.
pub struct Network<E: Element> {
    engine: Engine,
    description: Description,
    nodes: Vec<Box<dyn Node<E>>>,
    /// What each node is called in a profile.
    names: Vec<String>,
    parameters: usize,
    precision: Precision,
    input_gradient: bool,
    memory: Memory,
    /// Whether the pass under way keeps everything.
    traced: bool,
    ready: Ready,
    /// The last batch, in the order of its rows; and the order before it, so that a stream that
    /// changes between two shapes makes neither anew.
    order: Order,
    spare: Order,
    read: Read<E>,
    resets: Vec<bool>,
    state: State<E>,
    /// Units and number of the states of each part.
    parts: Vec<(usize, usize, usize)>,
    /// Whether the states before the last batch were given.
    given: bool,
    /// What the last pass was for; for training only until backward has used what it kept.
    mode: Mode,
    output: Flow<E>,
    /// Where the scores of one label after another are, and what they are.
    transitions: (Range<usize>, Vec<E>),
    /// All of a model whose last layer is a decoder; there are no other nodes then.
    seq2seq: Option<Box<Seq2Seq<E>>>,
}

/// What the weights of a network are ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Nothing,
    Forward,
    Backward,
}

impl<E: Element> Network<E> {
    /// The layers of `description`, still without weights.
    ///
    /// # Errors
    /// Where the description is not sound, or the precision of the engine is not one for its numbers.
    pub fn new(description: &Description, engine: Engine) -> Result<Self> {
        let widths = description.widths()?;
        check_precision::<E>(&widths, engine.precision())?;
        check_int8(description, engine.precision())?;
        let entries = Entries::of(description)?;
        let mut nodes: Vec<Box<dyn Node<E>>> = vec![];
        let pair = description.seq2seq();
        let seq2seq = pair.as_ref().map(|pair| Seq2Seq::new(pair, engine)).transpose()?;
        let layers = if pair.is_some() { &[] } else { &description.layers[..] };
        let names = layers.iter().enumerate();
        let names = names.map(|(at, layer)| format!("{at}.{}", layer.name())).collect();
        let (mut states, mut pooled, mut ends) = (0, false, Ends::default());
        let mut transitions = 0..0;
        for (at, layer) in layers.iter().enumerate() {
            let (input, output) = (widths[at], widths[at + 1]);
            let range = |name: &str| {
                entries.get(&format!("{at}.{name}")).map_or(0..0, |entry| entry.range.clone())
            };
            nodes.push(match layer {
                Layer::Embedding { width, dropout } => {
                    let shared = description.layers.last() == Some(&Layer::Tied);
                    let table = range("embedding.weight");
                    let embedding = Embedding::new(engine, *width, table).shared(shared);
                    Box::new(embedding.dropped(at as u64, *dropout))
                }
                Layer::Recurrent(stack) => {
                    let first = states;
                    states += layer.states(input).len();
                    ends = Ends::of(stack);
                    Box::new(Stack::new(engine, at, stack, input, &entries, first))
                }
                Layer::Tcn(tcn) => {
                    let first = states;
                    states += layer.states(input).len();
                    ends = Ends::default();
                    Box::new(TcnStack::new(engine, at, tcn, input, &entries, first))
                }
                Layer::Transformer(transformer) => {
                    let first = states;
                    states += layer.states(input).len();
                    ends = Ends::default();
                    Box::new(TransformerStack::new(engine, at, transformer, input, &entries, first))
                }
                Layer::Attention(attention) => {
                    let first = states;
                    states += layer.states(input).len();
                    ends = Ends::default();
                    Box::new(AttentionLayer::new(engine, at, attention, input, &entries, first))
                }
                Layer::Pool { by: Pooling::Attention } => {
                    pooled = true;
                    let ranges = ["pool.weight", "pool.bias", "pool.query"].map(range);
                    Box::new(AttentionPool::new(engine, input, ranges))
                }
                Layer::Dropout { rate, locked } => {
                    // Ids of stacks have their layer in the low half.
                    let id = (at as u64) << 32 | u64::from(u32::MAX);
                    let mask = Mask::new(engine, id, *rate, output).locked(*locked);
                    Box::new(Dropout::new(mask, pooled))
                }
                Layer::LayerNorm => Box::new(LayerNorm::new(
                    engine,
                    range("layer-norm.gain"),
                    range("layer-norm.shift"),
                )),
                Layer::Pool { by } => {
                    pooled = true;
                    Box::new(Pool::new(engine, *by, output, ends))
                }
                Layer::Words { width, letter_width, letter_hidden } => {
                    let InputKind::Words { letters, .. } = description.input else {
                        unreachable!("the description was checked");
                    };
                    let letters = (letters, *letter_width, *letter_hidden);
                    let table = (range("words.weight"), *width);
                    Box::new(WordVectors::new(engine, table, letters)?)
                }
                Layer::Transitions => {
                    transitions = range("transitions.weight");
                    Box::new(Transitions::new(engine, transitions.clone(), output))
                }
                Layer::Decoder(_) => unreachable!("a model with a decoder has no nodes"),
                Layer::Linear { outputs } => {
                    ends = Ends::default();
                    let (weight, bias) = (range("linear.weight"), range("linear.bias"));
                    Box::new(Linear::new(engine, input, *outputs, weight, bias))
                }
                Layer::Tied => {
                    let table = entries.get(EMBEDDING).map_or(0..0, |entry| entry.range.clone());
                    Box::new(Linear::new(engine, input, output, table, range("tied.bias")))
                }
            });
        }
        Ok(Self {
            engine,
            description: description.clone(),
            nodes,
            names,
            parameters: entries.len(),
            precision: engine.precision(),
            input_gradient: false,
            memory: Memory::Full,
            traced: false,
            ready: Ready::Nothing,
            order: Order::new(0, 0, None, None)?,
            spare: Order::new(0, 0, None, None)?,
            read: Read::new(widths[0]),
            resets: vec![],
            state: State::zero(description, 0),
            parts: description.states(),
            given: false,
            mode: Mode::Infer,
            output: Flow::tight(widths[widths.len() - 1]),
            transitions: (transitions, vec![]),
            seq2seq: seq2seq.map(Box::new),
        })
    }

    /// Takes over the weights of a model, in the order of its [`Entries`]; ready for backward too if
    /// asked, but in 8 bits, which are for running a model only.
    ///
    /// # Panics
    /// Where the number of weights is not that of the description.
    pub fn load(&mut self, values: &[E], backward: bool) {
        assert_eq!(values.len(), self.parameters, "the weights are those of the description");
        let backward = backward && self.precision != Precision::Int8;
        if let Some(pair) = &mut self.seq2seq {
            pair.load(values);
        }
        for (node, name) in self.nodes.iter_mut().zip(&self.names) {
            let _span = span(name);
            let _span = span("pack");
            node.load(values, backward);
        }
        self.transitions.1.clear();
        self.transitions.1.extend_from_slice(&values[self.transitions.0.clone()]);
        self.ready = if backward { Ready::Backward } else { Ready::Forward };
        self.mode = Mode::Infer;
    }

    /// Its instructions and threads.
    pub fn engine(&self) -> Engine {
        self.engine
    }
    /// What the network is made of.
    pub fn description(&self) -> &Description {
        &self.description
    }
    /// The scores of one label after another, `[labels + 2, labels]`, and their place among the weights: from
    /// each label, then from the beginning, then of the end after each label. Backward leaves their gradient 0.
    pub fn transitions(&self) -> Option<(&[E], Range<usize>)> {
        let (range, values) = &self.transitions;
        (!range.is_empty()).then(|| (values.as_slice(), range.clone()))
    }
    /// The encoder and the decoder of a model whose last layer is a decoder: it is what reads and writes then,
    /// and [`Network::forward`] and its like are refused.
    pub fn seq2seq(&mut self) -> Option<&mut Seq2Seq<E>> {
        self.seq2seq.as_deref_mut()
    }
    /// Values in an output row.
    pub fn output_width(&self) -> usize {
        self.output.rows().width()
    }
    /// The order of the rows of the last batch.
    pub fn order(&self) -> &Order {
        &self.order
    }
    /// How much passes keep for backward.
    pub fn memory(&self) -> Memory {
        self.memory
    }
    /// How much later passes keep for backward; all, at first.
    pub fn set_memory(&mut self, memory: Memory) {
        self.memory = memory;
    }
    /// Whether [`Network::backward`] also gives the gradient of the input; not, at first.
    pub fn set_input_gradient(&mut self, wanted: bool) {
        self.input_gradient = wanted;
    }

    /// Sets `state` to the states before the first step: zero, or learned.
    ///
    /// # Errors
    /// Where the state is of another model, or the network has no weights yet.
    pub fn begin(&self, state: &mut State<E>) -> Result<()> {
        if self.ready == Ready::Nothing {
            return Err(Error::new("the network has no weights yet; load them first"));
        }
        if !state.is_of(&self.parts) {
            return Err(Error::new("a state of another model"));
        }
        begin(&self.nodes, state);
        Ok(())
    }

    /// Runs a batch. `state` holds the states before its first step (the initial ones of the model, zero
    /// or learned, if it is absent or new) and is replaced by those after the last step of each sequence. The result has one row per step and sequence,
    /// in the order of [`Network::order`], or one per sequence after pooling.
    ///
    /// # Errors
    /// Where the batch or the state does not fit the model, or the network has no weights yet.
    pub fn forward(
        &mut self,
        batch: &Batch<'_, E>,
        state: Option<&mut State<E>>,
        mode: Mode,
    ) -> Result<&[E]> {
        self.forward_through(batch, state, mode, self.nodes.len())?;
        self.mode = mode;
        Ok(self.collect())
    }

    /// As [`Network::forward`] for inference, but the outputs go to `judge` as they come. Where the
    /// last layer is linear, only a piece of them is in memory at any time.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn visit(
        &mut self,
        batch: &Batch<'_, E>,
        state: Option<&mut State<E>>,
        judge: &mut Judge<'_, E>,
    ) -> Result<()> {
        let until = self.nodes.len() - usize::from(self.has_head());
        self.forward_through(batch, state, Mode::Infer, until)?;
        if until == self.nodes.len() {
            self.collect_own();
            judge(0..self.output_rows(), self.output.data_mut());
            return Ok(());
        }
        let (below, last) = self.nodes.split_at_mut(until);
        let input = signal(below, &self.description, &self.read);
        if let Some(head) = last[0].head() {
            let _span = span(&self.names[until]);
            head.visit(input, judge);
        }
        Ok(())
    }

    /// A training pass over a batch, forward and backward: `judge` gets the outputs as they come and
    /// replaces them by their gradients; those of all weights overwrite `gradients`. `state` as in
    /// [`Network::forward`]; nothing comes back from the states after the batch.
    ///
    /// The result is that of [`Network::forward`] and [`Network::backward`], to the bit. Where the last
    /// layer is linear, only a piece of the outputs is in memory at any time.
    ///
    /// # Errors
    /// As [`Network::forward`] and [`Network::backward`].
    pub fn learn(
        &mut self,
        batch: &Batch<'_, E>,
        state: Option<&mut State<E>>,
        noise: Noise,
        judge: &mut Judge<'_, E>,
        gradients: &mut [E],
    ) -> Result<()> {
        self.check_backward()?;
        if gradients.len() != self.parameters {
            let (found, expected) = (gradients.len(), self.parameters);
            let text = format!("gradients of {found} weights, expected {expected}");
            return Err(Error::new(text));
        }
        let mode = Mode::Train(noise);
        let until = self.nodes.len() - usize::from(self.has_head());
        self.forward_through(batch, state, mode, until)?;
        if until == self.nodes.len() {
            self.collect_own();
            let _span = span("loss");
            judge(0..self.output_rows(), self.output.data_mut());
        } else {
            let (below, last) = self.nodes.split_at_mut(until);
            let input = signal(below, &self.description, &self.read);
            if let Some(head) = last[0].head() {
                let _span = span(&self.names[until]);
                head.learn(input, judge, until > 0 || self.input_gradient, gradients);
            }
        }
        let output = std::mem::replace(&mut self.output, Flow::tight(0));
        let dy = (until == self.nodes.len()).then(|| output.rows());
        self.backward_from(until, mode, dy, gradients, None);
        self.output = output;
        Ok(())
    }

    /// The order in which the rows of `batch` will come.
    ///
    /// # Errors
    /// Where the batch does not fit the model.
    pub fn prepare(&mut self, batch: &Batch<'_, E>) -> Result<&Order> {
        self.mode = Mode::Infer;
        self.arrange(batch)?;
        Ok(&self.order)
    }

    fn has_head(&mut self) -> bool {
        self.nodes.last_mut().is_some_and(|node| node.head().is_some())
    }

    /// Runs the first `until` layers.
    fn forward_through(
        &mut self,
        batch: &Batch<'_, E>,
        state: Option<&mut State<E>>,
        mode: Mode,
        until: usize,
    ) -> Result<()> {
        self.mode = Mode::Infer;
        if self.ready == Ready::Nothing {
            return Err(Error::new("the network has no weights yet; load them first"));
        }
        if self.seq2seq.is_some() {
            let text = "a model with a decoder writes sequences; use it by Network::seq2seq";
            return Err(Error::new(text));
        }
        if (self.precision, self.memory) == (Precision::Bf16, Memory::Low) && mode != Mode::Infer {
            return Err(Error::new(
                "gates are computed again in full precision only; with products of bf16, choose full memory",
            ));
        }
        if self.memory == Memory::Low && mode != Mode::Infer && self.description.has_stages() {
            return Err(Error::new(
                "gates are computed again for plain recurrent layers only; for an mlstm, and with a projection, \
                 normalisation, zoneout, gates that are fed back or dropout inside the recurrence, choose \
                 full memory",
            ));
        }
        if self.precision == Precision::Int8 && mode != Mode::Infer {
            let text = "weights in 8 bits are for running a model, not for training it; train with \
                         the precision `f32` and make them afterwards";
            return Err(Error::new(text));
        }
        {
            let _span = span("batch to rows");
            self.take(batch)?;
        }
        if let Some(state) = &state {
            self.check_state(state)?;
        } else if self.state.batch() == batch.batch {
            self.state.reset();
        } else {
            self.state = State::zero(&self.description, batch.batch);
        }
        let state = state.unwrap_or(&mut self.state);
        self.given = !state.is_fresh();
        if !self.given {
            begin(&self.nodes, state);
        }
        let parts = state.parts_mut();
        let (order, resets) = (&self.order, self.resets.as_slice());
        let context = {
            let (memory, traced, given) = (self.memory, self.traced, self.given);
            Context { order, resets, mode, memory, traced, given, segments: None }
        };
        self.nodes.iter().try_for_each(|node| node.check(&context, parts))?;
        for at in 0..until {
            let (below, rest) = self.nodes.split_at_mut(at);
            let input = signal(below, &self.description, &self.read);
            let _span = span(&self.names[at]);
            let _span = span("forward");
            rest[0].forward(&context, input, parts);
        }
        Ok(())
    }

    fn output_rows(&self) -> usize {
        if self.description.is_pooled() { self.order.sequences().len() } else { self.order.rows() }
    }

    /// The outputs of the last layer, row after row.
    fn collect(&mut self) -> &[E] {
        let rows = self.nodes.last().map_or_else(|| self.read.rows(), |node| node.output());
        if rows.stride() > rows.width() {
            self.collect_own();
            return self.output.rows().data();
        }
        let rows = self.nodes.last().map_or_else(|| self.read.rows(), |node| node.output());
        &rows.data()[..self.output_rows() * rows.width()]
    }

    /// The same in memory of their own.
    fn collect_own(&mut self) {
        self.output.resize(self.output_rows());
        let rows = self.nodes.last().map_or_else(|| self.read.rows(), |node| node.output());
        self.output.fill_rows(self.engine, |row, to| to.copy_from_slice(rows.row(row)));
    }

    /// Goes back through the last batch: from the gradient of the output, row by row, to that of all
    /// weights, which overwrites `gradients`. `d_state` holds the gradients of the states after the
    /// batch (zeros if absent) and is replaced by those of the states before it.
    ///
    /// # Errors
    /// Where the last pass was not for training, or is already used up, or the weights were not loaded
    /// for backward, or a size does not fit.
    pub fn backward(
        &mut self,
        d_output: &[E],
        gradients: &mut [E],
        d_state: Option<&mut State<E>>,
    ) -> Result<()> {
        if self.mode == Mode::Infer {
            let text = "backward follows a forward pass for training, one backward for each";
            return Err(Error::new(text));
        }
        self.check_backward()?;
        let width = self.output_width();
        let expected = self.output_rows() * width;
        if d_output.len() != expected || gradients.len() != self.parameters {
            return Err(Error::new(format!(
                "gradients of {} outputs and {} weights, expected {expected} and {}",
                d_output.len(),
                gradients.len(),
                self.parameters
            )));
        }
        if let Some(state) = &d_state {
            self.check_state(state)?;
        }
        let mode = std::mem::replace(&mut self.mode, Mode::Infer);
        let dy = Rows::new(d_output, width, width);
        self.backward_from(self.nodes.len(), mode, Some(dy), gradients, d_state);
        Ok(())
    }

    /// Back through the first `until` layers, from the gradient of their output: `dy`, or that of the
    /// input of the layer above.
    fn backward_from(
        &mut self,
        until: usize,
        mode: Mode,
        dy: Option<Rows<'_, E>>,
        gradients: &mut [E],
        d_state: Option<&mut State<E>>,
    ) {
        match &d_state {
            Some(_) => {}
            None if self.state.batch() == self.order.sequences().len() => self.state.reset(),
            None => self.state = State::zero(&self.description, self.order.sequences().len()),
        }
        let parts = d_state.map_or_else(|| self.state.parts_mut(), State::parts_mut);
        let (order, resets) = (&self.order, self.resets.as_slice());
        let context = {
            let (memory, traced, given) = (self.memory, self.traced, self.given);
            Context { order, resets, mode, memory, traced, given, segments: None }
        };
        for at in (0..until).rev() {
            let (below, rest) = self.nodes.split_at_mut(at);
            let [node, above @ ..] = rest else { unreachable!("`at` counts the nodes") };
            let input = signal(below, &self.description, &self.read);
            let dy = match (dy, above.first()) {
                (Some(dy), _) if at + 1 == until => dy,
                (_, Some(above)) => above.d_input(),
                (_, None) => unreachable!("the last layer has a gradient given"),
            };
            let input_wanted = at > 0 || self.input_gradient;
            let _span = span(&self.names[at]);
            let _span = span("backward");
            node.backward(&context, input, Back { dy, d_states: parts, input_wanted, gradients });
        }
    }

    fn check_backward(&self) -> Result<()> {
        if self.ready != Ready::Backward {
            let text = "the weights are loaded for forward only; load them for backward too";
            return Err(Error::new(text));
        }
        Ok(())
    }

    /// How much each row of the last batch weighed, in the order of [`Network::order`], where the model
    /// pools by attention. The weights of a sequence add up to 1.
    pub fn attention(&self) -> Option<&[E]> {
        self.nodes.iter().find_map(|node| node.weights())
    }

    /// The gradient of the input of the last batch, one row for each step of each sequence in the
    /// order of [`Network::order`]; if asked for by [`Network::set_input_gradient`].
    pub fn d_input(&self) -> Option<Rows<'_, E>> {
        let values = matches!(self.description.input, InputKind::Values { .. });
        let node = self.nodes.first().filter(|_| values && self.input_gradient)?;
        Some(node.d_input())
    }

    fn check_state(&self, state: &State<E>) -> Result<()> {
        let expected = self.order.sequences().len();
        let fits = state.is_of(&self.parts);
        if state.batch() == expected && fits {
            return Ok(());
        }
        let found = state.batch();
        Err(Error::new(if fits {
            format!("a state of {found} sequences for a batch of {expected}")
        } else {
            "a state of another model".to_owned()
        }))
    }

    /// Finds the order of the rows of a batch.
    fn arrange(&mut self, batch: &Batch<'_, E>) -> Result<()> {
        check_sizes(batch, self.description.input)?;
        if !self.order.is_of(batch) {
            std::mem::swap(&mut self.order, &mut self.spare);
        }
        if !self.order.is_of(batch) {
            self.order = Order::new(batch.steps, batch.batch, batch.lengths, batch.mask)?;
        }
        Ok(())
    }

    /// Copies the rows of a batch in the order of the layers.
    fn take(&mut self, batch: &Batch<'_, E>) -> Result<()> {
        self.arrange(batch)?;
        self.resets.clear();
        if let Some(resets) = batch.resets.filter(|resets| resets.contains(&true)) {
            self.order.gather_resets(resets, &mut self.resets);
        }
        self.read.take(batch, self.description.input, &self.order, self.engine)
    }
}

/// Sets states to those before the first step.
fn begin<E: Element>(nodes: &[Box<dyn Node<E>>], state: &mut State<E>) {
    state.reset();
    nodes.iter().for_each(|node| node.begin(state.parts_mut()));
}
