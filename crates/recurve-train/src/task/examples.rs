//! The sequences of a run's own data one at a time: what a model reads of each, what is right, and what it says.
//!
//! This is for looking at a model, not for using it: beside the answer stands what the answer was chosen from, the
//! probability of every class, symbol or tag, and all that a beam search went through. The answers are made by the
//! functions that evaluate and predict, so they are the same. What a change of the weights costs is measured as
//! the training measured, by the metric on the validation part.

use super::sequences::{Answers, Dataset, SequenceReader};
use super::tag::Corpus;
use super::transcribe::Alignment;
use super::translate::{Branch, Translation};
use super::{
    DataConfig, Given, Learner, Reader, classify, regress, softmax, tag, transcribe, translate,
};
use crate::data::{Encoder, Part, Raw, Sequence, Sequences, Side, TagReader, Tagged};
use crate::error::{Error, Result};
use crate::model_file::{ModelFile, unsound};
use recurve_nn::{Batch, Engine, Model, Network};
use serde::Serialize;
use std::path::Path;

/// The data of a trained model of separate sequences.
pub struct Examples {
    reader: Reader,
    own: std::result::Result<Data, String>,
}

/// The metric of a training on its validation part, for weights that may be others than those of the run.
pub struct Measures(Box<dyn Learner>);

impl Measures {
    /// That of a run, whose data lies where it was, or at `moved_to`.
    ///
    /// # Errors
    /// The data is not there, or has changed.
    pub fn of(file: &ModelFile, moved_to: Option<&Path>) -> Result<Self> {
        let data = file.data().locate(moved_to)?;
        let mut config = file.config().clone();
        let given = Given { data: &data, config: &mut config, reader: Some(file.reader()) };
        let (learner, _) = file.task().definition().learner(given)?;
        Ok(Self(learner))
    }

    /// The metric, lower is better, and its name.
    ///
    /// # Errors
    /// The run has no validation part, or the outputs are no numbers.
    pub fn measure(&mut self, model: &Model<f32>, engine: Engine) -> Result<(f64, &'static str)> {
        let mut network = Network::new(model.description(), engine).map_err(unsound)?;
        network.load(model.values(), false);
        let found = self.0.validate(&mut network)?;
        let found = found.ok_or_else(|| {
            Error::usage(
                "the run has no validation part, so there is nothing to measure a change on",
            )
        })?;
        Ok((found, self.0.metric()))
    }
}

enum Data {
    Sequences(Box<Dataset>),
    Sentences(Corpus),
}

/// Which sequence.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The one of this number in the data of the run.
    Own(usize),
    /// One that was typed; of a tagger its words stand between blanks.
    Typed(&'a str),
}

/// One sequence as a person and as a model reads it.
pub struct Example {
    /// Its name.
    pub id: String,
    /// The part it belongs to; none where it was typed.
    pub part: Option<Part>,
    /// The token, the word or the number of each step.
    pub labels: Vec<String>,
    /// What stands between tokens of a text; none where steps are numbers.
    pub joint: Option<&'static str>,
    /// The numbers of each step by column, in the units of the file, NaN where one is missing.
    pub channels: Vec<(String, Vec<f64>)>,
    /// The class or the text that is right.
    pub actual: Option<String>,
    /// The number of the right class, of the sequence or of each step, as the outputs count.
    pub classes: Vec<usize>,
    /// The numbers that are right, scaled as the outputs are: `[targets]` or `[steps, targets]`.
    pub targets: Vec<f32>,
    side: Side,
}

impl Example {
    /// What the model reads: a batch of one sequence.
    pub fn batch(&self) -> Batch<'_, f32> {
        self.side.batch()
    }
}

/// What a model says about a sequence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub enum Said {
    /// A class.
    Class {
        /// The names of the classes.
        classes: Vec<String>,
        /// The probability of each.
        probabilities: Vec<f64>,
    },
    /// Numbers.
    Numbers {
        /// Their names.
        targets: Vec<String>,
        /// In the units of the file: `[rows][targets]`, a row for each step or one.
        predicted: Vec<Vec<f64>>,
        /// What is right, where that is known.
        actual: Vec<Vec<f64>>,
    },
    /// A tag for each word.
    Tags {
        /// The names of the tags.
        tags: Vec<String>,
        /// The number of the tag of each word.
        chosen: Vec<usize>,
        /// The probability of each tag at each word: `[words][tags]`.
        probabilities: Vec<Vec<f64>>,
    },
    /// A text that is heard.
    Heard {
        /// The symbols; the first is the blank, which is empty.
        symbols: Vec<String>,
        /// The probability of each symbol at each frame: `[frames][symbols]`.
        posteriors: Vec<Vec<f64>>,
        /// The text.
        text: String,
        /// Its log-probability.
        log_probability: f64,
        /// Where its symbols are heard.
        alignment: Option<Alignment>,
    },
    /// Texts that are written, the best first, and how they were found.
    Written {
        /// The texts.
        translations: Vec<Written>,
        /// Every beginning that was kept.
        tree: Vec<Branch>,
    },
}

