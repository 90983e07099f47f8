//! How long a lag does each cell bridge?

use super::learner::{Subject, Training, choose_rates};
use super::outcome::{Axis, Curve, Figure, Outcome, Point};
use super::problem::Problem;
use super::study::{Case, scores, table};
use super::tasks::{AddingProblem, CopyProblem, OrderProblem};
use super::{Options, settings};
use crate::error::Result;
use recurve_nn::{CellKind, Recurrent};

const HIDDEN: usize = 48;
const LAGS: [usize; 4] = [25, 50, 100, 200];
const RATES: [f64; 3] = [1e-3, 3e-3, 1e-2];

/// A task at several lags.
struct Task {
    name: &'static str,
    /// What the score is.
    measure: &'static str,
    /// Whether a higher score is better, and from where on the task is solved.
    higher: bool,
    solved: f64,
    problem: fn(usize) -> Box<dyn Problem>,
}

const TASKS: [Task; 3] = [
    Task {
        name: "adding",
        measure: "mean squared error (always saying 1: 0.167)",
        higher: false,
        solved: 0.01,
        problem: |lag| Box::new(AddingProblem { steps: lag }),
    },
    Task {
        name: "temporal order",
        measure: "share of right answers (guessing: 0.25)",
        higher: true,
        solved: 0.95,
        problem: |lag| Box::new(OrderProblem { steps: lag }),
    },
    Task {
        name: "copy",
        measure: "share of right symbols (guessing: 0.125)",
        higher: true,
        solved: 0.95,
        problem: |lag| Box::new(CopyProblem { pause: lag }),
    },
];

/// One of each kind of memory.
const CELLS: [CellKind; 11] = [
    CellKind::RnnTanh,
    CellKind::RnnRelu,
    CellKind::Lstm,
    CellKind::LstmPeephole,
    CellKind::LstmCoupled,
    CellKind::LstmCoupledPeephole,
    CellKind::Gru,
    CellKind::GruResetBefore,
    CellKind::IndRnn,
    CellKind::Slstm,
    CellKind::SlstmExponential,
];

fn subjects() -> Vec<Subject> {
    let subject = |kind: CellKind| Subject::new(kind.name(), Recurrent::new(kind, HIDDEN));
    CELLS.map(subject).to_vec()
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let training = Training {
        updates: options.updates(1500),
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
            &format!("one layer of {HIDDEN} units"),
        ),
        ..Outcome::default()
    };
    for task in &TASKS {
        let problems: Vec<Box<dyn Problem>> = LAGS.iter().map(|lag| (task.problem)(*lag)).collect();
        // One rate for all lags of a cell, chosen where some already fail.
        let chosen = choose_rates(&*problems[1], &subjects, training, (&RATES, task.higher))?;
        let of = |at: usize| subjects.iter().zip(&chosen).map(move |pair| (at, pair));
        let cases: Vec<Case<'_>> = (0..LAGS.len())
            .flat_map(of)
            .map(|(at, (subject, chosen))| Case {
                problem: &*problems[at],
                about: format!("{}, lag {}", task.name, LAGS[at]),
                subject: subject.clone(),
                rate: chosen.rate,
            })
            .collect();
        let scores = scores(&cases, training, options)?;
        let of_subject = |s: usize| -> Vec<Vec<f64>> {
            (0..LAGS.len()).map(|at| scores[at * subjects.len() + s].clone()).collect()
        };
        let curves: Vec<Curve> = subjects
            .iter()
            .enumerate()
            .map(|(s, subject)| Curve {
                name: subject.name.clone(),
                points: std::iter::zip(LAGS, of_subject(s))
                    .map(|(lag, seeds)| Point::of(lag as f64, &seeds))
                    .collect(),
            })
            .collect();
        outcome.findings.push(finding(task, &curves));
        let columns = LAGS.map(|lag| format!("lag {lag}"));
        let rows =
            subjects.iter().enumerate().map(|(s, subject)| (subject.name.clone(), of_subject(s)));
        outcome.tables.push(table(
            &format!("{}: {}", task.name, task.measure),
            "cell",
            &columns,
            rows,
        ));
        outcome.figures.push(Figure {
            title: task.name.to_owned(),
            caption: "Lines are medians over the seeds, bars the lowest and the highest."
                .to_owned(),
            x: Axis::logarithmic("steps"),
            y: if task.higher {
                Axis::linear(task.measure)
            } else {
                Axis::logarithmic(task.measure)
            },
            curves,
            level: None,
        });
    }
    Ok(outcome)
}

/// The longest lag at which each cell solves the task in the median of the seeds.
fn finding(task: &Task, curves: &[Curve]) -> String {
    let solves = |point: &&Point| {
        if task.higher { point.median >= task.solved } else { point.median <= task.solved }
    };
    let longest = |curve: &Curve| {
        let solved = curve.points.iter().take_while(solves).last();
        match solved {
            Some(point) => format!("{} up to {}", curve.name, point.x),
            None => format!("{} at none", curve.name),
        }
    };
    let all: Vec<String> = curves.iter().map(longest).collect();
    let sign = if task.higher { "at least" } else { "at most" };
    format!("{}, solved ({sign} {}) at every lag: {}.", task.name, task.solved, all.join("; "))
}
