//! From sequences to sequences: an encoder, and a decoder with attention and input feeding.
//!
//! ```text
//! m_1 … m_S = encoder(source)          s⁰ = tanh(W mean(m) + b), for h and c of every layer
//! s_t = layers([embedding(y_{t-1}); v_{t-1}], s_{t-1})
//! c_t, a_t = attention(s_t, m, a_{t-1})
//! v_t = tanh(W [c_t; s_t] + b)         the attentional vector, which the next step reads
//! logits_t = W v_t + b
//! ```
//!
//! (Luong, Pham & Manning 2015; with the scores of [`Score`].) The encoder is any [`Description`] with an
//! output for each step: recurrent in one or both directions, convolutions, a Transformer. Training is
//! teacher forcing: [`Seq2Seq::learn`] reads the right tokens, whatever was said. Decoding is
//! [`Seq2Seq::step`], one token for each hypothesis of a [`Decoding`], which can be forked and thinned
//! out, so that a beam is a list of rows. Both give the same bits.
//!
//! Since a step reads what the step before gave, a decoder cannot run many steps at once as other layers
//! do; what does not depend on the step before (projections of the source, the output, gradients of all
//! weights but those of the cells) is formed for all steps together.
//!
//! In a [`Description`] a decoder is the last layer ([`Description::decoder`]): so weights, files and checks are
//! those of every model, and [`Network::seq2seq`] gives what runs it.
//!
//! [`Description`]: crate::Description
//! [`Description::decoder`]: crate::Description::decoder
//! [`Network::seq2seq`]: crate::Network::seq2seq

mod attend;
mod backward;
mod dense;
mod description;
mod flows;
mod state;

pub use description::{Decoder, Score, Seq2SeqDescription};
pub use state::{Decoding, Encoded};

use crate::batch::{Batch, Input, Order};
use crate::cells;
use crate::error::{Error, Result};
use crate::layers::{
    Context, Dropout, Embedding, Flow, Judge, Linear, Mask, Mode, Node, Noise, Ranges, Signal,
};
use crate::memory::Memory as Keeping;
use crate::network::Network;
use crate::parameters::Entries;
use attend::{Attend, Memory};
use dense::{Dense, matrix};
use flows::{Flows, States, Widths, advance, first, part};
use recurve_kernels::{Element, Engine, Keep, Precision, RecurrentLayer, Rows, RowsMut, Tape};

/// What the decoder of a batch reads.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Steps of the longest target: `T`.
    pub steps: usize,
    /// `[T, B]`: the token that each step reads; at the first a mark that stands before all targets, at
    /// the others the right token of the step before.
    pub tokens: &'a [u32],
    /// Steps of each target `[B]`.
    pub lengths: &'a [usize],
}

/// A model from sequences to sequences at work: forward, backward, and step by step.
pub struct Seq2Seq<E: Element> {
    engine: Engine,
    description: Seq2SeqDescription,
    entries: Entries,
    encoder: Network<E>,
    /// Weights of the encoder, which stand first.
    encoder_size: usize,
    embedding: Embedding<E>,
    drops: Option<[Dropout<E>; 2]>,
    bridge: Dense<E>,
    layers: Vec<RecurrentLayer<E>>,
    ranges: Vec<Ranges>,
    attend: Attend<E>,
    combine: Dense<E>,
    head: Linear<E>,
    widths: Widths,
    flows: Flows<E>,
    /// Tapes of each step and layer, and of a step of decoding.
    tapes: Vec<Vec<Tape<E>>>,
    own: Vec<Tape<E>>,
    /// States before each step of each layer, of the sequences that it concerns.
    before: Vec<Vec<States<E>>>,
    order: Order,
    tokens: Vec<u32>,
    encoded: Encoded<E>,
    /// The encoder's outputs and their mean, sequence by sequence.
    raw: Flow<E>,
    mean: Flow<E>,
    /// Whether the weights are loaded.
    ready: bool,
}

/// The id of the first of the decoder's masks of dropout; the encoder's are below.
const MASKS: u64 = 1 << 62;

