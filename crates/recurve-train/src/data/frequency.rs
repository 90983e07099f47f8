//! The step of a time column, and the rows that do not keep it.
//!
//! A forecast is only as good as its clock: a model that reads one row per step silently assumes
//! that rows are equally far apart. So the step is recognised from the column and every row is held
//! to it: a gap, a duplicate, a row out of order or off the grid is found, to be refused by name. The
//! step also continues the column beyond the file. Months are calendar steps, not a number of
//! seconds.

use super::time::{TimeFormat, from_seconds, in_calendar, to_seconds};
use jiff::civil::{Date, DateTime, Weekday};
use serde::{Deserialize, Serialize};
use std::fmt;

const DAY: i64 = 86_400;

/// The step from one row to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// A number of calendar months.
    Months {
        /// Months per step; 12 is a year.
        count: i32,
        /// The day of the month; a shorter month has its last day instead.
        day: i8,
    },
    /// Monday to Friday, without the weekends.
    BusinessDays,
    /// A number of seconds; 86 400 is a day.
    Seconds(i64),
    /// A difference between whole numbers.
    Integers(i64),
    /// There is no time column: every row is one step.
    Rows,
}

impl Frequency {
    /// The step that most neighbours of a column are apart, or `None` where no step holds for at
    /// least half of them.
    pub(crate) fn guess(format: TimeFormat, times: &[i64]) -> Option<Self> {
        let steps = times.windows(2).map(|pair| pair[1].checked_sub(pair[0]));
        let steps: Vec<i64> = steps.collect::<Option<_>>()?;
        if format == TimeFormat::Integer {
            return most_common(&steps).map(Self::Integers);
        }
        let walls: Vec<DateTime> = times.iter().map(|&t| from_seconds(t)).collect::<Option<_>>()?;
        if let Some(months) = Self::guess_months(&walls) {
            return Some(months);
        }
        let step = most_common(&steps)?;
        let weekend =
            |wall: &DateTime| matches!(wall.weekday(), Weekday::Saturday | Weekday::Sunday);
        if step == DAY && steps.contains(&(3 * DAY)) && !walls.iter().any(weekend) {
            return Some(Self::BusinessDays);
        }
        Some(Self::Seconds(step))
    }

    fn guess_months(walls: &[DateTime]) -> Option<Self> {
        let month_end = walls.iter().all(|wall| wall.day() == wall.days_in_month());
        let day = if month_end { 31 } else { walls.iter().map(|wall| wall.day()).max()? };
        let clock = walls.first()?.time();
        let on_grid =
            |wall: &DateTime| wall.time() == clock && wall.day() == day.min(wall.days_in_month());
        if !walls.iter().all(on_grid) {
            return None;
        }
        let index = |wall: &DateTime| i64::from(wall.year()) * 12 + i64::from(wall.month());
        let steps: Vec<i64> =
            walls.windows(2).map(|pair| index(&pair[1]) - index(&pair[0])).collect();
        let count = i32::try_from(most_common(&steps)?).ok()?;
        Some(Self::Months { count, day })
    }

    /// The time one step after `time`, or `None` beyond the calendar (year 9999).
    pub(crate) fn after(self, time: i64) -> Option<i64> {
        match self {
            Self::Months { count, day } => {
                let wall = from_seconds(time)?;
                let month = i32::from(wall.year()) * 12 + i32::from(wall.month()) - 1;
                let month = month.checked_add(count)?;
                let year = i16::try_from(month.div_euclid(12)).ok()?;
                let first = Date::new(year, (month.rem_euclid(12) + 1) as i8, 1).ok()?;
                let date = Date::new(year, first.month(), day.min(first.days_in_month())).ok()?;
                to_seconds(date.to_datetime(wall.time()))
            }
            Self::BusinessDays => {
                let days = match from_seconds(time)?.weekday() {
                    Weekday::Friday => 3,
                    Weekday::Saturday => 2,
                    _ => 1,
                };
                in_calendar(time.checked_add(days * DAY)?)
            }
            Self::Seconds(step) => in_calendar(time.checked_add(step)?),
            Self::Integers(step) => time.checked_add(step),
            Self::Rows => time.checked_add(1),
        }
    }

