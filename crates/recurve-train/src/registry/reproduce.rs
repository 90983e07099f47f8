//! Published results, trained again: one command, one seed, ours beside theirs.
//!
//! Each names a data set, what is made of it, the settings (chosen on training and validation parts), the
//! measure on the test part, and what recurrent models reached in print. A result that falls short is printed
//! as it is.

use super::made::wav;
use super::suites::SUITES;
use crate::data::shuffled;
use crate::error::{Error, Result};
use crate::task::{Evaluation, Task};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A result to be reproduced.
#[derive(Clone, Copy)]
pub struct Reproduction {
    /// Its name.
    pub name: &'static str,
    /// The data set.
    pub data: &'static str,
    /// What is learned.
    pub task: Task,
    /// What is measured on the test part.
    pub measure: &'static str,
    /// What is published, and where.
    pub published: &'static str,
    /// What this program is to reach at least, and what it aims at.
    pub goals: (f64, f64),
    /// Whether a higher number is better.
    pub higher: bool,
    /// Settings that differ from the defaults of the task.
    pub settings: &'static [&'static str],
    /// Models with other seeds whose forecasts are averaged; 1 for one alone.
    pub members: u64,
    /// The name under which it is made together with others.
    pub group: &'static str,
    pub(super) prepare: fn(&Path) -> Result<PathBuf>,
    pub(super) value: fn(&Evaluation) -> Option<f64>,
}

/// Ours beside theirs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The name of the result.
    pub name: &'static str,
    /// What is measured.
    pub measure: &'static str,
    /// What came out.
    pub ours: f64,
    /// What is published.
    pub published: &'static str,
    /// What was to be reached at least.
    pub at_least: f64,
    /// What was aimed at.
    pub aim: f64,
    /// Whether the first was reached.
    pub reached: bool,
    /// Whether the aim was reached.
    pub aim_reached: bool,
}

impl Judged {
    pub(super) fn new(
        (name, measure, published): (&'static str, &'static str, &'static str),
        ours: f64,
        (at_least, aim): (f64, f64),
        higher: bool,
    ) -> Self {
        let reaches = |goal: f64| if higher { ours >= goal } else { ours <= goal };
        let (reached, aim_reached) = (reaches(at_least), reaches(aim));
        Self { name, measure, ours, published, at_least, aim, reached, aim_reached }
    }
}

/// All results but those of suites.
pub fn all() -> impl Iterator<Item = &'static Reproduction> {
    ALONE.iter().chain(super::forecasts::FORECASTS)
}

