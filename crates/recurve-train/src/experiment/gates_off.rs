//! Which parts of an LSTM matter: what happens when each is taken away?
//!
//! The study of Greff, Srivastava, Koutník, Steunebrink & Schmidhuber (2017), "LSTM: a search space odyssey", made
//! small: the LSTM with peepholes (V) and its eight variants, each other in one thing, on three tasks. Theirs were
//! speech, handwriting and chorales, with 200 draws of five settings for each; here they are adding, temporal order
//! and chorales, all with the same number of units and with a learning rate of their own.

use super::chorales::Chorales;
use super::learner::{Chosen, Subject, Training, choose_rates};
use super::outcome::{Axis, Curve, Figure, Outcome, Point, Table};
use super::problem::Problem;
use super::study::{Case, scores, table};
use super::tasks::{AddingProblem, OrderProblem};
use super::{Options, score_text};
use crate::error::Result;
use recurve_nn::{CellKind, Recurrent};

/// The variants by their names in the paper, V first, and what each lacks or has.
const VARIANTS: [(&str, CellKind, &str); 9] = [
    ("V", CellKind::LstmPeephole, "the LSTM with peepholes"),
    ("CIFG", CellKind::LstmCoupledPeephole, "one gate for input and forget, f = 1 − i"),
    ("NP", CellKind::Lstm, "no peepholes"),
    ("NIG", CellKind::LstmNig, "no input gate"),
    ("NFG", CellKind::LstmNfg, "no forget gate, as in 1997"),
    ("NOG", CellKind::LstmNog, "no output gate"),
    ("NIAF", CellKind::LstmNiaf, "no tanh of what is written"),
    ("NOAF", CellKind::LstmNoaf, "no tanh of what is shown"),
    (RECURRENT_GATES, CellKind::LstmPeephole, "gates also see the gates of the step before"),
];
const RECURRENT_GATES: &str = "FGR";

fn subject((name, kind, _): &(&'static str, CellKind, &str), hidden: usize) -> Subject {
    let stack = Recurrent::new(*kind, hidden);
    let full = *name == RECURRENT_GATES;
    Subject::new(*name, Recurrent { gate_recurrence: full, ..stack })
}

/// A task of the study.
struct Task {
    name: &'static str,
    /// What the score is.
    measure: &'static str,
    /// Whether a higher score is better.
    higher: bool,
    logarithmic: bool,
    hidden: usize,
    updates: u64,
    batch: usize,
    measures: u64,
    rates: [f64; 5],
}

const ADDING: Task = Task {
    name: "adding, 50 steps",
    measure: "mean squared error (always saying 1: 0.167)",
    higher: false,
    logarithmic: true,
    hidden: 48,
    updates: 2500,
    batch: 32,
    measures: 0,
    rates: [1e-3, 3e-3, 1e-2, 3e-2, 6e-2],
};
const ORDER: Task = Task {
    name: "temporal order, 100 to 110 steps",
    measure: "share of right answers (guessing: 0.25)",
    higher: true,
    logarithmic: false,
    hidden: 48,
    updates: 1500,
    batch: 32,
    measures: 0,
    rates: [1e-3, 3e-3, 1e-2, 3e-2, 6e-2],
};
const CHORALES: Task = Task {
    name: "JSB chorales",
    measure: "negative log-likelihood of a frame in nats (notes by their frequency alone: 11.09)",
    higher: false,
    logarithmic: false,
    hidden: 64,
    updates: 900,
    batch: 16,
    measures: 30,
    rates: [1e-3, 3e-3, 1e-2, 3e-2, 6e-2],
};

pub(super) fn run(options: &Options<'_>) -> Result<Outcome> {
    let chorales = (options.get)("jsb-chorales").and_then(|files| match files.first() {
        Some(file) => Chorales::read(file),
        None => Err(crate::error::Error::failed("the data set jsb-chorales has no file")),
    });
    let (adding, order) = (AddingProblem { steps: 50 }, OrderProblem { steps: 100 });
    let mut tasks: Vec<(&Task, &dyn Problem)> = vec![(&ADDING, &adding), (&ORDER, &order)];
    if let Ok(chorales) = &chorales {
        tasks.push((&CHORALES, chorales));
    }
    let mut studied = vec![];
    for (task, problem) in tasks {
        studied.push(Studied::of(task, problem, options)?);
    }
    let mut outcome = Outcome { conditions: conditions(&studied, options), ..Outcome::default() };
    outcome.findings.extend(together(&studied));
    outcome.findings.extend(studied.iter().map(Studied::finding));
    match &chorales {
        Ok(chorales) => {
            let count = chorales.training().to_string();
            outcome.conditions.push(("chorales to train on".to_owned(), count));
        }
        Err(error) => {
            let note = format!("{} was not run, its data is not there: {error}", CHORALES.name);
            (options.watch)(&note);
            outcome.findings.push(note);
        }
    }
    outcome.tables.push(meanings());
    for studied in &studied {
        outcome.tables.push(studied.table());
        outcome.figures.push(studied.figure());
    }
    outcome.tables.extend(studied.iter().map(Studied::choices));
    Ok(outcome)
}

/// A task with what came of it.
struct Studied {
    task: &'static Task,
    chosen: Vec<Chosen>,
    /// Of each variant and seed.
    scores: Vec<Vec<f64>>,
}

/// How a variant stands to V.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    /// All its seeds are worse than all of V.
    Worse,
    /// They overlap.
    Alike,
    /// All its seeds are better than all of V.
    Better,
}

