//! The equations of recurrent cells: vanilla RNN, LSTM and GRU with their variants, forward and
//! backward, without allocation, unsafe code or dependencies.
//!
//! A cell here is only its pointwise function ([`Cell`]): what one unit does at one step with sums that
//! are already formed. It is written once over [`Lanes`], so the same text runs on an `f32`, an `f64` or
//! a whole vector register. The matrix products, and the walk through time, belong to a layer; the slow
//! and clear one is in [`reference`](mod@reference). The rest of this page says where these equations
//! come from.
//!
//! # The loop, and weights shared over time
//!
//! A network that reads a sequence needs a memory of what it has read. The simplest one feeds its own
//! output back in: at every step the layer sees the new input `x` and its state `h'` of the step before,
//! and makes the state `h`:
//!
//! ```text
//! h = tanh(w x + r h' + b)
//! ```
//!
//! The same `w`, `r` and `b` serve at every step. So the number of weights does not grow with the
//! sequence, a sequence may have any length, and what is learned at one place holds at every other.
//! Unrolled, the loop is a feed-forward network with one layer per step, all with the same weights: that
//! is what makes it trainable, and what makes it hard to train.
//!
//! # Why one state is not enough
//!
//! "The cat, which already ate the fish and the cream, was full": to write *was* and not *were*, one
//! fact must survive a clause that does not need it. The vanilla network has one state for two tasks: `h`
//! is what it shows to the rest of the network now, and all that it will know later. Each step remakes
//! the whole of it through `r` and `tanh`, wanted or not.
//!
//! Learning suffers the same. On its way back over one step an error is multiplied by `rᵀ` and by
//! `tanh'`, which is at most 1. Over many steps these factors multiply: if they are mostly below 1 the
//! error vanishes (a factor of 0.9 leaves 0.00003 of it after 100 steps), if mostly above, it explodes.
//! A weight that ought to learn from what happened long ago hears nothing of it, or noise (Hochreiter
//! 1991; Bengio, Simard & Frasconi 1994). Clipping tames the explosion; nothing brings back what
//! vanished.
//!
//! # The cell state and its gates
//!
//! The LSTM parts the two tasks. A second state, the *cell state* `c`, is the memory; `h` is what of it
//! is shown. The memory is not remade but edited:
//!
//! ```text
//! c = f∘c' + i∘g        h = o∘tanh(c)
//! ```
//!
//! `f`, `i` and `o` lie between 0 (closed) and 1 (open), one of each per unit, and are themselves
//! computed at every step from `x` and `h'`. `g` is the candidate, what a vanilla cell would have made
//! its state.
//!
//! - The *input gate* `i` decides whether the candidate is written: closed, it protects the memory from
//!   inputs that do not matter.
//! - The *forget gate* `f` decides what is kept: open, the memory stays as it is; closed, it is cleared
//!   when it has served. Without it `c` can only grow over a stream that never ends.
//! - The *output gate* `o` decides whether the memory is shown: closed, it protects everything else from
//!   a memory that is not needed yet.
//!
//! With `f` near 1 and `i` near 0 the cell state, and the error on its way back along it, pass a step
//! unchanged: `∂c/∂c'` along this path is `f`, with no weight and no `tanh` in it. The gates learn when
//! to hold that path open. It is also why training likes to start with a positive bias on `f`.
//!
//! ```
//! use recurve_cell::reference::{Layer, Weights};
//! use recurve_cell::{Lstm, Rnn, Sightless, Standard, Tanh};
//!
//! // One unit each, wired by hand: a pulse at the first step, then 99 steps of silence.
//! let pulse = |step| if step == 0 { [1.0] } else { [0.0] };
//!
//! // The vanilla unit returns 0.9 of itself to itself.
//! let rnn = Weights { w: &[5.0], r: &[0.9], b: &[], b_r: &[], p: &[] };
//! let rnn = Layer::new(Rnn(Tanh), 1, 1, rnn);
//! let mut h = [0.0_f64];
//!
//! // The LSTM unit writes when the pulse opens i, and its bias holds f and o open. Gates: i f g o.
//! let (w, b) = ([20.0, 0.0, 5.0, 0.0], [-10.0, 10.0, 0.0, 10.0]);
//! let lstm = Weights { w: &w, r: &[0.0; 4], b: &b, b_r: &[], p: &[] };
//! let lstm = Layer::new(Lstm(Sightless, Standard), 1, 1, lstm);
//! let mut h_and_c = [0.0_f64; 2];
//!
//! for step in 0..100 {
//!     rnn.step(&pulse(step), &mut h, &mut [0.0; 1]);
//!     lstm.step(&pulse(step), &mut h_and_c, &mut [0.0; 4]);
//! }
//! assert!(h[0] < 0.0001); // forgotten
//! assert!(h_and_c[1] > 0.99); // kept
//! ```
//!
//! # One matrix or two
//!
//! Textbooks often join the state and the input into one vector and write `W·[h', x] + b`. With
//! `W = [r w]`, the columns of `r` beside those of `w`, that is the sum `r h' + w x + b`, term by term:
//! one linear map of the joined vector, or two maps whose results are added. Recurve keeps the two
//! apart, for `w x` does not wait for the state. It is one large product over all steps before the loop;
//! only `r h'` has to be formed inside it.
//!
//! The gates are stacked: `w` is `[G*H, I]` and `r` is `[G*H, H]` for `G` gates, `H` units and `I`
//! inputs, in the order i f g o for the LSTM and r z n for the GRU.
//!
//! # The variants
//!
//! | cell | states | gates | what is different |
//! |---|---|---|---|
//! | [`Rnn`] | h | 1 | no gate; [`Tanh`], or [`Relu`], whose slope does not shrink the error |
//! | [`Lstm`] | h c | 4 | the above |
//! | [`Lstm`]`(`[`Sees`]`)` | h c | 4 | peepholes: the gates look at the cell state itself, even while `o` hides it |
//! | [`CoupledLstm`] | h c | 3 | `f = 1 − i`: it forgets exactly where it writes |
//! | [`Gru`] | h | 3 | no separate cell state: `h` is edited in place, by one gate `z` for keeping and writing; `r` hides the past from the candidate |
//! | [`GruResetBefore`] | h | 3 | the same with `r` applied before the recurrent product, as first published |
//! | [`MinimalGated`] | h | 2 | one gate for both |
//! | [`LstmWithout`] | h c | 3 | no input gate, no forget gate or no output gate |
//! | [`SLstm`] | h c n m | 4 | exponential gates, a normaliser and a stabiliser |
//! | [`IndRnn`] | h | 1 | a unit sees its own past only: no recurrent product |
//! | [`Qrnn`], [`Sru`], [`MinGru`], [`MinLstm`] | h (c) | 2 to 4 | gates that do not wait for `h'` |
//!
//! Activations may be others than σ and tanh, sums and cell states may be bounded: [`Chosen`].
//!
//! # Training in three steps
//!
//! 1. *Forward.* Read the sequence from its first step to its last, and write down what the way back will
//!    need: the states and the activated gates of every step.
//! 2. *Errors back.* Walk from the last step to the first. At each, the error of `h` has two sources:
//!    what the layer above says about this output, and what the step after it passed back. From the
//!    errors of `h` and `c` the cell gives the errors of its sums (the columns, `d` before activation);
//!    from those, `rᵀ` gives the error for the step before, and `wᵀ` the error of the input, which is
//!    the error of the output of the layer below.
//! 3. *Gradients.* A weight was used at every step, so its gradient is a sum over all of them: the error
//!    of the sum it fed times the value it multiplied, `dw = Σ d xᵀ`, `dr = Σ d h'ᵀ`, `db = Σ d`. An
//!    optimiser then moves every weight a little against its gradient.
//!
//! [`reference::Layer`] does 1 in `run`, and 2 and 3 in `backward`.
#![no_std]
#![forbid(unsafe_code)]

mod activation;
mod cell;
mod coupled;
mod greff;
mod group;
mod gru;
mod ind_rnn;
mod lanes;
mod lstm;
mod math;
mod minimal;
mod real;
pub mod reference;
mod rnn;
mod scan;
mod slstm;
pub mod staged;

pub use activation::{Activation, Activations, Chosen, Function, Relu, Role, Standard, Tanh};
pub use cell::{Cell, MOST_STATES};
pub use coupled::CoupledLstm;
pub use greff::{FORGET_GATE, INPUT_GATE, LstmWithout, OUTPUT_GATE};
pub use group::Group;
pub use gru::{Gru, GruResetBefore};
pub use ind_rnn::IndRnn;
pub use lanes::Lanes;
pub use lstm::{Lstm, Peephole, Sees, Sightless};
pub use minimal::MinimalGated;
pub use real::Real;
pub use rnn::Rnn;
pub use scan::{MinGru, MinLstm, Qrnn, Sru, SruProjected};
pub use slstm::{Forget, SLstm};
