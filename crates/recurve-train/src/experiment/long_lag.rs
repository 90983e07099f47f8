//! How many sequences until a task with a long lag is solved?
//!
//! The tasks of the first papers on the LSTM, each learned from new sequences until enough of them in a row
//! were answered right before anything was learned from them. That is the criterion of the papers, where they
//! have one, or a stricter one; what they needed stands beside it. Theirs is the LSTM without forget gates, learned
//! by plain gradient descent with truncated gradients after every sequence; ours is the LSTM of today with gates
//! that start open, learned by Adam from a few sequences at a time. So what is compared is not one thing but what
//! a person got then and gets now.

use super::Options;
use super::learner::{Subject, engine, side_by_side};
use super::outcome::{Outcome, Table};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads, description};
use super::tasks::{AddingProblem, CopyProblem};
use crate::clip::Clip;
use crate::error::{Error, Result};
use crate::generate::{Counting, EmbeddedReber, StringBatch, TemporalOrder, TwoSequences};
use crate::initialise::Initialiser;
use crate::loss::IGNORE;
use crate::optimiser::{Adam, Optimiser, OptimiserConfig};
use recurve_nn::{CellKind, Network, Noise, Recurrent};
use serde::Serialize;

/// What the papers needed.
const PAPER: &str = "Hochreiter & Schmidhuber 1997";

/// A task, how it is learned, and when it is solved.
struct Task {
    name: &'static str,
    problem: &'static (dyn Problem + Sync),
    /// What is right at a step.
    right: Right,
    /// Sequences in a row that must be right.
    in_a_row: u64,
    /// Sequences that the paper needed, and which paper.
    published: Option<(u64, &'static str)>,
    /// Units, the bias of the forget gates at the start, and sequences of an update.
    hidden: usize,
    open: f64,
    batch: usize,
    /// The learning rate at the start; it is halved after so many sequences, is a third after twice as many, ….
    rate: f64,
    slows: f64,
    /// Sequences after which it is given up.
    most: u64,
}

/// When a row of outputs is right.
#[derive(Clone, Copy)]
enum Right {
    /// The greatest is that of the class.
    Class,
    /// It is so near the number.
    Within(f32),
    /// Each symbol that could follow is likelier than each that could not.
    Legal(fn(u64, u64, usize) -> StringBatch),
}

/// The order of some symbols.
struct Orders(fn(u64) -> TemporalOrder);

impl Problem for Orders {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: TemporalOrder::SYMBOLS, embedding: TemporalOrder::SYMBOLS }
    }
    fn outputs(&self) -> usize {
        (self.0)(0).classes()
    }
    fn answers(&self) -> Answers {
        Answers::Last
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made = (self.0)(seed).batch(first, count);
        Made {
            steps: made.steps,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: Some(made.lengths),
            y: MadeAnswers::Classes(made.y),
        }
    }
}

/// The next symbol of strings.
struct Strings {
    symbols: usize,
    make: fn(u64, u64, usize) -> StringBatch,
}

impl Problem for Strings {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: self.symbols, embedding: self.symbols }
    }
    fn outputs(&self) -> usize {
        self.symbols
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made = (self.make)(seed, first, count);
        Made {
            steps: made.steps,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: Some(made.lengths),
            y: MadeAnswers::Classes(made.y),
        }
    }
}

/// Which of two kinds a sequence is.
struct TwoKinds {
    steps: usize,
    told: usize,
    noisy: bool,
}

impl Problem for TwoKinds {
    fn reads(&self) -> Reads {
        Reads::Values { width: 1 }
    }
    fn outputs(&self) -> usize {
        2
    }
    fn answers(&self) -> Answers {
        Answers::Last
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let Self { steps, told, noisy } = *self;
        let made = TwoSequences { steps, told, noisy, seed }.batch(first, count);
        Made {
            steps: made.steps,
            batch: count,
            x: MadeInput::Values(made.x),
            lengths: Some(made.lengths),
            y: MadeAnswers::Classes(made.y),
        }
    }
}

const REBER: fn(u64, u64, usize) -> StringBatch =
    |seed, first, count| EmbeddedReber { seed }.batch(first, count);
const COUNTING: fn(u64, u64, usize) -> StringBatch =
    |seed, first, count| Counting { most: 10, seed }.batch(first, count);

/// A number of the adding problem is from 0 to 2, that of the paper from 0 to 1 with an error of 0.04 allowed.
const NEAR: Right = Right::Within(0.08);

