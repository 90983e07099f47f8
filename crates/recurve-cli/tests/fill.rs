//! Blanks of a text, from the text to what is said to stand in them.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{Ran, fed, names, recurve};

/// Sentences in which what stands in the middle is known from the end alone: before it all are alike.
fn sentences(count: usize) -> String {
    let pairs = [("cat", "meows"), ("dog", "barks"), ("cow", "moos")];
    let line = |at: usize| {
        let (animal, sound) = pairs[(at * at + at / 7) % 3];
        format!("my small {animal} often {sound}\n")
    };
    (0..count).map(line).collect()
}

fn train(here: &Path, name: &str, set: &[&str]) -> Ran {
    let shared = ["model.hidden=24", "train.batch=4", "train.steps=24"];
    let long = ["train.epochs=60", "stopping.patience=20", "optimiser.learning_rate=0.015"];
    let set: Vec<&str> =
        shared.iter().chain(&long).chain(set).flat_map(|set| ["--set", *set]).collect();
    let args = ["train", "t.txt", "--task", "fill", "--name", name, "--quiet", "--json"];
    recurve(here, &[&args[..], &set[..]].concat())
}

/// Rows of a CSV file, whose cells may hold line ends.
fn rows(csv: &str) -> usize {
    csv::Reader::from_reader(csv.as_bytes()).into_records().filter(Result::is_ok).count()
}

const WORDS: [&str; 2] = ["data.vocabulary=words", "data.pieces=275"];

#[test]
fn a_blank_is_filled_from_both_sides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    fs::write(here.join("t.txt"), sentences(400)).expect("room");
    let told = train(here, "w", &[&WORDS[..], &["data.test=0.1"]].concat()).done().json();
    let own = &told["evaluation"];
    assert_eq!(
        (&told["task"], &own["part"], &own["unit"]),
        (&"fill".into(), &"test".into(), &"word".into())
    );
    let number = |value: &Value| value.as_f64().expect("a number");
    // Counting what stands before cannot tell the animals apart, nor the sounds; both sides tell nearly all.
    assert!(number(&own["accuracy"]) > 0.9 && number(&own["bigram"]["accuracy"]) < 0.8, "{own}");
    assert!(number(&own["nats"]) < 0.5 * number(&own["bigram"]["nats"]), "{own}");
    assert!(number(&own["bigram"]["nats"]) < number(&own["unigram"]["nats"]), "{own}");
    let share = number(&own["blanks"]) / number(&own["tokens"]);
    assert!((share - 0.15).abs() < 0.06, "{own}");
    // The same from the file, for any number of threads; and of the other parts.
    let eval = |args: &[&str]| recurve(here, &[&["eval", "runs/w", "--json"], args].concat());
    assert_eq!(eval(&[]).done().json(), *own);
    assert_eq!(eval(&["--threads", "1"]).done().json(), *own);
    assert_eq!(eval(&["--part", "validation"]).done().json()["part"], "validation");
    assert_eq!(eval(&["t.txt"]).done().json()["bigram"], Value::Null);
    let report = fs::read_to_string(here.join("runs/w/report.html")).expect("a report");
    for words in ["What it filled", "nats per blank", "recurve fill", "stands there"] {
        assert!(report.contains(words), "{words}");
    }
    let csv = fs::read_to_string(here.join("runs/w/predictions.csv")).expect("predictions");
    assert!(csv.starts_with("index,actual,predicted,nats\n"), "{csv}");
    assert_eq!(rows(&csv) as u64, own["blanks"].as_u64().expect("a number"));
    // A blank, and two of which the second says what the first is.
    for (animal, sound) in [("cat", "meows"), ("dog", "barks"), ("cow", "moos")] {
        let text = format!("my small ___ often {sound}\nmy small");
        let filled = recurve(here, &["fill", "runs/w", &text, "--json"]).done().json();
        let best = &filled["blanks"][0]["fillings"][0];
        assert_eq!(best["text"], animal, "{filled}");
        assert!(number(&best["probability"]) > 0.8, "{filled}");
        assert_eq!(filled["text"], text.replace("___", animal));
        let all = filled["blanks"][0]["fillings"].as_array().expect("fillings");
        assert_eq!(all.len(), 5);
        let falling = all
            .windows(2)
            .all(|two| number(&two[0]["probability"]) >= number(&two[1]["probability"]));
        assert!(falling, "{filled}");
    }
    let both = "my small ___ often ___\nmy small";
    let filled = recurve(here, &["fill", "runs/w", both, "--top", "3"]).done().out;
    let lines: Vec<&str> = filled.lines().collect();
    let pairs = [("cat", "meows"), ("dog", "barks"), ("cow", "moos")];
    let goes_together =
        |(animal, sound): &(&str, &str)| lines[0] == format!("my small {animal} often {sound}");
    assert!(pairs.iter().any(goes_together), "the second sees the first: {filled}");
    assert!(filled.contains("  blank 1: ") && filled.contains("  blank 2: "), "{filled}");
    // Lines of standard input, another mark, and a file.
    let lines = fed(
        here,
        &["fill", "runs/w", "--blank", "?"],
        "my small ? often barks\nmy ? dog often barks\n",
    );
    assert!(lines.done().out.contains("my small dog often barks\n  blank 1: dog "));
    fs::write(here.join("gaps.txt"), "my small ___ often moos\nmy small cat often ___\n")
        .expect("room");
    let csv = recurve(here, &["predict", "runs/w", "gaps.txt"]).done().out;
    assert!(csv.starts_with("blank,rank,filling,probability\n1,1,cow,"), "{csv}");
    assert_eq!(rows(&csv), 2 * 10);
    assert!(csv.contains("\n2,1,meows,"), "{csv}");
    // Training goes on to the bit, and smaller copies are used as others are.
    let resumed =
        recurve(here, &["train", "--resume", "runs/w", "--quiet", "--json"]).done().json();
    assert_eq!(resumed["evaluation"], *own);
    recurve(here, &["export", "runs/w", "--int8"]).done();
    let small =
        recurve(here, &["fill", "runs/w-int8", "my small ___ often moos\nmy", "--json"]).done();
    assert_eq!(small.json()["blanks"][0]["fillings"][0]["text"], "cow");
    recurve(here, &["export", "runs/w", "--to", "onnx"]).done();
    // What it is not for.
    recurve(here, &["fill", "runs/w", "no gap"]).refused(2, &["the text", "no blank", "___"]);
    recurve(here, &["fill", "runs/w", "a", "--blank", ""]).refused(2, &["mark", "empty"]);
    recurve(here, &["predict", "runs/w", "t.txt"]).refused(2, &["t.txt", "no blank"]);
    recurve(here, &["generate", "runs/w"]).refused(2, &["task fill"]);
    fed(here, &["stream", "runs/w"], "my\n").refused(2, &["task fill"]);
}