    /// Steps in the natural season: 12 for months, 24 for hours, 7 for days, 52 for weeks. `None`
    /// where the calendar suggests none (years, counted rows), so that the values must be asked.
    pub fn season(self) -> Option<usize> {
        match self {
            Self::Months { count, .. } => {
                (count < 12 && 12 % count == 0).then_some(12 / count as usize)
            }
            Self::BusinessDays => Some(5),
            Self::Seconds(DAY) => Some(7),
            Self::Seconds(step) if step == 7 * DAY => Some(52),
            Self::Seconds(step) if step == 14 * DAY => Some(26),
            Self::Seconds(step) if (60..DAY).contains(&step) && DAY % step == 0 => {
                usize::try_from(DAY / step).ok()
            }
            Self::Seconds(_) | Self::Integers(_) | Self::Rows => None,
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Months { count: 1, .. } => f.write_str("monthly"),
            Self::Months { count: 3, .. } => f.write_str("quarterly"),
            Self::Months { count: 12, .. } => f.write_str("yearly"),
            Self::Months { count, .. } if count % 12 == 0 => {
                write!(f, "every {} years", count / 12)
            }
            Self::Months { count, .. } => write!(f, "every {count} months"),
            Self::BusinessDays => f.write_str("every business day"),
            Self::Seconds(1) => f.write_str("every second"),
            Self::Seconds(60) => f.write_str("every minute"),
            Self::Seconds(3600) => f.write_str("hourly"),
            Self::Seconds(DAY) => f.write_str("daily"),
            Self::Seconds(step) if step == 7 * DAY => f.write_str("weekly"),
            Self::Seconds(step) if step % DAY == 0 => write!(f, "every {} days", step / DAY),
            Self::Seconds(step) if step % 3600 == 0 => write!(f, "every {} hours", step / 3600),
            Self::Seconds(step) if step % 60 == 0 => write!(f, "every {} minutes", step / 60),
            Self::Seconds(step) => write!(f, "every {step} seconds"),
            Self::Integers(1) | Self::Rows => f.write_str("one row per step"),
            Self::Integers(step) => write!(f, "in steps of {step}"),
        }
    }
}

/// What is wrong between two neighbouring rows of a time column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unsteady {
    /// The later row says the same time again.
    Duplicate,
    /// The later row lies before the earlier one.
    Disorder,
    /// Rows are missing: how many (`None`: more than are worth counting), and the first of them.
    Gap { missing: Option<usize>, first: i64 },
    /// The later row does not lie on the grid of steps.
    OffGrid { expected: i64 },
}

/// Compares two neighbouring times with the step; `None` where they are one step apart.
pub(crate) fn unsteady(frequency: Frequency, earlier: i64, later: i64) -> Option<Unsteady> {
    const COUNTED: usize = 100_000;
    let first = frequency.after(earlier);
    if first == Some(later) {
        return None;
    }
    if later == earlier {
        return Some(Unsteady::Duplicate);
    }
    if later < earlier {
        return Some(Unsteady::Disorder);
    }
    let first = first.unwrap_or(i64::MAX);
    let mut time = first;
    for missing in 1..=COUNTED {
        match frequency.after(time) {
            Some(next) if next == later => {
                return Some(Unsteady::Gap { missing: Some(missing), first });
            }
            Some(next) if next < later => time = next,
            _ => return Some(Unsteady::OffGrid { expected: first }),
        }
    }
    Some(Unsteady::Gap { missing: None, first })
}

