//! Tagged sentences as a model reads them, and how it learns from them.

use super::report::{TagReport, TaggedWord};
use crate::config::Config;
use crate::data::{
    Inputs, Part, Position, Side, TagReader, Tagged, UNKNOWN, Words, folded, vectors,
};
use crate::error::{Error, Result};
use crate::loss::{Crf, Loss, LossValue, Targets};
use crate::task::examples::{Said, rows_of};
use crate::task::sequences::{self, Batches, learn_whole};
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused};
use recurve_nn::profile::span;
use recurve_nn::{Description, Model, Network, Noise};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// The width of the vectors of letters.
const LETTER_WIDTH: usize = 32;

/// Sentences with their tags by number.
pub(in crate::task) struct Corpus {
    pub(in crate::task) tagged: Tagged,
    inputs: Inputs,
    tags: Vec<Vec<u32>>,
}

/// Whether a word is one that the model has no vector for.
pub(super) fn is_unknown(reader: &TagReader, word: &str) -> bool {
    reader.words.token(&folded(word)) == UNKNOWN
}

/// Sentences as a model reads them.
pub(super) fn inputs<'a>(all: impl Iterator<Item = Vec<&'a str>>, reader: &TagReader) -> Inputs {
    let (mut known, mut forms): (HashMap<&str, u32>, Vec<Vec<u32>>) = (HashMap::new(), vec![]);
    let sentence = |words: Vec<&'a str>| {
        let word = |word: &'a str| {
            let form = *known.entry(word).or_insert_with(|| {
                let letters =
                    word.chars().map(|c| reader.letters.token(c.encode_utf8(&mut [0; 4])));
                forms.push(letters.collect());
                forms.len() as u32 - 1
            });
            (reader.words.token(&folded(word)), form)
        };
        words.into_iter().map(word).collect()
    };
    let sentences = all.map(sentence).collect();
    Inputs::Words { sentences, forms }
}

/// The tags of some sentences: the best together where there are transitions, else the best of each word.
pub(super) fn tag(
    network: &mut Network<f32>,
    inputs: &Inputs,
    chosen: &[usize],
) -> Result<Vec<Vec<u32>>> {
    let outputs = sequences::outputs(network, inputs, chosen)?;
    let labels = network.output_width();
    let transitions = network.transitions().map(|(values, _)| values);
    let best = |outputs: &[f32]| match transitions {
        Some(values) => Crf::new(labels, values).viterbi(outputs),
        None => outputs
            .chunks_exact(labels)
            .map(|row| {
                let best = (0..labels).rev().max_by(|a, b| row[*a].total_cmp(&row[*b]));
                best.unwrap_or(0) as u32
            })
            .collect(),
    };
    Ok(outputs.iter().map(|outputs| best(outputs)).collect())
}

/// The tags of one sentence, and the probability of every tag at every word.
pub(in crate::task) fn say(
    network: &mut Network<f32>,
    (corpus, reader): (&Corpus, &TagReader),
    at: usize,
) -> Result<Said> {
    let chosen = tag(network, &corpus.inputs, &[at])?.remove(0);
    let outputs = sequences::outputs(network, &corpus.inputs, &[at])?.remove(0);
    let labels = network.output_width();
    let probabilities = match network.transitions() {
        Some((values, _)) => Crf::new(labels, values).probabilities(&outputs),
        None => rows_of(&outputs, labels),
    };
    Ok(Said::Tags {
        tags: reader.tags.clone(),
        chosen: chosen.iter().map(|tag| *tag as usize).collect(),
        probabilities,
    })
}

impl Corpus {
    /// Words, letters and tags of the training part.
    pub(super) fn reader(tagged: &Tagged, min_count: usize) -> TagReader {
        let train = || tagged.sentences.iter().filter(|sentence| sentence.part == Part::Train);
        let words: Vec<String> =
            train().flat_map(|sentence| sentence.words.iter().map(|word| folded(word))).collect();
        let letters: Vec<String> = train()
            .flat_map(|sentence| sentence.words.iter().flat_map(|word| word.chars()))
            .map(String::from)
            .collect();
        let tags: BTreeSet<&String> = train().flat_map(|sentence| &sentence.tags).collect();
        TagReader {
            columns: tagged.columns,
            words: Words::count(words.iter().map(String::as_str), min_count),
            letters: Words::count(letters.iter().map(String::as_str), 2),
            tags: tags.into_iter().cloned().collect(),
        }
    }

