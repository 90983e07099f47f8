//! JANET, an LSTM of which only the forget gate is left (van der Westhuizen & Lasenby 2018).
//!
//! ```text
//! f = σ(w_f x + r_f h' + b_f)
//! g = tanh(w_g x + r_g h' + b_g)
//! h = f∘h' + (1 − f)∘g
//! ```

use recurve::cell::{Cell, Lanes};

/// Columns f g, one state `h`.
#[derive(Clone, Copy)]
pub struct Janet;

impl Cell for Janet {
    type Columns<V: Lanes> = [V; 2];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1];
    const RECURRENT: &'static [usize] = &[0, 1];

    #[inline(always)]
    fn forward<V: Lanes>(self, [f, g]: [V; 2], _: [V; 0], [h]: [V; 1]) -> ([V; 2], [V; 1]) {
        let (f, g) = (f.sigmoid(), g.tanh());
        ([f, g], [f.mul_add(h, (f.like(1.0) - f) * g)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [f, g]: [V; 2],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 2], [V; 1]) {
        let one = f.like(1.0);
        let d_f = dh * (h_before - g) * f * (one - f);
        let d_g = dh * (one - f) * (one - g * g);
        ([d_f, d_g], [dh * f])
    }
}
