//! Sequences with answers from the file to the prediction: classes, numbers, tags, texts; and what is wrong
//! with such files.

mod support;

use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use support::{Ran, fed, names, recurve};

/// Trains quickly in `folder`.
fn quick(folder: &Path, args: &[&str]) -> Ran {
    let short = ["train", "--quiet", "--set", "train.epochs=12", "--set", "model.hidden=12"];
    recurve(folder, &[&short[..], args].concat())
}

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("room");
    }
    folder
}

/// Waves of three shapes and 6 to 20 steps, in a long table; some values are missing.
fn waves() -> String {
    let mut text = "id,t,person,a,y,label\n".to_owned();
    for id in 0..60 {
        let (shape, steps) = (id % 3, 6 + (id * 7) % 15);
        for t in 0..steps {
            let x = f64::from(t) * [0.4, 0.9, 1.7][shape as usize];
            let b = if (id + t) % 11 == 0 { String::new() } else { format!("{:.3}", x.cos()) };
            let label = ["slow", "middle", "fast"][shape as usize];
            writeln!(text, "w{id},{t},{},{:.3},{b},{label}", id / 6, x.sin()).expect("a string");
        }
    }
    text
}

fn first_json(ran: &Ran) -> Value {
    serde_json::from_str(ran.out.lines().next().expect("a line")).expect("JSON")
}

#[test]
fn waves_are_told_apart_and_neighbours_change_nothing() {
    let folder = folder_with(&[("waves.csv", &waves())]);
    let here = folder.path();
    let told =
        quick(here, &["waves.csv", "--name", "w", "--json", "--set", "data.group=person"]).done();
    let told = told.json();
    assert_eq!((&told["task"], &told["evaluation"]["part"]), (&"classify".into(), &"test".into()));
    assert!(told["evaluation"]["accuracy"].as_f64().expect("a number") > 0.6, "{told}");
    let report = fs::read_to_string(here.join("runs/w/report.html")).expect("a report");
    for words in ["macro F1", "Rows are what is right", "precision", "majority class"] {
        assert!(report.contains(words), "{words}");
    }
    let predictions = fs::read_to_string(here.join("runs/w/predictions.csv")).expect("a file");
    assert!(predictions.starts_with("id,actual,predicted,p(fast),p(middle),p(slow)\n"));
    // The same measures from the model file; whole files; a part.
    let again = recurve(here, &["eval", "runs/w", "--json"]).done().json();
    assert_eq!(again["accuracy"], told["evaluation"]["accuracy"]);
    assert_eq!(again["confusion"], told["evaluation"]["confusion"]);
    let all = recurve(here, &["eval", "runs/w", "waves.csv"]).done();
    assert!(all.out.contains("all part, 60 sequences of 3 classes"), "{}", all.out);
    // One sequence alone, without a label, has the probabilities that it has beside the others, to the bit.
    let whole = recurve(here, &["predict", "runs/w", "waves.csv", "--json"]).done().out;
    let head = "id,t,a,y\n";
    for id in ["w0", "w14", "w59"] {
        let rows = waves();
        let rows = rows.lines().filter(|line| line.starts_with(&format!("{id},")));
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{},{},{},{}\n", cells[0], cells[1], cells[3], cells[4])
        };
        let alone: String = rows.map(row).collect();
        fs::write(here.join("one.csv"), head.to_owned() + &alone).expect("room");
        let one = first_json(&recurve(here, &["predict", "runs/w", "one.csv", "--json"]).done());
        let same = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let same = same.into_iter().find(|value| value["id"] == id).expect("the sequence");
        assert_eq!(one["probabilities"], same["probabilities"], "{id}");
        assert_eq!(one["actual"], Value::Null);
    }
    // A sequence of one step.
    fs::write(here.join("one.csv"), "id,t,a,y\nx,0,0.5,\n").expect("room");
    recurve(here, &["predict", "runs/w", "one.csv"]).done();
    // Threads change nothing; a resumed run that is over tells the same.
    let single = ["predict", "runs/w", "waves.csv", "--json", "--threads", "1"];
    assert_eq!(recurve(here, &single).done().out, whole);
    let resumed =
        recurve(here, &["train", "--resume", "runs/w", "--quiet", "--json"]).done().json();
    assert_eq!(resumed["evaluation"], told["evaluation"]);
    recurve(here, &["forecast", "runs/w"]).refused(2, &["task classify", "forecast"]);
    fed(here, &["stream", "runs/w"], "1,2\n").refused(2, &["classify", "recurve predict"]);
}

