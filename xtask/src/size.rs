//! The line budget: a file is 300 lines typically, 600 at most, without its tests; the lock file of
//! the program stays under 150 packages.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

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
    let packages = fs::read_to_string(root.join("Cargo.lock"))?.matches("[[package]]").count();
    println!("size: {packages} packages in the lock file");
    if let Some((lines, name)) = files.first().filter(|(lines, _)| *lines > LINES) {
        bail!("{name} has {lines} lines without its tests; {LINES} is the most");
    }
    if packages > PACKAGES {
        bail!("{packages} packages in the lock file; {PACKAGES} is the most");
    }
    Ok(())
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
