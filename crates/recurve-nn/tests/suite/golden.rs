//! Networks against the golden numbers: outputs, final states and every gradient.
//!
//! One harness runs all of them, at f64 and f32, on every instruction set of the machine: the files
//! in `golden/`, described in its README, and the larger set in `models/fixtures/torch` of the shared
//! folder where that is there.

use crate::support::fixtures::{Tensors, assert_close, golden, index, shared};
use crate::support::{Data, Pass, Problem, converted, isas};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Element, Engine, Entries, Input, Mode, Pooling, Recurrent,
    State,
};
use serde::Deserialize;

const F64: f64 = 1e-12;
const F32: f64 = 5e-6;
/// The mLSTM divides by sums of both signs over seventy steps, ten times as many as the other cases have.
const MATRIX_F32: f64 = 2e-5;

/// A parameter of the model: its name, its value, and the expected gradient.
struct Parameter {
    name: String,
    value: Vec<f64>,
    gradient: Vec<f64>,
}

/// A problem and what a pass over it should give. What is absent is not compared.
struct Case {
    what: String,
    problem: Problem,
    gradients: Vec<Parameter>,
    y: Vec<f64>,
    hn: Option<Vec<f64>>,
    cn: Option<Vec<f64>>,
    dx: Option<Vec<f64>>,
    dh0: Option<Vec<f64>>,
    dc0: Option<Vec<f64>>,
}

/// `h` or `c` of all parts, one after the other: `[L*D, B, H]`.
fn joined<E: Element>(state: &State<E>, cell: bool) -> Vec<E> {
    let part = |part: &recurve_nn::Part<E>| if cell { part.c.clone() } else { part.h.clone() };
    state.parts().iter().flat_map(part).collect()
}

/// A state out of `[L*D, B, H]` each; `c` is absent for cells without.
fn state(description: &Description, batch: usize, h: &[f64], c: Option<&[f64]>) -> State<f64> {
    let mut state = State::zero(description, batch);
    for (at, part) in state.parts_mut().iter_mut().enumerate() {
        let (size, of_c) = (part.h.len(), part.c.len());
        part.h.copy_from_slice(&h[at * size..][..size]);
        if of_c > 0 {
            part.c.copy_from_slice(&c.expect("c")[at * of_c..][..of_c]);
        }
    }
    state
}

impl Case {
    /// A case of one stack, whose tensors have the names of `golden/README.md`.
    fn of_stack(what: String, batch: Shape, parameters: Vec<Parameter>, io: &Tensors) -> Self {
        let description = Description::values(batch.input).recurrent(batch.stack);
        let state_of = |h: &str, c: &str| state(&description, batch.batch, io.get(h), io.find(c));
        let mut weights = vec![f64::NAN; Entries::of(&description).unwrap().len()];
        let entries = Entries::of(&description).unwrap();
        for parameter in &parameters {
            let entry = entries.get(&parameter.name).unwrap();
            weights[entry.range.clone()].copy_from_slice(&parameter.value);
        }
        let given = |name: &str| io.find(name).map(<[f64]>::to_vec);
        Self {
            what,
            gradients: parameters,
            y: io.get("y").to_vec(),
            hn: given("hn"),
            cn: given("cn"),
            dx: given("grad.x"),
            dh0: given("grad.h0"),
            dc0: given("grad.c0"),
            problem: Problem {
                weights,
                steps: batch.steps,
                batch: batch.batch,
                data: Data::Values(io.get("x").to_vec()),
                lengths: batch.lengths,
                resets: batch.resets,
                initial: state_of("h0", "c0"),
                dy: io.get("loss_wy").to_vec(),
                d_last: state_of("loss_wh", "loss_wc"),
                description,
            },
        }
    }

    fn check_all(&self, also_f64: bool) {
        self.check_all_to(also_f64, F32);
    }

    fn check_all_to(&self, also_f64: bool, f32_tolerance: f64) {
        assert!(
            self.problem.weights.iter().all(|w| w.is_finite()),
            "{}: a weight that no tensor gives",
            self.what
        );
        for isa in isas() {
            let engine = Engine::new(isa).with_threads(2);
            if also_f64 {
                self.check::<f64>(engine, F64);
            }
            self.check::<f32>(engine, f32_tolerance);
        }
    }

