//! NumPy, RNNoise, Neural Amp Modeler and RTNeural: files give the numbers that others recorded.

use crate::support::{Golden, assert_close, shared};
use recurve_interop::export::{Target, export};
use recurve_interop::graph::{Array, GraphSession, Value};
use recurve_interop::{Imported, Layers, Options, open, open_bytes};
use recurve_nn::{CellKind, Description, Element, Engine, Model, Recurrent, Session};
use std::path::Path;
use std::sync::Arc;

/// A model that reads one step after the other.
enum Stream<E: Element> {
    Layers(Box<Session<E>>),
    Graph(Box<GraphSession<E>>),
}

impl<E: Element> Stream<E> {
    fn open(file: &Path) -> Self {
        let engine = Engine::detect().unwrap();
        match open(file, &Options::default()).and_then(|foreign| foreign.import()).unwrap() {
            Imported::Layers(Layers { model, initial, .. }) => {
                let mut session = Session::new(&model, engine, 1).unwrap();
                if let Some(initial) = initial {
                    *session.state_mut() = initial;
                }
                Self::Layers(Box::new(session))
            }
            Imported::Graph(graph) => {
                Self::Graph(Box::new(GraphSession::new(Arc::new(graph), engine)))
            }
        }
    }
    /// Runs steps of `width` values on; gives every output.
    fn run(&mut self, x: &[E], width: usize) -> Vec<Vec<E>> {
        match self {
            Self::Layers(session) => vec![session.run(x).to_vec()],
            Self::Graph(session) => {
                let graph = session.graph();
                let name = graph.inputs[graph.data_inputs()[0]].name.clone();
                let x = Array::new(vec![1, x.len() / width, width], x.to_vec()).unwrap();
                let all = session.run(&[(&name, Value::Reals(x))]).unwrap();
                let places = session.graph().data_outputs();
                places.iter().map(|at| all[*at].reals().unwrap().data.to_vec()).collect()
            }
        }
    }
}

fn own<E: Element>(values: &[f64]) -> Vec<E> {
    values.iter().map(|value| E::from_f64(*value)).collect()
}

/// The same outputs from a run of the whole sequence and from pieces.
fn check<E: Element>(file: &Path, x: &[f64], width: usize, expected: &[Vec<f64>], tolerance: f64) {
    let x = own::<E>(x);
    let what = file.display().to_string();
    for piece in [x.len() / width, 1, 7] {
        let mut stream = Stream::<E>::open(file);
        let mut all = vec![vec![]; expected.len()];
        for part in x.chunks(piece * width) {
            all.iter_mut().zip(stream.run(part, width)).for_each(|(all, y)| all.extend(y));
        }
        for (found, expected) in all.iter().zip(expected) {
            assert_close(found, expected, tolerance, &format!("{what} in pieces of {piece}"));
        }
    }
}

