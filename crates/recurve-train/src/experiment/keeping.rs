//! Where a trained LSTM keeps the number of the subject, and what its gates do when a new subject comes.
//!
//! Sentences of one gap that both ask for a verb have all their words at the same places, so what a unit does
//! at a place can be compared over many of them. The unit that is shown is the one whose cell state tells
//! singular from plural best at its worst place between the first subject and its verb. What is said of it is
//! counted, also where it does not keep, or does not drop.

use super::learner::{MEASURING, engine};
use super::outcome::{Axis, Curve, Figure, Outcome, Point, Table};
use super::{percent, score_text};
use crate::error::{Error, Result};
use crate::generate::Agreement;
use crate::loss::IGNORE;
use recurve_nn::{Batch, Input, LayerTrace, Model, Network};

/// The words between subject and verb.
const GAP: usize = 20;
/// Samples that are looked through for pairs of such sentences.
const SAMPLES: usize = 1200;
/// Words of a sentence: article, subject, the gap, verb, adjective, stop.
const LENGTH: usize = GAP + 5;

/// Where each sentence has its subject, and the word after which the verb is asked.
const SUBJECT: usize = 1;
const ASKED: usize = GAP + 1;

/// What the gates of a trained LSTM did over pairs of sentences.
struct Seen {
    layer: LayerTrace<f32>,
    /// The row of the trace of each sentence pair's step: `[step][pair]`.
    rows: Vec<Vec<usize>>,
    /// The words of each pair, and whether the first and the second subject are plural.
    pairs: Vec<(Vec<u32>, [bool; 2])>,
}

impl Seen {
    fn of(model: &Model<f32>) -> Result<Self> {
        let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
        let words = Agreement::words();
        let made = Agreement { gaps: (GAP, GAP), seed: MEASURING }.batch(0, SAMPLES);
        let plural = |lane: usize, step: usize| match made.y[step * SAMPLES + lane] {
            IGNORE => None,
            word => match words[word as usize] {
                "was" => Some(false),
                "were" => Some(true),
                _ => None,
            },
        };
        let mut pairs = vec![];
        for lane in 0..SAMPLES {
            let (first, second) = (plural(lane, ASKED), plural(lane, LENGTH + ASKED));
            if let (Some(first), Some(second), true) =
                (first, second, made.lengths[lane] == 2 * LENGTH)
            {
                let own = (0..2 * LENGTH).map(|step| made.x[step * SAMPLES + lane]).collect();
                pairs.push((own, [first, second]));
            }
        }
        let count = pairs.len();
        let tokens: Vec<u32> = (0..2 * LENGTH)
            .flat_map(|step| pairs.iter().map(move |pair: &(Vec<u32>, _)| pair.0[step]))
            .collect();
        let mut network = Network::new(model.description(), engine()?).map_err(refused)?;
        network.load(model.values(), false);
        let batch = Batch::new(2 * LENGTH, count, Input::Tokens(&tokens));
        let mut layers = network.trace(&batch, None).map_err(refused)?.layers;
        let mut rows = vec![vec![0; count]; 2 * LENGTH];
        for (row, t, b) in network.order().places() {
            rows[t][b] = row;
        }
        Ok(Self { layer: layers.remove(0), rows, pairs })
    }

    /// The cell state of a unit after a step, for each pair.
    fn c(&self, unit: usize, step: usize) -> Vec<f64> {
        self.rows[step].iter().map(|row| f64::from(self.layer.state(1, *row)[unit])).collect()
    }

    /// A gate of a unit at a step, for each pair: 0 is the input gate, 1 the forget gate.
    fn gate(&self, gate: usize, unit: usize, step: usize) -> Vec<f64> {
        self.rows[step].iter().map(|row| f64::from(self.layer.gate(gate, *row)[unit])).collect()
    }

    /// The share of pairs whose number is told by the side of the middle between the two means.
    fn told(&self, unit: usize, step: usize, subject: usize) -> f64 {
        let (low, high) = self.split(&self.c(unit, step), subject);
        let middle = (mean(&low) + mean(&high)) / 2.0;
        let above = mean(&high) > mean(&low);
        let right = |values: &[f64], plural: bool| {
            values.iter().filter(|value| (**value > middle) == (plural == above)).count()
        };
        (right(&low, false) + right(&high, true)) as f64 / self.pairs.len() as f64
    }

