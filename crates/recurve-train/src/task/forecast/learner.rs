//! Forecasts: windows in, a horizon out, measured in the units of the file.

use super::report::{BaselineReport, ForecastReport, Prediction, TargetReport};
use crate::baseline::Naive;
use crate::config::Config;
use crate::data::{DataPlan, Part, Position, Series, shuffled};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets};
use crate::metrics::{Scores, mae, mase_scale};
use crate::task::ahead::Ahead;
use crate::task::{Evaluation, Learned, Learner, Reader, refused, stack};
use recurve_nn::profile::span;
use recurve_nn::{Batch, Description, Input, Mode, Network, Noise};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Windows that go through the model at once where no gradient is needed.
const AT_ONCE: usize = 256;

/// Numbers in a batch from which on preparing it is worth a thread. Fewer are there in less time than
/// it takes to hand them over.
const WORTH_A_THREAD: usize = 1 << 16;

/// A table that trains a model.
pub(crate) struct ForecastLearner {
    source: Arc<Source>,
    /// The batches, where preparing one takes long enough for a thread of its own.
    ahead: Option<Ahead<Windows>>,
    loss: Loss,
    validation: Vec<usize>,
    /// For each target, what its error is divided by in the metric.
    scales: Vec<f64>,
    metric: &'static str,
}

/// What batches of windows are made from.
struct Source {
    series: Series,
    view: View,
    seed: u64,
    batch: usize,
    train: Vec<usize>,
    /// An epoch and the order of its windows.
    order: Mutex<Option<(u64, Vec<usize>)>>,
}

/// A batch of windows with their targets.
struct Windows {
    count: usize,
    /// `[T,B,I]`
    x: Vec<f32>,
    /// `[B, horizon * targets]`
    y: Vec<f32>,
}

impl Source {
    fn batches(&self) -> usize {
        self.train.len().div_ceil(self.batch)
    }

    fn prepare(&self, at: Position) -> Windows {
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let order = kept.take().filter(|(epoch, _)| *epoch == at.epoch);
        let order =
            order.unwrap_or_else(|| (at.epoch, shuffled(self.seed, at.epoch, self.train.len())));
        let (_, order) = &*kept.insert(order);
        let first = at.batch as usize * self.batch;
        let chosen = &order[first..(first + self.batch).min(order.len())];
        let origins: Vec<usize> = chosen.iter().map(|&index| self.train[index]).collect();
        let plan = self.series.plan();
        let (x, anchors) = self.view.windows(&self.series, &origins);
        let mut y = self.series.targets(&origins);
        let (targets, width) = (plan.targets.len(), plan.outputs());
        for (at, value) in y.iter_mut().enumerate() {
            *value -= anchors[at / width * targets + at % width % targets];
        }
        Windows { count: origins.len(), x, y }
    }
}

/// How windows are shown to a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Relative to the targets of the last row of the window.
    pub(crate) relative: bool,
}

impl View {
    pub(crate) fn of(config: &Config) -> Self {
        Self { relative: config.model.relative == Some(true) }
    }

    /// The windows before some origins, `[T,B,I]`, and what was taken from the targets, `[B,targets]`.
    fn windows(self, series: &Series, origins: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let plan = series.plan();
        let (channels, targets) = (plan.channels(), plan.targets.len());
        let mut x = series.inputs(origins);
        let mut anchors = vec![0.0; origins.len() * targets];
        if self.relative {
            let width = origins.len() * channels;
            let last = x[x.len() - width..].to_vec();
            for (row, values) in last.chunks_exact(channels).enumerate() {
                anchors[row * targets..][..targets].copy_from_slice(&values[..targets]);
            }
            for step in x.chunks_exact_mut(width) {
                for (values, anchor) in
                    step.chunks_exact_mut(channels).zip(anchors.chunks_exact(targets))
                {
                    for (value, anchor) in values.iter_mut().zip(anchor) {
                        *value -= anchor;
                    }
                }
            }
        }
        (x, anchors)
    }

    /// What the model emits for some origins, in scaled units: `[B, horizon * targets]`.
    pub(crate) fn emit(
        self,
        network: &mut Network<f32>,
        series: &Series,
        origins: &[usize],
    ) -> Result<Vec<f32>> {
        let plan = series.plan();
        let mut emitted = Vec::with_capacity(origins.len() * plan.outputs());
        for origins in origins.chunks(AT_ONCE) {
            let (x, anchors) = self.windows(series, origins);
            let batch = Batch::new(plan.input, origins.len(), Input::Values(&x));
            let outputs = network.forward(&batch, None, Mode::Infer).map_err(refused)?;
            emitted.extend(with_anchors(plan, outputs, &anchors));
        }
        Ok(emitted)
    }

