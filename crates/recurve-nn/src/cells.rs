//! From the name of a cell to its functions.

use crate::description::CellKind;
use recurve_cell::{Cell, CoupledLstm, Gru, GruResetBefore, Lstm, Relu, Rnn, Sees, Tanh};
use recurve_kernels::{CellKernels, Element, Isa};
use std::any::{Any, TypeId};

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
fn of_kind<E: Element>(kind: CellKind, isa: Isa) -> CellKernels<E> {
    struct Of<E>(Isa, std::marker::PhantomData<E>);
    impl<E: Element> WithCell for Of<E> {
        type Output = CellKernels<E>;
        fn with<C: Cell>(self) -> CellKernels<E> {
            CellKernels::of::<C>(self.0)
        }
    }
    with_cell(kind, Of(isa, std::marker::PhantomData))
}

/// The functions of `kind` for `isa`. There are two types of numbers; asked for each by name, the
/// functions are compiled once, here, and not again in every crate that has a network.
pub(crate) fn kernels<E: Element>(kind: CellKind, isa: Isa) -> CellKernels<E> {
    let of = |found: Box<dyn Any>| *found.downcast().expect("the numbers are those asked for");
    if TypeId::of::<E>() == TypeId::of::<f32>() {
        of(of_f32(kind, isa))
    } else {
        of(of_f64(kind, isa))
    }
}

fn of_f32(kind: CellKind, isa: Isa) -> Box<dyn Any> {
    Box::new(of_kind::<f32>(kind, isa))
}

fn of_f64(kind: CellKind, isa: Isa) -> Box<dyn Any> {
    Box::new(of_kind::<f64>(kind, isa))
}
