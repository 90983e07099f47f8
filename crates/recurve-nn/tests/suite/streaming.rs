//! One step at a time or all at once, alone or in a batch, in one window or in two: the same bits.

use crate::support;
use crate::support::fixtures::assert_close;
use crate::support::{Data, Pass, Problem, Random, isas, random_model};
use recurve_nn::{
    Batch, CellKind, Description, Element, Engine, Input, Isa, Mode, Model, Network, Noise,
    Recurrent, Session, State,
};
use std::io::Write;

/// Sizes on both sides of every tile.
const SIZES: [usize; 12] = [1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 129];
const INPUTS: usize = 5;
const VOCABULARY: usize = 11;

const TRAIN: Mode = Mode::Train(Noise { seed: 1, step: 2 });

fn bits<E: Element>(values: &[E]) -> Vec<u64> {
    values.iter().map(|v| v.to_f64().to_bits()).collect()
}

/// A session that reads values, or tokens.
struct Stream<E: Element> {
    session: Session<E>,
    tokens: bool,
}

/// `[T, B, I]` values and `[T, B]` tokens.
struct Steps<E> {
    values: Vec<E>,
    tokens: Vec<u32>,
    batch: usize,
}

impl<E: Element> Steps<E> {
    fn new(steps: usize, batch: usize) -> Self {
        let mut random = Random(3);
        Self {
            values: random.values(steps * batch * INPUTS, 1.5),
            tokens: random.tokens(steps * batch, VOCABULARY),
            batch,
        }
    }
    fn count(&self) -> usize {
        self.tokens.len() / self.batch
    }
}

impl<E: Element> Stream<E> {
    fn new(model: &Model<E>, engine: Engine, batch: usize) -> Self {
        let tokens = model.description().layers.first();
        let tokens = matches!(tokens, Some(recurve_nn::Layer::Embedding { .. }));
        let session = Session::new(model, engine, batch).unwrap();
        Self { session, tokens }
    }
    fn step(&mut self, steps: &Steps<E>, t: usize) -> &[E] {
        let (b, row) = (steps.batch, steps.batch * INPUTS);
        if self.tokens {
            self.session.step_tokens(&steps.tokens[t * b..][..b])
        } else {
            self.session.step(&steps.values[t * row..][..row])
        }
    }
    fn run(&mut self, steps: &Steps<E>) -> &[E] {
        if self.tokens {
            self.session.run_tokens(&steps.tokens)
        } else {
            self.session.run(&steps.values)
        }
    }
}

/// `run`, a fold of `step` that changes horses midway, and a forward pass of each mode.
fn check_stream<E: Element>(model: &Model<E>, isa: Isa, steps: &Steps<E>, what: &str) {
    let engine = Engine::new(isa);
    let what = format!("{what} {isa} {} batch {}", std::any::type_name::<E>(), steps.batch);
    let mut whole = Stream::new(model, engine, steps.batch);
    let expected = bits(whole.run(steps));
    let last = whole.session.state().to_bytes();

    let mut stream = Stream::new(model, engine, steps.batch);
    let mut got = vec![];
    for t in 0..steps.count() {
        if t == steps.count() / 2 {
            let saved = stream.session.state().to_bytes();
            stream = Stream::new(model, engine, steps.batch);
            stream.session.state_mut().restore(&saved).unwrap();
        }
        got.extend(bits(stream.step(steps, t)));
    }
    assert_eq!(got, expected, "{what}: steps");
    assert_eq!(stream.session.state().to_bytes(), last, "{what}: state");

    let mut network = Network::<E>::new(model.description(), engine).unwrap();
    network.load(model.values(), true);
    let input =
        if whole.tokens { Input::Tokens(&steps.tokens) } else { Input::Values(&steps.values) };
    for mode in [Mode::Infer, TRAIN] {
        let mut state = State::zero(model.description(), steps.batch);
        let batch = Batch::new(steps.count(), steps.batch, input);
        let got = bits(network.forward(&batch, Some(&mut state), mode).unwrap());
        assert_eq!(got, expected, "{what}: {mode:?}");
        assert_eq!(state.to_bytes(), last, "{what}: state, {mode:?}");
    }

    whole.session.reset();
    assert_eq!(bits(whole.run(steps)), expected, "{what}: after a reset");
}

/// The cells whose steps wait for each other. The mLSTM, whose training takes many steps together, has tests
/// of its own.
fn stepwise() -> impl Iterator<Item = CellKind> {
    support::cells().filter(|cell| !matches!(cell, CellKind::Mlstm | CellKind::MlstmExponential))
}