    /// Forecasts from some origins in the units of the file: `[origins][horizon * targets]`.
    pub(crate) fn forecast(
        self,
        network: &mut Network<f32>,
        series: &Series,
        origins: &[usize],
    ) -> Result<Vec<Vec<f64>>> {
        let emitted = self.emit(network, series, origins)?;
        let rows = emitted.chunks_exact(series.plan().outputs());
        let restored = origins.iter().zip(rows);
        restored.map(|(&origin, emitted)| series.restore(origin, emitted)).collect()
    }

    /// Measures the model on the rows of a range, each forecast once, from origins a horizon apart;
    /// the last forecast ends with the range.
    pub(crate) fn evaluate(
        self,
        network: &mut Network<f32>,
        series: &Series,
        (part, rows): (&'static str, Range<usize>),
    ) -> Result<ForecastReport> {
        let plan = series.plan();
        let horizon = plan.horizon;
        let first = rows.start.max(plan.rows_needed());
        let room = rows.end.saturating_sub(first);
        if room < horizon {
            return Err(Error::usage(format!(
                "{room} rows can be forecast, fewer than the horizon of {horizon}; give more rows"
            )));
        }
        let origins: Vec<usize> = (first + room % horizon..rows.end).step_by(horizon).collect();
        let forecasts = self.forecast(network, series, &origins)?;
        let mut report = ForecastReport {
            part: part.to_owned(),
            horizon,
            origins: origins.len(),
            first_time: time(series, origins[0]),
            last_time: time(series, rows.end - 1),
            targets: Vec::new(),
            skills: Vec::new(),
            predictions: Vec::new(),
        };
        for target in 0..plan.targets.len() {
            let own = forecasts
                .iter()
                .flat_map(|forecast| forecast.iter().skip(target).step_by(plan.targets.len()));
            let own: Vec<f64> = own.copied().collect();
            report.add(measure(series, target, &origins, &own));
        }
        report.finish();
        Ok(report)
    }
}

/// One target at all origins: its scores, those of the naive forecasts, and every prediction.
fn measure(
    series: &Series,
    target: usize,
    origins: &[usize],
    forecast: &[f64],
) -> (TargetReport, Vec<Prediction>) {
    let plan = series.plan();
    let (values, horizon) = (series.values(target), plan.horizon);
    let train = &values[..plan.split.train.min(values.len())];
    let scale = mase_scale(train, plan.season);
    let actual: Vec<f64> = origins
        .iter()
        .flat_map(|&origin| values[origin..origin + horizon].iter().copied())
        .collect();
    let mut baselines = Vec::new();
    let mut columns = Vec::new();
    for naive in Naive::all(train, plan.season) {
        if let Some(column) = naive.rolling(values, origins, horizon) {
            baselines.push(BaselineReport {
                name: naive.name().to_owned(),
                scores: Scores::new(&column, &actual, scale),
            });
            columns.push(column);
        }
    }
    let name = &plan.targets[target].column;
    let predictions = (0..forecast.len()).map(|at| {
        let origin = origins[at / horizon];
        Prediction {
            target: name.clone(),
            origin: time(series, origin),
            time: time(series, origin + at % horizon),
            step: at % horizon + 1,
            actual: actual[at],
            forecast: forecast[at],
            baselines: columns.iter().map(|column| column[at]).collect(),
        }
    });
    let predictions = predictions.collect();
    let model = Scores::new(forecast, &actual, scale);
    (TargetReport::new(name, model, baselines), predictions)
}

/// The part that measures a model.
pub(super) fn held_out(plan: &DataPlan) -> Part {
    match (plan.split.test, plan.split.validation) {
        (0, 0) => Part::Train,
        (0, _) => Part::Validation,
        _ => Part::Test,
    }
}

/// The time of a row in words.
pub(crate) fn time(series: &Series, row: usize) -> String {
    series.time(row).unwrap_or_else(|| format!("row {}", row + 1))
}

fn with_anchors<'a>(
    plan: &DataPlan,
    outputs: &'a [f32],
    anchors: &'a [f32],
) -> impl Iterator<Item = f32> + use<'a> {
    let (targets, width) = (plan.targets.len(), plan.outputs());
    outputs.iter().enumerate().map(move |(at, value)| {
        let (row, target) = (at / width, at % width % targets);
        value + anchors[row * targets + target]
    })
}

