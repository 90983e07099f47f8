//! `recurve reproduce`: a published result, trained again.

use super::train::{self, Done};
use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::experiment::{Lag, Options, lags};
use recurve_train::registry;
use recurve_train::registry::reproduce::{self, Judged, Reproduction};
use recurve_train::registry::suites::{SUITES, Suite};
use recurve_train::task::{Evaluation, Forecaster};
use std::path::PathBuf;
use std::time::Instant;

/// What one training, or several that are averaged, came to.
struct Made {
    evaluation: Evaluation,
    summary: Vec<String>,
    folder: PathBuf,
    report: PathBuf,
    seconds: f64,
}

/// Gets the data, trains, and tells ours beside theirs. The exit code is 0 whatever comes out.
pub(crate) fn run(args: &args::Reproduce, json: bool) -> Result<u8> {
    let Some(name) = &args.name else {
        let mut rows = vec![["result", "measure", "at least", "aim"].map(str::to_owned).to_vec()];
        for one in reproduce::all() {
            let goals = [one.goals.0, one.goals.1].map(console::number);
            rows.push([&[one.name.to_owned(), one.measure.to_owned()][..], &goals].concat());
        }
        for suite in SUITES {
            let goals = [suite.goals.0, suite.goals.1].map(console::number);
            rows.push([&[suite.name.to_owned(), suite.measure.to_owned()][..], &goals].concat());
        }
        let lags = [LONG_LAG, "sequences until each of ten tasks is solved", "all", "fewer"];
        rows.push(lags.map(str::to_owned).to_vec());
        return console::columns(&rows).iter().try_for_each(console::line).map(|()| 0);
    };
    if name == LONG_LAG {
        return long_lags(args, json).map(|()| 0);
    }
    if let Some(suite) = SUITES.iter().find(|suite| suite.name == name) {
        return all_of(suite, args, json);
    }
    let mut last: Option<(&reproduce::Reproduction, Made)> = None;
    for one in reproduce::find(name)? {
        // Two measures of one training are told of it.
        let same = last.take().filter(|(before, _)| one.is_of_the_same_training(before));
        let made = match same {
            Some((_, made)) => made,
            None => match make(one, args, json)? {
                Ok(made) => made,
                Err(code) => return Ok(code),
            },
        };
        tell(one, &made, json)?;
        last = Some((one, made));
    }
    Ok(0)
}

/// The long-lag tasks of the first papers, whose samples are made.
const LONG_LAG: &str = "long-lag";
/// From how many seeds each is learned.
const SEEDS: u64 = 3;

/// Learns every task with a long lag, and tells how many sequences it took beside what it took then.
fn long_lags(args: &args::Reproduce, json: bool) -> Result<()> {
    if !args.set.is_empty() || args.threads.threads.is_some() {
        return Err(Error::usage(
            "long-lag trains many small networks side by side, whose settings are its own; leave --set and \
             --threads out",
        ));
    }
    let watch = |line: &str| {
        if !args.quiet {
            console::note(line);
        }
    };
    let get = |name: &str| registry::get(name, &args.data, super::data::mirror().as_deref());
    let started = Instant::now();
    let lags = lags(&Options { seeds: SEEDS, quick: false, watch: &watch, get: &get })?;
    let seconds = started.elapsed().as_secs_f64();
    let solved = lags.iter().filter(|lag| lag.sequences.is_some()).count();
    let compared: Vec<&Lag> = lags.iter().filter(|lag| lag.published.is_some()).collect();
    let fewer = compared
        .iter()
        .filter(|lag| lag.sequences.is_some_and(|own| Some(own) < lag.published))
        .count();
    if json {
        return console::json(&serde_json::json!({
            "name": LONG_LAG, "tasks": lags, "solved": solved, "fewer": fewer, "seconds": seconds,
        }));
    }
    for lag in &lags {
        console::line(lag.words())?;
    }
    console::line(format!(
        "{LONG_LAG} · {solved} of {} tasks solved · fewer sequences than published in {fewer} of {} · {}",
        lags.len(),
        compared.len(),
        console::took(seconds)
    ))
}

fn train_one(
    one: &Reproduction,
    args: &args::Reproduce,
    (seed, json): (Option<String>, bool),
    tell: &mut dyn FnMut(&Done) -> Result<()>,
) -> Result<u8> {
    registry::get(one.data, &args.data, super::data::mirror().as_deref())?;
    let data = one.prepare(&args.data)?;
    let mut set: Vec<String> = one.settings.iter().map(|&set| set.to_owned()).collect();
    set.extend(seed);
    set.extend(args.set.iter().cloned());
    let train = args::Train {
        data: Some(data),
        task: Some(one.task.name().to_owned()),
        config: None,
        set,
        name: None,
        runs: args.runs.clone(),
        resume: None,
        load: None,
        folds: None,
        threads: args.threads.threads,
        profile: false,
        quiet: args.quiet,
    };
    train::train(&train, json, tell)
}

