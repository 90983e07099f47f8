//! The adding problem: remember two numbers for up to a hundred steps, then say their sum.
//!
//! ```text
//! cargo run --release -p recurve --example adding -- [FIGURE [UPDATES]]
//! ```
//!
//! A sequence has a hundred pairs: a number between 0 and 1, and a mark that stands at two of them. The
//! target is the sum of the two marked numbers. Always saying 1 gives a mean squared error of 1/6,
//! about 0.167; to do better, the gradient has to reach back over the whole sequence. It is the task
//! on which Hochreiter and Schmidhuber (1997, experiment 4) showed that an LSTM learns what a plain
//! recurrent network does not.
//!
//! Each cell gets the same model, data, optimiser and number of updates, and for fairness its own
//! learning rate: the best of five, tried with a seed and measured on sequences that are not used again.
//! Then three seeds each. The learning curves are drawn into `FIGURE` (`adding.svg`), the errors printed
//! as tables. Fewer `UPDATES` than 3000 give a quick look. `docs/long-time-lags.md` tells the story.

use plotters::prelude::*;
use recurve::train::clip::Clip;
use recurve::train::config::InitialiseConfig;
use recurve::train::generate::{Adding, AddingBatch};
use recurve::train::loss::{Loss, Outputs, Targets};
use recurve::train::optimiser::{Adam, Optimiser, OptimiserConfig};
use recurve::train::schedule::{Schedule, ScheduleConfig};
use recurve::train::trainer::initialise;
use recurve::{
    Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Pooling, Recurrent,
};
use std::error::Error;

/// Steps of a sequence: `T`.
const T: usize = 100;
/// Units: `H`.
const H: usize = 64;
/// Sequences of a batch: `B`.
const B: usize = 64;
/// Sequences of a measurement, and their seed. No run trains with it.
const MEASURED: usize = 1000;
const MEASURING_SEED: u64 = u64::MAX;
/// The seed of the runs that try a learning rate.
const TRIAL_SEED: u64 = 1000;
const SEEDS: [u64; 3] = [1, 2, 3];
const RATES: [f64; 5] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2];
/// The mean squared error of always saying 1, on average.
const CONSTANT: f64 = 1.0 / 6.0;

/// The cells, their names and their colours in the figure.
const CELLS: [(CellKind, &str, RGBColor); 3] = [
    (CellKind::Lstm, "LSTM", RGBColor(0x00, 0x72, 0xb2)),
    (CellKind::Gru, "GRU", RGBColor(0x00, 0x9e, 0x73)),
    (CellKind::RnnTanh, "tanh RNN", RGBColor(0xd5, 0x5e, 0x00)),
];

/// Sequences trained on, and the mean squared error then.
type Curve = Vec<(f64, f64)>;

/// One run.
struct Run {
    cell: CellKind,
    seed: u64,
    learning_rate: f64,
    updates: u64,
    /// The first of the sequences that measure it.
    measured_from: u64,
}

impl Run {
    /// Trains; the error is measured at thirty times.
    fn train(&self) -> Result<Curve, Box<dyn Error>> {
        let description = Description::values(2)
            .recurrent(Recurrent::new(self.cell, H))
            .pool(Pooling::Last)
            .linear(1);
        let mut model = Model::<f32>::new(description)?;
        initialise(&mut model, &InitialiseConfig::default(), self.seed)?;
        let mut network = Network::new(model.description(), Engine::detect()?)?;
        let adam = OptimiserConfig::Adam(Adam::default());
        let mut adam = Optimiser::new(adam, model.values().len())?;
        let down = ScheduleConfig::Cosine { warmup_steps: 0, final_factor: 0.01 };
        let schedule = Schedule::new(down, self.learning_rate, self.updates)?;

        let (data, loss) = (Adding { steps: T, seed: self.seed }, Loss::Mse {});
        let mut gradients = vec![0.0; model.values().len()];
        let mut d_outputs = vec![0.0; B];
        let mut curve = vec![(0.0, self.error(&model, &mut network)?)];
        for step in 0..self.updates {
            let samples = data.batch(step * B as u64, B);
            network.load(model.values(), true);
            let batch = Batch::new(T, B, Input::Values(&samples.x));
            let noise = Noise { seed: self.seed, step };
            let outputs = network.forward(&batch, None, Mode::Train(noise))?;
            let (outputs, targets) = (Outputs::new(outputs, 1), Targets::Values(&samples.y));
            loss.backward(outputs, targets, &mut d_outputs)?;
            network.backward(&d_outputs, &mut gradients, None)?;
            Clip::Norm { limit: 1.0 }.apply(&mut gradients);
            adam.step(model.values_mut(), &gradients, schedule.rate(step, 0))?;
            let done = step + 1;
            if done % (self.updates / 30).max(1) == 0 || done == self.updates {
                curve.push(((done * B as u64) as f64, self.error(&model, &mut network)?));
            }
        }
        Ok(curve)
    }

    /// The mean squared error on the measuring sequences.
    fn error(&self, model: &Model<f32>, network: &mut Network<f32>) -> Result<f64, Box<dyn Error>> {
        let samples = measuring(self.measured_from);
        network.load(model.values(), false);
        let batch = Batch::new(T, MEASURED, Input::Values(&samples.x));
        let outputs = Outputs::new(network.forward(&batch, None, Mode::Infer)?, 1);
        Ok(Loss::Mse {}.forward(outputs, Targets::Values(&samples.y))?.mean)
    }
}

