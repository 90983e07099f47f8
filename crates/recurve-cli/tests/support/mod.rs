//! Running the program as a person would, in a folder of its own.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The binary under test.
pub(crate) const RECURVE: &str = env!("CARGO_BIN_EXE_recurve");

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program with arguments in `folder`.
pub(crate) fn recurve(folder: &Path, args: &[&str]) -> Ran {
    fed(folder, args, "")
}

/// The same with something on standard input.
pub(crate) fn fed(folder: &Path, args: &[&str], input: &str) -> Ran {
    let mut command = Command::new(RECURVE);
    command.args(args).current_dir(folder);
    finish(command, input)
}

/// Runs a command to its end and checks what holds for every run: no panic reaches the person.
pub(crate) fn finish(mut command: Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // The program may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    for sign in ["panicked", "a mistake in recurve", "RUST_BACKTRACE"] {
        assert!(!ran.err.contains(sign), "{ran:?}");
    }
    ran
}

impl Ran {
    /// The same, which must have ended well.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The same, which must have ended with `code` and one line of error that holds every word.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        let errors: Vec<&str> =
            self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "one error: {self:?}");
        assert!(self.err.trim_end().ends_with(errors[0]), "the error comes last: {self:?}");
        for word in words {
            assert!(errors[0].contains(word), "`{word}` is missing: {self:?}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A new folder with two small files: `air.csv` and `play.txt`.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("air.csv"), air(96)).expect("room");
    fs::write(folder.path().join("play.txt"), play()).expect("room");
    folder
}

/// A monthly series with trend and season: `month,holidays,passengers`.
pub(crate) fn air(rows: usize) -> String {
    let mut text = "month,holidays,passengers\n".to_owned();
    for row in 0..rows {
        let (year, month) = (1950 + row / 12, row % 12 + 1);
        let wave = (row as f64 / 12.0 * std::f64::consts::TAU).sin();
        let passengers = (100.0 + 2.0 * row as f64) * (1.0 + 0.2 * wave);
        let holidays = 8 + (row * 7) % 5;
        text += &format!("{year}-{month:02},{holidays},{passengers:.1}\n");
    }
    text
}

/// A text that repeats itself, with an accent in it.
pub(crate) fn play() -> String {
    let lines =
        ["BIRON:", "What's the café?", "ROSALINE:", "The rain, my lord; so it goes on.", ""];
    (0..60).map(|at| lines[at % lines.len()].to_owned() + "\n").collect()
}

/// What makes a training short.
pub(crate) const SHORT: [&str; 6] =
    ["--set", "train.epochs=6", "--set", "model.hidden=8", "--set", "train.batch=8"];

/// Trains in `folder` with these arguments added to [`SHORT`].
pub(crate) fn train(folder: &Path, args: &[&str]) -> Ran {
    recurve(folder, &[&["train"], &SHORT[..], args].concat())
}

/// A folder with two trained runs, `runs/air` and `runs/play`, made once for all tests of a program.
/// It is not to be changed.
pub(crate) fn trained() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = folder().keep();
        train(&folder, &["air.csv", "--name", "air", "--quiet", "--set", "data.horizon=6"]).done();
        train(&folder, &["play.txt", "--name", "play", "--quiet"]).done();
        folder
    })
}

/// A copy of [`trained`] that may be changed.
pub(crate) fn own_trained() -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(trained(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).expect("room");
        }
    }
}

/// The names in a folder, sorted; none where there is no such folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
