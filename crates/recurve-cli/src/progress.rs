//! What a person sees while a model trains: a bar on a terminal, a line now and then elsewhere.

use crate::console;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use recurve_train::trainer::{EpochRecord, Event, StepRecord};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The shortest time between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Progress of one training.
pub(crate) struct Progress {
    shown: Shown,
    /// The last validation metric, in words.
    validation: String,
    /// How fast the last step was, in words.
    speed: Option<String>,
}

enum Shown {
    Nothing,
    /// Made at the first step, when its length is known.
    Bar(Option<ProgressBar>),
    Lines {
        last: Option<Instant>,
    },
}

impl Progress {
    /// Progress on standard error; none where it is to be quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            Shown::Bar(None)
        } else {
            Shown::Lines { last: None }
        };
        Self { shown, validation: String::new(), speed: None }
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(step) => self.step(step),
            Event::Epoch(epoch) => self.epoch(epoch),
        }
    }

    fn step(&mut self, step: &StepRecord) {
        self.speed = Some(speed(step));
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(shown) => {
                let prefix = format!("epoch {}/{}", step.epoch, step.epochs);
                let message = words(step, &self.validation);
                if let Some(bar) = shown {
                    bar.set_prefix(prefix);
                    bar.set_message(message);
                    bar.set_position(step.step);
                } else {
                    let target = ProgressDrawTarget::stderr_with_hz(10);
                    let bar = ProgressBar::with_draw_target(Some(step.steps), target);
                    let bar = bar.with_style(style()).with_prefix(prefix);
                    *shown = Some(bar.with_message(message).with_position(step.step));
                }
            }
            Shown::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES) {
                    *last = Some(Instant::now());
                    console::note(format!(
                        "epoch {}/{} · step {}/{} · {}",
                        step.epoch,
                        step.epochs,
                        step.step,
                        step.steps,
                        words(step, &self.validation)
                    ));
                }
            }
        }
    }

    fn epoch(&mut self, epoch: &EpochRecord) {
        let best = if epoch.best { " (best)" } else { "" };
        self.validation =
            format!(" · val {} {}{best}", epoch.metric, console::number(epoch.validation));
    }

    /// How fast training was at its last step, such as `21,300 characters/s`; nothing before a step.
    pub(crate) fn speed(&self) -> Option<&str> {
        self.speed.as_deref()
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Shown::Bar(Some(bar)) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The bar between the epoch and the words, which are cut off where the terminal is too narrow.
fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{prefix} {bar:20.cyan/dim} {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

fn words(step: &StepRecord, validation: &str) -> String {
    let skipped = if step.skipped { " · step skipped" } else { "" };
    format!(
        "loss {}{validation} · grad {}{skipped} · {} left · {}",
        console::number(step.loss),
        console::number(step.grad_norm),
        console::duration(step.seconds_left),
        speed(step)
    )
}

fn speed(step: &StepRecord) -> String {
    format!("{} {}/s", console::thousands(step.per_second as u64), step.unit)
}
