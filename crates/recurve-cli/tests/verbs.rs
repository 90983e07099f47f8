//! Every verb does what it says, for people and as JSON.

mod support;

use serde_json::Value;
use std::fs;
use support::{fed, folder, names, recurve, train, trained};

#[test]
fn train_tells_measures_and_writes_a_whole_run() {
    let folder = folder();
    let ran = train(folder.path(), &["air.csv", "--set", "data.horizon=6"]).done();
    for word in
        ["target `passengers`", "forecasts 6", "monthly", "test", "--set key=value", "epoch 1/6"]
    {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
    for word in [
        "MASE",
        "seasonal naive",
        "than naive",
        "runs/air-1/report.html",
        "recurve forecast runs/air-1",
    ] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    let run = folder.path().join("runs/air-1");
    let expected = [
        "calibration.json",
        "config.toml",
        "last.ckpt",
        "log.jsonl",
        "model.safetensors",
        "predictions.csv",
        "report.html",
    ];
    assert_eq!(names(&run), expected);
    assert_eq!(names(&folder.path().join("runs")), ["air-1", "latest"]);
    let predictions = fs::read_to_string(run.join("predictions.csv")).expect("a file");
    assert!(predictions.starts_with("target,origin,time,step,actual,forecast,lower,upper,naive"));
    assert!(predictions.contains("1957-12"), "the last row of the test part");

    // The next run has the next number; its configuration file makes the same run again.
    let config = "runs/air-1/config.toml";
    let again = ["train", "air.csv", "--config", config, "--quiet", "--json"];
    let again = recurve(folder.path(), &again).done();
    assert_eq!(again.err, "");
    let told = again.json();
    assert_eq!(told["run"], "runs/air-2");
    assert_eq!(told["epochs"], 6);
    assert!(told["evaluation"]["skills"][0]["skill"].is_f64());
    let second = folder.path().join("runs/air-2/predictions.csv");
    assert_eq!(fs::read_to_string(second).expect("a file"), predictions);
}

#[test]
fn a_profile_says_where_the_time_went_and_adds_up() {
    let folder = folder();
    let ran = train(folder.path(), &["play.txt", "--profile", "--quiet"]).done();
    for word in ["ms/step", "share", "1.recurrent.0.forward", "forward: steps", "optimiser", "data"]
    {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    let told = train(folder.path(), &["play.txt", "--profile", "--quiet", "--json"]).done().json();
    let profile = &told["profile"];
    assert!(profile["steps"].as_u64().expect("a number") > 0);
    let phases = profile["phases"].as_array().expect("a list");
    let shares: f64 = phases.iter().map(|phase| phase["share"].as_f64().expect("a number")).sum();
    assert!((shares - 1.0).abs() < 0.02, "{shares}: {profile}");
    let of = |layer: &str, phase: &str| {
        let found = phases.iter().find(|p| p["layer"] == layer && p["phase"] == phase);
        found.and_then(|phase| phase["ms_per_step"].as_f64()).unwrap_or(0.0)
    };
    for phase in
        ["pack", "forward: input product", "forward: steps", "backward: steps", "backward: weights"]
    {
        assert!(of("1.recurrent.0.forward", phase) > 0.0, "{phase}: {profile}");
    }
    for phase in ["gradient norm", "optimiser", "validation", "checkpoint", "data"] {
        assert!(of("", phase) > 0.0, "{phase}: {profile}");
    }
    let quiet = train(folder.path(), &["play.txt", "--quiet", "--json"]).done().json();
    assert!(quiet.get("profile").is_none());
}

#[test]
fn the_report_is_whole_and_needs_nothing_else() {
    for (run, words) in [
        ("air", &["what was held out", "what comes next", "MASE", "seasonal naive"][..]),
        ("play", &["What it writes", "perplexity", "bigram"][..]),
    ] {
        let report = trained().join("runs").join(run).join("report.html");
        let html = fs::read_to_string(report).expect("a report");
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
        for word in words {
            assert!(html.contains(word), "{word}");
        }
        for outside in ["<script", "<link", "<img", "src=", "href=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        let addresses = html.matches("http").count();
        assert_eq!(addresses, html.matches("http://www.w3.org/2000/svg").count());
        assert!(html.contains("<svg") && html.contains("prefers-color-scheme: dark"));
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
        assert!(!html.contains("NaN"));
    }
}

#[test]
fn load_starts_from_the_weights_of_another_run() {
    let folder = support::own_trained();
    let args = ["air.csv", "--load", "runs/air", "--name", "more", "--set", "data.horizon=6"];
    let ran = train(folder.path(), &args).done();
    assert!(ran.err.contains("starts from the weights"), "{}", ran.err);
    let first_loss = |run: &str| {
        let log = fs::read_to_string(folder.path().join("runs").join(run).join("log.jsonl"));
        let log = log.expect("a log");
        let line = log.lines().find(|line| line.contains("\"epoch\"")).expect("an epoch");
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["loss"].as_f64().expect("a loss")
    };
    assert!(first_loss("more") < first_loss("air"));
}

#[test]
fn layers_have_sizes_of_their_own() {
    let folder = support::folder();
    let sets = ["--set", "model.sizes=[9, 5]", "--set", "train.epochs=2"];
    let args = [&["train", "air.csv", "--name", "sized"][..], &sets].concat();
    let ran = recurve(folder.path(), &args).done();
    assert!(ran.err.contains("2 layers of 9, 5 units"), "{}", ran.err);
    let inside = recurve(folder.path(), &["inspect", "runs/sized"]).done().out.replace(' ', "");
    for weights in ["36×9", "20×9", "20×5"] {
        assert!(inside.contains(weights), "{inside}");
    }
    recurve(folder.path(), &["forecast", "runs/sized"]).done();
}

#[test]
fn resume_of_a_run_that_is_over_tells_the_same() {
    let folder = support::own_trained();
    let before = fs::read(folder.path().join("runs/air/last.ckpt")).expect("a checkpoint");
    let args = ["train", "--resume", "runs/air", "--json", "--threads", "1", "air.csv"];
    let ran = recurve(folder.path(), &args).done();
    assert_eq!(ran.json()["epochs"], 6);
    let after = fs::read(folder.path().join("runs/air/last.ckpt")).expect("a checkpoint");
    assert!(before == after);
}

#[test]
fn eval_measures_the_held_out_part_or_another_file() {
    let ran = recurve(trained(), &["eval", "runs/air"]).done();
    assert!(ran.out.contains("test") && ran.out.contains("seasonal naive"), "{}", ran.out);
    let told = recurve(trained(), &["eval", "runs/air", "--json"]).done().json();
    assert_eq!(told["part"], "test");
    // What training said at its end.
    let log = fs::read_to_string(trained().join("runs/air/log.jsonl")).expect("a log");
    let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    assert_eq!(told["targets"], last["targets"]);
    let all = recurve(trained(), &["eval", "runs/air", "air.csv", "--json"]).done().json();
    assert_eq!(all["part"], "all");
    let moved = ["eval", "runs/air", "air.csv", "--part", "held-out", "--json"];
    assert_eq!(recurve(trained(), &moved).done().json(), told);
    for (part, origins) in [("validation", 2), ("test", 2), ("all", 10)] {
        let of = ["eval", "runs/air", "--part", part, "--json"];
        let of = recurve(trained(), &of).done().json();
        assert_eq!((&of["part"], &of["origins"]), (&part.into(), &origins.into()));
        assert!(part != "test" || of == told);
    }

    let told = recurve(trained(), &["eval", "runs/play", "--json"]).done().json();
    assert_eq!((&told["task"], &told["part"]), (&"language".into(), &"validation".into()));
    assert!(told["nats"].as_f64().expect("a number") > 0.0);
    let all = recurve(trained(), &["eval", "runs/play", "play.txt"]).done();
    assert!(all.out.contains("nats per character"), "{}", all.out);
    let validation = ["eval", "runs/play", "--part", "validation", "--json"];
    assert_eq!(recurve(trained(), &validation).done().json(), told);
    recurve(trained(), &["eval", "runs/play", "--part", "test"])
        .refused(2, &["model.safetensors", "without a test part", "data.test"]);
}

#[test]
fn forecast_goes_on_after_the_last_row() {
    let ran = recurve(trained(), &["forecast", "runs/air"]).done();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 7, "{}", ran.out);
    assert!(
        lines[0].starts_with("month")
            && lines[0].contains("passengers")
            && lines[0].ends_with("upper")
    );
    assert!(lines[1].starts_with("1958-01") && lines[6].starts_with("1958-06"));

    let told = recurve(trained(), &["forecast", "runs/air", "--json"]).done().json();
    assert_eq!(told["times"].as_array().expect("times").len(), 6);
    let folder = folder();
    fs::write(folder.path().join("new.csv"), support::air(120)).expect("room");
    let run = trained().join("runs/air");
    let run = run.to_str().expect("UTF-8");
    let args = ["forecast", run, "new.csv", "--output", "out.csv"];
    recurve(folder.path(), &args).done();
    let written = fs::read_to_string(folder.path().join("out.csv")).expect("a file");
    assert!(written.starts_with("month,passengers,lower,upper\n1960-01,"), "{written}");
    assert_eq!(written.lines().count(), 7);
    assert_eq!(names(folder.path()), ["air.csv", "new.csv", "out.csv", "play.txt"]);
}

#[test]
fn generate_repeats_itself_for_a_seed() {
    let text = |args: &[&str]| {
        let all = [&["generate", "runs/play", "--length", "80"], args].concat();
        recurve(trained(), &all).done().out
    };
    let first = text(&["--seed", "7", "--prompt", "ROSALINE"]);
    assert!(first.starts_with("ROSALINE") && first.chars().count() == 8 + 80 + 1, "{first:?}");
    assert_eq!(text(&["--seed", "7", "--prompt", "ROSALINE"]), first);
    assert_ne!(text(&["--seed", "8", "--prompt", "ROSALINE"]), first);
    let greedy = text(&["--temperature", "0"]);
    assert_eq!(text(&["--top-k", "1", "--seed", "5"]), greedy);
    assert_eq!(text(&["--top-p", "0.000001", "--seed", "6"]), greedy);
    let json: Value = serde_json::from_str(&text(&["--temperature", "0", "--json"])).expect("JSON");
    assert_eq!(format!("{}\n", json["text"].as_str().expect("text")), greedy);
}

#[test]
fn predict_runs_over_a_whole_file() {
    let ran = recurve(trained(), &["predict", "runs/air", "air.csv"]).done();
    assert!(ran.out.starts_with("target,origin,time,step,actual,forecast"), "{}", ran.out);
    let rows = ran.out.lines().count() - 1;
    assert!(rows >= 48 && rows.is_multiple_of(6), "{rows}");
    let lines = recurve(trained(), &["predict", "runs/air", "air.csv", "--json"]).done().out;
    assert_eq!(lines.lines().count(), rows);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert!(first["baselines"]["naive"].is_f64(), "{first}");

    let folder = support::own_trained();
    let args = ["predict", "runs/play", "play.txt", "--output", "p.csv", "--json"];
    let told = recurve(folder.path(), &args).done().json();
    let written = fs::read_to_string(folder.path().join("p.csv")).expect("a file");
    assert!(written.starts_with("index,character,probability,nats\n2,I,"), "{written}");
    let characters = support::play().chars().count() as u64;
    assert_eq!(told["predictions"], characters - 1);
    let all = recurve(folder.path(), &["eval", "runs/play", "play.txt", "--json"]).done().json();
    let (nats, same) = (told["nats"].as_f64(), all["nats"].as_f64());
    let difference = nats.expect("a number") - same.expect("a number");
    assert!(difference.abs() < 1e-4, "step by step as at once: {difference}");
}

#[test]
fn a_stream_of_rows_forecasts_as_the_file_does() {
    let table = support::air(96);
    let ran = fed(trained(), &["stream", "runs/air"], &table).done();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 97, "one line for each line");
    assert_eq!(lines[0].split(',').count(), 6);
    assert!(lines[0].starts_with("passengers+1,passengers+2"), "{}", lines[0]);
    assert_eq!(lines[1], "", "too few rows to forecast");
    let last: Vec<f64> = lines[96].split(',').map(|cell| cell.parse().expect("a number")).collect();
    let told = recurve(trained(), &["forecast", "runs/air", "--json"]).done().json();
    let expected: Vec<f64> = serde_json::from_value(told["values"].clone()).expect("numbers");
    for (streamed, expected) in last.iter().zip(&expected) {
        assert!((streamed - expected).abs() <= 1e-5 * expected.abs(), "{last:?} {expected:?}");
    }
    // Without a header, values in the order of the model.
    let ran = fed(trained(), &["stream", "runs/air", "--json"], "112.5\n113\n").done();
    let line: Value = serde_json::from_str(ran.out.lines().nth(1).expect("a line")).expect("JSON");
    assert!(line["rows_missing"].as_u64().expect("a count") > 0);
}

#[test]
fn a_stream_of_text_names_the_next_characters() {
    let ran = fed(trained(), &["stream", "runs/play", "--top", "3"], "BIRON:\nWhat").done();
    let lines: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    let next = lines[1]["next"].as_array().expect("a list");
    assert_eq!(next.len(), 3);
    let probability = |at: usize| next[at]["probability"].as_f64().expect("a number");
    assert!(probability(0) >= probability(1) && probability(1) >= probability(2));
}

#[test]
fn inspect_tells_what_is_in_runs_checkpoints_and_foreign_files() {
    let ran = recurve(trained(), &["inspect", "runs/air"]).done();
    for word in ["lstm", "0.recurrent.0.forward.w", "32 × 1", "norm", "passengers", "best so far"]
    {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    let model = recurve(trained(), &["inspect", "runs/air/model.safetensors", "--json"]);
    let model = model.done().json();
    assert_eq!(model["kind"], "recurve model");
    assert!(model["tensors"][0]["norm"].as_f64().expect("a number") > 0.0);
    let checkpoint = recurve(trained(), &["inspect", "runs/play/last.ckpt", "--json"]);
    let checkpoint = checkpoint.done().json();
    assert_eq!(checkpoint["kind"], "recurve checkpoint");
    let history = &checkpoint["texts"]["progress"]["history"];
    assert_eq!(history.as_array().expect("epochs").len(), 6);

    // [2] numbers of another program, one of them NaN.
    let folder = folder();
    let header = br#"{"a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   "#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([1.5_f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat());
    fs::write(folder.path().join("other.safetensors"), bytes).expect("room");
    let ran = recurve(folder.path(), &["inspect", "other.safetensors"]).done();
    assert!(ran.out.contains("a.weight") && ran.out.contains("not finite"), "{}", ran.out);
}

#[test]
fn config_is_complete_and_reads_back() {
    for task in ["forecast", "language"] {
        let args = ["config", "--task", task, "--set", "model.hidden=77"];
        let ran = recurve(trained(), &args).done();
        assert!(ran.out.contains("hidden = 77") && ran.out.contains('#'), "{}", ran.out);
        let folder = folder();
        fs::write(folder.path().join("run.toml"), &ran.out).expect("room");
        let again = recurve(folder.path(), &["config", "--config", "run.toml"]).done();
        assert_eq!(again.out, ran.out);
        let json = recurve(folder.path(), &["config", "--config", "run.toml", "--json"]);
        assert_eq!(json.done().json()["model"]["hidden"], 77);
    }
}

#[test]
fn config_lists_every_key_of_its_task() {
    for (task, sets) in [("forecast", &[][..]), ("language", &["--set", "optimiser=sgd"])] {
        let args = [&["config", "--task", task], sets].concat();
        let out = recurve(trained(), &args).done().out;
        let mut section = "";
        let mut found = vec![];
        for line in out.lines() {
            if let Some(head) = line.strip_prefix('[') {
                section = head.trim_end_matches(']');
            } else if let Some((name, about)) = line.trim_start_matches("# ").split_once(" =") {
                assert!(about.contains("# "), "its meaning: {line}");
                found.push(format!("{section}.{name}"));
            }
        }
        let task = task.parse().expect("a task");
        let keys = recurve_train::config::keys().iter();
        let keys = keys.filter(|key| key.is_for(task));
        let mut expected: Vec<&str> = keys.map(|key| key.name).collect();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{out}");
    }
}

#[test]
fn a_kind_that_needs_a_number_says_which() {
    for (kind, number) in [
        ("schedule.kind=step", "schedule.every_epochs=10"),
        ("clip=value", "clip.limit=0.5"),
        ("initialise.output.kind=uniform", "initialise.output.bound=0.1"),
    ] {
        let without = ["config", "--set", kind];
        recurve(trained(), &without)
            .refused(2, &[&format!("--set {}=NUMBER", number.split('=').next().unwrap())]);
        recurve(trained(), &["config", "--set", kind, "--set", number]).done();
    }
    let far = recurve(trained(), &["config", "--set", "foo=1"]);
    assert!(!far.err.contains("did you mean"), "{}", far.err);
    far.refused(2, &["no key `foo`"]);
}

#[test]
fn forecast_from_a_file_that_grew_says_how() {
    let folder = support::own_trained();
    let args = ["air.csv", "--name", "grown", "--quiet", "--set", "data.horizon=6"];
    train(folder.path(), &args).done();
    fs::write(folder.path().join("air.csv"), support::air(97)).expect("room");
    let ran = recurve(folder.path(), &["forecast", "runs/grown"]);
    ran.refused(2, &["has changed", "`recurve forecast runs/grown FILE` forecasts from"]);
    let ran = recurve(folder.path(), &["forecast", "runs/grown", "air.csv"]).done();
    assert!(ran.out.contains("1958-02"), "{}", ran.out);
}

#[test]
fn a_language_run_tells_its_speed() {
    let folder = folder();
    let ran = train(folder.path(), &["play.txt", "--quiet"]).done();
    let line = ran.out.lines().find(|line| line.contains("nats per character on"));
    assert!(ran.out.contains("characters/s"), "{line:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_told() {
    let folder = folder();
    let mut command = std::process::Command::new("sh");
    let script = format!("ulimit -f 4; exec {} train air.csv --quiet", support::RECURVE);
    command.args(["-c", &script]).current_dir(folder.path());
    support::finish(command, "").refused(1, &["cannot write"]);
}

#[test]
fn doctor_finds_this_machine_healthy() {
    let told = recurve(trained(), &["doctor", "--json"]).done().json();
    assert_eq!(told["healthy"], true);
    assert!(told["product_gflops"].as_f64().expect("a rate") > 0.0);
    let sets = told["isa_found"].as_array().expect("a list").len();
    assert_eq!(told["checks"].as_array().expect("a list").len(), 22 * sets);
    let ran = recurve(trained(), &["doctor"]).done();
    assert!(ran.out.contains("check portable") && ran.out.contains("all is well"), "{}", ran.out);
}

#[test]
fn bench_prints_one_json_line_for_each_shape() {
    let fields = [
        "mode",
        "cell",
        "steps",
        "batch",
        "input",
        "hidden",
        "layers",
        "bidirectional",
        "dtype",
        "threads",
        "median_ms",
        "min_ms",
        "runs",
        "gflops",
        "peak_gflops",
        "peak_rss_mb",
        "isa",
    ];
    let shape = ["--steps", "6", "--batch", "3", "--input", "5", "--hidden", "9", "--layers", "2"];
    for mode in ["train", "infer", "step"] {
        for cell in ["lstm", "gru", "rnn"] {
            let args = ["bench", "--mode", mode, "--cell", cell, "--seconds", "0", "--json"];
            let told = recurve(trained(), &[&args[..], &shape].concat()).done().json();
            for field in fields {
                assert!(!told[field].is_null() || field == "peak_rss_mb", "{field}: {told}");
            }
            assert_eq!(told["mode"], mode);
            assert!(told["runs"].as_u64().expect("a count") >= 5);
            assert!(told["min_ms"].as_f64() <= told["median_ms"].as_f64());
        }
    }
    for mode in ["train", "infer"] {
        let args = ["bench", "--mode", mode, "--dtype", "bf16", "--seconds", "0", "--json"];
        let told = recurve(trained(), &[&args[..], &shape].concat()).done().json();
        assert_eq!(told["dtype"], "bf16");
    }
    let args = ["bench", "--memory", "low", "--seconds", "0", "--json"];
    let told = recurve(trained(), &[&args[..], &shape].concat()).done().json();
    assert_eq!(told["memory"], "low");
    let args = ["bench", "--lengths", "uniform", "--bidirectional", "--seconds", "0", "--json"];
    let told = recurve(trained(), &[&args[..], &shape].concat()).done().json();
    assert_eq!((&told["lengths"], &told["bidirectional"]), (&"uniform".into(), &true.into()));
    let args = ["bench", "--preset", "all", "--mode", "step", "--seconds", "0", "--json"];
    let told = recurve(trained(), &args).done();
    let names: Vec<String> = told
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["name"].to_string())
        .collect();
    assert_eq!(names, ["\"stream-128\"", "\"stream-512\"", "\"stream-1024\""]);
    let args = ["bench", "--preset", "cells", "--mode", "infer", "--seconds", "0", "--json"];
    let told = recurve(trained(), &args).done().out;
    let lines: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.len() >= 20, "{told}");
    for line in &lines {
        let [own, lstm] = [0, 1].map(|at| line["values"][at].as_f64().expect("a number"));
        let quotient = if line["by"] == "rate" { own / lstm } else { lstm / own };
        let told = line["quotient"].as_f64().expect("a number");
        assert!(told > 0.0 && (told / quotient - 1.0).abs() < 0.02, "{line}");
    }
    let list = recurve(trained(), &["bench", "--list"]).done();
    assert_eq!(list.out.lines().count(), 16);
    let list = recurve(trained(), &["bench", "--list", "--json"]).done();
    let shapes = list.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let tagger = shapes.into_iter().find(|shape| shape["name"] == "tagger").expect("a shape");
    assert_eq!((&tagger["hidden"], &tagger["bidirectional"]), (&256.into(), &true.into()));
}

#[test]
fn threads_change_no_bit_of_a_model() {
    let folder = folder();
    for threads in ["1", "2"] {
        let args = ["air.csv", "--threads", threads, "--name", threads, "--quiet"];
        train(folder.path(), &args).done();
    }
    let forecast = |run: &str| recurve(folder.path(), &["forecast", run, "--json"]).done().out;
    assert_eq!(forecast("runs/1"), forecast("runs/2"));
}
