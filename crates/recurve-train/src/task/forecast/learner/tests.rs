use super::*;
use crate::config::Settings;
use crate::data::{DataPlan, Table};
use crate::model_file::engine;
use crate::task::{DataConfig, Task};
use recurve_nn::Model;

const ROWS: usize = 60;

fn value(row: usize, column: usize) -> f64 {
    let row = row as f64;
    [row.sin() + 3.0, 2.0 + (row * 0.7).cos(), 5.0 * (row * 0.3).sin()][column]
}

/// Two targets and a covariate, with a model whose weights are all zero.
fn zero_model(relative: usize) -> (ForecastLearner, Network<f32>) {
    let row = |r| format!("{},{},{}\n", value(r, 0), value(r, 1), value(r, 2));
    let text = "a,b,c\n".to_owned() + &(0..ROWS).map(row).collect::<String>();
    let table = Table::parse("t.csv", &text).unwrap();
    let mut settings = Settings::default();
    for set in [
        "data.targets=[\"b\", \"a\"]",
        "data.covariates=c",
        "data.log=false",
        "data.difference=false",
        "data.seasonal_difference=false",
        "data.horizon=3",
        "data.input=4",
        "data.season=1",
        "data.test=10",
        "data.validation=9",
    ] {
        settings.set(set).unwrap();
    }
    settings.set(&format!("model.relative={relative}")).unwrap();
    let config = Config::complete(Task::Forecast, &settings).unwrap();
    let DataConfig::Forecast(options) = &config.data else { panic!("the task is to forecast") };
    let plan = DataPlan::new(&table, options).unwrap();
    let panel = Panel::new(&table, &plan).unwrap();
    let learner = ForecastLearner::new(panel, &config).unwrap();
    let model = Model::<f32>::new(learner.description(&config)).unwrap();
    let mut network = Network::new(model.description(), engine(1).unwrap()).unwrap();
    network.load(model.values(), true);
    (learner, network)
}

fn forecasts_of(
    learner: &ForecastLearner,
    network: &mut Network<f32>,
    rows: &[usize],
) -> Vec<Vec<f64>> {
    let origins: Vec<Origin> = rows.iter().map(|row| (0, *row)).collect();
    let Source { view, panel, .. } = &*learner.source;
    let made = view.forecast(network, panel, &origins).unwrap();
    made.into_iter().map(|outlook| outlook.values).collect()
}

#[test]
fn a_model_that_says_nothing_repeats_the_last_row_where_it_is_relative() {
    let (learner, mut network) = zero_model(1);
    let origins = [4, 20, ROWS];
    let made = forecasts_of(&learner, &mut network, &origins);
    for (forecast, origin) in made.iter().zip(origins) {
        for (at, value_made) in forecast.iter().enumerate() {
            let last = value(origin - 1, [1, 0][at % 2]);
            assert!((value_made - last).abs() < 1e-6, "{origin} {value_made} {last}");
        }
    }
    // Else it says the mean of the training part.
    let (learner, mut network) = zero_model(0);
    let made = forecasts_of(&learner, &mut network, &origins);
    let train = learner.source.panel.series()[0].plan().split.train;
    for (at, value_made) in made.concat().iter().enumerate() {
        let mean = (0..train).map(|row| value(row, [1, 0][at % 2])).sum::<f64>() / train as f64;
        assert!((value_made - mean).abs() < 1e-6, "{value_made} {mean}");
    }
}

#[test]
fn the_validation_metric_and_the_report_by_hand() {
    let (mut learner, mut network) = zero_model(1);
    // Origins 41 to 47: the last row again, for 3 rows each.
    let naive_error = |origins: &[usize], column: usize| {
        let error = |origin: usize| {
            (0..3).map(move |step| (value(origin + step, column) - value(origin - 1, column)).abs())
        };
        let errors: Vec<f64> = origins.iter().flat_map(|origin| error(*origin)).collect();
        errors.iter().sum::<f64>() / errors.len() as f64
    };
    let scale = |column: usize| {
        let steps = (1..41).map(|row| (value(row, column) - value(row - 1, column)).abs());
        steps.sum::<f64>() / 40.0
    };
    let origins: Vec<usize> = (41..=47).collect();
    let expected =
        (naive_error(&origins, 0) / scale(0) + naive_error(&origins, 1) / scale(1)) / 2.0;
    let found = learner.validate(&mut network).unwrap().unwrap();
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    assert_eq!(learner.metric(), "MASE");

    // The test part has 10 rows: the first is no whole horizon and is left out.
    let Evaluation::Forecast(report) = learner.evaluate(&mut network).unwrap() else {
        panic!("a table is forecast")
    };
    assert_eq!((report.origins, report.first_time.as_str()), (3, "52"));
    let target = &report.targets[1];
    assert_eq!(target.target, "a");
    let expected = naive_error(&[51, 54, 57], 0);
    assert!((target.model.mae - expected).abs() < 1e-6);
    let naive = &target.baselines[0];
    assert_eq!(naive.name, "naive");
    assert!((naive.scores.mae - expected).abs() < 1e-12);
    assert!(report.skill("naive").unwrap().abs() < 1e-6);
    assert_eq!(report.predictions.len(), 2 * 9);
    let last = &report.predictions[17];
    assert_eq!((last.step, last.time.as_str(), last.origin.as_str()), (3, "60", "58"));
    assert!((last.actual - value(59, 0)).abs() < 1e-12);
}

#[test]
fn an_epoch_meets_every_window_once() {
    // Relative targets of a zero model: the loss of all batches is the mean square of the
    // scaled changes, whatever the order.
    let (mut learner, mut network) = zero_model(1);
    let model = Model::<f32>::new(network.description().clone()).unwrap();
    let mut gradients = vec![0.0; model.values().len()];
    let (mut sum, mut count, mut units) = (0.0, 0.0, 0);
    for batch in 0..learner.batches() as u64 {
        let at = Position { epoch: 3, batch };
        let noise = Noise { seed: 1, step: batch };
        let learned = learner.learn(&mut network, at, noise, &mut gradients).unwrap();
        sum += learned.loss.mean * learned.loss.count;
        count += learned.loss.count;
        units += learned.units;
    }
    let series = &learner.source.panel.series()[0];
    let scaled = |row: usize, target: usize| {
        let scaler = series.plan().targets[target].scaler;
        scaler.apply(series.values(target)[row])
    };
    let mut expected = Vec::new();
    for &(_, origin) in &learner.source.train {
        for (step, target) in (0..3).flat_map(|step| [(step, 0), (step, 1)]) {
            let change = scaled(origin + step, target) - scaled(origin - 1, target);
            expected.push(change * change);
        }
    }
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    assert_eq!(units, learner.source.train.len());
    assert!((sum / count - mean).abs() < 1e-5, "{} {mean}", sum / count);
}
