//! How the cells of a time column are written.
//!
//! A time is one `i64`: seconds since 1970-01-01 00:00 on the column's own wall clock, or the number
//! itself where the column counts. A forecast is written in the spelling of its column. `01/02/2020`
//! and `01-02-2020` are no times, because day-first and month-first cannot be told apart; between
//! points the day comes first everywhere.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// How the cells of a time column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// A year, `1949`.
    Year,
    /// A month, `1949-01`.
    Month,
    /// A date, `1949-01-31`.
    Date,
    /// A date without separators, `19490131`.
    CompactDate,
    /// A date between slashes, year first, `1949/01/31`.
    SlashedDate,
    /// A date between points, day first, `31.01.1949`.
    PointedDate,
    /// A date and a time of day without zone, `1949-01-31 12:00` or `1949-01-31T12:00:00`.
    DateTime {
        /// What stands between date and time: a space or `T`.
        separator: char,
        /// Whether seconds are written.
        seconds: bool,
    },
    /// An instant with its offset from UTC (RFC 3339), `1949-01-31T12:00:00+01:00`.
    Instant {
        /// The offset of the first row, in seconds; all rows are moved to it.
        offset: i32,
    },
    /// A whole number that grows steadily.
    Integer,
}

impl TimeFormat {
    /// The format of one cell and its time, or `None` where the cell is no time. A whole number is
    /// taken as [`Integer`](Self::Integer) only if it is neither a year nor a compact date.
    pub(crate) fn recognise(cell: &str) -> Option<(Self, i64)> {
        let format = Self::shape(cell)?;
        Some((format, format.parse(cell)?))
    }

    /// Whether its times are dates.
    pub(crate) fn is_calendar(self) -> bool {
        self != Self::Integer
    }

    fn shape(cell: &str) -> Option<Self> {
        let bytes = cell.as_bytes();
        let dashed = bytes.len() > 7 && bytes[4] == b'-' && bytes[7] == b'-';
        match bytes.len() {
            4 if Self::Year.parse(cell).is_some() => Some(Self::Year),
            8 if Self::CompactDate.parse(cell).is_some() => Some(Self::CompactDate),
            7 if bytes[4] == b'-' => Some(Self::Month),
            10 if dashed => Some(Self::Date),
            10 if bytes[4] == b'/' => Some(Self::SlashedDate),
            10 if bytes[2] == b'.' && bytes[5] == b'.' => Some(Self::PointedDate),
            16.. if dashed && cell.is_ascii() => {
                if let Some(offset) = offset_of(cell) {
                    return Some(Self::Instant { offset });
                }
                let separator = char::from(bytes[10]);
                let known = separator == ' ' || separator == 'T';
                known.then_some(Self::DateTime { separator, seconds: bytes.len() > 16 })
            }
            _ => cell.parse::<i64>().is_ok().then_some(Self::Integer),
        }
    }

    /// The time a cell of this format says, or `None` where it is not of this format.
    pub(crate) fn parse(self, cell: &str) -> Option<i64> {
        if !cell.is_ascii() {
            return None;
        }
        match self {
            Self::Year => {
                let year: i16 = digits(cell, 4)?;
                (1000..3000).contains(&year).then_some(())?;
                to_seconds(Date::new(year, 1, 1).ok()?.into())
            }
            Self::Month => {
                let (year, month) = cell.split_once('-')?;
                let date = Date::new(digits(year, 4)?, digits(month, 2)?, 1).ok()?;
                to_seconds(date.into())
            }
            Self::Date => to_seconds(dashed_date(cell)?.into()),
            Self::SlashedDate => to_seconds(date(cell.splitn(3, '/'))?.into()),
            Self::PointedDate => to_seconds(date(cell.rsplitn(3, '.'))?.into()),
            Self::CompactDate => {
                digits::<u32>(cell, 8)?;
                let date = Date::new(
                    digits(&cell[..4], 4)?,
                    digits(&cell[4..6], 2)?,
                    digits(&cell[6..], 2)?,
                );
                let date = date.ok()?;
                (1000..3000).contains(&date.year()).then_some(())?;
                to_seconds(date.into())
            }
            Self::DateTime { separator, seconds } => {
                let date = dashed_date(cell.get(..10)?)?;
                let rest = cell[10..].strip_prefix(separator)?;
                if (rest.len() > 5) != seconds {
                    return None;
                }
                to_seconds(date.to_datetime(clock(rest)?))
            }
            Self::Instant { offset } => {
                let own = offset_of(cell)?;
                let end = cell.len() - if cell.ends_with(['Z', 'z']) { 1 } else { 6 };
                let date = dashed_date(cell.get(..10)?)?;
                let rest = cell.get(11..end)?;
                matches!(cell.as_bytes()[10], b'T' | b't' | b' ').then_some(())?;
                let wall = to_seconds(date.to_datetime(clock(rest)?))?;
                Some(wall - i64::from(own) + i64::from(offset))
            }
            Self::Integer => cell.parse().ok(),
        }
    }

