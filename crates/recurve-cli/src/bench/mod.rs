//! How fast a recurrent layer is on this machine.
//!
//! A [`Shape`] says what is timed; [`measure()`] times it on random data through the same layers that
//! training and streaming use, and gives a [`Measured`], one JSON line. Beside every shape stands the
//! rate of a large product of matrices measured just before: what the machine can do at all, so that
//! the two can be compared although machines and their moods differ.

mod cells;
mod measure;
mod memory;
mod shapes;

pub(crate) use cells::{By, Contender, gates, scans};
pub(crate) use measure::{Measured, in_turns, measure, peak};
pub(crate) use shapes::{PRESETS, Shape, preset};
