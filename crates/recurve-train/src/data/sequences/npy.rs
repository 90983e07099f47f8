//! Matrices in NumPy's `.npy` files: `[steps, features]` of `f32` or `f64`, row-major.
//!
//! The header is a Python dictionary of three entries, which is read as far as NumPy itself writes it;
//! every other type, shape or order is refused by name.

use crate::error::{Error, Result};
use std::path::Path;

/// A matrix.
pub(super) struct Matrix {
    pub(super) width: usize,
    /// `[rows, width]`
    pub(super) values: Vec<f64>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Matrix> {
    let bytes = crate::data::read_bytes(path)?;
    parse(&bytes).map_err(|what| Error::usage(format!("{}: {what}", path.display())))
}

fn parse(bytes: &[u8]) -> std::result::Result<Matrix, String> {
    let broken = || "the file is no whole .npy file; write it again with numpy.save".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(broken)?;
    let (start, length): (usize, usize) = match rest {
        [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err(broken()),
    };
    let end = start.checked_add(length).ok_or_else(broken)?;
    let header = bytes.get(start..end).and_then(|head| std::str::from_utf8(head).ok());
    let header = header.ok_or_else(broken)?;
    let entry = |key: &str| {
        let after = header.split_once(&format!("'{key}'"))?.1;
        Some(after.trim_start().strip_prefix(':')?.trim_start())
    };
    let (kind, order, shape) = match (entry("descr"), entry("fortran_order"), entry("shape")) {
        (Some(kind), Some(order), Some(shape)) => (kind, order, shape),
        _ => return Err(broken()),
    };
    let size = match kind.get(..5) {
        Some("'<f4'") => 4,
        Some("'<f8'") => 8,
        _ => {
            let found = kind.split(',').next().unwrap_or(kind);
            return Err(format!("the type is {found}, expected float32 or float64"));
        }
    };
    if !order.starts_with("False") {
        return Err("the order is Fortran's; save numpy.ascontiguousarray(x)".to_owned());
    }
    let shape =
        shape.strip_prefix('(').and_then(|shape| shape.split_once(')')).ok_or_else(broken)?;
    let sizes: Vec<&str> = shape.0.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    let [Ok(rows), Ok(width)] = sizes.iter().map(|n| n.parse::<usize>()).collect::<Vec<_>>()[..]
    else {
        return Err(format!("the shape is ({}), expected (steps, features)", shape.0));
    };
    let data = &bytes[end..];
    let expected = rows.checked_mul(width).and_then(|count| count.checked_mul(size));
    if expected != Some(data.len()) {
        return Err(format!("the shape is ({}), but there are {} bytes", shape.0, data.len()));
    }
    let values: Vec<f64> = if size == 4 {
        let read = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        data.chunks_exact(4).map(read).collect()
    } else {
        let read = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes"));
        data.chunks_exact(8).map(read).collect()
    };
    if let Some(at) = values.iter().position(|value| value.is_infinite()) {
        return Err(format!("row {}, column {} is infinite", at / width + 1, at % width + 1));
    }
    Ok(Matrix { width, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn what_numpy_writes_is_read_and_all_else_refused() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        let values: Vec<u8> = (0..6_u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let found = parse(&file(header, &values)).unwrap();
        assert_eq!((found.width, found.values), (3, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let bad =
            |from: &str, to: &str| parse(&file(&header.replace(from, to), &values)).err().unwrap();
        assert!(bad("<f4", "<i4").contains("'<i4'"));
        assert!(bad("False", "True").contains("Fortran"));
        assert!(bad("(2, 3)", "(6,)").contains("(steps, features)"));
        assert!(bad("(2, 3)", "(2, 4)").contains("24 bytes"));
        assert!(bad("'shape'", "'form'").contains("numpy.save"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_matrix_or_an_error(
            header in "[ -~]{0,80}", data in prop::collection::vec(any::<u8>(), 0..60), cut in 0..90_usize,
        ) {
            let bytes = file(&header, &data);
            let _ = parse(&bytes[..cut.min(bytes.len())]);
            let whole = file("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", &data);
            let _ = parse(&whole[..cut.min(whole.len())]);
        }
    }
}
