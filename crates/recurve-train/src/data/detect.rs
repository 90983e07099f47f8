//! What kind of file this is, judged by its content; the extension only breaks ties.
//!
//! Files of sequences with classes say so themselves: the `.ts` files of the UCR/UEA archive, tables with a
//! column `label` or `class`, folders of sound, JSON of piano rolls. A table is a Parquet file, or lines that a
//! separator cuts evenly, with numbers in them, and is to be forecast. Everything else that can be
//! read is text. Well-known binary formats are refused by name, with what to do instead.

use super::parquet;
use super::table::{evenness, guess_separator, is_number};
use crate::error::{Error, Result};
use crate::task::Task;
use std::path::Path;

/// What a file was taken for, and why.
#[derive(Clone, Debug)]
pub struct Guess {
    /// What it can be used for.
    pub task: Task,
    /// Why, in words for a person.
    pub reasons: Vec<String>,
}

/// First bytes of files that people have lying beside their data.
const BINARY: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "a zip archive or spreadsheet; export the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"%PDF", "a PDF; save its text or table first"),
    (b"PARE", "an encrypted Parquet file; write it without encryption"),
    (b"ARROW1", "an Arrow file; convert it to CSV"),
    (b"SQLite format 3", "a database; export a table as CSV"),
    (b"\x89HDF", "an HDF5 file; convert it to CSV"),
    (b"\x89PNG", "a picture"),
];

/// Looks at a file and says what it is.
///
/// # Errors
///
/// The file is missing, a folder, empty, unreadable or binary.
pub fn guess(path: &Path) -> Result<Guess> {
    if path.is_dir() {
        let files = super::sequences::wav_files(path)?.len();
        let reasons = vec![format!("a folder of {files} WAV files")];
        return Ok(Guess { task: Task::Classify, reasons });
    }
    let bytes = super::read_bytes(path)?;
    let name = path.display().to_string();
    if let Some((_, what)) = BINARY.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(Error::usage(format!("{name} is {what}; expected a CSV or text file")));
    }
    if parquet::is_parquet(&bytes) {
        let names = parquet::names(&name, bytes)?;
        let label = names.iter().map(|name| name.to_lowercase()).find(|name| is_label(name));
        let (task, reason) = match label {
            Some(label) => (Task::Classify, format!("it has a column `{label}`")),
            None => (Task::Forecast, "a Parquet file is a table".to_owned()),
        };
        return Ok(Guess { task, reasons: vec![reason] });
    }
    let head = &bytes[..bytes.len().min(1 << 16)];
    let utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let controls = head.iter().filter(|byte| control(byte)).count();
    if !utf16 && (head.contains(&0) || 10 * controls > head.len()) {
        return Err(Error::usage(format!("{name} is binary; expected a CSV or text file")));
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if let Some(tagged @ ("conll" | "conllu" | "iob" | "bio")) = extension.as_deref() {
        let reasons = vec![format!("its name ends in .{tagged}")];
        return Ok(Guess { task: Task::Tag, reasons });
    }
    if extension.as_deref() == Some("json") && is_rolls(head) {
        let reasons = vec!["lists of pieces of frames of notes".to_owned()];
        return Ok(Guess { task: Task::Music, reasons });
    }
    let table_name = matches!(extension.as_deref(), Some("csv" | "tsv" | "tab"));
    Ok(judge(&String::from_utf8_lossy(head), table_name))
}

/// Whether a column of this name holds classes.
fn is_label(name: &str) -> bool {
    matches!(name, "label" | "class")
}

/// Whether JSON begins as piano rolls do: lists in lists in lists, perhaps under the name of a part.
fn is_rolls(head: &[u8]) -> bool {
    let dense: Vec<u8> =
        head.iter().copied().filter(|b| !b.is_ascii_whitespace()).take(20).collect();
    let starts: [&[u8]; 4] = [b"[[[", b"{\"train\":[[[", b"{\"valid\":[[[", b"{\"test\":[[["];
    starts.iter().any(|start| dense.starts_with(start))
}

