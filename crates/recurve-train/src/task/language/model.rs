//! A trained language model in use: to continue a text, to measure one, to read one as it comes.

use super::beam;
use super::dynamic::{self, DynamicOptions};
use super::generation::{GenerateOptions, Sampler, softmax};
use super::learner::{Entropy, characters, cross_entropy, evaluate, held_out};
use super::report::LanguageReport;
use crate::data::{Part, Text, Vocabulary};
use crate::error::{Error, Result};
use crate::model_file::{ModelFile, engine_of, unsound};
use crate::task::{DataConfig, Evaluation, Predictions, Reader, Task, Trained};
use recurve_nn::{Engine, Network, Session, State};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;

/// A trained language model.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    file: ModelFile,
    vocabulary: Vocabulary,
    engine: Engine,
}

impl LanguageModel {
    /// Loads a language model from a run folder or a model file.
    ///
    /// # Errors
    /// There is none, or the model is for another task.
    pub fn load(path: &Path) -> Result<Self> {
        Self::of(ModelFile::load(path)?)
    }

    /// Uses a model that was loaded.
    ///
    /// # Errors
    /// The model is for another task.
    pub fn of(file: ModelFile) -> Result<Self> {
        let Reader::Text(vocabulary) = file.reader() else {
            return Err(file.is_not_for(Task::Language));
        };
        Ok(Self { vocabulary: vocabulary.clone(), engine: engine_of(&file, 0)?, file })
    }

    /// The same with this many threads; 0 takes all.
    ///
    /// # Errors
    /// `RECURVE_ISA` names an instruction set that is not there.
    pub fn with_threads(mut self, threads: usize) -> Result<Self> {
        self.engine = engine_of(&self.file, threads)?;
        Ok(self)
    }

