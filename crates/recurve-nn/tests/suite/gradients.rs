//! Every gradient of a real network against differences of a loss, in f64.
//!
//! The loss is a fixed random weighing of all outputs and all final states. Its derivative by each
//! parameter, each input and each initial state is measured by the central difference over four
//! points, whose error is of the fourth order in the distance. The gradients of every instruction set
//! are held against the same differences.

use crate::support;
use crate::support::{Data, Pass, Problem, Random, isas, staged};
use recurve_nn::{
    Activation, Activations, Attention, Bias, CellKind, Connection, Description, Engine, Entries,
    Initial, Merge, Network, Pooling, Positions, Recurrent, State, Tcn, Transformer,
};

const STEPS: usize = 5;
const BATCH: usize = 4;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;
const VOCABULARY: usize = 6;

/// A gradient must match to this part of the larger of itself and its measurement, or of `SMALL` where
/// both are less.
const TOLERANCE: f64 = 1e-7;
const SMALL: f64 = 1e-3;
/// Where the rounding of the loss and what the difference leaves out are about equal.
const DISTANCE: f64 = 4e-4;
/// What is less smooth has a jump of the derivative nearby, as a rectifier makes: what is measured there is
/// the derivative on neither side.
const KINK: f64 = 1e-4;

/// How a batch is read: with lengths, with resets.
const READINGS: [(&str, bool, bool); 4] = [
    ("uniform", false, false),
    ("lengths", true, false),
    ("resets", false, true),
    ("lengths and resets", true, true),
];

/// Unsorted, and one sequence without steps.
const LENGTHS: [usize; BATCH] = [3, 5, 0, 4];

/// `(t, b)`: amid a sequence, at its first step, at two steps running, and past the end.
const RESETS: [(usize, usize); 6] = [(2, 0), (0, 1), (1, 2), (2, 3), (3, 3), (4, 0)];

fn problem(description: Description, (_, lengths, resets): (&str, bool, bool)) -> Problem {
    let mut random = Random(7);
    let entries = Entries::of(&description).unwrap();
    let mut flags = vec![false; STEPS * BATCH];
    for (t, b) in RESETS {
        flags[t * BATCH + b] = true;
    }
    let width = *description.widths().unwrap().last().unwrap();
    let rows = if description.is_pooled() { BATCH } else { STEPS * BATCH };
    let tokens = matches!(description.input, recurve_nn::InputKind::Tokens { .. });
    let mut state = || {
        let mut state: State<f64> = State::zero(&description, BATCH);
        for part in state.parts_mut() {
            part.h = random.values(part.h.len(), 1.0);
            part.c = random.values(part.c.len(), 1.0);
            // The third state is a sum of weights, and what is shown is divided by it.
            let sums = part.c.chunks_exact_mut(BATCH * part.hidden).skip(1).take(1);
            sums.flatten().for_each(|n| *n = 1.0 + n.abs());
        }
        state
    };
    let (initial, d_last) = (state(), state());
    Problem {
        weights: random.values(entries.len(), 0.9),
        steps: STEPS,
        batch: BATCH,
        data: if tokens {
            Data::Tokens(random.tokens(STEPS * BATCH, VOCABULARY))
        } else {
            Data::Values(random.values(STEPS * BATCH * INPUTS, 1.0))
        },
        lengths: lengths.then(|| LENGTHS.to_vec()),
        resets: resets.then_some(flags),
        initial,
        dy: random.values(rows * width, 1.0),
        d_last,
        description,
    }
}

/// One number of a problem.
#[derive(Clone, Copy)]
enum Place {
    Weight(usize),
    Input(usize),
    H(usize, usize),
    C(usize, usize),
}

impl Place {
    fn of(self, problem: &mut Problem) -> &mut f64 {
        match (self, &mut problem.data) {
            (Self::Weight(at), _) => &mut problem.weights[at],
            (Self::Input(at), Data::Values(x)) => &mut x[at],
            (Self::Input(_), Data::Tokens(_)) => unreachable!("tokens have no gradient"),
            (Self::H(part, at), _) => &mut problem.initial.parts_mut()[part].h[at],
            (Self::C(part, at), _) => &mut problem.initial.parts_mut()[part].c[at],
        }
    }

    fn gradient(self, pass: &Pass<f64>) -> f64 {
        match self {
            Self::Weight(at) => pass.gradients[at],
            Self::Input(at) => pass.dx[at],
            Self::H(part, at) => pass.d_initial.parts()[part].h[at],
            Self::C(part, at) => pass.d_initial.parts()[part].c[at],
        }
    }
}

