//! Writing HDF5: groups, texts as attributes, numbers in one piece. No more is needed for weights.
//!
//! What is written is the compact form that HDF5 reads since version 1.8: superblock 2, object headers 2,
//! links in the headers of their groups, a checksum on each. Equal contents give equal bytes.

use super::SIGNATURE;
use super::bytes::{NOWHERE, lookup3};
use crate::dtype::Dtype;
use crate::error::{Error, Result};

/// A group to be written: what is in it, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// Attributes: names and texts.
    pub(crate) texts: Vec<(String, String)>,
    /// What is in it.
    pub(crate) children: Vec<(String, Node)>,
}

/// What is in a group.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A group.
    Group(Group),
    /// Numbers, row-major, each with its lowest byte first.
    Numbers {
        /// Their type.
        dtype: Dtype,
        /// The lengths of their axes.
        shape: Vec<usize>,
        /// Their bytes.
        bytes: Vec<u8>,
    },
}

impl Group {
    /// The group at `path`, names joined by `/`; made where it is not there yet.
    ///
    /// # Panics
    /// Where numbers have this name.
    pub(crate) fn at(&mut self, path: &str) -> &mut Self {
        path.split('/').filter(|name| !name.is_empty()).fold(self, |group, name| {
            let known = group.children.iter().position(|(own, _)| own == name);
            let place = known.unwrap_or_else(|| {
                group.children.push((name.to_owned(), Node::Group(Self::default())));
                group.children.len() - 1
            });
            match &mut group.children[place].1 {
                Node::Group(child) => child,
                Node::Numbers { .. } => panic!("`{name}` is not a group"),
            }
        })
    }

    /// The bytes of a file with this group as its root.
    ///
    /// # Errors
    /// A text is longer than the 60000 bytes that fit a header, or a type is one that has no numbers here.
    pub(crate) fn file(&self) -> Result<Vec<u8>> {
        // The superblock goes here when the address of the root is known.
        let mut file = vec![0; 48];
        let root = self.write(&mut file)?;
        let mut start = SIGNATURE.to_vec();
        start.extend([2, 8, 8, 0]);
        for address in [0, NOWHERE, file.len() as u64, root] {
            start.extend(address.to_le_bytes());
        }
        start.extend(lookup3(&start).to_le_bytes());
        file[..48].copy_from_slice(&start);
        Ok(file)
    }

    /// Writes what is in the group and then itself; gives its address.
    fn write(&self, file: &mut Vec<u8>) -> Result<u64> {
        let mut header = Header::default();
        // Links are in the header, and not in their order of creation.
        header.message(0x02, |to| {
            to.extend([0, 0]);
            to.extend([NOWHERE; 2].iter().flat_map(|at| at.to_le_bytes()));
        })?;
        header.message(0x0a, |to| to.extend([0, 0]))?;
        for (name, text) in &self.texts {
            header.attribute(name, text)?;
        }
        for (name, child) in &self.children {
            let address = match child {
                Node::Group(group) => group.write(file)?,
                Node::Numbers { dtype, shape, bytes } => numbers(file, *dtype, shape, bytes)?,
            };
            header.message(0x06, |to| {
                // The length of the name in four bytes, and that the name is UTF-8.
                to.extend([1, 0x12, 1]);
                to.extend((name.len() as u32).to_le_bytes());
                to.extend(name.as_bytes());
                to.extend(address.to_le_bytes());
            })?;
        }
        Ok(header.write(file))
    }
}

