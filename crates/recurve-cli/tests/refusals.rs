//! What is wrong gets one clear line, the right exit code, and leaves nothing behind.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{RECURVE, fed, finish, folder, names, own_trained, recurve, train, trained};

/// Trains on `content` and expects a refusal that holds these words and leaves nothing behind.
#[track_caller]
fn refuses_data(name: &str, content: &str, args: &[&str], words: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(name), content).expect("room");
    train(folder.path(), &[&[name], args].concat()).refused(2, words);
    assert_eq!(names(folder.path()), [name], "nothing is left behind");
}

#[test]
fn files_that_are_not_there_or_hold_nothing() {
    let folder = folder();
    train(folder.path(), &["sales.csv"]).refused(2, &["sales.csv", "no such file"]);
    assert_eq!(names(folder.path()), ["air.csv", "play.txt"]);
    refuses_data("empty.csv", "", &[], &["empty.csv", "empty"]);
    refuses_data("head.csv", "month,value\n", &[], &["head.csv"]);
    recurve(folder.path(), &["train"]).refused_by_clap();
    recurve(folder.path(), &["trane", "air.csv"]).refused_by_clap();
    recurve(folder.path(), &["train", "air.csv", "--hidden", "3"]).refused_by_clap();
}

trait ByClap {
    fn refused_by_clap(self);
}

impl ByClap for support::Ran {
    #[track_caller]
    fn refused_by_clap(self) {
        assert_eq!(self.code, 2, "{self:?}");
        assert!(self.err.contains("Usage:") && self.out.is_empty(), "{self:?}");
    }
}

#[test]
fn cells_that_are_no_numbers() {
    let with = |from: &str, to: &str| support::air(96).replacen(from, to, 1);
    let line = support::air(96).lines().nth(3).expect("a line").to_owned();
    let (before, _) = line.rsplit_once(',').expect("cells");
    for (bad, words) in [
        ("lots", &["air.csv", "line 4", "passengers", "lots"][..]),
        ("NaN", &["air.csv", "line 4", "passengers", "NaN"][..]),
        ("", &["air.csv", "line 4", "passengers", "empty"][..]),
        ("inf", &["air.csv", "line 4", "passengers"][..]),
    ] {
        refuses_data("air.csv", &with(&line, &format!("{before},{bad}")), &[], words);
    }
    let gap = with(&format!("{line}\n"), "");
    refuses_data("air.csv", &gap, &[], &["air.csv", "line 4", "1950-04"]);
}

#[test]
fn tables_that_are_too_short_or_lack_a_column() {
    let args = ["--set", "data.input=60", "--set", "data.horizon=24"];
    refuses_data("air.csv", &support::air(60), &args, &["air.csv", "60 rows", "input"]);
    let args = ["--set", "data.targets=passenger"];
    refuses_data("air.csv", &support::air(96), &args, &["passenger`", "passengers"]);
    let run = trained().join("runs/air");
    let run = run.to_str().expect("UTF-8");
    let folder = folder();
    fs::write(folder.path().join("short.csv"), support::air(5)).expect("room");
    let args = ["forecast", run, "short.csv", "-o", "out.csv"];
    recurve(folder.path(), &args).refused(2, &["short.csv", "5 rows"]);
    let renamed = support::air(96).replace("passengers", "travellers");
    fs::write(folder.path().join("renamed.csv"), renamed).expect("room");
    let args = ["predict", run, "renamed.csv", "-o", "out.csv"];
    recurve(folder.path(), &args).refused(2, &["renamed.csv", "passengers"]);
    assert_eq!(names(folder.path()), ["air.csv", "play.txt", "renamed.csv", "short.csv"]);
}

