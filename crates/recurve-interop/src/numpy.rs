//! NumPy: one array in `.npy`, many in a `.npz` archive.
//!
//! The header of an array is a literal of Python; it is read by a small grammar, never evaluated. Arrays of
//! objects, which are pickles, and of records are refused. What the arrays mean is told by their names, as in a
//! state dict of PyTorch; an archive that Recurve wrote holds its description too.

use crate::archive::Archive;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::export::{DESCRIPTION, from_json};
use crate::foreign::{Contents, Format, Options};
use crate::found::Exact;
use crate::source::Source;
use crate::tensors::{Data, Tensor, Tensors};
use crate::torch;
use recurve_nn::Entries;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first bytes of an array.
const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read.
const LONGEST: usize = 64 << 10;

/// Whether bytes look like the beginning of an array.
pub(crate) fn is_beginning(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Whether an archive holds arrays alone.
pub(crate) fn is_archive(archive: &Archive) -> bool {
    let members = archive.members();
    !members.is_empty() && members.iter().all(|member| member.name.ends_with(".npy"))
}

/// Opens an archive of arrays.
pub(crate) fn open_archive(archive: &Archive, options: &Options) -> Result<Contents> {
    let mut tensors = Tensors::new();
    let mut description = None;
    for member in archive.members() {
        let name = member.name.strip_suffix(".npy").unwrap_or(&member.name);
        let told = |error: Error| error.within(format_args!("member `{}`", member.name));
        let bytes = archive.read(&member.name)?;
        let tensor = array(name, &bytes).map_err(told)?;
        if name == DESCRIPTION {
            let text = String::from_utf8(tensor.bytes()?);
            description = Some(text.map_err(|_| told(Error::damaged("a text that is not UTF-8")))?);
        } else {
            tensors.add(tensor)?;
        }
    }
    let exact = description.map(|text| exact(&tensors, &text)).transpose()?;
    contents(tensors, exact, options)
}

/// Opens a single array.
pub(crate) fn open(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    let mut tensors = Tensors::new();
    tensors.add(array("array", &source.read_all()?)?)?;
    contents(tensors, None, options)
}

fn contents(tensors: Tensors, exact: Option<Exact>, options: &Options) -> Result<Contents> {
    let (found, refused) = match exact {
        Some(_) => (vec![], vec![]),
        None => torch::recognise(&tensors, options, true)?,
    };
    let (texts, format) = (BTreeMap::new(), Format::Numpy);
    Ok(Contents { format, texts, tensors, found, refused, ordered: true, graph: None, exact })
}

/// The model that Recurve wrote into an archive.
fn exact(tensors: &Tensors, description: &str) -> Result<Exact> {
    let description = from_json(description, tensors)?;
    let entries = Entries::of(&description)?;
    let mut values = vec![];
    for entry in entries.iter() {
        let tensor = tensors.get(&entry.name);
        let tensor =
            tensor.ok_or_else(|| Error::damaged(format!("`{}` is missing", entry.name)))?;
        tensor.check_shape(&entry.shape)?;
        values.push((entry.name.clone(), tensor.reals()?));
    }
    Ok(Exact { description, values })
}

/// An array.
fn array(name: &str, bytes: &[u8]) -> Result<Tensor> {
    let early = || Error::damaged("the header of the array ends early");
    if !is_beginning(bytes) {
        return Err(Error::damaged("expected an array, which begins with `\\x93NUMPY`").at(0));
    }
    let major = *bytes.get(6).ok_or_else(early)?;
    let (length, begin) = match major {
        1 => (bytes.get(8..10).ok_or_else(early)?, 10),
        2 | 3 => (bytes.get(8..12).ok_or_else(early)?, 12),
        other => return Err(Error::refused(format!("version {other} of arrays")).at(6)),
    };
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > LONGEST {
        return Err(
            Error::refused(format!("a header of {length} bytes; the most is {LONGEST}")).at(8)
        );
    }
    let header = bytes.get(begin..begin + length).ok_or_else(early)?;
    let told = |error: Error| error.at(begin as u64);
    let text = std::str::from_utf8(header)
        .map_err(|_| told(Error::damaged("a header that is no text")))?;
    let header = Header::parse(text).map_err(told)?;
    let (dtype, big) = dtype(&header.kind).map_err(told)?;
    let values = &bytes[begin + length..];
    let size = header.shape.iter().try_fold(dtype.size(), |size, axis| size.checked_mul(*axis));
    if size != Some(values.len()) {
        let (shape, found) = (&header.shape, values.len());
        let text = format!("the shape {shape:?} of {} does not have {found} bytes", dtype.name());
        return Err(Error::damaged(text).at((begin + length) as u64));
    }
    let mut own = values.to_vec();
    if big {
        own.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    let count = own.len() / dtype.size();
    let tensor = Tensor::new(name, dtype, header.shape.clone(), Data::Held(own.into()))?;
    if !header.columns_first {
        return Ok(tensor);
    }
    // The first axis is the one whose values lie side by side.
    let strides = header.shape.iter().scan(1_usize, |stride, axis| {
        let own = *stride;
        *stride = stride.saturating_mul(*axis);
        Some(own)
    });
    let strides = strides.collect();
    if count == 0 { Ok(tensor) } else { tensor.strided(0, strides, count) }
}

/// The type of an array, and whether its highest bytes stand first.
fn dtype(kind: &str) -> Result<(Dtype, bool)> {
    let unknown = || Error::refused(format!("an array of the type `{kind}`"));
    let mut characters = kind.chars();
    let order = characters.next().ok_or_else(unknown)?;
    let dtype = match characters.as_str() {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "i8" => Dtype::I64,
        "i4" => Dtype::I32,
        "i2" => Dtype::I16,
        "i1" => Dtype::I8,
        "u8" => Dtype::U64,
        "u4" => Dtype::U32,
        "u2" => Dtype::U16,
        "u1" => Dtype::U8,
        "b1" => Dtype::Bool,
        _ => return Err(unknown()),
    };
    match order {
        '<' => Ok((dtype, false)),
        '>' => Ok((dtype, true)),
        '|' if dtype.size() == 1 => Ok((dtype, false)),
        _ => Err(unknown()),
    }
}

/// What a header says.
struct Header {
    kind: String,
    columns_first: bool,
    shape: Vec<usize>,
}

impl Header {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
    fn parse(text: &str) -> Result<Self> {
        let mut rest = Text(text.trim_end());
        let (mut kind, mut columns_first, mut shape) = (None, None, None);
        rest.expect("{")?;
        while !rest.take("}") {
            let key = rest.quoted()?;
            rest.expect(":")?;
            match key {
                "descr" if kind.is_none() => kind = Some(rest.quoted()?.to_owned()),
                "fortran_order" if columns_first.is_none() => {
                    columns_first = Some(rest.take("True"));
                    if columns_first == Some(false) {
                        rest.expect("False")?;
                    }
                }
                "shape" if shape.is_none() => shape = Some(rest.shape()?),
                key => return Err(Error::damaged(format!("the key `{key}` in a header"))),
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        match (kind, columns_first, shape, rest.0) {
            (Some(kind), Some(columns_first), Some(shape), "") => {
                Ok(Self { kind, columns_first, shape })
            }
            _ => Err(Error::damaged(format!("not a header of an array: {text}"))),
        }
    }
}

/// What is left of a header.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn take(&mut self, token: &str) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) {
            return Ok(());
        }
        let found: String = self.0.chars().take(12).collect();
        Err(Error::damaged(format!("expected `{token}`, found `{found}`")))
    }
    fn quoted(&mut self) -> Result<&'a str> {
        let quote = if self.take("\"") { '"' } else { '\'' };
        if quote == '\'' {
            self.expect("'")?;
        }
        let (text, rest) =
            self.0.split_once(quote).ok_or_else(|| Error::damaged("a text without end"))?;
        self.0 = rest;
        Ok(text)
    }
    fn shape(&mut self) -> Result<Vec<usize>> {
        self.expect("(")?;
        let mut shape = vec![];
        while !self.take(")") {
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            self.0 = rest;
            let axis = digits.parse();
            shape
                .push(axis.map_err(|_| Error::damaged(format!("the size `{digits}` of an axis")))?);
            if shape.len() > 32 {
                return Err(Error::refused("an array of more than 32 axes"));
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(shape)
    }
}