    fn check<E: Element>(&self, engine: Engine, tolerance: f64) {
        let got: Pass<E> = self.problem.run(engine);
        let label = format!("{} {} {}", self.what, engine.isa(), std::any::type_name::<E>());
        let close = |got: &[E], expected: &[f64], name: &str| {
            assert_close(got, expected, tolerance, &format!("{label}: {name}"));
        };
        let given = |got: Vec<E>, expected: &Option<Vec<f64>>, name: &str| {
            if let Some(expected) = expected {
                close(&got, expected, name);
            }
        };
        close(&got.y, &self.y, "y");
        given(joined(&got.last, false), &self.hn, "hn");
        given(joined(&got.last, true), &self.cn, "cn");
        given(got.dx, &self.dx, "grad.x");
        given(joined(&got.d_initial, false), &self.dh0, "grad.h0");
        given(joined(&got.d_initial, true), &self.dc0, "grad.c0");
        let entries = Entries::of(&self.problem.description).unwrap();
        assert_eq!(entries.iter().len(), self.gradients.len(), "{label}");
        for expected in &self.gradients {
            let range = entries.get(&expected.name).unwrap().range.clone();
            close(
                &got.gradients[range],
                &expected.gradient,
                &format!("the gradient of {}", expected.name),
            );
        }
    }
}

/// The sizes of a case of one stack.
struct Shape {
    stack: Recurrent,
    input: usize,
    steps: usize,
    batch: usize,
    lengths: Option<Vec<usize>>,
    resets: Option<Vec<bool>>,
}

/// A case of a stack as PyTorch has it: in `torch_layers/index.json`, and under other names in the
/// shared index.
#[derive(Deserialize)]
struct TorchCase {
    #[serde(alias = "folder")]
    file: String,
    #[serde(alias = "kind")]
    cell: String,
    #[serde(alias = "num_layers", default = "one")]
    layers: usize,
    #[serde(default)]
    bidirectional: bool,
    bias: bool,
    #[serde(alias = "input_size")]
    input: usize,
    #[serde(alias = "hidden_size")]
    hidden: usize,
    #[serde(alias = "time")]
    steps: usize,
    batch: usize,
    lengths: Option<Vec<usize>>,
    #[serde(default)]
    dtype: String,
    /// Values that the output is projected to; 0 for none.
    #[serde(default)]
    proj_size: usize,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
struct Index<T> {
    cases: Vec<T>,
}

/// The cell that fixtures call `name`.
fn cell(name: &str) -> CellKind {
    let name = name.replace('_', "-");
    let kinds = CellKind::ALL.into_iter();
    let same = |kind: &CellKind| {
        kind.name() == name
            || name == "gru-reset-after" && *kind == CellKind::Gru
            || name == "lstmp" && *kind == CellKind::Lstm
    };
    kinds.into_iter().find(same).unwrap_or_else(|| panic!("a cell {name}"))
}

impl TorchCase {
    fn shape(&self) -> Shape {
        let bias = if self.bias { Bias::Two } else { Bias::None };
        let mut stack =
            Recurrent::new(cell(&self.cell), self.hidden).layers(self.layers).bias(bias);
        stack.projection = Some(self.proj_size).filter(|width| *width > 0);
        Shape {
            stack: if self.bidirectional { stack.bidirectional() } else { stack },
            input: self.input,
            steps: self.steps,
            batch: self.batch,
            lengths: self.lengths.clone(),
            resets: None,
        }
    }