/// Stacks in whose steps more happens than a cell, but nothing at random.
fn stages(hidden: usize) -> impl Iterator<Item = Recurrent> {
    let certain = |stack: &Recurrent| {
        let rates =
            [stack.zoneout, stack.zoneout_cell, stack.recurrent_dropout, stack.candidate_dropout];
        rates == [0.0; 4] && !matches!(stack.cell, CellKind::Mlstm | CellKind::MlstmExponential)
    };
    support::staged(hidden).into_iter().filter(certain)
}

fn check_streams(stack: Recurrent, count: usize) {
    let (cell, hidden) = (stack.cell, stack.hidden);
    let of_values = Description::values(INPUTS)
        .recurrent(stack.clone().layers(2))
        .layer_norm()
        .linear(hidden.min(20));
    let of_tokens =
        Description::tokens(VOCABULARY).embedding(6).recurrent(stack.clone()).linear(VOCABULARY);
    let width = stack.width();
    let tied = Description::tokens(VOCABULARY).embedding(width).recurrent(stack).tied();
    for description in [of_values, of_tokens, tied] {
        let what = format!("{cell:?} {hidden} {:?}", description.input);
        let (single, double) = (random_model(&description, 4), random_model(&description, 4));
        for isa in isas() {
            for batch in [1, 3] {
                check_stream::<f32>(&single, isa, &Steps::new(count, batch), &what);
                check_stream::<f64>(&double, isa, &Steps::new(count, batch), &what);
            }
        }
    }
}

#[test]
fn steps_are_the_run() {
    for cell in stepwise() {
        for hidden in SIZES {
            check_streams(Recurrent::new(cell, hidden), 9);
        }
    }
}

/// Longer than the stretch of steps whose input products are formed together.
#[test]
fn steps_are_the_run_over_long_streams() {
    for cell in stepwise() {
        check_streams(Recurrent::new(cell, 17), 401);
    }
}

/// A stack with states before it and gradients into it.
fn problem(stack: Recurrent, steps: usize, lengths: &[usize]) -> Problem {
    let description = Description::values(INPUTS).recurrent(stack);
    let model = random_model::<f64>(&description, 6);
    let mut random = Random(8);
    let (batch, width) = (lengths.len(), description.widths().unwrap()[1]);
    let mut state = || {
        let mut state = State::zero(&description, batch);
        for part in state.parts_mut() {
            part.h = random.values(part.h.len(), 1.0);
            part.c = random.values(part.c.len(), 1.0);
        }
        state
    };
    let (initial, d_last) = (state(), state());
    Problem {
        weights: model.values().to_vec(),
        steps,
        batch,
        data: Data::Values(random.values(steps * batch * INPUTS, 1.5)),
        lengths: Some(lengths.to_vec()),
        resets: None,
        initial,
        dy: random.values(steps * batch * width, 1.0),
        d_last,
        description,
    }
}

/// The first `length` steps of sequence `b` out of `[T, B, …]`.
fn sequence<V: Copy>(problem: &Problem, values: &[V], b: usize, length: usize) -> Vec<V> {
    let width = values.len() / (problem.steps * problem.batch);
    let row = |t: usize| &values[(t * problem.batch + b) * width..][..width];
    (0..length).flat_map(row).copied().collect()
}

fn state_of<E: Element>(state: &State<E>, description: &Description, b: usize) -> State<E> {
    let mut one = State::zero(description, 1);
    for (to, from) in one.parts_mut().iter_mut().zip(state.parts()) {
        // Gates that are fed back stand beside the cell state of their sequence.
        let fed_back = description.stacks().any(|stack| stack.gate_recurrence);
        let widths = [to.h.len(), if fed_back { to.c.len() } else { to.hidden }];
        let pairs = [(&mut to.h, &from.h), (&mut to.c, &from.c)];
        for ((to, from), width) in pairs.into_iter().zip(widths) {
            let states = from.chunks_exact((state.batch() * width).max(1));
            for (to, from) in to.chunks_exact_mut(width.max(1)).zip(states) {
                to.copy_from_slice(&from[b * width..][..width]);
            }
        }
    }
    one
}

/// The problem of sequence `b` without the others, no longer than itself.
fn alone(problem: &Problem, b: usize) -> Problem {
    let length = problem.lengths.as_ref().unwrap()[b];
    let Data::Values(x) = &problem.data else { unreachable!("a stack reads values") };
    let cut = |values: &[f64]| sequence(problem, values, b, length);
    Problem {
        steps: length,
        batch: 1,
        data: Data::Values(cut(x)),
        lengths: None,
        resets: problem.resets.as_ref().map(|resets| sequence(problem, resets, b, length)),
        initial: state_of(&problem.initial, &problem.description, b),
        dy: cut(&problem.dy),
        d_last: state_of(&problem.d_last, &problem.description, b),
        ..problem.clone()
    }
}

