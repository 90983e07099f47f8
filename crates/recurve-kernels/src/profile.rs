//! Where the time goes.
//!
//! A [`Profile`] records what the thread that started it does; the workers it waits for are inside its
//! spans, so times are those that pass on the wall. Measuring points are [`span`]s: each adds the time
//! between its making and its drop, less that of the spans inside it, to the entry of its path. So the
//! entries of a profile add up to the time under measured spans, and nothing counts twice.
//!
//! Where nobody records, a span is one look at a flag of the thread; no clock is read. Measuring points
//! stand around phases, never inside the loop over the steps.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static RECORD: RefCell<Record> = const { RefCell::new(Record { open: vec![], entries: vec![] }) };
}

/// One phase of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The names of the spans around it and its own, outermost first.
    pub path: Vec<String>,
    /// The time in it, without the spans inside it.
    pub time: Duration,
    /// How often it was entered.
    pub count: u64,
}

struct Record {
    /// The spans that are open: entry, begin, and the time of the spans inside.
    open: Vec<(usize, Instant, Duration)>,
    entries: Vec<Node>,
}

struct Node {
    parent: Option<usize>,
    name: String,
    time: Duration,
    count: u64,
}

/// A recording of this thread, until it is dropped or ended.
#[derive(Debug)]
pub struct Profile {
    begun: Instant,
    /// It belongs to the thread that started it.
    bound: std::marker::PhantomData<*const ()>,
}

impl Profile {
    /// Starts recording on this thread, from nothing.
    ///
    /// # Panics
    /// Where the thread is recorded already.
    pub fn start() -> Self {
        assert!(!ON.replace(true), "one profile of a thread at a time");
        RECORD.with_borrow_mut(|record| {
            record.open.clear();
            record.entries.clear();
        });
        Self { begun: Instant::now(), bound: std::marker::PhantomData }
    }

    /// Ends recording: all entries, each after the one around it, and the time since the start.
    pub fn end(self) -> (Vec<Entry>, Duration) {
        let passed = self.begun.elapsed();
        RECORD.with_borrow_mut(|record| {
            let path = |mut at: Option<usize>| {
                let mut path = vec![];
                while let Some(node) = at {
                    path.push(record.entries[node].name.clone());
                    at = record.entries[node].parent;
                }
                path.reverse();
                path
            };
            let entry = |(at, node): (usize, &Node)| Entry {
                path: path(Some(at)),
                time: node.time,
                count: node.count,
            };
            (record.entries.iter().enumerate().map(entry).collect(), passed)
        })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        ON.set(false);
    }
}

/// Measures until it is dropped; spans of a thread are dropped in the reverse order of their making.
#[must_use = "a span measures until it is dropped"]
#[derive(Debug)]
pub struct Span {
    on: bool,
}

/// Starts to measure what is called `name`, inside of the span that is open.
#[inline]
pub fn span(name: &str) -> Span {
    if ON.get() { open(name) } else { Span { on: false } }
}

#[cold]
fn open(name: &str) -> Span {
    RECORD.with_borrow_mut(|record| {
        let parent = record.open.last().map(|(entry, ..)| *entry);
        let same = |node: &Node| node.parent == parent && node.name == name;
        let entry = record.entries.iter().position(same).unwrap_or_else(|| {
            let node = Node { parent, name: name.to_owned(), time: Duration::ZERO, count: 0 };
            record.entries.push(node);
            record.entries.len() - 1
        });
        record.open.push((entry, Instant::now(), Duration::ZERO));
    });
    Span { on: true }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.on || !ON.get() {
            return;
        }
        RECORD.with_borrow_mut(|record| {
            // A recording that started inside of this span knows nothing of it.
            let Some((entry, begin, inside)) = record.open.pop() else { return };
            let passed = begin.elapsed();
            record.entries[entry].time += passed.saturating_sub(inside);
            record.entries[entry].count += 1;
            if let Some((_, _, inside)) = record.open.last_mut() {
                *inside += passed;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_hold_their_own_time_and_add_up() {
        let profile = Profile::start();
        for at in 0..3 {
            let _layer = span(["layer 0", "layer 1"][at % 2]);
            std::thread::sleep(Duration::from_millis(2));
            let _forward = span("forward");
            std::thread::sleep(Duration::from_millis(4));
        }
        let (entries, passed) = profile.end();
        let paths: Vec<String> = entries.iter().map(|entry| entry.path.join("/")).collect();
        assert_eq!(paths, ["layer 0", "layer 0/forward", "layer 1", "layer 1/forward"]);
        assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [2, 2, 1, 1]);
        let sum: Duration = entries.iter().map(|entry| entry.time).sum();
        assert!(sum <= passed && sum >= Duration::from_millis(18), "{sum:?} of {passed:?}");
        assert!(entries[1].time >= Duration::from_millis(8));
        assert!(entries[0].time >= Duration::from_millis(4) && entries[0].time < entries[1].time);
    }

    #[test]
    fn without_a_profile_nothing_is_kept() {
        drop(span("before"));
        let profile = Profile::start();
        assert!(profile.end().0.is_empty());
        drop(span("after"));
        assert!(Profile::start().end().0.is_empty());
    }
}
