//! What training keeps between forward and backward.

use crate::cells;
use crate::description::{Description, Layer};

/// How much recurrent layers keep of a forward pass for the backward pass. The results are the same
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Memory {
    /// The states and the gates of every step.
    #[default]
    Full,
    /// The states. The gates are computed again when they are needed: less than half of the memory,
    /// for up to a third more time.
    Low,
}

impl Memory {
    /// About how many bytes of `f32` a model keeps of a batch of `rows` steps, those of all its
    /// sequences together: its outputs, their gradients, and what the recurrent layers keep.
    ///
    /// # Errors
    /// Where the description is not sound.
    pub fn bytes(self, description: &Description, rows: usize) -> crate::Result<u64> {
        let widths = description.widths()?;
        let mut numbers = 2 * widths.iter().sum::<usize>();
        for (layer, input) in description.layers.iter().zip(&widths) {
            if let Layer::Tcn(tcn) = layer {
                numbers += tcn.blocks * tcn.channels * (2 * tcn.kernel + 8);
            }
            if let Layer::Transformer(transformer) = layer {
                numbers += transformer.layers * (18 * input + 4 * transformer.feed_forward);
            }
            if let Layer::Attention(_) = layer {
                numbers += 9 * input;
            }
            if let Layer::Recurrent(stack) = layer {
                let sizes = cells::sizes(stack);
                let columns = if self == Self::Full { sizes.columns } else { 0 };
                let outputs = 2 * stack.layers.saturating_sub(1);
                let units = stack.directions() * stack.hidden;
                numbers += units * stack.layers * (columns + sizes.states);
                numbers += stack.layer_width() * outputs;
            }
        }
        Ok(numbers as u64 * rows as u64 * size_of::<f32>() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::{CellKind, Description, Recurrent};

    #[test]
    fn an_lstm_keeps_four_gates_and_two_states_or_the_states_alone() {
        let description = Description::values(3).recurrent(Recurrent::new(CellKind::Lstm, 10));
        let flows = 2 * (3 + 10);
        let bytes = |memory: Memory| memory.bytes(&description, 100).expect("a sound description");
        assert_eq!(bytes(Memory::Full), 4 * 100 * (flows + 10 * (4 + 2)));
        assert_eq!(bytes(Memory::Low), 4 * 100 * (flows + 10 * 2));
    }
}
