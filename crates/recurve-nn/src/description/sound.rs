//! Whether a description is sound, layer by layer.

use super::{Connection, Layer, Merge, Positions, Recurrent};
use crate::error::{Error, Result};

/// The width of what comes out of a layer into which `width` values go.
pub(super) fn output_width(layer: &Layer, width: usize) -> Result<usize> {
    match layer {
        Layer::Embedding { width, dropout } => {
            rate(*dropout)?;
            positive(*width, "embedding width")
        }
        Layer::Linear { outputs } => positive(*outputs, "linear outputs"),
        Layer::Recurrent(recurrent) => {
            positive(recurrent.hidden, "hidden")?;
            within(recurrent.layers, "layers", MOST_LAYERS)?;
            crate::options::check(recurrent)?;
            rate(recurrent.dropout)?;
            rate(recurrent.weight_dropout)?;
            check_joins(recurrent)?;
            crate::cells::check(recurrent, width)?;
            let width = recurrent.layer_input(recurrent.layers, width).max(recurrent.width());
            positive(width, "the widest input of the stack")?;
            Ok(recurrent.width())
        }
        Layer::Dropout { rate: p, .. } => rate(*p).map(|()| width),
        Layer::Tcn(tcn) => {
            positive(tcn.channels, "channels")?;
            between(tcn.kernel, "kernel", 2..=MOST_LAYERS)?;
            between(tcn.blocks, "blocks", 1..=MOST_BLOCKS)?;
            rate(tcn.dropout)?;
            carried(&tcn.state_sizes(width))?;
            Ok(tcn.channels)
        }
        Layer::Transformer(transformer) => {
            within(transformer.layers, "layers", MOST_LAYERS)?;
            positive(transformer.feed_forward, "feed_forward")?;
            rate(transformer.dropout)?;
            if let Positions::Learned { most } = transformer.positions {
                positive(most, "the number of learned positions")?;
            }
            check_heads(transformer.heads, width)?;
            check_context(transformer.causal, transformer.context)?;
            carried(&transformer.state_sizes(width)).map(|()| width)
        }
        Layer::Attention(attention) => {
            check_heads(attention.heads, width)?;
            check_context(attention.causal, attention.context)?;
            carried(&attention.state_sizes(width)).map(|()| width)
        }
        // How many outputs tied weights give depends on the tokens that are read.
        Layer::Pool { .. } | Layer::LayerNorm | Layer::Transitions | Layer::Tied => Ok(width),
        Layer::Decoder(decoder) => positive(decoder.vocabulary, "decoder vocabulary"),
        Layer::Words { width, letter_width, letter_hidden } => {
            positive(*letter_width, "letter width")?;
            within(letter_hidden + 1, "letter hidden", MOST_VALUES)?;
            Ok(positive(*width, "width of word vectors")? + 2 * letter_hidden)
        }
    }
}

/// Whether heads can share a width.
fn check_heads(heads: usize, width: usize) -> Result<()> {
    within(heads, "heads", MOST_LAYERS)?;
    if !width.is_multiple_of(heads) {
        let text = format!("{heads} heads do not divide a width of {width}; choose a divisor");
        return Err(Error::new(text));
    }
    Ok(())
}

/// Whether a causal layer says how far it looks back, and no other does.
fn check_context(causal: bool, context: usize) -> Result<()> {
    match (causal, context) {
        (true, context) => between(context, "context", 2..=MOST_VALUES).map(|_| ()),
        (false, 0) => Ok(()),
        (false, context) => Err(Error::new(format!(
            "context is {context}, but the layer sees whole sequences; make it causal, or leave it out"
        ))),
    }
}

/// Whether what a stream carries has a size that fits in memory.
fn carried(sizes: &[usize]) -> Result<()> {
    sizes.iter().try_for_each(|size| {
        between(*size, "the values that a stream carries in one part", 0..=MOST_VALUES).map(|_| ())
    })
}

/// Whether there is something to join where a way of joining is chosen.
fn check_joins(stack: &Recurrent) -> Result<()> {
    let refuse = |text: String| Err(Error::new(text));
    if stack.merge != Merge::Concat && !stack.bidirectional {
        let merge = stack.merge.name();
        return refuse(format!(
            "merge is `{merge}`, and there is one direction; make it bidirectional"
        ));
    }
    if stack.connection != Connection::Plain && stack.layers == 1 {
        let connection = stack.connection.name();
        return refuse(format!(
            "connection is `{connection}`, which joins layers, and there is one layer; add layers"
        ));
    }
    if stack.weight_dropout > 0.0 && stack.cell.recurrent_gates() == 0 {
        let cell = stack.cell.name();
        return refuse(format!("weight_dropout, but the cell {cell} has no recurrent weights"));
    }
    if stack.locked && stack.dropout == 0.0 {
        return refuse("locked dropout with a rate of 0; set dropout".to_owned());
    }
    Ok(())
}

/// So small that no product of two sizes overflows.
const MOST_VALUES: usize = 1 << 28;
/// So small that a list of all parameters fits in memory.
const MOST_LAYERS: usize = 1 << 12;
/// So small that twice as far at each block is still a number of steps.
const MOST_BLOCKS: usize = 24;

pub(super) fn positive(size: usize, what: &str) -> Result<usize> {
    within(size, what, MOST_VALUES)
}

fn within(size: usize, what: &str, most: usize) -> Result<usize> {
    between(size, what, 1..=most)
}

fn between(size: usize, what: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize> {
    if range.contains(&size) {
        return Ok(size);
    }
    let (least, most) = (range.start(), range.end());
    Err(Error::new(format!("{what} is {size}; it must be at least {least} and at most {most}")))
}

fn rate(rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        Ok(())
    } else {
        Err(Error::new(format!("a dropout of {rate}; it must be at least 0 and less than 1")))
    }
}
