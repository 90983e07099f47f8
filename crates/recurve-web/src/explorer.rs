//! The model, its data and the traces that were asked for: what stands behind the page.
//!
//! One explorer answers one question at a time; the server gives it a thread of its own. Before each
//! answer it looks whether the model file is still the one it read. A model that was replaced is read
//! again; one that vanished, or cannot be read, is said to be so, and what was read before goes on
//! working.

use crate::edit::{self, Edit};
use crate::questions::{
    AskAnswer, AskLog, AskLoss, AskNamed, AskPairs, AskPlane, AskSample, AskSaturation, AskTrace,
    AskUnits, AskWhatIf,
};
use crate::subject::{Piece, Reading, Subject, less_one};
use crate::trace::{self, Place, Sequence, Trace};
use crate::{cell, gradient, matching, measure, monitor, results};
use recurve_nn::{Engine, Model};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::{self, ModelFile};
use recurve_train::run::RunFolder;
use recurve_train::task::examples::Measures;
use recurve_train::task::{GenerateOptions, LanguageModel};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of traces that are kept.
const KEPT: usize = 512 << 20;
/// Steps in which matches are looked for at once.
const MOST_SEARCHED: usize = 4_000;

/// An answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Value),
    /// `f32` numbers, little-endian.
    Numbers(Vec<u8>),
}

/// A run that is looked at.
pub(crate) struct Explorer {
    folder: RunFolder,
    data: Option<PathBuf>,
    loaded: Loaded,
    /// Counts the models that were read.
    version: u64,
    /// What is wrong with the run folder now.
    problem: Option<String>,
    traces: VecDeque<Kept>,
    /// The fresh cells that gradients were last followed through.
    drawn: RefCell<Option<gradient::Drawn>>,
}

/// A model that was read.
struct Loaded {
    file: ModelFile,
    /// What is looked into: the model, or the encoder of one with a decoder.
    model: Model<f32>,
    engine: Engine,
    subject: Subject,
    places: Vec<Place>,
    /// What measures a change as the training measured, once it was asked for.
    measures: Option<Measures>,
    stamp: Stamp,
}

type Stamp = Option<(SystemTime, u64)>;

struct Kept {
    id: String,
    reading: Reading,
    trace: Trace,
    model: Option<Model<f32>>,
    bytes: usize,
}

impl Explorer {
    /// Opens a run.
    ///
    /// # Errors
    /// There is no run, or its model cannot be read.
    pub(crate) fn open(run: &Path, data: Option<&Path>, threads: usize) -> Result<Self> {
        let folder = RunFolder::open(run)?;
        let loaded = Loaded::read(&folder, data, threads)?;
        Ok(Self {
            folder,
            data: data.map(Path::to_owned),
            loaded,
            version: 1,
            problem: None,
            traces: VecDeque::new(),
            drawn: RefCell::new(None),
        })
    }

    /// Answers a question of the page.
    ///
    /// # Errors
    /// The question is not one, or what it asks for is not there.
    pub(crate) fn answer(&mut self, question: &str, body: &[u8]) -> Result<Answer> {
        self.refresh();
        if question == "plane" {
            return self.plane(&read(body)?).map(Answer::Numbers);
        }
        Ok(Answer::Json(match question {
            "run" => self.run(),
            "status" => self.status(),
            "trace" => self.trace(read(body)?)?,
            "cell" => self.cell(&read(body)?)?,
            "gradient" => self.gradient(&read(body)?)?,
            "pairs" => self.pairs(&read(body)?)?,
            "match" => self.find(&read(body)?)?,
            "answer" => self.say(&read(body)?)?,
            "saturation" => self.saturation(&read(body)?)?,
            "whatif" => self.what_if(&read(body)?)?,
            "named" => {
                json!({"from": self.loaded.subject.examples()?.named(&read::<AskNamed>(body)?.id)?})
            }
            "loss" => self.loss(&read(body)?)?,
            "units" => self.units(&read(body)?)?,
            "sample" => self.sample(&read(body)?)?,
            "backtest" => self.backtest()?,
            "predictions" => results::read(&self.folder.predictions())?,
            "log" => monitor::read(&self.folder.log(), read::<AskLog>(body)?.after)?,
            other => return Err(Error::usage(format!("there is no question `{other}`"))),
        }))
    }

