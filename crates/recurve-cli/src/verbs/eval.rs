//! `recurve eval`.

use crate::args::{self, Part};
use crate::console;
use recurve_train::data;
use recurve_train::error::{Error, Result};
use recurve_train::task::{DynamicOptions, Evaluation, LanguageModel};

/// Measures a model and tells.
pub(crate) fn run(args: &args::Eval, json: bool) -> Result<()> {
    let part = match (args.part, &args.data) {
        (Some(Part::HeldOut), _) | (None, None) => None,
        (Some(Part::Validation), _) => Some(data::Part::Validation),
        (Some(Part::Test), _) => Some(data::Part::Test),
        (Some(Part::All), _) | (None, Some(_)) => Some(data::Part::All),
    };
    let evaluation = match args.dynamic {
        Some(rate) => {
            let options = DynamicOptions { rate, decay: args.decay, steps: args.segment };
            let model = LanguageModel::load(&args.run)?.with_threads(super::count(args.threads))?;
            if args.data.is_some() && part != Some(data::Part::All) {
                return Err(Error::usage(
                    "--dynamic measures a part of the data of the training, or all of another file; leave \
                     DATA or --part out",
                ));
            }
            Evaluation::Language(model.evaluate_dynamically(part, args.data.as_deref(), options)?)
        }
        None => super::load(&args.run, args.threads)?.evaluate(part, args.data.as_deref())?,
    };
    if json {
        return console::json(&evaluation);
    }
    evaluation.report().summary().iter().try_for_each(console::line)
}
