//! How windows are shown to a model, and what its outputs mean in the units of the file.
//!
//! A window may be shown relative to its end, and by its own spread, so that a model learns shapes that
//! hold at any level; what it gives is put back the same way. With `relative = n`, the forecast of a row is
//! the change from the value `n` rows before it (or a multiple of `n`, where that is not known yet), and the
//! window is shown less the mean of its last `n` rows: 1 is the last value, 24 the same hour of the last
//! day.
//!
//! Three ways lead from a window to a horizon ([`Decoding`]): at once, through the horizon with what is
//! known of it, or row by row on the model's own forecasts. The last of a distribution goes many paths,
//! drawn at random by the seed, and tells their quantiles.

use super::head::{Head, of_samples};
use crate::config::Config;
use crate::data::{Decoding, Panel, Series, mean_and_deviation};
use crate::error::{Error, Result};
use crate::task::refused;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use recurve_nn::{Batch, Input, Mode, Network, State};

/// Windows that go through the model at once where no gradient is needed.
const AT_ONCE: usize = 256;

/// The least spread that a window is divided by, in scaled units.
const LEAST_SPREAD: f64 = 0.05;

/// A series of a panel, and the row of the first value to forecast.
pub(crate) type Origin = (usize, usize);

/// How windows are shown to a model.
#[derive(Clone, Debug)]
pub(crate) struct View {
    relative: usize,
    rescale: bool,
    head: Head,
    paths: usize,
    seed: u64,
}

/// Windows as the model sees them.
pub(crate) struct Shown {
    /// `[T,B,I]`
    pub(crate) x: Vec<f32>,
    /// What is taken from the targets of the window, `[B,targets]`.
    levels: Vec<f32>,
    /// What each value of the horizon is relative to, `[B, horizon * targets]`.
    anchors: Vec<f32>,
    /// What both are divided by, `[B,targets]`.
    spreads: Vec<f32>,
}

/// What a model says of a horizon, in the units of the file.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    /// `[horizon, targets]`
    pub(crate) values: Vec<f64>,
    /// `[horizon, targets, levels]`, rising; empty where the model gives numbers alone.
    pub(crate) quantiles: Vec<f64>,
}

/// What a batch of windows is to give.
pub(crate) struct Wanted {
    /// `[rows, values]`, NaN where nothing was measured.
    pub(crate) y: Vec<f32>,
    /// What counts were divided by, as `y`.
    pub(crate) scales: Option<Vec<f32>>,
    /// How much each row counts; all the same if absent.
    pub(crate) weights: Option<Vec<f32>>,
}

impl View {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            relative: config.model.relative.unwrap_or(0),
            rescale: config.model.rescale == Some(true),
            head: Head::of(&config.loss),
            paths: config.model.paths.unwrap_or(100),
            seed: config.train.seed,
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The windows before some origins, `steps` of them from the first on.
    pub(crate) fn windows(&self, panel: &Panel, origins: &[Origin], steps: usize) -> Shown {
        let plan = panel.plan();
        let (channels, targets) = (plan.channels(), plan.targets.len());
        let width = channels / plan.patch;
        let mut shown = Shown {
            x: Vec::with_capacity(steps * origins.len() * channels),
            levels: vec![0.0; origins.len() * targets],
            anchors: vec![0.0; origins.len() * plan.outputs()],
            spreads: vec![1.0; origins.len() * targets],
        };
        for (at, &(series, origin)) in origins.iter().enumerate() {
            self.measure(&panel.series()[series], origin, at, &mut shown);
        }
        for step in 0..steps {
            for &(series, origin) in origins {
                panel.series()[series].write_step(origin, step, &mut shown.x);
            }
        }
        if self.relative == 0 && !self.rescale {
            return shown;
        }
        let ahead = plan.decoding == Decoding::Steps;
        for (at, row) in shown.x.chunks_exact_mut(width).enumerate() {
            let (step, rest) = (at / plan.patch / origins.len(), at / plan.patch % origins.len());
            let back = step * plan.patch + at % plan.patch;
            if ahead && back >= plan.input {
                continue;
            }
            for (target, value) in row[..targets].iter_mut().enumerate() {
                let own = rest * targets + target;
                *value = (*value - shown.levels[own]) / shown.spreads[own];
            }
        }
        shown
    }

