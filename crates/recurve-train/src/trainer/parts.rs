//! The norm of the gradient part by part: which layers learn, and in which an error vanishes or explodes.

use super::progress::EpochSums;
use recurve_nn::Entries;
use std::ops::Range;

/// A layer of the model, and where its weights lie.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PartOf {
    pub(super) name: String,
    ranges: Vec<Range<usize>>,
}

/// The parts of a model, in the order of their weights: every layer of a recurrent stack apart.
pub(super) fn of(entries: &Entries) -> Vec<PartOf> {
    let mut parts: Vec<PartOf> = vec![];
    for entry in entries.iter() {
        let words: Vec<&str> = entry.name.split('.').collect();
        // As in `encoder.1.recurrent.0.forward.w`: up to the number of the layer in the stack.
        let stack = words.iter().position(|word| *word == "recurrent");
        let named = stack.map_or(words.len() - 1, |at| at + 2).clamp(1, words.len());
        let name = words[..named].join(".");
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.ranges.push(entry.range.clone()),
            None => parts.push(PartOf { name, ranges: vec![entry.range.clone()] }),
        }
    }
    parts
}

/// Adds the norms of a gradient to the sums of an epoch.
pub(super) fn add(parts: &[PartOf], gradients: &[f32], sums: &mut EpochSums) {
    sums.parts.resize(parts.len(), 0.0);
    sums.looked += 1;
    for (part, sum) in parts.iter().zip(&mut sums.parts) {
        let own = part.ranges.iter().flat_map(|range| &gradients[range.clone()]);
        *sum += own.map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recurve_nn::{CellKind, Description, Recurrent};

    #[test]
    fn every_layer_of_a_stack_is_a_part_and_the_norms_make_up_the_whole() {
        let stack = Recurrent::new(CellKind::Lstm, 3).layers(2).bidirectional();
        let description = Description::tokens(5).embedding(2).recurrent(stack).linear(4);
        let entries = Entries::of(&description).unwrap();
        let parts = of(&entries);
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["0.embedding", "1.recurrent.0", "1.recurrent.1", "2.linear"]);
        let gradients: Vec<f32> = (0..entries.len()).map(|at| (at as f32).sin()).collect();
        let mut sums = EpochSums::default();
        add(&parts, &gradients, &mut sums);
        let whole: f64 = gradients.iter().map(|d| f64::from(*d).powi(2)).sum();
        let together: f64 = sums.parts.iter().map(|norm| norm * norm).sum();
        assert!((whole - together).abs() < 1e-9 * whole, "{whole} {together}");
        assert!(sums.parts.iter().all(|norm| *norm > 0.0) && sums.looked == 1);
    }
}
