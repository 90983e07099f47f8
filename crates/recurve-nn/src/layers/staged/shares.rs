//! Who takes which sequences of a step.

use super::GROUP;
use super::forward::threads;
use super::plan::Plan;
use recurve_kernels::Engine;

/// The sequences of a step, cut for the threads.
///
/// A thread that has sequences of its own goes through the whole step with them: their sums stay in its cache,
/// and threads meet once a step. Where sequences are too few to be shared out evenly, all go through the step
/// together and threads share each product and each stage.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    /// What the products of a share run on.
    pub(super) engine: Engine,
    /// The threads that shares are given to.
    pub(super) threads: usize,
    size: usize,
    alive: usize,
}

impl Shares {
    pub(super) fn new(engine: Engine, plan: &Plan, alive: usize) -> Self {
        let threads = threads(engine, alive * plan.row());
        let size = alive.div_ceil(threads).next_multiple_of(GROUP);
        if threads > 1 && size * threads <= alive + alive / 4 {
            Self { engine: engine.with_threads(1), threads, size, alive }
        } else {
            Self { engine, threads: 1, size: alive.max(1), alive }
        }
    }

    /// Each share: its first sequence, how many there are, and what `split` gives for as many.
    pub(super) fn all<T>(
        self,
        mut split: impl FnMut(usize) -> T,
    ) -> impl Iterator<Item = (usize, usize, T)> {
        cut(self.alive, self.size).map(move |(begin, rows)| (begin, rows, split(rows)))
    }
}

/// `0..count` in pieces of `size`: where each begins, and how long it is.
pub(super) fn cut(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(size).map(move |begin| (begin, size.min(count - begin)))
}

/// A struct of strips that are split and lent together.
macro_rules! strips {
    ($(#[$about:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$about])*
        pub(super) struct $name<'a, E> {
            $(pub(super) $field: recurve_kernels::StripMut<'a, E>,)*
        }

        impl<'a, E> $name<'a, E> {
            /// The first `rows` rows, which are taken away.
            pub(super) fn split(&mut self, rows: usize) -> $name<'a, E> {
                $name { $($field: self.$field.split(rows),)* }
            }

            /// For a shorter time.
            pub(super) fn borrow(&mut self) -> $name<'_, E> {
                $name { $($field: self.$field.borrow(),)* }
            }
        }
    };
}
pub(super) use strips;
