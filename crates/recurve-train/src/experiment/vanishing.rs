//! How much of an error is left after many steps back, and what becomes of too much?
//!
//! Measured is the influence of a state on a later output: `v·h` at the last step, for a random direction
//! `v` of length 1, is differentiated by the states (`h`, and `c` where there is one) some steps before. The
//! norm of that gradient, the root of its mean square over sequences, is what a weight used then would hear.

use super::learner::{MEASURING, Subject, Training, engine, side_by_side, train};
use super::outcome::{Axis, Curve, Figure, Outcome, Point};
use super::problem::{MadeInput, Problem, description};
use super::study::table;
use super::tasks::AddingProblem;
use super::{Options, score_text, settings};
use crate::config::InitialiseConfig;
use crate::error::{Error, Result};
use crate::initialise::generator;
use rand_distr::{Distribution, StandardNormal};
use recurve_nn::{
    Batch, CellKind, Description, Input, Layer, Mode, Model, Network, Noise, Recurrent, Role, State,
};

const HIDDEN: usize = 64;
const INPUT: usize = 16;
/// Sequences over which is averaged.
const SEQUENCES: usize = 16;
/// Steps before the measured ones, so that the states are such as occur.
const BEFORE: usize = 30;
const LAGS: [usize; 10] = [1, 2, 3, 5, 10, 20, 30, 50, 75, 100];
const LONGEST: usize = LAGS[LAGS.len() - 1];
/// The task of the trained networks, of as many steps as the longest lag.
const ADDING: AddingProblem = AddingProblem { steps: BEFORE + LONGEST };
/// Weights so large that gradients would explode but for the flat ends of tanh.
const LARGE: f64 = 1.5;

fn named(name: &str, kind: CellKind) -> Subject {
    Subject::new(name, Recurrent::new(kind, HIDDEN))
}

fn plain(radius: f64) -> Subject {
    Subject { radius, ..named(&format!("tanh, radius {radius}"), CellKind::RnnTanh) }
}

fn rectified(radius: f64) -> Subject {
    Subject { radius, ..named(&format!("max(x, 0), radius {radius}"), CellKind::RnnRelu) }
}

fn biased(bias: f64) -> Subject {
    let start = InitialiseConfig { forget_bias: bias, ..InitialiseConfig::default() };
    Subject { start, ..named(&format!("LSTM, forget bias {bias}"), CellKind::Lstm) }
}

/// Networks before training: plain ones with different weights, and gated ones.
fn starts() -> [(&'static str, Vec<Subject>); 2] {
    [
        (
            "Plain networks before training",
            [0.9, 1.0, 1.2, LARGE]
                .map(plain)
                .into_iter()
                .chain([1.0, LARGE, 2.0].map(rectified))
                .collect(),
        ),
        (
            "Cells before training",
            vec![
                named("RNN", CellKind::RnnTanh),
                biased(0.0),
                biased(1.0),
                biased(3.0),
                named("GRU", CellKind::Gru),
            ],
        ),
    ]
}

/// The norm at every lag. `x [T, B, I]` with `T = BEFORE + LONGEST` steps.
fn influence(stack: &Model<f32>, x: &[f32], seed: u64) -> Result<Vec<f64>> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let mut network = Network::new(stack.description(), engine()?).map_err(refused)?;
    network.load(stack.values(), true);
    let mut rng = generator(seed, "direction");
    let mut direction: Vec<f32> = (0..HIDDEN).map(|_| StandardNormal.sample(&mut rng)).collect();
    let length = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
    direction.iter_mut().for_each(|v| *v /= length);
    let width = x.len() / ((BEFORE + LONGEST) * SEQUENCES);
    let mut gradients = vec![0.0; stack.values().len()];
    let mut norms = vec![];
    for lag in LAGS {
        let mut state = State::zero(stack.description(), SEQUENCES);
        let before = BEFORE + LONGEST - lag;
        let (first, last) = x.split_at(before * SEQUENCES * width);
        let batch = Batch::new(before, SEQUENCES, Input::Values(first));
        network.forward(&batch, Some(&mut state), Mode::Infer).map_err(refused)?;
        let batch = Batch::new(lag, SEQUENCES, Input::Values(last));
        let noise = Mode::Train(Noise { seed, step: 0 });
        let rows = network.forward(&batch, Some(&mut state), noise).map_err(refused)?.len();
        let mut d_output = vec![0.0; rows];
        for row in d_output[rows - SEQUENCES * HIDDEN..].chunks_exact_mut(HIDDEN) {
            row.copy_from_slice(&direction);
        }
        let mut d_state = State::zero(stack.description(), SEQUENCES);
        network.backward(&d_output, &mut gradients, Some(&mut d_state)).map_err(refused)?;
        let squares = d_state.parts().iter().flat_map(|part| part.h.iter().chain(&part.c));
        let sum: f64 = squares.map(|d| f64::from(*d).powi(2)).sum();
        norms.push((sum / SEQUENCES as f64).sqrt());
    }
    Ok(norms)
}

