//! What the tests of this crate share: fixtures, random problems, and passes over a real network.

#![allow(dead_code, unused_imports, reason = "each test program uses its own part of this")]

pub(crate) mod fixtures;
mod isas;
mod problem;
mod random;
mod staged;

pub(crate) use isas::isas;
pub(crate) use problem::{Data, Pass, Problem, converted};
pub(crate) use random::{Random, random_model};
pub(crate) use staged::staged;

/// All cells, but for the one that has as many inputs as units, which most problems here have not.
#[allow(dead_code, reason = "not every test is about cells")]
pub(crate) fn cells() -> impl Iterator<Item = recurve_nn::CellKind> {
    recurve_nn::CellKind::ALL.into_iter().filter(|cell| *cell != recurve_nn::CellKind::Sru)
}
