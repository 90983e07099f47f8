//! What does not fit is refused where a call comes in, before any address follows from it: each of
//! these would read or write outside its memory.

use recurve_cell::{Cell, Gru, GruResetBefore, Lstm};
use recurve_kernels::{
    CellKernels, Engine, Errors, Isa, Keep, Matrix, Packed, RecurrentLayer, Rows, RowsMut,
    Sequences, Start, Steps, Tape, Weights, WeightsMut, product,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

const INPUT: usize = 5;
const HIDDEN: usize = 19;
const STEPS: usize = 4;
const BATCH: usize = 3;

/// A layer, a batch and all that backward takes, right unless a test changes it.
struct Call {
    engine: Engine,
    hidden: usize,
    steps: Steps,
    resets: Vec<bool>,
    for_backward: bool,
    dy: Vec<f32>,
    dx: Vec<f32>,
    d: [Vec<f32>; 5],
    d_last: [Vec<f32>; 2],
}

impl Call {
    fn new<C: Cell + Default>() -> Self {
        let engine = Engine::detect().unwrap();
        let rows = STEPS * BATCH;
        // The last row is not longer than what is read or written of it.
        let room = engine.padded::<f32>(HIDDEN).max(engine.padded::<f32>(INPUT));
        let gh = C::GATES * HIDDEN;
        Self {
            engine,
            hidden: HIDDEN,
            steps: Steps::uniform(STEPS, BATCH),
            resets: vec![],
            for_backward: true,
            dy: vec![1.0; rows * room],
            dx: vec![0.0; rows * room],
            d: [gh * INPUT, gh * HIDDEN, gh, gh, 0].map(|len| vec![0.0; len]),
            d_last: [vec![], vec![]],
        }
    }

    fn layer<C: Cell + Default>(&self) -> RecurrentLayer<f32> {
        let kernels = CellKernels::of(C::default(), self.engine.isa());
        let mut layer = RecurrentLayer::new(self.engine, kernels, INPUT, self.hidden);
        let gh = C::GATES * self.hidden;
        let (w, r) = (vec![0.1; gh * INPUT], vec![0.1; gh * self.hidden]);
        let weights = Weights { w: &w, r: &r, b: &[], b_r: &[], p: &[] };
        layer.set_weights(weights, self.for_backward);
        layer
    }

    fn forward<C: Cell + Default>(&self, tape: &mut Tape<f32>) {
        let x = vec![0.5; self.steps.rows() * INPUT];
        let batch = Sequences {
            steps: &self.steps,
            x: Rows::new(&x, INPUT, INPUT),
            initial: [&[], &[]],
            resets: &self.resets,
        };
        self.layer::<C>().forward(&batch, Keep::Columns, tape, [&mut [], &mut []]);
    }

    fn backward<C: Cell + Default>(&mut self, tape: &mut Tape<f32>) {
        let layer = self.layer::<C>();
        let x = vec![0.5; self.steps.rows() * INPUT];
        let batch = Sequences {
            steps: &self.steps,
            x: Rows::new(&x, INPUT, INPUT),
            initial: [&[], &[]],
            resets: &self.resets,
        };
        let room = self.engine.padded::<f32>(HIDDEN).max(self.engine.padded::<f32>(INPUT));
        let errors = Errors {
            dy: Rows::new(&self.dy, HIDDEN, room),
            d_last: [&self.d_last[0], &self.d_last[1]],
            dx: Some(RowsMut::new(&mut self.dx, INPUT, room)),
            d_initial: [&mut [], &mut []],
        };
        let [w, r, b, b_r, p] = &mut self.d;
        layer.backward(&batch, tape, errors, WeightsMut { w, r, b, b_r, p });
    }
}

/// The message with which `call` is refused.
fn refusal(call: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("the call is refused");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}

/// What backward says after `change`, the forward pass having been right.
fn backward_after<C: Cell + Default>(change: impl FnOnce(&mut Call)) -> String {
    let mut call = Call::new::<C>();
    let mut tape = Tape::new();
    call.forward::<C>(&mut tape);
    change(&mut call);
    refusal(|| call.backward::<C>(&mut tape))
}

#[test]
fn a_right_call_is_not_refused() {
    let mut call = Call::new::<Lstm>();
    let mut tape = Tape::new();
    call.forward::<Lstm>(&mut tape);
    call.backward::<Lstm>(&mut tape);
    assert!(call.d.iter().take(4).flatten().all(|d| d.is_finite()));
}

#[test]
fn rows_whose_last_is_short() {
    let cut = |values: &mut Vec<f32>| values.truncate(values.len() - 32);
    let said = backward_after::<Lstm>(|call| {
        let needed = (STEPS * BATCH - 1) * call.dy.len() / (STEPS * BATCH) + HIDDEN;
        call.dy.truncate(needed);
    });
    assert!(said.contains("dy has a row with room"), "{said}");
    let said = backward_after::<Lstm>(|call| cut(&mut call.dx));
    assert!(said.contains("dx has a row with room"), "{said}");
}

#[test]
fn gradients_of_other_sizes() {
    for (at, name) in ["w is", "r is", "b is", "b_r is", "p is"].into_iter().enumerate() {
        let said = backward_after::<Lstm>(|call| {
            let len = call.d[at].len();
            call.d[at].resize(if len > 1 { len - 1 } else { 1 }, 0.0);
        });
        assert!(said.contains(name), "{said}");
    }
    let said = backward_after::<Lstm>(|call| call.d_last[0] = vec![0.0; 7]);
    assert!(said.contains("gradients of h"), "{said}");
    let said = backward_after::<Gru>(|call| call.d_last[1] = vec![0.0; BATCH * HIDDEN]);
    assert!(said.contains("gradients of c"), "{said}");
}

#[test]
fn tapes_of_another_pass() {
    let wanted = "the tape holds a forward pass of this layer";
    let said = backward_after::<Lstm>(|call| call.resets = vec![false; STEPS * BATCH]);
    assert!(said.contains(wanted), "resets: {said}");
    let mut call = Call::new::<Lstm>();
    let said = refusal(|| call.backward::<Lstm>(&mut Tape::new()));
    assert!(said.contains(wanted), "an empty tape: {said}");
    // As many gates and fewer states, or no operand of a second product.
    let mut tape = Tape::new();
    Call::new::<Gru>().forward::<Gru>(&mut tape);
    let said = refusal(|| Call::new::<Lstm>().backward::<Lstm>(&mut tape));
    assert!(said.contains(wanted), "another cell: {said}");
    let said = refusal(|| Call::new::<GruResetBefore>().backward::<GruResetBefore>(&mut tape));
    assert!(said.contains(wanted), "another cell: {said}");
    // Fewer units, in a longer batch.
    let mut tape = Tape::new();
    let longer = Call { hidden: 3, steps: Steps::uniform(40, BATCH), ..Call::new::<Lstm>() };
    longer.forward::<Lstm>(&mut tape);
    let said = refusal(|| Call::new::<Lstm>().backward::<Lstm>(&mut tape));
    assert!(said.contains(wanted), "another layer: {said}");
}

#[test]
fn weights_that_are_not_there() {
    let said = backward_after::<Lstm>(|call| call.for_backward = false);
    assert!(said.contains("backward would follow"), "{said}");
    let engine = Engine::detect().unwrap();
    let kernels = CellKernels::of(<Lstm>::default(), engine.isa());
    let layer = RecurrentLayer::<f32>::new(engine, kernels, INPUT, HIDDEN);
    let (x, steps) = (vec![0.5; INPUT], Steps::uniform(1, 1));
    let x = Rows::new(&x, INPUT, INPUT);
    let batch = Sequences { steps: &steps, x, initial: [&[], &[]], resets: &[] };
    let said =
        refusal(|| layer.forward(&batch, Keep::Nothing, &mut Tape::new(), [&mut [], &mut []]));
    assert!(said.contains("the layer has weights"), "{said}");
}

#[test]
fn operands_packed_for_other_vectors() {
    let isas = Isa::available();
    let numbers = vec![1.0_f32; 20 * 20];
    for packed_for in &isas {
        for used_by in isas.iter().filter(|isa| *isa != packed_for) {
            let mut packed = Packed::default();
            packed.pack(Engine::new(*packed_for), Matrix::new(&numbers, 20, 20, 20));
            let mut sums = vec![0.0; 20 * 20];
            let said = refusal(|| {
                let (a, c) =
                    (Matrix::new(&numbers, 20, 20, 20), &mut RowsMut::new(&mut sums, 20, 20));
                product(Engine::new(*used_by), a, &packed, Start::Zero, c);
            });
            assert!(said.contains("packed for the vectors of the engine"), "{said}");
        }
    }
}
