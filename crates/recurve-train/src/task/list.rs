//! The list of the tasks: the one file that names them all.
//!
//! A task is a folder beside this file. What others hold without knowing which task it is for stands
//! here as an enumeration with one case for each: how data is to be read ([`DataConfig`]), how a trained
//! model reads it ([`Reader`]), and how good a model is ([`Evaluation`]). Everything a task does is
//! behind its [`Definition`]. To add a task: a folder, its line in each list here, its keys in
//! `config/keys.rs`, and what the report page of the program shows of it.

use super::sequences::SequenceReader;
use super::{
    Definition, Report, classify, detect, fill, forecast, language, music, regress, tag,
    transcribe, translate,
};
use crate::data::{
    DataPlan, Fold, RollOptions, RollReader, SequenceOptions, TableOptions, TagReader, TextOptions,
    Vocabulary,
};
use crate::error::{Error, Result};
use recurve_nn::InputKind;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a model is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// The next rows of a table.
    Forecast,
    /// The next token of a text.
    Language,
    /// The class of a sequence.
    Classify,
    /// Numbers of a sequence or of its steps.
    Regress,
    /// A tag for each word of a sentence.
    Tag,
    /// The text of a longer sequence.
    Transcribe,
    /// A sequence for a sequence.
    Translate,
    /// Alarms in a stream.
    Detect,
    /// The next frame of a piece of music.
    Music,
    /// The blanks of a text.
    Fill,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 10] = [
        Self::Forecast,
        Self::Language,
        Self::Classify,
        Self::Regress,
        Self::Tag,
        Self::Transcribe,
        Self::Translate,
        Self::Detect,
        Self::Music,
        Self::Fill,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Language => "language",
            Self::Classify => "classify",
            Self::Regress => "regress",
            Self::Tag => "tag",
            Self::Transcribe => "transcribe",
            Self::Translate => "translate",
            Self::Detect => "detect",
            Self::Music => "music",
            Self::Fill => "fill",
        }
    }

    /// What it does.
    pub(crate) fn definition(self) -> &'static dyn Definition {
        match self {
            Self::Forecast => &forecast::Definition,
            Self::Language => &language::Definition,
            Self::Classify => &classify::Definition,
            Self::Regress => &regress::Definition,
            Self::Tag => &tag::Definition,
            Self::Transcribe => &transcribe::Definition,
            Self::Translate => &translate::Definition,
            Self::Detect => &detect::Definition,
            Self::Music => &music::Definition,
            Self::Fill => &fill::Definition,
        }
    }

    /// The names of all tasks, in a sentence.
    pub fn names() -> String {
        let (last, others) = Self::ALL.split_last().expect("there are tasks");
        let others: Vec<&str> = others.iter().map(|task| task.name()).collect();
        format!("{} or {last}", others.join(", "))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let task = Self::ALL.into_iter().find(|task| task.name() == name);
        task.ok_or_else(|| {
            Error::usage(format!("there is no task `{name}`; choose {}", Self::names()))
        })
    }
}

/// The task, and how its data is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum DataConfig {
    /// Tables to windows.
    Forecast(TableOptions),
    /// Text to tokens.
    Language(TextOptions),
    /// Sequences to classes.
    Classify(SequenceOptions),
    /// Sequences to numbers.
    Regress(SequenceOptions),
    /// Sentences to tags.
    Tag(tag::TagOptions),
    /// Sequences to texts.
    Transcribe(SequenceOptions),
    /// Sequences to sequences.
    Translate(SequenceOptions),
    /// Streams to alarms.
    Detect(detect::DetectOptions),
    /// Pieces to frames.
    Music(RollOptions),
    /// Text to tokens, some of them hidden.
    Fill(TextOptions),
}

impl DataConfig {
    /// The task.
    pub fn task(&self) -> Task {
        match self {
            Self::Forecast(_) => Task::Forecast,
            Self::Language(_) => Task::Language,
            Self::Classify(_) => Task::Classify,
            Self::Regress(_) => Task::Regress,
            Self::Tag(_) => Task::Tag,
            Self::Transcribe(_) => Task::Transcribe,
            Self::Translate(_) => Task::Translate,
            Self::Detect(_) => Task::Detect,
            Self::Music(_) => Task::Music,
            Self::Fill(_) => Task::Fill,
        }
    }

