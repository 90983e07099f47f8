//! A configuration as commented TOML.

use super::Config;
use super::keys::{Key, keys};
use super::settings::lookup;
use toml::Table;

/// Where comments begin, at least.
const COLUMN: usize = 34;

impl Config {
    /// The complete configuration as TOML, every key with its meaning. What is still to be guessed
    /// from the data stands there as a comment. Read again, it gives the same configuration.
    pub fn commented(&self) -> String {
        let table = Table::try_from(self).unwrap_or_default();
        let mut text = format!(
            "# Recurve: the complete configuration for the task {}.\n\
             # A key without a value is guessed from the data.\n",
            self.task()
        );
        let mut open = "";
        for key in keys() {
            let (section, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            let value = lookup(&table, key.name);
            let guessed = value.is_none() && self.guesses(key);
            if value.is_none() && !guessed {
                continue;
            }
            if section != open {
                text += &format!("\n[{section}]\n");
                open = section;
            }
            let line = match value {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} ="),
            };
            text += &format!("{line:COLUMN$} # {}\n", key.about);
        }
        text
    }

    /// Whether a key without a value is one that the data will answer.
    fn guesses(&self, key: &Key) -> bool {
        key.name.starts_with("data.") && key.is_for(self.task())
    }
}
