//! One training step, the fast way and the plain way: the same bits, on any number of threads.

use recurve_nn::{
    Batch, CellKind, Description, Engine, Input, Isa, Mode, Model, Network, Noise, Recurrent, State,
};
use recurve_train::clip::{Clip, norm_on};
use recurve_train::config::{Config, Task};
use recurve_train::loss::{IGNORE, Loss, Outputs, Targets};
use recurve_train::optimiser::{AdamW, Optimiser, OptimiserConfig};
use recurve_train::trainer::{initialise, without_decay};

const WORDS: usize = 10_000;
const STEPS: usize = 23;
const SEQUENCES: usize = 26;

/// The weights and the losses after three steps.
fn train(engine: Engine, plain: bool) -> (Vec<f32>, Vec<f64>) {
    let recurrent = Recurrent::new(CellKind::Lstm, 24).layers(2).bidirectional().dropout(0.3);
    let description =
        Description::tokens(WORDS).embedding(16).recurrent(recurrent).layer_norm().dropout(0.2);
    let mut model = Model::<f32>::new(description.linear(WORDS)).unwrap();
    initialise(&mut model, &Config::of(Task::Language).initialise, 5).unwrap();
    let mut network = Network::new(model.description(), engine).unwrap();
    let weights = model.values().len();
    let optimiser = Optimiser::new(OptimiserConfig::AdamW(AdamW::default()), weights).unwrap();
    let optimiser = optimiser.without_decay(&without_decay(&model)).unwrap();
    let mut optimiser = optimiser.with_engine(engine);
    let (clip, loss) = (Clip::Norm { limit: 0.01 }, Loss::CrossEntropy { label_smoothing: 0.1 });
    let mut state = State::zero(model.description(), SEQUENCES);
    let (mut gradients, mut losses) = (vec![f32::NAN; weights], vec![]);
    for step in 0..3_usize {
        let token = |i: usize| ((i * 7919 + step * 104_729) % WORDS) as u32;
        let x: Vec<u32> = (0..STEPS * SEQUENCES).map(token).collect();
        let next = |i: usize| if i.is_multiple_of(11) { IGNORE } else { token(i + 1) };
        let y: Vec<u32> = (0..STEPS * SEQUENCES).map(next).collect();
        let batch = Batch::new(STEPS, SEQUENCES, Input::Tokens(&x));
        let noise = Noise { seed: 9, step: step as u64 };
        let targets = Targets::Classes(&y);
        network.load(model.values(), true);
        if plain {
            let out = network.forward(&batch, Some(&mut state), Mode::Train(noise)).unwrap();
            let mut d_out = vec![0.0; out.len()];
            let value = loss.backward(Outputs::new(out, WORDS), targets, &mut d_out).unwrap();
            network.backward(&d_out, &mut gradients, None).unwrap();
            clip.apply(&mut gradients);
            optimiser.step(model.values_mut(), &gradients, 0.01).unwrap();
            losses.push(value.mean);
        } else {
            let mut loss = loss.piecewise(engine, (y.len(), WORDS), targets, None).unwrap();
            let mut largest = 0;
            let mut judge = |rows, outputs: &mut [f32]| {
                largest = largest.max(outputs.len());
                loss.backward(rows, outputs);
            };
            let state = Some(&mut state);
            network.learn(&batch, state, noise, &mut judge, &mut gradients).unwrap();
            assert!(
                largest <= 260 * WORDS,
                "a piece of {largest} outputs is all there is at a time"
            );
            let clipping = clip.decide(norm_on(engine, &gradients));
            optimiser.step_clipped(model.values_mut(), &gradients, clipping, 0.01).unwrap();
            losses.push(loss.value().mean);
        }
    }
    (model.values().to_vec(), losses)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn pieces_and_threads_change_no_bit() {
    let isa = Isa::chosen().unwrap();
    let (weights, losses) = train(Engine::new(isa), true);
    assert!(losses[0] > 8.0 && losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    for (threads, plain) in [(1, false), (2, false), (5, false), (2, true)] {
        let engine = Engine::new(isa).with_threads(threads);
        let (found, found_losses) = train(engine, plain);
        assert_eq!(found_losses, losses, "{threads} threads, plain: {plain}");
        assert!(bits(&found) == bits(&weights), "{threads} threads, plain: {plain}");
    }
}

#[test]
fn a_visit_sees_what_forward_gives() {
    let description = Description::tokens(WORDS).embedding(8);
    let description = description.recurrent(Recurrent::new(CellKind::Gru, 8)).linear(WORDS);
    let mut model = Model::<f32>::new(description).unwrap();
    initialise(&mut model, &Config::of(Task::Language).initialise, 5).unwrap();
    let mut network = Network::new(model.description(), Engine::detect().unwrap()).unwrap();
    network.load(model.values(), false);
    let x: Vec<u32> = (0..40 * 13).map(|i| i * 17 % WORDS as u32).collect();
    let lengths: Vec<usize> = (0..13).map(|b| (b * 29 + 7) % 41).collect();
    let batch = Batch::new(40, 13, Input::Tokens(&x)).lengths(&lengths);
    let mut rows = 0;
    let mut all = vec![];
    let mut judge = |which: std::ops::Range<usize>, outputs: &mut [f32]| {
        assert_eq!(which.start, rows);
        rows = which.end;
        all.extend_from_slice(outputs);
        outputs.fill(f32::NAN);
    };
    network.visit(&batch, None, &mut judge).unwrap();
    assert_eq!(rows, lengths.iter().sum::<usize>());
    let forward = network.forward(&batch, None, Mode::Infer).unwrap();
    assert_eq!(bits(&all), bits(forward));
}

#[test]
fn a_nan_in_any_row_reaches_the_loss() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let engine = Engine::detect().unwrap();
    for at in [0, 64, 65 * 40 - 1] {
        let mut outputs = vec![0.25_f32; 65 * 40];
        outputs[at] = f32::NAN;
        let classes = [3_u32; 40];
        let targets = Targets::Classes(&classes);
        let mut running = loss.piecewise(engine, (40, 65), targets, None).unwrap();
        running.backward(0..30, &mut outputs[..30 * 65]);
        running.backward(30..40, &mut outputs[30 * 65..]);
        assert!(running.value().mean.is_nan(), "{at}");
    }
}
