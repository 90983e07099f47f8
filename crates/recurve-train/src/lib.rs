//! stub
pub mod accumulate;
pub mod baseline;
pub mod checkpoint;
pub mod clip;
pub mod data;
pub mod error;
pub mod generate;
pub mod initialise;
pub mod loss;
pub mod metrics;
pub mod nan_policy;
pub mod optimiser;
pub mod schedule;
pub mod stopping;
