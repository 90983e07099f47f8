//! Run folders that hold somebody else's model.
//!
//! `import.toml` says what was imported, with its SHA-256 and what was said about it. A model of layers lies
//! beside it in `model.safetensors`, under the names of Recurve; a graph lies there as the file it was, and
//! is opened with the same options whenever it is used.

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{Error, Result};
use crate::model_file::{self, DataSource, ModelFile, unsound};
use crate::run::{self, RunFolder};
use recurve_interop::export::{Target, Written};
use recurve_interop::{Imported, Kind, Layers, Options};
use recurve_nn::{CellKind, Description, Model, State};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the text `format` of an imported model says.
const FORMAT: &str = "recurve-imported-1";
/// The file that says what was imported.
const FACTS: &str = "import.toml";

/// What was imported, as `import.toml` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportFacts {
    /// The format of the file.
    pub format: String,
    /// Where it lay.
    pub path: PathBuf,
    /// SHA-256 of its bytes, as hexadecimal digits.
    pub sha256: String,
    /// The copy of the file in the folder, where it is a graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the file does not say, and was assumed.
    #[serde(default)]
    pub assumed: Vec<String>,
    /// Inputs that have a value for good.
    #[serde(default)]
    pub fixed: Vec<(String, Vec<f64>)>,
    /// Inputs that hold a state, with the outputs that give it, as they were said.
    #[serde(default)]
    pub states: Vec<(String, String)>,
}

/// Imports the file at `path` into a new folder: `output`, or the next one of its name under `runs`.
///
/// # Errors
/// The file cannot be read or holds what cannot be represented, or the folder cannot be made; then there is
/// none.
pub fn import(
    path: &Path,
    options: &Options,
    output: Option<&Path>,
    runs: &Path,
) -> Result<RunFolder> {
    let foreign = recurve_interop::open(path, options).map_err(told)?;
    let model = foreign.import::<f32>().map_err(told)?;
    let source = DataSource::of(path)?;
    let mut facts = ImportFacts {
        format: foreign.contents.format.name().to_owned(),
        path: source.path,
        sha256: source.sha256,
        file: None,
        assumed: vec![],
        fixed: options.fixed.clone(),
        states: options.states.clone(),
    };
    let (name, bytes) = match &model {
        Imported::Layers(layers) => {
            facts.assumed.clone_from(&layers.assumed);
            ("model.safetensors".to_owned(), pack(layers)?.to_bytes()?)
        }
        Imported::Graph(_) => {
            if options.external_data {
                return Err(Error::usage(format!(
                    "`{}`: a graph with values in other files is not copied; save it with all in one file",
                    path.display()
                )));
            }
            let end =
                path.extension().map_or("bin".into(), |end| end.to_string_lossy().into_owned());
            let name = format!("model.{end}");
            facts.file = Some(name.clone());
            let bytes = crate::data::read_bytes(path)?;
            (name, bytes)
        }
    };
    let text = toml::to_string(&facts)
        .map_err(|error| Error::failed("cannot write import.toml").with_source(error))?;
    let folder = match output {
        Some(output) => RunFolder::create_at(output)?,
        None => {
            let stem = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
            RunFolder::create(runs, &stem)?
        }
    };
    folder.write(&name, &bytes)?;
    folder.write(FACTS, text.as_bytes())?;
    Ok(folder)
}

/// Whether a folder holds an imported model.
pub fn is_imported(path: &Path) -> bool {
    run::follow(path).join(FACTS).is_file()
}

