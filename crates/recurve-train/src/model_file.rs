//! A trained model as one file: all that is needed to predict.
//!
//! `model.safetensors` holds the weights under the names of their entries and, as texts, the
//! description, how data is read (the plan with its scaler, or the vocabulary), the configuration,
//! where the data lay with its SHA-256, and how good the model was on the validation part. It is a
//! [`Checkpoint`]: whole, or refused.

use crate::checkpoint::{Checkpoint, Tensor};
use crate::config::{Config, Settings};
use crate::data::read_bytes;
use crate::error::{Error, Result};
use crate::narrow;
use crate::run;
use crate::stopping::Best;
use crate::task::{Reader, Task};
use recurve_nn::{Description, Engine, Model, Precision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What the text `format` of a model file says.
const FORMAT: &str = "recurve-model-1";

/// A file of data, as it was when a run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// Where it lay.
    pub path: PathBuf,
    /// SHA-256 of its bytes, as hexadecimal digits; of a folder, that of the names and the SHA-256 of all
    /// files below it.
    pub sha256: String,
}

impl DataSource {
    /// The file or folder as it is now.
    ///
    /// # Errors
    /// It is missing, empty or cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let digest = if path.is_dir() {
            let mut all = Sha256::new();
            for file in files_below(path)? {
                let name = file.strip_prefix(path).unwrap_or(&file);
                all.update(name.to_string_lossy().as_bytes());
                all.update(Sha256::digest(std::fs::read(&file).unwrap_or_default()));
            }
            all.finalize()
        } else {
            Sha256::digest(read_bytes(path)?)
        };
        Ok(Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// The path of the same data: where it lay, or where it is said to lie now.
    ///
    /// # Errors
    /// The file is not there, or its bytes have changed.
    pub fn locate(&self, now: Option<&Path>) -> Result<PathBuf> {
        let path = now.unwrap_or(&self.path);
        if !path.exists() {
            return Err(Error::usage(format!(
                "the data of the run is not at `{}` any more; say where it is",
                path.display()
            )));
        }
        let found = Self::of(path)?;
        if found.sha256 != self.sha256 {
            return Err(Error::usage(format!(
                "`{}` has changed since the run began (SHA-256 {}… then, {}… now); bring back the \
                 old file, or start a new run",
                path.display(),
                &self.sha256[..12.min(self.sha256.len())],
                &found.sha256[..12]
            )));
        }
        Ok(path.to_owned())
    }
}

/// The files below a folder, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (vec![], vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let read = |error: std::io::Error| {
            let name = folder.display();
            Error::usage(format!("{name}: cannot read the folder")).with_source(error)
        };
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// A trained model with everything needed to use it.
#[derive(Clone, Debug)]
pub struct ModelFile {
    name: String,
    model: Model<f32>,
    reader: Reader,
    config: Config,
    data: DataSource,
    best: Best,
    precision: Precision,
}

/// What a model file is made of, beside the weights.
pub(crate) struct Facts<'a> {
    pub(crate) description: &'a Description,
    pub(crate) reader: &'a Reader,
    pub(crate) config: &'a Config,
    pub(crate) data: &'a DataSource,
}

impl Facts<'_> {
    pub(crate) fn write_to(&self, checkpoint: &mut Checkpoint) -> Result<()> {
        checkpoint.insert_text("description", to_json(self.description)?)?;
        checkpoint.insert_text("reader", to_json(self.reader)?)?;
        checkpoint.insert_text("config", self.config.commented())?;
        checkpoint.insert_text("data", to_json(self.data)?)
    }
}

/// The same, read.
pub(crate) struct OwnedFacts {
    pub(crate) description: Description,
    pub(crate) reader: Reader,
    pub(crate) config: Config,
    pub(crate) data: DataSource,
}

impl OwnedFacts {
    pub(crate) fn read_from(checkpoint: &Checkpoint) -> Result<Self> {
        let reader: Reader = json(checkpoint, "reader")?;
        let settings = Settings::parse("the configuration within", checkpoint.text("config")?)?;
        let task = settings.task().ok_or_else(|| {
            Error::usage("the configuration within names no task; the file is of another version")
        })?;
        Ok(Self {
            description: json(checkpoint, "description")?,
            config: Config::complete(task, &settings)?,
            data: json(checkpoint, "data")?,
            reader,
        })
    }
}

/// The facts of a model file.
pub(crate) fn facts(checkpoint: &Checkpoint) -> Result<OwnedFacts> {
    let format = checkpoint.text("format")?;
    if format != FORMAT {
        return Err(Error::usage(format!(
            "this is `{format}`, expected `{FORMAT}`, the model.safetensors of a run"
        )));
    }
    OwnedFacts::read_from(checkpoint)
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::failed("cannot write JSON").with_source(error))
}

pub(crate) fn json<T: DeserializeOwned>(checkpoint: &Checkpoint, key: &str) -> Result<T> {
    serde_json::from_str(checkpoint.text(key)?).map_err(|error| {
        Error::usage(format!(
            "the text `{key}` is not what this program writes; it is one of another version"
        ))
        .with_source(error)
    })
}

/// Adds weights to a checkpoint, each under `prefix` and its name.
pub(crate) fn write_weights(
    checkpoint: &mut Checkpoint,
    prefix: &str,
    model: &Model<f32>,
    values: &[f32],
) -> Result<()> {
    for entry in model.entries().iter() {
        let tensor = Tensor::reals(entry.shape.clone(), &values[entry.range.clone()])?;
        checkpoint.insert(&format!("{prefix}{}", entry.name), tensor)?;
    }
    Ok(())
}

