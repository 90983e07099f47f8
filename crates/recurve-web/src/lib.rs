//! The explorer: a local page that shows what the gates of a trained model do, on the data of its run.
//!
//! ```text
//! page ── question (JSON) ──► server ──► worker thread: explorer ──► engine
//!      ◄─ answer (JSON, f32) ─        ◄─
//! ```
//!
//! The page is plain HTML, CSS and JavaScript modules within the program; nothing is fetched from a
//! network and nothing is built but by cargo. It asks questions; the [`Server`] lets through only its own,
//! and the explorer answers them one after the other on the thread that the model lives in. A trace (what
//! every unit did at every step of a piece) is computed once and kept; the page holds the planes it shows,
//! so that moving the cursor asks nobody. Lines are drawn by uPlot, which comes with the sources.
//!
//! What it refuses: to listen on anything but the loopback address, to serve a file of the disk, to answer
//! another page, and to guess: gates of a cell that it does not know are not shown.
#![forbid(unsafe_code)]

mod assets;
mod cell;
mod edit;
mod equations;
mod examples;
mod explorer;
mod export;
mod facts;
mod gradient;
mod matching;
mod measure;
mod monitor;
mod questions;
mod results;
mod server;
mod subject;
mod table;
mod trace;
mod worker;

pub use server::Server;

use explorer::Explorer;
use recurve_train::error::Result;
use std::path::Path;

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// A run folder, such as `runs/latest`.
    pub run: &'a Path,
    /// Where the data of the run lies now, if it has moved.
    pub data: Option<&'a Path>,
    /// Threads; 0 takes all.
    pub threads: usize,
}

/// A server of the page of a run, on a port of this machine: the given one, or the usual one or any that
/// is free.
///
/// # Errors
/// There is no run, its model cannot be read, or the port is taken.
pub fn serve(subject: Subject<'_>, port: Option<u16>) -> Result<Server> {
    Server::bind(Explorer::open(subject.run, subject.data, subject.threads)?, port)
}

/// The page of a run as one file that opens from disk: the views that need no computing, on one piece of
/// the data.
///
/// # Errors
/// There is no run, its model or its data cannot be read.
pub fn export(subject: Subject<'_>) -> Result<String> {
    export::page(&mut Explorer::open(subject.run, subject.data, subject.threads)?)
}