    /// Looks whether the model on disk is the one that was read.
    fn refresh(&mut self) {
        let stamp = stamp(&self.folder.model());
        if stamp == self.loaded.stamp {
            self.problem = None;
            return;
        }
        let folder = self.folder.path().display();
        if stamp.is_none() {
            let what = if self.folder.path().is_dir() { "its model" } else { "the folder" };
            self.problem = Some(format!(
                "`{folder}`: {what} is not there any more; the page shows what was read before"
            ));
            return;
        }
        match Loaded::read(&self.folder, self.data.as_deref(), self.loaded.engine.threads()) {
            Ok(loaded) => {
                self.loaded = loaded;
                self.version += 1;
                self.problem = None;
                self.traces.clear();
            }
            Err(error) => {
                self.problem = Some(format!(
                    "the model on disk changed and cannot be read ({error}); the page shows the one \
                     before"
                ));
            }
        }
    }

    fn status(&self) -> Value {
        let log = std::fs::metadata(self.folder.log()).map(|log| log.len()).ok();
        json!({"version": self.version, "problem": self.problem, "log": log})
    }

    fn run(&self) -> Value {
        let Loaded { file, engine, subject, places, .. } = &self.loaded;
        let parts: Vec<Value> = places
            .iter()
            .map(|place| {
                json!({
                    "layer": place.layer, "at": place.at, "reverse": place.reverse,
                    "cell": place.cell.name(), "hidden": place.hidden, "inputs": place.inputs,
                    "planes": place.planes(), "facts": place.facts(),
                })
            })
            .collect();
        let best = file.best();
        json!({
            "version": self.version,
            "name": self.folder.path().file_name().map(|name| name.to_string_lossy()),
            "folder": self.folder.path().display().to_string(),
            "task": file.task().name(),
            "parameters": file.model().values().len(),
            "precision": file.precision().name(),
            "best": best,
            "isa": engine.isa().name(),
            "data": subject.describe(),
            "source": file.data().path.file_name().map(|name| name.to_string_lossy()),
            "parts": parts,
            "pooled": file.model().description().is_pooled(),
            "problem": self.problem,
            "epochs": self.folder.kept_epochs(),
            "program": env!("CARGO_PKG_VERSION"),
        })
    }

    fn trace(&mut self, ask: AskTrace) -> Result<Value> {
        let AskTrace { text, from, count, series, epoch, edits } = ask;
        let Loaded { model, engine, places, subject, .. } = &self.loaded;
        let then = epoch.map(|epoch| self.after(epoch)).transpose()?;
        let changed = match edits.is_empty() {
            true => then,
            false => Some(edit::apply(then.as_ref().unwrap_or(model), places, &edits)?),
        };
        let model = changed.as_ref().unwrap_or(model);
        let reading = subject.read(&Piece { text, from, count, series }, model)?;
        let trace = trace::trace(model, *engine, &reading.sequence)?;
        if trace.outputs.iter().any(|output| !output.is_finite()) {
            return Err(Error::failed("the model gives outputs that are no numbers"));
        }
        let mut told = subject.tell(&reading, &trace);
        let own = fingerprint(&reading.sequence, &edits);
        let id = format!("{}-{own}-{}", self.version, epoch.map_or(-1, |epoch| epoch as i64));
        told["id"] = json!(id);
        told["steps"] = json!(trace.steps);
        told["from"] = json!(reading.from);
        let bytes = trace
            .parts
            .iter()
            .map(|part| 4 * (part.x.len() + part.planes.values().map(Vec::len).sum::<usize>()));
        let bytes = bytes.sum::<usize>() + 4 * trace.outputs.len();
        self.traces.retain(|kept| kept.id != id);
        self.traces.push_back(Kept { id, reading, trace, model: changed, bytes });
        while self.traces.len() > 1
            && self.traces.iter().map(|kept| kept.bytes).sum::<usize>() > KEPT
        {
            self.traces.pop_front();
        }
        Ok(told)
    }

    /// What is looked into of the model as it was after an epoch.
    fn after(&self, epoch: u64) -> Result<Model<f32>> {
        let known = self.folder.kept_epochs();
        if !known.contains(&epoch) {
            return Err(Error::usage(format!(
                "the weights after epoch {epoch} were not kept; train with --set train.snapshots=20 to keep some"
            )));
        }
        let file = ModelFile::load(&self.folder.epoch(epoch))?;
        let model = trace::looked_into(file.model())?;
        if model.description() == self.loaded.model.description() {
            return Ok(model);
        }
        Err(Error::usage(format!("the weights after epoch {epoch} are of another model")))
    }