impl Studied {
    fn of(task: &'static Task, problem: &dyn Problem, options: &Options<'_>) -> Result<Self> {
        let training = Training {
            updates: options.updates(task.updates),
            batch: task.batch,
            rate: 0.0,
            clip: Some(1.0),
            seed: 0,
            measures: task.measures.min(options.updates(task.updates) / 15),
        };
        let subjects = VARIANTS.map(|variant| subject(&variant, task.hidden));
        let chosen = choose_rates(problem, &subjects, training, (&task.rates, task.higher))?;
        let case = |(subject, chosen): (&Subject, &Chosen)| Case {
            problem,
            about: task.name.to_owned(),
            subject: subject.clone(),
            rate: chosen.rate,
        };
        let cases: Vec<Case<'_>> = subjects.iter().zip(&chosen).map(case).collect();
        let scores = scores(&cases, training, options)?;
        Ok(Self { task, chosen, scores })
    }

    /// How a variant stands to V.
    fn beside(&self, variant: usize) -> Beside {
        let of = |at: usize| Point::of(0.0, &self.scores[at]);
        let (one, v) = (of(variant), of(0));
        let (above, below) = (one.low > v.high, one.high < v.low);
        match if self.task.higher { (below, above) } else { (above, below) } {
            (true, _) => Beside::Worse,
            (_, true) => Beside::Better,
            _ => Beside::Alike,
        }
    }

    fn finding(&self) -> String {
        let of = |beside: Beside| {
            let found = (1..VARIANTS.len()).filter(|at| self.beside(*at) == beside);
            let found: Vec<String> = found
                .map(|at| {
                    let median = Point::of(0.0, &self.scores[at]).median;
                    format!("{} ({})", VARIANTS[at].0, score_text(median))
                })
                .collect();
            if found.is_empty() { "none".to_owned() } else { found.join(", ") }
        };
        let v = Point::of(0.0, &self.scores[0]);
        format!(
            "{}: V has {} ({} to {}). Worse in all seeds: {}. Within what the seeds differ: {}. Better in all: {}.",
            self.task.name,
            score_text(v.median),
            score_text(v.low),
            score_text(v.high),
            of(Beside::Worse),
            of(Beside::Alike),
            of(Beside::Better),
        )
    }

    fn table(&self) -> Table {
        let rows = VARIANTS.iter().zip(&self.scores);
        table(
            &format!("{}: {}", self.task.name, self.task.measure),
            "variant",
            &["median (lowest to highest)".to_owned()],
            rows.map(|((name, ..), scores)| ((*name).to_owned(), vec![scores.clone()])),
        )
    }

