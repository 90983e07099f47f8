//! A session takes no memory once it exists, whatever the size and the number of threads; training
//! takes none once it has seen a batch of the shape.

mod support;

use recurve_nn::{
    Attention, Batch, CellKind, Connection, Description, Engine, Initial, Input, Mode, Network,
    Noise, Pooling, Precision, Recurrent, Session, State, Tcn, Transformer,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use support::{Random, isas, random_model};

/// Counts for all threads of the process; hence a program without a test harness.
#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many times `work` asked for memory.
fn allocations(mut work: impl FnMut()) -> usize {
    let region = Region::new(MEMORY);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

const INPUTS: usize = 6;
const VOCABULARY: usize = 9;

fn check_steps(cell: CellKind, hidden: usize, batch: usize, engine: Engine) {
    let what = format!("{cell:?} {hidden} batch {batch} {engine:?}");
    let stack = || Recurrent::new(cell, hidden).layers(2).dropout(0.1);
    let values = Description::values(INPUTS).recurrent(stack()).layer_norm().dropout(0.1);
    let tokens = Description::tokens(VOCABULARY).embedding(8).recurrent(stack());
    let x = Random(1).values::<f32>(batch * INPUTS, 1.0);
    let long = Random(1).values::<f32>(7 * batch * INPUTS, 1.0);

    let model = random_model::<f32>(&values.linear(40), 2);
    let mut session = Session::new(&model, engine, batch).unwrap();
    session.step(&x);
    let count = allocations(|| {
        for _ in 0..20 {
            session.step(&x);
        }
    });
    assert_eq!(count, 0, "{what}: 20 steps");
    session.run(&long);
    let count = allocations(|| {
        session.step(&x);
        session.reset();
    });
    assert_eq!(count, 0, "{what}: a step after a run");

    let model = random_model::<f32>(&tokens.linear(VOCABULARY), 2);
    let mut session = Session::new(&model, engine, batch).unwrap();
    let x = Random(1).tokens(batch, VOCABULARY);
    session.step_tokens(&x);
    let count = allocations(|| {
        for _ in 0..20 {
            session.step_tokens(&x);
        }
    });
    assert_eq!(count, 0, "{what}: 20 steps of tokens");
}

fn main() {
    for isa in isas() {
        for cell in [CellKind::Lstm, CellKind::Gru, CellKind::GruResetBefore] {
            for (hidden, batch, threads) in [(5, 1, 1), (33, 3, 2), (512, 1, 2), (300, 8, 2)] {
                let engine = Engine::new(isa).with_threads(threads);
                for precision in [Precision::Full, Precision::Bf16, Precision::Int8] {
                    check_steps(cell, hidden, batch, engine.with_precision(precision));
                }
            }
        }
    }
    for isa in isas() {
        for threads in [1, 2] {
            check_sequence_layers(Engine::new(isa).with_threads(threads));
        }
    }
    for isa in isas() {
        check_updates(Engine::new(isa).with_threads(2));
    }
    println!("steps of sessions and updates of networks allocate nothing");
}

/// Convolutions and attention, as long as what they carry still grows and beyond.
fn check_sequence_layers(engine: Engine) {
    let stack = Recurrent::new(CellKind::Lstm, 24).layers(3);
    let models = [
        Description::values(INPUTS).tcn(Tcn { weight_norm: true, ..Tcn::new(20, 3) }),
        Description::values(INPUTS).linear(16).transformer(Transformer::causal(2, 4, 30, 9)),
        Description::values(INPUTS).attention(Attention { heads: 2, causal: true, context: 7 }),
        Description::values(INPUTS).recurrent(stack.clone().connection(Connection::Highway)),
        Description::values(INPUTS).recurrent(
            stack.connection(Connection::Dense).weight_dropout(0.3).initial(Initial::Learned),
        ),
    ];
    let stages = support::staged(24).into_iter();
    let stages = stages.map(|stack| Description::values(INPUTS).recurrent(stack));
    for description in models.into_iter().chain(stages) {
        let model = random_model::<f32>(&description, 2);
        let mut session = Session::new(&model, engine, 2).unwrap();
        let x = Random(1).values::<f32>(2 * INPUTS, 1.0);
        let count = allocations(|| {
            for _ in 0..20 {
                session.step(&x);
            }
        });
        assert_eq!(count, 0, "{description:?} {engine:?}");
    }
}

/// An update of a model on batches of one shape: forward, backward, new weights.
fn check_updates(engine: Engine) {
    let description = Description::values(INPUTS)
        .recurrent(Recurrent::new(CellKind::Lstm, 40).layers(2).dropout(0.1).bidirectional())
        .layer_norm()
        .pool(Pooling::Mean)
        .dropout(0.2);
    let model = random_model::<f32>(&description, 2);
    let mut network = Network::new(&description, engine).unwrap();
    network.load(model.values(), true);
    let (steps, batch) = (60, 8);
    let x = Random(1).values::<f32>(steps * batch * INPUTS, 1.0);
    let dy = Random(1).values::<f32>(batch * network.output_width(), 1.0);
    let mut gradients = vec![0.0; model.values().len()];
    let mut state = State::zero(&description, batch);
    let sequences = Batch::new(steps, batch, Input::Values(&x));
    let noise = Noise { seed: 1, step: 1 };
    let mut update = || {
        network.forward(&sequences, Some(&mut state), Mode::Train(noise)).unwrap();
        network.backward(&dy, &mut gradients, None).unwrap();
        network.load(model.values(), true);
    };
    update();
    assert_eq!(allocations(update), 0, "an update with {engine:?}");
}