    /// Level, anchors and spread of one window.
    fn measure(&self, series: &Series, origin: usize, at: usize, shown: &mut Shown) {
        let plan = series.plan();
        let (targets, outputs, lag) = (plan.targets.len(), plan.outputs(), self.relative);
        for target in 0..targets {
            let scaled = |row: usize| series.scaled_targets(row)[target];
            if lag > 0 {
                let sum: f32 = (origin - lag..origin).map(scaled).sum();
                let level = sum / lag as f32;
                shown.levels[at * targets + target] = level;
                for step in 0..plan.horizon {
                    let anchor = match plan.decoding {
                        Decoding::Recursive => level,
                        _ => scaled(origin - lag + step % lag),
                    };
                    shown.anchors[at * outputs + step * targets + target] = anchor;
                }
            }
            if self.rescale {
                let window: Vec<f64> =
                    (origin - plan.input..origin).map(|row| f64::from(scaled(row))).collect();
                let spread = mean_and_deviation(&window).1.max(LEAST_SPREAD);
                shown.spreads[at * targets + target] = spread as f32;
            }
        }
    }

    /// What a model is to give for some origins.
    pub(crate) fn wanted(&self, panel: &Panel, origins: &[Origin], shown: &Shown) -> Wanted {
        let plan = panel.plan();
        let targets = plan.targets.len();
        let first = match plan.decoding {
            Decoding::Recursive => plan.input - 1,
            _ => 0,
        };
        let rows = first + plan.horizon;
        let size = origins.len() * rows * targets;
        let (mut y, mut scales) = (vec![0.0; size], vec![1.0; size]);
        let mut missing = false;
        for (at, &(which, origin)) in origins.iter().enumerate() {
            let series = &panel.series()[which];
            for row in 0..rows {
                // Rows of one step lie side by side, steps of a batch time-major.
                let place = match plan.decoding {
                    Decoding::Direct => at * rows + row,
                    _ => (row / plan.patch * origins.len() + at) * plan.patch + row % plan.patch,
                };
                let source = origin + row - first;
                for target in 0..targets {
                    let own = at * targets + target;
                    let anchor = match row.checked_sub(first) {
                        Some(step) => shown.anchors[at * plan.outputs() + step * targets + target],
                        None => shown.levels[own],
                    };
                    let value = series.scaled_targets(source)[target];
                    let there = series.is_there(source, target);
                    missing |= !there;
                    y[place * targets + target] =
                        if there { (value - anchor) / shown.spreads[own] } else { f32::NAN };
                    scales[place * targets + target] =
                        series.plan().targets[target].scaler.scale as f32;
                }
            }
        }
        let values = match plan.decoding {
            Decoding::Direct => rows * targets,
            _ => plan.patch * targets,
        };
        let mut weights = None;
        if missing {
            let share = |row: &[f32]| {
                row.iter().filter(|value| !value.is_nan()).count() as f32 / values as f32
            };
            weights = Some(y.chunks_exact(values).map(share).collect::<Vec<f32>>());
        }
        if plan.decoding == Decoding::Steps {
            // The steps of the window give nothing that is measured.
            let before = plan.input / plan.patch * origins.len();
            let counted = weights.unwrap_or_else(|| vec![1.0; y.len() / values]);
            let pad = |with: f32, list: &[f32]| [&vec![with; before * values][..], list].concat();
            (y, scales) = (pad(0.0, &y), pad(1.0, &scales));
            weights = Some([&vec![0.0; before][..], &counted].concat());
        }
        let scales = self.head.is_counts().then_some(scales);
        Wanted { y, scales, weights }
    }

    /// Forecasts from some origins.
    pub(crate) fn forecast(
        &self,
        network: &mut Network<f32>,
        panel: &Panel,
        origins: &[Origin],
    ) -> Result<Vec<Outlook>> {
        let mut all = Vec::with_capacity(origins.len());
        let recursive = panel.plan().decoding == Decoding::Recursive;
        let paths = if recursive && !self.head.levels().is_empty() { self.paths } else { 1 };
        for origins in origins.chunks((AT_ONCE * paths.min(8) / paths).max(1)) {
            if recursive {
                self.walk(network, panel, (origins, paths), &mut all)?;
            } else {
                self.direct(network, panel, origins, &mut all)?;
            }
        }
        Ok(all)
    }