/// Writes a data set; gives its address.
fn numbers(file: &mut Vec<u8>, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<u64> {
    align(file);
    // Nothing is nowhere.
    let at = if bytes.is_empty() { NOWHERE } else { file.len() as u64 };
    file.extend(bytes);
    let mut header = Header::default();
    header.message(0x01, |to| dataspace(to, shape))?;
    let kind = datatype(dtype).ok_or_else(|| {
        Error::refused(format!("numbers of type {} are not written to HDF5", dtype.name()))
    })?;
    header.message(0x03, |to| to.extend(kind))?;
    // Memory taken late, nothing filled in.
    header.message(0x05, |to| to.extend([3, 0x0a]))?;
    header.message(0x08, |to| {
        to.extend([3, 1]);
        to.extend(at.to_le_bytes());
        to.extend((bytes.len() as u64).to_le_bytes());
    })?;
    Ok(header.write(file))
}

fn dataspace(to: &mut Vec<u8>, shape: &[usize]) {
    to.extend([2, shape.len() as u8, 0, u8::from(!shape.is_empty())]);
    to.extend(shape.iter().flat_map(|axis| (*axis as u64).to_le_bytes()));
}

/// A datatype message.
fn datatype(dtype: Dtype) -> Option<Vec<u8>> {
    let size = dtype.size() as u32;
    let bits = (8 * size as u16).to_le_bytes();
    // Where the exponent and the mantissa lie, how long they are, and the bias.
    let real = |exponent: u8, mantissa: u8, bias: u32| {
        // The highest bit of the mantissa is not stored; the sign is the highest bit.
        let mut kind = vec![0x11, 0x20, bits[0] - 1, 0];
        kind.extend(size.to_le_bytes());
        kind.extend([0, 0, bits[0], bits[1], mantissa, exponent, 0, mantissa]);
        kind.extend(bias.to_le_bytes());
        kind
    };
    let whole = |signed: u8| {
        let mut kind = vec![0x10, signed << 3, 0, 0];
        kind.extend(size.to_le_bytes());
        kind.extend([0, 0, bits[0], bits[1]]);
        kind
    };
    Some(match dtype {
        Dtype::F16 => real(5, 10, 15),
        Dtype::F32 => real(8, 23, 127),
        Dtype::F64 => real(11, 52, 1023),
        Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 => whole(1),
        Dtype::U64 | Dtype::U32 | Dtype::U16 | Dtype::U8 => whole(0),
        Dtype::Bf16 | Dtype::Bool => return None,
    })
}

fn align(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(8), 0);
}

/// The messages of an object header.
#[derive(Default)]
struct Header(Vec<u8>);

impl Header {
    fn message(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut bytes = vec![];
        body(&mut bytes);
        let len = u16::try_from(bytes.len()).map_err(|_| {
            let len = bytes.len();
            Error::refused(format!("a name or text of {len} bytes is too long for HDF5"))
        })?;
        self.0.push(kind);
        self.0.extend(len.to_le_bytes());
        self.0.push(0);
        self.0.extend(bytes);
        Ok(())
    }

    /// A text of its own length, in UTF-8.
    fn attribute(&mut self, name: &str, text: &str) -> Result<()> {
        let size = text.len().max(1) as u32;
        let mut kind = vec![0x13, 0x11, 0, 0];
        kind.extend(size.to_le_bytes());
        let mut space = vec![];
        dataspace(&mut space, &[]);
        self.message(0x0c, |to| {
            to.extend([3, 0]);
            let sizes = [name.len() + 1, kind.len(), space.len()];
            to.extend(sizes.iter().flat_map(|size| (*size as u16).to_le_bytes()));
            to.push(1);
            to.extend(name.as_bytes());
            to.push(0);
            to.extend(kind);
            to.extend(space);
            to.extend(text.as_bytes());
            to.resize(to.len() + size as usize - text.len(), 0);
        })
    }

    /// Writes the header; gives its address.
    fn write(self, file: &mut Vec<u8>) -> u64 {
        align(file);
        let at = file.len();
        file.extend(*b"OHDR");
        // The length of the messages in four bytes.
        file.extend([2, 2]);
        file.extend((self.0.len() as u32).to_le_bytes());
        file.extend(self.0);
        let checksum = lookup3(&file[at..]);
        file.extend(checksum.to_le_bytes());
        at as u64
    }
}
