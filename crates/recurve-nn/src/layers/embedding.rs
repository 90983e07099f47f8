//! A vector for every token.

use super::dropout::{Factors, Kind};
use super::{Back, Context, Flow, Mode, Node, Signal};
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
    /// The id of its dropout, and the rate.
    dropout: (u64, f64),
    /// Whether a layer above has the same weights, and has written its gradient of them before.
    shared: bool,
    /// The factor of each row, where tokens are dropped in this pass.
    factors: Vec<E>,
    y: Flow<E>,
}

impl<E: Element> Embedding<E> {
    pub(crate) fn new(engine: Engine, width: usize, range: Range<usize>) -> Self {
        let table = Buffer::zeros(range.len());
        let (dropout, factors) = ((0, 0.0), vec![]);
        let y = Flow::tight(width);
        Self { engine, range, table, dropout, shared: false, factors, y }
    }

    /// The same whose weights are those of a layer above too, if so.
    pub(crate) fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }

    /// The same with tokens that are dropped in training; `id` tells the masks of a model apart.
    pub(crate) fn dropped(self, id: u64, rate: f64) -> Self {
        Self { dropout: (id, rate), ..self }
    }

    /// Draws one factor for every token of the vocabulary that is read.
    fn draw(&mut self, context: &Context<'_>, tokens: &[u32]) {
        self.factors.clear();
        if let (Mode::Train(noise), (id, rate)) = (context.mode, self.dropout)
            && rate > 0.0
        {
            let source = Factors::new(noise, Kind::Tokens, id, rate);
            self.factors.resize(tokens.len(), E::default());
            let threads = self.engine.threads_over(tokens.len() * 64);
            let pieces = self.factors.chunks_mut(ROWS).zip(tokens.chunks(ROWS));
            each(threads, pieces, |(factors, tokens)| {
                for (factor, token) in factors.iter_mut().zip(tokens) {
                    *factor = source.of(u64::from(*token))();
                }
            });
        }
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

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        self.draw(context, tokens);
        let width = self.y.rows().width();
        self.y.resize(tokens.len());
        let threads = self.engine.threads_over(tokens.len() * width);
        let pieces = self.y.data_mut().chunks_mut(ROWS * width).zip(tokens.chunks(ROWS));
        each(threads, pieces.enumerate(), |(piece, (rows, tokens))| {
            for (at, (row, token)) in rows.chunks_exact_mut(width).zip(tokens).enumerate() {
                row.copy_from_slice(&self.table[*token as usize * width..][..width]);
                if let Some(factor) = self.factors.get(piece * ROWS + at) {
                    row.iter_mut().for_each(|value| *value = *value * *factor);
                }
            }
        });
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let Signal::Tokens(tokens) = input else { unreachable!("an embedding reads tokens") };
        let d_table = &mut errors.gradients[self.range.clone()];
        if !self.shared {
            clear(self.engine, d_table);
        }
        add_up((self.engine, &self.factors), tokens, errors.dy, d_table);
    }

    fn d_input(&self) -> Rows<'_, E> {
        Rows::new(&[], 0, 0)
    }
}

/// No gradient of a table of vectors.
pub(super) fn clear<E: Element>(engine: Engine, d_table: &mut [E]) {
    let threads = engine.threads_over(d_table.len());
    each(threads, d_table.chunks_mut(NUMBERS), |piece| piece.fill(E::default()));
}

/// Adds to the gradient of a table of vectors that of its rows `[rows, width]`, each with its factor if it has
/// one. Each thread takes some tokens of the vocabulary, and adds up what their rows bring in the order of the
/// rows.
pub(super) fn add_up<E: Element>(
    (engine, factors): (Engine, &[E]),
    tokens: &[u32],
    dy: Rows<'_, E>,
    d_table: &mut [E],
) {
    let width = dy.width();
    let threads = engine.threads_over(d_table.len() + tokens.len() * width);
    let each_time = (NUMBERS / width).max(1);
    each(threads, d_table.chunks_mut(each_time * width).enumerate(), |(at, d_table)| {
        let first = at * each_time;
        for (row, token) in tokens.iter().enumerate() {
            let Some(at) = (*token as usize).checked_sub(first) else { continue };
            let Some(to) = d_table.get_mut(at * width..(at + 1) * width) else { continue };
            let dy = to.iter_mut().zip(dy.row(row));
            match factors.get(row) {
                Some(factor) => dy.for_each(|(to, d)| *to = *to + *d * *factor),
                None => dy.for_each(|(to, d)| *to = *to + *d),
            }
        }
    });
}
