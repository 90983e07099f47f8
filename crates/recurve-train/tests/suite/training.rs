//! Whole runs through the library: resumed, repeated, refused and used.

use recurve_nn::{Batch, Input, Mode, Network};
use recurve_train::config::Settings;
use recurve_train::data::{Part, Series, Table, Text, TextOptions};
use recurve_train::error::Result;
use recurve_train::model_file::{ModelFile, engine};
use recurve_train::run::RunFolder;
use recurve_train::task::{Evaluation, Forecaster, GenerateOptions, LanguageModel};
use recurve_train::trainer::{Event, Outcome, Report, Trainer};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// A place with a table of months and a text.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let value = |i: usize| 50.0 + i as f64 + 10.0 * (i as f64 * 0.9).sin();
        let rows = (0..70).map(|i| format!("{}-{:02},{}\n", 2000 + i / 12, i % 12 + 1, value(i)));
        let table = "month,units\n".to_owned() + &rows.collect::<String>();
        fs::write(root.path().join("sales.csv"), table).unwrap();
        let line = |i: usize| {
            format!("{} said the fox to hen {}.\n", ["Well", "So", "Oh"][i % 3], i * i % 37)
        };
        let text: String = (0..60).map(line).collect();
        fs::write(root.path().join("fox.txt"), text).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn folder(&self, name: &str) -> RunFolder {
        RunFolder::create_at(&self.path(name)).unwrap()
    }

    fn prepare(&self, data: &str, assignments: &[&str]) -> Result<Trainer> {
        let mut settings = Settings::default();
        for assignment in assignments {
            settings.set(assignment)?;
        }
        Trainer::prepare(&self.path(data), &settings)
    }

    fn run(&self, data: &str, assignments: &[&str], folder: &RunFolder) -> Report {
        let mut trainer = self.prepare(data, assignments).unwrap();
        finished(trainer.train(folder, &mut |_| {}, &AtomicBool::new(false)))
    }
}