/// Every number that has a gradient, with a name for messages.
fn places(problem: &Problem) -> Vec<(String, Place)> {
    let mut places = vec![];
    let mut add = |name: &str, count: usize, place: &dyn Fn(usize) -> Place| {
        places.extend((0..count).map(|at| (format!("{name}[{at}]"), place(at))));
    };
    for entry in Entries::of(&problem.description).unwrap().iter() {
        let start = entry.range.start;
        add(&entry.name, entry.range.len(), &|at| Place::Weight(start + at));
    }
    if let Data::Values(x) = &problem.data {
        add("x", x.len(), &Place::Input);
    }
    for (at, part) in problem.initial.parts().iter().enumerate() {
        add(&format!("h of part {at}"), part.h.len(), &|u| Place::H(at, u));
        add(&format!("c of part {at}"), part.c.len(), &|u| Place::C(at, u));
    }
    places
}

fn loss(problem: &Problem, network: &mut Network<f64>) -> f64 {
    let (y, last) = problem.forward(network);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let states = last.parts().iter().zip(problem.d_last.parts());
    dot(&y, &problem.dy) + states.map(|(p, d)| dot(&p.h, &d.h) + dot(&p.c, &d.c)).sum::<f64>()
}

/// The derivative of the loss by one number, and how far it is from smooth: slopes at two distances differ,
/// or bends do.
fn measured(
    problem: &mut Problem,
    network: &mut Network<f64>,
    place: Place,
    step: f64,
) -> (f64, f64) {
    let middle = *place.of(problem);
    let mut at = |distance: f64| {
        *place.of(problem) = middle + distance;
        if matches!(place, Place::Weight(_)) {
            network.load(&problem.weights, true);
        }
        loss(problem, network)
    };
    let (near, far) = ([at(step), at(-step)], [at(2.0 * step), at(-2.0 * step)]);
    let here = at(0.0);
    let ([near, near_bend], [far, far_bend]) =
        ([near[0] - near[1], near[0] + near[1]], [far[0] - far[1], far[0] + far[1]]);
    let slopes = (2.0 * near - far).abs() / (4.0 * step);
    // A smooth bend is four times as large at twice the step, a jump in the middle twice.
    let bends = (4.0 * (near_bend - 2.0 * here) - (far_bend - 2.0 * here)).abs() / (2.0 * step);
    ((8.0 * near - far) / (12.0 * step), slopes.max(bends))
}

fn check(what: &str, problem: Problem) {
    check_by(what, problem, DISTANCE);
}

fn check_by(what: &str, mut problem: Problem, distance: f64) {
    let passes: Vec<_> =
        isas().into_iter().map(|isa| (isa, problem.run::<f64>(Engine::new(isa)))).collect();
    let mut network = problem.network::<f64>(Engine::new(passes[0].0));
    let places = places(&problem);
    let (count, mut kinks) = (places.len(), 0);
    for (name, place) in places {
        let (expected, jump) = measured(&mut problem, &mut network, place, distance);
        if jump > KINK * expected.abs().max(SMALL) {
            kinks += 1;
            continue;
        }
        for (isa, pass) in &passes {
            let got = place.gradient(pass);
            let size = expected.abs().max(got.abs()).max(SMALL);
            let error = (got - expected).abs() / size;
            assert!(
                error <= TOLERANCE,
                "{what} {isa}: the gradient of {name} is {got}, measured {expected} ({error:e})"
            );
        }
    }
    assert!(4 * kinks <= count, "{what}: {kinks} of {count} gradients are not measured");
}

/// A change of a stack that leaves its cell and size.
type Shape = fn(Recurrent) -> Recurrent;

/// Divisions by what varies little, and exponentials, bend more than cells do.
const SHORT: f64 = 1e-4;

/// All but what clips, whose kinks golden numbers hold.
fn every_stage(readings: &[(&str, bool, bool)], shape: Shape) {
    let smooth = |stack: &Recurrent| stack.clip_state.is_none() && stack.projection_clip.is_none();
    for stack in staged(4).into_iter().filter(smooth) {
        let stack = shape(stack.bias(Bias::Two));
        for reading in readings {
            let description = Description::values(INPUTS).recurrent(stack.clone());
            let what = format!("{stack:?}, {}", reading.0);
            check_by(&what, problem(description, *reading), SHORT);
        }
    }
}

#[test]
fn stages_of_one_layer() {
    every_stage(&READINGS, |stack| stack);
}

