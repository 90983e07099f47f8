//! Every fixture and every public model: a test holds it against golden numbers, or it is refused by name and the
//! documentation lists it. What becomes layers goes out in every format that has them and comes back to the bit.

use crate::support::{say, shared};
use recurve_interop::export::{Target, export};
use recurve_interop::{Imported, Layers, Options, open, open_bytes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folders whose models other tests hold against golden numbers: those of `torch.rs`, `keras.rs`, `onnx.rs` and
/// `formats.rs`, each of which walks the index of its folder or names the files.
const PROVED: [&str; 15] = [
    "fixtures/torch/modules/",
    "fixtures/torch/packed/",
    "fixtures/torch/cells/",
    "fixtures/torch/pt_variants/",
    "fixtures/keras/",
    "fixtures/keras2/",
    "fixtures/onnx_nodes/",
    "fixtures/torch_onnx/",
    "silero-vad/silero_vad_16k_op15.onnx",
    "silero-vad/silero_vad_openvino_16k.onnx",
    "dtln/model_",
    "nam-lstm/lstm.nam",
    "rnnoise/weights.rnn",
    "rtneural/",
    "fixtures/training/",
];

/// What is refused: a part of the path, a part of the refusal, and the words of its row in the documentation.
const REFUSED: [(&str, &str, &str); 12] = [
    ("dtln/model.h5", "`conv1d`", "convolutions, batch normalisation"),
    ("silero_vad_16k.safetensors", "conv", "convolutions, batch normalisation"),
    ("textgenrnn/", "`attention`", "attention of Keras in a file of weights alone"),
    ("g2p_en/checkpoint20.npz", "no layer was recognised", "arrays whose names say nothing"),
    ("/weights.safetensors", "no layer was recognised", "arrays whose names say nothing"),
    ("rtneural/bad_lstm.json", "layer `lstm_0`", "weights that do not fit their layers"),
    ("keras2/", "no file of a known format", "checkpoints of TensorFlow"),
    (
        "encoder_bilstm_gru_head/model.weights.h5",
        "`layer_normalization`",
        "a file of weights alone",
    ),
    ("_nobias/model.weights.h5", "whose reset may come before", "a file of weights alone"),
    ("_stacked_cells/model.weights.h5", "`rnn`", "a file of weights alone"),
    ("onnx_nodes/", "without its activation_alpha", "Affine, ThresholdedRelu, ScaledTanh"),
    ("_external_data_weights/", "another file", "values in other files than the model"),
];

/// Endings of model files.
const ENDINGS: [&str; 11] =
    ["safetensors", "pt", "onnx", "keras", "h5", "hdf5", "npz", "nam", "json", "rnn", "index"];

/// Inputs, outputs, indices, what a model reads, and recorded steps of a training: no models.
fn is_model(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let ending = path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
    let other = ["io", "cases.", "curves.", "prompts.", "tokens.", "textgenrnn_vocab."];
    let steps = path.parent().is_some_and(|folder| folder.ends_with("fixtures/training"))
        && !name.starts_with("initial");
    ending && !steps && !other.iter().any(|beginning| name.starts_with(beginning))
}

fn files(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, to);
        } else if is_model(&path) {
            to.push(path);
        }
    }
}

/// The same description and the same bits from every format that has the layers.
fn comes_back(name: &str, layers: &Layers<f32>, formats: &mut BTreeMap<String, usize>) {
    for target in [Target::Torch, Target::Onnx, Target::Keras, Target::Npz] {
        let Ok(mut written) = export(&layers.model, target, "model") else { continue };
        let opened = open_bytes(name, written.remove(0).bytes, &Options::default()).unwrap();
        let Imported::Layers(back) = opened.import::<f32>().unwrap() else {
            panic!("{name}: {target:?} became a graph")
        };
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let (own, theirs) = (bits(layers.model.values()), bits(back.model.values()));
        if target == Target::Keras {
            // It has no stacks, and one bias where the cell knows the sum of two alone.
            let again = export(&back.model, target, "model").unwrap().remove(0).bytes;
            let first = export(&layers.model, target, "model").unwrap().remove(0).bytes;
            assert!(again == first, "{name}: another file of Keras");
        } else {
            assert_eq!(back.model.description(), layers.model.description(), "{name} {target:?}");
            assert_eq!(own, theirs, "{name} {target:?}");
        }
        *formats.entry(format!("{target:?}")).or_default() += 1;
    }
}

#[test]
fn every_model_gives_its_golden_numbers_or_is_refused_as_documented() {
    let Some(folder) = shared("models") else { return };
    let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    let documentation = std::fs::read_to_string(documentation).unwrap();
    for (_, _, row) in REFUSED {
        assert!(documentation.contains(row), "docs/interop.md does not say: {row}");
    }
    let mut all = vec![];
    files(&folder, &mut all);
    let (mut layers, mut graphs, mut refused, mut unlisted) = (0, 0, 0, vec![]);
    let mut formats = BTreeMap::new();
    for path in &all {
        let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        let imported = open(path, &Options::default()).and_then(|foreign| foreign.import::<f32>());
        match imported {
            Err(error) => {
                let error = error.to_string();
                let row = REFUSED
                    .iter()
                    .find(|(path, why, _)| name.contains(path) && error.contains(why));
                refused += 1;
                if row.is_none() {
                    unlisted.push(format!("{name}: {error}"));
                }
            }
            Ok(_) if !PROVED.iter().any(|proved| name.starts_with(proved)) => {
                unlisted.push(format!("{name}: no test holds it against golden numbers"));
            }
            Ok(Imported::Layers(own)) => {
                layers += 1;
                if !name.contains("_f64") {
                    comes_back(&name, &own, &mut formats);
                }
            }
            Ok(Imported::Graph(_)) => graphs += 1,
        }
    }
    assert!(unlisted.is_empty(), "{unlisted:#?}");
    say(format_args!(
        "{} files: {layers} layers, {graphs} graphs, {refused} refused; written and read again: {formats:?}",
        all.len()
    ));
    assert!(layers > 400 && graphs > 200 && refused > 20);
}