/// The recurrent stack of a model alone, with the same weights.
fn stack_of(model: &Model<f32>) -> Result<Model<f32>> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let description = model.description();
    let layers = description.layers.iter().filter(|layer| matches!(layer, Layer::Recurrent(_)));
    let alone = Description { input: description.input, layers: layers.cloned().collect() };
    let mut stack = Model::<f32>::new(alone).map_err(refused)?;
    let recurrent = model.entries().iter().filter(|entry| {
        !matches!(entry.role, Role::LinearWeights | Role::LinearBias | Role::Embedding)
    });
    let weights: Vec<f32> =
        recurrent.flat_map(|entry| &model.values()[entry.range.clone()]).copied().collect();
    stack.values_mut().copy_from_slice(&weights);
    Ok(stack)
}

/// `[T, B, 2]` of the adding problem.
fn adding_inputs() -> Vec<f32> {
    match ADDING.make(MEASURING, 0, SEQUENCES).x {
        MadeInput::Values(x) => x,
        MadeInput::Tokens(_) => vec![],
    }
}

fn curve(name: String, of_seeds: &[Vec<f64>]) -> Curve {
    let at = |lag: usize| of_seeds.iter().map(|norms| norms[lag]).collect::<Vec<_>>();
    let points = (0..LAGS.len()).map(|lag| Point::of(LAGS[lag] as f64, &at(lag)));
    Curve { name, points: points.collect() }
}

fn figure(title: &str, curves: Vec<Curve>) -> Figure {
    Figure {
        title: title.to_owned(),
        caption: "Lines are medians over the seeds, bars the lowest and the highest. A norm of 1 at every \
                  lag would be an error that arrives as it was sent."
            .to_owned(),
        x: Axis::linear("steps back"),
        y: Axis::logarithmic("norm of the gradient"),
        curves,
        level: None,
    }
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let seeds = options.seeds();
    let mut figures = vec![];
    for (title, subjects) in starts() {
        let curves = subjects.iter().map(|subject| {
            let norms = seeds.iter().map(|seed| {
                let stack = subject.stacks[0].clone();
                let model = subject.model(Description::values(INPUT).recurrent(stack), *seed)?;
                let mut rng = generator(*seed, "inputs");
                let inputs = (BEFORE + LONGEST) * SEQUENCES * INPUT;
                let x: Vec<f32> = (0..inputs).map(|_| StandardNormal.sample(&mut rng)).collect();
                influence(&model, &x, *seed)
            });
            Ok(curve(subject.name.clone(), &norms.collect::<Result<Vec<_>>>()?))
        });
        figures.push(figure(title, curves.collect::<Result<Vec<_>>>()?));
    }
    let training = Training {
        updates: options.updates(1500),
        batch: 32,
        rate: 3e-3,
        clip: Some(1.0),
        seed: 0,
        measures: 0,
    };
    let (trained, errors) = after_training(training, options)?;
    let mut findings: Vec<String> = figures.iter().flat_map(|f| &f.curves).map(finding).collect();
    findings.extend(trained.iter().map(finding));
    figures.push(figure("Trained on adding, 130 steps", trained));
    let (clipped, exploding) = clipping(training, options)?;
    findings.push(clipped);
    Ok(Outcome {
        findings,
        conditions: settings(training, seeds.len(), &format!("one layer of {HIDDEN} units")),
        figures,
        tables: vec![errors, exploding],
    })
}

