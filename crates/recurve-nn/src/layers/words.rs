//! A vector for each word: one from a table, joined with what a network of its own reads in the letters.
//!
//! The letters of a form are read once for all words of the batch that are written so, in both directions;
//! the last step of each direction is what is taken. The gradient of a form is the sum over its words in the
//! order of the rows.

use super::embedding::{add_up, clear};
use super::{Back, Context, Flow, Node, Signal};
use crate::batch::{Batch, Input, Words};
use crate::description::of_letters;
use crate::error::Result;
use crate::network::Network;
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Rows};
use std::ops::Range;

pub(crate) struct WordVectors<E: Element> {
    engine: Engine,
    range: Range<usize>,
    width: usize,
    table: Buffer<E>,
    letters: Option<Letters<E>>,
    y: Flow<E>,
    /// The gradient of the vectors of words, and of forms.
    d_words: Flow<E>,
    d_forms: Vec<E>,
}

/// The network over the letters and its place among the weights.
struct Letters<E: Element> {
    network: Box<Network<E>>,
    range: Range<usize>,
}

impl<E: Element> WordVectors<E> {
    /// `letters` are how many there are, the width of their vectors and the units over them.
    pub(crate) fn new(
        engine: Engine,
        (range, width): (Range<usize>, usize),
        (letters, letter_width, hidden): (usize, usize, usize),
    ) -> Result<Self> {
        let letters = if hidden > 0 {
            let description = of_letters(letters, letter_width, hidden);
            let network = Box::new(Network::new(&description, engine)?);
            let first = range.end;
            let count = crate::parameters::Entries::of(&description)?.len();
            Some(Letters { network, range: first..first + count })
        } else {
            None
        };
        Ok(Self {
            engine,
            table: Buffer::zeros(range.len()),
            range,
            width,
            letters,
            y: Flow::tight(width + 2 * hidden),
            d_words: Flow::tight(width),
            d_forms: vec![],
        })
    }
}

fn words<'a, E>(input: Signal<'a, E>) -> Words<'a> {
    match input {
        Signal::Words(words) => words,
        _ => unreachable!("word vectors read words"),
    }
}

impl<E: Element> Node<E> for WordVectors<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        self.table.copy_from_slice(&values[self.range.clone()]);
        if let Some(letters) = &mut self.letters {
            letters.network.load(&values[letters.range.clone()], backward);
        }
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let words = words(input);
        let read: &[E] = match &mut self.letters {
            Some(letters) => {
                let count = words.lengths.len();
                let steps = words.letters.len() / count.max(1);
                let batch = Batch::new(steps, count, Input::Tokens(words.letters));
                let batch = batch.lengths(words.lengths);
                match letters.network.forward(&batch, None, context.mode) {
                    Ok(read) => read,
                    Err(error) => unreachable!("the letters were checked: {error}"),
                }
            }
            None => &[],
        };
        self.y.resize(words.tokens.len());
        let (table, width) = (&self.table, self.width);
        self.y.fill_rows(self.engine, |row, to| {
            let (word, form) = to.split_at_mut(width);
            word.copy_from_slice(&table[words.tokens[row] as usize * width..][..width]);
            let size = form.len();
            form.copy_from_slice(&read[words.forms[row] as usize * size..][..size]);
        });
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let words = words(input);
        let (width, size) = (self.width, self.y.rows().width() - self.width);
        self.d_words.resize(words.tokens.len());
        self.d_words.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(&errors.dy.row(row)[..width]);
        });
        let gradients = errors.gradients;
        let d_table = &mut gradients[self.range.clone()];
        clear(self.engine, d_table);
        add_up((self.engine, &[]), words.tokens, self.d_words.rows(), d_table);
        let Some(letters) = &mut self.letters else { return };
        self.d_forms.clear();
        self.d_forms.resize(words.lengths.len() * size, E::default());
        for (row, form) in words.forms.iter().enumerate() {
            let to = &mut self.d_forms[*form as usize * size..][..size];
            for (to, d) in to.iter_mut().zip(&errors.dy.row(row)[width..]) {
                *to = *to + *d;
            }
        }
        let own = &mut gradients[letters.range.clone()];
        if let Err(error) = letters.network.backward(&self.d_forms, own, None) {
            unreachable!("the forward pass was for training: {error}");
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        Rows::new(&[], 0, 0)
    }
}
