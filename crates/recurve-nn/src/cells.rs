//! From the name of a cell, and what is chosen of it, to its functions.

use crate::description::{Activation, Activations, CellKind, OwnCell, Recurrent};
use crate::error::{Error, Result};
use recurve_cell::{
    Cell, Chosen, CoupledLstm, FORGET_GATE, Forget, Function, Gru, GruResetBefore, INPUT_GATE,
    IndRnn, Lstm, LstmWithout, MinGru, MinLstm, MinimalGated, OUTPUT_GATE, Qrnn, Relu, Rnn, SLstm,
    Sees, Sightless, Sru, SruProjected, Standard, Tanh,
};
use recurve_kernels::{CellKernels, Element, Isa};
use std::any::{Any, TypeId};
use std::sync::{Mutex, PoisonError};

/// The sizes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) gates: usize,
    pub(crate) recurrent_gates: usize,
    pub(crate) columns: usize,
    pub(crate) states: usize,
    pub(crate) peepholes: usize,
    pub(crate) passed: bool,
}

/// A cell whose type is not known where it is used.
pub(crate) trait AnyCell: Send + Sync {
    fn sizes(&self) -> Sizes;
    fn of_f32(&self, isa: Isa) -> CellKernels<f32>;
    fn of_f64(&self, isa: Isa) -> CellKernels<f64>;
    /// The type, where its values are all the same.
    fn only_value_of(&self) -> Option<TypeId>;
}

impl<C: Cell> AnyCell for C {
    fn sizes(&self) -> Sizes {
        Sizes {
            gates: C::GATES,
            recurrent_gates: C::RECURRENT_GATES,
            columns: C::COLUMNS,
            states: C::STATES,
            peepholes: C::PEEPHOLES,
            passed: C::PASSED,
        }
    }
    fn of_f32(&self, isa: Isa) -> CellKernels<f32> {
        CellKernels::of(*self, isa)
    }
    fn of_f64(&self, isa: Isa) -> CellKernels<f64> {
        CellKernels::of(*self, isa)
    }
    fn only_value_of(&self) -> Option<TypeId> {
        (size_of::<C>() == 0).then(TypeId::of::<C>)
    }
}

/// Something to do with a cell whose type is only known at run time.
pub trait WithCell {
    /// What comes of it.
    type Output;
    /// Does it.
    fn with<C: Cell>(self, cell: C) -> Self::Output;
}

impl CellKind {
    /// Does something with the cell of this name; nothing with one that the program brought, whose type
    /// is known there, and with the mLSTM, whose steps are more than a pointwise function.
    pub fn with<W: WithCell>(self, then: W) -> Option<W::Output> {
        let linear = Chosen { candidate: Function::LINEAR, ..Chosen::default() };
        let unbound = Chosen { output: Function::LINEAR, ..Chosen::default() };
        Some(match self {
            Self::RnnTanh => then.with(Rnn(Tanh)),
            Self::RnnRelu => then.with(Rnn(Relu)),
            Self::Lstm => then.with(Lstm(Sightless, Standard)),
            Self::LstmPeephole => then.with(Lstm(Sees, Standard)),
            Self::LstmCoupled => then.with(CoupledLstm(Sightless, Standard)),
            Self::LstmCoupledPeephole => then.with(CoupledLstm(Sees, Standard)),
            Self::LstmNig => then.with(LstmWithout::<INPUT_GATE>(Sees)),
            Self::LstmNfg => then.with(LstmWithout::<FORGET_GATE>(Sees)),
            Self::LstmNog => then.with(LstmWithout::<OUTPUT_GATE>(Sees)),
            Self::LstmNiaf => then.with(Lstm(Sees, linear)),
            Self::LstmNoaf => then.with(Lstm(Sees, unbound)),
            Self::Gru => then.with(Gru(Standard)),
            Self::GruResetBefore => then.with(GruResetBefore(Standard)),
            Self::MinimalGated => then.with(MinimalGated),
            Self::IndRnn => then.with(IndRnn(Relu)),
            Self::Slstm => then.with(SLstm { forget: Forget::Sigmoid }),
            Self::SlstmExponential => then.with(SLstm { forget: Forget::Exponential }),
            Self::Qrnn => then.with(Qrnn),
            Self::Sru => then.with(Sru),
            Self::SruProjected => then.with(SruProjected),
            Self::MinGru => then.with(MinGru),
            Self::MinLstm => then.with(MinLstm),
            Self::Own(_) | Self::Mlstm | Self::MlstmExponential => return None,
        })
    }

