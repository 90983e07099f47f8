//! What is written runs in the frameworks it is for, and what PyTorch makes runs here. `RECURVE_PYTHON` names a
//! Python with numpy, torch, safetensors and onnxruntime; `.ci/frameworks` makes one. Without it this test says that
//! it did not run. Keras has its own, in `suite/keras.rs`.

mod support;

use recurve_interop::Options;
use recurve_interop::export::{Target, export};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Input, InputKind, Mode, Model, Network, Pooling,
    Recurrent,
};
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use support::{Golden, Run, assert_close, layers, say};

const STEPS: usize = 7;
const BATCH: usize = 3;

/// Models whose cells, sizes and options are drawn; the same in every run.
fn drawn(cells: &[CellKind]) -> Vec<Description> {
    let mut seed = 1997_u64;
    let mut draw = |count: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) % count) as usize
    };
    let one = |_| {
        let cell = cells[draw(cells.len() as u64)];
        let bias = [Bias::None, Bias::One, Bias::Two][draw(3)];
        let mut stack = Recurrent::new(cell, 1 + draw(20)).bias(bias).layers(1 + draw(3));
        if draw(2) == 1 {
            stack = stack.bidirectional();
        }
        if cell == CellKind::Lstm && stack.hidden > 1 && draw(2) == 1 {
            let width = 1 + draw(stack.hidden as u64 - 1);
            stack = stack.projection(width);
        }
        let model = match draw(2) {
            0 => Description::values(1 + draw(9)),
            _ => Description::tokens(5 + draw(30)).embedding(1 + draw(9)),
        };
        match draw(3) {
            0 if matches!(model.input, InputKind::Tokens { .. }) && draw(2) == 1 => {
                let InputKind::Tokens { vocabulary } = model.input else { unreachable!("tokens") };
                let below = Description::tokens(vocabulary).embedding(stack.width());
                below.recurrent(stack).tied()
            }
            0 => model.recurrent(stack).linear(1 + draw(4)),
            1 => model.recurrent(stack).layer_norm().linear(2),
            _ => model.recurrent(stack).pool(Pooling::Last).linear(2),
        }
    };
    (0..30).map(one).collect()
}

/// Every pair of a cell and a bias, then what is drawn.
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
    for (at, cell) in cells.iter().copied().enumerate() {
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
    all.extend(drawn(&cells));
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
        let files = match export(&model, target, "model") {
            Ok(files) => files,
            Err(error) => {
                assert!(error.to_string().contains(" has no "), "{error}");
                continue;
            }
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
    let mut count = 0;
    for entry in std::fs::read_dir(folder.path().join("theirs")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Some((number, _)) = name.split_once('.').filter(|_| !name.contains(".io.")) else {
            continue;
        };
        let rnn = name.contains("relu").then_some(CellKind::RnnRelu);
        let layers = layers::<f32>(&file, &Options { rnn, ..Options::default() });
        let io = Golden::read(&file.with_file_name(format!("{number}.io.safetensors")));
        let y = Run::new(&layers, io.shape("x")[1]).run(&io.get("x"), None);
        assert_close(&y, &io.get("y"), 1e-5, &name);
        count += 1;
    }
    say(format_args!("{count} files of PyTorch give here what they give there"));
    assert!(count >= 60);
}
