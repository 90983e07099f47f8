//! Scores of labels passed on. The scores of one label after another are weights of this layer, but what is
//! done with them is the loss: it reads them from the network and adds their gradient.

use super::{Back, Context, Flow, Node, Signal};
use crate::state::Part;
use recurve_kernels::{Element, Engine, Rows};
use std::ops::Range;

pub(crate) struct Transitions<E: Element> {
    engine: Engine,
    range: Range<usize>,
    y: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> Transitions<E> {
    pub(crate) fn new(engine: Engine, range: Range<usize>, width: usize) -> Self {
        Self { engine, range, y: Flow::tight(width), dx: Flow::padded(engine, width) }
    }
}

impl<E: Element> Node<E> for Transitions<E> {
    fn forward(&mut self, _: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let x = input.rows();
        self.y.resize(x.count());
        self.y.fill_rows(self.engine, |row, to| to.copy_from_slice(x.row(row)));
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        errors.gradients[self.range.clone()].fill(E::default());
        self.dx.resize(errors.dy.count());
        self.dx.fill_rows(self.engine, |row, to| to.copy_from_slice(errors.dy.row(row)));
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
