//! Sequences for sequences from the file to the prediction; and what is wrong with such files.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{Ran, fed, names, recurve};

/// A folder with the made-up words.
fn spelling() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    recurve(folder.path(), &["data", "get", "spelling"]).done();
    fs::copy(folder.path().join("data/spelling/spelling.tsv"), folder.path().join("words.tsv"))
        .expect("room");
    fs::remove_dir_all(folder.path().join("data")).expect("a folder");
    folder
}

fn quick(folder: &Path, args: &[&str]) -> Ran {
    let short = [
        "train",
        "--task",
        "translate",
        "--quiet",
        "--set",
        "train.epochs=14",
        "--set",
        "model.hidden=32",
        "--set",
        "model.embedding=16",
        "--set",
        "model.dropout=0.1",
        "--set",
        "optimiser.learning_rate=8e-3",
        "--set",
        "train.batch=16",
    ];
    recurve(folder, &[&short[..], args].concat())
}

#[test]
fn words_are_sounded_and_beams_streams_and_threads_agree() {
    let folder = spelling();
    let here = folder.path();
    let told = quick(here, &["words.tsv", "--name", "w", "--json"]).done().json();
    assert_eq!((&told["task"], &told["evaluation"]["part"]), (&"translate".into(), &"test".into()));
    let scores = &told["evaluation"];
    assert!(scores["symbol_error_rate"].as_f64().expect("a number") < 0.15, "{scores}");
    assert!(scores["bleu"].as_f64().expect("a number") > 50.0, "{scores}");
    assert_eq!(scores["unit"], "word");
    let config = fs::read_to_string(here.join("runs/w/config.toml")).expect("a configuration");
    assert!(config.contains("attention = \"general\"") && config.contains("input_feeding = true"));
    let report = fs::read_to_string(here.join("runs/w/report.html")).expect("a report");
    for words in ["What it looked at", "<rect", "chrF", "most frequent text"] {
        assert!(report.contains(words), "{words}");
    }
    let predictions = fs::read_to_string(here.join("runs/w/predictions.csv")).expect("a file");
    assert!(predictions.starts_with("id,source,actual,predicted,log_probability\n"));
    // The same measures from the model file; a whole file; the same with one thread.
    let again = recurve(here, &["eval", "runs/w", "--json"]).done().json();
    assert_eq!(again["symbol_error_rate"], scores["symbol_error_rate"]);
    assert_eq!(again["attention"], scores["attention"]);
    let all = recurve(here, &["eval", "runs/w", "words.tsv", "--threads", "1"]).done();
    assert!(all.out.contains("all part, 600 sequences"), "{}", all.out);
    let whole = recurve(here, &["predict", "runs/w", "words.tsv", "--json"]).done().out;
    let single = ["predict", "runs/w", "words.tsv", "--json", "--threads", "1"];
    assert_eq!(recurve(here, &single).done().out, whole);
    // A line alone is what it is among others; an empty one has no target.
    let rows: Vec<Value> =
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let source = |at: usize| rows[at]["source"].as_str().expect("a text").to_owned();
    let lines = format!("{}\n\n{}\n", source(3), source(5));
    let said = fed(here, &["translate", "runs/w"], &lines).done().out;
    let expected =
        [3, 5].map(|at: usize| rows[at]["predicted"].as_str().expect("a text").to_owned());
    assert_eq!(said, format!("{}\n\n{}\n", expected[0], expected[1]));
    let best = fed(here, &["translate", "runs/w", "--best", "3"], &lines).done().out;
    let best: Vec<Vec<&str>> = best.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(best.len(), 6);
    assert_eq!((best[0][0], best[0][2], best[3][0]), ("1", expected[0].as_str(), "3"));
    let json = fed(here, &["translate", "runs/w", "--json", "--beam", "1"], &lines).done().out;
    let first: Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    let weights = first["targets"][0]["attention"][0].as_array().expect("weights");
    let sum: f64 = weights.iter().map(|weight| weight.as_f64().expect("a number")).sum();
    assert!((sum - 1.0).abs() < 1e-4 && weights.len() == source(3).chars().count());
    fed(here, &["translate", "runs/w", "--best", "9"], "x\n").refused(2, &["--best 9", "--beam"]);
    recurve(here, &["tag", "runs/w"]).refused(2, &["task translate", "tag"]);
    fed(here, &["stream", "runs/w"], "x\n").refused(2, &["translate"]);
    // Letters that were never seen are unknown, and no mistake.
    fed(here, &["translate", "runs/w"], "žž\n").done();
}

