//! Published results that are one number over several trainings: of languages, of streams.

use super::reproduce::{Judged, Reproduction};
use crate::error::{Error, Result};
use crate::task::detect::nab::NabScore;
use crate::task::{Evaluation, Task};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Results that are trained one after the other and judged together.
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// What is measured over all of them.
    pub measure: &'static str,
    /// What is published, and where.
    pub published: &'static str,
    /// What this program is to reach at least, and what it aims at.
    pub goals: (f64, f64),
    /// Whether a higher number is better.
    pub higher: bool,
    /// Each of them; each has a name of its own, too.
    pub parts: &'static [Reproduction],
    value: fn(&[Evaluation]) -> Option<f64>,
}

impl Suite {
    /// Ours beside theirs; none where an evaluation is of another task.
    pub fn judge(&self, evaluations: &[Evaluation]) -> Option<Judged> {
        let ours = (self.value)(evaluations)?;
        Some(Judged::new((self.name, self.measure, self.published), ours, self.goals, self.higher))
    }
}

/// One language: the file names begin with its three letters.
macro_rules! language {
    ($letters:literal, $published:literal, $number:literal) => {
        Reproduction {
            name: concat!("g2p-", $letters),
            data: "sigmorphon-2020-g2p",
            task: Task::Translate,
            measure: "words not all right, percent (WER)",
            published: $published,
            // Within 1.5 points of what is published; better than it.
            goals: ($number + 1.5, $number),
            higher: false,
            settings: &[
                concat!("data.validation_file=", $letters, "_dev.tsv"),
                concat!("data.test_file=", $letters, "_test.tsv"),
                "data.tokens=characters",
                "data.symbols=spaced",
                "train.epochs=60",
            ],
            members: 1,
            group: "",
            prepare: |folder| Ok(folder.join(concat!($letters, "_train.tsv"))),
            value: words_wrong,
        }
    };
}

/// One stream of the benchmark, whose first `rows` train.
macro_rules! stream {
    ($folder:literal, $name:literal, $rows:literal) => {
        Reproduction {
            name: concat!("nab-", $name),
            data: "nab",
            task: Task::Detect,
            measure: "NAB score, standard profile",
            published: "none for a single stream",
            goals: (36.5, 58.1),
            higher: true,
            settings: &[
                "data.time=timestamp",
                "data.targets=value",
                concat!("data.train=", $rows),
                concat!("data.anomalies=", $name, ".windows.csv"),
                "data.quiet=300",
                "data.threshold=4.3",
            ],
            members: 1,
            group: "",
            prepare: |folder| stream_of(folder, concat!($folder, "/", $name, ".csv")),
            value: |evaluation| match evaluation {
                Evaluation::Detect(report) => report.nab,
                _ => None,
            },
        }
    };
}

/// All of them.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "g2p",
        measure: "words not all right, percent (WER), mean of six languages",
        published: "LSTM encoder and decoder 10.37 (Gorman et al. 2020)",
        goals: (10.37, 10.37),
        higher: false,
        parts: &[
            language!("fre", "6.22", 6.22),
            language!("hun", "5.33", 5.33),
            language!("vie", "4.67", 4.67),
            language!("dut", "16.44", 16.44),
            language!("gre", "18.89", 18.89),
            language!("rum", "10.67", 10.67),
        ],
        value: |evaluations| {
            let all: Option<Vec<f64>> = evaluations.iter().map(words_wrong).collect();
            let all = all.filter(|all| !all.is_empty())?;
            Some(all.iter().sum::<f64>() / all.len() as f64)
        },
    },
    Suite {
        name: "nab",
        measure: "NAB score of 18 streams, standard profile",
        published: "windowed Gaussian 10.8, random cut forest 36.5, HTM 58.1 (no recurrent network)",
        goals: (36.5, 58.1),
        higher: true,
        parts: &[
            stream!("artificialNoAnomaly", "art_daily_no_noise", "604"),
            stream!("artificialNoAnomaly", "art_daily_perfect_square_wave", "604"),
            stream!("artificialNoAnomaly", "art_daily_small_noise", "604"),
            stream!("artificialNoAnomaly", "art_flatline", "604"),
            stream!("artificialNoAnomaly", "art_noisy", "604"),
            stream!("artificialWithAnomaly", "art_daily_flatmiddle", "604"),
            stream!("artificialWithAnomaly", "art_daily_jumpsdown", "604"),
            stream!("artificialWithAnomaly", "art_daily_jumpsup", "604"),
            stream!("artificialWithAnomaly", "art_daily_nojump", "604"),
            stream!("artificialWithAnomaly", "art_increase_spike_density", "604"),
            stream!("artificialWithAnomaly", "art_load_balancer_spikes", "604"),
            stream!("realKnownCause", "ambient_temperature_system_failure", "750"),
            stream!("realKnownCause", "cpu_utilization_asg_misconfiguration", "750"),
            stream!("realKnownCause", "ec2_request_latency_system_failure", "604"),
            stream!("realKnownCause", "machine_temperature_system_failure", "750"),
            stream!("realKnownCause", "nyc_taxi", "750"),
            stream!("realKnownCause", "rogue_agent_key_hold", "282"),
            stream!("realKnownCause", "rogue_agent_key_updown", "750"),
        ],
        value: |evaluations| {
            let known = evaluations.iter().map(|evaluation| match evaluation {
                Evaluation::Detect(report) => report.known,
                _ => None,
            });
            let known: Option<Vec<NabScore>> = known.collect();
            known?.into_iter().fold(NabScore::default(), NabScore::and).score()
        },
    },
];

fn words_wrong(evaluation: &Evaluation) -> Option<f64> {
    match evaluation {
        Evaluation::Translate(report) => Some(100.0 * report.sequence_error_rate),
        _ => None,
    }
}

/// A stream, with a file of the times when something was wrong beside it.
fn stream_of(folder: &Path, name: &str) -> Result<PathBuf> {
    let labels = folder.join("labels/combined_windows.json");
    let wrong = |what: &str| Error::usage(format!("{}: {what}", labels.display()));
    let text = String::from_utf8(crate::data::read_bytes(&labels)?)
        .map_err(|_| wrong("the file is not UTF-8"))?;
    let all: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| wrong("the file is no JSON"))?;
    let windows = all[name].as_array().ok_or_else(|| wrong("it says nothing about the stream"))?;
    let mut table = "start,end\n".to_owned();
    for window in windows {
        // Times are written with fractions of a second that are always 0.
        let time = |at: usize| window[at].as_str().and_then(|time| time.split('.').next());
        let (Some(start), Some(end)) = (time(0), time(1)) else {
            return Err(wrong("a window is no pair of times"));
        };
        let _ = writeln!(table, "{start},{end}");
    }
    let path = folder.join("data").join(name);
    super::put(&path.with_extension("windows.csv"), table.as_bytes())?;
    Ok(path)
}
