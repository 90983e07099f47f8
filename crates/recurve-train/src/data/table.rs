//! CSV and Parquet files as tables of named columns.
//!
//! A [`Table`] holds the cells as text with the line each row stands on, so that whatever is found
//! wrong later can be pointed at in an editor; of a Parquet file, whose cells `parquet.rs` writes, it is the
//! number of the row. Separator (comma, semicolon, tab, bar) and header are
//! recognised, and lines of numbers between blanks; quotes, CRLF and a byte order mark are understood.
//! Numbers have a decimal point.
//!
//! Refused by name: rows of unequal width, two columns of one name, files that are no UTF-8, and,
//! once a column is used as numbers, every cell that is empty, no number, NaN or infinite. Nothing is
//! filled in: a made-up value would be learned as if it had been measured.

use super::parquet;
use super::time::TimeFormat;
use crate::error::{Error, Result};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Separators in the order of preference: where two fit equally well, the comma is taken last,
/// because it may be a decimal comma.
const SEPARATORS: [char; 4] = ['\t', ';', '|', ','];

/// A file of rows: named columns of text cells, and the line of each row.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    separator: char,
    header: bool,
    columns: Vec<String>,
    rows: Vec<StringRecord>,
    lines: Vec<usize>,
    /// What `lines` counts.
    counted: &'static str,
    /// The row that names the columns, and its line.
    head: Option<(StringRecord, usize)>,
}

