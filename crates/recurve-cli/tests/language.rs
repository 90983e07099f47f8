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
