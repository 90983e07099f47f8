//! Parquet files, cell by cell as a CSV file of the same table would have them.
//!
//! What follows a table (roles of columns, times, missing values, messages) reads text, so a Parquet file
//! becomes text here and nothing else knows of it. Numbers are written so that they read back as the same
//! value, booleans as 1 and 0, a missing value as an empty cell, dates and times as ISO 8601 does. A time that
//! is stored as an instant ends in `Z`; one without a zone does not.
//!
//! Columns compressed with snappy, gzip or LZ4 are read. Refused by name: nested columns (lists, maps,
//! structs), bytes that are no text, codecs that are not built in, and files that do not hold what they promise.
//! No size in the file is believed before that many values have been read. The decoder asserts some of what it
//! expects of the bytes of a page; such a panic is caught here and is an error as any other (see [`is_decoding`]).

use super::time::from_seconds;
use crate::error::{Error, Result};
use bytes::Bytes;
use csv::StringRecord;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Records that are decoded at a time.
const AT_ONCE: usize = 4096;

/// More cells than a table in memory has room for: a few bytes of a file can promise any number of them.
const MOST_CELLS: u64 = 1 << 28;

/// Whether a file begins as Parquet files do.
pub(super) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PAR1")
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a decoder whose panics are caught and told as errors about the file. A panic hook
/// that ends the program, or prints, asks this first.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Runs the decoder on bytes that may be anything.
fn guarded<T>(name: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    DECODING.set(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    result.unwrap_or_else(|_| {
        Err(Error::usage(format!("{name}: the Parquet file is damaged; write it again")))
    })
}

/// The names of the columns.
pub(super) fn names(name: &str, bytes: Vec<u8>) -> Result<Vec<String>> {
    guarded(name, || names_of(name, bytes))
}

/// The names of the columns, and all rows.
pub(super) fn read(name: &str, bytes: Vec<u8>) -> Result<(Vec<String>, Vec<StringRecord>)> {
    guarded(name, || rows_of(name, bytes))
}

fn names_of(name: &str, bytes: Vec<u8>) -> Result<Vec<String>> {
    let file = open(name, bytes)?;
    Ok(columns(name, file.metadata().file_metadata().schema_descr())?.0)
}

fn rows_of(name: &str, bytes: Vec<u8>) -> Result<(Vec<String>, Vec<StringRecord>)> {
    let file = open(name, bytes)?;
    let (names, kinds) = columns(name, file.metadata().file_metadata().schema_descr())?;
    let mut rows: Vec<StringRecord> = vec![];
    for group in 0..file.num_row_groups() {
        let broken = |error| broken(name, error);
        let promised = file.metadata().row_group(group).num_rows();
        let count = u64::try_from(promised).ok();
        let room = MOST_CELLS / names.len().max(1) as u64;
        let Some(count) = count.filter(|count| rows.len() as u64 + count <= room) else {
            return Err(Error::usage(format!(
                "{name}: the file says that it holds {promised} rows in one piece of {} columns, more than \
                 a table may have; give a part of it",
                names.len()
            )));
        };
        let group = file.get_row_group(group).map_err(broken)?;
        let mut cells: Vec<Cells> = vec![];
        for (at, kind) in kinds.iter().enumerate() {
            let place = Place { name, column: &names[at], first: rows.len() };
            let reader = group.get_column_reader(at).map_err(|error| place.broken(error))?;
            cells.push(column(&place, reader, *kind, count as usize)?);
        }
        rows.extend((0..count as usize).map(|row| {
            let mut record = StringRecord::new();
            cells.iter().for_each(|column| record.push_field(column.get(row)));
            record
        }));
    }
    Ok((names, rows))
}

fn open(name: &str, bytes: Vec<u8>) -> Result<SerializedFileReader<Bytes>> {
    SerializedFileReader::new(Bytes::from(bytes)).map_err(|error| broken(name, error))
}

fn broken(name: impl std::fmt::Display, error: ParquetError) -> Error {
    let message = error.to_string();
    let what = match error {
        ParquetError::General(what) | ParquetError::EOF(what) => what,
        ParquetError::NYI(what) => format!("{what} (not read here)"),
        _ => message,
    };
    if let Some(feature) = what.strip_prefix("Disabled feature at compile time: ") {
        return Error::usage(format!(
            "{name}: it is compressed with {feature}, which this program was built without; write the \
             file with the compression snappy"
        ));
    }
    Error::usage(format!("{name}: the Parquet file is damaged: {what}"))
}

/// What the values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Truth,
    Whole,
    Unsigned,
    Real,
    Half,
    Text,
    Date,
    /// A time of day, in parts of a second.
    Clock(i64),
    /// Parts of a second since 1970, as an instant or on a clock without a zone.
    Moment {
        parts: i64,
        instant: bool,
    },
    /// A whole number with this many digits behind the point.
    Decimal(u32),
}

