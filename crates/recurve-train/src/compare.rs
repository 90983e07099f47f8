//! Architectures side by side: the same data, settings and number of weights, and what came of each.
//!
//! The task, the batches, the loss and the optimiser are those of a training with these settings; only
//! what stands between the input and the output is another. The LSTM of the settings, or one a little
//! larger or smaller, says how many weights there are; every other model gets the width with which it
//! comes closest ([`sizes`]). A temporal convolutional network has as many blocks as it takes to see a
//! whole sequence of the data, and a Transformer as much context.
//!
//! What this cannot say: the settings are the same for all, and each architecture may have others that
//! suit it better. Run with several seeds, the spread tells which differences mean something.

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::task::Evaluation;
use crate::trainer::{Event, Outcome, Trainer};
use recurve_nn::{
    Bias, CellKind, Description, Engine, Entries, InputKind, Layer, Memory, Model, Recurrent,
    Session, State, Tcn, Transformer,
};
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What a model is made of between its input and its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Cell(CellKind),
    /// A memory that is a matrix.
    Matrix,
    Convolutions,
    Attention,
}

/// The architectures, by name. The LSTM says how many weights all have.
const CONTENDERS: [(&str, Body); 7] = [
    ("RNN", Body::Cell(CellKind::RnnTanh)),
    ("GRU", Body::Cell(CellKind::Gru)),
    ("LSTM", Body::Cell(CellKind::Lstm)),
    ("xLSTM (sLSTM)", Body::Cell(CellKind::Slstm)),
    ("xLSTM (mLSTM)", Body::Matrix),
    ("TCN", Body::Convolutions),
    ("Transformer", Body::Attention),
];

/// The share by which numbers of weights may differ, where there is a choice.
const CLOSE: f64 = 0.02;
/// Heads of a Transformer, and of an mLSTM where that comes close enough.
const HEADS: usize = 4;
/// Taps of a convolution, the most usual first.
const KERNELS: [usize; 6] = [3, 2, 4, 5, 6, 7];
/// How long the time of one step is measured.
const MEASURED: Duration = Duration::from_millis(100);

/// A model that takes part, with its size.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// Its size in words.
    pub shape: String,
    /// Its weights.
    pub parameters: usize,
    description: Description,
}

/// What came of one architecture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its size in words.
    pub shape: String,
    /// Its weights.
    pub parameters: usize,
    /// The metric on the validation part, lower is better: of each seed, sorted.
    pub validation: Vec<f64>,
    /// What is said of the held-out part, of the seed in the middle.
    pub headline: String,
    /// The same in full.
    pub evaluation: Evaluation,
    /// Seconds of training, the mean over the seeds.
    pub seconds: f64,
    /// Epochs of training, the mean over the seeds.
    pub epochs: f64,
    /// Microseconds of one step of one stream, on one thread; none where it cannot run step by step.
    pub step_microseconds: Option<f64>,
    /// Why there is no time of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_step: Option<String>,
    /// Bytes of its weights.
    pub weight_bytes: u64,
    /// Bytes that one stream carries from step to step.
    pub state_bytes: u64,
    /// Bytes that a batch of training holds, about.
    pub training_bytes: u64,
}

impl Row {
    /// The validation metric of the seed in the middle.
    pub fn middle(&self) -> f64 {
        self.validation[(self.validation.len() - 1) / 2]
    }
}

/// All architectures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What was trained for.
    pub task: crate::task::Task,
    /// The name of the validation metric.
    pub metric: String,
    /// Seeds of each.
    pub seeds: u64,
    /// The most steps that a sequence has.
    pub steps: usize,
    /// One for each.
    pub rows: Vec<Row>,
    /// What to know of it, in sentences.
    pub notes: Vec<String>,
}

/// What is going on.
#[derive(Debug)]
pub enum Stage<'a> {
    /// The next training, of `of`.
    Begins {
        /// Its number, from 1.
        run: usize,
        /// How many there are.
        of: usize,
        /// Who trains.
        contender: &'a Contender,
        /// With which seed.
        seed: u64,
    },
    /// What training tells.
    Trains(Event<'a>),
    /// The end of a training.
    Ends,
}

