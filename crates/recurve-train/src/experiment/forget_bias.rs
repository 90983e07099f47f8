//! Why does an LSTM start with an open forget gate?

use super::learner::{Subject, Training, choose_rates};
use super::outcome::{Axis, Curve, Figure, Outcome, Point};
use super::problem::Problem;
use super::study::{Case, scores, table};
use super::tasks::AddingProblem;
use super::{Options, score_text, settings};
use crate::config::InitialiseConfig;
use crate::error::Result;
use recurve_nn::{CellKind, Recurrent};

const HIDDEN: usize = 48;
const BIASES: [f64; 6] = [-2.0, 0.0, 1.0, 2.0, 3.0, 5.0];
const LAGS: [usize; 3] = [50, 100, 200];
const RATES: [f64; 3] = [3e-3, 1e-2, 3e-2];

fn subject(bias: f64) -> Subject {
    Subject {
        start: InitialiseConfig { forget_bias: bias, ..InitialiseConfig::default() },
        ..Subject::new(format!("bias {bias}"), Recurrent::new(CellKind::Lstm, HIDDEN))
    }
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let training = Training {
        updates: options.updates(1000),
        batch: 32,
        rate: 0.0,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let subjects = BIASES.map(subject);
    let problems = LAGS.map(|steps| AddingProblem { steps });
    let chosen = choose_rates(&problems[0], &subjects, training, (&RATES, false))?;
    let mut cases = vec![];
    for problem in &problems {
        for (subject, chosen) in subjects.iter().zip(&chosen) {
            let problem: &dyn Problem = problem;
            let about = "adding".to_owned();
            cases.push(Case { problem, about, subject: subject.clone(), rate: chosen.rate });
        }
    }
    let scores = scores(&cases, training, options)?;
    let at = |lag: usize, bias: usize| &scores[lag * BIASES.len() + bias];
    let curves: Vec<Curve> = (0..LAGS.len())
        .map(|lag| Curve {
            name: format!("{} steps", LAGS[lag]),
            points: (0..BIASES.len()).map(|bias| Point::of(BIASES[bias], at(lag, bias))).collect(),
        })
        .collect();
    let finding = |curve: &Curve| {
        let of = |bias: f64| curve.points.iter().find(|point| point.x == bias);
        let text = |bias| of(bias).map_or_else(String::new, |point| score_text(point.median));
        let best = curve.points.iter().min_by(|a, b| a.median.total_cmp(&b.median));
        format!(
            "Adding over {}: mean squared error {} with bias 0, {} with the usual 1; the best bias is {}.",
            curve.name,
            text(0.0),
            text(1.0),
            best.map_or(f64::NAN, |point| point.x),
        )
    };
    let columns = LAGS.map(|lag| format!("{lag} steps"));
    let rows = (0..BIASES.len()).map(|bias| {
        (subjects[bias].name.clone(), (0..LAGS.len()).map(|lag| at(lag, bias).clone()).collect())
    });
    let title = "Mean squared error of adding against the forget bias";
    Ok(Outcome {
        findings: curves.iter().map(finding).collect(),
        conditions: settings(training, options.seeds().len(), &format!("one LSTM layer of {HIDDEN} units")),
        tables: vec![table(title, "start", &columns, rows)],
        figures: vec![Figure {
            title: title.to_owned(),
            caption: "Always saying 1 has 0.167. With bias b the gate starts at σ(b): 0.12, 0.5, 0.73, 0.88, 0.95, 0.993."
                .to_owned(),
            x: Axis::linear("bias of the forget gate at the start"),
            y: Axis::logarithmic("mean squared error"),
            curves,
            level: None,
        }],
    })
}
