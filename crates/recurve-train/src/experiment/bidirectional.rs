//! What does it help to read from both ends?

use super::learner::{Subject, Training, choose_rates};
use super::outcome::{Axis, Curve, Figure, Outcome, Point};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads};
use super::study::{Case, scores, table};
use super::{Options, percent, settings};
use crate::error::Result;
use crate::generate::{Context, Side};
use recurve_nn::{CellKind, Recurrent};

const STEPS: usize = 40;
const REACHES: [usize; 4] = [1, 3, 5, 9];
const RATES: [f64; 3] = [1e-3, 3e-3, 1e-2];
const SIDES: [(Side, &str); 3] =
    [(Side::Past, "the past"), (Side::Future, "the future"), (Side::Both, "both")];

/// A tag at every step.
struct Tags {
    side: Side,
    reach: usize,
}

impl Problem for Tags {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: 2, embedding: 4 }
    }
    fn outputs(&self) -> usize {
        2
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made =
            Context { side: self.side, reach: self.reach, steps: STEPS, seed }.batch(first, count);
        // Near the ends some of the deciding bits are not shown.
        let mut y = made.y;
        for (at, tag) in y.iter_mut().enumerate() {
            let step = at / count;
            if step < self.reach || step + self.reach >= STEPS {
                *tag = crate::loss::IGNORE;
            }
        }
        Made {
            steps: STEPS,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: None,
            y: MadeAnswers::Classes(y),
        }
    }
}

/// An LSTM in one direction and one in both with about as many weights.
fn subjects() -> Vec<Subject> {
    vec![
        Subject::new("one direction, 46 units", Recurrent::new(CellKind::Lstm, 46)),
        Subject::new("both, 32 units each", Recurrent::new(CellKind::Lstm, 32).bidirectional()),
    ]
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let training = Training {
        updates: options.updates(600),
        batch: 32,
        rate: 0.0,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let subjects = subjects();
    let mut outcome = Outcome {
        conditions: settings(
            training,
            options.seeds().len(),
            "one LSTM layer, a tag for every step",
        ),
        ..Outcome::default()
    };
    for (side, name) in SIDES {
        let problems = REACHES.map(|reach| Tags { side, reach });
        let chosen = choose_rates(&problems[2], &subjects, training, (&RATES, true))?;
        let mut cases = vec![];
        for problem in &problems {
            for (subject, chosen) in subjects.iter().zip(&chosen) {
                let about = format!("{name} decides, {} steps", problem.reach);
                cases.push(Case { problem, about, subject: subject.clone(), rate: chosen.rate });
            }
        }
        let scores = scores(&cases, training, options)?;
        let of_subject = |s: usize| -> Vec<Vec<f64>> {
            (0..REACHES.len()).map(|at| scores[at * subjects.len() + s].clone()).collect()
        };
        let curves: Vec<Curve> = (0..subjects.len())
            .map(|s| Curve {
                name: subjects[s].name.clone(),
                points: std::iter::zip(REACHES, of_subject(s))
                    .map(|(reach, seeds)| Point::of(reach as f64, &seeds))
                    .collect(),
            })
            .collect();
        let at = |curve: &Curve| curve.points.last().map_or(f64::NAN, |point| point.median);
        outcome.findings.push(format!(
            "Where {name} within {} steps decides, one direction has {} right, both have {}.",
            REACHES[REACHES.len() - 1],
            percent(at(&curves[0])),
            percent(at(&curves[1])),
        ));
        let columns = REACHES.map(|reach| format!("{reach} steps"));
        let rows = (0..subjects.len()).map(|s| (subjects[s].name.clone(), of_subject(s)));
        let title = format!("Share of right tags where {name} decides");
        outcome.tables.push(table(&title, "network", &columns, rows));
        outcome.figures.push(Figure {
            title,
            caption: "Guessing has 0.5. Lines are medians over the seeds, bars the lowest and the highest."
                .to_owned(),
            x: Axis::linear("steps on a side that decide"),
            y: Axis::linear("share of right tags"),
            curves,
            level: None,
        });
    }
    Ok(outcome)
}
