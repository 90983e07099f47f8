//! `recurve train`.

use super::config;
use crate::progress::Progress;
use crate::report::Took;
use crate::signals::Signals;
use crate::{args, console, report};
use recurve_train::config::Settings;
use recurve_train::error::{Error, Result};
use recurve_train::profile::TrainingProfile;
use recurve_train::run::RunFolder;
use recurve_train::task::Task;
use recurve_train::trainer::{Outcome, Report, Trainer};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Trains and tells; the exit code is that of a signal where one came.
pub(crate) fn run(args: &args::Train, json: bool) -> Result<u8> {
    if let Some(folds) = args.folds {
        return super::folds::run(args, folds as usize, json);
    }
    train(args, json, &mut |done| {
        tell(&done.folder, &done.report, (done.time(), done.profile.as_ref()), json)
    })
}

/// A training that is over.
pub(crate) struct Done {
    /// Its folder.
    pub(crate) folder: RunFolder,
    /// What it came to.
    pub(crate) report: Report,
    /// Seconds from its beginning.
    pub(crate) seconds: f64,
    speed: Option<String>,
    profile: Option<TrainingProfile>,
}

impl Done {
    fn time(&self) -> Time<'_> {
        Time { seconds: self.seconds, speed: self.speed.as_deref() }
    }
}

/// Trains; `tell` is called where it was not interrupted.
pub(crate) fn train(
    args: &args::Train,
    json: bool,
    tell: &mut dyn FnMut(&Done) -> Result<()>,
) -> Result<u8> {
    let signals = Signals::catch()?;
    let begun = Instant::now();
    let (mut trainer, resumed) = match &args.resume {
        Some(run) => {
            let folder = RunFolder::open(run)?;
            let trainer = Trainer::resume(&folder, args.data.as_deref())?;
            let trainer = match args.threads {
                Some(threads) => trainer.with_threads(threads as usize)?,
                None => trainer,
            };
            (trainer, Some(folder))
        }
        None => (prepare(args)?, None),
    };
    if !args.quiet {
        for note in trainer.notes() {
            console::note(note);
        }
        if resumed.is_none() {
            console::note(
                "change any of this with --set key=value; `recurve config` lists the keys",
            );
        }
    }
    if signals.came() {
        return Ok(signals.exit_code());
    }
    let (folder, fresh) = match resumed {
        Some(folder) => (folder, None),
        None => {
            let fresh = Fresh::new(args, &trainer.name())?;
            (fresh.folder.clone(), Some(fresh))
        }
    };
    trainer.set_profiled(args.profile);
    let mut progress = Progress::new(args.quiet);
    let outcome = trainer.train(&folder, &mut |event| progress.show(&event), &signals.stop);
    progress.end();
    let run = folder.path().display();
    match outcome {
        Ok(Outcome::Interrupted { epoch, step }) => {
            console::note(format!(
                "stopped in epoch {epoch} after step {step}, everything is saved; go on with: \
                 recurve train --resume {run}"
            ));
            if json {
                console::json(&Stopped {
                    run: folder.path(),
                    interrupted: true,
                    epoch,
                    step,
                    profile: trainer.profile(),
                })?;
            } else if let Some(profile) = trainer.profile() {
                tell_profile(profile)?;
            }
            Ok(signals.exit_code())
        }
        Ok(Outcome::Finished(result)) => {
            let seconds = begun.elapsed().as_secs_f64();
            let took = Took { seconds, resumed: args.resume.is_some() };
            report::write(&folder, &result, took)?;
            let speed = progress.speed().filter(|_| result.task == Task::Language);
            let speed = speed.map(str::to_owned);
            let profile = trainer.profile().cloned();
            tell(&Done { folder, report: *result, seconds, speed, profile })?;
            Ok(0)
        }
        Err(error) => {
            if let Some(fresh) = fresh {
                fresh.discard_if_empty();
            }
            Err(error)
        }
    }
}

fn prepare(args: &args::Train) -> Result<Trainer> {
    let (data, settings) = given(args)?;
    let mut trainer = Trainer::prepare(data, &settings)?;
    if let Some(run) = &args.load {
        trainer.load_weights(run)?;
    }
    Ok(trainer)
}