/// Results of one training.
const ALONE: &[Reproduction] = &[
    Reproduction {
        name: "japanese-vowels",
        data: "japanese-vowels",
        task: Task::Classify,
        measure: "accuracy",
        published: "LSTM-FCN 0.99 (Karim et al. 2019)",
        goals: (0.98, 0.99),
        higher: true,
        settings: &["data.test_file=JapaneseVowels_TEST.ts"],
        members: 1,
        group: "",
        prepare: |folder| Ok(folder.join("JapaneseVowels_TRAIN.ts")),
        value: accuracy,
    },
    Reproduction {
        name: "fsdd",
        data: "fsdd",
        task: Task::Classify,
        measure: "accuracy",
        published: "about 0.97 (public repositories)",
        goals: (0.97, 0.99),
        higher: true,
        settings: &["data.split=split", "train.epochs=30", "train.batch=32"],
        members: 1,
        group: "",
        prepare: spoken_digits,
        value: accuracy,
    },
    Reproduction {
        name: "fsdd-strings",
        data: "fsdd",
        task: Task::Transcribe,
        measure: "digit error rate",
        published: "none",
        goals: (0.04, 0.02),
        higher: false,
        settings: &["data.split=split", "data.hop_ms=20", "train.epochs=25", "train.batch=32"],
        members: 1,
        group: "",
        prepare: spoken_strings,
        value: |evaluation| match evaluation {
            Evaluation::Transcribe(report) => Some(report.symbol_error_rate),
            _ => None,
        },
    },
    Reproduction {
        name: "ud-ewt",
        data: "ud-english-ewt",
        task: Task::Tag,
        measure: "UPOS accuracy, gold tokens",
        published: "0.954 with pretrained vectors (Qi et al. 2020, from raw text)",
        goals: (0.94, 0.954),
        higher: true,
        settings: &[
            "data.validation_file=en_ewt-dev.tsv",
            "data.test_file=en_ewt-test.tsv",
            "data.tag=4",
            "data.word=2",
        ],
        members: 1,
        group: "",
        prepare: |folder| Ok(folder.join("en_ewt-train.tsv")),
        value: |evaluation| match evaluation {
            Evaluation::Tag(report) => Some(report.accuracy),
            _ => None,
        },
    },
    Reproduction {
        name: "cmapss-fd001",
        data: "c-mapss",
        task: Task::Regress,
        measure: "RMSE at the last steps, cycles left capped at 125",
        published: "LSTM 16.14 (Zheng et al. 2017), 14.93 (2026); CNN 12.61 (Li et al. 2018)",
        goals: (14.9, 12.6),
        higher: false,
        settings: &[
            "data.id=column 1",
            "data.time=column 2",
            "data.remaining=true",
            "data.cap=125",
            "data.test_file=test_FD001.txt",
            "data.test_answers=RUL_FD001.txt",
        ],
        members: 1,
        group: "",
        prepare: |folder| Ok(folder.join("train_FD001.txt")),
        value: |evaluation| match evaluation {
            Evaluation::Regress(report) => Some(report.targets.first()?.last?.rmse),
            _ => None,
        },
    },
    Reproduction {
        name: "jsb",
        data: "jsb-chorales",
        task: Task::Music,
        measure: "nats per frame",
        published: "LSTM 8.45, GRU 8.43, TCN 8.10 (Bai et al. 2018), LSTM 8.38 (Greff et al. 2015)",
        goals: (8.45, 8.1),
        higher: false,
        settings: &[
            "model.hidden=256",
            "model.dropout=0.4",
            "model.input_dropout=0.15",
            "optimiser.learning_rate=4e-3",
            "train.batch=8",
            "train.epochs=160",
            "train.transpose=5",
            "stopping.patience=0",
        ],
        members: 1,
        group: "",
        prepare: |folder| Ok(folder.join("jsb-chorales.json")),
        value: nats_per_frame,
    },
    Reproduction {
        name: "nottingham",
        data: "nottingham",
        task: Task::Music,
        measure: "nats per frame",
        published: "LSTM 3.29, GRU 3.46, TCN 3.07 (Bai et al. 2018), LSTM 3.20 (Chung et al. 2014)",
        goals: (3.29, 3.1),
        higher: false,
        settings: &[
            "model.hidden=256",
            "model.dropout=0.3",
            "model.input_dropout=0.1",
            "optimiser.learning_rate=4e-3",
            "train.batch=4",
            "train.epochs=40",
            "stopping.patience=0",
        ],
        members: 1,
        group: "",
        prepare: |folder| Ok(folder.join("nottingham.json")),
        value: nats_per_frame,
    },
    Reproduction {
        name: "war-and-peace",
        data: "war-and-peace",
        task: Task::Language,
        measure: "nats per byte of the form with CR LF and a byte-order mark",
        published: "2 x 128 units: LSTM 1.227, GRU 1.226, RNN 1.286 (Karpathy et al. 2015)",
        goals: (1.25, 1.20),
        higher: false,
        settings: &[
            "data.vocabulary=bytes",
            "data.test=0.1",
            "train.epochs=8",
            "train.steps=100",
            "train.precision=bf16",
            "model.dropout=0.0",
            "optimiser.learning_rate=8e-3",
        ],
        members: 1,
        group: "",
        prepare: as_published,
        value: |evaluation| match evaluation {
            Evaluation::Language(report) => Some(report.nats),
            _ => None,
        },
    },
];

/// The novel in the form of the paper: a byte-order mark, and CR LF where the file has LF.
fn as_published(folder: &Path) -> Result<PathBuf> {
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    for byte in crate::data::read_bytes(&folder.join("warpeace_input.txt"))? {
        bytes.extend((byte == b'\n').then_some(b'\r'));
        bytes.push(byte);
    }
    let path = folder.join("warpeace_crlf.txt");
    super::put(&path, &bytes)?;
    Ok(path)
}

fn nats_per_frame(evaluation: &Evaluation) -> Option<f64> {
    match evaluation {
        Evaluation::Music(report) => Some(report.nats),
        _ => None,
    }
}

fn accuracy(evaluation: &Evaluation) -> Option<f64> {
    match evaluation {
        Evaluation::Classify(report) => Some(report.accuracy),
        _ => None,
    }
}

/// The results of a name: one, or those that are made together.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<Vec<&'static Reproduction>> {
    let parts = SUITES.iter().flat_map(|suite| suite.parts);
    let found: Vec<&Reproduction> =
        all().chain(parts).filter(|one| one.name == name || one.group == name).collect();
    if found.is_empty() {
        let suites = SUITES.iter().map(|suite| suite.name);
        let own = all().map(|one| if one.group.is_empty() { one.name } else { one.group });
        let mut names: Vec<&str> = own.chain(suites).collect();
        names.dedup();
        return Err(Error::usage(format!(
            "there is no result `{name}`; there are {}",
            names.join(", ")
        )));
    }
    Ok(found)
}

