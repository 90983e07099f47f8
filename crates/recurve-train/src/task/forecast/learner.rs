//! The side that training sees: batches of windows, a gradient for each, a metric.

use super::evaluate::{self, Ask, How};
use super::view::{Origin, View, Wanted};
use crate::config::Config;
use crate::data::{Decoding, Panel, Part, Position, shuffled};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets};
use crate::metrics::{crps, mase_scale};
use crate::task::ahead::Ahead;
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use recurve_nn::profile::span;
use recurve_nn::{Batch, Description, Input, Network, Noise};
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers in a batch from which on preparing it is worth a thread. Fewer are there in less time than
/// it takes to hand them over.
const WORTH_A_THREAD: usize = 1 << 16;

/// Windows of the validation part that are measured after an epoch; of more, as many evenly.
const VALIDATED: usize = 4096;

/// A table that trains a model.
pub(crate) struct ForecastLearner {
    source: Arc<Source>,
    /// The batches, where preparing one takes long enough for a thread of its own.
    ahead: Option<Ahead<Windows>>,
    loss: Loss,
    validation: Vec<Origin>,
    /// For each series and target, what its error is divided by in the metric.
    scales: Vec<Vec<f64>>,
    metric: &'static str,
}

/// What batches of windows are made from.
pub(super) struct Source {
    pub(super) panel: Panel,
    pub(super) view: View,
    seed: u64,
    batch: usize,
    train: Vec<Origin>,
    /// An epoch and the order of its windows.
    order: Mutex<Option<(u64, Vec<usize>)>>,
}

/// A batch of windows with what they are to give.
struct Windows {
    count: usize,
    steps: usize,
    /// `[T,B,I]`
    x: Vec<f32>,
    wanted: Wanted,
}

impl Source {
    fn batches(&self) -> usize {
        self.train.len().div_ceil(self.batch)
    }

    /// Steps of a window and what a model goes on through.
    fn steps(&self) -> usize {
        let plan = self.panel.plan();
        match plan.decoding {
            Decoding::Direct => plan.input / plan.patch,
            Decoding::Steps => (plan.input + plan.horizon) / plan.patch,
            Decoding::Recursive => plan.input + plan.horizon - 1,
        }
    }

    fn prepare(&self, at: Position) -> Windows {
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let order = kept.take().filter(|(epoch, _)| *epoch == at.epoch);
        let order =
            order.unwrap_or_else(|| (at.epoch, shuffled(self.seed, at.epoch, self.train.len())));
        let (_, order) = &*kept.insert(order);
        let first = at.batch as usize * self.batch;
        let chosen = &order[first..(first + self.batch).min(order.len())];
        let origins: Vec<Origin> = chosen.iter().map(|&index| self.train[index]).collect();
        let steps = self.steps();
        let shown = self.view.windows(&self.panel, &origins, steps);
        let wanted = self.view.wanted(&self.panel, &origins, &shown);
        Windows { count: origins.len(), steps, x: shown.x, wanted }
    }
}

/// The part that measures a model.
pub(super) fn held_out(panel: &Panel) -> Part {
    let any = |rows: fn(&crate::data::Split) -> usize| {
        panel.series().iter().any(|series| rows(&series.plan().split) > 0)
    };
    match (any(|split| split.test), any(|split| split.validation)) {
        (false, false) => Part::Train,
        (false, true) => Part::Validation,
        _ => Part::Test,
    }
}

/// At most so many origins, evenly over all.
pub(super) fn thinned(origins: Vec<Origin>, most: usize) -> Vec<Origin> {
    if origins.len() <= most {
        return origins;
    }
    (0..most).map(|at| origins[at * origins.len() / most]).collect()
}

