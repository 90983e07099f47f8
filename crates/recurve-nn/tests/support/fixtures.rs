//! Golden files: tensors, indices, and the comparison with what was computed.

use recurve_cell::Real;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The tensors of one safetensors file, as `f64`.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    file: PathBuf,
    tensors: BTreeMap<String, Vec<f64>>,
}

impl Tensors {
    pub(crate) fn read(file: &Path) -> Self {
        let bytes =
            std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let view = SafeTensors::deserialize(&bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let values = |name: &str| {
            let tensor = view.tensor(name).unwrap();
            let data = tensor.data();
            match tensor.dtype() {
                Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                Dtype::F32 => {
                    data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
                }
                Dtype::I64 => {
                    data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
                }
                Dtype::U8 => data.iter().map(|b| f64::from(*b)).collect(),
                other => panic!("{}: {name} is {other:?}", file.display()),
            }
        };
        let names = view.names().into_iter();
        let tensors = names.map(|name| (name.to_owned(), values(name))).collect();
        let file = file.to_owned();
        Self { file, tensors }
    }

    pub(crate) fn get(&self, name: &str) -> &[f64] {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.file.display()))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&[f64]> {
        self.tensors.get(name).map(Vec::as_slice)
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<usize> {
        self.get(name).iter().map(|value| *value as usize).collect()
    }
}

/// The committed golden files.
pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden")
}

/// A folder of the larger fixtures that the repository does not hold: in `RECURVE_SHARED`, or in
/// `shared` beside the repository. Where it is not there, that is said aloud.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RECURVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if !path.is_dir() {
        // Past the capture of the harness, which would hide it.
        let _ = writeln!(std::io::stderr(), "not run: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The contents of an index.
pub(crate) fn index<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Compares a tensor, relative to its largest value.
pub(crate) fn assert_close<E: Real>(got: &[E], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}: the number of values");
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got.to_f64() - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}[{at}] is {got}, expected {expected} ({:e} of the largest)",
            difference / largest
        );
    }
}
