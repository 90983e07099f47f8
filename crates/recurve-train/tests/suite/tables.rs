//! Tables to windows, from the outside: the series that ship, made-up faults, and real files where
//! they are at hand.

use proptest::prelude::*;
use recurve_train::baseline::Naive;
use recurve_train::data::{
    Columns, DataPlan, Frequency, Part, ScalerKind, Series, Split, SplitSize, Table, TableOptions,
    guess,
};
use recurve_train::metrics::{Scores, mase_scale};
use recurve_train::task::Task;
use std::io::Write;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data").join(name)
}

/// A file of the folder of public data, or `None`, said aloud, where the folder is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RECURVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = folder.join("data").join(name);
    if !path.exists() {
        // Past the capture of the harness, which would hide it.
        let _ = writeln!(
            std::io::stderr(),
            "not run: {} is absent (set RECURVE_SHARED)",
            path.display()
        );
    }
    path.exists().then_some(path)
}

fn plan(path: &Path, options: &TableOptions) -> (Table, DataPlan) {
    let table = Table::read(path).unwrap();
    let plan = DataPlan::new(&table, options).unwrap();
    println!("{}\n", plan.describe(&table).join("\n"));
    (table, plan)
}

fn refusal(text: &str, options: &TableOptions) -> String {
    let table = Table::parse("t.csv", text).unwrap();
    let error = DataPlan::new(&table, options).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

/// `rows` months with a value each, beginning in January 2000.
fn months(rows: usize, value: impl Fn(usize) -> String) -> String {
    let row = |i: usize| format!("{}-{:02},{}\n", 2000 + i / 12, i % 12 + 1, value(i));
    "month,units\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

#[test]
fn airline_passengers_are_understood_without_a_word() {
    let path = example("airline-passengers.csv");
    assert_eq!(guess(&path).unwrap().task, Task::Forecast);
    let (table, plan) = plan(&path, &TableOptions::default());
    assert_eq!(plan.frequency, Frequency::Months { count: 1, day: 1 });
    assert_eq!((plan.season, plan.horizon, plan.input), (12, 12, 24));
    assert_eq!(plan.split, Split { train: 108, validation: 12, test: 24 });
    assert!(plan.transform.log);
    assert_eq!(plan.transform.lags, [12]);
    assert_eq!(plan.targets[0].column, "passengers");

    let series = Series::new(&table, &plan).unwrap();
    assert_eq!(series.origins(Part::Test, 12), [120, 132]);
    assert_eq!(series.origins(Part::Validation, 1), [108]);
    let train = series.origins(Part::Train, 1);
    assert_eq!((train[0], *train.last().unwrap()), (36, 96));
    assert_eq!(series.time(144).unwrap(), "1961-01");
    assert_eq!(series.time(120).unwrap(), "1959-01");

    // Seasonal naive on the last 24 months, two origins: forecasts 1959 by 1958 and 1960 by 1959.
    let origins = series.origins(Part::Test, 12);
    let forecast = Naive::Seasonal(12).rolling(series.values(0), &origins, 12).unwrap();
    assert_eq!((forecast[0], forecast[12]), (340.0, 360.0));
    let actual: Vec<f64> = origins.iter().flat_map(|&origin| series.actual(origin)).collect();
    let scale = mase_scale(&series.values(0)[..plan.split.train], plan.season);
    let scores = Scores::new(&forecast, &actual, scale);
    let by_hand: f64 =
        (120..144).map(|t| (series.values(0)[t] - series.values(0)[t - 12]).abs()).sum();
    assert!((scores.mae - by_hand / 24.0).abs() < 1e-12);
    assert!(scores.mase.unwrap() > 1.0, "growth makes the naive forecast lag behind");
}

#[test]
fn sunspots_and_nile_are_understood() {
    let (table, sunspots) = plan(&example("sunspots.csv"), &TableOptions::default());
    assert_eq!(table.rows(), 309);
    assert_eq!((sunspots.season, sunspots.horizon), (11, 11));
    assert_eq!(sunspots.frequency.to_string(), "yearly");
    assert!(!sunspots.transform.log && sunspots.transform.lags.is_empty());
    let (table, nile) = plan(&example("nile.csv"), &TableOptions::default());
    assert_eq!((table.rows(), nile.season, nile.targets[0].column.as_str()), (100, 1, "flow"));
    let series = Series::new(&table, &nile).unwrap();
    assert_eq!(series.time(100).unwrap(), "1971");
}

#[test]
fn windows_hold_what_the_plan_says() {
    let text = (0..20).map(|i| format!("{},{},{}\n", i, i * 10, i * 100)).collect::<String>();
    let table = Table::parse("t.csv", &("t,a,b\n".to_owned() + &text)).unwrap();
    let options = TableOptions {
        targets: Columns::Named(vec!["b".to_owned()]),
        covariates: Columns::All,
        scaler: ScalerKind::None,
        log: Some(false),
        difference: Some(false),
        seasonal_difference: Some(false),
        input: Some(3),
        horizon: Some(2),
        validation: Some(SplitSize::Rows(4)),
        test: Some(SplitSize::Fraction(0.2)),
        ..TableOptions::default()
    };
    let plan = DataPlan::new(&table, &options).unwrap();
    assert_eq!(plan.split, Split { train: 12, validation: 4, test: 4 });
    assert_eq!((plan.channels(), plan.outputs(), plan.rows_needed()), (2, 2, 3));
    let series = Series::new(&table, &plan).unwrap();
    assert_eq!(series.origins(Part::Train, 1), (3..=10).collect::<Vec<_>>());
    assert_eq!(series.origins(Part::Validation, 1), [12, 13, 14]);
    assert_eq!(series.origins(Part::Test, 2), [16, 18]);
    // [T,B,I]: step by step, both windows, target then covariate.
    let x = [200., 20., 500., 50., 300., 30., 600., 60., 400., 40., 700., 70.];
    assert_eq!(series.inputs(&[5, 8]), x);
    assert_eq!(series.targets(&[5, 8]), [500., 600., 800., 900.]);
    assert_eq!(series.next_targets(&[5, 8]), [300., 600., 400., 700., 500., 800.]);
    assert_eq!(series.actual(5), [500., 600.]);
    assert_eq!(series.inputs(&[20]).len(), 6, "the window of the forecast itself");
    assert_eq!(series.time(21).unwrap(), "21");
}

#[test]
fn the_scaler_sees_the_training_part_only() {
    let flat = |later: f64| {
        let values = |i: usize| {
            if i < 80 { (i % 2).to_string() } else { later.to_string() }
        };
        let table = Table::parse("t.csv", &months(100, values)).unwrap();
        let size = Some(SplitSize::Rows(10));
        let options = TableOptions {
            validation: size,
            test: size,
            season: Some(1),
            horizon: Some(2),
            ..TableOptions::default()
        };
        DataPlan::new(&table, &options).unwrap()
    };
    assert_eq!(flat(7.0), flat(-1e6));
    assert_eq!((flat(7.0).targets[0].scaler.shift, flat(7.0).targets[0].scaler.scale), (0.5, 0.5));
}

#[test]
fn the_season_is_that_of_the_training_part() {
    let of = |rows: usize, options: &TableOptions, later: f64| {
        let train = DataPlan::new(&waves(rows, rows, 0.0), options).unwrap().split.train;
        let plan = DataPlan::new(&waves(rows, train, later), options).unwrap();
        assert_eq!(plan.split.train, train);
        plan
    };
    // With whole horizons of its own length held out, and with others that reach further back.
    let long = TableOptions { horizon: Some(20), ..TableOptions::default() };
    for (rows, options) in [(200, TableOptions::default()), (70, long)] {
        let plan = of(rows, &options, 0.0);
        assert_eq!(plan.season, 7);
        for later in [3.0, 11.0] {
            assert_eq!(of(rows, &options, later), plan);
        }
    }
    // Three quarters of this file hold more than is left to train on.
    let plan = DataPlan::new(&waves(36, 36, 0.0), &TableOptions::default()).unwrap();
    assert_eq!((plan.season, plan.split.train), (7, 22));
}

/// Waves of 7 rows, and from row `from` on of `later` rows where that is not 0.
fn waves(rows: usize, from: usize, later: f64) -> Table {
    let value = |i: usize| {
        let period = if i >= from && later > 0.0 { later } else { 7.0 };
        format!("{:.6}\n", (i as f64 / period * std::f64::consts::TAU).sin())
    };
    let text = "units\n".to_owned() + &(0..rows).map(value).collect::<String>();
    Table::parse("t.csv", &text).unwrap()
}

#[test]
fn a_wrong_clock_is_named() {
    let options = TableOptions::default();
    let without = |gone: &[usize]| {
        let text = months(60, |i| i.to_string());
        let lines = text.lines().enumerate().filter(|(line, _)| !gone.contains(&(line + 1)));
        lines.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let gap = refusal(&without(&[20, 21]), &options);
    assert!(
        gap.contains(
            "t.csv, rows monthly: column `month`: 2 rows are missing, the first for 2001-07, between `2001-06` on \
             line 19 and `2001-09` on line 20"
        ),
        "{gap}"
    );
    assert!(refusal(&without(&[20]), &options).contains("the row for 2001-07 is missing"));

    let twice = months(60, |i| i.to_string()).replace("2001-07,", "2001-06,");
    let twice = refusal(&twice, &options);
    assert!(twice.contains("`2001-06` stands again on line 20, first on line 19"), "{twice}");

    let swapped = months(60, |i| i.to_string()).replace("2001-07,", "2000-07,");
    let swapped = refusal(&swapped, &options);
    assert!(swapped.contains("`2000-07` on line 20 comes after the later `2001-06`"), "{swapped}");

    let bad = refusal(&months(60, |i| i.to_string()).replace("2001-07,", "2001-13,"), &options);
    assert!(bad.contains("t.csv, line 20, column `month`: `2001-13` is not a time"), "{bad}");

    let ignoring = TableOptions { time: Some("none".to_owned()), ..options };
    let table = Table::parse("t.csv", &without(&[20, 21])).unwrap();
    assert_eq!(DataPlan::new(&table, &ignoring).unwrap().frequency, Frequency::Rows);
}

#[test]
fn times_in_other_spellings_are_read_or_refused() {
    let table = |spell: &dyn Fn(usize) -> String, gone: &[usize]| {
        let rows = (0..60).filter(|row| !gone.contains(row));
        "when,units\n".to_owned()
            + &rows.map(|row| format!("{},{}\n", spell(row), row * row)).collect::<String>()
    };
    let date = |row: usize| (row / 28 + 1, row % 28 + 1);
    let known: [(&dyn Fn(usize) -> String, &str); 2] = [
        (&|row| format!("2021/{:02}/{:02}", date(row).0, date(row).1), "2021/01/11"),
        (&|row| format!("{:02}.{:02}.2021", date(row).1, date(row).0), "11.01.2021"),
    ];
    for (spell, missing) in known {
        let gap = refusal(&table(spell, &[10]), &TableOptions::default());
        assert!(gap.contains(&format!("the row for {missing} is missing")), "{gap}");
    }
    let quarter = |row: usize| format!("{}-Q{}", 1990 + row / 4, row % 4 + 1);
    let unknown: [(&dyn Fn(usize) -> String, &str); 5] = [
        (&|row| format!("{:02}/{:02}/2021", date(row).1, date(row).0), "01/01/2021"),
        (&|row| format!("{:02}-{:02}-2021", date(row).1, date(row).0), "01-01-2021"),
        (&|row| format!("Jan {}", 1900 + row), "Jan 1900"),
        (&quarter, "1990-Q1"),
        // A row that stands twice is no reason to pass the column over.
        (&|row| quarter(row.max(1)), "1990-Q2"),
    ];
    for (spell, first) in unknown {
        let text = table(spell, &[10]);
        let error = refusal(&text, &TableOptions::default());
        for word in
            ["t.csv, line 2, column `when`", first, "2020/01/31", "31.01.2020", "data.time=none"]
        {
            assert!(error.contains(word), "{word}: {error}");
        }
        let none = TableOptions { time: Some("none".to_owned()), ..TableOptions::default() };
        let plan = DataPlan::new(&Table::parse("t.csv", &text).unwrap(), &none).unwrap();
        assert_eq!(plan.frequency, Frequency::Rows);
    }
    // Names without digits and labels that repeat are no times.
    let labels: [&dyn Fn(usize) -> String; 2] =
        [&|row| format!("shop{}", row % 3), &|row| "x".repeat(row + 1)];
    for spell in labels {
        let table = Table::parse("t.csv", &table(spell, &[])).unwrap();
        let plan = DataPlan::new(&table, &TableOptions::default()).unwrap();
        assert_eq!(plan.time, None);
    }
}

#[test]
fn wrong_cells_columns_and_sizes_are_named() {
    let default = TableOptions::default();
    let good = |i: usize| (i + 1).to_string();
    for (cell, expected) in [
        ("", "line 32, column `units`: the cell is empty"),
        ("x", "line 32, column `units`: `x` is not a number"),
        ("nan", "line 32, column `units`: `nan` is not a finite number"),
    ] {
        let text = months(60, |i| if i == 30 { cell.to_owned() } else { good(i) });
        assert!(refusal(&text, &default).contains(expected), "{cell}");
    }
    let text = months(60, good);
    let with = |options: TableOptions| refusal(&text, &options);
    let names = |name: &str| Columns::Named(vec![name.to_owned()]);
    let wrong = with(TableOptions { targets: names("unit"), ..default.clone() });
    assert!(wrong.contains("there is no column `unit`; did you mean `units`?"), "{wrong}");
    let wrong = with(TableOptions {
        covariates: names("units"),
        targets: names("units"),
        ..default.clone()
    });
    assert!(wrong.contains("`units` cannot be a covariate, it is already a target"), "{wrong}");
    let wrong = with(TableOptions { targets: names("month"), ..default.clone() });
    assert!(wrong.contains("it is already the time column"), "{wrong}");
    let wrong = with(TableOptions { horizon: Some(0), ..default.clone() });
    assert!(wrong.contains("`horizon` is 0"), "{wrong}");
    let wrong = with(TableOptions { test: Some(SplitSize::Fraction(1.5)), ..default.clone() });
    assert!(wrong.contains("`test` is 1.5"), "{wrong}");
    let wrong = with(TableOptions { test: Some(SplitSize::Rows(5)), ..default.clone() });
    assert!(wrong.contains("the test part has 5 rows, fewer than the horizon of 12"), "{wrong}");
    let wrong = with(TableOptions { input: Some(60), ..default.clone() });
    assert!(wrong.contains("60 rows are too few, expected at least"), "{wrong}");
    let wrong = with(TableOptions { input: Some(usize::MAX), ..default.clone() });
    assert!(wrong.contains("more than the 60 rows of t.csv"), "{wrong}");
    let wrong = with(TableOptions { horizon: Some(usize::MAX), ..default.clone() });
    assert!(wrong.contains("`horizon` is 18446744073709551615, more than the 60 rows"), "{wrong}");
    let seasonal = Some(true);
    let wrong =
        with(TableOptions { season: Some(1), seasonal_difference: seasonal, ..default.clone() });
    assert!(wrong.contains("the season is 1 row"), "{wrong}");
    let wrong = refusal(
        &months(60, |i| (30 - i as i64).to_string()),
        &TableOptions { log: Some(true), ..default.clone() },
    );
    assert!(wrong.contains("line 32, column `units`: `0` has no logarithm"), "{wrong}");
    assert!(refusal("a,b\nx,y\nz,w\n", &default).contains("no column of numbers"));
    assert!(refusal(&months(3, good), &default).contains("rows"));
    assert!(refusal(&months(1, good), &default).contains("one row is too few"));
}

#[test]
fn a_plan_is_stored_to_the_bit_and_reads_later_data() {
    let (table, plan) = plan(&example("airline-passengers.csv"), &TableOptions::default());
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<DataPlan>(&stored).unwrap(), plan);
    assert_eq!(DataPlan::new(&table, &plan.options()).unwrap(), plan);

    let later = Table::parse("later.csv", &months(48, |i| (400 + i % 12).to_string())).unwrap();
    let error = Series::new(&later, &plan).unwrap_err().to_string();
    assert!(error.contains("later.csv: there is no column `passengers`"), "{error}");
    let text = months(48, |i| (400 + i % 12).to_string()).replace("units", "passengers");
    let series = Series::new(&Table::parse("later.csv", &text).unwrap(), &plan).unwrap();
    assert_eq!(series.time(48).unwrap(), "2004-01");
    let text = months(30, |i| i.to_string()).replace("units", "passengers");
    assert!(Series::new(&Table::parse("later.csv", &text).unwrap(), &plan).is_err(), "log of 0");
    let text = months(30, |i| (i + 1).to_string()).replace("units", "passengers");
    let error = Series::new(&Table::parse("later.csv", &text).unwrap(), &plan).unwrap_err();
    assert!(error.to_string().contains("30 rows are fewer than a window, expected at least 36"));
}

#[test]
fn a_diverged_forecast_is_a_failure() {
    let (table, plan) = plan(&example("airline-passengers.csv"), &TableOptions::default());
    let series = Series::new(&table, &plan).unwrap();
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let error = series.restore(144, &[0.0, bad]).unwrap_err();
        assert!(error.is_failed() && error.to_string().contains("1961-02"), "{error}");
    }
}

#[test]
fn real_files_are_understood_or_refused_by_name() {
    if let Some(path) = shared("classic-series/sunspots.csv") {
        let (ours, theirs) = (Table::read(&example("sunspots.csv")), Table::read(&path));
        assert_eq!(ours.unwrap().numbers(1).unwrap(), theirs.unwrap().numbers(1).unwrap());
    }
    if let Some(path) = shared("classic-series/nile.csv") {
        let (ours, theirs) = (Table::read(&example("nile.csv")), Table::read(&path));
        assert_eq!(ours.unwrap().numbers(1).unwrap(), theirs.unwrap().numbers(1).unwrap());
    }
    if let Some(path) = shared("classic-series/co2.csv") {
        let table = Table::read(&path).unwrap();
        let error = DataPlan::new(&table, &TableOptions::default()).unwrap_err().to_string();
        assert!(error.contains("co2.csv, line 8, column `co2`: the cell is empty"), "{error}");
    }
    if let Some(path) = shared("classic-series/elnino.csv") {
        let (_, plan) = plan(&path, &TableOptions::default());
        assert_eq!(plan.targets[0].column, "DEC");
    }
    if let Some(path) = shared("ett/ETTh1.csv") {
        assert_eq!(guess(&path).unwrap().task, Task::Forecast);
        let options = TableOptions { covariates: Columns::All, ..TableOptions::default() };
        let (table, plan) = plan(&path, &options);
        assert_eq!((plan.frequency, plan.season), (Frequency::Seconds(3600), 24));
        assert_eq!((plan.targets[0].column.as_str(), plan.channels()), ("OT", 7));
        let series = Series::new(&table, &plan).unwrap();
        assert_eq!(series.time(17_420).unwrap(), "2018-06-26 20:00:00");
    }
    for name in
        ["tiny-shakespeare/input.txt", "names/names.txt", "war-and-peace/warpeace_input.txt"]
    {
        if let Some(path) = shared(name) {
            assert_eq!(guess(&path).unwrap().task, Task::Language, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restoring_true_targets_gives_the_true_values(
        log: bool, difference: bool, seasonal: bool, scaler in 0..3,
        values in prop::collection::vec(1.0_f64..1000.0, 60),
    ) {
        let table = Table::parse("t.csv", &months(60, |i| values[i].to_string())).unwrap();
        let options = TableOptions {
            log: Some(log),
            difference: Some(difference),
            seasonal_difference: Some(seasonal),
            scaler: [ScalerKind::Standard, ScalerKind::MinMax, ScalerKind::None][scaler as usize],
            input: Some(4),
            horizon: Some(3),
            ..TableOptions::default()
        };
        let plan = DataPlan::new(&table, &options).unwrap();
        let series = Series::new(&table, &plan).unwrap();
        for part in [Part::Train, Part::Test] {
            for origin in series.origins(part, 3) {
                let restored = series.restore(origin, &series.targets(&[origin])).unwrap();
                for (restored, actual) in restored.iter().zip(series.actual(origin)) {
                    // The scaled values are f32; differences of logarithms magnify their rounding.
                    prop_assert!((restored - actual).abs() <= 1e-3, "{restored} {actual}");
                }
            }
        }
        let stored = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<DataPlan>(&stored).unwrap(), plan);
    }

    #[test]
    fn any_table_makes_a_plan_or_an_error(
        text in "(([0-9]{1,4}|2020-0[1-9](-[0-2][0-9])?|-?[0-9]\\.[0-9]|x|)[,;\n]){0,80}",
        log: Option<bool>, difference: Option<bool>, seasonal: Option<bool>,
        season in prop::option::of(0_usize..9), input in prop::option::of(0_usize..9),
        horizon in prop::option::of(0_usize..4), validation in prop::option::of(0_usize..9),
        test in prop::option::of(-0.5_f64..1.5),
    ) {
        let options = TableOptions {
            log, difference, seasonal_difference: seasonal, season, input, horizon,
            covariates: Columns::All,
            validation: validation.map(SplitSize::Rows),
            test: test.map(SplitSize::Fraction),
            ..TableOptions::default()
        };
        if let Ok(table) = Table::parse("t.csv", &text)
            && let Ok(plan) = DataPlan::new(&table, &options)
        {
            plan.describe(&table);
            let series = Series::new(&table, &plan).unwrap();
            for part in [Part::Train, Part::Validation, Part::Test, Part::All] {
                let origins = series.origins(part, 1);
                prop_assert!(series.inputs(&origins).iter().all(|value| value.is_finite()));
                series.targets(&origins);
                series.next_targets(&origins);
            }
            prop_assert!(!series.origins(Part::Train, 1).is_empty());
            series.inputs(&[series.rows()]);
        }
    }

    #[test]
    fn numbers_in_columns_make_a_plan_or_an_error(
        rows in 2_usize..60, seed: u64, columns in 1_usize..4, start in 0_i32..3000,
        season in prop::option::of(1_usize..9), horizon in prop::option::of(1_usize..4),
    ) {
        let cell = |i: usize, j: usize| seed.wrapping_mul((i * 7 + j) as u64 + 1) % 1000;
        let row = |i: usize| {
            let cells = (0..columns).map(|j| format!(",{}", cell(i, j))).collect::<String>();
            format!("{}{cells}\n", start + i as i32)
        };
        let text = (0..rows).map(row).collect::<String>();
        let table = Table::parse("t.csv", &text).unwrap();
        let options = TableOptions { season, horizon, ..TableOptions::default() };
        if let Ok(plan) = DataPlan::new(&table, &options) {
            let series = Series::new(&table, &plan).unwrap();
            prop_assert!(!series.origins(Part::Train, 1).is_empty());
            prop_assert_eq!(series.time(rows).unwrap(), (start + rows as i32).to_string());
        }
    }
}
