//! `recurve compare`: every architecture on a table and on a text, for people and as JSON.

mod support;

use serde_json::Value;
use support::{folder, names, recurve};

const NAMES: [&str; 7] =
    ["RNN", "GRU", "LSTM", "xLSTM (sLSTM)", "xLSTM (mLSTM)", "TCN", "Transformer"];

#[test]
fn a_table_of_all_architectures() {
    let folder = folder();
    let args = ["compare", "air.csv", "--set", "train.epochs=2", "--set", "model.hidden=30"];
    let ran = recurve(folder.path(), &args).done();
    for name in NAMES {
        assert!(ran.out.lines().any(|line| line.starts_with(name)), "{name}: {}", ran.out);
    }
    for word in ["weights", "one step", "µs", "MASE", "--set optimiser.learning_rate"] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    assert!(ran.err.contains("7 of 7: Transformer"), "{}", ran.err);
    // Nothing is left behind.
    assert_eq!(names(folder.path()), ["air.csv", "play.txt"]);
}

#[test]
fn the_same_as_json_with_seeds() {
    let folder = folder();
    let set = ["--set", "train.epochs=2", "--set", "model.hidden=24", "--set", "train.steps=12"];
    let args = [&["compare", "play.txt", "--seeds", "2", "--quiet", "--json"], &set[..]].concat();
    let ran = recurve(folder.path(), &args).done();
    assert_eq!(ran.err, "");
    let told = ran.json();
    assert_eq!(
        (&told["task"], &told["seeds"], &told["steps"]),
        (&"language".into(), &2.into(), &12.into())
    );
    let rows = told["rows"].as_array().expect("rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, NAMES);
    let weights = |row: &Value| row["parameters"].as_f64().expect("a number");
    let lstm = weights(&rows[2]);
    for row in rows {
        assert!((weights(row) / lstm - 1.0).abs() <= 0.02, "{row}");
        let validation = row["validation"].as_array().expect("a list");
        assert_eq!(validation.len(), 2);
        assert!(validation[0].as_f64() <= validation[1].as_f64());
        assert!(row["step_microseconds"].as_f64().is_some_and(|time| time > 0.0), "{row}");
        assert!(row["seconds"].as_f64().is_some_and(|time| time > 0.0), "{row}");
        for key in ["weight_bytes", "state_bytes", "training_bytes"] {
            assert!(row[key].as_u64().is_some_and(|bytes| bytes > 0), "{key}: {row}");
        }
        assert!(row["evaluation"]["task"] == "language", "{row}");
    }
    // The same command gives the same models, whatever the clock says.
    let again = recurve(folder.path(), &args).done().json();
    for (row, again) in rows.iter().zip(again["rows"].as_array().expect("rows")) {
        assert_eq!(row["validation"], again["validation"]);
    }
}

#[test]
fn directions_and_what_has_no_step() {
    let folder = folder();
    let set = ["train.epochs=1", "model.hidden=20", "model.bidirectional=true"];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let args = [&["compare", "air.csv", "--json"], &set[..]].concat();
    let ran = recurve(folder.path(), &args).done();
    let told = ran.json();
    let notes = told["notes"].to_string();
    assert!(notes.contains("settings of recurrent layers"), "{notes}");
    for row in told["rows"].as_array().expect("rows") {
        let (name, streams) = (row["name"].as_str().expect("a name"), row["name"] == "TCN");
        assert_eq!(row["step_microseconds"].is_f64(), streams, "{name}");
        assert_eq!(row["no_step"].is_string(), !streams, "{name}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder();
    let run = |args: &[&str]| recurve(folder.path(), args);
    run(&["compare", "none.csv"]).refused(2, &["none.csv"]);
    run(&["compare", "air.csv", "--set", "model.hiden=3"]).refused(2, &["model.hidden"]);
    run(&["compare", "air.csv", "--set", "model.hidden=0"])
        .refused(2, &["model.hidden", "at least 1"]);
    assert_eq!(run(&["compare", "air.csv", "--seeds", "0"]).code, 2);
    assert_eq!(names(folder.path()), ["air.csv", "play.txt"]);
}