    /// How much of the gates of every layer was closed (below 0.1) and open (above 0.9) over the piece of a trace,
    /// with the weights after an epoch.
    fn saturation(&self, ask: &AskSaturation) -> Result<Value> {
        let (kept, model) = (self.kept(&ask.trace)?, self.after(ask.epoch)?);
        let reading = self.loaded.subject.read(&kept.reading.piece, &model)?;
        let trace = trace::trace(&model, self.loaded.engine, &reading.sequence)?;
        Ok(json!({"epoch": ask.epoch, "parts": trace::saturation(&self.loaded.places, &trace)}))
    }

    fn kept(&self, id: &str) -> Result<&Kept> {
        self.traces.iter().find(|kept| kept.id == id).ok_or_else(|| {
            Error::usage(format!("the trace `{id}` is not kept any more; ask for it again"))
        })
    }

    fn plane(&self, ask: &AskPlane) -> Result<Vec<u8>> {
        let kept = self.kept(&ask.trace)?;
        let part = kept.trace.parts.get(ask.part);
        let plane = part
            .and_then(|part| part.planes.get(ask.plane.as_str()))
            .ok_or_else(|| Error::usage(format!("layer {} has no `{}`", ask.part, ask.plane)))?;
        Ok(plane.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn cell(&self, ask: &cell::Ask) -> Result<Value> {
        let kept = self.kept(&ask.trace)?;
        let Loaded { model, engine, places, subject, .. } = &self.loaded;
        let next = match (subject, &kept.reading.sequence) {
            (Subject::Text(_), Sequence::Tokens(tokens)) => Some(&tokens[..]),
            _ => None,
        };
        let run = cell::Run {
            model: kept.model.as_ref().unwrap_or(model),
            engine: *engine,
            places,
            next,
            trace: &kept.trace,
        };
        let mut answer = run.answer(ask)?;
        subject.name_tokens(&mut answer["after"]);
        Ok(answer)
    }

    /// The gradient of a loss at some outputs: for a text cross-entropy of the next token, for others as their side
    /// says.
    fn error_at(&self, kept: &Kept, t: usize, outputs: &[f32]) -> Vec<f32> {
        match (&self.loaded.subject, &kept.reading.sequence) {
            (Subject::Examples(own), _) => own.error(&kept.reading, t, outputs),
            (Subject::Table(own), _) => own.error(&kept.reading, t, outputs),
            (_, Sequence::Tokens(tokens)) => {
                let likeliest =
                    (0..outputs.len()).max_by(|a, b| outputs[*a].total_cmp(&outputs[*b]));
                let next = tokens.get(t + 1).map_or(likeliest.unwrap_or(0), |next| *next as usize);
                less_one(outputs, next)
            }
            _ => vec![0.0; outputs.len()],
        }
    }

    fn window(kept: &Kept, step: usize, back: usize) -> Result<(usize, usize)> {
        if step >= kept.trace.steps {
            return Err(Error::usage(format!("there is no step {step} in {}", kept.trace.steps)));
        }
        Ok(((step + 1).saturating_sub(back), step + 1))
    }

    fn gradient(&self, ask: &gradient::Ask) -> Result<Value> {
        ask.check()?;
        let kept = self.kept(&ask.trace)?;
        let Loaded { model, engine, places, .. } = &self.loaded;
        let base = kept.model.as_ref().unwrap_or(model);
        let edits: Vec<Edit> = places
            .iter()
            .enumerate()
            .filter(|_| ask.add != 0.0)
            .filter_map(|(part, place)| {
                let facts = place.facts()?;
                let gate = facts.gates[facts.keeps?].name.to_owned();
                Some(Edit::Bias { part, gate, add: ask.add })
            })
            .collect();
        let model = edit::apply(base, places, &edits)?;
        let bare = gradient::Bare::of(&model, *engine, &kept.reading.sequence)?;
        let error = |t: usize, outputs: &[f32]| self.error_at(kept, t, outputs);
        let pooled = model.description().is_pooled();
        let step = if pooled { kept.trace.steps - 1 } else { ask.step };
        let (first, end) = Self::window(kept, step, ask.back)?;
        let hidden = places.first().map_or(1, |place| place.hidden);
        let sizes = gradient::Drawn::sizes(&bare, hidden);
        let mut drawn = self.drawn.borrow_mut();
        if drawn.as_ref().is_none_or(|drawn| !drawn.is_of(sizes, ask.seed)) {
            *drawn = Some(gradient::Drawn::new(sizes, ask.seed)?);
        }
        let Some(drawn) = &*drawn else { return Err(gradient::broken()) };
        let fresh = bare.fresh(*engine, (first, end), (drawn, ask))?;
        let told = json!({"first": first, "step": step, "fresh": fresh, "hidden": hidden});
        if ask.fresh_only {
            return Ok(told);
        }
        let row = if pooled { 0 } else { step };
        let own = match bare.is_stepwise() {
            true => {
                let before = |t: usize| {
                    trace::states(model.description(), &kept.trace, |_| t.checked_sub(1))
                };
                let reach = bare.reach(*engine, (first, end), &before, &|y| error(row, y))?;
                gradient::tell(&reach)
            }
            false => {
                // What comes after a step counts too.
                let x = bare.inputs(*engine, step, &|y| error(row, y))?;
                json!({"at": [], "h": [], "c": [], "x": x, "from": 0, "whole": true})
            }
        };
        let mut told = told;
        told["own"] = own;
        Ok(told)
    }

    fn pairs(&self, ask: &AskPairs) -> Result<Value> {
        let kept = self.kept(&ask.trace)?;
        let Loaded { model, engine, .. } = &self.loaded;
        let model = kept.model.as_ref().unwrap_or(model);
        let bare = gradient::Bare::of(model, *engine, &kept.reading.sequence)?;
        let back = ask.back.clamp(1, gradient::MOST_PAIRS);
        let (mut first, mut end) = Self::window(kept, ask.step, back)?;
        if !bare.is_stepwise() {
            // The step stands in the middle of what it sees.
            end = (ask.step + back.div_ceil(2) + 1).min(kept.trace.steps);
            first = end.saturating_sub(back);
        }
        let error = |t: usize, outputs: &[f32]| self.error_at(kept, t, outputs);
        let pairs = bare.pairs(*engine, (first, end), &|t, y| error(t, y))?;
        Ok(json!({"first": first, "pairs": pairs}))
    }

    fn find(&self, ask: &matching::Ask) -> Result<Value> {
        let place = edit::place(&self.loaded.places, ask.part)?;
        if let Some((unit, _)) = ask.units.iter().find(|(unit, _)| *unit >= place.hidden) {
            return Err(Error::usage(format!("there is no unit {unit}")));
        }
        let found_in = |piece: &Piece, from: usize| -> Result<(Value, usize)> {
            let reading = self.loaded.subject.read(piece, &self.loaded.model)?;
            let trace = trace::trace(&self.loaded.model, self.loaded.engine, &reading.sequence)?;
            let plane = trace.parts[ask.part].planes.get(ask.plane.as_str());
            let plane =
                plane.ok_or_else(|| Error::usage(format!("there is no `{}`", ask.plane)))?;
            let found = matching::places(plane, place.hidden, ask, from);
            let told = self.loaded.subject.tell(&reading, &trace);
            let steps = trace.steps;
            Ok((
                json!({"places": found, "labels": told["labels"], "from": from, "steps": steps}),
                steps,
            ))
        };
        if self.loaded.subject.examples().is_err() {
            let count = ask.count.min(MOST_SEARCHED);
            let piece = Piece { from: Some(ask.from), count: Some(count), ..Piece::default() };
            return Ok(found_in(&piece, ask.from)?.0);
        }
        // Sequences one after the other, each with places of its own.
        let (mut all, mut steps, mut at) = (vec![], 0, ask.from);
        while at < ask.from.saturating_add(ask.count) && steps < MOST_SEARCHED {
            let (mut told, own) = found_in(&Piece { from: Some(at), ..Piece::default() }, 0)?;
            told["sequence"] = json!(at);
            if told["places"].as_array().is_some_and(|places| !places.is_empty()) {
                all.push(told);
            }
            (steps, at) = (steps + own, at + 1);
        }
        Ok(json!({"sequences": all, "next": at}))
    }

    /// What the model says about the piece of a trace, with the changes that it was traced with.
    fn say(&self, ask: &AskAnswer) -> Result<Value> {
        let kept = self.kept(&ask.trace)?;
        let Loaded { file, engine, subject, .. } = &self.loaded;
        let whole = kept.model.as_ref().map(|changed| trace::whole(file.model(), changed));
        let model = whole.as_ref().unwrap_or(file.model());
        let said = subject.examples()?.say(model, *engine, &kept.reading.piece)?;
        serde_json::to_value(said)
            .map_err(|error| Error::failed("the answer cannot be told").with_source(error))
    }

    fn loss(&mut self, ask: &AskLoss) -> Result<Value> {
        let Loaded { file, model, engine, places, subject, measures, .. } = &mut self.loaded;
        let changed = edit::apply(model, places, &ask.edits)?;
        let data = self.data.as_deref();
        let mut measured = measure::Measured::of(subject, (file, data), *engine, measures)?;
        let loss = measured.loss(&trace::whole(file.model(), &changed))?;
        let measure::Facts { unit, over, whole } = measured.facts();
        Ok(json!({"whole": whole, "changed": loss, "unit": unit, "over": over}))
    }

    /// The loss with each of some units off.
    fn units(&mut self, ask: &AskUnits) -> Result<Value> {
        let Loaded { file, model, engine, places, subject, measures, .. } = &mut self.loaded;
        let hidden = edit::place(places, ask.part)?.hidden;
        let data = self.data.as_deref();
        let mut measured = measure::Measured::of(subject, (file, data), *engine, measures)?;
        let end = ask.first.saturating_add(ask.count.min(64)).min(hidden);
        let mut losses = vec![];
        for unit in ask.first..end {
            let off = Edit::Off { part: ask.part, units: vec![unit] };
            let changed = edit::apply(model, places, &[off])?;
            losses.push(measured.loss(&trace::whole(file.model(), &changed))?);
        }
        let measure::Facts { unit, whole, .. } = measured.facts();
        Ok(json!({"whole": whole, "losses": losses, "unit": unit}))
    }

    fn sample(&self, ask: &AskSample) -> Result<Value> {
        let model = LanguageModel::of(self.loaded.file.clone())?;
        let options = GenerateOptions {
            length: ask.length.min(2_000),
            temperature: ask.temperature,
            top_k: ask.top_k,
            top_p: ask.top_p,
            seed: ask.seed,
        };
        let mut bytes = vec![];
        model.generate(&ask.prompt, &options, &mut |own| {
            bytes.extend_from_slice(own);
            ControlFlow::Continue(())
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = format!("{}{text}", ask.prompt);
        let tokens = model.vocabulary().encode("the text", &whole)?;
        if tokens.is_empty() {
            return Ok(json!({"prompt": ask.prompt, "text": text}));
        }
        let sequence = Sequence::Tokens(tokens);
        let trace = trace::trace(self.loaded.file.model(), self.loaded.engine, &sequence)?;
        let reading = Reading::of(sequence, None);
        let mut told = self.loaded.subject.tell(&reading, &trace);
        told["prompt"] = json!(ask.prompt);
        told["text"] = json!(text);
        Ok(told)
    }

    /// Rolling forecasts over what was held out, and the spread of the errors on the validation part.
    fn backtest(&self) -> Result<Value> {
        self.loaded.subject.table()?.backtest()
    }

    /// The forecast of the window of a trace if cells that are known ahead were others.
    fn what_if(&self, ask: &AskWhatIf) -> Result<Value> {
        let kept = self.kept(&ask.trace)?;
        let model = kept.model.as_ref().unwrap_or(&self.loaded.model);
        self.loaded.subject.table()?.what_if(&kept.reading.piece, model, &ask.changes)
    }
}

impl Loaded {
    fn read(folder: &RunFolder, data: Option<&Path>, threads: usize) -> Result<Self> {
        // Taken first: a file that is replaced while it is read is read again.
        let stamp = stamp(&folder.model());
        let file = ModelFile::load(folder.path())?;
        let engine = model_file::engine(threads)?.with_precision(file.precision());
        let model = trace::looked_into(file.model())?;
        let description = model.description();
        let (subject, places) = match trace::unfit(description) {
            None => match Subject::of(&file, data) {
                // Nothing is looked into where nothing can be read.
                other @ Subject::Other(_) => (other, vec![]),
                subject => (subject, trace::places(description)?),
            },
            Some(why) => (Subject::Other(why), vec![]),
        };
        Ok(Self { file, model, engine, subject, places, measures: None, stamp })
    }
}

fn stamp(model: &Path) -> Stamp {
    let facts = std::fs::metadata(model).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Error::usage("the question is not understood").with_source(error))
}

/// A number that tells pieces apart.
fn fingerprint(sequence: &Sequence, edits: &[Edit]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    match sequence {
        Sequence::Tokens(tokens) => tokens.hash(&mut hasher),
        Sequence::Values(values) => values.iter().for_each(|v| v.to_bits().hash(&mut hasher)),
        Sequence::Words { tokens, letters, .. } => (tokens, letters).hash(&mut hasher),
    }
    format!("{edits:?}").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
