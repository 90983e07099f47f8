//! Where in a file the sequences and their answers stand.
//!
//! Columns are taken by what is said, else by the names that people give them, else by what they hold; all
//! of it is told and can be changed. Where nothing fits, the message lists the columns and the key to set.

use super::audio::{self, AudioFeatures, Spectrum};
use super::{Layout, SequenceOptions, ts};
use crate::data::options::{Columns, ScalerKind};
use crate::data::{Table, parquet::is_parquet, read_bytes, utf8};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const IDS: [&str; 9] =
    ["id", "sequence", "sequence_id", "series", "series_id", "unit", "engine", "machine", "case"];
const TIMES: [&str; 9] =
    ["time", "timestamp", "date", "t", "step", "cycle", "hour", "frame", "index"];
const LABELS: [&str; 7] = ["label", "class", "category", "sentiment", "target", "tag", "y"];
const TEXTS: [&str; 7] =
    ["text", "sentence", "review", "message", "document", "transcript", "transcription"];
const FILES: [&str; 5] = ["file", "path", "filename", "audio", "wav"];

const SOURCES: [&str; 8] =
    ["source", "src", "word", "spelling", "grapheme", "graphemes", "input", "from"];
const WRITTEN: [&str; 9] = [
    "target",
    "tgt",
    "translation",
    "caption",
    "phones",
    "phonemes",
    "pronunciation",
    "output",
    "to",
];

/// What kind of answer is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// A class.
    Class,
    /// A text.
    Text,
    /// A text that is no record of what is read, but is written about it.
    Written,
    /// Numbers.
    Numbers,
}

/// How a file of sequences is read: everything that was said or guessed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How the file is laid out.
    pub layout: Layout,
    /// What is learned.
    pub wanted: Wanted,
    /// The column that names the sequence of a row.
    pub id: Option<String>,
    /// The column of the order of rows.
    pub time: Option<String>,
    /// The columns that are read.
    pub inputs: Vec<String>,
    /// The column of the text, or of the file names.
    pub text: Option<String>,
    /// The column of the label; of a folder `folder` or `name`.
    pub label: Option<String>,
    /// The columns of the numbers.
    pub targets: Vec<String>,
    /// Whether the steps that are left are the target.
    pub remaining: bool,
    /// Whether every step has an answer.
    pub per_step: bool,
    /// The largest target.
    pub cap: Option<f64>,
    /// The column of the group.
    pub group: Option<String>,
    /// The column of the part.
    pub split: Option<String>,
    /// How sound is read.
    pub audio: Option<AudioFeatures>,
}

impl Source {
    /// What a file is read as.
    ///
    /// # Errors
    /// The file cannot be read, a column is missing, or no column fits and none is named.
    pub fn guess(path: &Path, options: &SequenceOptions, wanted: Wanted) -> Result<Self> {
        let mut source = Self {
            layout: Layout::Ts,
            wanted,
            id: None,
            time: None,
            inputs: vec![],
            text: None,
            label: None,
            targets: vec![],
            remaining: options.remaining == Some(true),
            per_step: false,
            cap: options.cap,
            group: None,
            split: None,
            audio: None,
        };
        if source.remaining && wanted != Wanted::Numbers {
            return Err(Error::usage("data.remaining is a target of the task regress"));
        }
        if path.is_dir() {
            source.folder(path, options)?;
            return source.only(options);
        }
        let name = path.display().to_string();
        let bytes = read_bytes(path)?;
        let found = is_parquet(&bytes) || !ts::is_ts(utf8(&name, &bytes)?);
        if options.layout.map_or(!found, |layout| layout == Layout::Ts) {
            return source.only(options);
        }
        let mut table = Table::from_bytes(&name, bytes)?;
        if wanted == Wanted::Written && is_headless(&table, options) {
            table = table.unnamed();
        }
        source.columns(&table, path, options)?;
        source.only(options)
    }

