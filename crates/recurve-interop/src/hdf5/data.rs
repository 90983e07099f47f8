//! The values of a data set: in one piece, or in chunks that may be compressed.

use super::bytes::{Bytes, Cursor, NOWHERE, bad};
use super::header::{Kind as MessageKind, Message};
use super::types::{Kind, Shape};
use crate::error::{Error, Result};
use std::io::Read;

/// A data set: its values are read when they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    /// The type of its values.
    pub(crate) kind: Kind,
    /// The lengths of its axes.
    pub(crate) shape: Vec<u64>,
    layout: Layout,
    filters: Vec<Filter>,
    /// Its object header.
    at: u64,
}

#[derive(Clone, Debug)]
enum Layout {
    /// In the header itself.
    Compact { at: u64, len: u64 },
    /// In one piece.
    Contiguous { at: u64, len: u64 },
    /// In pieces of this shape.
    Chunked { chunk: Vec<u64>, index: Index },
}

/// How the chunks are found.
#[derive(Clone, Debug)]
enum Index {
    /// A tree of them.
    Tree(u64),
    /// There is one.
    Single { at: u64, len: Option<u64>, mask: u32 },
    /// They lie one after the other.
    Implicit(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Deflate,
    Shuffle { size: usize },
    Fletcher32,
}

impl Dataset {
    /// The data set with these messages, if they are those of one.
    pub(super) fn of(messages: &[Message<'_>], at: u64) -> Result<Option<Self>> {
        let (mut kind, mut shape, mut layout, mut filters) = (None, None, None, vec![]);
        for message in messages {
            let mut body = message.body;
            match message.kind {
                MessageKind::Datatype => kind = Some(Kind::read(&mut body)?),
                MessageKind::Dataspace => shape = Some(Shape::read(&mut body)?),
                MessageKind::Layout => layout = Some(Layout::read(body)?),
                MessageKind::Filters => filters = Filter::read(body)?,
                _ => {}
            }
        }
        match (kind, shape, layout) {
            (Some(kind), Some(shape), Some(layout)) => {
                Ok(Some(Self { kind, shape: shape.0, layout, filters, at }))
            }
            (None, None, None) => Ok(None),
            _ => Err(bad(at, "a data set without a type, a shape or a place")),
        }
    }

    /// Bytes of all values.
    fn len(&self) -> Result<u64> {
        let count = Shape(self.shape.clone()).count();
        let len = count.and_then(|count| count.checked_mul(self.kind.size() as u64));
        len.ok_or_else(|| bad(self.at, format!("{:?} values are too many", self.shape)))
    }

    /// The values, each with its lowest byte first. At most `most` bytes.
    pub(super) fn read(&self, bytes: &Bytes<'_>, name: &str, most: u64) -> Result<Vec<u8>> {
        let len = self.len()?;
        if len > most {
            return Err(Error::refused(format!(
                "its values would take {len} bytes, {most} are allowed for a file of this size"
            ))
            .at(self.at));
        }
        if !self.filters.is_empty() && !matches!(self.layout, Layout::Chunked { .. }) {
            return Err(bad(self.at, "data in one piece that is filtered"));
        }
        let mut raw = match &self.layout {
            _ if len == 0 => vec![],
            Layout::Compact { at, len: stored } | Layout::Contiguous { at, len: stored } => {
                if *at == NOWHERE {
                    return Err(bad(self.at, format!("the data of `{name}` was never written")));
                }
                if *stored < len {
                    let shape = &self.shape;
                    return Err(bad(
                        *at,
                        format!("`{name}` {shape:?} has {len} bytes, {stored} are stored"),
                    ));
                }
                bytes.data(*at, len, &format!("`{name}`"))?.to_vec()
            }
            Layout::Chunked { chunk, index } => {
                let mut pieces = Pieces::new(self, chunk, name, most)?;
                match index {
                    Index::Single { at, len, mask } => {
                        let origin = vec![0; self.shape.len()];
                        pieces.add(bytes, &origin, *at, *len, *mask)?;
                    }
                    Index::Implicit(at) => pieces.add_in_a_row(bytes, *at)?,
                    Index::Tree(at) => pieces.add_tree(bytes, *at, None)?,
                }
                pieces.finish()?
            }
        };
        self.kind.to_little(&mut raw);
        Ok(raw)
    }
}

impl Layout {
    fn read(mut from: Cursor<'_>) -> Result<Self> {
        let version = from.version(&[1, 2, 3, 4])?;
        if version < 3 {
            return Self::read_old(from);
        }
        match from.u8()? {
            0 => {
                let len = from.u16()?;
                Ok(Self::Compact { at: from.at(), len: len.into() })
            }
            1 => Ok(Self::Contiguous { at: from.u64()?, len: from.u64()? }),
            2 if version == 3 => {
                let axes = from.u8()?;
                let at = from.u64()?;
                let chunk = chunk(&mut from, axes, 4)?;
                Ok(Self::Chunked { chunk, index: Index::Tree(at) })
            }
            2 => {
                let (flags, axes, width) = (from.u8()?, from.u8()?, from.u8()?);
                if !(1..=8).contains(&width) {
                    return Err(from.bad(format!("chunk sizes of {width} bytes")));
                }
                let chunk = chunk(&mut from, axes, width.into())?;
                let index = match from.u8()? {
                    1 => {
                        let filtered = flags & 2 != 0;
                        let len = if filtered { Some(from.u64()?) } else { None };
                        let mask = if filtered { from.u32()? } else { 0 };
                        Index::Single { at: from.u64()?, len, mask }
                    }
                    2 => Index::Implicit(from.u64()?),
                    kind => {
                        let name = ["fixed array", "extensible array", "tree of the second kind"]
                            .get(usize::from(kind).wrapping_sub(3));
                        return Err(from.bad(format!(
                            "chunks listed in a {} are not read; save the file with h5py's \
                             default `libver`",
                            name.unwrap_or(&"structure of a newer version")
                        )));
                    }
                };
                Ok(Self::Chunked { chunk, index })
            }
            3 => Err(from.bad("data put together from other data sets is not read")),
            class => Err(from.bad(format!("layout {class} is not known"))),
        }
    }

