//! Members of a ZIP archive, inflated in memory where they are asked for; nothing is unpacked to disk.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::{Cursor, Source};
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use zip::ZipArchive;
use zip::result::ZipError;

/// An archive.
pub struct Archive {
    name: String,
    zip: Mutex<ZipArchive<Cursor>>,
    members: Vec<Member>,
    limits: Limits,
    /// The member that was read last: tensors may share one.
    last: Mutex<Option<(usize, Arc<[u8]>)>>,
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its bytes as they lie in the archive.
    pub compressed: u64,
    /// Its bytes.
    pub size: u64,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether bytes look like the beginning of an archive.
pub fn is_beginning(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

impl Archive {
    /// Reads the list of members.
    ///
    /// # Errors
    /// There is none, it was truncated or altered, names a member twice, or one inflates like a bomb.
    pub fn open(source: &Arc<Source>, limits: &Limits) -> Result<Arc<Self>> {
        let mut zip = ZipArchive::new(Cursor::new(source)).map_err(damaged)?;
        limits.check_things(zip.len(), "members of an archive")?;
        let mut members = Vec::with_capacity(zip.len());
        let mut names = std::collections::HashSet::new();
        let mut total = 0_u64;
        for at in 0..zip.len() {
            let member = zip.by_index_raw(at).map_err(damaged)?;
            let name = member.name().map_err(damaged)?.into_owned();
            let compressed = member.compressed_size();
            let size = member.size();
            let told = |error: Error| error.within(format_args!("member `{name}`"));
            if !names.insert(name.clone()) {
                return Err(told(Error::damaged("it is in the archive twice")));
            }
            source.check(member.data_start().unwrap_or(0), compressed).map_err(told)?;
            limits.check_inflation(compressed, size).map_err(told)?;
            // Members may lie over each other.
            total = total.saturating_add(size);
            limits.check_inflation(source.length(), total).map_err(told)?;
            members.push(Member { name, compressed, size });
        }
        Ok(Arc::new(Self {
            name: source.name().to_owned(),
            zip: Mutex::new(zip),
            members,
            limits: *limits,
            last: Mutex::new(None),
        }))
    }

    /// The members in the order of the archive.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
    /// The member called `name`.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The bytes of the member called `name`, checked against their checksum.
    ///
    /// # Errors
    /// There is none, or it is truncated, altered, encrypted or compressed in a way that is not known.
    pub fn read(&self, name: &str) -> Result<Arc<[u8]>> {
        let told = |error: Error| error.within(format_args!("member `{name}`"));
        let Some(at) = self.members.iter().position(|member| member.name == name) else {
            return Err(told(Error::damaged("expected it in the archive; it is not there")));
        };
        if let Some((_, bytes)) = lock(&self.last).as_ref().filter(|(last, _)| *last == at) {
            return Ok(bytes.clone());
        }
        let size = self.members[at].size;
        let mut zip = lock(&self.zip);
        let member = zip.by_index(at).map_err(|error| told(damaged(error)))?;
        let mut bytes = vec![];
        // One byte more than declared, to see that there is none.
        member.take(size + 1).read_to_end(&mut bytes).map_err(|error| {
            told(Error::damaged(format!("it cannot be inflated ({error}); the file was altered")))
        })?;
        if bytes.len() as u64 != size {
            let text = format!("expected {size} bytes, found {}", bytes.len());
            return Err(told(Error::damaged(text)));
        }
        let bytes: Arc<[u8]> = bytes.into();
        *lock(&self.last) = Some((at, bytes.clone()));
        Ok(bytes)
    }

    /// The bytes of a member that describes something: as [`Archive::read`], but not more of them than a
    /// description may have.
    ///
    /// # Errors
    /// As [`Archive::read`], or it is too long.
    pub fn description(&self, name: &str) -> Result<Arc<[u8]>> {
        let size = self.get(name).map_or(0, |member| member.size);
        let told = |error: Error| error.within(format_args!("member `{name}`"));
        self.limits.check_description(size).map_err(told)?;
        self.read(name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn damaged(error: ZipError) -> Error {
    Error::damaged(format!("this is no whole ZIP archive ({error}); it was truncated or altered"))
}