    /// A folder of WAV files.
    fn folder(&mut self, path: &Path, options: &SequenceOptions) -> Result<()> {
        let files = wav_files(path)?;
        self.layout = Layout::Audio;
        let within = files.iter().all(|file| file.parent() != Some(path));
        let guess = if within { "folder" } else { "name" };
        let label = options.label.clone().unwrap_or_else(|| guess.to_owned());
        if !["folder", "name"].contains(&label.as_str()) {
            return Err(Error::usage(format!(
                "{}: data.label is `{label}`; the labels of a folder of WAV files are `folder` or \
                 `name`, or give a table with the columns file and label",
                path.display()
            )));
        }
        self.label = Some(label);
        self.audio = Some(audio_features(&files[0], options)?);
        Ok(())
    }

    fn columns(&mut self, table: &Table, path: &Path, options: &SequenceOptions) -> Result<()> {
        let named = |given: &Option<String>, key: &str| -> Result<Option<String>> {
            let Some(given) = given else { return Ok(None) };
            table.column(given).map_err(|error| error.context(key))?;
            Ok(Some(given.clone()))
        };
        // The first of the names that is there, not the first column.
        let find = |names: &[&str]| {
            let same = |name: &&str| table.columns().iter().find(|c| c.eq_ignore_ascii_case(name));
            names.iter().find_map(same).cloned()
        };
        self.group = named(&options.group, "data.group")?;
        self.split = named(&options.split, "data.split")?;
        self.id = named(&options.id, "data.id")?;
        self.time = named(&options.time, "data.time")?;
        self.text = named(&options.text, "data.text")?;
        let file = find(&FILES).and_then(|column| {
            let at = table.column(&column).ok()?;
            let all = |end: &str| table.cells(at).all(|cell| cell.to_lowercase().ends_with(end));
            let layout = [(".wav", Layout::Audio), (".npy", Layout::Features)];
            layout.into_iter().find(|(end, _)| all(end)).map(|(_, layout)| (column, layout))
        });
        let written = self.wanted == Wanted::Written;
        // Two columns and nothing said: from the first to the second.
        let pair = match table.columns() {
            [one, two] if written => Some((one.clone(), two.clone())),
            _ => None,
        };
        let label = named(&options.label, "data.label")?;
        let other = label.clone().or_else(|| find(&WRITTEN).filter(|_| written));
        let text = self.text.clone().or_else(|| {
            let named = find(&SOURCES).filter(|_| written);
            let first = || match (&pair, &other) {
                (Some((one, two)), Some(label)) if label == one => Some(two.clone()),
                (Some((one, _)), _) => Some(one.clone()),
                _ => None,
            };
            named.or_else(first)
        });
        let text = text.or_else(|| {
            find(&TEXTS).filter(|column| table.column(column).is_ok_and(|at| !table.is_numeric(at)))
        });
        let repeated = |column: &String| {
            let Ok(at) = table.column(column) else { return false };
            let mut cells: Vec<&str> = table.cells(at).collect();
            cells.sort_unstable();
            cells.dedup();
            cells.len() < table.rows()
        };
        self.layout = match (options.layout, &file) {
            (Some(layout), _) => layout,
            (None, Some((_, layout))) => *layout,
            _ if self.id.is_some() || self.remaining => Layout::Long,
            _ if written && file.is_none() => Layout::Text,
            _ if text.is_some() && self.wanted != Wanted::Text => Layout::Text,
            _ if find(&IDS).is_some_and(|column| repeated(&column)) => Layout::Long,
            _ => Layout::Wide,
        };
        let missing = |what: &str, key: &str| {
            let known: Vec<String> =
                table.columns().iter().take(20).map(|column| format!("`{column}`")).collect();
            Error::usage(format!(
                "{}: no column looks like {what}; name it with {key}. The columns are {}",
                table.name(),
                known.join(", ")
            ))
        };
        match self.layout {
            Layout::Long => {
                self.id = self.id.take().or_else(|| find(&IDS));
                if self.id.is_none() {
                    return Err(missing("the names of sequences", "data.id"));
                }
                self.time = self.time.take().or_else(|| find(&TIMES));
            }
            Layout::Text => self.text = Some(text.ok_or_else(|| missing("a text", "data.text"))?),
            Layout::Audio | Layout::Features => {
                let file = file.map(|(column, _)| column).or(find(&FILES));
                self.text = Some(file.ok_or_else(|| missing("names of files", "a column `file`"))?);
            }
            Layout::Wide => {}
            Layout::Ts => {
                return Err(Error::usage(format!(
                    "{}: this is a table, not a .ts file; leave data.layout out",
                    table.name()
                )));
            }
        }
        match self.wanted {
            Wanted::Numbers => self.numbers(table, &options.targets, &missing)?,
            Wanted::Written => {
                let second =
                    pair.map(|(one, two)| if self.text.as_ref() == Some(&two) { one } else { two });
                let label = other.or(second).filter(|label| Some(label) != self.text.as_ref());
                let label =
                    label.or_else(|| find(&TEXTS).filter(|c| Some(c) != self.text.as_ref()));
                let what = "the text to be written";
                self.label = Some(label.ok_or_else(|| missing(what, "data.label"))?);
            }
            Wanted::Class | Wanted::Text => {
                let texts = find(&TEXTS).filter(|column| Some(column) != self.text.as_ref());
                let own = if self.wanted == Wanted::Text { texts } else { None };
                let label = label.or(own).or_else(|| find(&LABELS));
                self.label = Some(label.ok_or_else(|| missing("a label", "data.label"))?);
            }
        }
        self.read_columns(table, &options.inputs)?;
        if self.layout == Layout::Audio {
            let column = table.column(self.text.as_deref().unwrap_or_default())?;
            self.audio = Some(audio_features(&beside(path, table.cell(0, column)), options)?);
        }
        if self.layout == Layout::Long && self.wanted == Wanted::Numbers {
            self.per_step = options.per_step.unwrap_or(self.remaining || self.varies(table)?);
        }
        if self.remaining && !self.per_step {
            return Err(Error::usage(
                "data.remaining is a target of every step of a long table; leave data.per_step out",
            ));
        }
        Ok(())
    }

