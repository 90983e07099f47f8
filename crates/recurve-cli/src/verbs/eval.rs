//! `recurve eval`.

use super::Loaded;
use crate::args::{self, Part};
use crate::console;
use recurve_train::data::Table;
use recurve_train::error::Result;
use recurve_train::task::Evaluation;

/// Measures a model and tells.
pub(crate) fn run(args: &args::Eval, json: bool) -> Result<()> {
    let data = args.data.as_deref();
    let part = args.part.unwrap_or(match data {
        Some(_) => Part::All,
        None => Part::HeldOut,
    });
    let evaluation = match (super::load(&args.run, args.threads)?, part) {
        (Loaded::Forecaster(mut model), Part::HeldOut) => {
            Evaluation::Forecast(model.evaluate_own(data)?)
        }
        (Loaded::Forecaster(mut model), Part::All) => {
            let table = match data {
                Some(path) => Table::read(path)?,
                None => model.own_table(None)?,
            };
            Evaluation::Forecast(model.predict(&table)?)
        }
        (Loaded::Language(model), Part::HeldOut) => Evaluation::Language(model.evaluate_own(data)?),
        (Loaded::Language(model), Part::All) => {
            let path = match data {
                Some(path) => path.to_owned(),
                None => model.file().data().locate(None)?,
            };
            Evaluation::Language(model.evaluate_text(&path)?)
        }
    };
    if json {
        return console::json(&evaluation);
    }
    evaluation.summary().iter().try_for_each(console::line)
}
