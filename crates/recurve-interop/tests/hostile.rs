//! Hostile files of every format: small ones cut off anywhere and with each byte flipped, and some that were made
//! to exhaust or to execute something. There is a model or an error that names the file; never a panic, never more
//! memory or time than a bound, whatever sizes a file declares.
//!
//! All memory that is asked for is counted, also what is given back at once; so the peak is below the count.
//! Counting covers the whole process: hence a program without a test harness.

use recurve_interop::export::{Target, export};
use recurve_interop::{Kind, Options, open_bytes};
use recurve_nn::{CellKind, Description, Model, Pooling, Recurrent};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most memory that a small file may ask for.
const MOST: usize = 64 << 20;
/// The longest that a small file may take.
const LONGEST: Duration = Duration::from_millis(100);
/// How often a file that took longer is tried again: a machine may have been busy with something else, but not
/// every time.
const AGAIN: usize = 9;

/// What the worst file took.
#[derive(Default)]
struct Worst {
    bytes: usize,
    time: Duration,
    refused: usize,
    read: usize,
}

fn read(name: &str, bytes: &[u8]) -> recurve_interop::Result<()> {
    let foreign = open_bytes(name, bytes.to_vec(), &Options::default())?;
    foreign.import::<f32>().map(|_| ())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed())
}

impl Worst {
    /// Opens a file and makes a model of it.
    fn attempt(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let region = Region::new(MEMORY);
        let (imported, mut took) = timed(|| read(name, bytes));
        let change = region.change();
        let asked = change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0);
        assert!(asked < MOST, "{name}: {asked} bytes of memory: {imported:?}");
        for _ in 0..AGAIN {
            if took > LONGEST {
                took = took.min(timed(|| read(name, bytes)).1);
            }
        }
        assert!(took < LONGEST, "{name}: {took:?}: {imported:?}");
        self.bytes = self.bytes.max(asked);
        self.time = self.time.max(took);
        match imported {
            Ok(()) => {
                self.read += 1;
                Ok(())
            }
            Err(error) => {
                self.refused += 1;
                assert_ne!(error.kind(), Kind::Failed, "{error}");
                let text = error.to_string();
                assert!(text.starts_with(&format!("`{name}`: ")), "{text}");
                Err(text)
            }
        }
    }
    fn say(&self, what: &str) {
        let Self { bytes, time, refused, read } = self;
        println!("{what}: {refused} refused, {read} read; {bytes} bytes and {time:?} at most");
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../../golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a golden file")
}

fn small() -> Model<f32> {
    let lstm = Recurrent::new(CellKind::Lstm, 2);
    let description = Description::values(1).recurrent(lstm).pool(Pooling::Last).linear(1);
    let mut model = Model::new(description).unwrap();
    model.values_mut().iter_mut().enumerate().for_each(|(at, v)| *v = (at as f32).sin());
    model
}

/// Small files of every format.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![];
    for target in [Target::Torch, Target::Onnx, Target::Keras, Target::Npz] {
        let written = export(&small(), target, "small").unwrap();
        let models = written.into_iter().filter(|file| !file.name.ends_with(".py"));
        files.extend(models.map(|file| (file.name, file.bytes)));
    }
    for name in [
        "small.nam",
        "small.json",
        "small.rnn",
        "small.npy",
        "zipped.pt",
        "stream.pt",
        "burn_rnn.safetensors",
    ] {
        files.push((name.to_owned(), golden(&format!("foreign/{name}"))));
    }
    let node = golden("onnx_nodes/test_lstm_with_peepholes/model.onnx");
    files.push(("test_lstm_with_peepholes.onnx".to_owned(), node));
    files
}

