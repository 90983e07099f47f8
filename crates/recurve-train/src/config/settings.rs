//! What a person has set: some keys, checked as they come, and their union with the defaults.

use super::keys::{self, Expects};
use super::{Config, Task};
use crate::error::{Error, Result};
use crate::initialise::Initialiser;
use recurve_nn::{Bias, CellKind};
use std::path::Path;
use toml::{Table, Value};

/// Some keys of a configuration and their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    table: Table,
}

/// A key that two settings do not agree on, with what each says as TOML; none where it says nothing.
pub(crate) struct Difference {
    pub(crate) key: &'static str,
    pub(crate) one: Option<String>,
    pub(crate) other: Option<String>,
}

/// The word that takes a key back to its default or to a guess.
const AUTO: &str = "auto";

/// Sections that choose between kinds, and the key that chooses.
const CHOICES: [(&str, &str); 10] = [
    ("data", "task"),
    ("optimiser", "kind"),
    ("schedule", "kind"),
    ("clip", "kind"),
    ("nan", "kind"),
    ("loss", "kind"),
    ("initialise.input", "kind"),
    ("initialise.recurrent", "kind"),
    ("initialise.embedding", "kind"),
    ("initialise.output", "kind"),
];

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or holds a key or value that is refused.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("{name}: cannot read the configuration")).with_source(error)
        })?;
        Self::parse(&name.to_string(), &text)
    }

    /// Reads TOML text; `name` stands in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = 1 + before.matches('\n').count();
            Error::usage(format!(
                "{name}, line {line}: not TOML: {}",
                error.message().replace('\n', " ")
            ))
        })?;
        let mut settings = Self::default();
        settings.take("", table).map_err(|error| error.context(name))?;
        Ok(settings)
    }

    /// Sets one key, written as `key=value`. The value is TOML, or a bare word; `auto` takes the key
    /// back to its default or to a guess; a section that chooses between kinds takes the kind.
    ///
    /// # Errors
    /// No `=`, an unknown key (the nearest one is named), or a value of the wrong type.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let Some((name, text)) = assignment.split_once('=') else {
            return Err(Error::usage(format!(
                "`{assignment}` is no setting, expected key=value, like train.batch=32"
            )));
        };
        let (name, text) = (name.trim(), text.trim());
        let value = match toml::from_str::<Table>(&format!("value = {text}")) {
            Ok(mut table) if table.len() == 1 => table.remove("value"),
            _ => None,
        };
        let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
        let words = matches!(
            keys::find(name).map(|key| key.expects),
            Some(Expects::Text | Expects::Columns | Expects::Choice(_))
        );
        // A column may be named like a number.
        let value = if words && !value.is_str() && !value.is_array() {
            Value::String(text.to_owned())
        } else {
            value
        };
        self.put(name, value)
    }

    /// The task, where it is set.
    pub fn task(&self) -> Option<Task> {
        self.get("data.task")?.as_str()?.parse().ok()
    }

    /// Sets the task.
    pub fn set_task(&mut self, task: Task) {
        self.insert("data.task", Value::String(task.name().to_owned()));
    }

    /// Whether a key is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The first key, in the order in which they are written, that the others do not say the same of.
    pub(crate) fn first_difference(&self, others: &Self) -> Option<Difference> {
        let number = |value: &Value| match value {
            Value::Integer(number) => Some(*number as f64),
            value => value.as_float(),
        };
        keys::keys().iter().find_map(|key| {
            let (one, other) = (self.get(key.name), others.get(key.name));
            let agree = match (one, other) {
                (Some(one), Some(other)) if key.expects == Expects::Number => {
                    number(one) == number(other)
                }
                _ => one == other,
            };
            let shown = |value: Option<&Value>| value.map(Value::to_string);
            (!agree).then(|| Difference { key: key.name, one: shown(one), other: shown(other) })
        })
    }

    fn take(&mut self, prefix: &str, table: Table) -> Result<()> {
        for (name, value) in table {
            let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(table) if is_section(&name) => self.take(&name, table)?,
                value => self.put(&name, value)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &str, value: Value) -> Result<()> {
        let chosen = CHOICES.iter().find(|(section, _)| *section == name);
        let full = match chosen {
            Some((section, tag)) => format!("{section}.{tag}"),
            None => name.to_owned(),
        };
        let Some(key) = keys::find(&full) else {
            return Err(Error::usage(unknown(name)));
        };
        if value.as_str() == Some(AUTO) {
            self.remove(&full);
            return Ok(());
        }
        if !key.expects.fits(&value) {
            let mut message =
                format!("`{full}` expects {}, found {}", key.expects.words(), shown(&value));
            if let (Expects::Choice(words), Some(word)) = (key.expects, value.as_str()) {
                let likeness = |other: &&&str| strsim::jaro_winkler(other, word);
                let best = words.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
                if let Some(best) = best.filter(|best| likeness(best) > 0.75) {
                    message += &format!("; did you mean {best}?");
                }
            }
            return Err(Error::usage(message));
        }
        self.insert(&full, value);
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        lookup(&self.table, name)
    }

    fn insert(&mut self, name: &str, value: Value) {
        insert(&mut self.table, name, value);
    }

    fn remove(&mut self, name: &str) {
        let mut table = Some(&mut self.table);
        let mut parts: Vec<&str> = name.split('.').collect();
        let last = parts.pop().unwrap_or(name);
        for part in parts {
            table = table.and_then(|table| table.get_mut(part)?.as_table_mut());
        }
        if let Some(table) = table {
            table.remove(last);
        }
    }

    fn leaves(&self) -> Vec<(String, Value)> {
        fn walk(prefix: &str, table: &Table, leaves: &mut Vec<(String, Value)>) {
            for (name, value) in table {
                let name = format!("{prefix}{name}");
                match value {
                    Value::Table(table) => walk(&format!("{name}."), table, leaves),
                    value => leaves.push((name, value.clone())),
                }
            }
        }
        let mut leaves = Vec::new();
        walk("", &self.table, &mut leaves);
        leaves
    }
}

