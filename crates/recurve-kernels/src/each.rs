//! Work that falls into pieces of its own, shared out among the workers.

use crate::pool::together;
use std::sync::Mutex;

/// Gives every one of `pieces` to `work`, on up to `threads` threads. Whoever is free takes the next
/// piece, so what is done for a piece must depend on nothing but the piece; then no thread can be seen
/// in a result. Pieces are usually `chunks_mut` of buffers, zipped.
///
/// # Panics
/// Where `work` panics.
pub fn each<T: Send>(
    threads: usize,
    mut pieces: impl Iterator<Item = T> + Send,
    work: impl Fn(T) + Sync,
) {
    if threads <= 1 {
        return pieces.for_each(work);
    }
    let pieces = Mutex::new(&mut pieces);
    together(threads, |_| {
        loop {
            let piece = pieces.lock().expect("taking a piece does not panic").next();
            let Some(piece) = piece else { break };
            work(piece);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for threads in [1, 2, 5] {
            let mut to = vec![0_usize; 1003];
            let from: Vec<usize> = (0..1003).collect();
            each(threads, to.chunks_mut(10).zip(from.chunks(10)), |(to, from)| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to += *from + 1;
                }
            });
            assert!(to.into_iter().eq(1..=1003));
        }
        each(2, std::iter::empty::<usize>(), |_| panic!("there is no piece"));
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let result = std::panic::catch_unwind(|| each(2, 0..8, |piece| assert!(piece < 5)));
        assert!(result.is_err());
    }
}