#[test]
fn settings_that_do_not_exist() {
    let folder = folder();
    let set = |assignment: &str, words: &[&str]| {
        recurve(folder.path(), &["train", "air.csv", "--set", assignment]).refused(2, words);
    };
    set("model.hiden=3", &["model.hiden", "model.hidden"]);
    set("model.hidden=many", &["model.hidden", "many"]);
    set("model.hidden", &["model.hidden", "="]);
    set("model.hidden=0", &["hidden"]);
    set("model.sizes=[8, 0]", &["model.sizes", "layer 2"]);
    let both = ["--set", "model.sizes=[8, 4]", "--set"];
    for (other, words) in [
        ("model.layers=3", ["model.sizes", "leave model.layers out"]),
        ("model.hidden=3", ["model.sizes", "leave model.hidden out"]),
        ("model.connection=residual", ["model.connection is residual", "one size"]),
    ] {
        let args = [&["train", "air.csv"][..], &both, &[other]].concat();
        recurve(folder.path(), &args).refused(2, &words);
    }
    set("model.cell=lstn", &["lstn", "lstm"]);
    fs::write(folder.path().join("run.toml"), "[train]\nepoch = 3\n").expect("room");
    let args = ["train", "air.csv", "--config", "run.toml"];
    recurve(folder.path(), &args).refused(2, &["run.toml", "epoch", "train.epochs"]);
    let args = ["train", "air.csv", "--config", "none.toml"];
    recurve(folder.path(), &args).refused(2, &["none.toml"]);
    recurve(folder.path(), &["train", "air.csv", "--task", "paint"])
        .refused(2, &["paint", "forecast", "translate"]);
    recurve(folder.path(), &["train", "air.csv", "--name", "a/b"]).refused(2, &["--name a/b"]);
    recurve(folder.path(), &["train", "air.csv", "--name", "latest"])
        .refused(2, &["--name latest", "without a path"]);
    assert_eq!(names(folder.path()), ["air.csv", "play.txt", "run.toml"]);
}

#[test]
fn models_that_do_not_fit() {
    let folder = own_trained();
    let before = names(&folder.path().join("runs"));
    let air = ["train", "air.csv", "--set", "data.horizon=6", "--load"];
    recurve(folder.path(), &[&air[..], &["runs/play"]].concat()).refused(2, &["runs/play"]);
    let larger = ["runs/air", "--set", "model.hidden=9"];
    recurve(folder.path(), &[&air[..], &larger].concat())
        .refused(2, &["runs/air", "0.recurrent.0.forward.w", "[32, 1]", "[36, 1]"]);
    recurve(folder.path(), &["forecast", "runs/play"]).refused(2, &["runs/play", "language"]);
    recurve(folder.path(), &["generate", "runs/air"]).refused(2, &["runs/air", "forecast"]);
    recurve(folder.path(), &["eval", "runs/none"]).refused(2, &["runs/none"]);
    recurve(folder.path(), &["train", "--resume", "runs/none"]).refused(2, &["runs/none"]);
    recurve(folder.path(), &["train", "play.txt", "--resume", "runs/air"])
        .refused(2, &["play.txt", "changed"]);
    fs::copy(
        folder.path().join("runs/play/last.ckpt"),
        folder.path().join("runs/air/model.safetensors"),
    )
    .expect("room");
    recurve(folder.path(), &["forecast", "runs/air"])
        .refused(2, &["model.safetensors", "recurve-run-1", "recurve-model-1"]);
    assert_eq!(names(&folder.path().join("runs")), before);
}