#[test]
fn characters_are_filled_too_and_weights_may_be_tied() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    fs::write(here.join("t.txt"), sentences(150)).expect("room");
    let told =
        train(here, "c", &["model.tied=true", "data.mask=0.2", "train.epochs=12"]).done().json();
    assert_eq!(told["evaluation"]["unit"], "character");
    assert!(told["evaluation"]["accuracy"].as_f64().expect("a number") > 0.5, "{told}");
    let filled =
        recurve(here, &["fill", "runs/c", "my sma_l d_g often barks", "--blank", "_"]).done();
    assert!(filled.out.starts_with("my small dog often barks\n"), "{filled:?}");
    recurve(here, &["fill", "runs/c", "my ___ Ž"]).refused(2, &["the text", "`Ž`"]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    fs::write(here.join("t.txt"), sentences(20)).expect("room");
    for (set, words) in [
        ("data.mask=0", &["data.mask is 0", "above 0"][..]),
        ("data.mask=1", &["data.mask is 1"]),
        ("model.bidirectional=false", &["model.bidirectional", "language"]),
        ("loss=mse", &["cross-entropy"]),
        ("data.fold=1/3", &["data.fold"]),
    ] {
        train(here, "no", &[set]).refused(2, words);
    }
    recurve(here, &["train", "t.txt", "--task", "language", "--set", "data.mask=0.2", "--quiet"])
        .refused(2, &["data.mask", "fill"]);
    assert_eq!(names(here), ["t.txt"], "nothing is left behind");
}