impl Table {
    /// Reads a CSV or Parquet file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is empty, is neither text nor Parquet, or its rows have unequal widths.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        Self::from_bytes(&name, super::read_bytes(path)?)
    }

    /// The table that the bytes of a file are; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        if !parquet::is_parquet(&bytes) {
            return Self::parse(name, super::utf8(name, &bytes)?);
        }
        let (columns, rows) = parquet::read(name, bytes)?;
        if rows.is_empty() {
            return Err(Error::usage(format!(
                "{name}: the file holds no rows; expected a table with one row per time step"
            )));
        }
        named_once(name, &columns)?;
        let lines = (1..=rows.len()).collect();
        let (name, head) = (name.to_owned(), None);
        Ok(Self { name, separator: ',', header: true, columns, rows, lines, counted: "row", head })
    }

    /// Reads CSV text; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = &*by_blanks(text).map_or(Cow::Borrowed(text), Cow::Owned);
        let separator = guess_separator(text);
        let (mut rows, mut lines) = records(name, text, separator)?;
        let Some(first) = rows.first() else {
            return Err(Error::usage(format!(
                "{name}: the file holds no rows; expected a CSV table with one row per time step"
            )));
        };
        let header =
            first.iter().all(|cell| !is_value(cell)) && first.iter().any(|c| !c.is_empty());
        let numbered = |i: usize| format!("column {}", i + 1);
        let columns: Vec<String> = if header {
            let named = first.iter().enumerate();
            named.map(|(i, c)| if c.is_empty() { numbered(i) } else { c.to_owned() }).collect()
        } else {
            (0..first.len()).map(numbered).collect()
        };
        let head = header.then(|| (rows.remove(0), lines.remove(0)));
        if rows.is_empty() {
            return Err(Error::usage(format!(
                "{name}: the file holds a header but no rows; expected one row per time step"
            )));
        }
        named_once(name, &columns)?;
        let (name, counted) = (name.to_owned(), "line");
        Ok(Self { name, separator, header, columns, rows, lines, counted, head })
    }

    /// The same where the first row names no columns, although it holds texts only.
    pub(crate) fn unnamed(mut self) -> Self {
        if let Some((row, line)) = self.head.take() {
            self.columns = (1..=row.len()).map(|at| format!("column {at}")).collect();
            self.rows.insert(0, row);
            self.lines.insert(0, line);
            self.header = false;
        }
        self
    }

    /// A table of cells that come from no file; rows are counted from 1.
    pub(crate) fn of_cells(name: &str, columns: &[String], rows: Vec<Vec<String>>) -> Self {
        let lines = (1..=rows.len()).collect();
        let rows = rows.into_iter().map(StringRecord::from).collect();
        let (name, columns) = (name.to_owned(), columns.to_vec());
        let counted = "row";
        Self { name, separator: ',', header: true, head: None, columns, rows, lines, counted }
    }

    /// The file name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What separates the cells.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// Whether the first row names the columns; otherwise they are `column 1`, `column 2`, …
    pub fn has_header(&self) -> bool {
        self.header
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of rows, without the header.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The line of a row in the file, counted from 1 as an editor does; of a Parquet file the number of the
    /// row, counted from 1.
    pub fn line(&self, row: usize) -> usize {
        self.lines[row]
    }

    /// Where a row stands, for messages: `line 3`, or `row 3` of a Parquet file.
    pub fn place(&self, row: usize) -> String {
        format!("{} {}", self.counted, self.lines[row])
    }

    /// The text of a cell, without the blanks around it.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }

    /// The index of a named column.
    ///
    /// # Errors
    ///
    /// There is no such column; the message offers the nearest name.
    pub fn column(&self, name: &str) -> Result<usize> {
        if let Some(index) = self.columns.iter().position(|column| column == name) {
            return Ok(index);
        }
        let hint = match super::nearest(name, &self.columns) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let mut known: Vec<String> =
                    self.columns.iter().take(20).map(|column| format!("`{column}`")).collect();
                if self.columns.len() > 20 {
                    known.push(format!("… ({} in all)", self.columns.len()));
                }
                format!("the columns are {}", known.join(", "))
            }
        };
        Err(Error::usage(format!("{}: there is no column `{name}`; {hint}", self.name)))
    }

    /// Whether most cells that are not empty are numbers. A decimal comma counts, so that such a
    /// column is chosen and then refused by name instead of being passed over.
    pub fn is_numeric(&self, column: usize) -> bool {
        let (mut filled, mut numbers) = (0, 0);
        for cell in self.cells(column).filter(|cell| !cell.is_empty()) {
            filled += 1;
            numbers += usize::from(is_number(cell));
        }
        2 * numbers > filled
    }

    /// A column as numbers `[rows]`.
    ///
    /// # Errors
    ///
    /// A cell is empty, no number, NaN or infinite: names the line, the column and the cell.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>> {
        let cells = self.cells(column).enumerate();
        cells
            .map(|(row, cell)| number(cell).map_err(|why| self.bad_cell(row, column, &why)))
            .collect()
    }

    /// A column as numbers `[rows]`, NaN where a cell is empty or says that there is none (`NA`, `NaN`,
    /// `null`, `?`).
    ///
    /// # Errors
    ///
    /// As [`numbers`](Self::numbers), for other cells.
    pub fn numbers_or_missing(&self, column: usize) -> Result<Vec<f64>> {
        let cells = self.cells(column).enumerate();
        cells
            .map(|(row, cell)| match is_missing(cell) {
                true => Ok(f64::NAN),
                false => number(cell).map_err(|why| self.bad_cell(row, column, &why)),
            })
            .collect()
    }

    /// A cell as a number.
    ///
    /// # Errors
    ///
    /// As [`numbers`](Self::numbers).
    pub(crate) fn number_at(&self, row: usize, column: usize) -> Result<f64> {
        number(self.cell(row, column)).map_err(|why| self.bad_cell(row, column, &why))
    }

    /// The first rows alone.
    pub(crate) fn head(&self, rows: usize) -> Self {
        let (rows, lines) = (self.rows[..rows].to_vec(), self.lines[..rows].to_vec());
        Self {
            name: self.name.clone(),
            columns: self.columns.clone(),
            rows,
            lines,
            head: None,
            ..*self
        }
    }

    /// A table for each value of a column, in the order in which they come; rows stay in their order and
    /// keep their lines.
    ///
    /// # Errors
    ///
    /// A cell of the column is empty.
    pub fn by_series(&self, column: usize) -> Result<Vec<(String, Self)>> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut found: Vec<(String, Self)> = Vec::new();
        for (row, cell) in self.cells(column).enumerate() {
            if cell.is_empty() {
                let why =
                    "the row does not say of which series it is; fill the cell or remove the row";
                return Err(self.bad_cell(row, column, why));
            }
            let place = *places.entry(cell).or_insert_with(|| {
                let name = format!("{}, series `{}`", self.name, shown(cell));
                let columns = self.columns.clone();
                let (rows, lines, head) = (Vec::new(), Vec::new(), None);
                let own = Self { name, columns, rows, lines, head, ..*self };
                found.push((cell.to_owned(), own));
                found.len() - 1
            });
            let own = &mut found[place].1;
            own.rows.push(self.rows[row].clone());
            own.lines.push(self.lines[row]);
        }
        Ok(found)
    }

    /// An error about one cell.
    pub(crate) fn bad_cell(&self, row: usize, column: usize, why: &str) -> Error {
        Error::usage(format!(
            "{}, {}, column `{}`: {why}",
            self.name,
            self.place(row),
            self.columns[column]
        ))
    }

    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| &row[column])
    }
}