/// Sequences that no run trains on.
fn measuring(first: u64) -> AddingBatch {
    Adding { steps: T, seed: MEASURING_SEED }.batch(first, MEASURED)
}

/// What became of one cell.
struct Trained {
    name: &'static str,
    colour: RGBColor,
    /// The error at the end of a short run, for each of `RATES`.
    trials: Vec<f64>,
    learning_rate: f64,
    /// One for each of `SEEDS`.
    curves: Vec<Curve>,
}

fn last(curve: &Curve) -> f64 {
    curve.last().map_or(f64::NAN, |(_, error)| *error)
}

/// Chooses the learning rate by short runs, then trains once for each seed.
fn train_cell(
    (cell, name, colour): (CellKind, &'static str, RGBColor),
    updates: u64,
) -> Result<Trained, Box<dyn Error>> {
    let (mut trials, mut best) = (vec![], (f64::INFINITY, RATES[0]));
    for learning_rate in RATES {
        let (updates, measured_from) = ((updates / 3).max(1), MEASURED as u64);
        let run = Run { cell, seed: TRIAL_SEED, learning_rate, updates, measured_from };
        let error = last(&run.train()?);
        println!("{name}: {updates} updates at learning rate {learning_rate}: error {error:.5}");
        trials.push(error);
        best = if error < best.0 { (error, learning_rate) } else { best };
    }
    let (learning_rate, mut curves) = (best.1, vec![]);
    for seed in SEEDS {
        let curve = Run { cell, seed, learning_rate, updates, measured_from: 0 }.train()?;
        println!("{name}: seed {seed}: error {:.5}", last(&curve));
        curves.push(curve);
    }
    Ok(Trained { name, colour, trials, learning_rate, curves })
}

/// Prints a Markdown table of errors.
fn print_table(head: &str, columns: &[String], rows: impl Iterator<Item = (String, Vec<f64>)>) {
    println!("\n| {head} | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for (name, errors) in rows {
        let errors: String = errors.iter().map(|error| format!(" {error:.5} |")).collect();
        println!("| {name} |{errors}");
    }
}

fn print_tables(all: &[Trained]) {
    let trials = all.iter().map(|cell| (cell.name.to_owned(), cell.trials.clone()));
    print_table("short runs", &RATES.map(|rate| format!("rate {rate}")), trials);
    let runs = all.iter().map(|cell| {
        let name = format!("{}, rate {}", cell.name, cell.learning_rate);
        (name, cell.curves.iter().map(last).collect())
    });
    print_table("full runs", &SEEDS.map(|seed| format!("seed {seed}")), runs);
    let [full, short] = [0, MEASURED as u64].map(|first| {
        let sums = measuring(first).y;
        sums.iter().map(|y| f64::from(y - 1.0).powi(2)).sum::<f64>() / sums.len() as f64
    });
    println!("\nalways saying 1: {short:.5} in the short runs, {full:.5} in the full runs");
}

/// Draws the curves of all seeds on a logarithmic axis.
fn draw(figure: &str, all: &[Trained]) -> Result<(), Box<dyn Error>> {
    let points = || all.iter().flat_map(|cell| &cell.curves).flatten();
    let right = points().fold(0.0, |right, point| point.0.max(right));
    let errors = points().map(|point| point.1);
    let (low, high) = errors.fold((CONSTANT, CONSTANT), |(l, h), e| (e.min(l), e.max(h)));
    let area = SVGBackend::new(figure, (860, 520)).into_drawing_area();
    // The page around the figure may be dark; its letters and lines are made for white.
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("The adding problem, {T} steps"), ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..right, (low / 1.5..high * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe2, 0xe5, 0xea))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_desc("sequences trained on")
        .y_desc("mean squared error on new sequences")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&f64::to_string)
        .draw()?;
    let constant = [(0.0, CONSTANT), (right, CONSTANT)];
    chart
        .draw_series(DashedLineSeries::new(constant, 6, 4, BLACK.into()))?
        .label("always saying 1")
        .legend(|at| {
            let piece = |from, to| PathElement::new([(from, 0), (to, 0)], BLACK);
            EmptyElement::at(at) + piece(0, 9) + piece(13, 22)
        });
    for cell in all {
        for curve in &cell.curves {
            chart.draw_series(LineSeries::new(curve.iter().copied(), cell.colour))?;
        }
        let style = cell.colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new([], style))?
            .label(cell.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .label_font(("sans-serif", 15))
        .background_style(WHITE)
        .draw()?;
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let figure = arguments.next().unwrap_or("adding.svg".to_owned());
    let updates = arguments.next().unwrap_or("3000".to_owned());
    let updates = match updates.parse() {
        Ok(updates @ 1..) => updates,
        _ => return Err(format!("UPDATES is a whole number above 0, not {updates}").into()),
    };
    let trained = CELLS.into_iter().map(|cell| train_cell(cell, updates));
    let all: Vec<_> = trained.collect::<Result<_, _>>()?;
    print_tables(&all);
    draw(&figure, &all)?;
    println!("the curves are in {figure}");
    Ok(())
}
