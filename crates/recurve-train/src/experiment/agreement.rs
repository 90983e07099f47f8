//! Does the verb agree with a subject that is many words past, and does a language follow from a country?
//!
//! Learned twice: from sentences with all gaps up to the longest, where what is learned over short gaps
//! can be stretched, and from sentences whose gaps are all long, where the first error that teaches
//! anything has to come back over many words.

use super::learner::{Chosen, MEASURING, choose_rates, score, side_by_side, train};
use super::outcome::{Axis, Curve, Figure, Outcome, Point, Table};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads};
use super::{Options, Subject, Training, keeping, percent, settings};
use crate::config::InitialiseConfig;
use crate::error::Result;
use crate::generate::Agreement;
use crate::initialise::Initialiser;
use recurve_nn::{CellKind, Model, Recurrent};

/// Units: `H`.
const HIDDEN: usize = 64;
/// The gaps of training.
const TRAINED: [(usize, usize); 2] = [(0, 40), (25, 40)];
/// Where the outcome is told: the longest gap of training.
const LONGEST: usize = 40;
/// The gaps at which is measured; the last ones are longer than any of training.
const GAPS: [usize; 14] = [0, 2, 4, 8, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320];
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
    let open = InitialiseConfig { forget_bias: 4.0, ..InitialiseConfig::default() };
    vec![
        subject("LSTM", CellKind::Lstm),
        Subject { start: open, ..subject("LSTM, forget bias 4", CellKind::Lstm) },
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
    let training = Training {
        updates: options.updates(1500),
        batch: 64,
        rate: 0.0,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let network =
        format!("16 numbers a word, one layer of {HIDDEN} units; only verb and language are asked");
    let mut outcome = Outcome {
        conditions: settings(training, options.seeds().len(), &network),
        ..Outcome::default()
    };
    for gaps in TRAINED {
        let Learned { curves, rates: chosen, lstm } = learned(gaps, training, options)?;
        let title = format!("Learned from gaps of {} to {} words", gaps.0, gaps.1);
        outcome.findings.extend(curves.iter().map(|curve| finding(&title, gaps.0, curve)));
        outcome.tables.push(accuracies(&title, &curves));
        outcome.tables.push(chosen);
        outcome.figures.push(Figure {
            title,
            caption: format!(
                "Lines are medians over the seeds, bars the lowest and the highest. Gaps beyond {LONGEST} words \
                 are longer than any of the training."
            ),
            x: Axis::linear("words between the deciding word and the asked one"),
            y: Axis::linear("share of right answers"),
            curves,
            level: None,
        });
        if let (Some(model), true) = (lstm, gaps == TRAINED[0]) {
            keeping::show(&model, &mut outcome)?;
        }
    }
    Ok(outcome)
}

/// What came of learning from sentences with some gaps.
struct Learned {
    /// The share of right answers at every gap, of each subject.
    curves: Vec<Curve>,
    /// How the learning rates were chosen.
    rates: Table,
    /// The LSTM of the first seed.
    lstm: Option<Model<f32>>,
}

fn learned(gaps: (usize, usize), training: Training, options: &Options<'_>) -> Result<Learned> {
    let (problem, subjects, seeds) = (Sentences { gaps }, subjects(), options.seeds());
    let chosen = choose_rates(&problem, &subjects, training, (&RATES, true))?;
    let jobs: Vec<(usize, u64)> =
        (0..subjects.len()).flat_map(|at| seeds.iter().map(move |seed| (at, *seed))).collect();
    let trained = side_by_side(&jobs, |&(at, seed)| {
        let training = Training { rate: chosen[at].rate, seed, ..training };
        let trained = train(&problem, &subjects[at], training)?;
        let mut shares = vec![];
        for gap in GAPS {
            let one = Sentences { gaps: (gap, gap) };
            shares.push(score(&one, &trained.model, &one.make(MEASURING, 0, SAMPLES))?);
        }
        let (name, score) = (&subjects[at].name, percent(trained.score()));
        (options.watch)(&format!("gaps from {}: {name}, seed {seed}: {score} right", gaps.0));
        Ok((shares, (at == 0 && seed == seeds[0]).then_some(trained.model)))
    })?;
    let (shares, models): (Vec<Vec<f64>>, Vec<Option<Model<f32>>>) = trained.into_iter().unzip();
    let of_subject = |(subject, shares): (&Subject, &[Vec<f64>])| {
        let at = |gap: usize| shares.iter().map(|shares| shares[gap]).collect::<Vec<f64>>();
        let points = (0..GAPS.len()).map(|gap| Point::of(GAPS[gap] as f64, &at(gap)));
        Curve { name: subject.name.clone(), points: points.collect() }
    };
    let curves = subjects.iter().zip(shares.chunks_exact(seeds.len())).map(of_subject).collect();
    let lstm = models.into_iter().flatten().next();
    Ok(Learned { curves, rates: rates(gaps, &subjects, &chosen), lstm })
}

/// What a curve says from the shortest gap of training on.
fn finding(title: &str, shortest: usize, curve: &Curve) -> String {
    let longest = curve.points.iter().find(|point| point.x == LONGEST as f64);
    let (median, low) = longest.map_or((f64::NAN, f64::NAN), |point| (point.median, point.low));
    let known = format!(
        "{title}, {}: {} right at {LONGEST} words (worst seed {})",
        curve.name,
        percent(median),
        percent(low)
    );
    let mut asked = curve.points.iter().filter(|point| point.x >= shortest as f64);
    match asked.find(|point| point.median < KNOWS) {
        Some(point) => format!("{known}; below {} at {} words.", percent(KNOWS), point.x),
        None => format!(
            "{known}; never below {}, up to {} words.",
            percent(KNOWS),
            GAPS[GAPS.len() - 1]
        ),
    }
}

fn accuracies(title: &str, curves: &[Curve]) -> Table {
    let row = |curve: &Curve| {
        let cells = curve.points.iter().map(|point| percent(point.median));
        std::iter::once(curve.name.clone()).chain(cells).collect()
    };
    Table {
        title: format!("{title}: right answers at each gap, median of the seeds"),
        head: std::iter::once("gap".to_owned()).chain(GAPS.map(|gap| gap.to_string())).collect(),
        rows: curves.iter().map(row).collect(),
    }
}

/// How the learning rates were chosen.
fn rates(gaps: (usize, usize), subjects: &[Subject], chosen: &[Chosen]) -> Table {
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
        title: format!("Short runs with gaps of {} to {} words: right answers", gaps.0, gaps.1),
        head,
        rows: subjects.iter().zip(chosen).map(row).collect(),
    }
}
