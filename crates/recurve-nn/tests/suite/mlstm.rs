//! The mLSTM, whose training goes chunk by chunk and whose streams go step by step: both against the
//! equations of the paper in plain numbers, and against each other.

use crate::support::{Random, isas, random_model};
use recurve_nn::{
    Batch, CellKind, Description, Element, Engine, Input, Mode, Network, Noise, Recurrent, Session,
    State,
};

/// `y [T, H]` of one sequence from a memory of zeros: the equations without stabiliser, one after the other.
fn paper(stack: &Recurrent, input: usize, w: &[f64], b: &[f64], x: &[f64]) -> Vec<f64> {
    let (hidden, heads) = (stack.hidden, stack.heads);
    let d = hidden / heads;
    let exponential = stack.cell == CellKind::MlstmExponential;
    let mut c = vec![0.0; heads * d * d];
    let mut n = vec![0.0; hidden];
    let mut y = vec![];
    for x in x.chunks_exact(input) {
        let product: Vec<f64> =
            w.chunks_exact(input).map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum()).collect();
        let row = |at: usize| product[at] + b[at];
        for head in 0..heads {
            let key = |k: usize| {
                let at = hidden + head * d + k;
                product[at] / (d as f64).sqrt() + b[at]
            };
            let i = row(4 * hidden + head).exp();
            let f = row(4 * hidden + heads + head);
            let f = if exponential { f.exp() } else { 1.0 / (1.0 + (-f).exp()) };
            for k in 0..d {
                n[head * d + k] = f * n[head * d + k] + i * key(k);
            }
            let size: f64 = (0..d).map(|k| n[head * d + k] * row(head * d + k)).sum();
            for v in 0..d {
                let mut sum = 0.0;
                for k in 0..d {
                    let c = &mut c[(head * d + v) * d + k];
                    *c = f * *c + i * row(2 * hidden + head * d + v) * key(k);
                    sum += *c * row(head * d + k);
                }
                let o = 1.0 / (1.0 + (-row(3 * hidden + head * d + v)).exp());
                y.push(o * sum / size.abs().max(1.0));
            }
        }
    }
    y
}

fn outputs<E: Element>(
    model: &recurve_nn::Model<E>,
    engine: Engine,
    x: &[E],
    mode: Mode,
) -> Vec<E> {
    let mut network = Network::new(model.description(), engine).unwrap();
    network.load(model.values(), mode != Mode::Infer);
    let width = model.description().widths().unwrap()[0];
    network.forward(&Batch::new(x.len() / width, 1, Input::Values(x)), None, mode).unwrap().to_vec()
}

fn assert_near<E: Element>(got: &[E], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got.to_f64() - expected).abs() / largest;
        assert!(error <= tolerance, "{what}[{at}] is {got}, expected {expected} ({error:e})");
    }
}

const TRAIN: Mode = Mode::Train(Noise { seed: 0, step: 0 });

#[test]
fn chunks_and_steps_give_what_the_paper_says() {
    for cell in [CellKind::Mlstm, CellKind::MlstmExponential] {
        for (input, hidden, heads, steps) in
            [(5, 24, 3, 130), (20, 32, 1, 64), (7, 40, 2, 65), (3, 6, 6, 9)]
        {
            let stack = Recurrent::new(cell, hidden).heads(heads);
            let model =
                random_model::<f64>(&Description::values(input).recurrent(stack.clone()), 3);
            let x = Random(2).values::<f64>(steps * input, 1.0);
            let get = |name: &str| model.get(&format!("0.recurrent.0.forward.{name}")).unwrap();
            let (w, b) = ([get("w"), get("w_gates")].concat(), [get("b"), get("b_gates")].concat());
            let expected = paper(&stack, input, &w, &b, &x);
            let mut narrow = recurve_nn::Model::<f32>::new(model.description().clone()).unwrap();
            for (to, from) in narrow.values_mut().iter_mut().zip(model.values()) {
                *to = *from as f32;
            }
            let x32: Vec<f32> = x.iter().map(|x| *x as f32).collect();
            for isa in isas() {
                let engine = Engine::new(isa);
                for mode in [TRAIN, Mode::Infer] {
                    let what = format!("{stack:?} {isa} {mode:?}");
                    assert_near(&outputs(&model, engine, &x, mode), &expected, 1e-11, &what);
                    assert_near(&outputs(&narrow, engine, &x32, mode), &expected, 1e-4, &what);
                }
            }
        }
    }
}