impl ForecastLearner {
    /// A series that trains by a configuration.
    pub(crate) fn new(series: Series, config: &Config) -> Result<Self> {
        let plan = series.plan();
        let train = series.origins(Part::Train, 1);
        if train.is_empty() {
            return Err(Error::usage(
                "the training part holds no window with its targets; give more rows or make input \
                 or horizon smaller",
            ));
        }
        let scales: Vec<Option<f64>> = (0..plan.targets.len())
            .map(|target| mase_scale(&series.values(target)[..plan.split.train], plan.season))
            .collect();
        let all: Option<Vec<f64>> = scales.iter().copied().collect();
        let batch = config.train.batch.min(train.len());
        let long = batch * plan.input * plan.channels() >= WORTH_A_THREAD;
        let (validation, targets) = (series.origins(Part::Validation, 1), plan.targets.len());
        let (view, seed, order) = (View::of(config), config.train.seed, Mutex::new(None));
        let source = Arc::new(Source { series, view, seed, batch, train, order });
        let own = Arc::clone(&source);
        Ok(Self {
            ahead: long.then(|| Ahead::new(move |at| Ok(own.prepare(at)))),
            source,
            loss: config.loss,
            validation,
            metric: if all.is_some() { "MASE" } else { "MAE" },
            scales: all.unwrap_or_else(|| vec![1.0; targets]),
        })
    }
}

impl Learner for ForecastLearner {
    fn description(&self, config: &Config) -> Description {
        let plan = self.source.series.plan();
        stack(config, Description::values(plan.channels())).linear(plan.outputs())
    }

    fn reader(&self) -> Reader {
        Reader::Table(self.source.series.plan().clone())
    }

    fn batches(&self) -> usize {
        self.source.batches()
    }

    fn rows(&self, config: &Config) -> usize {
        config.train.batch * self.source.series.plan().input
    }

