//! A trained model in fewer bits, in a folder of its own.
//!
//! The new folder holds what using the model needs, `config.toml` and `model.safetensors`, and takes its
//! place whole or not at all. What rounding costs is measured, not assumed: the model is evaluated on the
//! held-out part of its data before and after. Nothing is overwritten, and the folder is for use only:
//! training does not go on from rounded weights.

use crate::atomic;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::run::{self, RunFolder};
use crate::task::Evaluation;
use recurve_nn::Precision;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exported {
    /// The new folder.
    pub path: PathBuf,
    /// `bf16` or `int8`.
    pub precision: &'static str,
    /// Bytes of the model file of the run, and of the new one.
    pub bytes: [u64; 2],
    /// How good the model of the run is on the held-out part of its data.
    pub before: Evaluation,
    /// How good the new one is on the same part.
    pub after: Evaluation,
}

/// Where a model is exported from and to.
#[derive(Clone, Debug)]
pub struct Export {
    /// The run folder.
    pub run: PathBuf,
    /// The new folder; beside the run and named after it if absent.
    pub output: Option<PathBuf>,
    /// Where the data of the run lies now, if it has moved.
    pub data: Option<PathBuf>,
    /// Threads to measure with; 0 takes all.
    pub threads: usize,
}

impl Export {
    /// Writes the model with its recurrent weights in `precision`.
    ///
    /// # Errors
    /// There is no model, it is in few bits already, something is where the folder is to be, the data of
    /// the run cannot be read, or the disk is full; then there is no new folder.
    pub fn to(&self, precision: Precision) -> Result<Exported> {
        let folder = RunFolder::open(&self.run)?;
        let path = self.output.clone().unwrap_or_else(|| beside(folder.path(), precision));
        if path.symlink_metadata().is_ok() {
            return Err(Error::usage(format!(
                "`{}` is there already; choose another folder with --output",
                path.display()
            )));
        }
        let old = ModelFile::load(folder.path())?;
        if old.precision() != Precision::Full {
            return Err(Error::usage(format!(
                "`{}` has weights in {} already; export the run it was made from",
                old.name(),
                old.precision().name()
            )));
        }
        let (model, config) = (old.narrowed(precision)?, old.config().commented());
        let data = self.data.as_deref();
        let before = evaluate(old, data, self.threads)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let cannot = |error: std::io::Error| {
            let help = atomic::help(error.kind());
            Error::failed(format!("cannot make the folder `{}`; {help}", path.display()))
                .with_source(error)
        };
        // Removed when dropped, unless it was renamed.
        let temporary = temporary_folder(parent).map_err(cannot)?;
        let within = temporary.path().join("model.safetensors");
        atomic::write(&temporary.path().join("config.toml"), config.as_bytes())?;
        atomic::write(&within, &model.to_bytes()?)?;
        let after = evaluate(ModelFile::load(&within)?, data, self.threads)?;
        let bytes = [size(&folder.model()), size(&within)];
        fs::rename(temporary.path(), &path).map_err(cannot)?;
        // It is no longer where it would be removed.
        let _ = temporary.keep();
        #[cfg(unix)]
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(cannot)?;
        Ok(Exported { path: path.clone(), precision: precision.name(), bytes, before, after })
    }
}

/// `runs/NAME-int8`.
fn beside(run: &Path, precision: Precision) -> PathBuf {
    let run = run::follow(run);
    let name = run.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy());
    run.with_file_name(format!("{name}-{}", precision.name()))
}

fn temporary_folder(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".export.").suffix(".tmp");
    #[cfg(unix)]
    {
        // The usual rights of a new folder; the process's mask takes away what it must.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn evaluate(file: ModelFile, data: Option<&Path>, threads: usize) -> Result<Evaluation> {
    file.task().definition().trained(file, threads)?.evaluate(None, data)
}
