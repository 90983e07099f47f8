//! One recurrent layer in one direction: all the products, all the steps.

mod backward;
mod cell;
mod forward;
mod gradients;
mod half;
mod layout;
mod places;
mod steps;
mod tape;
mod weights;

pub use backward::Errors;
pub use cell::CellKernels;
pub use forward::Keep;
pub use steps::Steps;
pub use tape::Tape;
pub use weights::{Weights, WeightsMut};

use crate::Engine;
use crate::element::Element;
use crate::gemm::tile::Tiles;
use crate::memory::Rows;
use half::HalfWeights;
use layout::Layout;
use weights::PackedWeights;

/// A batch for a layer. Sequences stand in the order of [`Steps`], rows in the order of their steps.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a, E> {
    /// Which sequences are alive at which step.
    pub steps: &'a Steps,
    /// The input, one row of `I` for each row of `steps`.
    pub x: Rows<'a, E>,
    /// The initial `h` and `c`, `[B, H]` each; empty for zeros.
    pub initial: [&'a [E]; 2],
    /// For each row, whether the states are zero before its step; empty for never.
    pub resets: &'a [bool],
}

/// A recurrent layer in one direction, with its weights packed for the machine.
#[derive(Debug)]
pub struct RecurrentLayer<E: Element> {
    engine: Engine,
    cell: CellKernels<E>,
    layout: Layout,
    tiles: Tiles<E>,
    weights: PackedWeights<E>,
    /// Whether the weights are packed for backward too.
    backward: bool,
    /// The weights of products of `bf16`, where the engine asks for them.
    half: Option<HalfWeights>,
}

/// Whose work is whose: all steps of some sequences, or all sequences of some units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Sequences,
    Units,
}

/// Recurrent weights larger than this leave the cache of a core when each core reads all of them.
const CACHE: usize = 1_300_000;

impl<E: Element> RecurrentLayer<E> {
    /// A layer of `hidden` units on inputs of `input`, without weights yet.
    ///
    /// # Panics
    /// Where the cell's functions are for another instruction set than the engine's, or products of
    /// `bf16` are asked for with other numbers than `f32`.
    pub fn new(engine: Engine, cell: CellKernels<E>, input: usize, hidden: usize) -> Self {
        assert_eq!(cell.isa, engine.isa(), "the cell is made for the engine");
        let layout = Layout::new(&cell, engine, input, hidden);
        let tiles = Tiles::new(engine.isa());
        let half = engine.halves::<E>().map(HalfWeights::new);
        let (weights, backward) = (PackedWeights::default(), false);
        Self { engine, cell, layout, tiles, weights, backward, half }
    }

    /// Takes over new weights; for [`RecurrentLayer::backward`] too if `backward`.
    ///
    /// # Panics
    /// Where a size does not fit.
    pub fn set_weights(&mut self, weights: Weights<'_, E>, backward: bool) {
        let (l, rows) = (&self.layout, self.layout.gates * self.layout.hidden);
        assert_eq!(weights.w.len(), rows * l.input, "w is [G*H, I]");
        assert_eq!(weights.r.len(), rows * l.hidden, "r is [G*H, H]");
        assert!([0, rows].contains(&weights.b.len()), "b is [G*H]");
        assert!([0, rows].contains(&weights.b_r.len()), "b_r is [G*H]");
        assert_eq!(weights.p.len(), self.cell.peepholes * l.hidden, "p is [PEEPHOLES*H]");
        self.backward = backward;
        if let Some(mut half) = self.half.take() {
            self.weights.pack_vectors(&self.cell, &self.layout, weights);
            self.pack_half(&mut half, weights, backward);
            self.half = Some(half);
        } else {
            self.weights.pack(self.engine, &self.cell, &self.layout, weights, backward);
        }
    }

    /// The engine of the layer.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Makes later calls use `threads` threads.
    pub fn set_threads(&mut self, threads: usize) {
        self.engine = self.engine.with_threads(threads);
    }

    /// How to cut the time loop over `steps`, and over how many threads.
    fn plan(&self, steps: &Steps) -> (Split, usize) {
        let l = &self.layout;
        let weights = l.gates * l.hidden * l.hidden * size_of::<E>();
        let operations = 2 * steps.rows() * l.gates * l.hidden * (l.input + l.hidden);
        let threads = self.engine.threads_for(operations);
        let fits = l.h_panels().count() >= threads;
        let few = steps.batch() < 4 * threads;
        if fits && (weights > CACHE || few && weights > CACHE / 4) {
            (Split::Units, threads)
        } else {
            (Split::Sequences, threads.min(steps.batch()).max(1))
        }
    }
}
