//! What the fuzz targets share: bytes are read as a file, and must give a model, or an error that names the
//! file; in bounded memory and time, without a panic.

use cap::Cap;
use recurve_interop::{Imported, Kind, Options, Runner, open_bytes};
use recurve_nn::Engine;
use std::alloc::System;
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The most memory that reading a file may take at one time.
const MOST: usize = 64 << 20;
/// The longest that reading may take. The limit of the library is 100 ms; code that counts its branches is a
/// few times slower, and a machine may do something else meanwhile.
const LONGEST: Duration = Duration::from_secs(1);
/// Values of a model that is run.
const SMALL: usize = 1 << 12;

/// Runs `read` within the bounds.
pub fn bounded<T>(read: impl Fn() -> T) -> T {
    let unbounded = MEMORY.limit();
    MEMORY.set_limit(MEMORY.allocated() + MOST).expect("a limit above what is in use");
    let begun = Instant::now();
    let result = read();
    let took = begun.elapsed();
    // What was slow once, because the machine was busy, is fast the next time.
    let slow = took > LONGEST
        && (0..3).all(|_| {
            let begun = Instant::now();
            drop(read());
            begun.elapsed() > LONGEST
        });
    MEMORY.set_limit(unbounded).expect("the limit from before");
    assert!(!slow, "reading took {took:?}");
    result
}

/// Reads bytes as the file `name`, and runs what comes of it if it is small.
pub fn model(name: &str, bytes: &[u8]) {
    let read = || {
        let foreign = open_bytes(name, bytes.to_vec(), &Options::default())?;
        foreign.import::<f32>()
    };
    match bounded(read) {
        Ok(Imported::Layers(layers)) if layers.model.values().len() < SMALL => {
            let engine = Engine::detect().expect("an engine").with_threads(1);
            let Ok(mut runner) = Runner::new(Imported::Layers(layers), engine) else { return };
            let width = runner.width().unwrap_or(1);
            for rows in [1, 3] {
                let _ = runner.run(&vec![0.5; rows * width], rows);
            }
        }
        Ok(_) => {}
        Err(error) => {
            assert_ne!(error.kind(), Kind::Failed, "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("`{name}`: ")), "{text}");
        }
    }
}

/// An archive of members that are stored as they are, so that a changed byte is not found by a checksum alone.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, stored).expect("a member");
        zip.write_all(bytes).expect("bytes in memory");
    }
    zip.finish().expect("an archive").into_inner()
}

/// Pieces, each after its length in two bytes; the last is what is left.
pub fn pieces(mut bytes: &[u8], count: usize) -> Vec<&[u8]> {
    let mut all = vec![];
    while all.len() + 1 < count {
        let Some((length, rest)) = bytes.split_first_chunk() else { break };
        let (piece, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        all.push(piece);
        bytes = rest;
    }
    all.push(bytes);
    all
}

/// The bytes that [`pieces`] takes apart.
pub fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    let (last, first) = pieces.split_last().expect("a piece");
    let mut bytes = vec![];
    for piece in first {
        bytes.extend(u16::try_from(piece.len()).expect("a short piece").to_le_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(last);
    bytes
}

/// Names of the arrays in an archive of NumPy.
pub const ARRAYS: [&str; 5] =
    ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "recurve.description"];

/// An archive of NumPy with these arrays.
pub fn npz(arrays: &[&[u8]]) -> Vec<u8> {
    let names = ARRAYS.map(|name| format!("{name}.npy"));
    let members: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(arrays.iter().copied()).collect();
    archive(&members)
}

/// A file of `torch.save` with this pickle and two storages.
pub fn torch(pickle: &[u8]) -> Vec<u8> {
    let storage: Vec<u8> = (0..64_u8).flat_map(|at| (f32::from(at) / 64.0).to_le_bytes()).collect();
    archive(&[
        ("archive/data.pkl", pickle),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &storage),
        ("archive/data/1", &storage),
    ])
}

/// A `.keras` archive with this configuration and these weights.
pub fn keras(config: &[u8], weights: &[u8]) -> Vec<u8> {
    let metadata = br#"{"keras_version": "3.11.0", "date_saved": "2026-01-01@00:00:00"}"#;
    archive(&[("metadata.json", metadata), ("config.json", config), ("model.weights.h5", weights)])
}
