//! Workers that live as long as the process.
//!
//! A layer wakes them once and they stay together for all its steps, meeting at a [`Member::meet`]
//! where the work asks for it; starting threads per step would cost more than the step. A worker
//! that waits spins for a bounded time, then gives its core away.
//!
//! The pool is never waited for. Where it is busy (another thread is inside a layer, or the call
//! comes from a worker), the caller does the whole work alone; results are the same for any number
//! of members, so nobody can see the difference but in time.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, TryLockError};
use std::time::{Duration, Instant};

/// How long a waiting worker spins before it sleeps or yields.
const SPIN: Duration = Duration::from_micros(60);

/// One of the threads that do a piece of work together.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Which one, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    meeting: &'a Meeting,
}

impl Member<'_> {
    /// Waits until every member has come here. What each wrote before is seen by all after.
    pub fn meet(&self) {
        if self.count > 1 {
            self.meeting.wait(self.count);
        }
    }

    /// This member's part of `0..total`, in order, with bounds at multiples of `unit`.
    pub fn share(&self, total: usize, unit: usize) -> Range<usize> {
        let units = total.div_ceil(unit);
        let bound = |i: usize| (units * i / self.count * unit).min(total);
        bound(self.index)..bound(self.index + 1)
    }
}

/// How many threads the process may use: what affinity and the cgroup quota leave.
pub fn available_threads() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Runs `work` on up to `threads` members at once and returns when all are done.
///
/// # Panics
/// Where `work` panics in any member.
pub fn together(threads: usize, work: impl Fn(Member<'_>) + Sync) {
    let count = threads.min(available_threads());
    if count > 1 {
        static CREW: OnceLock<Mutex<Crew>> = OnceLock::new();
        let crew = CREW.get_or_init(|| Mutex::new(Crew::new(available_threads() - 1)));
        match crew.try_lock() {
            Ok(crew) => return crew.run(count, &work),
            // A member panicked in an earlier call; all had let go of the work before that was passed on.
            Err(TryLockError::Poisoned(crew)) => return crew.into_inner().run(count, &work),
            Err(TryLockError::WouldBlock) => {}
        }
    }
    work(Member { index: 0, count: 1, meeting: &Meeting::default() });
}

#[derive(Default)]
struct Meeting {
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
}

impl Meeting {
    fn wait(&self, count: usize) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == count {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
        } else {
            spin(|| {
                assert!(!self.broken.load(Ordering::Relaxed), "another worker panicked");
                self.round.load(Ordering::Acquire) != round
            });
        }
    }
}

/// Waits for `done`, at first by spinning, then giving the core away between looks.
fn spin(mut done: impl FnMut() -> bool) {
    if spin_for_a_while(&mut done) {
        return;
    }
    while !done() {
        std::thread::yield_now();
    }
}

fn spin_for_a_while(done: &mut impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        for _ in 0..32 {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        if begin.elapsed() > SPIN {
            return false;
        }
    }
}

type Work<'a> = dyn Fn(Member<'_>) + Sync + 'a;

/// What the caller hands to the workers: valid from `orders` going up until `left` is 0.
#[derive(Clone, Copy)]
struct Job {
    work: *const Work<'static>,
    meeting: *const Meeting,
    count: usize,
}

// SAFETY: the pointers are followed only between the caller's order and the worker's counting itself
// out of `left`. So long the caller stays in `Crew::run`, which borrows what they point to, even if its
// own part panics; both are `Sync`. Afterwards the pointers lie on the board, and nobody follows them.
unsafe impl Send for Job {}

struct Board {
    orders: AtomicUsize,
    left: AtomicUsize,
    job: Mutex<Option<Job>>,
    called: Condvar,
}

struct Crew {
    workers: usize,
    board: Arc<Board>,
}

impl Crew {
    fn new(workers: usize) -> Self {
        let board = Arc::new(Board {
            orders: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            job: Mutex::new(None),
            called: Condvar::new(),
        });
        let mut started = 0;
        for index in 1..=workers {
            let board = Arc::clone(&board);
            let name = format!("recurve-{index}");
            match std::thread::Builder::new().name(name).spawn(move || work_for(&board, index)) {
                Ok(_) => started += 1,
                Err(_) => break,
            }
        }
        Self { workers: started, board }
    }

