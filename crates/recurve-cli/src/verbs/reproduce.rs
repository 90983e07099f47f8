//! `recurve reproduce`: a published result, trained again.

use super::train::{self, Done};
use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::registry;
use recurve_train::registry::reproduce::{self, Judged, Reproduction};
use recurve_train::registry::suites::{SUITES, Suite};

/// Gets the data, trains, and tells ours beside theirs. The exit code is 0 whatever comes out.
pub(crate) fn run(args: &args::Reproduce, json: bool) -> Result<u8> {
    let Some(name) = &args.name else {
        let mut rows = vec![["result", "measure", "at least", "aim"].map(str::to_owned).to_vec()];
        for one in reproduce::ALL {
            let goals = [one.goals.0, one.goals.1].map(|goal| goal.to_string());
            rows.push([&[one.name.to_owned(), one.measure.to_owned()][..], &goals].concat());
        }
        for suite in SUITES {
            let goals = [suite.goals.0, suite.goals.1].map(|goal| goal.to_string());
            rows.push([&[suite.name.to_owned(), suite.measure.to_owned()][..], &goals].concat());
        }
        return console::columns(&rows).iter().try_for_each(console::line).map(|()| 0);
    };
    if let Some(suite) = SUITES.iter().find(|suite| suite.name == name) {
        return all_of(suite, args, json);
    }
    let one = reproduce::find(name)?;
    train_one(one, args, json, &mut |done| tell(one, done, json))
}

fn train_one(
    one: &Reproduction,
    args: &args::Reproduce,
    json: bool,
    tell: &mut dyn FnMut(&Done) -> Result<()>,
) -> Result<u8> {
    registry::get(one.data, &args.data, super::data::mirror().as_deref())?;
    let data = one.prepare(&args.data)?;
    let mut set: Vec<String> = one.settings.iter().map(|&set| set.to_owned()).collect();
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
        let code = train_one(one, args, json, &mut |done| {
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

fn tell(one: &reproduce::Reproduction, done: &Done, json: bool) -> Result<()> {
    let judged = one.judge(&done.report.evaluation);
    let judged = judged.ok_or_else(|| Error::failed("the evaluation lacks the measure"))?;
    if json {
        let mut told = serde_json::to_value(&judged).unwrap_or_default();
        told["run"] = done.folder.path().display().to_string().into();
        told["seconds"] = done.seconds.into();
        return console::json(&told);
    }
    for line in done.report.summary() {
        console::line(line)?;
    }
    verdict(&judged, one.higher)?;
    console::line(format!("{} · {}", done.folder.report().display(), console::took(done.seconds)))
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
        judged.aim
    ))
}
