//! `recurve eval`.

use super::Loaded;
use crate::args::{self, Part};
use crate::console;
use recurve_train::data::{self, Table};
use recurve_train::error::Result;
use recurve_train::task::Evaluation;

/// Measures a model and tells.
pub(crate) fn run(args: &args::Eval, json: bool) -> Result<()> {
    let data = args.data.as_deref();
    let part = args.part.unwrap_or(match data {
        Some(_) => Part::All,
        None => Part::HeldOut,
    });
    let evaluation = match super::load(&args.run, args.threads)? {
        Loaded::Forecaster(mut model) => Evaluation::Forecast(match (part, data) {
            (Part::HeldOut, _) => model.evaluate_own(data)?,
            (Part::Validation, _) => model.evaluate(data::Part::Validation, data)?,
            (Part::Test, _) => model.evaluate(data::Part::Test, data)?,
            (Part::All, Some(path)) => model.predict(&Table::read(path)?)?,
            (Part::All, None) => model.evaluate(data::Part::All, None)?,
        }),
        Loaded::Language(model) => Evaluation::Language(match (part, data) {
            (Part::HeldOut, _) => model.evaluate_own(data)?,
            (Part::Validation, _) => model.evaluate(data::Part::Validation, data)?,
            (Part::Test, _) => model.evaluate(data::Part::Test, data)?,
            (Part::All, Some(path)) => model.evaluate_text(path)?,
            (Part::All, None) => model.evaluate(data::Part::All, None)?,
        }),
    };
    if json {
        return console::json(&evaluation);
    }
    evaluation.summary().iter().try_for_each(console::line)
}
