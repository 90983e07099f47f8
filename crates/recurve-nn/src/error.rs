//! What can be wrong with a description, a batch or a state.

use std::fmt;

/// Why a model, a batch or a state was refused. The text names what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<recurve_kernels::UnknownIsa> for Error {
    fn from(error: recurve_kernels::UnknownIsa) -> Self {
        Self(error.to_string())
    }
}
