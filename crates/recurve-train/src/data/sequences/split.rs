//! Who trains, who validates, who tests.
//!
//! Parts are drawn at random by the seed, so that every class (where there are classes) has its share in
//! each. Sequences of one group stay together: those of a person, a machine, a document.

use super::{Sequence, SplitSize};
use crate::data::{Part, shuffled};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// The part of every sequence. `sizes` are those of the validation and of the test part.
///
/// # Errors
/// Nothing would be left to train on, or a size is out of range.
pub fn parts(
    items: &[Sequence],
    sizes: (SplitSize, SplitSize),
    seed: u64,
    by_label: bool,
) -> Result<Vec<Part>> {
    if items.iter().any(|item| item.part.is_some()) {
        return said(items, sizes.0, seed, by_label);
    }
    let mut left: Vec<usize> = (0..items.len()).collect();
    let mut found = vec![Part::Train; items.len()];
    let total = items.len();
    for (size, part, stream) in [(sizes.1, Part::Test, 1), (sizes.0, Part::Validation, 2)] {
        let taken = draw(items, &left, (rows(size, total)?, by_label), (seed, stream));
        taken.iter().for_each(|at| found[*at] = part);
        left.retain(|at| !taken.contains(at));
    }
    check(&found)?;
    Ok(found)
}

/// The parts of `count` items that have neither classes nor groups.
///
/// # Errors
/// As [`parts`].
pub fn drawn(count: usize, sizes: (SplitSize, SplitSize), seed: u64) -> Result<Vec<Part>> {
    let mut found = vec![Part::Train; count];
    let (validation, test) = (rows(sizes.0, count)?, rows(sizes.1, count)?);
    for (place, at) in shuffled(seed, u64::MAX - 1, count).into_iter().enumerate() {
        if place < test {
            found[at] = Part::Test;
        } else if place < test + validation {
            found[at] = Part::Validation;
        }
    }
    check(&found)?;
    Ok(found)
}

/// The parts that the file names; where it has no validation part, that is drawn from the training part.
fn said(items: &[Sequence], validation: SplitSize, seed: u64, by_label: bool) -> Result<Vec<Part>> {
    let mut found: Vec<Part> = items.iter().map(|item| item.part.unwrap_or(Part::Train)).collect();
    if !found.contains(&Part::Validation) {
        let left: Vec<usize> = (0..items.len()).filter(|at| found[*at] == Part::Train).collect();
        let count = rows(validation, left.len())?;
        draw(items, &left, (count, by_label), (seed, 2))
            .iter()
            .for_each(|at| found[*at] = Part::Validation);
    }
    check(&found)?;
    Ok(found)
}

pub(super) fn check(found: &[Part]) -> Result<()> {
    if found.contains(&Part::Train) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "none of the {} sequences is left to train on; make data.validation or data.test smaller",
        found.len()
    )))
}

pub(super) fn rows(size: SplitSize, total: usize) -> Result<usize> {
    match size {
        SplitSize::Rows(rows) => Ok(rows.min(total)),
        SplitSize::Fraction(part) if (0.0..1.0).contains(&part) => {
            let rows = (total as f64 * part).round() as usize;
            Ok(if part > 0.0 { rows.max(1).min(total) } else { rows })
        }
        SplitSize::Fraction(part) => {
            Err(Error::usage(format!("a part of {part}; a fraction is from 0 to below 1")))
        }
    }
}

/// About `count` of the sequences `left`, whole groups at a time, of each class its share.
pub(super) fn draw(
    items: &[Sequence],
    left: &[usize],
    (count, by_label): (usize, bool),
    (seed, stream): (u64, u64),
) -> Vec<usize> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &at in left {
        let name = items[at].group.clone().unwrap_or_else(|| format!("\0{at:012}"));
        groups.entry(name).or_default().push(at);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    // The class of a group is that of its first sequence.
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for at in shuffled(seed, u64::MAX - stream, groups.len()) {
        let label = items[groups[at][0]].label.as_deref().filter(|_| by_label);
        classes.entry(label.unwrap_or_default()).or_default().push(at);
    }
    // Of each class every n-th, by the largest remainder of its share.
    let share = count as f64 / left.len().max(1) as f64;
    let mut order: Vec<(f64, usize)> = vec![];
    for members in classes.values() {
        for (place, group) in members.iter().enumerate() {
            order.push(((place as f64 + 0.5) / (members.len() as f64 * share), *group));
        }
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut taken = vec![];
    for (_, group) in order {
        if taken.len() + groups[group].len().div_ceil(2) > count {
            continue;
        }
        taken.extend(&groups[group]);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sequences::Raw;
    use proptest::prelude::*;

    fn items(labels: &[&str], groups: &[usize]) -> Vec<Sequence> {
        labels
            .iter()
            .enumerate()
            .map(|(at, label)| Sequence {
                id: at.to_string(),
                place: String::new(),
                input: Raw::Text(String::new()),
                label: Some((*label).to_owned()),
                values: None,
                group: groups.get(at).map(usize::to_string),
                part: None,
            })
            .collect()
    }

    #[test]
    fn every_class_has_its_share_in_every_part() {
        let labels: Vec<&str> = (0..100).map(|at| ["a", "a", "a", "b"][at % 4]).collect();
        let sizes = (SplitSize::Fraction(0.2), SplitSize::Rows(20));
        let found = parts(&items(&labels, &[]), sizes, 7, true).unwrap();
        for part in [Part::Validation, Part::Test] {
            let own = || (0..100).filter(|at| found[*at] == part);
            assert_eq!(own().count(), 20);
            assert_eq!(own().filter(|at| labels[*at] == "b").count(), 5);
        }
        assert_eq!(found, parts(&items(&labels, &[]), sizes, 7, true).unwrap());
        assert_ne!(found, parts(&items(&labels, &[]), sizes, 8, true).unwrap());
    }

    #[test]
    fn what_the_file_says_is_kept() {
        let mut all = items(&["a"; 10], &[]);
        (0..3).for_each(|at| all[at].part = Some(Part::Test));
        let sizes = (SplitSize::Rows(2), SplitSize::Fraction(0.5));
        let found = parts(&all, sizes, 1, true).unwrap();
        assert!(found[..3].iter().all(|part| *part == Part::Test));
        assert_eq!(found.iter().filter(|part| **part == Part::Validation).count(), 2);
        assert_eq!(found.iter().filter(|part| **part == Part::Test).count(), 3);
        let none = parts(&items(&["a"], &[]), (SplitSize::Rows(0), SplitSize::Rows(1)), 1, false);
        assert!(none.unwrap_err().to_string().contains("left to train on"));
    }

    proptest! {
        #[test]
        fn groups_stay_together(groups in prop::collection::vec(0..8_usize, 20..60), seed: u64) {
            let labels = vec!["a"; groups.len()];
            let sizes = (SplitSize::Fraction(0.2), SplitSize::Fraction(0.2));
            let found = parts(&items(&labels, &groups), sizes, seed, true).unwrap();
            for (a, part) in groups.iter().zip(&found) {
                for (b, other) in groups.iter().zip(&found) {
                    prop_assert!(a != b || part == other);
                }
            }
        }
    }
}