    /// A time in this format.
    pub fn write(self, time: i64) -> String {
        if self == Self::Integer {
            return time.to_string();
        }
        // A time of this format came from a cell or from `Frequency::after`, which stay in range.
        let Some(wall) = from_seconds(time) else {
            return time.to_string();
        };
        match self {
            Self::Year => wall.strftime("%Y").to_string(),
            Self::Month => wall.strftime("%Y-%m").to_string(),
            Self::Date => wall.strftime("%Y-%m-%d").to_string(),
            Self::CompactDate => wall.strftime("%Y%m%d").to_string(),
            Self::SlashedDate => wall.strftime("%Y/%m/%d").to_string(),
            Self::PointedDate => wall.strftime("%d.%m.%Y").to_string(),
            Self::DateTime { separator, seconds } => {
                let clock = if seconds { "%H:%M:%S" } else { "%H:%M" };
                format!("{}{separator}{}", wall.strftime("%Y-%m-%d"), wall.strftime(clock))
            }
            Self::Instant { offset: 0 } => wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::Instant { offset } => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs() / 60;
                let wall = wall.strftime("%Y-%m-%dT%H:%M:%S");
                format!("{wall}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Self::Integer => unreachable!("returned above"),
        }
    }

    /// Whether a column of plain numbers can look like this, so that its name or its place must
    /// confirm that it is time.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Year | Self::CompactDate | Self::Integer)
    }
}

fn digits<N: std::str::FromStr>(text: &str, count: usize) -> Option<N> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn dashed_date(text: &str) -> Option<Date> {
    date(text.splitn(3, '-'))
}

/// A date from its year, month and day.
fn date<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Date> {
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    Date::new(year, month, digits(parts.next()?, 2)?).ok()
}

/// `12:00`, `12:00:00` or `12:00:00.000`; a fraction other than zero is finer than a step.
fn clock(text: &str) -> Option<Time> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let second = match parts.next() {
        Some(second) => digits(second, 2)?,
        None => 0,
    };
    (whole && parts.next().is_none()).then_some(())?;
    Time::new(hour, minute, second, 0).ok()
}

/// The offset at the end of an RFC 3339 cell, in seconds.
fn offset_of(cell: &str) -> Option<i32> {
    if cell.ends_with(['Z', 'z']) {
        return Some(0);
    }
    let start = cell.len().checked_sub(6).filter(|&start| start >= 16)?;
    let (sign, rest) = cell.get(start..)?.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let minutes: i32 = digits::<i32>(hours, 2)? * 60 + digits::<i32>(minutes, 2)?;
    (minutes < 24 * 60).then_some(())?;
    match sign {
        "+" => Some(minutes * 60),
        "-" => Some(-minutes * 60),
        _ => None,
    }
}

pub(super) fn to_seconds(wall: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(wall).ok()?.as_second())
}

pub(super) fn from_seconds(time: i64) -> Option<DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_second(time).ok()?))
}

pub(super) fn in_calendar(time: i64) -> Option<i64> {
    from_seconds(time).map(|_| time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ambiguous_and_impossible_dates_are_no_times() {
        for cell in [
            "",
            "31/01/2020",
            "01/02/2020",
            "01-02-2020",
            "31.02.2020",
            "2020/13/01",
            "2020/1/1",
            "1.2.2020",
            "2020.01.31",
            "1990-Q1",
            "2020-13",
            "2021-02-29",
            "2020-1-1",
            "2020-01-01 25:00",
            "2020-01-01x12:00",
            "2020-01-01 12:00:00.5",
            "5.0",
            "Jan 2020",
            "2020-01-01T12:00:00+25:00",
            "é020-01",
        ] {
            assert_eq!(TimeFormat::recognise(cell), None, "{cell:?}");
        }
        assert!(TimeFormat::recognise("2020-01-01 12:00:00.000").is_some());
    }

    #[test]
    fn dates_between_slashes_and_points_are_those_between_dashes() {
        let time = TimeFormat::Date.parse("2020-01-31").unwrap();
        for (cell, format) in
            [("2020/01/31", TimeFormat::SlashedDate), ("31.01.2020", TimeFormat::PointedDate)]
        {
            assert_eq!(TimeFormat::recognise(cell), Some((format, time)));
            assert_eq!(format.write(time), cell);
        }
    }

    proptest! {
        #[test]
        fn any_cell_is_a_time_or_none(cell in "\\PC{0,30}") {
            if let Some((format, time)) = TimeFormat::recognise(&cell) {
                prop_assert_eq!(format.parse(&format.write(time)), Some(time));
            }
        }

        #[test]
        fn dates_with_other_signs_survive_writing(cell in "[0-9]{4}/[01][0-9]/[0-3][0-9]|[0-3][0-9]\\.[01][0-9]\\.[0-9]{4}") {
            if let Some((format, time)) = TimeFormat::recognise(&cell) {
                prop_assert_eq!(format.write(time), cell);
            }
        }

        #[test]
        fn cells_like_times_survive_writing(cell in "[0-9]{4}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?(Z|[+-][0-2][0-9]:[0-5][0-9])?)?") {
            if let Some((format, time)) = TimeFormat::recognise(&cell) {
                prop_assert_eq!(format.parse(&format.write(time)), Some(time));
            }
        }
    }
}
