//! A trained model in use: to fill the blanks of a text.

use super::measure::{answers, measure};
use super::report::FillReport;
use super::share;
use crate::data::{Part, Text, Vocabulary, VocabularyKind};
use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::task::{
    DataConfig, Evaluation, Predictions, Reader, Task, Trained, as_json, csv_of, language, refused,
    sequences,
};
use recurve_nn::{Batch, Input, Mode, Network};
use serde::Serialize;
use std::path::Path;

/// What stands for a blank in a file.
const BLANK: &str = "___";
/// Fillings of each blank that are told of a file.
const TOLD: usize = 10;

/// A trained model that fills blanks.
pub struct Filler {
    file: ModelFile,
    vocabulary: Vocabulary,
    network: Network<f32>,
}

/// One token that may stand in a blank.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Filling {
    /// The token; of a word without the blank before it.
    pub text: String,
    /// How probable it is, among the tokens that can stand alone.
    pub probability: f64,
}

/// A blank.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Blank {
    /// Its number in the text, from 1.
    pub blank: usize,
    /// The likeliest tokens, the best first, where no other blank is filled yet.
    pub fillings: Vec<Filling>,
}

/// A text whose blanks were filled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Filled {
    /// The text with all blanks filled, the surest first, so that later ones see the earlier.
    pub text: String,
    /// Every blank.
    pub blanks: Vec<Blank>,
}

impl Filler {
    /// Loads a model from a run folder or a model file.
    ///
    /// # Errors
    /// There is none, or the model is for another task.
    pub fn load(path: &Path) -> Result<Self> {
        Self::of(ModelFile::load(path)?, 0)
    }

    /// Uses a model that was loaded, with this many threads; 0 takes all.
    ///
    /// # Errors
    /// The model is for another task.
    pub fn of(file: ModelFile, threads: usize) -> Result<Self> {
        let Reader::Blanks(vocabulary) = file.reader() else {
            return Err(file.is_not_for(Task::Fill));
        };
        let vocabulary = vocabulary.clone();
        Ok(Self { network: sequences::network(&file, threads)?, vocabulary, file })
    }

