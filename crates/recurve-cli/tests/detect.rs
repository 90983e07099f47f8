//! Alarms in streams: from the file to the stream; and what is wrong with such files.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{Ran, fed, recurve};

/// A folder with the pump and its faults.
fn pump() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    recurve(folder.path(), &["data", "get", "pump"]).done();
    folder
}

fn quick(folder: &Path, args: &[&str]) -> Ran {
    let short = ["train", "--task", "detect", "--quiet", "--set", "train.epochs=40"];
    recurve(folder, &[&short[..], args].concat())
}

#[test]
fn faults_are_found_and_a_stream_says_what_a_file_says() {
    let folder = pump();
    let here = folder.path();
    let data = "data/pump/pump.csv";
    let set = [
        "--set",
        "data.anomalies=faults.csv",
        "--set",
        "data.train=1200",
        "--set",
        "train.tensorboard=true",
    ];
    let told = quick(here, &[&[data, "--name", "p", "--json"], &set[..]].concat()).done().json();
    let found = &told["evaluation"];
    assert_eq!((&told["task"], &found["part"]), (&"detect".into(), &"test".into()));
    assert_eq!((&found["rows"], &found["known"]["windows"]), (&1400.into(), &3.into()));
    assert_eq!(found["known"]["found"], 3, "{found}");
    assert!(found["nab"].as_f64().expect("a number") > 60.0, "{found}");
    assert!(found["error"].as_f64() < found["naive_error"].as_f64(), "{found}");
    let report = fs::read_to_string(here.join("runs/p/report.html")).expect("a report");
    for words in ["Surprise", "Alarms", "watches ", "NAB score"] {
        assert!(report.contains(words), "{words}");
    }
    let events = here.join("runs/p/tensorboard/events.out.tfevents.0.recurve");
    let events = fs::read(events).expect("events");
    let holds = |name: &[u8]| events.windows(name.len()).any(|own| own == name);
    assert!(holds(b"brain.Event:2") && holds(b"validation") && holds(b"loss/epoch"));
    let again = recurve(here, &["eval", "runs/p", "--json"]).done().json();
    assert_eq!(again["alarms"], found["alarms"]);
    // A file row by row is the file as a stream, to the bit.
    let whole = recurve(here, &["predict", "runs/p", data]).done().out;
    let rows = fs::read_to_string(here.join(data)).expect("a file");
    let streamed = fed(here, &["stream", "runs/p"], &rows).done().out;
    assert_eq!(streamed.lines().count(), whole.lines().count());
    assert_eq!(streamed.lines().next(), Some("time,expected pressure,error,surprise,alarm"));
    for (one, other) in streamed.lines().zip(whole.lines()).skip(1) {
        let mut cells: Vec<&str> = other.split(',').collect();
        cells.remove(1);
        assert_eq!(one, cells.join(","));
    }
    let json = fed(here, &["stream", "runs/p", "--json"], &rows).done().out;
    let alarms = json.lines().skip(1).filter(|line| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        row["alarm"] == true
    });
    let named = recurve(here, &["detect", "runs/p", data]).done().out;
    assert_eq!(alarms.count(), named.lines().count() - 1);
    let own = recurve(here, &["detect", "runs/p", "--json"]).done().out;
    assert_eq!(own.lines().count(), found["alarms"].as_array().expect("a list").len());
    let resumed =
        recurve(here, &["train", "--resume", "runs/p", "--quiet", "--json"]).done().json();
    assert_eq!(resumed["evaluation"], told["evaluation"]);
    fed(here, &["stream", "runs/p"], "2024-05-01 00:00:00,high\n")
        .refused(2, &["line 1", "`pressure`", "`high`"]);
    fed(here, &["stream", "runs/p"], "today,3\n").refused(2, &["line 1", "`time`", "`today`"]);
    recurve(here, &["forecast", "runs/p"]).refused(2, &["task detect", "forecast"]);
}

#[test]
fn what_is_wrong_with_streams_is_named() {
    let folder = pump();
    let here = folder.path();
    let refused = |args: &[&str], words: &[&str]| {
        quick(here, &[&["data/pump/pump.csv"], args].concat()).refused(2, words);
        assert!(!here.join("runs").exists(), "nothing is left behind");
    };
    refused(&["--set", "model.bidirectional=true"], &["model.bidirectional", "must not read"]);
    refused(&["--set", "data.train=9000"], &["data.train", "9000"]);
    refused(&["--set", "data.train=10"], &["data.train", "greater"]);
    refused(&["--set", "data.threshold=0"], &["data.threshold"]);
    refused(&["--set", "data.targets=presure"], &["`presure`", "`pressure`"]);
    refused(&["--set", "data.anomalies=data/pump/pump.csv"], &["pump.csv", "start,end"]);
    refused(&["--set", "loss=crf"], &["huber"]);
    fs::write(here.join("w.csv"), "start,end\n2030-01-01 00:00:00,2030-01-02 00:00:00\n")
        .expect("room");
    refused(&["--set", "data.anomalies=w.csv"], &["w.csv", "line 2", "no row"]);
    fs::write(here.join("t.csv"), "a,b\n1,x\n").expect("room");
    quick(here, &["t.csv"]).refused(2, &["t.csv"]);
}
