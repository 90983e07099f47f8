//! From a path to sequences.

use super::source::{Source, Wanted, wav_files};
use super::{Layout, Raw, Sequence, Sequences, audio, tables, ts};
use crate::data::{read_bytes, shown, utf8};
use crate::error::{Error, Result};
use std::path::Path;

impl Source {
    /// Reads a file or folder. Where answers are not `needed` they may be absent.
    ///
    /// # Errors
    /// The file is not what the source says; the message names the place.
    pub fn read(&self, path: &Path, needed: bool) -> Result<Sequences> {
        let name = path.display().to_string();
        if path.is_dir() {
            if self.layout != Layout::Audio {
                return Err(Error::usage(format!(
                    "{name} is a folder, expected a file in the layout {}",
                    self.layout.name()
                )));
            }
            return self.sounds_below(path);
        }
        if self.layout == Layout::Audio && path.extension().is_some_and(|e| e == "wav") {
            return self.one_sound(path);
        }
        let bytes = read_bytes(path)?;
        if self.layout != Layout::Ts {
            return tables::read(self, path, &self.table(&name, bytes)?, needed);
        }
        let mut found = ts::read(&name, utf8(&name, &bytes)?)?;
        if needed && let Some(item) = found.items.iter().find(|item| item.label.is_none()) {
            return Err(Error::usage(format!(
                "{}: the file says that it has no classes (@classLabel false)",
                item.place
            )));
        }
        if self.wanted == Wanted::Numbers {
            for item in &mut found.items {
                let Some(label) = item.label.take() else { continue };
                let number = label.parse().ok().filter(|number: &f64| number.is_finite());
                let number = number.ok_or_else(|| {
                    let what = shown(&label);
                    Error::usage(format!("{}: the target `{what}` is not a number", item.place))
                })?;
                item.values = Some(vec![self.cap.map_or(number, |cap| number.min(cap))]);
            }
        }
        Ok(found)
    }

    fn sounds_below(&self, path: &Path) -> Result<Sequences> {
        let mut items = vec![];
        for file in wav_files(path)? {
            let label = match self.label.as_deref() {
                Some("name") => audio::label_of_name(&file)?,
                _ => {
                    let parent = file.parent().and_then(Path::file_name);
                    parent.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
                }
            };
            let id = file.strip_prefix(path).unwrap_or(&file).display().to_string();
            items.push(Sequence { id, label: Some(label), ..self.sound(&file)? });
        }
        self.sounds(path, items)
    }

    /// One file, whose answer is not known.
    fn one_sound(&self, path: &Path) -> Result<Sequences> {
        let item = self.sound(path)?;
        self.sounds(path, vec![item])
    }

    fn sound(&self, file: &Path) -> Result<Sequence> {
        let audio = self.audio.as_ref();
        let audio = audio.ok_or_else(|| Error::failed("the model says nothing about sound"))?;
        Ok(Sequence {
            id: file.display().to_string(),
            place: file.display().to_string(),
            input: Raw::Values(tables::sound(audio, file)?),
            label: None,
            values: None,
            group: None,
            part: None,
        })
    }

    fn sounds(&self, path: &Path, items: Vec<Sequence>) -> Result<Sequences> {
        let channels = self.audio.as_ref().map(audio::AudioFeatures::channels).unwrap_or_default();
        Sequences { name: path.display().to_string(), channels, items }.checked()
    }
}