/// Trains each of several results, and judges them together.
fn all_of(suite: &Suite, args: &args::Reproduce, json: bool) -> Result<u8> {
    let (mut evaluations, mut seconds) = (vec![], 0.0);
    for one in suite.parts {
        let code = train_one(one, args, (None, json), &mut |done| {
            evaluations.push(done.report.evaluation.clone());
            seconds += done.seconds;
            let ours = one.judge(&done.report.evaluation).map(|judged| judged.ours);
            let told = done.report.evaluation.report().headline();
            if json {
                let run = done.folder.path().display().to_string();
                return console::json(&serde_json::json!({
                    "name": one.name, "ours": ours, "published": one.published, "run": run,
                    "seconds": done.seconds,
                }));
            }
            let ours = ours.map_or("none".to_owned(), console::number);
            let took = console::took(done.seconds);
            console::line(format!(
                "{}: ours {ours} · published: {} · {told} · {took}",
                one.name, one.published
            ))
        })?;
        if code != 0 {
            return Ok(code);
        }
    }
    let judged = suite.judge(&evaluations);
    let judged = judged.ok_or_else(|| Error::failed("an evaluation lacks the measure"))?;
    if json {
        let mut told = serde_json::to_value(&judged).unwrap_or_default();
        told["seconds"] = seconds.into();
        return console::json(&told).map(|()| 0);
    }
    verdict(&judged, suite.higher)?;
    console::line(console::took(seconds)).map(|()| 0)
}

/// Trains; the exit code where a signal ended it.
fn make(
    one: &reproduce::Reproduction,
    args: &args::Reproduce,
    json: bool,
) -> Result<std::result::Result<Made, u8>> {
    let mut runs = Vec::new();
    let mut made: Option<Made> = None;
    for member in 0..one.members {
        let seed = (one.members > 1).then(|| format!("train.seed={}", member + 1));
        let code = train_one(one, args, (seed, json), &mut |done| {
            runs.push(done.folder.path().to_owned());
            made = Some(Made {
                evaluation: done.report.evaluation.clone(),
                summary: done.report.summary(),
                folder: done.folder.path().to_owned(),
                report: done.folder.report(),
                seconds: done.seconds + made.as_ref().map_or(0.0, |made| made.seconds),
            });
            Ok(())
        })?;
        if code != 0 {
            return Ok(Err(code));
        }
    }
    let mut made = made.ok_or_else(|| Error::failed("nothing was trained"))?;
    if let (Evaluation::Forecast(_), true) = (&made.evaluation, runs.len() > 1) {
        let mut models = Vec::new();
        for run in &runs {
            models.push(Forecaster::load(run)?.with_threads(super::count(args.threads))?);
        }
        let first = models.remove(0);
        let report = first.averaged(models)?.evaluate_own(None)?;
        made.evaluation = Evaluation::Forecast(report);
        made.summary = vec![format!("the mean of {} models with other seeds", runs.len())];
        made.summary.extend(made.evaluation.report().summary());
    }
    Ok(Ok(made))
}

fn tell(one: &reproduce::Reproduction, made: &Made, json: bool) -> Result<()> {
    let judged = one.judge(&made.evaluation);
    let judged = judged.ok_or_else(|| Error::failed("the evaluation lacks the measure"))?;
    if json {
        let mut told = serde_json::to_value(&judged).unwrap_or_default();
        told["run"] = made.folder.display().to_string().into();
        told["seconds"] = made.seconds.into();
        return console::json(&told);
    }
    made.summary.iter().try_for_each(console::line)?;
    verdict(&judged, one.higher)?;
    console::line(format!("{} · {}", made.report.display(), console::took(made.seconds)))
}

fn verdict(judged: &Judged, higher: bool) -> Result<()> {
    let verdict = match (judged.reached, judged.aim_reached) {
        (_, true) => "the aim is reached",
        (true, _) => "reached, the aim is not",
        _ => "not reached",
    };
    let goal = if higher { "at least" } else { "at most" };
    console::line(format!(
        "{} · {}: ours {} · published: {} · {goal} {} · aim {} · {verdict}",
        judged.name,
        judged.measure,
        console::number(judged.ours),
        judged.published,
        judged.at_least,
        console::number(judged.aim)
    ))
}
