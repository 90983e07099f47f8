//! Music as piano rolls: which keys sound in each frame.
//!
//! A file is JSON: lists of pieces under `train`, `valid` and `test`, or one list of pieces whose parts are
//! drawn. A piece is a list of frames of equal duration, a frame the list of the notes that sound in it, counted
//! as MIDI does (60 is the middle C), empty where all is silent. It is the form in which the public data sets
//! of polyphonic music are passed on (Boulanger-Lewandowski, Bengio & Vincent 2012). A note that sounds in two
//! frames may have been struck once or twice; a roll does not say.

use super::{Fold, Part, SplitSize, drawn, fold_drawn, read_bytes};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// Keys of a piano: numbers of a frame.
pub const KEYS: usize = 88;
/// The note of the lowest key, as MIDI counts.
pub const LOWEST: usize = 21;

/// The frames of a piece, each with its notes in rising order.
pub type Roll = Vec<Vec<u8>>;

/// Options of the path from a file of rolls to a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollOptions {
    /// The part that chooses the epoch, where the file names none: pieces, or a fraction of them.
    pub validation: Option<SplitSize>,
    /// The part that is looked at once, where the file names none.
    pub test: Option<SplitSize>,
    /// The fold of a cross-validation that is the test part.
    pub fold: Option<Fold>,
}

/// How a model reads rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollReader {
    /// The note of the first number of a frame.
    pub lowest: usize,
    /// Numbers of a frame.
    pub keys: usize,
}

impl Default for RollReader {
    fn default() -> Self {
        Self { lowest: LOWEST, keys: KEYS }
    }
}

/// The pieces of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Rolls {
    /// The file, for messages.
    pub name: String,
    /// All pieces, in the order of the file.
    pub pieces: Vec<Roll>,
    /// The part that the file says each belongs to; none where it names no parts.
    pub parts: Option<Vec<Part>>,
}

/// The parts of a file: its name, its other name, and what it is.
const PARTS: [(&str, &str, Part); 3] = [
    ("train", "training", Part::Train),
    ("valid", "validation", Part::Validation),
    ("test", "testing", Part::Test),
];

impl Rolls {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is no such file; what is wrong is named by part, piece and frame.
    pub fn read(path: &Path) -> Result<Self> {
        Self::new(&path.display().to_string(), &read_bytes(path)?)
    }

    /// As [`read`](Self::read), from bytes; `name` stands in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn new(name: &str, bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            Error::usage(format!(
                "{name}: no file of piano rolls, which is JSON: {error}; expected lists of pieces under \
                 train, valid and test, or one list of pieces"
            ))
        })?;
        let mut rolls = Self { name: name.to_owned(), pieces: vec![], parts: None };
        match value {
            Value::Array(pieces) => rolls.take("", pieces)?,
            Value::Object(lists) => {
                let mut parts = vec![];
                for (key, list) in lists {
                    let known =
                        PARTS.iter().find(|(own, other, _)| [*own, *other].contains(&&*key));
                    let Some((.., part)) = known else {
                        return Err(Error::usage(format!(
                            "{name}: `{key}` is no part of a file of piano rolls; there are train, valid \
                             and test"
                        )));
                    };
                    let Value::Array(pieces) = list else {
                        return Err(Error::usage(format!("{name}: `{key}` is no list of pieces")));
                    };
                    rolls.take(&format!("`{key}`, "), pieces)?;
                    parts.resize(rolls.pieces.len(), *part);
                }
                rolls.parts = Some(parts);
            }
            _ => return Err(Error::usage(format!("{name}: no list of pieces"))),
        }
        if rolls.pieces.is_empty() {
            return Err(Error::usage(format!("{name}: the file holds no piece")));
        }
        Ok(rolls)
    }

    fn take(&mut self, part: &str, pieces: Vec<Value>) -> Result<()> {
        for (at, piece) in pieces.into_iter().enumerate() {
            let place = format!("{}: {part}piece {}", self.name, at + 1);
            self.pieces.push(roll(&place, piece)?);
        }
        Ok(())
    }

    /// The part of every piece: as the file says, else drawn by the seed.
    ///
    /// # Errors
    /// A size is set although the file names its parts or is out of range, or nothing is left to train on.
    pub fn split(&self, options: &RollOptions, seed: u64) -> Result<Vec<Part>> {
        let told = |error: Error| error.context(&self.name);
        let Some(parts) = &self.parts else {
            if let Some(fold) = options.fold {
                return fold_drawn(self.pieces.len(), fold, options.validation, seed).map_err(told);
            }
            let share = |size: Option<SplitSize>| size.unwrap_or(SplitSize::Fraction(0.15));
            let sizes = (share(options.validation), share(options.test));
            return drawn(self.pieces.len(), sizes, seed).map_err(told);
        };
        if options.validation.is_some() || options.test.is_some() || options.fold.is_some() {
            return Err(Error::usage(format!(
                "{}: the file says which pieces validate and test; leave data.validation, data.test and \
                 data.fold out",
                self.name
            )));
        }
        if !parts.contains(&Part::Train) {
            return Err(Error::usage(format!("{}: no piece is under `train`", self.name)));
        }
        Ok(parts.clone())
    }
}

