//! One vector for a whole sequence.

use super::{Back, Context, Flow, Node, Signal};
use crate::batch::Order;
use crate::description::{Merge, Pooling, Recurrent};
use crate::state::Part;
use recurve_kernels::{Element, Engine, Rows};

/// Which values come from a direction that reads from the end: its last step is the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Values after which the pattern repeats.
    period: usize,
    /// Where those begin within it that come from the end.
    from: usize,
}

impl Default for Ends {
    /// None.
    fn default() -> Self {
        Self { period: usize::MAX, from: usize::MAX }
    }
}

impl Ends {
    /// Of the output of a stack.
    pub(crate) fn of(stack: &Recurrent) -> Self {
        if stack.bidirectional && stack.merge == Merge::Concat {
            Self { period: stack.layer_width(), from: stack.output() }
        } else {
            Self::default()
        }
    }

    fn contains(self, unit: usize) -> bool {
        unit % self.period >= self.from
    }
}

pub(crate) struct Pool<E: Element> {
    by: Pooling,
    ends: Ends,
    /// The row that each value of the output was taken from.
    taken: Vec<usize>,
    y: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> Pool<E> {
    pub(crate) fn new(engine: Engine, by: Pooling, width: usize, ends: Ends) -> Self {
        Self { by, ends, taken: vec![], y: Flow::tight(width), dx: Flow::padded(engine, width) }
    }
}

/// Each sequence as the caller counts it, and its rows from its first step to its last.
fn sequences(
    order: &Order,
) -> impl Iterator<Item = (usize, impl DoubleEndedIterator<Item = usize> + ExactSizeIterator)> {
    order.sequences().iter().enumerate().map(|(place, b)| {
        let steps = order.steps();
        (*b, (0..steps.lengths()[place]).map(move |t| steps.first_row(t) + place))
    })
}

impl<E: Element> Node<E> for Pool<E> {
    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let x = input.rows();
        let width = x.width();
        let count = context.order.sequences().len();
        self.y.resize(count);
        self.y.data_mut().fill(E::default());
        self.taken.clear();
        self.taken.resize(count * width, usize::MAX);
        for (b, mut rows) in sequences(context.order) {
            let (y, taken) = (self.y.row_mut(b), &mut self.taken[b * width..][..width]);
            let Some(first) = rows.next() else { continue };
            match self.by {
                Pooling::Last => {
                    let last = rows.next_back().unwrap_or(first);
                    for (u, (y, taken)) in y.iter_mut().zip(taken).enumerate() {
                        *taken = if self.ends.contains(u) { first } else { last };
                        *y = x.row(*taken)[u];
                    }
                }
                Pooling::Max => {
                    y.copy_from_slice(x.row(first));
                    taken.fill(first);
                    for row in rows {
                        for ((y, taken), v) in y.iter_mut().zip(&mut *taken).zip(x.row(row)) {
                            // NaN is larger than all, so that it shows.
                            if *v > *y || v.partial_cmp(v).is_none() {
                                (*y, *taken) = (*v, row);
                            }
                        }
                    }
                }
                Pooling::Attention => unreachable!("attention weighs steps in a layer of its own"),
                Pooling::Mean => {
                    let share = E::from_f64(1.0 / (rows.len() + 1) as f64);
                    y.copy_from_slice(x.row(first));
                    for row in rows {
                        y.iter_mut().zip(x.row(row)).for_each(|(y, v)| *y = *y + *v);
                    }
                    y.iter_mut().for_each(|y| *y = *y * share);
                }
            }
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, context: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        let width = self.y.rows().width();
        self.dx.resize(context.order.rows());
        self.dx.data_mut().fill(E::default());
        for (b, rows) in sequences(context.order) {
            let dy = errors.dy.row(b);
            if self.by == Pooling::Mean {
                let share = E::from_f64(1.0 / rows.len().max(1) as f64);
                for row in rows {
                    self.dx.row_mut(row).iter_mut().zip(dy).for_each(|(dx, d)| *dx = *d * share);
                }
            } else {
                let taken = &self.taken[b * width..][..width];
                for (u, (row, d)) in taken.iter().zip(dy).enumerate() {
                    if *row != usize::MAX {
                        self.dx.row_mut(*row)[u] = *d;
                    }
                }
            }
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