    /// The model and everything it was saved with.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// The tokens it knows.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn network(&self) -> Result<Network<f32>> {
        let model = self.file.model();
        let mut network = Network::new(model.description(), self.engine).map_err(unsound)?;
        network.load(model.values(), false);
        Ok(network)
    }

    /// Continues a prompt and gives the bytes of each token as it is drawn, until the length is
    /// reached or the receiver breaks off. An empty prompt stands for a line break.
    ///
    /// # Errors
    /// The prompt holds a character the model does not know, or an option is out of range.
    pub fn generate(
        &self,
        prompt: &str,
        options: &GenerateOptions,
        receive: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut sampler = Sampler::new(options)?;
        let mut stream = self.after(prompt)?;
        for _ in 0..options.length {
            let token = sampler.draw(stream.outputs());
            if receive(&self.vocabulary.decode_bytes(&[token])).is_break() {
                break;
            }
            stream.push(token)?;
        }
        Ok(())
    }

    /// The likeliest `length` tokens after a prompt, as far as a beam of that many beginnings finds them: their bytes
    /// and their log-probability. An empty prompt stands for a line break.
    ///
    /// # Errors
    /// The prompt holds a character the model does not know, or the beam is 0.
    pub fn likeliest(&self, prompt: &str, length: usize, beam: usize) -> Result<(Vec<u8>, f64)> {
        let (tokens, log_probability) = beam::likeliest(self.after(prompt)?, length, beam)?;
        Ok((self.vocabulary.decode_bytes(&tokens), log_probability))
    }

    /// A stream that has read a prompt.
    fn after(&self, prompt: &str) -> Result<LanguageStream> {
        let mut stream = self.stream()?;
        let mut prompt = self.vocabulary.encode("the prompt", prompt)?;
        if prompt.is_empty() {
            prompt.push(self.first_token());
        }
        for &token in &prompt {
            stream.push(token)?;
        }
        Ok(stream)
    }

    /// A line break, or the first token where there is none.
    fn first_token(&self) -> u32 {
        self.vocabulary.encode("", "\n").map_or(0, |tokens| tokens[0])
    }

    /// The `count` most probable tokens after a text, each with its probability.
    ///
    /// # Errors
    /// The text holds a character the model does not know.
    pub fn next(&self, text: &str, count: usize) -> Result<Vec<(String, f64)>> {
        let mut stream = self.stream()?;
        let mut tokens = self.vocabulary.encode("the text", text)?;
        if tokens.is_empty() {
            tokens.push(self.first_token());
        }
        for &token in &tokens {
            stream.push(token)?;
        }
        let mut ranked: Vec<(f64, u32)> = stream.probabilities().into_iter().zip(0..).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.truncate(count);
        Ok(ranked.into_iter().map(|(p, token)| (self.vocabulary.decode(&[token]), p)).collect())
    }

    /// Measures the model on the part of its own text that did not train it.
    ///
    /// # Errors
    /// The text is not where it was, or has changed.
    pub fn evaluate_own(&self, moved_to: Option<&Path>) -> Result<LanguageReport> {
        let text = self.own_text(moved_to)?;
        self.measured(&text, held_out(&text))
    }

    /// Measures the model on a part of its own text.
    ///
    /// # Errors
    /// As [`evaluate_own`](Self::evaluate_own), or there is no such part.
    pub fn evaluate(&self, part: Part, moved_to: Option<&Path>) -> Result<LanguageReport> {
        let told = |error: Error| error.context(format!("`{}`", self.file.name()));
        let text = self.own_text(moved_to)?;
        self.measured(&text, part).map_err(told)
    }

    fn measured(&self, text: &Text, part: Part) -> Result<LanguageReport> {
        let mut network = self.network()?;
        evaluate(text, part, &mut |tokens, first| cross_entropy(&mut network, tokens, first))
    }

    /// Measures the model as it goes on learning from what it is measured on ([`DynamicOptions`]): on a part of its
    /// own text, the one that was held out if none is named, or on all of another. The text of the training must
    /// be where it was; it says how large gradients are.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); an option is out of range, the model was trained with zoneout, or the
    /// weights became no numbers.
    pub fn evaluate_dynamically(
        &self,
        part: Option<Part>,
        other: Option<&Path>,
        options: DynamicOptions,
    ) -> Result<LanguageReport> {
        let told = |error: Error| error.context(format!("`{}`", self.file.name()));
        let own = self.own_text(None)?;
        let mut entropy = |tokens: &[u32], first| {
            let texts = (own.train(), tokens, first);
            dynamic::cross_entropy(self.file.model(), self.engine, texts, options)
        };
        match other {
            Some(path) => self.told_of(path, &mut entropy),
            None => evaluate(&own, part.unwrap_or(held_out(&own)), &mut entropy).map_err(told),
        }
    }

    fn own_text(&self, moved_to: Option<&Path>) -> Result<Text> {
        let path = self.file.data().locate(moved_to)?;
        let DataConfig::Language(options) = &self.file.config().data else {
            return Err(Error::usage("the model is not a language model"));
        };
        Text::read_with(&path, &self.vocabulary, (options.validation, options.test))
    }

    /// Measures the model on all of another text.
    ///
    /// # Errors
    /// The text cannot be read, or holds a character the model does not know.
    pub fn evaluate_text(&self, path: &Path) -> Result<LanguageReport> {
        let mut network = self.network()?;
        self.told_of(path, &mut |tokens, first| cross_entropy(&mut network, tokens, first))
    }

    /// All of another text.
    fn told_of(&self, path: &Path, entropy: &mut Entropy<'_>) -> Result<LanguageReport> {
        let text = Text::read_with(path, &self.vocabulary, (0.0, 0.0))?;
        let (nats, tokens) = entropy(text.tokens(), 1)?;
        let measured = (nats, tokens, characters(&self.vocabulary, &text.tokens()[1..]));
        Ok(LanguageReport::new(("all", self.vocabulary.unit()), measured, (None, None)))
    }

    /// A stream of tokens, from a zero state.
    ///
    /// # Errors
    /// The model cannot run step by step.
    pub fn stream(&self) -> Result<LanguageStream> {
        let session = Session::new(self.file.model(), self.engine, 1).map_err(unsound)?;
        Ok(LanguageStream {
            outputs: vec![0.0; self.vocabulary.size()],
            vocabulary: self.vocabulary.clone(),
            session,
        })
    }
}