#[test]
fn files_of_waves_that_are_wrong_are_refused_by_place() {
    let with = |from: &str, to: &str| waves().replacen(from, to, 1);
    let refused = |content: &str, args: &[&str], words: &[&str]| {
        let folder = folder_with(&[("w.csv", content)]);
        quick(folder.path(), &[&["w.csv"], args].concat()).refused(2, words);
        assert_eq!(names(folder.path()), ["w.csv"], "nothing is left behind");
    };
    refused(&with("w0,1,0,0.389", "w0,1,0,lots"), &[], &["w.csv, line 3", "`a`", "lots"]);
    refused(&with("w0,1,", "w0,0,"), &[], &["line 3", "`t`", "line 2"]);
    refused(
        &with("0.389,0.921,slow", "0.389,0.921,fast"),
        &[],
        &["line 3", "label of sequence `w0`", "`fast`", "`slow`", "line 2"],
    );
    refused(&waves(), &["--set", "data.inputs=c"], &["data.inputs", "`c`"]);
    refused(&waves(), &["--set", "data.label=lable"], &["data.label", "`label`"]);
    refused(&waves(), &["--set", "data.tokens=words"], &["data.tokens", "layout long"]);
    refused(&waves(), &["--set", "model.embedding=9"], &["model.embedding", "no texts"]);
    refused(&waves(), &["--set", "loss=mse"], &["cross-entropy"]);
    refused(
        &waves(),
        &["--set", "data.remaining=true"],
        &["data.remaining", "regress", "classify"],
    );
    let one = waves().replace("middle", "slow").replace("fast", "slow");
    refused(&one, &[], &["1 class", "data.label"]);
    // A label that only the test file has, and a missing value that training never has.
    let folder = folder_with(&[
        ("w.csv", &waves()),
        (
            "test.csv",
            &with("w1,0,0,0.000,1.000,middle", "w1,0,0,0.000,1.000,medium")
                .replace("middle", "medium"),
        ),
    ]);
    quick(folder.path(), &["w.csv", "--set", "data.test_file=test.csv"])
        .refused(2, &["test.csv", "line", "`medium`", "`fast`, `middle`, `slow`"]);
    quick(folder.path(), &["w.csv", "--name", "w", "--set", "data.group=person"]).done();
    fs::write(folder.path().join("one.csv"), "id,t,a,y\nx,0,,1\n").expect("room");
    recurve(folder.path(), &["predict", "runs/w", "one.csv"])
        .refused(2, &["one.csv", "sequence `x`", "`a` is missing at step 1"]);
}