fn finished(outcome: Result<Outcome>) -> Report {
    match outcome.unwrap() {
        Outcome::Finished(report) => *report,
        Outcome::Interrupted { step, .. } => panic!("interrupted at step {step}"),
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

/// Every choice that has a state: dropout, accumulation, moments, plateau, skipping, carried state.
const SALES: &[&str] = &[
    "data.horizon=3",
    "data.input=6",
    "data.test=6",
    "data.validation=6",
    "model.hidden=5",
    "model.dropout=0.2",
    "train.epochs=4",
    "train.batch=8",
    "train.accumulate=2",
    "train.log_steps=1",
    "schedule.kind=plateau",
    "schedule.patience=0",
    "nan=skip-step",
];
const FOX: &[&str] = &[
    "data.validation=0.2",
    "model.hidden=6",
    "model.layers=2",
    "model.embedding=4",
    "model.dropout=0.2",
    "train.epochs=3",
    "train.batch=4",
    "train.steps=40",
    "train.log_steps=1",
    "optimiser=rmsprop",
    "optimiser.momentum=0.5",
    "optimiser.learning_rate=0.001",
    "schedule=one-cycle",
];

#[test]
fn a_run_interrupted_at_every_step_ends_with_the_same_bits() {
    let place = Place::new();
    for (data, settings) in [("sales.csv", SALES), ("fox.txt", FOX)] {
        let whole = place.folder(&format!("{data}-whole"));
        let report = place.run(data, settings, &whole);
        let broken = place.folder(&format!("{data}-broken"));
        let stop = AtomicBool::new(false);
        let mut trainer = place.prepare(data, settings).unwrap();
        let mut interruptions = 0;
        let resumed = loop {
            stop.store(false, Ordering::Relaxed);
            let mut steps = 0;
            let mut observe = |event: Event<'_>| {
                if matches!(event, Event::Step(_)) {
                    steps += 1;
                    stop.store(true, Ordering::Relaxed);
                }
            };
            match trainer.train(&broken, &mut observe, &stop).unwrap() {
                Outcome::Finished(report) => break *report,
                Outcome::Interrupted { step, .. } => {
                    interruptions += 1;
                    assert_eq!((step, steps), (interruptions, 1));
                }
            }
            trainer = Trainer::resume(&broken, None).unwrap();
        };
        assert!(interruptions > 8, "{interruptions}");
        assert_eq!(resumed, report);
        for path in [RunFolder::model, RunFolder::checkpoint, RunFolder::config] {
            assert!(bytes(&path(&whole)) == bytes(&path(&broken)), "{data}: {:?}", path(&whole));
        }
        let timeless = |folder: &RunFolder| -> Vec<serde_json::Value> {
            let log = fs::read_to_string(folder.log()).unwrap();
            let entry = |line: &str| {
                let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
                for key in ["seconds", "per_second", "seconds_left"] {
                    entry.as_object_mut().unwrap().remove(key);
                }
                entry
            };
            log.lines().map(entry).collect()
        };
        assert_eq!(timeless(&whole), timeless(&broken));
    }
}

#[test]
fn a_run_killed_between_checkpoints_ends_with_the_same_bits() {
    let place = Place::new();
    for (data, settings) in [("sales.csv", SALES), ("fox.txt", FOX)] {
        let mut settings = settings.to_vec();
        settings.push("train.checkpoint_steps=3");
        let whole = place.folder(&format!("{data}-whole"));
        // A copy of the folder at some moment is what a kill at that moment leaves behind.
        let mut copies = Vec::new();
        let mut trainer = place.prepare(data, &settings).unwrap();
        let mut observe = |event: Event<'_>| {
            if let Event::Step(step) = event
                && step.step % 2 == 0
            {
                let copy = place.folder(&format!("{data}-{}", step.step));
                for entry in fs::read_dir(whole.path()).unwrap() {
                    let entry = entry.unwrap();
                    fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
                }
                for file in ["last.ckpt", "model.safetensors", "log.jsonl", "predictions.csv"] {
                    let half = copy.path().join(format!(".{file}.killed.tmp"));
                    fs::write(half, "half").unwrap();
                }
                fs::write(copy.path().join(".notes.tmp"), "not ours").unwrap();
                copies.push(copy);
            }
        };
        let report = finished(trainer.train(&whole, &mut observe, &AtomicBool::new(false)));
        assert!(copies.len() > 4);
        for copy in copies {
            let mut trainer = Trainer::resume(&copy, None).unwrap();
            let again = finished(trainer.train(&copy, &mut |_| {}, &AtomicBool::new(false)));
            assert_eq!(again, report);
            assert!(bytes(&copy.model()) == bytes(&whole.model()));
            assert!(bytes(&copy.checkpoint()) == bytes(&whole.checkpoint()));
            let names = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let hidden = names.filter(|name| name.to_string_lossy().starts_with('.'));
            assert_eq!(hidden.collect::<Vec<_>>(), [".notes.tmp"]);
        }
    }
}

#[test]
fn threads_memory_and_the_frequency_of_checkpoints_change_no_bit_of_the_model() {
    let place = Place::new();
    let big = ["model.hidden=48", "model.layers=2", "train.epochs=2"];
    let table = ["data.horizon=3", "data.input=12", "data.test=6", "data.validation=6"];
    let text = ["train.batch=16", "train.steps=24"];
    for (data, own) in [("sales.csv", &table[..]), ("fox.txt", &text)] {
        let mut seen: Option<Vec<f32>> = None;
        let changes = [
            "train.threads=1",
            "train.threads=2",
            "train.checkpoint_steps=1",
            "train.memory=\"low\"",
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let folder = place.folder(&format!("{data}-{index}"));
            let settings: Vec<&str> = big.iter().chain(own).copied().chain([change]).collect();
            place.run(data, &settings, &folder);
            let values = ModelFile::load(folder.path()).unwrap().model().values().to_vec();
            let first = seen.get_or_insert_with(|| values.clone());
            assert!(*first == values, "{data} {change}");
        }
        // Also where the number changes on the way; the configuration keeps what it says.
        let folder = place.folder(&format!("{data}-resumed"));
        let settings: Vec<&str> =
            big.iter().chain(own).copied().chain(["train.threads=1"]).collect();
        let mut trainer = place.prepare(data, &settings).unwrap();
        trainer.train(&folder, &mut |_| {}, &AtomicBool::new(true)).unwrap();
        let mut trainer = Trainer::resume(&folder, None).unwrap().with_threads(2).unwrap();
        assert_eq!(trainer.config().train.threads, 1);
        finished(trainer.train(&folder, &mut |_| {}, &AtomicBool::new(false)));
        assert!(seen.as_deref() == Some(ModelFile::load(folder.path()).unwrap().model().values()));
        assert!(bytes(&folder.checkpoint()) == bytes(&place.path(&format!("{data}-0/last.ckpt"))));
        let other = place.folder(&format!("{data}-seed"));
        let settings: Vec<&str> = big.iter().chain(own).copied().chain(["train.seed=2"]).collect();
        place.run(data, &settings, &other);
        assert!(seen.unwrap() != ModelFile::load(other.path()).unwrap().model().values());
    }
}