/// The data, and what was said about the training.
pub(crate) fn given(args: &args::Train) -> Result<(&Path, Settings)> {
    let data = args.data.as_deref().ok_or_else(|| Error::usage("give a file to train on"))?;
    let mut settings = config::settings(args.config.as_deref(), &args.set)?;
    if let Some(task) = &args.task {
        settings.set_task(task.parse()?);
    }
    if let Some(threads) = args.threads {
        settings.set(&format!("train.threads={threads}"))?;
    }
    Ok((data, settings))
}

/// A run folder that was made for this training, and what it displaced.
struct Fresh {
    folder: RunFolder,
    latest: PathBuf,
    /// Where `latest` pointed before.
    before: Option<PathBuf>,
}

impl Fresh {
    fn new(args: &args::Train, stem: &str) -> Result<Self> {
        let latest = args.runs.join("latest");
        let before = fs::read_link(&latest).ok();
        let folder = match &args.name {
            None => RunFolder::create(&args.runs, stem)?,
            Some(name) => RunFolder::create_named(&args.runs, name)
                .map_err(|error| error.context(format!("--name {name}")))?,
        };
        Ok(Self { folder, latest, before })
    }

    /// Takes the folder away where not even a first checkpoint could be written to it.
    fn discard_if_empty(self) {
        if self.folder.checkpoint().exists() {
            return;
        }
        // Best effort: the error that brought us here is the one to tell.
        let _ = fs::remove_dir_all(self.folder.path());
        if fs::read_link(&self.latest).is_ok() {
            let _ = fs::remove_file(&self.latest);
            #[cfg(unix)]
            if let Some(before) = self.before {
                let _ = std::os::unix::fs::symlink(before, &self.latest);
            }
        }
        let _ = self.folder.path().parent().map(fs::remove_dir);
    }
}

#[derive(Serialize)]
struct Told<'a> {
    run: &'a Path,
    report_file: PathBuf,
    headline: String,
    seconds: f64,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a TrainingProfile>,
}

#[derive(Serialize)]
struct Stopped<'a> {
    run: &'a Path,
    interrupted: bool,
    epoch: u64,
    step: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a TrainingProfile>,
}

/// How long training took, and how fast it was where that is to be told.
struct Time<'a> {
    seconds: f64,
    speed: Option<&'a str>,
}

fn tell(
    folder: &RunFolder,
    report: &Report,
    (time, profile): (Time<'_>, Option<&TrainingProfile>),
    json: bool,
) -> Result<()> {
    let headline = report::headline(&report.evaluation);
    if json {
        return console::json(&Told {
            run: folder.path(),
            report_file: folder.report(),
            headline,
            seconds: (1e3 * time.seconds).round() / 1e3,
            report,
            profile,
        });
    }
    if let Some(profile) = profile {
        tell_profile(profile)?;
    }
    for line in report.summary() {
        console::line(line)?;
    }
    let speed = time.speed.map_or_else(String::new, |speed| format!(" · {speed}"));
    console::line(format!("{headline} · {}{speed}", console::took(time.seconds)))?;
    let run = folder.path().display().to_string();
    let next = report::commands(&run, &report.evaluation);
    let first = next.first().map_or("", |(command, _)| command);
    console::line(format!("{} · next: {first} · recurve eval {run}", folder.report().display()))
}

/// Where the time went, as a table; phases that round to nothing are left out.
fn tell_profile(profile: &TrainingProfile) -> Result<()> {
    let mut rows = vec![["layer", "phase", "ms/step", "share"].map(str::to_owned).to_vec()];
    for phase in profile.phases.iter().filter(|phase| phase.share >= 5e-5) {
        rows.push(vec![
            if phase.layer.is_empty() { "-".to_owned() } else { phase.layer.clone() },
            phase.phase.clone(),
            format!("{:.3}", phase.ms_per_step),
            format!("{:.1} %", 100.0 * phase.share),
        ]);
    }
    for line in console::columns(&rows) {
        console::line(line)?;
    }
    let (steps, seconds) = (profile.steps, console::took(profile.seconds));
    console::line(format!("{steps} steps in {seconds}, all of it above"))
}
