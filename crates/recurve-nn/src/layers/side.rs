//! Layers of a stack side by side: what each reads besides the layer below, and the output of all.
//!
//! The columns of what layer `l` reads are those of the stack's input, then those of the outputs that it
//! sees: of the layer below, or of all below. A column that is read by several adds up what comes back
//! from each, in the order of the layers.

use super::stack::StackLayer;
use super::{Context, Flow};
use crate::description::{Connection, Recurrent};
use recurve_kernels::{Element, Engine, Rows};

pub(crate) struct Side<E: Element> {
    engine: Engine,
    /// Whether a layer sees all layers below, or the nearest.
    all: bool,
    /// Columns of the stack's input, and of a layer's output.
    input: usize,
    width: usize,
    /// What each layer but the first reads.
    read: Vec<Flow<E>>,
    y: Flow<E>,
    /// The gradient of each layer's output.
    dy: Vec<Flow<E>>,
    dx: Flow<E>,
}

impl<E: Element> Side<E> {
    /// For stacks whose layers read more than the layer below.
    pub(crate) fn of(engine: Engine, stack: &Recurrent, input: usize) -> Option<Self> {
        let all = match stack.connection {
            Connection::Plain | Connection::Residual | Connection::Highway => return None,
            Connection::Skip => false,
            Connection::Dense => true,
        };
        let width = stack.layer_width();
        let read = (1..stack.layers).map(|layer| Flow::tight(stack.layer_input(layer, input)));
        let dy = (0..stack.layers).map(|_| Flow::padded(engine, width));
        let (read, dy) = (read.collect(), dy.collect());
        let (y, dx) = (Flow::tight(stack.width()), Flow::padded(engine, input));
        Some(Self { engine, all, input, width, read, y, dy, dx })
    }

    /// The first layer that `layer` sees.
    fn first(&self, layer: usize) -> usize {
        if self.all { 0 } else { layer - 1 }
    }

    /// What the layer above `below` reads.
    pub(crate) fn gather(
        &mut self,
        context: &Context<'_>,
        x: Rows<'_, E>,
        below: &[StackLayer<E>],
    ) -> Rows<'_, E> {
        let layer = below.len();
        let seen = &below[self.first(layer)..];
        let (input, width) = (self.input, self.width);
        let read = &mut self.read[layer - 1];
        read.resize(context.order.rows());
        read.fill_rows(self.engine, |row, to| {
            let (own, outputs) = to.split_at_mut(input);
            own.copy_from_slice(x.row(row));
            for (to, from) in outputs.chunks_exact_mut(width).zip(seen) {
                to.copy_from_slice(from.output().row(row));
            }
        });
        read.rows()
    }

    /// What layer `layer`, not the first, read in the last pass.
    pub(crate) fn read(&self, layer: usize) -> Rows<'_, E> {
        self.read[layer - 1].rows()
    }

    /// Puts the outputs of all layers side by side.
    pub(crate) fn collect(&mut self, context: &Context<'_>, layers: &[StackLayer<E>]) {
        self.y.resize(context.order.rows());
        let width = self.width;
        self.y.fill_rows(self.engine, |row, y| {
            for (to, from) in y.chunks_exact_mut(width).zip(layers) {
                to.copy_from_slice(from.output().row(row));
            }
        });
    }

    pub(crate) fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    /// Adds up the gradient of the output of layer `layer`: its part of that of the stack's output, and what
    /// the layers above give back.
    pub(crate) fn sum_output(
        &mut self,
        context: &Context<'_>,
        (layer, dy): (usize, Rows<'_, E>),
        above: &[StackLayer<E>],
    ) {
        let (width, input, all) = (self.width, self.input, self.all);
        let to = &mut self.dy[layer];
        to.resize(context.order.rows());
        to.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(&dy.row(row)[layer * width..][..width]);
            let readers = if all { above } else { &above[..above.len().min(1)] };
            for reader in readers {
                let place = if all { layer } else { 0 };
                let d = &reader.d_input().row(row)[input + place * width..][..width];
                to.iter_mut().zip(d).for_each(|(to, d)| *to = *to + *d);
            }
        });
    }

    /// What [`Side::sum_output`] found for layer `layer`.
    pub(crate) fn d_output(&self, layer: usize) -> Rows<'_, E> {
        self.dy[layer].rows()
    }

    /// Adds up the gradient of the stack's input out of those of what the layers read.
    pub(crate) fn sum_input(&mut self, context: &Context<'_>, layers: &[StackLayer<E>]) {
        self.dx.resize(context.order.rows());
        let input = self.input;
        self.dx.fill_rows(self.engine, |row, dx| {
            dx.fill(E::default());
            for layer in layers {
                let d = &layer.d_input().row(row)[..input];
                dx.iter_mut().zip(d).for_each(|(dx, d)| *dx = *dx + *d);
            }
        });
    }

    pub(crate) fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
