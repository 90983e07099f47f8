//! Optimisers, clipping, schedules and losses against PyTorch's numbers, in `golden/optimisers.json`
//! (made by `golden/gen/optimisers.py`).

use recurve_train::clip::Clip;
use recurve_train::loss::{IGNORE, Loss, Outputs, Targets};
use recurve_train::optimiser::{Optimiser, OptimiserConfig};
use recurve_train::schedule::{Schedule, ScheduleConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    optimisers: Optimisers,
    defaults: Vec<OptimiserConfig>,
    clipping: Vec<Clipping>,
    schedules: Schedules,
    losses: Losses,
}

#[derive(Deserialize)]
struct Optimisers {
    start: Vec<f64>,
    grads: Vec<Vec<f64>>,
    rates: Vec<f64>,
    without_decay: (usize, usize),
    cases: Vec<OptimiserCase>,
}

#[derive(Deserialize)]
struct OptimiserCase {
    config: OptimiserConfig,
    f32: Vec<Vec<f64>>,
    f64: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Clipping {
    limit: f64,
    grad: Vec<f64>,
    f32: Clipped,
    f64: Clipped,
}

#[derive(Deserialize)]
struct Clipped {
    norm: f64,
    by_norm: Vec<f64>,
    by_value: Vec<f64>,
}

#[derive(Deserialize)]
struct Schedules {
    base: f64,
    cosine: Rates,
    warmup_cosine: Rates,
    one_cycle: Vec<Rates>,
    step: Rates,
    plateau: Vec<Rates>,
}

#[derive(Deserialize)]
struct Rates {
    config: ScheduleConfig,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    metrics: Vec<f64>,
    rates: Vec<f64>,
}

#[derive(Deserialize)]
struct Losses {
    cross_entropy: Vec<EntropyCase>,
    regression: Vec<RegressionCase>,
}

#[derive(Deserialize)]
struct EntropyCase {
    rows: usize,
    width: usize,
    label_smoothing: f64,
    outputs: Vec<f64>,
    targets: Vec<Option<u32>>,
    f32: LossNumbers,
    f64: LossNumbers,
}

#[derive(Deserialize)]
struct RegressionCase {
    config: Loss,
    width: usize,
    outputs: Vec<f64>,
    targets: Vec<f64>,
    f32: LossNumbers,
    f64: LossNumbers,
}

#[derive(Deserialize)]
struct LossNumbers {
    loss: f64,
    d_outputs: Vec<f64>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/optimisers.json");
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn to<F: recurve_nn::Element>(values: &[f64]) -> Vec<F> {
    values.iter().map(|x| F::from_f64(*x)).collect()
}

/// Each to `tolerance` relative to the expected value, or to 1 where that is smaller.
fn assert_close<F: recurve_nn::Element>(found: &[F], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found.to_f64() - expected).abs();
        assert!(
            error <= tolerance * expected.abs().max(1.0),
            "{what}[{i}]: {found} is not {expected}"
        );
    }
}

fn run_optimiser<F: recurve_nn::Element>(
    given: &Optimisers,
    config: OptimiserConfig,
    expected: &[Vec<f64>],
    tolerance: f64,
) {
    let (first, last) = given.without_decay;
    let free = std::iter::once(first..last).collect::<Vec<_>>();
    let mut params = to::<F>(&given.start);
    let mut optimiser = Optimiser::new(config, params.len()).unwrap().without_decay(&free).unwrap();
    for (step, expected) in expected.iter().enumerate() {
        optimiser.step(&mut params, &to::<F>(&given.grads[step]), given.rates[step]).unwrap();
        assert_close(&params, expected, tolerance, &format!("{config:?} after step {step}"));
    }
}

#[test]
fn optimisers_take_the_same_steps() {
    let given = golden().optimisers;
    assert_eq!(given.cases.len(), 9);
    for case in &given.cases {
        run_optimiser::<f64>(&given, case.config, &case.f64, 1e-14);
        run_optimiser::<f32>(&given, case.config, &case.f32, 5e-7);
    }
}

#[test]
fn defaults_are_the_same() {
    let golden = golden();
    assert_eq!(golden.defaults.len(), 4);
    for expected in golden.defaults {
        let bare = format!("kind = \"{}\"", expected.kind());
        assert_eq!(toml::from_str::<OptimiserConfig>(&bare).unwrap(), expected);
    }
}

