//! Addresses of what flows backward through a step.

use crate::element::Element;
use crate::memory::{Rows, Shared};
use crate::recurrent::cell::Units;
use crate::recurrent::places::Places;
use std::ops::Range;

/// The gradients of the outputs and of the states, shared by the members that work on them.
pub(super) struct ErrorPlaces<'a, E: Element> {
    pub(super) places: &'a Places<'a, E>,
    pub(super) dy: Rows<'a, E>,
    pub(super) d_h: Shared<'a, E>,
    pub(super) d_c: Shared<'a, E>,
}

/// # Safety
/// Each method: as for [`Places`]; nobody else touches the gradients of these sequences and blocks.
impl<E: Element> ErrorPlaces<'_, E> {
    /// The units of a block for a run of sequences, with their gradients.
    pub(super) unsafe fn units(&self, t: usize, block: usize, alive: &Range<usize>) -> Units<E> {
        let (places, layout) = (self.places, self.places.layout);
        let (b, unit) = (alive.start, block * layout.unit);
        // SAFETY: see the impl.
        unsafe {
            let mut units = places.units(t, block, alive);
            let row = places.steps.first_row(t) + b;
            units.d_output = self.dy.pointer().add(row * self.dy.stride() + unit);
            units.d_output_row = self.dy.stride();
            units.d_state[0] = self.d_h.at(b * layout.h_row() + unit);
            if layout.states > 1 {
                units.d_state[1] =
                    self.d_c.at((block * places.steps.batch() + b) * layout.c_unit());
            }
            units.d_state_row = [layout.h_row(), layout.c_unit()];
            units
        }
    }

    /// Where a sequence was reset before step `t`, nothing flows further back.
    pub(super) unsafe fn leave(&self, t: usize, sequences: &Range<usize>, blocks: Range<usize>) {
        let (places, layout) = (self.places, self.places.layout);
        if places.resets.is_empty() {
            return;
        }
        let reset = |b: &usize| places.resets[places.steps.first_row(t) + b];
        for b in places.alive(t, sequences).filter(reset) {
            for block in blocks.clone() {
                let count = layout.vectors(block) * layout.lanes;
                // SAFETY: see the impl.
                unsafe {
                    let units = self.units(t, block, &(b..b + 1));
                    let states = units.d_state.into_iter().zip([count, layout.c_unit()]);
                    for (d, count) in states.filter(|(d, _)| !d.is_null()) {
                        std::slice::from_raw_parts_mut(d, count).fill(E::default());
                    }
                }
            }
        }
    }
}
