//! Dependencies point one way: cell → kernels → nn → interop → train → recurve → web → cli.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The crates from the foundation up. A crate may depend on those before it.
const ORDER: [&str; 8] = [
    "recurve-cell",
    "recurve-kernels",
    "recurve-nn",
    "recurve-interop",
    "recurve-train",
    "recurve",
    "recurve-web",
    "recurve-cli",
];

/// Fails where a crate depends on one that is not below it, or where the foundation depends on
/// anything.
pub(crate) fn check(root: &Path) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root)
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let level = |name: &str| ORDER.iter().position(|other| *other == name);
    let mut seen = 0;
    for package in metadata["packages"].as_array().context("packages")? {
        let name = package["name"].as_str().context("name")?;
        let Some(own) = level(name) else {
            if name == "xtask" {
                continue;
            }
            bail!("crate {name} has no place in the order {ORDER:?}");
        };
        seen += 1;
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let other = dependency["name"].as_str().context("name")?;
            if !dependency["kind"].is_null() {
                continue;
            }
            if own == 0 {
                bail!("{name} depends on {other}, and it depends on nothing");
            }
            if level(other).is_some_and(|other| other >= own) {
                bail!("{name} depends on {other}, which is above it");
            }
        }
    }
    if seen != ORDER.len() {
        bail!("{seen} crates of {} were found", ORDER.len());
    }
    println!("arrows: {} crates, all dependencies point down", ORDER.len());
    Ok(())
}
