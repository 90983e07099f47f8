//! What values are (numbers, texts) and how many there are.

use super::bytes::{Bytes, Cursor};
use crate::dtype::Dtype;
use crate::error::Result;

/// The type of the values of a data set or an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers.
    Int {
        /// Bytes of one.
        size: usize,
        /// Whether they may be negative.
        signed: bool,
        /// Whether the highest byte stands first.
        big: bool,
    },
    /// Floating point numbers of 2, 4 or 8 bytes, as IEEE 754 lays them out.
    Float {
        /// Bytes of one.
        size: usize,
        /// Whether the highest byte stands first.
        big: bool,
    },
    /// Texts of equal length, filled up.
    Text {
        /// Bytes of one.
        size: usize,
    },
    /// Texts of any length, which lie elsewhere.
    VariableText,
    /// Bytes without a meaning.
    Opaque {
        /// Bytes of one.
        size: usize,
    },
    /// Something else; what, in words.
    Other {
        /// Bytes of one.
        size: usize,
        /// What it is.
        name: &'static str,
    },
}

impl Kind {
    /// Bytes of one value.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Int { size, .. }
            | Self::Float { size, .. }
            | Self::Text { size }
            | Self::Opaque { size }
            | Self::Other { size, .. } => *size,
            Self::VariableText => 16,
        }
    }

    /// In words, for a person.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Int { size, signed, .. } => {
                format!("{}int{}", if *signed { "" } else { "u" }, 8 * size)
            }
            Self::Float { size, .. } => format!("float{}", 8 * size),
            Self::Text { .. } | Self::VariableText => "text".into(),
            Self::Opaque { size } => format!("{size} opaque bytes"),
            Self::Other { name, .. } => (*name).into(),
        }
    }

    /// Reads a datatype message.
    pub(super) fn read(from: &mut Cursor<'_>) -> Result<Self> {
        let class_and_version = from.u8()?;
        let bits = from.uint(3)?;
        let size = from.u32()? as usize;
        if size == 0 {
            return Err(from.bad("a type whose values have no bytes"));
        }
        let big = bits & 1 != 0;
        let other = |name| Ok(Self::Other { size, name });
        match class_and_version & 0xf {
            0 => {
                let (offset, precision) = (from.u16()?, from.u16()?);
                let plain = offset == 0 && usize::from(precision) == 8 * size;
                if plain && [1, 2, 4, 8].contains(&size) {
                    Ok(Self::Int { size, signed: bits & 8 != 0, big })
                } else {
                    other("whole numbers of an odd number of bits")
                }
            }
            1 => {
                let found = [from.uint(4)?, from.uint(4)?, from.uint(4)?];
                let ieee = |exponent: u64, mantissa: u64, bias: u64| {
                    let bits = 1 + exponent + mantissa;
                    [bits << 16, mantissa | exponent << 8 | mantissa << 24, bias]
                };
                let plain = match size {
                    2 => found == ieee(5, 10, 15),
                    4 => found == ieee(8, 23, 127),
                    8 => found == ieee(11, 52, 1023),
                    _ => false,
                };
                // Bit 6 would be the byte order of a VAX.
                if plain && bits & 0x40 == 0 {
                    Ok(Self::Float { size, big })
                } else {
                    other("floating point numbers that are not IEEE 754 of 16, 32 or 64 bits")
                }
            }
            3 => Ok(Self::Text { size }),
            5 => Ok(Self::Opaque { size }),
            6 => other("records of several values"),
            7 => other("references to other objects"),
            8 => Ok(match Self::read(from)? {
                base @ Self::Int { .. } if base.size() == size => base,
                _ => Self::Other { size, name: "an enumeration" },
            }),
            9 if bits & 0xf == 1 && size == 16 => Ok(Self::VariableText),
            9 => other("lists of varying length"),
            10 => other("arrays within a value"),
            2 | 4 => other("times or bit fields"),
            class => Err(from.bad(format!("values of class {class} are not known"))),
        }
    }

    /// The type of its values as numbers, once their lowest byte stands first; none where they are not
    /// numbers.
    pub(crate) fn dtype(&self) -> Option<Dtype> {
        let real = |size| {
            [(2, Dtype::F16), (4, Dtype::F32), (8, Dtype::F64)].into_iter().find(|d| d.0 == size)
        };
        let signed = [Dtype::I8, Dtype::I16, Dtype::I32, Dtype::I64];
        let unsigned = [Dtype::U8, Dtype::U16, Dtype::U32, Dtype::U64];
        match self {
            Self::Float { size, .. } => real(*size).map(|(_, dtype)| dtype),
            Self::Int { size, signed: is_signed, .. } => {
                let all = if *is_signed { signed } else { unsigned };
                all.into_iter().find(|dtype| dtype.size() == *size)
            }
            _ => None,
        }
    }

    /// Turns values so that their lowest byte stands first.
    pub(super) fn to_little(&self, raw: &mut [u8]) {
        if let Self::Int { size, big: true, .. } | Self::Float { size, big: true } = self {
            raw.chunks_exact_mut(*size).for_each(<[u8]>::reverse);
        }
    }
}

