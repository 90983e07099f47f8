//! A cell's pointwise function on vectors: the equations of `recurve-cell`, applied to the units of a
//! block for a run of sequences.

use crate::detect::Isa;
use crate::element::Element;
use crate::isa::{Entry, Kernel, Simd, entry};
use recurve_cell::{Cell, Group};
use std::marker::PhantomData;

/// The units of one block, `vectors` vectors of them, for `rows` sequences. Pointers of quantities
/// that the caller's cell does not have are null.
#[derive(Clone, Copy)]
pub(crate) struct Units<E> {
    pub(crate) rows: usize,
    pub(crate) vectors: usize,
    /// Column `k` of row `r` is at `r * gates_row + k * unit`.
    pub(crate) gates: *mut E,
    pub(crate) gates_row: usize,
    pub(crate) unit: usize,
    /// Weight `k` is at `k * unit`.
    pub(crate) peepholes: *const E,
    /// `h` and `c` before and after the step, and the distance of their rows.
    pub(crate) before: [*const E; 2],
    pub(crate) before_row: [usize; 2],
    pub(crate) after: [*mut E; 2],
    pub(crate) after_row: [usize; 2],
    /// The operand of the second product; its rows are as far apart as those of `h`.
    pub(crate) operand: *mut E,
    /// The gradient of the output, and its row distance.
    pub(crate) d_output: *const E,
    pub(crate) d_output_row: usize,
    /// The gradients of `h` and `c`: of the states after the step on entry, before it on return.
    pub(crate) d_state: [*mut E; 2],
    pub(crate) d_state_row: [usize; 2],
    /// The sums of the gradients of the peephole weights.
    pub(crate) d_peepholes: *mut E,
}

/// The pointwise functions of a cell for one instruction set, and what the layer must know of it.
#[derive(Clone, Copy, Debug)]
pub struct CellKernels<E: Element> {
    pub(crate) isa: Isa,
    pub(crate) gates: usize,
    pub(crate) columns: usize,
    pub(crate) states: usize,
    pub(crate) second: usize,
    pub(crate) peepholes: usize,
    pub(crate) input: &'static [usize],
    pub(crate) recurrent: &'static [usize],
    pub(crate) forward: Entry<Units<E>>,
    pub(crate) backward: Entry<Units<E>>,
    pub(crate) operand: Entry<Units<E>>,
    pub(crate) operand_backward: Entry<Units<E>>,
    pub(crate) peepholes_backward: Entry<Units<E>>,
}

impl<E: Element> CellKernels<E> {
    /// The functions of `C` for `isa`. A cell whose constants contradict its types is not compiled.
    pub fn of<C: Cell>(isa: Isa) -> Self {
        // The layout of memory follows from the constants, the addresses that the functions use from
        // the types.
        const {
            assert!(C::COLUMNS == <C::Columns<f64> as Group<f64>>::LEN);
            assert!(C::STATES == <C::States<f64> as Group<f64>>::LEN);
            assert!(C::PEEPHOLES == <C::Peepholes<f64> as Group<f64>>::LEN);
            assert!(C::STATES == 1 || C::STATES == 2);
            assert!(C::INPUT.len() == C::GATES && C::RECURRENT.len() == C::GATES);
            assert!(C::SECOND < C::GATES && C::GATES <= C::COLUMNS);
            let mut at = 0;
            while at < C::GATES {
                assert!(C::INPUT[at] < C::GATES && C::RECURRENT[at] < C::GATES);
                at += 1;
            }
        }
        Self {
            isa,
            gates: C::GATES,
            columns: C::COLUMNS,
            states: C::STATES,
            second: C::SECOND,
            peepholes: C::PEEPHOLES,
            input: C::INPUT,
            recurrent: C::RECURRENT,
            forward: entry::<E, Forward<C>>(isa),
            backward: entry::<E, Backward<C>>(isa),
            operand: entry::<E, Operand<C>>(isa),
            operand_backward: entry::<E, OperandBackward<C>>(isa),
            peepholes_backward: entry::<E, PeepholesBackward<C>>(isa),
        }
    }
    /// Gates of the cell.
    pub fn gates(&self) -> usize {
        self.gates
    }
    /// States of a unit: 1 (`h`) or 2 (`h`, `c`).
    pub fn states(&self) -> usize {
        self.states
    }
    /// Peephole weights of a unit.
    pub fn peepholes(&self) -> usize {
        self.peepholes
    }
}

/// One vector of units of one sequence: where its quantities are.
struct Place<'a, E> {
    units: &'a Units<E>,
    row: usize,
    at: usize,
}

