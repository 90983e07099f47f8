//! The choices of a data plan, one by one: what the options say, else what the data suggests.

use super::{Split, TimeColumn};
use crate::data::frequency::Frequency;
use crate::data::options::{Columns, SplitSize, TableOptions};
use crate::data::statistics;
use crate::data::table::Table;
use crate::data::transform::Transform;
use crate::error::{Error, Result};

/// Sizes that could not fit any split, and fractions that are none.
pub(super) fn check_options(table: &Table, options: &TableOptions) -> Result<()> {
    for (name, value) in
        [("season", options.season), ("input", options.input), ("horizon", options.horizon)]
    {
        if value == Some(0) {
            return Err(Error::usage(format!("`{name}` is 0, expected at least 1")));
        }
        if let Some(value) = value.filter(|&value| value > table.rows()) {
            return Err(Error::usage(format!(
                "`{name}` is {value}, more than the {} rows of {}; make it smaller",
                table.rows(),
                table.name()
            )));
        }
    }
    for (name, size) in [("validation", options.validation), ("test", options.test)] {
        if let Some(SplitSize::Fraction(fraction)) = size
            && !(0.0..1.0).contains(&fraction)
        {
            return Err(Error::usage(format!(
                "`{name}` is {fraction}, expected a number of rows or a fraction from 0 to below 1"
            )));
        }
    }
    Ok(())
}

/// The columns of each role, by index.
pub(super) struct Roles {
    pub(super) targets: Vec<usize>,
    pub(super) covariates: Vec<usize>,
    pub(super) known: Vec<usize>,
    pub(super) statics: Vec<usize>,
}

/// Which column is what. A column has one role; only that which names the series may also be read as a
/// category.
pub(super) fn roles(
    table: &Table,
    options: &TableOptions,
    (time, id): (Option<&TimeColumn>, Option<usize>),
) -> Result<Roles> {
    let is_time = |column: &usize| time.is_some_and(|t| t.column == table.columns()[*column]);
    let named = |names: &[String], role: &str, taken: &[(usize, &str)]| -> Result<Vec<usize>> {
        let mut chosen: Vec<usize> = Vec::new();
        for name in names {
            let column = table.column(name)?;
            let before = taken.iter().find(|(other, _)| *other == column);
            let role_before = match () {
                () if is_time(&column) => "the time column",
                () if id == Some(column) && role != "static" => "what names the series",
                () if before.is_some() => before.map_or("", |(_, role)| role),
                () if chosen.contains(&column) => "in the list",
                () => {
                    chosen.push(column);
                    continue;
                }
            };
            return Err(Error::usage(format!(
                "{}: `{name}` cannot be a {role}, it is already {role_before}; remove it from the \
                 {role}s",
                table.name()
            )));
        }
        Ok(chosen)
    };
    let list = |columns: &Columns, role, taken: &[(usize, &str)]| match columns {
        Columns::Named(names) => named(names, role, taken),
        Columns::Default | Columns::All => Ok(Vec::new()),
    };
    for (key, columns) in [("known", &options.known), ("static", &options.statics)] {
        if *columns == Columns::All {
            return Err(Error::usage(format!(
                "data.{key} names columns one by one; \"all\" is for data.targets and data.covariates"
            )));
        }
    }
    let numeric =
        (0..table.columns().len()).filter(|column| !is_time(column) && id != Some(*column));
    let numeric: Vec<usize> = numeric.filter(|&column| table.is_numeric(column)).collect();
    let known = list(&options.known, "known column", &[])?;
    let mut taken: Vec<(usize, &str)> = known.iter().map(|&c| (c, "a known column")).collect();
    let statics = list(&options.statics, "static", &taken)?;
    taken.extend(statics.iter().map(|&c| (c, "a static")));
    let covariates = list(&options.covariates, "covariate", &taken)?;
    let other = |column: &usize| {
        !covariates.contains(column) && !taken.iter().any(|(other, _)| other == column)
    };
    let mut free = numeric.iter().copied().filter(other);
    let targets = match &options.targets {
        Columns::Default => free.next_back().into_iter().collect(),
        Columns::All => free.collect(),
        Columns::Named(names) => named(names, "target", &taken)?,
    };
    if targets.is_empty() {
        return Err(Error::usage(format!(
            "{}: there is no column of numbers to forecast among {}; give a table with one \
             numeric column at least",
            table.name(),
            table.columns().iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")
        )));
    }
    taken.extend(targets.iter().map(|&c| (c, "a target")));
    let covariates = match &options.covariates {
        Columns::Default => Vec::new(),
        Columns::All => {
            let free = |column: &usize| !taken.iter().any(|(other, _)| other == column);
            numeric.into_iter().filter(free).collect()
        }
        Columns::Named(names) => named(names, "covariate", &taken)?,
    };
    Ok(Roles { targets, covariates, known, statics })
}