    /// What of the three functions the cell has: gates, candidate, what is shown.
    fn functions(self) -> [bool; 3] {
        match self {
            Self::RnnTanh | Self::RnnRelu | Self::IndRnn => [false, true, false],
            Self::Gru | Self::GruResetBefore => [true, true, false],
            Self::Lstm | Self::LstmPeephole | Self::LstmCoupled | Self::LstmCoupledPeephole => {
                [true; 3]
            }
            _ => [false; 3],
        }
    }

    /// The cell with functions and bounds that were chosen.
    fn chosen(self, chosen: Chosen) -> Option<Box<dyn AnyCell>> {
        Some(match self {
            Self::RnnTanh | Self::RnnRelu => Box::new(Rnn(chosen)),
            Self::IndRnn => Box::new(IndRnn(chosen)),
            Self::Gru => Box::new(Gru(chosen)),
            Self::GruResetBefore => Box::new(GruResetBefore(chosen)),
            Self::Lstm => Box::new(Lstm(Sightless, chosen)),
            Self::LstmPeephole => Box::new(Lstm(Sees, chosen)),
            Self::LstmCoupled => Box::new(CoupledLstm(Sightless, chosen)),
            Self::LstmCoupledPeephole => Box::new(CoupledLstm(Sees, chosen)),
            _ => return None,
        })
    }
}

impl Activation {
    fn function(self) -> Function {
        match self {
            Self::Sigmoid => Function::Sigmoid,
            Self::Tanh => Function::TANH,
            Self::Relu => Function::RELU,
            Self::Linear => Function::LINEAR,
            Self::Relu6 => Function::Clamp { slope: 1.0, shift: 0.0, low: 0.0, high: 6.0 },
            Self::HardTanh => Function::Clamp { slope: 1.0, shift: 0.0, low: -1.0, high: 1.0 },
            Self::HardSigmoid { alpha, beta } => Function::hard_sigmoid(alpha, beta),
            Self::Affine { alpha, beta } => Function::affine(alpha, beta),
            Self::Softsign => Function::Softsign,
            Self::Softplus => Function::Softplus,
            Self::Elu { alpha } => Function::Elu { scale: 1.0, alpha },
            Self::Selu => {
                Function::Elu { scale: 1.050_700_987_355_480_5, alpha: 1.673_263_242_354_377_2 }
            }
            Self::LeakyRelu { alpha } => Function::LeakyRelu { alpha },
            Self::ThresholdedRelu { alpha } => Function::ThresholdedRelu { alpha },
            Self::ScaledTanh { alpha, beta } => Function::Tanh { scale: alpha, slope: beta },
        }
    }

    /// The numbers of the function.
    fn check(self) -> Result<()> {
        let (numbers, sound) = match self {
            Self::HardSigmoid { alpha, beta } | Self::Affine { alpha, beta } => {
                (vec![alpha, beta], true)
            }
            Self::ScaledTanh { alpha, beta } => (vec![alpha, beta], alpha != 0.0),
            Self::Elu { alpha } | Self::LeakyRelu { alpha } => (vec![alpha], alpha >= 0.0),
            Self::ThresholdedRelu { alpha } => (vec![alpha], true),
            _ => (vec![], true),
        };
        if sound && numbers.iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        Err(Error::new(format!(
            "activation {self:?}: its numbers must be finite, the alpha of an ELU and of a leaky ReLU not \
             negative, that of a scaled tanh not 0"
        )))
    }
}

/// What is chosen of the cell of `stack`, if anything is.
fn choice(stack: &Recurrent) -> Option<Chosen> {
    if (stack.activations, stack.clip_sums, stack.clip_state) == (None, None, None) {
        return None;
    }
    let relu = matches!(stack.cell, CellKind::RnnRelu | CellKind::IndRnn);
    let candidate = if relu { Activation::Relu } else { Activation::Tanh };
    let own = Activations { candidate, ..Activations::default() };
    let Activations { gate, candidate, output } = stack.activations.unwrap_or(own);
    Some(Chosen {
        gate: gate.function(),
        candidate: candidate.function(),
        output: output.function(),
        most_sum: stack.clip_sums.unwrap_or(f64::INFINITY),
        most_state: stack.clip_state.unwrap_or(f64::INFINITY),
    })
}

