//! `recurve eval`.

use crate::args::{self, Part};
use crate::console;
use recurve_train::data;
use recurve_train::error::Result;

/// Measures a model and tells.
pub(crate) fn run(args: &args::Eval, json: bool) -> Result<()> {
    let part = match (args.part, &args.data) {
        (Some(Part::HeldOut), _) | (None, None) => None,
        (Some(Part::Validation), _) => Some(data::Part::Validation),
        (Some(Part::Test), _) => Some(data::Part::Test),
        (Some(Part::All), _) | (None, Some(_)) => Some(data::Part::All),
    };
    let mut model = super::load(&args.run, args.threads)?;
    let evaluation = model.evaluate(part, args.data.as_deref())?;
    if json {
        return console::json(&evaluation);
    }
    evaluation.report().summary().iter().try_for_each(console::line)
}