/// Trains every architecture on `data`, each with `seeds` seeds from that of the settings on. Their run
/// folders are made in `folder`; none where `stop` was set.
///
/// # Errors
/// The data or a setting is wrong, or a training failed; the message names it.
pub fn compare(
    data: &Path,
    settings: &Settings,
    (seeds, folder): (u64, &Path),
    observe: &mut dyn FnMut(Stage<'_>),
    stop: &AtomicBool,
) -> Result<Option<Comparison>> {
    let trainer = Trainer::prepare(data, settings)?;
    let (config, steps) = (trainer.config().clone(), trainer.longest());
    if config.model.tied == Some(true) {
        return Err(Error::usage(
            "model.tied makes the last layer as wide as the vectors of the tokens, and layers of equally many \
             weights have other widths; compare without it",
        ));
    }
    let contenders = sizes(trainer.description(), steps, config.model.dropout)?;
    let mut notes = trainer.notes().to_vec();
    notes.extend(remarks(&contenders, trainer.description()));
    drop(trainer);
    let of = contenders.len() * seeds as usize;
    let (mut rows, mut metric) = (Vec::new(), String::new());
    for (at, contender) in contenders.iter().enumerate() {
        let (mut runs, mut seconds, mut epochs) = (Vec::new(), 0.0, 0.0);
        let mut last = None;
        for seed in (config.train.seed..).take(seeds as usize) {
            let run = at * seeds as usize + runs.len() + 1;
            observe(Stage::Begins { run, of, contender, seed });
            let mut settings = settings.clone();
            settings.set(&format!("train.seed={seed}"))?;
            let mut trainer = Trainer::prepare(data, &settings)?;
            trainer.reshape(contender.description.clone())?;
            let run = RunFolder::create(folder, &trainer.name())?;
            let begun = Instant::now();
            let outcome = trainer.train(&run, &mut |event| observe(Stage::Trains(event)), stop);
            let outcome = outcome.map_err(|error| error.context(contender.name))?;
            let Outcome::Finished(report) = outcome else { return Ok(None) };
            observe(Stage::Ends);
            seconds += begun.elapsed().as_secs_f64();
            epochs += report.epochs as f64;
            metric.clone_from(&report.metric);
            runs.push((report.validation, report.evaluation));
            last = Some(trainer);
        }
        let Some(trainer) = last else {
            return Err(Error::usage("0 seeds; a comparison needs at least 1"));
        };
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let validation = runs.iter().map(|(validation, _)| *validation).collect();
        let (_, evaluation) = runs.swap_remove((runs.len() - 1) / 2);
        let step = step_time(trainer.model(), trainer.engine());
        let state = State::<f32>::zero(&contender.description, 1);
        let values = state.parts().iter().map(|part| part.h.len() + part.c.len());
        let bytes = size_of::<f32>() as u64;
        rows.push(Row {
            name: contender.name,
            shape: contender.shape.clone(),
            parameters: contender.parameters,
            validation,
            headline: evaluation.report().headline(),
            evaluation,
            seconds: seconds / seeds as f64,
            epochs: epochs / seeds as f64,
            step_microseconds: step.as_ref().ok().copied(),
            no_step: step.err(),
            weight_bytes: contender.parameters as u64 * bytes,
            state_bytes: values.sum::<usize>() as u64 * bytes,
            training_bytes: Memory::Full
                .bytes(&contender.description, trainer.batch_rows())
                .map_err(unsound)?,
        });
    }
    Ok(Some(Comparison { task: config.task(), metric, seeds, steps, rows, notes }))
}

fn unsound(error: recurve_nn::Error) -> Error {
    Error::usage(error.to_string())
}

/// What a reader of the table should know of its rows.
fn remarks(contenders: &[Contender], description: &Description) -> Vec<String> {
    let mut notes = Vec::new();
    let (most, least) = contenders.iter().fold((0, usize::MAX), |(most, least), contender| {
        (most.max(contender.parameters), least.min(contender.parameters))
    });
    if (most - least) as f64 > CLOSE * 2.0 * least as f64 {
        notes.push(format!(
            "the models have {least} to {most} weights: so small, they do not come closer; a larger \
             model.hidden does"
        ));
    }
    if let Some(stack) = description.stacks().next() {
        let plain = Recurrent {
            layers: stack.layers,
            dropout: stack.dropout,
            bias: stack.bias,
            ..Recurrent::new(stack.cell, stack.hidden)
        };
        if *stack != plain {
            notes.push(
                "settings of recurrent layers (directions, connections, dropout of weights, …) are \
                 those of the RNN, GRU, LSTM and xLSTM only"
                    .to_owned(),
            );
        }
    }
    notes
}

/// The models of all architectures with nearly as many weights as the LSTM of `description`, or as one a
/// little larger or smaller, if then all come closer. `steps` is the longest sequence.
///
/// # Errors
/// The description has no recurrent layer to replace, or is not sound.
pub fn sizes(description: &Description, steps: usize, dropout: f64) -> Result<Vec<Contender>> {
    let Some(stack) = description.stacks().next() else {
        return Err(Error::usage("the model has no recurrent layer to compare with others"));
    };
    let own = stack.hidden;
    let mut widths: Vec<usize> = (own - own / 5..=own + own / 5).collect();
    widths.sort_by_key(|width| width.abs_diff(own));
    let mut best: Option<(f64, Vec<Contender>)> = None;
    for width in widths.into_iter().filter(|width| *width > 0) {
        let target = count(&with_cell(description, CellKind::Lstm, width))?;
        let all = CONTENDERS
            .iter()
            .map(|(name, body)| contender(description, (name, *body), target, (steps, dropout)));
        let all = all.collect::<Result<Vec<_>>>()?;
        let far = |c: &Contender| (c.parameters as f64 / target as f64 - 1.0).abs();
        let farthest = all.iter().map(far).fold(0.0, f64::max);
        if best.as_ref().is_none_or(|(least, _)| farthest < *least) {
            best = Some((farthest, all));
        }
        if farthest <= CLOSE {
            break;
        }
    }
    best.map(|(_, all)| all).ok_or_else(|| Error::usage("model.hidden must be at least 1, not 0"))
}

fn count(description: &Description) -> Result<usize> {
    Entries::of(description).map(|entries| entries.len()).map_err(unsound)
}

/// One architecture with as nearly `target` weights as it can have.
fn contender(
    base: &Description,
    (name, body): (&'static str, Body),
    target: usize,
    (steps, dropout): (usize, f64),
) -> Result<Contender> {
    let layers = base.stacks().next().map_or(1, |stack| stack.layers);
    let causal = base.stacks().next().is_none_or(|stack| !stack.bidirectional);
    let far = |d: &Description| count(d).map(|count| count.abs_diff(target));
    let (shape, description) = match body {
        Body::Cell(kind) => {
            let hidden = nearest(target, |width| with_cell(base, kind, width))?;
            (format!("{layers} x {hidden}"), with_cell(base, kind, hidden))
        }
        Body::Matrix => {
            // Its keys and queries are projections of the input, so it is taken to as many values as there are
            // units first, as it is for a Transformer.
            let with = |heads: usize, part: usize| {
                let width = heads * part;
                let stack = Recurrent { heads, ..stack_of(base, CellKind::Mlstm, width) };
                with_layers(base, vec![Layer::Linear { outputs: width }, Layer::Recurrent(stack)])
            };
            let mut best: Option<(usize, String, Description)> = None;
            for heads in [HEADS, HEADS / 2, 1] {
                let part = nearest(target, |part| with(heads, part))?;
                let (description, far) = (with(heads, part), far(&with(heads, part))?);
                if best.as_ref().is_none_or(|(least, ..)| far < *least) {
                    let s = if heads == 1 { "" } else { "s" };
                    let shape = format!("{layers} x {}, {heads} head{s}", heads * part);
                    best = Some((far, shape, description));
                }
                if far as f64 <= CLOSE * target as f64 {
                    break;
                }
            }
            best.map(|(_, shape, description)| (shape, description))
                .ok_or_else(|| Error::failed("no number of heads was tried"))?
        }
        Body::Convolutions => {
            let mut best: Option<(usize, String, Description)> = None;
            for kernel in KERNELS {
                let one = Tcn { kernel, dropout, ..Tcn::new(1, 1) };
                let blocks =
                    (1..=10).find(|blocks| Tcn { blocks: *blocks, ..one.clone() }.sight() >= steps);
                let blocks = blocks.unwrap_or(10);
                let with = |channels| {
                    let tcn = Tcn { channels, blocks, ..one.clone() };
                    with_layers(base, vec![Layer::Tcn(tcn)])
                };
                let channels = nearest(target, with)?;
                let (description, far) = (with(channels), far(&with(channels))?);
                if best.as_ref().is_none_or(|(least, ..)| far < *least) {
                    let shape = format!("{blocks} x {channels}, {kernel} taps");
                    best = Some((far, shape, description));
                }
                if far as f64 <= CLOSE * target as f64 {
                    break;
                }
            }
            best.map(|(_, shape, description)| (shape, description))
                .ok_or_else(|| Error::failed("no convolution was tried"))?
        }
        Body::Attention => {
            let with = |width: usize, feed_forward: usize| {
                let context = if causal { steps.max(2) } else { 0 };
                let transformer = Transformer {
                    causal,
                    context,
                    dropout,
                    ..Transformer::encoder(layers, HEADS, feed_forward)
                };
                let linear = Layer::Linear { outputs: width };
                with_layers(base, vec![linear, Layer::Transformer(transformer)])
            };
            // The usual four times as wide inside; then what is missing is made up there.
            let heads = nearest(target, |n| with(n * HEADS, 4 * n * HEADS))?;
            let mut best: Option<(usize, usize, usize)> = None;
            for heads in [heads, heads.saturating_sub(1).max(1)] {
                let width = heads * HEADS;
                let inner = nearest(target, |inner| with(width, inner))?;
                let far = far(&with(width, inner))?;
                if best.is_none_or(|(least, ..)| far < least) {
                    best = Some((far, width, inner));
                }
            }
            let (_, width, inner) = best.ok_or_else(|| Error::failed("no width was tried"))?;
            (format!("{layers} x {width}, {HEADS} heads, {inner} inside"), with(width, inner))
        }
    };
    Ok(Contender { name, shape, parameters: count(&description)?, description })
}

/// The size from 1 on whose number of weights, which grows with it, is nearest to `target`.
fn nearest(target: usize, with: impl Fn(usize) -> Description) -> Result<usize> {
    let (mut low, mut high) = (1, 2);
    while count(&with(high))? < target {
        (low, high) = (high, 2 * high);
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if count(&with(middle))? < target { low = middle } else { high = middle }
    }
    let far = |size| count(&with(size)).map(|count| count.abs_diff(target));
    Ok(if far(low)? <= far(high)? { low } else { high })
}

/// The same model with another cell in its first stack.
fn with_cell(base: &Description, cell: CellKind, hidden: usize) -> Description {
    with_layers(base, vec![Layer::Recurrent(stack_of(base, cell, hidden))])
}

/// The first stack with another cell.
fn stack_of(base: &Description, cell: CellKind, hidden: usize) -> Recurrent {
    let stack = base.stacks().next().cloned().unwrap_or_else(|| Recurrent::new(cell, hidden));
    let bias = match (cell, stack.bias) {
        (_, Bias::None) => Bias::None,
        (CellKind::Gru, _) => Bias::Two,
        _ => Bias::One,
    };
    let weight_dropout = if cell.recurrent_gates() == 0 { 0.0 } else { stack.weight_dropout };
    Recurrent { cell, hidden, bias, weight_dropout, ..stack }
}

/// The same model with other layers in place of its first stack.
fn with_layers(base: &Description, layers: Vec<Layer>) -> Description {
    let mut new = base.clone();
    if let Some(at) = new.layers.iter().position(|layer| matches!(layer, Layer::Recurrent(_))) {
        new.layers.splice(at..=at, layers);
    }
    new
}

/// Microseconds of one step of one stream on one thread, the median; or why there is none.
fn step_time(model: &Model<f32>, engine: Engine) -> std::result::Result<f64, String> {
    let engine = engine.with_threads(1);
    let mut session = Session::new(model, engine, 1).map_err(|error| error.to_string())?;
    let values = match model.description().input {
        InputKind::Values { width } => vec![0.5; width],
        _ => vec![],
    };
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < 20 || begun.elapsed() < MEASURED {
        let step = Instant::now();
        let y = match values.is_empty() {
            true => session.step_tokens(&[0]),
            false => session.step(&values),
        };
        std::hint::black_box(y);
        times.push(step.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recurve_nn::Pooling;

    #[test]
    fn all_have_nearly_as_many_weights() {
        let recurrent = |hidden, layers| Recurrent::new(CellKind::Lstm, hidden).layers(layers);
        let cases = [
            Description::values(12).recurrent(recurrent(64, 1)).pool(Pooling::Last).linear(9),
            Description::values(1).recurrent(recurrent(40, 2)).pool(Pooling::Mean).linear(24),
            Description::tokens(80).embedding(64).recurrent(recurrent(128, 2)).linear(80),
            Description::values(5).recurrent(recurrent(50, 1).bidirectional()).linear(3),
        ];
        for description in cases {
            for steps in [10, 29, 100, 400] {
                let all = sizes(&description, steps, 0.1).unwrap();
                assert_eq!(all.len(), CONTENDERS.len());
                let lstm = all.iter().find(|c| c.name == "LSTM").unwrap().parameters as f64;
                for contender in &all {
                    let far = (contender.parameters as f64 / lstm - 1.0).abs();
                    assert!(far <= CLOSE, "{steps} {contender:?}: {far}");
                    assert_eq!(contender.parameters, count(&contender.description).unwrap());
                }
            }
        }
    }
}