    /// What is said about the part that tests; none for tasks whose parts follow each other in time.
    pub(crate) fn tested(&self) -> Option<Tested> {
        let (fold, test, file) = match self {
            Self::Classify(o) | Self::Regress(o) | Self::Transcribe(o) | Self::Translate(o) => {
                (o.fold, o.test.is_some(), o.test_file.is_some())
            }
            Self::Tag(o) => (o.fold, o.test.is_some(), o.test_file.is_some()),
            Self::Music(o) => (o.fold, o.test.is_some(), false),
            Self::Forecast(_) | Self::Language(_) | Self::Detect(_) | Self::Fill(_) => return None,
        };
        Some(Tested { fold, others: [("data.test", test), ("data.test_file", file)] })
    }
}

/// What is said about the part that tests, of sequences that can be held out in turn.
pub(crate) struct Tested {
    /// The fold of a cross-validation.
    pub(crate) fold: Option<Fold>,
    /// The other keys that name a test part, and whether they are set.
    pub(crate) others: [(&'static str, bool); 2],
}

/// How a model reads data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// Rows of a table, by this plan.
    Table(DataPlan),
    /// Text, by this vocabulary.
    Text(Vocabulary),
    /// Separate sequences.
    Sequences(SequenceReader),
    /// Words of sentences.
    Tags(TagReader),
    /// Rows of a stream.
    Stream(detect::StreamReader),
    /// Frames of music.
    Rolls(RollReader),
    /// Text with blanks, by this vocabulary; the blank is the token after its last.
    Blanks(Vocabulary),
}

impl Reader {
    /// What a model that reads so has as its input.
    pub(crate) fn input(&self) -> InputKind {
        match self {
            Self::Table(plan) => InputKind::Values { width: plan.channels() },
            Self::Text(vocabulary) => InputKind::Tokens { vocabulary: vocabulary.size() },
            Self::Blanks(vocabulary) => InputKind::Tokens { vocabulary: vocabulary.size() + 1 },
            Self::Sequences(reader) => reader.encoder.input(),
            Self::Stream(reader) => InputKind::Values { width: reader.inputs() },
            Self::Rolls(reader) => InputKind::Values { width: reader.keys },
            Self::Tags(reader) => {
                InputKind::Words { vocabulary: reader.words.size(), letters: reader.letters.size() }
            }
        }
    }

    /// Why weights that were trained with another reader mean something else here, if they do.
    pub(crate) fn differs(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Text(own), Self::Text(theirs)) | (Self::Blanks(own), Self::Blanks(theirs))
                if own != theirs =>
            {
                Some(format!(
                    "its vocabulary of {} tokens is another than that of this text, of {}",
                    theirs.size(),
                    own.size()
                ))
            }
            (Self::Sequences(own), Self::Sequences(theirs)) if own.answers != theirs.answers => {
                Some("its outputs mean something else than here".to_owned())
            }
            (Self::Sequences(own), Self::Sequences(theirs)) if own.encoder != theirs.encoder => {
                Some("it scales or numbers what it reads in another way than here".to_owned())
            }
            (Self::Tags(own), Self::Tags(theirs)) if own != theirs => {
                Some("it knows other words, letters or tags than here".to_owned())
            }
            (Self::Stream(own), Self::Stream(theirs)) if own != theirs => {
                Some("it reads other columns, or scales them in another way".to_owned())
            }
            _ => None,
        }
    }
}

/// The evaluation of a trained model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Evaluation {
    /// Of forecasts.
    Forecast(forecast::ForecastReport),
    /// Of a language model.
    Language(language::LanguageReport),
    /// Of a classifier.
    Classify(classify::ClassifyReport),
    /// Of a regression.
    Regress(regress::RegressReport),
    /// Of a tagger.
    Tag(tag::TagReport),
    /// Of a transcriber.
    Transcribe(transcribe::TranscribeReport),
    /// Of a translator.
    Translate(translate::TranslateReport),
    /// Of a detector.
    Detect(detect::DetectReport),
    /// Of a model of music.
    Music(music::MusicReport),
    /// Of a model that fills blanks.
    Fill(fill::FillReport),
}

impl Evaluation {
    /// What all evaluations can tell.
    pub fn report(&self) -> &dyn Report {
        match self {
            Self::Forecast(report) => report,
            Self::Language(report) => report,
            Self::Classify(report) => report,
            Self::Regress(report) => report,
            Self::Tag(report) => report,
            Self::Transcribe(report) => report,
            Self::Translate(report) => report,
            Self::Detect(report) => report,
            Self::Music(report) => report,
            Self::Fill(report) => report,
        }
    }
}
