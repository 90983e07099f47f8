//! The one error of this crate.
//!
//! A person meets two situations: something they gave is wrong (a file, a column, an option), or
//! the work itself failed (a full disk, a loss that became NaN). The program ends with code 2 in the
//! first and 1 in the second, so an [`Error`] carries exactly that distinction, a message that
//! names the thing and says what to do, and the error beneath it where there is one.

use std::error::Error as StdError;
use std::fmt;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in words for the person who must act on it.
///
/// [`Display`](fmt::Display) writes everything there is to say in one line: the message, then the
/// causes beneath it, joined by `: `. [`source`](StdError::source) therefore gives nothing, so that
/// a report that walks sources says no cause twice.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Usage,
    Failed,
}

impl Error {
    /// Something that was given is wrong: data, a configuration, a command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message.into())
    }

    /// What was given is fine, but the work could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message.into())
    }

    fn new(kind: Kind, message: String) -> Self {
        Self(Box::new(Inner { kind, message, cause: None }))
    }

    /// The same error, caused by `source`.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(source.into());
        self
    }

    /// The same error with `context` and a colon before its message: where it happened.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Whether the person must change what they gave (exit code 2).
    pub fn is_usage(&self) -> bool {
        self.0.kind == Kind::Usage
    }

    /// Whether the work failed although the input was fine (exit code 1).
    pub fn is_failed(&self) -> bool {
        self.0.kind == Kind::Failed
    }

    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self.0.kind {
            Kind::Usage => 2,
            Kind::Failed => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut cause = self.0.cause.as_deref().map(|cause| cause as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_decides_the_exit_code() {
        let usage = Error::usage("no column `units`");
        assert!(usage.is_usage() && !usage.is_failed());
        assert_eq!(usage.exit_code(), 2);
        let failed = Error::failed("the loss is NaN");
        assert!(failed.is_failed() && !failed.is_usage());
        assert_eq!(failed.exit_code(), 1);
    }

    #[test]
    fn the_message_names_place_and_cause_in_one_line() {
        let cause = std::io::Error::other("disk full");
        let error = Error::failed("cannot write `last.ckpt`").with_source(cause).context("run 3");
        assert_eq!(error.to_string(), "run 3: cannot write `last.ckpt`: disk full");
        assert!(error.source().is_none());
    }
}