    fn direct(
        &self,
        network: &mut Network<f32>,
        panel: &Panel,
        origins: &[Origin],
        all: &mut Vec<Outlook>,
    ) -> Result<()> {
        let (plan, parameters) = (panel.plan(), self.head.parameters());
        let steps = panel.series()[0].steps();
        let shown = self.windows(panel, origins, steps);
        let batch = Batch::new(steps, origins.len(), Input::Values(&shown.x));
        let outputs = network.forward(&batch, None, Mode::Infer).map_err(refused)?;
        let width = plan.outputs() * parameters;
        let mut own = vec![0.0; width];
        for (at, &origin) in origins.iter().enumerate() {
            match plan.decoding {
                Decoding::Steps => {
                    // The last rows are those of the horizon, time-major.
                    let each = plan.patch * plan.targets.len() * parameters;
                    let first = outputs.len() - origins.len() * width;
                    for (step, room) in own.chunks_exact_mut(each).enumerate() {
                        let place = first + (step * origins.len() + at) * each;
                        room.copy_from_slice(&outputs[place..][..each]);
                    }
                }
                _ => own.copy_from_slice(&outputs[at * width..][..width]),
            }
            all.push(self.read(panel, origin, (&shown, at), &own)?);
        }
        Ok(())
    }

    /// One window's outputs `[horizon, targets, parameters]` in the units of the file.
    fn read(
        &self,
        panel: &Panel,
        (series, origin): Origin,
        (shown, at): (&Shown, usize),
        outputs: &[f32],
    ) -> Result<Outlook> {
        let series = &panel.series()[series];
        let plan = series.plan();
        let (targets, count) = (plan.targets.len(), plan.outputs());
        let levels = self.head.levels().len();
        let (mut middle, mut quantiles) = (vec![0.0; count], vec![0.0; count * levels]);
        for (value, own) in outputs.chunks_exact(self.head.parameters()).enumerate() {
            let target = value % targets;
            let anchor = shown.anchors[at * count + value];
            let spread = shown.spreads[at * targets + target];
            let room = &mut quantiles[value * levels..][..levels];
            let scale = plan.targets[target].scaler.scale;
            let found = self.head.read(own, scale, room);
            middle[value] = found as f32 * spread + anchor;
            for quantile in room {
                *quantile = *quantile * f64::from(spread) + f64::from(anchor);
            }
        }
        restored(series, origin, &middle, quantiles)
    }

    /// Goes through the horizon row by row, each of the `paths` on what it drew before.
    fn walk(
        &self,
        network: &mut Network<f32>,
        panel: &Panel,
        (origins, paths): (&[Origin], usize),
        all: &mut Vec<Outlook>,
    ) -> Result<()> {
        let plan = panel.plan();
        let (targets, horizon) = (plan.targets.len(), plan.horizon);
        let parameters = self.head.parameters();
        let count = origins.len() * paths;
        let each = targets * parameters;
        // Every path reads the window for itself: how a state is laid out is the cell's affair.
        let ways: Vec<Origin> = origins.iter().flat_map(|origin| [*origin].repeat(paths)).collect();
        let shown = self.windows(panel, &ways, plan.input);
        let batch = Batch::new(plan.input, count, Input::Values(&shown.x));
        let mut state = State::zero(network.description(), count);
        let outputs = network.forward(&batch, Some(&mut state), Mode::Infer).map_err(refused)?;
        let mut said = outputs[outputs.len() - count * each..].to_vec();
        let mut rngs: Vec<ChaCha8Rng> = Vec::with_capacity(count);
        for (series, origin) in origins {
            for path in 0..paths as u64 {
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream((*origin as u64) << 32 ^ (*series as u64) << 12 ^ path);
                rngs.push(rng);
            }
        }
        // [paths of all origins, horizon, targets], as the model sees values.
        let mut drawn = vec![0.0_f32; count * horizon * targets];
        for step in 0..horizon {
            let mut x = Vec::with_capacity(count * plan.channels());
            for (path, rng) in rngs.iter_mut().enumerate() {
                let (which, origin) = origins[path / paths];
                let series = &panel.series()[which];
                for target in 0..targets {
                    let own = &said[path * each + target * parameters..][..parameters];
                    let scale = series.plan().targets[target].scaler.scale;
                    let value = match paths {
                        1 => self.head.read(own, scale, &mut vec![0.0; self.head.levels().len()]),
                        _ => self.head.sample(own, scale, rng),
                    };
                    drawn[(path * horizon + step) * targets + target] = value as f32;
                    x.push(value as f32);
                }
                // Nothing of what is drawn is missing.
                x.resize(x.len() + plan.past_width() - targets, 0.0);
                if step + 1 < horizon {
                    x.extend_from_slice(series.known_at(origin + step + 1));
                }
            }
            if step + 1 < horizon {
                let batch = Batch::new(1, count, Input::Values(&x));
                let outputs =
                    network.forward(&batch, Some(&mut state), Mode::Infer).map_err(refused)?;
                said.copy_from_slice(outputs);
            }
        }
        for (at, &origin) in origins.iter().enumerate() {
            let own = &drawn[at * paths * horizon * targets..][..paths * horizon * targets];
            all.push(self.gather(panel, origin, (&shown, at * paths), own)?);
        }
        Ok(())
    }