#[test]
fn texts_by_words_characters_and_given_vectors() {
    let mut text = "text,label\n".to_owned();
    for at in 0..60 {
        let (good, what) = (at % 2 == 0, ["film", "plot", "song"][at % 3]);
        let how = [["awful", "poor"], ["great", "lovely"]][usize::from(good)][at / 2 % 2];
        let label = if good { "good" } else { "bad" };
        writeln!(text, "\"A {how} {what}, it is.\",{label}").expect("a string");
    }
    let vectors = "great 1 0 0\nlovely 0.9 0.1 0\nawful -1 0 0\npoor -0.9 0 0.1\n";
    let folder =
        folder_with(&[("t.csv", &text), ("v.txt", vectors), ("new.csv", "text\nA great song\n")]);
    let here = folder.path();
    for (name, args) in [
        ("words", &[][..]),
        ("letters", &["--set", "data.tokens=characters", "--set", "train.epochs=25"]),
        ("vectors", &["--set", "data.vectors=v.txt", "--set", "data.class_weights=balanced"]),
    ] {
        let args = [&["t.csv", "--json", "--name", name], args].concat();
        let told = quick(here, &args).done().json();
        assert!(told["evaluation"]["accuracy"].as_f64().expect("a number") > 0.8, "{name}: {told}");
        let run = format!("runs/{name}");
        let one = first_json(&recurve(here, &["predict", &run, "new.csv", "--json"]).done());
        assert_eq!(one["predicted"], "good", "{name}");
    }
    quick(here, &["t.csv", "--set", "data.vectors=t.csv"]).refused(2, &["t.csv, line"]);
    let wide = ["t.csv", "--set", "data.vectors=v.txt", "--set", "model.embedding=5"];
    quick(here, &wide).refused(2, &["model.embedding is 5", "3 numbers"]);
}

#[test]
fn wide_tables_and_ts_files() {
    let (mut wide, mut ts) =
        ("label,s1,s2,s3,s4\n".to_owned(), "@classLabel true u d\n@data\n".to_owned());
    for at in 0..40 {
        let (label, sign) = [("u", 1), ("d", -1)][at % 2];
        let v = |t: i32| sign * t + (at % 3) as i32;
        let last = if at % 5 == 0 { String::new() } else { v(4).to_string() };
        writeln!(wide, "{label},{},{},{},{last}", v(1), v(2), v(3)).expect("a string");
        writeln!(ts, "{},{},{}:{},?,1:{label}", v(1), v(2), v(3), v(2)).expect("a string");
    }
    let folder = folder_with(&[("wide.csv", &wide), ("x.ts", &ts)]);
    for file in ["wide.csv", "x.ts"] {
        let told = quick(folder.path(), &[file, "--json"]).done().json();
        assert_eq!(told["evaluation"]["accuracy"], 1.0, "{file}: {told}");
    }
}

/// A WAV file of 16 bits at 8 kHz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let size = 2 * samples.len() as u32;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(8000_u32.to_le_bytes());
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    samples.iter().for_each(|sample| bytes.extend(sample.to_le_bytes()));
    bytes
}

/// A tone for each letter (a low, b middle, c high), with silence between.
fn tones(word: &str, seed: usize) -> Vec<u8> {
    let mut samples = vec![0_i16; 400 + 40 * (seed % 5)];
    for letter in word.chars() {
        let hertz = match letter {
            'a' => 300.0,
            'b' => 900.0,
            _ => 2200.0,
        };
        let long = 800 + 80 * (seed % 3);
        let tone = |at: usize| (at as f64 / 8000.0 * hertz * std::f64::consts::TAU).sin();
        samples.extend((0..long).map(|at| (8000.0 * tone(at)) as i16));
        samples.extend(vec![0; 400]);
    }
    wav(&samples)
}

#[test]
fn sounds_in_folders_and_by_name() {
    let folder = folder_with(&[]);
    let here = folder.path();
    for at in 0..30 {
        let word = ["a", "b", "c"][at % 3];
        fs::create_dir_all(here.join("sound").join(word)).expect("room");
        fs::create_dir_all(here.join("named")).expect("room");
        fs::write(here.join(format!("sound/{word}/{at}.wav")), tones(word, at)).expect("room");
        fs::write(here.join(format!("named/{word}_{at}.wav")), tones(word, at)).expect("room");
    }
    for (data, args) in [
        ("sound", &[][..]),
        ("named", &["--set", "data.features=mfcc", "--set", "data.deltas=true"]),
    ] {
        let args = [&[data, "--json", "--name", data], args].concat();
        let told = quick(here, &args).done().json();
        assert_eq!(told["evaluation"]["accuracy"], 1.0, "{data}: {told}");
    }
    fs::write(here.join("new.wav"), tones("c", 1)).expect("room");
    let one = first_json(&recurve(here, &["predict", "runs/sound", "new.wav", "--json"]).done());
    assert_eq!(one["predicted"], "c");
    fs::write(here.join("sound/a/7.wav"), "RIFF").expect("room");
    quick(here, &["sound"]).refused(2, &["7.wav", "16-bit PCM"]);
    recurve(here, &["eval", "runs/sound"]).refused(2, &["sound", "has changed"]);
}