#[test]
fn models_of_rtneural() {
    let Some(folder) = shared("models/rtneural") else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    for name in ["lstm", "gru", "lstm_1d", "gru_1d", "lstm_torch", "gru_torch"] {
        let file = folder.join(format!("{name}.json"));
        let x = io.get(&format!("{name}.x"));
        check::<f32>(&file, &x, 1, &[io.get(&format!("{name}.y"))], 1e-5);
        check::<f64>(&file, &x, 1, &[io.get(&format!("{name}.y64"))], 1e-11);
    }
    let error = open(&folder.join("bad_lstm.json"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("layer `lstm_0`") && error.contains("80"), "{error}");
}

#[test]
fn a_model_of_neural_amp_modeler_begins_with_its_states() {
    let Some(folder) = shared("models/nam-lstm") else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    let (file, x) = (folder.join("lstm.nam"), io.get("x"));
    check::<f32>(&file, &x, 1, &[io.get("y")], 1e-5);
    check::<f64>(&file, &x, 1, &[io.get("y_f64")], 1e-11);
    let text = std::fs::read_to_string(&file).unwrap().replace("\"LSTM\"", "\"WaveNet\"");
    let error =
        open_bytes("w.nam", text.into_bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("`WaveNet`"), "{error}");
}

#[test]
fn the_network_of_rnnoise() {
    let Some(folder) = shared("models/rnnoise") else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    let expected = [io.get("exact.gains"), io.get("exact.vad")];
    let (file, features) = (folder.join("weights.rnn"), io.get("features"));
    check::<f32>(&file, &features, 42, &expected, 1e-5);
    check::<f64>(&file, &features, 42, &expected, 1e-11);
}

/// The encoder of a speller, from the arrays of an archive that names its tensors as its author liked.
#[test]
fn arrays_of_numpy() {
    let Some(folder) = shared("models/g2p_en") else { return };
    let arrays =
        open(&folder.join("checkpoint20.npz"), &Options::default()).unwrap().contents.tensors;
    let get = |name: &str| arrays.get(name).unwrap().reals().unwrap();
    assert_eq!(arrays.get("enc_w_ih").unwrap().shape, [768, 256]);
    let io = Golden::read(&folder.join("io.safetensors"));
    let description =
        Description::tokens(29).embedding(256).recurrent(Recurrent::new(CellKind::Gru, 256));
    let mut model = Model::<f32>::new(description).unwrap();
    for (entry, name) in [
        ("0.embedding.weight", "enc_emb"),
        ("1.recurrent.0.forward.w", "enc_w_ih"),
        ("1.recurrent.0.forward.r", "enc_w_hh"),
        ("1.recurrent.0.forward.b", "enc_b_ih"),
        ("1.recurrent.0.forward.b_r", "enc_b_hh"),
    ] {
        model.get_mut(entry).unwrap().copy_from_slice(&own::<f32>(&get(name)));
    }
    let (ids, lengths) = (io.get("grapheme_ids"), io.get("grapheme_lengths"));
    let last = io.get("encoder_last_h");
    let mut session = Session::new(&model, Engine::detect().unwrap(), 1).unwrap();
    for word in (0..200).step_by(20) {
        session.reset();
        let ids = &ids[word * 30..][..lengths[word] as usize];
        let tokens: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        let h = session.run_tokens(&tokens);
        let h = h[h.len() - 256..].to_vec();
        assert_close(&h, &last[word * 256..][..256], 2e-5, &format!("word {word}"));
    }
}

#[test]
fn an_archive_of_arrays_comes_back_to_the_bit() {
    let description =
        Description::values(3).recurrent(Recurrent::new(CellKind::LstmPeephole, 4)).linear(2);
    let mut model = Model::<f64>::new(description).unwrap();
    model.values_mut().iter_mut().enumerate().for_each(|(at, v)| *v = (at as f64).sin());
    let bytes = export(&model, Target::Npz, "m").unwrap().remove(0).bytes;
    let back =
        open_bytes("m.npz", bytes, &Options::default()).and_then(|foreign| foreign.import::<f64>());
    let Ok(Imported::Layers(back)) = back else { panic!("no layers") };
    assert_eq!(back.model.values(), model.values());
    assert_eq!(back.model.description(), model.description());
}

#[test]
fn arrays_are_read_in_every_order() {
    let array = |header: &str, values: &[u8]| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        open_bytes("a.npy", bytes, &Options::default()).map(|foreign| {
            let tensor = foreign.contents.tensors.iter().next().unwrap().clone();
            (tensor.shape.clone(), tensor.reals().unwrap())
        })
    };
    let six: Vec<u8> = (1..7).flat_map(|k: i16| k.to_be_bytes()).collect();
    let (shape, values) =
        array("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", &six).unwrap();
    assert_eq!((shape, values), (vec![2, 3], vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    let (shape, values) =
        array("{'descr': '<f2', 'fortran_order': False, 'shape': ()}", &[0, 0x3c]).unwrap();
    assert_eq!((shape, values), (vec![], vec![1.0]));
    for (header, expected) in [
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "type `|O`"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,), }",
            "does not have 4 bytes",
        ),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os'),), }",
            "size `` of an axis",
        ),
        ("{'descr': '<f4', 'shape': (1,), }", "not a header"),
    ] {
        let error = array(header, &[0; 4]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("byte "), "{error}");
    }
}
