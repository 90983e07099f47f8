//! What a layer of a stack adds to its own output: its input, or a learned blend of the two.
//!
//! A residual layer gives `y = z + x`. A highway layer (Srivastava, Greff & Schmidhuber 2015) gives
//! `y = t∘z + (1 - t)∘x` with `t = σ(W x + b)`, so that `dz = dy∘t`, and `dy∘(z - x)∘t(1 - t)` goes back
//! through the linear layer to `x`, beside `dy∘(1 - t)`.

use super::{Back, Context, Flow, Linear, Node, Signal};
use recurve_kernels::{Element, Engine, Rows};

/// What is between the output `z` of the cells of a layer and its own.
pub(crate) enum Link<E: Element> {
    /// Nothing.
    Plain,
    Residual(Flow<E>),
    Highway(Box<Highway<E>>),
}

/// A highway layer's gate and its room.
pub(crate) struct Highway<E: Element> {
    gate: Linear<E>,
    /// `t`, and `dy∘(z - x)∘t(1 - t)` backward.
    t: Flow<E>,
    d_gate: Flow<E>,
    y: Flow<E>,
    dz: Flow<E>,
    /// `dy∘(1 - t)`, with what comes back through the gate.
    dx: Flow<E>,
}

impl<E: Element> Link<E> {
    pub(crate) fn residual(width: usize) -> Self {
        Self::Residual(Flow::tight(width))
    }

    pub(crate) fn highway(engine: Engine, gate: Linear<E>, width: usize) -> Self {
        let flow = || Flow::tight(width);
        let (t, d_gate, y, dx) = (flow(), flow(), flow(), flow());
        Self::Highway(Box::new(Highway { gate, t, d_gate, y, dz: Flow::padded(engine, width), dx }))
    }

    pub(crate) fn load(&mut self, values: &[E], backward: bool) {
        if let Self::Highway(highway) = self {
            highway.gate.load(values, backward);
        }
    }

    pub(crate) fn forward(
        &mut self,
        engine: Engine,
        context: &Context<'_>,
        x: Rows<'_, E>,
        z: Rows<'_, E>,
    ) {
        let rows = context.order.rows();
        match self {
            Self::Plain => {}
            Self::Residual(y) => {
                y.resize(rows);
                y.fill_rows(engine, |row, y| add(x.row(row), z.row(row), y));
            }
            Self::Highway(highway) => {
                let Highway { gate, t, y, .. } = &mut **highway;
                gate.forward(context, Signal::Rows(x), &mut []);
                let sums = gate.output();
                t.resize(rows);
                t.fill_rows(engine, |row, t| {
                    t.iter_mut().zip(sums.row(row)).for_each(|(t, sum)| *t = sum.sigmoid());
                });
                y.resize(rows);
                y.fill_rows(engine, |row, y| {
                    let parts = x.row(row).iter().zip(z.row(row)).zip(t.rows().row(row));
                    for (y, ((x, z), t)) in y.iter_mut().zip(parts) {
                        *y = *t * (*z - *x) + *x;
                    }
                });
            }
        }
    }

    /// The output, where it is another than that of the cells.
    pub(crate) fn output(&self) -> Option<Rows<'_, E>> {
        match self {
            Self::Plain => None,
            Self::Residual(y) => Some(y.rows()),
            Self::Highway(highway) => Some(highway.y.rows()),
        }
    }

    /// From `dy` to what [`Link::d_output`] and [`Link::d_input`] give.
    pub(crate) fn backward(
        &mut self,
        engine: Engine,
        context: &Context<'_>,
        (x, z): (Rows<'_, E>, Rows<'_, E>),
        dy: Rows<'_, E>,
        gradients: &mut [E],
    ) {
        let Self::Highway(highway) = self else { return };
        let Highway { gate, t, d_gate, dz, dx, .. } = &mut **highway;
        let (rows, t) = (context.order.rows(), t.rows());
        dz.resize(rows);
        dz.fill_rows(engine, |row, dz| {
            for ((dz, d), t) in dz.iter_mut().zip(dy.row(row)).zip(t.row(row)) {
                *dz = *d * *t;
            }
        });
        d_gate.resize(rows);
        d_gate.fill_rows(engine, |row, d_gate| {
            let parts = x.row(row).iter().zip(z.row(row)).zip(dy.row(row).iter().zip(t.row(row)));
            for (to, ((x, z), (d, t))) in d_gate.iter_mut().zip(parts) {
                *to = *d * (*z - *x) * *t * (t.like(1.0) - *t);
            }
        });
        let back = Back { dy: d_gate.rows(), d_states: &mut [], input_wanted: true, gradients };
        gate.backward(context, Signal::Rows(x), back);
        let through = gate.d_input();
        dx.resize(rows);
        dx.fill_rows(engine, |row, dx| {
            let parts = dy.row(row).iter().zip(t.row(row)).zip(through.row(row));
            for (to, ((d, t), through)) in dx.iter_mut().zip(parts) {
                *to = *d * (t.like(1.0) - *t) + *through;
            }
        });
    }

    /// The gradient of `z`.
    pub(crate) fn d_output<'a>(&'a self, dy: Rows<'a, E>) -> Rows<'a, E> {
        match self {
            Self::Plain | Self::Residual(_) => dy,
            Self::Highway(highway) => highway.dz.rows(),
        }
    }

    /// What reaches `x` past the cells, if anything does.
    pub(crate) fn d_input<'a>(&'a self, dy: Rows<'a, E>) -> Option<Rows<'a, E>> {
        match self {
            Self::Plain => None,
            Self::Residual(_) => Some(dy),
            Self::Highway(highway) => Some(highway.dx.rows()),
        }
    }
}

fn add<E: Element>(a: &[E], b: &[E], to: &mut [E]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = *a + *b;
    }
}
