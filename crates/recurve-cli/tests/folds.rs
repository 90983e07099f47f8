//! Cross-validation from the file to the page: every sequence held out once, whole groups, and what is refused.

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use support::{Ran, names, recurve};

/// Trains quickly in `folder`.
fn quick(folder: &Path, args: &[&str]) -> Ran {
    let short = ["train", "--quiet", "--set", "train.epochs=3", "--set", "model.hidden=6"];
    recurve(folder, &[&short[..], args].concat())
}

fn folder_with(name: &str, content: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(name), content).expect("room");
    folder
}

/// Sequences of two shapes by twelve persons, a row each: `person,part,label,s1,…,s8`.
fn waves() -> String {
    let mut text = "person,part,label,s1,s2,s3,s4,s5,s6,s7,s8\n".to_owned();
    for row in 0..72 {
        let (person, label) = (row / 6, ["up", "down", "down"][row % 3]);
        let part = if person < 8 { "train" } else { "test" };
        write!(text, "p{person},{part},{label}").expect("a string");
        for step in 0..8 {
            let slope = if label == "up" { 0.3 } else { -0.3 };
            write!(text, ",{:.3}", slope * f64::from(step) + (row * 7 % 5) as f64 / 10.0)
                .expect("a string");
        }
        text.push('\n');
    }
    text
}

const FOLDS: [&str; 6] = ["waves.csv", "--folds", "4", "--set", "data.group=person", "--name"];

#[test]
fn every_sequence_is_held_out_once_and_persons_stay_whole() {
    let folder = folder_with("waves.csv", &waves());
    let here = folder.path();
    let told = quick(here, &[&FOLDS[..], &["w", "--json"]].concat()).done().json();
    assert_eq!((&told["name"], &told["task"]), (&"w".into(), &"classify".into()));
    let folds = told["folds"].as_array().expect("folds");
    assert_eq!(folds.len(), 4);
    // What is told is what each run says of itself.
    let mut values = vec![];
    for (at, fold) in folds.iter().enumerate() {
        let run = format!("runs/w-fold-{}", at + 1);
        assert_eq!(fold["run"], Value::from(run.clone()));
        let own = recurve(here, &["eval", &run, "--json"]).done().json();
        assert_eq!(fold["measures"][0], serde_json::json!(["accuracy", own["accuracy"]]));
        assert_eq!(own["part"], "test");
        values.push(own["accuracy"].as_f64().expect("a number"));
        let config = fs::read_to_string(here.join(&run).join("config.toml")).expect("a file");
        assert!(config.contains(&format!("fold = \"{}/4\"", at + 1)), "{config}");
        assert!(here.join(&run).join("report.html").exists());
    }
    let mean = values.iter().sum::<f64>() / 4.0;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    let spread = &told["measures"][0];
    for (name, value) in [("mean", mean), ("deviation", deviation)] {
        let said = spread[name].as_f64().expect("a number");
        assert!((said - value).abs() < 1e-12, "{name}: {said} and {value}");
    }
    // All 72 rows, once each; a person in one fold; a third `up` in every fold.
    let csv = fs::read_to_string(here.join("runs/w-folds.csv")).expect("predictions");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("fold,id,actual,predicted,p(down),p(up)"));
    let mut fold_of: BTreeMap<usize, &str> = BTreeMap::new();
    let mut ups: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let id: usize = cells[1].parse().expect("the number of a row");
        assert_eq!(fold_of.insert(id, cells[0]), None, "row {id} is held out once");
        *ups.entry(cells[0]).or_default() += usize::from(cells[2] == "up");
    }
    assert_eq!(fold_of.len(), 72);
    assert_eq!(ups.into_values().collect::<Vec<_>>(), [6, 6, 6, 6]);
    for (id, fold) in &fold_of {
        assert_eq!(fold_of[&((id - 1) / 6 * 6 + 1)], *fold, "row {id}");
    }
    let written = fs::read_to_string(here.join("runs/w-folds.json")).expect("a file");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["measures"], told["measures"]);
    let page = fs::read_to_string(here.join("runs/w-folds.html")).expect("a page");
    for words in ["cross-validation", "standard deviation", "held out exactly once", "4/4"] {
        assert!(page.contains(words), "{words}");
    }
    // The same command goes on: what is there is kept, what is missing is trained again, to the same numbers.
    fs::remove_dir_all(here.join("runs/w-fold-3")).expect("a folder");
    let again = quick(here, &[&FOLDS[..], &["w"]].concat()).done();
    assert!(again.out.contains("accuracy: ") && again.out.contains(" over 4 folds"), "{again:?}");
    let again = fs::read_to_string(here.join("runs/w-folds.json")).expect("a file");
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["measures"], told["measures"]);
    // But not with other settings.
    quick(here, &[&FOLDS[..], &["w", "--set", "train.batch=5"]].concat())
        .refused(2, &["runs/w-fold-1", "train.batch"]);
    // Without a name there is one.
    let told = quick(here, &["waves.csv", "--folds", "2", "--json"]).done().json();
    assert_eq!(told["name"], "waves-1");
}

