//! Object headers: the messages that say what an object is.

use super::bytes::{Bytes, Cursor, bad, check};
use crate::error::Result;

/// One message of an object header.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) body: Cursor<'a>,
}

/// The kinds that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dataspace,
    LinkInfo,
    Datatype,
    Link,
    Layout,
    Filters,
    Attribute,
    Continuation,
    SymbolTable,
    AttributeInfo,
    ExternalFiles,
}

impl Kind {
    fn of(number: u16) -> Option<Self> {
        Some(match number {
            0x1 => Self::Dataspace,
            0x2 => Self::LinkInfo,
            0x3 => Self::Datatype,
            0x6 => Self::Link,
            0x7 => Self::ExternalFiles,
            0x8 => Self::Layout,
            0xb => Self::Filters,
            0xc => Self::Attribute,
            0x10 => Self::Continuation,
            0x11 => Self::SymbolTable,
            0x15 => Self::AttributeInfo,
            _ => return None,
        })
    }
}

/// Numbers of messages that say nothing about links, shapes or values: nothing, fill values, a group's
/// sizes, times, a comment, reference counts.
const UNINTERESTING: [u16; 10] = [0x0, 0x4, 0x5, 0xa, 0xd, 0xe, 0x12, 0x13, 0x14, 0x16];

/// A message is in a place of its own; the flag that says so.
const SHARED: u8 = 2;
/// A reader that does not know the message must not read on.
const MUST_UNDERSTAND: u8 = 0x80;

/// All messages of the object header at `address`.
pub(super) fn messages<'a>(bytes: &Bytes<'a>, address: u64) -> Result<Vec<Message<'a>>> {
    bytes.once(address, "an object")?;
    let mut found = Messages { list: vec![], more: vec![], left: usize::MAX };
    let start = bytes.up_to(address, 16, "object header")?;
    let tracked = if start.rest().starts_with(b"OHDR") {
        version_2(bytes, address, &mut found)?
    } else {
        version_1(bytes, start, &mut found)?;
        None
    };
    // Blocks may name further blocks.
    while let Some((at, len)) = found.more.pop() {
        bytes.once(at, "a block of an object header")?;
        let mut block = bytes.part(at, len, "block of an object header")?;
        match tracked {
            None => found.read_version_1(block)?,
            Some(tracked) => {
                let Some(body) = block.len().checked_sub(4) else {
                    return Err(bad(at, "a block of an object header is too short"));
                };
                check(block, body)?;
                let mut within = block.sub(body, "block of an object header")?;
                within.signature(b"OCHK")?;
                found.read_version_2(within, tracked)?;
            }
        }
    }
    Ok(found.list)
}

fn version_1<'a>(bytes: &Bytes<'a>, mut start: Cursor<'a>, to: &mut Messages<'a>) -> Result<()> {
    let address = start.at();
    start.version(&[1])?;
    start.skip(1)?;
    to.left = start.u16()?.into();
    start.skip(4)?;
    let size = start.u32()?;
    to.read_version_1(bytes.part(address + 16, size.into(), "object header")?)
}

/// Reads the first block; says whether messages have their order of creation.
fn version_2<'a>(bytes: &Bytes<'a>, address: u64, to: &mut Messages<'a>) -> Result<Option<bool>> {
    let mut start = bytes.up_to(address, 64, "object header")?;
    start.signature(b"OHDR")?;
    start.version(&[2])?;
    let flags = start.u8()?;
    let times = if flags & 0x20 == 0 { 0 } else { 16 };
    let phases = if flags & 0x10 == 0 { 0 } else { 4 };
    start.skip(times + phases)?;
    let size = start.uint(1 << (flags & 3))?;
    let prefix = start.at() - address;
    let total = size.checked_add(prefix + 4);
    let total = total.ok_or_else(|| bad(address, "an object header without end"))?;
    let mut whole = bytes.part(address, total, "object header")?;
    check(whole, whole.len() - 4)?;
    whole.skip(prefix as usize)?;
    let tracked = flags & 4 != 0;
    to.read_version_2(whole.sub(size as usize, "object header")?, tracked)?;
    Ok(Some(tracked))
}

struct Messages<'a> {
    list: Vec<Message<'a>>,
    /// Blocks still to read.
    more: Vec<(u64, u64)>,
    /// Messages still to come, by the header's own count.
    left: usize,
}

impl<'a> Messages<'a> {
    fn read_version_1(&mut self, mut block: Cursor<'a>) -> Result<()> {
        while block.len() >= 8 && self.left > 0 {
            let (kind, size, flags) = (block.u16()?, block.u16()?, block.u8()?);
            block.skip(3)?;
            self.left -= 1;
            self.add(kind, flags, block.sub(size.into(), "message of an object header")?)?;
        }
        Ok(())
    }

    fn read_version_2(&mut self, mut block: Cursor<'a>, tracked: bool) -> Result<()> {
        let prefix = if tracked { 6 } else { 4 };
        while block.len() >= prefix {
            let (kind, size, flags) = (block.u8()?, block.u16()?, block.u8()?);
            block.skip(prefix - 4)?;
            let body = block.sub(size.into(), "message of an object header")?;
            self.add(kind.into(), flags, body)?;
        }
        Ok(())
    }

    fn add(&mut self, number: u16, flags: u8, mut body: Cursor<'a>) -> Result<()> {
        let Some(kind) = Kind::of(number) else {
            if UNINTERESTING.contains(&number) || flags & MUST_UNDERSTAND == 0 {
                return Ok(());
            }
            return Err(body.bad(format!("messages of kind {number:#x} are not read")));
        };
        if flags & SHARED != 0 {
            return Err(body.bad("a message that is shared with other objects is not read"));
        }
        match kind {
            Kind::Continuation => self.more.push((body.u64()?, body.u64()?)),
            Kind::ExternalFiles => return Err(body.bad("data in other files is not read")),
            _ => self.list.push(Message { kind, body }),
        }
        Ok(())
    }
}
