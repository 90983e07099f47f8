//! How good a model of music is, beside counting.

use crate::error::Result;
use crate::task::{Report, Skill, better, named};
use serde::Serialize;

/// A model of music measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MusicReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Pieces measured.
    pub pieces: usize,
    /// Frames predicted: all but the first of each piece.
    pub frames: usize,
    /// Cross-entropy in nats per frame, the sum over its 88 keys, the mean over all frames.
    pub nats: f64,
    /// The share of right notes among those that sound or are said to, over all frames; said are those that
    /// are likelier than not (Bay, Ehmann & Downie 2009).
    pub accuracy: f64,
    /// Nats per frame of how often each key sounds in the training part.
    pub frequencies: Option<f64>,
    /// The same of how often it does after a frame in which it does, or does not.
    pub last_frame: Option<f64>,
    /// The skill in nats against both.
    pub skills: Vec<Skill>,
    /// Every frame.
    #[serde(skip)]
    pub predictions: Vec<MusicFrame>,
}

/// A frame, and what was said of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MusicFrame {
    /// The piece, from 1, in the order of the file.
    pub piece: usize,
    /// The frame, from 1.
    pub frame: usize,
    /// The notes that sound.
    pub notes: Vec<u8>,
    /// The notes that were likelier than not.
    pub predicted: Vec<u8>,
    /// The cross-entropy, in nats.
    pub nats: f64,
}

const LAST_FRAME: &str = "last frame";
const FREQUENCIES: &str = "note frequencies";

impl MusicReport {
    /// Of frames, beside the nats per frame of the frequencies and of the last frame.
    pub(super) fn new(
        part: &str,
        pieces: usize,
        baselines: Option<[f64; 2]>,
        predictions: Vec<MusicFrame>,
    ) -> Self {
        let nats: f64 = predictions.iter().map(|frame| frame.nats).sum();
        let nats = nats / predictions.len().max(1) as f64;
        let (mut right, mut any) = (0, 0);
        for frame in &predictions {
            let both = frame.predicted.iter().filter(|note| frame.notes.contains(note)).count();
            right += both;
            any += frame.notes.len() + frame.predicted.len() - both;
        }
        let (frequencies, last_frame) = (baselines.map(|own| own[0]), baselines.map(|own| own[1]));
        let against = |name: &str, naive: Option<f64>| Skill::of(name, nats, naive?);
        let skills = [against(LAST_FRAME, last_frame), against(FREQUENCIES, frequencies)];
        Self {
            part: part.to_owned(),
            pieces,
            frames: predictions.len(),
            nats,
            accuracy: right as f64 / any.max(1) as f64,
            frequencies,
            last_frame,
            skills: skills.into_iter().flatten().collect(),
            predictions,
        }
    }
}

impl Report for MusicReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} part, {} pieces, {} frames: {:.4} nats per frame · {:.1} % of the notes right",
            self.part,
            self.pieces,
            self.frames,
            self.nats,
            100.0 * self.accuracy
        )];
        for (name, nats) in [(LAST_FRAME, self.last_frame), (FREQUENCIES, self.frequencies)] {
            let skill = self.skills.iter().find(|skill| skill.baseline == name);
            if let (Some(nats), Some(skill)) = (nats, skill) {
                let against = better(skill.skill, "it");
                lines.push(format!("  {name} {nats:.4} nats per frame · model {against}"));
            }
        }
        lines
    }

    fn headline(&self) -> String {
        format!("{:.3} nats per frame on the {} part", self.nats, self.part)
    }

    fn measures(&self) -> Vec<(String, f64)> {
        named([
            ("nats per frame", Some(self.nats)),
            ("share of the notes right", Some(self.accuracy)),
            ("nats per frame of the last frame", self.last_frame),
        ])
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &[LAST_FRAME, FREQUENCIES]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv(&self.predictions).map(Some)
    }
}

/// Frames as CSV, notes between blanks.
pub(super) fn csv(frames: &[MusicFrame]) -> Result<Vec<u8>> {
    let notes = |notes: &[u8]| notes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    crate::task::csv_of(|writer| {
        writer.write_record(["piece", "frame", "notes", "predicted", "nats"])?;
        for frame in frames {
            writer.write_record([
                frame.piece.to_string(),
                frame.frame.to_string(),
                notes(&frame.notes),
                notes(&frame.predicted),
                frame.nats.to_string(),
            ])?;
        }
        Ok(())
    })
}