/// # Safety
/// Each method: what the fields of `Units` describe is readable and writable, and the instructions
/// of `V` exist.
impl<E: Element> Place<'_, E> {
    #[inline(always)]
    unsafe fn columns<V: Simd<Elem = E>, G: Group<V>>(&self) -> G {
        let u = self.units;
        // SAFETY: see the impl.
        G::from_fn(|k| unsafe {
            V::load(u.gates.add(self.row * u.gates_row + k * u.unit + self.at))
        })
    }
    #[inline(always)]
    unsafe fn keep<V: Simd<Elem = E>, G: Group<V>>(&self, columns: G) {
        // SAFETY: see the impl.
        unsafe { self.keep_first::<V, G>(columns, G::LEN) }
    }
    /// Writes the first `count` columns only.
    #[inline(always)]
    unsafe fn keep_first<V: Simd<Elem = E>, G: Group<V>>(&self, columns: G, count: usize) {
        let u = self.units;
        for (k, column) in columns.values()[..count].iter().enumerate() {
            // SAFETY: see the impl.
            unsafe { column.store(u.gates.add(self.row * u.gates_row + k * u.unit + self.at)) }
        }
    }
    #[inline(always)]
    unsafe fn peepholes<V: Simd<Elem = E>, G: Group<V>>(&self) -> G {
        let u = self.units;
        // SAFETY: see the impl.
        G::from_fn(|k| unsafe { V::load(u.peepholes.add(k * u.unit + self.at)) })
    }
    #[inline(always)]
    unsafe fn before<V: Simd<Elem = E>, G: Group<V>>(&self) -> G {
        let u = self.units;
        // SAFETY: see the impl.
        G::from_fn(|s| unsafe { V::load(u.before[s].add(self.row * u.before_row[s] + self.at)) })
    }
    #[inline(always)]
    unsafe fn after<V: Simd<Elem = E>, G: Group<V>>(&self) -> G {
        // SAFETY: see the impl.
        G::from_fn(|s| unsafe { V::load(self.after_at(s)) })
    }
    #[inline(always)]
    unsafe fn after_at(&self, s: usize) -> *mut E {
        let u = self.units;
        // SAFETY: see the impl.
        unsafe { u.after[s].add(self.row * u.after_row[s] + self.at) }
    }
    #[inline(always)]
    unsafe fn d_state(&self, s: usize) -> *mut E {
        let u = self.units;
        // SAFETY: see the impl.
        unsafe { u.d_state[s].add(self.row * u.d_state_row[s] + self.at) }
    }
    #[inline(always)]
    unsafe fn operand(&self) -> *mut E {
        // SAFETY: see the impl.
        unsafe { self.units.operand.add(self.row * self.units.after_row[0] + self.at) }
    }
}

#[inline(always)]
fn places<E: Element, V: Simd<Elem = E>>(units: &Units<E>) -> impl Iterator<Item = Place<'_, E>> {
    let rows =
        move |v: usize| (0..units.rows).map(move |row| Place { units, row, at: v * V::LANES });
    (0..units.vectors).flat_map(rows)
}

struct Forward<C>(PhantomData<C>);

impl<E: Element, C: Cell> Kernel<E> for Forward<C> {
    type Args = Units<E>;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(units: &Units<E>) {
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (kept, after) = C::default().forward::<V>(
                    place.columns::<V, C::Columns<V>>(),
                    place.peepholes::<V, C::Peepholes<V>>(),
                    place.before::<V, C::States<V>>(),
                );
                place.keep::<V, _>(kept);
                for (s, state) in after.values().iter().enumerate() {
                    state.store(place.after_at(s));
                }
            }
        }
    }
}

struct Backward<C>(PhantomData<C>);

impl<E: Element, C: Cell> Kernel<E> for Backward<C> {
    type Args = Units<E>;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(units: &Units<E>) {
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let dy = V::load(units.d_output.add(place.row * units.d_output_row + place.at));
                let d_after = C::States::<V>::from_fn(|s| {
                    let d = V::load(place.d_state(s));
                    if s == 0 { d + dy } else { d }
                });
                let (d_columns, d_before) = C::default().backward::<V>(
                    place.columns::<V, C::Columns<V>>(),
                    place.peepholes::<V, C::Peepholes<V>>(),
                    place.before::<V, C::States<V>>(),
                    place.after::<V, C::States<V>>(),
                    d_after,
                );
                place.keep::<V, _>(d_columns);
                for (s, d) in d_before.values().iter().enumerate() {
                    d.store(place.d_state(s));
                }
            }
        }
    }
}

struct Operand<C>(PhantomData<C>);

impl<E: Element, C: Cell> Kernel<E> for Operand<C> {
    type Args = Units<E>;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(units: &Units<E>) {
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (columns, operand) = C::default().operand::<V>(
                    place.columns::<V, C::Columns<V>>(),
                    place.before::<V, C::States<V>>(),
                );
                place.keep::<V, _>(columns);
                operand.store(place.operand());
            }
        }
    }
}

struct OperandBackward<C>(PhantomData<C>);

impl<E: Element, C: Cell> Kernel<E> for OperandBackward<C> {
    type Args = Units<E>;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(units: &Units<E>) {
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (d_columns, d_h) = C::default().operand_backward::<V>(
                    place.columns::<V, C::Columns<V>>(),
                    place.before::<V, C::States<V>>(),
                    V::load(place.operand()),
                );
                // The columns of the second product are complete, and other members may be reading
                // them.
                place.keep_first::<V, _>(d_columns, C::COLUMNS - C::SECOND);
                (V::load(place.d_state(0)) + d_h).store(place.d_state(0));
            }
        }
    }
}

struct PeepholesBackward<C>(PhantomData<C>);

impl<E: Element, C: Cell> Kernel<E> for PeepholesBackward<C> {
    type Args = Units<E>;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(units: &Units<E>) {
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let d = C::default().peepholes_backward::<V>(
                    place.columns::<V, C::Columns<V>>(),
                    place.before::<V, C::States<V>>(),
                    place.after::<V, C::States<V>>(),
                );
                for (k, d) in d.values().iter().enumerate() {
                    let sum = units.d_peepholes.add(k * units.unit + place.at);
                    (V::load(sum) + *d).store(sum);
                }
            }
        }
    }
}
