//! Pieces as a model reads them, and how it learns from them.

use super::report::{MusicFrame, MusicReport};
use crate::config::Config;
use crate::data::{Inputs, KEYS, LOWEST, Part, Position, Roll, RollReader, Rolls, strike};
use crate::error::{Error, Result};
use crate::initialise::generator;
use crate::loss::{Loss, Targets, softplus};
use crate::task::sequences::{self, Batches};
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use rand::RngExt;
use recurve_nn::profile::span;
use recurve_nn::{Description, Entry, Model, Network, Noise, Role};

/// What is added to counts of the baselines, so that nothing is impossible: half a frame of each kind.
const ADDED: f64 = 0.5;

/// Pieces in their parts, and what is read of each: a silent frame, then every frame but the last.
pub(super) struct Pieces {
    rolls: Rolls,
    parts: Vec<Part>,
    inputs: Inputs,
}

/// What is read of pieces.
fn inputs<'a>(rolls: impl Iterator<Item = &'a Roll>) -> Inputs {
    let row = |roll: &Roll| {
        let mut row = vec![0.0; roll.len() * KEYS];
        for (frame, to) in roll.iter().zip(row[KEYS..].chunks_exact_mut(KEYS)) {
            strike(frame, to);
        }
        row
    };
    Inputs::Values { width: KEYS, rows: rolls.map(row).collect() }
}

impl Pieces {
    pub(super) fn new(rolls: Rolls, parts: Vec<Part>) -> Self {
        Self { inputs: inputs(rolls.pieces.iter()), rolls, parts }
    }

    fn part(&self, part: Part) -> Vec<usize> {
        let all = 0..self.parts.len();
        all.filter(|at| part == Part::All || self.parts[*at] == part).collect()
    }

    /// The part that measures a model.
    pub(super) fn held_out(&self) -> Part {
        let first = [Part::Test, Part::Validation].into_iter().find(|p| self.parts.contains(p));
        first.unwrap_or(Part::Train)
    }

    /// What was read, in sentences.
    pub(super) fn describe(&self) -> Vec<String> {
        let frames: usize = self.rolls.pieces.iter().map(Vec::len).sum();
        let count = |part| self.part(part).len();
        vec![
            format!("{}: {} pieces, {frames} frames", self.rolls.name, self.rolls.pieces.len()),
            format!(
                "train {}, validation {}, test {}",
                count(Part::Train),
                count(Part::Validation),
                count(Part::Test)
            ),
        ]
    }

    /// What a model says about the frames of a part, beside what counting says.
    pub(super) fn measure(&self, network: &mut Network<f32>, part: Part) -> Result<MusicReport> {
        let chosen = self.part(part);
        if chosen.is_empty() {
            return Err(Error::usage(format!(
                "{}: no piece is in the {} part; measure another part or another file",
                self.rolls.name,
                part.name()
            )));
        }
        let mut found = vec![];
        for (at, outputs) in chosen.iter().zip(sequences::outputs(network, &self.inputs, &chosen)?)
        {
            let frames = self.rolls.pieces[*at].iter().zip(outputs.chunks_exact(KEYS)).enumerate();
            found.extend(frames.skip(1).map(|(frame, (notes, outputs))| MusicFrame {
                piece: at + 1,
                frame: frame + 1,
                notes: notes.clone(),
                predicted: likely(outputs),
                nats: nats(notes, outputs),
            }));
        }
        let train: Vec<&Roll> =
            self.part(Part::Train).iter().map(|at| &self.rolls.pieces[*at]).collect();
        let measured: Vec<&Roll> = chosen.iter().map(|at| &self.rolls.pieces[*at]).collect();
        // Counts of the training part say nothing about a file that holds it, or has none.
        let counted = (part != Part::All && !train.is_empty()).then(|| Counts::of(&train));
        let baselines =
            counted.map(|counts| [counts.nats(&measured, false), counts.nats(&measured, true)]);
        Ok(MusicReport::new(part.name(), chosen.len(), baselines, found))
    }
}

/// The notes that are likelier than not.
fn likely(outputs: &[f32]) -> Vec<u8> {
    let keys = outputs.iter().enumerate().filter(|(_, output)| **output > 0.0);
    keys.map(|(key, _)| (LOWEST + key) as u8).collect()
}