const TASKS: [Task; 10] = [
    Task {
        name: "adding, 100 steps",
        problem: &AddingProblem { steps: 100 },
        right: NEAR,
        in_a_row: 2000,
        published: Some((74_000, PAPER)),
        hidden: 32,
        open: 4.0,
        batch: 4,
        rate: 5e-3,
        slows: 20_000.0,
        most: 300_000,
    },
    Task {
        name: "adding, 500 steps",
        problem: &AddingProblem { steps: 500 },
        right: NEAR,
        in_a_row: 2000,
        published: Some((209_000, PAPER)),
        hidden: 32,
        open: 5.5,
        batch: 4,
        rate: 5e-3,
        slows: 20_000.0,
        most: 300_000,
    },
    Task {
        name: "temporal order, 2 symbols",
        problem: &Orders(TemporalOrder::two_symbols),
        right: Right::Class,
        in_a_row: 2000,
        published: Some((31_390, PAPER)),
        hidden: 32,
        open: 5.0,
        batch: 4,
        rate: 5e-3,
        slows: 50_000.0,
        most: 300_000,
    },
    Task {
        name: "temporal order, 3 symbols",
        problem: &Orders(TemporalOrder::three_symbols),
        right: Right::Class,
        in_a_row: 2000,
        published: Some((571_100, PAPER)),
        hidden: 32,
        open: 5.0,
        batch: 4,
        rate: 5e-3,
        slows: 50_000.0,
        most: 600_000,
    },
    Task {
        name: "temporal order, 4 symbols",
        problem: &Orders(TemporalOrder::four_symbols),
        right: Right::Class,
        in_a_row: 2000,
        published: None,
        hidden: 32,
        open: 5.0,
        batch: 4,
        rate: 5e-3,
        slows: 50_000.0,
        most: 600_000,
    },
    Task {
        name: "embedded Reber grammar",
        problem: &Strings { symbols: EmbeddedReber::SYMBOLS, make: REBER },
        right: Right::Legal(REBER),
        in_a_row: 512,
        published: Some((8_440, PAPER)),
        hidden: 16,
        open: 1.0,
        batch: 2,
        rate: 1e-2,
        slows: 4_000.0,
        most: 100_000,
    },
    Task {
        name: "two sequences, 3 steps tell",
        problem: &TwoKinds { steps: 100, told: 3, noisy: false },
        right: Right::Class,
        in_a_row: 256,
        published: Some((27_380, PAPER)),
        hidden: 8,
        open: 4.0,
        batch: 4,
        rate: 1e-2,
        slows: 10_000.0,
        most: 100_000,
    },
    Task {
        name: "two sequences, 1 noisy step tells",
        problem: &TwoKinds { steps: 100, told: 1, noisy: true },
        right: Right::Class,
        in_a_row: 256,
        published: Some((74_950, PAPER)),
        hidden: 8,
        open: 4.0,
        batch: 4,
        rate: 1e-2,
        slows: 10_000.0,
        most: 200_000,
    },
    Task {
        name: "copy of 10 symbols after 20 steps",
        problem: &CopyProblem { pause: 20 },
        right: Right::Class,
        in_a_row: 2000,
        published: None,
        hidden: 64,
        open: 2.0,
        batch: 16,
        rate: 5e-3,
        slows: 50_000.0,
        most: 600_000,
    },
    Task {
        name: "aⁿbⁿ, n up to 10",
        problem: &Strings { symbols: Counting::SYMBOLS, make: COUNTING },
        right: Right::Legal(COUNTING),
        in_a_row: 256,
        published: Some((22_000, "Gers & Schmidhuber 2001")),
        hidden: 8,
        open: 1.0,
        batch: 2,
        rate: 1e-2,
        slows: 10_000.0,
        most: 100_000,
    },
];

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// The task.
    pub task: &'static str,
    /// Sequences until it was solved, in the middle of the seeds; none where half of them or more did not.
    pub sequences: Option<u64>,
    /// The same of every seed.
    pub seeds: Vec<Option<u64>>,
    /// What was published.
    pub published: Option<u64>,
    /// Where.
    pub by: Option<&'static str>,
}

