//! The program `recurve`: from a file to a trained recurrent model, and from the model to forecasts,
//! text, classes, numbers and tags.
//!
//! The program is thin. [`args`] says what can be typed; each verb in [`verbs`] turns that into one
//! call of the library and the result into a report for people. Results go to standard output, all
//! else to standard error. The exit code is 0 where the work is done, 1 where it failed, 2 where the
//! command line or the data is wrong, 130 or 143 where a signal ended a training that has been saved.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod console;
mod progress;
mod report;
mod signals;
mod verbs;

use args::{Cli, Verb};
use clap::Parser;
use recurve_train::error::Result;
use std::process::ExitCode;

fn main() -> ExitCode {
    report_panics();
    let Cli { verb, json } = Cli::parse();
    match signals::let_large_writes_fail().and_then(|()| run(&verb, json)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::note(format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(verb: &Verb, json: bool) -> Result<u8> {
    match verb {
        Verb::Train(args) => return verbs::train::run(args, json),
        Verb::Compare(args) => return verbs::compare::run(args, json),
        Verb::Tune(args) => return verbs::tune::run(args, json),
        Verb::FindLr(args) => return verbs::find_lr::run(args, json),
        Verb::Reproduce(args) => return verbs::reproduce::run(args, json),
        Verb::Data(args) => verbs::data::run(args, json)?,
        Verb::Eval(args) => verbs::eval::run(args, json)?,
        Verb::Forecast(args) => verbs::forecast::run(args, json)?,
        Verb::Backtest(args) => verbs::backtest::run(args, json)?,
        Verb::Generate(args) => verbs::generate::run(args, json)?,
        Verb::Predict(args) => verbs::predict::run(args, json)?,
        Verb::Stream(args) => verbs::stream::run(args, json)?,
        #[cfg(feature = "explore")]
        Verb::Explore(args) => verbs::explore::run(args, json)?,
        Verb::Detect(args) => verbs::detect::run(args, json)?,
        Verb::Fill(args) => verbs::fill::run(args, json)?,
        Verb::Tag(args) => verbs::tag::run(args, json)?,
        Verb::Transcribe(args) => verbs::transcribe::run(args, json)?,
        Verb::Translate(args) => verbs::translate::run(args, json)?,
        Verb::Export(args) => verbs::export::run(args, json)?,
        Verb::Import(args) => verbs::import::run(args, json)?,
        Verb::Diff(args) => return verbs::diff::run(args, json),
        Verb::Inspect(args) => verbs::inspect::run(args, json)?,
        Verb::Config(args) => verbs::config::run(args, json)?,
        Verb::Doctor(args) => verbs::doctor::run(args, json)?,
        Verb::Bench(args) => verbs::bench::run(args, json)?,
        Verb::Experiment(args) => verbs::experiment::run(args, json)?,
    }
    Ok(0)
}

/// A mistake of the program itself is one line for the person, and ends with code 1.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if recurve_train::data::is_decoding() {
            return;
        }
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let payload = panic.payload();
        let what = payload.downcast_ref::<&str>().copied();
        let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = what.unwrap_or("no message").replace('\n', " ");
        console::note(format!(
            "error: a mistake in recurve {}{place}: {what}; please report this line and the command at {}/issues",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
        ));
        std::process::exit(1);
    }));
}
