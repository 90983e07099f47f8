//! The configuration from the outside: what can be written, what is refused and with which words.

use recurve_train::config::{Config, Settings, Task, keys};
use recurve_train::error::Result;

fn complete(task: Task, assignments: &[&str]) -> Result<Config> {
    let mut settings = Settings::default();
    for assignment in assignments {
        settings.set(assignment)?;
    }
    Config::complete(task, &settings)
}

fn refusal(task: Task, assignments: &[&str]) -> String {
    let error = complete(task, assignments).unwrap_err();
    assert!(error.is_usage(), "{error}");
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn the_written_default_reads_back() {
    for task in Task::ALL {
        let config = Config::of(task);
        config.validate().unwrap();
        let text = config.commented();
        let settings = Settings::parse("default", &text).unwrap();
        assert_eq!(settings.task(), Some(task));
        assert_eq!(Config::complete(task, &settings).unwrap(), config, "{text}");
    }
}

#[test]
fn a_changed_configuration_reads_back_to_the_bit() {
    let forecast = [
        "data.targets=[\"a\", \"b c\"]",
        "data.time=none",
        "data.log=true",
        "data.test=0.25",
        "data.validation=12",
        "model.cell=gru-reset-before",
        "model.pooling=mean",
        "optimiser=sgd",
        "optimiser.momentum=0.9",
        "optimiser.nesterov=true",
        "schedule.kind=step",
        "schedule.every_epochs=7",
        "clip=value",
        "clip.limit=0.1",
        "loss=huber",
        "nan=skip-step",
        "initialise.input.kind=uniform",
        "initialise.input.bound=0.07",
        "optimiser.learning_rate=0.012345678901234567",
    ];
    let language = [
        "data.vocabulary=bytes",
        "model.embedding=12",
        "train.steps=9",
        "schedule=one-cycle",
        "optimiser=rmsprop",
        "loss.label_smoothing=0.1",
    ];
    for (task, assignments) in [(Task::Forecast, &forecast[..]), (Task::Language, &language)] {
        let config = complete(task, assignments).unwrap();
        let settings = Settings::parse("written", &config.commented()).unwrap();
        assert_eq!(Config::complete(task, &settings).unwrap(), config);
        assert_ne!(config, Config::of(task));
    }
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    fn walk(prefix: &str, table: &toml::Table, names: &mut Vec<String>) {
        for (name, value) in table {
            match value {
                toml::Value::Table(table) => walk(&format!("{prefix}{name}."), table, names),
                _ => names.push(format!("{prefix}{name}")),
            }
        }
    }
    // Every kind of every section, so that all keys appear.
    let variants: &[(Task, &[&str])] = &[
        (
            Task::Forecast,
            &[
                "data.time=t",
                "data.log=true",
                "data.difference=true",
                "data.seasonal_difference=true",
            ],
        ),
        (
            Task::Forecast,
            &[
                "data.season=3",
                "data.input=4",
                "data.horizon=2",
                "data.test=3",
                "data.validation=3",
            ],
        ),
        (Task::Language, &["data.vocabulary=bytes"]),
        (Task::Forecast, &["optimiser=sgd", "schedule=constant", "loss=huber", "nan=skip-step"]),
        (Task::Forecast, &["optimiser=rmsprop", "schedule=plateau", "clip=none"]),
        (Task::Forecast, &["schedule=one-cycle"]),
        (Task::Forecast, &["schedule=step", "schedule.every_epochs=1"]),
        (
            Task::Forecast,
            &[
                "initialise.input=constant",
                "initialise.input.value=1",
                "initialise.recurrent=constant",
                "initialise.recurrent.value=1",
            ],
        ),
        (
            Task::Forecast,
            &[
                "initialise.input=uniform",
                "initialise.input.bound=1",
                "initialise.recurrent=uniform",
                "initialise.recurrent.bound=1",
            ],
        ),
        (
            Task::Forecast,
            &[
                "initialise.input=normal",
                "initialise.input.std=1",
                "initialise.recurrent=normal",
                "initialise.recurrent.std=1",
            ],
        ),
        (
            Task::Language,
            &[
                "initialise.embedding=constant",
                "initialise.embedding.value=1",
                "initialise.output=constant",
                "initialise.output.value=1",
            ],
        ),
        (
            Task::Language,
            &[
                "initialise.embedding=uniform",
                "initialise.embedding.bound=1",
                "initialise.output=uniform",
                "initialise.output.bound=1",
            ],
        ),
        (
            Task::Language,
            &[
                "initialise.embedding=normal",
                "initialise.embedding.std=1",
                "initialise.output=normal",
                "initialise.output.std=1",
            ],
        ),
    ];
    let ahead = ["data.series=x", "data.patch=2", "data.decoding=steps", "data.stride=1"];
    let quantiles = [&ahead[..], &["loss=quantile"]].concat();
    let forecasts = [&quantiles[..], &["loss=mixture"]];
    let mut found = Vec::new();
    for assignments in forecasts {
        let config = complete(Task::Forecast, assignments).unwrap();
        walk("", &toml::Table::try_from(&config).unwrap(), &mut found);
    }
    for (task, assignments) in variants {
        let config = complete(*task, assignments).unwrap();
        walk("", &toml::Table::try_from(&config).unwrap(), &mut found);
    }
    found.sort();
    found.dedup();
    let mut documented: Vec<String> = keys().iter().map(|key| key.name.to_owned()).collect();
    documented.sort();
    // Keys of the tasks over separate sequences, which have settings of their own.
    let others = [
        "data.anomalies",
        "data.bands",
        "data.cap",
        "data.class_weights",
        "data.clock",
        "data.deltas",
        "data.features",
        "data.fold",
        "data.group",
        "data.hop_ms",
        "data.id",
        "data.inputs",
        "data.label",
        "data.layout",
        "data.mask",
        "data.min_count",
        "data.per_step",
        "data.pieces",
        "data.quiet",
        "data.remaining",
        "data.smoothing",
        "data.split",
        "data.symbols",
        "data.tag",
        "data.test_answers",
        "data.test_file",
        "data.text",
        "data.threshold",
        "data.tokens",
        "data.train",
        "data.validation_file",
        "data.vectors",
        "data.window_ms",
        "data.word",
        "model.attention",
        "model.input_dropout",
        "model.input_feeding",
        "model.letters",
        "train.scheduled_sampling",
        "train.transpose",
    ];
    assert!(others.iter().all(|other| documented.iter().any(|key| key == other)));
    documented.retain(|key| !others.contains(&key.as_str()));
    assert_eq!(found, documented);
}

#[test]
fn a_misspelt_key_is_answered_with_the_nearest() {
    for (wrong, meant) in [
        ("train.bach=3", "`train.batch`"),
        ("batch=3", "`train.batch`"),
        ("model.hiden=3", "`model.hidden`"),
        ("optimizer.learning_rate=3", "`optimiser.learning_rate`"),
        ("train.learning_rate=3", "`optimiser.learning_rate`"),
        ("data.horizn=3", "`data.horizon`"),
        ("forget_bias=1", "`initialise.forget_bias`"),
    ] {
        let message = Settings::default().set(wrong).unwrap_err().to_string();
        assert!(message.contains(meant), "{wrong}: {message}");
    }
    let error = Settings::parse("run.toml", "[model]\nhiden = 3").unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("run.toml: there is no key `model.hiden`"), "{message}");
    let error = Settings::parse("run.toml", "[model]\nhidden = = 3").unwrap_err();
    assert!(error.to_string().contains("run.toml, line 2: not TOML"), "{error}");
    let error = Settings::default().set("train.batch").unwrap_err();
    assert!(error.to_string().contains("expected key=value"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_is_answered_with_the_right_one() {
    for (wrong, expected) in [
        ("train.batch=many", "a whole number"),
        ("train.batch=-1", "a whole number"),
        ("train.batch=2.5", "a whole number"),
        ("model.dropout=yes", "a number"),
        ("model.bidirectional=1", "true or false"),
        ("model.cell=lsmt", "did you mean lstm?"),
        ("data.test=some", "a fraction of them"),
        ("data.targets=[1, 2]", "list of column names"),
        ("optimiser=adamm", "one of sgd, rmsprop, adam, adamw"),
    ] {
        let message = Settings::default().set(wrong).unwrap_err().to_string();
        assert!(message.contains(expected), "{wrong}: {message}");
    }
}

#[test]
fn a_key_that_does_not_go_with_the_rest_is_refused() {
    for (task, assignments, expected) in [
        (Task::Forecast, &["model.embedding=3"][..], "belongs to the task language"),
        (Task::Language, &["data.horizon=3"], "belongs to the task forecast"),
        (Task::Language, &["data.task=forecast"], "the settings are for the task forecast"),
        (Task::Forecast, &["optimiser.momentum=0.9"], "unknown field `momentum`"),
        (Task::Forecast, &["schedule=step"], "every_epochs"),
        (Task::Forecast, &["loss=cross-entropy"], "not the cross-entropy"),
        (Task::Language, &["loss=mse"], "cross-entropy"),
        (Task::Language, &["model.bidirectional=true"], "reads the answer"),
        (Task::Forecast, &["model.dropout=1.0"], "model.dropout must be from 0 to below 1"),
        (Task::Forecast, &["model.hidden=0"], "model.hidden must be at least 1"),
        (Task::Forecast, &["train.epochs=0"], "train.epochs must be at least 1"),
        (Task::Forecast, &["optimiser.learning_rate=nan"], "optimiser.learning_rate"),
        (Task::Forecast, &["clip.limit=0"], "clip.limit"),
    ] {
        let message = refusal(task, assignments);
        assert!(message.contains(expected), "{assignments:?}: {message}");
    }
}

#[test]
fn bare_words_quotes_and_auto() {
    let mut settings = Settings::default();
    settings.set("data.targets = OT").unwrap();
    settings.set("data.time=2020").unwrap();
    settings.set("model.cell=\"gru\"").unwrap();
    settings.set("data.horizon=7").unwrap();
    settings.set("data.horizon=auto").unwrap();
    let config = Config::complete(Task::Forecast, &settings).unwrap();
    let text = config.commented();
    assert!(text.contains("targets = [\"OT\"]") || text.contains("targets = \"OT\""), "{text}");
    assert!(text.contains("time = \"2020\""), "{text}");
    assert!(text.contains("# horizon ="), "{text}");
    assert!(text.contains("bias = \"two\""), "the GRU has two: {text}");
}
