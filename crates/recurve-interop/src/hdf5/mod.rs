//! HDF5, as far as files of weights go.
//!
//! Read: superblocks 0 to 3; groups of the old kind (symbol tables) and of the new (link messages, in the
//! header or in a heap); object headers 1 and 2; attributes of numbers and texts; data in the header, in
//! one piece or in chunks that are shuffled, deflated or checksummed. Refused by name: links that are not
//! direct, data in other files, shared types, other filters, the newest lists of chunks.
//!
//! A file is hostile until shown otherwise. All links are followed once, at opening, each object and each
//! node at most once, so that a file that leads back to itself is found out; structures together may not
//! be longer than a few times the file, nor its data than the file, nor what comes out of compression
//! than a limit. Addresses are checked where they are used, and every error names the byte.

mod bytes;
mod data;
mod dense;
mod header;
mod heap;
mod links;
mod types;
pub(crate) mod write;

use crate::error::{Error, Result};
use crate::limits::Limits;
use bytes::{Bytes, NOWHERE, bad};
pub(crate) use data::Dataset;
use dense::Index;
use header::Kind as MessageKind;
use heap::Heaps;
pub(crate) use types::{Kind, Value};

/// The eight bytes that every file has at its start, or behind a block of the user's own.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// A file: its groups and attributes, and where its data lie.
pub(crate) struct File<'a> {
    bytes: Bytes<'a>,
    /// Bytes of data that may still be read.
    left: std::cell::Cell<u64>,
    root: Object,
}

/// A group or a data set.
#[derive(Debug)]
pub(crate) struct Object {
    attributes: Vec<(String, Value)>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Group(Vec<(String, Object)>),
    Dataset(Dataset),
    /// Neither, such as a type with a name.
    Other,
}

impl<'a> File<'a> {
    /// Reads all but the data.
    ///
    /// # Errors
    /// The bytes are not a whole file of the part of HDF5 that is read here.
    pub(crate) fn open(all: &'a [u8], limits: &Limits) -> Result<Self> {
        let start = start(all).ok_or_else(|| bad(0, "this does not begin as HDF5 files do"))?;
        let bytes = Bytes::new(&all[start..]);
        let root = superblock(&bytes, start as u64)?;
        let mut walk = Walk { bytes: &bytes, heaps: Heaps::default(), left: limits.things };
        let root = walk.object(root, "/", limits.depth)?;
        let left = limits.inflated.max((all.len() as u64).saturating_mul(limits.inflation));
        Ok(Self { bytes, left: left.into(), root })
    }

    /// The group that holds all others.
    pub(crate) fn root(&self) -> &Object {
        &self.root
    }

    /// The values of `set`, row-major, each with its lowest byte first; `name` is for errors.
    ///
    /// # Errors
    /// They are not there, damaged, or more than is allowed for a file of this size.
    pub(crate) fn read(&self, set: &Dataset, name: &str) -> Result<Vec<u8>> {
        let raw = set.read(&self.bytes, name, self.left.get());
        let raw = raw.map_err(|error| error.within(format_args!("`{name}`")))?;
        self.left.set(self.left.get().saturating_sub(raw.len() as u64));
        Ok(raw)
    }
}

impl Object {
    /// The attribute called `name`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
    /// What is in the group, by name; nothing in a data set.
    pub(crate) fn children(&self) -> &[(String, Object)] {
        match &self.content {
            Content::Group(children) => children,
            _ => &[],
        }
    }
    /// The object at `path` below this one, names joined by `/`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |object, name| {
            object.children().iter().find(|(own, _)| own == name).map(|(_, child)| child)
        })
    }
    /// The data set that this is.
    pub(crate) fn dataset(&self) -> Option<&Dataset> {
        match &self.content {
            Content::Dataset(set) => Some(set),
            _ => None,
        }
    }
    /// Whether this is a group.
    pub(crate) fn is_group(&self) -> bool {
        matches!(self.content, Content::Group(_))
    }
}

