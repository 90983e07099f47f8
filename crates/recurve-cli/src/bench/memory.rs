//! The largest memory that the process has held: known on Linux only.

use std::fs;

/// Begins a new maximum, where the system can; else the maximum is that of the whole process so far.
pub(crate) fn restart_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident memory so far in MiB, if the system says so.
pub(crate) fn peak_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 102.4).round() / 10.0)
}
