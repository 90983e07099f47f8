//! `recurve import`, `inspect`, `export --to`, `diff`, and imported models at work.

mod support;

use std::path::{Path, PathBuf};
use support::{fed, folder, recurve};

/// A file of the fixtures that the repository does not hold. Where it is not there, that is said aloud.
fn shared(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RECURVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(file);
    if !path.exists() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "not run: {} is not there", path.display());
        return None;
    }
    Some(path.canonicalize().unwrap())
}

#[test]
fn a_state_dict_becomes_a_run_and_goes_out_again() {
    let Some(file) = shared("models/fixtures/torch/pt_variants/plain.pt") else { return };
    let (folder, file) = (folder(), file.to_str().unwrap().to_owned());
    let inspected = recurve(folder.path(), &["inspect", &file, "--json"]).done().json();
    assert_eq!(inspected["layers"][0]["name"], "encoder.lstm");
    assert_eq!(inspected["import_refused"], serde_json::Value::Null);
    recurve(folder.path(), &["import", &file, "--output", "run"]).done();
    let row = "0.1,0.2,0.3,0.4\n";
    std::fs::write(folder.path().join("rows.csv"), row.repeat(5)).unwrap();
    let y = recurve(folder.path(), &["predict", "run", "rows.csv"]).done().out;
    assert_eq!(y.lines().count(), 5);
    assert!(y.lines().all(|line| line.split(',').count() == 3), "{y}");
    fed(folder.path(), &["stream", "run"], row).refused(2, &["does not stream"]);
    for format in ["onnx", "torch", "npz"] {
        recurve(folder.path(), &["export", "run", "--to", format]).done();
    }
    recurve(folder.path(), &["import", "run-onnx/model.onnx", "--output", "again"]).done();
    assert_eq!(recurve(folder.path(), &["predict", "again", "rows.csv"]).done().out, y);
    let same = recurve(folder.path(), &["diff", "run", "again", "--json"]).done().json();
    assert_eq!(same["differences"], serde_json::json!([]));
    recurve(folder.path(), &["export", "run", "--to", "onnx"])
        .refused(2, &["run-onnx", "--output"]);
}

#[test]
fn two_files_that_differ_say_where() {
    let Some(a) = shared("models/fixtures/torch/pt_variants/plain.pt") else { return };
    let Some(b) = shared("models/fixtures/torch/pt_variants/half.pt") else { return };
    let folder = folder();
    let ran = recurve(folder.path(), &["diff", a.to_str().unwrap(), b.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("encoder.lstm.weight_ih_l0") && ran.out.contains("values differ"),
        "{ran:?}"
    );
}

#[test]
fn a_graph_streams_sound() {
    let Some(file) = shared("models/silero-vad/silero_vad_16k_op15.onnx") else { return };
    let folder = folder();
    let file = file.to_str().unwrap();
    recurve(folder.path(), &["import", file, "--output", "vad", "--fix", "sr=16000"]).done();
    let inspected = recurve(folder.path(), &["inspect", "vad"]).done().out;
    assert!(inspected.contains("state: next is stateN"), "{inspected}");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let wav = folder.path().join("a.wav");
    let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
    for at in 0..5120_i32 {
        writer.write_sample((at * at / 7 % 9000 - 4500) as i16).unwrap();
    }
    writer.finalize().unwrap();
    let stream = ["stream", "vad", "--wav", "a.wav", "--hop", "512", "--frame", "576"];
    let streamed = recurve(folder.path(), &stream).done().out;
    assert_eq!(streamed.lines().count(), 10);
    let predict = ["predict", "vad", "a.wav", "--hop", "512", "--frame", "576"];
    assert_eq!(recurve(folder.path(), &predict).done().out, streamed);
    recurve(folder.path(), &["import", file, "--fix", "sr"]).refused(2, &["`sr`", "NAME=VALUES"]);
    recurve(folder.path(), &["import", file, "--fix", "rate=1"]).refused(2, &["no input `rate`"]);
}

#[test]
fn what_cannot_be_imported_is_refused_and_leaves_nothing() {
    let folder = folder();
    std::fs::write(folder.path().join("x.pt"), b"not a model").unwrap();
    recurve(folder.path(), &["import", "x.pt"]).refused(2, &["x.pt", "known format"]);
    recurve(folder.path(), &["import", "absent.onnx"])
        .refused(2, &["absent.onnx", "check the path"]);
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn imported_weights_are_trained_on_where_a_task_has_their_layers() {
    let folder = folder();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/nile.csv");
    let small = [
        "--set",
        "train.epochs=1",
        "--set",
        "model.hidden=4",
        "--set",
        "model.bias=two",
        "--set",
        "optimiser.learning_rate=1e-60",
    ];
    let train = |more: &[&str]| {
        let mut all = vec!["train", data];
        all.extend(small);
        all.extend(more);
        recurve(folder.path(), &all)
    };
    train(&["--name", "own"]).done();
    recurve(folder.path(), &["export", "runs/own", "--to", "torch", "--output", "out"]).done();
    let weights = "out/model.safetensors";
    recurve(folder.path(), &["import", weights, "--output", "theirs"]).done();
    // A rate too small to change anything: the weights are those that were loaded.
    let ran = train(&["--name", "again", "--load", "theirs"]).done();
    assert!(ran.err.contains("starts from the weights of theirs"), "{ran:?}");
    let same = recurve(folder.path(), &["diff", "theirs", "runs/again", "--json"]).done().json();
    assert_eq!(same["differences"], serde_json::json!([]));
    // Another horizon is another last layer.
    let ran = train(&["--name", "longer", "--load", "theirs", "--set", "data.horizon=5"]).done();
    assert!(ran.err.contains(".linear begins anew"), "{ran:?}");
    let expected = ["theirs", "--set model.hidden=4", "--set model.bias=two"];
    train(&["--name", "wide", "--load", "theirs", "--set", "model.hidden=5"]).refused(2, &expected);
    assert!(!folder.path().join("runs/wide").exists());
}