impl ForecastLearner {
    /// Series that train by a configuration.
    pub(crate) fn new(panel: Panel, config: &Config) -> Result<Self> {
        let plan = panel.plan();
        let view = View::of(config);
        view.check(plan)?;
        let train = panel.origins(Part::Train, 1);
        if train.is_empty() {
            return Err(Error::usage(
                "the training part holds no window with its targets; give more rows or make input \
                 or horizon smaller",
            ));
        }
        let scales = panel.series().iter().map(|series| {
            let of = |target| {
                let training = &series.values(target)[..series.plan().split.train];
                mase_scale(training, plan.season)
            };
            (0..plan.targets.len()).map(of).collect::<Vec<Option<f64>>>()
        });
        let scales: Vec<Vec<Option<f64>>> = scales.collect();
        // A series that repeats itself has no scale; where that is the only one, errors are measured as
        // they are.
        let some = scales.iter().flatten().any(Option::is_some);
        let all = scales.iter().flatten().all(Option::is_some);
        let scaled = if panel.series().len() == 1 { all } else { some };
        let scales = scales.into_iter().map(|own| {
            let of = |scale: Option<f64>| match (scaled, scale) {
                (true, Some(scale)) => scale,
                (true, None) => f64::INFINITY,
                (false, _) => 1.0,
            };
            own.into_iter().map(of).collect()
        });
        let batch = config.train.batch.min(train.len());
        let metric = match (scaled, view.head().levels().is_empty()) {
            (true, true) => "MASE",
            (true, false) => "scaled CRPS",
            (false, true) => "MAE",
            (false, false) => "CRPS",
        };
        let scales = scales.collect();
        let long = batch * plan.input * plan.channels() >= WORTH_A_THREAD;
        let validation = thinned(panel.origins(Part::Validation, 1), VALIDATED);
        let (seed, order) = (config.train.seed, Mutex::new(None));
        let source = Arc::new(Source { panel, view, seed, batch, train, order });
        let own = Arc::clone(&source);
        Ok(Self {
            ahead: long.then(|| Ahead::new(move |at| Ok(own.prepare(at)))),
            source,
            loss: config.loss,
            validation,
            metric,
            scales,
        })
    }
}

impl Learner for ForecastLearner {
    fn description(&self, config: &Config) -> Description {
        let plan = self.source.panel.plan();
        let outputs = match plan.decoding {
            Decoding::Direct => plan.outputs(),
            Decoding::Steps => plan.patch * plan.targets.len(),
            Decoding::Recursive => plan.targets.len(),
        };
        let below = Description::values(plan.channels());
        stack(config, below).linear(outputs * self.source.view.head().parameters())
    }

    fn reader(&self) -> Reader {
        Reader::Table(self.source.panel.plan().clone())
    }

    fn batches(&self) -> usize {
        self.source.batches()
    }

    fn rows(&self, config: &Config) -> usize {
        config.train.batch * self.source.steps()
    }

    fn names(&self) -> Names {
        Names { unit: "windows", members: "windows", metric: self.metric }
    }

    fn validates(&self) -> bool {
        !self.validation.is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let mut next = at;
        next.advance(self.source.batches());
        let windows = {
            let _span = span("data");
            match &mut self.ahead {
                Some(ahead) => ahead.take(at, next)?,
                None => self.source.prepare(at),
            }
        };
        let batch = Batch::new(windows.steps, windows.count, Input::Values(&windows.x));
        let Wanted { y, scales, weights } = &windows.wanted;
        let targets = match scales {
            Some(scales) => Targets::Scaled(y, scales),
            None => Targets::Values(y),
        };
        let width = network.output_width();
        let rows = y.len() * self.source.view.head().parameters() / width;
        let mut loss =
            self.loss.piecewise(network.engine(), (rows, width), targets, weights.as_deref())?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: windows.count })
    }

    fn rest(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.rest();
        }
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if self.validation.is_empty() {
            return Ok(None);
        }
        let Source { view, panel, .. } = &*self.source;
        let levels = view.head().levels();
        let targets = panel.plan().targets.len();
        let (mut sum, mut count) = (vec![0.0; targets], vec![0_usize; targets]);
        for origins in self.validation.chunks(512) {
            let outlooks = view.forecast(network, panel, origins)?;
            for (&(which, origin), outlook) in origins.iter().zip(&outlooks) {
                let series = &panel.series()[which];
                for (value, actual) in series.actual(origin).into_iter().enumerate() {
                    let (step, target) = (value / targets, value % targets);
                    if !series.is_there(origin + step, target) {
                        continue;
                    }
                    let error = match outlook.quantiles.chunks_exact(levels.len().max(1)).nth(value)
                    {
                        Some(quantiles) if !levels.is_empty() => crps(levels, quantiles, actual),
                        _ => (outlook.values[value] - actual).abs(),
                    };
                    sum[target] += error / self.scales[which][target];
                    count[target] += 1;
                }
            }
        }
        let means = sum.iter().zip(count).map(|(sum, count)| sum / count.max(1) as f64);
        Ok(Some(means.sum::<f64>() / targets as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let Source { view, panel, .. } = &*self.source;
        let mut ask: Box<Ask<'_>> = Box::new(|origins| view.forecast(network, panel, origins));
        let how = How::of(panel, view.head().levels());
        let part = held_out(panel);
        let calibration = match part {
            Part::Test => evaluate::calibrate(panel, &how, &mut ask)?,
            _ => None,
        };
        let how = How { calibration, ..how };
        Ok(Evaluation::Forecast(evaluate::evaluate(panel, part, &how, &mut ask)?))
    }
}

#[cfg(test)]
mod tests;
