//! A vector for every token.

use super::{Back, Context, Flow, Node, Signal};
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Rows};
use std::ops::Range;

pub(crate) struct Embedding<E: Element> {
    range: Range<usize>,
    table: Buffer<E>,
    y: Flow<E>,
}

impl<E: Element> Embedding<E> {
    pub(crate) fn new(width: usize, range: Range<usize>) -> Self {
        let table = Buffer::zeros(range.len());
        Self { range, table, y: Flow::tight(width) }
    }
}

impl<E: Element> Node<E> for Embedding<E> {
    fn load(&mut self, values: &[E], _: bool) {
        self.table.copy_from_slice(&values[self.range.clone()]);
    }

    fn forward(&mut self, _: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        let width = self.y.rows().width();
        self.y.resize(tokens.len());
        for (row, token) in self.y.data_mut().chunks_exact_mut(width).zip(tokens) {
            row.copy_from_slice(&self.table[*token as usize * width..][..width]);
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        let width = self.y.rows().width();
        let d_table = &mut errors.gradients[self.range.clone()];
        d_table.fill(E::default());
        for (at, token) in tokens.iter().enumerate() {
            let to = &mut d_table[*token as usize * width..][..width];
            for (to, d) in to.iter_mut().zip(errors.dy.row(at)) {
                *to = *to + *d;
            }
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        Rows::new(&[], 0, 0)
    }
}
