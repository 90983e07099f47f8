//! Hostile files of every format that Recurve writes itself, and small ones of others: each cut off anywhere,
//! each byte flipped. A model or an error that names the file; never a panic, and never more memory than a
//! bound, whatever sizes the file declares.
//!
//! All memory that is asked for is counted, also what is given back at once; so the peak is below the count.
//! Counting covers the whole process: hence a program without a test harness.

use recurve_interop::export::{Target, export};
use recurve_interop::{Kind, Options, open_bytes};
use recurve_nn::{CellKind, Description, Model, Pooling, Recurrent};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most memory that a small file may ask for.
const MOST: usize = 64 << 20;
/// The longest that a small file may take: 100 ms, and as much again where the machine has other work.
const LONGEST: Duration = Duration::from_millis(500);

/// What the worst file took.
#[derive(Default)]
struct Worst {
    bytes: usize,
    time: Duration,
    refused: usize,
    read: usize,
}

impl Worst {
    /// Opens a file and makes a model of it.
    fn attempt(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let own = bytes.to_vec();
        let (region, begun) = (Region::new(MEMORY), Instant::now());
        let imported = open_bytes(name, own, &Options::default())
            .and_then(|foreign| foreign.import::<f32>().map(|_| ()));
        let (change, took) = (region.change(), begun.elapsed());
        let asked = change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0);
        assert!(asked < MOST, "{name}: {asked} bytes of memory: {imported:?}");
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
                assert!(text.starts_with(&format!("`{name}`")), "{text}");
                Err(text)
            }
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../../golden/hdf5/{name}.h5", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a golden file")
}

/// Small files, and whether each ends where its format says, so that none of its beginnings is whole.
fn files() -> Vec<(String, Vec<u8>)> {
    let lstm = Recurrent::new(CellKind::Lstm, 2);
    let description = Description::values(1).recurrent(lstm).pool(Pooling::Last).linear(1);
    let mut model = Model::<f32>::new(description).unwrap();
    model.values_mut().iter_mut().enumerate().for_each(|(at, v)| *v = (at as f32).sin());
    let mut files = vec![];
    for target in [Target::Keras, Target::Npz] {
        let written = export(&model, target, "small").unwrap();
        files.extend(written.into_iter().map(|file| (file.name, file.bytes)));
    }
    let text = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    files.push(text(
        "small.nam",
        r#"{"architecture":"LSTM","config":{"input_size":1,"hidden_size":1,"num_layers":1},
        "weights":[1,2,3,4,5,6,7,8,1,2,3,4,0.5,0.25,1,2]}"#,
    ));
    files.push(text(
        "small.json",
        r#"{"in_shape":[null,null,1],"layers":[{"type":"dense","activation":"tanh","shape":[null,null,2],
        "weights":[[[0.5,1.5]],[1,2]]},{"type":"dense","activation":"","shape":[null,null,1],
        "weights":[[[1],[2]],[3]]}]}"#,
    ));
    let mut layers = vec![];
    for (inputs, units, recurrent) in [
        (1_usize, 1_usize, false),
        (1, 1, true),
        (3, 1, true),
        (3, 1, true),
        (1, 1, false),
        (1, 1, false),
    ] {
        let columns = if recurrent { 3 * units } else { units };
        let count = inputs * columns + columns + if recurrent { units * columns } else { 0 };
        layers.extend([inputs as u8, units as u8, 1]);
        layers.extend((0..count).map(|k| k as u8));
    }
    files.push(("small.rnn".to_owned(), layers));
    let mut array = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    array.extend(
        format!("{:<69}\n", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }").bytes(),
    );
    array.extend([0; 24]);
    files.push(("small.npy".to_owned(), array));
    files
}

fn main() {
    for (name, bytes) in files() {
        let mut worst = Worst::default();
        // An array has no layers, but is a file of its format.
        if let Err(error) = worst.attempt(&name, &bytes) {
            assert!(name.ends_with(".npy") && error.contains("no layer"), "{error}");
        }
        for end in 0..bytes.len() {
            let cut = worst.attempt(&name, &bytes[..end]);
            assert!(cut.is_err(), "{name} of {end} bytes is read as if it were whole");
        }
        let mut altered = bytes.clone();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                altered[at] = bytes[at] ^ flip;
                let _ = worst.attempt(&name, &altered);
            }
            altered[at] = bytes[at];
        }
        let Worst { bytes: most, time, refused, read } = worst;
        println!(
            "{name}, {} bytes: {refused} refused, {read} read; {most} bytes and {time:?} at most",
            bytes.len()
        );
    }
    let mut worst = Worst::default();
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"architecture\":{deep}");
    let shapes = r#"{"in_shape":[null,1],"layers":[{"type":"dense","shape":[268435455],"weights":[[[1]],[1]]}]}"#;
    for (name, bytes, expected) in [
        ("bomb.h5", golden("bomb"), "bytes"),
        ("loop.h5", golden("refused-loop"), "a second time"),
        ("deep.json", nested.into_bytes(), "JSON"),
        ("wide.json", shapes.as_bytes().to_vec(), "layer `dense_0`"),
    ] {
        let error = worst.attempt(name, &bytes).expect_err(name);
        assert!(error.contains(expected), "{error}");
    }
}
