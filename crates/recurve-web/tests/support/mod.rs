//! Trained models of every kind, a server over each, and a client that can misbehave.

#![allow(dead_code, reason = "every test file uses a part of this")]

use recurve_train::config::Settings;
use recurve_train::run::RunFolder;
use recurve_train::trainer::Trainer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

/// A text that has what units can watch: lines, words, brackets and quotes.
pub(crate) fn play() -> String {
    let lines = [
        "BIRON:",
        "What (say you) is the end of study?",
        "",
        "KING:",
        "Why, \"to know\" what else we should not know.",
        "",
    ];
    (0..180).map(|at| lines[at % lines.len()].to_owned() + "\n").collect()
}

/// A monthly series with trend and season.
pub(crate) fn air() -> String {
    let mut text = "month,holidays,passengers\n".to_owned();
    for row in 0..144 {
        let (year, month) = (1950 + row / 12, row % 12 + 1);
        let wave = (row as f64 / 12.0 * std::f64::consts::TAU).sin();
        let passengers = (100.0 + 2.0 * row as f64) * (1.0 + 0.2 * wave);
        text += &format!("{year}-{month:02},{},{passengers:.1}\n", 8 + (row * 7) % 5);
    }
    text
}

fn train(folder: &Path, data: &str, text: &str, settings: &[&str]) -> PathBuf {
    fs::write(folder.join(data), text).unwrap();
    train_on(folder, data, settings)
}

fn train_on(folder: &Path, data: &str, settings: &[&str]) -> PathBuf {
    let path = folder.join(data);
    let mut chosen = Settings::default();
    for setting in settings {
        chosen.set(setting).unwrap();
    }
    let mut trainer = Trainer::prepare(&path, &chosen).unwrap();
    let name = data.rsplit('/').next().unwrap().split('.').next().unwrap();
    let run = RunFolder::create_named(&folder.join("runs"), name).unwrap();
    trainer.train(&run, &mut |_| {}, &Default::default()).unwrap();
    run.path().to_owned()
}

fn trained() -> &'static [PathBuf; 2] {
    static RUNS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let text = ["train.epochs=12", "model.hidden=24", "model.layers=2", "train.batch=8"];
        let table = ["train.epochs=20", "model.hidden=12", "data.horizon=6"];
        [train(&folder, "play.txt", &play(), &text), train(&folder, "air.csv", &air(), &table)]
    })
}

/// The run of a language model: an LSTM of 2 x 24 units. Not to be changed.
pub(crate) fn text_run() -> &'static Path {
    &trained()[0]
}

/// The run of a forecaster: an LSTM of 12 units. Not to be changed.
pub(crate) fn table_run() -> &'static Path {
    &trained()[1]
}

/// A run on made data of the registry. Not to be changed.
fn made(name: &'static str, file: &str, settings: &[&str]) -> &'static Path {
    static RUNS: OnceLock<Mutex<BTreeMap<&'static str, PathBuf>>> = OnceLock::new();
    let mut runs = RUNS.get_or_init(Mutex::default).lock().unwrap();
    let run = runs.entry(name).or_insert_with(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        recurve_train::registry::get(name, &folder, None).unwrap();
        train_on(&folder, &format!("{name}/{file}"), settings)
    });
    Box::leak(run.clone().into_boxed_path())
}

/// The run of a translator with attention, from the letters of made-up words to their sounds.
pub(crate) fn translator_run() -> &'static Path {
    let settings = [
        "data.task=translate",
        "train.epochs=6",
        "model.hidden=24",
        "model.embedding=12",
        "model.dropout=0.1",
        "optimiser.learning_rate=1e-2",
        "train.batch=16",
    ];
    made("spelling", "spelling.tsv", &settings)
}