/// A piece: at least two frames of notes of a piano.
fn roll(place: &str, piece: Value) -> Result<Roll> {
    let Value::Array(frames) = piece else {
        return Err(Error::usage(format!("{place} is no list of frames")));
    };
    if frames.len() < 2 {
        return Err(Error::usage(format!(
            "{place} has {} frames, and at least 2 are needed for one to come next",
            frames.len()
        )));
    }
    let frame = |(at, frame): (usize, Value)| {
        let Value::Array(notes) = frame else {
            return Err(Error::usage(format!("{place}, frame {}: no list of notes", at + 1)));
        };
        let mut found = vec![];
        for note in notes {
            // Some writers make every number one with a fraction.
            let number = note.as_f64().filter(|number| number.fract() == 0.0);
            let key =
                number.filter(|number| (LOWEST as f64..(LOWEST + KEYS) as f64).contains(number));
            found.push(key.ok_or_else(|| {
                Error::usage(format!(
                    "{place}, frame {}: {note} is no note of a piano; notes are whole numbers from \
                     {LOWEST} to {}, as MIDI counts",
                    at + 1,
                    LOWEST + KEYS - 1
                ))
            })? as u8);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    };
    frames.into_iter().enumerate().map(frame).collect()
}

/// Writes which keys of a frame sound, 0 or 1 each. `to [keys]`.
pub(crate) fn strike(notes: &[u8], to: &mut [f32]) {
    to.fill(0.0);
    notes.iter().for_each(|note| to[usize::from(*note) - LOWEST] = 1.0);
}

/// A piece as a Standard MIDI File of one track, a quarter note for each frame, 120 in a minute. A note that
/// sounds in frames after each other is held.
pub fn midi(roll: &Roll) -> Vec<u8> {
    /// Ticks of a quarter note, and how hard notes are struck.
    const QUARTER: u32 = 480;
    const STRENGTH: u8 = 80;
    let mut track = vec![];
    let mut wait = 0;
    let mut before: &[u8] = &[];
    for frame in roll.iter().map(Vec::as_slice).chain([&[][..]]) {
        let ends = before.iter().filter(|note| !frame.contains(note)).map(|note| (0x80, *note));
        let begins = frame.iter().filter(|note| !before.contains(note)).map(|note| (0x90, *note));
        for (event, note) in ends.chain(begins) {
            // A waiting time is written in pieces of seven bits, the highest first.
            let pieces = (0..4).rev().map(|at| (wait >> (7 * at)) as u8 & 0x7f);
            let used: Vec<u8> = pieces.skip_while(|piece| *piece == 0).collect();
            let last = used.len().saturating_sub(1);
            track.extend(used.iter().take(last).map(|piece| piece | 0x80));
            track.push(used.last().copied().unwrap_or(0));
            track.extend([event, note, STRENGTH]);
            wait = 0;
        }
        wait += QUARTER;
        before = frame;
    }
    track.extend([0, 0xff, 0x2f, 0]);
    let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01".to_vec();
    bytes.extend((QUARTER as u16).to_be_bytes());
    bytes.extend(b"MTrk");
    bytes.extend((track.len() as u32).to_be_bytes());
    bytes.extend(track);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Rolls> {
        Rolls::new("m.json", text.as_bytes())
    }

    #[test]
    fn parts_are_those_of_the_file_or_drawn() {
        let named = r#"{"test": [[[60], [62]]], "train": [[[64, 60], []], [[21], [108.0]]], "valid": [[[61], [61, 61]]]}"#;
        let rolls = read(named).unwrap();
        let parts = rolls.split(&RollOptions::default(), 1).unwrap();
        let of = |part| {
            let own = rolls.pieces.iter().zip(&parts).filter(move |(_, own)| **own == part);
            own.map(|(piece, _)| piece.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(Part::Train), [vec![vec![60, 64], vec![]], vec![vec![21], vec![108]]]);
        assert_eq!(of(Part::Validation), [vec![vec![61], vec![61]]]);
        assert_eq!(of(Part::Test).len(), 1);
        let sized = RollOptions { test: Some(SplitSize::Rows(1)), ..RollOptions::default() };
        assert!(rolls.split(&sized, 1).unwrap_err().to_string().contains("data.test"));
        let list = read("[[[60],[61]],[[60],[61]],[[60],[61]],[[60],[61]]]").unwrap();
        let parts = list.split(&sized, 1).unwrap();
        assert_eq!(parts.iter().filter(|part| **part == Part::Test).count(), 1);
        assert_eq!(list.split(&sized, 1).unwrap(), parts);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("{", &["JSON"][..]),
            ("3", &["list of pieces"]),
            ("[]", &["no piece"]),
            (r#"{"trian": []}"#, &["`trian`", "train"]),
            (r#"{"train": 3}"#, &["`train`"]),
            ("[[[60],[61]],[[60]]]", &["piece 2", "1 frames"]),
            ("[[[60],61]]", &["piece 1, frame 2", "list of notes"]),
            (r#"{"valid": [[[60],[20]]]}"#, &["`valid`, piece 1, frame 2", "20", "21 to 108"]),
            ("[[[60],[60.5]]]", &["60.5"]),
        ] {
            let error = read(text).unwrap_err();
            let said = error.to_string();
            assert!(error.is_usage() && said.contains("m.json"), "{said}");
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
        let only_test = read(r#"{"test": [[[60],[61]]]}"#).unwrap();
        assert!(only_test.split(&RollOptions::default(), 1).is_err());
    }

    #[test]
    fn a_midi_file_by_hand() {
        let bytes = midi(&vec![vec![60, 64], vec![60], vec![]]);
        let track = [
            0, 0x90, 60, 80, 0, 0x90, 64, 80, // both begin
            0x83, 0x60, 0x80, 64, 80, // 480 ticks later one ends
            0x83, 0x60, 0x80, 60, 80, // and the other
            0, 0xff, 0x2f, 0,
        ];
        assert_eq!(&bytes[..14], b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0");
        assert_eq!(&bytes[14..22], b"MTrk\0\0\0\x16");
        assert_eq!(bytes[22..], track);
    }

    proptest! {
        #[test]
        fn any_text_is_rolls_or_an_error(text in "[\\[\\]{}\":,0-9trainvlds. ]{0,60}") {
            if let Ok(rolls) = read(&text) {
                prop_assert!(rolls.pieces.iter().all(|piece| piece.len() >= 2));
            }
        }
    }
}
