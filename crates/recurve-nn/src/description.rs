//! What a model is made of, in words that a file can hold.

mod cell;
mod layer;
mod sequence;
mod sound;
mod stacking;

pub use cell::{Activation, Activations, CellKind, OwnCell};
pub use layer::{Layer, Pooling};
pub use sequence::{Attention, Positions, Tcn, Transformer};
pub use stacking::{Connection, Initial, Merge};

use crate::error::{Error, Result};
use crate::seq2seq::{Decoder, Seq2SeqDescription};
use serde::{Deserialize, Serialize};
use sound::{output_width, positive};
use stacking::is_default;

/// A model: what it reads and its layers, from the input up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What one step of a sequence is.
    pub input: InputKind,
    /// The layers, the first reads the input.
    pub layers: Vec<Layer>,
}

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InputKind {
    /// A token, from 0 to `vocabulary - 1`.
    Tokens {
        /// How many tokens there are.
        vocabulary: usize,
    },
    /// `width` numbers.
    Values {
        /// How many numbers.
        width: usize,
    },
    /// A word: a token, from 0 to `vocabulary - 1`, and its letters, each from 0 to `letters - 1`.
    Words {
        /// How many words there are.
        vocabulary: usize,
        /// How many letters there are.
        letters: usize,
    },
}

/// A stack of recurrent layers of equal size. Layers of different sizes are several stacks, one on the
/// other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    /// The cell.
    pub cell: CellKind,
    /// Units of a layer and direction: `H`.
    pub hidden: usize,
    /// Layers of the stack.
    pub layers: usize,
    /// Whether each layer also reads the sequences from their ends.
    pub bidirectional: bool,
    /// Which biases the cell has.
    pub bias: Bias,
    /// The probability of dropout between the layers of the stack.
    pub dropout: f64,
    /// Whether that dropout drops the same values at all steps of a sequence (Gal & Ghahramani 2016).
    #[serde(default, skip_serializing_if = "is_default")]
    pub locked: bool,
    /// In training, the probability that a recurrent weight is zero for a whole batch (Wan et al. 2013;
    /// for LSTM, Merity, Keskar & Socher 2018). The rest are scaled up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_dropout: f64,
    /// How the outputs of two directions become one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub merge: Merge,
    /// What the layers pass to each other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// The states before the first step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial: Initial,
    /// The functions of the cell, where they are not its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activations: Option<Activations>,
    /// Where the sums of gates and candidate are cut off, above and below 0: ONNX's `clip`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip_sums: Option<f64>,
    /// Where the cell state of an LSTM is cut off, above and below 0: TensorFlow's `clip_state`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip_state: Option<f64>,
    /// Values that the output of a layer is projected to, `h = w_p (o∘tanh(c))` (Sak, Senior & Beaufays 2014);
    /// for LSTMs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
    /// The largest size of a projected output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection_clip: Option<f64>,
    /// Whether `w x`, `r h'` and the argument of the output's tanh are normalised, each to mean 0 and
    /// variance 1 over its own sums with gains (and, of the last, a shift; the others have the biases) (Ba,
    /// Kiros & Hinton 2016, equations 20 to 22). Of a GRU, gates and candidate are normalised apart.
    #[serde(default, skip_serializing_if = "is_default")]
    pub layer_norm: bool,
    /// Whether the input, forget and output gates of the step before reach those of a step, through weights
    /// of their own (full gate recurrence of Greff et al. 2017); for the LSTM with or without peepholes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gate_recurrence: bool,
    /// In training, the probability that a unit keeps its output of the step before; in inference, the weight
    /// of that (zoneout of Krueger et al. 2017).
    #[serde(default, skip_serializing_if = "is_default")]
    pub zoneout: f64,
    /// The same of the cell state, whose new value the output still sees.
    #[serde(default, skip_serializing_if = "is_default")]
    pub zoneout_cell: f64,
    /// The probability of dropout of `h'` in the recurrent product, the same units at all steps of a
    /// sequence (Gal & Ghahramani 2016).
    #[serde(default, skip_serializing_if = "is_default")]
    pub recurrent_dropout: f64,
    /// The probability of dropout of candidates, step by step (Semeniuta, Severyn & Barth 2016); for LSTMs and
    /// the GRU.
    #[serde(default, skip_serializing_if = "is_default")]
    pub candidate_dropout: f64,
    /// Parts of equal size that a layer's memory is made of, for cells that have such.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub heads: usize,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