#[test]
fn what_cannot_be_cut_into_folds_is_refused_and_leaves_nothing() {
    let folder = folder_with("waves.csv", &waves());
    let here = folder.path();
    let refused = |args: &[&str], words: &[&str]| {
        let args = [&["waves.csv", "--folds"], args].concat();
        quick(here, &args).refused(2, words);
        assert_eq!(names(here), ["waves.csv"], "nothing is left behind");
    };
    refused(&["13", "--set", "data.group=person"], &["waves.csv", "12 groups", "13 folds"]);
    refused(&["100"], &["72 sequences", "100 folds"]);
    refused(&["3", "--set", "data.split=part"], &["data.split", "data.fold"]);
    refused(&["3", "--set", "data.test=9"], &["data.fold is 1/3", "data.test"]);
    refused(&["3", "--set", "data.fold=1/3"], &["data.fold is set"]);
    refused(&["3", "--task", "forecast"], &["forecast", "backtest"]);
    refused(&["3", "--task", "language"], &["language", "no separate sequences"]);
    for args in [&["--set", "data.fold=0/3"], &["--set", "data.fold=two"]] {
        let args = [&["waves.csv"], &args[..]].concat();
        quick(here, &args).refused(2, &["fold"]);
    }
    let one = quick(here, &["waves.csv", "--folds", "1"]);
    assert!(one.code == 2 && one.err.contains("1 is not in 2..=1000"), "{one:?}");
    assert_eq!(names(here), ["waves.csv"]);
}

#[test]
fn all_tasks_with_separate_sequences_can_be_cut() {
    let mut regress = "a,b,c,y\n".to_owned();
    let mut pairs = "source,target\n".to_owned();
    let mut sounds = "id,t,x,text\n".to_owned();
    let mut tags = String::new();
    let mut rolls = vec![];
    for at in 0..16 {
        let (a, b) = (at % 4, at % 3);
        writeln!(regress, "{a},{b},{},{}", a * b, a + b).expect("a string");
        writeln!(pairs, "{},{}", "ab".repeat(1 + a), "ba".repeat(1 + a)).expect("a string");
        for t in 0..6 {
            writeln!(sounds, "s{at},{t},{},{}", (t + a) % 3, ["x", "xy"][at % 2])
                .expect("a string");
        }
        writeln!(tags, "the\tD\n{}\tN\n", ["cat", "dog", "bird"][b]).expect("a string");
        rolls.push(vec![vec![60 + a], vec![62 + b], vec![64]]);
    }
    let rolls = serde_json::to_string(&rolls).expect("JSON");
    for (task, file, content, measure) in [
        ("regress", "r.csv", &regress, "RMSE of y"),
        ("translate", "p.csv", &pairs, "character error rate"),
        ("transcribe", "s.csv", &sounds, "character error rate"),
        ("tag", "t.conll", &tags, "accuracy"),
        ("music", "m.json", &rolls, "nats per frame"),
    ] {
        let folder = folder_with(file, content);
        let args = [file, "--task", task, "--folds", "2", "--name", "k", "--json"];
        let told = quick(folder.path(), &args).done().json();
        assert_eq!(told["measures"][0]["measure"], measure, "{task}");
        assert_eq!(told["folds"].as_array().map(Vec::len), Some(2), "{task}");
        for file in ["k-fold-1", "k-fold-2", "k-folds.csv", "k-folds.html", "k-folds.json"] {
            assert!(folder.path().join("runs").join(file).exists(), "{task}: {file}");
        }
    }
}
