//! One layer of a description.

use super::Recurrent;
use super::sequence::{Attention, Tcn, Transformer};
use super::stacking::is_default;
use crate::seq2seq::Decoder;
use serde::{Deserialize, Serialize};

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layer {
    /// A vector for every token.
    Embedding {
        /// The length of the vectors.
        width: usize,
        /// In training, the probability that a token of the vocabulary has the vector zero throughout
        /// a batch; the rest are scaled up (Gal & Ghahramani 2016, section 4.2).
        #[serde(default, skip_serializing_if = "is_default")]
        dropout: f64,
    },
    /// A vector for every word, joined with what a recurrent layer reads in its letters in both directions
    /// (Ling et al. 2015; Plank, Søgaard, Goldberg 2016).
    Words {
        /// The length of the vectors of words.
        width: usize,
        /// The length of the vectors of letters.
        letter_width: usize,
        /// Units of each direction over the letters; 0 leaves the letters out.
        letter_hidden: usize,
    },
    /// A stack of recurrent layers.
    Recurrent(Recurrent),
    /// A stack of causal convolutions.
    Tcn(Tcn),
    /// A stack of attention and linear layers.
    Transformer(Transformer),
    /// Self-attention.
    Attention(Attention),
    /// In training, sets each value to zero with this probability and scales up the rest.
    Dropout {
        /// From 0 up to, but not including, 1.
        rate: f64,
        /// Whether the same values are dropped at all steps of a sequence (Gal & Ghahramani 2016).
        #[serde(default, skip_serializing_if = "is_default")]
        locked: bool,
    },
    /// Mean 0 and variance 1 over the values of a step, then a gain and a shift for each
    /// (Ba, Kiros & Hinton 2016).
    LayerNorm,
    /// One vector for a whole sequence.
    Pool {
        /// How the steps become one.
        by: Pooling,
    },
    /// `y = W x + b` at every step.
    Linear {
        /// The length of `y`.
        outputs: usize,
    },
    /// `y = E x + b` at every step, where `E` are the vectors of the embedding, one for each token: input and
    /// output share their weights (Press & Wolf 2017; Inan, Khosravi & Socher 2017). `x` is as wide as they are.
    Tied,
    /// Passes on a score for each label at each step, and owns those of one label after another, which
    /// belong to the loss: a conditional random field (Lafferty, McCallum, Pereira 2001).
    Transitions,
    /// Looks at all steps and writes a sequence of its own: the layers below are the encoder of a
    /// [`Seq2Seq`](crate::seq2seq::Seq2Seq).
    Decoder(Decoder),
}

impl Layer {
    /// Whether it looks at more than one step.
    pub(super) fn is_over_time(&self) -> bool {
        matches!(
            self,
            Self::Recurrent(_)
                | Self::Tcn(_)
                | Self::Transformer(_)
                | Self::Attention(_)
                | Self::Pool { .. }
        )
    }

    /// Of each of its parts, where `input` values go in: its units, and how many numbers a sequence has in
    /// `h` and beside it.
    pub(crate) fn states(&self, input: usize) -> Vec<(usize, usize, usize)> {
        let single = |sizes: Vec<usize>| sizes.into_iter().map(|size| (size, size, 0)).collect();
        match self {
            Self::Recurrent(stack) => {
                let part = (stack.hidden, stack.output(), crate::cells::memory(stack));
                vec![part; stack.layers * stack.directions()]
            }
            Self::Tcn(tcn) => single(tcn.state_sizes(input)),
            Self::Transformer(transformer) => single(transformer.state_sizes(input)),
            Self::Attention(attention) => single(attention.state_sizes(input)),
            _ => vec![],
        }
    }

    /// What it is called in the names of its weights and in profiles.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedding { .. } => "embedding",
            Self::Recurrent(_) => "recurrent",
            Self::Tcn(_) => "tcn",
            Self::Transformer(_) => "transformer",
            Self::Attention(_) => "attention",
            Self::Dropout { .. } => "dropout",
            Self::LayerNorm => "layer-norm",
            Self::Pool { .. } => "pool",
            Self::Linear { .. } => "linear",
            Self::Tied => "tied",
            Self::Words { .. } => "words",
            Self::Transitions => "transitions",
            Self::Decoder(_) => "decoder",
        }
    }
}

/// How the steps of a sequence become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The output at the last step; of a bidirectional layer, each direction's own last step.
    Last,
    /// The mean over the steps.
    Mean,
    /// The largest value over the steps.
    Max,
    /// The mean over the steps, weighed by how a learned query scores them (Yang et al. 2016).
    Attention,
}