#[test]
fn runs_whose_files_do_not_belong_together() {
    let folder = own_trained();
    let path = |name: &str| folder.path().join("runs").join(name);
    let resume = ["train", "--resume", "runs/air"];
    let model = fs::read(path("air/model.safetensors")).expect("a model");
    let checkpoint = fs::read(path("air/last.ckpt")).expect("a checkpoint");
    fs::copy(path("play/last.ckpt"), path("air/last.ckpt")).expect("room");
    recurve(folder.path(), &resume)
        .refused(2, &["runs/air/last.ckpt", "another run", "language", "runs/air/config.toml"]);
    fs::write(path("air/last.ckpt"), checkpoint).expect("room");
    fs::copy(path("play/model.safetensors"), path("air/model.safetensors")).expect("room");
    recurve(folder.path(), &resume).refused(2, &["runs/air/model.safetensors", "another run"]);
    fs::write(path("air/model.safetensors"), &model).expect("room");
    let config = fs::read_to_string(path("air/config.toml")).expect("a configuration");
    fs::write(path("air/config.toml"), config.replacen("seed = 1", "seed = 5", 1)).expect("room");
    recurve(folder.path(), &resume)
        .refused(2, &["runs/air/config.toml", "train.seed", "says 5", "says 1", "--load"]);
    fs::write(path("air/config.toml"), "seed =").expect("room");
    recurve(folder.path(), &resume).refused(2, &["runs/air/config.toml", "line 1"]);
    fs::write(path("air/config.toml"), config).expect("room");
    recurve(folder.path(), &[&resume[..], &["--threads", "1"]].concat()).done();
    assert_eq!(fs::read(path("air/model.safetensors")).expect("a model"), model);
    let other = ["train", "air.csv", "--set", "model.cell=gru", "--load", "runs/air"];
    recurve(folder.path(), &other).refused(2, &["runs/air", "cell is lstm", "here it is gru"]);
}

#[test]
fn checkpoints_that_are_damaged() {
    let folder = own_trained();
    let path = |name: &str| folder.path().join("runs/air").join(name);
    let verbs: [(&str, &[&str]); 4] = [
        ("model.safetensors", &["forecast", "runs/air"]),
        ("model.safetensors", &["inspect", "runs/air/model.safetensors"]),
        ("last.ckpt", &["train", "air.csv", "--resume", "runs/air"]),
        ("last.ckpt", &["inspect", "runs/air/last.ckpt"]),
    ];
    for (file, args) in verbs {
        let whole = fs::read(path(file)).expect("a file");
        for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(path(file), &whole[..cut]).expect("room");
            recurve(folder.path(), args).refused(2, &[file]);
        }
        // In the length, in the header, in every part of the numbers.
        for at in [0, 9, 60, 500, whole.len() / 2, 3 * whole.len() / 4, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(path(file), &flipped).expect("room");
            recurve(folder.path(), args).refused(2, &[file]);
        }
        fs::write(path(file), &whole).expect("room");
        recurve(folder.path(), args).done();
    }
    recurve(folder.path(), &["inspect", "air.csv"]).refused(2, &["air.csv", "safetensors"]);
}

#[test]
fn prompts_and_streams_the_model_cannot_read() {
    let args = ["generate", "runs/play", "--prompt", "Röslein"];
    let ran = recurve(trained(), &args).refused(2, &["prompt", "`ö`", "line 1"]);
    assert_eq!(ran.out, "", "nothing is written before the refusal");
    recurve(trained(), &["generate", "runs/play", "--temperature", "-1"])
        .refused(2, &["temperature"]);
    recurve(trained(), &["generate", "runs/play", "--top-p", "2"]).refused(2, &["top-p"]);
    fed(trained(), &["stream", "runs/play"], "BIRON\n日\n").refused(2, &["line 2", "日"]);
    fed(trained(), &["stream", "runs/air"], "1\n2\nthree\n")
        .refused(2, &["line 3", "passengers", "three"]);
    fed(trained(), &["stream", "runs/air"], "1\n2,3\n").refused(2, &["line 2", "2 values"]);
    fed(trained(), &["stream", "runs/air"], "a,b\n").refused(2, &["line 1", "passengers"]);
}

