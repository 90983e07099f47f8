//! A layer and a batch with random numbers, run by the kernels and by the reference.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recurve_cell::{Cell, Real, reference};
use recurve_kernels::{
    CellKernels, Element, Engine, Errors, Keep, RecurrentLayer, Rows, RowsMut, Sequences, Steps,
    Tape, Weights, WeightsMut,
};
use std::ops::Range;

/// Everything that goes into a layer, in f64.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    pub(crate) lengths: Vec<usize>,
    pub(crate) with_resets: bool,
    pub(crate) rounded: bool,
    pub(crate) seed: u64,
}

impl Case {
    pub(crate) fn new(input: usize, hidden: usize, lengths: &[usize]) -> Self {
        Self {
            input,
            hidden,
            lengths: lengths.to_vec(),
            with_resets: false,
            rounded: false,
            seed: 7,
        }
    }
    /// Large enough that threads are worth it, for both ways to cut the work.
    pub(crate) fn worth_threads() -> Vec<Self> {
        vec![
            Case::new(40, 130, &[30; 7]),
            Case::new(40, 130, &[30; 40]),
            Case::new(64, 420, &[12; 5]),
            Case::new(64, 420, &[12, 12, 9, 5, 1]).with_resets(),
            Case::new(32, 96, &[60, 50, 50, 20, 20, 11, 9, 3, 2, 1]).with_resets(),
            Case::new(300, 330, &[40]),
        ]
    }
    /// The same with as many inputs as units, where the cell passes its input on.
    fn fitting<C: Cell>(&self) -> Self {
        Self { input: if C::PASSED { self.hidden } else { self.input }, ..self.clone() }
    }
    pub(crate) fn with_resets(mut self) -> Self {
        self.with_resets = true;
        self
    }
    /// The same with the operands of all products rounded to `bf16`, but for what a step gives the next.
    #[allow(dead_code, reason = "not of interest to every test")]
    pub(crate) fn rounded(&self) -> Self {
        Self { rounded: true, ..self.clone() }
    }
}

/// The value of the nearest `bf16`, ties to even.
#[allow(dead_code, reason = "not of interest to every test")]
pub(crate) fn to_bf16(value: f32) -> f64 {
    let bits = value.to_bits();
    let half = 0x7fff + ((bits >> 16) & 1);
    f64::from(f32::from_bits((bits + half) & 0xffff_0000))
}

