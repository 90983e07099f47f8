//! Ctrl-C and its kin: the first asks the work to stop, the second ends the program at once.

use recurve_train::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether and by what the program was asked to stop.
pub(crate) struct Signals {
    /// Set by the first signal.
    pub(crate) stop: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

/// From here on, a write beyond the limit on the size of files (`ulimit -f`) fails with an error that
/// can be told, instead of ending the program without a word.
pub(crate) fn let_large_writes_fail() -> Result<()> {
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map_err(|error| {
        Error::failed("the system does not let Recurve catch the limit on files").with_source(error)
    })?;
    Ok(())
}

impl Signals {
    /// From here on, SIGINT and SIGTERM set `stop`; where it is set already, they end the program.
    pub(crate) fn catch() -> Result<Self> {
        let signals = Self { stop: Arc::default(), which: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // In the order in which they act: end if it was set before, else set it.
            let register = || {
                flag::register_conditional_shutdown(
                    signal,
                    code(signal),
                    Arc::clone(&signals.stop),
                )?;
                flag::register_usize(signal, Arc::clone(&signals.which), signal as usize)?;
                flag::register(signal, Arc::clone(&signals.stop))
            };
            register().map_err(|error| {
                Error::failed("the system does not let Recurve catch Ctrl-C").with_source(error)
            })?;
        }
        Ok(signals)
    }

    /// Whether a signal has come.
    pub(crate) fn came(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The exit code of a program that a signal ended: 130 for SIGINT, 143 for SIGTERM.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.which.load(Ordering::SeqCst) {
            0 => code(SIGINT) as u8,
            signal => code(signal as i32) as u8,
        }
    }
}

fn code(signal: i32) -> i32 {
    128 + signal
}