#[test]
fn a_resumed_run_and_other_ways_to_learn() {
    let folder = spelling();
    let here = folder.path();
    let few = ["--set", "train.epochs=3", "--set", "train.scheduled_sampling=0.5"];
    let with = |name: &'static str, more: &[&str]| {
        quick(here, &[&["words.tsv", "--name", name, "--json"], &few[..], more].concat())
    };
    let one = with("one", &[]).done().json();
    let two = with("two", &["--threads", "1"]).done().json();
    assert_eq!(one["evaluation"], two["evaluation"]);
    recurve(here, &["diff", "runs/one", "runs/two"]).done();
    let resumed = recurve(here, &["train", "--resume", "runs/one", "--quiet", "--json"]).done();
    assert_eq!(resumed.json()["evaluation"], one["evaluation"]);
    for kind in ["dot", "additive", "multi-head", "location"] {
        let set = format!("model.attention={kind}");
        with(kind, &["--set", &set, "--set", "train.epochs=1", "--set", "model.layers=2"]).done();
    }
    let gru = ["--set", "model.cell=gru", "--set", "model.input_feeding=false"];
    with("gru", &[&gru[..], &["--set", "train.epochs=1"]].concat()).done();
}

#[test]
fn pairs_without_a_head_and_sources_of_numbers() {
    let folder = spelling();
    let here = folder.path();
    let words = fs::read_to_string(here.join("words.tsv")).expect("a file");
    let lines: Vec<&str> = words.lines().skip(1).collect();
    for (name, part) in
        [("a.tsv", &lines[..400]), ("b.tsv", &lines[400..500]), ("c.tsv", &lines[500..])]
    {
        fs::write(here.join(name), part.join("\n") + "\n").expect("room");
    }
    let files = ["--set", "data.validation_file=b.tsv", "--set", "data.test_file=c.tsv"];
    let few = ["a.tsv", "--name", "n", "--json", "--set", "train.epochs=1"];
    let told = quick(here, &[&few[..], &files].concat()).done().json();
    assert_eq!(told["evaluation"]["sequences"], 100);
    let said = recurve(here, &["predict", "runs/n", "c.tsv"]).done().out;
    assert_eq!(said.lines().count(), 101);
    // Features of pictures, a matrix for each, and their captions.
    let mut table = "file,caption\n".to_owned();
    for at in 0..180_usize {
        let (kind, count) = (at % 3, 1 + at % 2);
        let values: Vec<f32> = (0..2 * 3)
            .map(|i| if i % 3 == kind { count as f32 } else { (i * at % 5) as f32 / 20.0 })
            .collect();
        fs::write(here.join(format!("p{at}.npy")), npy([2, 3], &values)).expect("room");
        let words = ["cat", "dog", "bird"][kind];
        table += &format!(
            "p{at}.npy,{}\n",
            if count == 1 { format!("a {words}") } else { format!("two {words} s") }
        );
    }
    fs::write(here.join("pictures.csv"), &table).expect("room");
    let set = ["pictures.csv", "--name", "p", "--json", "--set", "data.symbols=spaced"];
    let long = ["--set", "train.epochs=60"];
    let told = quick(here, &[&set[..], &long].concat()).done().json();
    assert!(told["evaluation"]["right"].as_f64().expect("a number") > 0.6, "{told}");
    let captions = recurve(here, &["predict", "runs/p", "pictures.csv", "--json"]).done().out;
    let first: Value =
        serde_json::from_str(captions.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["id"], "p0.npy");
    fed(here, &["translate", "runs/p"], "x\n").refused(2, &["reads numbers", "recurve predict"]);
}

/// A matrix as NumPy writes it.
fn npy(shape: [usize; 2], values: &[f32]) -> Vec<u8> {
    let mut head = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
        shape[0], shape[1]
    );
    head += &" ".repeat(63 - (10 + head.len()) % 64);
    head += "\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn what_is_wrong_is_named() {
    let folder = spelling();
    let here = folder.path();
    let refused = |args: &[&str], words: &[&str]| {
        quick(here, &[&["words.tsv"], args].concat()).refused(2, words);
        assert_eq!(names(here), ["words.tsv"], "nothing is left behind");
    };
    refused(&["--set", "loss=mse"], &["cross-entropy"]);
    refused(&["--set", "data.label=sound"], &["data.label", "`sounds`"]);
    refused(&["--set", "train.scheduled_sampling=1.5"], &["train.scheduled_sampling"]);
    refused(&["--set", "train.precision=bf16"], &["train.precision", "f32"]);
    refused(&["--set", "model.attention=dott"], &["model.attention", "general"]);
    refused(&["--set", "model.letters=3"], &["model.letters"]);
    fs::write(here.join("three.tsv"), "a\tb\tc\nx\ty\tz\n").expect("room");
    quick(here, &["three.tsv"]).refused(2, &["three.tsv", "data."]);
    fs::remove_file(here.join("three.tsv")).expect("a file");
    fs::write(here.join("few.tsv"), "word\tsounds\nab\t\ncd\t\nef\t\n").expect("room");
    quick(here, &["few.tsv"]).refused(2, &["few.tsv", "targets"]);
}
