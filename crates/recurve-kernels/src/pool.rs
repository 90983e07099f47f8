//! Workers that live as long as the process.
//!
//! A layer wakes them once and they stay together for all its steps, meeting at a [`Member::meet`]
//! where the work asks for it; starting threads per step would cost more than the step. A worker
//! that waits spins for a bounded time, then gives its core away.
//!
//! Every worker has a seat: what it is asked, how far it is and whether it sleeps, on cache lines of its
//! own. An order is taken by whoever claims it first. In [`together`] that is the worker; in [`parts`],
//! whose parts do not wait for each other, the caller takes over what a late worker has not begun, so a
//! single short step never waits for a thread that the system has put aside.
//!
//! The pool is never waited for. Where it is busy (another thread is inside a layer, or the call
//! comes from a worker), the caller does the whole work alone; results are the same for any number
//! of members, so nobody can see the difference but in time. Threads that find each other there again and
//! again each work alone for a while, rather than take each other's cores.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a waiting worker spins before it sleeps or yields.
const SPIN: Duration = Duration::from_micros(60);

/// Calls of [`parts`] that are made alone after two threads wanted the workers at the same time.
const ALONE: usize = 256;

/// One of the threads that do a piece of work together.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Which one, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    board: Option<&'a Board>,
}

impl Member<'_> {
    /// Waits until every member has come here. What each wrote before is seen by all after.
    pub fn meet(&self) {
        let Some(board) = self.board else { return };
        let own = &board.seats[self.index].meetings;
        let round = own.load(Ordering::Relaxed) + 1;
        own.store(round, Ordering::Release);
        for other in &board.seats[..self.count] {
            spin(|| {
                assert!(!board.broken.load(Ordering::Relaxed), "another worker panicked");
                other.meetings.load(Ordering::Acquire) >= round
            });
        }
    }

    /// This member's part of `0..total`, in order, with bounds at multiples of `unit`.
    pub fn share(&self, total: usize, unit: usize) -> Range<usize> {
        share(self.index, self.count, total, unit)
    }
}

/// Part `index` of `count` parts of `0..total`, with bounds at multiples of `unit`.
pub(crate) fn share(index: usize, count: usize, total: usize, unit: usize) -> Range<usize> {
    let units = total.div_ceil(unit);
    let bound = |i: usize| (units * i / count * unit).min(total);
    bound(index)..bound(index + 1)
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
    if count > 1 && with_crew(|crew| crew.run(count, &work)) {
        return;
    }
    work(Member { index: 0, count: 1, board: None });
}

/// Runs `work` for every part of `0..count`, which must not wait for each other, on as many threads as
/// are at hand. Workers that sleep are woken where the work is `long`, or where calls follow each other
/// closely; else they are let sleep.
///
/// # Panics
/// Where `work` panics.
pub(crate) fn parts(count: usize, long: bool, work: impl Fn(usize) + Sync) {
    let alone_for = ALONE_FOR.load(Ordering::Relaxed);
    if alone_for > 0 {
        ALONE_FOR.store(alone_for - 1, Ordering::Relaxed);
    } else if count > 1 && with_crew(|crew| crew.parts(count, long, &work)) {
        return;
    }
    (0..count).for_each(work);
}

/// How many calls of [`parts`] are still to be made alone, roughly: threads that count down at the same
/// time may count once.
static ALONE_FOR: AtomicUsize = AtomicUsize::new(0);