/// One character and what the model thought of it.
#[derive(Serialize)]
struct Character {
    /// Its place in the file, from 1.
    index: usize,
    /// The character, or the byte for a model of bytes.
    character: String,
    /// The probability the model gave it.
    probability: f64,
    /// The same as cross-entropy, in nats.
    nats: f64,
}

impl Trained for LanguageModel {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, data: Option<&Path>) -> Result<Evaluation> {
        let report = match (part, data) {
            (Some(Part::All), Some(path)) => self.evaluate_text(path)?,
            (Some(part), data) => Self::evaluate(self, part, data)?,
            (None, data) => self.evaluate_own(data)?,
        };
        Ok(Evaluation::Language(report))
    }

    /// Every character after the first, each given all before it.
    fn predict(&mut self, data: &Path) -> Result<Predictions> {
        let text = Text::read_with(data, &self.vocabulary, (0.0, 0.0))?;
        let mut stream = self.stream()?;
        let (mut json, mut sum) = (vec![], 0.0);
        let mut writer = csv::Writer::from_writer(vec![]);
        let lost = |error| Error::failed("cannot make the CSV").with_source(error);
        for (index, pair) in text.tokens().windows(2).enumerate() {
            stream.push(pair[0])?;
            let probability = stream.probabilities()[pair[1] as usize];
            let character = Character {
                index: index + 2,
                character: self.vocabulary.decode(&pair[1..]),
                probability,
                nats: -probability.ln(),
            };
            sum += character.nats;
            writer.serialize(&character).map_err(lost)?;
            json.push(serde_json::to_value(character).unwrap_or_default());
        }
        let csv = writer
            .into_inner()
            .map_err(|error| Error::failed(format!("cannot make the CSV: {error}")))?;
        let nats = sum / json.len().max(1) as f64;
        let fields = serde_json::Map::from_iter([("nats".to_owned(), nats.into())]);
        let words = vec![format!("{nats:.4} nats per {}", self.vocabulary.unit())];
        let what = match self.vocabulary.unit() {
            "word" => "words",
            "subword" => "subwords",
            _ => "characters",
        };
        Ok(Predictions { what, csv, json, scores: (fields, words) })
    }
}

/// A language model that reads one token after the other.
pub struct LanguageStream {
    session: Session<f32>,
    vocabulary: Vocabulary,
    outputs: Vec<f32>,
}

impl LanguageStream {
    /// Reads a token.
    ///
    /// # Errors
    /// The token is not in the vocabulary, or the outputs are no numbers any more.
    pub fn push(&mut self, token: u32) -> Result<()> {
        if token as usize >= self.vocabulary.size() {
            return Err(Error::usage(format!(
                "there is no token {token} in a vocabulary of {}",
                self.vocabulary.size()
            )));
        }
        self.outputs.copy_from_slice(self.session.step_tokens(&[token]));
        if self.outputs.iter().all(|output| output.is_finite()) {
            return Ok(());
        }
        Err(Error::failed(
            "the model gives outputs that are no numbers; train it again with a smaller learning rate",
        ))
    }

    /// Reads text.
    ///
    /// # Errors
    /// The text holds a character the model does not know.
    pub fn push_text(&mut self, source: &str, text: &str) -> Result<()> {
        for token in self.vocabulary.encode(source, text)? {
            self.push(token)?;
        }
        Ok(())
    }

    /// What the model says about the next token before it is made probabilities: `[vocabulary]`.
    pub fn outputs(&self) -> &[f32] {
        &self.outputs
    }

    /// The probability of each token to come next: `[vocabulary]`.
    pub fn probabilities(&self) -> Vec<f64> {
        softmax(&self.outputs, 1.0).collect()
    }

    /// The tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What the model remembers, to save it.
    pub fn state(&self) -> &State<f32> {
        self.session.state()
    }

    /// What the model remembers, to restore it.
    pub fn state_mut(&mut self) -> &mut State<f32> {
        self.session.state_mut()
    }
}
