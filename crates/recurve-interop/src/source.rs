//! The bytes of a file, read where they are needed.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A file that stays open, or bytes in memory under a name. Reading checks against the length before it
/// allocates.
#[derive(Debug)]
pub struct Source {
    name: String,
    length: u64,
    folder: Option<PathBuf>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(Mutex<File>),
    Memory(Vec<u8>),
}

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// It is not there, is not a regular file, or cannot be read.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let name = path.display().to_string();
        let told = |error: Error| error.within(format_args!("`{name}`"));
        let cannot = |error: io::Error| {
            told(Error::asked(format!("cannot read the file: {error}; check the path")))
        };
        // A pipe would wait for ever when it is opened.
        if !std::fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(told(Error::asked("expected a file, found something else")));
        }
        let file = File::open(path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        let folder = path.parent().map(Path::to_owned);
        let place = Place::File(Mutex::new(file));
        Ok(Arc::new(Self { name, length, folder, place }))
    }

    /// Bytes that are in memory.
    pub fn of_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Arc<Self> {
        let length = bytes.len() as u64;
        let (name, place) = (name.into(), Place::Memory(bytes));
        Arc::new(Self { name, length, folder: None, place })
    }

    /// What errors call it: its path.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The folder that it lies in, if it lies in one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Refuses a range that is not within the file.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self, at: u64, count: u64) -> Result<()> {
        if at.checked_add(count).is_some_and(|end| end <= self.length) {
            return Ok(());
        }
        Err(Error::damaged(format!(
            "expected {count} bytes, found the end of the file at byte {}; it was truncated or \
             altered",
            self.length
        ))
        .at(at))
    }

    /// `count` bytes from byte `at` on.
    ///
    /// # Errors
    /// The file ends before, or cannot be read.
    pub fn read(&self, at: u64, count: u64) -> Result<Vec<u8>> {
        self.check(at, count)?;
        match &self.place {
            Place::Memory(bytes) => Ok(bytes[at as usize..(at + count) as usize].to_vec()),
            Place::File(file) => {
                let mut bytes = vec![0; count as usize];
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|error| Error::failed(format!("cannot read: {error}")).at(at))?;
                Ok(bytes)
            }
        }
    }

    /// The whole file.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn read_all(&self) -> Result<Vec<u8>> {
        self.read(0, self.length)
    }

    /// The first bytes, as many as there are up to `count`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self, count: u64) -> Result<Vec<u8>> {
        self.read(0, count.min(self.length))
    }
}

/// A [`Source`] as something to read and seek in.
#[derive(Clone, Debug)]
pub struct Cursor {
    source: Arc<Source>,
    at: u64,
    /// Bytes that were read ahead, and where they begin.
    ahead: (u64, Vec<u8>),
}

/// Bytes that a cursor reads at once.
const AHEAD: u64 = 8192;

impl Cursor {
    /// At the first byte.
    pub fn new(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), at: 0, ahead: (0, vec![]) }
    }
}

impl Read for Cursor {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length.saturating_sub(self.at);
        let count = left.min(to.len() as u64);
        if count == 0 {
            return Ok(0);
        }
        let fetch = |at, count| self.source.read(at, count).map_err(io::Error::other);
        if count >= AHEAD {
            to[..count as usize].copy_from_slice(&fetch(self.at, count)?);
            self.at += count;
            return Ok(count as usize);
        }
        let within = |(first, bytes): &(u64, Vec<u8>)| {
            (*first..*first + bytes.len() as u64).contains(&self.at)
        };
        if !within(&self.ahead) {
            self.ahead = (self.at, fetch(self.at, left.min(AHEAD))?);
        }
        let from = &self.ahead.1[(self.at - self.ahead.0) as usize..];
        let count = from.len().min(count as usize);
        to[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a place before the beginning"))?;
        Ok(self.at)
    }
}
