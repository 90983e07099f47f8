//! A learning rate range test (Smith 2017, section 3.3): the rate rises from step to step, and the loss
//! says where it begins to help and where it begins to harm.
//!
//! Nothing is saved. The weights are those of a new run and are lost afterwards.

use super::Trainer;
use crate::accumulate::Accumulator;
use crate::clip::norm_on;
use crate::data::Position;
use crate::error::{Error, Result};
use recurve_nn::Noise;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of the smoothed loss is kept from step to step.
const SMOOTH: f64 = 0.9;

/// The test ends where the smoothed loss is this many times its least.
const BLOWN: f64 = 4.0;

/// One step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangePoint {
    /// The rate of the step.
    pub rate: f64,
    /// Its loss.
    pub loss: f64,
    /// The mean of the losses so far, the later ones counting more.
    pub smoothed: f64,
}

/// What a range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTest {
    /// Every step, until the loss blew up.
    pub points: Vec<RangePoint>,
    /// The rate where the smoothed loss was least.
    pub least: f64,
    /// A tenth of it: where the loss still falls.
    pub suggestion: f64,
}

impl Trainer {
    /// Makes `steps` steps with rates from `from` to `to`, each the same multiple of the one before.
    ///
    /// # Errors
    /// The rates are no range above 0, there are fewer than 10 steps, or the first loss is no number.
    pub fn range_test(
        &mut self,
        (from, to): (f64, f64),
        steps: u32,
        stop: &AtomicBool,
    ) -> Result<RangeTest> {
        if !(from > 0.0 && to > from && to.is_finite()) {
            return Err(Error::usage(format!(
                "rates from {from} to {to} are no range, expected two numbers above 0 that rise"
            )));
        }
        if steps < 10 {
            return Err(Error::usage(format!("{steps} steps are too few, expected at least 10")));
        }
        let mut grads = Accumulator::new(self.model.values().len());
        let (mut at, batches) = (Position::default(), self.learner.batches());
        let mut points: Vec<RangePoint> = Vec::new();
        let (mut running, mut share) = (0.0, 0.0);
        self.network.load(self.model.values(), true);
        for step in 0..steps {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let rate = from * (to / from).powf(f64::from(step) / f64::from(steps - 1));
            let noise = Noise { seed: self.config.train.seed, step: u64::from(step) };
            grads.clear();
            let learned = self.learner.learn(&mut self.network, at, noise, grads.room())?;
            grads.add(learned.loss.mean, learned.loss.count)?;
            at.advance(batches);
            let loss = grads.loss();
            running = SMOOTH * running + (1.0 - SMOOTH) * loss;
            share = SMOOTH * share + (1.0 - SMOOTH);
            let smoothed = running / share;
            let norm = norm_on(self.network.engine(), grads.grads());
            let least = points.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
            // A likelihood may be below zero, where multiples mean nothing: its first loss is the measure.
            let first = points.first().map_or(loss, |point| point.loss).abs();
            let blown = smoothed > least + (BLOWN - 1.0) * least.abs().max(first);
            if !loss.is_finite() || !norm.is_finite() || blown {
                break;
            }
            points.push(RangePoint { rate, loss, smoothed });
            let clipping = self.config.clip.decide(norm);
            let params = self.model.values_mut();
            self.optimiser.step_clipped(params, grads.grads(), clipping, rate)?;
            self.network.load(self.model.values(), true);
        }
        self.learner.rest();
        // The first steps are too few to say anything.
        let told = &points[(points.len() / 10).min(points.len().saturating_sub(1))..];
        let best = told.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
        let least = best.map(|point| point.rate).ok_or_else(|| {
            Error::failed("the first loss is no number; make --from smaller, or look at the data")
        })?;
        Ok(RangeTest { points, least, suggestion: least / 10.0 })
    }
}