/// Machines that wear out: the steps that are left show in a sensor.
fn machines(cut: bool) -> (String, String) {
    let (mut text, mut left) = ("unit,cycle,a,b\n".to_owned(), String::new());
    for unit in 0..30 {
        let life = 15 + (unit * 11) % 20;
        let end = if cut { life - 1 - unit % 7 } else { life };
        for cycle in 0..end {
            let wear = f64::from(life - cycle).recip();
            let noise = f64::from((unit * 31 + cycle * 17) % 13) / 200.0;
            writeln!(text, "{unit},{cycle},{:.4},{:.4}", wear + noise, 2.0 - wear)
                .expect("a string");
        }
        writeln!(left, "{}", life - end).expect("a string");
    }
    (text, left)
}

#[test]
fn numbers_at_every_step_and_for_the_whole() {
    let ((train, _), (test, left)) = (machines(false), machines(true));
    let folder = folder_with(&[("m.csv", &train), ("test.csv", &test), ("left.txt", &left)]);
    let here = folder.path();
    let remaining = ["--task", "regress", "--set", "data.remaining=true", "--set", "data.cap=12"];
    let args = [
        "m.csv",
        "--json",
        "--name",
        "m",
        "--set",
        "data.test_file=test.csv",
        "--set",
        "data.test_answers=left.txt",
        "--set",
        "optimiser.learning_rate=0.02",
    ];
    let told = quick(here, &[&remaining[..], &args].concat()).done().json();
    let target = &told["evaluation"]["targets"][0];
    assert!(target["last"]["rmse"].as_f64().expect("a number") < 3.0, "{told}");
    assert!(
        target["phm"].is_f64() && told["evaluation"]["skills"][0]["skill"].as_f64() > Some(0.2)
    );
    let again = recurve(here, &["eval", "runs/m", "--json"]).done().json();
    assert_eq!(again["targets"], told["evaluation"]["targets"]);
    let rows = recurve(here, &["predict", "runs/m", "test.csv"]).done().out;
    assert!(rows.starts_with("id,step,target,predicted\n0,1,remaining,"), "{rows}");
    let report = fs::read_to_string(here.join("runs/m/report.html")).expect("a report");
    assert!(report.contains("Step by step") && report.contains("last steps"));

    let both = [&remaining[..], &["m.csv", "--set", "model.bidirectional=true"]].concat();
    quick(here, &both).refused(2, &["model.bidirectional", "how many steps are left"]);
    let pooled = [&remaining[..], &["m.csv", "--set", "model.pooling=mean"]].concat();
    quick(here, &pooled).refused(2, &["model.pooling", "every step"]);
    fs::write(here.join("left.txt"), "3\n4\n").expect("room");
    quick(here, &[&remaining[..], &args].concat()).refused(2, &["left.txt", "2 answers", "30"]);

    // One number for each sequence: its mean.
    let mut text = "id,x,target\n".to_owned();
    for id in 0..50_i32 {
        for step in 0..3 + id % 4 {
            writeln!(text, "{id},{},{}", id % 9 + step % 2, id % 9).expect("a string");
        }
    }
    fs::write(here.join("mean.csv"), &text).expect("room");
    let args =
        ["--task", "regress", "mean.csv", "--json", "--name", "mean", "--set", "train.epochs=40"];
    let told = quick(here, &args).done().json();
    assert!(told["evaluation"]["skills"][0]["skill"].as_f64().expect("a number") > 0.5, "{told}");
    assert_eq!(told["evaluation"]["targets"][0]["last"], Value::Null);
    fs::write(here.join("bad.csv"), text.replacen("0,0,0\n", "0,0,\n", 1)).expect("room");
    quick(here, &["--task", "regress", "bad.csv"])
        .refused(2, &["bad.csv, line 2", "`target`", "missing"]);
}