    fn read_old(mut from: Cursor<'_>) -> Result<Self> {
        let (axes, class) = (from.u8()?, from.u8()?);
        from.skip(5)?;
        let at = if class == 0 { NOWHERE } else { from.u64()? };
        match class {
            0 => {
                from.skip(4 * usize::from(axes))?;
                let len = from.u32()?;
                Ok(Self::Compact { at: from.at(), len: len.into() })
            }
            // The length is that of the shape.
            1 => Ok(Self::Contiguous { at, len: u64::MAX }),
            2 => {
                let chunk = chunk(&mut from, axes, 4)?;
                Ok(Self::Chunked { chunk, index: Index::Tree(at) })
            }
            class => Err(from.bad(format!("layout {class} is not known"))),
        }
    }
}

/// The shape of a chunk; its last number, the bytes of a value, is left off.
fn chunk(from: &mut Cursor<'_>, axes: u8, width: usize) -> Result<Vec<u64>> {
    if !(2..=33).contains(&axes) {
        return Err(from.bad(format!("chunks of {axes} axes")));
    }
    let mut chunk = (0..axes).map(|_| from.uint(width)).collect::<Result<Vec<_>>>()?;
    if chunk.contains(&0) {
        return Err(from.bad(format!("chunks of shape {chunk:?}")));
    }
    chunk.pop();
    Ok(chunk)
}

impl Filter {
    fn read(mut from: Cursor<'_>) -> Result<Vec<Self>> {
        let version = from.version(&[1, 2])?;
        let count = from.u8()?;
        from.skip(if version == 1 { 6 } else { 0 })?;
        let mut filters = vec![];
        for _ in 0..count {
            let id = from.u16()?;
            let name = if version == 1 || id >= 256 { from.u16()? } else { 0 };
            let (_flags, values) = (from.u16()?, from.u16()?);
            let name = usize::from(name);
            from.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
            let mut values = from.sub(4 * usize::from(values), "values of a filter")?;
            if version == 1 && values.len() % 8 != 0 {
                from.skip(4)?;
            }
            filters.push(match id {
                1 => Self::Deflate,
                2 => Self::Shuffle { size: values.u32()? as usize },
                3 => Self::Fletcher32,
                4 => return Err(from.bad("data compressed with `szip` is not read")),
                32000 => return Err(from.bad("data compressed with `lzf` is not read")),
                id => return Err(from.bad(format!("data through filter {id} is not read"))),
            });
        }
        Ok(filters)
    }