fn judge(head: &str, table_name: bool) -> Guess {
    let head = head.strip_prefix('\u{feff}').unwrap_or(head);
    let separator = guess_separator(head);
    let (even, looked_at) = evenness(head, separator);
    let lines: Vec<&str> = head.lines().filter(|line| !line.trim().is_empty()).take(100).collect();
    let table = |reason: String| Guess { task: Task::Forecast, reasons: vec![reason] };
    let classes = |reason: String| Guess { task: Task::Classify, reasons: vec![reason] };
    if super::sequences::is_ts(head) {
        return classes("a file of the UCR/UEA archive".to_owned());
    }
    let names = head.lines().next().unwrap_or_default().split(separator);
    let label = names.map(|name| name.trim().trim_matches('"').to_lowercase());
    if let Some(label) = label.into_iter().find(|name| is_label(name))
        && even > 1
    {
        return classes(format!("it has a column `{label}`"));
    }
    let text = |reason: String| Guess { task: Task::Language, reasons: vec![reason] };
    if looked_at == 0 {
        return text("it holds only blank lines".to_owned());
    }
    let numbers = lines.iter().skip(1).filter(|line| holds_number(line, separator)).count();
    let sign = match separator {
        '\t' => "a tab".to_owned(),
        other => format!("`{other}`"),
    };
    if even > 1 && 10 * even >= 9 * looked_at && 2 * numbers >= lines.len() - 1 {
        return table(format!(
            "{even} of the first {looked_at} lines have the same number of cells between {sign}, with numbers"
        ));
    }
    let plain = lines.iter().skip(1).filter(|line| is_number(line.trim())).count();
    if plain > 0 && 10 * plain >= 9 * (lines.len() - 1) {
        return table(format!("{plain} of the first {looked_at} lines are one number each"));
    }
    if table_name {
        return table("its name says so".to_owned());
    }
    if even > 1 && 10 * even >= 9 * looked_at {
        return text(format!(
            "its lines have the same number of cells between {sign}, but no numbers"
        ));
    }
    text("its lines are no rows of numbers".to_owned())
}

fn holds_number(line: &str, separator: char) -> bool {
    line.split(separator).any(|cell| is_number(cell.trim().trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn content_decides_and_the_name_breaks_ties() {
        for (head, table_name, task) in [
            ("month,passengers\n1949-01,112\n1949-02,118\n", false, Task::Forecast),
            ("a;b\n1,5;2\n2,5;3\n", false, Task::Forecast),
            ("5\n6\n7.5\n", false, Task::Forecast),
            ("value\n6\n7.5\n", false, Task::Forecast),
            (
                "To be, or not to be,\nthat is the question:\nWhether, well, 'tis\n",
                false,
                Task::Language,
            ),
            ("emma\nolivia\nava\n", false, Task::Language),
            ("One line of prose, with a comma.", false, Task::Language),
            ("word,tag\nthe,DET\ncat,NOUN\n", false, Task::Language),
            ("word,tag\nthe,DET\ncat,NOUN\n", true, Task::Forecast),
            ("a,b\n", true, Task::Forecast),
            ("@problemName x\n@data\n1,2:a\n", false, Task::Classify),
            ("text,label\nfine,good\nbad,bad\n", true, Task::Classify),
            ("class;a;b\n1;2;3\n2;3;4\n", false, Task::Classify),
        ] {
            assert_eq!(judge(head, table_name).task, task, "{head:?}");
        }
    }

    #[test]
    fn rolls_are_told_from_other_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        for (text, task) in [
            ("{\"train\": [\n[[60], [62]]]}", Task::Music),
            ("[ [ [60], [] ] ]", Task::Music),
            ("{\"name\": \"train\"}", Task::Language),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(guess(&path).unwrap().task, task, "{text}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| guess(path).unwrap_err().to_string();
        assert!(message(folder.path()).contains("holds no WAV files"));
        assert!(message(&folder.path().join("absent.csv")).contains("no such file"));
        for (content, expected) in [
            (&b""[..], "is empty"),
            (b"PK\x03\x04rest", "export the sheet as CSV"),
            (b"\x7fELF\0\0\0", "is binary"),
        ] {
            let path = folder.path().join("file.csv");
            fs::write(&path, content).unwrap();
            let error = guess(&path).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(expected), "{error}");
            assert!(error.to_string().contains("file.csv"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(head in "[a-z0-9,;\t\" \n.]{0,200}", table_name: bool) {
            judge(&head, table_name);
        }
    }
}
