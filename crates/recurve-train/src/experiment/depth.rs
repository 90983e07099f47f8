//! Are several layers better than one of the same number of weights?

use super::learner::{Subject, Training, choose_rates};
use super::outcome::{Axis, Curve, Figure, Outcome, Point};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads, description};
use super::study::{Case, scores, table};
use super::{Options, percent, settings};
use crate::error::{Error, Result};
use crate::generate::Brackets;
use recurve_nn::{CellKind, Model, Recurrent};

const STEPS: usize = 60;
const KINDS: usize = 4;
const DEEPEST: [usize; 3] = [4, 8, 12];
const LAYERS: [usize; 4] = [1, 2, 3, 4];
/// Weights that every network has, as nearly as whole units allow.
const WEIGHTS: usize = 20_000;
const RATES: [f64; 3] = [1e-3, 3e-3, 1e-2];

/// The kind of the bracket that closes next.
struct Nested {
    deepest: usize,
}

impl Problem for Nested {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: 2 * KINDS, embedding: 8 }
    }
    fn outputs(&self) -> usize {
        KINDS
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let task = Brackets { kinds: KINDS, deepest: self.deepest, steps: STEPS, seed };
        let made = task.batch(first, count);
        Made {
            steps: STEPS,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: None,
            y: MadeAnswers::Classes(made.y),
        }
    }
}

/// The subject of `layers` layers whose number of weights is nearest to [`WEIGHTS`], and that number.
fn subject(problem: &dyn Problem, layers: usize) -> Result<(Subject, usize)> {
    let weights = |hidden: usize| -> Result<usize> {
        let stack = Recurrent::new(CellKind::Lstm, hidden).layers(layers);
        let model = Model::<f32>::new(description(problem, &[stack]));
        Ok(model.map_err(|error| Error::usage(error.to_string()))?.values().len())
    };
    let mut hidden = 1;
    while weights(hidden + 1)? <= WEIGHTS {
        hidden += 1;
    }
    let (below, above) = (weights(hidden)?, weights(hidden + 1)?);
    let (hidden, weights) =
        if WEIGHTS - below < above - WEIGHTS { (hidden, below) } else { (hidden + 1, above) };
    let s = if layers == 1 { "" } else { "s" };
    let name = format!("{layers} layer{s} of {hidden}");
    Ok((Subject::new(name, Recurrent::new(CellKind::Lstm, hidden).layers(layers)), weights))
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let training = Training {
        updates: options.updates(2000),
        batch: 32,
        rate: 0.0,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let problems = DEEPEST.map(|deepest| Nested { deepest });
    let sized = LAYERS.map(|layers| subject(&problems[0], layers));
    let sized = sized.into_iter().collect::<Result<Vec<_>>>()?;
    let subjects: Vec<Subject> = sized.iter().map(|(subject, _)| subject.clone()).collect();
    let chosen = choose_rates(&problems[1], &subjects, training, (&RATES, true))?;
    let mut cases = vec![];
    for problem in &problems {
        for (subject, chosen) in subjects.iter().zip(&chosen) {
            let about = format!("brackets {} deep", problem.deepest);
            cases.push(Case { problem, about, subject: subject.clone(), rate: chosen.rate });
        }
    }
    let scores = scores(&cases, training, options)?;
    let at = |depth: usize, layers: usize| &scores[depth * LAYERS.len() + layers];
    let curves: Vec<Curve> = (0..DEEPEST.len())
        .map(|depth| Curve {
            name: format!("at most {} open", DEEPEST[depth]),
            points: (0..LAYERS.len())
                .map(|layers| Point::of(LAYERS[layers] as f64, at(depth, layers)))
                .collect(),
        })
        .collect();
    let columns = DEEPEST.map(|deepest| format!("{deepest} deep"));
    let rows = sized.iter().enumerate().map(|(layers, (subject, weights))| {
        let name = format!("{} ({weights} weights)", subject.name);
        (name, (0..DEEPEST.len()).map(|depth| at(depth, layers).clone()).collect())
    });
    let title = "Share of closing brackets known before they come";
    Ok(Outcome {
        findings: curves.iter().map(finding).collect(),
        conditions: settings(
            training,
            options.seeds().len(),
            &format!("LSTM layers with {WEIGHTS} weights in all, {KINDS} kinds of brackets"),
        ),
        tables: vec![table(title, "network", &columns, rows)],
        figures: vec![Figure {
            title: title.to_owned(),
            caption: format!(
                "Guessing has {}. Lines are medians over the seeds, bars the lowest and the highest.",
                1.0 / KINDS as f64
            ),
            x: Axis::linear("layers"),
            y: Axis::linear("share of right answers"),
            curves,
            level: None,
        }],
    })
}

/// Whether the best depth is told apart from one layer by more than the seeds differ.
fn finding(curve: &Curve) -> String {
    let Some(one) = curve.points.first() else {
        return String::new();
    };
    let best =
        curve.points.iter().fold(one, |best, p| if p.median > best.median { p } else { best });
    let told = |word: &str| {
        format!(
            "Brackets {}: {} layers have {} right, one layer {}: {word}.",
            curve.name,
            best.x,
            percent(best.median),
            percent(one.median)
        )
    };
    if best.x == one.x {
        return format!(
            "Brackets {}: one layer is the best, {} right; more layers of the same weights do not help.",
            curve.name,
            percent(one.median)
        );
    }
    if best.low > one.high {
        told("more than the seeds differ")
    } else {
        told("within what the seeds differ")
    }
}
