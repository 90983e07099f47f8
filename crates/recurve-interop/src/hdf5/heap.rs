//! Where names and texts lie: local heaps (the names of one group) and global heaps (texts of any length).

use super::bytes::{Bytes, Cursor, NOWHERE, bad};
use crate::error::Result;
use std::cell::RefCell;
use std::collections::HashMap;

/// The names of a group: the data of the local heap at `address`.
pub(super) fn local<'a>(bytes: &Bytes<'a>, address: u64) -> Result<Cursor<'a>> {
    let mut heap = bytes.part(address, 32, "heap of names")?;
    heap.signature(b"HEAP")?;
    heap.version(&[0])?;
    heap.skip(3)?;
    let (size, _free, at) = (heap.u64()?, heap.u64()?, heap.u64()?);
    bytes.part(at, size, "names of a group")
}

/// A global heap: where each of its objects lies.
type Places<'a> = HashMap<u32, Cursor<'a>>;

/// The global heaps that were met so far.
#[derive(Default)]
pub(super) struct Heaps<'a>(RefCell<HashMap<u64, Places<'a>>>);

impl<'a> Heaps<'a> {
    /// The bytes to which a value of varying length leads: its length, a heap and the number in it.
    pub(super) fn variable(&self, bytes: &Bytes<'a>, mut value: Cursor<'a>) -> Result<Cursor<'a>> {
        let (len, heap, number) = (value.u32()?, value.u64()?, value.u32()?);
        if len == 0 {
            return Ok(Cursor::over(&[], value.at(), "an empty text"));
        }
        if heap == 0 || heap == NOWHERE {
            return Err(value.bad(format!("a text of {len} bytes that is nowhere")));
        }
        bytes.text(len.into(), heap)?;
        let mut heaps = self.0.borrow_mut();
        let places = match heaps.entry(heap) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => new.insert(places(bytes, heap)?),
        };
        let Some(object) = places.get(&number) else {
            return Err(bad(heap, format!("the heap of texts has no text number {number}")));
        };
        let mut object = *object;
        object.sub(len as usize, "text")
    }
}

fn places<'a>(bytes: &Bytes<'a>, address: u64) -> Result<Places<'a>> {
    let mut start = bytes.part(address, 16, "heap of texts")?;
    start.signature(b"GCOL")?;
    start.version(&[1])?;
    start.skip(3)?;
    let size = start.u64()?;
    let mut heap = bytes.part(address, size, "heap of texts")?;
    heap.skip(16)?;
    let mut places = HashMap::new();
    while heap.len() >= 16 {
        let (number, _references) = (heap.u16()?, heap.u16()?);
        heap.skip(4)?;
        let size = heap.u64()?;
        if number == 0 {
            // What is left is free.
            break;
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= heap.len());
        let Some(size) = size else {
            return Err(heap.bad(format!("text number {number} does not fit into it")));
        };
        places.insert(number.into(), heap.sub(size, "text")?);
        let padding = size.next_multiple_of(8) - size;
        heap.skip(padding.min(heap.len()))?;
    }
    Ok(places)
}