fn check_alone<E: Element>(problem: &Problem, isa: Isa) {
    let together: Pass<E> = problem.run(Engine::new(isa));
    let lengths = problem.lengths.as_ref().unwrap();
    for b in 0..lengths.len() {
        let what = format!("{:?} {isa} sequence {b}", problem.description);
        let one: Pass<E> = alone(problem, b).run(Engine::new(isa));
        for (name, all, own) in [("y", &together.y, &one.y), ("dx", &together.dx, &one.dx)] {
            let all = bits(&sequence(problem, all, b, problem.steps));
            let (expected, past_the_end) = all.split_at(own.len());
            assert!(past_the_end.iter().all(|v| *v == 0), "{what}: {name} past the end");
            assert_eq!(bits(own), expected, "{what}: {name}");
        }
        for (name, all, own) in [
            ("the last state", &together.last, &one.last),
            ("the gradient of the first", &together.d_initial, &one.d_initial),
        ] {
            let expected = state_of(all, &problem.description, b).to_bytes();
            assert_eq!(own.to_bytes(), expected, "{what}: {name}");
        }
    }
}

#[test]
fn stages_are_the_same_alone_and_step_by_step() {
    for stack in stages(18) {
        check_streams(stack.clone(), 9);
        let problem = problem(stack.layers(2).bidirectional(), 9, &[4, 9, 0, 9, 7, 1, 9]);
        for isa in isas() {
            check_alone::<f32>(&problem, isa);
        }
    }
}

#[test]
fn a_batch_changes_no_sequence() {
    for cell in stepwise() {
        for stack in [Recurrent::new(cell, 19), Recurrent::new(cell, 33).layers(2).bidirectional()]
        {
            let lengths = [4, 9, 1, 9, 7, 0, 3, 8, 2, 5, 9];
            let mut problem = problem(stack, 9, &lengths);
            for resets in [false, true] {
                let flag = |at: usize| at % 7 == 3 || at % 5 == 1;
                problem.resets = resets.then(|| (0..9 * lengths.len()).map(flag).collect());
                for isa in isas() {
                    check_alone::<f32>(&problem, isa);
                    check_alone::<f64>(&problem, isa);
                }
            }
        }
    }
}

/// The steps `times` of a problem whose sequences are all as long as the batch.
fn window(whole: &Problem, times: std::ops::Range<usize>) -> Problem {
    let Data::Values(x) = &whole.data else { unreachable!("a stack reads values") };
    let cut = |values: &[f64]| {
        let row = values.len() / whole.steps;
        values[times.start * row..times.end * row].to_vec()
    };
    Problem {
        steps: times.len(),
        data: Data::Values(cut(x)),
        lengths: None,
        dy: cut(&whole.dy),
        ..whole.clone()
    }
}

/// Truncated backpropagation: states are carried over the cut, and where gradients are too, nothing
/// is lost.
#[test]
fn two_windows_are_the_whole() {
    for cell in stepwise() {
        let mut whole = problem(Recurrent::new(cell, 21).layers(2), 12, &[12; 5]);
        whole.lengths = None;
        for isa in isas() {
            let engine = Engine::new(isa);
            let what = format!("{cell:?} {isa}");
            let expected: Pass<f64> = whole.run(engine);
            let mut first = window(&whole, 0..7);
            let mut second = window(&whole, 7..12);
            second.initial = first.forward(&mut first.network::<f64>(engine)).1;
            let late: Pass<f64> = second.run(engine);
            first.d_last = late.d_initial.clone();
            let early: Pass<f64> = first.run(engine);

            let y = [bits(&early.y), bits(&late.y)].concat();
            assert_eq!(y, bits(&expected.y), "{what}");
            assert_eq!(late.last.to_bytes(), expected.last.to_bytes(), "{what}");
            let d_initial = early.d_initial.to_bytes();
            assert_eq!(d_initial, expected.d_initial.to_bytes(), "{what}");
            let dx = [bits(&early.dx), bits(&late.dx)].concat();
            assert_eq!(dx, bits(&expected.dx), "{what}");
            let sums = early.gradients.iter().zip(&late.gradients);
            let sums: Vec<f64> = sums.map(|(a, b)| a + b).collect();
            assert_close(&sums, &expected.gradients, 1e-13, &format!("{what}: weights"));
        }
    }
}