/// Names and kinds of all columns.
fn columns(name: &str, schema: &SchemaDescriptor) -> Result<(Vec<String>, Vec<Kind>)> {
    let mut names = vec![];
    for (at, field) in schema.root_schema().get_fields().iter().enumerate() {
        let own = field.name().trim();
        let info = field.get_basic_info();
        if field.is_group() || info.has_repetition() && info.repetition() == Repetition::REPEATED {
            return Err(Error::usage(format!(
                "{name}: column `{own}` is nested (a list, map or struct), a table has one value in each \
                 cell; leave it out or spread it over columns"
            )));
        }
        names.push(if own.is_empty() { format!("column {}", at + 1) } else { own.to_owned() });
    }
    let kind = |(column, field): (&String, usize)| {
        kind(&schema.column(field)).map_err(|what| {
            Error::usage(format!(
                "{name}: column `{column}` holds {what}, expected numbers, truth values, text, dates or \
                 times; leave it out"
            ))
        })
    };
    let kinds = names.iter().zip(0..).map(kind).collect::<Result<_>>()?;
    Ok((names, kinds))
}

fn kind(column: &ColumnDescriptor) -> std::result::Result<Kind, String> {
    use ConvertedType as Converted;
    let parts = |unit: TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    };
    let decimal = |scale: i32| match u32::try_from(scale) {
        Ok(scale) if scale <= 38 => Ok(Kind::Decimal(scale)),
        _ => Err(format!("decimals with {scale} digits behind the point")),
    };
    let (physical, converted) = (column.physical_type(), column.converted_type());
    let whole = matches!(physical, Physical::INT32 | Physical::INT64);
    // A logical type says the same as a converted one, and more.
    Ok(match (column.logical_type_ref(), physical) {
        (_, Physical::BOOLEAN) => Kind::Truth,
        (_, Physical::FLOAT | Physical::DOUBLE) => Kind::Real,
        (_, Physical::INT96) => Kind::Moment { parts: 1_000_000_000, instant: false },
        (Some(LogicalType::Decimal(own)), _) => decimal(own.scale)?,
        (None, _) if converted == Converted::DECIMAL => decimal(column.type_scale())?,
        (Some(LogicalType::Date), Physical::INT32) => Kind::Date,
        (Some(LogicalType::Time(time)), _) if whole => Kind::Clock(parts(time.unit)),
        (Some(LogicalType::Timestamp(time)), Physical::INT64) => {
            Kind::Moment { parts: parts(time.unit), instant: time.is_adjusted_to_u_t_c }
        }
        (Some(LogicalType::Integer(own)), _) if whole && !own.is_signed => Kind::Unsigned,
        (None, _) if whole => match converted {
            Converted::DATE => Kind::Date,
            Converted::TIME_MILLIS => Kind::Clock(1_000),
            Converted::TIME_MICROS => Kind::Clock(1_000_000),
            Converted::TIMESTAMP_MILLIS => Kind::Moment { parts: 1_000, instant: true },
            Converted::TIMESTAMP_MICROS => Kind::Moment { parts: 1_000_000, instant: true },
            Converted::UINT_8 | Converted::UINT_16 | Converted::UINT_32 | Converted::UINT_64 => {
                Kind::Unsigned
            }
            _ => Kind::Whole,
        },
        (_, Physical::INT32 | Physical::INT64) => Kind::Whole,
        (Some(LogicalType::Float16), Physical::FIXED_LEN_BYTE_ARRAY)
            if column.type_length() == 2 =>
        {
            Kind::Half
        }
        (_, Physical::BYTE_ARRAY) => Kind::Text,
        (_, Physical::FIXED_LEN_BYTE_ARRAY) => {
            return Err(format!("pieces of {} bytes", column.type_length()));
        }
    })
}