/// Batches so large that a thread prepares them ahead: a run broken off after every step is the same run.
#[test]
fn batches_prepared_ahead_resume_bit_for_bit() {
    let place = Place::new();
    let columns = 12;
    let mut table = (0..columns).map(|c| format!("c{c}")).collect::<Vec<_>>().join(",") + "\n";
    for row in 0..520 {
        let value = |c: usize| format!("{:.4}", 3.0 + ((row * (c + 1)) as f64 * 0.1).sin());
        table += &((0..columns).map(value).collect::<Vec<_>>().join(",") + "\n");
    }
    fs::write(place.path("wide.csv"), table).unwrap();
    let covariates: Vec<String> = (1..columns).map(|c| format!("\"c{c}\"")).collect();
    let covariates = format!("data.covariates=[{}]", covariates.join(", "));
    let settings = [
        "data.targets=c0",
        &covariates,
        "data.horizon=2",
        "data.input=128",
        "data.test=8",
        "data.validation=8",
        "model.hidden=4",
        "train.batch=64",
        "train.epochs=2",
    ];
    let whole = place.folder("whole");
    place.run("wide.csv", &settings, &whole);
    let broken = place.folder("broken");
    let stop = AtomicBool::new(true);
    let mut trainer = place.prepare("wide.csv", &settings).unwrap();
    let mut calls = 1;
    let mut ended = matches!(trainer.train(&broken, &mut |_| {}, &stop), Ok(Outcome::Finished(_)));
    while !ended {
        // Every second time by the trainer that was interrupted, whose foreseen batch was let go.
        if calls % 2 == 0 {
            trainer = Trainer::resume(&broken, None).unwrap();
        }
        ended = matches!(trainer.train(&broken, &mut |_| {}, &stop), Ok(Outcome::Finished(_)));
        calls += 1;
        assert!(calls < 50);
    }
    assert!(calls > 6, "{calls} calls");
    assert!(bytes(&whole.checkpoint()) == bytes(&broken.checkpoint()));
}

#[test]
fn a_written_configuration_repeats_the_run() {
    let place = Place::new();
    for (data, settings) in [("sales.csv", SALES), ("fox.txt", FOX)] {
        let first = place.folder(&format!("{data}-1"));
        place.run(data, settings, &first);
        let again = Settings::read(&first.config()).unwrap();
        let second = place.folder(&format!("{data}-2"));
        let mut trainer = Trainer::prepare(&place.path(data), &again).unwrap();
        finished(trainer.train(&second, &mut |_| {}, &AtomicBool::new(false)));
        assert!(bytes(&first.model()) == bytes(&second.model()));
        assert!(bytes(&first.config()) == bytes(&second.config()));
    }
}