    /// What stood before the filter was applied; it has at most `most` bytes.
    fn undo(self, raw: Vec<u8>, most: usize, at: u64) -> Result<Vec<u8>> {
        match self {
            Self::Deflate => {
                let mut plain = Vec::with_capacity(most.min(raw.len().saturating_mul(4)));
                let limit = most as u64 + 1;
                flate2::read::ZlibDecoder::new(&raw[..])
                    .take(limit)
                    .read_to_end(&mut plain)
                    .map_err(|error| bad(at, format!("compressed data: {error}")))?;
                if plain.len() > most {
                    return Err(bad(at, "compressed data holds more than its chunk"));
                }
                Ok(plain)
            }
            Self::Shuffle { size } => {
                if size == 0 || !raw.len().is_multiple_of(size) {
                    return Err(bad(at, format!("{} bytes shuffled by {size}", raw.len())));
                }
                let count = raw.len() / size;
                let mut plain = vec![0; raw.len()];
                for (k, value) in plain.chunks_exact_mut(size).enumerate() {
                    value.iter_mut().enumerate().for_each(|(i, byte)| *byte = raw[i * count + k]);
                }
                Ok(plain)
            }
            Self::Fletcher32 => {
                let Some((body, stored)) = raw.split_last_chunk::<4>() else {
                    return Err(bad(at, "a chunk without its checksum"));
                };
                if fletcher32(body) != u32::from_le_bytes(*stored) {
                    return Err(bad(at, "the checksum of a chunk is wrong"));
                }
                Ok(body.to_vec())
            }
        }
    }
}

/// Fletcher's checksum over words of 16 bits, the higher byte first (Fletcher 1982).
fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut first, mut second) = (0_u32, 0_u32);
    for word in bytes.chunks(2) {
        let word = u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        first = (first + word) % 65535;
        second = (second + first) % 65535;
    }
    second << 16 | first
}

/// Chunks put together.
struct Pieces<'a> {
    set: &'a Dataset,
    name: &'a str,
    chunk: &'a [u64],
    /// Bytes of a chunk.
    size: usize,
    to: Vec<u8>,
    /// Chunks that are there, and how many there must be.
    found: std::collections::HashSet<Vec<u64>>,
    expected: u64,
}

impl<'a> Pieces<'a> {
    fn new(set: &'a Dataset, chunk: &'a [u64], name: &'a str, most: u64) -> Result<Self> {
        let shape = &set.shape;
        if chunk.len() != shape.len() {
            return Err(bad(set.at, format!("`{name}` {shape:?} in chunks of shape {chunk:?}")));
        }
        let size = Shape(chunk.to_vec()).count();
        let size = size.and_then(|count| count.checked_mul(set.kind.size() as u64));
        let Some(size) = size.filter(|size| *size <= most) else {
            return Err(bad(set.at, format!("`{name}`: chunks of shape {chunk:?} are too large")));
        };
        let expected = shape.iter().zip(chunk).map(|(axis, chunk)| axis.div_ceil(*chunk)).product();
        let to = vec![0; set.len()? as usize];
        let size = size as usize;
        Ok(Self { set, name, chunk, size, to, found: Default::default(), expected })
    }

