//! Networks whose products are of `bf16`: near to those of `f32`, and exact where exactness is promised.

use crate::support::{Data, Pass, Problem, Random, isas};
use recurve_nn::{
    Batch, CellKind, Description, Engine, Entries, HalfIsa, Input, Isa, Memory, Mode, Model,
    Network, Noise, Precision, Recurrent, Session, State,
};

const STEPS: usize = 20;
const BATCH: usize = 5;
const INPUTS: usize = 7;

fn half(isa: Isa) -> Engine {
    Engine::new(isa).with_precision(Precision::Bf16)
}

fn problem(cell: CellKind) -> Problem {
    let mut random = Random(11);
    let mut stack = Recurrent::new(cell, 43).layers(2);
    stack.bidirectional = true;
    let description = Description::values(INPUTS).recurrent(stack).linear(10);
    let weights = random.values(Entries::of(&description).unwrap().len(), 0.15);
    let state = State::zero(&description, BATCH);
    Problem {
        weights,
        steps: STEPS,
        batch: BATCH,
        data: Data::Values(random.values(STEPS * BATCH * INPUTS, 1.0)),
        lengths: Some(vec![20, 3, 0, 17, 20]),
        resets: Some((0..STEPS * BATCH).map(|at| at % 23 == 4).collect()),
        initial: state.clone(),
        dy: random.values(STEPS * BATCH * 10, 1.0),
        d_last: state,
        description,
    }
}

/// The cosine of the angle between two vectors, and their distance relative to the second.
fn apart(got: &[f32], expected: &[f32]) -> (f64, f64) {
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        got.iter().zip(expected).map(|(a, b)| of(f64::from(*a), f64::from(*b))).sum()
    };
    let (aa, bb) = (sum(&|a, _| a * a), sum(&|_, b| b * b));
    (sum(&|a, b| a * b) / (aa * bb).sqrt(), (sum(&|a, b| (a - b).powi(2)) / bb).sqrt())
}

/// Rounding to 8 digits moves a number by 2⁻⁹ at most and by 2⁻¹⁰ in the middle, and what reaches a
/// gradient went through some ten such roundings that do not know of each other.
#[test]
fn gradients_point_where_those_of_f32_point() {
    for cell in [CellKind::Lstm, CellKind::LstmPeephole, CellKind::Gru, CellKind::GruResetBefore] {
        let problem = problem(cell);
        for isa in isas() {
            let full: Pass<f32> = problem.run(Engine::new(isa));
            for way in HalfIsa::available(isa) {
                let half: Pass<f32> = problem.run(half(isa).with_half(way));
                for (what, got, expected) in [
                    ("y", &half.y, &full.y),
                    ("gradients", &half.gradients, &full.gradients),
                    ("dx", &half.dx, &full.dx),
                ] {
                    let (cosine, distance) = apart(got, expected);
                    let what = format!("{cell:?} {isa} {way} {what}: {cosine} {distance}");
                    assert!(cosine > 0.9999 && distance < 0.01 && distance > 1e-5, "{what}");
                }
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let description = Description::values(INPUTS)
        .recurrent(Recurrent::new(CellKind::Lstm, 300).layers(2))
        .linear(200);
    let mut random = Random(3);
    let weights = random.values(Entries::of(&description).unwrap().len(), 0.06);
    let model = model(&description, &weights);
    let x: Vec<f32> = random_values(&random.values(STEPS * 40 * INPUTS, 1.0));
    let dy: Vec<f32> = random_values(&random.values(STEPS * 40 * 200, 1.0));
    for way in HalfIsa::available(Isa::available()[0]) {
        let run = |threads: usize| {
            let engine = half(Isa::available()[0]).with_half(way).with_threads(threads);
            let mut network = Network::new(&description, engine).unwrap();
            network.load(model.values(), true);
            let batch = Batch::new(STEPS, 40, Input::Values(&x));
            let noise = Noise { seed: 0, step: 0 };
            let y = network.forward(&batch, None, Mode::Train(noise)).unwrap().to_vec();
            let mut gradients = vec![0.0; weights.len()];
            network.backward(&dy, &mut gradients, None).unwrap();
            (y, gradients)
        };
        assert!(run(1) == run(2), "{way}");
    }
}

fn model(description: &Description, weights: &[f64]) -> Model<f32> {
    let mut model = Model::new(description.clone()).unwrap();
    model.values_mut().copy_from_slice(&random_values(weights));
    model
}

fn random_values(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

#[test]
fn step_by_step_is_all_at_once() {
    for cell in [CellKind::Lstm, CellKind::GruResetBefore] {
        let description = Description::values(INPUTS).recurrent(Recurrent::new(cell, 37)).linear(5);
        let mut random = Random(2);
        let weights = random.values(Entries::of(&description).unwrap().len(), 0.2);
        let model = model(&description, &weights);
        let x: Vec<f32> = random_values(&random.values(STEPS * 3 * INPUTS, 1.0));
        for isa in isas() {
            for way in HalfIsa::available(isa) {
                let engine = half(isa).with_half(way);
                let mut session = Session::new(&model, engine, 3).unwrap();
                let whole = session.run(&x).to_vec();
                session.reset();
                for (t, x) in x.chunks_exact(3 * INPUTS).enumerate() {
                    assert!(session.step(x) == &whole[t * 15..][..15], "{cell:?} {isa} {way} {t}");
                }
            }
        }
    }
}

#[test]
fn what_bf16_cannot_do_is_refused() {
    let problem = problem(CellKind::Lstm);
    let engine = half(Isa::available()[0]);
    let error = Network::<f64>::new(&problem.description, engine).err().unwrap().to_string();
    assert!(error.contains("f64") && error.contains("bf16"), "{error}");
    let mut network = problem.network::<f32>(engine);
    network.set_memory(Memory::Low);
    let x = vec![0.0; INPUTS];
    let batch = Batch::new(1, 1, Input::Values(&x));
    let noise = Noise { seed: 0, step: 0 };
    let error = network.forward(&batch, None, Mode::Train(noise)).unwrap_err().to_string();
    assert!(error.contains("bf16") && error.contains("memory"), "{error}");
    assert!(network.forward(&batch, None, Mode::Infer).is_ok());
}
