//! What a batch reads: its sizes checked, its rows in the order of the layers.

use crate::batch::{Batch, Input, Order, Words};
use crate::description::{Description, InputKind};
use crate::error::{Error, Result};
use crate::layers::{Flow, Node, Signal};
use recurve_kernels::{Element, Engine, Rows};

/// What a batch reads, in the order of its rows.
pub(super) struct Read<E: Element> {
    values: Flow<E>,
    tokens: Vec<u32>,
    forms: Vec<u32>,
    letters: Vec<u32>,
    lengths: Vec<usize>,
}

impl<E: Element> Read<E> {
    pub(super) fn new(width: usize) -> Self {
        let values = Flow::tight(width);
        Self { values, tokens: vec![], forms: vec![], letters: vec![], lengths: vec![] }
    }

    /// Numbers as they were given.
    pub(super) fn rows(&self) -> Rows<'_, E> {
        self.values.rows()
    }

    /// Copies a batch whose sizes are right.
    pub(super) fn take(
        &mut self,
        batch: &Batch<'_, E>,
        kind: InputKind,
        order: &Order,
        engine: Engine,
    ) -> Result<()> {
        match (batch.input, kind) {
            (Input::Tokens(tokens), InputKind::Tokens { vocabulary }) => {
                order.gather(tokens, &mut self.tokens);
                let mut read = order.places().zip(&self.tokens);
                match read.find(|(_, token)| **token as usize >= vocabulary) {
                    Some(((_, t, b), token)) => Err(Error::new(format!(
                        "token {token} at step {t} of sequence {b}; the model knows the tokens 0 to {}",
                        vocabulary - 1
                    ))),
                    None => Ok(()),
                }
            }
            (Input::Words(words), InputKind::Words { vocabulary, letters }) => {
                order.gather(words.tokens, &mut self.tokens);
                order.gather(words.forms, &mut self.forms);
                self.letters.clear();
                self.letters.extend_from_slice(words.letters);
                self.lengths.clear();
                self.lengths.extend_from_slice(words.lengths);
                let forms = words.lengths.len();
                let over = |found: &[u32], most: usize| found.iter().any(|n| *n as usize >= most);
                let steps = words.letters.len() / forms.max(1);
                let wrong = words.letters.len() != steps * forms
                    || words.lengths.iter().any(|length| *length == 0 || *length > steps);
                if wrong
                    || over(&self.tokens, vocabulary)
                    || over(&self.forms, forms)
                    || over(&self.letters, letters)
                {
                    return Err(Error::new(format!(
                        "words that do not fit: tokens are below {vocabulary}, forms below {forms}, \
                         letters below {letters}, and a form has 1 to {steps} letters"
                    )));
                }
                Ok(())
            }
            (Input::Values(values), InputKind::Values { width }) => {
                self.values.resize(order.rows());
                self.values.fill_rows(engine, |row, to| {
                    let (t, b) = order.place(row);
                    to.copy_from_slice(&values[(t * batch.batch + b) * width..][..width]);
                });
                Ok(())
            }
            _ => unreachable!("the kind of input was checked"),
        }
    }
}

/// What the layer above `below` reads.
pub(super) fn signal<'a, E: Element>(
    below: &'a [Box<dyn Node<E>>],
    description: &Description,
    read: &'a Read<E>,
) -> Signal<'a, E> {
    match (below.last(), description.input) {
        (Some(node), _) => Signal::Rows(node.output()),
        (None, InputKind::Tokens { .. }) => Signal::Tokens(&read.tokens),
        (None, InputKind::Values { .. }) => Signal::Rows(read.values.rows()),
        (None, InputKind::Words { .. }) => Signal::Words(Words {
            tokens: &read.tokens,
            forms: &read.forms,
            letters: &read.letters,
            lengths: &read.lengths,
        }),
    }
}
