//! Tables in Parquet files, used as CSV files are: the same models, forecasts, classes and numbers come of them.

mod support;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support::{names, recurve, train};

/// What a column of a table is in a Parquet file.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Real,
    Whole,
    /// Milliseconds since 1970, from `1950-01-01 00:00:00`.
    Moment,
}

/// Writes a CSV table as a Parquet file; empty cells are missing values.
fn write(path: &Path, csv: &str, kinds: &[Kind]) {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a header");
    let rows: Vec<Vec<&str>> = lines.collect();
    assert_eq!(head.len(), kinds.len());
    let field = |(name, kind): (&&str, &Kind)| {
        let (physical, logical) = match kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Real => (Physical::DOUBLE, None),
            Kind::Whole => (Physical::INT64, None),
            Kind::Moment => {
                (Physical::INT64, Some(LogicalType::timestamp(false, TimeUnit::MILLIS)))
            }
        };
        let field = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        Arc::new(field.with_repetition(Repetition::OPTIONAL).build().expect("a column"))
    };
    let fields = head.iter().zip(kinds).map(field).collect();
    let schema = Type::group_type_builder("table").with_fields(fields).build().expect("a schema");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = fs::File::create(path).expect("room");
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).expect("a file");
    // Two pieces, as long tables have.
    for rows in rows.chunks(rows.len().div_ceil(2)) {
        let mut group = writer.next_row_group().expect("a piece");
        for (at, kind) in kinds.iter().enumerate() {
            let mut column = group.next_column().expect("a column").expect("as many as fields");
            let levels: Vec<i16> = rows.iter().map(|row| i16::from(!row[at].is_empty())).collect();
            let cells = rows.iter().map(|row| row[at]).filter(|cell| !cell.is_empty());
            let levels = Some(&levels[..]);
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(column) => {
                    let values: Vec<ByteArray> = cells.map(ByteArray::from).collect();
                    column.write_batch(&values, levels, None).expect("room");
                }
                ColumnWriter::DoubleColumnWriter(column) => {
                    let values: Vec<f64> = cells.map(|c| c.parse().expect("a number")).collect();
                    column.write_batch(&values, levels, None).expect("room");
                }
                ColumnWriter::Int64ColumnWriter(column) => {
                    let value = |cell: &str| match kind {
                        Kind::Moment => moment(cell),
                        _ => cell.parse().expect("a whole number"),
                    };
                    let values: Vec<i64> = cells.map(value).collect();
                    column.write_batch(&values, levels, None).expect("room");
                }
                _ => panic!("no such kind"),
            }
            column.close().expect("room");
        }
        group.close().expect("room");
    }
    writer.close().expect("room");
}

