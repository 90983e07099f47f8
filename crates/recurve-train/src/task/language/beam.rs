//! The likeliest text: a beam of beginnings, each with its own state.
//!
//! All have the same length, so they are compared by their probability as it is. Of equal ones the first in the order
//! of the tokens stays before the other. The likeliest text of a model is a careful one, and often repeats itself;
//! drawing (`generation`) is what gives a text as it could have been.

use super::model::LanguageStream;
use crate::error::{Error, Result};
use recurve_nn::State;

/// A beginning: its tokens, its log-probability, and what was remembered and said after it.
struct Beginning {
    tokens: Vec<u32>,
    log_probability: f64,
    state: State<f32>,
    outputs: Vec<f32>,
}

/// The likeliest `length` tokens after what `stream` has read, as far as `beam` beginnings find them, and their
/// log-probability.
pub(super) fn likeliest(
    mut stream: LanguageStream,
    length: usize,
    beam: usize,
) -> Result<(Vec<u32>, f64)> {
    if beam == 0 {
        return Err(Error::usage("a beam keeps at least 1 beginning"));
    }
    let read = |stream: &LanguageStream| (stream.state().clone(), stream.outputs().to_vec());
    let (state, outputs) = read(&stream);
    let mut kept = vec![Beginning { tokens: vec![], log_probability: 0.0, state, outputs }];
    for _ in 0..length {
        let mut next: Vec<(f64, usize, u32)> = vec![];
        for (at, own) in kept.iter().enumerate() {
            let probabilities = super::generation::softmax(&own.outputs, 1.0);
            next.extend(
                probabilities.zip(0..).map(|(p, token)| (own.log_probability + p.ln(), at, token)),
            );
        }
        next.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        next.truncate(beam);
        kept = next
            .into_iter()
            .map(|(log_probability, at, token)| {
                *stream.state_mut() = kept[at].state.clone();
                stream.push(token)?;
                let (state, outputs) = read(&stream);
                let tokens = [&kept[at].tokens[..], &[token]].concat();
                Ok(Beginning { tokens, log_probability, state, outputs })
            })
            .collect::<Result<_>>()?;
    }
    let best = kept.into_iter().next();
    Ok(best.map(|best| (best.tokens, best.log_probability)).unwrap_or_default())
}
