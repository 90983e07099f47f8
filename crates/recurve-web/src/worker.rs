//! The thread that the model lives in. Questions wait in a line; one whose asker has gone is left out.

use crate::explorer::{Answer, Explorer};
use recurve_train::error::{Error, Result};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use tokio::sync::oneshot;

struct Question {
    name: String,
    body: Vec<u8>,
    reply: oneshot::Sender<Result<Answer>>,
}

/// A way to ask the explorer; every tab has one.
#[derive(Clone)]
pub(crate) struct Asker(Sender<Question>);

/// Gives an explorer a thread, which ends with the last asker.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(explorer: Explorer) -> Result<Asker> {
    let (ask, asked) = channel();
    let work = move || answer_all(explorer, &asked);
    let thread = Builder::new().name("recurve-explorer".to_owned()).spawn(work);
    thread.map_err(|error| {
        Error::failed("the system gives no thread for the model").with_source(error)
    })?;
    Ok(Asker(ask))
}

fn answer_all(mut explorer: Explorer, asked: &Receiver<Question>) {
    for Question { name, body, reply } in asked {
        if !reply.is_closed() {
            // Nobody listens where a tab was closed meanwhile.
            let _ = reply.send(explorer.answer(&name, &body));
        }
    }
}

impl Asker {
    /// Asks and waits.
    ///
    /// # Errors
    /// The question is wrong, or the model's thread has ended.
    pub(crate) async fn ask(&self, name: String, body: Vec<u8>) -> Result<Answer> {
        let gone = || Error::failed("the thread of the model has ended; start the explorer again");
        let (reply, replied) = oneshot::channel();
        self.0.send(Question { name, body, reply }).map_err(|_| gone())?;
        replied.await.map_err(|_| gone())?
    }
}
