//! Curves of a run for TensorBoard: a file of events beside the log.
//!
//! A file of events is a list of records: the length of a record, a checksum of the length, the record, a
//! checksum of it (CRC-32C, rotated and shifted, so that a checksum of checksums is none). A record is a message
//! of protocol buffers: the time, the step, and numbers by name. The file follows `log.jsonl`: it is written anew
//! from the lines that are kept when a run is resumed, and then grows with the log.

use crate::error::{Error, Result};
use crate::run::RunFolder;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

/// The folder, and the name that TensorBoard looks for in it.
const NAME: &str = "tensorboard/events.out.tfevents.0.recurve";
/// Numbers of a line of the log, and what they are called.
const CURVES: [(&str, &str, &str); 6] = [
    ("step", "loss", "loss/step"),
    ("step", "grad_norm", "gradient norm/step"),
    ("step", "learning_rate", "learning rate"),
    ("epoch", "loss", "loss/epoch"),
    ("epoch", "validation", "validation"),
    ("epoch", "grad_norm", "gradient norm/epoch"),
];

/// The events of a run.
pub(super) struct Events {
    path: PathBuf,
}

impl Events {
    /// Begins the file anew with the lines of a log.
    pub(super) fn begin(folder: &RunFolder, log: &str) -> Result<Self> {
        let mut bytes = vec![];
        // The first record says which version the file is of.
        record(&mut bytes, &[&double(1, now())[..], &text(3, b"brain.Event:2")].concat());
        for line in log.lines() {
            if let Ok(entry) = serde_json::from_str(line) {
                add(&mut bytes, &entry);
            }
        }
        let path = folder.path().join(NAME);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| {
                let name = parent.display();
                Error::failed(format!("cannot make the folder `{name}`")).with_source(error)
            })?;
        }
        folder.write(NAME, &bytes)?;
        Ok(Self { path })
    }

    /// Adds the numbers of a line of the log.
    pub(super) fn line(&self, entry: &Value) -> Result<()> {
        let mut bytes = vec![];
        add(&mut bytes, entry);
        let write = || OpenOptions::new().append(true).open(&self.path)?.write_all(&bytes);
        write().map_err(|error| {
            let name = self.path.display();
            Error::failed(format!("cannot write `{name}`")).with_source(error)
        })
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn add(bytes: &mut Vec<u8>, entry: &Value) {
    let mut values = vec![];
    for (event, key, name) in CURVES {
        if entry["event"] == event
            && let Some(number) = entry[key].as_f64()
        {
            let value = [&text(1, name.as_bytes())[..], &float(2, number as f32)].concat();
            values.extend(text(1, &value));
        }
    }
    if values.is_empty() {
        return;
    }
    let step = entry["step"].as_u64().unwrap_or(0);
    let mut event = double(1, now());
    event.push(2 << 3);
    varint(&mut event, step);
    event.extend(text(5, &values));
    record(bytes, &event);
}

/// A field of bytes, of text, or of another message.
fn text(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut to = vec![field << 3 | 2];
    varint(&mut to, bytes.len() as u64);
    to.extend(bytes);
    to
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[field << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn float(field: u8, value: f32) -> Vec<u8> {
    [&[field << 3 | 5][..], &value.to_le_bytes()].concat()
}

/// Seven bits a byte, the lowest first.
fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        to.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    to.push(value as u8);
}

fn record(to: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    to.extend(length);
    to.extend(masked(&length).to_le_bytes());
    to.extend(data);
    to.extend(masked(data).to_le_bytes());
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The cyclic redundancy check of Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn records_hold_the_numbers_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let folder = RunFolder::create_at(&folder.path().join("run")).unwrap();
        let log = "{\"event\":\"step\",\"step\":300,\"loss\":0.5}\n";
        let events = Events::begin(&folder, log).unwrap();
        let epoch = serde_json::json!({ "event": "epoch", "step": 301, "validation": 0.25 });
        events.line(&epoch).unwrap();
        events.line(&serde_json::json!({ "event": "evaluation", "step": 301 })).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        let (mut rest, mut found) = (&bytes[..], vec![]);
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(sum(8), masked(&rest[..8]));
            let data = &rest[12..12 + length];
            assert_eq!(sum(12 + length), masked(data));
            found.push(data.to_vec());
            rest = &rest[16 + length..];
        }
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with(b"brain.Event:2"));
        // After the time: step 300, a summary with one value of a name and a number.
        let mut expected = vec![16, 172, 2, 42, 18, 10, 16, 10, 9];
        expected.extend(b"loss/step");
        expected.push(21);
        expected.extend(0.5_f32.to_le_bytes());
        assert_eq!(found[1][9..], expected);
    }
}