    fn numbers(
        &mut self,
        table: &Table,
        targets: &Columns,
        missing: &dyn Fn(&str, &str) -> Error,
    ) -> Result<()> {
        if self.remaining {
            if *targets != Columns::Default {
                return Err(Error::usage(
                    "data.targets and data.remaining are both set; leave one of them out",
                ));
            }
            if self.layout != Layout::Long {
                return Err(Error::usage("data.remaining needs a table with a row per step"));
            }
            return Ok(());
        }
        self.targets = match targets {
            Columns::Named(names) => names.clone(),
            Columns::All => {
                return Err(Error::usage(
                    "data.targets = \"all\" leaves nothing to read; name columns",
                ));
            }
            Columns::Default => {
                let same = |column: &&String| {
                    LABELS.contains(&column.to_lowercase().as_str())
                        || column.eq_ignore_ascii_case("remaining")
                };
                let found = table.columns().iter().find(same).cloned();
                vec![found.ok_or_else(|| missing("the numbers to learn", "data.targets"))?]
            }
        };
        for target in &self.targets {
            table.column(target).map_err(|error| error.context("data.targets"))?;
        }
        Ok(())
    }

    /// The columns that are read: those named, or all numeric ones without another role.
    fn read_columns(&mut self, table: &Table, inputs: &Columns) -> Result<()> {
        if !matches!(self.layout, Layout::Long | Layout::Wide) {
            return Ok(());
        }
        let taken: Vec<&String> =
            [&self.id, &self.time, &self.text, &self.label, &self.group, &self.split]
                .into_iter()
                .flatten()
                .chain(&self.targets)
                .collect();
        let inputs = match inputs {
            Columns::Named(names) => {
                for name in names {
                    table.column(name).map_err(|error| error.context("data.inputs"))?;
                    if taken.contains(&name) {
                        return Err(Error::usage(format!(
                            "data.inputs: `{name}` has another role already"
                        )));
                    }
                }
                names.clone()
            }
            Columns::Default | Columns::All => {
                let all = table.columns().iter().enumerate();
                let free = all.filter(|(at, name)| !taken.contains(name) && table.is_numeric(*at));
                free.map(|(_, name)| name.clone()).collect()
            }
        };
        if inputs.is_empty() {
            return Err(Error::usage(format!(
                "{}: no numeric column is left to read; name some with data.inputs",
                table.name()
            )));
        }
        self.inputs = inputs;
        Ok(())
    }