    /// The weights, under PyTorch's names with or without the number of the layer.
    fn parameters(&self, weights: &Tensors, io: &Tensors) -> Vec<Parameter> {
        let mut parameters = vec![];
        for layer in 0..self.layers {
            for direction in &["forward", "reverse"][..1 + usize::from(self.bidirectional)] {
                for (ours, theirs) in [
                    ("w", "weight_ih"),
                    ("r", "weight_hh"),
                    ("b", "bias_ih"),
                    ("b_r", "bias_hh"),
                    ("projection", "weight_hr"),
                ] {
                    let suffix = if *direction == "reverse" { "_reverse" } else { "" };
                    let full = format!("{theirs}_l{layer}{suffix}");
                    let found = [full.as_str(), theirs]
                        .into_iter()
                        .find(|name| weights.find(name).is_some());
                    let Some(found) = found else {
                        let absent = match ours {
                            "projection" => self.proj_size == 0,
                            _ => ours.starts_with('b') && !self.bias,
                        };
                        assert!(absent, "{}: {full}", self.file);
                        continue;
                    };
                    parameters.push(Parameter {
                        name: format!("0.recurrent.{layer}.{direction}.{ours}"),
                        value: weights.get(found).to_vec(),
                        gradient: io.get(&format!("grad.{found}")).to_vec(),
                    });
                }
            }
        }
        parameters
    }
}

#[test]
fn torch_layers() {
    let folder = golden().join("torch_layers");
    let index: Index<TorchCase> = index(&folder.join("index.json"));
    assert!(index.cases.len() >= 30, "the index lists all cases");
    for case in index.cases {
        let io = Tensors::read(&folder.join(&case.file));
        let parameters = case.parameters(&io, &io);
        let wide = case.dtype == "f64";
        Case::of_stack(case.file.clone(), case.shape(), parameters, &io).check_all(wide);
    }
}

/// A case of `other_cells/index.json`.
#[derive(Deserialize)]
struct OtherCase {
    file: String,
    cell: String,
    input: usize,
    hidden: usize,
    steps: usize,
    batch: usize,
    lengths: Option<Vec<usize>>,
    resets: bool,
}

impl OtherCase {
    fn parameters(&self, io: &Tensors) -> Vec<Parameter> {
        let mut parameters = vec![];
        let mut add = |name: &str, value: Vec<f64>, gradient: Vec<f64>| {
            let name = format!("0.recurrent.0.forward.{name}");
            parameters.push(Parameter { name, value, gradient });
        };
        for name in ["w", "r", "b", "p"] {
            let present = io.find(name).filter(|value| !value.is_empty());
            if let Some(value) = present {
                add(name, value.to_vec(), io.get(&format!("grad.{name}")).to_vec());
            }
        }
        if let Some(b_rn) = io.find("b_rn") {
            // The file has one bias for r and z; of our two, the second is zero there, and both get
            // the same gradient.
            let gates = 2 * self.hidden;
            let mut value = vec![0.0; gates];
            value.extend(b_rn);
            let mut gradient = io.get("grad.b")[..gates].to_vec();
            gradient.extend(io.get("grad.b_rn"));
            add("b_r", value, gradient);
        }
        parameters
    }
}

fn check_cells(folder: &str, least: usize) {
    let folder = golden().join(folder);
    let index: Index<OtherCase> = index(&folder.join("index.json"));
    assert!(index.cases.len() >= least, "the index lists all cases");
    for case in index.cases {
        let io = Tensors::read(&folder.join(&case.file));
        let shape = Shape {
            stack: Recurrent::new(cell(&case.cell), case.hidden),
            input: case.input,
            steps: case.steps,
            batch: case.batch,
            lengths: case.lengths.clone(),
            resets: case.resets.then(|| {
                let flags = io.get("resets").iter();
                flags.map(|flag| *flag != 0.0).collect()
            }),
        };
        let parameters = case.parameters(&io);
        Case::of_stack(case.file.clone(), shape, parameters, &io).check_all(true);
    }
}

#[test]
fn other_cells() {
    check_cells("other_cells", 15);
}

#[test]
fn paper_cells() {
    check_cells("paper_cells", 14);
}

/// A case of `stages/index.json`.
#[derive(Deserialize)]
struct StageCase {
    file: String,
    cell: String,
    input: usize,
    hidden: usize,
    steps: usize,
    batch: usize,
    lengths: Vec<usize>,
    norm: bool,
    gates: bool,
    clip: Option<f64>,
    projection: Option<usize>,
    projection_clip: Option<f64>,
}

#[test]
fn stages() {
    let folder = golden().join("stages");
    let index: Index<StageCase> = index(&folder.join("index.json"));
    assert!(index.cases.len() >= 13, "the index lists all cases");
    for case in index.cases {
        let io = Tensors::read(&folder.join(&case.file));
        let stack = Recurrent {
            layer_norm: case.norm,
            gate_recurrence: case.gates,
            clip_state: case.clip,
            projection: case.projection,
            projection_clip: case.projection_clip,
            ..Recurrent::new(cell(&case.cell), case.hidden)
        };
        let shape = Shape {
            stack,
            input: case.input,
            steps: case.steps,
            batch: case.batch,
            lengths: Some(case.lengths),
            resets: Some(io.get("resets").iter().map(|flag| *flag != 0.0).collect()),
        };
        let names = [
            "w",
            "r",
            "b",
            "b_r",
            "p",
            "r_gates",
            "projection",
            "gain_w",
            "gain_r",
            "gain_c",
            "shift_c",
        ];
        let present = names.into_iter().filter(|name| io.find(name).is_some());
        let parameter = |name: &str| Parameter {
            name: format!("0.recurrent.0.forward.{name}"),
            value: io.get(name).to_vec(),
            gradient: io.get(&format!("grad.{name}")).to_vec(),
        };
        let parameters = present.map(parameter).collect();
        Case::of_stack(case.file.clone(), shape, parameters, &io).check_all(true);
    }
}

/// A case of `mlstm/index.json`.
#[derive(Deserialize)]
struct MatrixCase {
    file: String,
    cell: String,
    input: usize,
    hidden: usize,
    heads: usize,
    steps: usize,
    batch: usize,
    lengths: Option<Vec<usize>>,
    resets: bool,
}

#[test]
fn mlstm() {
    let folder = golden().join("mlstm");
    let index: Index<MatrixCase> = index(&folder.join("index.json"));
    assert!(index.cases.len() >= 6, "the index lists all cases");
    for case in index.cases {
        let io = Tensors::read(&folder.join(&case.file));
        // The file has the rows of all gates in one.
        let rows = 4 * case.hidden;
        let parameter = |name: &str, from: &str, width: usize, gates: bool| {
            let part = |values: &[f64]| {
                let (head, tail) = values.split_at(rows * width);
                if gates { tail.to_vec() } else { head.to_vec() }
            };
            Parameter {
                name: format!("0.recurrent.0.forward.{name}"),
                value: part(io.get(from)),
                gradient: part(io.get(&format!("grad.{from}"))),
            }
        };
        let shape = Shape {
            stack: Recurrent::new(cell(&case.cell), case.hidden).heads(case.heads),
            input: case.input,
            steps: case.steps,
            batch: case.batch,
            lengths: case.lengths,
            resets: case.resets.then(|| io.get("resets").iter().map(|flag| *flag != 0.0).collect()),
        };
        let parameters = vec![
            parameter("w", "w", case.input, false),
            parameter("w_gates", "w", case.input, true),
            parameter("b", "b", 1, false),
            parameter("b_gates", "b", 1, true),
        ];
        let case = Case::of_stack(case.file.clone(), shape, parameters, &io);
        case.check_all_to(true, MATRIX_F32);
    }
}

/// One layer of `torch_parts.safetensors`: its input, its weights, and the names of both there.
fn check_part(part: &str, description: Description, names: &[(&str, &str)]) {
    let tensors = Tensors::read(&golden().join("torch_parts.safetensors"));
    let get = |name: &str| tensors.get(&format!("{part}.{name}"));
    let find = |name: &str| tensors.find(&format!("{part}.{name}"));
    let lengths = find("lengths").map(|_| tensors.integers(&format!("{part}.lengths")));
    let (steps, batch) = (5, 4);
    let data = find("tokens").map_or_else(
        || Data::Values(get("x").to_vec()),
        |tokens| Data::Tokens(tokens.iter().map(|token| *token as u32).collect()),
    );
    let gradients: Vec<Parameter> = names
        .iter()
        .map(|(ours, theirs)| Parameter {
            name: format!("0.{ours}"),
            value: get(theirs).to_vec(),
            gradient: get(&format!("grad.{theirs}")).to_vec(),
        })
        .collect();
    let weights = gradients.iter().flat_map(|p| p.value.clone()).collect();
    let none = State::zero(&description, batch);
    let case = Case {
        what: part.to_owned(),
        gradients,
        y: get("y").to_vec(),
        hn: None,
        cn: None,
        dx: find("grad.x").map(<[f64]>::to_vec),
        dh0: None,
        dc0: None,
        problem: Problem {
            description,
            weights,
            steps,
            batch,
            data,
            lengths,
            resets: None,
            initial: none.clone(),
            dy: get("loss_wy").to_vec(),
            d_last: none,
        },
    };
    case.check_all(true);
}

#[test]
fn torch_parts() {
    let width = 6;
    check_part(
        "layer_norm",
        Description::values(width).layer_norm(),
        &[("layer-norm.gain", "weight"), ("layer-norm.shift", "bias")],
    );
    check_part(
        "linear",
        Description::values(width).linear(7),
        &[("linear.weight", "weight"), ("linear.bias", "bias")],
    );
    check_part(
        "embedding",
        Description::tokens(9).embedding(width),
        &[("embedding.weight", "weight")],
    );
    for (part, by) in
        [("pool_last", Pooling::Last), ("pool_mean", Pooling::Mean), ("pool_max", Pooling::Max)]
    {
        check_part(part, Description::values(width).pool(by), &[]);
    }
}

const TORCH: &str = "models/fixtures/torch";

/// The cases of the shared index in `sub` that this crate can represent; the others are named aloud.
fn shared_cases(sub: &str) -> Vec<(std::path::PathBuf, TorchCase)> {
    let Some(folder) = shared(TORCH) else {
        return vec![];
    };
    let index: Index<serde_json::Value> = index(&folder.join("cases.json"));
    let mut cases = vec![];
    for case in index.cases {
        let name = case["folder"].as_str().unwrap_or_default().to_owned();
        if !name.starts_with(sub) {
            continue;
        }
        cases.push((folder.join(&name), serde_json::from_value(case).unwrap()));
    }
    assert!(!cases.is_empty(), "{TORCH}/cases.json has cases in {sub}");
    cases
}

#[test]
fn shared_modules_and_packed_sequences() {
    for sub in ["modules/", "packed/"] {
        for (folder, case) in shared_cases(sub) {
            for (dtype, wide) in [("f64", true), ("f32", false)] {
                let io = Tensors::read(&folder.join(format!("io_{dtype}.safetensors")));
                let weights = Tensors::read(&folder.join(format!("state_{dtype}.safetensors")));
                let parameters = case.parameters(&weights, &io);
                let what = format!("{} {dtype}", case.file);
                let stack = Case::of_stack(what, case.shape(), parameters, &io);
                stack.check_all(wide);
                check_without_state(&stack, &io, wide);
                check_pieces(&stack, &io, wide);
            }
        }
    }
}

/// Zeros where no initial state is given.
fn check_without_state(case: &Case, io: &Tensors, wide: bool) {
    let Some(y) = io.find("y_nostate") else {
        return;
    };
    fn check<E: Element>(case: &Case, y: &[f64], io: &Tensors, tolerance: f64) {
        let problem = &case.problem;
        let Data::Values(x) = &problem.data else { unreachable!("a stack reads values") };
        let x = converted::<E>(x);
        let mut network = problem.network::<E>(Engine::detect().unwrap());
        let batch = Batch::new(problem.steps, problem.batch, Input::Values(&x));
        let got = network.forward(&batch, None, Mode::Infer).unwrap();
        assert_close(got, y, tolerance, &format!("{}: y_nostate", case.what));
        let mut zero = State::zero(&problem.description, problem.batch);
        network.forward(&batch, Some(&mut zero), Mode::Infer).unwrap();
        for (cell, name) in [(false, "hn_nostate"), (true, "cn_nostate")] {
            if let Some(expected) = io.find(name) {
                let what = format!("{}: {name}", case.what);
                assert_close(&joined(&zero, cell), expected, tolerance, &what);
            }
        }
    }
    if wide {
        check::<f64>(case, y, io, F64);
    }
    check::<f32>(case, y, io, F32);
}

/// The same input in pieces, the state carried from one to the next.
fn check_pieces(case: &Case, io: &Tensors, wide: bool) {
    if io.find("chunk_lens").is_none() {
        return;
    }
    fn check<E: Element>(case: &Case, io: &Tensors, tolerance: f64) {
        let problem = &case.problem;
        let x = converted::<E>(io.get("x"));
        let row = problem.batch * problem.input_width();
        let mut network = problem.network::<E>(Engine::detect().unwrap());
        let mut carried = problem.state::<E>(&problem.initial);
        let (mut y, mut h, mut c): (Vec<E>, Vec<E>, Vec<E>) = (vec![], vec![], vec![]);
        let mut begin = 0;
        for steps in io.integers("chunk_lens") {
            let piece = &x[begin * row..][..steps * row];
            let batch = Batch::new(steps, problem.batch, Input::Values(piece));
            y.extend(network.forward(&batch, Some(&mut carried), Mode::Infer).unwrap());
            h.extend(joined(&carried, false));
            c.extend(joined(&carried, true));
            begin += steps;
        }
        let close = |got: &[E], name: &str| {
            let what = format!("{}: {name}", case.what);
            assert_close(got, io.get(name), tolerance, &what);
        };
        close(&y, "chunk_y");
        close(&h, "chunk_hn");
        if !c.is_empty() {
            close(&c, "chunk_cn");
        }
    }
    if wide {
        check::<f64>(case, io, F64);
    }
    check::<f32>(case, io, F32);
}

#[test]
fn shared_cells() {
    for (folder, case) in shared_cases("cells/") {
        for (dtype, wide) in [("f64", true), ("f32", false)] {
            let io = Tensors::read(&folder.join(format!("io_{dtype}.safetensors")));
            let weights = Tensors::read(&folder.join(format!("state_{dtype}.safetensors")));
            let shape = case.shape();
            let description = Description::values(shape.input).recurrent(shape.stack);
            let parameters = case.parameters(&weights, &io);
            let given = |name: &str| io.find(name).map(<[f64]>::to_vec);
            let stack = Case {
                what: format!("{} {dtype}", case.file),
                y: io.get("h_steps").to_vec(),
                hn: None,
                cn: given("c_steps").map(|c| {
                    let last = c.len() - shape.batch * case.hidden;
                    c[last..].to_vec()
                }),
                dx: given("grad.x"),
                dh0: given("grad.h0"),
                dc0: given("grad.c0"),
                problem: Problem {
                    weights: parameters.iter().flat_map(|p| p.value.clone()).collect(),
                    steps: shape.steps,
                    batch: shape.batch,
                    data: Data::Values(io.get("x").to_vec()),
                    lengths: None,
                    resets: None,
                    initial: state(&description, shape.batch, io.get("h0"), io.find("c0")),
                    dy: io.get("loss_wh").to_vec(),
                    d_last: State::zero(&description, shape.batch),
                    description,
                },
                gradients: parameters,
            };
            stack.check_all(wide);
            check_every_cell_state(&stack, &io, wide);
        }
    }
}

/// `c` after every step.
fn check_every_cell_state(case: &Case, io: &Tensors, wide: bool) {
    let Some(c_steps) = io.find("c_steps") else {
        return;
    };
    fn check<E: Element>(case: &Case, x: &[f64], c_steps: &[f64], tolerance: f64) {
        let problem = &case.problem;
        let mut network = problem.network::<E>(Engine::detect().unwrap());
        let mut carried = problem.state::<E>(&problem.initial);
        let mut c = vec![];
        for step in converted::<E>(x).chunks_exact(problem.batch * problem.input_width()) {
            let batch = Batch::new(1, problem.batch, Input::Values(step));
            network.forward(&batch, Some(&mut carried), Mode::Infer).unwrap();
            c.extend(joined(&carried, true));
        }
        assert_close(&c, c_steps, tolerance, &format!("{}: c_steps", case.what));
    }
    if wide {
        check::<f64>(case, io.get("x"), c_steps, F64);
    }
    check::<f32>(case, io.get("x"), c_steps, F32);
}