/// The same norms after training on the adding problem, and how well it is solved then.
fn after_training(
    training: Training,
    options: &Options<'_>,
) -> Result<(Vec<Curve>, super::outcome::Table)> {
    let subjects = [
        named("RNN", CellKind::RnnTanh),
        named("LSTM", CellKind::Lstm),
        named("GRU", CellKind::Gru),
    ];
    let seeds = options.seeds();
    let jobs: Vec<(&Subject, u64)> =
        subjects.iter().flat_map(|s| seeds.iter().map(move |seed| (s, *seed))).collect();
    let runs = side_by_side(&jobs, |(subject, seed)| {
        let trained = train(&ADDING, subject, Training { seed: *seed, ..training })?;
        let stack = stack_of(&trained.model)?;
        let start = subject.model(description(&ADDING, &subject.stacks), *seed)?;
        let x = adding_inputs();
        let norms = [influence(&stack_of(&start)?, &x, *seed)?, influence(&stack, &x, *seed)?];
        let (name, score) = (&subject.name, trained.score());
        (options.watch)(&format!("adding: {name}, seed {seed}: {}", score_text(score)));
        Ok((norms, score))
    })?;
    let of = |at: usize| &runs[at * seeds.len()..(at + 1) * seeds.len()];
    let curves = (0..subjects.len()).flat_map(|at| {
        let name = &subjects[at].name;
        let norms = |when: usize| of(at).iter().map(|run| run.0[when].clone()).collect::<Vec<_>>();
        [curve(format!("{name} before"), &norms(0)), curve(format!("{name} trained"), &norms(1))]
    });
    let rows = (0..subjects.len()).map(|at| {
        (subjects[at].name.clone(), vec![of(at).iter().map(|run| run.1).collect::<Vec<f64>>()])
    });
    let columns = ["mean squared error (always saying 1: 0.167)".to_owned()];
    Ok((curves.collect(), table("Adding over 130 steps", "cell", &columns, rows)))
}

/// What clipping does where weights are too large.
fn clipping(training: Training, options: &Options<'_>) -> Result<(String, super::outcome::Table)> {
    let task = AddingProblem { steps: 50 };
    let subject = rectified(LARGE);
    let clips = [Some(1.0), None];
    let seeds = options.seeds();
    let jobs: Vec<(Option<f64>, u64)> =
        clips.iter().flat_map(|clip| seeds.iter().map(move |seed| (*clip, *seed))).collect();
    let runs = side_by_side(&jobs, |(clip, seed)| {
        let trained = train(&task, &subject, Training { seed: *seed, clip: *clip, ..training })?;
        let largest = trained.norms.iter().copied().fold(0.0, f64::max);
        let mut sorted = trained.norms.clone();
        sorted.sort_by(f64::total_cmp);
        Ok([largest / sorted[sorted.len() / 2], largest, trained.score()])
    })?;
    let cells = |at: usize| -> Vec<Vec<f64>> {
        let of = &runs[at * seeds.len()..(at + 1) * seeds.len()];
        (0..3).map(|k| of.iter().map(|run| run[k]).collect()).collect()
    };
    let median = |at: usize, k: usize| Point::of(0.0, &cells(at)[k]).median;
    let columns = ["largest norm over the median", "largest norm", "mean squared error"];
    let rows = ["clipped to 1", "not clipped"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| (name.to_owned(), cells(at)));
    let title = format!("Adding over 50 steps, max(x, 0) and radius {LARGE}");
    let text = format!(
        "Too large weights: the largest gradient of a training is {} times the middle one. With clipping the \
         error ends at {}, without at {}.",
        score_text(median(1, 0)),
        score_text(median(0, 2)),
        score_text(median(1, 2)),
    );
    Ok((text, table(&title, "gradients", &columns.map(str::to_owned), rows)))
}

fn finding(curve: &Curve) -> String {
    let at = |lag: usize| {
        let point = curve.points.iter().find(|point| point.x == lag as f64);
        point.map_or(f64::NAN, |point| point.median)
    };
    format!(
        "{}: of the gradient one step back, {} is left 10 steps back and {} 100 steps back.",
        curve.name,
        score_text(at(10) / at(1)),
        score_text(at(100) / at(1))
    )
}