/// An error where two columns have one name.
fn named_once(name: &str, columns: &[String]) -> Result<()> {
    for (i, column) in columns.iter().enumerate() {
        if let Some(earlier) = columns[..i].iter().position(|other| other == column) {
            return Err(Error::usage(format!(
                "{name}: columns {} and {} are both named `{column}`; rename one of them",
                earlier + 1,
                i + 1
            )));
        }
    }
    Ok(())
}

/// The records of a text and the line each begins on.
fn records(name: &str, text: &str, separator: char) -> Result<(Vec<StringRecord>, Vec<usize>)> {
    let mut reader = ReaderBuilder::new()
        .delimiter(separator as u8)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut lines = LineCounter { bytes: text.as_bytes(), at: 0, line: 1 };
    let (mut rows, mut numbers) = (Vec::<StringRecord>::new(), Vec::<usize>::new());
    for record in reader.records() {
        let record = record.map_err(|error| {
            Error::usage(format!("{name}: the file is no CSV")).with_source(error)
        })?;
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let line = lines.line_of_record(start);
        if let (Some(first), Some(&first_line)) = (rows.first(), numbers.first())
            && first.len() != record.len()
        {
            return Err(Error::usage(format!(
                "{name}, line {line}: the row has {} cells, but line {first_line} has {}; \
                 give every row the same number of cells (a cell that contains the separator \
                 `{}` needs double quotes)",
                record.len(),
                first.len(),
                separator.escape_default()
            )));
        }
        // In a file of one column an empty line is a missing value; the CSV reader skips it.
        if let (1, Some(&before)) = (record.len(), numbers.last())
            && line > before + 1
        {
            return Err(Error::usage(format!(
                "{name}, line {}: the line is empty; put the missing value there or remove the line",
                before + 1
            )));
        }
        rows.push(record);
        numbers.push(line);
    }
    Ok((rows, numbers))
}

/// Turns growing byte offsets into lines. The CSV reader reports where it went on reading, which
/// may be before empty lines that it skips.
struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl LineCounter<'_> {
    fn line_of_record(&mut self, start: usize) -> usize {
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            let line_break = byte == b'\n' || byte == b'\r';
            if self.at >= start && !line_break {
                break;
            }
            let in_crlf = byte == b'\r' && self.bytes.get(self.at + 1) == Some(&b'\n');
            self.line += usize::from(line_break && !in_crlf);
            self.at += 1;
        }
        self.line
    }
}