/// Results by name; sequences in the caller's order, steps padded with zeros.
pub(crate) type Results<E> = Vec<(&'static str, Vec<E>)>;

struct Numbers<E = f64> {
    w: Vec<E>,
    r: Vec<E>,
    b: Vec<E>,
    b_r: Vec<E>,
    p: Vec<E>,
    x: Vec<E>,
    h0: Vec<E>,
    c0: Vec<E>,
    dy: Vec<E>,
    dh: Vec<E>,
    dc: Vec<E>,
    resets: Vec<bool>,
}

impl<E: Real> Numbers<E> {
    fn from(n: Numbers) -> Self {
        let to = |values: Vec<f64>| narrowed::<E>(&values);
        Self {
            w: to(n.w),
            r: to(n.r),
            b: to(n.b),
            b_r: to(n.b_r),
            p: to(n.p),
            x: to(n.x),
            h0: to(n.h0),
            c0: to(n.c0),
            dy: to(n.dy),
            dh: to(n.dh),
            dc: to(n.dc),
            resets: n.resets,
        }
    }
}

fn numbers<C: Cell>(case: &Case) -> Numbers {
    let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
    // Values that f32 holds exactly, so that f64 and f32 runs see the same problem.
    let mut draw = |n: usize, size: f64| -> Vec<f64> {
        (0..n).map(|_| f64::from((rng.random_range(-1.0..1.0) * size) as f32)).collect()
    };
    let (i, h, b) = (case.input, case.hidden, case.lengths.len());
    let t = case.lengths.iter().copied().max().unwrap_or(0);
    let (gh, recurrent) = (C::GATES * h, C::RECURRENT_GATES * h);
    let size = 1.0 / (h as f64).sqrt();
    let others = (C::STATES - 1) * b * h;
    let mut numbers = Numbers {
        w: draw(gh * i, size),
        r: draw(recurrent * h, size),
        b: draw(gh, size),
        b_r: draw(recurrent, size),
        p: draw(C::PEEPHOLES * h, size),
        x: draw(t * b * i, 1.5),
        h0: draw(b * h, 0.8),
        // A third state is a sum of weights, and what is shown is divided by it.
        c0: draw(others, 0.8)
            .into_iter()
            .enumerate()
            .map(|(at, c)| if at / (b * h).max(1) == 1 { 1.0 + c.abs() } else { c })
            .collect(),
        dy: draw(t * b * h, 1.0),
        dh: draw(b * h, 1.0),
        dc: draw(others, 1.0),
        resets: (0..t * b).map(|at| case.with_resets && (at * 7 + 3) % 5 == 0).collect(),
    };
    if case.rounded {
        for operand in [&mut numbers.w, &mut numbers.r, &mut numbers.x] {
            operand.iter_mut().for_each(|v| *v = to_bf16(*v as f32));
        }
    }
    numbers
}

/// What the reference says, in f64.
pub(crate) fn expected<C: Cell>(cell: C, case: &Case) -> Results<f64> {
    expected_in(cell, case)
}

/// What the reference says, in the precision of `E`.
pub(crate) fn expected_in<E: Real, C: Cell>(cell: C, case: &Case) -> Results<E> {
    let zero = E::from_f64(0.0);
    let case = &case.fitting::<C>();
    let n = Numbers::<E>::from(numbers::<C>(case));
    let (i, h, b, s) = (case.input, case.hidden, case.lengths.len(), C::STATES);
    let t = case.lengths.iter().copied().max().unwrap_or(0);
    let weights = reference::Weights { w: &n.w, r: &n.r, b: &n.b, b_r: &n.b_r, p: &n.p };
    let layer = reference::Layer::new(cell, i, h, weights);
    let kept = reference::Layer::<C, E>::KEPT;
    let together = |h_part: &[E], c_part: &[E]| {
        let mut state = vec![zero; b * s * h];
        for k in 0..b {
            state[k * s * h..][..h].copy_from_slice(&h_part[k * h..][..h]);
            for other in 1..s {
                let from = &c_part[((other - 1) * b + k) * h..][..h];
                state[(k * s + other) * h..][..h].copy_from_slice(from);
            }
        }
        state
    };
    let apart = |state: &[E]| {
        let take =
            |at: usize| (0..b).flat_map(|k| state[(k * s + at) * h..][..h].to_vec()).collect();
        let c_part = (1..s).flat_map(|at| -> Vec<E> { take(at) }).collect();
        let h_part: Vec<E> = take(0);
        let c_part: Vec<E> = c_part;
        (h_part, c_part)
    };
    let sequences = reference::Sequences {
        steps: t,
        batch: b,
        lengths: Some(&case.lengths),
        resets: Some(&n.resets),
        reverse: false,
    };
    let mut state = together(&n.h0, &n.c0);
    let mut y = vec![zero; t * b * h];
    let (mut before, mut after) = (vec![zero; t * b * s * h], vec![zero; t * b * s * h]);
    let mut columns = vec![zero; t * b * kept * h];
    let mut tape = reference::Tape { before: &mut before, kept: &mut columns, after: &mut after };
    layer.run(&sequences, &n.x, &mut state, &mut y, &mut tape);
    let (hn, cn) = apart(&state);
    let mut d_state = together(&n.dh, &n.dc);
    let mut dx = vec![zero; t * b * i];
    let mut d_kept = vec![zero; t * b * kept * h];
    let mut d = [&n.w, &n.r, &n.b, &n.b_r, &n.p].map(|v| vec![zero; v.len()]);
    let [dw, dr, db, db_r, dp] = &mut d;
    let mut errors =
        reference::Errors { dy: &n.dy, d_state: &mut d_state, dx: &mut dx, d_kept: &mut d_kept };
    let mut gradients = reference::Gradients { dw, dr, db, db_r, dp };
    layer.backward(&sequences, &n.x, &tape, &mut errors, &mut gradients);
    let (dh0, dc0) = apart(&d_state);
    let [dw, dr, db, db_r, dp] = d;
    named([y, hn, cn, dx, dh0, dc0, dw, dr, db, db_r, dp])
}

fn named<E>(values: [Vec<E>; 11]) -> Results<E> {
    let names = ["y", "hn", "cn", "dx", "dh0", "dc0", "dw", "dr", "db", "db_r", "dp"];
    names.into_iter().zip(values).collect()
}

fn narrowed<E: Real>(values: &[f64]) -> Vec<E> {
    values.iter().map(|v| E::from_f64(*v)).collect()
}

#[allow(dead_code, reason = "not of interest to every test")]
/// What the kernels say of a forward pass that nothing is kept of: outputs and last states.
/// The steps are taken in calls of `window` steps each, or all at once where it is 0.
pub(crate) fn inferred<E: Element, C: Cell>(
    cell: C,
    case: &Case,
    engine: Engine,
    window: usize,
) -> Results<E> {
    inferred_of::<E, C>(cell, case, engine, window, 0..case.lengths.len())
}

/// The same for some sequences of the case, as if there were no others.
pub(crate) fn inferred_of<E: Element, C: Cell>(
    cell: C,
    case: &Case,
    engine: Engine,
    window: usize,
    sequences: Range<usize>,
) -> Results<E> {
    let case = &case.fitting::<C>();
    let n = numbers::<C>(case);
    let (i, h, all, b) = (case.input, case.hidden, case.lengths.len(), sequences.len());
    let lengths = &case.lengths[sequences.clone()];
    let t = lengths.iter().copied().max().unwrap_or(0);
    let mut layer = RecurrentLayer::<E>::new(engine, CellKernels::of(cell, engine.isa()), i, h);
    let [w, r, bias, b_r, p] = [&n.w, &n.r, &n.b, &n.b_r, &n.p].map(|v| narrowed::<E>(v));
    layer.set_weights(Weights { w: &w, r: &r, b: &bias, b_r: &b_r, p: &p }, false);
    let states = |from: &[f64]| {
        let own = |state: &[f64]| narrowed::<E>(&state[sequences.start * h..sequences.end * h]);
        from.chunks_exact(all * h).flat_map(own).collect::<Vec<E>>()
    };
    let (mut hn, mut cn) = (states(&n.h0), states(&n.c0));
    let mut y = vec![E::default(); t * b * h];
    let mut tape = Tape::new();
    let window = if window == 0 { t } else { window };
    for begin in (0..t).step_by(window.max(1)) {
        let lengths: Vec<usize> =
            lengths.iter().map(|l| l.saturating_sub(begin).min(window)).collect();
        let steps = Steps::of_lengths(lengths);
        let (mut x, mut resets) = (vec![], vec![]);
        for at in 0..steps.count() {
            let (first, active) = ((begin + at) * all + sequences.start, steps.active(at));
            x.extend(narrowed::<E>(&n.x[first * i..(first + active) * i]));
            resets.extend(&n.resets[first..first + active]);
        }
        let (h0, c0) = (hn.clone(), cn.clone());
        let batch = Sequences {
            steps: &steps,
            x: Rows::new(&x, i, i),
            initial: [&h0, &c0],
            resets: if case.with_resets { &resets } else { &[] },
        };
        layer.forward(&batch, Keep::Nothing, &mut tape, [&mut hn, &mut cn]);
        for at in 0..steps.count() {
            for k in 0..steps.active(at) {
                y[((begin + at) * b + k) * h..][..h]
                    .copy_from_slice(tape.output().row(steps.first_row(at) + k));
            }
        }
    }
    vec![("y", y), ("hn", hn), ("cn", cn)]
}

/// What the kernels say.
pub(crate) fn computed<E: Element, C: Cell>(cell: C, case: &Case, engine: Engine) -> Results<E> {
    computed_keeping::<E, C>(cell, case, engine, Keep::Columns)
}

/// What the kernels say where forward keeps `keep`.
pub(crate) fn computed_keeping<E: Element, C: Cell>(
    cell: C,
    case: &Case,
    engine: Engine,
    keep: Keep,
) -> Results<E> {
    let case = &case.fitting::<C>();
    let n = numbers::<C>(case);
    let (i, h, b) = (case.input, case.hidden, case.lengths.len());
    let t = case.lengths.iter().copied().max().unwrap_or(0);
    let steps = Steps::of_lengths(case.lengths.clone());
    let packed = |from: &[f64], width: usize, row: usize| {
        let mut to = vec![E::default(); steps.rows() * row];
        for at in 0..t {
            for k in 0..steps.active(at) {
                for (u, v) in from[(at * b + k) * width..][..width].iter().enumerate() {
                    to[(steps.first_row(at) + k) * row + u] = E::from_f64(*v);
                }
            }
        }
        to
    };
    let padded = |row_of: &dyn Fn(usize) -> Vec<E>, width: usize| {
        let mut to = vec![E::default(); t * b * width];
        for at in 0..t {
            for k in 0..steps.active(at) {
                to[(at * b + k) * width..][..width]
                    .copy_from_slice(&row_of(steps.first_row(at) + k));
            }
        }
        to
    };
    let mut layer = RecurrentLayer::<E>::new(engine, CellKernels::of(cell, engine.isa()), i, h);
    let [w, r, bias, b_r, p] = [&n.w, &n.r, &n.b, &n.b_r, &n.p].map(|v| narrowed::<E>(v));
    layer.set_weights(Weights { w: &w, r: &r, b: &bias, b_r: &b_r, p: &p }, true);
    let x = packed(&n.x, i, i);
    let (h0, c0) = (narrowed::<E>(&n.h0), narrowed::<E>(&n.c0));
    let resets: Vec<bool> =
        (0..t).flat_map(|at| n.resets[at * b..][..steps.active(at)].to_vec()).collect();
    let batch = Sequences {
        steps: &steps,
        x: Rows::new(&x, i, i),
        initial: [&h0, &c0],
        resets: if case.with_resets { &resets } else { &[] },
    };
    let mut tape = Tape::new();
    let mut hn = vec![E::default(); b * h];
    let mut cn = vec![E::default(); c0.len()];
    layer.forward(&batch, keep, &mut tape, [&mut hn, &mut cn]);
    let y = padded(&|row| tape.output().row(row).to_vec(), h);
    let h_row = engine.padded::<E>(h);
    let dy = packed(&n.dy, h, h_row);
    let x_row = engine.padded::<E>(i);
    let mut dx = vec![E::default(); steps.rows() * x_row];
    let (dh, dc) = (narrowed::<E>(&n.dh), narrowed::<E>(&n.dc));
    let mut dh0 = vec![E::default(); h0.len()];
    let mut dc0 = vec![E::default(); c0.len()];
    let mut d = [&w, &r, &bias, &b_r, &p].map(|v| vec![E::from_f64(9.0); v.len()]);
    let [dw, dr, db, db_r, dp] = &mut d;
    let errors = Errors {
        dy: Rows::new(&dy, h, h_row),
        d_last: [&dh, &dc],
        dx: Some(RowsMut::new(&mut dx, i, x_row)),
        d_initial: [&mut dh0, &mut dc0],
    };
    layer.backward(&batch, &mut tape, errors, WeightsMut { w: dw, r: dr, b: db, b_r: db_r, p: dp });
    let dx = padded(&|row| dx[row * x_row..][..i].to_vec(), i);
    let [dw, dr, db, db_r, dp] = d;
    named([y, hn, cn, dx, dh0, dc0, dw, dr, db, db_r, dp])
}

/// The largest difference of each result, relative to its largest value.
pub(crate) fn differences<E: Real>(got: &Results<E>, expected: &Results<f64>) -> Vec<f64> {
    let of = |(name, got): &(&str, Vec<E>), expected: &[f64]| {
        assert_eq!(got.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
        let mut worst = 0.0_f64;
        for (g, e) in got.iter().zip(expected) {
            assert!(g.to_f64().is_finite(), "{name} holds {g}");
            worst = worst.max((g.to_f64() - e).abs() / largest);
        }
        worst
    };
    got.iter().zip(expected).map(|(got, (_, expected))| of(got, expected)).collect()
}
