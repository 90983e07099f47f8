//! The one error of this crate: which file, where in it, what was expected and found, what to do.

use std::fmt;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a file was not read, or a model not written.
///
/// The text begins with the file and goes inwards: the place in the file (a byte, a tensor, a key), what was
/// expected there and what was found, and what can be done.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// From the innermost place outwards.
    places: Vec<String>,
    text: String,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file is truncated, altered, or not of the format it claims.
    Damaged,
    /// The file is sound, but holds what Recurve cannot represent or does not allow.
    Refused,
    /// The caller asked for something that is not there, or did not say what must be said.
    Asked,
    /// The system did not do what it should: a full disk, a lost file.
    Failed,
}

impl Error {
    /// A file that is truncated, altered, or not of the format it claims.
    pub fn damaged(text: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, text.into())
    }
    /// A sound file with something that cannot be represented, or is not allowed.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(Kind::Refused, text.into())
    }
    /// A request that cannot be met, or that leaves something out.
    pub fn asked(text: impl Into<String>) -> Self {
        Self::new(Kind::Asked, text.into())
    }
    /// A failure of the system.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text.into())
    }

    fn new(kind: Kind, text: String) -> Self {
        Self(Box::new(Inner { kind, places: vec![], text }))
    }

    /// The same error, in this place: a file, a part of it, a byte, a tensor, a key. Places are added from
    /// the inside out.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.places.push(place.to_string());
        self
    }
    /// The same error, at this byte.
    #[must_use]
    pub fn at(self, byte: u64) -> Self {
        self.within(format_args!("byte {byte}"))
    }
    /// What kind of trouble it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.0.places.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Error {}

impl From<recurve_nn::Error> for Error {
    fn from(error: recurve_nn::Error) -> Self {
        Self::refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_goes_from_the_file_inwards() {
        let error = Error::damaged("expected a mark, found the end").at(17).within("data.pkl");
        let error = error.within("`model.pt`");
        assert_eq!(
            error.to_string(),
            "`model.pt`: data.pkl: byte 17: expected a mark, found the end"
        );
        assert_eq!(error.kind(), Kind::Damaged);
    }
}