fn damaged(name: &str, bytes: &[u8]) {
    let mut worst = Worst::default();
    // An array has no layers, but is a file of its format.
    if let Err(error) = worst.attempt(name, bytes) {
        assert!(name.ends_with(".npy") && error.contains("no layer"), "{error}");
    }
    for end in 0..bytes.len() {
        let cut = worst.attempt(name, &bytes[..end]);
        assert!(cut.is_err(), "{name} of {end} bytes is read as if it were whole");
    }
    let mut altered = bytes.to_vec();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            altered[at] = bytes[at] ^ flip;
            let _ = worst.attempt(name, &altered);
        }
        altered[at] = bytes[at];
    }
    // Numbers in the texts of a file: sizes that are not those of its tensors.
    for at in (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()) {
        for digit in b"0123456789" {
            altered[at] = *digit;
            let _ = worst.attempt(name, &altered);
        }
        altered[at] = bytes[at];
    }
    assert!(worst.refused > bytes.len());
    worst.say(&format!("{name}, {} bytes", bytes.len()));
}

/// An archive; its members are deflated, or stored as they are.
fn archive(deflated: bool, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let method = if deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Every place of `from` becomes `to`, which is as long.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

/// A `.npy` header for single precision.
fn npy(shape: &str) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes
}

/// A member of many zeros, listed again and again over the same bytes.
fn overlapping(count: u16) -> Vec<u8> {
    let mut array = npy("1750000,");
    array.resize(array.len() + 7_000_000, 0);
    let one = archive(true, &[("0000.npy", &array)]);
    let end = one.windows(4).rposition(|piece| piece == b"PK\x05\x06").unwrap();
    let word = |at: usize| u32::from_le_bytes(one[at..at + 4].try_into().unwrap()) as usize;
    let (size, from) = (word(end + 12), word(end + 16));
    let mut bytes = one[..from].to_vec();
    for number in 0..count {
        let name = format!("{number:04}.npy");
        bytes.extend(replaced(one[from..from + size].to_vec(), b"0000.npy", name.as_bytes()));
    }
    let mut last = one[end..].to_vec();
    last[8..10].copy_from_slice(&count.to_le_bytes());
    last[10..12].copy_from_slice(&count.to_le_bytes());
    last[12..16].copy_from_slice(&(size as u32 * u32::from(count)).to_le_bytes());
    bytes.extend(last);
    bytes
}

/// A file of `torch.save` with this pickle.
fn torch(pickle: &[u8]) -> Vec<u8> {
    archive(false, &[("a/data.pkl", pickle), ("a/byteorder", b"little")])
}

/// A field of a protobuf that holds these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut own = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        own.push(length as u8 | 0x80);
        length >>= 7;
    }
    own.push(length as u8);
    own.extend(bytes);
    own
}

