//! Windows of a text with blanks, which train a model.

use super::measure::measure;
use super::share;
use crate::config::Config;
use crate::data::{Part, Position, Text, shuffled};
use crate::error::{Error, Result};
use crate::initialise::generator;
use crate::loss::{IGNORE, Loss, Targets};
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use rand::RngExt;
use recurve_nn::profile::span;
use recurve_nn::{Batch, Description, Input, Network, Noise};

/// A text that trains a model.
///
/// An epoch reads the training part in windows of `steps` tokens in a drawn order. Where the first begins is
/// drawn, too, so that no token is always at an edge. What is hidden is counted out by the seed, the epoch and
/// the batch, so a run that is resumed hides the same.
pub(super) struct FillLearner {
    text: Text,
    loss: Loss,
    batch: usize,
    steps: usize,
    mask: f64,
    seed: u64,
}

/// What is read and what is right, `[steps, lanes]`.
struct Blanked {
    lanes: usize,
    x: Vec<u32>,
    y: Vec<u32>,
}

impl FillLearner {
    pub(super) fn new(text: Text, config: &Config) -> Result<Self> {
        let tokens = text.train().len();
        if tokens < 3 {
            return Err(Error::usage(format!(
                "the training part has {tokens} tokens; expected at least 3, one between two others"
            )));
        }
        Ok(Self {
            loss: config.loss,
            batch: config.train.batch,
            steps: config.train.steps.unwrap_or(1).min(tokens),
            mask: share(&config.data),
            seed: config.train.seed,
            text,
        })
    }

    /// Windows of an epoch.
    fn windows(&self) -> usize {
        ((self.text.train().len() + 1 - self.steps) / self.steps).max(1)
    }

    fn blanked(&self, at: Position) -> Blanked {
        let (tokens, windows) = (self.text.train(), self.windows());
        let most = (tokens.len() - windows * self.steps).min(self.steps - 1);
        let offset = generator(self.seed, &format!("windows {}", at.epoch)).random_range(0..=most);
        let order = shuffled(self.seed, at.epoch, windows);
        let first = at.batch as usize * self.batch;
        let own = &order[first..(first + self.batch).min(windows)];
        let lanes = own.len();
        let mut rng = generator(self.seed, &format!("blanks {} {}", at.epoch, at.batch));
        let blank = self.text.vocabulary().size() as u32;
        let (mut x, mut y) = (Vec::with_capacity(self.steps * lanes), vec![]);
        for step in 0..self.steps {
            for window in own {
                let token = tokens[offset + window * self.steps + step];
                let hidden = rng.random_range(0.0..1.0) < self.mask;
                x.push(if hidden { blank } else { token });
                y.push(if hidden { token } else { IGNORE });
            }
        }
        // A small batch may have drawn none, and there would be nothing to learn.
        if !x.contains(&blank) {
            let at = rng.random_range(0..x.len());
            (y[at], x[at]) = (x[at], blank);
        }
        Blanked { lanes, x, y }
    }
}

impl Learner for FillLearner {
    fn description(&self, config: &Config) -> Description {
        let tokens = self.text.vocabulary().size() + 1;
        let model = &config.model;
        let (width, dropout) = (model.embedding.unwrap_or(1), model.embedding_dropout);
        let below = Description::tokens(tokens).embedding_dropped(width, dropout.unwrap_or(0.0));
        let below = stack(config, below);
        if model.tied == Some(true) { below.tied() } else { below.linear(tokens) }
    }

    fn reader(&self) -> Reader {
        Reader::Blanks(self.text.vocabulary().clone())
    }

    fn batches(&self) -> usize {
        self.windows().div_ceil(self.batch)
    }

    fn rows(&self, config: &Config) -> usize {
        config.train.batch * self.steps
    }

    fn names(&self) -> Names {
        Names { unit: "tokens", members: "windows", metric: "nats per blank" }
    }

    fn validates(&self) -> bool {
        !self.text.validation().is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let Blanked { lanes, x, y } = {
            let _span = span("data");
            self.blanked(at)
        };
        let batch = Batch::new(self.steps, lanes, Input::Tokens(&x));
        let shape = (y.len(), network.output_width());
        let mut loss = self.loss.piecewise(network.engine(), shape, Targets::Classes(&y), None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: x.len() })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if !self.validates() {
            return Ok(None);
        }
        Ok(Some(measure(network, &self.text, Part::Validation, self.mask)?.nats))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = crate::task::language::held_out(&self.text);
        Ok(Evaluation::Fill(measure(network, &self.text, part, self.mask)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TextOptions;
    use crate::task::Task;

    fn learner(tokens: usize, steps: usize) -> FillLearner {
        let text: String = (0..tokens).map(|at| char::from(b'a' + (at * at % 23) as u8)).collect();
        let options = TextOptions { validation: 0.0, ..TextOptions::default() };
        let text = Text::new("t", text.as_bytes(), &options).unwrap();
        let mut config = Config::of(Task::Fill);
        (config.train.steps, config.train.batch) = (Some(steps), 3);
        FillLearner::new(text, &config).unwrap()
    }

    #[test]
    fn what_is_hidden_is_drawn_anew_each_epoch_and_the_same_when_asked_again() {
        let own = learner(500, 16);
        let blank = own.text.vocabulary().size() as u32;
        let (mut hidden, mut all) = (0, 0);
        for epoch in 0..20 {
            for batch in 0..own.batches() as u64 {
                let at = Position { epoch, batch };
                let (one, two) = (own.blanked(at), own.blanked(at));
                assert_eq!((&one.x, &one.y), (&two.x, &two.y));
                assert_eq!(one.x.len(), 16 * one.lanes);
                for (x, y) in one.x.iter().zip(&one.y) {
                    assert_eq!(*x == blank, *y != IGNORE, "an answer for each blank alone");
                }
                hidden += one.x.iter().filter(|token| **token == blank).count();
                all += one.x.len();
            }
        }
        let share = hidden as f64 / all as f64;
        assert!((share - 0.15).abs() < 0.02, "{share}");
        let first = |epoch| own.blanked(Position { epoch, batch: 0 }).x;
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn short_texts_have_one_window_and_a_blank() {
        for tokens in [3, 5, 15, 16, 17, 31, 33] {
            let own = learner(tokens, 16);
            for epoch in 0..30 {
                for batch in 0..own.batches() as u64 {
                    let found = own.blanked(Position { epoch, batch });
                    assert!(found.y.iter().any(|token| *token != IGNORE), "{tokens}");
                }
            }
        }
    }
}