/// What is counted in rows and hangs together.
pub(super) struct Lengths {
    pub(super) season: usize,
    pub(super) horizon: usize,
    pub(super) split: Split,
}

/// The season, the horizon and the split: what the options say, else the season of the calendar or of
/// the values, a horizon that goes with it, and parts of whole horizons.
///
/// The season of the values decides where the training part ends, and is to be guessed from that part
/// alone: it is guessed from fewer rows until they all lie there.
pub(super) fn lengths(
    table: &Table,
    options: &TableOptions,
    frequency: Frequency,
    values: &[f64],
) -> Result<Lengths> {
    let with = |season: usize| -> Result<Lengths> {
        let horizon = options.horizon.unwrap_or_else(|| horizon(season, frequency));
        Ok(Lengths { season, horizon, split: split(table, options, horizon)? })
    };
    // Of a season that the file does not hold twice nothing can be learnt.
    let held = |season: usize| if 2 * season <= values.len() { season } else { 1 };
    if let Some(season) = options.season.or_else(|| frequency.season().map(held)) {
        return with(season);
    }
    // The most that the training part can be; where there is none, the guess of 1 says so.
    let most = split(table, options, options.horizon.unwrap_or(1));
    let mut rows = most.map_or(0, |split| split.train);
    loop {
        let lengths = with(statistics::season(&values[..rows]))?;
        if lengths.split.train >= rows {
            return Ok(lengths);
        }
        rows = lengths.split.train;
    }
}

fn horizon(season: usize, frequency: Frequency) -> usize {
    match season {
        1 if frequency.season().is_some() => 12,
        1 => 6,
        2..=5 => 2 * season,
        52 => 13,
        _ => season.min(96),
    }
}

/// The parts of one series, in rows.
pub(super) fn split(table: &Table, options: &TableOptions, horizon: usize) -> Result<Split> {
    let rows = table.rows();
    // Whole horizons, close to a share of the file.
    let guess = |share: f64, least: usize| {
        let horizons = (share * rows as f64 / horizon as f64).round() as usize;
        horizons.max(least).saturating_mul(horizon)
    };
    let size = |size: Option<SplitSize>, guess: usize| match size {
        Some(SplitSize::Rows(count)) => count,
        Some(SplitSize::Fraction(fraction)) => (fraction * rows as f64).round() as usize,
        None => guess,
    };
    let least = if 8 * horizon <= rows { 2 } else { 1 };
    let test = size(options.test, guess(0.15, least));
    let validation = size(options.validation, guess(0.1, 1));
    let held_out = test.checked_add(validation);
    match held_out.and_then(|held_out| rows.checked_sub(held_out)) {
        Some(train) if train > 0 => Ok(Split { train, validation, test }),
        _ => Err(Error::usage(format!(
            "{}: {rows} rows leave nothing to train on after validation {validation} and test \
             {test} (horizon {horizon}); give more rows or make validation, test or horizon smaller",
            table.name()
        ))),
    }
}

/// What the options say, else what the training part of every target suggests.
pub(super) fn transform(
    options: &TableOptions,
    season: usize,
    values: &[Vec<f64>],
    (train, all_positive): (usize, bool),
) -> Result<Transform> {
    let suggest = |test: &dyn Fn(&[f64]) -> bool| values.iter().all(|v| test(&v[..train]));
    // A guessed logarithm must also be possible on the rows that are held out; no more is asked of them.
    let positive = || all_positive;
    let log = options
        .log
        .unwrap_or_else(|| positive() && suggest(&|v| statistics::spread_follows_level(v, season)));
    let logarithm = Transform { log, lags: Vec::new() };
    let level = |v: &[f64]| {
        if log && !positive() { v.to_vec() } else { logarithm.apply(v) }
    };
    let trend = suggest(&|v| statistics::has_trend(&level(v)));
    let wave = suggest(&|v| statistics::has_season(&level(v), season));
    let seasonal = options.seasonal_difference.unwrap_or(trend && wave);
    let difference = options.difference.unwrap_or(trend && !seasonal);
    if seasonal && season < 2 {
        return Err(Error::usage(
            "`seasonal_difference` is on, but the season is 1 row; set `season` to the rows of a \
             season, or use `difference`",
        ));
    }
    let mut lags = Vec::new();
    lags.extend(difference.then_some(1));
    lags.extend(seasonal.then_some(season));
    Ok(Transform { log, lags })
}