    /// Median and quantiles of the paths of one origin, `[paths, horizon, targets]`.
    fn gather(
        &self,
        panel: &Panel,
        (series, origin): Origin,
        (shown, at): (&Shown, usize),
        paths: &[f32],
    ) -> Result<Outlook> {
        let series = &panel.series()[series];
        let (targets, count) = (series.plan().targets.len(), series.plan().outputs());
        let levels = self.head.levels();
        let mut walks = Vec::with_capacity(paths.len() / count);
        for path in paths.chunks_exact(count) {
            let put_back = path.iter().enumerate().map(|(value, drawn)| {
                let own = at * targets + value % targets;
                drawn * shown.spreads[own] + shown.anchors[at * count + value]
            });
            walks.push(series.restore(origin, &put_back.collect::<Vec<f32>>())?);
        }
        let mut outlook = Outlook {
            values: Vec::with_capacity(count),
            quantiles: Vec::with_capacity(count * levels.len()),
        };
        for value in 0..count {
            let mut samples: Vec<f64> = walks.iter().map(|walk| walk[value]).collect();
            samples.sort_unstable_by(f64::total_cmp);
            outlook.values.push(of_samples(&samples, 0.5));
            if walks.len() > 1 {
                outlook.quantiles.extend(levels.iter().map(|level| of_samples(&samples, *level)));
            }
        }
        Ok(outlook)
    }

    /// What keeps this view from a plan, if anything does.
    pub(crate) fn check(&self, plan: &crate::data::DataPlan) -> Result<()> {
        if self.relative > plan.input {
            return Err(Error::usage(format!(
                "model.relative is {}, which reaches back further than the {} rows of the window; make \
                 data.input larger or model.relative smaller",
                self.relative, plan.input
            )));
        }
        if plan.decoding == Decoding::Recursive && self.relative > 1 {
            return Err(Error::usage(format!(
                "model.relative is {}, but data.decoding is recursive, which is relative to the last row \
                 (1) or to nothing (0)",
                self.relative
            )));
        }
        let telling = !self.head.levels().is_empty() && plan.decoding != Decoding::Recursive;
        let adds_up = plan.transform.lags.iter().any(|lag| *lag < plan.horizon);
        if telling && adds_up {
            return Err(Error::usage(
                "quantiles of changes do not add up over the horizon; set data.difference and \
                 data.seasonal_difference to false (model.relative takes a level away too)",
            ));
        }
        if self.head.is_counts() {
            let shifted = plan.targets.iter().any(|target| target.scaler.shift != 0.0);
            let transform = &plan.transform;
            if shifted
                || transform.log
                || !transform.lags.is_empty()
                || self.relative > 0
                || self.rescale
            {
                return Err(Error::usage(
                    "the negative binomial distribution is of counts; set data.scaler to mean, data.log, \
                     data.difference and data.seasonal_difference to false, model.relative to 0 and \
                     model.rescale to false",
                ));
            }
        }
        Ok(())
    }
}

/// Forecasts and their quantiles, put back through the transform of the series.
fn restored(
    series: &Series,
    origin: usize,
    middle: &[f32],
    mut quantiles: Vec<f64>,
) -> Result<Outlook> {
    let values = series.restore(origin, middle)?;
    let levels = quantiles.len() / middle.len();
    for level in 0..levels {
        let own: Vec<f32> =
            quantiles.iter().skip(level).step_by(levels).map(|quantile| *quantile as f32).collect();
        for (value, restored) in series.restore(origin, &own)?.into_iter().enumerate() {
            quantiles[value * levels + level] = restored;
        }
    }
    Ok(Outlook { values, quantiles })
}