/// The cells of a column.
struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text[start..self.ends[row]].trim()
    }
}

/// Where values stand, for messages.
struct Place<'a> {
    name: &'a str,
    column: &'a str,
    /// Rows before this piece of the file.
    first: usize,
}

impl Place<'_> {
    fn broken(&self, error: ParquetError) -> Error {
        broken(format_args!("{}, column `{}`", self.name, self.column), error)
    }

    fn wrong(&self, row: usize, what: &str) -> Error {
        let row = self.first + row + 1;
        Error::usage(format!("{}, row {row}, column `{}`: {what}", self.name, self.column))
    }
}

/// A value as text behind the text so far, or what is wrong with it.
type Written = std::result::Result<(), String>;

fn column(place: &Place<'_>, reader: ColumnReader, kind: Kind, count: usize) -> Result<Cells> {
    match reader {
        ColumnReader::BoolColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, truth| {
                out.push(if *truth { '1' } else { '0' });
                Ok(())
            })
        }
        ColumnReader::Int32ColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| {
                let unsigned = kind == Kind::Unsigned;
                let value = if unsigned { i128::from(*value as u32) } else { i128::from(*value) };
                write_whole(out, kind, value)
            })
        }
        ColumnReader::Int64ColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| {
                let unsigned = kind == Kind::Unsigned;
                let value = if unsigned { i128::from(*value as u64) } else { i128::from(*value) };
                write_whole(out, kind, value)
            })
        }
        ColumnReader::Int96ColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| {
                // Nanoseconds of a day, and the day of the Julian calendar.
                let [low, high, day] = [0, 1, 2].map(|at| i128::from(value.data()[at]));
                write_whole(
                    out,
                    kind,
                    (day - 2_440_588) * 86_400 * 1_000_000_000 + (high << 32) + low,
                )
            })
        }
        ColumnReader::FloatColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| {
                write_real(out, *value, f64::from(*value));
                Ok(())
            })
        }
        ColumnReader::DoubleColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| {
                write_real(out, *value, *value);
                Ok(())
            })
        }
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| write_bytes(out, kind, value.data()))
        }
        ColumnReader::FixedLenByteArrayColumnReader(mut reader) => {
            fill(place, &mut reader, count, |out, value| write_bytes(out, kind, value.data()))
        }
    }
}

/// Reads all values of a column; a missing one is an empty cell.
fn fill<T: DataType>(
    place: &Place<'_>,
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    write: impl Fn(&mut String, &T::T) -> Written,
) -> Result<Cells> {
    let mut cells = Cells { text: String::new(), ends: vec![] };
    let (mut present, mut values) = (vec![], vec![]);
    while cells.ends.len() < count {
        present.clear();
        values.clear();
        let most = AT_ONCE.min(count - cells.ends.len());
        let read = reader.read_records(most, Some(&mut present), None, &mut values);
        let (records, _, _) = read.map_err(|error| place.broken(error))?;
        if records == 0 || !present.is_empty() && present.len() != records {
            let what = "the column ends here, other columns do not; the Parquet file is damaged";
            return Err(place.wrong(cells.ends.len(), what));
        }
        let mut values = values.iter();
        for record in 0..records {
            if present.get(record).is_none_or(|level| *level > 0) {
                let row = cells.ends.len();
                let value = values.next().ok_or_else(|| {
                    place.wrong(row, "the value is not there; the Parquet file is damaged")
                })?;
                write(&mut cells.text, value).map_err(|what| place.wrong(row, &what))?;
            }
            cells.ends.push(cells.text.len());
        }
    }
    Ok(cells)
}