    fn unit(&self) -> &'static str {
        "windows"
    }

    fn members(&self) -> &'static str {
        "windows"
    }

    fn metric(&self) -> &'static str {
        if self.validation.is_empty() { "training loss" } else { self.metric }
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
        let plan = self.source.series.plan();
        let batch = Batch::new(plan.input, windows.count, Input::Values(&windows.x));
        let (shape, targets) = ((windows.count, plan.outputs()), Targets::Values(&windows.y));
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, None)?;
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
        let Source { view, series, .. } = &*self.source;
        let forecasts = view.forecast(network, series, &self.validation)?.concat();
        let actual: Vec<f64> =
            self.validation.iter().flat_map(|&origin| series.actual(origin)).collect();
        let targets = self.scales.len();
        let own = |values: &[f64], target: usize| -> Vec<f64> {
            values.iter().skip(target).step_by(targets).copied().collect()
        };
        let errors =
            self.scales.iter().enumerate().map(|(target, scale)| {
                mae(&own(&forecasts, target), &own(&actual, target)) / scale
            });
        Ok(Some(errors.sum::<f64>() / targets as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let Source { view, series, .. } = &*self.source;
        let part = held_out(series.plan());
        let rows = series.plan().split.range(part, series.rows());
        let report = view.evaluate(network, series, (part.name(), rows))?;
        Ok(Evaluation::Forecast(report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::data::Table;
    use crate::model_file::engine;
    use crate::task::{DataConfig, Task};
    use recurve_nn::Model;

    const ROWS: usize = 60;

    fn value(row: usize, column: usize) -> f64 {
        let row = row as f64;
        [row.sin() + 3.0, 2.0 + (row * 0.7).cos(), 5.0 * (row * 0.3).sin()][column]
    }

    /// Two targets and a covariate, with a model whose weights are all zero.
    fn zero_model(relative: bool) -> (ForecastLearner, Network<f32>) {
        let row = |r| format!("{},{},{}\n", value(r, 0), value(r, 1), value(r, 2));
        let text = "a,b,c\n".to_owned() + &(0..ROWS).map(row).collect::<String>();
        let table = Table::parse("t.csv", &text).unwrap();
        let mut settings = Settings::default();
        for set in [
            "data.targets=[\"b\", \"a\"]",
            "data.covariates=c",
            "data.log=false",
            "data.difference=false",
            "data.seasonal_difference=false",
            "data.horizon=3",
            "data.input=4",
            "data.season=1",
            "data.test=10",
            "data.validation=9",
        ] {
            settings.set(set).unwrap();
        }
        settings.set(&format!("model.relative={relative}")).unwrap();
        let config = Config::complete(Task::Forecast, &settings).unwrap();
        let DataConfig::Forecast(options) = &config.data else { panic!("the task is to forecast") };
        let plan = DataPlan::new(&table, options).unwrap();
        let series = Series::new(&table, &plan).unwrap();
        let learner = ForecastLearner::new(series, &config).unwrap();
        let model = Model::<f32>::new(learner.description(&config)).unwrap();
        let mut network = Network::new(model.description(), engine(1).unwrap()).unwrap();
        network.load(model.values(), true);
        (learner, network)
    }

    #[test]
    fn a_model_that_says_nothing_repeats_the_last_row_where_it_is_relative() {
        let (learner, mut network) = zero_model(true);
        let origins = [4, 20, ROWS];
        let made =
            learner.source.view.forecast(&mut network, &learner.source.series, &origins).unwrap();
        for (forecast, origin) in made.iter().zip(origins) {
            for (at, value_made) in forecast.iter().enumerate() {
                let last = value(origin - 1, [1, 0][at % 2]);
                assert!((value_made - last).abs() < 1e-6, "{origin} {value_made} {last}");
            }
        }
        // Else it says the mean of the training part.
        let (learner, mut network) = zero_model(false);
        let made =
            learner.source.view.forecast(&mut network, &learner.source.series, &origins).unwrap();
        let train = learner.source.series.plan().split.train;
        for (at, value_made) in made.concat().iter().enumerate() {
            let mean = (0..train).map(|row| value(row, [1, 0][at % 2])).sum::<f64>() / train as f64;
            assert!((value_made - mean).abs() < 1e-6, "{value_made} {mean}");
        }
    }

    #[test]
    fn the_validation_metric_and_the_report_by_hand() {
        let (mut learner, mut network) = zero_model(true);
        // Origins 41 to 47: the last row again, for 3 rows each.
        let naive_error = |origins: &[usize], column: usize| {
            let error = |origin: usize| {
                (0..3).map(move |step| {
                    (value(origin + step, column) - value(origin - 1, column)).abs()
                })
            };
            let errors: Vec<f64> = origins.iter().flat_map(|origin| error(*origin)).collect();
            errors.iter().sum::<f64>() / errors.len() as f64
        };
        let scale = |column: usize| {
            let steps = (1..41).map(|row| (value(row, column) - value(row - 1, column)).abs());
            steps.sum::<f64>() / 40.0
        };
        let origins: Vec<usize> = (41..=47).collect();
        let expected =
            (naive_error(&origins, 0) / scale(0) + naive_error(&origins, 1) / scale(1)) / 2.0;
        let found = learner.validate(&mut network).unwrap().unwrap();
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        assert_eq!(learner.metric(), "MASE");

        // The test part has 10 rows: the first is no whole horizon and is left out.
        let Evaluation::Forecast(report) = learner.evaluate(&mut network).unwrap() else {
            panic!("a table is forecast")
        };
        assert_eq!((report.origins, report.first_time.as_str()), (3, "52"));
        let target = &report.targets[1];
        assert_eq!(target.target, "a");
        let expected = naive_error(&[51, 54, 57], 0);
        assert!((target.model.mae - expected).abs() < 1e-6);
        let naive = &target.baselines[0];
        assert_eq!(naive.name, "naive");
        assert!((naive.scores.mae - expected).abs() < 1e-12);
        assert!(report.skill("naive").unwrap().abs() < 1e-6);
        assert_eq!(report.predictions.len(), 2 * 9);
        let last = &report.predictions[17];
        assert_eq!((last.step, last.time.as_str(), last.origin.as_str()), (3, "60", "58"));
        assert!((last.actual - value(59, 0)).abs() < 1e-12);
    }

    #[test]
    fn an_epoch_meets_every_window_once() {
        // Relative targets of a zero model: the loss of all batches is the mean square of the
        // scaled changes, whatever the order.
        let (mut learner, mut network) = zero_model(true);
        let model = Model::<f32>::new(network.description().clone()).unwrap();
        let mut gradients = vec![0.0; model.values().len()];
        let (mut sum, mut count, mut units) = (0.0, 0.0, 0);
        for batch in 0..learner.batches() as u64 {
            let at = Position { epoch: 3, batch };
            let noise = Noise { seed: 1, step: batch };
            let learned = learner.learn(&mut network, at, noise, &mut gradients).unwrap();
            sum += learned.loss.mean * learned.loss.count;
            count += learned.loss.count;
            units += learned.units;
        }
        let series = &learner.source.series;
        let scaled = |row: usize, target: usize| {
            let scaler = series.plan().targets[target].scaler;
            scaler.apply(series.values(target)[row])
        };
        let mut expected = Vec::new();
        for &origin in &learner.source.train {
            for (step, target) in (0..3).flat_map(|step| [(step, 0), (step, 1)]) {
                let change = scaled(origin + step, target) - scaled(origin - 1, target);
                expected.push(change * change);
            }
        }
        let mean = expected.iter().sum::<f64>() / expected.len() as f64;
        assert_eq!(units, learner.source.train.len());
        assert!((sum / count - mean).abs() < 1e-5, "{} {mean}", sum / count);
    }
}
