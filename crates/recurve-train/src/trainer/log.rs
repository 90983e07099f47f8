//! `log.jsonl`: one JSON object per line, for programs that watch a run.
//!
//! A line has `event` (`step`, `epoch` or `evaluation`), `step`, `seconds` since this process began to
//! train, and the fields of the record. Lines are added as things happen. A killed run may have logged
//! steps that its checkpoint does not know; when it is resumed, those lines are taken out, since the
//! steps will be taken again.

use super::progress::{EpochRecord, StepRecord};
use super::tensorboard::Events;
use crate::error::{Error, Result};
use crate::run::RunFolder;
use crate::task::Evaluation;
use serde::Serialize;
use serde_json::Value;
use std::time::Instant;

const NAME: &str = "log.jsonl";

pub(super) struct Log<'a> {
    folder: &'a RunFolder,
    started: Instant,
    events: Option<Events>,
}

impl<'a> Log<'a> {
    /// The log of a run that stands at `step`, with curves for TensorBoard if they are wanted.
    pub(super) fn open(folder: &'a RunFolder, step: u64, curves: bool) -> Result<Self> {
        let mut before = String::new();
        if let Ok(text) = std::fs::read_to_string(folder.log()) {
            let kept = |line: &&str| match serde_json::from_str::<Value>(line) {
                Ok(entry) => {
                    entry["event"] != "evaluation"
                        && entry["step"].as_u64().is_some_and(|at| at <= step)
                }
                Err(_) => false,
            };
            let lines: Vec<&str> = text.lines().filter(kept).collect();
            let mut kept = lines.join("\n");
            if !kept.is_empty() {
                kept.push('\n');
            }
            if kept != text {
                folder.write(NAME, kept.as_bytes())?;
            }
            before = kept;
        }
        let events = curves.then(|| Events::begin(folder, &before)).transpose()?;
        Ok(Self { folder, started: Instant::now(), events })
    }

    pub(super) fn step(&mut self, record: &StepRecord, every: u64) -> Result<()> {
        let due = every > 0 && record.step.is_multiple_of(every);
        if due || record.skipped {
            self.line("step", record.step, record)?;
        }
        Ok(())
    }

    pub(super) fn epoch(&mut self, record: &EpochRecord) -> Result<()> {
        self.line("epoch", record.step, record)
    }

    pub(super) fn evaluation(&mut self, evaluation: &Evaluation, step: u64) -> Result<()> {
        self.line("evaluation", step, evaluation)
    }

    fn line(&self, event: &str, step: u64, record: &impl Serialize) -> Result<()> {
        let mut entry = serde_json::json!({
            "event": event,
            "step": step,
            "seconds": (self.started.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        });
        let record = serde_json::to_value(record)
            .map_err(|error| Error::failed("cannot write the log").with_source(error))?;
        if let (Value::Object(entry), Value::Object(record)) = (&mut entry, record) {
            entry.extend(record);
        }
        if let Some(events) = &self.events {
            events.line(&entry)?;
        }
        self.folder.append(NAME, &entry.to_string())
    }
}
