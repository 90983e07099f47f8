//! What the programs of the bench have in common: the arguments, the clock and the answer.
//!
//! Every program takes the arguments of `recurve bench`, times one shape, and prints one line of JSON
//! with the same fields, so that the runner need not know whom it asks. What a program cannot do it
//! refuses with a reason on standard error and exit code 2.

use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Forward, then backward to the input and to every parameter.
    Train,
    /// Forward over whole sequences.
    Infer,
    /// One step with carried state.
    Step,
    /// The product of two matrices `[hidden, hidden]`.
    Product,
}

/// What is timed.
#[derive(Clone, Debug, Parser, Serialize)]
pub struct Shape {
    #[arg(long, value_enum)]
    pub mode: Mode,
    #[arg(long, default_value = "lstm")]
    pub cell: String,
    /// T
    #[arg(long, default_value_t = 1)]
    pub steps: usize,
    /// B
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// I
    #[arg(long, default_value_t = 1)]
    pub input: usize,
    /// H
    #[arg(long)]
    pub hidden: usize,
    /// L
    #[arg(long, default_value_t = 1)]
    pub layers: usize,
    #[arg(long)]
    pub bidirectional: bool,
    #[arg(long)]
    pub lengths: Option<String>,
    #[arg(long, default_value = "f32")]
    pub dtype: String,
    /// Threads of the program's own pool; for those that use rayon, `RAYON_NUM_THREADS` must say the same.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// For how long runs are repeated.
    #[arg(long, default_value_t = 1.0)]
    #[serde(skip)]
    pub seconds: f64,
    /// The answer is always JSON; the flag is that of `recurve bench`.
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
}

impl Shape {
    /// Ends the program with `reason` where `can` is false.
    pub fn require(&self, can: bool, reason: &str) {
        if !can {
            eprintln!("{reason}");
            std::process::exit(2);
        }
    }

    /// Ends the program unless this is an LSTM in one direction over full sequences of `f32`, which is
    /// what the rivals in Rust are asked for.
    pub fn require_plain_lstm(&self) {
        self.require(self.mode != Mode::Product, "times recurrent layers only");
        self.require(self.cell == "lstm", "only its LSTM is timed here");
        self.require(!self.bidirectional, "only one direction is timed here");
        self.require(self.lengths.is_none(), "it has no lengths of sequences");
        self.require(self.dtype == "f32", "only its f32 is timed here");
    }

    /// The width of the input of layer `layer`.
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.input } else { self.hidden }
    }

    /// Floating-point operations of the products of one run of an LSTM in one direction, or of the
    /// product of matrices.
    fn operations(&self) -> f64 {
        if self.mode == Mode::Product {
            return 2.0 * (self.hidden as f64).powi(3);
        }
        let weights: usize =
            (0..self.layers).map(|l| 4 * self.hidden * (self.width(l) + self.hidden)).sum();
        let passes = if self.mode == Mode::Train { 3 } else { 1 };
        (2 * passes * self.steps * self.batch) as f64 * weights as f64
    }
}

#[derive(Serialize)]
struct Line<'a> {
    program: &'a str,
    version: &'a str,
    #[serde(flatten)]
    shape: &'a Shape,
    median_ms: f64,
    min_ms: f64,
    runs: usize,
    gflops: f64,
    peak_rss_mb: Option<f64>,
}

/// A first run longer than this is counted, and is enough.
const LONG: Duration = Duration::from_secs(4);

/// Runs `run` once to warm up, then at least three times and for the seconds of `shape`; prints the line.
pub fn time(program: &str, version: &str, shape: &Shape, mut run: impl FnMut()) {
    let mut once = || {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    let first = once();
    let mut times = vec![];
    if first > LONG {
        times.push(first);
    } else {
        let begin = Instant::now();
        while times.len() < 3 || begin.elapsed().as_secs_f64() < shape.seconds {
            times.push(once());
        }
    }
    times.sort();
    let median = times[times.len() / 2].as_secs_f64();
    let line = Line {
        program,
        version,
        shape,
        median_ms: 1e3 * median,
        min_ms: 1e3 * times[0].as_secs_f64(),
        runs: times.len(),
        gflops: shape.operations() / median / 1e9,
        peak_rss_mb: peak_mb(),
    };
    println!("{}", serde_json::to_string(&line).expect("a line of plain values"));
}

/// The largest resident memory of the process in MiB; Linux says it.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}
