//! Whether what training keeps fits into memory.
//!
//! A recurrent layer keeps its gates from forward to backward, or computes them again ([`Memory`]); the
//! results are the same bits. What is right depends on the machine, so `auto` looks at it: the memory that
//! is free, within the limit of the group of processes that this one belongs to.

use crate::config::{TrainConfig, TrainMemory, TrainPrecision};
use crate::error::{Error, Result};
use recurve_nn::{Description, Memory};
use std::fs;
use std::path::Path;

/// The share of the free memory that training may plan with; the rest is for data, weights, the optimiser
/// and others.
const SHARE: f64 = 0.7;

/// What a training with batches of `rows` steps keeps, and a note where that was chosen for want of memory.
///
/// # Errors
/// Low memory with products of `bf16`, which keep their gates.
pub(crate) fn plan(
    config: &TrainConfig,
    description: &Description,
    rows: usize,
) -> Result<(Memory, Option<String>)> {
    match (config.memory, config.precision) {
        (TrainMemory::Full, _) | (TrainMemory::Auto, TrainPrecision::Bf16) => {
            Ok((Memory::Full, None))
        }
        (TrainMemory::Low, _) if description.has_stages() => Err(Error::usage(
            "train.memory = \"low\" computes the gates of plain recurrent layers again; this model has others \
             (an mlstm, or one of the model keys projection, recurrent_norm, gate_recurrence, zoneout, \
             zoneout_cell, recurrent_dropout, candidate_dropout); set train.memory = \"full\"",
        )),
        (TrainMemory::Low, TrainPrecision::F32) => Ok((Memory::Low, None)),
        (TrainMemory::Low, TrainPrecision::Bf16) => Err(Error::usage(
            "train.memory = \"low\" computes gates again in full precision only; \
             set train.precision = \"f32\", or train.memory = \"full\"",
        )),
        (TrainMemory::Auto, TrainPrecision::F32) if description.has_stages() => {
            Ok((Memory::Full, None))
        }
        (TrainMemory::Auto, TrainPrecision::F32) => {
            let unsound = |error: recurve_nn::Error| Error::usage(error.to_string());
            let needed = Memory::Full.bytes(description, rows).map_err(unsound)?;
            Ok(within(needed, available()))
        }
    }
}

/// The choice for `needed` bytes where `free` are.
fn within(needed: u64, free: Option<u64>) -> (Memory, Option<String>) {
    match free {
        Some(free) if needed as f64 > SHARE * free as f64 => {
            let gib = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
            let note = format!(
                "gates are computed again instead of kept: with them a batch would hold {:.1} GiB, and {:.1} GiB \
                 are free",
                gib(needed),
                gib(free)
            );
            (Memory::Low, Some(note))
        }
        _ => (Memory::Full, None),
    }
}

/// Bytes that the process may still take, where the system says: Linux does.
fn available() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10;
    Some(within_group().map_or(free, |group| group.min(free)))
}

/// What the control group of the process leaves it, where that has a limit.
fn within_group() -> Option<u64> {
    let told = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = told.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let number = |name: &str| {
        let path = Path::new("/sys/fs/cgroup").join(group).join(name);
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::{available, within};
    use recurve_nn::Memory;

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_how_much_is_free() {
        let free = available().expect("a number");
        assert!((1 << 20..1 << 50).contains(&free), "{free} bytes");
    }

    #[test]
    fn gates_are_kept_where_they_fit() {
        assert_eq!(within(7 << 30, Some(11 << 30)), (Memory::Full, None));
        assert_eq!(within(7 << 30, None), (Memory::Full, None));
        let (memory, note) = within(8 << 30, Some(11 << 30));
        assert_eq!(memory, Memory::Low);
        assert!(note.is_some_and(|note| note.contains("8.0 GiB") && note.contains("11.0 GiB")));
    }
}
