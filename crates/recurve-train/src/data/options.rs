//! What a person may say about a table. Everything has a default or is guessed from the data.

use serde::{Deserialize, Serialize};

/// Options of the path from tables to windows. `None` means: guess from the training part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// The time column; `"none"` ignores time, so that every row is one step. Guessed: the first
    /// column that reads as times.
    pub time: Option<String>,
    /// The column that names the series of a row. Absent: the file holds one series.
    pub series: Option<String>,
    /// What is forecast. Default: the last numeric column.
    pub targets: Columns,
    /// What is read beside the targets, up to the forecast origin. Default: nothing.
    pub covariates: Columns,
    /// What is known ahead: read up to the end of the horizon. Default: nothing.
    pub known: Columns,
    /// What is the same in all rows of a series. Default: nothing.
    #[serde(rename = "static")]
    pub statics: Columns,
    /// What is told of the time of each row: `hour`, `weekday`, `monthday`, `month`, `yearday`. Default: nothing.
    pub calendar: Columns,
    /// What an empty cell of a target or covariate is.
    pub missing: Missing,
    /// Take the logarithm of the targets. Guessed: where the spread grows with the level.
    pub log: Option<bool>,
    /// Learn the change from one row to the next. Guessed: a trend without season.
    pub difference: Option<bool>,
    /// Learn the change from one season to the next. Guessed: a trend with a season.
    pub seasonal_difference: Option<bool>,
    /// How columns are scaled for the model.
    pub scaler: ScalerKind,
    /// Rows in one season, at least 1. Guessed from the frequency, else by autocorrelation.
    pub season: Option<usize>,
    /// Rows the model reads before a forecast. Guessed: two seasons.
    pub input: Option<usize>,
    /// Rows it forecasts at once. Guessed: about a season.
    pub horizon: Option<usize>,
    /// Rows that are read as one step. Default: 1.
    pub patch: Option<usize>,
    /// How a window becomes a horizon. Guessed: by steps where something is known ahead, else direct.
    pub decoding: Option<Decoding>,
    /// Rows between the origins that measure. Default: a horizon.
    pub stride: Option<usize>,
    /// The part before the test part, for early stopping and model choice. Guessed: about a tenth.
    pub validation: Option<SplitSize>,
    /// The last part of the file, never seen before the final test. Guessed: about 15 %.
    pub test: Option<SplitSize>,
}

/// A choice of columns: absent (the default of the option), `"all"`, one name or a list of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelled", into = "Spelled")]
pub enum Columns {
    /// What the option does when nothing is said; spelled as an empty list.
    #[default]
    Default,
    /// Every numeric column that has no other role; spelled `"all"`.
    All,
    /// These columns, in this order.
    Named(Vec<String>),
}

impl Columns {
    /// Whether nothing is said.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"all\", a column name or a list of column names")]
enum Spelled {
    One(String),
    Many(Vec<String>),
}

impl From<Spelled> for Columns {
    fn from(spelled: Spelled) -> Self {
        match spelled {
            Spelled::One(name) if name == "all" => Self::All,
            Spelled::One(name) => Self::Named(vec![name]),
            Spelled::Many(names) if names.is_empty() => Self::Default,
            Spelled::Many(names) => Self::Named(names),
        }
    }
}

impl From<Columns> for Spelled {
    fn from(columns: Columns) -> Self {
        match columns {
            Columns::Default => Self::Many(Vec::new()),
            Columns::All => Self::One("all".to_owned()),
            Columns::Named(names) => Self::Many(names),
        }
    }
}

/// What an empty cell is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// A mistake, which is named.
    #[default]
    Refuse,
    /// A value that was not measured: the model reads the one before and a mark that says so; nothing is
    /// learned or measured there.
    Mask,
}

/// How a window becomes a horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    /// The last state gives the whole horizon at once.
    #[default]
    Direct,
    /// The model goes on through the horizon, reads what is known ahead, and gives row by row.
    Steps,
    /// The model gives the next row and reads it as if it had come (Salinas et al. 2020).
    Recursive,
}

/// How a column is scaled; fitted on the training part only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalerKind {
    /// Mean 0 and standard deviation 1.
    #[default]
    Standard,
    /// Smallest value 0 and largest 1.
    MinMax,
    /// Mean size 1, and 0 stays 0: for counts.
    Mean,
    /// As it is.
    None,
}

/// The size of a part: a number of rows, or a fraction of all rows in `[0, 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of rows (24) or a fraction of them (0.15)")]
pub enum SplitSize {
    /// A number of rows.
    Rows(usize),
    /// A fraction of all rows.
    Fraction(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_as_people_write_them() {
        let text = "targets = \"OT\"\ncovariates = \"all\"\nscaler = \"min-max\"\ntest = 24\n\
                    validation = 0.1\nlog = true\n";
        let options: TableOptions = toml::from_str(text).unwrap();
        assert_eq!(options.targets, Columns::Named(vec!["OT".to_owned()]));
        assert_eq!(options.covariates, Columns::All);
        assert_eq!(options.scaler, ScalerKind::MinMax);
        assert_eq!(options.test, Some(SplitSize::Rows(24)));
        assert_eq!(options.validation, Some(SplitSize::Fraction(0.1)));
        assert_eq!((options.log, options.difference), (Some(true), None));
        let written = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<TableOptions>(&written).unwrap(), options);
        assert!(toml::from_str::<TableOptions>("horizn = 3").is_err());
        let wrong = toml::from_str::<TableOptions>("test = \"some\"").unwrap_err().to_string();
        assert!(wrong.contains("a number of rows (24)"), "{wrong}");
    }
}
