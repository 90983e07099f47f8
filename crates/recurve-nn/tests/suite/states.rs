//! Saved states: exact on return, and refused where they are not what they should be.

use crate::support::{Random, random_model};
use proptest::prelude::*;
use recurve_nn::{CellKind, Description, Element, Engine, Recurrent, Session, State};

fn description() -> Description {
    Description::values(3)
        .recurrent(Recurrent::new(CellKind::Lstm, 4).layers(2))
        .recurrent(Recurrent::new(CellKind::Gru, 3).bidirectional())
        .linear(2)
}

/// A state of `batch` sequences, full of numbers.
fn full<E: Element>(description: &Description, batch: usize) -> State<E> {
    let mut state = State::zero(description, batch);
    let mut random = Random(5);
    for part in state.parts_mut() {
        part.h = random.values(part.h.len(), 1.0);
        part.c = random.values(part.c.len(), 1e3);
    }
    state
}

fn refused(bytes: &[u8], description: &Description, batch: usize) -> String {
    let mut state = full::<f32>(description, batch);
    let before = state.clone();
    let error = state.restore(bytes).expect_err("a state that does not fit");
    assert_eq!(state, before, "a refused state changes nothing");
    error.to_string()
}

#[test]
fn parts_stand_in_the_order_of_the_layers() {
    let state = State::<f32>::zero(&description(), 5);
    let sizes: Vec<_> =
        state.parts().iter().map(|part| (part.hidden, part.h.len(), part.c.len())).collect();
    assert_eq!(sizes, [(4, 20, 20), (4, 20, 20), (3, 15, 0), (3, 15, 0)]);
    assert_eq!(state.batch(), 5);
}

#[test]
fn bytes_bring_back_every_bit() {
    fn check<E: Element>() {
        let mut saved = full::<E>(&description(), 3);
        let extremes = [-0.0, f64::from(f32::MIN_POSITIVE) / 4.0, f64::from(f32::MAX), 1.0 / 3.0];
        for (to, from) in saved.parts_mut()[0].h.iter_mut().zip(extremes) {
            *to = E::from_f64(from);
        }
        let bytes = saved.to_bytes();
        let mut restored = State::<E>::zero(&description(), 3);
        restored.restore(&bytes).unwrap();
        assert_eq!(restored, saved);
        assert_eq!(restored.to_bytes(), bytes);
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn no_sequences_are_a_state_too() {
    let bytes = State::<f32>::zero(&description(), 0).to_bytes();
    State::<f32>::zero(&description(), 0).restore(&bytes).unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let bytes = full::<f32>(&description(), 2).to_bytes();
    for end in 0..bytes.len() {
        let error = refused(&bytes[..end], &description(), 2);
        assert!(error.contains("the saved state ends before"), "{end} bytes: {error}");
    }
}

#[test]
fn other_states_are_refused_by_name() {
    let bytes = full::<f32>(&description(), 2).to_bytes();
    let stack = |cell, hidden, layers| {
        Description::values(3).recurrent(Recurrent::new(cell, hidden).layers(layers))
    };
    let of = |description: &Description, batch| full::<f32>(description, batch).to_bytes();
    let lstm = stack(CellKind::Lstm, 4, 2);
    for (bytes, into, batch, expected) in [
        (bytes.clone(), description(), 3, "has batch 2, this model has 3"),
        (bytes.clone(), lstm.clone(), 2, "has layers 4, this model has 2"),
        (
            of(&stack(CellKind::Lstm, 5, 2), 2),
            lstm.clone(),
            2,
            "has hidden size 5, this model has 4",
        ),
        (of(&stack(CellKind::Gru, 4, 2), 2), lstm, 2, "has cell states 0, this model has 8"),
        ([bytes.as_slice(), &[0; 3]].concat(), description(), 2, "3 bytes follow the saved state"),
        (vec![7; bytes.len()], description(), 2, "does not begin with RCVSTAT1"),
    ] {
        let error = refused(&bytes, &into, batch);
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let bytes = full::<f32>(&description(), 2).to_bytes();
    // The last is finite as f64 and infinite as f32.
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        let mut bytes = bytes.clone();
        let end = bytes.len() - 8;
        bytes[end..].copy_from_slice(&number.to_le_bytes());
        let error = refused(&bytes, &description(), 2);
        assert!(error.contains(&format!("the saved state holds {number}")), "{error}");
    }
}

#[test]
fn a_session_goes_on_from_a_saved_state_and_takes_no_other() {
    let description = Description::values(3).recurrent(Recurrent::new(CellKind::Lstm, 6));
    let model = random_model::<f32>(&description, 1);
    let engine = Engine::detect().unwrap();
    let mut session = Session::new(&model, engine, 2).unwrap();
    let x = Random(2).values::<f32>(6, 1.0);
    session.step(&x);
    let saved = session.state().to_bytes();
    let expected = session.step(&x).to_vec();
    assert_ne!(session.step(&x), expected, "the state matters");
    session.state_mut().restore(&saved).unwrap();
    assert_eq!(session.step(&x), expected);

    let now = session.state().clone();
    let other = State::<f32>::zero(&description, 3).to_bytes();
    let error = session.state_mut().restore(&other).unwrap_err().to_string();
    assert!(error.contains("has batch 3, this model has 2"), "{error}");
    assert_eq!(session.state(), &now);
}

proptest! {
    /// Flipped bits are refused, or give a state of finite numbers.
    #[test]
    fn flips_never_panic(flips in prop::collection::vec((0_usize..10_000, 0_u8..8), 1..6)) {
        let mut bytes = full::<f32>(&description(), 2).to_bytes();
        for (at, bit) in flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        let mut state = State::<f32>::zero(&description(), 2);
        if state.restore(&bytes).is_ok() {
            for part in state.parts() {
                prop_assert!(part.h.iter().chain(&part.c).all(|value| value.is_finite()));
            }
        }
    }

    /// So are bytes that were never a state.
    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..400), marked: bool) {
        if marked && bytes.len() >= 8 {
            bytes[..8].copy_from_slice(b"RCVSTAT1");
        }
        let mut state = State::<f64>::zero(&description(), 2);
        prop_assert!(state.restore(&bytes).is_err());
    }
}
