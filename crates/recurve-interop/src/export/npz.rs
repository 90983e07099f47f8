//! NumPy: one array for each entry, under its name, in an uncompressed `.npz`.

use super::{DESCRIPTION, bytes_of, is_single, to_json};
use crate::error::{Error, Result};
use recurve_nn::{Element, Model};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(super) fn write<E: Element>(model: &Model<E>) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let failed = |error: String| Error::failed(format!("cannot write the archive: {error}"));
    let mut add = |name: &str, array: Vec<u8>| {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), stored).map_err(|error| failed(error.to_string()))?;
        zip.write_all(&array).map_err(|error| failed(error.to_string()))
    };
    for entry in model.entries().iter() {
        let values = model.values()[entry.range.clone()].iter().copied();
        let kind = if is_single::<E>() { "<f4" } else { "<f8" };
        add(&entry.name, array(kind, &entry.shape, bytes_of(values)))?;
    }
    let text = to_json(model.description())?.into_bytes();
    add(DESCRIPTION, array("|u1", &[text.len()], text))?;
    Ok(zip.finish().map_err(|error| failed(error.to_string()))?.into_inner())
}

/// An array as a `.npy` of version 1.0.
fn array(kind: &str, shape: &[usize], bytes: Vec<u8>) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut header = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        sizes.join(", ")
    );
    // With the ten bytes before it and a line end, a multiple of 64.
    let filled = (header.len() + 11).next_multiple_of(64) - 11;
    header.push_str(&" ".repeat(filled - header.len()));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.into_bytes());
    file.extend(bytes);
    file
}
