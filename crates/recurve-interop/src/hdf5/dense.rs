//! Many links or attributes of one object: a fractal heap that holds them, and a tree that lists them.
//!
//! The format has this for objects with more than eight of them, where a file was written for the newest
//! version. The tree is walked from end to end; its order (by a hash of the names) is of no interest.

use super::bytes::{Bytes, Cursor, NOWHERE, bad, check};
use crate::error::Result;

/// What a tree lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// Links by name.
    Links,
    /// Attributes by name.
    Attributes,
    /// Objects of a heap that are too large for its blocks.
    Huge,
}

impl Index {
    fn number(self) -> u8 {
        match self {
            Self::Huge => 1,
            Self::Links => 5,
            Self::Attributes => 8,
        }
    }
}

/// The messages that the tree at `index` lists and the heap at `heap` holds.
pub(super) fn objects<'a>(
    bytes: &Bytes<'a>,
    heap: u64,
    index: u64,
    of: Index,
) -> Result<Vec<Cursor<'a>>> {
    let heap = Heap::read(bytes, heap)?;
    let mut found = vec![];
    for mut record in records(bytes, index, of)? {
        if of == Index::Links {
            record.skip(4)?;
        }
        let id = record.sub(heap.id, "the place of a message")?;
        if of == Index::Attributes && record.u8()? & 2 != 0 {
            return Err(record.bad("a message that is shared with other objects is not read"));
        }
        let object = heap.object(bytes, id)?;
        bytes.text(object.len() as u64, object.at())?;
        found.push(object);
    }
    Ok(found)
}

/// A fractal heap: blocks whose sizes double from row to row.
struct Heap<'a> {
    /// Bytes of the name of an object.
    id: usize,
    /// Bytes of an offset and of a length in that name.
    offset: usize,
    length: usize,
    /// Blocks with their place in the heap.
    blocks: Vec<(u64, Cursor<'a>)>,
    /// Objects outside: number, address, length.
    huge: Vec<(u64, u64, u64)>,
}

/// How the blocks of a heap lie.
struct Table {
    width: u64,
    first: u64,
    largest: u64,
    /// Bytes of a heap offset.
    offset: usize,
    checksums: bool,
    heap: u64,
}

impl<'a> Heap<'a> {
    fn read(bytes: &Bytes<'a>, address: u64) -> Result<Self> {
        bytes.once(address, "a heap")?;
        const SIZE: usize = 142;
        let mut from = bytes.part(address, SIZE as u64 + 4, "heap")?;
        let whole = from;
        from.signature(b"FRHP")?;
        from.version(&[0])?;
        let (id, filters, flags) = (from.u16()?, from.u16()?, from.u8()?);
        if filters != 0 {
            return Err(from.bad("heaps that are compressed are not read"));
        }
        check(whole, SIZE)?;
        let largest_managed = from.u32()?;
        from.skip(8)?;
        let huge = from.u64()?;
        from.skip(80)?;
        let width = u64::from(from.u16()?);
        let (first, largest) = (from.u64()?, from.u64()?);
        let bits = from.u16()?;
        from.skip(2)?;
        let root = from.u64()?;
        let rows = from.u16()?;
        let sound = width.is_power_of_two() && first.is_power_of_two() && largest.is_power_of_two();
        if !sound || first > largest || largest > 1 << 32 || bits > 64 || width > 1 << 16 {
            return Err(from.bad("the sizes of its blocks make no sense"));
        }
        let table = Table {
            width,
            first,
            largest,
            offset: usize::from(bits).div_ceil(8),
            checksums: flags & 2 != 0,
            heap: address,
        };
        let limit = largest.min(largest_managed.into());
        let length = (64 - limit.leading_zeros() as usize).div_ceil(8);
        let mut blocks = vec![];
        if root != NOWHERE {
            if rows == 0 {
                blocks.push(table.direct(bytes, root, first)?);
            } else {
                table.indirect(bytes, root, rows, &mut blocks)?;
            }
        }
        blocks.sort_by_key(|(start, _)| *start);
        let mut outside = vec![];
        for mut record in records(bytes, huge, Index::Huge)? {
            let (at, length, number) = (record.u64()?, record.u64()?, record.u64()?);
            outside.push((number, at, length));
        }
        let huge = outside;
        Ok(Self { id: id.into(), offset: table.offset, length, blocks, huge })
    }

