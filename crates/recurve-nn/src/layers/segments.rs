//! The sequences that resets cut a batch into.
//!
//! The kernels start a sequence anew from zero states. Where a layer starts from learned states, each
//! stretch between two resets is a sequence of its own instead, with its own initial states; rows stand
//! in the order of these sequences, the longest first, and in both directions.

use super::Context;
use recurve_kernels::Steps;
use std::cmp::Reverse;

#[derive(Debug)]
pub(crate) struct Segments {
    pieces: Vec<Piece>,
    steps: Steps,
    /// For each own row, the row of the batch; forward and reverse.
    rows: [Vec<usize>; 2],
    /// For each row of the batch, the own row.
    own: [Vec<usize>; 2],
}

/// A stretch of one sequence.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The place of the sequence in the order of the batch.
    place: usize,
    first: usize,
    length: usize,
    /// Whether nothing of the sequence stands before it, and no reset at its first step.
    opens: bool,
    /// Whether nothing stands before it, or after it.
    is_first: bool,
    is_last: bool,
}

impl Default for Segments {
    fn default() -> Self {
        let steps = Steps::of_lengths(vec![]);
        Self { pieces: vec![], steps, rows: [vec![], vec![]], own: [vec![], vec![]] }
    }
}

impl Segments {
    /// Cuts the sequences of a batch at its resets.
    pub(crate) fn cut(&mut self, context: &Context<'_>) {
        let whole = context.order.steps();
        let starts = |t: usize, place: usize| context.resets[whole.first_row(t) + place];
        self.pieces.clear();
        for (place, &length) in whole.lengths().iter().enumerate() {
            let mut first = 0;
            for t in 1..=length {
                if t == length || starts(t, place) {
                    let opens = first == 0 && !starts(0, place);
                    let (is_first, is_last, length) = (first == 0, t == length, t - first);
                    self.pieces.push(Piece { place, first, length, opens, is_first, is_last });
                    first = t;
                }
            }
        }
        self.pieces.sort_by_key(|piece| Reverse(piece.length));
        self.steps = Steps::of_lengths(self.pieces.iter().map(|piece| piece.length).collect());
        for (reverse, (rows, own)) in self.rows.iter_mut().zip(&mut self.own).enumerate() {
            rows.clear();
            own.clear();
            own.resize(self.steps.rows(), 0);
            for t in 0..self.steps.count() {
                for piece in &self.pieces[..self.steps.active(t)] {
                    let step = if reverse == 1 { piece.length - 1 - t } else { t };
                    let row = whole.first_row(piece.first + step) + piece.place;
                    own[row] = rows.len();
                    rows.push(row);
                }
            }
        }
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The row of the batch that own row `at` is.
    pub(crate) fn row(&self, reverse: bool, at: usize) -> usize {
        self.rows[usize::from(reverse)][at]
    }

    /// The own row that row `at` of the batch is.
    pub(crate) fn own(&self, reverse: bool, at: usize) -> usize {
        self.own[usize::from(reverse)][at]
    }

    /// Of each own sequence: the place of the sequence in the batch that it is a stretch of; whether a
    /// layer enters it with the state that it was given, and whether it leaves that behind.
    pub(crate) fn ends(&self, reverse: bool) -> impl Iterator<Item = (usize, bool, bool)> + Clone {
        self.pieces.iter().map(move |piece| {
            if reverse {
                (piece.place, piece.is_last, piece.is_first)
            } else {
                (piece.place, piece.opens, piece.is_last)
            }
        })
    }
}