/// The same with tabs, where a text is lines of equally many numbers with blanks between them and around.
fn by_blanks(text: &str) -> Option<String> {
    let cells = |line: &str| {
        let mut cells = line.split_whitespace();
        let count = cells.clone().count();
        cells.all(|cell| cell.parse::<f64>().is_ok()).then_some(count)
    };
    let mut head = text.lines().filter(|line| !line.trim().is_empty()).take(100);
    let first = head.next().and_then(cells).filter(|count| *count > 1)?;
    if text.contains('\t') || !head.all(|line| cells(line) == Some(first)) {
        return None;
    }
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join("\t");
    Some(text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

/// The separator that cuts the first lines most evenly.
pub(crate) fn guess_separator(text: &str) -> char {
    let (mut best, mut most) = (',', 0);
    for separator in SEPARATORS {
        let even = evenness(text, separator).0;
        if even > most {
            (best, most) = (separator, even);
        }
    }
    best
}

/// How many of the first lines hold the separator equally often (and at least once), and how many
/// lines were looked at. Text in double quotes does not count.
pub(crate) fn evenness(text: &str, separator: char) -> (usize, usize) {
    let mut counts = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(100) {
        let mut quoted = false;
        let mut count = 0_usize;
        for c in line.chars() {
            quoted ^= c == '"';
            count += usize::from(c == separator && !quoted);
        }
        counts.push(count);
    }
    let looked_at = counts.len();
    counts.retain(|&count| count > 0);
    counts.sort_unstable();
    (counts.chunk_by(|a, b| a == b).map(<[usize]>::len).max().unwrap_or(0), looked_at)
}

/// Whether a cell is a number or a time rather than a name.
fn is_value(cell: &str) -> bool {
    is_number(cell) || TimeFormat::recognise(cell).is_some()
}

/// Whether a cell is meant as a number, even if it is one that will be refused.
pub(crate) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
        || (cell.contains(',') && cell.replace(',', ".").parse::<f64>().is_ok())
}

/// Whether a cell says that there is no value.
pub(crate) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "?" | "-")
}

fn number(cell: &str) -> std::result::Result<f64, String> {
    if cell.is_empty() {
        return Err("the cell is empty, expected a number; fill it or remove the row".to_owned());
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => {
            Err(format!("`{}` is not a finite number; replace it or remove the row", shown(cell)))
        }
        Err(_) if is_number(cell) => Err(format!(
            "`{}` has a comma, expected a decimal point and no thousands separator; \
             write the numbers like 1234.5",
            shown(cell)
        )),
        Err(_) => Err(format!("`{}` is not a number; replace it or remove the row", shown(cell))),
    }
}

