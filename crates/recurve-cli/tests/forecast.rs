//! Forecasts of many series with all that is known of them: from the file to intervals and backtests; and
//! the search for settings.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use support::{Ran, fed, recurve};

/// Three shops by day, with a price known ahead, a kind, and `later` rows without sales.
fn shops(later: usize, gap: bool) -> String {
    let mut text = "shop,date,price,kind,units\n".to_owned();
    for shop in 0..3 {
        for day in 0..90 + later {
            let date = format!("2024-{:02}-{:02}", 1 + day / 28, 1 + day % 28);
            let price = if day / 5 % 3 == 0 { 8 } else { 10 };
            let wave = (day as f64 * 0.9).sin();
            let units = 20.0 * (shop + 1) as f64 * (1.0 + 0.2 * wave) + (10 - price) as f64;
            let units = match () {
                () if day >= 90 || (gap && day == 40) => String::new(),
                () => format!("{units:.2}"),
            };
            let kind = ["small", "large"][shop % 2];
            writeln!(text, "shop {shop},{date},{price},{kind},{units}").expect("a string");
        }
    }
    // 28 days to a month are no dates of a calendar: rows are counted.
    text
}

fn quick(folder: &Path, args: &[&str]) -> Ran {
    let short = ["train", "--quiet", "--json", "--task", "forecast"];
    let sets = [
        "train.epochs=3",
        "model.hidden=8",
        "data.time=none",
        "data.series=shop",
        "data.targets=units",
        "data.horizon=4",
        "data.input=8",
        "data.season=7",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    recurve(folder, &[&short[..], &sets, args].concat())
}

fn folder_with(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("room");
    }
    folder
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + b.abs())
}

#[test]
fn many_series_with_what_is_known_ahead() {
    let folder = folder_with(&[("shops.csv", shops(0, false)), ("next.csv", shops(4, false))]);
    let here = folder.path();
    let known = ["--set", "data.known=price", "--set", "data.static=kind"];
    let told = quick(
        here,
        &[&["shops.csv", "--name", "s", "--set", "loss.kind=quantile"][..], &known].concat(),
    );
    let told = told.done().json();
    let own = &told["evaluation"];
    assert_eq!((&own["series"], &own["targets"][0]["target"]), (&3.into(), &"units".into()));
    assert!(own["targets"][0]["probability"]["crps"].as_f64().expect("a number") > 0.0);
    let nominal = own["targets"][0]["interval"]["nominal"].as_f64().expect("a number");
    assert!(near(nominal, 0.9), "{told}");
    let names: Vec<&str> = own["targets"][0]["baselines"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|baseline| baseline["name"].as_str())
        .collect();
    for name in ["naive", "seasonal naive", "drift", "simple smoothing", "Holt-Winters"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let margins = fs::read_to_string(here.join("runs/s/calibration.json")).expect("a file");
    let margins: serde_json::Value = serde_json::from_str(&margins).expect("JSON");
    assert_eq!(margins["margins"].as_array().map(Vec::len), Some(4));
    let report = fs::read_to_string(here.join("runs/s/report.html")).expect("a report");
    for words in ["units of shop 0", "should hold", "calibrated on the validation part"] {
        assert!(report.contains(words), "{words}");
    }
    // What is known must be told to forecast.
    recurve(here, &["forecast", "runs/s"]).refused(2, &["shop 0", "price", "0 of the 4 rows"]);
    let next = ["forecast", "runs/s", "next.csv", "--quantiles", "--output", "out.csv"];
    recurve(here, &next).done();
    let written = fs::read_to_string(here.join("out.csv")).expect("a file");
    let head = "shop,row,units,lower,upper,q0.05,q0.1,q0.25,q0.5,q0.75,q0.9,q0.95";
    assert_eq!(written.lines().next(), Some(head));
    assert_eq!(written.lines().count(), 13);
    for line in written.lines().skip(1) {
        let cells: Vec<f64> =
            line.split(',').skip(2).map(|cell| cell.parse().expect(line)).collect();
        assert!(near(cells[0], cells[6]), "the median is the forecast: {line}");
        assert!(cells[3..].is_sorted() && cells[1] <= cells[2], "{line}");
    }
    // Another price is another forecast.
    let dear = shops(4, false).replace(",8,", ",10,");
    fs::write(here.join("dear.csv"), dear).expect("room");
    let dear = recurve(here, &["forecast", "runs/s", "dear.csv", "--json"]).done();
    let next = recurve(here, &["forecast", "runs/s", "next.csv", "--json"]).done();
    assert_ne!(dear.out, next.out);
    // The mean of a model with itself is itself.
    let twice = recurve(here, &["forecast", "runs/s", "runs/s", "next.csv", "--json"]).done();
    assert_eq!(twice.json()[1]["values"], next.json()[1]["values"]);
    // A series that training did not see.
    let new = shops(4, false).replace("shop 2", "shop 9");
    fs::write(here.join("new.csv"), new).expect("room");
    let new = recurve(here, &["forecast", "runs/s", "new.csv", "--json"]).done().json();
    assert_eq!(new[2]["series"], "shop 9");
    assert_eq!(new[0]["values"], next.json()[0]["values"]);
    let back = recurve(here, &["backtest", "runs/s", "--stride", "3", "--json"]).done().json();
    assert_eq!((&back["stride"], &back["part"]), (&3.into(), &"test".into()));
    assert_eq!(back["targets"][0]["steps"].as_array().map(Vec::len), Some(4));
    recurve(here, &["eval", "runs/s"]).done();
    recurve(here, &["predict", "runs/s", "shops.csv", "--output", "p.csv"]).done();
}

#[test]
fn missing_values_streams_and_paths() {
    let folder = folder_with(&[("gap.csv", shops(0, true)), ("whole.csv", shops(0, false))]);
    let here = folder.path();
    quick(here, &["gap.csv"])
        .refused(2, &["gap.csv", "series `shop 0`", "line 42", "units", "empty"]);
    quick(here, &["gap.csv", "--name", "m", "--set", "data.missing=mask"]).done();
    // A stream of rows of all shops forecasts as the file does, also where a value is missing.
    let file = recurve(here, &["forecast", "runs/m", "--json"]).done().json();
    let lines: String = shops(0, true)
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{},{}\n", cells[0], cells[4])
        })
        .collect();
    let stream = fed(here, &["stream", "runs/m"], &lines).done();
    let answers: Vec<&str> = stream.out.lines().collect();
    for shop in 0..3 {
        let last: Vec<f64> = answers[shop * 90 + 89]
            .split(',')
            .map(|cell| cell.parse().expect("a number"))
            .collect();
        assert_eq!(serde_json::json!(last), file[shop]["values"]);
        assert_eq!(answers[shop * 90 + 6], "", "too few rows of the shop");
    }
    // Paths: the same seed draws the same.
    let paths = [
        "--set",
        "data.decoding=recursive",
        "--set",
        "loss.kind=normal",
        "--set",
        "model.paths=20",
    ];
    quick(here, &[&["whole.csv", "--name", "r"][..], &paths].concat()).done();
    let once = recurve(here, &["forecast", "runs/r", "--json"]).done();
    let again = recurve(here, &["forecast", "runs/r", "--json", "--threads", "1"]).done();
    assert_eq!(once.out, again.out);
    let quantiles = once.json()[0]["quantiles"].as_array().map(Vec::len);
    assert_eq!(quantiles, Some(4 * 21));
}

