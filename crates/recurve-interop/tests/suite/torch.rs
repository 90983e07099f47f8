//! State dicts of PyTorch give what PyTorch computed with them.

use crate::support::{Golden, Run, assert_close, cases, layers, shared};
use recurve_interop::{Options, open_bytes};
use recurve_nn::{CellKind, Element};
use std::path::Path;

const TORCH: &str = "models/fixtures/torch";

fn options(kind: &str) -> Options {
    let rnn = (kind == "rnn_relu").then_some(CellKind::RnnRelu);
    Options { rnn, ..Options::default() }
}

/// One module: a whole sequence from given states and from zeros, and the same in pieces.
fn module<E: Element>(file: &Path, io: &Path, kind: &str, tolerance: f64) {
    let layers = layers::<E>(file, &options(kind));
    let what = |key: &str| format!("{} {key}", file.display());
    let io = Golden::read(io);
    let (x, batch) = (io.get("x"), io.shape("x")[1]);
    let (h0, c0) = (io.get("h0"), io.find("c0"));
    let mut run = Run::new(&layers, batch);
    for (suffix, with) in [("", true), ("_nostate", false)] {
        run.state.reset();
        if with {
            run.begin(Some(&h0), c0.as_deref());
        }
        let lengths = io.find("lengths");
        let lengths: Option<Vec<usize>> =
            lengths.map(|all| all.iter().map(|length| *length as usize).collect());
        let Some(y) = io.find(&format!("y{suffix}")) else { continue };
        assert_close(&run.run(&x, lengths.as_deref()), &y, tolerance, &what(&format!("y{suffix}")));
        let hn = io.get(&format!("hn{suffix}"));
        assert_close(&run.states(false), &hn, tolerance, &what("hn"));
        if let Some(cn) = io.find(&format!("cn{suffix}")) {
            assert_close(&run.states(true), &cn, tolerance, &what("cn"));
        }
    }
    let Some(pieces) = io.find("chunk_lens") else { return };
    run.state.reset();
    run.begin(Some(&h0), c0.as_deref());
    let (mut rest, mut y, mut hn) = (&x[..], vec![], vec![]);
    let row = x.len() / io.shape("x")[0];
    for piece in pieces {
        let (now, later) = rest.split_at(piece as usize * row);
        y.extend(run.run(now, None));
        hn.extend(run.states(false));
        rest = later;
    }
    assert_close(&y, &io.get("chunk_y"), tolerance, &what("chunk_y"));
    assert_close(&hn, &io.get("chunk_hn"), tolerance, &what("chunk_hn"));
}

/// The cases of the index in one folder: each with its kind.
fn each(sub: &str, mut with: impl FnMut(&Path, &str)) {
    let Some(folder) = shared(TORCH) else { return };
    let mut count = 0;
    for case in cases(&folder) {
        let name = case["folder"].as_str().unwrap();
        let kind = case["kind"].as_str().unwrap();
        if !name.starts_with(sub) {
            continue;
        }
        with(&folder.join(name), kind);
        count += 1;
    }
    assert!(count > 0, "no case lies in {sub}");
}

#[test]
fn modules_and_packed_sequences() {
    for sub in ["modules/", "packed/"] {
        each(sub, |folder, kind| {
            let file = |name: &str| folder.join(name);
            for end in ["safetensors", "pt"] {
                let state = |numbers: &str| file(&format!("state_{numbers}.{end}"));
                module::<f32>(&state("f32"), &file("io_f32.safetensors"), kind, 5e-6);
                module::<f64>(&state("f64"), &file("io_f64.safetensors"), kind, 1e-12);
            }
        });
    }
}

#[test]
fn cells() {
    each("cells/", |folder, kind| {
        let file = folder.join("state_f64.safetensors");
        let layers = layers::<f64>(&file, &options(kind));
        let io = Golden::read(&folder.join("io_f64.safetensors"));
        let mut run = Run::new(&layers, io.shape("x")[1]);
        run.begin(Some(&io.get("h0")), io.find("c0").as_deref());
        let y = run.run(&io.get("x"), None);
        assert_close(&y, &io.get("h_steps"), 1e-12, &format!("{}", folder.display()));
    });
}

/// One network, however it was saved.
#[test]
fn variants_of_files() {
    let Some(folder) = shared(&format!("{TORCH}/pt_variants")) else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    for (file, y, tolerance) in [
        ("plain.safetensors", "y", 5e-6),
        ("half.safetensors", "y_half_weights", 5e-6),
        ("bfloat16.safetensors", "y_bfloat16_weights", 5e-6),
        ("plain.pt", "y", 5e-6),
        ("half.pt", "y_half_weights", 5e-6),
        ("bfloat16.pt", "y_bfloat16_weights", 5e-6),
        ("legacy_stream.pt", "y", 5e-6),
        ("data_parallel_prefix.pt", "y", 5e-6),
        ("checkpoint.pt", "y", 5e-6),
        ("shared_storage_transposed_views.pt", "y", 5e-6),
        ("parameters.pt", "y", 5e-6),
    ] {
        let layers = layers::<f32>(&folder.join(file), &Options::default());
        let mut run = Run::new(&layers, io.shape("x")[1]);
        assert_close(&run.run(&io.get("x"), None), &io.get(y), tolerance, file);
    }
}

#[test]
fn what_is_no_file_of_a_model_is_refused() {
    for (bytes, expected) in [
        (&b""[..], "known format"),
        (b"\x02\0\0\0\0\0\0\0{}", "no layer"),
        (b"\x02\0\0\0\0\0\0\0{}x", "the tensors end at byte 10, the file at byte 11"),
        (b"\xff\xff\xff\0\0\0\0\0{}", "byte 8: expected"),
    ] {
        let imported = open_bytes("some.file", bytes.to_vec(), &Options::default());
        let error = imported.and_then(|foreign| foreign.import::<f32>()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`some.file`") && text.contains(expected), "{text}");
    }
}
