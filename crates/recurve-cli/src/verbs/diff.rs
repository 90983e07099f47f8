//! `recurve diff`: two models, tensor by tensor.

use crate::{args, console};
use recurve_interop::{Foreign, Options, open};
use recurve_train::error::Result;
use recurve_train::imported::{self, told};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Tells what differs; 1 where something does.
pub(crate) fn run(args: &args::Diff, json: bool) -> Result<u8> {
    let (a, b) = (opened(&args.a)?, opened(&args.b)?);
    let (mut same, mut rows, mut differences) = (0, vec![], vec![]);
    let mut tell = |name: &str, what: String| {
        differences.push(json!({ "tensor": name, "difference": what }));
        rows.push(vec![name.to_owned(), what]);
    };
    for tensor in a.contents.tensors.iter() {
        let Some(other) = b.contents.tensors.get(&tensor.name) else {
            tell(&tensor.name, format!("only in {}", a.name));
            continue;
        };
        if tensor.shape != other.shape {
            tell(&tensor.name, format!("shapes {:?} and {:?}", tensor.shape, other.shape));
            continue;
        }
        let (x, y) = (tensor.reals().map_err(told)?, other.reals().map_err(told)?);
        let equal = |(x, y): (&f64, &f64)| x.to_bits() == y.to_bits();
        if x.iter().zip(&y).all(equal) {
            if tensor.dtype == other.dtype {
                same += 1;
            } else {
                let (x, y) = (tensor.dtype.name(), other.dtype.name());
                tell(&tensor.name, format!("equal values as {x} and {y}"));
            }
            continue;
        }
        let count = x.iter().zip(&y).filter(|pair| !equal(*pair)).count();
        let largest = x.iter().zip(&y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        tell(&tensor.name, format!("{count} of {} values differ, at most by {largest:e}", x.len()));
    }
    for tensor in b.contents.tensors.iter() {
        if a.contents.tensors.get(&tensor.name).is_none() {
            tell(&tensor.name, format!("only in {}", b.name));
        }
    }
    let code = u8::from(!rows.is_empty());
    if json {
        console::json(&json!({ "equal": same, "differences": differences }))?;
        return Ok(code);
    }
    console::columns(&rows).iter().try_for_each(console::line)?;
    console::line(format!("{same} tensors are equal to the bit, {} differ", rows.len()))?;
    Ok(code)
}

/// The file of a run, or any other.
fn opened(path: &Path) -> Result<Foreign> {
    let file: PathBuf = if imported::is_imported(path) {
        let name = imported::facts(path)?.file.unwrap_or_else(|| "model.safetensors".to_owned());
        path.join(name)
    } else if path.is_dir() {
        path.join("model.safetensors")
    } else {
        path.to_owned()
    };
    open(&file, &Options::default()).map_err(told)
}