/// Takes weights from a checkpoint; an error names the tensor that does not fit.
pub(crate) fn read_weights(
    checkpoint: &Checkpoint,
    prefix: &str,
    model: &Model<f32>,
) -> Result<Vec<f32>> {
    let mut values = vec![0.0; model.values().len()];
    for entry in model.entries().iter() {
        let own = checkpoint.reals(&format!("{prefix}{}", entry.name), &entry.shape)?;
        values[entry.range.clone()].copy_from_slice(&own);
    }
    Ok(values)
}

impl ModelFile {
    /// The bytes of a model file as a checkpoint, to be saved.
    pub(crate) fn pack(
        facts: &Facts<'_>,
        model: &Model<f32>,
        values: &[f32],
        best: Best,
    ) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert_text("format", FORMAT)?;
        facts.write_to(&mut checkpoint)?;
        checkpoint.insert_text("best", to_json(&best)?)?;
        write_weights(&mut checkpoint, "", model, values)?;
        Ok(checkpoint)
    }

    /// Loads a model: a run folder, `runs/latest`, or a model file.
    ///
    /// # Errors
    /// There is no model, or the file is not a whole model of this program.
    pub fn load(path: &Path) -> Result<Self> {
        let path = run::follow(path);
        let file = if path.is_dir() {
            let file = path.join("model.safetensors");
            if !file.exists() {
                return Err(Error::usage(format!(
                    "`{}` holds no model yet; train it to the end of an epoch first",
                    path.display()
                )));
            }
            file
        } else {
            path
        };
        let told = |error: Error| error.context(format!("`{}`", file.display()));
        let checkpoint = Checkpoint::load(&file)?;
        Self::unpack(&file, &checkpoint).map_err(told)
    }

    fn unpack(file: &Path, checkpoint: &Checkpoint) -> Result<Self> {
        let facts = facts(checkpoint)?;
        let mut model = Model::new(facts.description.clone()).map_err(unsound)?;
        let precision = narrow::precision(checkpoint)?;
        let values = narrow::read_weights(checkpoint, precision, &model)?;
        model.values_mut().copy_from_slice(&values);
        let known = |name: &str| {
            model.entries().get(name).is_some() || narrow::is_scale(precision, &model, name)
        };
        if let Some((name, _)) = checkpoint.tensors().find(|(name, _)| !known(name)) {
            return Err(Error::usage(format!(
                "the tensor `{name}` belongs to no layer of the description; the file is of another \
                 program"
            )));
        }
        if facts.reader.input() != facts.description.input {
            return Err(Error::usage(
                "the description does not read what the data plan or vocabulary gives",
            ));
        }
        Ok(Self {
            name: file.display().to_string(),
            model,
            reader: facts.reader,
            config: facts.config,
            data: facts.data,
            best: json(checkpoint, "best")?,
            precision,
        })
    }

    /// The path of the file.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What it was trained for.
    pub fn task(&self) -> Task {
        self.config.task()
    }
    /// The complete configuration of its run.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// In which numbers its weights are stored and multiplied.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What to say where a model for another task is needed.
    pub(crate) fn is_not_for(&self, wanted: Task) -> Error {
        Error::usage(format!(
            "`{}` was trained for the task {}, and one for {wanted} is needed here; `recurve eval` and \
             `recurve predict` use a model of any task",
            self.name,
            self.task()
        ))
    }

    /// Refuses a model whose weights were rounded for use, where training would go on from them.
    pub(crate) fn check_trainable(&self) -> Result<()> {
        if self.precision == Precision::Full {
            return Ok(());
        }
        Err(Error::usage(format!(
            "`{}` was exported with weights in {} to be used, not trained; take the run it was made \
             from",
            self.name,
            self.precision.name()
        )))
    }

    /// The same model with weights in `precision`, as a checkpoint to be saved.
    pub(crate) fn narrowed(&self, precision: Precision) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert_text("format", FORMAT)?;
        let facts = Facts {
            description: self.model.description(),
            reader: &self.reader,
            config: &self.config,
            data: &self.data,
        };
        facts.write_to(&mut checkpoint)?;
        checkpoint.insert_text("best", to_json(&self.best)?)?;
        narrow::write_weights(&mut checkpoint, precision, &self.model)?;
        Ok(checkpoint)
    }

    /// The weights and the description.
    pub fn model(&self) -> &Model<f32> {
        &self.model
    }
    /// How it reads data.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
    /// The data it was trained on.
    pub fn data(&self) -> &DataSource {
        &self.data
    }
    /// The epoch of these weights, counted from 0, and its validation metric.
    pub fn best(&self) -> Best {
        self.best
    }
}

/// An engine for a model, with this many threads; 0 takes all.
///
/// # Errors
/// `RECURVE_ISA` names an instruction set that is not there.
pub(crate) fn engine_of(file: &ModelFile, threads: usize) -> Result<Engine> {
    Ok(engine(threads)?.with_precision(file.precision()))
}

/// An engine with this many threads; 0 takes all.
///
/// # Errors
/// `RECURVE_ISA` names an instruction set that is not there.
pub fn engine(threads: usize) -> Result<Engine> {
    let engine = Engine::detect().map_err(|error| Error::usage(error.to_string()))?;
    Ok(if threads == 0 { engine } else { engine.with_threads(threads) })
}

/// A description or batch that the layers refuse.
pub(crate) fn unsound(error: recurve_nn::Error) -> Error {
    Error::usage(format!("the model cannot be built: {error}"))
}
