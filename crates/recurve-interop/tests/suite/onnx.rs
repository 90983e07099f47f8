//! Models of ONNX give what their goldens say: single nodes over all attributes, exported modules, public
//! models; whole, and in chunks with carried states.

use crate::support::{Golden, assert_close, cases, shared};
use recurve_interop::graph::{Array, Graph, GraphSession, Kind, Port, Size, Value};
use recurve_interop::{Imported, Options, open};
use recurve_nn::{Element, Engine};
use std::path::Path;
use std::sync::Arc;

fn graph(path: &Path, options: &Options) -> Graph {
    match open(path, options).unwrap().import::<f32>() {
        Ok(Imported::Graph(graph)) => graph,
        Ok(Imported::Layers(_)) => panic!("{} is no graph", path.display()),
        Err(error) => panic!("{error}"),
    }
}

fn session<E: Element>(graph: &Graph) -> GraphSession<E> {
    GraphSession::new(Arc::new(graph.clone()), Engine::detect().unwrap())
}

fn value<E: Element>(kind: Kind, shape: Vec<usize>, values: &[f64]) -> Value<E> {
    match kind {
        Kind::Integers => {
            let values = values.iter().map(|v| *v as i64).collect();
            Value::Integers(Array::new(shape, values).unwrap())
        }
        _ => {
            let values = values.iter().map(|v| E::from_f64(*v)).collect();
            Value::Reals(Array::new(shape, values).unwrap())
        }
    }
}

/// The value of a port in a golden file.
fn golden<E: Element>(io: &Golden, port: &Port, prefix: &str) -> Value<E> {
    let name = format!("{prefix}{}", port.name);
    value(port.kind, io.shape(&name), &io.get(&name))
}

fn compare<E: Element>(got: &Value<E>, io: &Golden, name: &str, tolerance: f64, what: &str) {
    assert_eq!(got.shape(), io.shape(name), "{what} {name}");
    assert_close(&got.reals().unwrap().data, &io.get(name), tolerance, &format!("{what} {name}"));
}

fn node<E: Element>(folder: &Path, options: &Options, tolerance: f64) {
    let graph = graph(&folder.join("model.onnx"), options);
    let io = Golden::read(&folder.join("io.safetensors"));
    let mut session = session::<E>(&graph);
    let inputs: Vec<(&str, Value<E>)> =
        graph.inputs.iter().map(|port| (port.name.as_str(), golden(&io, port, "input."))).collect();
    let what = folder.display().to_string();
    // Twice: as it is traced, and by the plan.
    for _ in 0..2 {
        let outputs = session.run(&inputs).unwrap_or_else(|error| panic!("{what}: {error}"));
        for (port, got) in graph.outputs.iter().zip(&outputs) {
            // A model of f64 has goldens of its own type only.
            let wide = format!("output64.{}", port.name);
            let name = io.find(&wide).map_or(format!("output.{}", port.name), |_| wide);
            compare(got, &io, &name, tolerance, &what);
        }
    }
}

#[test]
fn single_nodes_with_every_attribute() {
    let Some(folder) = shared("models/fixtures/onnx_nodes") else { return };
    let options = Options { external_data: true, ..Options::default() };
    let (mut run, mut refused) = (0, 0);
    for case in cases(&folder) {
        let name = case["folder"].as_str().unwrap();
        let own = folder.join(name);
        let attributes = &case["attributes"];
        let unclear = ["Affine", "ThresholdedRelu", "ScaledTanh"];
        let text = attributes.to_string();
        if unclear.iter().any(|name| text.contains(name))
            && attributes["activation_alpha"].is_null()
        {
            let error =
                open(&own.join("model.onnx"), &options).unwrap().import::<f32>().unwrap_err();
            assert!(error.to_string().contains("without its activation_alpha"), "{error}");
            refused += 1;
            continue;
        }
        node::<f32>(&own, &options, 1e-5);
        // Numbers of attributes are rounded to f32 in the file; the goldens were made with the exact ones.
        let rounded =
            ["clip", "alpha", "HardSigmoid", "LeakyRelu"].iter().any(|a| text.contains(a));
        node::<f64>(&own, &options, if rounded { 1e-7 } else { 1e-10 });
        run += 1;
    }
    assert!(run + refused == 191 && refused == 12, "{run} run, {refused} refused");
}

