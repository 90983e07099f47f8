//! The `.ts` files of the UCR/UEA archive: lines of `@` keys, then a sequence per line.
//!
//! Dimensions stand between `:`, the values of a dimension between `,`, the class last. A `?` is a missing
//! value. Dimensions of one sequence may differ in length where the file says so; that is refused, since a
//! step has a value of each, as are time stamps.

use super::{Raw, Sequence, Sequences};
use crate::error::{Error, Result};

/// Whether the beginning of a file looks like one.
pub(crate) fn is_ts(head: &str) -> bool {
    let mut lines = head.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.next().is_some_and(|line| line.starts_with('@'))
}

/// Reads a file.
pub(super) fn read(name: &str, text: &str) -> Result<Sequences> {
    let mut reader = Ts { name, classes: true, width: 0, items: vec![] };
    let mut within = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if within {
            reader.sequence(at + 1, line)?;
        } else if line.starts_with('@') {
            within = reader.key(at + 1, line)?;
        } else {
            return Err(reader.wrong(at + 1, "values before `@data`"));
        }
    }
    let channels = match reader.width {
        1 => vec!["value".to_owned()],
        width => (1..=width).map(|at| format!("dimension {at}")).collect(),
    };
    Sequences { name: name.to_owned(), channels, items: reader.items }.checked()
}

struct Ts<'a> {
    name: &'a str,
    classes: bool,
    width: usize,
    items: Vec<Sequence>,
}

impl Ts<'_> {
    fn wrong(&self, line: usize, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}, line {line}: {what}", self.name))
    }

    /// A line of the head; true where the data begins.
    fn key(&mut self, at: usize, line: &str) -> Result<bool> {
        let mut words = line[1..].split_whitespace();
        let key = words.next().unwrap_or_default().to_lowercase();
        let value = words.next().unwrap_or_default().to_lowercase();
        match key.as_str() {
            "data" => return Ok(true),
            "timestamps" if value == "true" => {
                return Err(self.wrong(at, "the values have time stamps, which are not read"));
            }
            "classlabel" => self.classes = value == "true",
            _ => {}
        }
        Ok(false)
    }

    fn sequence(&mut self, at: usize, line: &str) -> Result<()> {
        let mut dimensions: Vec<&str> = line.split(':').collect();
        let label = if self.classes { dimensions.pop().map(|l| l.trim().to_owned()) } else { None };
        if dimensions.is_empty() || label.as_deref() == Some("") {
            return Err(self.wrong(at, "expected values, a `:` and the class"));
        }
        if self.items.is_empty() {
            self.width = dimensions.len();
        }
        if dimensions.len() != self.width {
            let (found, expected) = (dimensions.len(), self.width);
            return Err(self
                .wrong(at, format!("{found} dimensions, but the first sequence has {expected}")));
        }
        let steps = dimensions[0].split(',').count();
        let mut values = vec![f64::NAN; steps * self.width];
        for (dimension, cells) in dimensions.iter().enumerate() {
            let mut read = 0;
            for (step, cell) in cells.split(',').map(str::trim).enumerate() {
                read = step + 1;
                let value = match cell {
                    "?" | "NaN" | "nan" => f64::NAN,
                    cell => cell.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
                        let what = crate::data::shown(cell);
                        self.wrong(
                            at,
                            format!(
                                "dimension {}, step {}: `{what}` is not a number",
                                dimension + 1,
                                step + 1
                            ),
                        )
                    })?,
                };
                if let Some(to) = values.get_mut(step * self.width + dimension) {
                    *to = value;
                }
            }
            if read != steps {
                return Err(self.wrong(
                    at,
                    format!(
                        "dimension {} has {read} values and dimension 1 has {steps}; a step needs a \
                         value of each",
                        dimension + 1
                    ),
                ));
            }
        }
        self.items.push(Sequence {
            id: (self.items.len() + 1).to_string(),
            place: format!("{}, line {at}", self.name),
            input: Raw::Values(values),
            label,
            values: None,
            group: None,
            part: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "# a comment\n@problemName X\n@classLabel true a b\n@data\n";

    #[test]
    fn sequences_of_several_dimensions_and_lengths() {
        let found = read("x.ts", &format!("{HEAD}1,2,3:4,?,6:a\n7:8:b\n")).unwrap();
        assert_eq!(found.channels, ["dimension 1", "dimension 2"]);
        assert_eq!((found.steps(0), found.steps(1)), (3, 1));
        let Raw::Values(values) = &found.items[0].input else { panic!("numbers") };
        assert_eq!(values[..3], [1.0, 4.0, 2.0]);
        assert!(values[3].is_nan());
        assert_eq!(found.items[1].label.as_deref(), Some("b"));
        assert_eq!(found.items[1].place, "x.ts, line 6");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, words) in [
            ("1,x:a\n", ["line 5", "dimension 1, step 2: `x`"]),
            ("1,2:3:a\n", ["line 5", "dimension 2 has 1 values"]),
            ("1:2:a\n1:b\n", ["line 6", "1 dimensions, but the first sequence has 2"]),
            ("1,2\n", ["line 5", "the class"]),
            ("", ["x.ts", "no sequence"]),
        ] {
            let error = read("x.ts", &format!("{HEAD}{body}")).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        let error = read("x.ts", "@timeStamps true\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("time stamps"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(body in "[0-9,:?.ab\n@# -]{0,120}") {
            let _ = read("x.ts", &format!("{HEAD}{body}"));
            let _ = read("x.ts", &body);
        }
    }
}