/// A cell as it stands in a message: one line, not too long.
pub(crate) fn shown(cell: &str) -> String {
    let text: String = cell.chars().take(40).flat_map(char::escape_debug).collect();
    if cell.chars().count() > 40 { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> String {
        Table::parse("t.csv", text).unwrap_err().to_string()
    }

    fn bad_number(text: &str, column: usize) -> String {
        Table::parse("t.csv", text).unwrap().numbers(column).unwrap_err().to_string()
    }

    #[test]
    fn separators_header_quotes_crlf_and_byte_order_mark() {
        for (text, separator, header) in [
            ("a,b\n1,2\n3,4\n", ',', true),
            ("\u{feff}a;b\r\n1;2\r\n3;4\r\n", ';', true),
            ("a\tb\n1\t2\n\n3\t4", '\t', true),
            ("\"a\",\"b\"\n\"1\",\" 2 \"\n\"3\",\"4\"\n", ',', true),
            ("1,2\n3,4\n", ',', false),
            ("a|b\r1|2\r3|4\r", '|', true),
        ] {
            let table = Table::parse("t.csv", text).unwrap();
            assert_eq!((table.separator(), table.has_header()), (separator, header), "{text:?}");
            assert_eq!(table.numbers(0).unwrap(), [1.0, 3.0], "{text:?}");
            assert_eq!(table.numbers(1).unwrap(), [2.0, 4.0], "{text:?}");
            let names = if header { ["a", "b"] } else { ["column 1", "column 2"] };
            assert_eq!(table.columns(), names);
        }
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        let table = Table::parse("t.csv", "a,b\r\n\r\n\"x\r\ny\",1\r\n\r\n\r\nz,2\r\n").unwrap();
        assert_eq!([table.line(0), table.line(1)], [3, 7]);
        assert_eq!(table.cell(0, 0), "x\r\ny");
    }

    #[test]
    fn bad_cells_are_named() {
        assert_eq!(
            bad_number("a,b\n1,2\n\n3,x\n", 1),
            "t.csv, line 4, column `b`: `x` is not a number; replace it or remove the row"
        );
        assert!(bad_number("a,b\n1,2\n3,\n", 1).contains("line 3, column `b`: the cell is empty"));
        for cell in ["NaN", "inf", "-infinity", "1e999"] {
            let text = format!("a,b\n1,2\n3,{cell}\n");
            assert!(bad_number(&text, 1).contains("is not a finite number"), "{cell}");
        }
        assert!(bad_number("a;b\n1,5;2\n", 0).contains("decimal point"));
    }

    #[test]
    fn files_in_other_encodings_are_refused_by_name() {
        let message =
            |bytes: &[u8]| Table::from_bytes("t.csv", bytes.to_vec()).unwrap_err().to_string();
        assert!(
            message(b"a,b\n\xe9,2\n").contains("t.csv, line 2: the file is not UTF-8 (byte 0xe9)")
        );
        assert!(message(b"\xff\xfea\0").contains("UTF-16"));
    }

    #[test]
    fn malformed_tables_are_refused_by_name() {
        assert!(
            message("a,b\n1,2\n3\n4,5\n").contains("line 3: the row has 1 cells, but line 1 has 2")
        );
        assert!(message("a,a\n1,2\n").contains("columns 1 and 2 are both named `a`"));
        assert!(message("a,b\n").contains("a header but no rows"));
        assert!(message("\n\n").contains("no rows"));
        assert!(message("v\n1\n\n3\n").contains("line 3: the line is empty"));
    }

    #[test]
    fn an_unknown_column_brings_the_nearest_name() {
        let table = Table::parse("t.csv", "month,passengers\n1,2\n").unwrap();
        assert_eq!(
            table.column("passenger").unwrap_err().to_string(),
            "t.csv: there is no column `passenger`; did you mean `passengers`?"
        );
        let far = table.column("temperature").unwrap_err().to_string();
        assert!(far.ends_with("the columns are `month`, `passengers`"), "{far}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_or_an_error(text in "[a-z0-9.,;\t|\" \r\n-]{0,200}") {
            if let Ok(table) = Table::parse("t.csv", &text) {
                for column in 0..table.columns().len() {
                    prop_assert_eq!(table.cells(column).count(), table.rows());
                    if let Ok(numbers) = table.numbers(column) {
                        prop_assert!(numbers.iter().all(|value| value.is_finite()));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::from_bytes("t.csv", bytes);
        }

        #[test]
        fn any_characters_are_a_table_or_an_error(text in "\\PC{0,100}") {
            let _ = Table::parse("t.csv", &text);
        }

        #[test]
        fn the_line_of_a_row_holds_its_first_cell(
            words in prop::collection::vec("[a-z]{1,4}", 1..20),
            blanks in prop::collection::vec(0_usize..3, 20),
            crlf: bool,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut text = format!("name,x{end}");
            for (word, &blank) in words.iter().zip(&blanks) {
                text += &end.repeat(blank);
                text += &format!("{word},1{end}");
            }
            let table = Table::parse("t.csv", &text).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for (row, word) in words.iter().enumerate() {
                prop_assert_eq!(lines[table.line(row) - 1], format!("{word},1"));
            }
        }
    }
}