#[test]
fn changed_data_is_refused_by_name() {
    let place = Place::new();
    for (data, settings) in [("sales.csv", SALES), ("fox.txt", FOX)] {
        let folder = place.folder(&format!("{data}-run"));
        place.run(data, settings, &folder);
        let moved = place.path(&format!("moved-{data}"));
        fs::rename(place.path(data), &moved).unwrap();
        let error = Trainer::resume(&folder, None).err().unwrap();
        assert!(error.is_usage() && error.to_string().contains("is not at"), "{error}");
        Trainer::resume(&folder, Some(&moved)).unwrap();
        let mut content = bytes(&moved);
        let last = content.len() - 2;
        content[last] = b'7';
        fs::write(place.path(data), content).unwrap();
        let error = Trainer::resume(&folder, None).err().unwrap().to_string();
        assert!(error.contains(data) && error.contains("has changed"), "{error}");
        let file = ModelFile::load(folder.path()).unwrap();
        assert!(file.data().locate(None).is_err());
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_or_is_left_out() {
    let place = Place::new();
    let explode =
        ["optimiser=sgd", "optimiser.learning_rate=1e30", "clip=none", "schedule=constant"];
    let bounded = &["nan=skip-step", "nan.max_consecutive=1"][..];
    for (name, data, own, policy, expected) in [
        ("1", "sales.csv", &SALES[..10], &["nan=stop"][..], "the gradient norm of step 2 is NaN"),
        ("2", "fox.txt", &FOX[..8], &["nan=stop"], "the loss of step 4 is NaN"),
        ("3", "sales.csv", &SALES[..10], bounded, "2 steps in a row where 1 are allowed"),
        ("4", "sales.csv", &SALES[..10], &["nan=skip-step"], "epoch 2: every step was left out"),
    ] {
        let settings: Vec<&str> = [own, &explode, policy].concat();
        let folder = place.folder(name);
        let mut trainer = place.prepare(data, &settings).unwrap();
        let outcome = trainer.train(&folder, &mut |_| {}, &AtomicBool::new(false));
        let error = outcome.unwrap_err();
        assert!(error.is_failed(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        // What is on the disk is whole, and resuming meets the same end.
        let mut trainer = Trainer::resume(&folder, None).unwrap();
        let again = trainer.train(&folder, &mut |_| {}, &AtomicBool::new(false));
        assert_eq!(again.unwrap_err().to_string(), error.to_string());
    }
}

#[test]
fn weights_of_another_run_are_taken_or_refused_by_tensor() {
    let place = Place::new();
    let first = place.folder("first");
    place.run("sales.csv", SALES, &first);
    let mut trainer = place.prepare("sales.csv", SALES).unwrap();
    trainer.load_weights(first.path()).unwrap();
    let second = place.folder("second");
    let stop = AtomicBool::new(true);
    trainer.train(&second, &mut |_| {}, &stop).unwrap();
    let wider: Vec<&str> = SALES.iter().copied().chain(["model.hidden=7"]).collect();
    let error = place.prepare("sales.csv", &wider).unwrap().load_weights(first.path()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("`0.recurrent.0.forward.w` is [20, 1] there and [28, 1] here"),
        "{message}"
    );
    let mut text = place.prepare("fox.txt", FOX).unwrap();
    let message = text.load_weights(first.path()).unwrap_err().to_string();
    assert!(message.contains("embedding"), "{message}");
    let message = Forecaster::load(&place.path("fox.txt")).err().unwrap().to_string();
    assert!(message.contains("fox.txt"), "{message}");
    let message = LanguageModel::load(first.path()).err().unwrap().to_string();
    assert!(message.contains("was trained for the task forecast"), "{message}");
    let message = Forecaster::load(&first.checkpoint()).err().unwrap().to_string();
    assert!(message.contains("recurve-run-1"), "{message}");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let place = Place::new();
    let folder = place.folder("run");
    place.run("sales.csv", SALES, &folder);
    for path in [folder.checkpoint(), folder.model()] {
        let whole = bytes(&path);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() - 1], &[]] {
            fs::write(&path, damaged).unwrap();
            let error = match path == folder.checkpoint() {
                true => Trainer::resume(&folder, None).err().unwrap(),
                false => ModelFile::load(folder.path()).err().unwrap(),
            };
            assert!(error.is_usage(), "{error}");
            assert!(error.to_string().contains("not a whole checkpoint"), "{error}");
        }
        fs::write(&path, whole).unwrap();
    }
}

fn copy(file: &Path, to: &Path) {
    fs::copy(file, to).unwrap();
}

#[track_caller]
fn refuses_to_resume(folder: &RunFolder, words: &[&str]) {
    let model = fs::read(folder.model()).ok();
    let error = Trainer::resume(folder, None).err().expect("a refusal");
    let message = error.to_string();
    assert!(error.is_usage(), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert_eq!(fs::read(folder.model()).ok(), model, "the model is left alone");
}

#[test]
fn files_of_another_run_are_refused() {
    let place = Place::new();
    let [sales, fox, wide, later] =
        ["sales", "fox", "wide", "later"].map(|name| place.folder(name));
    place.run("sales.csv", SALES, &sales);
    place.run("fox.txt", FOX, &fox);
    let wider: Vec<&str> = SALES.iter().copied().chain(["model.hidden=7"]).collect();
    place.run("sales.csv", &wider, &wide);
    // The same settings, on other data.
    let mut rows = fs::read_to_string(place.path("sales.csv")).unwrap();
    rows.pop();
    fs::write(place.path("later.csv"), rows + "1\n").unwrap();
    place.run("later.csv", SALES, &later);
    assert!(bytes(&sales.config()) == bytes(&later.config()));
    let [checkpoint, model] = [sales.checkpoint(), sales.model()].map(|path| bytes(&path));

    copy(&fox.checkpoint(), &sales.checkpoint());
    let words = ["sales/last.ckpt` belongs to another run", "task is language", "says forecast"];
    refuses_to_resume(&sales, &words);
    copy(&wide.checkpoint(), &sales.checkpoint());
    refuses_to_resume(&sales, &["config.toml` says 5 for `model.hidden`", "last.ckpt` says 7"]);
    copy(&later.checkpoint(), &sales.checkpoint());
    refuses_to_resume(&sales, &["model.safetensors` belongs to another run", "later.csv"]);
    fs::write(sales.checkpoint(), &checkpoint).unwrap();

    for (other, word) in [(&fox, "`data.task`"), (&wide, "`model.hidden` is 7"), (&later, "data")] {
        copy(&other.model(), &sales.model());
        refuses_to_resume(&sales, &["model.safetensors` belongs to another run", word]);
    }
    copy(&wide.checkpoint(), &sales.model());
    refuses_to_resume(&sales, &["sales/model.safetensors", "recurve-run-1"]);
    // One that is not whole is written anew from the checkpoint.
    fs::write(sales.model(), &model[..model.len() / 2]).unwrap();
    let mut trainer = Trainer::resume(&sales, None).unwrap();
    finished(trainer.train(&sales, &mut |_| {}, &AtomicBool::new(false)));
    assert!(bytes(&sales.model()) == model);
}

#[test]
fn a_configuration_that_was_changed_is_refused() {
    let place = Place::new();
    let folder = place.folder("run");
    place.run("sales.csv", SALES, &folder);
    let whole = fs::read_to_string(folder.config()).unwrap();
    for (from, to, words) in [
        ("hidden = 5", "hidden = 6", &["says 6 for `model.hidden`", "says 5", "--load"][..]),
        ("epochs = 4", "epochs = 9", &["says 9 for `train.epochs`", "back to 4"]),
        ("epochs = 4", "", &["says nothing for `train.epochs`", "back to 4"]),
        ("dropout = 0.2", "dropout = 0.3", &["says 0.3 for `model.dropout`"]),
        ("kind = \"plateau\"", "kind = \"step\"", &["`schedule.kind`", "\"step\"", "plateau"]),
        ("hidden = 5", "hiden = 5", &["config.toml", "model.hiden", "model.hidden"]),
        ("hidden = 5", "hidden = ", &["config.toml, line", "not TOML", "bring back"]),
    ] {
        assert!(whole.contains(from), "{from}");
        fs::write(folder.config(), whole.replacen(from, to, 1)).unwrap();
        refuses_to_resume(&folder, &[&["run/config.toml"], words].concat());
    }
    for cut in [0, whole.len() / 3, 2 * whole.len() / 3] {
        fs::write(folder.config(), &whole[..cut]).unwrap();
        refuses_to_resume(&folder, &["run/config.toml"]);
    }
    fs::write(folder.config(), b"[data]\n\xff\xfe").unwrap();
    refuses_to_resume(&folder, &["run/config.toml", "cannot read"]);
    fs::remove_file(folder.config()).unwrap();
    refuses_to_resume(&folder, &["run/config.toml", "cannot read"]);
    // Comments, order and the way a number is written mean nothing.
    let plain: Vec<&str> = whole.lines().filter(|line| !line.starts_with('#')).collect();
    fs::write(folder.config(), plain.join("\n").replace("limit = 1.0", "limit = 1")).unwrap();
    Trainer::resume(&folder, None).unwrap();
}

#[test]
fn weights_of_another_cell_are_refused_by_its_name() {
    let place = Place::new();
    let folder = place.folder("run");
    let with = |cell: &'static str| [SALES, &[cell]].concat();
    place.run("sales.csv", &with("model.cell=rnn-tanh"), &folder);
    for (cell, name) in [("model.cell=rnn-relu", "rnn-relu"), ("model.cell=gru", "gru")] {
        let mut trainer = place.prepare("sales.csv", &with(cell)).unwrap();
        let message = trainer.load_weights(folder.path()).unwrap_err().to_string();
        let expected = format!("its cell is rnn-tanh, here it is {name}");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_start_for_weights_that_are_not_there_is_refused() {
    let place = Place::new();
    let refused = |settings: &[&str], words: &[&str]| {
        let error = place.prepare("sales.csv", settings).err().expect("a refusal");
        for word in words {
            assert!(error.is_usage() && error.to_string().contains(word), "{error}");
        }
    };
    for cell in ["gru", "gru-reset-before", "rnn-tanh", "rnn-relu", "minimal-gated"] {
        let chosen = format!("model.cell={cell}");
        let words = ["initialise.forget_bias is 2", cell, "no forget gate"];
        refused(&[SALES, &[&chosen, "initialise.forget_bias=2"]].concat(), &words);
        place.prepare("sales.csv", &[SALES, &[&chosen]].concat()).unwrap();
    }
    refused(
        &[SALES, &["initialise.embedding=constant", "initialise.embedding.value=0.5"]].concat(),
        &["initialise.embedding", "no token vectors"],
    );
    place.prepare("sales.csv", &[SALES, &["initialise.forget_bias=2"]].concat()).unwrap();
    let start = ["initialise.embedding=normal", "initialise.embedding.std=0.5"];
    place.prepare("fox.txt", &[FOX, &start].concat()).unwrap();
}

#[test]
fn what_is_measured_is_what_is_used() {
    let place = Place::new();
    let folder = place.folder("run");
    let report = place.run("sales.csv", SALES, &folder);
    let Evaluation::Forecast(measured) = report.evaluation else { panic!("a table is forecast") };
    assert_eq!(
        (measured.part.as_str(), measured.origins, measured.predictions.len()),
        ("test", 2, 6)
    );
    let csv = fs::read_to_string(folder.predictions()).unwrap();
    assert_eq!(csv.lines().count(), 7);
    assert!(csv.starts_with("target,origin,time,step,actual,forecast,lower,upper,naive"), "{csv}");

    let mut forecaster = Forecaster::load(folder.path()).unwrap();
    assert_eq!(forecaster.evaluate_own(None).unwrap(), measured);
    // The first forecast of the test part again: from the rows before it alone, as a file and as a
    // stream.
    let text = fs::read_to_string(place.path("sales.csv")).unwrap();
    let head: Vec<&str> = text.lines().take(1 + 64).collect();
    let table = Table::parse("head.csv", &head.join("\n")).unwrap();
    let forecast = forecaster.forecast(&table).unwrap();
    let again: Vec<f64> = measured.predictions[..3].iter().map(|p| p.forecast).collect();
    assert_eq!(forecast.values, again);
    assert_eq!(forecast.times, ["2005-05", "2005-06", "2005-07"]);
    let mut stream = forecaster.stream().unwrap();
    assert_eq!(stream.columns(), ["units"]);
    let mut last = None;
    for (row, value) in table.numbers(1).unwrap().into_iter().enumerate() {
        last = stream.push(&[value]).unwrap();
        assert_eq!(last.is_some(), row + 1 >= stream.needs());
    }
    assert_eq!(last.unwrap(), again);
    assert!(stream.push(&[f64::NAN]).unwrap_err().to_string().contains("units"));
    assert!(stream.push(&[1.0, 2.0]).unwrap_err().to_string().contains("expected 1"));
    // Every part can be asked for.
    let mut part = |part| forecaster.evaluate(part, None).unwrap();
    assert_eq!(part(Part::Test), measured);
    let validation = part(Part::Validation);
    assert_eq!((validation.part.as_str(), validation.origins), ("validation", 2));
    assert_eq!(validation.last_time, "2005-04");
    let (train, all) = (part(Part::Train), part(Part::All));
    assert_eq!((train.part.as_str(), train.last_time.as_str()), ("training", "2004-10"));
    assert_eq!(all, forecaster.predict(&forecaster.own_table(None).unwrap()).unwrap());
    // The validation metric is the mean error of every validation origin over that of the seasonal
    // naive forecast in the training part.
    let table = forecaster.own_table(None).unwrap();
    let series = Series::new(&table, forecaster.plan()).unwrap();
    assert_eq!(series.origins(Part::Validation, 1).len(), 4);
}

#[test]
fn a_language_model_is_measured_exactly() {
    let place = Place::new();
    let folder = place.folder("run");
    let report = place.run("fox.txt", FOX, &folder);
    let Evaluation::Language(measured) = report.evaluation else { panic!("a text is modelled") };
    let model = LanguageModel::load(folder.path()).unwrap();
    assert_eq!(model.evaluate_own(None).unwrap(), measured);
    assert_eq!(model.evaluate(Part::Validation, None).unwrap(), measured);
    let all = model.evaluate(Part::All, None).unwrap();
    assert_eq!(all, model.evaluate_text(&place.path("fox.txt")).unwrap());
    let error = model.evaluate(Part::Test, None).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("without a test part"), "{error}");
    assert_eq!(report.validation, measured.nats);
    // By hand: the text from 257 tokens before its validation part, in one sequence.
    let options = TextOptions { validation: 0.2, ..TextOptions::default() };
    let text = Text::read(&place.path("fox.txt"), &options).unwrap();
    let first = text.train().len();
    assert_eq!(measured.tokens as usize, text.validation().len());
    let read = first.saturating_sub(257);
    let tokens = &text.tokens()[read..];
    let weights = model.file().model();
    let mut network = Network::new(weights.description(), engine(1).unwrap()).unwrap();
    network.load(weights.values(), false);
    let x = &tokens[..tokens.len() - 1];
    let outputs =
        network.forward(&Batch::new(x.len(), 1, Input::Tokens(x)), None, Mode::Infer).unwrap();
    let width = text.vocabulary().size();
    let nats = |at: usize| {
        let row = &outputs[at * width..][..width];
        let sum: f64 = row.iter().map(|y| f64::from(*y).exp()).sum();
        sum.ln() - f64::from(row[tokens[at + 1] as usize])
    };
    let counted = (first - 1 - read)..x.len();
    let mean = counted.clone().map(nats).sum::<f64>() / counted.len() as f64;
    assert!((mean - measured.nats).abs() < 1e-5, "{mean} {}", measured.nats);
}

#[test]
fn many_lanes_measure_what_one_does() {
    // Long enough for several lanes of uneven length: each begins warm, so their mean is that of one
    // sequence within what 256 tokens leave to be known.
    let place = Place::new();
    let line = |i: usize| format!("{} and {}\n", i * 7919 % 1009, i * i % 97);
    let text: String = (0..900).map(line).collect();
    fs::write(place.path("long.txt"), &text).unwrap();
    let folder = place.folder("run");
    let short = [
        "data.task=language",
        "model.hidden=16",
        "train.epochs=1",
        "train.batch=4",
        "train.steps=16",
    ];
    place.run("long.txt", &short, &folder);
    let model = LanguageModel::load(folder.path()).unwrap();
    let measured = model.evaluate_text(&place.path("long.txt")).unwrap();
    assert_eq!(measured.tokens as usize, text.len() - 1);
    assert!(measured.tokens > 4 * 1024, "several lanes");
    let mut stream = model.stream().unwrap();
    let tokens = model.vocabulary().encode("text", &text).unwrap();
    let mut sum = 0.0;
    for pair in tokens.windows(2) {
        stream.push(pair[0]).unwrap();
        sum -= stream.probabilities()[pair[1] as usize].ln();
    }
    let mean = sum / (tokens.len() - 1) as f64;
    assert!((mean - measured.nats).abs() < 2e-4, "{mean} {}", measured.nats);
}

#[test]
fn text_is_generated_and_unknown_characters_are_named() {
    let place = Place::new();
    let folder = place.folder("run");
    place.run("fox.txt", FOX, &folder);
    let model = LanguageModel::load(folder.path()).unwrap();
    let generate = |prompt: &str, options: &GenerateOptions| -> Result<Vec<u8>> {
        let mut text = Vec::new();
        model.generate(prompt, options, &mut |bytes| {
            text.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })?;
        Ok(text)
    };
    let options = GenerateOptions { length: 40, ..GenerateOptions::default() };
    let first = generate("Well", &options).unwrap();
    assert_eq!(first.len(), 40);
    assert_eq!(first, generate("Well", &options).unwrap());
    assert_ne!(first, generate("Well", &GenerateOptions { seed: 9, ..options }).unwrap());
    assert_eq!(generate("", &options).unwrap().len(), 40);
    let error = generate("Well Ω", &options).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains('Ω'), "{error}");
    let next = model.next("Well said the fo", 3).unwrap();
    assert_eq!(next.len(), 3);
    assert!(next[0].1 >= next[1].1 && next[1].1 >= next[2].1);
}

#[test]
fn a_finished_run_evaluates_again_and_writes_nothing_new() {
    let place = Place::new();
    let folder = place.folder("run");
    let report = place.run("sales.csv", SALES, &folder);
    let (model, checkpoint) = (bytes(&folder.model()), bytes(&folder.checkpoint()));
    let mut trainer = Trainer::resume(&folder, None).unwrap();
    let again =
        finished(trainer.train(&folder, &mut |_| panic!("no step"), &AtomicBool::new(false)));
    assert_eq!(again, report);
    assert!(model == bytes(&folder.model()) && checkpoint == bytes(&folder.checkpoint()));
}

#[test]
fn a_run_without_validation_or_test_says_so() {
    let place = Place::new();
    let folder = place.folder("run");
    let settings: Vec<&str> =
        SALES.iter().copied().chain(["data.test=0", "data.validation=0"]).collect();
    let report = place.run("sales.csv", &settings, &folder);
    assert_eq!(report.metric, "training loss");
    let Evaluation::Forecast(evaluation) = &report.evaluation else {
        panic!("a table is forecast")
    };
    assert_eq!(evaluation.part, "training");
    assert!(report.summary()[0].contains("no validation part"));
    let mut forecaster = Forecaster::load(folder.path()).unwrap();
    for (part, key) in [(Part::Validation, "data.validation = 0"), (Part::Test, "data.test = 0")] {
        let error = forecaster.evaluate(part, None).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(key), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    let folder = place.folder("run");
    place.run("sales.csv", SALES, &folder);
    // A folder in the place of a file cannot be written over.
    let blocked = place.folder("blocked");
    fs::create_dir(blocked.checkpoint()).unwrap();
    let mut trainer = place.prepare("sales.csv", SALES).unwrap();
    let outcome = trainer.train(&blocked, &mut |_| {}, &AtomicBool::new(false));
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("last.ckpt"), "{message}");
}
