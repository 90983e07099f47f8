//! The predictions of a run over its test part, as its folder holds them.

use recurve_train::error::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Rows that are told, at most.
const MOST: usize = 5_000;

/// The columns and the first rows of `predictions.csv`; none where the run has no such file.
///
/// # Errors
/// The file is there and is no table.
pub(crate) fn read(file: &Path) -> Result<Value> {
    if !file.exists() {
        return Ok(json!({"columns": [], "rows": [], "more": false}));
    }
    let failed = |error: csv::Error| {
        Error::failed(format!("cannot read `{}`", file.display())).with_source(error)
    };
    let mut reader = csv::Reader::from_path(file).map_err(failed)?;
    let columns: Vec<String> = reader.headers().map_err(failed)?.iter().map(String::from).collect();
    let mut rows: Vec<Vec<String>> = vec![];
    for row in reader.records().take(MOST + 1) {
        rows.push(row.map_err(failed)?.iter().map(String::from).collect());
    }
    let more = rows.len() > MOST;
    rows.truncate(MOST);
    Ok(json!({"columns": columns, "rows": rows, "more": more}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_up_to_a_limit_and_one_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("predictions.csv");
        assert_eq!(read(&file).unwrap()["columns"], json!([]));
        let rows: String = (0..MOST + 7).map(|at| format!("{at},\"a,b\",a\n")).collect();
        std::fs::write(&file, format!("id,actual,predicted\n{rows}")).unwrap();
        let told = read(&file).unwrap();
        assert_eq!(told["columns"], json!(["id", "actual", "predicted"]));
        assert_eq!((told["rows"].as_array().unwrap().len(), &told["more"]), (MOST, &json!(true)));
        assert_eq!(told["rows"][3], json!(["3", "a,b", "a"]));
        std::fs::write(&file, "id,actual\n1\n").unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("predictions.csv"));
    }
}
