//! A recurrent layer in whose steps more happens than a cell: projections, normalisation, gates that are
//! fed back, zoneout, dropout inside the recurrence.
//!
//! The fused layer of the kernels goes from product to cell block by block, which leaves no place where all
//! of a row is known. Here a step is a row of stages over plain rows, made of the same products of matrices
//! and the same pointwise functions:
//!
//! ```text
//! enter     h', c' after resets; the operand of the recurrent product: h' with units dropped, gates fed back
//! product   the sums of r
//! columns   normalise them and those of w, add them; the cell; clip and normalise c; zoneout of c
//! project   h = w_p (o∘tanh(c)), clipped
//! leave     zoneout of h
//! ```
//!
//! The input products of some steps are formed before them and all gradients of weights after the last, each
//! as one product. A pass that nothing is kept of goes through the same memory again and again. What a step
//! does to a sequence depends on that sequence alone, so a thread takes some sequences through all of its stages;
//! sums over sequences are formed in groups of a fixed size. Threads change no bit.

mod backward;
mod forward;
mod norm;
mod plan;
mod shares;
mod step;
mod step_back;
mod weights;

use super::Flow;
use crate::description::Recurrent;
use plan::{Functions, Plan};
use recurve_kernels::{Buffer, Element, Engine, Rows};
pub(crate) use weights::StageRanges;
use weights::StageWeights;

/// How sequences are numbered where noise is drawn for them.
#[derive(Clone, Copy)]
pub(crate) enum Numbering<'a> {
    /// As the caller does.
    OfCaller(&'a [usize]),
    /// In the order of the pass.
    OfPass,
}

impl Numbering<'_> {
    /// The stream of numbers for place `b` at step `t`.
    fn stream(self, t: usize, b: usize) -> u64 {
        let b = match self {
            Self::OfCaller(sequences) => sequences[b],
            Self::OfPass => b,
        };
        (b as u64) << 32 | t as u64
    }
}

/// Sequences that are taken together.
const GROUP: usize = 8;

/// The layer in one direction.
pub(crate) struct Staged<E: Element> {
    engine: Engine,
    plan: Plan,
    functions: Functions<E>,
    weights: StageWeights<E>,
    /// Tells the noise of this layer and direction from that of others.
    id: u64,
    room: Room<E>,
    tape: Tape<E>,
    kept: bool,
    /// The first row that the tape has room for.
    base: usize,
}

/// What is kept of a forward pass, one row per row of the steps unless said.
struct Tape<E: Element> {
    columns: Buffer<E>,
    /// Sums of the products that are normalised, in whose place their gradients come; and the moments of
    /// their parts, then those of `c`.
    of_input: Buffer<E>,
    of_recurrent: Buffer<E>,
    moments: Buffer<E>,
    /// `h'`, where anything but the operand reads it, and `c'` of each step, after resets.
    h_in: Buffer<E>,
    c_in: Buffer<E>,
    /// The operand of the recurrent product, where it is not `h'`.
    operand: Buffer<E>,
    /// `c` before zoneout; the output before its projection, and after it, before zoneout.
    c: Buffer<E>,
    inner: Buffer<E>,
    projected: Buffer<E>,
    y: Flow<E>,
    /// 0 where zoneout keeps the value before the step.
    zones: [Buffer<E>; 2],
    /// Factors of `h'`, one row for each sequence from start or reset to the next, and the row of each row.
    masks: Buffer<E>,
    mask_of: Vec<usize>,
    mask_places: Vec<u64>,
}

/// What is not kept.
struct Room<E: Element> {
    /// The states of each sequence: `h`, `c`, gates that are fed back.
    h: Buffer<E>,
    c: Buffer<E>,
    gates: Buffer<E>,
    zeros: Buffer<E>,
    d_h: Buffer<E>,
    d_c: Buffer<E>,
    d_gates: Buffer<E>,
    d_inner: Buffer<E>,
    d_operand: Buffer<E>,
    d_direct: Buffer<E>,
    d_kept: Buffer<E>,
    extra: Buffer<E>,
    /// Of every row, where there is a projection.
    d_out: Buffer<E>,
    sums: Buffer<E>,
    packed: recurve_kernels::Packed<E>,
    product: Buffer<E>,
}

impl<E: Element> Staged<E> {
    /// `id` tells the noise of this layer and direction from that of others.
    pub(crate) fn new(
        engine: Engine,
        stack: &Recurrent,
        input: usize,
        ranges: StageRanges,
        id: u64,
    ) -> Self {
        let functions = Functions::new(stack, engine.isa());
        let plan = Plan::new(engine, stack, input, &functions);
        let buffer = Buffer::new;
        Self {
            engine,
            functions,
            weights: StageWeights::new(ranges),
            id,
            room: Room {
                h: buffer(),
                c: buffer(),
                gates: buffer(),
                zeros: Buffer::zeros(plan.unit.max(plan.out_row)),
                d_h: buffer(),
                d_c: buffer(),
                d_gates: buffer(),
                d_inner: buffer(),
                d_operand: buffer(),
                d_direct: buffer(),
                d_kept: buffer(),
                extra: buffer(),
                d_out: buffer(),
                sums: buffer(),
                packed: recurve_kernels::Packed::default(),
                product: buffer(),
            },
            tape: Tape {
                columns: buffer(),
                of_input: buffer(),
                of_recurrent: buffer(),
                moments: buffer(),
                h_in: buffer(),
                c_in: buffer(),
                operand: buffer(),
                c: buffer(),
                inner: buffer(),
                projected: buffer(),
                y: Flow::padded(engine, plan.out),
                zones: [buffer(), buffer()],
                masks: buffer(),
                mask_of: vec![],
                mask_places: vec![],
            },
            plan,
            kept: false,
            base: 0,
        }
    }

    /// The output of the last pass, one row per row of its steps.
    pub(crate) fn output(&self) -> Rows<'_, E> {
        self.tape.y.rows()
    }
}

/// Numbers of `moments` of a row.
fn moments(plan: &Plan) -> usize {
    (plan.input_parts.len() + plan.recurrent_parts.len() + 1) * norm::MOMENTS
}
