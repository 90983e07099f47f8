//! The next batch, prepared on a thread of its own while the step of this one runs.
//!
//! What is prepared is a function of the position alone, so a batch is the same whoever prepared it, and
//! a run that is resumed, or asks for another position than the one foreseen, gets what it asks for. One
//! batch is prepared ahead and no more. A panic on the way becomes an error of the step that needs the
//! batch. The thread ends with [`Ahead::rest`], and with the value.

use crate::data::Position;
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// Makes the batch at a position.
type Prepare<B> = dyn Fn(Position) -> Result<B> + Send + Sync;

/// Batches, one of them in the making.
pub(super) struct Ahead<B> {
    prepare: Arc<Prepare<B>>,
    worker: Option<Worker<B>>,
    /// What the worker prepares.
    asked: Option<Position>,
}

struct Worker<B> {
    ask: Sender<Position>,
    made: Receiver<Result<B>>,
    thread: JoinHandle<()>,
}

impl<B: Send + 'static> Ahead<B> {
    /// Batches that `prepare` makes. There is no thread yet.
    pub(super) fn new(prepare: impl Fn(Position) -> Result<B> + Send + Sync + 'static) -> Self {
        Self { prepare: Arc::new(prepare), worker: None, asked: None }
    }

    /// The batch at `at`; that at `next` is begun.
    pub(super) fn take(&mut self, at: Position, next: Position) -> Result<B> {
        let foreseen = match (&self.worker, self.asked.take()) {
            (Some(worker), Some(asked)) => {
                let lost = || Error::failed("the thread that prepares batches is gone");
                let made = worker.made.recv().map_err(|_| lost())?;
                (asked == at).then_some(made)
            }
            _ => None,
        };
        let batch = foreseen.unwrap_or_else(|| (self.prepare)(at))?;
        self.begin(next);
        Ok(batch)
    }

    /// Where no thread is to be had, the batch is prepared when it is needed.
    fn begin(&mut self, next: Position) {
        if self.worker.is_none() {
            self.worker = Worker::start(Arc::clone(&self.prepare));
        }
        let asked = self.worker.as_ref().is_some_and(|worker| worker.ask.send(next).is_ok());
        self.asked = asked.then_some(next);
    }
}

impl<B> Ahead<B> {
    /// Ends the thread; the next batch starts another.
    pub(super) fn rest(&mut self) {
        self.asked = None;
        if let Some(Worker { ask, made, thread }) = self.worker.take() {
            drop((ask, made));
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

impl<B> Drop for Ahead<B> {
    fn drop(&mut self) {
        self.rest();
    }
}

impl<B: Send + 'static> Worker<B> {
    fn start(prepare: Arc<Prepare<B>>) -> Option<Self> {
        let (ask, asked) = channel::<Position>();
        let (give, made) = channel();
        let work = move || {
            for at in asked {
                let batch = catch_unwind(AssertUnwindSafe(|| prepare(at)));
                let batch = batch.unwrap_or_else(|panic| Err(panicked(at, &*panic)));
                if give.send(batch).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name("recurve-data".to_owned()).spawn(work).ok()?;
        Some(Self { ask, made, thread })
    }
}

fn panicked(at: Position, panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::failed(format!(
        "preparing batch {} of epoch {} failed, which is a bug: {text}",
        at.batch + 1,
        at.epoch + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{self, ThreadId};

    fn at(batch: u64) -> Position {
        Position { epoch: 0, batch }
    }

    #[test]
    fn batches_come_in_order_from_another_thread_one_ahead() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let mut ahead = Ahead::new(|at| {
            MADE.fetch_add(1, Ordering::SeqCst);
            Ok((at, thread::current().id()))
        });
        let own: ThreadId = thread::current().id();
        for batch in 0..20 {
            let (found, by) = ahead.take(at(batch), at(batch + 1)).unwrap();
            assert_eq!(found, at(batch));
            assert_eq!(by == own, batch == 0);
            assert!(MADE.load(Ordering::SeqCst) <= batch as usize + 2);
        }
        // Another position than the one foreseen, as after resuming.
        assert_eq!(ahead.take(at(7), at(8)).unwrap().0, at(7));
        assert_eq!(ahead.take(at(8), at(9)).unwrap().0, at(8));
        ahead.rest();
        assert_eq!(ahead.take(at(9), at(10)).unwrap(), (at(9), own));
    }

    #[test]
    fn errors_and_panics_come_with_the_batch_they_belong_to() {
        let mut ahead = Ahead::new(|at| match at.batch {
            2 => Err(Error::usage("row 7 is wrong")),
            3 => panic!("index {}", 9),
            batch => Ok(batch),
        });
        assert_eq!(ahead.take(at(0), at(1)).unwrap(), 0);
        assert_eq!(ahead.take(at(1), at(2)).unwrap(), 1);
        assert_eq!(ahead.take(at(2), at(3)).unwrap_err().to_string(), "row 7 is wrong");
        assert_eq!(ahead.take(at(1), at(3)).unwrap(), 1);
        let error = ahead.take(at(3), at(4)).unwrap_err().to_string();
        assert!(error.contains("batch 4 of epoch 1") && error.contains("index 9"), "{error}");
        assert_eq!(ahead.take(at(4), at(5)).unwrap(), 4);
    }

    #[test]
    fn nothing_is_left_when_it_is_dropped() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let mut ahead = Ahead::new(move |_| Ok(Arc::strong_count(&held)));
        ahead.take(at(0), at(1)).unwrap();
        drop(ahead);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
