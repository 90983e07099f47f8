//! `recurve experiment`: a question, and an answer that anyone can have again.

mod support;

use serde_json::Value;
use std::fs;
use std::process::Command;
use support::{RECURVE, finish, names, recurve};

#[test]
fn an_experiment_says_what_it_found_and_finds_the_same_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |output: &str| {
        let args = ["experiment", "bidirectional", "--quick", "--seeds", "2", "--output", output];
        recurve(folder.path(), &args).done()
    };
    let told = run("first");
    assert!(told.out.contains("the future") && told.out.contains("one direction"), "{told:?}");
    assert!(told.err.contains("seed 2"), "it tells of its progress: {told:?}");
    let written = ["figure-1.svg", "figure-2.svg", "figure-3.svg", "report.html", "results.json"];
    assert_eq!(names(&folder.path().join("first")), written);
    let figure = fs::read_to_string(folder.path().join("first/figure-2.svg")).expect("a figure");
    assert!(figure.starts_with("<svg") && figure.contains("fill=\"#FFFFFF\""), "{figure}");
    let results = |output: &str| -> Value {
        let text = fs::read(folder.path().join(output).join("results.json")).expect("results");
        serde_json::from_slice(&text).expect("JSON")
    };
    run("second");
    let (mut first, mut second) = (results("first"), results("second"));
    for results in [&mut first, &mut second] {
        let took = results.as_object_mut().and_then(|results| results.remove("seconds"));
        assert!(took.and_then(|seconds| seconds.as_f64()).is_some_and(|seconds| seconds > 0.0));
    }
    assert_eq!(first, second);
    let figures = first["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), 3);
    for figure in figures {
        for point in figure["curves"]
            .as_array()
            .expect("curves")
            .iter()
            .flat_map(|curve| curve["points"].as_array().expect("points").clone())
        {
            let at = |key: &str| point[key].as_f64().expect("a number");
            assert!(at("low") <= at("median") && at("median") <= at("high"), "{point}");
            assert!((0.0..=1.0).contains(&at("median")), "{point}");
        }
    }
    let page = fs::read_to_string(folder.path().join("first/report.html")).expect("a page");
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("first look") && !page.contains("NaN"));
}

/// Each part of an LSTM taken away, on the tasks that are made; the data of the third is not there.
#[test]
fn the_variants_of_an_lstm_stand_beside_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["experiment", "gates-off", "--quick", "--seeds", "1", "--quiet", "--json"];
    let mut command = Command::new(RECURVE);
    command.args(args).current_dir(folder.path()).env_remove("RECURVE_DATA_MIRROR");
    let told = finish(command, "").done().json();
    let findings = told["findings"].to_string();
    for words in ["JSB chorales was not run", "RECURVE_DATA_MIRROR", "adding, 50 steps: V has"] {
        assert!(findings.contains(words), "{words}: {findings}");
    }
    let figures = told["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), 2);
    for figure in figures {
        let names = figure["x"]["names"].as_array().expect("names");
        assert_eq!(names.len(), 9);
        let points = figure["curves"][0]["points"].as_array().expect("points");
        assert_eq!(points.len(), 9);
        assert_eq!(figure["level"][1], points[0]["median"]);
        for point in points {
            assert!(point["median"].as_f64().is_some_and(f64::is_finite), "{point}");
        }
    }
    let page = folder.path().join("experiments/gates-off/report.html");
    let page = fs::read_to_string(page).expect("a page");
    for name in ["CIFG", "NOAF", "FGR", "lstm-nfg"] {
        assert!(page.contains(name), "{name}");
    }
}

/// A first look at how many sequences the tasks of the first papers take: the easy ones are solved.
#[test]
fn easy_tasks_with_a_long_lag_are_solved_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["experiment", "long-lag", "--quick", "--seeds", "1", "--json"];
    let told = recurve(folder.path(), &args).done().json();
    let rows = told["tables"][0]["rows"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[0][3]), (10, &"74000".into()));
    let solved = rows.iter().filter(|row| row[1] != "none").count();
    assert!(solved >= 1, "{rows:?}");
    let findings = told["findings"].to_string();
    assert!(
        findings.contains("embedded Reber grammar") && findings.contains("published"),
        "{findings}"
    );
    let refused = ["reproduce", "long-lag", "--set", "train.epochs=1"];
    recurve(folder.path(), &refused).refused(2, &["long-lag", "--set"]);
    assert!(recurve(folder.path(), &["reproduce"]).done().out.contains("long-lag"));
}

#[test]
fn all_experiments_are_listed_and_others_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |args: &[&str]| recurve(folder.path(), args);
    let listed = run(&["experiment", "--list"]).done().out;
    for name in [
        "agreement",
        "vanishing",
        "lags",
        "bidirectional",
        "depth",
        "forget-bias",
        "gates-off",
        "long-lag",
    ] {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{name}: {listed}");
    }
    let lines = run(&["experiment", "--list", "--json"]).done().out;
    for line in lines.lines() {
        let told: Value = serde_json::from_str(line).expect("JSON");
        assert!(told["question"].as_str().is_some_and(|question| question.ends_with('?')));
    }
    run(&["experiment", "agrement"]).refused(2, &["agrement", "did you mean `agreement`"]);
    let refused = run(&["experiment", "lags", "--seeds", "0"]);
    assert!(refused.code == 2 && refused.err.contains("--seeds"), "{refused:?}");
    fs::write(folder.path().join("file"), "").expect("room");
    run(&["experiment", "depth", "--quick", "--output", "file"]).refused(2, &["file"]);
}
