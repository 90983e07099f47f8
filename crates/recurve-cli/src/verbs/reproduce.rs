//! `recurve reproduce`: a published result, trained again.

use super::train::{self, Done};
use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::registry::{self, reproduce};

/// Gets the data, trains, and tells ours beside theirs. The exit code is 0 whatever comes out.
pub(crate) fn run(args: &args::Reproduce, json: bool) -> Result<u8> {
    let Some(name) = &args.name else {
        let mut rows = vec![["result", "measure", "at least", "aim"].map(str::to_owned).to_vec()];
        for one in reproduce::ALL {
            let goals = [one.goals.0, one.goals.1].map(|goal| goal.to_string());
            rows.push([&[one.name.to_owned(), one.measure.to_owned()][..], &goals].concat());
        }
        return console::columns(&rows).iter().try_for_each(console::line).map(|()| 0);
    };
    let one = reproduce::find(name)?;
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
    train::train(&train, json, &mut |done| tell(one, done, json))
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
    let verdict = match (judged.reached, judged.aim_reached) {
        (_, true) => "the aim is reached",
        (true, _) => "reached, the aim is not",
        _ => "not reached",
    };
    let goal = if one.higher { "at least" } else { "at most" };
    console::line(format!(
        "{} · {}: ours {} · published: {} · {goal} {} · aim {} · {verdict}",
        judged.name,
        judged.measure,
        console::number(judged.ours),
        judged.published,
        judged.at_least,
        judged.aim
    ))?;
    console::line(format!("{} · {}", done.folder.report().display(), console::took(done.seconds)))
}
