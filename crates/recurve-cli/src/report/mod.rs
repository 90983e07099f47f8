//! The report: one HTML file that says what was learned, from what, how well, and how to use it.
//!
//! It needs nothing but a browser: charts are SVG inside it, there is no script and no address it
//! would load anything from, and it follows the reader's choice of light or dark. [`page`] turns
//! blocks into HTML, [`chart`] turns numbers into SVG, [`training`] decides what a report on a trained
//! model says, [`experiment`] what one on an experiment says.

mod alarms;
mod blanks;
pub(crate) mod chart;
mod classes;
pub(crate) mod experiment;
mod folds;
mod forecast;
mod language;
mod numbers;
mod page;
mod rolls;
mod tags;
mod texts;
mod training;
mod translations;

pub(crate) use folds::{html as folds_html, spread};
pub(crate) use training::{Took, commands, headline, write};
