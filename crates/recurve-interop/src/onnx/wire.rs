//! The wire format of protocol buffers, as much of it as ONNX needs: fields that are numbers, fixed-size
//! numbers or bytes, and messages in messages.
//!
//! Own, because what matters here is what a general reader does not give: the byte of every mistake, the
//! place of the values of a tensor instead of a copy, and limits on depth and number.

use crate::error::{Error, Result};
use std::ops::Range;

/// A field: its number and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) content: Content,
    /// Where it begins.
    pub(super) at: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Number(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Range<usize>),
}

/// The fields of a message, one after the other.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    range: Range<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        Self { bytes, range }
    }

    /// The next field, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Field>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let at = self.range.start;
        let key = self.number()?;
        let (number, kind) = (key >> 3, key & 7);
        let content = match kind {
            0 => Content::Number(self.number()?),
            1 => Content::Fixed64(u64::from_le_bytes(self.take_array(at)?)),
            5 => Content::Fixed32(u32::from_le_bytes(self.take_array(at)?)),
            2 => {
                let length = self.number()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Content::Bytes(self.take(length, at)?)
            }
            other => {
                let text = format!("expected a field, found one of the unknown type {other}");
                return Err(Error::damaged(text).at(at as u64));
            }
        };
        if number == 0 {
            return Err(Error::damaged("expected a field, found one numbered 0").at(at as u64));
        }
        Ok(Some(Field { number, content, at }))
    }

    fn take(&mut self, count: usize, at: usize) -> Result<Range<usize>> {
        let end = self.range.start.checked_add(count).filter(|end| *end <= self.range.end);
        let Some(end) = end else {
            return Err(Error::damaged(format!(
                "a field of {count} bytes, of which {} are there; the file was truncated or altered",
                self.range.len()
            ))
            .at(at as u64));
        };
        let taken = self.range.start..end;
        self.range.start = end;
        Ok(taken)
    }
    fn take_array<const N: usize>(&mut self, at: usize) -> Result<[u8; N]> {
        let range = self.take(N, at)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }
    fn number(&mut self) -> Result<u64> {
        let at = self.range.start;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1, at)?;
            let byte = self.bytes[byte.start];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::damaged("a number of more than 10 bytes").at(at as u64))
    }
}

impl Field {
    fn wrong(&self, expected: &str) -> Error {
        let text = format!("expected {expected} in field {}, found another type", self.number);
        Error::damaged(text).at(self.at as u64)
    }
    pub(super) fn integer(&self) -> Result<i64> {
        match self.content {
            Content::Number(number) => Ok(number.cast_signed()),
            _ => Err(self.wrong("an integer")),
        }
    }
    pub(super) fn float(&self) -> Result<f32> {
        match self.content {
            Content::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.wrong("a number")),
        }
    }
    pub(super) fn range(&self) -> Result<Range<usize>> {
        match &self.content {
            Content::Bytes(range) => Ok(range.clone()),
            _ => Err(self.wrong("bytes")),
        }
    }
    pub(super) fn text(&self, bytes: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(&bytes[self.range()?]);
        text.map(str::to_owned).map_err(|_| self.wrong("UTF-8 text"))
    }
    /// Adds the integers of a field that is one or many of them.
    pub(super) fn integers(&self, bytes: &[u8], to: &mut Vec<i64>) -> Result<()> {
        match &self.content {
            Content::Number(number) => to.push(number.cast_signed()),
            Content::Bytes(range) => {
                let mut all = Fields::new(bytes, range.clone());
                while !all.range.is_empty() {
                    to.push(all.number()?.cast_signed());
                }
            }
            _ => return Err(self.wrong("integers")),
        }
        Ok(())
    }
    /// Adds the numbers of a field that is one or many of them.
    pub(super) fn floats(&self, bytes: &[u8], to: &mut Vec<f64>) -> Result<()> {
        match &self.content {
            Content::Fixed32(bits) => to.push(f64::from(f32::from_bits(*bits))),
            Content::Bytes(range) if range.len().is_multiple_of(4) => {
                let values = bytes[range.clone()].as_chunks().0;
                to.extend(values.iter().map(|b| f64::from(f32::from_le_bytes(*b))));
            }
            _ => return Err(self.wrong("numbers")),
        }
        Ok(())
    }
    /// The same with numbers of 64 bits.
    pub(super) fn doubles(&self, bytes: &[u8], to: &mut Vec<f64>) -> Result<()> {
        match &self.content {
            Content::Fixed64(bits) => to.push(f64::from_bits(*bits)),
            Content::Bytes(range) if range.len().is_multiple_of(8) => {
                let values = bytes[range.clone()].as_chunks().0;
                to.extend(values.iter().map(|b| f64::from_le_bytes(*b)));
            }
            _ => return Err(self.wrong("numbers")),
        }
        Ok(())
    }
}

/// Writes a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
    pub(super) fn integer(&mut self, field: u64, value: i64) {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
    }
    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }
    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }
    pub(super) fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }
    pub(super) fn message(&mut self, field: u64, value: Self) {
        self.bytes(field, &value.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_their_ends_are_checked() {
        // Field 1 is -5, field 2 is 1.5, field 300 is a text.
        let bytes = b"\x08\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x15\0\0\xc0\x3f\xe2\x12\x01x";
        let mut fields = Fields::new(bytes, 0..bytes.len());
        assert_eq!(fields.next().unwrap().unwrap().integer().unwrap(), -5);
        assert_eq!(fields.next().unwrap().unwrap().float().unwrap(), 1.5);
        let last = fields.next().unwrap().unwrap();
        assert_eq!((last.number, last.text(bytes).unwrap()), (300, "x".to_owned()));
        assert!(fields.next().unwrap().is_none());
        for end in 1..bytes.len() {
            let mut fields = Fields::new(bytes, 0..end);
            while let Ok(Some(field)) = fields.next() {
                assert!(field.at < end);
            }
        }
        let error = Fields::new(b"\x0a\xff\xff\x03", 0..4).next().unwrap_err().to_string();
        assert!(error.contains("byte 0: a field of 65535 bytes, of which 0 are there"), "{error}");
    }
}