/// The run of a forecaster of many series, with prices that are known ahead and quantiles.
pub(crate) fn stores_run() -> &'static Path {
    let settings = [
        "data.series=store",
        "data.known=price",
        "data.static=kind",
        "data.horizon=7",
        "data.input=14",
        "loss.kind=quantile",
        "train.epochs=2",
        "train.snapshots=3",
        "model.hidden=10",
    ];
    made("stores", "stores.csv", &settings)
}

/// The run of a classifier of movements, in both directions.
pub(crate) fn classifier_run() -> &'static Path {
    made("gestures", "gestures.csv", &["train.epochs=3", "model.hidden=12"])
}

/// The run of a tagger with a conditional random field.
pub(crate) fn tagger_run() -> &'static Path {
    let settings = ["train.epochs=2", "model.hidden=12", "model.embedding=16", "model.letters=8"];
    made("talk", "talk.conll", &settings)
}

/// The run of a transcriber of whistled words.
pub(crate) fn transcriber_run() -> &'static Path {
    let settings = ["data.task=transcribe", "train.epochs=4", "model.hidden=16", "model.layers=1"];
    made("whistles", "whistles.csv", &settings)
}

/// The run of a regression at every step, in one direction.
pub(crate) fn regressor_run() -> &'static Path {
    let settings =
        ["data.task=regress", "data.remaining=true", "train.epochs=2", "model.hidden=12"];
    made("machines", "machines.csv", &settings)
}

/// The run of a detector, with the faults that are known.
pub(crate) fn detector_run() -> &'static Path {
    let settings =
        ["data.task=detect", "data.anomalies=faults.csv", "train.epochs=1", "model.hidden=8"];
    made("pump", "pump.csv", &settings)
}

/// The run of a language model of 2 x 256 units, hardly trained.
pub(crate) fn large_run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let settings = ["train.epochs=1", "model.hidden=256", "model.layers=2", "train.batch=8"];
        train(&folder, "play.txt", &play(), &settings)
    })
}

/// A copy of a run that may be changed.
pub(crate) fn copy_of(run: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// A server that ends when it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Serves a run on a free port.
pub(crate) fn serve(run: &Path) -> Served {
    let subject = recurve_web::Subject { run, data: None, threads: 2 };
    let server = recurve_web::serve(subject, Some(0)).unwrap();
    let (address, stop) = (server.address(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || server.run(&told).unwrap());
    Served { address, stop, thread: Some(thread) }
}

impl Served {
    /// Ends the server and waits for it.
    pub(crate) fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Sends bytes as they are and reads until the server closes; headers, then body.
    pub(crate) fn raw(&self, request: &[u8]) -> (String, Vec<u8>) {
        self.send(request, false)
    }

    /// The same, and says that nothing more will come.
    pub(crate) fn broken_off(&self, request: &[u8]) -> (String, Vec<u8>) {
        self.send(request, true)
    }

    fn send(&self, request: &[u8], end: bool) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        // The server may close before it has read all.
        let _ = stream.write_all(request);
        if end {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut bytes = vec![];
        let _ = stream.read_to_end(&mut bytes);
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        (head, bytes.get(at + 4..).unwrap_or_default().to_vec())
    }

    /// A request with headers.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, Vec<u8>) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let (head, body) = self.raw(text.as_bytes());
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, head, body)
    }

    /// A question, its status and its answer.
    pub(crate) fn ask(&self, question: &str, body: &Value) -> (u16, Value) {
        let (status, bytes) = self.numbers(question, body);
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A question whose answer must come.
    #[track_caller]
    pub(crate) fn asked(&self, question: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(question, body);
        assert_eq!(status, 200, "{question} {body}: {answer}");
        answer
    }

    /// A question with the bytes of its answer.
    pub(crate) fn numbers(&self, question: &str, body: &Value) -> (u16, Vec<u8>) {
        let kind = [("Content-Type", "application/json")];
        let path = format!("/api/{question}");
        let (status, head, bytes) = self.request("POST", &path, &kind, &body.to_string());
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        (status, bytes)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Bytes as numbers.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}
