//! The examples that the documents speak of run, in a short form.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program of an example, which `cargo test` puts beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let hint = "`cargo test -p recurve` builds it, `cargo test --test examples` alone does not";
    assert!(program.is_file(), "no {}: {hint}", program.display());
    program
}

fn adding(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Command::new(example("adding")).args(arguments).current_dir(folder).output().unwrap()
}

/// The rows of a Markdown table, from the one whose first field is `head`.
fn table<'a>(text: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let fields = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect();
    text.lines()
        .skip_while(|line| !line.starts_with(&format!("| {head} |")))
        .take_while(|line| line.starts_with('|'))
        .map(fields)
        .collect()
}

#[test]
fn the_adding_problem_gives_its_tables_and_its_figure() {
    let figure = Path::new(env!("CARGO_TARGET_TMPDIR")).join("adding.svg");
    if figure.exists() {
        std::fs::remove_file(&figure).unwrap();
    }
    let output = adding(&["adding.svg", "3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = String::from_utf8(output.stdout).unwrap();
    for (head, columns, names) in [
        ("short runs", 6, ["LSTM", "GRU", "tanh RNN"]),
        ("full runs", 4, ["LSTM, rate 0", "GRU, rate 0", "tanh RNN, rate 0"]),
    ] {
        let rows = table(&text, head);
        assert_eq!(rows.len(), 2 + names.len(), "{text}");
        for (row, name) in rows[2..].iter().zip(names) {
            assert!(row[0].starts_with(name) && row.len() == columns, "{row:?}");
            let error = |field: &&str| field.parse::<f64>().unwrap();
            assert!(row[1..].iter().map(error).all(|error| error > 0.0 && error < 10.0), "{row:?}");
        }
    }
    assert!(text.contains("always saying 1: 0.1"), "{text}");

    let svg = std::fs::read_to_string(&figure).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"));
    for colour in ["#0072B2", "#009E73", "#D55E00"] {
        let curves = svg.matches(&format!("stroke=\"{colour}\"")).count();
        assert!(curves >= 3, "{curves} curves of {colour}");
    }
    for name in ["LSTM", "GRU", "tanh RNN", "always saying 1", "mean squared error"] {
        assert!(svg.contains(name), "the figure names {name}");
    }
}

#[test]
fn the_adding_problem_refuses_a_length_that_is_none() {
    for updates in ["0", "many"] {
        let output = adding(&["refused.svg", updates]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("UPDATES") && said.contains(updates));
    }
}
