//! A model, a batch and the gradients that reach it, in f64; and passes over it at any precision.

use recurve_nn::{
    Batch, Description, Element, Engine, Input, InputKind, Mode, Network, Noise, State,
};

/// What a batch reads.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Values(Vec<f64>),
    Tokens(Vec<u32>),
}

/// Everything that goes into a forward and a backward pass. Rows of `dy` are `[T, B, W]`, or `[B, W]`
/// where the model pools.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) description: Description,
    pub(crate) weights: Vec<f64>,
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) data: Data,
    pub(crate) lengths: Option<Vec<usize>>,
    pub(crate) resets: Option<Vec<bool>>,
    pub(crate) initial: State<f64>,
    pub(crate) dy: Vec<f64>,
    pub(crate) d_last: State<f64>,
}

/// What comes out. Steps past the end of a sequence are 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pass<E> {
    /// `[T, B, W]`, or `[B, W]` where the model pools.
    pub(crate) y: Vec<E>,
    pub(crate) last: State<E>,
    pub(crate) gradients: Vec<E>,
    /// `[T, B, I]`, or empty where the model reads tokens.
    pub(crate) dx: Vec<E>,
    pub(crate) d_initial: State<E>,
}

pub(crate) fn converted<E: Element>(values: &[f64]) -> Vec<E> {
    values.iter().map(|value| E::from_f64(*value)).collect()
}

impl Problem {
    /// A network with these weights.
    pub(crate) fn network<E: Element>(&self, engine: Engine) -> Network<E> {
        let mut network = Network::new(&self.description, engine).unwrap();
        network.set_input_gradient(true);
        network.load(&converted::<E>(&self.weights), true);
        network
    }

    /// A state at another precision.
    pub(crate) fn state<E: Element>(&self, from: &State<f64>) -> State<E> {
        let mut to = State::zero(&self.description, self.batch);
        for (to, from) in to.parts_mut().iter_mut().zip(from.parts()) {
            to.h = converted(&from.h);
            to.c = converted(&from.c);
        }
        to
    }

    /// Values of an input step.
    pub(crate) fn input_width(&self) -> usize {
        match self.description.input {
            InputKind::Tokens { .. } | InputKind::Words { .. } => 0,
            InputKind::Values { width } => width,
        }
    }

    /// The output and the final state; ready for [`Problem::backward`].
    pub(crate) fn forward<E: Element>(&self, network: &mut Network<E>) -> (Vec<E>, State<E>) {
        let values = match &self.data {
            Data::Values(values) => converted::<E>(values),
            Data::Tokens(_) => vec![],
        };
        let input = match &self.data {
            Data::Values(_) => Input::Values(&values),
            Data::Tokens(tokens) => Input::Tokens(tokens),
        };
        let mut batch = Batch::new(self.steps, self.batch, input);
        (batch.lengths, batch.resets) = (self.lengths.as_deref(), self.resets.as_deref());
        let mut state = self.state(&self.initial);
        let noise = Noise { seed: 5, step: 3 };
        let y = network.forward(&batch, Some(&mut state), Mode::Train(noise)).unwrap().to_vec();
        if self.description.is_pooled() {
            return (y, state);
        }
        let width = network.output_width();
        let rows = y.chunks_exact(width.max(1));
        (self.padded(network, rows, width), state)
    }

    /// A forward pass, and backward from `dy` and `d_last`.
    pub(crate) fn run<E: Element>(&self, engine: Engine) -> Pass<E> {
        let mut network = self.network::<E>(engine);
        let (y, last) = self.forward(&mut network);
        let dy = converted::<E>(&self.dy);
        let width = network.output_width();
        let dy = if self.description.is_pooled() {
            dy
        } else {
            let places = network.order().places();
            places
                .flat_map(|(_, t, b)| dy[(t * self.batch + b) * width..][..width].to_vec())
                .collect()
        };
        let mut gradients = vec![E::from_f64(9.0); self.weights.len()];
        let mut d_initial = self.state(&self.d_last);
        network.backward(&dy, &mut gradients, Some(&mut d_initial)).unwrap();
        let dx = network.d_input().map_or_else(Vec::new, |rows| {
            let width = self.input_width();
            let rows = (0..network.order().rows()).map(|row| rows.row(row));
            self.padded(&network, rows, width)
        });
        Pass { y, last, gradients, dx, d_initial }
    }

    /// Rows of the network at their places in `[T, B, width]`.
    fn padded<'a, E: Element>(
        &self,
        network: &Network<E>,
        rows: impl Iterator<Item = &'a [E]>,
        width: usize,
    ) -> Vec<E> {
        let mut to = vec![E::default(); self.steps * self.batch * width];
        for (row, (_, t, b)) in rows.zip(network.order().places()) {
            to[(t * self.batch + b) * width..][..width].copy_from_slice(row);
        }
        to
    }
}
