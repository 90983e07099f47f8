//! Dynamic evaluation: a model that goes on learning from the text it is measured on.
//!
//! The text is read in segments, as it stands. What the model says about a segment is measured first; then the
//! weights take a step down the gradient of that segment, and a step back toward where they began, so that a name or
//! a manner that was just met is expected again (Krause, Kahembwe, Murray & Renals 2018). Both steps are scaled by
//! the root of the mean square of each weight's gradient over segments of the training part: weights that
//! matter move more freely back, and take smaller steps away. Nothing is kept: the model file stays as it is.

use super::learner::WARM_UP;
use crate::error::{Error, Result};
use crate::loss::{IGNORE, Loss, LossValue, Targets};
use crate::task::refused;
use recurve_nn::{Batch, Description, Input, Layer, Model, Network, Noise, State};

/// How a model learns while it is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynamicOptions {
    /// The step down the gradient.
    pub rate: f64,
    /// The share of the way back that a weight with a mean gradient takes.
    pub decay: f64,
    /// Tokens of a segment.
    pub steps: usize,
}

impl Default for DynamicOptions {
    fn default() -> Self {
        Self { rate: 1e-4, decay: 2e-3, steps: 20 }
    }
}

/// Segments of the training part from which the sizes of gradients are taken, at most.
const SEGMENTS: usize = 1000;
/// Added to the root of a mean square, so that no weight takes a step without bound.
const LEAST: f32 = 1e-5;

impl DynamicOptions {
    fn validate(&self) -> Result<()> {
        for (name, value) in [("rate", self.rate), ("decay", self.decay)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::usage(format!(
                    "the {name} of dynamic evaluation must be at least 0, not {value}"
                )));
            }
        }
        if self.steps == 0 {
            return Err(Error::usage("a segment of dynamic evaluation has at least 1 token"));
        }
        Ok(())
    }
}

/// The same model without what is random in training only.
fn still(description: &Description) -> Result<Description> {
    let mut still = description.clone();
    for layer in &mut still.layers {
        match layer {
            Layer::Embedding { dropout, .. } => *dropout = 0.0,
            Layer::Dropout { rate, .. } => *rate = 0.0,
            Layer::Recurrent(stack) if stack.zoneout > 0.0 || stack.zoneout_cell > 0.0 => {
                return Err(Error::usage(
                    "the model was trained with zoneout, which has no gradient of what it says in use; \
                     measure it without dynamic evaluation",
                ));
            }
            Layer::Recurrent(stack) => {
                (stack.dropout, stack.weight_dropout) = (0.0, 0.0);
                (stack.recurrent_dropout, stack.candidate_dropout) = (0.0, 0.0);
            }
            _ => {}
        }
    }
    Ok(still)
}

/// A model that reads a text segment by segment.
struct Reading<'a> {
    network: Network<f32>,
    tokens: &'a [u32],
    state: State<f32>,
    gradients: Vec<f32>,
}

impl Reading<'_> {
    /// The loss of predicting `tokens[from + 1..to + 1]`, of which those before `first` do not count, and its
    /// gradient.
    fn segment(&mut self, (from, to): (usize, usize), first: usize) -> Result<LossValue> {
        let x = &self.tokens[from..to];
        let next = |at: usize| if at < first { IGNORE } else { self.tokens[at] };
        let y: Vec<u32> = (from + 1..=to).map(next).collect();
        let batch = Batch::new(x.len(), 1, Input::Tokens(x));
        let (shape, targets) = ((y.len(), self.network.output_width()), Targets::Classes(&y));
        let plain = Loss::CrossEntropy { label_smoothing: 0.0 };
        let mut loss = plain.piecewise(self.network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        let noise = Noise { seed: 0, step: 0 };
        self.network
            .learn(&batch, Some(&mut self.state), noise, &mut judge, &mut self.gradients)
            .map_err(refused)?;
        Ok(loss.value())
    }
}

/// The mean cross-entropy in nats of `tokens[first..]`, every token once, measured before it is learned from, and
/// their number. `train` is the text that the model was trained on.
pub(super) fn cross_entropy(
    model: &Model<f32>,
    engine: recurve_nn::Engine,
    (train, tokens, first): (&[u32], &[u32], usize),
    options: DynamicOptions,
) -> Result<(f64, u64)> {
    options.validate()?;
    let first = first.max(1);
    if tokens.len() <= first || train.len() <= options.steps {
        return Err(Error::usage("the text has no token to predict; give at least two"));
    }
    let description = still(model.description())?;
    let begin = |tokens| -> Result<Reading<'_>> {
        let mut network = Network::new(&description, engine).map_err(refused)?;
        network.load(model.values(), true);
        let state = State::zero(&description, 1);
        Ok(Reading { network, tokens, state, gradients: vec![0.0; model.values().len()] })
    };
    let mut reading = begin(train)?;
    let mut sizes = vec![0.0_f32; model.values().len()];
    let segments = ((train.len() - 1) / options.steps).clamp(1, SEGMENTS);
    for segment in 0..segments {
        let from = segment * options.steps;
        reading.segment((from, from + options.steps), 0)?;
        sizes.iter_mut().zip(&reading.gradients).for_each(|(size, d)| *size += d * d);
    }
    sizes.iter_mut().for_each(|size| *size = (*size / segments as f32).sqrt());
    let mean = (sizes.iter().map(|size| f64::from(*size)).sum::<f64>() / sizes.len() as f64) as f32;
    let (rate, decay) = (options.rate as f32, options.decay as f32);
    let mut weights = model.values().to_vec();
    let mut reading = begin(tokens)?;
    let (mut sum, mut counted) = (0.0, 0.0);
    let mut from = first.saturating_sub(1 + WARM_UP);
    while from + 1 < tokens.len() {
        let to = (from + options.steps).min(tokens.len() - 1);
        let loss = reading.segment((from, to), first)?;
        sum += loss.mean * loss.count;
        counted += loss.count;
        from = to;
        if loss.count == 0.0 {
            continue;
        }
        let places = weights.iter_mut().zip(model.values()).zip(&sizes).zip(&reading.gradients);
        for (((weight, begun), size), d) in places {
            let back = (decay * size / mean.max(f32::MIN_POSITIVE)).min(1.0);
            *weight += back * (begun - *weight) - rate * d / (size + LEAST);
        }
        reading.network.load(&weights, true);
    }
    let nats = sum / counted;
    if nats.is_finite() {
        return Ok((nats, counted as u64));
    }
    Err(Error::failed("dynamic evaluation gave no number; use a smaller rate"))
}