    /// An error where a sentence holds a tag that the training part does not.
    pub(in crate::task) fn new(tagged: Tagged, reader: &TagReader) -> Result<Self> {
        let number: HashMap<&str, u32> = reader.tags.iter().map(String::as_str).zip(0..).collect();
        let mut tags = vec![];
        for (at, sentence) in tagged.sentences.iter().enumerate() {
            let mut own = vec![];
            for (place, tag) in sentence.tags.iter().enumerate() {
                own.push(*number.get(tag.as_str()).ok_or_else(|| {
                    let known: Vec<String> =
                        reader.tags.iter().take(20).map(|tag| format!("`{tag}`")).collect();
                    Error::usage(format!(
                        "{}: the tag `{}` is not among the {} of the training part: {}",
                        tagged.place(at, place),
                        crate::data::shown(tag),
                        reader.tags.len(),
                        known.join(", ")
                    ))
                })?);
            }
            tags.push(own);
        }
        let words = |sentence: &'_ crate::data::Sentence| -> Vec<String> { sentence.words.clone() };
        let all: Vec<Vec<String>> = tagged.sentences.iter().map(words).collect();
        let all = all.iter().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
        let inputs = inputs(all, reader);
        Ok(Self { tagged, inputs, tags })
    }

    pub(in crate::task) fn part(&self, part: Part) -> Vec<usize> {
        let all = self.tagged.sentences.iter().enumerate();
        let own = all.filter(|(_, sentence)| part == Part::All || sentence.part == part);
        own.map(|(at, _)| at).collect()
    }

    /// Some of the sentences side by side.
    pub(in crate::task) fn side(&self, chosen: &[usize]) -> Side {
        self.inputs.side(chosen)
    }

    /// The part that measures a model.
    pub(in crate::task) fn held_out(&self) -> Part {
        let parts = [Part::Test, Part::Validation];
        parts.into_iter().find(|part| !self.part(*part).is_empty()).unwrap_or(Part::Train)
    }

    pub(super) fn describe(&self, reader: &TagReader) -> Vec<String> {
        let count = |part| self.part(part).len();
        let words: usize = self.tags.iter().map(Vec::len).sum();
        let columns = reader.columns;
        let shown: Vec<String> =
            reader.tags.iter().take(12).map(|tag| format!("`{tag}`")).collect();
        vec![
            format!(
                "{}: {} sentences, {words} words; the word in column {}, the tag in column {}",
                self.tagged.name,
                self.tags.len(),
                columns.word,
                columns.tag
            ),
            format!(
                "{} tags: {}{}",
                reader.tags.len(),
                shown.join(", "),
                if reader.tags.len() > 12 { ", …" } else { "" }
            ),
            format!(
                "{} words and {} letters known; sentences: train {}, validation {}, test {}",
                reader.words.size(),
                reader.letters.size(),
                count(Part::Train),
                count(Part::Validation),
                count(Part::Test)
            ),
        ]
    }

    /// Tags the sentences of a part and measures that.
    pub(super) fn measure(
        &self,
        network: &mut Network<f32>,
        reader: &TagReader,
        part: Part,
        trains: bool,
    ) -> Result<TagReport> {
        let chosen = self.part(part);
        if chosen.is_empty() {
            return Err(Error::usage(format!(
                "{}: the {} part is empty; measure another part or another file",
                self.tagged.name,
                part.name()
            )));
        }
        let said = tag(network, &self.inputs, &chosen)?;
        let mut words = vec![];
        for (at, said) in chosen.iter().zip(&said) {
            let sentence = &self.tagged.sentences[*at];
            for (place, word) in sentence.words.iter().enumerate() {
                words.push(TaggedWord {
                    sentence: at + 1,
                    word: word.clone(),
                    actual: sentence.tags.get(place).cloned(),
                    predicted: reader.tags[said[place] as usize].clone(),
                    unknown: is_unknown(reader, word),
                });
            }
        }
        let frequent = trains.then(|| self.most_frequent(reader));
        let naive = frequent.as_ref().map(|(by_word, most)| {
            let tag = |word: &TaggedWord| by_word.get(word.word.as_str()).unwrap_or(most);
            let tags: Vec<usize> = words.iter().map(|word| *tag(word)).collect();
            tags
        });
        let naive = naive.map(|tags| tags.iter().map(|tag| reader.tags[*tag].as_str()).collect());
        Ok(TagReport::new(part.name(), words, naive))
    }

    /// The most frequent tag of each word of the training part, and the most frequent of words met once.
    fn most_frequent(&self, reader: &TagReader) -> (HashMap<&str, usize>, usize) {
        let mut counts: HashMap<&str, Vec<usize>> = HashMap::new();
        for at in self.part(Part::Train) {
            for (word, tag) in self.tagged.sentences[at].words.iter().zip(&self.tags[at]) {
                let own = counts.entry(word).or_insert_with(|| vec![0; reader.tags.len()]);
                own[*tag as usize] += 1;
            }
        }
        let first =
            |counts: &[usize]| (0..counts.len()).rev().max_by_key(|tag| counts[*tag]).unwrap_or(0);
        let mut all = vec![0; reader.tags.len()];
        for own in counts.values() {
            own.iter().enumerate().for_each(|(tag, count)| all[tag] += count);
        }
        let most = first(&all);
        (counts.iter().map(|(word, own)| (*word, first(own))).collect(), most)
    }
}

