//! The numbers of other people's files.

use crate::error::{Error, Result};

/// The type of the values of a tensor, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Dtype {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
    /// Its short name: `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
    /// Whether its values are floating-point numbers.
    pub fn is_real(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }

    /// The values as `f64`; exact, but for integers beyond 2^53.
    pub fn reals(self, bytes: &[u8]) -> Vec<f64> {
        macro_rules! all {
            ($t:ty) => {
                bytes.as_chunks().0.iter().map(|b| <$t>::from_le_bytes(*b) as f64).collect()
            };
        }
        match self {
            Self::F64 => all!(f64),
            Self::F32 => all!(f32),
            Self::F16 => bytes.as_chunks().0.iter().map(|b| f16(u16::from_le_bytes(*b))).collect(),
            Self::Bf16 => {
                let wide = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                bytes.as_chunks().0.iter().map(|b| f64::from(wide(b))).collect()
            }
            Self::I64 => all!(i64),
            Self::I32 => all!(i32),
            Self::I16 => all!(i16),
            Self::I8 => all!(i8),
            Self::U64 => all!(u64),
            Self::U32 => all!(u32),
            Self::U16 => all!(u16),
            Self::U8 => all!(u8),
            Self::Bool => bytes.iter().map(|b| f64::from(u8::from(*b != 0))).collect(),
        }
    }

    /// The values as integers.
    ///
    /// # Errors
    /// They are floating-point numbers, or beyond the range of `i64`.
    pub fn integers(self, bytes: &[u8]) -> Result<Vec<i64>> {
        macro_rules! all {
            ($t:ty) => {
                bytes.as_chunks().0.iter().map(|b| i64::from(<$t>::from_le_bytes(*b))).collect()
            };
        }
        Ok(match self {
            Self::I64 => all!(i64),
            Self::I32 => all!(i32),
            Self::I16 => all!(i16),
            Self::I8 => all!(i8),
            Self::U32 => all!(u32),
            Self::U16 => all!(u16),
            Self::U8 => all!(u8),
            Self::Bool => bytes.iter().map(|b| i64::from(*b != 0)).collect(),
            Self::U64 => {
                let whole = |b: &[u8; 8]| i64::try_from(u64::from_le_bytes(*b));
                let values: std::result::Result<_, _> =
                    bytes.as_chunks().0.iter().map(whole).collect();
                values.map_err(|_| Error::refused("an integer above 9223372036854775807"))?
            }
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 => {
                return Err(Error::refused(format!("expected integers, found {}", self.name())));
            }
        })
    }
}

/// The value of a number of IEEE 754 binary16.
fn f16(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_widened_exactly() {
        let values = [0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x7c00].map(f16);
        assert_eq!(values, [1.0, -2.0, 2f64.powi(-24), 65504.0, 0.0, f64::INFINITY]);
        assert!(values[4].is_sign_negative() && f16(0x7e00).is_nan());
        assert_eq!(Dtype::Bf16.reals(&[0x80, 0x3f, 0x49, 0xc0]), [1.0, -3.140625]);
    }
}