impl Lag {
    fn new(task: &Task, seeds: &[Option<u64>]) -> Self {
        let mut sorted = seeds.to_vec();
        sorted.sort_by_key(|solved| solved.unwrap_or(u64::MAX));
        Self {
            task: task.name,
            sequences: sorted.get(sorted.len() / 2).copied().flatten(),
            seeds: seeds.to_vec(),
            published: task.published.map(|(count, _)| count),
            by: task.published.map(|(_, by)| by),
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let each: Vec<String> = self
            .seeds
            .iter()
            .map(|solved| solved.map_or("never".to_owned(), |n| n.to_string()))
            .collect();
        let ours = match self.sequences {
            Some(count) => format!("solved after {count} sequences"),
            None => "not solved".to_owned(),
        };
        let theirs = match (self.published, self.by) {
            (Some(count), Some(by)) => {
                let fewer = self.sequences.is_some_and(|own| own < count);
                format!("published: {count} ({by}) · {}", if fewer { "fewer" } else { "not fewer" })
            }
            _ => "none is published".to_owned(),
        };
        format!("{}: {ours} (seeds: {}) · {theirs}", self.task, each.join(", "))
    }
}

/// Learns every task from every seed.
///
/// # Errors
/// A description that does not fit.
pub fn lags(options: &Options<'_>) -> Result<Vec<Lag>> {
    let seeds = options.seeds();
    let jobs: Vec<(&Task, u64)> =
        TASKS.iter().flat_map(|task| seeds.iter().map(move |seed| (task, *seed))).collect();
    let solved = side_by_side(&jobs, |(task, seed)| {
        let most = if options.quick { task.most / 100 } else { task.most };
        let solved = solve(task, *seed, most)?;
        let words =
            solved.map_or("not solved".to_owned(), |n| format!("solved after {n} sequences"));
        (options.watch)(&format!("{}, seed {seed}: {words}", task.name));
        Ok(solved)
    })?;
    Ok(TASKS
        .iter()
        .zip(solved.chunks_exact(seeds.len()))
        .map(|(task, own)| Lag::new(task, own))
        .collect())
}

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let lags = lags(options)?;
    let number = |count: Option<u64>| count.map_or("none".to_owned(), |count| count.to_string());
    let row = |(lag, task): (&Lag, &Task)| {
        vec![
            lag.task.to_owned(),
            number(lag.sequences),
            lag.seeds.iter().map(|own| number(*own)).collect::<Vec<_>>().join(", "),
            number(lag.published),
            lag.by.unwrap_or("").to_owned(),
            format!(
                "{} units, forget gates at {}, {} at a time, rate {}, {} right in a row",
                task.hidden, task.open, task.batch, task.rate, task.in_a_row
            ),
        ]
    };
    let head = ["task", "sequences", "each seed", "published", "by", "ours"];
    let conditions = [
        ("network", "one layer of LSTM units with forget gates, a linear layer on its output"),
        (
            "training",
            "every sequence new, Adam, the rate falling as 1/(1 + n), gradients clipped to norm 1",
        ),
        ("solved", "so many sequences in a row right before they were learned from, these counted"),
    ];
    Ok(Outcome {
        findings: lags.iter().map(Lag::words).collect(),
        conditions: conditions.map(|(name, what)| (name.to_owned(), what.to_owned())).to_vec(),
        figures: vec![],
        tables: vec![Table {
            title: "Sequences until solved, the middle of the seeds".to_owned(),
            head: head.map(str::to_owned).to_vec(),
            rows: lags.iter().zip(&TASKS).map(row).collect(),
        }],
    })
}

