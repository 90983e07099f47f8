//! The line budget: a file is 300 lines typically, 600 at most, without its tests; the program is made
//! of fewer than 150 packages.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const LINES: usize = 600;
const PACKAGES: usize = 150;

/// Fails where a file or the lock file is over its budget.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut files = vec![];
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    let total: usize = files.iter().map(|(lines, _)| lines).sum();
    println!("size: {} files, {total} lines without tests; the longest:", files.len());
    for (lines, name) in files.iter().take(5) {
        println!("  {lines:4} {}", Path::new(name).strip_prefix(root)?.display());
    }
    let packages = packages(root)?;
    println!("size: the program without the page is made of {packages} packages");
    if let Some((lines, name)) = files.first().filter(|(lines, _)| *lines > LINES) {
        bail!("{name} has {lines} lines without its tests; {LINES} is the most");
    }
    if packages > PACKAGES {
        bail!("the program is made of {packages} packages; {PACKAGES} is the most");
    }
    Ok(())
}

/// The packages that the program is built from, its own among them. What only tests need is not counted,
/// nor what the page of the explorer adds, which the program can be built without.
fn packages(root: &Path) -> Result<usize> {
    let tree = ["tree", "--package", "recurve-cli", "--no-default-features"];
    let form = ["--edges", "normal,build", "--prefix", "none"];
    let output = Command::new(env!("CARGO")).args(tree).args(form).current_dir(root).output()?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let lines = String::from_utf8(output.stdout)?;
    let names = lines.lines().filter_map(|line| line.split(" (").next());
    Ok(names.collect::<BTreeSet<_>>().len())
}

fn collect(folder: &Path, files: &mut Vec<(usize, String)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") && !path.ends_with("target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path)?;
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(&text);
            files.push((code.lines().count(), path.display().to_string()));
        }
    }
    Ok(())
}
