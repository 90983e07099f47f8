use super::*;

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

const ALL: [Loss; 7] = [
    Loss::CrossEntropy { label_smoothing: 0.0 },
    Loss::CrossEntropy { label_smoothing: 0.2 },
    Loss::Mse {},
    Loss::Mae {},
    Loss::Huber { delta: 0.6 },
    Loss::Huber { delta: 3.0 },
    Loss::BinaryCrossEntropy {},
];

/// Smooth, irregular numbers, none of them close to a kink of a loss.
fn wave(len: usize, phase: f64) -> Vec<f64> {
    (0..len).map(|i| 2.5 * (1.7 * i as f64 + phase).sin()).collect()
}

/// Numbers that the loss takes as targets.
fn targets_of(loss: Loss, values: Vec<f64>) -> Vec<f64> {
    match loss {
        Loss::BinaryCrossEntropy {} => values.iter().map(|t| 0.5 + 0.2 * t).collect(),
        _ => values,
    }
}

#[test]
fn values_by_hand() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let logits = [0.0, 3f64.ln(), 0.0, 0.0];
    let mut d = [0.0; 4];
    let value = loss.backward(Outputs::new(&logits, 2), Targets::Classes(&[1, 0]), &mut d).unwrap();
    close(value.mean, ((4.0 / 3.0f64).ln() + 2f64.ln()) / 2.0, 1e-15);
    assert_eq!(value.count, 2.0);
    for (found, expected) in d.iter().zip([0.125, -0.125, -0.25, 0.25]) {
        close(*found, expected, 1e-15);
    }

    let smooth = Loss::CrossEntropy { label_smoothing: 0.5 };
    let value = smooth.forward(Outputs::new(&logits[..2], 2), Targets::Classes(&[1])).unwrap();
    close(value.mean, 0.75 * (4.0 / 3.0f64).ln() + 0.25 * 4f64.ln(), 1e-15);

    let (y, t) = ([1.0, 2.0, -1.0], [0.0, 2.5, 2.0]);
    let cases: [(Loss, f64, [f64; 3]); 3] = [
        (Loss::Mse {}, 10.25 / 3.0, [2.0 / 3.0, -1.0 / 3.0, -2.0]),
        (Loss::Mae {}, 1.5, [1.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0]),
        (
            Loss::Huber { delta: 1.0 },
            (0.5 + 0.125 + 2.5) / 3.0,
            [1.0 / 3.0, -0.5 / 3.0, -1.0 / 3.0],
        ),
    ];
    for (loss, mean, expected) in cases {
        let value = loss.backward(Outputs::new(&y, 3), Targets::Values(&t), &mut d[..3]).unwrap();
        close(value.mean, mean, 1e-15);
        for (found, expected) in d.iter().zip(expected) {
            close(*found, expected, 1e-15);
        }
    }
}

#[test]
fn derivatives_equal_central_differences() {
    let (rows, width) = (7, 11);
    let outputs = wave(rows * width, 0.3);
    let classes = [3, 0, 10, IGNORE, 7, 7, 1];
    let weights = [1.0, 0.5, 0.0, 1.0, 2.0, 0.25, 1.0];
    for loss in ALL {
        let values = targets_of(loss, wave(rows * width, 1.1));
        for weighted in [false, true] {
            let weights = weighted.then_some(&weights[..]);
            fn view<'a>(values: &'a [f64], weights: Option<&'a [f32]>) -> Outputs<'a, f64> {
                Outputs { values, width: 11, weights }
            }
            let targets = match loss {
                Loss::CrossEntropy { .. } => Targets::Classes(&classes),
                _ => Targets::Values(&values),
            };
            let mut d = vec![f64::NAN; rows * width];
            let value = loss.backward(view(&outputs, weights), targets, &mut d).unwrap();
            assert_eq!(value, loss.forward(view(&outputs, weights), targets).unwrap());
            let mut moved = outputs.clone();
            for i in 0..moved.len() {
                let step = 1e-5;
                moved[i] = outputs[i] + step;
                let above = loss.forward(view(&moved, weights), targets).unwrap().mean;
                moved[i] = outputs[i] - step;
                let below = loss.forward(view(&moved, weights), targets).unwrap().mean;
                moved[i] = outputs[i];
                let numeric = (above - below) / (2.0 * step);
                assert!(
                    (numeric - d[i]).abs() < 1e-9,
                    "{loss:?} at {i}: {} is not {numeric}",
                    d[i]
                );
            }
        }
    }
}

#[test]
fn masked_rows_count_nothing_and_are_not_read() {
    for loss in ALL {
        let width = 3;
        let real = wave(2 * width, 0.2);
        let mut padded = real.clone();
        padded.extend([f64::NAN; 3]);
        let values = targets_of(loss, wave(3 * width, 0.9));
        let (short, long) = match loss {
            Loss::CrossEntropy { .. } => {
                (Targets::Classes(&[2, 0][..]), Targets::Classes(&[2, 0, IGNORE][..]))
            }
            _ => (Targets::Values(&values[..6]), Targets::Values(&values[..])),
        };
        let mut d_short = vec![0.0; 6];
        let mut d_long = vec![f64::NAN; 9];
        let expected = loss.backward(Outputs::new(&real, width), short, &mut d_short).unwrap();
        let outputs = Outputs::new(&padded, width).weighted(&[1.0, 1.0, 0.0]);
        let found = loss.backward(outputs, long, &mut d_long).unwrap();
        assert_eq!(found, expected);
        assert_eq!(d_long[..6], d_short[..]);
        assert_eq!(d_long[6..], [0.0; 3]);

        let nothing = Outputs::new(&padded, width).weighted(&[0.0; 3]);
        let found = loss.backward(nothing, long, &mut d_long).unwrap();
        assert_eq!(found, LossValue { mean: 0.0, count: 0.0 });
        assert_eq!(d_long, [0.0; 9]);
    }
}