#[test]
fn benches_that_cannot_be_run() {
    let folder = folder();
    let bench = |args: &[&str]| recurve(folder.path(), &[&["bench"], args].concat());
    bench(&["--dtype", "int8"]).refused(2, &["int8", "--mode train", "infer or step"]);
    bench(&["--memory", "low", "--mode", "infer"]).refused(2, &["--memory", "--mode train"]);
    bench(&["--preset", "stream-128", "--lengths", "uniform"]).refused(2, &["--lengths", "step"]);
    bench(&["--preset", "cells", "--mode", "step"]).refused(2, &["cells", "--mode step"]);
    bench(&["--dtype", "f16"]).refused(2, &["f16", "f32, bf16, int8"]);
    bench(&["--preset", "ptb"]).refused(2, &["ptb", "ptb-small"]);
    bench(&["--cell", "elman"]).refused(2, &["elman", "rnn-tanh"]);
    bench(&["--hidden", "0"]).refused(2, &["hidden"]);
    bench(&["--steps", "0"]).refused(2, &["--steps"]);
    bench(&["--mode", "step", "--bidirectional"]).refused(2, &["bidirectional"]);
    bench(&["--seconds", "-1"]).refused(2, &["--seconds"]);
    bench(&["--preset", "har", "--hidden", "3"]).refused_by_clap();
    let mut forced = Command::new(RECURVE);
    forced.args(["bench"]).env("RECURVE_ISA", "avx1024");
    finish(forced, "").refused(2, &["avx1024", "portable"]);
}

#[test]
fn places_that_cannot_be_written() {
    let folder = own_trained();
    let there = names(folder.path());
    let runs = names(&folder.path().join("runs"));
    // A file where a folder should be stops everybody, also the superuser.
    train(folder.path(), &["air.csv", "--runs", "play.txt/runs"]).refused(1, &["play.txt/runs"]);
    let args = ["forecast", "runs/air", "-o", "play.txt/out.csv"];
    recurve(folder.path(), &args).refused(1, &["play.txt/out.csv"]);
    let args = ["forecast", "runs/air", "-o", "runs"];
    recurve(folder.path(), &args).refused(2, &["runs", "folder"]);
    let args = ["predict", "runs/air", "air.csv", "-o", "none/out.csv"];
    recurve(folder.path(), &args).refused(1, &["none/out.csv"]);
    recurve(folder.path(), &["doctor", "--runs", "play.txt/runs"]).refused(1, &["play.txt"]);
    train(folder.path(), &["air.csv", "--name", "air"]).refused(2, &["runs/air", "not empty"]);
    assert_eq!(names(folder.path()), there);
    assert_eq!(names(&folder.path().join("runs")), runs);
}

/// Files may have so many blocks only, as if the disk were full after them.
#[cfg(target_os = "linux")]
fn with_little_room(folder: &Path, blocks: u32, args: &str) -> support::Ran {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {args}");
    command.args(["-c", &script, RECURVE]).current_dir(folder);
    finish(command, "")
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let folder = own_trained();
    let there = names(folder.path());
    let run = names(&folder.path().join("runs/air"));
    let big = "train air.csv --quiet --set model.hidden=256";
    with_little_room(folder.path(), 64, &format!("{big} --runs new"))
        .refused(1, &["last.ckpt", "make room"]);
    with_little_room(folder.path(), 64, big).refused(1, &["last.ckpt"]);
    assert_eq!(names(&folder.path().join("runs")), ["air", "play"]);
    with_little_room(folder.path(), 0, "forecast runs/air -o out.csv").refused(1, &["out.csv"]);
    assert_eq!(names(folder.path()), there);
    assert_eq!(names(&folder.path().join("runs/air")), run);
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_nobody_can_take() {
    let script = |args: &str, rest: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("\"$0\" {args} {rest}"), RECURVE]);
        command.current_dir(trained());
        finish(command, "")
    };
    for args in ["forecast runs/air", "predict runs/air air.csv", "config", "inspect runs/air"] {
        script(args, "> /dev/full").refused(1, &["standard output"]);
    }
    // A reader that has seen enough is no error.
    let ran = script("predict runs/play play.txt", "| head -n 1").done();
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (1, ""));
    let ran = script("generate runs/play -n 20000", "| head -c 10").done();
    assert_eq!(ran.err, "");
}