#[test]
fn stages_of_two_layers() {
    every_stage(&READINGS[3..], |stack| stack.layers(2));
}

#[test]
fn stages_in_both_directions() {
    every_stage(&READINGS[3..], Recurrent::bidirectional);
}

#[test]
fn stages_from_learned_states() {
    every_stage(&READINGS[2..], |stack| stack.initial(Initial::Learned));
}

fn every_cell(shape: Shape) {
    for cell in support::cells() {
        let stack = shape(Recurrent::new(cell, HIDDEN).bias(Bias::Two));
        for reading in READINGS {
            let description = Description::values(INPUTS).recurrent(stack.clone());
            let what = format!("{stack:?}, {}", reading.0);
            // Over a shorter distance fewer sums pass the place where a derivative jumps.
            let jumps = matches!(cell, CellKind::MinGru | CellKind::MinLstm);
            check_by(&what, problem(description, reading), if jumps { SHORT } else { DISTANCE });
        }
    }
}

#[test]
fn one_layer() {
    every_cell(|stack| stack);
}

/// The cell that adds its input to its output.
#[test]
fn as_many_inputs_as_units() {
    let stack = Recurrent::new(CellKind::Sru, INPUTS).layers(2);
    let both = stack.clone().bidirectional().merge(Merge::Sum);
    for (stack, reading) in [stack, both].into_iter().zip([READINGS[3], READINGS[1]]) {
        check(
            &format!("{stack:?}"),
            problem(Description::values(INPUTS).recurrent(stack), reading),
        );
    }
}

/// Functions and bounds that are chosen, in all cells that have them.
#[test]
fn chosen_functions() {
    use Activation::{Elu, HardSigmoid, ScaledTanh, Softplus, Softsign};
    for cell in [CellKind::Lstm, CellKind::LstmCoupledPeephole, CellKind::GruResetBefore] {
        let states = cell.states() > 1;
        let functions = Activations {
            gate: HardSigmoid { alpha: 0.1, beta: 0.5 },
            candidate: if states { Softsign } else { Elu { alpha: 0.8 } },
            output: if states { ScaledTanh { alpha: 1.3, beta: 0.6 } } else { Activation::Tanh },
        };
        let stack = Recurrent::new(cell, HIDDEN).activations(functions);
        check(
            &format!("{stack:?}"),
            problem(Description::values(INPUTS).recurrent(stack), READINGS[3]),
        );
    }
    let functions = Activations { candidate: Softplus, ..Activations::default() };
    for cell in [CellKind::RnnTanh, CellKind::IndRnn] {
        let stack = Recurrent::new(cell, HIDDEN).activations(functions).clip_sums(40.0);
        check(
            &format!("{stack:?}"),
            problem(Description::values(INPUTS).recurrent(stack), READINGS[1]),
        );
    }
}

#[test]
fn two_layers() {
    every_cell(|stack| stack.layers(2));
}

#[test]
fn both_directions() {
    every_cell(Recurrent::bidirectional);
}

#[test]
fn two_layers_in_both_directions() {
    every_cell(|stack| stack.layers(2).bidirectional());
}

/// The noise is the same in every pass, so that the loss stays smooth.
#[test]
fn all_layers_of_a_model() {
    for (cell, bidirectional) in [(CellKind::Lstm, false), (CellKind::Gru, true)] {
        let stack = Recurrent::new(cell, HIDDEN).layers(3).dropout(0.3);
        let stack = if bidirectional { stack.bidirectional() } else { stack };
        for reading in READINGS {
            let description = Description::tokens(VOCABULARY)
                .embedding(4)
                .dropout(0.2)
                .recurrent(stack.clone())
                .layer_norm()
                .dropout(0.4)
                .linear(5)
                .recurrent(Recurrent::new(CellKind::RnnTanh, 2).bias(Bias::None))
                .linear(2);
            let what = format!("{description:?}, {}", reading.0);
            check(&what, problem(description, reading));
        }
    }
}

