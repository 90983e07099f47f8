//! Every cell in every precision, on any number of threads, as a batch and as a stream.

use crate::support::{Random, random_model};
use recurve_nn::{
    Activation, Activations, Batch, CellKind, Description, Engine, Input, Mode, Model, Network,
    Noise, Precision, Recurrent, Session,
};

const STEPS: usize = 12;
const BATCH: usize = 5;
const WIDTH: usize = 70;
const LENGTHS: [usize; BATCH] = [12, 3, 0, 9, 12];
const TRAIN: Mode = Mode::Train(Noise { seed: 1, step: 1 });

/// Cells whose derivative jumps.
const JUMPS: [CellKind; 4] =
    [CellKind::RnnRelu, CellKind::IndRnn, CellKind::MinGru, CellKind::MinLstm];

/// Every cell, and some with functions and bounds that are chosen.
fn stacks() -> Vec<(String, Recurrent)> {
    let of = |cell| Recurrent::new(cell, WIDTH).layers(2);
    let functions = Activations {
        gate: Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        candidate: Activation::Softsign,
        output: Activation::Tanh,
    };
    let chosen = [CellKind::Lstm, CellKind::LstmCoupledPeephole, CellKind::Gru]
        .map(|cell| of(cell).activations(functions).clip_sums(2.0));
    let all = CellKind::ALL.map(of).into_iter().chain(chosen);
    all.map(|stack| (format!("{} {:?}", stack.cell.name(), stack.clip_sums), stack)).collect()
}

fn model(stack: &Recurrent) -> Model<f32> {
    random_model(&Description::values(WIDTH).recurrent(stack.clone()).linear(3), 4)
}

fn input() -> Vec<f32> {
    Random(3).values(STEPS * BATCH * WIDTH, 1.0)
}

/// Outputs, gradients of all weights and of the input of a training pass.
fn trained(model: &Model<f32>, engine: Engine) -> [Vec<f32>; 3] {
    let mut network = Network::new(model.description(), engine).unwrap();
    network.set_input_gradient(true);
    network.load(model.values(), true);
    let x = input();
    let resets: Vec<bool> = (0..STEPS * BATCH).map(|at| at % 17 == 6).collect();
    let batch = Batch::new(STEPS, BATCH, Input::Values(&x)).lengths(&LENGTHS).resets(&resets);
    let y = network.forward(&batch, None, TRAIN).unwrap().to_vec();
    let dy: Vec<f32> = (0..y.len()).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut gradients = vec![0.0; model.values().len()];
    network.backward(&dy, &mut gradients, None).unwrap();
    let rows = LENGTHS.iter().sum();
    let d_input = network.d_input().unwrap();
    let dx = (0..rows).flat_map(|row| d_input.row(row).to_vec()).collect();
    [y, gradients, dx]
}

/// The distance of two results, relative to the length of the second.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
    };
    let difference = &mut found.iter().zip(expected).map(|(f, e)| f - e);
    length(difference) / length(&mut expected.iter().copied())
}

#[test]
fn threads_change_no_bit_in_any_precision() {
    for (name, stack) in stacks() {
        let model = model(&stack);
        for precision in [Precision::Full, Precision::Bf16] {
            let engine = Engine::detect().unwrap().with_precision(precision);
            let one = trained(&model, engine.with_threads(1));
            assert!(one.iter().flatten().all(|v| v.is_finite()), "{name} {precision:?}");
            assert!(one == trained(&model, engine.with_threads(2)), "{name} {precision:?}");
        }
    }
}

#[test]
fn training_in_bf16_is_near_that_in_full() {
    for (name, stack) in stacks() {
        let model = model(&stack);
        let engine = Engine::detect().unwrap();
        let [full, half] = [Precision::Full, Precision::Bf16]
            .map(|precision| trained(&model, engine.with_precision(precision)));
        let distances: Vec<f64> =
            half.iter().zip(&full).map(|(half, full)| distance(half, full)).collect();
        println!("{name}: {distances:.4?}");
        // Where a derivative jumps, a rounded sum may lie on the other side of the jump.
        let jumps = JUMPS.contains(&stack.cell) || stack.activations.is_some();
        let gradients = if jumps { 0.2 } else { 0.1 };
        assert!(
            distances[0] < 0.02 && distances.iter().all(|d| *d < gradients),
            "{name}: {distances:?}"
        );
    }
}

#[test]
fn streams_are_batches_in_every_precision() {
    let x: Vec<f32> = input().drain(..STEPS * WIDTH).collect();
    for (name, stack) in stacks() {
        let model = model(&stack);
        let mut full = vec![];
        let matrix = matches!(stack.cell, CellKind::Mlstm | CellKind::MlstmExponential);
        let narrow = (!matrix).then_some(Precision::Int8);
        for precision in [Precision::Full, Precision::Bf16].into_iter().chain(narrow) {
            let engine = Engine::detect().unwrap().with_precision(precision);
            let what = format!("{name} {precision:?}");
            let y = Session::new(&model, engine, 1).unwrap().run(&x).to_vec();
            let mut session = Session::new(&model, engine.with_threads(2), 1).unwrap();
            for (x, y) in x.chunks_exact(WIDTH).zip(y.chunks_exact(3)) {
                assert_eq!(session.step(x), y, "{what}");
            }
            if precision == Precision::Full {
                full = y;
            } else {
                let distance = distance(&y, &full);
                println!("{what}: {distance:.4}");
                assert!(distance < 0.08, "{what}: {distance}");
            }
        }
    }
}
