//! Drawing frame after frame from a model of music.
//!
//! Each key is drawn by its own probability, its output divided by the temperature. Draws come from a
//! counter-based generator, 88 for each frame, so a piece can be repeated from its seed.

use crate::data::{KEYS, LOWEST, Roll, strike};
use crate::error::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recurve_nn::Session;

/// How music is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComposeOptions {
    /// Frames to draw.
    pub frames: usize,
    /// 1 draws as the model says, less is more careful, 0 takes what is likelier than not.
    pub temperature: f64,
    /// The seed of the draws.
    pub seed: u64,
}

pub(super) fn compose(
    mut session: Session<f32>,
    begun: &[Vec<u8>],
    options: &ComposeOptions,
) -> Result<Roll> {
    let ComposeOptions { frames, temperature, seed } = *options;
    if !(temperature.is_finite() && temperature >= 0.0) {
        return Err(Error::usage(format!("the temperature must be at least 0, not {temperature}")));
    }
    let on_piano = |note: &u8| (LOWEST..LOWEST + KEYS).contains(&usize::from(*note));
    if let Some(note) = begun.iter().flatten().find(|note| !on_piano(note)) {
        return Err(Error::usage(format!(
            "{note} is no note of a piano; notes are from {LOWEST} to {}, as MIDI counts",
            LOWEST + KEYS - 1
        )));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x = vec![0.0; KEYS];
    let mut outputs = session.step(&x).to_vec();
    for frame in begun {
        strike(frame, &mut x);
        outputs.copy_from_slice(session.step(&x));
    }
    let mut found: Roll = vec![];
    for _ in 0..frames {
        if !outputs.iter().all(|output| output.is_finite()) {
            return Err(Error::failed(
                "the model gives outputs that are no numbers; train it again with a smaller learning rate",
            ));
        }
        let sounds = |output: &f32| {
            let drawn = rng.random::<f64>();
            let output = f64::from(*output);
            if temperature == 0.0 { output > 0.0 } else { drawn < sigmoid(output / temperature) }
        };
        let struck: Vec<bool> = outputs.iter().map(sounds).collect();
        let keys = struck.iter().enumerate().filter(|(_, struck)| **struck);
        let frame: Vec<u8> = keys.map(|(key, _)| (LOWEST + key) as u8).collect();
        strike(&frame, &mut x);
        outputs.copy_from_slice(session.step(&x));
        found.push(frame);
    }
    Ok(found)
}

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}