/// What was imported into a folder.
///
/// # Errors
/// `import.toml` cannot be read, or is not what this program writes.
pub fn facts(path: &Path) -> Result<ImportFacts> {
    let path = run::follow(path).join(FACTS);
    let bytes = crate::data::read_bytes(&path)?;
    let wrong = |error: String| Error::usage(format!("`{}`: {error}", path.display()));
    let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The model of a folder that [`import`] made.
///
/// # Errors
/// A file is missing, altered or of another version.
pub fn load(path: &Path) -> Result<Imported<f32>> {
    let facts = facts(path)?;
    let folder = run::follow(path);
    let Some(file) = facts.file else {
        let file = folder.join("model.safetensors");
        let layers = unpack(&Checkpoint::load(&file)?);
        return layers
            .map(Imported::Layers)
            .map_err(|error| error.context(format!("`{}`", file.display())));
    };
    let plain = Path::new(&file).components().count() == 1 && !file.contains("..");
    let file = folder.join(&file);
    if !plain || DataSource::of(&file)?.sha256 != facts.sha256 {
        return Err(Error::usage(format!(
            "`{}` is not the file that was imported; import it again",
            file.display()
        )));
    }
    let options = Options { fixed: facts.fixed, states: facts.states, ..Options::default() };
    let foreign = recurve_interop::open(&file, &options).map_err(told)?;
    foreign.import().map_err(told)
}

/// The weights of a run, imported or trained.
///
/// # Errors
/// There is no model of layers.
pub fn weights(path: &Path) -> Result<Model<f32>> {
    if !is_imported(path) {
        return Ok(ModelFile::load(path)?.model().clone());
    }
    match load(path)? {
        Imported::Layers(layers) => Ok(layers.model),
        Imported::Graph(_) => Err(Error::usage(format!(
            "`{}` holds a graph, not a model of layers; what is in it stays in its own format",
            path.display()
        ))),
    }
}

/// The model of a run in the format of another program: the files, and the folder they belong in, which is
/// not there yet. Beside the model lies how a trained one reads its data, in `reader.json`.
///
/// # Errors
/// There is no model of layers, the format has not all it is made of, or the folder is there already.
pub fn export(
    run: &Path,
    output: Option<&Path>,
    target: Target,
    end: &str,
) -> Result<(PathBuf, Vec<Written>)> {
    let folder = run::follow(run);
    let name = folder.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy());
    let beside = folder.with_file_name(format!("{name}-{end}"));
    let path = output.map_or(beside, Path::to_owned);
    if path.symlink_metadata().is_ok() {
        return Err(Error::usage(format!(
            "`{}` is there already; choose another folder with --output",
            path.display()
        )));
    }
    let model = weights(run)?;
    let mut files = recurve_interop::export::export(&model, target, "model").map_err(told)?;
    if !is_imported(run) {
        let reader = model_file::to_json(ModelFile::load(run)?.reader())?;
        files.push(Written { name: "reader.json".to_owned(), bytes: reader.into_bytes() });
    }
    Ok((path, files))
}

/// The vanilla RNN of that name.
///
/// # Errors
/// The name is neither `tanh` nor `relu`.
pub fn nonlinearity(name: &str) -> Result<CellKind> {
    match name {
        "tanh" => Ok(CellKind::RnnTanh),
        "relu" => Ok(CellKind::RnnRelu),
        other => {
            Err(Error::usage(format!("`{other}` is no function of a vanilla RNN: tanh or relu")))
        }
    }
}

/// An error of the formats as one of this crate: what was given is wrong, but where the system failed.
pub fn told(error: recurve_interop::Error) -> Error {
    if error.kind() == Kind::Failed {
        Error::failed(error.to_string())
    } else {
        Error::usage(error.to_string())
    }
}

fn pack(layers: &Layers<f32>) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::new();
    checkpoint.insert_text("format", FORMAT)?;
    checkpoint.insert_text("description", model_file::to_json(layers.model.description())?)?;
    model_file::write_weights(&mut checkpoint, "", &layers.model, layers.model.values())?;
    if let Some(initial) = &layers.initial {
        let bytes = initial.to_bytes();
        checkpoint.insert("initial-state", Tensor::u8(vec![bytes.len()], bytes)?)?;
    }
    Ok(checkpoint)
}

fn unpack(checkpoint: &Checkpoint) -> Result<Layers<f32>> {
    let format = checkpoint.text("format")?;
    if format != FORMAT {
        return Err(Error::usage(format!("this is `{format}`, expected `{FORMAT}`")));
    }
    let description: Description = model_file::json(checkpoint, "description")?;
    let mut model = Model::new(description).map_err(unsound)?;
    let values = model_file::read_weights(checkpoint, "", &model)?;
    model.values_mut().copy_from_slice(&values);
    let initial = match checkpoint.tensor("initial-state") {
        Err(_) => None,
        Ok(tensor) => {
            let crate::checkpoint::Values::U8(bytes) = tensor.values() else {
                return Err(Error::usage("the initial state is no bytes"));
            };
            let mut state = State::zero(model.description(), 1);
            state.restore(bytes).map_err(unsound)?;
            Some(state)
        }
    };
    Ok(Layers { model, initial, assumed: vec![] })
}
