//! Language models of words and pieces of words, from the text to what they write.

mod support;

use std::fs;
use support::recurve;

#[test]
fn words_and_subwords_are_learned_and_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let lines =
        ["the cat sat on the mat\n", "the dogs run in the café\n", "a cat runs in the rain\n"];
    let text: String = (0..300).map(|at| lines[(at * at + at / 7) % 3]).collect();
    fs::write(here.join("t.txt"), &text).expect("room");
    for (kind, pieces) in [("words", "270"), ("subwords", "290")] {
        let vocabulary = format!("data.vocabulary={kind}");
        let pieces = format!("data.pieces={pieces}");
        let args = [
            "train",
            "t.txt",
            "--name",
            kind,
            "--quiet",
            "--json",
            "--set",
            &vocabulary,
            "--set",
            &pieces,
            "--set",
            "train.epochs=8",
            "--set",
            "model.hidden=24",
            "--set",
            "model.layers=1",
            "--set",
            "train.batch=8",
            "--set",
            "train.steps=16",
        ];
        let told = recurve(here, &args).done().json();
        let found = &told["evaluation"];
        assert_eq!(found["unit"], kind.trim_end_matches('s'));
        let (bits, own) = (found["bits"].as_f64(), found["bits_per_character"].as_f64());
        assert!(own.expect("a number") < 0.6 * bits.expect("a number"), "{found}");
        let wrote = recurve(here, &["generate", &format!("runs/{kind}"), "-p", "the", "-n", "40"]);
        let wrote = wrote.done().out;
        assert!(wrote.starts_with("the") && wrote.contains(" in the "), "{wrote}");
        let again = recurve(here, &["eval", &format!("runs/{kind}"), "--json"]).done().json();
        assert_eq!(again["nats"], found["nats"]);
        let human = recurve(here, &["eval", &format!("runs/{kind}")]).done().out;
        assert!(human.contains("bits per character"), "{human}");
        // What was never seen is spelled in bytes.
        fs::write(here.join("new.txt"), "žluťoučký kůň\n").expect("room");
        recurve(here, &["eval", &format!("runs/{kind}"), "new.txt"]).done();
    }
    let set = |value: &str| {
        recurve(here, &["train", "t.txt", "--quiet", "--set", value, "--set", "train.epochs=1"])
    };
    set("data.pieces=400").refused(2, &["data.pieces", "data.vocabulary"]);
    let few =
        ["train", "t.txt", "--quiet", "--set", "data.vocabulary=words", "--set", "data.pieces=9"];
    recurve(here, &few).refused(2, &["data.pieces", "256 bytes"]);
}

/// A model of sentences about one animal, and a text whose last part is about another.
#[test]
fn a_test_part_learning_while_it_is_measured_and_the_likeliest_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let line = |at: usize| {
        let animal = if at < 240 { ["cat", "dog"][at * at % 2] } else { "zebra" };
        format!("the {animal} {} here\n", ["sat", "ran", "was"][(at * at + at / 7) % 3])
    };
    // Every letter is known from the start.
    let text: String = "the zebra was here\n".to_owned() + &(0..300).map(line).collect::<String>();
    fs::write(here.join("t.txt"), &text).expect("room");
    let set = [
        "data.test=0.2",
        "train.epochs=6",
        "model.hidden=24",
        "model.layers=1",
        "train.batch=8",
        "train.steps=16",
    ];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let train = ["train", "t.txt", "--name", "t", "--quiet", "--json"];
    let told = recurve(here, &[&train[..], &set].concat()).done().json();
    let nats = |told: &serde_json::Value| told["nats"].as_f64().expect("a number");
    let own = &told["evaluation"];
    let characters = text.chars().count();
    assert_eq!(own["part"], "test");
    assert_eq!(own["tokens"], characters - (characters as f64 * 0.8) as usize);
    let eval = |args: &[&str]| recurve(here, &[&["eval", "runs/t", "--json"], args].concat());
    assert_eq!(nats(&eval(&[]).done().json()), nats(own));
    let before = eval(&["--part", "validation"]).done().json();
    assert!(
        nats(&before) < nats(own),
        "the last part is about what was hardly seen: {before} {own}"
    );
    // Without a step it is the measure as it was; with one, what comes again is expected.
    let still = eval(&["--dynamic", "0", "--decay", "0"]).done().json();
    assert!((nats(&still) - nats(own)).abs() < 1e-4, "{still} {own}");
    let learned = eval(&["--dynamic", "3e-4"]).done().json();
    assert!(nats(&learned) < 0.9 * nats(own), "{learned} {own}");
    assert_eq!(eval(&["--dynamic", "3e-4", "--threads", "1"]).done().json(), learned);
    assert_eq!(nats(&eval(&[]).done().json()), nats(own), "nothing is kept");
    let other = eval(&["t.txt", "--dynamic", "3e-4"]).done().json();
    assert_eq!((&other["part"], &other["tokens"]), (&"all".into(), &(characters - 1).into()));
    eval(&["--dynamic=-1"]).refused(2, &["rate", "-1"]);
    let alone = eval(&["--decay", "0.1"]);
    assert!(alone.code == 2 && alone.err.contains("--dynamic"), "{alone:?}");
    eval(&["--dynamic", "1e-4", "--segment", "0"]).refused(2, &["segment"]);
    // A wide beam finds a text that is at least as likely as the careful one.
    let likeliest = |beam: &str| {
        let args = ["generate", "runs/t", "-p", "the ", "-n", "12", "--beam", beam, "--json"];
        recurve(here, &args).done().json()
    };
    let (one, many) = (likeliest("1"), likeliest("20"));
    let careful = ["generate", "runs/t", "-p", "the ", "-n", "12", "-t", "0", "--json"];
    assert_eq!(recurve(here, &careful).done().json()["text"], one["text"]);
    let log = |told: &serde_json::Value| told["log_probability"].as_f64().expect("a number");
    assert!(log(&many) >= log(&one) && log(&many) < 0.0, "{many} {one}");
    let plain = recurve(here, &["generate", "runs/t", "-p", "the ", "-n", "12", "--beam", "20"]);
    assert_eq!(plain.done().out, format!("the {}\n", many["text"].as_str().expect("a text")));
    recurve(here, &["generate", "runs/t", "-p", "the ", "-n", "12", "--beam", "20", "-o", "o.txt"])
        .done();
    assert_eq!(fs::read_to_string(here.join("o.txt")).expect("a file").len(), 16);
    let both = recurve(here, &["generate", "runs/t", "--beam", "3", "--seed", "2"]);
    assert!(
        both.code == 2 && both.err.contains("--beam") && both.err.contains("--seed"),
        "{both:?}"
    );
}