    fn run(&self, count: usize, work: &Work<'_>) {
        let count = count.min(self.workers + 1);
        let meeting = Meeting::default();
        // SAFETY: only the lifetime changes, and the workers let go of the pointer before this
        // function returns: it waits for `left` to reach 0.
        let endless = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        let board = &*self.board;
        board.left.store(self.workers, Ordering::Relaxed);
        {
            let mut job = board.job.lock().expect("no worker panics while it holds the lock");
            *job = Some(Job { work: endless, meeting: &meeting, count });
            board.orders.fetch_add(1, Ordering::Release);
            board.called.notify_all();
        }
        let mine =
            catch_unwind(AssertUnwindSafe(|| work(Member { index: 0, count, meeting: &meeting })));
        if mine.is_err() {
            meeting.broken.store(true, Ordering::Relaxed);
        }
        spin(|| board.left.load(Ordering::Acquire) == 0);
        if let Err(panic) = mine {
            resume_unwind(panic);
        }
        assert!(!meeting.broken.load(Ordering::Relaxed), "a worker panicked");
    }
}

fn work_for(board: &Board, index: usize) {
    let mut seen = 0;
    loop {
        let mut new_order = || board.orders.load(Ordering::Acquire) != seen;
        let spotted = spin_for_a_while(&mut new_order);
        let mut job = board.job.lock().expect("nobody panics while holding the lock");
        if !spotted {
            while board.orders.load(Ordering::Acquire) == seen {
                job = board.called.wait(job).expect("nobody panics while holding the lock");
            }
        }
        let order = *job;
        seen = board.orders.load(Ordering::Acquire);
        drop(job);
        if let Some(job) = order
            && index < job.count
        {
            // SAFETY: the caller keeps both alive until every worker has counted itself out below.
            let (work, meeting) = unsafe { (&*job.work, &*job.meeting) };
            let member = Member { index, count: job.count, meeting };
            if catch_unwind(AssertUnwindSafe(|| work(member))).is_err() {
                meeting.broken.store(true, Ordering::Relaxed);
            }
        }
        board.left.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn everyone_sees_what_the_others_wrote_before_a_meeting() {
        let cells: Vec<AtomicUsize> = (0..8).map(|_| AtomicUsize::new(0)).collect();
        for round in 1..200 {
            together(2, |member| {
                for step in 0..20 {
                    cells[member.index].store(round * 100 + step, Ordering::Relaxed);
                    member.meet();
                    for cell in &cells[..member.count] {
                        assert_eq!(cell.load(Ordering::Relaxed), round * 100 + step);
                    }
                    member.meet();
                }
            });
        }
    }

    #[test]
    fn a_call_from_inside_is_done_alone() {
        let calls = AtomicUsize::new(0);
        together(2, |_| {
            together(2, |inner| {
                assert_eq!(inner.count, 1);
                calls.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert!(calls.load(Ordering::Relaxed) >= 1);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let result =
            catch_unwind(|| together(2, |member| assert!(member.index + 1 < member.count)));
        assert!(result.is_err());
        let sum = AtomicUsize::new(0);
        together(2, |member| {
            sum.fetch_add(member.share(10, 1).len(), Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn workers_work_again_after_a_panic() {
        if available_threads() == 1 {
            let _ = writeln!(std::io::stderr(), "not run: a pool on one processor has no workers");
            return;
        }
        let _ = catch_unwind(|| together(2, |member| assert_eq!(member.index, 1)));
        // Other tests use the pool too; alone is who finds it busy.
        let most = AtomicUsize::new(0);
        for _ in 0..1000 {
            together(2, |member| {
                most.fetch_max(member.count, Ordering::Relaxed);
            });
            if most.load(Ordering::Relaxed) == 2 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("one member only, a thousand times");
    }
}
