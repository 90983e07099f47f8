//! The run folder: the only handle of a run.
//!
//! `runs/NAME` holds `config.toml` (complete), `model.safetensors` (the best model so far, all that is
//! needed to predict), `last.ckpt` (where training stands), `log.jsonl`, `predictions.csv` and
//! `report.html`, and `epochs/` where the weights of some epochs are kept. `runs/latest` points at the newest: a symbolic link, or a text file with the name
//! where links are not possible. Every file but the log, which only grows, is written beside its place
//! and renamed, so nothing is ever found half-written.

use crate::atomic;
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The name that points at the newest run.
const LATEST: &str = "latest";

/// A folder that holds one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the next free folder `root/stem-N`, counted from 1, and points `root/latest` at it.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn create(root: &Path, stem: &str) -> Result<Self> {
        fs::create_dir_all(root).map_err(|error| cannot_make(root, error))?;
        let mut number = 1 + highest(root, stem)?;
        let path = loop {
            let path = root.join(format!("{stem}-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // Another run was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(cannot_make(&path, error)),
            }
        };
        Self { path }.announced(root)
    }

    /// Makes the folder `root/name`, which must not hold anything yet, and points `root/latest` at it.
    ///
    /// # Errors
    /// The name is a path or `latest`, something is there, or the folder cannot be made or written.
    pub fn create_named(root: &Path, name: &str) -> Result<Self> {
        let mut parts = Path::new(name).components();
        let plain = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
        if !plain || name == LATEST {
            return Err(Error::usage(format!(
                "`{name}` cannot name a run, expected a name without a path, other than `{LATEST}`"
            )));
        }
        Self::create_at(&root.join(name))?.announced(root)
    }

    /// The folder, newest under `root`; not even an empty one is left where that cannot be said.
    fn announced(self, root: &Path) -> Result<Self> {
        self.point_latest(root).inspect_err(|_| {
            let _ = fs::remove_dir(&self.path);
        })?;
        Ok(self)
    }

    /// Makes this folder, which must not hold anything yet.
    ///
    /// # Errors
    /// Something is there, or the folder cannot be made.
    pub fn create_at(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| cannot_make(path, error))?;
        let mut inside = fs::read_dir(path).map_err(|error| cannot_make(path, error))?;
        if inside.next().is_some() {
            return Err(Error::usage(format!(
                "`{}` is not empty; choose another folder, or resume the run in it",
                path.display()
            )));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The folder of a run that was begun; `runs/latest` is followed.
    ///
    /// # Errors
    /// There is no such folder, or it holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        let path = follow(path);
        let folder = Self { path };
        if !folder.path.is_dir() {
            return Err(Error::usage(format!(
                "there is no run folder `{}`; check the path",
                folder.path.display()
            )));
        }
        if !folder.checkpoint().exists() && !folder.model().exists() {
            return Err(Error::usage(format!(
                "`{}` holds no run: neither last.ckpt nor model.safetensors is there",
                folder.path.display()
            )));
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The complete configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }
    /// The best model so far.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }
    /// Where training stands.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("last.ckpt")
    }
    /// Where the weights of epochs are kept, if any are.
    pub fn epochs(&self) -> PathBuf {
        self.path.join("epochs")
    }
    /// The weights after an epoch, 0 before the first, if they are kept.
    pub fn epoch(&self, epoch: u64) -> PathBuf {
        self.epochs().join(format!("{epoch:05}.safetensors"))
    }
    /// The epochs whose weights are kept, in order.
    pub fn kept_epochs(&self) -> Vec<u64> {
        let entries = fs::read_dir(self.epochs()).into_iter().flatten().flatten();
        let number = |entry: fs::DirEntry| {
            entry.file_name().to_str()?.strip_suffix(".safetensors")?.parse::<u64>().ok()
        };
        let mut found: Vec<u64> = entries.filter_map(number).collect();
        found.sort_unstable();
        found
    }
    /// What happened, one JSON object per line.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }
    /// The report for people.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }
    /// The forecasts of the test part.
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions.csv")
    }

    /// Writes a file of the folder, whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written; what was there before is unchanged.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        atomic::write(&self.path.join(name), bytes)
    }

    /// Removes the temporary files that a killed process left beside the files of the folder.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        let files = [
            self.config(),
            self.model(),
            self.checkpoint(),
            self.log(),
            self.report(),
            self.predictions(),
        ];
        files.iter().try_for_each(atomic::remove_leftovers)
    }

    /// Adds one line to a file of the folder.
    pub(crate) fn append(&self, name: &str, line: &str) -> Result<()> {
        let add = || -> io::Result<()> {
            let mut file = File::options().append(true).create(true).open(self.path.join(name))?;
            file.write_all(format!("{line}\n").as_bytes())
        };
        add().map_err(|error| {
            let (path, help) = (self.path.join(name), atomic::help(error.kind()));
            Error::failed(format!("cannot write `{}`; {help}", path.display())).with_source(error)
        })
    }

    fn point_latest(&self, root: &Path) -> Result<()> {
        let Some(name) = self.path.file_name() else {
            return Ok(());
        };
        let beside = root.join(format!(".{LATEST}.{}.tmp", std::process::id()));
        let link = || -> io::Result<()> {
            // A link left by a killed process of the same number.
            let _ = fs::remove_file(&beside);
            #[cfg(unix)]
            if std::os::unix::fs::symlink(name, &beside).is_ok() {
                return fs::rename(&beside, root.join(LATEST));
            }
            fs::write(&beside, name.as_encoded_bytes())?;
            fs::rename(&beside, root.join(LATEST))
        };
        link().map_err(|error| {
            let _ = fs::remove_file(&beside);
            let latest = root.join(LATEST);
            Error::failed(format!(
                "cannot point `{}` at the new run; move away what is there",
                latest.display()
            ))
            .with_source(error)
        })
    }
}