/// Where the file begins: at its first byte, or at 512, 1024, 2048…
fn start(all: &[u8]) -> Option<usize> {
    let places = std::iter::once(0).chain((9..40).map(|power| 1_usize << power));
    let mut places = places.take_while(|at| *at < all.len());
    places.find(|at| all[*at..].starts_with(&SIGNATURE))
}

/// The address of the root group, counted from the superblock, which is at `start`.
fn superblock(bytes: &Bytes<'_>, start: u64) -> Result<u64> {
    let mut from = bytes.up_to(0, 96, "superblock")?;
    let whole = from;
    from.skip(8)?;
    let version = from.version(&[0, 1, 2, 3])?;
    let old = version < 2;
    from.skip(if old { 4 } else { 0 })?;
    let sizes = (from.u8()?, from.u8()?);
    if sizes != (8, 8) {
        return Err(from.bad(format!("addresses and lengths of {sizes:?} bytes; 8 are read")));
    }
    // Sizes of tree nodes, which the nodes say again, and flags.
    from.skip(match version {
        0 => 9,
        1 => 13,
        _ => 1,
    })?;
    let _base = from.u64()?;
    let _extension = from.u64()?;
    let end = from.u64()?;
    let root = if old {
        from.skip(16)?;
        from.u64()?
    } else {
        let root = from.u64()?;
        bytes::check(whole, 44)?;
        root
    };
    // This one address counts the user's block.
    let found = start + bytes.len() as u64;
    if end > found {
        return Err(bad(
            0,
            format!("the file should have {end} bytes and has {found}; a part of it is missing"),
        ));
    }
    Ok(root)
}

/// Follows all links.
struct Walk<'b, 'a> {
    bytes: &'b Bytes<'a>,
    heaps: Heaps<'a>,
    /// Objects that may still be met.
    left: usize,
}

impl<'a> Walk<'_, 'a> {
    fn object(&mut self, address: u64, path: &str, depth: usize) -> Result<Object> {
        let here = |error: Error| error.within(format_args!("`{path}`"));
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| here(Error::refused("one object more than are read from a file")))?;
        let messages = header::messages(self.bytes, address).map_err(here)?;
        let attributes = self.attributes(&messages).map_err(here)?;
        if let Some(set) = Dataset::of(&messages, address).map_err(here)? {
            return Ok(Object { attributes, content: Content::Dataset(set) });
        }
        let Some(links) = links::of(self.bytes, &messages).map_err(here)? else {
            return Ok(Object { attributes, content: Content::Other });
        };
        let Some(below) = depth.checked_sub(1) else {
            return Err(here(bad(address, "groups lie too deep within each other")));
        };
        let path = path.trim_end_matches('/');
        let children = links.into_iter().map(|(name, address)| {
            let child = self.object(address, &format!("{path}/{name}"), below)?;
            Ok((name, child))
        });
        let children = children.collect::<Result<Vec<_>>>()?;
        Ok(Object { attributes, content: Content::Group(children) })
    }

    fn attributes(&self, messages: &[header::Message<'a>]) -> Result<Vec<(String, Value)>> {
        let (bytes, heaps) = (self.bytes, &self.heaps);
        let mut attributes = vec![];
        for message in messages {
            let mut body = message.body;
            match message.kind {
                MessageKind::Attribute => attributes.push(Value::read(bytes, heaps, body)?),
                MessageKind::AttributeInfo => {
                    body.version(&[0])?;
                    let flags = body.u8()?;
                    body.skip(if flags & 1 == 0 { 0 } else { 2 })?;
                    let (heap, index) = (body.u64()?, body.u64()?);
                    if heap != NOWHERE {
                        for body in dense::objects(bytes, heap, index, Index::Attributes)? {
                            attributes.push(Value::read(bytes, heaps, body)?);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests;
