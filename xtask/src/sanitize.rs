//! The tests of the kernels under tools that watch memory: the only crate with `unsafe`.
//!
//! - *AddressSanitizer*: every instruction set, all tests.
//! - *valgrind*: all that valgrind's processor has, which ends at AVX2; leaks too.
//! - *ThreadSanitizer*: the pool, and the tests that use two threads. It sees accesses of up to 16 bytes, so
//!   of the vector code the portable one. Needs the source of the standard library.
//! - *Miri*: aliasing, and memory that holds nothing yet, in portable code; small tests, as it is slow.
//!
//! What a machine lacks is said at the end and is no failure, unless `RECURVE_REQUIRE_TOOLS` names it:
//! `RECURVE_REQUIRE_TOOLS=address,valgrind,thread,miri`.

use crate::run;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const TESTS: [&str; 4] = ["-p", "recurve-kernels", "--lib", "--tests"];

/// Too long under valgrind, which runs one thread at a time at a fiftieth of the speed.
const NOT_UNDER_VALGRIND: [&str; 2] = ["threads_change_no_bit", "of_every_size"];

/// Small enough for Miri.
const UNDER_MIRI: [&str; 4] = ["pool::", "steps::", "ends_of_the_line", "a_right_call"];

/// Runs the tools called `wanted`, or all.
pub(crate) fn check(root: &Path, wanted: &[String]) -> Result<()> {
    type Tool = fn(&Path) -> Result<Option<&'static str>>;
    let tools: [(&str, Tool); 4] =
        [("address", address), ("valgrind", valgrind), ("thread", thread), ("miri", miri)];
    if let Some(unknown) = wanted.iter().find(|name| tools.iter().all(|(tool, _)| tool != name)) {
        bail!("there is no tool {unknown}; there are address, valgrind, thread and miri");
    }
    let required = std::env::var("RECURVE_REQUIRE_TOOLS").unwrap_or_default();
    let mut said = vec![];
    for (name, tool) in tools {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        match tool(root)? {
            None => said.push(format!("sanitize: {name} found nothing")),
            Some(why) => {
                ensure!(!required.split(',').any(|one| one == name), "{name} is required: {why}");
                said.push(format!("not run: {name}: {why}"));
            }
        }
    }
    println!("{}", said.join("\n"));
    Ok(())
}

/// A compiler that takes `-Z` options: nightly, or the usual one told to.
fn unstable() -> Command {
    let mut command = Command::new("cargo");
    command.env_remove("RUSTUP_TOOLCHAIN");
    if nightly_has(&["--version"]) {
        command.arg("+nightly");
    } else {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    command
}

/// Whether `cargo +nightly` understands `arguments`.
fn nightly_has(arguments: &[&str]) -> bool {
    let mut command = Command::new("cargo");
    command.env_remove("RUSTUP_TOOLCHAIN").arg("+nightly").args(arguments);
    succeeds(&mut command)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn on_linux() -> Option<&'static str> {
    let here = cfg!(all(target_arch = "x86_64", target_os = "linux"));
    (!here).then_some("it is used on Linux with x86-64 only")
}

fn address(root: &Path) -> Result<Option<&'static str>> {
    if let Some(why) = on_linux() {
        return Ok(Some(why));
    }
    let mut command = unstable();
    command.arg("test").args(TESTS).args(["--target", TARGET, "--target-dir"]);
    command.arg(folder(root, "address")).env("RUSTFLAGS", "-Zsanitizer=address");
    run(&mut command)?;
    Ok(None)
}

fn thread(root: &Path) -> Result<Option<&'static str>> {
    if let Some(why) = on_linux() {
        return Ok(Some(why));
    }
    let sources = Command::new("rustc")
        .env_remove("RUSTUP_TOOLCHAIN")
        .args(["+nightly", "--print", "sysroot"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library/std").exists());
    if !sources {
        return Ok(Some("a nightly compiler with the component rust-src is not installed"));
    }
    let mut command = unstable();
    command.args(["test", "--release", "-Zbuild-std"]).args(TESTS);
    command.args(["--target", TARGET, "--target-dir"]).arg(folder(root, "thread"));
    command.env("RUSTFLAGS", "-Zsanitizer=thread").env("TSAN_OPTIONS", "halt_on_error=1");
    run(command.args(["--", "pool::", "threads_change_no_bit"]))?;
    Ok(None)
}

fn miri(root: &Path) -> Result<Option<&'static str>> {
    if !nightly_has(&["miri", "--version"]) {
        return Ok(Some("a nightly compiler with the component miri is not installed"));
    }
    let mut command = unstable();
    command.args(["miri", "test"]).args(TESTS).arg("--target-dir").arg(folder(root, "miri"));
    // The pool looks at the clock, and its workers live until the process ends.
    let flags = "-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-num-cpus=2";
    command.env("MIRIFLAGS", flags);
    run(command.arg("--").args(UNDER_MIRI))?;
    Ok(None)
}

fn valgrind(root: &Path) -> Result<Option<&'static str>> {
    if let Some(why) = on_linux() {
        return Ok(Some(why));
    }
    if !succeeds(Command::new("valgrind").arg("--version")) {
        return Ok(Some("valgrind is not installed"));
    }
    let built = Command::new(env!("CARGO"))
        .args(["test", "--no-run", "--message-format=json"])
        .args(TESTS)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo test --no-run")?;
    ensure!(built.status.success(), "the tests are not built");
    println!(
        "not run under valgrind: {}, which take too long there",
        NOT_UNDER_VALGRIND.join(", ")
    );
    println!("not run under valgrind: avx512, which valgrind does not know");
    for line in String::from_utf8(built.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let Some(program) = message["executable"].as_str() else { continue };
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=99", "--fair-sched=yes"]);
        command.args(["--leak-check=full", "--errors-for-leak-kinds=definite"]);
        command.args(["--show-leak-kinds=definite", program, "--test-threads=1"]);
        for skipped in NOT_UNDER_VALGRIND {
            command.args(["--skip", skipped]);
        }
        // Else what valgrind hides would be a failure.
        run(command.env("RECURVE_REQUIRE_ISA", "avx2,portable"))?;
    }
    Ok(None)
}

/// A folder of its own for each tool: what is built for one is of no use to the others.
fn folder(root: &Path, tool: &str) -> std::path::PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    target.join("sanitize").join(tool)
}