/// Gates that exponentials of would overflow at once, and that forget everything.
#[test]
fn large_gates_stay_finite() {
    let stack = Recurrent::new(CellKind::MlstmExponential, 4).heads(2);
    let mut model = random_model::<f32>(&Description::values(2).recurrent(stack), 3);
    for (scale, seed) in [(300.0, 1), (-300.0, 2)] {
        model.get_mut("0.recurrent.0.forward.b_gates").unwrap().fill(scale);
        let x = Random(seed).values::<f32>(2 * 200, 1.0);
        for mode in [TRAIN, Mode::Infer] {
            let y = outputs(&model, Engine::new(isas()[0]), &x, mode);
            assert!(y.iter().all(|y| y.is_finite()), "{scale} {mode:?}");
        }
    }
}

/// Steps one by one equal a few at once to the bit, and many at once, which go by chunks, up to rounding.
#[test]
fn a_stream_equals_a_batch() {
    let stack = Recurrent::new(CellKind::Mlstm, 24).heads(2).layers(2);
    let model = random_model::<f32>(&Description::values(5).recurrent(stack).linear(3), 3);
    let (steps, batch) = (80, 3);
    let x = Random(2).values::<f32>(steps * batch * 5, 1.0);
    for isa in isas() {
        for threads in [1, 2] {
            let engine = Engine::new(isa).with_threads(threads);
            let mut session = Session::new(&model, engine, batch).unwrap();
            let mut all = vec![];
            for few in x.chunks(7 * batch * 5) {
                all.extend_from_slice(session.run(few));
            }
            let saved = session.state().to_bytes();
            session.reset();
            for (t, x) in x.chunks_exact(batch * 5).enumerate() {
                assert_eq!(session.step(x), &all[t * batch * 3..][..batch * 3], "{isa} {t}");
            }
            assert_eq!(session.state().to_bytes(), saved);
            let mut other = State::zero(model.description(), batch);
            other.restore(&saved).unwrap();
            assert_eq!(&other, session.state());
            session.reset();
            let expected: Vec<f64> = all.iter().map(|y| f64::from(*y)).collect();
            assert_near(session.run(&x), &expected, 1e-5, &format!("{isa}, many at once"));
        }
    }
}

/// Threads share sequences, or of a single one the products inside its chunks.
#[test]
fn threads_change_no_bit() {
    let stack = Recurrent::new(CellKind::Mlstm, 128);
    let model = random_model::<f32>(&Description::values(9).recurrent(stack), 3);
    for (steps, batch) in [(150, 1), (70, 3)] {
        let x = Random(2).values::<f32>(steps * batch * 9, 1.0);
        let dy = Random(4).values::<f32>(steps * batch * 128, 1.0);
        let run = |threads| {
            let engine = Engine::new(isas()[0]).with_threads(threads);
            let mut network = Network::new(model.description(), engine).unwrap();
            network.set_input_gradient(true);
            network.load(model.values(), true);
            let batch = Batch::new(steps, batch, Input::Values(&x));
            let whole = network.forward(&batch, None, Mode::Infer).unwrap().to_vec();
            let y = network.forward(&batch, None, TRAIN).unwrap().to_vec();
            let mut gradients = vec![0.0; model.values().len()];
            network.backward(&dy, &mut gradients, None).unwrap();
            [whole, y, gradients].map(|all| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        let alone = run(1);
        assert!(run(2) == alone && run(3) == alone, "{steps} steps of {batch} sequences");
    }
}

#[test]
fn heads_that_do_not_divide_the_units_are_refused() {
    let refused = |stack: Recurrent| {
        Description::values(2).recurrent(stack).widths().expect_err("no such layer").to_string()
    };
    let text = refused(Recurrent::new(CellKind::Mlstm, 10).heads(3));
    assert!(text.contains("3 heads") && text.contains("10"), "{text}");
    let text = refused(Recurrent::new(CellKind::Lstm, 10).heads(2));
    assert!(text.contains("heads") && text.contains("lstm"), "{text}");
}
