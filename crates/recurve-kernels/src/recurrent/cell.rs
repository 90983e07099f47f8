//! A cell's pointwise function on vectors: the equations of `recurve-cell`, applied to the units of a
//! block for a run of sequences.

use crate::detect::Isa;
use crate::element::Element;
use crate::isa::{Entry, Kernel, Simd, entry};
use recurve_cell::{Cell, Group, MOST_STATES};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The units of one block, `vectors` vectors of them, for `rows` sequences. Pointers of quantities
/// that the caller's cell does not have are null.
#[derive(Clone, Copy)]
pub(crate) struct Units<E> {
    /// The value of the cell.
    pub(crate) cell: *const Value,
    pub(crate) rows: usize,
    pub(crate) vectors: usize,
    /// Column `k` of row `r` is at `r * gates_row + k * unit`.
    pub(crate) gates: *mut E,
    pub(crate) gates_row: usize,
    pub(crate) unit: usize,
    /// Weight `k` is at `k * unit`.
    pub(crate) peepholes: *const E,
    /// `h` and the states after it before and after the step, and the distance of their rows. A state
    /// after the second is `unit` behind the one before it.
    pub(crate) before: [*const E; 2],
    pub(crate) before_row: [usize; 2],
    pub(crate) after: [*mut E; 2],
    pub(crate) after_row: [usize; 2],
    /// The operand of the second product; its rows are as far apart as those of `h`.
    pub(crate) operand: *mut E,
    /// The gradient of the output, and its row distance.
    pub(crate) d_output: *const E,
    pub(crate) d_output_row: usize,
    /// The gradients of the same: of the states after the step on entry, before it on return.
    pub(crate) d_state: [*mut E; 2],
    pub(crate) d_state_row: [usize; 2],
    /// The sums of the gradients of the peephole weights.
    pub(crate) d_peepholes: *mut E,
}

/// Room for the value of a cell: what was chosen when it was made.
#[derive(Clone, Copy)]
pub(crate) struct Value(MaybeUninit<[u64; 24]>);

impl Value {
    fn new<C: Cell>(cell: C) -> Self {
        const {
            assert!(size_of::<C>() <= size_of::<Self>() && align_of::<C>() <= align_of::<Self>());
        }
        let mut value = Self(MaybeUninit::uninit());
        // SAFETY: the room is large enough and aligned (asserted), and a cell is `Copy`.
        unsafe { value.0.as_mut_ptr().cast::<C>().write(cell) }
        value
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value")
    }
}

impl<E> Units<E> {
    /// # Safety
    /// The cell of the units is a `C`.
    #[inline(always)]
    unsafe fn cell<C: Cell>(&self) -> C {
        // SAFETY: the caller's promise; `Value::new` wrote it there.
        unsafe { self.cell.cast::<C>().read() }
    }
}

/// The pointwise functions of a cell for one instruction set, and what the layer must know of it.
#[derive(Clone, Copy, Debug)]
pub struct CellKernels<E: Element> {
    pub(crate) isa: Isa,
    pub(crate) cell: Value,
    pub(crate) gates: usize,
    pub(crate) recurrent_gates: usize,
    pub(crate) columns: usize,
    pub(crate) passed: bool,
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
    /// The functions of `cell` for `isa`. A cell whose constants contradict its types, or whose value is
    /// larger than 192 bytes, is not compiled.
    pub fn of<C: Cell>(cell: C, isa: Isa) -> Self {
        // The layout of memory follows from the constants, the addresses that the functions use from
        // the types.
        const {
            assert!(C::COLUMNS == <C::Columns<f64> as Group<f64>>::LEN);
            assert!(C::STATES == <C::States<f64> as Group<f64>>::LEN);
            assert!(C::PEEPHOLES == <C::Peepholes<f64> as Group<f64>>::LEN);
            assert!(C::STATES >= 1 && C::STATES <= MOST_STATES);
            assert!(C::INPUT.len() == C::GATES && C::RECURRENT.len() == C::RECURRENT_GATES);
            assert!(C::GATES >= 1 && C::GATES <= C::COLUMNS && C::RECURRENT_GATES <= C::COLUMNS);
            assert!(!C::PASSED || C::GATES < C::COLUMNS);
            assert!(C::SECOND == 0 || C::SECOND < C::RECURRENT_GATES);
            each_once(C::INPUT);
            each_once(C::RECURRENT);
        }
        Self {
            isa,
            cell: Value::new(cell),
            gates: C::GATES,
            recurrent_gates: C::RECURRENT_GATES,
            columns: C::COLUMNS,
            passed: C::PASSED,
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
    /// Gates of the input product.
    pub fn gates(&self) -> usize {
        self.gates
    }
    /// Gates of the recurrent product; 0 for a cell without one.
    pub fn recurrent_gates(&self) -> usize {
        self.recurrent_gates
    }
    /// States of a unit.
    pub fn states(&self) -> usize {
        self.states
    }
    /// Peephole weights of a unit.
    pub fn peepholes(&self) -> usize {
        self.peepholes
    }
}

/// Gates are numbered below their count, each once.
const fn each_once(gates: &[usize]) {
    let mut at = 0;
    while at < gates.len() {
        assert!(gates[at] < gates.len());
        let mut other = 0;
        while other < at {
            assert!(gates[other] != gates[at]);
            other += 1;
        }
        at += 1;
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
        G::from_fn(|s| unsafe {
            let (kind, place) = self.state(s);
            V::load(u.before[kind].add(self.row * u.before_row[kind] + place))
        })
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
        unsafe {
            let (kind, place) = self.state(s);
            u.after[kind].add(self.row * u.after_row[kind] + place)
        }
    }
    #[inline(always)]
    unsafe fn d_state(&self, s: usize) -> *mut E {
        let u = self.units;
        // SAFETY: see the impl.
        unsafe {
            let (kind, place) = self.state(s);
            u.d_state[kind].add(self.row * u.d_state_row[kind] + place)
        }
    }
    /// Whether state `s` is `h` or one of the others, and where it is in the row of these.
    #[inline(always)]
    fn state(&self, s: usize) -> (usize, usize) {
        if s == 0 { (0, self.at) } else { (1, (s - 1) * self.units.unit + self.at) }
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
        // SAFETY: the functions of a cell are called with its own value.
        let cell = unsafe { units.cell::<C>() };
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (kept, after) = cell.forward::<V>(
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
        // SAFETY: the functions of a cell are called with its own value.
        let cell = unsafe { units.cell::<C>() };
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let dy = V::load(units.d_output.add(place.row * units.d_output_row + place.at));
                let d_after = C::States::<V>::from_fn(|s| {
                    let d = V::load(place.d_state(s));
                    if s == 0 { d + dy } else { d }
                });
                let (d_columns, d_before) = cell.backward::<V>(
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
        // SAFETY: the functions of a cell are called with its own value.
        let cell = unsafe { units.cell::<C>() };
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (columns, operand) = cell.operand::<V>(
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
        // SAFETY: the functions of a cell are called with its own value.
        let cell = unsafe { units.cell::<C>() };
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let (d_columns, d_h) = cell.operand_backward::<V>(
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
        // SAFETY: the functions of a cell are called with its own value.
        let cell = unsafe { units.cell::<C>() };
        for place in places::<E, V>(units) {
            // SAFETY: the caller's promise.
            unsafe {
                let d = cell.peepholes_backward::<V>(
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