/// The cross-entropy of a frame, the sum over its keys.
fn nats(notes: &[u8], outputs: &[f32]) -> f64 {
    let all: f64 = outputs.iter().map(|output| softplus(f64::from(*output))).sum();
    let struck: f64 =
        notes.iter().map(|note| f64::from(outputs[usize::from(*note) - LOWEST])).sum();
    all - struck
}

/// How often each key sounds: after a frame in which it did not, and after one in which it did.
struct Counts {
    frames: [[f64; KEYS]; 2],
    struck: [[f64; KEYS]; 2],
}

impl Counts {
    fn of(rolls: &[&Roll]) -> Self {
        let mut counts = Self { frames: [[0.0; KEYS]; 2], struck: [[0.0; KEYS]; 2] };
        let (mut before, mut now) = (vec![0.0; KEYS], vec![0.0; KEYS]);
        for pair in rolls.iter().flat_map(|roll| roll.windows(2)) {
            strike(&pair[0], &mut before);
            strike(&pair[1], &mut now);
            for key in 0..KEYS {
                let held = usize::from(before[key] > 0.0);
                counts.frames[held][key] += 1.0;
                counts.struck[held][key] += f64::from(now[key]);
            }
        }
        counts
    }

    /// How probable it is that a key sounds, after a frame in which it did or did not, or after any.
    fn probability(&self, before: Option<bool>, key: usize) -> f64 {
        let count = |of: &[[f64; KEYS]; 2]| match before {
            Some(held) => of[usize::from(held)][key],
            None => of[0][key] + of[1][key],
        };
        (count(&self.struck) + ADDED) / (count(&self.frames) + 2.0 * ADDED)
    }

    /// Nats per frame of what the counts say: of the frame before (`after`) or of none.
    fn nats(&self, rolls: &[&Roll], after: bool) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        let (mut before, mut now) = (vec![0.0; KEYS], vec![0.0; KEYS]);
        for pair in rolls.iter().flat_map(|roll| roll.windows(2)) {
            strike(&pair[0], &mut before);
            strike(&pair[1], &mut now);
            for key in 0..KEYS {
                let p = self.probability(after.then_some(before[key] > 0.0), key);
                sum -= if now[key] > 0.0 { p.ln() } else { (1.0 - p).ln() };
            }
            count += 1;
        }
        sum / f64::from(count.max(1))
    }
}

/// Pieces that train a model.
pub(super) struct MusicLearner {
    pieces: Pieces,
    batches: Batches,
    loss: Loss,
    /// The most semitones by which a piece is shifted, and the seed of the shifts.
    transpose: (i64, u64),
}

impl MusicLearner {
    pub(super) fn new(pieces: Pieces, config: &Config) -> Self {
        let batches = Batches::new(config, pieces.part(Part::Train));
        let transpose = (config.train.transpose.unwrap_or(0) as i64, config.train.seed);
        Self { pieces, batches, loss: config.loss, transpose }
    }

    /// A piece as an epoch has it: shifted by a number of semitones that is drawn evenly from those that leave
    /// all its notes on the piano.
    fn shifted(&self, at: usize, epoch: u64) -> Roll {
        let roll = &self.pieces.rolls.pieces[at];
        let (most, seed) = self.transpose;
        let notes = || roll.iter().flatten().map(|note| i64::from(*note));
        let (Some(least), Some(greatest)) = (notes().min(), notes().max()) else {
            return roll.clone();
        };
        let down = most.min(least - LOWEST as i64);
        let up = most.min((LOWEST + KEYS) as i64 - 1 - greatest);
        let mut rng = generator(seed, &format!("transposition {epoch} {at}"));
        let by = rng.random_range(-down..=up);
        let frame =
            |frame: &Vec<u8>| frame.iter().map(|note| (i64::from(*note) + by) as u8).collect();
        roll.iter().map(frame).collect()
    }
}

impl Learner for MusicLearner {
    fn description(&self, config: &Config) -> Description {
        let read = Description::values(KEYS);
        let below = match config.model.input_dropout {
            Some(rate) if rate > 0.0 => read.dropout(rate),
            _ => read,
        };
        stack(config, below).linear(KEYS)
    }

