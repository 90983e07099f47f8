//! `recurve data`: data sets by name.

use crate::{args, console};
use recurve_train::error::Result;
use recurve_train::registry;
use serde_json::json;
use std::path::PathBuf;

/// The folder that stands in for all addresses, where it is set.
pub(super) fn mirror() -> Option<PathBuf> {
    std::env::var_os("RECURVE_DATA_MIRROR").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Lists the data sets, or puts one into a folder.
pub(crate) fn run(args: &args::Data, json: bool) -> Result<()> {
    match &args.what {
        args::DataVerb::List if json => registry::all().iter().try_for_each(console::json),
        args::DataVerb::List => {
            let mut rows = vec![["data set", "what it is", "licence"].map(str::to_owned).to_vec()];
            for known in registry::all() {
                let only = if known.fetched { "" } else { " (mirror only)" };
                let licence = format!("{}{only}", known.licence);
                rows.push(vec![known.name.to_owned(), known.about.to_owned(), licence]);
            }
            let widths =
                [0, 1].map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
            rows.iter().try_for_each(|row| {
                let [first, second] = widths;
                console::line(format!("{:first$}  {:second$}  {}", row[0], row[1], row[2]))
            })
        }
        args::DataVerb::Get { name, output } => {
            let files = registry::get(name, output, mirror().as_deref())?;
            if json {
                return console::json(&json!({ "name": name, "files": files }));
            }
            let shown = files.iter().rev().take(8).rev();
            if files.len() > 8 {
                console::line(format!("{} files, the last:", files.len()))?;
            }
            shown.map(|file| file.display().to_string()).try_for_each(console::line)
        }
    }
}
