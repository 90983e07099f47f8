//! Data sets by name: public ones, checked by SHA-256, and small ones that are generated.
//!
//! [`get`] puts a data set into a folder. A generated one is made there, the same on every machine. A public
//! one is taken from a mirror, a folder with one folder for each data set, where there is one; else from its
//! address, by the program `curl`, so that certificates and proxies are those of the system. A file that is
//! not the known one is refused, and nothing is left of it. A file that is there already is not touched.

mod forecasts;
mod made;
mod public;
pub mod reproduce;
pub mod suites;

use crate::atomic;
use crate::error::{Error, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of a data set.
struct File {
    /// Its path within the data set.
    name: &'static str,
    sha256: &'static str,
    /// Where it can be had, if anywhere.
    address: Option<&'static str>,
}

/// Where a data set comes from.
enum Source {
    /// Known files.
    Files(&'static [File]),
    /// A function that makes its files: names and bytes.
    Made(fn() -> Vec<(String, Vec<u8>)>),
}

/// A data set that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its licence; `generated` for one that the program makes.
    pub licence: &'static str,
    /// Whether it can be had without a mirror.
    pub fetched: bool,
}

/// All data sets: the generated ones, then the public ones.
pub fn all() -> Vec<Known> {
    let made = made::MADE.iter().map(|(name, about, _)| Known {
        name,
        about,
        licence: "generated",
        fetched: true,
    });
    let public = public::PUBLIC.iter().map(|(name, about, licence, source)| Known {
        name,
        about,
        licence,
        fetched: match source {
            Source::Files(files) => files.iter().all(|file| file.address.is_some()),
            Source::Made(_) => true,
        },
    });
    made.chain(public).collect()
}

fn source(name: &str) -> Result<Source> {
    if let Some((_, _, make)) = made::MADE.iter().find(|(own, _, _)| *own == name) {
        return Ok(Source::Made(*make));
    }
    let found = public::PUBLIC.iter().find(|(own, ..)| *own == name);
    match found {
        Some((_, _, _, Source::Files(files))) => Ok(Source::Files(files)),
        Some((_, _, _, Source::Made(make))) => Ok(Source::Made(*make)),
        None => {
            let names: Vec<&str> = all().iter().map(|known| known.name).collect();
            Err(Error::usage(format!(
                "there is no data set `{name}`; there are {}",
                names.join(", ")
            )))
        }
    }
}

/// Puts a data set into `root/NAME` and gives its files. `mirror` is a folder that may hold it.
///
/// # Errors
/// There is no such data set, a file is not the known one, or it cannot be had or written.
pub fn get(name: &str, root: &Path, mirror: Option<&Path>) -> Result<Vec<PathBuf>> {
    let folder = root.join(name);
    let files = match source(name)? {
        Source::Made(make) => {
            let mut written = vec![];
            for (file, bytes) in make() {
                let path = folder.join(file);
                put(&path, &bytes)?;
                written.push(path);
            }
            return Ok(written);
        }
        Source::Files(files) => files,
    };
    let mut found = vec![];
    for file in files {
        let path = folder.join(file.name);
        if !path.exists() || sha256(&std::fs::read(&path).unwrap_or_default()) != file.sha256 {
            let bytes = fetch(name, file, mirror)?;
            put(&path, &bytes)?;
        }
        found.push(path);
    }
    Ok(found)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| {
            let name = parent.display();
            Error::failed(format!("cannot make the folder `{name}`; choose another place"))
                .with_source(error)
        })?;
    }
    atomic::write(path, bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a known file.
fn fetch(set: &str, file: &File, mirror: Option<&Path>) -> Result<Vec<u8>> {
    let near = mirror.map(|mirror| mirror.join(set).join(file.name)).filter(|path| path.exists());
    let (from, bytes) = match (near, file.address) {
        (Some(path), _) => (path.display().to_string(), crate::data::read_bytes(&path)?),
        (None, Some(address)) => (address.to_owned(), download(address)?),
        (None, None) => {
            return Err(Error::usage(format!(
                "`{}` of {set} was put together from other files and has no address; set \
                 RECURVE_DATA_MIRROR to a folder that holds {set}/{}",
                file.name, file.name
            )));
        }
    };
    let found = sha256(&bytes);
    if found == file.sha256 {
        return Ok(bytes);
    }
    Err(Error::usage(format!(
        "{from} is not the known file `{}` of {set}: its SHA-256 is {}…, expected {}…; it was changed or cut \
         off",
        file.name,
        &found[..12],
        &file.sha256[..12]
    )))
}

fn download(address: &str) -> Result<Vec<u8>> {
    let mirror = "or set RECURVE_DATA_MIRROR to a folder that holds it";
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", address]);
    let curl = curl.stdin(Stdio::null()).output().map_err(|error| {
        Error::failed(format!(
            "the program `curl`, which downloads, cannot be run; install it, {mirror}"
        ))
        .with_source(error)
    })?;
    if curl.status.success() {
        return Ok(curl.stdout);
    }
    let why = String::from_utf8_lossy(&curl.stderr).trim().replace('\n', " ");
    Err(Error::failed(format!("cannot download {address}: {why}; try again later, {mirror}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_generated_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        for known in all().iter().filter(|known| known.licence == "generated") {
            let files = get(known.name, folder.path(), None).unwrap();
            let before: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
            assert!(!files.is_empty() && before.iter().all(|bytes| !bytes.is_empty()));
            let files = get(known.name, folder.path(), None).unwrap();
            assert!(files.iter().zip(&before).all(|(f, b)| std::fs::read(f).unwrap() == *b));
        }
    }

    #[test]
    fn names_are_distinct_and_sums_are_sums() {
        let names: Vec<&str> = all().iter().map(|known| known.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len());
        for (name, _, _, source) in public::PUBLIC {
            let Source::Files(files) = source else { panic!("{name}") };
            for file in *files {
                assert!(
                    file.sha256.len() == 64 && file.sha256.bytes().all(|b| b.is_ascii_hexdigit())
                );
                assert!(!file.name.contains("..") && !file.name.starts_with('/'), "{}", file.name);
                assert!(file.address.is_none_or(|address| address.starts_with("https://")));
            }
        }
    }

    #[test]
    fn a_file_of_a_mirror_must_be_the_known_one() {
        let (mirror, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let near = mirror.path().join("names");
        std::fs::create_dir(&near).unwrap();
        std::fs::write(near.join("names.txt"), "emma\n").unwrap();
        let error = get("names", root.path(), Some(mirror.path())).unwrap_err().to_string();
        assert!(error.contains("names.txt") && error.contains("SHA-256"), "{error}");
        assert!(!root.path().join("names/names.txt").exists());
        let error = get("fsdd", root.path(), Some(mirror.path())).unwrap_err().to_string();
        assert!(error.contains("RECURVE_DATA_MIRROR"), "{error}");
        let error = get("namse", root.path(), None).unwrap_err().to_string();
        assert!(error.contains("`namse`") && error.contains("names"), "{error}");
    }
}
