//! A checkpoint on disk: the old one or the new one, never something between.

use super::Checkpoint;
use crate::atomic;
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::Path;

impl Checkpoint {
    /// Writes the checkpoint to `path`, in place of what is there.
    ///
    /// The new file is written beside the old one, brought to the disk, renamed over it, and the
    /// folder brought to the disk: after a return without error it survives a power cut, and at any
    /// moment before, the old one does.
    ///
    /// # Errors
    /// A number that is not finite; a path that is no place for a file; whatever the file system
    /// says. The old file is then unchanged and nothing is left beside it.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let told = |error: Error| {
            error.context(format!("cannot write the checkpoint `{}`", path.display()))
        };
        let header = self.header().map_err(told)?;
        atomic::replace(path, |out| self.write(&header, out)).map_err(told)
    }

    /// Reads the checkpoint at `path`.
    ///
    /// # Errors
    /// No file there, or anything but a whole, unaltered checkpoint; the message names the path and
    /// says what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = || {
            if !fs::metadata(path)?.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
            fs::read(path)
        };
        let bytes = read().map_err(|error| {
            Error::usage(format!("cannot read the checkpoint `{}`", path.display()))
                .with_source(error)
        })?;
        Self::from_bytes(&bytes).map_err(|error| error.context(format!("`{}`", path.display())))
    }
}