/// Sentences that train a tagger.
pub(super) struct TagLearner {
    corpus: Corpus,
    reader: TagReader,
    loss: Loss,
    batches: Batches,
    vectors: Option<PathBuf>,
    /// Whether the tags mark spans, whose F1 is then what counts.
    spans: bool,
}

impl TagLearner {
    pub(super) fn new(
        corpus: Corpus,
        reader: TagReader,
        config: &Config,
        vectors: Option<PathBuf>,
    ) -> Self {
        let batches = Batches::new(config, corpus.part(Part::Train));
        let spans = super::report::mark_spans(reader.tags.iter().map(String::as_str));
        Self { corpus, reader, loss: config.loss, batches, vectors, spans }
    }

    /// By a conditional random field over whole sentences.
    fn learn_together(
        &self,
        network: &mut Network<f32>,
        (side, noise): (&crate::data::Side, Noise),
        targets: &[&Vec<u32>],
        gradients: &mut [f32],
    ) -> Result<LossValue> {
        let labels = self.reader.tags.len();
        let Some((values, range)) = network.transitions() else {
            return Err(Error::failed("the model has no transitions"));
        };
        let values = values.to_vec();
        let count: usize = targets.iter().map(|tags| tags.len()).sum();
        let found = learn_whole(network, (side, noise), count as f64, gradients, |b, outputs| {
            let mut d = vec![0.0; values.len()];
            (Crf::new(labels, &values).learn(outputs, targets[b], &mut d), d)
        })?;
        let mut loss = 0.0;
        let mut sums = vec![0.0; values.len()];
        for (own, d) in found {
            loss += own;
            sums.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
        }
        for (to, sum) in gradients[range].iter_mut().zip(sums) {
            *to = (sum / count as f64) as f32;
        }
        Ok(LossValue { mean: loss / count as f64, count: count as f64 })
    }
}

impl Learner for TagLearner {
    fn description(&self, config: &Config) -> Description {
        let model = &config.model;
        let words = self.reader.words.size();
        let mut below = Description::words(words, self.reader.letters.size()).word_vectors(
            model.embedding.unwrap_or(1),
            LETTER_WIDTH,
            model.letters.unwrap_or(0),
        );
        if model.dropout > 0.0 {
            below = below.dropout(model.dropout);
        }
        let labels = crate::task::stack(config, below).linear(self.reader.tags.len());
        if self.loss == (Loss::Crf {}) { labels.transitions() } else { labels }
    }

    fn begin(&self, model: &mut Model<f32>) -> Result<()> {
        let Some(path) = &self.vectors else { return Ok(()) };
        let found = vectors(path, &self.reader.words)?;
        let Some(table) = model.get_mut("0.words.weight") else { return Ok(()) };
        for (token, vector) in &found.found {
            table[*token as usize * found.width..][..found.width].copy_from_slice(vector);
        }
        Ok(())
    }

    fn reader(&self) -> Reader {
        Reader::Tags(self.reader.clone())
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.corpus.inputs)
    }

    fn names(&self) -> Names {
        Names {
            unit: "words",
            members: "sentences",
            metric: if self.spans { "1 - span F1" } else { "error rate" },
        }
    }

    fn validates(&self) -> bool {
        !self.corpus.part(Part::Validation).is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let (side, chosen) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            (self.corpus.inputs.side(&chosen), chosen)
        };
        let targets: Vec<&Vec<u32>> = chosen.iter().map(|at| &self.corpus.tags[*at]).collect();
        let units = side.lengths.iter().sum();
        if self.loss == (Loss::Crf {}) {
            let loss = self.learn_together(network, (&side, noise), &targets, gradients)?;
            return Ok(Learned { loss, units });
        }
        let batch = side.batch();
        let order = network.prepare(&batch).map_err(refused)?;
        let classes: Vec<u32> = order.places().map(|(_, t, b)| targets[b][t]).collect();
        let shape = (classes.len(), self.reader.tags.len());
        let targets = Targets::Classes(&classes);
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if self.corpus.part(Part::Validation).is_empty() {
            return Ok(None);
        }
        let report = self.corpus.measure(network, &self.reader, Part::Validation, false)?;
        Ok(Some(1.0 - report.spans.filter(|_| self.spans).map_or(report.accuracy, |s| s.f1)))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = self.corpus.held_out();
        Ok(Evaluation::Tag(self.corpus.measure(network, &self.reader, part, true)?))
    }
}
