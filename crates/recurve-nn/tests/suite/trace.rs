//! The gates and states of every step are those that the layers computed.

use crate::support::{Random, cells, isas, random_model};
use recurve_nn::{
    Batch, Bias, CellKind, Description, Engine, Initial, Input, Mode, Network, Precision,
    Recurrent, State,
};

const INPUTS: usize = 3;
const STEPS: usize = 6;
const LENGTHS: [usize; 4] = [4, 6, 0, 5];

/// For each cell, `h` is the output, and the last state of a sequence is the state after the batch.
#[test]
fn states_are_those_of_the_pass() {
    let with_units =
        |cell: &CellKind| !matches!(cell, CellKind::Mlstm | CellKind::MlstmExponential);
    for cell in cells().filter(with_units) {
        for initial in Initial::ALL {
            let stack = Recurrent::new(cell, 21).layers(2).bidirectional().initial(*initial);
            let description = Description::values(INPUTS).linear(4).recurrent(stack);
            let model = random_model::<f32>(&description, 3);
            let x = Random(2).values::<f32>(STEPS * 4 * INPUTS, 1.0);
            let resets: Vec<bool> = (0..STEPS * 4).map(|at| at % 7 == 5).collect();
            let batch = Batch::new(STEPS, 4, Input::Values(&x)).lengths(&LENGTHS).resets(&resets);
            for isa in isas() {
                let mut network = Network::new(&description, Engine::new(isa)).unwrap();
                network.load(model.values(), false);
                let mut state = State::zero(&description, 4);
                let y = network.forward(&batch, Some(&mut state), Mode::Infer).unwrap().to_vec();
                let mut again = State::zero(&description, 4);
                let trace = network.trace(&batch, Some(&mut again)).unwrap();
                assert_eq!(state, again);
                let names: Vec<&str> = trace.layers.iter().map(|layer| &layer.name[..]).collect();
                assert_eq!(
                    names,
                    [
                        "1.recurrent.0.forward",
                        "1.recurrent.0.reverse",
                        "1.recurrent.1.forward",
                        "1.recurrent.1.reverse"
                    ]
                );
                let places: Vec<_> = network.order().places().collect();
                for (row, t, b) in places {
                    let y = &y[row * 42..][..42];
                    assert_eq!(y[..21], *trace.layers[2].state(0, row), "{cell:?} {isa}");
                    assert_eq!(y[21..], *trace.layers[3].state(0, row), "{cell:?} {isa}");
                    for (at, (layer, part)) in trace.layers.iter().zip(state.parts()).enumerate() {
                        let last = if at % 2 == 0 { LENGTHS[b] - 1 } else { 0 };
                        if t != last {
                            continue;
                        }
                        let size = part.h.len();
                        let states = part.h.chunks_exact(size).chain(part.c.chunks_exact(size));
                        for (number, state) in states.enumerate() {
                            let own = &state[b * 21..][..21];
                            assert_eq!(*own, *layer.state(number, row), "{cell:?} {isa} {number}");
                        }
                    }
                }
            }
        }
    }
}

/// The gates of an LSTM, from the states that the trace gives.
#[test]
fn gates_are_those_of_the_equations() {
    const HIDDEN: usize = 5;
    let stack = Recurrent::new(CellKind::Lstm, HIDDEN).bias(Bias::One);
    let description = Description::values(INPUTS).recurrent(stack);
    let model = random_model::<f64>(&description, 3);
    let x = Random(2).values::<f64>(STEPS * 2 * INPUTS, 1.0);
    let mut network = Network::<f64>::new(&description, Engine::detect().unwrap()).unwrap();
    network.load(model.values(), false);
    let trace = network.trace(&Batch::new(STEPS, 2, Input::Values(&x)), None).unwrap();
    let [layer] = &trace.layers[..] else { panic!("one layer") };
    let [w, r, bias] =
        ["w", "r", "b"].map(|name| model.get(&format!("0.recurrent.0.forward.{name}")).unwrap());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let zero = [0.0; HIDDEN];
    for (row, t, b) in network.order().places() {
        let before = |state| if t == 0 { &zero[..] } else { layer.state(state, row - 2) };
        let x = &x[(t * 2 + b) * INPUTS..][..INPUTS];
        for unit in 0..HIDDEN {
            let sum = |gate: usize| {
                let at = gate * HIDDEN + unit;
                bias[at]
                    + dot(&w[at * INPUTS..][..INPUTS], x)
                    + dot(&r[at * HIDDEN..][..HIDDEN], before(0))
            };
            let expected = [sigmoid(sum(0)), sigmoid(sum(1)), sum(2).tanh(), sigmoid(sum(3))];
            for (gate, expected) in expected.iter().enumerate() {
                assert!((layer.gate(gate, row)[unit] - expected).abs() < 1e-12);
            }
            let c = expected[1] * before(1)[unit] + expected[0] * expected[2];
            assert!((layer.state(1, row)[unit] - c).abs() < 1e-12);
        }
    }
}

#[test]
fn a_trace_needs_full_precision() {
    let description = Description::values(INPUTS).recurrent(Recurrent::new(CellKind::Gru, 4));
    let model = random_model::<f32>(&description, 3);
    let engine = Engine::detect().unwrap().with_precision(Precision::Bf16);
    let mut network = Network::new(&description, engine).unwrap();
    network.load(model.values(), false);
    let batch = Batch::new(1, 1, Input::Values(&[0.0; INPUTS]));
    let error = network.trace(&batch, None).unwrap_err().to_string();
    assert!(error.contains("`bf16`") && error.contains("full precision"), "{error}");
}