/// The sequences that it takes from a seed; none where `most` did not suffice.
fn solve(task: &Task, seed: u64, most: u64) -> Result<Option<u64>> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let mut subject = Subject::new(task.name, Recurrent::new(CellKind::Lstm, task.hidden));
    subject.start.forget_bias = task.open;
    // A symbol is to be seen as well as if it were one number of many that is 1.
    subject.start.embedding = Initialiser::Normal { std: 1.0 };
    let mut model = subject.model(description(task.problem, &subject.stacks), seed)?;
    let mut network = Network::new(model.description(), engine()?).map_err(refused)?;
    let mut adam = Optimiser::new(OptimiserConfig::Adam(Adam::default()), model.values().len())?;
    let mut gradients = vec![0.0; model.values().len()];
    let (mut row, mut seen) = (0, 0);
    while seen < most {
        let made = task.problem.make(seed, seen, task.batch);
        network.load(model.values(), true);
        let order = network.prepare(&made.batch()).map_err(refused)?;
        let answers = made.targets(task.problem.answers(), order);
        let lanes: Vec<usize> = match task.problem.answers() {
            Answers::Last => (0..task.batch).collect(),
            Answers::EveryStep => order.places().map(|(_, _, b)| b).collect(),
        };
        let legal = match task.right {
            Right::Legal(make) => {
                let mut rows = vec![];
                order.gather(&make(seed, seen, task.batch).legal, &mut rows);
                rows
            }
            _ => vec![],
        };
        let width = network.output_width();
        let shape = (answers.len(), width);
        let mut loss =
            answers.loss().piecewise(network.engine(), shape, answers.as_targets(), None)?;
        let mut right = vec![true; task.batch];
        let mut judge = |rows: std::ops::Range<usize>, outputs: &mut [f32]| {
            for (at, row) in rows.clone().zip(outputs.chunks_exact(width)) {
                right[lanes[at]] &= is_right(task.right, row, &answers, &legal, at);
            }
            loss.backward(rows, outputs);
        };
        let noise = Noise { seed, step: seen };
        network.learn(&made.batch(), None, noise, &mut judge, &mut gradients).map_err(refused)?;
        for right in right {
            seen += 1;
            row = if right { row + 1 } else { 0 };
            if row == task.in_a_row {
                return Ok(Some(seen));
            }
        }
        let norm = gradients.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>();
        if !norm.is_finite() {
            return Ok(None);
        }
        Clip::Norm { limit: 1.0 }.apply(&mut gradients);
        let rate = task.rate / (1.0 + seen as f64 / task.slows);
        adam.step(model.values_mut(), &gradients, rate)?;
    }
    Ok(None)
}

fn is_right(right: Right, row: &[f32], answers: &MadeAnswers, legal: &[u32], at: usize) -> bool {
    match (right, answers) {
        (Right::Within(near), MadeAnswers::Values(values)) => (row[0] - values[at]).abs() < near,
        (Right::Legal(_), _) => {
            let of = |wanted: u32| {
                let symbols = row.iter().enumerate();
                symbols
                    .filter(move |(symbol, _)| legal[at] >> symbol & 1 == wanted)
                    .map(|(_, x)| *x)
            };
            of(1).fold(f32::INFINITY, f32::min) > of(0).fold(f32::NEG_INFINITY, f32::max)
        }
        (_, MadeAnswers::Classes(classes)) if classes[at] == IGNORE => true,
        (_, MadeAnswers::Classes(classes)) => {
            let own = row[classes[at] as usize];
            row.iter().enumerate().all(|(class, x)| class == classes[at] as usize || *x < own)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_right_or_not() {
        let classes = MadeAnswers::Classes(vec![1, IGNORE]);
        assert!(is_right(Right::Class, &[0.1, 0.2], &classes, &[], 0));
        assert!(!is_right(Right::Class, &[0.2, 0.2], &classes, &[], 0));
        assert!(is_right(Right::Class, &[0.9, 0.2], &classes, &[], 1));
        let values = MadeAnswers::Values(vec![1.0]);
        assert!(
            is_right(NEAR, &[1.07], &values, &[], 0) && !is_right(NEAR, &[0.9], &values, &[], 0)
        );
        let legal = Right::Legal(REBER);
        assert!(is_right(legal, &[0.5, -1.0, 0.2], &classes, &[0b101], 0));
        assert!(!is_right(legal, &[0.5, 0.3, 0.2], &classes, &[0b101], 0));
    }

    #[test]
    fn a_short_lag_is_solved_and_the_same_again() {
        let problem: &'static TwoKinds = &TwoKinds { steps: 12, told: 2, noisy: false };
        let task = Task { problem, in_a_row: 100, ..TASKS[6] };
        let solved = solve(&task, 1, 20_000).unwrap();
        assert!(solved.is_some_and(|n| (100..20_000).contains(&n)), "{solved:?}");
        assert_eq!(solve(&task, 1, 20_000).unwrap(), solved);
        assert_eq!(solve(&task, 1, 50).unwrap(), None);
    }

    #[test]
    fn a_lag_is_the_middle_of_its_seeds() {
        let lag = Lag::new(&TASKS[0], &[Some(5), None, Some(3)]);
        assert_eq!(lag.sequences, Some(5));
        assert!(lag.words().contains("fewer") && lag.words().contains("74000"), "{}", lag.words());
        assert_eq!(Lag::new(&TASKS[0], &[Some(5), None, None]).sequences, None);
    }
}