/// The node tests of the package `onnx`, all of them.
#[test]
fn the_conformance_tests_of_onnx() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/onnx_nodes");
    let mut count = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        node::<f32>(&case, &Options::default(), 1e-5);
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn data_outside_the_model_is_not_read_unless_allowed() {
    let Some(folder) = shared("models/fixtures/onnx_nodes/lstm_external_data_weights") else {
        return;
    };
    let error = open(&folder.join("model.onnx"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("model.onnx") && error.contains("`weights.bin`; allow that"), "{error}");
}

#[cfg(unix)]
#[test]
fn neither_links_nor_other_folders_are_followed() {
    let Some(folder) = shared("models/fixtures/onnx_nodes/lstm_external_data_weights") else {
        return;
    };
    let options = Options { external_data: true, ..Options::default() };
    let here = tempfile::tempdir().unwrap();
    let place = |name: &str| here.path().join(name);
    std::fs::copy(folder.join("model.onnx"), place("model.onnx")).unwrap();
    let refusal = || open(&place("model.onnx"), &options).unwrap_err().to_string();
    assert!(refusal().contains("cannot read"), "{}", refusal());
    std::fs::copy(folder.join("weights.bin"), place("other")).unwrap();
    std::os::unix::fs::symlink(place("other"), place("weights.bin")).unwrap();
    assert!(refusal().contains("behind a link"), "{}", refusal());
    std::fs::remove_file(place("weights.bin")).unwrap();
    std::fs::hard_link(place("other"), place("weights.bin")).unwrap();
    assert!(refusal().contains("behind a link"), "{}", refusal());
    let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
    for other in ["../eights.bi", "/etc//passwd"] {
        assert_eq!(other.len(), 12);
        let mut changed = bytes.clone();
        let name = b"weights.bin";
        while let Some(at) = changed.windows(name.len()).position(|piece| piece == name) {
            changed[at..at + 11].copy_from_slice(&other.as_bytes()[..11]);
        }
        std::fs::write(place("model.onnx"), changed).unwrap();
        assert!(refusal().contains("not below the folder"), "{}", refusal());
    }
}

/// Where steps and sequences are among the axes of a port.
fn axis(port: &Port, name: &str) -> Option<usize> {
    let shape = port.shape.as_ref()?;
    shape.iter().position(|size| *size == Size::Named(name.to_owned()))
}

/// Some steps of a value.
fn steps<E: Element>(all: &Value<E>, axis: usize, range: std::ops::Range<usize>) -> Value<E> {
    let shape = all.shape();
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut cut = shape.to_vec();
    cut[axis] = range.len();
    let take =
        |o: usize| (o * shape[axis] + range.start) * inner..(o * shape[axis] + range.end) * inner;
    match all {
        Value::Reals(a) => {
            let data = (0..outer).flat_map(|o| a.data[take(o)].to_vec()).collect();
            Value::Reals(Array::new(cut, data).unwrap())
        }
        Value::Integers(a) => {
            let data = (0..outer).flat_map(|o| a.data[take(o)].to_vec()).collect();
            Value::Integers(Array::new(cut, data).unwrap())
        }
        Value::Truths(_) => panic!("no steps of truth values"),
    }
}

#[test]
fn exported_modules_run_whole_and_in_chunks() {
    let Some(folder) = shared("models/fixtures/torch_onnx") else { return };
    for case in cases(&folder) {
        let name = case["folder"].as_str().unwrap();
        for model in ["model_torchscript.onnx", "model_dynamo.onnx"] {
            let path = folder.join(name).join(model);
            let graph = graph(&path, &Options::default());
            let io = Golden::read(&folder.join(name).join("io.safetensors"));
            let unrolled = name.starts_with("rnn_") && model.contains("dynamo");
            for run in if unrolled { &["a."][..] } else { &["a.", "b.", "c."] } {
                let what = format!("{name}/{model} {run}");
                let mut session = session::<f32>(&graph);
                let inputs: Vec<_> = graph
                    .inputs
                    .iter()
                    .map(|port| (port.name.as_str(), golden(&io, port, run)))
                    .collect();
                let outputs =
                    session.run(&inputs).unwrap_or_else(|error| panic!("{what}: {error}"));
                for (port, got) in graph.outputs.iter().zip(&outputs) {
                    compare(got, &io, &format!("{run}{}", port.name), 1e-5, &what);
                }
                let with_states = !name.contains("zero");
                let states = 1 + usize::from(name.contains("lstm"));
                let expected = if with_states { states } else { 0 };
                assert_eq!(graph.states.len(), expected, "{what}: {:?}", graph.states);
                if !with_states || unrolled || name.contains("_bi_") {
                    continue;
                }
                in_chunks(&graph, &inputs, &outputs, &what);
            }
        }
    }
}

/// The first run gets the states, later ones carry them.
fn in_chunks(graph: &Graph, inputs: &[(&str, Value<f32>)], outputs: &[Value<f32>], what: &str) {
    let mut session = session::<f32>(graph);
    let [data] = graph.data_inputs()[..] else { panic!("{what}: one input is data") };
    let time = axis(&graph.inputs[data], "time").unwrap();
    let count = inputs[data].1.shape()[time];
    let (mut begin, mut y) = (0, vec![]);
    for size in [1, 2, 1, 5, 100] {
        let end = (begin + size).min(count);
        if begin == end {
            break;
        }
        let piece = steps(&inputs[data].1, time, begin..end);
        let mut given = vec![(inputs[data].0, piece)];
        if begin == 0 {
            given.extend(
                inputs.iter().enumerate().filter(|(at, _)| *at != data).map(|(_, i)| i.clone()),
            );
        }
        y.push(session.run(&given).unwrap());
        begin = end;
    }
    for (at, port) in graph.outputs.iter().enumerate() {
        let whole: Vec<f64> =
            outputs[at].reals().unwrap().data.iter().map(|v| f64::from(*v)).collect();
        let joined: Vec<f32> = match axis(port, "time") {
            None => y.last().unwrap()[at].reals().unwrap().data.to_vec(),
            Some(axis) => {
                let mut begin = 0;
                let mut joined = vec![f32::NAN; whole.len()];
                let shape = outputs[at].shape();
                let inner: usize = shape[axis + 1..].iter().product();
                for piece in &y {
                    let piece = piece[at].reals().unwrap();
                    let size = piece.shape[axis];
                    for (o, block) in piece.data.chunks(size * inner).enumerate() {
                        let to = (o * shape[axis] + begin) * inner;
                        joined[to..to + size * inner].copy_from_slice(block);
                    }
                    begin += size;
                }
                joined
            }
        };
        assert_close(&joined, &whole, 2e-6, &format!("{what} in chunks: {}", port.name));
    }
}

#[test]
fn silero_vad_streams() {
    let Some(folder) = shared("models/silero-vad") else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    let audio = io.get("audio");
    for (file, fixed) in [
        ("silero_vad_openvino_16k.onnx", vec![]),
        ("silero_vad_16k_op15.onnx", vec![("sr".to_owned(), vec![16000.0])]),
    ] {
        let options = Options { fixed, ..Options::default() };
        let graph = graph(&folder.join(file), &options);
        let mut narrow = session::<f32>(&graph);
        let mut wide = session::<f64>(&graph);
        assert_eq!(graph.states.len(), 1, "{file}");
        let (mut prob, mut prob64, mut states) = (vec![], vec![], vec![]);
        for frame in 0..100_i64 {
            let sample = |at: i64| usize::try_from(at).map_or(0.0, |at| audio[at]);
            let x: Vec<f64> = (512 * frame - 64..512 * frame + 512).map(sample).collect();
            let y = narrow.run(&[("input", value(Kind::Reals, vec![1, 576], &x))]).unwrap();
            prob.extend_from_slice(&y[0].reals().unwrap().data);
            states.extend_from_slice(&y[1].reals().unwrap().data);
            let y = wide.run(&[("input", value(Kind::Reals, vec![1, 576], &x))]).unwrap();
            prob64.extend_from_slice(&y[0].reals().unwrap().data);
        }
        assert_close(&prob, &io.get("onnx.prob"), 1e-5, file);
        assert_close(&states, &io.get("onnx.state"), 1e-5, file);
        assert_close(&prob64, &io.get("onnx64.prob"), 1e-10, file);
    }
}

#[test]
fn dtln_streams() {
    let Some(folder) = shared("models/dtln") else { return };
    let io = Golden::read(&folder.join("io.safetensors"));
    let options = Options::default();
    let (first, second) = (
        graph(&folder.join("model_1.onnx"), &options),
        graph(&folder.join("model_2.onnx"), &options),
    );
    assert_eq!((first.states.len(), second.states.len()), (1, 1));
    let (mag, frames) = (io.get("mag"), io.get("onnx.estimated_frames"));
    let count = mag.len() / 257;
    for (graph, x, width, expected, key) in [
        (&first, &mag, 257, "onnx.mask1", "onnx.state1_every10"),
        (&second, &frames, 512, "onnx.decoded", "onnx.state2_every10"),
    ] {
        let mut session = session::<f32>(graph);
        let name = graph.inputs[graph.data_inputs()[0]].name.clone();
        let (mut y, mut states) = (vec![], vec![]);
        for frame in 0..count {
            let x = value(Kind::Reals, vec![1, 1, width], &x[frame * width..][..width]);
            let out = session.run(&[(name.as_str(), x)]).unwrap();
            y.extend_from_slice(&out[graph.data_outputs()[0]].reals().unwrap().data);
            if frame % 10 == 9 {
                states.extend_from_slice(&out[graph.states[0].1].reals().unwrap().data);
            }
        }
        assert_close(&y, &io.get(expected), 1e-5, expected);
        assert_close(&states, &io.get(key), 1e-5, key);
    }
}