/// The most common positive step, where at least half of all steps agree on it.
fn most_common(steps: &[i64]) -> Option<i64> {
    let mut sorted: Vec<i64> = steps.iter().copied().filter(|&step| step > 0).collect();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    let best = runs.max_by_key(|run| run.len())?;
    (2 * best.len() >= steps.len()).then_some(best[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(cells: &[&str]) -> (TimeFormat, Vec<i64>) {
        let format = TimeFormat::recognise(cells[0]).unwrap().0;
        (format, cells.iter().map(|cell| format.parse(cell).unwrap()).collect())
    }

    /// (cells, frequency in words, season, the cell after the last)
    const COLUMNS: &[(&[&str], &str, Option<usize>, &str)] = &[
        (&["1700", "1701", "1702"], "yearly", None, "1703"),
        (&["1950", "1955", "1960"], "every 5 years", None, "1965"),
        (&["1949-11", "1949-12"], "monthly", Some(12), "1950-01"),
        (&["2020-01", "2020-04", "2020-07"], "quarterly", Some(4), "2020-10"),
        (&["2019-12-31", "2020-01-31", "2020-02-29"], "monthly", Some(12), "2020-03-31"),
        (&["2020-06-30", "2020-09-30"], "quarterly", Some(4), "2020-12-31"),
        (&["2019-12-30", "2020-01-30", "2020-02-29"], "monthly", Some(12), "2020-03-30"),
        (&["19580329", "19580405"], "weekly", Some(52), "19580412"),
        (&["2020-02-28", "2020-02-29"], "daily", Some(7), "2020-03-01"),
        (
            &["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10"],
            "every business day",
            Some(5),
            "2024-01-11",
        ),
        (&["2020-12-31 22:00", "2020-12-31 23:00"], "hourly", Some(24), "2021-01-01 00:00"),
        (
            &["2020-01-01T00:00:00", "2020-01-01T00:15:00"],
            "every 15 minutes",
            Some(96),
            "2020-01-01T00:30:00",
        ),
        (
            &["2020-01-01T00:00:00Z", "2020-01-01T00:00:30Z"],
            "every 30 seconds",
            None,
            "2020-01-01T00:01:00Z",
        ),
        (
            &["2020-03-29T01:00:00+01:00", "2020-03-29T03:00:00+02:00"],
            "hourly",
            Some(24),
            "2020-03-29T03:00:00+01:00",
        ),
        (&["2020/02/28", "2020/02/29"], "daily", Some(7), "2020/03/01"),
        (&["30.11.2020", "31.12.2020"], "monthly", Some(12), "31.01.2021"),
        (&["3", "4", "5"], "one row per step", None, "6"),
        (&["-10", "0", "10"], "in steps of 10", None, "20"),
    ];

    #[test]
    fn columns_are_recognised_and_continued() {
        for &(cells, words, season, next) in COLUMNS {
            let (format, times) = times(cells);
            let frequency = Frequency::guess(format, &times).unwrap();
            assert_eq!(frequency.to_string(), words, "{cells:?}");
            assert_eq!(frequency.season(), season, "{cells:?}");
            for pair in times.windows(2) {
                assert_eq!(unsteady(frequency, pair[0], pair[1]), None, "{cells:?}");
            }
            let after = frequency.after(*times.last().unwrap()).unwrap();
            assert_eq!(format.write(after), next, "{cells:?}");
        }
    }

    #[test]
    fn what_is_unsteady_is_named() {
        let (format, t) = times(&["2020-01", "2020-02", "2020-05"]);
        let monthly = Frequency::Months { count: 1, day: 1 };
        assert_eq!(unsteady(monthly, t[1], t[1]), Some(Unsteady::Duplicate));
        assert_eq!(unsteady(monthly, t[1], t[0]), Some(Unsteady::Disorder));
        let first = format.parse("2020-03").unwrap();
        assert_eq!(unsteady(monthly, t[1], t[2]), Some(Unsteady::Gap { missing: Some(2), first }));
        let hourly = Frequency::Seconds(3600);
        assert_eq!(unsteady(hourly, 0, 5000), Some(Unsteady::OffGrid { expected: 3600 }));
        assert_eq!(unsteady(hourly, 0, 1800), Some(Unsteady::OffGrid { expected: 3600 }));
    }

    #[test]
    fn a_column_without_a_steady_step_has_no_frequency() {
        let (format, t) = times(&["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-15"]);
        assert_eq!(Frequency::guess(format, &t), None);
    }

    proptest! {
        #[test]
        fn any_times_have_a_frequency_or_none(times in prop::collection::vec(any::<i64>(), 0..20)) {
            for format in [TimeFormat::Integer, TimeFormat::Date] {
                if let Some(frequency) = Frequency::guess(format, &times) {
                    for pair in times.windows(2) {
                        unsteady(frequency, pair[0], pair[1]);
                    }
                }
            }
        }
    }
}