    fn object(&self, bytes: &Bytes<'a>, mut id: Cursor<'a>) -> Result<Cursor<'a>> {
        let first = id.u8()?;
        match first >> 4 & 3 {
            0 => {
                let (start, length) = (id.uint(self.offset)?, id.uint(self.length)?);
                let after = self.blocks.partition_point(|(block, _)| *block <= start);
                let within = after.checked_sub(1).map(|at| &self.blocks[at]);
                let found = within.and_then(|(block, body)| {
                    let at = usize::try_from(start - block).ok()?;
                    let end = at.checked_add(usize::try_from(length).ok()?)?;
                    let rest = body.rest().get(at..end)?;
                    Some(Cursor::over(rest, body.at() + at as u64, "message"))
                });
                found.ok_or_else(|| id.bad(format!("{length} bytes at {start} are in no block")))
            }
            1 => {
                let number = id.uint(id.len().min(8))?;
                match self.huge.iter().find(|huge| huge.0 == number) {
                    Some((_, at, length)) => bytes.part(*at, *length, "message"),
                    None => Err(id.bad(format!("there is no large object number {number}"))),
                }
            }
            2 => id.sub(usize::from(first & 0xf) + 1, "message"),
            kind => Err(id.bad(format!("objects of kind {kind} are not known"))),
        }
    }
}

impl Table {
    /// The size of the blocks of a row.
    fn size(&self, row: u16) -> u64 {
        self.first << row.saturating_sub(1)
    }

    /// A block that holds objects: its place in the heap, and its bytes from its head on.
    fn direct<'a>(&self, bytes: &Bytes<'a>, at: u64, size: u64) -> Result<(u64, Cursor<'a>)> {
        bytes.once(at, "a block of a heap")?;
        let whole = bytes.part(at, size, "block of a heap")?;
        let mut from = whole;
        from.signature(b"FHDB")?;
        let place = self.head(&mut from)?;
        if self.checksums {
            // The checksum is counted as if it were zero itself.
            let mut copy = whole.rest().to_vec();
            let position = copy.len() - from.len();
            let stored = from.u32()?;
            copy[position..position + 4].fill(0);
            if super::bytes::lookup3(&copy) != stored {
                return Err(from.bad("its checksum is wrong"));
            }
        }
        Ok((place, whole))
    }

    fn head(&self, from: &mut Cursor<'_>) -> Result<u64> {
        from.version(&[0])?;
        if from.u64()? != self.heap {
            return Err(from.bad("it belongs to another heap"));
        }
        from.uint(self.offset)
    }

    /// All blocks below a block that lists blocks.
    fn indirect<'a>(
        &self,
        bytes: &Bytes<'a>,
        at: u64,
        rows: u16,
        blocks: &mut Vec<(u64, Cursor<'a>)>,
    ) -> Result<()> {
        bytes.once(at, "a list of blocks")?;
        // Rows from here on hold lists in their turn.
        let direct = (self.largest / self.first).trailing_zeros() as u16 + 2;
        if rows > 64 {
            return Err(bad(at, format!("a list of {rows} rows of blocks")));
        }
        let head = 5 + 8 + self.offset as u64;
        let len = head + 8 * self.width * u64::from(rows);
        let whole = bytes.part(at, len + 4, "list of blocks")?;
        let mut from = whole;
        from.signature(b"FHIB")?;
        self.head(&mut from)?;
        check(whole, len as usize)?;
        for row in 0..rows {
            for _ in 0..self.width {
                let child = from.u64()?;
                if child == NOWHERE {
                    continue;
                }
                if row < direct {
                    blocks.push(self.direct(bytes, child, self.size(row))?);
                } else {
                    // As many rows as add up to the size of a block of this row.
                    let below = row.checked_sub(self.width.trailing_zeros() as u16);
                    let Some(below) = below.filter(|below| *below < rows) else {
                        return Err(from.bad("a list within a list that is not smaller"));
                    };
                    self.indirect(bytes, child, below, blocks)?;
                }
            }
        }
        Ok(())
    }
}

