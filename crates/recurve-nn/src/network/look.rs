//! A look at everything that the layers did.

use super::Network;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::layers::{Context, Mode};
use crate::state::State;
use crate::trace::Trace;
use recurve_kernels::{Element, Precision};

impl<E: Element> Network<E> {
    /// Runs a batch as [`Network::forward`] for inference, and gives the outputs, and the gates and states of
    /// every step of all recurrent layers.
    ///
    /// # Errors
    /// As [`Network::forward`], and where the engine has another than full precision, in which not all of
    /// them are there.
    pub fn trace(
        &mut self,
        batch: &Batch<'_, E>,
        state: Option<&mut State<E>>,
    ) -> Result<Trace<E>> {
        if self.precision != Precision::Full {
            let precision = self.precision.name();
            let text = format!("a trace in the precision `{precision}`; choose full precision");
            return Err(Error::new(text));
        }
        if self.description.has_stages() {
            return Err(Error::new(
                "a trace of a recurrent layer with more in its steps than products and a cell, or of an mlstm: not \
                 available",
            ));
        }
        self.traced = true;
        let ran = self.forward_through(batch, state, Mode::Infer, self.nodes.len());
        self.traced = false;
        ran?;
        let mut layers = vec![];
        let context = Context {
            order: &self.order,
            resets: &self.resets,
            mode: Mode::Infer,
            memory: self.memory,
            traced: true,
            given: self.given,
            segments: None,
        };
        for (node, name) in self.nodes.iter().zip(&self.names) {
            node.trace(&context, name, &mut layers);
        }
        let outputs = self.collect().to_vec();
        Ok(Trace { layers, outputs })
    }
}
