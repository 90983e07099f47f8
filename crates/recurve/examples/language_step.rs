//! How long one whole training step of a language model takes.
//!
//! Embedding of 128, two LSTM layers of 512, softmax over the vocabulary, gradient clipping, Adam;
//! 50 sequences of 50 tokens. The stream of tokens is random: the work is that of a text, and so is the
//! way: batches from lanes, the state carried on, weights packed anew after each step.
//!
//! ```text
//! cargo run --release -p recurve --example language_step -- --vocabulary 10000 --precision f32
//! ```
//!
//! prints one line of JSON: the median and the least milliseconds of a step, and tokens per second.
//! `--threads N` and `--seconds S` change how; with `--profile true`, the phases go to standard error.

use recurve::nn::profile::{Profile, span};
use recurve::train::clip::{Clip, norm_on};
use recurve::train::config::{Config, Task};
use recurve::train::data::Lanes;
use recurve::train::loss::{Loss, Targets};
use recurve::train::optimiser::{Adam, Optimiser, OptimiserConfig};
use recurve::train::trainer::initialise;
use recurve::{
    Batch, CellKind, Description, Engine, Input, Model, Network, Noise, Precision, Recurrent, State,
};
use std::time::Instant;

const SEQUENCES: usize = 50;
const STEPS: usize = 50;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut vocabulary = 65;
    let mut precision = Precision::Full;
    let mut threads = 0;
    let mut seconds = 5.0;
    let mut profiled = false;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [key, value] = pair else { return Err(format!("{} needs a value", pair[0]).into()) };
        match key.as_str() {
            "--vocabulary" => vocabulary = value.parse()?,
            "--precision" => {
                precision = [Precision::Full, Precision::Bf16]
                    .into_iter()
                    .find(|precision| precision.name() == value)
                    .ok_or_else(|| format!("precision `{value}`; there are f32 and bf16"))?;
            }
            "--threads" => threads = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--profile" => profiled = value.parse()?,
            _ => return Err(format!("there is no option `{key}`").into()),
        }
    }
    let mut engine = Engine::detect()?.with_precision(precision);
    if threads > 0 {
        engine = engine.with_threads(threads);
    }
    let description = Description::tokens(vocabulary)
        .embedding(128)
        .recurrent(Recurrent::new(CellKind::Lstm, 512).layers(2))
        .linear(vocabulary);
    let mut model = Model::<f32>::new(description)?;
    initialise(&mut model, &Config::of(Task::Language).initialise, 1)?;
    let weights = model.values().len();
    let mut network = Network::new(model.description(), engine)?;
    let adam = Optimiser::new(OptimiserConfig::Adam(Adam::default()), weights)?;
    let mut adam = adam.with_engine(engine);
    let clip = Clip::Norm { limit: 1.0 };
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let mut state = State::zero(model.description(), SEQUENCES);
    let mut gradients = vec![0.0; weights];

    // A multiplicative generator: any tokens will do.
    let mut seed = 1_u64;
    let tokens: Vec<u32> = (0..SEQUENCES * STEPS * 40 + 1)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u32 % vocabulary as u32
        })
        .collect();
    let lanes = Lanes::new(&tokens, SEQUENCES, STEPS)?;

    network.load(model.values(), true);
    let (mut times, mut losses) = (vec![], vec![]);
    let mut profile = None;
    let begun = Instant::now();
    let mut step = 0;
    while times.len() < 5 || begun.elapsed().as_secs_f64() < seconds {
        // The first steps touch memory for the first time.
        if step == 3 && profiled {
            profile = Some(Profile::start());
        }
        let started = Instant::now();
        let at = step % lanes.batches();
        if at == 0 {
            state.reset();
        }
        let tokens = {
            let _span = span("data");
            lanes.batch(at)
        };
        let batch = Batch::new(tokens.steps, SEQUENCES, Input::Tokens(&tokens.x));
        let noise = Noise { seed: 1, step: step as u64 };
        let (shape, targets) = ((tokens.y.len(), vocabulary), Targets::Classes(&tokens.y));
        let mut loss = loss.piecewise(engine, shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, Some(&mut state), noise, &mut judge, &mut gradients)?;
        let value = loss.value();
        let norm = {
            let _span = span("gradient norm");
            norm_on(engine, &gradients)
        };
        {
            let _span = span("optimiser");
            adam.step_clipped(model.values_mut(), &gradients, clip.decide(norm), 1e-3)?;
        }
        network.load(model.values(), true);
        if step >= 3 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        assert!(norm.is_finite(), "the gradient is a number");
        losses.push(value.mean);
        step += 1;
    }
    if let Some(profile) = profile {
        for entry in profile.end().0 {
            let ms = entry.time.as_secs_f64() * 1e3 / times.len() as f64;
            eprintln!("{ms:9.3} ms  {}", entry.path.join(" / "));
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "{{\"vocabulary\": {vocabulary}, \"precision\": \"{}\", \"threads\": {}, \"isa\": \"{}\", \
         \"ms\": {median:.1}, \"min_ms\": {:.1}, \"tokens_per_s\": {:.0}, \"steps\": {}, \
         \"loss\": [{:.4}, {:.4}]}}",
        precision.name(),
        engine.threads(),
        engine.isa(),
        times[0],
        (SEQUENCES * STEPS) as f64 / median * 1e3,
        times.len(),
        losses[0],
        losses[losses.len() - 1]
    );
    Ok(())
}