/// The vectors of the tokens are the weights of the output too.
#[test]
fn tied_weights_are_trained_used_and_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let lines =
        ["the cat sat on the mat\n", "the dogs run in the café\n", "a cat runs in the rain\n"];
    let text: String = (0..200).map(|at| lines[(at * at + at / 7) % 3]).collect();
    fs::write(here.join("t.txt"), &text).expect("room");
    let train = |name: &str, set: &[&str]| {
        let shared = ["train.epochs=4", "model.hidden=20", "train.batch=8", "train.steps=16"];
        let set: Vec<&str> = shared.iter().chain(set).flat_map(|set| ["--set", *set]).collect();
        recurve(
            here,
            &[&["train", "t.txt", "--name", name, "--quiet", "--json"], &set[..]].concat(),
        )
    };
    let tied = train("tied", &["model.tied=true"]).done().json();
    let apart = train("apart", &["model.embedding=20"]).done().json();
    let weights = |told: &serde_json::Value| told["parameters"].as_u64().expect("a number");
    let mut tokens: Vec<char> = text.chars().collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(weights(&apart) - weights(&tied), 20 * tokens.len() as u64, "one table, not two");
    let nats = |told: &serde_json::Value| told["nats"].as_f64().expect("a number");
    let own = &tied["evaluation"];
    assert!(nats(own) < own["unigram"].as_f64().expect("a number"), "it learns: {own}");
    let config = fs::read_to_string(here.join("runs/tied/config.toml")).expect("a file");
    assert!(config.contains("embedding = 20"), "as wide as the last layer: {config}");
    assert_eq!(nats(&recurve(here, &["eval", "runs/tied", "--json"]).done().json()), nats(own));
    recurve(here, &["eval", "runs/tied", "--dynamic", "1e-4"]).done();
    let wrote = recurve(here, &["generate", "runs/tied", "-p", "the ", "-n", "30"]).done().out;
    assert!(wrote.starts_with("the "), "{wrote}");
    // Whole and step by step: `predict` reads one character after the other.
    let steps = recurve(here, &["predict", "runs/tied", "t.txt", "-o", "p.csv", "--json"]).done();
    let whole = recurve(here, &["eval", "runs/tied", "t.txt", "--json"]).done().json();
    let steps = nats(&steps.json());
    assert!((steps - nats(&whole)).abs() < 1e-4, "{steps} {whole}");
    let resumed = recurve(here, &["train", "--resume", "runs/tied", "--quiet", "--json"]).done();
    assert_eq!(nats(&resumed.json()["evaluation"]), nats(own));
    recurve(here, &["export", "runs/tied", "--int8"]).done();
    recurve(here, &["generate", "runs/tied-int8", "-p", "the ", "-n", "5"]).done();
    for target in ["onnx", "torch", "keras", "npz"] {
        recurve(here, &["export", "runs/tied", "--to", target]).done();
    }
    let projected = ["model.tied=true", "model.embedding=12", "model.projection=12"];
    train("projected", &projected).done();
    for (set, words) in [
        (&["model.tied=true", "model.embedding=9"][..], &["model.tied", "9 wide", "20 values"][..]),
        (&["model.tied=true", "model.connection=skip"], &["model.tied", "model.connection = skip"]),
        (&["model.tied=true", "initialise.output=orthogonal"], &["initialise.output"]),
    ] {
        train("refused", set).refused(2, words);
    }
    recurve(here, &["compare", "t.txt", "--set", "model.tied=true", "--quiet"])
        .refused(2, &["model.tied", "compare without"]);
}