impl Reproduction {
    /// Makes of the data set in `root` what is trained on, and gives its path.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn prepare(&self, root: &Path) -> Result<PathBuf> {
        (self.prepare)(&root.join(self.data))
    }

    /// Whether another result is measured on the same training.
    pub fn is_of_the_same_training(&self, other: &Self) -> bool {
        (self.data, self.settings, self.members) == (other.data, other.settings, other.members)
            && self.group == other.group
    }

    /// Ours beside theirs; none where the evaluation is of another task.
    pub fn judge(&self, evaluation: &Evaluation) -> Option<Judged> {
        let ours = (self.value)(evaluation)?;
        Some(Judged::new((self.name, self.measure, self.published), ours, self.goals, self.higher))
    }
}

/// A recording: the digit, the speaker, its number, and its samples.
struct Recording {
    name: String,
    digit: String,
    speaker: String,
    number: usize,
    bytes: Vec<u8>,
}

/// The recordings of the archive: 512 bytes of header, the file, and zeros up to the next 512.
fn recordings(folder: &Path) -> Result<Vec<Recording>> {
    let path = folder.join("fsdd.tar");
    let bytes = crate::data::read_bytes(&path)?;
    let broken = || Error::usage(format!("{}: this is no whole archive", path.display()));
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
    };
    let (mut found, mut at) = (vec![], 0);
    while let Some(header) = bytes.get(at..at + 512).filter(|header| header[0] != 0) {
        let name = text(&header[..100]);
        let size = usize::from_str_radix(&text(&header[124..136]), 8).map_err(|_| broken())?;
        let data = bytes.get(at + 512..at + 512 + size).ok_or_else(broken)?;
        at += 512 + size.next_multiple_of(512);
        let Some(stem) = name.strip_suffix(".wav").and_then(|name| name.rsplit('/').next()) else {
            continue;
        };
        let parts: Vec<&str> = stem.split('_').collect();
        let [digit, speaker, number] = parts[..] else { return Err(broken()) };
        found.push(Recording {
            name: format!("{stem}.wav"),
            digit: digit.to_owned(),
            speaker: speaker.to_owned(),
            number: number.parse().map_err(|_| broken())?,
            bytes: data.to_vec(),
        });
    }
    Ok(found)
}

/// Recordings 0 to 4 of each digit and speaker test.
fn part(recording: &Recording) -> &'static str {
    match recording.number {
        0..5 => "test",
        5..9 => "validation",
        _ => "train",
    }
}

/// Every recording as a file, and a table of them.
fn spoken_digits(folder: &Path) -> Result<PathBuf> {
    let mut table = "file,label,split\n".to_owned();
    for recording in recordings(folder)? {
        super::put(&folder.join("recordings").join(&recording.name), &recording.bytes)?;
        let (name, part) = (&recording.name, part(&recording));
        let _ = writeln!(table, "recordings/{name},{},{part}", recording.digit);
    }
    let path = folder.join("digits.csv");
    super::put(&path, table.as_bytes())?;
    Ok(path)
}

/// Strings of 3 to 7 digits of one speaker, joined from recordings of one part; the same every time.
fn spoken_strings(folder: &Path) -> Result<PathBuf> {
    let all = recordings(folder)?;
    let mut speakers: Vec<&str> = all.iter().map(|recording| recording.speaker.as_str()).collect();
    speakers.sort_unstable();
    speakers.dedup();
    let mut table = "file,text,split\n".to_owned();
    for (wanted, count) in [("train", 2400), ("validation", 150), ("test", 300)] {
        for string in 0..count {
            let speaker = speakers[string % speakers.len()];
            let own: Vec<&Recording> = all
                .iter()
                .filter(|recording| recording.speaker == speaker && part(recording) == wanted)
                .collect();
            // A string draws without repetition from the recordings of its speaker.
            let order = shuffled(7, (count * 10_000 + string) as u64, own.len());
            let chosen = &order[..3 + string / speakers.len() % 5];
            let mut samples = vec![];
            for at in chosen {
                let path = folder.join("recordings").join(&own[*at].name);
                if !path.exists() {
                    super::put(&path, &own[*at].bytes)?;
                }
                samples.extend(crate::data::sound(&path)?);
            }
            let name = format!("strings/{wanted}-{string}.wav");
            super::put(&folder.join(&name), &wav(&samples))?;
            let text: String = chosen.iter().map(|at| own[*at].digit.as_str()).collect();
            let _ = writeln!(table, "{name},{text},{wanted}");
        }
    }
    let path = folder.join("strings.csv");
    super::put(&path, table.as_bytes())?;
    Ok(path)
}
