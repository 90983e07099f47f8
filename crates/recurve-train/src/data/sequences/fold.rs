//! Cross-validation: every sequence is held out exactly once.
//!
//! The sequences are dealt into folds of about one size by the seed of the run, whole groups at a time and
//! of each class as many to one fold as to another. A run that is told its [`Fold`] tests on it, and draws its
//! validation part from the others.

use super::split::{draw, rows};
use super::{Sequence, SplitSize};
use crate::data::{Part, shuffled};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The part that is drawn for validation where nothing is said.
const VALIDATION: SplitSize = SplitSize::Fraction(0.15);

/// One of several parts that take turns in being held out; written `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fold {
    number: usize,
    of: usize,
}

impl Fold {
    /// The fold of this number, counted from 1.
    ///
    /// # Errors
    /// There are fewer than two folds, or none of this number.
    pub fn new(number: usize, of: usize) -> Result<Self> {
        if of < 2 {
            return Err(Error::usage(format!("{of} folds; at least 2 are needed to hold one out")));
        }
        if number == 0 || number > of {
            return Err(Error::usage(format!("fold {number} of {of}; folds count from 1")));
        }
        Ok(Self { number, of })
    }
    /// Its number, from 1.
    pub fn number(self) -> usize {
        self.number
    }
    /// How many there are.
    pub fn of(self) -> usize {
        self.of
    }
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Fold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some((number.trim().parse().ok()?, of.trim().parse().ok()?)));
        let (number, of) = numbers.ok_or_else(|| {
            Error::usage(format!("`{text}` is no fold; write 2/5 for the second of five"))
        })?;
        Self::new(number, of)
    }
}

