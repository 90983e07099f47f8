//! One recurrent layer in one direction: all the products, all the steps.

mod backward;
mod cell;
mod errors;
mod forward;
mod gradients;
mod half;
mod layout;
mod places;
mod rows;
mod steps;
pub(crate) mod sweep;
mod tape;
mod trace;
mod weights;

pub use backward::Errors;
pub use cell::CellKernels;
pub use forward::Keep;
pub use rows::{Strip, StripMut, UnitRows};
pub use steps::Steps;
pub use sweep::{INT8_DEPTH, bf16_of, int8_of, int8_scale};
pub use tape::Tape;
pub use weights::{Weights, WeightsMut};

use crate::Engine;
use crate::Precision;
use crate::element::Element;
use crate::gemm::tile::Tiles;
use crate::memory::Buffer;
use crate::memory::Rows;
use half::HalfWeights;
use layout::Layout;
use sweep::NarrowWeights;
use weights::PackedWeights;

/// A batch for a layer. Sequences stand in the order of [`Steps`], rows in the order of their steps.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a, E> {
    /// Which sequences are alive at which step.
    pub steps: &'a Steps,
    /// The input, one row of `I` for each row of `steps`.
    pub x: Rows<'a, E>,
    /// The initial `h [B, H]`, and the other states `[S-1, B, H]` in the order of the cell; empty for
    /// zeros.
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
    narrow: NarrowWeights,
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
    /// Where the cell's functions are for another instruction set than the engine's, products of `bf16`
    /// are asked for with other numbers than `f32`, or the cell passes on an input of another size than
    /// its own.
    pub fn new(engine: Engine, cell: CellKernels<E>, input: usize, hidden: usize) -> Self {
        assert_eq!(cell.isa, engine.isa(), "the cell is made for the engine");
        assert!(!cell.passed || input == hidden, "a cell that passes its input on has I = H");
        let layout = Layout::new(&cell, engine, input, hidden);
        let tiles = E::compiled(engine.isa()).tiles;
        let half = engine.halves::<E>().map(HalfWeights::new);
        let (weights, narrow) = (PackedWeights::default(), NarrowWeights::default());
        Self { engine, cell, layout, tiles, weights, backward: false, half, narrow }
    }

    /// Takes over new weights; for [`RecurrentLayer::backward`] too if `backward`.
    ///
    /// # Panics
    /// Where a size does not fit, or weights in 8 bits are to be used backward.
    pub fn set_weights(&mut self, weights: Weights<'_, E>, backward: bool) {
        assert!(
            !backward || self.engine.precision() != Precision::Int8,
            "weights in 8 bits are for forward only"
        );
        let l = &self.layout;
        let (rows, recurrent) = (l.gates * l.hidden, l.recurrent_gates * l.hidden);
        assert_eq!(weights.w.len(), rows * l.input, "w is [G*H, I]");
        assert_eq!(weights.r.len(), recurrent * l.hidden, "r is [G*H, H]");
        assert!([0, rows].contains(&weights.b.len()), "b is [G*H]");
        assert!([0, recurrent].contains(&weights.b_r.len()), "b_r is [G*H]");
        assert_eq!(weights.p.len(), self.cell.peepholes * l.hidden, "p is [PEEPHOLES*H]");
        self.backward = backward;
        self.narrow = NarrowWeights::default();
        self.choose_half(backward);
        if let Some(mut half) = self.half.take() {
            self.pack_half(&mut half, weights, backward);
            self.half = Some(half);
        }
        match self.engine.precision() {
            Precision::Bf16 if backward => {
                self.weights.pack_vectors(&self.cell, &self.layout, weights);
            }
            Precision::Bf16 | Precision::Int8 if !backward => self.set_narrow_weights(weights),
            _ => self.weights.pack(self.engine, &self.cell, &self.layout, weights, backward),
        }
    }

    /// Where both operands of products are rounded to `bf16`: to go backward, and where the processor has
    /// instructions for it. Else the weights alone are in `bf16`, and the layout is that of the vectors.
    fn choose_half(&mut self, backward: bool) {
        let half = self.engine.halves::<E>();
        let half = half.filter(|half| backward || half.has_instructions());
        if half.is_some() != self.half.is_some() {
            let rounded = half.is_some();
            let engine =
                if rounded { self.engine } else { self.engine.with_precision(Precision::Full) };
            let (input, hidden) = (self.layout.input, self.layout.hidden);
            self.layout = Layout::new(&self.cell, engine, input, hidden);
            self.half = half.map(HalfWeights::new);
        }
    }

    /// Takes over weights for forward only, in 8 or 16 bits.
    fn set_narrow_weights(&mut self, weights: Weights<'_, E>) {
        let l = &self.layout;
        let rounded;
        let weights = if self.engine.precision() == Precision::Int8 {
            rounded = sweep::rounded_to_int8(weights.w, l.input);
            Weights { w: &rounded, ..weights }
        } else {
            weights
        };
        self.narrow = NarrowWeights::new(self.engine, &self.cell, l, weights);
        self.weights.pack(self.engine, &self.cell, l, weights, false);
        let packed = [&mut self.weights.w, &mut self.weights.first, &mut self.weights.second];
        for (packed, full) in packed.into_iter().zip(self.narrow.are_full()) {
            if !full {
                *packed = Buffer::new();
            }
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

    /// Additions and multiplications of a forward pass.
    fn operations(&self, steps: &Steps) -> usize {
        let l = &self.layout;
        2 * steps.rows() * l.hidden * (l.gates * l.input + l.recurrent_gates * l.hidden)
    }

    /// How to cut the time loop over `steps`, and over how many threads.
    fn plan(&self, steps: &Steps) -> (Split, usize) {
        let l = &self.layout;
        let weights = l.recurrent_gates * l.hidden * l.hidden * size_of::<E>();
        let threads = self.engine.threads_for(self.operations(steps));
        let fits = l.h_panels().count() >= threads;
        let few = steps.batch() < 4 * threads;
        // Without a recurrent product, members that share out units never meet.
        let free = l.recurrent_gates == 0;
        if fits && (weights > CACHE || few && (free || weights > CACHE / 4)) {
            (Split::Units, threads)
        } else {
            (Split::Sequences, threads.min(steps.batch()).max(1))
        }
    }
}