/// Files that were made to do harm, and what their refusal says.
fn harmful() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let zeros = vec![0; 16 << 20];
    let onnx = |graph: &[u8]| {
        let mut bytes = vec![8, 8];
        bytes.extend(field(8, &[0x0a, 0, 0x10, 17]));
        bytes.extend(field(7, graph));
        bytes
    };
    // A branch within a branch, and so on: each graph holds a node with an attribute that is a graph.
    let mut branches = vec![];
    for _ in 0..2000 {
        let mut attribute = field(1, b"then_branch");
        attribute.extend(field(6, &branches));
        let mut node = field(4, b"If");
        node.extend(field(5, &attribute));
        branches = field(1, &node);
    }
    // A node that reads what it gives.
    let mut own = field(1, b"x");
    own.extend(field(2, b"x"));
    own.extend(field(4, b"Relu"));
    let mut cycle = field(1, &own);
    let mut port = field(1, b"x");
    port.extend(field(2, &field(1, &[8, 1])));
    cycle.extend(field(12, &port));
    let mut header = 1_u64.wrapping_shl(39).to_le_bytes().to_vec();
    header.extend(b"{}");
    let claims = r#"{"w":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#;
    let mut shape = (claims.len() as u64).to_le_bytes().to_vec();
    shape.extend(claims.bytes());
    shape.extend([0; 4]);
    // Lists in lists; the stack grows, and is then taken down.
    let mut lists = b"\x80\x02".to_vec();
    lists.extend(b"]".repeat(50_000));
    lists.extend(b"a".repeat(49_999));
    lists.push(b'.');
    let pickle = |text: &[u8]| torch(text);
    let nam = |hidden: &str| {
        format!(
            r#"{{"architecture":"LSTM","config":{{"input_size":1,"hidden_size":{hidden},"num_layers":65535}},"weights":[1]}}"#
        )
        .into_bytes()
    };
    let wide = r#"{"in_shape":[null,1],"layers":[{"type":"dense","shape":[268435455],"weights":[[[1]],[1]]}]}"#;
    let honest = archive(
        true,
        &[("a.npy", &{
            let mut array = npy("100000,");
            array.resize(array.len() + 400_000, 0);
            array
        })],
    );
    let size = npy("100000,").len() as u32 + 400_000;
    let keras = |config: &[u8]| {
        let metadata = br#"{"keras_version": "3.11.0"}"#;
        let weights = export(&small(), Target::Keras, "small").unwrap().remove(1).bytes;
        archive(
            true,
            &[("metadata.json", metadata), ("config.json", config), ("model.weights.h5", &weights)],
        )
    };
    let mut layers = r#"{"class_name":"LSTM","config":{"units":1}}"#.to_owned();
    for _ in 0..100 {
        layers = format!(r#"{{"class_name":"Bidirectional","config":{{"layer":{layers}}}}}"#);
    }
    let nested = format!(r#"{{"class_name":"Sequential","config":{{"layers":[{layers}]}}}}"#);
    vec![
        // Bombs.
        ("bomb.h5", golden("hdf5/bomb.h5"), "bytes"),
        ("bomb.npz", archive(true, &[("a.npy", &zeros)]), "are not unpacked"),
        ("bomb.pt", archive(true, &[("a/data.pkl", &zeros)]), "are not unpacked"),
        ("bomb.keras", keras(&zeros), "are not unpacked"),
        ("overlap.npz", overlapping(500), "are not unpacked"),
        ("lies.npz", replaced(honest, &size.to_le_bytes(), &200_u32.to_le_bytes()), "cannot be inflated"),
        // Sizes beyond the file.
        ("header.safetensors", header, "description of 549755813888 bytes"),
        ("shape.safetensors", shape, "larger than any memory"),
        ("text.pt", pickle(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7f."), "bytes more"),
        ("frame.pt", pickle(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."), ""),
        ("huge.npy", npy("9223372036854775807, 4"), "does not have 0 bytes"),
        ("length.onnx", b"\x08\x08\x3a\xff\xff\xff\xff\x0f\x00".to_vec(), ""),
        ("huge.nam", nam("65535"), "found 1"),
        ("wide.json", wide.as_bytes().to_vec(), "layer `dense_0`"),
        // What contains itself, or lies deep.
        ("loop.h5", golden("hdf5/refused-loop.h5"), "a second time"),
        ("loop.pt", pickle(b"\x80\x02]q\x00h\x00a."), "deeper"),
        ("deep.pt", torch(&lists), "deeper"),
        ("deep.json", format!("{{\"architecture\":{}", "[".repeat(100_000)).into_bytes(), "JSON"),
        ("deep.keras", keras(nested.as_bytes()), ""),
        ("deep.onnx", onnx(&branches), "deeper"),
        ("cycle.onnx", onnx(&cycle), "which nothing gave before it"),
        // What would execute something.
        ("system.pt", pickle(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), "`os.system`"),
        ("eval.pt", pickle(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93."), "`builtins.eval`"),
        ("inst.pt", pickle(b"\x80\x02(X\x02\x00\x00\x00lsios\nsystem\n."), "byte 10"),
        ("object.pt", pickle(b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00lso."), "`os.system`"),
        ("extension.pt", pickle(b"\x80\x02\x82\x01."), "byte 2"),
        ("lambda.keras", keras(br#"{"class_name":"Sequential","config":{"layers":[{"class_name":"Lambda","config":{"function":"x"}}]}}"#), "Lambda"),
        ("objects.npy", {
            let text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.bytes());
            bytes
        }, "type `|O`"),
    ]
}

fn main() {
    for (name, bytes) in files() {
        damaged(&name, &bytes);
    }
    let (mut worst, mut wrong) = (Worst::default(), vec![]);
    for (name, bytes, expected) in harmful() {
        match worst.attempt(name, &bytes) {
            Err(error) if error.contains(expected) => println!("{error}"),
            other => wrong.push(format!("{name}: expected `{expected}`, found {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    worst.say("what was made to do harm");
}