/// Sentences whose tags follow from words and endings.
fn tagged(count: usize) -> String {
    let mut text = String::new();
    for at in 0..count {
        let (noun, verb) = (["cat", "dog", "bird"][at % 3], ["sings", "jumps"][at % 2]);
        let name = format!("{}ia", ["Mar", "Jul", "Sof", "Al"][at % 4]);
        for (word, tag) in [("the", "O"), (noun, "O"), (verb, "O"), ("with", "O")] {
            writeln!(text, "{word} {tag}").expect("a string");
        }
        writeln!(text, "{name} B-PER\n{} I-PER\n. O\n", ["Smithson", "Johnson"][at % 2])
            .expect("a string");
    }
    text
}

#[test]
fn words_are_tagged_with_and_without_a_random_field() {
    let folder = folder_with(&[("t.conll", &tagged(60)), ("new.txt", "the dog\n")]);
    let here = folder.path();
    for (name, loss) in [("crf", "loss=crf"), ("each", "loss=cross-entropy")] {
        let args = [
            "t.conll",
            "--json",
            "--name",
            name,
            "--set",
            loss,
            "--set",
            "model.letters=8",
            "--set",
            "train.batch=4",
            "--set",
            "stopping.patience=0",
        ];
        let told = quick(here, &args).done().json();
        let evaluation = &told["evaluation"];
        assert_eq!(
            (&told["task"], &evaluation["accuracy"]),
            (&"tag".into(), &1.0.into()),
            "{told}"
        );
        assert_eq!(evaluation["spans"]["f1"], 1.0);
        assert!(evaluation["most_frequent"].is_f64());
        let run = format!("runs/{name}");
        let again = recurve(here, &["eval", &run, "--json"]).done().json();
        assert_eq!(again["spans"], evaluation["spans"]);
        // A name that was never seen, known by its ending; an empty line stays one.
        let said =
            fed(here, &["tag", &run], "the cat sings with Livia Smithson .\n\nthe\n").done().out;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[5], "Smithson\tI-PER", "{said}");
        assert_eq!((lines[7], lines[8], lines[9]), ("", "", "the\tO"));
        let both = "the cat\nthe dog sings with Maria Johnson .\n";
        let together = fed(here, &["tag", &run, "--json"], both).done().out;
        let alone = fed(here, &["tag", &run, "--json"], "the cat\n").done().out;
        assert!(together.starts_with(&alone));
    }
    let csv = recurve(here, &["predict", "runs/crf", "t.conll"]).done().out;
    assert!(csv.starts_with("sentence,word,actual,predicted\n1,the,O,O\n"), "{csv}");
    let folder = folder_with(&[("bad.conll", &tagged(9).replacen("cat O", "cat", 1))]);
    quick(folder.path(), &["bad.conll"]).refused(2, &["bad.conll, line 2", "column 2"]);
    let test = tagged(3).replace("B-PER", "B-ORG");
    let folder = folder_with(&[("t.conll", &tagged(9)), ("test.conll", &test)]);
    quick(folder.path(), &["t.conll", "--set", "data.test_file=test.conll"])
        .refused(2, &["word 5 (`Maria`)", "`B-ORG`", "`B-PER`"]);
    fed(here, &["tag", "runs/none"], "").refused(2, &["runs/none"]);
}

