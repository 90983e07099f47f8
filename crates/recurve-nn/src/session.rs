//! A model that reads one step after the other and remembers.

use crate::batch::{Batch, Input};
use crate::description::{
    Attention, Description, InputKind, Layer, Pooling, Positions, Transformer,
};
use crate::error::{Error, Result};
use crate::layers::Mode;
use crate::network::Network;
use crate::parameters::Model;
use crate::state::State;
use recurve_kernels::{Element, Engine};

/// A stream, or a fixed number of streams side by side: the state is carried from call to call.
///
/// [`Session::step`] allocates nothing, takes no lock and cannot fail. Running many steps at once and
/// running them one by one gives the same bits.
pub struct Session<E: Element> {
    network: Network<E>,
    state: State<E>,
    batch: usize,
    input: usize,
}

impl<E: Element> Session<E> {
    /// `batch` streams before their first step.
    ///
    /// # Errors
    /// Where there is no stream, or the model cannot run step by step: a bidirectional layer needs the
    /// end of the sequence, and the mean and the maximum over a sequence are not known before it.
    pub fn new(model: &Model<E>, engine: Engine, batch: usize) -> Result<Self> {
        let description = model.description();
        check(description)?;
        if batch == 0 {
            return Err(Error::new("a session of 0 streams; it needs at least 1"));
        }
        let mut network = Network::new(description, engine)?;
        network.load(model.values(), false);
        let input = match description.input {
            InputKind::Tokens { .. } | InputKind::Words { .. } => 0,
            InputKind::Values { width } => width,
        };
        let mut session = Self { network, state: State::zero(description, batch), batch, input };
        session.warm_up()?;
        Ok(session)
    }

    /// Runs one step that is forgotten, so that later ones find all memory allocated.
    fn warm_up(&mut self) -> Result<()> {
        let (values, tokens) = (vec![E::default(); self.batch * self.input], vec![0; self.batch]);
        let input = if self.input == 0 { Input::Tokens(&tokens) } else { Input::Values(&values) };
        self.network.forward(
            &Batch::new(1, self.batch, input),
            Some(&mut self.state),
            Mode::Infer,
        )?;
        self.network.begin(&mut self.state)
    }

    /// Values in an output row.
    pub fn output_width(&self) -> usize {
        self.network.output_width()
    }

    /// One step of every stream: `[B, I]` to `[B, outputs]`.
    ///
    /// # Panics
    /// Where the number of values is not `B * I`.
    pub fn step(&mut self, x: &[E]) -> &[E] {
        assert_eq!(x.len(), self.batch * self.input, "a step has `batch * input width` values");
        self.advance(1, Input::Values(x))
    }

    /// One step of every stream: `[B]` tokens to `[B, outputs]`.
    ///
    /// # Panics
    /// Where the number of tokens is not `B`, or one is not in the vocabulary.
    pub fn step_tokens(&mut self, tokens: &[u32]) -> &[E] {
        assert_eq!(tokens.len(), self.batch, "a step has one token per stream");
        self.advance(1, Input::Tokens(tokens))
    }

    /// Many steps of every stream: `[T, B, I]` to `[T, B, outputs]`, or `[B, outputs]` where the model
    /// pools.
    ///
    /// # Panics
    /// Where the number of values is not a multiple of `B * I`.
    pub fn run(&mut self, x: &[E]) -> &[E] {
        let row = self.batch * self.input;
        assert!(row > 0 && x.len().is_multiple_of(row), "steps have `batch * input width` values");
        self.advance(x.len() / row, Input::Values(x))
    }

    /// Many steps of every stream: `[T, B]` tokens to `[T, B, outputs]`.
    ///
    /// # Panics
    /// Where the number of tokens is not a multiple of `B`, or one is not in the vocabulary.
    pub fn run_tokens(&mut self, tokens: &[u32]) -> &[E] {
        assert!(tokens.len().is_multiple_of(self.batch), "steps have one token per stream");
        self.advance(tokens.len() / self.batch, Input::Tokens(tokens))
    }

    fn advance(&mut self, steps: usize, input: Input<'_, E>) -> &[E] {
        let batch = Batch::new(steps, self.batch, input);
        match self.network.forward(&batch, Some(&mut self.state), Mode::Infer) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// The states after the last step.
    pub fn state(&self) -> &State<E> {
        &self.state
    }
    /// The states, to restore or to change.
    pub fn state_mut(&mut self) -> &mut State<E> {
        &mut self.state
    }
    /// Forgets everything: the states are those before the first step, zero or learned.
    pub fn reset(&mut self) {
        self.network.begin(&mut self.state).expect("the state is of the model");
    }
}

fn check(description: &Description) -> Result<()> {
    for layer in &description.layers {
        match layer {
            Layer::Words { .. } => {
                let text = "a model that reads words with their letters runs over whole sentences; it cannot run step by step";
                return Err(Error::new(text));
            }
            Layer::Decoder(_) => {
                let text = "a decoder looks at a whole sequence before it writes; it cannot run step by step";
                return Err(Error::new(text));
            }
            Layer::Recurrent(stack) if stack.bidirectional => {
                let text = "a bidirectional layer reads from the end of a sequence; it cannot run step by step";
                return Err(Error::new(text));
            }
            Layer::Transformer(Transformer { causal: false, .. })
            | Layer::Attention(Attention { causal: false, .. }) => {
                let text = "attention over whole sequences sees steps that are still to come; it cannot run step \
                            by step. Make it causal";
                return Err(Error::new(text));
            }
            Layer::Transformer(Transformer { positions: Positions::Learned { most }, .. }) => {
                return Err(Error::new(format!(
                    "the learned positions end after {most} steps, and a stream does not; it cannot run step by \
                     step. Choose sinusoidal positions"
                )));
            }
            Layer::Pool { by: Pooling::Attention } => {
                let text = "attention over a sequence is known at its end only; it cannot run step by step";
                return Err(Error::new(text));
            }
            Layer::Pool { by: Pooling::Mean | Pooling::Max } => {
                let text = "the mean or maximum over a sequence is known at its end only; it cannot run step by step";
                return Err(Error::new(text));
            }
            _ => {}
        }
    }
    Ok(())
}
