//! From the name of a cell to its functions.

use crate::description::CellKind;
use recurve_cell::{Cell, CoupledLstm, Gru, GruResetBefore, Lstm, Relu, Rnn, Sees, Tanh};
use recurve_kernels::{CellKernels, Element, Isa};

/// The sizes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) gates: usize,
    pub(crate) columns: usize,
    pub(crate) states: usize,
    pub(crate) peepholes: usize,
}

/// Something to do with a cell whose type is only known at run time.
trait WithCell {
    type Output;
    fn with<C: Cell>(self) -> Self::Output;
}

fn with_cell<W: WithCell>(kind: CellKind, then: W) -> W::Output {
    match kind {
        CellKind::RnnTanh => then.with::<Rnn<Tanh>>(),
        CellKind::RnnRelu => then.with::<Rnn<Relu>>(),
        CellKind::Lstm => then.with::<Lstm>(),
        CellKind::LstmPeephole => then.with::<Lstm<Sees>>(),
        CellKind::LstmCoupled => then.with::<CoupledLstm>(),
        CellKind::LstmCoupledPeephole => then.with::<CoupledLstm<Sees>>(),
        CellKind::Gru => then.with::<Gru>(),
        CellKind::GruResetBefore => then.with::<GruResetBefore>(),
    }
}

/// The sizes of `kind`.
pub(crate) fn sizes(kind: CellKind) -> Sizes {
    struct Of;
    impl WithCell for Of {
        type Output = Sizes;
        fn with<C: Cell>(self) -> Sizes {
            Sizes {
                gates: C::GATES,
                columns: C::COLUMNS,
                states: C::STATES,
                peepholes: C::PEEPHOLES,
            }
        }
    }
    with_cell(kind, Of)
}

/// The functions of `kind` for `isa`.
pub(crate) fn kernels<E: Element>(kind: CellKind, isa: Isa) -> CellKernels<E> {
    struct Of<E>(Isa, std::marker::PhantomData<E>);
    impl<E: Element> WithCell for Of<E> {
        type Output = CellKernels<E>;
        fn with<C: Cell>(self) -> CellKernels<E> {
            CellKernels::of::<C>(self.0)
        }
    }
    with_cell(kind, Of(isa, std::marker::PhantomData))
}