#[test]
fn tones_are_transcribed() {
    let folder = folder_with(&[]);
    let here = folder.path();
    let mut table = "file,text\n".to_owned();
    for at in 0..60_usize {
        let word: String =
            (0..1 + at % 4).map(|n| ["a", "b", "c"][(at / 2 + n * (at % 5)) % 3]).collect();
        fs::write(here.join(format!("{at}.wav")), tones(&word, at)).expect("room");
        writeln!(table, "{at}.wav,{word}").expect("a string");
    }
    fs::write(here.join("words.csv"), &table).expect("room");
    let args = [
        "--task",
        "transcribe",
        "words.csv",
        "--json",
        "--name",
        "t",
        "--set",
        "train.epochs=60",
        "--set",
        "data.bands=16",
        "--set",
        "optimiser.learning_rate=0.01",
        "--set",
        "data.hop_ms=20",
        "--set",
        "model.layers=1",
        "--set",
        "stopping.patience=0",
    ];
    let told = quick(here, &args).done().json();
    let evaluation = &told["evaluation"];
    assert!(evaluation["symbol_error_rate"].as_f64().expect("a number") < 0.2, "{told}");
    assert!(evaluation["alignments"][0]["symbols"].is_array());
    let again = recurve(here, &["eval", "runs/t", "--json"]).done().json();
    assert_eq!(again["symbol_error_rate"], evaluation["symbol_error_rate"]);
    fs::write(here.join("new.wav"), tones("cab", 2)).expect("room");
    let said = recurve(here, &["transcribe", "runs/t", "new.wav"]).done().out;
    assert_eq!(said, "new.wav\tcab\n");
    let said = recurve(here, &["transcribe", "runs/t", "new.wav", "--beam", "1", "--json"]).done();
    assert_eq!(said.json()["symbols"].as_array().expect("symbols").len(), 3);
    let report = fs::read_to_string(here.join("runs/t/report.html")).expect("a report");
    assert!(report.contains("Where the symbols are") && report.contains("error rate"));

    let long = "aabbccaabbcc".repeat(5);
    fs::write(here.join("long.csv"), table.replacen("0.wav,a", &format!("0.wav,{long}"), 1))
        .expect("room");
    quick(here, &["--task", "transcribe", "long.csv"])
        .refused(2, &["long.csv, line 2", "60 symbols", "needs at least", "the sequence has"]);
    fs::write(here.join("none.csv"), "file,text\nnone.wav,a\n").expect("room");
    quick(here, &["--task", "transcribe", "none.csv"]).refused(2, &["none.wav", "no such file"]);
    let split = table.replace("file,text", "file,text,split").replace("\n", ",train\n");
    let split = split.replacen(",split,train\n", ",split\n", 1).replacen("1.wav,", "1.wav,x", 1);
    let split = split.replacen(",train\n2.wav", ",test\n2.wav", 1);
    fs::write(here.join("split.csv"), split).expect("room");
    quick(here, &["--task", "transcribe", "split.csv", "--set", "data.split=split"])
        .refused(2, &["split.csv, line 3", "symbol `x`", "training part"]);
}

#[test]
fn features_in_npy_files() {
    let folder = folder_with(&[]);
    let here = folder.path();
    let mut table = "file,label\n".to_owned();
    for at in 0..24_u32 {
        let (steps, sign) = (3 + at % 4, if at % 2 == 0 { 1.0_f32 } else { -1.0 });
        let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({steps}, 2), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.as_bytes());
        for step in 0..2 * steps {
            bytes.extend((sign * (1 + step) as f32).to_le_bytes());
        }
        fs::write(here.join(format!("{at}.npy")), bytes).expect("room");
        writeln!(table, "{at}.npy,{}", if at % 2 == 0 { "up" } else { "down" }).expect("a string");
    }
    fs::write(here.join("f.csv"), table).expect("room");
    let told = quick(here, &["f.csv", "--json"]).done().json();
    assert_eq!(told["evaluation"]["accuracy"], 1.0, "{told}");
    fs::write(here.join("3.npy"), "no").expect("room");
    quick(here, &["f.csv"]).refused(2, &["f.csv, line 5", "3.npy", "numpy.save"]);
}
