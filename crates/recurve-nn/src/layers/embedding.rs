//! A vector for every token.

use super::{Back, Context, Flow, Node, Signal};
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Rows, each};
use std::ops::Range;

/// Rows of the output, or numbers of the table, that one thread takes at a time.
const ROWS: usize = 256;
const NUMBERS: usize = 1 << 16;

pub(crate) struct Embedding<E: Element> {
    engine: Engine,
    range: Range<usize>,
    table: Buffer<E>,
    y: Flow<E>,
}

impl<E: Element> Embedding<E> {
    pub(crate) fn new(engine: Engine, width: usize, range: Range<usize>) -> Self {
        let table = Buffer::zeros(range.len());
        Self { engine, range, table, y: Flow::tight(width) }
    }
}

impl<E: Element> Node<E> for Embedding<E> {
    fn load(&mut self, values: &[E], _: bool) {
        let threads = self.engine.threads_over(self.range.len());
        let values = values[self.range.clone()].chunks(NUMBERS);
        each(threads, self.table.chunks_mut(NUMBERS).zip(values), |(to, from)| {
            to.copy_from_slice(from);
        });
    }

    fn forward(&mut self, _: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        let width = self.y.rows().width();
        self.y.resize(tokens.len());
        let threads = self.engine.threads_over(tokens.len() * width);
        let pieces = self.y.data_mut().chunks_mut(ROWS * width).zip(tokens.chunks(ROWS));
        each(threads, pieces, |(rows, tokens)| {
            for (row, token) in rows.chunks_exact_mut(width).zip(tokens) {
                row.copy_from_slice(&self.table[*token as usize * width..][..width]);
            }
        });
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    /// Each thread takes some tokens of the vocabulary, and adds up what their rows bring in the order
    /// of the rows.
    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        let width = self.y.rows().width();
        let d_table = &mut errors.gradients[self.range.clone()];
        let threads = self.engine.threads_over(d_table.len() + tokens.len() * width);
        let each_time = (NUMBERS / width).max(1);
        each(threads, d_table.chunks_mut(each_time * width).enumerate(), |(at, d_table)| {
            d_table.fill(E::default());
            let first = at * each_time;
            for (row, token) in tokens.iter().enumerate() {
                let Some(at) = (*token as usize).checked_sub(first) else { continue };
                let Some(to) = d_table.get_mut(at * width..(at + 1) * width) else { continue };
                for (to, d) in to.iter_mut().zip(errors.dy.row(row)) {
                    *to = *to + *d;
                }
            }
        });
    }

    fn d_input(&self) -> Rows<'_, E> {
        Rows::new(&[], 0, 0)
    }
}