/// A reset amid a sequence is the end of one and the beginning of another, in both directions.
#[test]
fn a_reset_begins_a_new_sequence() {
    const RESET: usize = 6;
    for cell in stepwise() {
        for bidirectional in [false, true] {
            let stack = Recurrent::new(cell, 18).layers(2);
            let stack = if bidirectional { stack.bidirectional() } else { stack };
            let directions = stack.directions();
            let mut whole = problem(stack, 10, &[10]);
            whole.lengths = None;
            whole.resets = Some((0..10).map(|t| t == RESET).collect());
            let (mut early, mut late) = (window(&whole, 0..RESET), window(&whole, RESET..10));
            (early.resets, late.resets) = (None, None);
            // Each direction enters the part that it reads later with zeros.
            for (at, (early, late)) in
                early.initial.parts_mut().iter_mut().zip(late.initial.parts_mut()).enumerate()
            {
                let enters = if at % directions == 0 { late } else { early };
                enters.h.fill(0.0);
                enters.c.fill(0.0);
            }
            for isa in isas() {
                let engine = Engine::new(isa);
                let [whole, early, late]: [Pass<f32>; 3] =
                    [&whole, &early, &late].map(|problem| problem.run(engine));
                let what = format!("{cell:?} {directions} {isa}");
                let y = [bits(&early.y), bits(&late.y)].concat();
                assert_eq!(bits(&whole.y), y, "{what}: y");
                for (at, last) in whole.last.parts().iter().enumerate() {
                    let ends = if at % directions == 0 { &late } else { &early };
                    assert_eq!(*last, ends.last.parts()[at], "{what}: last state {at}");
                }
            }
        }
    }
}

/// One thread or two: not a bit of outputs, states or gradients changes.
#[test]
fn threads_change_no_bit() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        // Past the capture of the harness, which would hide it.
        let _ = writeln!(std::io::stderr(), "not run: this process may use one thread only");
        return;
    }
    let descriptions = [
        // Cut by sequences, and by units; products of whole matrices cut by rows and by panels.
        (Description::values(INPUTS).recurrent(Recurrent::new(CellKind::Lstm, 130)), 30, 40),
        (
            Description::values(INPUTS).recurrent(Recurrent::new(CellKind::Gru, 420).layers(2)),
            12,
            3,
        ),
        (
            Description::values(INPUTS)
                .recurrent(Recurrent::new(CellKind::LstmPeephole, 150).bidirectional())
                .layer_norm()
                .linear(400),
            25,
            16,
        ),
        (
            Description::tokens(VOCABULARY)
                .embedding(70)
                .recurrent(Recurrent::new(CellKind::GruResetBefore, 200).layers(2).dropout(0.2))
                .dropout(0.1)
                .linear(3000),
            20,
            6,
        ),
    ];
    let staged = support::staged(132).into_iter();
    let staged = staged.map(|stack| (Description::values(INPUTS).recurrent(stack), 9, 40));
    for (description, steps, batch) in descriptions.into_iter().chain(staged) {
        let model = random_model::<f64>(&description, 6);
        let mut random = Random(12);
        let width = *description.widths().unwrap().last().unwrap();
        let tokens = matches!(description.input, recurve_nn::InputKind::Tokens { .. });
        let lengths = (0..batch).map(|b| steps - b % 4).collect();
        let problem = Problem {
            weights: model.values().to_vec(),
            steps,
            batch,
            data: if tokens {
                Data::Tokens(random.tokens(steps * batch, VOCABULARY))
            } else {
                Data::Values(random.values(steps * batch * INPUTS, 1.5))
            },
            lengths: Some(lengths),
            resets: Some((0..steps * batch).map(|at| at % 37 == 5).collect()),
            initial: State::zero(&description, batch),
            dy: random.values(steps * batch * width, 1.0),
            d_last: State::zero(&description, batch),
            description,
        };
        for isa in isas() {
            let what = format!("{:?} {isa}", problem.description);
            let one: Pass<f32> = problem.run(Engine::new(isa));
            let two: Pass<f32> = problem.run(Engine::new(isa).with_threads(2));
            assert_eq!(bits(&one.y), bits(&two.y), "{what}: y");
            assert_eq!(bits(&one.gradients), bits(&two.gradients), "{what}: gradients");
            assert_eq!(bits(&one.dx), bits(&two.dx), "{what}: dx");
            assert_eq!(one.last.to_bytes(), two.last.to_bytes(), "{what}: last");
            let d_initial = one.d_initial.to_bytes();
            assert_eq!(d_initial, two.d_initial.to_bytes(), "{what}: d_initial");
        }
    }
    // The other tests here use one thread, so a worker shows that this one used two.
    #[cfg(target_os = "linux")]
    assert!(
        std::fs::read_dir("/proc/self/task").unwrap().any(|task| {
            let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
            name.is_ok_and(|name| name.starts_with("recurve-"))
        }),
        "a worker of the pool"
    );
}