/// Ways to join directions and layers, to start, and to drop, for a cell with one state and one with two.
#[test]
fn joined_stacks() {
    let shapes: [Shape; 10] = [
        |stack| stack.bidirectional().merge(Merge::Sum).layers(2),
        |stack| stack.bidirectional().merge(Merge::Mean),
        |stack| stack.bidirectional().merge(Merge::Product).layers(2).dropout(0.3),
        |stack| stack.layers(3).connection(Connection::Residual).dropout(0.2),
        |stack| stack.layers(3).connection(Connection::Highway).locked_dropout(0.2),
        |stack| stack.layers(3).connection(Connection::Skip).weight_dropout(0.3),
        |stack| stack.layers(3).connection(Connection::Dense),
        |stack| stack.layers(2).bidirectional().connection(Connection::Dense).dropout(0.2),
        |stack| stack.layers(2).bidirectional().connection(Connection::Highway),
        |stack| stack.layers(2).bidirectional().initial(Initial::Learned).weight_dropout(0.2),
    ];
    for (at, shape) in shapes.into_iter().enumerate() {
        for cell in [CellKind::LstmPeephole, CellKind::GruResetBefore, CellKind::Slstm] {
            let stack = shape(Recurrent::new(cell, HIDDEN));
            let reading = [READINGS[at % 2], READINGS[3]];
            for reading in if at == 9 { &READINGS } else { &reading[..] } {
                let description = Description::values(INPUTS).recurrent(stack.clone());
                check(&format!("{stack:?}, {}", reading.0), problem(description, *reading));
            }
        }
    }
}

/// Tokens that are dropped for a batch, and values that are dropped for a sequence.
#[test]
fn locked_noise() {
    let description = Description::tokens(VOCABULARY)
        .embedding_dropped(4, 0.4)
        .locked_dropout(0.3)
        .recurrent(Recurrent::new(CellKind::Gru, HIDDEN).layers(2).locked_dropout(0.3))
        .locked_dropout(0.3);
    for reading in READINGS {
        check(reading.0, problem(description.clone(), reading));
    }
}

/// Vectors of tokens that are the weights of the output too: the gradients of both add up in one matrix.
#[test]
fn tied_weights() {
    let stacks = [
        Recurrent::new(CellKind::Lstm, 4).layers(2).dropout(0.3),
        Recurrent::new(CellKind::Gru, 2).bidirectional(),
        Recurrent::new(CellKind::Lstm, 6).projection(4),
    ];
    for stack in stacks {
        for reading in READINGS {
            let description = Description::tokens(VOCABULARY)
                .embedding_dropped(4, 0.3)
                .recurrent(stack.clone())
                .layer_norm()
                .dropout(0.2)
                .tied();
            check(&format!("{stack:?}, {}", reading.0), problem(description, reading));
        }
    }
    let pooled = Description::tokens(VOCABULARY)
        .embedding(3)
        .recurrent(Recurrent::new(CellKind::RnnTanh, 3))
        .pool(Pooling::Mean)
        .tied();
    check("pooled", problem(pooled, READINGS[1]));
}

/// Convolutions and attention. Some sequences have steps before the batch: a number of steps is a state
/// whose value is rounded down.
#[test]
fn layers_over_sequences() {
    let norm = Tcn { weight_norm: true, kernel: 2, ..Tcn::new(3, 2) };
    let positions = Positions::Learned { most: 9 };
    let learned = Transformer { positions, dropout: 0.2, ..Transformer::encoder(1, 1, 3) };
    let below = || Description::values(INPUTS).linear(4);
    let descriptions = [
        Description::values(INPUTS).tcn(Tcn { dropout: 0.3, ..Tcn::new(3, 2) }),
        Description::values(INPUTS).linear(3).tcn(norm),
        below().transformer(Transformer::causal(2, 2, 5, 3)),
        below().transformer(Transformer { dropout: 0.2, ..Transformer::causal(1, 2, 3, 2) }),
        below().transformer(learned),
        below().attention(Attention { heads: 2, causal: true, context: 3 }),
        below().attention(Attention { heads: 1, causal: false, context: 0 }).pool(Pooling::Mean),
    ];
    for description in descriptions {
        for reading in READINGS {
            let mut problem = problem(description.clone(), reading);
            for part in problem.initial.parts_mut() {
                if part.hidden == 1 {
                    part.h.copy_from_slice(&[2.5, 0.5, 1.5, 7.5]);
                }
            }
            check(&format!("{description:?}, {}", reading.0), problem);
        }
    }
}

#[test]
fn pooling() {
    for by in [Pooling::Last, Pooling::Mean, Pooling::Max, Pooling::Attention] {
        for reading in READINGS {
            let description = Description::values(INPUTS)
                .recurrent(Recurrent::new(CellKind::Gru, HIDDEN).bidirectional())
                .layer_norm()
                .pool(by)
                .dropout(0.3)
                .linear(4)
                .layer_norm();
            let what = format!("{description:?}, {}", reading.0);
            check(&what, problem(description, reading));
        }
    }
}
