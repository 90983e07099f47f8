//! The log of a run, as it grows.

use recurve_train::error::{Error, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a log that are read at once, at most.
const AT_ONCE: u64 = 4 << 20;

/// The entries of a log from a byte on, and the byte after the last whole line. A log that became shorter
/// (its run was resumed) is read anew, and said to be.
///
/// # Errors
/// The log is there and cannot be read.
pub(crate) fn read(log: &Path, after: u64) -> Result<Value> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("cannot read `{}`", log.display())).with_source(error)
    };
    let mut file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(json!({"entries": [], "next": 0, "anew": true, "missing": true}));
        }
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    let anew = length < after;
    let start = if anew { 0 } else { after };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut bytes = vec![];
    file.take(AT_ONCE).read_to_end(&mut bytes).map_err(failed)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let mut entries: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    // The predictions of an evaluation are the file predictions.csv again.
    for entry in &mut entries {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("predictions");
        }
    }
    let more = start + (whole as u64) < length && whole > 0;
    Ok(json!({"entries": entries, "next": start + whole as u64, "anew": anew, "more": more}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_as_it_grows_and_anew_when_it_shrinks() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        assert_eq!(read(&log, 0).unwrap()["missing"], true);
        std::fs::write(&log, "{\"step\":1}\nno json\n{\"step\":2}\n{\"st").unwrap();
        let first = read(&log, 0).unwrap();
        assert_eq!(first["entries"], json!([{"step": 1}, {"step": 2}]));
        let next = first["next"].as_u64().unwrap();
        std::fs::write(&log, "{\"step\":1}\nno json\n{\"step\":2}\n{\"step\":3}\n").unwrap();
        assert_eq!(read(&log, next).unwrap()["entries"], json!([{"step": 3}]));
        std::fs::write(&log, "{\"step\":1}\n").unwrap();
        let again = read(&log, next).unwrap();
        assert_eq!((&again["anew"], &again["entries"]), (&json!(true), &json!([{"step": 1}])));
    }
}
