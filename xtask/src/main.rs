//! Chores of the project. `cargo xtask` lists them.

#![forbid(unsafe_code)]

mod arrows;
mod sanitize;
mod size;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const CHORES: &str = "\
cargo xtask check     formatting, lints, docs, arrows and size: all that .ci/run does but the tests
cargo xtask test      all tests
cargo xtask arrows    the direction of the dependencies between the crates
cargo xtask size      the length of the files, and the number of packages the program is made of
cargo xtask sanitize  the tests of the kernels under AddressSanitizer, valgrind, ThreadSanitizer and Miri
                      (`cargo xtask sanitize address valgrind` under these alone)
cargo xtask golden    make the golden numbers again (needs Python with golden/gen/requirements.txt)";

fn main() -> Result<()> {
    let chore = std::env::args().nth(1);
    match chore.as_deref() {
        Some("check") => {
            cargo(&["fmt", "--all", "--check"])?;
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            docs()?;
            arrows::check(&root())?;
            size::check(&root())
        }
        Some("test") => cargo(&["test", "--workspace"]),
        Some("arrows") => arrows::check(&root()),
        Some("size") => size::check(&root()),
        Some("sanitize") => sanitize::check(&root(), &std::env::args().skip(2).collect::<Vec<_>>()),
        Some("golden") => golden(),
        Some(other) => bail!("there is no chore {other}\n\n{CHORES}"),
        None => {
            println!("{CHORES}");
            Ok(())
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

fn run(command: &mut Command) -> Result<()> {
    println!("+ {command:?}");
    let status = command.current_dir(root()).status().with_context(|| format!("{command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} failed") }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments))
}

fn docs() -> Result<()> {
    // The program and the library have the same name, so their docs are checked one after the other.
    for what in [["--workspace", "--exclude", "recurve-cli"].as_slice(), &["-p", "recurve-cli"]] {
        let arguments = ["doc", "--no-deps", "--document-private-items"];
        let mut command = Command::new(env!("CARGO"));
        run(command.args(arguments).args(what).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

fn golden() -> Result<()> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let scripts = [
        "torch_layers",
        "training_curve",
        "other_cells",
        "paper_cells",
        "mlstm",
        "stages",
        "torch_parts",
        "torch_sequences",
        "ctc",
        "optimisers",
        "hdf5",
        "onnx_nodes",
        "foreign",
    ];
    for script in scripts {
        run(Command::new(&python).arg(format!("golden/gen/{script}.py")))?;
    }
    run(Command::new(&python).arg("golden/gen/verify.py"))
}