impl<E: Element> Seq2Seq<E> {
    /// The layers of `description`, still without weights.
    ///
    /// # Errors
    /// Where the description is not sound, or the engine has another than full precision.
    pub fn new(description: &Seq2SeqDescription, engine: Engine) -> Result<Self> {
        let entries = Entries::of_seq2seq(description)?;
        if engine.precision() != Precision::Full {
            return Err(Error::new(format!(
                "the precision `{}`; a model from sequences to sequences has full precision only",
                engine.precision().name()
            )));
        }
        let memory = description.check()?;
        let encoder = Network::new(&description.encoder, engine)?;
        let encoder_size = Entries::of(&description.encoder)?.len();
        let d = &description.decoder;
        let range = |name: &str| {
            entries.get(&format!("decoder.{name}")).map_or(0..0, |entry| entry.range.clone())
        };
        let dense = |name: &str, inputs, outputs| {
            let (weight, bias) = (range(&format!("{name}.weight")), range(&format!("{name}.bias")));
            Dense::new(engine, (inputs, outputs), weight, bias)
        };
        let drop = |which: u64, width| {
            Dropout::new(Mask::new(engine, MASKS + which, d.dropout, width), false)
        };
        let stack = d.stack();
        let layer = |at: usize| {
            let input = if at == 0 { d.input() } else { d.hidden };
            RecurrentLayer::new(engine, cells::kernels(&stack, engine.isa()), input, d.hidden)
        };
        let ranges = |at| Ranges::new(&entries, &format!("decoder.recurrent.{at}"));
        let attend = Attend::new(engine, d, memory, &entries);
        let widths = Widths {
            input: d.input(),
            hidden: d.hidden,
            query: attend.query.as_ref().map_or(d.hidden, Dense::outputs),
            value: d.context(memory),
            context: d.context(memory),
            vector: d.attention,
        };
        let (weight, bias) = (range("output.weight"), range("output.bias"));
        let nothing = Memory {
            starts: vec![0],
            keys: vec![],
            values: vec![],
            key_width: attend.key.as_ref().map_or(memory, Dense::outputs),
            value_width: widths.value,
        };
        Ok(Self {
            engine,
            encoder,
            encoder_size,
            embedding: Embedding::new(engine, d.embedding, range("embedding.weight")),
            drops: (d.dropout > 0.0).then(|| [drop(0, d.embedding), drop(1, d.attention)]),
            bridge: dense("bridge", memory, d.layers * d.bridged() * d.hidden),
            layers: (0..d.layers).map(layer).collect(),
            ranges: (0..d.layers).map(ranges).collect(),
            combine: dense("combine", widths.context + d.hidden, d.attention),
            head: Linear::new(engine, d.attention, d.vocabulary, weight, bias),
            flows: Flows::new(widths),
            widths,
            attend,
            tapes: vec![],
            own: (0..d.layers).map(|_| Tape::new()).collect(),
            before: vec![],
            order: Order::new(0, 0, None, None)?,
            tokens: vec![],
            encoded: Encoded { memory: nothing, bridged: vec![] },
            raw: Flow::tight(memory),
            mean: Flow::tight(memory),
            ready: false,
            description: description.clone(),
            entries,
        })
    }

    /// What it is made of.
    pub fn description(&self) -> &Seq2SeqDescription {
        &self.description
    }
    /// Names, shapes and places of its weights.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }
    /// Its instructions and threads.
    pub fn engine(&self) -> Engine {
        self.engine
    }
    /// The order in which the rows of a target for `sequences` sources will come.
    ///
    /// # Errors
    /// Where the target does not fit the model.
    pub fn prepare(&mut self, sequences: usize, target: Target<'_>) -> Result<&Order> {
        self.take(sequences, target)?;
        Ok(&self.order)
    }
    /// The order of the rows of the last [`Seq2Seq::learn`] or [`Seq2Seq::forward`].
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Takes over weights, in the order of [`Seq2Seq::entries`].
    ///
    /// # Panics
    /// Where the number of weights is not that of the description.
    pub fn load(&mut self, values: &[E]) {
        assert_eq!(values.len(), self.entries.len(), "the weights are those of the description");
        self.encoder.load(&values[..self.encoder_size], true);
        self.embedding.load(values, true);
        self.bridge.load(values);
        for (layer, ranges) in self.layers.iter_mut().zip(&self.ranges) {
            layer.set_weights(ranges.read(values), true);
        }
        self.attend.load(values);
        self.combine.load(values);
        self.head.load(values, true);
        self.ready = true;
    }