/// Where a path leads: a `latest` that is a text file names the folder beside it.
pub(crate) fn follow(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == LATEST)
        && path.is_file()
        && let Ok(name) = fs::read_to_string(path)
    {
        return path.with_file_name(name.trim());
    }
    // The name of the run reads better than that of the link.
    if path.is_symlink()
        && let Ok(target) = fs::read_link(path)
        && target.components().count() == 1
    {
        return path.with_file_name(target);
    }
    path.to_owned()
}

/// The highest number of a folder `stem-N`, or 0.
fn highest(root: &Path, stem: &str) -> Result<u64> {
    let entries = fs::read_dir(root).map_err(|error| cannot_make(root, error))?;
    let number = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        let number = name.to_str()?.strip_prefix(stem)?.strip_prefix('-')?;
        number.parse::<u64>().ok()
    };
    Ok(entries.filter_map(number).max().unwrap_or(0))
}

fn cannot_make(path: &Path, error: io::Error) -> Error {
    Error::failed(format!(
        "cannot make the folder `{}`; choose one that can be written",
        path.display()
    ))
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_numbered_and_the_newest_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("runs");
        let first = RunFolder::create(&root, "sales").unwrap();
        let second = RunFolder::create(&root, "sales").unwrap();
        let other = RunFolder::create(&root, "sales-2").unwrap();
        assert_eq!(first.path(), root.join("sales-1"));
        assert_eq!(second.path(), root.join("sales-2"));
        assert_eq!(other.path(), root.join("sales-2-1"));
        let message = RunFolder::open(&root.join("latest")).unwrap_err().to_string();
        assert!(message.contains("holds no run"), "{message}");
        other.write("last.ckpt", b"x").unwrap();
        assert_eq!(RunFolder::open(&root.join("latest")).unwrap(), other);
        fs::remove_file(root.join("latest")).unwrap();
        fs::write(root.join("latest"), "sales-2-1\n").unwrap();
        assert_eq!(RunFolder::open(&root.join("latest")).unwrap(), other);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_at(&root.path().join("run")).unwrap();
        folder.write("report.html", b"old").unwrap();
        folder.write("report.html", b"new").unwrap();
        assert_eq!(fs::read(folder.report()).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = RunFolder::create_at(folder.path()).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("is not empty"));
    }

    #[test]
    fn a_named_run_is_the_newest() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("runs");
        RunFolder::create(&root, "sales").unwrap();
        let named = RunFolder::create_named(&root, "mine").unwrap();
        named.write("last.ckpt", b"x").unwrap();
        assert_eq!(RunFolder::open(&root.join("latest")).unwrap(), named);
        for name in ["", ".", "..", "a/b", "a/", "/a", "latest"] {
            let error = RunFolder::create_named(&root, name).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("cannot name a run"), "{error}");
        }
        let error = RunFolder::create_named(&root, "mine").unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn a_run_that_cannot_be_announced_is_not_begun() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("latest")).unwrap();
        fs::write(root.path().join("latest/keep"), "x").unwrap();
        let error = RunFolder::create_named(root.path(), "mine").unwrap_err();
        assert!(error.is_failed() && error.to_string().contains("latest"), "{error}");
        RunFolder::create(root.path(), "sales").unwrap_err();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_hold_a_folder_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = RunFolder::create(&file.join("runs"), "a").unwrap_err();
        assert!(error.is_failed(), "{error}");
        assert!(error.to_string().contains("cannot make the folder"), "{error}");
    }
}