    /// The tokens it knows.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Fills the blanks of a text, each one token, and names the `count` likeliest tokens of each. `mark` is what
    /// stands for a blank; `source` names the text in messages.
    ///
    /// # Errors
    /// The text has no blank or holds a character the model does not know, or the mark is empty.
    pub fn fill(&mut self, source: &str, text: &str, mark: &str, count: usize) -> Result<Filled> {
        if mark.is_empty() {
            return Err(Error::usage("the mark of a blank is empty; give one, like ___"));
        }
        let parts: Vec<&str> = text.split(mark).collect();
        if parts.len() < 2 {
            return Err(Error::usage(format!(
                "{source}: there is no blank in it; write `{mark}` where something is missing"
            )));
        }
        // A word brings the blank before it along.
        let whole =
            matches!(self.vocabulary.kind(), VocabularyKind::Words | VocabularyKind::Subwords);
        let hidden = self.vocabulary.size() as u32;
        let (mut tokens, mut places) = (vec![], vec![]);
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                places.push(tokens.len());
                tokens.push(hidden);
            }
            let last = at + 1 == parts.len();
            let part = if whole && !last { part.strip_suffix(' ').unwrap_or(part) } else { part };
            tokens.extend(self.vocabulary.encode(source, part)?);
        }
        let first = self.ranked(&tokens, &places)?;
        let blanks = first.iter().enumerate().map(|(at, ranked)| Blank {
            blank: at + 1,
            fillings: ranked.iter().take(count).map(|own| self.told(*own)).collect(),
        });
        let blanks = blanks.collect();
        let mut ranked = first;
        while !places.is_empty() {
            let sure = |at: &usize| ranked[*at].first().map_or(0.0, |(_, p)| *p);
            let best = (0..places.len()).max_by(|a, b| sure(a).total_cmp(&sure(b)).then(b.cmp(a)));
            let best = best.unwrap_or(0);
            tokens[places.remove(best)] = ranked[best][0].0;
            ranked = self.ranked(&tokens, &places)?;
        }
        Ok(Filled { text: self.vocabulary.decode(&tokens), blanks })
    }

    fn told(&self, (token, probability): (u32, f64)) -> Filling {
        let text = self.vocabulary.decode(&[token]);
        let word = self.vocabulary.kind() == VocabularyKind::Words;
        Filling { text: if word { text.trim().to_owned() } else { text }, probability }
    }

    /// The tokens at each of some places, the likeliest first.
    fn ranked(&mut self, tokens: &[u32], places: &[usize]) -> Result<Vec<Vec<(u32, f64)>>> {
        if places.is_empty() {
            return Ok(vec![]);
        }
        let batch = Batch::new(tokens.len(), 1, Input::Tokens(tokens));
        let width = self.network.output_width();
        let outputs = self.network.forward(&batch, None, Mode::Infer).map_err(refused)?;
        let words = self.vocabulary.kind() == VocabularyKind::Words;
        let rank = |place: &usize| {
            let probabilities = answers(&outputs[place * width..][..width])?;
            let mut ranked: Vec<(u32, f64)> = (0..).zip(probabilities).collect();
            ranked.retain(|(token, _)| !words || !spells(*token));
            let sum: f64 = ranked.iter().map(|(_, probability)| probability).sum();
            ranked.iter_mut().for_each(|(_, probability)| *probability /= sum);
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            Ok(ranked)
        };
        places.iter().map(rank).collect()
    }

    fn own_text(&self, moved_to: Option<&Path>) -> Result<Text> {
        let path = self.file.data().locate(moved_to)?;
        let DataConfig::Fill(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Fill));
        };
        Text::read_with(&path, &self.vocabulary, (options.validation, options.test))
    }

    fn measured(&mut self, text: &Text, part: Part) -> Result<FillReport> {
        let mask = share(&self.file.config().data);
        measure(&mut self.network, text, part, mask)
    }
}

/// Whether a token of a vocabulary of words is a byte of a word that the vocabulary has not: part of an answer,
/// and none by itself.
fn spells(token: u32) -> bool {
    u8::try_from(token).is_ok_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
}

/// A filling of a file, as a row.
#[derive(Serialize)]
struct Row<'a> {
    blank: usize,
    rank: usize,
    filling: &'a str,
    probability: f64,
}

impl Trained for Filler {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, data: Option<&Path>) -> Result<Evaluation> {
        let report = match (part, data) {
            (Some(Part::All), Some(path)) => {
                let text = Text::read_with(path, &self.vocabulary, (0.0, 0.0))?;
                self.measured(&text, Part::All)?
            }
            (part, data) => {
                let text = self.own_text(data)?;
                self.measured(&text, part.unwrap_or(language::held_out(&text)))?
            }
        };
        Ok(Evaluation::Fill(report))
    }

    /// Every blank of a text.
    fn predict(&mut self, data: &Path) -> Result<Predictions> {
        let name = data.display().to_string();
        let bytes = crate::data::read_bytes(data)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::usage(format!("{name}: the file is not UTF-8; save it as UTF-8"))
        })?;
        let filled = self.fill(&name, &text, BLANK, TOLD)?;
        let rows = filled.blanks.iter().flat_map(|own| {
            own.fillings.iter().enumerate().map(|(at, filling)| Row {
                blank: own.blank,
                rank: at + 1,
                filling: &filling.text,
                probability: filling.probability,
            })
        });
        let rows: Vec<Row<'_>> = rows.collect();
        let csv = csv_of(|writer| rows.iter().try_for_each(|row| writer.serialize(row)))?;
        let json = filled.blanks.iter().map(as_json).collect();
        Ok(Predictions::told("blanks", csv, json, None))
    }
}
