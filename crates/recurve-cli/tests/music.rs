//! Music from the file to a new piece; and what is wrong with such files.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{Ran, names, recurve};

/// A folder with the made-up pieces.
fn chords() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    recurve(folder.path(), &["data", "get", "chords"]).done();
    fs::copy(folder.path().join("data/chords/chords.json"), folder.path().join("chords.json"))
        .expect("room");
    fs::remove_dir_all(folder.path().join("data")).expect("a folder");
    folder
}

fn quick(folder: &Path, args: &[&str]) -> Ran {
    let set = [
        "train.epochs=12",
        "train.batch=4",
        "model.hidden=48",
        "model.dropout=0.1",
        "optimiser.learning_rate=1e-2",
    ];
    let short = set.iter().flat_map(|set| ["--set", set]);
    let all: Vec<&str> = ["train", "--quiet"].into_iter().chain(short).collect();
    recurve(folder, &[&all[..], args].concat())
}

#[test]
fn chords_are_learned_and_played_and_threads_agree() {
    let folder = chords();
    let here = folder.path();
    let told = quick(here, &["chords.json", "--name", "c", "--json"]).done().json();
    let scores = &told["evaluation"];
    assert_eq!((&told["task"], &scores["part"]), (&"music".into(), &"test".into()));
    let number = |name: &str| scores[name].as_f64().expect("a number");
    assert!(number("nats") < 0.6 * number("last_frame"), "{scores}");
    assert!(number("last_frame") < number("frequencies") && number("accuracy") > 0.4, "{scores}");
    let report = fs::read_to_string(here.join("runs/c/report.html")).expect("a report");
    for words in ["What it plays", "<rect", "last frame", "expected least"] {
        assert!(report.contains(words), "{words}");
    }
    // The same from the model file; every frame of a file adds up to the same.
    let again = recurve(here, &["eval", "runs/c", "--json"]).done().json();
    assert_eq!(again["nats"], scores["nats"]);
    let lists: Value =
        serde_json::from_str(&fs::read_to_string(here.join("chords.json")).expect("a file"))
            .expect("JSON");
    fs::write(here.join("test.json"), lists["test"].to_string()).expect("room");
    let frames =
        recurve(here, &["predict", "runs/c", "test.json", "--json", "--threads", "1"]).done().out;
    let frames: Vec<Value> =
        frames.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(frames.len(), scores["frames"].as_u64().expect("a number") as usize);
    let nats: f64 = frames.iter().map(|frame| frame["nats"].as_f64().expect("a number")).sum();
    assert!((nats / frames.len() as f64 - number("nats")).abs() < 1e-9);
    assert_eq!((&frames[0]["piece"], &frames[0]["frame"]), (&1.into(), &2.into()));
    assert_eq!(frames[0]["notes"], lists["test"][0][1]);
    let told = recurve(here, &["predict", "runs/c", "test.json", "-o", "p.csv"]).done().out;
    assert!(told.contains("nats per frame"), "{told}");
    let csv = fs::read_to_string(here.join("p.csv")).expect("a file");
    assert!(csv.starts_with("piece,frame,notes,predicted,nats\n1,2,"), "{csv}");
    // A drawn piece is the same again; it can be trained on, and listened to.
    let draw = [
        "generate",
        "runs/c",
        "-n",
        "12",
        "--temperature",
        "1",
        "--prompt",
        "48 60 64 67, 41 65 69 72",
    ];
    let drawn = recurve(here, &draw).done().out;
    assert_eq!(recurve(here, &draw).done().out, drawn);
    assert_eq!(drawn.lines().count(), 14);
    assert!(drawn.starts_with("48 60 64 67\n41 65 69 72\n"), "{drawn}");
    let to = |name: &'static str| [&draw[..], &["-o", name]].concat();
    assert_eq!(recurve(here, &to("new.json")).done().out, "");
    let roll: Value =
        serde_json::from_str(&fs::read_to_string(here.join("new.json")).expect("a file"))
            .expect("JSON");
    let line = |frame: &Value| {
        let notes: Vec<String> =
            frame.as_array().expect("notes").iter().map(Value::to_string).collect();
        notes.join(" ")
    };
    let lines: Vec<String> = roll[0].as_array().expect("frames").iter().map(line).collect();
    assert_eq!(lines.join("\n") + "\n", drawn);
    recurve(here, &["eval", "runs/c", "new.json"]).done();
    recurve(here, &to("new.mid")).done();
    assert!(fs::read(here.join("new.mid")).expect("a file").starts_with(b"MThd"));
    let json = recurve(here, &["generate", "runs/c", "-n", "3", "--temperature", "0", "--json"])
        .done()
        .json();
    assert_eq!(json["frames"].as_array().expect("frames").len(), 3);
    // What does not go with music is refused.
    recurve(here, &["generate", "runs/c", "--top-k", "3"]).refused(2, &["--top-k"]);
    recurve(here, &["generate", "runs/c", "--prompt", "do re"]).refused(2, &["`do`", "--prompt"]);
    recurve(here, &["generate", "runs/c", "--prompt", "7"]).refused(2, &["7", "21 to 108"]);
    recurve(here, &["tag", "runs/c"]).refused(2, &["task music"]);
    support::fed(here, &["stream", "runs/c"], "x\n").refused(2, &["music"]);
}