#[test]
fn extreme_logits_stay_exact() {
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let logits = [1e30f32, -1e30, 0.0, 5000.0, 4999.0, -5000.0];
    let mut d = [0f32; 6];
    let value = loss.backward(Outputs::new(&logits, 3), Targets::Classes(&[0, 1]), &mut d).unwrap();
    let p = 1.0 / (1.0 + (-1f64).exp());
    // The exponentials are those of `f32`, so a loss near 1 is known to 2⁻²².
    close(value.mean, -(1.0 - p).ln() / 2.0, 2f64.powi(-22));
    let exact = logits.map(f64::from);
    let exact = loss.forward(Outputs::new(&exact, 3), Targets::Classes(&[0, 1])).unwrap();
    close(exact.mean, -(1.0 - p).ln() / 2.0, 1e-12);
    assert_eq!(d[..3], [0.0; 3]);
    assert!(d.iter().all(|d| d.is_finite()));
    let wrong = loss.forward(Outputs::new(&logits[..3], 3), Targets::Classes(&[2])).unwrap();
    assert_eq!(wrong.mean, f64::from(1e30f32));
}

#[test]
fn statements_are_judged_one_by_one() {
    let loss = Loss::BinaryCrossEntropy {};
    let (y, t) = ([0.0, 3f64.ln(), -2000.0, 2000.0], [0.5, 1.0, 0.0, 0.0]);
    let mut d = [0.0; 4];
    let value = loss.backward(Outputs::new(&y, 2), Targets::Values(&t), &mut d).unwrap();
    close(value.mean, (2f64.ln() + (4.0 / 3.0f64).ln() + 0.0 + 2000.0) / 4.0, 1e-15);
    for (found, expected) in d.iter().zip([0.0, -0.25 / 4.0, 0.0, 0.25]) {
        close(*found, expected, 1e-15);
    }
    let error = loss.forward(Outputs::new(&y, 2), Targets::Values(&[0.0, 1.0, 1.5, 0.0]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("1.5 of output 0 in row 1") && error.contains("0 (false)"), "{error}");
}

#[test]
fn a_nan_in_a_counted_row_is_not_hidden() {
    for loss in ALL {
        for bad in [f64::NAN, f64::INFINITY] {
            let outputs: Vec<f64> = (0..20).map(|i| if i == 13 { bad } else { 0.1 }).collect();
            let values = [0.0; 20];
            let targets = match loss {
                Loss::CrossEntropy { .. } => Targets::Classes(&[4, 4]),
                _ => Targets::Values(&values),
            };
            let value = loss.forward(Outputs::new(&outputs, 10), targets).unwrap();
            assert!(!value.mean.is_finite(), "{loss:?} {bad}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let entropy = Loss::CrossEntropy { label_smoothing: 0.0 };
    let y = [0.0f32; 6];
    let cases = [
        (entropy.forward(Outputs::new(&y, 3), Targets::Classes(&[0, 3])), "row 1 is class 3"),
        (
            entropy.forward(Outputs::new(&y, 3), Targets::Classes(&[0])),
            "1 numbers for class targets",
        ),
        (entropy.forward(Outputs::new(&y, 4), Targets::Classes(&[0])), "width 4"),
        (entropy.forward(Outputs::new(&y, 0), Targets::Classes(&[])), "width 0"),
        (entropy.forward(Outputs::new(&y, 3), Targets::Values(&y)), "class per row"),
        (
            Loss::Mse {}.forward(Outputs::new(&y, 3), Targets::Classes(&[0, 0])),
            "numbers as targets",
        ),
        (
            Loss::Mse {}.forward(Outputs::new(&y, 3), Targets::Values(&y[1..])),
            "5 numbers for targets",
        ),
        (
            Loss::Mse {}.forward(Outputs::new(&y, 3).weighted(&[1.0, -1.0]), Targets::Values(&y)),
            "weight of row 1 is -1",
        ),
        (
            Loss::Mse {}
                .forward(Outputs::new(&y, 3).weighted(&[f32::NAN, 1.0]), Targets::Values(&y)),
            "weight of row 0 is NaN",
        ),
        (
            Loss::Mse {}.backward(Outputs::new(&y, 3), Targets::Values(&y), &mut [0.0; 2]),
            "d_outputs",
        ),
        (
            Loss::Huber { delta: 0.0 }.forward(Outputs::new(&y, 3), Targets::Values(&y)),
            "loss.delta",
        ),
        (
            Loss::CrossEntropy { label_smoothing: 1.0 }
                .forward(Outputs::new(&y, 3), Targets::Classes(&[0, 0])),
            "loss.label_smoothing",
        ),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_description_is_strict() {
    let read = |text: &str| serde_json::from_str::<Loss>(text);
    assert_eq!(read(r#"{"kind":"mse"}"#).unwrap(), Loss::Mse {});
    assert_eq!(read(r#"{"kind":"huber"}"#).unwrap(), Loss::Huber { delta: 1.0 });
    assert!(read(r#"{"kind":"mse","delta":1}"#).is_err());
    assert!(read(r#"{"kind":"cross-entropy","smoothing":0.1}"#).is_err());
    assert!(read(r#"{"kind":"hinge"}"#).is_err());
}
