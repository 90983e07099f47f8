//! Every command that a document shows runs, in the order it stands there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Commands that are shown and that this test leaves out, with the reason.
const LEFT_OUT: [(&str, &str); 9] = [
    ("recurve explore runs/latest", "it serves a page until Ctrl-C; tests/explore.rs does that"),
    ("cargo test", "it would run this test"),
    ("cargo install", "it builds the program that is tested here"),
    ("cargo xtask", "it is a chore of the checks around the tests"),
    (".ci/run", "it would run this test"),
    (".ci/frameworks", "it installs other frameworks; .ci/run runs it"),
    ("fuzz/run", "it builds a workspace of its own and fuzzes for as long as it is asked to"),
    ("recurve bench", "it measures for as long as it is asked to"),
    (
        "cargo run --release -p recurve --example adding",
        "it trains for minutes; crates/recurve/tests/examples.rs runs its short form",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of the shell blocks of a document.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut commands = vec![];
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside && !line.trim().is_empty() => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// Runs the commands of a document in a folder that holds what they read; gives how many ran.
fn run(document: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("examples/data");
    std::fs::create_dir_all(&data).unwrap();
    for file in std::fs::read_dir(root().join("examples/data")).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, data.join(file.file_name().unwrap())).unwrap();
    }
    std::fs::copy(root().join("LICENSE-APACHE"), folder.path().join("LICENSE-APACHE")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_recurve")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for command in commands(&std::fs::read_to_string(root().join(document)).unwrap()) {
        let command = command.replace("cargo run --release -p recurve-cli --", "recurve");
        if let Some((_, why)) = LEFT_OUT.iter().find(|(start, _)| command.starts_with(start)) {
            // Past the capture of the harness, which would hide it.
            let _ = writeln!(std::io::stderr(), "not run: `{command}` of {document}: {why}");
            continue;
        }
        assert!(
            command.contains("recurve ") || command.starts_with("printf "),
            "{document} shows `{command}`, which nothing tests"
        );
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` of {document}:\n{errors}");
        ran += 1;
    }
    ran
}

#[test]
fn the_readme() {
    assert!(run("README.md") >= 5);
}

#[test]
fn the_other_documents() {
    for file in std::fs::read_dir(root().join("docs")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if file.ends_with(".md") {
            println!("docs/{file}: {} commands", run(&format!("docs/{file}")));
        }
    }
}
