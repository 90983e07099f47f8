//! Reading numbers out of bytes that nobody vouches for.

use crate::error::{Error, Result};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;

/// An address that stands for "nowhere".
pub(super) const NOWHERE: u64 = u64::MAX;

/// The bytes of a file, and how much of them was read: a file whose structures lie over each other, or
/// lead back to themselves, runs out of what it may spend.
pub(super) struct Bytes<'a> {
    all: &'a [u8],
    structures: Cell<u64>,
    data: Cell<u64>,
    texts: Cell<u64>,
    seen: RefCell<HashSet<u64>>,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        let len = all.len() as u64;
        Self {
            all,
            structures: Cell::new(4 * len + (64 << 10)),
            data: Cell::new(len),
            texts: Cell::new(len),
            seen: RefCell::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// `len` bytes from `at` on, as part of the structure `what`.
    pub(super) fn part(&self, at: u64, len: u64, what: &'static str) -> Result<Cursor<'a>> {
        let total = self.all.len();
        let range = usize::try_from(at)
            .ok()
            .zip(usize::try_from(len).ok())
            .and_then(|(at, len)| Some(at..at.checked_add(len)?))
            .filter(|range| range.end <= total);
        let Some(range) = range else {
            return Err(bad(
                at,
                format!("{what} of {len} bytes is beyond the end of the file at {total}"),
            ));
        };
        spend(&self.structures, len, at, "its structures lie over each other")?;
        Ok(Cursor { rest: &self.all[range], at, what })
    }

    /// As much of `len` bytes from `at` on as there is.
    pub(super) fn up_to(&self, at: u64, len: u64, what: &'static str) -> Result<Cursor<'a>> {
        let left = (self.all.len() as u64).saturating_sub(at);
        self.part(at, len.min(left), what)
    }

    /// Bytes of data, of which there cannot be more than the file has.
    pub(super) fn data(&self, at: u64, len: u64, what: &str) -> Result<&'a [u8]> {
        let end = at.checked_add(len).filter(|end| *end <= self.all.len() as u64);
        let Some(end) = end else {
            let total = self.all.len();
            return Err(bad(
                at,
                format!(
                    "the data of {what}, {len} bytes, is beyond the end of the file at {total}"
                ),
            ));
        };
        spend(&self.data, len, at, "the data of several sets lie in one place")?;
        Ok(&self.all[at as usize..end as usize])
    }

    /// Notes that a text of `len` bytes is read.
    pub(super) fn text(&self, len: u64, at: u64) -> Result<()> {
        spend(&self.texts, len, at, "many attributes share one text")
    }

    /// Notes that the structure at `at` is read; there is no reason to read one twice.
    pub(super) fn once(&self, at: u64, what: &str) -> Result<()> {
        if self.seen.borrow_mut().insert(at) {
            return Ok(());
        }
        Err(bad(at, format!("{what} is reached a second time; the file leads back to itself")))
    }
}

fn spend(left: &Cell<u64>, len: u64, at: u64, why: &str) -> Result<()> {
    let rest =
        left.get().checked_sub(len).ok_or_else(|| bad(at, format!("too much to read: {why}")))?;
    left.set(rest);
    Ok(())
}

/// An error that names a place in the file.
pub(super) fn bad(at: u64, text: impl std::fmt::Display) -> Error {
    Error::damaged(text.to_string()).at(at)
}

/// What is left to read of a structure.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: u64,
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// A part of a file that was read already, which stands at `at`.
    pub(super) fn over(rest: &'a [u8], at: u64, what: &'static str) -> Self {
        Self { rest, at, what }
    }
    pub(super) fn at(&self) -> u64 {
        self.at
    }
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn bad(&self, text: impl std::fmt::Display) -> Error {
        bad(self.at, format!("{}: {text}", self.what))
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.bad(format!("it ends {} bytes early", len - self.rest.len())));
        };
        self.rest = rest;
        self.at += len as u64;
        Ok(head)
    }

    /// The next `len` bytes as a structure of their own.
    pub(super) fn sub(&mut self, len: usize, what: &'static str) -> Result<Cursor<'a>> {
        let at = self.at;
        Ok(Cursor { rest: self.take(len)?, at, what })
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<()> {
        self.take(len).map(drop)
    }

    /// An unsigned number of `width` bytes, at most 8.
    pub(super) fn uint(&mut self, width: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(bytes))
    }
    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }
    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(self.uint(2)? as u16)
    }
    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(self.uint(4)? as u32)
    }
    pub(super) fn u64(&mut self) -> Result<u64> {
        self.uint(8)
    }

    /// A number that must be one of `allowed`.
    pub(super) fn version(&mut self, allowed: &[u8]) -> Result<u8> {
        let found = self.u8()?;
        if allowed.contains(&found) {
            return Ok(found);
        }
        Err(self.bad(format!("version {found}, this program reads {allowed:?}")))
    }

    /// The four letters with which a structure begins.
    pub(super) fn signature(&mut self, expected: &[u8; 4]) -> Result<()> {
        let at = self.at;
        let found = self.take(4)?;
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (expected.escape_ascii(), found.escape_ascii());
        Err(bad(at, format!("{}: expected `{expected}`, found `{found}`", self.what)))
    }
}

/// Whether the four bytes that follow `body` are its checksum (Jenkins' lookup3).
pub(super) fn check(body: Cursor<'_>, len: usize) -> Result<()> {
    let mut end = body;
    let body = end.take(len)?;
    let at = end.at;
    let (stored, found) = (end.u32()?, lookup3(body));
    if stored == found {
        return Ok(());
    }
    Err(bad(at, format!("{}: the checksum is {found:08x}, {stored:08x} is stored", end.what)))
}

/// Bob Jenkins' hash `lookup3` of bytes, begun with 0 (public domain, 2006).
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    let mut blocks = bytes.chunks(12).peekable();
    while let Some(block) = blocks.next() {
        let mut padded = [0_u8; 12];
        padded[..block.len()].copy_from_slice(block);
        let word = |k: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| padded[4 * k + i]));
        a = a.wrapping_add(word(0));
        b = b.wrapping_add(word(1));
        c = c.wrapping_add(word(2));
        if blocks.peek().is_some() {
            let mix = |x: &mut u32, y: &mut u32, z: &mut u32, by| {
                *x = x.wrapping_sub(*z) ^ z.rotate_left(by);
                *z = z.wrapping_add(*y);
            };
            mix(&mut a, &mut b, &mut c, 4);
            mix(&mut b, &mut c, &mut a, 6);
            mix(&mut c, &mut a, &mut b, 8);
            mix(&mut a, &mut b, &mut c, 16);
            mix(&mut b, &mut c, &mut a, 19);
            mix(&mut c, &mut a, &mut b, 4);
        } else {
            let last = |x: &mut u32, y: u32, by| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
            last(&mut c, b, 14);
            last(&mut a, c, 11);
            last(&mut b, a, 25);
            last(&mut c, b, 16);
            last(&mut a, c, 4);
            last(&mut b, a, 14);
            last(&mut c, b, 24);
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::lookup3;

    #[test]
    fn the_hash_is_lookup3() {
        // The self-test values that its author printed.
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