    /// Reads sources.
    ///
    /// # Errors
    /// Where the batch does not fit the encoder, or there are no weights yet.
    pub fn encode(&mut self, source: &Batch<'_, E>) -> Result<Encoded<E>> {
        self.read(source, Mode::Infer)?;
        Ok(self.encoded.clone())
    }

    fn read(&mut self, source: &Batch<'_, E>, mode: Mode) -> Result<()> {
        let width = self.encoder.output_width();
        let y = self.encoder.forward(source, None, mode)?;
        let y = Rows::new(y, width, width);
        // The outputs are borrowed with the network, which says where they belong.
        let copied: Vec<E> = y.data().to_vec();
        let y = Rows::new(&copied, width, width);
        let order = self.encoder.order();
        let (steps, sequences) = (order.steps(), order.sequences());
        let mut lengths = vec![0; sequences.len()];
        for (place, b) in sequences.iter().enumerate() {
            lengths[*b] = steps.lengths()[place];
        }
        let memory = &mut self.encoded.memory;
        memory.starts.clear();
        memory.starts.push(0);
        for length in &lengths {
            memory.starts.push(memory.starts[memory.starts.len() - 1] + length);
        }
        self.raw.resize(order.rows());
        self.mean.resize(sequences.len());
        for (place, b) in sequences.iter().enumerate() {
            let mean = self.mean.row_mut(*b);
            mean.fill(E::default());
            let share = E::from_f64(1.0 / lengths[*b].max(1) as f64);
            for t in 0..lengths[*b] {
                let from = y.row(steps.first_row(t) + place);
                self.raw.row_mut(memory.starts[*b] + t).copy_from_slice(from);
                mean.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from * share);
            }
        }
        let raw = self.raw.rows();
        let project = |dense: &Option<Dense<E>>| match dense {
            Some(dense) => rows_of(dense, raw, order.rows()),
            None => raw.data().to_vec(),
        };
        memory.keys = project(&self.attend.key);
        memory.values = project(&self.attend.value);
        self.encoded.bridged = rows_of(&self.bridge, self.mean.rows(), sequences.len());
        self.encoded.bridged.iter_mut().for_each(|value| *value = value.tanh());
        Ok(())
    }

    /// The first states of some sources, layer by layer.
    fn first_states(&self, encoded: &Encoded<E>, sources: &[usize]) -> Vec<States<E>> {
        let d = &self.description.decoder;
        let (hidden, bridged) = (d.hidden, d.bridged());
        let others = cells::sizes(&d.stack()).states - 1;
        let row = d.layers * bridged * hidden;
        (0..d.layers)
            .map(|layer| {
                let of = |state: usize| {
                    let first = (layer * bridged + state) * hidden;
                    let part = |b: &usize| &encoded.bridged[b * row + first..][..hidden];
                    sources.iter().flat_map(part).copied().collect::<Vec<E>>()
                };
                let mut c = if bridged > 1 { of(1) } else { vec![] };
                c.resize(others * sources.len() * hidden, E::default());
                [of(0), c]
            })
            .collect()
    }

    /// The logits of every step of every target, a row for each in the order of [`Seq2Seq::order`].
    ///
    /// # Errors
    /// Where source and target do not fit the model or each other, or there are no weights yet.
    pub fn forward(
        &mut self,
        source: &Batch<'_, E>,
        target: Target<'_>,
        mode: Mode,
    ) -> Result<Rows<'_, E>> {
        self.run(source, target, mode)?;
        let context = context(&self.order, mode);
        let rows = vectors(&self.drops, &self.flows);
        self.head.forward(&context, Signal::Rows(rows), &mut []);
        Ok(self.head.output())
    }

    /// A training pass: `judge` gets the logits as they come and replaces them by their gradients; those
    /// of all weights overwrite `gradients`.
    ///
    /// # Errors
    /// As [`Seq2Seq::forward`], and where the number of gradients is not that of the weights.
    pub fn learn(
        &mut self,
        source: &Batch<'_, E>,
        target: Target<'_>,
        noise: Noise,
        judge: &mut Judge<'_, E>,
        gradients: &mut [E],
    ) -> Result<()> {
        if gradients.len() != self.entries.len() {
            let (found, expected) = (gradients.len(), self.entries.len());
            return Err(Error::new(format!("gradients of {found} weights, expected {expected}")));
        }
        self.run(source, target, Mode::Train(noise))?;
        let rows = vectors(&self.drops, &self.flows);
        self.head.learn(Signal::Rows(rows), judge, true, gradients);
        self.backward(Mode::Train(noise), gradients)
    }

    /// Encodes, and decodes along the target.
    fn run(&mut self, source: &Batch<'_, E>, target: Target<'_>, mode: Mode) -> Result<()> {
        if !self.ready {
            return Err(Error::new("the model has no weights yet; load them first"));
        }
        self.take(source.batch, target)?;
        self.read(source, mode)?;
        let context = context(&self.order, mode);
        self.embedding.forward(&context, Signal::Tokens(&self.tokens), &mut []);
        if let Some([drop, _]) = &mut self.drops {
            drop.forward(&context, Signal::Rows(self.embedding.output()), &mut []);
        }
        let embedded = match &self.drops {
            Some([drop, _]) => drop.output(),
            None => self.embedding.output(),
        };
        let (steps, sequences) = (self.order.steps(), self.order.sequences());
        let memory = &self.encoded.memory;
        let lengths = (0..steps.count())
            .flat_map(|t| sequences[..steps.active(t)].iter().map(|b| memory.steps(*b).len()));
        self.flows.resize(lengths, self.attend.heads());
        self.before.clear();
        let mut states = self.first_states(&self.encoded, sequences);
        let mut all = sequences.len();
        for t in 0..steps.count() {
            let (start, count) = (steps.first_row(t), steps.active(t));
            let hidden = self.widths.hidden;
            states = states.iter().map(|states| first(states, hidden, all, count)).collect();
            all = count;
            if self.tapes.len() <= t {
                self.tapes.push((0..self.layers.len()).map(|_| Tape::new()).collect());
            }
            for at in 0..count {
                let row = start + at;
                let (token, fed) = self.flows.x.row_mut(row).split_at_mut(embedded.width());
                token.copy_from_slice(embedded.row(row));
                match t.checked_sub(1) {
                    _ if fed.is_empty() => {}
                    None => fed.fill(E::default()),
                    Some(t) => {
                        fed.copy_from_slice(self.flows.vector.rows().row(steps.first_row(t) + at));
                    }
                }
            }
            let keep = if mode == Mode::Infer { Keep::Nothing } else { Keep::Columns };
            let x = part(self.flows.x.rows(), start..start + count);
            let tapes = &mut self.tapes[t];
            let after = advance(&mut self.layers, tapes, (x, keep), &states, count);
            self.before.push(std::mem::replace(&mut states, after));
            let top = tapes[tapes.len() - 1].output();
            for at in 0..count {
                self.flows.top.row_mut(start + at).copy_from_slice(top.row(at));
            }
            let places = self.flows.places.clone();
            let look = |row: usize, weights: &[E]| {
                let before = t.checked_sub(1).map(|t| steps.first_row(t) + row - start);
                let before = before.map_or(vec![], |row| weights[places[row].clone()].to_vec());
                (sequences[row - start], before)
            };
            let parts = (&mut self.attend, &self.combine);
            self.flows.attend(start..start + count, parts, &self.encoded.memory, look);
        }
        if let Some([_, drop]) = &mut self.drops {
            drop.forward(&context, Signal::Rows(self.flows.vector.rows()), &mut []);
        }
        Ok(())
    }

    /// Checks a target and copies its tokens in the order of the rows.
    fn take(&mut self, batch: usize, target: Target<'_>) -> Result<()> {
        let (steps, found) = (target.steps, target.tokens.len());
        if found != steps.saturating_mul(batch) {
            return Err(Error::new(format!(
                "{found} tokens of targets for {steps} steps of {batch} sequences, expected {}",
                steps.saturating_mul(batch)
            )));
        }
        let given = Batch::<E>::new(steps, batch, Input::Tokens(target.tokens));
        if !self.order.is_of(&given.lengths(target.lengths)) {
            self.order = Order::new(steps, batch, Some(target.lengths), None)
                .map_err(|error| Error::new(format!("target: {error}")))?;
        }
        self.order.gather(target.tokens, &mut self.tokens);
        let vocabulary = self.description.decoder.vocabulary;
        let mut places = self.order.places().zip(&self.tokens);
        match places.find(|(_, token)| **token as usize >= vocabulary) {
            Some(((_, t, b), token)) => Err(Error::new(format!(
                "token {token} at step {t} of target {b}; the decoder knows the tokens 0 to {}",
                vocabulary - 1
            ))),
            None => Ok(()),
        }
    }

    /// Begins to write: a row for each of `sources`, before its first token.
    ///
    /// # Panics
    /// Where there is no such source.
    pub fn begin(&self, encoded: &Encoded<E>, sources: &[usize]) -> Decoding<E> {
        Decoding {
            sources: sources.to_vec(),
            states: self.first_states(encoded, sources),
            hidden: self.widths.hidden,
            vectors: vec![E::default(); sources.len() * self.widths.vector],
            weights: vec![vec![]; sources.len()],
        }
    }

    /// One step of every row: reads its token and gives the logits of the next, `[N, vocabulary]`.
    ///
    /// # Panics
    /// Where the number of tokens is not that of the rows, a token is not in the vocabulary, or the
    /// weights were not loaded.
    pub fn step(
        &mut self,
        encoded: &Encoded<E>,
        state: &mut Decoding<E>,
        tokens: &[u32],
    ) -> Rows<'_, E> {
        assert!(self.ready, "the weights are loaded");
        assert_eq!(tokens.len(), state.rows(), "a step has one token per row");
        let vocabulary = self.description.decoder.vocabulary;
        assert!(tokens.iter().all(|token| (*token as usize) < vocabulary), "tokens are known");
        let (count, width) = (tokens.len(), self.widths.vector);
        let lengths = state.sources.iter().map(|b| encoded.steps(*b));
        self.flows.resize(lengths, self.attend.heads());
        let order = Order::new(1, count, None, None).expect("one step has no lengths");
        let context = context(&order, Mode::Infer);
        self.embedding.forward(&context, Signal::Tokens(tokens), &mut []);
        for at in 0..count {
            let embedded = self.embedding.output();
            let (token, fed) = self.flows.x.row_mut(at).split_at_mut(embedded.width());
            token.copy_from_slice(embedded.row(at));
            if !fed.is_empty() {
                fed.copy_from_slice(&state.vectors[at * width..][..width]);
            }
        }
        let x = (part(self.flows.x.rows(), 0..count), Keep::Nothing);
        state.states = advance(&mut self.layers, &mut self.own, x, &state.states, count);
        let top = self.own[self.own.len() - 1].output();
        for at in 0..count {
            self.flows.top.row_mut(at).copy_from_slice(top.row(at));
        }
        let look = |row: usize, _: &[E]| (state.sources[row], state.weights[row].clone());
        self.flows.attend(0..count, (&mut self.attend, &self.combine), &encoded.memory, look);
        for (at, weights) in state.weights.iter_mut().enumerate() {
            weights.clear();
            weights.extend_from_slice(&self.flows.weights[self.flows.places[at].clone()]);
        }
        state.vectors.copy_from_slice(&self.flows.vector.rows().data()[..count * width]);
        self.head.forward(&context, Signal::Rows(self.flows.vector.rows()), &mut []);
        self.head.output()
    }
}

/// `W x + b` of some rows, one after the other.
fn rows_of<E: Element>(dense: &Dense<E>, x: Rows<'_, E>, count: usize) -> Vec<E> {
    let width = dense.outputs();
    let mut y = vec![E::default(); count * width];
    dense.forward(matrix(x, 0..count), &mut RowsMut::new(&mut y, width, width));
    y
}

/// The attentional vectors, after dropout where there is any.
fn vectors<'a, E: Element>(drops: &'a Option<[Dropout<E>; 2]>, flows: &'a Flows<E>) -> Rows<'a, E> {
    match drops {
        Some([_, drop]) => drop.output(),
        None => flows.vector.rows(),
    }
}

fn context(order: &Order, mode: Mode) -> Context<'_> {
    let memory = Keeping::Full;
    Context { order, resets: &[], mode, memory, traced: false, given: true, segments: None }
}
