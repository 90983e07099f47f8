//! From the name of a cell to its functions.

use crate::description::{CellKind, Recurrent};
use recurve_cell::{
    Cell, CoupledLstm, Forget, Gru, GruResetBefore, IndRnn, Lstm, Relu, Rnn, SLstm, Sees,
    Sightless, Tanh,
};
use recurve_kernels::{CellKernels, Element, Isa};
use std::any::{Any, TypeId};

/// The sizes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) gates: usize,
    pub(crate) recurrent_gates: usize,
    pub(crate) columns: usize,
    pub(crate) states: usize,
    pub(crate) peepholes: usize,
}

/// Something to do with a cell whose type is only known at run time.
pub trait WithCell {
    /// What comes of it.
    type Output;
    /// Does it.
    fn with<C: Cell>(self, cell: C) -> Self::Output;
}

impl CellKind {
    /// Does something with the cell of this name.
    pub fn with<W: WithCell>(self, then: W) -> W::Output {
        match self {
            Self::RnnTanh => then.with(Rnn(Tanh)),
            Self::RnnRelu => then.with(Rnn(Relu)),
            Self::Lstm => then.with(Lstm(Sightless)),
            Self::LstmPeephole => then.with(Lstm(Sees)),
            Self::LstmCoupled => then.with(CoupledLstm(Sightless)),
            Self::LstmCoupledPeephole => then.with(CoupledLstm(Sees)),
            Self::Gru => then.with(Gru),
            Self::GruResetBefore => then.with(GruResetBefore),
            Self::IndRnn => then.with(IndRnn(Relu)),
            Self::Slstm => then.with(SLstm { forget: Forget::Sigmoid }),
            Self::SlstmExponential => then.with(SLstm { forget: Forget::Exponential }),
        }
    }
}

/// The sizes of the cell of `stack`.
pub(crate) fn sizes(stack: &Recurrent) -> Sizes {
    of_kind(stack.cell)
}

/// The sizes of the cell of a name.
pub(crate) fn of_kind(kind: CellKind) -> Sizes {
    struct Of;
    impl WithCell for Of {
        type Output = Sizes;
        fn with<C: Cell>(self, _: C) -> Sizes {
            Sizes {
                gates: C::GATES,
                recurrent_gates: C::RECURRENT_GATES,
                columns: C::COLUMNS,
                states: C::STATES,
                peepholes: C::PEEPHOLES,
            }
        }
    }
    kind.with(Of)
}

/// The functions of the cell of `stack` for `isa`.
fn compiled<E: Element>(stack: &Recurrent, isa: Isa) -> CellKernels<E> {
    struct Of<E>(Isa, std::marker::PhantomData<E>);
    impl<E: Element> WithCell for Of<E> {
        type Output = CellKernels<E>;
        fn with<C: Cell>(self, cell: C) -> CellKernels<E> {
            CellKernels::of(cell, self.0)
        }
    }
    stack.cell.with(Of(isa, std::marker::PhantomData))
}

/// The functions of the cell of `stack` for `isa`. There are two types of numbers; asked for each by name,
/// the functions are compiled once, here, and not again in every crate that has a network.
pub(crate) fn kernels<E: Element>(stack: &Recurrent, isa: Isa) -> CellKernels<E> {
    let of = |found: Box<dyn Any>| *found.downcast().expect("the numbers are those asked for");
    if TypeId::of::<E>() == TypeId::of::<f32>() {
        of(of_f32(stack, isa))
    } else {
        of(of_f64(stack, isa))
    }
}

fn of_f32(stack: &Recurrent, isa: Isa) -> Box<dyn Any> {
    Box::new(compiled::<f32>(stack, isa))
}

fn of_f64(stack: &Recurrent, isa: Isa) -> Box<dyn Any> {
    Box::new(compiled::<f64>(stack, isa))
}