/// All records of the tree at `address`.
fn records<'a>(bytes: &Bytes<'a>, address: u64, of: Index) -> Result<Vec<Cursor<'a>>> {
    const SIZE: usize = 34;
    if address == NOWHERE {
        return Ok(vec![]);
    }
    let mut from = bytes.part(address, SIZE as u64 + 4, "tree")?;
    let whole = from;
    from.signature(b"BTHD")?;
    from.version(&[0])?;
    let kind = from.u8()?;
    if kind != of.number() {
        return Err(from.bad(format!("kind {kind}, expected {}", of.number())));
    }
    let (node, record, depth) = (from.u32()?, from.u16()?, from.u16()?);
    from.skip(2)?;
    let (root, count) = (from.u64()?, from.u16()?);
    check(whole, SIZE)?;
    let tree = Tree { kind, node: node.into(), record: record.into() };
    if record == 0 || depth > 16 || tree.node < 32 {
        return Err(from.bad("its sizes make no sense"));
    }
    let mut found = vec![];
    if root != NOWHERE {
        tree.walk(bytes, root, depth, count.into(), &mut found)?;
    }
    Ok(found)
}

struct Tree {
    kind: u8,
    /// Bytes of a node and of a record.
    node: u64,
    record: u64,
}

impl Tree {
    /// The most records of a node of `depth`, and of it with all below.
    fn most(&self, depth: u16) -> (u64, u64) {
        let leaf = (self.node - 10) / self.record;
        let mut all = leaf;
        let mut own = leaf;
        for below in 0..depth {
            let pointer = self.pointer(leaf, all, below + 1);
            own = (self.node - 10).saturating_sub(pointer) / (self.record + pointer);
            all = own.saturating_add((own + 1).saturating_mul(all));
        }
        (own, all)
    }

    /// Bytes of a pointer in a node of `depth`.
    fn pointer(&self, leaf: u64, all: u64, depth: u16) -> u64 {
        let width = |most: u64| u64::from((64 - most.leading_zeros()).div_ceil(8));
        8 + width(leaf) + if depth > 1 { width(all) } else { 0 }
    }

    fn walk<'a>(
        &self,
        bytes: &Bytes<'a>,
        at: u64,
        depth: u16,
        count: u64,
        found: &mut Vec<Cursor<'a>>,
    ) -> Result<()> {
        bytes.once(at, "a node of a tree")?;
        let records = count * self.record;
        let (leaf, _) = self.most(0);
        let below = if depth > 0 { self.most(depth - 1).1 } else { 0 };
        let pointer = self.pointer(leaf, below, depth);
        let pointers = if depth > 0 { (count + 1) * pointer } else { 0 };
        let len = 6 + records + pointers;
        let whole = bytes.part(at, len + 4, "node of a tree")?;
        let mut from = whole;
        from.signature(if depth > 0 { b"BTIN" } else { b"BTLF" })?;
        from.version(&[0])?;
        if from.u8()? != self.kind {
            return Err(from.bad("it belongs to another tree"));
        }
        check(whole, len as usize)?;
        for _ in 0..count {
            found.push(from.sub(self.record as usize, "record of a tree")?);
        }
        if depth == 0 {
            return Ok(());
        }
        let counts = (64 - leaf.leading_zeros() as usize).div_ceil(8);
        for _ in 0..=count {
            let mut child = from.sub(pointer as usize, "pointer of a tree")?;
            let (at, count) = (child.u64()?, child.uint(counts)?);
            self.walk(bytes, at, depth - 1, count, found)?;
        }
        Ok(())
    }
}