/// The biases of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// None.
    None,
    /// One, added to the input product.
    One,
    /// One for the input product and one for the recurrent product, as in PyTorch. Only the GRU with
    /// the reset after the product can tell them apart; in training they count twice.
    Two,
}

impl Recurrent {
    /// One layer of `hidden` units in one direction, without dropout. The bias is single but for the
    /// GRU with the reset after the product, whose candidate has two.
    pub fn new(cell: CellKind, hidden: usize) -> Self {
        let bias = if cell == CellKind::Gru { Bias::Two } else { Bias::One };
        Self {
            cell,
            hidden,
            layers: 1,
            bidirectional: false,
            bias,
            dropout: 0.0,
            locked: false,
            weight_dropout: 0.0,
            merge: Merge::Concat,
            connection: Connection::Plain,
            initial: Initial::Zero,
            activations: None,
            clip_sums: None,
            clip_state: None,
            projection: None,
            projection_clip: None,
            layer_norm: false,
            gate_recurrence: false,
            zoneout: 0.0,
            zoneout_cell: 0.0,
            recurrent_dropout: 0.0,
            candidate_dropout: 0.0,
            heads: 1,
        }
    }
    /// The same with `layers` layers.
    #[must_use]
    pub fn layers(self, layers: usize) -> Self {
        Self { layers, ..self }
    }
    /// The same in both directions.
    #[must_use]
    pub fn bidirectional(self) -> Self {
        Self { bidirectional: true, ..self }
    }
    /// The same with these biases.
    #[must_use]
    pub fn bias(self, bias: Bias) -> Self {
        Self { bias, ..self }
    }
    /// The same with dropout between its layers.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }
    /// The same with dropout between its layers that lasts for a whole sequence.
    #[must_use]
    pub fn locked_dropout(self, dropout: f64) -> Self {
        Self { dropout, locked: true, ..self }
    }
    /// The same with dropout of recurrent weights.
    #[must_use]
    pub fn weight_dropout(self, weight_dropout: f64) -> Self {
        Self { weight_dropout, ..self }
    }
    /// The same with its directions merged so.
    #[must_use]
    pub fn merge(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }
    /// The same with its layers connected so.
    #[must_use]
    pub fn connection(self, connection: Connection) -> Self {
        Self { connection, ..self }
    }
    /// The same with these initial states.
    #[must_use]
    pub fn initial(self, initial: Initial) -> Self {
        Self { initial, ..self }
    }
    /// The same with other functions in its cells.
    #[must_use]
    pub fn activations(self, activations: Activations) -> Self {
        Self { activations: Some(activations), ..self }
    }
    /// The same with the sums of gates and candidates cut off.
    #[must_use]
    pub fn clip_sums(self, most: f64) -> Self {
        Self { clip_sums: Some(most), ..self }
    }
    /// The same with cell states cut off.
    #[must_use]
    pub fn clip_state(self, most: f64) -> Self {
        Self { clip_state: Some(most), ..self }
    }
    /// Directions: 1 or 2.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }
    /// Values per step that one layer gives: `H`, or what it is projected to; twice that of two
    /// directions side by side.
    pub fn layer_width(&self) -> usize {
        match self.merge {
            Merge::Concat => self.directions() * self.output(),
            Merge::Sum | Merge::Mean | Merge::Product => self.output(),
        }
    }
    /// Values per step that layer `layer` reads, where `input` go into the stack.
    pub fn layer_input(&self, layer: usize, input: usize) -> usize {
        match (layer, self.connection) {
            (0, _) => input,
            (_, Connection::Plain | Connection::Residual | Connection::Highway) => {
                self.layer_width()
            }
            (_, Connection::Skip) => input + self.layer_width(),
            (layer, Connection::Dense) => input + layer * self.layer_width(),
        }
    }
    /// Values per step of the output: those of the last layer, or of all where the connection says so.
    pub fn width(&self) -> usize {
        match self.connection {
            Connection::Plain | Connection::Residual | Connection::Highway => self.layer_width(),
            Connection::Skip | Connection::Dense => self.layers * self.layer_width(),
        }
    }
}

