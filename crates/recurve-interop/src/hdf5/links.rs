//! What is in a group: names and the addresses of objects.

use super::bytes::{Bytes, Cursor, NOWHERE};
use super::dense;
use super::header::{Kind, Message};
use super::heap;
use super::types::text;
use crate::error::Result;

/// A name, and the address of the object header that it leads to.
pub(super) type Link = (String, u64);

/// The deepest tree of links that is followed; a file of all links of the world has fewer levels.
const DEEPEST: u8 = 16;

/// All links of a group with these messages; none if it is not a group.
pub(super) fn of<'a>(bytes: &Bytes<'a>, messages: &[Message<'a>]) -> Result<Option<Vec<Link>>> {
    let mut links = vec![];
    let mut is_group = false;
    for message in messages {
        let mut body = message.body;
        match message.kind {
            Kind::SymbolTable => {
                is_group = true;
                let (tree, heap) = (body.u64()?, body.u64()?);
                let names = heap::local(bytes, heap)?;
                symbols(bytes, tree, names, None, &mut links)?;
            }
            Kind::LinkInfo => {
                is_group = true;
                body.version(&[0])?;
                let flags = body.u8()?;
                body.skip(if flags & 1 == 0 { 0 } else { 8 })?;
                let (heap, index) = (body.u64()?, body.u64()?);
                if heap != NOWHERE {
                    for link in dense::objects(bytes, heap, index, dense::Index::Links)? {
                        links.push(one(link)?);
                    }
                }
            }
            Kind::Link => {
                is_group = true;
                links.push(one(body)?);
            }
            _ => {}
        }
    }
    Ok(is_group.then_some(links))
}

/// A link message.
fn one(mut from: Cursor<'_>) -> Result<Link> {
    from.version(&[1])?;
    let flags = from.u8()?;
    let kind = if flags & 8 == 0 { 0 } else { from.u8()? };
    from.skip(if flags & 4 == 0 { 0 } else { 8 })?;
    from.skip(if flags & 0x10 == 0 { 0 } else { 1 })?;
    let length = from.uint(1 << (flags & 3))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(from.len() + 1);
    let name = text(from.sub(length, "the name of a link")?)?;
    match kind {
        0 => Ok((name, from.u64()?)),
        1 => Err(from.bad(format!("`{name}` is a soft link; only direct links are followed"))),
        _ => Err(from.bad(format!("`{name}` leads to another file; such links are not followed"))),
    }
}

/// The links below a node of the tree of an old group, whose level is `level` where it is known.
fn symbols(
    bytes: &Bytes<'_>,
    address: u64,
    names: Cursor<'_>,
    level: Option<u8>,
    links: &mut Vec<Link>,
) -> Result<()> {
    bytes.once(address, "a node of a group's tree")?;
    let mut start = bytes.part(address, 24, "a node of a group's tree")?;
    start.signature(b"TREE")?;
    let kind = start.u8()?;
    let found = start.u8()?;
    if kind != 0 || found > DEEPEST || level.is_some_and(|level| level != found) {
        return Err(start.bad(format!("kind {kind}, level {found} is out of place")));
    }
    let entries = start.u16()?;
    let mut keys = bytes.part(address + 24, u64::from(entries) * 16, "a node of a group's tree")?;
    for _ in 0..entries {
        keys.skip(8)?;
        let child = keys.u64()?;
        match found.checked_sub(1) {
            Some(below) => symbols(bytes, child, names, Some(below), links)?,
            None => symbol_node(bytes, child, names, links)?,
        }
    }
    Ok(())
}

fn symbol_node(
    bytes: &Bytes<'_>,
    address: u64,
    names: Cursor<'_>,
    links: &mut Vec<Link>,
) -> Result<()> {
    bytes.once(address, "a list of names")?;
    let mut start = bytes.part(address, 8, "a list of names")?;
    start.signature(b"SNOD")?;
    start.version(&[1])?;
    start.skip(1)?;
    let count = start.u16()?;
    let mut entries = bytes.part(address + 8, u64::from(count) * 40, "a list of names")?;
    for _ in 0..count {
        let (at, object, cached) = (entries.u64()?, entries.u64()?, entries.u32()?);
        entries.skip(20)?;
        let mut name = names;
        name.skip(usize::try_from(at).unwrap_or(usize::MAX).min(name.len() + 1))?;
        let name = text(name)?;
        bytes.text(name.len() as u64 + 1, at)?;
        if cached == 2 {
            return Err(
                entries.bad(format!("`{name}` is a soft link; only direct links are followed"))
            );
        }
        links.push((name, object));
    }
    Ok(())
}