/// The shortest text that reads back as this number.
fn write_real<F: std::fmt::Display + std::fmt::LowerExp>(out: &mut String, value: F, wide: f64) {
    let size = wide.abs();
    *out += &if !wide.is_finite() || size == 0.0 || (1e-5..1e16).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    };
}

fn write_whole(out: &mut String, kind: Kind, value: i128) -> Written {
    match kind {
        Kind::Decimal(scale) => write_decimal(out, value, scale),
        Kind::Date => {
            let seconds = i64::try_from(value * 86_400).ok();
            let date = seconds.and_then(from_seconds).filter(|time| time.year() >= 0);
            let date =
                date.ok_or_else(|| format!("day {value} since 1970 is beyond the calendar"))?;
            *out += &date.strftime("%Y-%m-%d").to_string();
        }
        Kind::Clock(parts) => {
            let (seconds, rest) = (value.div_euclid(parts.into()), value.rem_euclid(parts.into()));
            if !(0..=86_400).contains(&seconds) {
                return Err(format!("{value} is no time of day"));
            }
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            *out += &format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
            write_fraction(out, rest, parts);
        }
        Kind::Moment { parts, instant } => {
            let (seconds, rest) = (value.div_euclid(parts.into()), value.rem_euclid(parts.into()));
            let time = i64::try_from(seconds).ok().and_then(from_seconds);
            let time = time.filter(|time| time.year() >= 0);
            let time = time.ok_or_else(|| format!("{value} since 1970 is beyond the calendar"))?;
            let form = if instant { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
            *out += &time.strftime(form).to_string();
            write_fraction(out, rest, parts);
            if instant {
                out.push('Z');
            }
        }
        _ => *out += &value.to_string(),
    }
    Ok(())
}

/// What is left of a second, if anything is.
fn write_fraction(out: &mut String, rest: i128, parts: i64) {
    if rest != 0 {
        let digits = parts.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        *out += ".";
        *out += fraction.trim_end_matches('0');
    }
}

fn write_decimal(out: &mut String, value: i128, scale: u32) {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    if value < 0 {
        out.push('-');
    }
    *out += whole;
    if !fraction.is_empty() {
        out.push('.');
        *out += fraction;
    }
}

fn write_bytes(out: &mut String, kind: Kind, bytes: &[u8]) -> Written {
    match (kind, bytes) {
        (Kind::Decimal(scale), _) => {
            // Two's complement, the highest byte first.
            let (Some(first), true) = (bytes.first(), bytes.len() <= 16) else {
                return Err(format!("a decimal of {} bytes, at most 16 can be read", bytes.len()));
            };
            let sign = if first >> 7 == 1 { -1 } else { 0 };
            let value = bytes.iter().fold(sign, |value: i128, byte| value << 8 | i128::from(*byte));
            write_decimal(out, value, scale);
        }
        (Kind::Half, &[low, high]) => {
            let value = recurve_interop::Dtype::F16.reals(&[low, high])[0];
            write_real(out, value as f32, value);
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => *out += text,
            Err(_) => return Err("the cell holds bytes that are no UTF-8 text".to_owned()),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::data::Table;
    use parquet::basic::{Compression, Encoding};
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// Values of a column, none where they are missing.
    #[derive(Clone)]
    enum Values {
        Truths(Vec<Option<bool>>),
        Ints(Vec<Option<i32>>),
        Longs(Vec<Option<i64>>),
        Days(Vec<Option<Int96>>),
        Floats(Vec<Option<f32>>),
        Doubles(Vec<Option<f64>>),
        Texts(Vec<Option<&'static [u8]>>),
        Pieces(Vec<Option<&'static [u8]>>),
    }

    /// A file of groups of columns; the schema is written as Parquet's tools print it.
    fn file(schema: &str, groups: &[Vec<Values>], properties: WriterProperties) -> Vec<u8> {
        let end = if schema.ends_with('}') { "" } else { ";" };
        let schema = parse_message_type(&format!("message table {{ {schema}{end} }}"));
        let schema = Arc::new(schema.unwrap());
        let mut writer = SerializedFileWriter::new(vec![], schema, Arc::new(properties)).unwrap();
        for group in groups {
            let mut rows = writer.next_row_group().unwrap();
            for values in group {
                let mut column = rows.next_column().unwrap().unwrap();
                macro_rules! write {
                    ($column:expr, $values:expr, $into:expr) => {{
                        let levels: Vec<i16> =
                            $values.iter().map(|value| i16::from(value.is_some())).collect();
                        let given: Vec<_> = $values.iter().cloned().flatten().map($into).collect();
                        $column.write_batch(&given, Some(&levels), None).unwrap();
                    }};
                }
                match (column.untyped(), values) {
                    (ColumnWriter::BoolColumnWriter(c), Values::Truths(v)) => write!(c, v, |v| v),
                    (ColumnWriter::Int32ColumnWriter(c), Values::Ints(v)) => write!(c, v, |v| v),
                    (ColumnWriter::Int64ColumnWriter(c), Values::Longs(v)) => write!(c, v, |v| v),
                    (ColumnWriter::Int96ColumnWriter(c), Values::Days(v)) => write!(c, v, |v| v),
                    (ColumnWriter::FloatColumnWriter(c), Values::Floats(v)) => write!(c, v, |v| v),
                    (ColumnWriter::DoubleColumnWriter(c), Values::Doubles(v)) => {
                        write!(c, v, |v| v)
                    }
                    (ColumnWriter::ByteArrayColumnWriter(c), Values::Texts(v)) => {
                        write!(c, v, ByteArray::from);
                    }
                    (ColumnWriter::FixedLenByteArrayColumnWriter(c), Values::Pieces(v)) => {
                        write!(c, v, |v: &[u8]| FixedLenByteArray::from(v.to_vec()));
                    }
                    _ => panic!("the schema has another type"),
                }
                column.close().unwrap();
            }
            rows.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn plain() -> WriterProperties {
        WriterProperties::builder().set_created_by("a test".to_owned()).build()
    }

    fn read_cells(schema: &str, groups: &[Vec<Values>]) -> Vec<String> {
        let table = Table::from_bytes("t.parquet", file(schema, groups, plain())).unwrap();
        let row = |row| {
            let cells = (0..table.columns().len()).map(|column| table.cell(row, column));
            cells.collect::<Vec<_>>().join("|")
        };
        (0..table.rows()).map(row).collect()
    }

    fn refused(schema: &str, groups: &[Vec<Values>]) -> String {
        Table::from_bytes("t.parquet", file(schema, groups, plain())).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_value_is_written_as_in_a_csv_file() {
        let mut day = Int96::new();
        // Noon of 2020-01-01, the Julian day 2 458 850.
        let noon: u64 = 43_200_000_000_000;
        day.set_data(noon as u32, (noon >> 32) as u32, 2_458_850);
        let schema = "optional boolean truth; optional int32 i; optional int32 u (INTEGER(32,false)); \
             optional int32 day (DATE); optional int64 l; optional int64 u64 (INTEGER(64,false)); \
             optional int64 local (TIMESTAMP(MICROS,false)); optional int64 instant (TIMESTAMP(NANOS,true)); \
             optional int64 old (TIMESTAMP_MILLIS); optional int64 clock (TIME(MILLIS,false)); \
             optional int96 legacy; optional float f; optional double d; optional binary s (UTF8); \
             optional binary plain; optional int32 price (DECIMAL(7,2)); \
             optional fixed_len_byte_array(16) big (DECIMAL(38,3)); \
             optional fixed_len_byte_array(2) half (FLOAT16)";
        // A time of day in milliseconds is an INT32.
        let schema = schema.replace("int64 clock", "int32 clock");
        let group = vec![
            Values::Truths(vec![Some(true), None, Some(false)]),
            Values::Ints(vec![Some(-5), None, Some(i32::MIN)]),
            Values::Ints(vec![Some(-1), None, Some(7)]),
            Values::Ints(vec![Some(18_262), None, Some(-1)]),
            Values::Longs(vec![Some(i64::MAX), None, Some(0)]),
            Values::Longs(vec![Some(-1), None, Some(1)]),
            Values::Longs(vec![Some(1_577_880_000_000_000), None, Some(-500_000)]),
            Values::Longs(vec![Some(1_577_880_000_000_000_000), None, Some(1)]),
            Values::Longs(vec![Some(1_577_880_000_000), None, Some(0)]),
            Values::Ints(vec![Some(43_200_500), None, Some(0)]),
            Values::Days(vec![Some(day), None, Some(day)]),
            Values::Floats(vec![Some(0.1), None, Some(f32::NAN)]),
            Values::Doubles(vec![Some(1e300), None, Some(-0.25)]),
            Values::Texts(vec![Some(" größer, \"so\" ".as_bytes()), None, Some(b"")]),
            Values::Texts(vec![Some(b"x"), None, Some(b"y")]),
            Values::Ints(vec![Some(-12_345), None, Some(5)]),
            Values::Pieces(vec![Some(&[0xff; 16]), None, Some(&[0; 16])]),
            Values::Pieces(vec![Some(&[0x00, 0x3c]), None, Some(&[0x00, 0xc1])]),
        ];
        assert_eq!(
            read_cells(&schema, &[group]),
            [
                "1|-5|4294967295|2020-01-01|9223372036854775807|18446744073709551615|\
                 2020-01-01 12:00:00|2020-01-01T12:00:00Z|2020-01-01T12:00:00Z|12:00:00.5|\
                 2020-01-01 12:00:00|0.1|1e300|größer, \"so\"|x|-123.45|-0.001|1",
                "|||||||||||||||||",
                "0|-2147483648|7|1969-12-31|0|1|1969-12-31 23:59:59.5|1970-01-01T00:00:00.000000001Z|\
                 1970-01-01T00:00:00Z|00:00:00|2020-01-01 12:00:00|NaN|-0.25||y|0.05|0.000|-2.5",
            ]
        );
    }

    /// Enough rows for several groups, pages and runs of levels.
    fn long_table(properties: WriterProperties) -> Vec<u8> {
        let group = |from: i64| {
            let rows = from..from + 6000;
            let odd = |i: i64| i % 3 != 0;
            vec![
                Values::Longs(rows.clone().map(Some).collect()),
                Values::Doubles(rows.clone().map(|i| odd(i).then_some(i as f64 / 7.0)).collect()),
                Values::Texts(
                    rows.map(|i| odd(i).then_some(&b"abcdefgh"[..(i % 9) as usize])).collect(),
                ),
            ]
        };
        let schema = "required int64 n; optional double x; optional binary s (UTF8)";
        let schema = schema.replace("required", "optional");
        file(&schema, &[group(0), group(6000)], properties)
    }

    #[test]
    fn every_encoding_and_codec_gives_the_same_table() {
        let builder = WriterProperties::builder;
        let tables = [
            builder(),
            builder().set_dictionary_enabled(false),
            builder().set_compression(Compression::SNAPPY).set_data_page_row_count_limit(100),
            builder().set_compression(Compression::GZIP(Default::default())),
            builder().set_compression(Compression::LZ4_RAW),
            builder()
                .set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0)
                .set_dictionary_enabled(false)
                .set_column_encoding("n".into(), Encoding::DELTA_BINARY_PACKED)
                .set_column_encoding("x".into(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_encoding("s".into(), Encoding::DELTA_BYTE_ARRAY),
        ];
        for properties in tables {
            let bytes = long_table(properties.build());
            let table = Table::from_bytes("t.parquet", bytes).unwrap();
            assert_eq!(
                (table.rows(), table.columns()),
                (12_000, &["n", "x", "s"].map(String::from)[..])
            );
            for row in 0..table.rows() {
                let odd = row % 3 != 0;
                assert_eq!(table.cell(row, 0), row.to_string());
                assert_eq!(table.cell(row, 1).parse().ok(), odd.then_some(row as f64 / 7.0));
                assert_eq!(table.cell(row, 2), if odd { &"abcdefgh"[..row % 9] } else { "" });
            }
        }
    }

    #[test]
    fn what_is_no_table_is_refused_by_name() {
        let one = || Values::Ints(vec![Some(1)]);
        let nested = refused(
            "optional group tags (LIST) { repeated group list { optional int32 element; } }",
            &[],
        );
        assert!(nested.starts_with("t.parquet: column `tags` is nested"), "{nested}");
        let repeated = refused("repeated int32 many", &[]);
        assert!(repeated.contains("column `many` is nested"), "{repeated}");
        let uuid = refused("optional fixed_len_byte_array(16) who (UUID)", &[]);
        assert!(uuid.contains("column `who` holds pieces of 16 bytes"), "{uuid}");
        let twice = refused("optional int32 a; optional int32 a", &[vec![one(), one()]]);
        assert!(twice.contains("columns 1 and 2 are both named `a`"), "{twice}");
        assert!(refused("optional int32 a", &[]).contains("holds no rows"));
        let bytes = Values::Texts(vec![Some(b"fine"), Some(b"\xff")]);
        let bytes = refused("optional binary s (UTF8)", &[vec![bytes]]);
        assert!(bytes.starts_with("t.parquet, row 2, column `s`: the cell holds bytes"), "{bytes}");
        let far = Values::Longs(vec![Some(i64::MAX)]);
        let far = refused("optional int64 t (TIMESTAMP(MILLIS,false))", &[vec![far]]);
        assert!(
            far.contains("row 1, column `t`: 9223372036854775807 since 1970 is beyond"),
            "{far}"
        );
        let text = Values::Texts(vec![Some(b"1"), Some(b"x")]);
        let table = file("optional binary v (UTF8)", &[vec![text]], plain());
        let table = Table::from_bytes("t.parquet", table).unwrap();
        assert_eq!(
            table.numbers(0).unwrap_err().to_string(),
            "t.parquet, row 2, column `v`: `x` is not a number; replace it or remove the row"
        );
    }

    #[test]
    fn a_codec_that_is_not_built_in_is_named_with_what_to_do() {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let column = Values::Doubles((0..50).map(|i| Some(f64::from(i))).collect());
        let mut bytes = file("optional double x", &[vec![column]], properties);
        // In the footer: the path of the column, then the number of its codec, 1 as 2 times 1.
        let codec = [0x19, 0x18, 1, b'x', 0x15, 2];
        let at = bytes.windows(codec.len()).position(|piece| piece == codec).unwrap() + 5;
        for (number, name) in [(4, "brotli"), (6, "zstd")] {
            bytes[at] = 2 * number;
            let error = Table::from_bytes("t.parquet", bytes.clone()).unwrap_err().to_string();
            let expected = format!("column `x`: it is compressed with {name}, which");
            assert!(error.contains(&expected) && error.contains("snappy"), "{error}");
        }
    }

    #[test]
    fn damaged_files_are_errors_that_name_the_file() {
        let group = vec![
            Values::Longs((0..40).map(|i| Some(i * 1_000_000)).collect()),
            Values::Doubles((0..40).map(|i| (i % 5 > 0).then_some(f64::from(i))).collect()),
            Values::Texts((0..40).map(|i| Some(&b"abcd"[..i % 4])).collect()),
            Values::Truths((0..40).map(|i| Some(i % 2 == 0)).collect()),
        ];
        let schema = "optional int64 t (TIMESTAMP(MILLIS,false)); optional double x; \
             optional binary s (UTF8); optional boolean b";
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            let properties = WriterProperties::builder().set_compression(compression);
            let whole = file(
                schema,
                std::slice::from_ref(&group),
                properties.set_created_by("t".to_owned()).build(),
            );
            let read = |bytes: &[u8]| {
                if let Err(error) = Table::from_bytes("t.parquet", bytes.to_vec()) {
                    let message = error.to_string();
                    assert!(
                        message.starts_with("t.parquet") && message.lines().count() == 1,
                        "{message}"
                    );
                }
            };
            for end in 4..whole.len() {
                read(&whole[..end]);
            }
            for at in 4..whole.len() {
                for change in [1_u8, 0x10, 0x80, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= change;
                    read(&bytes);
                }
                // A whole number that is far too large, as these files write one.
                let mut bytes = whole.clone();
                for (byte, large) in bytes[at..].iter_mut().zip([0xff, 0xff, 0xff, 0xff, 0x0f]) {
                    *byte = large;
                }
                read(&bytes);
            }
        }
    }
}
