//! Drawing tokens from the outputs of a language model.
//!
//! The outputs are divided by the temperature, made probabilities, cut to the most probable tokens
//! (`top_k`, then `top_p`), and one is drawn. Token `n` of a seed is drawn with the `n`-th number of a
//! counter-based generator, so a text can be repeated on any machine with the same instruction set.

use crate::error::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How text is generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Tokens to generate.
    pub length: usize,
    /// 1 draws as the model says, less is more careful, 0 always takes the most probable token.
    pub temperature: f64,
    /// Draw among this many most probable tokens; 0 for all.
    pub top_k: usize,
    /// Draw among the fewest tokens whose probabilities reach this sum; 1 for all.
    pub top_p: f64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { length: 500, temperature: 0.8, top_k: 0, top_p: 1.0, seed: 1 }
    }
}

impl GenerateOptions {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Error::usage(format!(
                "the temperature must be at least 0, not {}",
                self.temperature
            )));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::usage(format!(
                "top-p must be above 0 and at most 1, not {}",
                self.top_p
            )));
        }
        Ok(())
    }
}

/// Draws token after token.
pub(super) struct Sampler {
    options: GenerateOptions,
    rng: ChaCha8Rng,
    /// Probability and token, the most probable first.
    ranked: Vec<(f64, u32)>,
}

impl Sampler {
    pub(super) fn new(options: &GenerateOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            options: *options,
            rng: ChaCha8Rng::seed_from_u64(options.seed),
            ranked: Vec::new(),
        })
    }

    /// Draws from the outputs of one step.
    pub(super) fn draw(&mut self, outputs: &[f32]) -> u32 {
        let GenerateOptions { temperature, top_k, top_p, .. } = self.options;
        let divisor = if temperature > 0.0 { temperature } else { 1.0 };
        self.ranked.clear();
        self.ranked.extend(softmax(outputs, divisor).zip(0..));
        // Equal probabilities keep the order of the tokens.
        self.ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        if temperature == 0.0 {
            return self.ranked[0].1;
        }
        if top_k > 0 {
            self.ranked.truncate(top_k);
        }
        let all: f64 = self.ranked.iter().map(|(p, _)| p).sum();
        let (mut sum, mut kept) = (0.0, 0);
        for (p, _) in &self.ranked {
            sum += p;
            kept += 1;
            if sum >= top_p * all {
                break;
            }
        }
        let mut left = self.rng.random::<f64>() * sum;
        for (p, token) in &self.ranked[..kept] {
            left -= p;
            if left < 0.0 {
                return *token;
            }
        }
        self.ranked[kept - 1].1
    }
}

/// The probabilities that outputs stand for.
pub(super) fn softmax(outputs: &[f32], temperature: f64) -> impl Iterator<Item = f64> {
    let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = move |x: &f32| ((f64::from(*x) - f64::from(largest)) / temperature).exp();
    let sum: f64 = outputs.iter().map(weight).sum();
    outputs.iter().map(move |x| weight(x) / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(options: GenerateOptions) -> Vec<f64> {
        let outputs = [0.0, 2_f32.ln(), 4_f32.ln(), 1_f32.ln()];
        let mut sampler = Sampler::new(&options).unwrap();
        let mut counts = [0.0; 4];
        let draws = 20_000;
        for _ in 0..draws {
            counts[sampler.draw(&outputs) as usize] += 1.0;
        }
        counts.iter().map(|count| count / f64::from(draws)).collect()
    }

    fn close(found: &[f64], expected: [f64; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.015, "{found} {expected}");
        }
    }

    #[test]
    fn tokens_come_as_often_as_they_should() {
        let plain = GenerateOptions { temperature: 1.0, ..GenerateOptions::default() };
        close(&shares(plain), [0.125, 0.25, 0.5, 0.125]);
        let sharp = GenerateOptions { temperature: 0.5, ..plain };
        close(&shares(sharp), [1.0, 4.0, 16.0, 1.0].map(|x| x / 22.0));
        let two = GenerateOptions { top_k: 2, ..plain };
        close(&shares(two), [0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0]);
        let most = GenerateOptions { top_p: 0.7, ..plain };
        close(&shares(most), [0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0]);
        let greedy = GenerateOptions { temperature: 0.0, ..plain };
        assert_eq!(shares(greedy), [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_seed_repeats_its_draws() {
        let draws = |seed| {
            let options = GenerateOptions { seed, temperature: 1.0, ..GenerateOptions::default() };
            let mut sampler = Sampler::new(&options).unwrap();
            (0..50).map(|_| sampler.draw(&[0.0; 10])).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }

    #[test]
    fn options_out_of_range_are_refused() {
        for (temperature, top_p) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, 1.5)] {
            let options = GenerateOptions { temperature, top_p, ..GenerateOptions::default() };
            assert!(options.validate().unwrap_err().is_usage());
        }
    }
}