impl Config {
    /// The defaults of a task, changed by the settings.
    ///
    /// # Errors
    /// The settings name another task, hold a key that does not go with the task or the chosen kind,
    /// or a value outside its range.
    pub fn complete(task: Task, settings: &Settings) -> Result<Self> {
        if let Some(other) = settings.task().filter(|other| *other != task) {
            return Err(Error::usage(format!(
                "the settings are for the task {other}, this is {task}; set data.task to {task}, or \
                 leave it out"
            )));
        }
        let default = Self::of(task);
        let mut table = Table::try_from(&default)
            .map_err(|error| Error::failed("cannot write the defaults").with_source(error))?;
        for (section, tag) in CHOICES {
            let name = format!("{section}.{tag}");
            let chosen = settings.get(&name);
            let differs = chosen.is_some() && chosen != lookup(&table, &name);
            if let (true, Some(chosen)) = (differs, chosen) {
                let alone = Table::from_iter([(tag.to_owned(), chosen.clone())]);
                insert(&mut table, section, Value::Table(alone));
            }
        }
        for (name, value) in settings.leaves() {
            if let Some(key) = keys::find(&name).filter(|key| !key.is_for(task)) {
                let owners: Vec<&str> = key.tasks.iter().map(|owner| owner.name()).collect();
                return Err(Error::usage(format!(
                    "`{name}` belongs to the task {}, this is {task}; leave it out",
                    owners.join(" or ")
                )));
            }
            insert(&mut table, &name, value);
        }
        let mut config = Self::from_table(table)?;
        if settings.get("model.bias").is_none() && config.model.cell == CellKind::Gru {
            // Only this cell can tell two biases apart.
            config.model.bias = Bias::Two;
        }
        if settings.get("model.embedding").is_none() && config.model.tied == Some(true) {
            config.model.embedding = Some(config.model.top());
        }
        config.validate()?;
        Ok(config)
    }

    fn from_table(mut table: Table) -> Result<Self> {
        // Read alone first: an error inside a section of a section would not say which it is in.
        for (name, _) in CHOICES.iter().filter(|(name, _)| name.contains('.')) {
            if let Some(value) = lookup(&table, name) {
                read::<Initialiser>(value.clone(), name)?;
            }
        }
        Ok(Self {
            data: section(&mut table, "data")?,
            model: section(&mut table, "model")?,
            train: section(&mut table, "train")?,
            optimiser: section(&mut table, "optimiser")?,
            schedule: section(&mut table, "schedule")?,
            clip: section(&mut table, "clip")?,
            stopping: section(&mut table, "stopping")?,
            nan: section(&mut table, "nan")?,
            loss: section(&mut table, "loss")?,
            initialise: section(&mut table, "initialise")?,
        })
    }
}

fn section<T: serde::de::DeserializeOwned>(table: &mut Table, name: &str) -> Result<T> {
    read(table.remove(name).unwrap_or(Value::Table(Table::new())), name)
}

/// The value of a section; what is wrong with it is said with the section's full name.
fn read<T: serde::de::DeserializeOwned>(value: Value, name: &str) -> Result<T> {
    let kind = CHOICES.iter().find(|(section, _)| *section == name);
    let kind = kind.and_then(|(_, tag)| Some(format!(" ({tag} {})", value.get(tag)?)));
    let kind = kind.unwrap_or_default();
    value.try_into().map_err(|error: toml::de::Error| {
        let what = error.message().replace('\n', " ");
        match what.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            Some(key) => Error::usage(format!(
                "[{name}]{kind} needs `{key}`, which has no default; set it too, with \
                 --set {name}.{key}=NUMBER"
            )),
            None => Error::usage(format!("[{name}]{kind}: {what}")),
        }
    })
}

fn is_section(name: &str) -> bool {
    let prefix = format!("{name}.");
    keys::keys().iter().any(|key| key.name.starts_with(&prefix))
}

/// The value at a full key.
pub(super) fn lookup<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    let mut parts = name.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

fn insert(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

fn unknown(name: &str) -> String {
    let meant = keys::nearest(name).map_or_else(String::new, |nearest| {
        let (section, _) = nearest.rsplit_once('.').unwrap_or(("", nearest));
        format!("did you mean `{nearest}` (section [{section}])? ")
    });
    format!("there is no key `{name}`; {meant}`recurve config` prints all keys")
}

fn shown(value: &Value) -> String {
    let kind = match value {
        Value::String(_) => "the text",
        Value::Integer(_) | Value::Float(_) => "the number",
        Value::Boolean(_) => "the flag",
        Value::Datetime(_) => "the time",
        Value::Array(_) => "the list",
        Value::Table(_) => return "a section".to_owned(),
    };
    format!("{kind} {value}")
}