    /// The biases of the outputs say how often each key sounds, so that nothing of that is to be learned.
    fn begin(&self, model: &mut Model<f32>) -> Result<()> {
        let train = self.pieces.part(Part::Train);
        let train: Vec<&Roll> = train.iter().map(|at| &self.pieces.rolls.pieces[*at]).collect();
        let counts = Counts::of(&train);
        let last = |entry: &&Entry| matches!(entry.role, Role::LinearBias);
        let range = model.entries().iter().rfind(last).map(|entry| entry.range.clone());
        for (key, bias) in model.values_mut()[range.unwrap_or(0..0)].iter_mut().enumerate() {
            let p = counts.probability(None, key);
            *bias = (p / (1.0 - p)).ln() as f32;
        }
        Ok(())
    }

    fn reader(&self) -> Reader {
        Reader::Rolls(RollReader::default())
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.pieces.inputs)
    }

    fn names(&self) -> Names {
        Names { unit: "frames", members: "pieces", metric: "nats per frame" }
    }

    fn validates(&self) -> bool {
        !self.pieces.part(Part::Validation).is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let (side, rolls) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            let rolls: Vec<Roll> =
                chosen.iter().map(|piece| self.shifted(*piece, at.epoch)).collect();
            let all: Vec<usize> = (0..rolls.len()).collect();
            (inputs(rolls.iter()).side(&all), rolls)
        };
        let batch = side.batch();
        let order = network.prepare(&batch).map_err(refused)?;
        let places: Vec<(usize, usize)> = order.places().map(|(_, t, b)| (t, b)).collect();
        let mut y = vec![0.0; places.len() * KEYS];
        for ((t, b), to) in places.iter().zip(y.chunks_exact_mut(KEYS)) {
            strike(&rolls[*b][*t], to);
        }
        let (shape, targets) = ((places.len(), KEYS), Targets::Values(&y));
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: places.len() })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if self.pieces.part(Part::Validation).is_empty() {
            return Ok(None);
        }
        Ok(Some(self.pieces.measure(network, Part::Validation)?.nats))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = self.pieces.held_out();
        Ok(Evaluation::Music(self.pieces.measure(network, part)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_entropy_of_a_frame_and_the_counts_by_hand() {
        let mut outputs = vec![-40.0; KEYS];
        outputs[60 - LOWEST] = 3_f32.ln();
        outputs[64 - LOWEST] = 0.0;
        assert!((nats(&[60], &outputs) - ((4.0 / 3.0_f64).ln() + 2_f64.ln())).abs() < 1e-6);
        assert_eq!(likely(&outputs), [60]);
        // The key 60 sounds in 2 of 4 frames that have one before; once held, once struck.
        let roll: Roll = vec![vec![60], vec![60], vec![], vec![], vec![60]];
        let counts = Counts::of(&[&roll]);
        let others = 87.0 * -(4.5_f64 / 5.0).ln();
        let even = 2_f64.ln();
        assert!((counts.nats(&[&roll], false) - (even + others)).abs() < 1e-9);
        assert!((counts.nats(&[&roll], true) - (even + others)).abs() < 1e-9);
    }

    #[test]
    fn pieces_are_shifted_within_the_piano_and_the_same_every_time() {
        let rolls = Rolls::new("m", b"[[[21, 30], [24]], [[60], [64]]]").unwrap();
        let config = Config::of(crate::task::Task::Music);
        let parts = vec![Part::Train; 2];
        let mut learner = MusicLearner::new(Pieces::new(rolls, parts), &config);
        assert_eq!(learner.shifted(1, 3), [[60], [64]]);
        learner.transpose = (2, 1);
        let mut met = std::collections::BTreeSet::new();
        for epoch in 0..60 {
            let low = learner.shifted(0, epoch);
            assert_eq!(low[0][1] - low[0][0], 9);
            assert!((21..=23).contains(&low[0][0]));
            let free = learner.shifted(1, epoch);
            assert_eq!((free[1][0] - free[0][0], &free), (4, &learner.shifted(1, epoch)));
            met.insert(free[0][0]);
        }
        assert_eq!(met.into_iter().collect::<Vec<_>>(), [58, 59, 60, 61, 62]);
    }
}
