//! A training that is killed, interrupted or asked to end loses nothing.

#![cfg(unix)]

mod support;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{RECURVE, folder, recurve};

fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(RECURVE);
    command.args(args).current_dir(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Kills a run at random moments, resumes it each time, and compares it with one that went through.
fn survives(kills: usize, seed: u64, data: &str, sets: &[&str]) {
    let folder = folder();
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let fresh = [&["train", data, "--quiet"], &sets[..]].concat();
    let begun = Instant::now();
    recurve(folder.path(), &[&fresh[..], &["--name", "whole"]].concat()).done();
    let took = begun.elapsed();

    // The lives together are to be shorter than the run. On a machine that was busy and now is not,
    // they may not be: then it starts over with shorter ones.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let name = (0..5_u32).map(|at| (format!("killed-{at}"), 0.6 / f64::from(1 << at))).find(
        |(name, share)| {
            let longest = took.mul_f64(share / kills as f64);
            let mut moment = || longest.mul_f64(rng.random());
            killed(folder.path(), &fresh, name, kills, &mut moment)
        },
    );
    let (name, _) = name.expect("a run that lives long enough to be killed that often");
    let run = format!("runs/{name}");
    recurve(folder.path(), &["train", data, "--quiet", "--resume", &run]).done();
    for file in ["last.ckpt", "model.safetensors", "predictions.csv"] {
        let read = |run: &str| fs::read(folder.path().join("runs").join(run).join(file)).ok();
        assert!(read("whole") == read(&name), "{file} differs");
        assert!(read("whole").is_some() || data == "play.txt", "{file} is not there");
    }
    // Nothing is left of the files that were being written.
    let names = support::names(&folder.path().join(run));
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

/// Starts a run and kills it `kills` times; whether it lived long enough for all of them.
fn killed(
    folder: &Path,
    fresh: &[&str],
    name: &str,
    kills: usize,
    moment: &mut impl FnMut() -> Duration,
) -> bool {
    let (run, data) = (format!("runs/{name}"), fresh[1]);
    let checkpoint = folder.join(&run).join("last.ckpt");
    let mut life = start(folder, &[fresh, &["--name", name]].concat());
    while !checkpoint.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..kills {
        std::thread::sleep(moment());
        let over = life.try_wait().expect("it can be asked").is_some();
        let _ = life.kill();
        life.wait().expect("it ends");
        if over {
            return false;
        }
        recurve(folder, &["inspect", &format!("{run}/last.ckpt"), "--json"]).done();
        life = start(folder, &["train", data, "--quiet", "--resume", &run]);
    }
    // The last life goes on to its end, or is ended here and resumed.
    let _ = life.kill();
    life.wait().expect("it ends");
    true
}

#[test]
fn a_killed_forecast_run_ends_with_the_same_bits() {
    let sets = [
        "train.epochs=700",
        "train.batch=8",
        "train.checkpoint_steps=9",
        "stopping.patience=0",
        "model.hidden=16",
        "model.layers=2",
        "model.dropout=0.2",
        "data.horizon=6",
    ];
    survives(20, 1, "air.csv", &sets);
}

#[test]
fn a_killed_language_run_ends_with_the_same_bits() {
    let sets = [
        "train.epochs=250",
        "train.batch=4",
        "train.steps=16",
        "train.checkpoint_steps=5",
        "stopping.patience=0",
        "model.hidden=16",
        "model.dropout=0.1",
    ];
    survives(20, 2, "play.txt", &sets);
}

#[test]
fn interrupts_save_and_say_how_to_go_on() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let args =
            ["train", "air.csv", "--set", "train.epochs=1000000", "--set", "stopping.patience=0"];
        let mut child = start(folder.path(), &args);
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("epoch 1/") {
            let read = lines.read_line(&mut said).expect("text");
            assert!(read > 0, "it ended by itself: {said}");
        }
        let kill = format!("kill -{signal} {}", child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success());
        let status = child.wait().expect("it ends");
        lines.read_to_string(&mut said).expect("text");
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains("everything is saved"), "{said}");
        assert!(said.contains("recurve train --resume runs/air-1"), "{said}");
        recurve(folder.path(), &["inspect", "runs/air-1"]).done();
        let mut resumed = start(folder.path(), &["train", "--resume", "runs/air-1"]);
        let mut line = String::new();
        let mut lines = BufReader::new(resumed.stderr.take().expect("a pipe"));
        lines.read_line(&mut line).expect("text");
        assert!(line.starts_with("resumed at epoch"), "{line}");
        resumed.kill().expect("it can be killed");
        resumed.wait().expect("it ends");
    }
}
