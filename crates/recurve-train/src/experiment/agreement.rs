//! Does the verb agree with a subject that is many words past, and does a language follow from a country?

use super::learner::{Chosen, MEASURING, choose_rates, score, side_by_side, train};
use super::outcome::{Axis, Curve, Figure, Outcome, Point, Table};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads};
use super::{Options, Subject, Training, percent, settings};
use crate::config::InitialiseConfig;
use crate::error::Result;
use crate::generate::Agreement;
use crate::initialise::Initialiser;
use recurve_nn::{CellKind, Recurrent};

/// Units: `H`.
const HIDDEN: usize = 64;
/// The gaps of training.
const TRAINED: (usize, usize) = (0, 40);
/// The gaps at which is measured; the last ones are longer than any of training.
const GAPS: [usize; 14] = [0, 2, 4, 8, 12, 16, 20, 25, 30, 35, 40, 50, 60, 80];
const RATES: [f64; 4] = [3e-4, 1e-3, 3e-3, 1e-2];
/// Samples, each with two questions, that measure one gap.
const SAMPLES: usize = 500;
/// Right answers that count as knowing.
const KNOWS: f64 = 0.9;

/// Sentences with one of these gaps.
struct Sentences {
    gaps: (usize, usize),
}

impl Problem for Sentences {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: Agreement::words().len(), embedding: 16 }
    }
    fn outputs(&self) -> usize {
        Agreement::words().len()
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made = Agreement { gaps: self.gaps, seed }.batch(first, count);
        Made {
            steps: made.steps,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: Some(made.lengths),
            y: MadeAnswers::Classes(made.y),
        }
    }
}

fn subjects() -> Vec<Subject> {
    let subject = |name: &str, cell| Subject::new(name, Recurrent::new(cell, HIDDEN));
    let bound = 1.0 / (HIDDEN as f64).sqrt();
    let usual = Initialiser::Uniform { bound };
    vec![
        subject("LSTM", CellKind::Lstm),
        subject("GRU", CellKind::Gru),
        subject("RNN, orthogonal start", CellKind::RnnTanh),
        Subject {
            start: InitialiseConfig {
                input: usual,
                recurrent: usual,
                ..InitialiseConfig::default()
            },
            ..subject("RNN, usual start", CellKind::RnnTanh)
        },
    ]
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let problem = Sentences { gaps: TRAINED };
    let training = Training {
        updates: options.updates(3000),
        batch: 64,
        rate: 0.0,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let subjects = subjects();
    let chosen = choose_rates(&problem, &subjects, training, (&RATES, true))?;
    let seeds = options.seeds();
    let jobs: Vec<(usize, u64)> =
        (0..subjects.len()).flat_map(|at| seeds.iter().map(move |seed| (at, *seed))).collect();
    let shares = side_by_side(&jobs, |&(at, seed)| {
        let training = Training { rate: chosen[at].rate, seed, ..training };
        let trained = train(&problem, &subjects[at], training)?;
        let mut shares = vec![];
        for gap in GAPS {
            let one = Sentences { gaps: (gap, gap) };
            shares.push(score(&one, &trained.model, &one.make(MEASURING, 0, SAMPLES))?);
        }
        let name = &subjects[at].name;
        (options.watch)(&format!("{name}, seed {seed}: {} at 40 words", percent(shares[10])));
        Ok(shares)
    })?;
    let curves: Vec<Curve> = subjects
        .iter()
        .zip(shares.chunks_exact(seeds.len()))
        .map(|(subject, shares)| Curve {
            name: subject.name.clone(),
            points: GAPS
                .iter()
                .enumerate()
                .map(|(at, gap)| {
                    let seeds: Vec<f64> = shares.iter().map(|shares| shares[at]).collect();
                    Point::of(*gap as f64, &seeds)
                })
                .collect(),
        })
        .collect();
    let network =
        format!("16 numbers a word, one layer of {HIDDEN} units; only verb and language are asked");
    Ok(Outcome {
        findings: curves.iter().map(finding).collect(),
        conditions: settings(training, seeds.len(), &network),
        tables: vec![accuracies(&curves), rates(&subjects, &chosen)],
        figures: vec![Figure {
            title: "Right answers against the gap".to_owned(),
            caption: format!(
                "Lines are medians over {} seeds, bars the lowest and the highest. Training has gaps of {} to \
                 {} words; further to the right nothing was ever learned.",
                seeds.len(),
                TRAINED.0,
                TRAINED.1
            ),
            x: Axis::linear("words between the deciding word and the asked one"),
            y: Axis::linear("share of right answers"),
            curves,
        }],
    })
}

/// What a curve says.
fn finding(curve: &Curve) -> String {
    let within = |gap: f64| gap <= TRAINED.1 as f64;
    let points = || curve.points.iter().filter(|point| within(point.x));
    let last = points().next_back().map_or(f64::NAN, |point| point.median);
    let lowest = points().next_back().map_or(f64::NAN, |point| point.low);
    let longest = TRAINED.1;
    let at_longest = format!(
        "{}: {} right at a gap of {longest} words (worst seed {})",
        curve.name,
        percent(last),
        percent(lowest)
    );
    match curve.points.iter().find(|point| point.median < KNOWS) {
        Some(point) if within(point.x) => {
            format!("{at_longest}; it falls below {} at {} words.", percent(KNOWS), point.x)
        }
        Some(point) => format!(
            "{at_longest}; it falls below {} only at {} words, longer than any gap of its training.",
            percent(KNOWS),
            point.x
        ),
        None => format!("{at_longest}; it never falls below {}.", percent(KNOWS)),
    }
}

fn accuracies(curves: &[Curve]) -> Table {
    let row = |curve: &Curve| {
        let cells = curve.points.iter().map(|point| percent(point.median));
        std::iter::once(curve.name.clone()).chain(cells).collect()
    };
    Table {
        title: "Right answers at each gap, median of the seeds".to_owned(),
        head: std::iter::once("gap".to_owned()).chain(GAPS.map(|gap| gap.to_string())).collect(),
        rows: curves.iter().map(row).collect(),
    }
}

/// How the learning rates were chosen.
fn rates(subjects: &[Subject], chosen: &[Chosen]) -> Table {
    let row = |(subject, chosen): (&Subject, &Chosen)| {
        let mut row = vec![subject.name.clone()];
        row.extend(chosen.scores.iter().map(|score| percent(*score)));
        row.push(chosen.rate.to_string());
        row
    };
    let mut head = vec!["short runs".to_owned()];
    head.extend(RATES.map(|rate| format!("rate {rate}")));
    head.push("chosen".to_owned());
    Table {
        title: "Right answers after short runs with each learning rate".to_owned(),
        head,
        rows: subjects.iter().zip(chosen).map(row).collect(),
    }
}