#[test]
fn a_resumed_run_shifted_pieces_and_parts_that_are_drawn() {
    let folder = chords();
    let here = folder.path();
    let few = [
        "--set",
        "train.epochs=2",
        "--set",
        "train.transpose=3",
        "--set",
        "model.input_dropout=0.1",
    ];
    let with = |name: &'static str, more: &[&str]| {
        quick(here, &[&["chords.json", "--name", name, "--json"], &few[..], more].concat())
    };
    let one = with("one", &[]).done().json();
    let two = with("two", &["--threads", "1"]).done().json();
    assert_eq!(one["evaluation"], two["evaluation"]);
    let plain = with("plain", &["--set", "train.transpose=0"]).done().json();
    assert_ne!(one["evaluation"]["nats"], plain["evaluation"]["nats"]);
    let resumed = recurve(here, &["train", "--resume", "runs/one", "--quiet", "--json"]).done();
    assert_eq!(resumed.json()["evaluation"], one["evaluation"]);
    let list: Vec<Value> = (0..20).map(|at| serde_json::json!([[60 + at], [62], [64]])).collect();
    fs::write(here.join("list.json"), serde_json::json!(list).to_string()).expect("room");
    let size = [
        "list.json",
        "--name",
        "l",
        "--json",
        "--set",
        "data.test=4",
        "--set",
        "data.validation=0",
    ];
    let told = quick(here, &size).done().json();
    assert_eq!(
        (&told["evaluation"]["pieces"], &told["evaluation"]["frames"]),
        (&4.into(), &8.into())
    );
}

#[test]
fn what_is_wrong_is_named() {
    let folder = chords();
    let here = folder.path();
    let refused = |args: &[&str], words: &[&str]| {
        quick(here, &[&["chords.json"], args].concat()).refused(2, words);
        assert_eq!(names(here), ["chords.json"], "nothing is left behind");
    };
    refused(&["--set", "loss=mse"], &["binary-cross-entropy"]);
    refused(&["--set", "model.bidirectional=true"], &["model.bidirectional"]);
    refused(&["--set", "train.transpose=13"], &["train.transpose", "12"]);
    refused(&["--set", "model.input_dropout=1"], &["model.input_dropout"]);
    refused(&["--set", "data.test=3"], &["chords.json", "data.test"]);
    refused(&["--set", "model.embedding=3"], &["model.embedding", "music"]);
    fs::write(here.join("low.json"), "[[[60],[62]],[[61],[9]]]").expect("room");
    quick(here, &["low.json"]).refused(2, &["low.json", "piece 2, frame 2", "9", "21 to 108"]);
    fs::write(here.join("x.json"), "{\"a\": 1}").expect("room");
    quick(here, &["x.json", "--task", "music"]).refused(2, &["x.json", "`a`"]);
}
