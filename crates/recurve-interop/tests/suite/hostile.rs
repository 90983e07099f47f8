//! Hostile files: whatever is cut off or flipped, there is an error that names the place, or a model; never a
//! panic, a hang, or memory that the file does not hold.

use crate::support::{say, shared};
use recurve_interop::{Kind, Options, open_bytes};
use std::time::{Duration, Instant};

/// Opens and imports; an error must name the file.
fn attempt(name: &str, bytes: Vec<u8>) -> Result<(), String> {
    let begun = Instant::now();
    let imported = open_bytes(name, bytes, &Options::default())
        .and_then(|foreign| foreign.import::<f32>().map(|_| ()));
    let took = begun.elapsed();
    // The limit is 100 ms; a machine that does other things too gets more.
    assert!(took < Duration::from_secs(1), "{name}: {took:?}");
    imported.map_err(|error| {
        assert_ne!(error.kind(), Kind::Failed, "{error}");
        error.to_string()
    })
}

/// Small files of every format.
fn files() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = shared("models/fixtures") else { return vec![] };
    let names = [
        "torch/cells/gru_nobias/state_f32.safetensors",
        "torch/cells/gru_nobias/state_f32.pt",
        "torch/pt_variants/legacy_stream.pt",
        "onnx_nodes/gru_bidirectional_lbr0_lengths_states/model.onnx",
        "torch_onnx/lstm_l1_uni_bf_zero/model_torchscript.onnx",
    ];
    let read = |name: &&str| ((*name).to_owned(), std::fs::read(folder.join(name)).unwrap());
    names.iter().map(read).collect()
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for (name, bytes) in files() {
        for end in 0..bytes.len() {
            let error = attempt(&name, bytes[..end].to_vec());
            let error = error.expect_err(&format!("{name} cut off after {end} bytes"));
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
    }
}

#[test]
fn a_file_with_any_byte_flipped_is_refused_or_read() {
    for (name, bytes) in files() {
        let (mut refused, mut read) = (0, 0);
        for at in 0..bytes.len() {
            for flip in [0x01, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                match attempt(&name, flipped) {
                    Ok(()) => read += 1,
                    Err(error) => {
                        assert!(error.starts_with(&format!("`{name}`")), "{error}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(refused > 0);
        say(format_args!("{name}: {refused} flips refused, {read} read"));
    }
}
