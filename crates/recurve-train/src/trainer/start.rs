//! The first weights of a model, by what each part of them is for.

use crate::config::InitialiseConfig;
use crate::error::Result;
use crate::initialise::{Blocks, add_to_gate, generator};
use rand::RngExt;
use recurve_nn::{CellKind, Entry, Model, Role};
use std::ops::Range;

/// Fills the weights of a model. Biases start at 0 but for the forget gate, gains at 1.
///
/// # Errors
/// An option outside its range.
pub fn initialise(model: &mut Model<f32>, config: &InitialiseConfig, seed: u64) -> Result<()> {
    let entries: Vec<Entry> = model.entries().iter().cloned().collect();
    for entry in entries {
        let values = &mut model.values_mut()[entry.range];
        let mut rng = generator(seed, &entry.name);
        let cols = entry.shape.last().copied().unwrap_or(1);
        let blocks = |gates: usize| Blocks { blocks: gates, rows: entry.shape[0] / gates, cols };
        let whole = Blocks::one(entry.shape[0], cols);
        match entry.role {
            Role::InputWeights(kind) => {
                config.input.fill(values, blocks(kind.gates()), &mut rng)?
            }
            Role::RecurrentWeights(kind) => {
                config.recurrent.fill(values, blocks(kind.recurrent_gates()), &mut rng)?;
            }
            Role::Embedding => config.embedding.fill(values, whole, &mut rng)?,
            Role::LinearWeights | Role::Projection => {
                config.output.fill(values, whole, &mut rng)?;
            }
            Role::GateWeights => config.recurrent.fill(values, blocks(3), &mut rng)?,
            Role::InputBias(kind) => {
                values.fill(0.0);
                if let Some((gate, sign)) = kind.forget_gate() {
                    add_to_gate(values, gate, kind.gates(), sign * config.forget_bias)?;
                }
            }
            Role::Gain => values.fill(1.0),
            // What a unit passes on to itself, from nothing to all.
            Role::Peepholes(CellKind::IndRnn) => {
                values.iter_mut().for_each(|u| *u = rng.random_range(0.0..1.0));
            }
            // Mostly closed, so that a deep stack starts as a shallow one (Srivastava et al. 2015).
            Role::HighwayBias => values.fill(-1.0),
            // Memories of all lengths, as in the authors' own code: forget gates from 0.95 to almost 1.
            Role::HeadBias => {
                let heads = values.len() / 2;
                values.fill(0.0);
                let last = heads.saturating_sub(1).max(1) as f32;
                for (head, f) in values[heads..].iter_mut().enumerate() {
                    *f = 3.0 + 3.0 * head as f32 / last;
                }
            }
            Role::RecurrentBias(_)
            | Role::Peepholes(_)
            | Role::HeadWeights
            | Role::LinearBias
            | Role::Shift
            | Role::InitialState => values.fill(0.0),
        }
    }
    Ok(())
}

/// The parts of the weights that weight decay leaves alone: their size means nothing.
pub fn without_decay(model: &Model<f32>) -> Vec<Range<usize>> {
    let free = |entry: &&Entry| {
        matches!(
            entry.role,
            Role::InputBias(_)
                | Role::RecurrentBias(_)
                | Role::LinearBias
                | Role::HeadBias
                | Role::Gain
                | Role::Shift
                | Role::HighwayBias
                | Role::InitialState
        )
    };
    let entries = model.entries().iter().filter(free);
    entries.map(|entry| entry.range.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Task};
    use recurve_nn::{Bias, Description, Recurrent};

    #[test]
    fn every_part_starts_as_it_should() {
        let config = Config::of(Task::Language).initialise;
        for kind in CellKind::ALL {
            let stack = Recurrent::new(kind, 8).layers(2).bias(Bias::Two);
            let description = Description::tokens(5).embedding(8);
            let description = description.recurrent(stack).layer_norm().linear(5);
            let mut model = Model::<f32>::new(description).unwrap();
            initialise(&mut model, &config, 3).unwrap();
            for entry in model.entries().iter() {
                let values = &model.values()[entry.range.clone()];
                let (rows, cols) = (entry.shape[0], entry.shape[entry.shape.len() - 1]);
                match entry.role {
                    Role::RecurrentWeights(_) => {
                        // Orthogonal gate by gate: every row has length 1.
                        for row in values.chunks_exact(cols) {
                            let square: f32 = row.iter().map(|x| x * x).sum();
                            assert!((square - 1.0).abs() < 1e-5, "{kind:?} {square}");
                        }
                    }
                    Role::InputWeights(_) => {
                        let bound = (6.0 / (rows / kind.gates() + cols) as f32).sqrt();
                        assert!(values.iter().all(|x| x.abs() <= bound && *x != 0.0));
                    }
                    Role::InputBias(_) => {
                        let open = kind.forget_gate().map_or(0.0, |(_, sign)| 8.0 * sign);
                        assert_eq!(f64::from(values.iter().sum::<f32>()), open, "{kind:?}");
                        assert!(values.iter().all(|x| [0.0, 1.0].contains(&x.abs())));
                    }
                    Role::Gain => assert!(values.iter().all(|x| *x == 1.0)),
                    Role::HeadBias => assert_eq!(values, [0.0, 3.0]),
                    Role::Embedding | Role::LinearWeights | Role::Peepholes(CellKind::IndRnn) => {
                        assert!(values.iter().all(|x| *x != 0.0));
                    }
                    _ => assert!(values.iter().all(|x| *x == 0.0), "{}", entry.name),
                }
            }
        }
    }
}