/// Milliseconds from 1970 to the first of a month, `1950-03-01 00:00:00`.
fn moment(cell: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| cell[range].parse::<i64>().expect("a number");
    let (year, month) = (number(0..4), number(5..7));
    let leap = |year: i64| i64::from(year % 4 == 0 && year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = if year < 1970 {
        -(year..1970).map(|year| 365 + leap(year)).sum::<i64>()
    } else {
        (1970..year).map(|year| 365 + leap(year)).sum()
    };
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>();
    days * 86_400_000
}

/// The monthly series, with times as many programs write them.
fn air() -> String {
    let mut lines = support::air(96).lines().map(str::to_owned).collect::<Vec<_>>();
    for line in &mut lines[1..] {
        *line = line[..7].to_owned() + "-01 00:00:00" + &line[7..];
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_forecast_is_the_same_from_either_kind_of_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let csv = air();
    let kinds = [Kind::Moment, Kind::Whole, Kind::Real];
    fs::write(here.join("air.csv"), &csv).expect("room");
    write(&here.join("air.parquet"), &csv, &kinds);
    for file in ["air.csv", "air.parquet"] {
        let name = file.replace("air.", "");
        let args = [file, "--name", &name, "--quiet", "--json", "--set", "data.horizon=6"];
        let told = train(here, &[&args[..], &["--set", "data.known=[\"holidays\"]"]].concat());
        assert_eq!(told.done().json()["task"], "forecast");
    }
    let mut known = csv.clone();
    for month in 1..=6 {
        known += &format!("1958-{month:02}-01 00:00:00,{},\n", 3 * month % 7);
    }
    fs::write(here.join("known.csv"), &known).expect("room");
    write(&here.join("known.parquet"), &known, &kinds);
    let forecasts = ["csv", "parquet"].map(|kind| {
        let (run, known) = (format!("runs/{kind}"), format!("known.{kind}"));
        recurve(here, &["forecast", &run, &known]).done().out
    });
    assert!(forecasts[0].contains("1958-06-01 00:00:00"), "{}", forecasts[0]);
    assert_eq!(forecasts[0], forecasts[1]);
    // A model that learned from one reads the other.
    for verb in ["predict", "eval"] {
        let said = ["air.csv", "air.parquet"]
            .map(|file| recurve(here, &[verb, "runs/csv", file, "--json"]).done().out);
        assert_eq!(said[0], said[1], "{verb}");
    }
}

#[test]
fn several_series_with_missing_values_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut csv = "shop,day,sold,price\n".to_owned();
    for shop in ["north", "south"] {
        for day in 0..90 {
            let sold = if day % 17 == 3 { String::new() } else { format!("{}", 20 + day % 7) };
            writeln!(csv, "{shop},{day},{sold},{:.2}", 1.0 + f64::from(day % 5)).expect("a string");
        }
    }
    write(
        &folder.path().join("shops.parquet"),
        &csv,
        &[Kind::Text, Kind::Whole, Kind::Real, Kind::Real],
    );
    let args = ["shops.parquet", "--json", "--quiet", "--set", "data.series=shop"];
    let more = ["--set", "data.targets=sold", "--set", "data.time=day", "--set", "data.horizon=7"];
    let missing = ["--set", "data.missing=mask"];
    let told = train(folder.path(), &[&args[..], &more, &missing].concat()).done().json();
    assert_eq!(told["task"], "forecast");
}

#[test]
fn classes_and_numbers_of_sequences_are_learned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let mut texts = "text,label,score\n".to_owned();
    let mut steps = "id,t,a,b,y\n".to_owned();
    for at in 0..40 {
        let (word, label) = if at % 2 == 0 { ("good", "yes") } else { ("bad", "no") };
        writeln!(texts, "a {word} thing {at},{label},{at}").expect("a string");
        for t in 0..5 {
            let b = if t == 2 { String::new() } else { format!("{t}.5") };
            writeln!(steps, "s{at},{t},{},{b},{}", at % 4, at % 4).expect("a string");
        }
    }
    let steps_of = [Kind::Text, Kind::Whole, Kind::Real, Kind::Real, Kind::Real];
    for (name, csv, kinds, args) in [
        ("texts", &texts, &[Kind::Text, Kind::Text, Kind::Whole][..], &[][..]),
        ("steps", &steps, &steps_of[..], &["--task", "regress"][..]),
    ] {
        let (plain, file) = (format!("{name}.csv"), format!("{name}.parquet"));
        fs::write(here.join(&plain), csv).expect("room");
        write(&here.join(&file), csv, kinds);
        train(here, &[&[&file, "--name", name, "--quiet"], args].concat()).done();
        let run = format!("runs/{name}");
        let said = [plain, file].map(|file| recurve(here, &["predict", &run, &file]).done().out);
        assert_eq!(said[0], said[1], "{name}");
    }
}

#[test]
fn parquet_files_that_are_wrong_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let csv = "day,v\n1950-01-01 00:00:00,1\n1950-02-01 00:00:00,\n1950-03-01 00:00:00,3\n";
    write(&here.join("gap.parquet"), csv, &[Kind::Moment, Kind::Real]);
    train(here, &["gap.parquet"]).refused(2, &["gap.parquet, row 2, column `v`"]);
    train(here, &["gap.parquet", "--task", "language"]).refused(2, &["gap.parquet", "is a table"]);
    train(here, &["gap.parquet", "--task", "tag"]).refused(2, &["gap.parquet", "is a table"]);
    let whole = fs::read(here.join("gap.parquet")).expect("a file");
    // Every end and many changes of a byte: one error, and never a mistake of the program.
    for at in (4..whole.len()).step_by(whole.len() / 40) {
        fs::write(here.join("bad.parquet"), &whole[..at]).expect("room");
        train(here, &["bad.parquet"]).refused(2, &["bad.parquet"]);
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        fs::write(here.join("bad.parquet"), &bytes).expect("room");
        train(here, &["bad.parquet"]).refused(2, &[]);
    }
    assert_eq!(names(here), ["bad.parquet", "gap.parquet"], "nothing is left behind");
}
