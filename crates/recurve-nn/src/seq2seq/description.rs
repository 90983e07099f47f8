//! What a model from sequences to sequences is made of.

use crate::cells;
use crate::description::{Bias, CellKind, Description, Recurrent};
use crate::error::{Error, Result};
use crate::parameters::{Entries, Role};
use serde::{Deserialize, Serialize};

/// An encoder, and a decoder that looks at all of its outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seq2SeqDescription {
    /// What reads the source: any model with one output per step.
    pub encoder: Description,
    /// What writes the target.
    pub decoder: Decoder,
}

/// A decoder with attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoder {
    /// Tokens of the target.
    pub vocabulary: usize,
    /// The width of their vectors.
    pub embedding: usize,
    /// The cell.
    pub cell: CellKind,
    /// Units of a layer: `H`.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// How a step of the source scores.
    pub score: Score,
    /// The width of the vector that attention and state become together: `A`.
    pub attention: usize,
    /// Whether each step also reads that vector of the step before (Luong, Pham & Manning 2015,
    /// section 3.3).
    pub input_feeding: bool,
    /// The probability of dropout of the tokens' vectors, and before the output.
    #[serde(default)]
    pub dropout: f64,
}

/// How a step `m` of the source scores for a state `s` of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Score {
    /// `s · m`; both are equally wide (Luong, Pham & Manning 2015).
    Dot,
    /// `s · W m` (the same).
    General,
    /// `v · tanh(Q s + K m + b)` (Bahdanau, Cho & Bengio 2015).
    Additive {
        /// The length of `v`.
        width: usize,
    },
    /// Several scaled products of projections, each with its own weights (Vaswani et al. 2017).
    MultiHead {
        /// How many; they divide the units of the decoder.
        heads: usize,
    },
    /// As additive, and with what the step before looked at: `+ U f`, where `f` are convolutions of its
    /// weights around the step (Chorowski et al. 2015).
    Location {
        /// The length of `v`.
        width: usize,
        /// The number of convolutions.
        filters: usize,
        /// How far a convolution sees to each side.
        reach: usize,
    },
}

impl Decoder {
    /// One layer of `hidden` units with general attention and input feeding, without dropout.
    pub fn new(vocabulary: usize, embedding: usize, cell: CellKind, hidden: usize) -> Self {
        Self {
            vocabulary,
            embedding,
            cell,
            hidden,
            layers: 1,
            score: Score::General,
            attention: hidden,
            input_feeding: true,
            dropout: 0.0,
        }
    }
    /// The same with this score.
    #[must_use]
    pub fn score(self, score: Score) -> Self {
        Self { score, ..self }
    }
    /// Values that a step reads.
    pub(crate) fn input(&self) -> usize {
        self.embedding + if self.input_feeding { self.attention } else { 0 }
    }
    /// A layer as a stack, which says its sizes.
    pub(crate) fn stack(&self) -> Recurrent {
        let one = Recurrent::new(self.cell, self.hidden);
        let bias = if self.cell == CellKind::Gru { Bias::Two } else { Bias::One };
        one.bias(bias)
    }
    /// The states of a layer that start from the source: `h`, and `c` of a cell with two states.
    pub(crate) fn bridged(&self) -> usize {
        if cells::sizes(&self.stack()).states == 2 { 2 } else { 1 }
    }
    /// Values of what attention gives, of a source `memory` wide.
    pub(crate) fn context(&self, memory: usize) -> usize {
        if let Score::MultiHead { .. } = self.score { self.hidden } else { memory }
    }
}

