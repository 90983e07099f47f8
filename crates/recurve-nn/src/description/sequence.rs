//! Layers over sequences that are not recurrent: convolutions and attention.

use super::stacking::is_default;
use serde::{Deserialize, Serialize};

/// A temporal convolutional network: blocks of two causal convolutions whose distance doubles from block
/// to block (Bai, Kolter & Koltun 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcn {
    /// The width of every block.
    pub channels: usize,
    /// Taps of a convolution: at least 2.
    pub kernel: usize,
    /// Blocks; the convolutions of block `i` look at steps `2ⁱ` apart.
    pub blocks: usize,
    /// Whether weights are a direction and a size (Salimans & Kingma 2016).
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_norm: bool,
    /// The probability of dropout of a channel of a convolution, for a whole sequence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropout: f64,
}

impl Tcn {
    /// Convolutions of three taps, without weight normalisation and dropout.
    pub fn new(channels: usize, blocks: usize) -> Self {
        Self { channels, kernel: 3, blocks, weight_norm: false, dropout: 0.0 }
    }

    /// Steps that one output depends on, its own included.
    pub fn sight(&self) -> usize {
        1 + 2 * (self.kernel - 1) * ((1 << self.blocks) - 1)
    }

    /// Values that a stream carries for each convolution, where `input` go in.
    pub(crate) fn state_sizes(&self, input: usize) -> Vec<usize> {
        let of = |at: usize| {
            let width = if at == 0 { input } else { self.channels };
            (self.kernel.saturating_sub(1) << (at / 2)).saturating_mul(width)
        };
        (0..2 * self.blocks).map(of).collect()
    }
}

/// A Transformer with its norms first, as wide as what it reads (Vaswani et al. 2017; Xiong et al. 2020).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Layers, each of attention and two linear layers.
    pub layers: usize,
    /// Heads of the attention; they divide the width.
    pub heads: usize,
    /// The width between the two linear layers.
    pub feed_forward: usize,
    /// Whether a step sees itself and those before it only.
    pub causal: bool,
    /// How many steps a causal step sees at most, itself included; 0 where it sees the whole sequence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub context: usize,
    /// How a step knows where it stands.
    #[serde(default)]
    pub positions: Positions,
    /// The probability of dropout after the positions and of what each part adds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropout: f64,
}

/// How a step knows where it stands in its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Positions {
    /// Not at all.
    None,
    /// Sines and cosines of many lengths are added to it (Vaswani et al. 2017, section 3.5).
    #[default]
    Sinusoidal,
    /// A learned vector for each of the first `most` positions is added to it. Longer sequences are
    /// refused.
    Learned {
        /// How many there are.
        most: usize,
    },
}

impl Transformer {
    /// Steps that see those before them, up to `context`, and sines for positions; the width between the
    /// linear layers is `feed_forward`.
    pub fn causal(layers: usize, heads: usize, feed_forward: usize, context: usize) -> Self {
        let positions = Positions::Sinusoidal;
        Self { layers, heads, feed_forward, causal: true, context, positions, dropout: 0.0 }
    }

    /// Steps that see the whole sequence, and sines for positions.
    pub fn encoder(layers: usize, heads: usize, feed_forward: usize) -> Self {
        Self { causal: false, context: 0, ..Self::causal(layers, heads, feed_forward, 0) }
    }

    /// Values that a stream carries: the number of steps, and keys and values of each layer.
    pub(crate) fn state_sizes(&self, width: usize) -> Vec<usize> {
        kept(self.causal, self.context, self.layers, width)
    }
}

/// Self-attention with several heads, as wide as what it reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Heads; they divide the width.
    pub heads: usize,
    /// Whether a step sees itself and those before it only.
    pub causal: bool,
    /// How many steps a causal step sees at most, itself included; 0 where it sees the whole sequence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub context: usize,
}

impl Attention {
    pub(crate) fn state_sizes(&self, width: usize) -> Vec<usize> {
        kept(self.causal, self.context, 1, width)
    }
}

fn kept(causal: bool, context: usize, layers: usize, width: usize) -> Vec<usize> {
    let one = context.saturating_sub(1).saturating_mul(2).saturating_mul(width);
    let all = std::iter::once(1).chain(std::iter::repeat_n(one, layers));
    if causal { all.collect() } else { vec![] }
}
