//! Self-attention as a layer of its own: what a step sees, counted and carried.

use super::attention::{SelfAttention, Sight};
use super::{Back, Context, Node, Signal};
use crate::description::Attention;
use crate::parameters::Entries;
use crate::state::Part;
use recurve_kernels::{Element, Engine, Rows};
use std::ops::Range;

pub(crate) struct AttentionLayer<E: Element> {
    inner: SelfAttention<E>,
    states: Range<usize>,
    /// Steps of each sequence, in the caller's order, before the batch.
    before: Vec<usize>,
    since: Vec<Option<usize>>,
}

impl<E: Element> AttentionLayer<E> {
    /// Layer `at` of a model; its states are those from `first_state` on.
    pub(crate) fn new(
        engine: Engine,
        at: usize,
        attention: &Attention,
        width: usize,
        entries: &Entries,
        first_state: usize,
    ) -> Self {
        let range = |name: &str| {
            let name = format!("{at}.attention.{name}");
            entries.get(&name).map_or(0..0, |entry| entry.range.clone())
        };
        let sight = match attention.causal {
            true => Sight::Past(attention.context),
            false => Sight::All,
        };
        let ranges = ["project.weight", "project.bias", "output.weight", "output.bias"].map(range);
        let parts = attention.state_sizes(width).len();
        Self {
            inner: SelfAttention::new(engine, (width, attention.heads), sight, ranges),
            states: first_state..first_state + parts,
            before: vec![],
            since: vec![],
        }
    }
}

impl<E: Element> Node<E> for AttentionLayer<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        self.inner.load(values, backward);
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]) {
        self.before.clear();
        match &mut states[self.states.clone()] {
            [counts, kept] => {
                context.count(&mut self.since, &mut self.before, counts);
                self.inner.forward(context, input.rows(), &self.before, Some(kept));
            }
            _ => {
                self.before.resize(context.order.sequences().len(), 0);
                self.inner.forward(context, input.rows(), &self.before, None);
            }
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.inner.output()
    }

    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let Back { dy, d_states, input_wanted, gradients } = errors;
        let kept = match &mut d_states[self.states.clone()] {
            [counts, kept] => {
                counts.h.fill(E::default());
                Some(kept)
            }
            _ => None,
        };
        self.inner.backward(context, input.rows(), (dy, input_wanted), kept, gradients);
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.inner.d_input()
    }
}