    /// The scores of the short runs.
    fn choices(&self) -> Table {
        let row = |((name, ..), chosen): (&(&str, CellKind, &str), &Chosen)| {
            let scores = chosen.scores.iter().map(|score| score_text(*score));
            let cells = std::iter::once((*name).to_owned()).chain(scores);
            cells.chain([chosen.rate.to_string()]).collect()
        };
        let rates = self.task.rates.iter().map(|rate| format!("rate {rate}"));
        Table {
            title: format!("{}: the short runs that choose a learning rate", self.task.name),
            head: std::iter::once("variant".to_owned())
                .chain(rates)
                .chain(["chosen".to_owned()])
                .collect(),
            rows: VARIANTS.iter().zip(&self.chosen).map(row).collect(),
        }
    }

    fn figure(&self) -> Figure {
        let names = VARIANTS.map(|(name, ..)| name.to_owned()).to_vec();
        let points = self.scores.iter().enumerate();
        let axis = if self.task.logarithmic { Axis::logarithmic } else { Axis::linear };
        Figure {
            title: self.task.name.to_owned(),
            caption: "Dots are medians over the seeds, bars the lowest and the highest.".to_owned(),
            x: Axis::named("variant", names),
            y: axis(self.task.measure),
            curves: vec![Curve {
                name: "variants".to_owned(),
                points: points.map(|(at, seeds)| Point::of(at as f64, seeds)).collect(),
            }],
            level: Some(("the median of V".to_owned(), Point::of(0.0, &self.scores[0]).median)),
        }
    }
}

/// What the paper concludes, and on how many of the tasks here it is seen.
fn together(studied: &[Studied]) -> Vec<String> {
    let on = |name: &str, beside: &[Beside]| -> Vec<&str> {
        let at = VARIANTS.iter().position(|(own, ..)| *own == name).unwrap_or(0);
        let there = studied.iter().filter(|studied| beside.contains(&studied.beside(at)));
        there.map(|studied| studied.task.name).collect()
    };
    let of = studied.len();
    let listed = |tasks: Vec<&str>| match tasks.len() {
        0 => "on none of the tasks here".to_owned(),
        all if all == of => format!("on all {of} tasks here"),
        _ => format!("on {}", tasks.join(" and ")),
    };
    let mut findings = vec![];
    for (name, what) in [("NFG", "forget gate"), ("NOAF", "tanh of what is shown")] {
        findings.push(format!(
            "Greff et al.: without the {what} ({name}) an LSTM is worse. It is so {}.",
            listed(on(name, &[Beside::Worse])),
        ));
    }
    for (name, what) in [("CIFG", "coupled gates"), ("NP", "leaving out the peepholes")] {
        findings.push(format!(
            "Greff et al.: {what} ({name}) cost nothing. It is so {}.",
            listed(on(name, &[Beside::Alike, Beside::Better])),
        ));
    }
    findings
}

fn meanings() -> Table {
    Table {
        title: "The variants".to_owned(),
        head: ["variant", "cell", "what it is"].map(str::to_owned).to_vec(),
        rows: VARIANTS
            .iter()
            .map(|(name, kind, what)| {
                let more = if *name == RECURRENT_GATES { " with gate_recurrence" } else { "" };
                vec![(*name).to_owned(), format!("{}{more}", kind.name()), (*what).to_owned()]
            })
            .collect(),
    }
}

fn conditions(studied: &[Studied], options: &Options<'_>) -> Vec<(String, String)> {
    let of = |studied: &Studied| {
        let Task { hidden, updates, batch, .. } = studied.task;
        let updates = options.updates(*updates);
        let told = format!("one layer of {hidden} units, {updates} updates of {batch} sequences");
        (studied.task.name.to_owned(), told)
    };
    let mut all: Vec<(String, String)> = studied.iter().map(of).collect();
    let seeds = options.seeds().len() as u64;
    let ways = (1..=seeds).fold(1.0, |ways, n| ways * (seeds + n) as f64 / n as f64);
    let apart = format!(
        "all seeds of one beside all of the other; of two that are alike, one of {ways:.0} is found worse"
    );
    let rest = [
        ("optimiser", "Adam, the rate falling as half a cosine, gradients clipped to norm 1"),
        (
            "learning rate",
            "of each variant and task the best of three, by runs of a third of the updates on other samples",
        ),
        (
            "start",
            "the same for all: orthogonal and Xavier, forget bias 1, for CIFG −1 of the input gate",
        ),
        ("seeds", &seeds.to_string()),
        ("worse, better", &apart),
    ];
    all.extend(rest.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all
}
