//! What is written runs in the frameworks it is for. `RECURVE_PYTHON` names a Python with numpy, torch,
//! safetensors and onnxruntime; `.ci/frameworks` makes one. Without it this test says that it did not run.

mod support;

use recurve_interop::export::{Target, export};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Input, InputKind, Mode, Model, Network, Pooling,
    Recurrent,
};
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use support::say;

const STEPS: usize = 7;
const BATCH: usize = 3;

/// Cells, sizes and options: drawn in a fixed order, so that every pair of a cell and a bias is there.
fn descriptions() -> Vec<Description> {
    let cells = [
        CellKind::RnnTanh,
        CellKind::RnnRelu,
        CellKind::Lstm,
        CellKind::LstmPeephole,
        CellKind::LstmCoupled,
        CellKind::LstmCoupledPeephole,
        CellKind::Gru,
        CellKind::GruResetBefore,
    ];
    let mut all = vec![];
    for (at, cell) in cells.into_iter().enumerate() {
        for (turn, bias) in [Bias::None, Bias::One, Bias::Two].into_iter().enumerate() {
            let (input, hidden) = (2 + (at + turn) % 3, 3 + (at * 5 + turn * 2) % 9);
            let stack = Recurrent::new(cell, hidden).bias(bias);
            all.push(
                Description::values(input).recurrent(stack.clone().layers(1 + turn)).linear(2),
            );
            let both = stack.layers(2).bidirectional();
            let pooled = Description::values(input).recurrent(both).layer_norm();
            all.push(if turn == 1 {
                pooled.pool(Pooling::Last).linear(3)
            } else {
                pooled.linear(3)
            });
        }
    }
    let lstm = Recurrent::new(CellKind::Lstm, 12).layers(2);
    all.push(Description::tokens(29).embedding(8).recurrent(lstm).linear(29));
    all
}

/// An array as a `.npy`.
fn npy(kind: &str, shape: &[usize], bytes: Vec<u8>) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    header.push_str(&" ".repeat((header.len() + 11).next_multiple_of(64) - 11 - header.len()));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.into_bytes());
    file.extend(bytes);
    file
}

fn write(folder: &Path, description: &Description) {
    std::fs::create_dir_all(folder).unwrap();
    let mut model = Model::<f32>::new(description.clone()).unwrap();
    for (at, value) in model.values_mut().iter_mut().enumerate() {
        *value = ((at as f32 + 1.0) * 0.7391).sin() * 0.4;
    }
    for target in [Target::Onnx, Target::Torch] {
        let Ok(files) = export(&model, target, "model") else {
            assert_eq!(target, Target::Torch);
            continue;
        };
        files.iter().for_each(|file| std::fs::write(folder.join(&file.name), &file.bytes).unwrap());
    }
    let mut network = Network::new(description, Engine::detect().unwrap()).unwrap();
    network.load(model.values(), false);
    let width = description.widths().unwrap()[0];
    let tokens: Vec<u32> = (0..STEPS * BATCH).map(|at| (at * 5 % width) as u32).collect();
    let values: Vec<f32> = (0..STEPS * BATCH * width).map(|at| (at as f32 * 0.37).cos()).collect();
    let is_tokens = matches!(description.input, InputKind::Tokens { .. });
    let input = if is_tokens { Input::Tokens(&tokens) } else { Input::Values(&values) };
    let y = network.forward(&Batch::new(STEPS, BATCH, input), None, Mode::Infer).unwrap();
    // From time first to batch first.
    let places = || (0..BATCH).flat_map(|b| (0..STEPS).map(move |t| t * BATCH + b));
    let x = if is_tokens {
        let bytes = places().flat_map(|at| i64::from(tokens[at]).to_le_bytes()).collect();
        npy("<i8", &[BATCH, STEPS], bytes)
    } else {
        let rows = places().flat_map(|at| &values[at * width..][..width]);
        npy("<f4", &[BATCH, STEPS, width], rows.flat_map(|v| v.to_le_bytes()).collect())
    };
    let y = if description.is_pooled() {
        let bytes = y.iter().flat_map(|v| v.to_le_bytes()).collect();
        npy("<f4", &[BATCH, y.len() / BATCH], bytes)
    } else {
        let outputs = y.len() / STEPS / BATCH;
        let rows = places().flat_map(|at| &y[at * outputs..][..outputs]);
        npy("<f4", &[BATCH, STEPS, outputs], rows.flat_map(|v| v.to_le_bytes()).collect())
    };
    let mut zip = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("x.npy", x), ("y.npy", y)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    std::fs::write(folder.join("input.npz"), zip.finish().unwrap().into_inner()).unwrap();
}

#[test]
fn onnx_runtime_and_pytorch_compute_the_same() {
    let Some(python) = std::env::var_os("RECURVE_PYTHON") else {
        say(format_args!("not run: RECURVE_PYTHON names no Python with torch and onnxruntime"));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (at, description) in descriptions().iter().enumerate() {
        write(&folder.path().join(format!("{at:03}")), description);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    say(format_args!("{}", text(&output.stdout).trim_end()));
}
