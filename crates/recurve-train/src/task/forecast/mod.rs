//! Forecasts of one series or of many.
//!
//! `view` is how a window is shown and what outputs mean, `head` what they say of a value, `learner` the
//! side that training sees, `model` and `stream` the sides in use, `evaluate` what measures and calibrates,
//! `report` what is told.

mod evaluate;
mod head;
mod learner;
mod look;
mod model;
mod report;
mod stream;
mod view;

pub use evaluate::Calibration;
pub use look::{Change, Known, Listed, Track, Window, Windows};
pub use model::{Forecast, Forecaster};
pub use report::{
    BaselineReport, Coverage, ForecastReport, Interval, Prediction, Probability, Standardised,
    StepScores, TargetReport,
};
pub use stream::ForecastStream;

use super::{DataConfig, Given, Learner, Reader, Trained};
use crate::config::{Config, InitialiseConfig};
use crate::data::{DataPlan, Decoding, Panel, Table};
use crate::error::{Error, Result};
use crate::loss::{Density, Loss};
use crate::model_file::ModelFile;
use learner::ForecastLearner;
use recurve_nn::Pooling;

/// The task `forecast`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        Config::shared()
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if let Loss::CrossEntropy { .. }
        | Loss::BinaryCrossEntropy {}
        | Loss::Crf {}
        | Loss::Ctc {} = config.loss
        {
            return Err(Error::usage(
                "a forecast is trained with loss.kind = \"mse\", \"mae\", \"huber\", \"quantile\", \
                 \"normal\", \"student-t\", \"negative-binomial\" or \"mixture\", not the cross-entropy or the losses of sequences",
            ));
        }
        if config.initialise.embedding != InitialiseConfig::default().embedding {
            return Err(Error::usage(
                "initialise.embedding is set, but a forecast has no token vectors; leave it out",
            ));
        }
        Ok(())
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let table = Table::read(given.data)?;
        let strange = given.strange();
        let Config { data: DataConfig::Forecast(options), model, loss, .. } = given.config else {
            return Err(strange);
        };
        if Density::of(loss).is_some() {
            // Quantiles of changes would not add up; a guess must not choose them.
            options.difference.get_or_insert(false);
            options.seasonal_difference.get_or_insert(false);
        }
        if let Loss::NegativeBinomial {} = loss {
            options.log.get_or_insert(false);
        }
        let plan = match given.reader {
            Some(Reader::Table(plan)) => plan.clone(),
            _ => DataPlan::new(&table, options)?,
        };
        if plan.decoding != Decoding::Direct {
            match model.pooling {
                None | Some(Pooling::Last) => model.pooling = None,
                Some(_) => {
                    return Err(Error::usage(
                        "model.pooling makes one vector of all steps, but data.decoding goes step by step; \
                         leave one of them out",
                    ));
                }
            }
            if plan.decoding == Decoding::Recursive && model.bidirectional {
                return Err(Error::usage(
                    "model.bidirectional reads from the end, which data.decoding = recursive does not know \
                     yet; leave one of them out",
                ));
            }
        }
        let notes = plan.describe(&table);
        let sizes = (options.validation, options.test);
        *options = plan.options();
        if !plan.series.is_empty() {
            // Series differ in rows, so what was asked for stays as it was said.
            (options.validation, options.test) = sizes;
        }
        let panel = Panel::new(&table, &plan)?;
        Ok((Box::new(ForecastLearner::new(panel, given.config)?), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Forecaster::of(file)?.with_threads(threads)?))
    }
}
