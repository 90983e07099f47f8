//! `recurve export`: a smaller model that every verb can use.

mod support;

use std::fs;
use support::{fed, names, own_trained, recurve};

#[test]
fn an_exported_model_is_smaller_says_what_it_costs_and_is_used_like_any_other() {
    let folder = own_trained();
    let run = |args: &[&str]| recurve(folder.path(), args);
    for (flag, name) in [("--int8", "int8"), ("--bf16", "bf16")] {
        for (of, data) in [("air", "air.csv"), ("play", "play.txt")] {
            let made = format!("runs/{of}-{name}");
            let told = run(&["export", &format!("runs/{of}"), flag]).done().out;
            for word in ["before:", "after:", "KiB", name, &made] {
                assert!(told.contains(word), "{word}: {told}");
            }
            let files = names(&folder.path().join(&made));
            assert_eq!(files, ["config.toml", "model.safetensors"]);
            let size = |run: &str| {
                let file = folder.path().join(run).join("model.safetensors");
                fs::metadata(file).expect("a model").len()
            };
            assert!(size(&made) < size(&format!("runs/{of}")), "{made}");
            run(&["eval", &made]).done();
            let inspected = run(&["inspect", &made]).done().out;
            assert!(inspected.contains(if name == "int8" { "I8" } else { "BF16" }), "{inspected}");
            run(&["predict", &made, data]).done();
            if of == "air" {
                run(&["forecast", &made]).done();
                fed(folder.path(), &["stream", &made], "112.5\n").done();
            } else {
                run(&["generate", &made, "--length", "20"]).done();
                fed(folder.path(), &["stream", &made], "The rain\n").done();
            }
        }
    }
    let listed = names(&folder.path().join("runs"));
    assert!(listed.iter().all(|name| !name.contains("tmp")), "{listed:?}");
}

#[test]
fn quality_before_and_after_is_that_of_eval() {
    let folder = own_trained();
    let run = |args: &[&str]| recurve(folder.path(), args).done().json();
    let told = run(&["export", "runs/air", "--int8", "--output", "small", "--json"]);
    assert_eq!(told["before"], run(&["eval", "runs/air", "--json"]));
    assert_eq!(told["after"], run(&["eval", "small", "--json"]));
    assert_ne!(told["after"], told["before"]);
    assert!(told["bytes"][1].as_u64() < told["bytes"][0].as_u64());
}

#[test]
fn what_cannot_be_exported_or_trained_is_refused() {
    let folder = own_trained();
    let run = |args: &[&str]| recurve(folder.path(), args);
    assert_eq!(run(&["export", "runs/air"]).code, 2);
    assert_eq!(run(&["export", "runs/air", "--int8", "--bf16"]).code, 2);
    run(&["export", "runs/none", "--int8"]).refused(2, &["runs/none"]);
    run(&["export", "runs/air", "--int8"]).done();
    run(&["export", "runs/air", "--int8"]).refused(2, &["runs/air-int8", "there already"]);
    run(&["export", "runs/air-int8", "--bf16"]).refused(2, &["int8", "already"]);
    run(&["train", "--resume", "runs/air-int8"]).refused(2, &["runs/air-int8", "int8", "exported"]);
    run(&["train", "air.csv", "--load", "runs/air-int8"]).refused(2, &["int8", "exported"]);
    run(&["export", "runs/air", "--int8", "--output", "no/where"]).refused(1, &["no/where"]);
    fs::write(folder.path().join("air.csv"), "month,holidays,passengers\n").expect("room");
    let moved = ["export", "runs/air", "--bf16", "--data", "air.csv"];
    run(&moved).refused(2, &["air.csv", "changed"]);
    assert!(!folder.path().join("runs/air-bf16").exists());
}