impl Description {
    /// A model that reads tokens, still without layers.
    pub fn tokens(vocabulary: usize) -> Self {
        Self { input: InputKind::Tokens { vocabulary }, layers: vec![] }
    }
    /// A model that reads `width` numbers per step, still without layers.
    pub fn values(width: usize) -> Self {
        Self { input: InputKind::Values { width }, layers: vec![] }
    }
    /// The same with an embedding on top.
    #[must_use]
    pub fn embedding(self, width: usize) -> Self {
        self.with(Layer::Embedding { width, dropout: 0.0 })
    }
    /// The same with an embedding on top, of which tokens are dropped in training.
    #[must_use]
    pub fn embedding_dropped(self, width: usize, dropout: f64) -> Self {
        self.with(Layer::Embedding { width, dropout })
    }
    /// The same with a recurrent stack on top.
    #[must_use]
    pub fn recurrent(self, recurrent: Recurrent) -> Self {
        self.with(Layer::Recurrent(recurrent))
    }
    /// The same with dropout on top.
    #[must_use]
    pub fn dropout(self, rate: f64) -> Self {
        self.with(Layer::Dropout { rate, locked: false })
    }
    /// The same with dropout on top that lasts for a whole sequence.
    #[must_use]
    pub fn locked_dropout(self, rate: f64) -> Self {
        self.with(Layer::Dropout { rate, locked: true })
    }
    /// The same with layer normalisation on top.
    #[must_use]
    pub fn layer_norm(self) -> Self {
        self.with(Layer::LayerNorm)
    }
    /// The same with pooling on top.
    #[must_use]
    pub fn pool(self, by: Pooling) -> Self {
        self.with(Layer::Pool { by })
    }
    /// A model that reads words and their letters, still without layers.
    pub fn words(vocabulary: usize, letters: usize) -> Self {
        Self { input: InputKind::Words { vocabulary, letters }, layers: vec![] }
    }
    /// The same with scores of one label after another on top.
    #[must_use]
    pub fn transitions(self) -> Self {
        self.with(Layer::Transitions)
    }
    /// The same with a decoder on top, which comes last.
    #[must_use]
    pub fn decoder(self, decoder: Decoder) -> Self {
        self.with(Layer::Decoder(decoder))
    }
    /// The same with vectors of words and their letters on top.
    #[must_use]
    pub fn word_vectors(self, width: usize, letter_width: usize, letter_hidden: usize) -> Self {
        self.with(Layer::Words { width, letter_width, letter_hidden })
    }
    /// The same with a linear layer on top.
    #[must_use]
    pub fn linear(self, outputs: usize) -> Self {
        self.with(Layer::Linear { outputs })
    }
    /// The same with an output of the vectors of the embedding on top, which comes last.
    #[must_use]
    pub fn tied(self) -> Self {
        self.with(Layer::Tied)
    }
    /// The same with a temporal convolutional network on top.
    #[must_use]
    pub fn tcn(self, tcn: Tcn) -> Self {
        self.with(Layer::Tcn(tcn))
    }
    /// The same with a Transformer on top.
    #[must_use]
    pub fn transformer(self, transformer: Transformer) -> Self {
        self.with(Layer::Transformer(transformer))
    }
    /// The same with self-attention on top.
    #[must_use]
    pub fn attention(self, attention: Attention) -> Self {
        self.with(Layer::Attention(attention))
    }
    fn with(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The width of what goes into each layer, and of the model's output at the end.
    ///
    /// # Errors
    /// Where the layers do not fit together, or a size or rate makes no sense.
    pub fn widths(&self) -> Result<Vec<usize>> {
        let mut width = match self.input {
            InputKind::Tokens { vocabulary } => positive(vocabulary, "vocabulary")?,
            InputKind::Values { width } => positive(width, "input width")?,
            InputKind::Words { vocabulary, letters } => {
                positive(letters, "letters")?;
                positive(vocabulary, "vocabulary")?
            }
        };
        let mut tokens = !matches!(self.input, InputKind::Values { .. });
        let first = match self.input {
            InputKind::Words { .. } => "a model that reads words begins with word vectors",
            _ => "a model that reads tokens begins with an embedding",
        };
        let (mut pooled, mut merged) = (false, None::<&Recurrent>);
        let mut widths = vec![width];
        for (at, layer) in self.layers.iter().enumerate() {
            let refuse = |text: &str| Err(Error::new(format!("layer {at} ({layer:?}): {text}")));
            let reads = matches!(
                (layer, self.input),
                (Layer::Embedding { .. }, InputKind::Tokens { .. })
                    | (Layer::Words { .. }, InputKind::Words { .. })
            );
            if tokens && !reads {
                return refuse(first);
            }
            if !tokens && matches!(layer, Layer::Embedding { .. } | Layer::Words { .. }) {
                return refuse("it reads tokens or words, and here are values");
            }
            if *layer == Layer::Transitions && (pooled || at + 1 < self.layers.len()) {
                return refuse("transitions come last, and need every step");
            }
            if matches!(layer, Layer::Decoder(_)) && (pooled || at + 1 < self.layers.len()) {
                return refuse("a decoder comes last, and looks at every step");
            }
            if *layer == Layer::Tied {
                let last = at + 1 == self.layers.len();
                match self.tied_outputs(width, last) {
                    Ok(outputs) => widths.push(outputs),
                    Err(text) => return refuse(&text),
                }
                break;
            }
            if let Layer::Pool { by: Pooling::Last } = layer
                && let Some(stack) = merged
            {
                let merge = stack.merge.name();
                return refuse(&format!(
                    "the two directions below are merged by {merge}, and each has a last step of its \
                     own; merge by concat, or pool by mean or max"
                ));
            }
            merged = match layer {
                Layer::Recurrent(stack) => Some(stack).filter(|s| s.merge != Merge::Concat),
                _ if layer.is_over_time() => None,
                Layer::Linear { .. } => None,
                _ => merged,
            };
            if pooled && layer.is_over_time() {
                return refuse("there are no steps left after pooling");
            }
            width = output_width(layer, width)
                .map_err(|error| Error::new(format!("layer {at}: {error}")))?;
            tokens = false;
            pooled |= matches!(layer, Layer::Pool { .. });
            widths.push(width);
        }
        if tokens {
            return Err(Error::new(first));
        }
        if let Some(pair) = self.seq2seq() {
            pair.check()?;
        }
        Ok(widths)
    }

    /// The outputs of a layer of the embedding's vectors on `width` values, or what is wrong with it.
    fn tied_outputs(&self, width: usize, last: bool) -> std::result::Result<usize, String> {
        match (self.input, self.layers.first()) {
            _ if !last => Err("an output of the vectors of the embedding comes last".to_owned()),
            (InputKind::Tokens { vocabulary }, Some(Layer::Embedding { width: own, .. })) => {
                if *own == width {
                    return Ok(vocabulary);
                }
                Err(format!(
                    "the vectors of the embedding are {own} wide, the layer below gives {width} values; a \
                     model with tied weights needs both equal"
                ))
            }
            _ => Err("there is no embedding whose vectors it could take".to_owned()),
        }
    }

    /// The encoder and the decoder, where there is one.
    pub fn seq2seq(&self) -> Option<Seq2SeqDescription> {
        let (Layer::Decoder(decoder), below) = self.layers.split_last()? else { return None };
        let encoder = Self { input: self.input, layers: below.to_vec() };
        Some(Seq2SeqDescription { encoder, decoder: decoder.clone() })
    }

    /// As [`Layer::states`], of all layers.
    pub(crate) fn states(&self) -> Vec<(usize, usize, usize)> {
        let mut width = match self.input {
            InputKind::Tokens { vocabulary } | InputKind::Words { vocabulary, .. } => vocabulary,
            InputKind::Values { width } => width,
        };
        let mut all = vec![];
        for layer in &self.layers {
            all.extend(layer.states(width));
            width = output_width(layer, width).unwrap_or(width);
        }
        all
    }

    /// The recurrent stacks, from the input up.
    pub fn stacks(&self) -> impl Iterator<Item = &Recurrent> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Recurrent(recurrent) => Some(recurrent),
            _ => None,
        })
    }

    /// Whether a recurrent layer is another than a plain one, whose gates can be computed again.
    pub fn has_stages(&self) -> bool {
        self.stacks().any(Recurrent::has_stages)
    }

    /// Whether there is one output for a whole sequence instead of one per step.
    pub fn is_pooled(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Pool { .. }))
    }
}

/// What reads the letters of a word.
pub(crate) fn of_letters(letters: usize, width: usize, hidden: usize) -> Description {
    let both = Recurrent::new(CellKind::Lstm, hidden).bidirectional();
    Description::tokens(letters).embedding(width).recurrent(both).pool(Pooling::Last)
}