impl TryFrom<String> for Fold {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Fold> for String {
    fn from(fold: Fold) -> Self {
        fold.to_string()
    }
}

/// The part of every sequence where this fold tests.
///
/// # Errors
/// The file names its parts itself, has fewer groups than folds, or nothing would be left to train on.
pub fn fold_parts(
    items: &[Sequence],
    fold: Fold,
    validation: Option<SplitSize>,
    (seed, by_label): (u64, bool),
) -> Result<Vec<Part>> {
    if items.iter().any(|item| item.part.is_some()) {
        return Err(Error::usage(
            "data.split names the parts already, and every fold has others; leave data.split or data.fold out",
        ));
    }
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let name = item.group.clone().unwrap_or_else(|| format!("\0{at:012}"));
        groups.entry(name).or_default().push(at);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let label = |at: usize| items[at].label.as_deref().filter(|_| by_label).unwrap_or_default();
    let mut classes: Vec<&str> = (0..items.len()).map(label).collect();
    classes.sort_unstable();
    classes.dedup();
    let class_of = |at: usize| classes.binary_search(&label(at)).unwrap_or(0);
    if groups.len() < fold.of {
        let what = if groups.len() < items.len() { "groups" } else { "sequences" };
        return Err(Error::usage(format!(
            "there are {} {what}, too few for {} folds, since each holds out one at least; make fewer folds",
            groups.len(),
            fold.of
        )));
    }
    let place = deal(&groups, (classes.len(), &class_of), fold.of, seed);
    let mut found = vec![Part::Train; items.len()];
    for (group, place) in groups.iter().zip(place) {
        if place + 1 == fold.number {
            group.iter().for_each(|at| found[*at] = Part::Test);
        }
    }
    let left: Vec<usize> = (0..items.len()).filter(|at| found[*at] == Part::Train).collect();
    let count = rows(validation.unwrap_or(VALIDATION), left.len())?;
    let taken = draw(items, &left, (count, by_label), (seed, 2));
    taken.iter().for_each(|at| found[*at] = Part::Validation);
    super::split::check(&found)?;
    Ok(found)
}

/// The same of `count` items that have neither classes nor groups.
///
/// # Errors
/// As [`fold_parts`].
pub fn fold_drawn(
    count: usize,
    fold: Fold,
    validation: Option<SplitSize>,
    seed: u64,
) -> Result<Vec<Part>> {
    if count < fold.of {
        return Err(Error::usage(format!(
            "there are {count} sequences, too few for {} folds, since each holds out one at least; make \
             fewer folds",
            fold.of
        )));
    }
    let order = shuffled(seed, u64::MAX - 1, count);
    let mut found = vec![Part::Train; count];
    for (place, at) in order.iter().enumerate() {
        if place % fold.of + 1 == fold.number {
            found[*at] = Part::Test;
        }
    }
    let left: Vec<usize> = order.into_iter().filter(|at| found[*at] == Part::Train).collect();
    let validation = rows(validation.unwrap_or(VALIDATION), left.len())?;
    left[..validation].iter().for_each(|at| found[*at] = Part::Validation);
    super::split::check(&found)?;
    Ok(found)
}

/// The fold of each group, counted from 0. The large groups come first; each goes where its classes are
/// rarest so far, and of such folds to the smallest.
fn deal(
    groups: &[Vec<usize>],
    (classes, class_of): (usize, &dyn Fn(usize) -> usize),
    folds: usize,
    seed: u64,
) -> Vec<usize> {
    let mut totals = vec![0_usize; classes];
    groups.iter().flatten().for_each(|at| totals[class_of(*at)] += 1);
    let mut order = shuffled(seed, u64::MAX - 1, groups.len());
    order.sort_by_key(|at| (usize::MAX - groups[*at].len(), class_of(groups[*at][0])));
    let mut held = vec![vec![0_usize; classes]; folds];
    let mut sizes = vec![0_usize; folds];
    let mut place = vec![0; groups.len()];
    for group in order {
        let mut own: BTreeMap<usize, usize> = BTreeMap::new();
        groups[group].iter().for_each(|at| *own.entry(class_of(*at)).or_default() += 1);
        // How much the sum of the squares of the shares of a class grows.
        let cost = |fold: usize| -> f64 {
            let grows = own.iter().map(|(class, count)| {
                let (now, count) = (held[fold][*class] as f64, *count as f64);
                count * (2.0 * now + count) / (totals[*class] as f64).powi(2)
            });
            grows.sum()
        };
        let best = (0..folds)
            .min_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(sizes[*a].cmp(&sizes[*b])))
            .unwrap_or(0);
        own.iter().for_each(|(class, count)| held[best][*class] += count);
        sizes[best] += groups[group].len();
        place[group] = best;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sequences::Raw;
    use proptest::prelude::*;

    fn items(labels: &[usize], groups: &[usize]) -> Vec<Sequence> {
        let item = |(at, label): (usize, &usize)| Sequence {
            id: at.to_string(),
            place: String::new(),
            input: Raw::Text(String::new()),
            label: Some(label.to_string()),
            values: None,
            group: groups.get(at).map(usize::to_string),
            part: None,
        };
        labels.iter().enumerate().map(item).collect()
    }

    fn fold(number: usize, of: usize) -> Fold {
        Fold::new(number, of).unwrap()
    }

    #[test]
    fn a_fold_is_written_as_a_fraction() {
        assert_eq!("2/5".parse::<Fold>().unwrap(), fold(2, 5));
        assert_eq!(fold(2, 5).to_string(), "2/5");
        for (text, why) in [
            ("2", "is no fold"),
            ("0/5", "count from 1"),
            ("6/5", "count from 1"),
            ("1/1", "at least 2"),
            ("-1/5", "is no fold"),
        ] {
            let error = text.parse::<Fold>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn every_class_has_its_share_in_every_fold() {
        let labels: Vec<usize> =
            (0..53).map(|at| usize::from(at % 5 == 0) + usize::from(at % 9 == 0)).collect();
        let all = items(&labels, &[]);
        let of = |class: Option<usize>, number| {
            let parts = fold_parts(&all, fold(number, 5), None, (3, true)).unwrap();
            let own =
                |at: &usize| parts[*at] == Part::Test && class.is_none_or(|c| labels[*at] == c);
            (0..labels.len()).filter(own).count()
        };
        for class in [None, Some(0), Some(1), Some(2)] {
            let counts: Vec<usize> = (1..=5).map(|number| of(class, number)).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{class:?}: {counts:?}");
        }
    }

    #[test]
    fn what_cannot_be_folded_is_refused() {
        let mut all = items(&[0; 6], &[1, 1, 1, 2, 2, 2]);
        let error = fold_parts(&all, fold(1, 3), None, (1, false)).unwrap_err().to_string();
        assert!(error.contains("2 groups, too few for 3 folds"), "{error}");
        let error = fold_drawn(2, fold(1, 3), None, 1).unwrap_err().to_string();
        assert!(error.contains("2 sequences, too few for 3 folds"), "{error}");
        all[0].part = Some(Part::Test);
        let error = fold_parts(&all, fold(1, 2), None, (1, false)).unwrap_err().to_string();
        assert!(error.contains("data.split"), "{error}");
    }

    proptest! {
        #[test]
        fn every_sequence_is_held_out_once_and_groups_are_whole(
            made in prop::collection::vec((0..3_usize, 0..12_usize), 20..60),
            grouped: bool,
            of in 2..6_usize,
            seed: u64,
        ) {
            let (labels, groups): (Vec<usize>, Vec<usize>) = made.into_iter().unzip();
            let groups = if grouped { groups } else { vec![] };
            let all = items(&labels, &groups);
            let mut held = vec![0; labels.len()];
            for number in 1..=of {
                let Ok(parts) = fold_parts(&all, fold(number, of), None, (seed, true)) else {
                    let mut names = groups.clone();
                    names.sort_unstable();
                    names.dedup();
                    // Too few groups, or one that holds nearly everything.
                    prop_assert!(grouped);
                    return Ok(());
                };
                for part in [Part::Train, Part::Test] {
                    prop_assert!(parts.contains(&part));
                }
                for (at, part) in parts.iter().enumerate() {
                    held[at] += usize::from(*part == Part::Test);
                    for (other, group) in groups.iter().enumerate() {
                        prop_assert!(groups[at] != *group || parts[other] == *part);
                    }
                }
            }
            prop_assert!(held.iter().all(|count| *count == 1));
        }

        #[test]
        fn items_without_groups_are_held_out_once(count in 6..80_usize, of in 2..6_usize, seed: u64) {
            let mut held = vec![0; count];
            for number in 1..=of {
                let parts = fold_drawn(count, fold(number, of), None, seed).unwrap();
                parts.iter().zip(&mut held).for_each(|(p, held)| *held += usize::from(*p == Part::Test));
                prop_assert!(parts.contains(&Part::Validation) && parts.contains(&Part::Train));
            }
            prop_assert!(held.iter().all(|count| *count == 1));
        }
    }
}
