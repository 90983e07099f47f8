//! Forecasts of a table.
//!
//! They are *direct*: the window is read, its steps become one vector, and a linear layer gives the
//! whole horizon at once, in the scaled and transformed units that the loss sees.

mod learner;
mod model;
mod report;

pub use model::{Forecast, ForecastStream, Forecaster};
pub use report::{BaselineReport, ForecastReport, Prediction, TargetReport};

use super::{DataConfig, Given, Learner, Reader, Trained};
use crate::config::{Config, InitialiseConfig};
use crate::data::{DataPlan, Series, Table};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use learner::ForecastLearner;

/// The task `forecast`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        Config::shared()
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if let Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy {} = config.loss {
            return Err(Error::usage(
                "a forecast is trained with loss.kind = \"mse\", \"mae\" or \"huber\", not the \
                 cross-entropy",
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
        let DataConfig::Forecast(options) = &mut given.config.data else {
            return Err(given.strange());
        };
        let plan = match given.reader {
            Some(Reader::Table(plan)) => plan.clone(),
            _ => DataPlan::new(&table, options)?,
        };
        let notes = plan.describe(&table);
        *options = plan.options();
        let series = Series::new(&table, &plan)?;
        Ok((Box::new(ForecastLearner::new(series, given.config)?), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Forecaster::of(file)?.with_threads(threads)?))
    }
}