/// A text that a decoder wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its log-probability.
    pub log_probability: f64,
    /// Its symbols, and the end.
    pub symbols: Vec<String>,
    /// What each symbol looked at: `[symbols][steps of the source]`.
    pub attention: Vec<Vec<f32>>,
}

impl Examples {
    /// The data of a model, where it was or where it lies now; none for a model of another kind of data.
    pub fn of(file: &ModelFile, moved_to: Option<&Path>) -> Option<Self> {
        let own = match (file.reader(), &file.config().data) {
            (
                Reader::Sequences(reader),
                DataConfig::Classify(options)
                | DataConfig::Regress(options)
                | DataConfig::Transcribe(options)
                | DataConfig::Translate(options),
            ) => Dataset::own(file, reader, options, moved_to)
                .map(|data| Data::Sequences(Box::new(data))),
            (Reader::Tags(reader), DataConfig::Tag(_)) => {
                tag::own(file, reader, moved_to).map(Data::Sentences)
            }
            _ => return None,
        };
        let own = own.map_err(|error| error.to_string());
        Some(Self { reader: file.reader().clone(), own })
    }

    /// Why the data is not there, where it is not.
    pub fn problem(&self) -> Option<&str> {
        self.own.as_ref().err().map(String::as_str)
    }

    /// Sequences; none where the data is not there.
    pub fn count(&self) -> usize {
        match &self.own {
            Ok(Data::Sequences(data)) => data.inputs.count(),
            Ok(Data::Sentences(corpus)) => corpus.tagged.sentences.len(),
            Err(_) => 0,
        }
    }

    /// The first sequence that was held out, or the first of all.
    pub fn first_held_out(&self) -> usize {
        let found = match &self.own {
            Ok(Data::Sequences(data)) => data.part(data.held_out()),
            Ok(Data::Sentences(corpus)) => corpus.part(corpus.held_out()),
            Err(_) => vec![],
        };
        found.first().copied().unwrap_or(0)
    }

    /// The part of a sequence.
    pub fn part(&self, at: usize) -> Option<Part> {
        match &self.own {
            Ok(Data::Sequences(data)) => data.part_of(at),
            Ok(Data::Sentences(corpus)) => corpus.tagged.sentences.get(at).map(|own| own.part),
            Err(_) => None,
        }
    }

    /// The number of the sequence of this name.
    pub fn named(&self, id: &str) -> Option<usize> {
        match &self.own {
            Ok(Data::Sequences(data)) => data.all.items.iter().position(|item| item.id == id),
            Ok(Data::Sentences(corpus)) => {
                let number: usize = id.parse().ok()?;
                number.checked_sub(1).filter(|at| *at < corpus.tagged.sentences.len())
            }
            Err(_) => None,
        }
    }

    /// Whether a person can type a sequence.
    pub fn is_text(&self) -> bool {
        match &self.reader {
            Reader::Sequences(reader) => matches!(reader.encoder, Encoder::Tokens { .. }),
            _ => true,
        }
    }

    /// One sequence.
    ///
    /// # Errors
    /// There is none of this number, the data is not there, or what was typed is not what the model reads.
    pub fn read(&self, which: Which<'_>) -> Result<Example> {
        match &self.reader {
            Reader::Sequences(reader) => {
                self.sequence(reader, which, |data, at, own| sequence((data, reader), at, own))
            }
            Reader::Tags(reader) => self
                .sentence(reader, which, |corpus, at, own| Ok(sentence((corpus, reader), at, own))),
            _ => Err(strange()),
        }
    }

    /// What a model with this reader says about a sequence. The weights may be others than those of the run.
    ///
    /// # Errors
    /// As [`Examples::read`], or the outputs are no numbers.
    pub fn say(&self, model: &Model<f32>, engine: Engine, which: Which<'_>) -> Result<Said> {
        let mut network = Network::new(model.description(), engine).map_err(unsound)?;
        network.load(model.values(), false);
        match &self.reader {
            Reader::Sequences(reader) => {
                self.sequence(reader, which, |data, at, _| match &reader.answers {
                    Answers::Classes(names) => classify::say(&mut network, data, names, at),
                    Answers::Numbers(numbers) => regress::say(&mut network, data, numbers, at),
                    Answers::Symbols(..) => transcribe::say(&mut network, (data, reader), at),
                    Answers::Written(written) => translate::say(&mut network, (data, written), at),
                })
            }
            Reader::Tags(reader) => self.sentence(reader, which, |corpus, at, _| {
                tag::say(&mut network, (corpus, reader), at)
            }),
            _ => Err(strange()),
        }
    }