#[test]
fn what_does_not_go_together_is_refused_by_name() {
    let folder = folder_with(&[("shops.csv", shops(0, false))]);
    let here = folder.path();
    for (set, words) in [
        (&["data.known=units"][..], &["`units` cannot be a target", "known column"][..]),
        (&["data.series=shops"], &["no column `shops`", "did you mean `shop`"]),
        (&["data.static=price"], &["price", "static", "series `shop 0`"]),
        (&["data.calendar=weekday"], &["data.calendar needs a time column"]),
        (&["data.patch=3"], &["data.input is 8", "data.patch"]),
        (&["model.relative=9"], &["model.relative is 9", "8 rows of the window"]),
        (&["loss.kind=negative-binomial"], &["counts", "data.scaler"]),
        (&["loss.kind=quantile", "loss.levels=[0.9, 0.1]"], &["loss.levels", "rising"]),
        (&["loss.kind=quantile", "data.difference=true"], &["do not add up"]),
        (&["data.decoding=recursive", "data.covariates=price"], &["data.covariates", "data.known"]),
        (&["data.decoding=direct", "data.known=price"], &["does not read the horizon"]),
    ] {
        let sets: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
        quick(here, &[&["shops.csv"][..], &sets].concat()).refused(2, words);
    }
    assert!(!here.join("runs").exists());
    // Dates with a row missing in one series.
    let mut dates = "shop,date,units\n".to_owned();
    for shop in ["a", "b"] {
        for day in (1..=28).filter(|day| !(shop == "b" && *day == 9)) {
            writeln!(dates, "{shop},2024-01-{day:02},{}", day % 7).expect("a string");
        }
    }
    fs::write(here.join("dates.csv"), dates).expect("room");
    let args = ["train", "dates.csv", "--set", "data.series=shop", "--set", "data.horizon=2"];
    recurve(here, &args).refused(2, &["series `b`", "2024-01-09", "is missing", "line"]);
}

#[test]
fn settings_are_searched_and_a_search_goes_on() {
    let space = "trials = 3\nrounds = [1]\nkeep = 0.4\n[space]\n\"model.hidden\" = [4, 6]\n\
                 \"optimiser.learning_rate\" = { from = 1e-3, to = 1e-2, log = true }\n";
    let folder = folder_with(&[("shops.csv", shops(0, false)), ("space.toml", space.to_owned())]);
    let here = folder.path();
    let sets = [
        "data.time=none",
        "data.series=shop",
        "data.targets=units",
        "data.horizon=4",
        "train.epochs=2",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let args =
        [&["tune", "shops.csv", "space.toml", "--task", "forecast", "--json"][..], &sets].concat();
    let found = recurve(here, &args).done();
    let trials = found.json();
    assert_eq!(trials.as_array().map(Vec::len), Some(3));
    assert_eq!((&trials[0]["rounds"], &trials[1]["rounds"]), (&2.into(), &1.into()));
    assert!(here.join("tune/trial-001/model.safetensors").exists());
    // All is there already: the same table, and nothing is trained.
    let again = recurve(here, &args).done();
    assert_eq!(again.out, found.out);
    assert!(!again.err.contains("trial 1"), "{}", again.err);
    fs::write(here.join("space.toml"), space.replace("= 3", "= 4")).expect("room");
    recurve(here, &args).refused(2, &["another space"]);
    let range = [
        &["find-lr", "shops.csv", "--task", "forecast", "--steps", "30", "-o", "lr.svg"][..],
        &sets,
    ];
    let range = recurve(here, &range.concat()).done();
    assert!(range.out.contains("the loss was least at"), "{range:?}");
    assert!(fs::read_to_string(here.join("lr.svg")).expect("a file").contains("learning rate"));
}