    /// Adds the chunk whose first value is at `origin`; of `len` bytes, or as many as its values have.
    fn add(
        &mut self,
        bytes: &Bytes<'_>,
        origin: &[u64],
        at: u64,
        len: Option<u64>,
        mask: u32,
    ) -> Result<()> {
        let shape = &self.set.shape;
        let fits = origin.iter().zip(self.chunk).all(|(at, chunk)| at % chunk == 0)
            && origin.iter().zip(shape).all(|(at, axis)| at < axis);
        if !fits || !self.found.insert(origin.to_vec()) {
            let name = self.name;
            return Err(bad(
                at,
                format!("`{name}` {shape:?} has no place for a chunk at {origin:?}"),
            ));
        }
        let what = format!("a chunk of `{}`", self.name);
        let stored = bytes.data(at, len.unwrap_or(self.size as u64), &what)?;
        let mut plain = stored.to_vec();
        for (number, filter) in self.set.filters.iter().enumerate().rev() {
            if mask >> number.min(31) & 1 == 0 {
                // A checksum within may still stand behind the values.
                plain = filter.undo(plain, self.size + 4, at)?;
            }
        }
        if plain.len() != self.size {
            let (found, expected) = (plain.len(), self.size);
            return Err(bad(at, format!("{what} has {found} bytes, expected {expected}")));
        }
        self.place(origin, &plain);
        Ok(())
    }

    /// Copies the values of a chunk that are within the shape, row by row.
    fn place(&mut self, origin: &[u64], plain: &[u8]) {
        let size = self.set.kind.size();
        let shape = &self.set.shape;
        let last = shape.len() - 1;
        let within = |axis: usize| self.chunk[axis].min(shape[axis] - origin[axis]);
        let run = within(last) as usize * size;
        let rows: u64 = (0..last).map(within).product();
        for row in 0..rows {
            let (mut from, mut to) = (0, 0);
            // The row's place on each axis, counted from the last.
            let mut rest = row;
            let (mut from_step, mut to_step) = (self.chunk[last], shape[last]);
            for axis in (0..last).rev() {
                let at = rest % within(axis);
                rest /= within(axis);
                from += at * from_step;
                to += (origin[axis] + at) * to_step;
                from_step *= self.chunk[axis];
                to_step *= shape[axis];
            }
            let (from, to) = (from as usize * size, (to + origin[last]) as usize * size);
            self.to[to..to + run].copy_from_slice(&plain[from..from + run]);
        }
    }

    /// All chunks, one after the other in the order of their places.
    fn add_in_a_row(&mut self, bytes: &Bytes<'_>, mut at: u64) -> Result<()> {
        let shape = &self.set.shape;
        let counts: Vec<u64> =
            shape.iter().zip(self.chunk).map(|(axis, chunk)| axis.div_ceil(*chunk)).collect();
        for number in 0..self.expected {
            let mut origin = vec![0; shape.len()];
            let mut rest = number;
            for axis in (0..shape.len()).rev() {
                origin[axis] = rest % counts[axis] * self.chunk[axis];
                rest /= counts[axis];
            }
            self.add(bytes, &origin, at, None, 0)?;
            at = at.saturating_add(self.size as u64);
        }
        Ok(())
    }

    /// All chunks below a node of a tree, whose level is `level` where it is known.
    fn add_tree(&mut self, bytes: &Bytes<'_>, address: u64, level: Option<u8>) -> Result<()> {
        if address == NOWHERE {
            return Ok(());
        }
        bytes.once(address, "a node of the tree of chunks")?;
        let mut start = bytes.part(address, 24, "a node of the tree of chunks")?;
        start.signature(b"TREE")?;
        let (kind, found) = (start.u8()?, start.u8()?);
        if kind != 1 || found > 16 || level.is_some_and(|level| level != found) {
            return Err(start.bad(format!("kind {kind}, level {found} is out of place")));
        }
        let entries = u64::from(start.u16()?);
        let axes = self.set.shape.len();
        let entry = 8 + 8 * (axes as u64 + 1) + 8;
        let mut keys = bytes.part(address + 24, entries * entry, "a node of the tree of chunks")?;
        for _ in 0..entries {
            let (len, mask) = (keys.u32()?, keys.u32()?);
            let origin = (0..axes).map(|_| keys.u64()).collect::<Result<Vec<_>>>()?;
            keys.skip(8)?;
            let child = keys.u64()?;
            match found.checked_sub(1) {
                Some(below) => self.add_tree(bytes, child, Some(below))?,
                None => self.add(bytes, &origin, child, Some(len.into()), mask)?,
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        let found = self.found.len() as u64;
        if found == self.expected {
            return Ok(self.to);
        }
        let (name, expected) = (self.name, self.expected);
        let text = format!("{found} of the {expected} chunks of `{name}` were written");
        Err(bad(self.set.at, text))
    }
}
