//! Files that are replaced whole or not at all.
//!
//! The new file is written beside the old one, brought to the disk, renamed over it, and the folder
//! brought to the disk: after a return without error it survives a power cut, and at any moment
//! before, the old one does. A process that is killed on the way leaves a temporary file behind, which
//! [`remove_leftovers`] takes away.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const TEMPORARY: &str = ".tmp";

/// Writes a file in place of what is there, whole or not at all.
///
/// # Errors
/// The path is no name of a file, the disk is full, or the folder cannot be written; the message names
/// the path, and what was there before is unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |out| out.write_all(bytes))
        .map_err(|error| error.context(format!("cannot write `{}`", path.display())))
}

/// Writes a file in place of what is there. The caller says in the error what could not be written.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    let (folder, name) = place(path)?;
    swap(path, folder, name, write).map_err(|error| {
        let help = help(error.kind());
        Error::failed(format!("{help}; what was there before is unchanged")).with_source(error)
    })
}

/// What a person can do about a file that cannot be written.
pub(crate) fn help(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room there or choose another folder"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "create the folder first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that can be written"
        }
        _ => "see what the system says",
    }
}

fn swap(
    path: &Path,
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY);
    #[cfg(unix)]
    {
        // The usual rights of a new file; the process's mask takes away what it must.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // Removed when dropped, unless it was renamed.
    let temporary = builder.tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    // Only on Unix can a folder be opened, and only there does a rename need it.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// The folder and the name of a file that may be replaced.
fn place(path: &Path) -> Result<(&Path, &str)> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(Error::usage("the path does not end in a readable file name"));
    };
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            return Err(Error::usage("a folder is there; give the name of a file"));
        }
        Ok(there) if !there.is_file() => {
            return Err(Error::usage(
                "something that is not a regular file is there; choose another name",
            ));
        }
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), name))
}

/// Removes the temporary files that a killed process left beside the file `path`.
///
/// To be called where no other process is writing that file.
///
/// # Errors
/// The folder cannot be listed, or a file in it not be removed.
pub fn remove_leftovers(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let (folder, name) = place(path)?;
    let prefix = format!(".{name}.");
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.file_name();
            let Some(found) = found.to_str() else {
                continue;
            };
            if found.starts_with(&prefix)
                && found.ends_with(TEMPORARY)
                && entry.file_type()?.is_file()
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(|error| {
        Error::failed(format!("cannot clear old temporary files in `{}`", folder.display()))
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        for content in ["old", "new"] {
            write(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn places_that_hold_no_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), b"x").unwrap_err();
        let name = folder.path().display().to_string();
        assert!(error.is_usage() && error.to_string().contains(&name), "{error}");
        assert!(error.to_string().contains("a folder is there"), "{error}");
        let error = write(&folder.path().join("none/out.csv"), b"x").unwrap_err();
        assert!(error.is_failed() && error.to_string().contains("none/out.csv"), "{error}");
    }
}
