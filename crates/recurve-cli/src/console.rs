//! How things are said: results to standard output, progress and notes to standard error.
//!
//! A result that cannot be written is an error, but for a reader that has gone away (`| head`), which
//! ends the program quietly. Standard error is best effort: a note that nobody can read stops nothing.

use recurve_train::error::{Error, Result};
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// Writes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Writes a line to standard output.
pub(crate) fn line(text: impl AsRef<str>) -> Result<()> {
    write(format!("{}\n", text.as_ref()).as_bytes())
}

/// Writes one line of JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(to_json(value)?)
}

/// A value as one line of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::failed("cannot write the result as JSON").with_source(error))
}

/// What writing to standard output came to.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        result => result
            .map_err(|error| Error::failed("cannot write to standard output").with_source(error)),
    }
}

/// Writes a line to standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Rows in columns, the first left-aligned and the others right-aligned, two blanks apart.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |text: &str| text.chars().count();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[at] - width(cell));
            if at == 0 {
                line += &format!("{cell}{blanks}");
            } else {
                line += &format!("  {blanks}{cell}");
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A number with four significant digits.
pub(crate) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

/// The same without needless zeros.
pub(crate) fn number(value: f64) -> String {
    let text = digits(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A whole number with commas between thousands.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time to wait as `mm:ss`, or `h:mm:ss`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 359_999.0).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// A time that has passed: `1.2 s`, `48 s`, `3 min 5 s`, `2 h 7 min`.
pub(crate) fn took(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// A skill in words: how much better or worse than a baseline.
pub(crate) fn skill(skill: f64, baseline: &str) -> String {
    let percent = (100.0 * skill).round();
    if percent > 0.0 {
        format!("{percent:.0} % better than {baseline}")
    } else if percent < 0.0 {
        format!("{:.0} % worse than {baseline}", -percent)
    } else {
        format!("as good as {baseline}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (0.041_234, "0.04123"),
            (0.71, "0.71"),
            (-12.3456, "-12.35"),
            (1234.5, "1234"),
            (123_456.0, "123456"),
            (2.5e-7, "2.500e-7"),
            (3e9, "3.000e9"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(thousands(1_204), "1,204");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(duration(6.2), "00:06");
        assert_eq!(duration(3_725.0), "1:02:05");
        assert_eq!(took(1.23), "1.2 s");
        assert_eq!(took(48.4), "48 s");
        assert_eq!(took(185.0), "3 min 5 s");
        assert_eq!(took(7_620.0), "2 h 7 min");
        assert_eq!(skill(0.213, "naive"), "21 % better than naive");
        assert_eq!(skill(-0.5, "naive"), "50 % worse than naive");
        assert_eq!(skill(0.001, "naive"), "as good as naive");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a", "1"], vec!["bcd", "23"], vec!["é"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(columns(&rows), ["a     1", "bcd  23", "é"]);
    }
}
