//! What the system says about the processor: on Linux; elsewhere it is unknown.

use std::fs;
use std::path::Path;

/// The name of the processor.
pub(super) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// How many CPUs the control group may use at once, if it is limited.
pub(super) fn quota() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| fs::read_to_string(folder.join("cpu.max")).ok())
        .filter_map(|text| cpus(&text))
        .reduce(f64::min)
}

/// `cpu.max` holds the microseconds that may be used and those of a period, or `max`.
fn cpus(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let used: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0).then(|| used / period)
}

#[cfg(test)]
mod tests {
    use super::cpus;

    #[test]
    fn a_quota_is_a_number_of_cpus() {
        assert_eq!(cpus("150000 100000\n"), Some(1.5));
        assert_eq!(cpus("max 100000\n"), None);
        assert_eq!(cpus(""), None);
    }
}
