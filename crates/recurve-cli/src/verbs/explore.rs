//! `recurve explore`.

use crate::signals::Signals;
use crate::{args, console};
use recurve_train::atomic;
use recurve_train::error::Result;
use recurve_web::Subject;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// Serves the page of a run until Ctrl-C, or writes it to a file.
pub(crate) fn run(args: &args::Explore, json: bool) -> Result<()> {
    let threads = args.threads.threads.map_or(0, |threads| threads as usize);
    let subject = Subject { run: &args.run, data: args.data.as_deref(), threads };
    if let Some(file) = &args.export {
        return export(subject, file, json);
    }
    let signals = Signals::catch()?;
    let server = recurve_web::serve(subject, args.port)?;
    let address = format!("http://{}/", server.address());
    if json {
        console::json(&json!({"address": address}))?;
    } else {
        console::line(&address)?;
    }
    if args.no_open {
        console::note("open this address in a browser on this machine; Ctrl-C ends");
    } else if open(&address) {
        console::note("opened in the browser; Ctrl-C ends");
    } else {
        console::note("no browser could be opened here; open the address yourself, Ctrl-C ends");
    }
    server.run(&signals.stop)
}

fn export(subject: Subject<'_>, file: &Path, json: bool) -> Result<()> {
    let page = recurve_web::export(subject)?;
    atomic::write(file, page.as_bytes())?;
    if json {
        return console::json(&json!({"file": file, "bytes": page.len()}));
    }
    console::line(file.display().to_string())
}

/// Asks the system to open an address in the person's browser.
fn open(address: &str) -> bool {
    let opener: &[&str] = match std::env::consts::OS {
        "macos" => &["open"],
        "windows" => &["cmd", "/C", "start", ""],
        _ => &["xdg-open"],
    };
    let mut command = Command::new(opener[0]);
    command.args(&opener[1..]).arg(address);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().is_ok()
}