    /// Whether a target changes within a sequence.
    fn varies(&self, table: &Table) -> Result<bool> {
        let id = table.column(self.id.as_deref().unwrap_or_default())?;
        for target in &self.targets {
            let column = table.column(target)?;
            let mut first: std::collections::HashMap<&str, &str> = Default::default();
            for row in 0..table.rows() {
                let cell = table.cell(row, column);
                if *first.entry(table.cell(row, id)).or_insert(cell) != cell {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The table of a file of the same kind: without a head where that of the training had none.
    pub(super) fn table(&self, name: &str, bytes: Vec<u8>) -> Result<Table> {
        let table = Table::from_bytes(name, bytes)?;
        let first = self.text.as_deref().unwrap_or_default();
        let numbered = self.wanted == Wanted::Written && first.starts_with("column ");
        let missing = !table.columns().iter().any(|column| column == first);
        Ok(if numbered && missing { table.unnamed() } else { table })
    }

    /// The same, where no option says what has no meaning for this layout.
    fn only(self, options: &SequenceOptions) -> Result<Self> {
        use Layout::{Audio, Features, Long, Text, Ts, Wide};
        let tables: &[Layout] = &[Long, Wide, Text, Audio, Features];
        let allowed: [(&str, bool, &[Layout]); 15] = [
            ("data.id", options.id.is_some(), &[Long]),
            ("data.time", options.time.is_some(), &[Long]),
            ("data.inputs", options.inputs != Columns::Default, &[Long, Wide]),
            ("data.text", options.text.is_some(), &[Text]),
            ("data.label", options.label.is_some(), tables),
            ("data.group", options.group.is_some(), tables),
            ("data.split", options.split.is_some(), tables),
            ("data.per_step", options.per_step.is_some(), &[Long]),
            ("data.tokens", options.tokens.is_some(), &[Text]),
            ("data.min_count", options.min_count.is_some(), &[Text]),
            ("data.vectors", options.vectors.is_some(), &[Text]),
            ("data.features", options.features.is_some(), &[Audio]),
            ("data.bands", options.bands.is_some(), &[Audio]),
            ("data.window_ms", options.window_ms.is_some(), &[Audio]),
            ("data.hop_ms", options.hop_ms.is_some(), &[Audio]),
        ];
        let numbers: &[Layout] = &[Long, Wide, Ts, Audio, Features];
        let scaled = ("data.scaler", options.scaler != ScalerKind::Standard, numbers);
        let deltas = ("data.deltas", options.deltas.is_some(), &[Audio][..]);
        for (key, set, layouts) in allowed.into_iter().chain([deltas, scaled]) {
            if set && !layouts.contains(&self.layout) {
                return Err(Error::usage(format!(
                    "{key} is set, but has no meaning for data in the layout {} (data.layout); leave \
                     it out",
                    self.layout.name()
                )));
            }
        }
        let folder = self.layout == Audio && self.text.is_none();
        if folder && (options.group.is_some() || options.split.is_some()) {
            return Err(Error::usage(
                "a folder of WAV files has no columns for data.group or data.split; give a table with \
                 the columns file and label",
            ));
        }
        if self.layout != Ts || !matches!(self.wanted, Wanted::Text | Wanted::Written) {
            return Ok(self);
        }
        Err(Error::usage("a .ts file holds classes or numbers, no texts to be learned"))
    }

    /// What was decided, in sentences.
    pub fn describe(&self) -> Vec<String> {
        let list = |names: &[String]| match names.len() {
            0..=8 => names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "),
            count => format!("{count} columns, `{}` to `{}`", names[0], names[count - 1]),
        };
        let mut words = vec![format!("layout {}", self.layout.name())];
        for (what, column) in [
            ("sequences by", &self.id),
            ("order by", &self.time),
            (if self.layout == Layout::Text { "text" } else { "files in" }, &self.text),
            ("label", &self.label),
            ("groups by", &self.group),
            ("parts by", &self.split),
        ] {
            if let Some(column) = column {
                words.push(format!("{what} `{column}`"));
            }
        }
        let mut lines = vec![words.join(" · ")];
        if !self.inputs.is_empty() {
            lines.push(format!("reads {}", list(&self.inputs)));
        }
        if self.wanted == Wanted::Numbers {
            let what = if self.remaining {
                "the steps that are left".to_owned()
            } else {
                list(&self.targets)
            };
            let at = if self.per_step { "at every step" } else { "one value per sequence" };
            let cap = self.cap.map_or_else(String::new, |cap| format!(", at most {cap}"));
            lines.push(format!("learns {what}, {at}{cap}"));
        }
        if let Some(audio) = &self.audio {
            lines.push(format!(
                "frames of {} ms every {} ms at {} Hz: {} numbers each",
                audio.window_ms,
                audio.hop_ms,
                audio.rate,
                audio.channels().len()
            ));
        }
        lines
    }
}

/// Whether the first row of texts is a pair like the others: no name in it is one that people give to columns,
/// and none is said.
fn is_headless(table: &Table, options: &SequenceOptions) -> bool {
    let known = |column: &String| {
        let lists: [&[&str]; 5] = [&SOURCES, &WRITTEN, &TEXTS, &LABELS, &FILES];
        lists.into_iter().flatten().any(|name| column.eq_ignore_ascii_case(name))
    };
    let said = [&options.text, &options.label, &options.id, &options.split, &options.group];
    let named = said.into_iter().flatten().any(|name| table.columns().contains(name));
    !named && !table.columns().iter().any(known)
}

/// The WAV files below a folder, sorted.
pub(crate) fn wav_files(folder: &Path) -> Result<Vec<PathBuf>> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, found)?;
            } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = vec![];
    let name = folder.display();
    collect(folder, &mut found).map_err(|error| {
        Error::usage(format!("{name}: cannot read the folder")).with_source(error)
    })?;
    found.sort();
    if found.is_empty() {
        return Err(Error::usage(format!(
            "{name}: the folder holds no WAV files; give a folder of sound, or a file"
        )));
    }
    Ok(found)
}

/// A path that a table names: beside the table where it is not a whole one.
pub(super) fn beside(table: &Path, cell: &str) -> PathBuf {
    table.parent().unwrap_or(Path::new("")).join(cell)
}

/// The features that are asked for, at the rate of a file.
fn audio_features(first: &Path, options: &SequenceOptions) -> Result<AudioFeatures> {
    let (_, rate) = audio::samples(first)?;
    let features = options.features.unwrap_or(Spectrum::LogMel);
    let audio = AudioFeatures {
        features,
        rate,
        bands: options.bands.unwrap_or(40),
        window_ms: options.window_ms.unwrap_or(25.0),
        hop_ms: options.hop_ms.unwrap_or(10.0),
        deltas: options.deltas.unwrap_or(false),
    };
    audio.validate()?;
    Ok(audio)
}