fn run_clipping<F: recurve_nn::Element>(case: &Clipping, expected: &Clipped, tolerance: f64) {
    let mut grads = to::<F>(&case.grad);
    let norm = Clip::Norm { limit: case.limit }.apply(&mut grads);
    assert_close(&[norm], &[expected.norm], tolerance, "norm");
    assert_close(&grads, &expected.by_norm, tolerance, "by norm");
    let mut grads = to::<F>(&case.grad);
    Clip::Value { limit: case.limit }.apply(&mut grads);
    assert_close(&grads, &expected.by_value, 0.0, "by value");
}

#[test]
fn clipping_is_the_same() {
    for case in golden().clipping {
        run_clipping::<f64>(&case, &case.f64, 1e-14);
        run_clipping::<f32>(&case, &case.f32, 5e-7);
    }
}

#[test]
fn schedules_give_the_same_rates() {
    let Schedules { base, cosine, warmup_cosine, one_cycle, step, plateau } = golden().schedules;
    let by_step = [cosine, warmup_cosine].into_iter().chain(one_cycle);
    for case in by_step {
        let schedule = Schedule::new(case.config, base, case.total).unwrap();
        let found: Vec<f64> =
            (0..case.rates.len() as u64).map(|step| schedule.rate(step, 0)).collect();
        assert_close(&found, &case.rates, 1e-15, &format!("{:?}", case.config));
    }
    let schedule = Schedule::new(step.config, base, 0).unwrap();
    let found: Vec<f64> =
        (0..step.rates.len() as u64).map(|epoch| schedule.rate(0, epoch)).collect();
    assert_close(&found, &step.rates, 1e-15, "step");
    for case in plateau {
        let mut schedule = Schedule::new(case.config, base, 0).unwrap();
        let mut found = Vec::new();
        for metric in &case.metrics {
            found.push(schedule.rate(0, 0));
            schedule.observe(*metric);
        }
        assert_close(&found, &case.rates, 1e-15, &format!("{:?}", case.config));
    }
}

fn run_entropy<F: recurve_nn::Element>(case: &EntropyCase, expected: &LossNumbers, tolerance: f64) {
    let outputs = to::<F>(&case.outputs);
    let targets: Vec<u32> = case.targets.iter().map(|t| t.unwrap_or(IGNORE)).collect();
    assert_eq!(targets.len(), case.rows);
    let loss = Loss::CrossEntropy { label_smoothing: case.label_smoothing };
    let mut d = vec![F::from_f64(f64::NAN); outputs.len()];
    let view = Outputs::new(&outputs, case.width);
    let value = loss.backward(view, Targets::Classes(&targets), &mut d).unwrap();
    assert_eq!(value.count, (case.rows - 1) as f64);
    assert_close(&[value.mean], &[expected.loss], tolerance, "cross-entropy");
    assert_close(&d, &expected.d_outputs, tolerance, "cross-entropy backward");
}

fn run_regression<F: recurve_nn::Element>(
    case: &RegressionCase,
    expected: &LossNumbers,
    tolerance: f64,
) {
    let (outputs, targets) = (to::<F>(&case.outputs), to::<F>(&case.targets));
    let mut d = vec![F::from_f64(f64::NAN); outputs.len()];
    let view = Outputs::new(&outputs, case.width);
    let value = case.config.backward(view, Targets::Values(&targets), &mut d).unwrap();
    let what = format!("{:?}", case.config);
    assert_close(&[value.mean], &[expected.loss], tolerance, &what);
    assert_close(&d, &expected.d_outputs, tolerance, &what);
}

#[test]
fn losses_and_their_derivatives_are_the_same() {
    let losses = golden().losses;
    assert_eq!((losses.cross_entropy.len(), losses.regression.len()), (3, 3));
    for case in &losses.cross_entropy {
        run_entropy::<f64>(case, &case.f64, 1e-14);
        run_entropy::<f32>(case, &case.f32, 5e-7);
    }
    for case in &losses.regression {
        run_regression::<f64>(case, &case.f64, 1e-14);
        run_regression::<f32>(case, &case.f32, 5e-7);
    }
}