impl Seq2SeqDescription {
    /// The width of the encoder's outputs.
    ///
    /// # Errors
    /// Where a size makes no sense or two do not fit together.
    pub fn check(&self) -> Result<usize> {
        let memory =
            self.encoder.widths().map_err(|error| Error::new(format!("encoder: {error}")))?;
        let memory = memory[memory.len() - 1];
        if self.encoder.is_pooled() {
            let text = "encoder: pooling leaves no steps to attend to; leave it out";
            return Err(Error::new(text));
        }
        let d = &self.decoder;
        if d.stack().matrix_memory(0).is_some() {
            let cell = d.cell.name();
            return Err(Error::new(format!(
                "decoder: the cell {cell}: not available there; choose another"
            )));
        }
        let mut sizes = vec![
            ("vocabulary", d.vocabulary),
            ("embedding", d.embedding),
            ("hidden", d.hidden),
            ("layers", d.layers),
            ("attention", d.attention),
        ];
        match d.score {
            Score::Dot | Score::General => {}
            Score::Additive { width } => sizes.push(("score width", width)),
            Score::MultiHead { heads } => sizes.push(("heads", heads)),
            Score::Location { width, filters, .. } => {
                sizes.extend([("score width", width), ("filters", filters)]);
            }
        }
        for (what, size) in sizes {
            if !(1..1 << 28).contains(&size) {
                let text =
                    format!("decoder: {what} is {size}; it must be at least 1 and below 2^28");
                return Err(Error::new(text));
            }
        }
        if !(0.0..1.0).contains(&d.dropout) {
            return Err(Error::new(format!(
                "decoder: a dropout of {}; it must be at least 0 and less than 1",
                d.dropout
            )));
        }
        match d.score {
            Score::Dot if memory != d.hidden => Err(Error::new(format!(
                "decoder: the score `dot` multiplies {} units with outputs of the encoder of width \
                 {memory}; make them equal, or choose general",
                d.hidden
            ))),
            Score::MultiHead { heads } if !d.hidden.is_multiple_of(heads) => {
                Err(Error::new(format!(
                    "decoder: {heads} heads do not divide {} units; choose a divisor",
                    d.hidden
                )))
            }
            Score::Location { reach, .. } if reach >= 1 << 16 => {
                Err(Error::new(format!("decoder: a reach of {reach}; it must be below 2^16")))
            }
            _ => Ok(memory),
        }
    }
}

impl Entries {
    /// The entries of a model from sequences to sequences: those of the encoder as `encoder.…`, then
    /// those of the decoder.
    ///
    /// # Errors
    /// Where the description is not sound.
    pub fn of_seq2seq(description: &Seq2SeqDescription) -> Result<Self> {
        let memory = description.check()?;
        let mut to = Self::of(&description.encoder)?;
        to.prefix("encoder.");
        let d = &description.decoder;
        let (stack, cell) = (d.stack(), d.cell);
        let sizes = cells::sizes(&stack);
        to.add("decoder.embedding.weight".into(), &[d.vocabulary, d.embedding], Role::Embedding)?;
        to.add_linear("decoder.bridge", memory, d.layers * d.bridged() * d.hidden)?;
        for layer in 0..d.layers {
            let name = |part: &str| format!("decoder.recurrent.{layer}.{part}");
            let input = if layer == 0 { d.input() } else { d.hidden };
            let (rows, recurrent) = (sizes.gates * d.hidden, sizes.recurrent_gates * d.hidden);
            to.add(name("w"), &[rows, input], Role::InputWeights(cell))?;
            if recurrent > 0 {
                to.add(name("r"), &[recurrent, d.hidden], Role::RecurrentWeights(cell))?;
            }
            to.add(name("b"), &[rows], Role::InputBias(cell))?;
            if stack.bias == Bias::Two && recurrent > 0 {
                to.add(name("b_r"), &[recurrent], Role::RecurrentBias(cell))?;
            }
            if sizes.peepholes > 0 {
                to.add(name("p"), &[sizes.peepholes, d.hidden], Role::Peepholes(cell))?;
            }
        }
        let name = |part: &str| format!("decoder.attention.{part}");
        let weight = |to: &mut Self, part: &str, shape: [usize; 2]| {
            to.add(name(part), &shape, Role::LinearWeights)
        };
        match d.score {
            Score::Dot => {}
            Score::General => weight(&mut to, "key.weight", [d.hidden, memory])?,
            Score::MultiHead { .. } => {
                to.add_linear(&name("query"), d.hidden, d.hidden)?;
                to.add_linear(&name("key"), memory, d.hidden)?;
                to.add_linear(&name("value"), memory, d.hidden)?;
                to.add_linear(&name("output"), d.hidden, d.hidden)?;
            }
            Score::Additive { width } | Score::Location { width, .. } => {
                to.add_linear(&name("query"), d.hidden, width)?;
                weight(&mut to, "key.weight", [width, memory])?;
                weight(&mut to, "score", [1, width])?;
            }
        }
        if let Score::Location { width, filters, reach } = d.score {
            weight(&mut to, "location.filters", [filters, 2 * reach + 1])?;
            weight(&mut to, "location.weight", [width, filters])?;
        }
        to.add_linear("decoder.combine", d.context(memory) + d.hidden, d.attention)?;
        to.add_linear("decoder.output", d.attention, d.vocabulary)?;
        Ok(to)
    }
}