/// Whether the cell of `stack` has what is chosen of it, and its sizes are those of a stack whose input is
/// `input` wide.
///
/// # Errors
/// Where not.
pub(crate) fn check(stack: &Recurrent, input: usize) -> Result<()> {
    let name = stack.cell.name();
    let has = stack.cell.functions();
    if let Some(activations) = stack.activations {
        let own = Activations::default();
        let all = [
            ("gate", activations.gate, own.gate),
            ("candidate", activations.candidate, own.candidate),
            ("output", activations.output, own.output),
        ];
        if has == [false; 3] {
            return Err(Error::new(format!("the functions of the cell `{name}` cannot be chosen")));
        }
        for ((what, function, own), has) in all.into_iter().zip(has) {
            function.check()?;
            if !has && function != own {
                return Err(Error::new(format!(
                    "the cell `{name}` has no {what} whose activation could be {function:?}"
                )));
            }
        }
    }
    let clips = [
        ("clip_sums", stack.clip_sums, has[1]),
        ("clip_state", stack.clip_state, has == [true; 3]),
    ];
    for (what, clip, honoured) in clips {
        let Some(most) = clip else { continue };
        if !honoured {
            return Err(Error::new(format!(
                "the cell `{name}` has nothing that {what} could bound"
            )));
        }
        if !(most > 0.0 && most.is_finite()) {
            return Err(Error::new(format!("{what} is {most}; it must be positive and finite")));
        }
    }
    if sizes(stack).passed {
        for layer in 0..stack.layers.min(3) {
            let input = stack.layer_input(layer, input);
            if input != stack.hidden {
                return Err(Error::new(format!(
                    "the cell `{name}` adds its input to its output, and layer {layer} of the stack has \
                     {input} inputs and {} units; choose as many, or `sru-projected`",
                    stack.hidden
                )));
            }
        }
    }
    Ok(())
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
        fn with<C: Cell>(self, cell: C) -> Sizes {
            cell.sizes()
        }
    }
    // Queries, keys, values and output gates.
    let matrix =
        Sizes { gates: 4, recurrent_gates: 0, columns: 4, states: 2, peepholes: 0, passed: false };
    match kind {
        CellKind::Own(own) => own.cell.sizes(),
        kind => kind.with(Of).unwrap_or(matrix),
    }
}

/// The cell of `stack`, with what is chosen of it.
fn cell(stack: &Recurrent) -> Box<dyn AnyCell> {
    struct Of;
    impl WithCell for Of {
        type Output = Box<dyn AnyCell>;
        fn with<C: Cell>(self, cell: C) -> Box<dyn AnyCell> {
            Box::new(cell)
        }
    }
    let chosen = choice(stack).and_then(|chosen| stack.cell.chosen(chosen));
    chosen.or_else(|| stack.cell.with(Of)).expect("a description was checked")
}

/// The functions of the cell of `stack` for `isa`. They are compiled once, here, and not again in every
/// crate that has a network.
pub(crate) fn kernels<E: Element>(stack: &Recurrent, isa: Isa) -> CellKernels<E> {
    let of = |found: Box<dyn Any>| *found.downcast().expect("the numbers are those asked for");
    let single = TypeId::of::<E>() == TypeId::of::<f32>();
    let functions = |cell: &dyn AnyCell| -> Box<dyn Any> {
        if single { Box::new(cell.of_f32(isa)) } else { Box::new(cell.of_f64(isa)) }
    };
    of(match stack.cell {
        CellKind::Own(own) => functions(own.cell),
        _ => functions(&*cell(stack)),
    })
}

/// The cells that the program brought. They stay as long as it runs.
static OWN: Mutex<Vec<OwnCell>> = Mutex::new(vec![]);

/// The cells that the program brought.
pub(crate) fn own() -> Vec<CellKind> {
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    own.iter().copied().map(CellKind::Own).collect()
}

/// See [`CellKind::own`].
pub(crate) fn bring<C: Cell>(name: &str, cell: C) -> Result<CellKind> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = own.iter().find(|known| known.name == name) {
        return match (known.cell.only_value_of(), cell.only_value_of()) {
            (Some(known_type), Some(new_type)) if known_type == new_type => {
                Ok(CellKind::Own(*known))
            }
            _ => Err(Error::new(format!("there is another cell called `{name}` already"))),
        };
    }
    let brought = OwnCell {
        name: Box::leak(name.to_owned().into_boxed_str()),
        cell: Box::leak(Box::new(cell)),
    };
    own.push(brought);
    Ok(CellKind::Own(brought))
}

/// Numbers that a layer and direction of `stack` carries beside `h`.
pub(crate) fn memory(stack: &Recurrent) -> usize {
    match stack.matrix_memory(0) {
        Some(shape) => shape.memory(),
        None if stack.gate_recurrence => 4 * stack.hidden,
        None => (sizes(stack).states - 1) * stack.hidden,
    }
}