    /// Values of singular and of plural subjects.
    fn split(&self, values: &[f64], subject: usize) -> (Vec<f64>, Vec<f64>) {
        let of = |plural: bool| {
            let own = values.iter().zip(&self.pairs).filter(|(_, pair)| pair.1[subject] == plural);
            own.map(|(value, _)| *value).collect()
        };
        (of(false), of(true))
    }

    /// The unit that tells the number best at its worst place, and that share.
    fn keeper(&self) -> (usize, f64) {
        let worst = |unit: usize| {
            let places = (SUBJECT..=ASKED).map(|step| self.told(unit, step, 0));
            places.fold(f64::INFINITY, f64::min)
        };
        let all = (0..self.layer.hidden).map(|unit| (unit, worst(unit)));
        all.fold((0, 0.0), |best, own| if own.1 > best.1 { own } else { best })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Adds what the gates of a trained LSTM do to an outcome.
pub(super) fn show(model: &Model<f32>, outcome: &mut Outcome) -> Result<()> {
    let seen = Seen::of(model)?;
    let (unit, worst) = seen.keeper();
    let gate = |gate: usize, step: usize| mean(&seen.gate(gate, unit, step));
    let over = |which: usize| {
        let places: Vec<f64> = (SUBJECT + 1..=ASKED).map(|step| gate(which, step)).collect();
        mean(&places)
    };
    // From the verb to the new subject: where it forgets most.
    let places = ["the verb", "the adjective", "the stop", "the next article", "the new subject"];
    let (place, least) = (0..places.len())
        .map(|at| (at, gate(1, ASKED + 1 + at)))
        .fold((0, f64::INFINITY), |best, own| if own.1 < best.1 { own } else { best });
    let after = LENGTH + ASKED;
    outcome.findings.push(format!(
        "What the LSTM does (first seed, gaps from 0, {} pairs of sentences with {GAP} words between subject and \
         verb): the cell state of unit {unit} tells singular from plural in {} or more of them at each of these \
         words. Over them its forget gate is {} open and its input gate {} on average; between the verb and the new \
         subject the forget gate falls to {} (at {}), and at the new subject the input gate is {}. Before the second \
         verb the unit tells the new number in {} and the old one in {} (guessing: 50 %).",
        seen.pairs.len(),
        percent(worst),
        score_text(over(1)),
        score_text(over(0)),
        score_text(least),
        places[place],
        score_text(gate(0, LENGTH + SUBJECT)),
        percent(seen.told(unit, after, 1)),
        percent(seen.told(unit, after, 0)),
    ));
    outcome.figures.push(states(&seen, unit));
    outcome.figures.push(gates(&seen, unit));
    outcome.tables.push(example(&seen, unit));
    Ok(())
}

fn places_of(what: &str) -> String {
    format!(
        "{what} The first subject is word {}, its verb word {}; the second subject word {}, its verb word {}.",
        SUBJECT + 1,
        ASKED + 2,
        LENGTH + SUBJECT + 1,
        LENGTH + ASKED + 2
    )
}

fn states(seen: &Seen, unit: usize) -> Figure {
    let groups = [
        ("singular, then plural", [false, true]),
        ("plural, then singular", [true, false]),
        ("singular twice", [false, false]),
        ("plural twice", [true, true]),
    ];
    let curve = |(name, numbers): (&str, [bool; 2])| {
        let point = |step: usize| {
            let all = seen.c(unit, step);
            let own = all.iter().zip(&seen.pairs).filter(|(_, pair)| pair.1 == numbers);
            Point::of((step + 1) as f64, &own.map(|(c, _)| *c).collect::<Vec<f64>>())
        };
        Curve { name: name.to_owned(), points: (0..2 * LENGTH).map(point).collect() }
    };
    Figure {
        title: format!("The cell state of unit {unit} over two sentences"),
        caption: places_of(
            "Lines are medians over the sentences, bars the lowest and the highest.",
        ),
        x: Axis::linear("word"),
        y: Axis::linear("cell state c"),
        curves: groups.into_iter().map(curve).collect(),
        level: None,
    }
}

fn gates(seen: &Seen, unit: usize) -> Figure {
    let curve = |(name, gate): (&str, usize)| {
        let point = |step: usize| Point::of((step + 1) as f64, &seen.gate(gate, unit, step));
        Curve { name: name.to_owned(), points: (0..2 * LENGTH).map(point).collect() }
    };
    Figure {
        title: format!("The gates of unit {unit} over two sentences"),
        caption: places_of(
            "1 is open; lines are medians over the sentences, bars the lowest and the highest.",
        ),
        x: Axis::linear("word"),
        y: Axis::linear("gate"),
        curves: [("forget gate f", 1), ("input gate i", 0)].into_iter().map(curve).collect(),
        level: None,
    }
}

/// One pair of sentences word by word, singular first and then plural.
fn example(seen: &Seen, unit: usize) -> Table {
    let words = Agreement::words();
    let pair = seen.pairs.iter().position(|pair| pair.1 == [false, true]).unwrap_or(0);
    let row = |step: usize| {
        let at = seen.rows[step][pair];
        let number = |value: f32| format!("{value:.2}");
        vec![
            words[seen.pairs[pair].0[step] as usize].to_owned(),
            number(seen.layer.gate(0, at)[unit]),
            number(seen.layer.gate(1, at)[unit]),
            number(seen.layer.state(1, at)[unit]),
            number(seen.layer.state(0, at)[unit]),
        ]
    };
    Table {
        title: format!("Unit {unit}, word by word"),
        head: ["word", "input gate", "forget gate", "c", "h"].map(str::to_owned).to_vec(),
        rows: (0..2 * LENGTH).map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recurve_nn::{CellKind, Description, Recurrent};

    /// An LSTM made by hand whose first unit keeps the number and whose second does nothing.
    fn made() -> Model<f32> {
        let words = Agreement::words();
        let description = Description::tokens(words.len())
            .embedding(2)
            .recurrent(Recurrent::new(CellKind::Lstm, 2))
            .linear(words.len());
        let mut model = Model::new(description).unwrap();
        // A noun right after `the` would not tell a subject from an object: the first number of a vector is the
        // number of a noun, and the second opens the gates where a sentence begins.
        let vectors = model.get_mut("0.embedding.weight").unwrap();
        for (at, word) in words.iter().enumerate() {
            let number = match at {
                0..16 => [-1.0, 1.0][at % 2],
                _ => 0.0,
            };
            vectors[at * 2] = number;
            vectors[at * 2 + 1] = if *word == "." { 1.0 } else { 0.0 };
        }
        let w = model.get_mut("1.recurrent.0.forward.w").unwrap();
        // Rows i f g o by unit, each with two inputs: f of unit 0 closes at a stop, g follows the number.
        w[2 * 2 + 1] = -20.0;
        w[4 * 2] = 3.0;
        let b = model.get_mut("1.recurrent.0.forward.b").unwrap();
        b[2] = 10.0;
        model
    }

    #[test]
    fn the_unit_that_keeps_is_found_and_what_it_does_is_counted() {
        let model = made();
        let seen = Seen::of(&model).unwrap();
        assert!(seen.pairs.len() > 200, "{}", seen.pairs.len());
        let words = Agreement::words();
        for (own, plural) in &seen.pairs {
            for (sentence, plural) in plural.iter().enumerate() {
                let verb = words[own[sentence * LENGTH + ASKED + 1] as usize];
                assert_eq!(verb, if *plural { "were" } else { "was" });
                let subject = own[sentence * LENGTH + SUBJECT] as usize;
                assert_eq!(subject % 2 == 1, *plural, "{}", words[subject]);
            }
        }
        let (unit, _) = seen.keeper();
        assert_eq!(unit, 0);
        assert_eq!(seen.told(0, SUBJECT, 0), 1.0);
        // At the stop the state goes, so nothing is known of the first subject after it.
        assert!(mean(&seen.gate(1, 0, LENGTH - 1)) < 1e-3);
        let old = seen.told(0, LENGTH + SUBJECT, 0);
        assert!((0.4..0.62).contains(&old), "{old}");
        assert_eq!(seen.told(0, LENGTH + SUBJECT, 1), 1.0);
        let mut outcome = Outcome::default();
        show(&model, &mut outcome).unwrap();
        assert!(outcome.findings[0].contains("(at the stop)"), "{}", outcome.findings[0]);
        assert_eq!((outcome.figures.len(), outcome.tables[0].rows.len()), (2, 2 * LENGTH));
    }
}