/// The lengths of the axes; no axis for a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) Vec<u64>);

impl Shape {
    /// Reads a dataspace message.
    pub(super) fn read(from: &mut Cursor<'_>) -> Result<Self> {
        let version = from.version(&[1, 2])?;
        let (rank, _flags) = (from.u8()?, from.u8()?);
        let kind = from.u8()?;
        if version == 1 {
            from.skip(4)?;
        } else if kind == 2 {
            return Ok(Self(vec![0]));
        }
        if rank > 32 {
            return Err(from.bad(format!("{rank} axes, more than the 32 of the format")));
        }
        Ok(Self((0..rank).map(|_| from.u64()).collect::<Result<_>>()?))
    }

    /// How many values.
    pub(super) fn count(&self) -> Option<u64> {
        self.0.iter().try_fold(1_u64, |count, axis| count.checked_mul(*axis))
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Texts.
    Texts(Vec<String>),
    /// Numbers.
    Numbers(Vec<f64>),
    /// Something that is not read; what, in words.
    Other(String),
}

impl Value {
    /// Reads an attribute message.
    pub(super) fn read<'a>(
        bytes: &Bytes<'a>,
        heaps: &super::heap::Heaps<'a>,
        mut from: Cursor<'a>,
    ) -> Result<(String, Self)> {
        let version = from.version(&[1, 2, 3])?;
        let flags = from.u8()?;
        if version > 1 && flags & 3 != 0 {
            return Err(from.bad("an attribute with a type that is shared is not read"));
        }
        let sizes = [from.u16()?, from.u16()?, from.u16()?].map(usize::from);
        if version == 3 {
            from.skip(1)?;
        }
        let padded = |size: usize| if version == 1 { size.next_multiple_of(8) } else { size };
        let name = text(from.sub(padded(sizes[0]), "the name of an attribute")?)?;
        let kind = Kind::read(&mut from.sub(padded(sizes[1]), "the type of an attribute")?)?;
        let shape = Shape::read(&mut from.sub(padded(sizes[2]), "the shape of an attribute")?)?;
        let length = shape.count().and_then(|count| count.checked_mul(kind.size() as u64));
        let length = length.filter(|length| *length <= from.len() as u64);
        let Some(length) = length else {
            return Err(from.bad(format!(
                "the attribute `{name}` of {:?} values is longer than the {} bytes left",
                shape.0,
                from.len()
            )));
        };
        let at = from.at();
        let raw = from.take(length as usize)?;
        let texts = |texts: Result<Vec<String>>| texts.map(Self::Texts);
        let value = match &kind {
            Kind::Text { size } => texts(
                raw.chunks_exact(*size)
                    .map(|raw| text(Cursor::over(raw, at, "the text of an attribute")))
                    .collect(),
            ),
            Kind::VariableText => texts(
                raw.chunks_exact(16)
                    .map(|raw| {
                        let place = Cursor::over(raw, at, "the text of an attribute");
                        text(heaps.variable(bytes, place)?)
                    })
                    .collect(),
            ),
            kind => {
                let mut raw = raw.to_vec();
                kind.to_little(&mut raw);
                let numbers = kind.dtype().map(|dtype| Self::Numbers(dtype.reals(&raw)));
                Ok(numbers.unwrap_or_else(|| Self::Other(kind.name())))
            }
        };
        Ok((name, value?))
    }
}

/// A text, up to its first zero.
pub(super) fn text(from: Cursor<'_>) -> Result<String> {
    let raw = from.rest();
    let end = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len());
    match std::str::from_utf8(&raw[..end]) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(from.bad("a text that is not UTF-8")),
    }
}