/// Whether the workers were free for `work`.
fn with_crew(work: impl FnOnce(&mut Crew)) -> bool {
    static CREW: OnceLock<Mutex<Crew>> = OnceLock::new();
    let crew = CREW.get_or_init(|| Mutex::new(Crew::new(available_threads() - 1)));
    let mut crew = match crew.try_lock() {
        Ok(crew) => crew,
        // A member panicked in an earlier call; all had let go of the work before that was passed on.
        Err(TryLockError::Poisoned(crew)) => crew.into_inner(),
        Err(TryLockError::WouldBlock) => {
            ALONE_FOR.store(ALONE, Ordering::Relaxed);
            return false;
        }
    };
    work(&mut crew);
    true
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
    for _ in 0..64 {
        if done() {
            return true;
        }
    }
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

/// What the caller hands to the workers. Whoever has claimed an order may read it until it says that the
/// order is done.
#[derive(Clone, Copy)]
struct Job {
    work: *const Work<'static>,
    count: usize,
}

/// The place of one member; that of the caller is the first.
#[repr(align(128))]
#[derive(Default)]
struct Seat {
    /// Odd: an order nobody has claimed. Even: claimed, or none yet.
    order: AtomicUsize,
    asleep: AtomicBool,
    report: Report,
}

/// What a member writes while others read it.
#[repr(align(128))]
#[derive(Default)]
struct Report {
    /// The last order that is done.
    done: AtomicUsize,
    meetings: AtomicUsize,
}

impl std::ops::Deref for Seat {
    type Target = Report;
    fn deref(&self) -> &Report {
        &self.report
    }
}

impl Seat {
    /// Whether the caller of this is the one to carry out order `order`.
    fn claim(&self, order: usize) -> bool {
        let claimed = order + 1;
        self.order.compare_exchange(order, claimed, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

struct Board {
    seats: Box<[Seat]>,
    broken: AtomicBool,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: `job` is written by the one caller that holds the crew while no order is open or unfinished,
// and read by workers between claiming an order and saying that it is done. The pointer in it is followed
// in that time only; the caller keeps what it points to, which is `Sync`, alive until then.
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

struct Crew {
    workers: Vec<Thread>,
    board: Arc<Board>,
    /// The order that each seat was given last, or 0 where it was passed over.
    given: Box<[usize]>,
    /// When the last call that found a worker asleep was over.
    missed: Instant,
}

impl Crew {
    fn new(workers: usize) -> Self {
        let board = Arc::new(Board {
            seats: (0..=workers).map(|_| Seat::default()).collect(),
            broken: AtomicBool::new(false),
            job: UnsafeCell::new(None),
        });
        let start = |index| {
            let board = Arc::clone(&board);
            let name = format!("recurve-{index}");
            let started =
                std::thread::Builder::new().name(name).spawn(move || work_for(&board, index));
            Some(started.ok()?.thread().clone())
        };
        let threads = (1..=workers).map_while(start).collect();
        Self { workers: threads, board, given: vec![0; workers + 1].into(), missed: Instant::now() }
    }

    fn run(&mut self, count: usize, work: &Work<'_>) {
        let count = count.min(self.workers.len() + 1);
        self.post(count, work);
        for at in 1..count {
            self.give(at);
        }
        let member = Member { index: 0, count, board: Some(&self.board) };
        let mine = catch_unwind(AssertUnwindSafe(|| work(member)));
        if mine.is_err() {
            self.board.broken.store(true, Ordering::Relaxed);
        }
        self.wait_for(1..count);
        self.end(mine);
    }

    fn parts(&mut self, count: usize, long: bool, work: &(impl Fn(usize) + Sync)) {
        let by_worker = |member: Member<'_>| work(member.index);
        let helped = count.min(self.workers.len() + 1);
        self.post(helped, &by_worker);
        let asleep = |seat: &Seat| seat.asleep.load(Ordering::Relaxed);
        let missed = self.board.seats[1..helped].iter().any(asleep);
        let wake = long || missed && self.missed.elapsed() < SPIN;
        for at in 1..helped {
            if wake || !asleep(&self.board.seats[at]) {
                self.give(at);
            } else {
                self.given[at] = 0;
            }
        }
        let mut left = 1;
        let mine = catch_unwind(AssertUnwindSafe(|| {
            work(0);
            while left < helped {
                let at = left;
                left += 1;
                if self.is_mine(at) {
                    work(at);
                }
            }
            (helped..count).for_each(work);
        }));
        // After a panic, what is still open is closed, so that nobody takes it later.
        for at in left..helped {
            self.is_mine(at);
        }
        self.wait_for(1..helped);
        if missed {
            self.missed = Instant::now();
        }
        self.end(mine);
    }

    /// Lays out a job; no order is open and no worker busy.
    fn post(&mut self, count: usize, work: &Work<'_>) {
        self.board.broken.store(false, Ordering::Relaxed);
        for seat in &self.board.seats[..count] {
            seat.meetings.store(0, Ordering::Relaxed);
        }
        // SAFETY: only the lifetime changes. Workers follow the pointer between claiming an order and
        // saying that it is done; `run` and `parts` return when no order is open or unfinished.
        let work = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: the crew is held exclusively, and no worker reads the job without a claimed order.
        unsafe { *self.board.job.get() = Some(Job { work, count }) }
    }

    fn give(&mut self, at: usize) {
        let seat = &self.board.seats[at];
        let order = seat.order.load(Ordering::Relaxed) + 1;
        self.given[at] = order;
        // Sequentially consistent, like what the worker does before it sleeps: one of the two sees
        // the other.
        seat.order.store(order, Ordering::SeqCst);
        if seat.asleep.load(Ordering::SeqCst) {
            self.workers[at - 1].unpark();
        }
    }

    /// Whether the part of seat `at` falls to the caller.
    fn is_mine(&self, at: usize) -> bool {
        let (order, seat) = (self.given[at], &self.board.seats[at]);
        let mine = order == 0 || seat.claim(order);
        if mine && order > 0 {
            seat.done.store(order, Ordering::Relaxed);
        }
        mine
    }

    fn wait_for(&self, seats: Range<usize>) {
        for at in seats {
            let (order, seat) = (self.given[at], &self.board.seats[at]);
            if order > 0 {
                spin(|| seat.done.load(Ordering::Acquire) == order);
            }
        }
    }

    fn end(&self, mine: std::thread::Result<()>) {
        if let Err(panic) = mine {
            resume_unwind(panic);
        }
        assert!(!self.board.broken.load(Ordering::Relaxed), "a worker panicked");
    }
}

fn work_for(board: &Board, index: usize) {
    let seat = &board.seats[index];
    let is_open = |order: usize| order % 2 == 1;
    loop {
        if !spin_for_a_while(&mut || is_open(seat.order.load(Ordering::Acquire))) {
            seat.asleep.store(true, Ordering::SeqCst);
            while !is_open(seat.order.load(Ordering::SeqCst)) {
                std::thread::park();
            }
            seat.asleep.store(false, Ordering::Relaxed);
        }
        let order = seat.order.load(Ordering::Relaxed);
        if !is_open(order) || !seat.claim(order) {
            continue;
        }
        // SAFETY: this worker has claimed the order and not yet said that it is done.
        if let Some(job) = unsafe { *board.job.get() } {
            // SAFETY: as above.
            let work = unsafe { &*job.work };
            let member = Member { index, count: job.count, board: Some(board) };
            if catch_unwind(AssertUnwindSafe(|| work(member))).is_err() {
                board.broken.store(true, Ordering::Relaxed);
            }
        }
        seat.done.store(order, Ordering::Release);
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
    fn every_part_is_done_once_and_seen_by_the_next_call() {
        let counts: Vec<AtomicUsize> = (0..5).map(|_| AtomicUsize::new(0)).collect();
        for round in 0..2000 {
            // Pauses of all lengths, so that workers are met spinning, falling asleep and asleep.
            for _ in 0..(round % 97) * 40 {
                std::hint::spin_loop();
            }
            parts(5, round % 3 == 0, |part| {
                for count in &counts {
                    assert!(count.load(Ordering::Relaxed) >= round);
                }
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round + 1));
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
        for bad in 0..3 {
            let result = catch_unwind(|| parts(3, true, |part| assert!(part != bad)));
            assert!(result.is_err());
        }
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