    fn own(&self) -> Result<&Data> {
        self.own.as_ref().map_err(|problem| Error::usage(problem.clone()))
    }

    fn there(&self, at: usize) -> Result<usize> {
        if at < self.count() {
            return Ok(at);
        }
        Err(Error::usage(format!("there is no sequence {at}; the data holds {}", self.count())))
    }

    fn sequence<R>(
        &self,
        reader: &SequenceReader,
        which: Which<'_>,
        look: impl FnOnce(&Dataset, usize, bool) -> Result<R>,
    ) -> Result<R> {
        let text = match which {
            Which::Own(at) => {
                let Data::Sequences(data) = self.own()? else { return Err(strange()) };
                return look(data, self.there(at)?, true);
            }
            Which::Typed(text) if self.is_text() => text,
            Which::Typed(_) => {
                return Err(Error::usage("this model reads numbers, not text that was typed"));
            }
        };
        let item = Sequence {
            id: "typed".to_owned(),
            place: "what was typed".to_owned(),
            input: Raw::Text(text.to_owned()),
            label: None,
            values: None,
            group: None,
            part: None,
        };
        let all = Sequences { name: "typed".to_owned(), channels: vec![], items: vec![item] };
        look(&Dataset::of(all, reader)?, 0, false)
    }

    fn sentence<R>(
        &self,
        reader: &TagReader,
        which: Which<'_>,
        look: impl FnOnce(&Corpus, usize, bool) -> Result<R>,
    ) -> Result<R> {
        let text = match which {
            Which::Own(at) => {
                let Data::Sentences(corpus) = self.own()? else { return Err(strange()) };
                return look(corpus, self.there(at)?, true);
            }
            Which::Typed(text) => text,
        };
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(Error::usage("there is no word; type some, with blanks between them"));
        }
        let one = crate::data::Sentence { line: 1, words, tags: vec![], part: Part::All };
        let tagged =
            Tagged { name: "typed".to_owned(), columns: reader.columns, sentences: vec![one] };
        look(&Corpus::new(tagged, reader)?, 0, false)
    }
}

fn strange() -> Error {
    Error::failed("the data is of another kind than the model reads")
}

fn sequence((data, reader): (&Dataset, &SequenceReader), at: usize, own: bool) -> Result<Example> {
    let item = &data.all.items[at];
    let steps = data.inputs.steps(at);
    let count = data.all.channels.len();
    let (labels, joint, channels) = match (&item.input, &reader.encoder) {
        (Raw::Text(text), Encoder::Tokens { kind, .. }) => {
            (kind.cut(text), Some(kind.joint()), vec![])
        }
        (Raw::Values(values), _) => {
            let column = |channel: usize| values.iter().skip(channel).step_by(count).copied();
            let names = data.all.channels.iter().enumerate();
            let channels = names.map(|(at, name)| (name.clone(), column(at).collect())).collect();
            ((1..=steps).map(|step| step.to_string()).collect(), None, channels)
        }
        _ => return Err(strange()),
    };
    let (mut classes, mut targets) = (vec![], vec![]);
    match &reader.answers {
        Answers::Classes(names) => {
            let label = item.label.as_ref();
            classes.extend(names.iter().position(|name| Some(name) == label));
        }
        Answers::Numbers(numbers) => {
            let values = item.values.iter().flatten().enumerate();
            targets.extend(
                values.map(|(at, value)| numbers[at % numbers.len()].scaler.apply(*value) as f32),
            );
        }
        Answers::Symbols(..) | Answers::Written(_) => {}
    }
    Ok(Example {
        id: item.id.clone(),
        part: data.part_of(at).filter(|_| own),
        labels,
        joint,
        channels,
        actual: item.label.clone(),
        classes,
        targets,
        side: data.inputs.side(&[at]),
    })
}

fn sentence((corpus, reader): (&Corpus, &TagReader), at: usize, own: bool) -> Example {
    let sentence = &corpus.tagged.sentences[at];
    let number = |tag: &String| reader.tags.iter().position(|known| known == tag);
    Example {
        id: (at + 1).to_string(),
        part: Some(sentence.part).filter(|_| own),
        labels: sentence.words.clone(),
        joint: Some(" "),
        channels: vec![],
        actual: Some(sentence.tags.join(" ")).filter(|tags| !tags.is_empty()),
        classes: sentence.tags.iter().filter_map(number).collect(),
        targets: vec![],
        side: corpus.side(&[at]),
    }
}

/// The probabilities of each row of outputs.
pub(super) fn rows_of(outputs: &[f32], width: usize) -> Vec<Vec<f64>> {
    outputs.chunks_exact(width).map(softmax).collect()
}

impl From<Translation> for Written {
    fn from(own: Translation) -> Self {
        Self {
            text: own.predicted,
            log_probability: own.log_probability,
            symbols: own.attended.target,
            attention: own.attended.weights,
        }
    }
}
