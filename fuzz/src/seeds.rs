//! Writes the files that fuzzing begins with: models as the exporters of Recurve write them, and the small files
//! in `golden`.
//!
//!     seeds FOLDER        makes FOLDER/TARGET/... for every target

use libfuzzer_sys as _;
use recurve_fuzz::{ARRAYS, joined};
use recurve_interop::archive::Archive;
use recurve_interop::export::{Target, export};
use recurve_interop::{Limits, Source};
use recurve_nn::{Bias, CellKind, Description, Model, Pooling, Recurrent};
use recurve_train::checkpoint::{Checkpoint, Tensor};
use recurve_train::config::{Config, Task};
use std::fs;
use std::path::{Path, PathBuf};

/// Small models of every cell that some format has.
fn models() -> Vec<(String, Model<f32>)> {
    let mut all = vec![];
    for cell in [
        CellKind::RnnTanh,
        CellKind::RnnRelu,
        CellKind::Lstm,
        CellKind::LstmPeephole,
        CellKind::LstmCoupled,
        CellKind::Gru,
        CellKind::GruResetBefore,
    ] {
        let stack = Recurrent::new(cell, 2);
        let plain = Description::values(1).recurrent(stack.clone()).linear(1);
        let both = stack.clone().layers(2).bidirectional().bias(Bias::Two);
        let deep = Description::tokens(3).embedding(2).recurrent(both).layer_norm().linear(1);
        let last = Description::values(2).recurrent(stack.bias(Bias::None)).pool(Pooling::Last);
        all.extend([plain, deep, last].map(|description| (cell.name(), description)));
    }
    let projected = Recurrent::new(CellKind::Lstm, 3).projection(2).layers(2);
    all.push(("projected", Description::values(1).recurrent(projected)));
    let fill = |(at, (name, description)): (usize, (&str, Description))| {
        let mut model = Model::<f32>::new(description).expect("a sound description");
        model.values_mut().iter_mut().enumerate().for_each(|(k, v)| *v = (k as f32).sin());
        (format!("{name}-{at}"), model)
    };
    all.into_iter().enumerate().map(fill).collect()
}

struct Corpus(PathBuf);

impl Corpus {
    fn add(&self, target: &str, name: &str, bytes: &[u8]) {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a file");
    }
}

/// The members of an archive.
fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = Archive::open(&Source::of_bytes("archive", bytes.to_vec()), &Limits::default());
    let archive = archive.expect("an archive");
    let read = |name: &str| archive.read(name).expect("a member").to_vec();
    archive.members().iter().map(|member| (member.name.clone(), read(&member.name))).collect()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).expect("golden files") {
        let path = entry.expect("an entry").path();
        let below = if path.is_dir() { path.join("model.onnx") } else { path.clone() };
        if below.is_file() {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            all.push((name, fs::read(below).expect("a file")));
        }
    }
    all
}

fn main() {
    let to = Corpus(std::env::args_os().nth(1).expect("the folder to write to").into());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden");
    for (name, model) in models() {
        for target in [Target::Torch, Target::Onnx, Target::Keras, Target::Npz] {
            // A format that has not this cell.
            let Ok(written) = export(&model, target, "model") else { continue };
            match target {
                Target::Torch => to.add("safetensors", &name, &written[0].bytes),
                Target::Onnx => to.add("onnx", &name, &written[0].bytes),
                Target::Keras => {
                    let all = members(&written[0].bytes);
                    let get = |name: &str| &all.iter().find(|(n, _)| n == name).expect("it").1[..];
                    let weights = get("model.weights.h5");
                    to.add("keras", &name, &joined(&[get("config.json"), weights]));
                    to.add("hdf5", &name, weights);
                    to.add("zip", &format!("{name}.keras"), &written[0].bytes);
                }
                Target::Npz => {
                    let all = members(&written[0].bytes);
                    let all: Vec<&[u8]> = all.iter().map(|(_, bytes)| &bytes[..]).collect();
                    to.add("npz", &name, &joined(&all[..ARRAYS.len().min(all.len())]));
                    to.add("zip", &format!("{name}.npz"), &written[0].bytes);
                }
            }
        }
    }
    for (name, bytes) in files(&golden.join("hdf5")) {
        to.add("hdf5", &name, &bytes);
    }
    for (name, bytes) in files(&golden.join("onnx_nodes")) {
        to.add("onnx", &name, &bytes);
    }
    for (name, bytes) in files(&golden.join("foreign")) {
        match name.rsplit_once('.').expect("an ending") {
            (_, "safetensors") => to.add("safetensors", &name, &bytes),
            (_, "npy") => to.add("npz", &name, &bytes),
            (_, "nam") => to.add("nam", &name, &bytes),
            (_, "json") => to.add("rtneural", &name, &bytes),
            (_, "rnn") => to.add("rnnoise", &name, &bytes),
            ("stream", _) => to.add("stream", &name, &bytes),
            ("zipped", _) => {
                let pickle = members(&bytes).into_iter().find(|(name, _)| name.ends_with(".pkl"));
                to.add("pickle", &name, &pickle.expect("a pickle").1);
                to.add("zip", &name, &bytes);
            }
            _ => panic!("{name} is for no target"),
        }
    }
    for task in [Task::Forecast, Task::Language, Task::Classify] {
        let text = Config::of(task).commented();
        // Without the comments that explain each key.
        let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        to.add("settings", &format!("{task:?}"), plain.join("\n").as_bytes());
    }
    for name in ["nile", "airline-passengers"] {
        let rows = fs::read_to_string(golden.join(format!("../examples/data/{name}.csv")));
        let rows = rows.expect("a series of the examples");
        let few: Vec<&str> = rows.lines().take(9).collect();
        to.add("table", name, few.join("\n").as_bytes());
    }
    to.add(
        "table",
        "quoted",
        b"date;\"the ; value\";name\n2020-01-31;1,5;\"a\"\"b\"\n2020-02-29;;x\n",
    );
    let mut checkpoint = Checkpoint::new();
    let tensor = Tensor::u64(vec![2, 1], vec![1, 2]).expect("a tensor");
    checkpoint.insert("weights", tensor).expect("a new name");
    checkpoint.insert_text("kind", "model").expect("a new key");
    to.add("checkpoint", "small", &checkpoint.to_bytes().expect("bytes"));
}
