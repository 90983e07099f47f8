//! A cell that is not of this library, as `docs/adding-a-cell.md` brings it: its gradients are those of
//! differences, it trains, it streams, and it is saved and loaded by its name.

#![forbid(unsafe_code)]

#[allow(unreachable_pub, reason = "it stands as in a crate of its own")]
#[path = "own_cell/janet.rs"]
mod janet;

use janet::Janet;
use recurve::train::{initialise, loss, optimiser};
use recurve::{
    Batch, CellKind, Description, Engine, Input, Mode, Model, Network, Noise, Recurrent, Session,
};

const TRAIN: Mode = Mode::Train(Noise { seed: 1, step: 0 });

fn model(inputs: usize, hidden: usize) -> Model<f64> {
    let janet = CellKind::own("janet", Janet).unwrap();
    let stack = Recurrent::new(janet, hidden).layers(2).bidirectional();
    let mut model = Model::new(Description::values(inputs).recurrent(stack)).unwrap();
    let numbers = model.values_mut().iter_mut().enumerate();
    numbers.for_each(|(at, w)| *w = ((at * 37 % 101) as f64 / 50.0 - 1.0) * 0.8);
    model
}

#[test]
fn the_gradients_are_those_of_differences() {
    let (steps, batch, inputs, hidden) = (5, 3, 2, 4);
    let mut model = model(inputs, hidden);
    let x: Vec<f64> = (0..steps * batch * inputs).map(|at| (at as f64 * 0.7).sin()).collect();
    let dy: Vec<f64> = (0..steps * batch * 2 * hidden).map(|at| (at as f64 * 1.3).cos()).collect();
    let lengths = [5, 2, 4];
    let read = Batch::new(steps, batch, Input::Values(&x)).lengths(&lengths);
    let mut network = Network::new(model.description(), Engine::detect().unwrap()).unwrap();
    let mut loss = |values: &[f64]| -> f64 {
        network.load(values, true);
        let y = network.forward(&read, None, TRAIN).unwrap();
        y.iter().zip(&dy).map(|(y, d)| y * d).sum()
    };
    let mut measured = vec![];
    for at in 0..model.values().len() {
        let mut moved = |distance: f64| {
            let middle = model.values()[at];
            model.values_mut()[at] = middle + distance;
            let found = loss(model.values());
            model.values_mut()[at] = middle;
            found
        };
        let (near, far) = (moved(4e-4) - moved(-4e-4), moved(8e-4) - moved(-8e-4));
        measured.push((8.0 * near - far) / (12.0 * 4e-4));
    }
    loss(model.values());
    let rows: usize = lengths.iter().sum();
    let mut gradients = vec![0.0; model.values().len()];
    network.backward(&dy[..rows * 2 * hidden], &mut gradients, None).unwrap();
    assert!(gradients.iter().any(|d| d.abs() > 0.1));
    for ((entry, expected), found) in (0..).zip(&measured).zip(&gradients) {
        let scale = expected.abs().max(1e-3);
        assert!((found - expected).abs() <= 1e-7 * scale, "weight {entry}: {found}, {expected}");
    }
}

#[test]
fn it_trains_and_streams() {
    let janet = CellKind::own("janet", Janet).unwrap();
    let description = Description::values(1).recurrent(Recurrent::new(janet, 24)).linear(1);
    let mut model = Model::<f32>::new(description).unwrap();
    let count = model.values().len();
    let uniform = initialise::Initialiser::Uniform { bound: 0.3 };
    let mut rng = initialise::generator(2, "weights");
    uniform.fill(model.values_mut(), initialise::Blocks::one(1, count), &mut rng).unwrap();
    let engine = Engine::detect().unwrap();
    let mut network = Network::new(model.description(), engine).unwrap();
    let adam = optimiser::OptimiserConfig::Adam(Default::default());
    let mut adam = optimiser::Optimiser::new(adam, count).unwrap();
    let (mse, mut gradients, mut errors) = (loss::Loss::Mse {}, vec![0.0; count], vec![]);
    // What was read one step ago.
    let (steps, batch) = (20, 16);
    let bit = |n: usize| if ((n * 2_654_435_761) >> 7) & 1 == 1 { 1.0 } else { -1.0_f32 };
    for step in 0..300 {
        let at = |t: usize, b: usize| bit(step * 7919 + t * 31 + b * 1009);
        let all = || (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b)));
        let x: Vec<f32> = all().map(|(t, b)| at(t, b)).collect();
        let target: Vec<f32> =
            all().map(|(t, b)| if t == 0 { 0.0 } else { at(t - 1, b) }).collect();
        network.load(model.values(), true);
        let read = Batch::new(steps, batch, Input::Values(&x));
        let y = network.forward(&read, None, TRAIN).unwrap();
        let outputs = loss::Outputs::new(y, 1);
        errors.push(mse.forward(outputs, loss::Targets::Values(&target)).unwrap().mean);
        let mut dy = vec![0.0; y.len()];
        mse.backward(outputs, loss::Targets::Values(&target), &mut dy).unwrap();
        network.backward(&dy, &mut gradients, None).unwrap();
        adam.step(model.values_mut(), &gradients, 0.01).unwrap();
    }
    assert!(errors[299] < 0.5 * errors[0], "{} {}", errors[0], errors[299]);

    let x: Vec<f32> = (0..40).map(|t| (t as f32 * 0.3).sin()).collect();
    let mut whole = Session::new(&model, engine, 1).unwrap();
    let expected = whole.run(&x).to_vec();
    let mut stream = Session::new(&model, engine, 1).unwrap();
    for (x, expected) in x.iter().zip(&expected) {
        assert_eq!(stream.step(&[*x])[0].to_bits(), expected.to_bits());
    }
}

#[test]
fn its_name_is_what_a_file_holds() {
    let janet = CellKind::own("janet", Janet).unwrap();
    assert_eq!(CellKind::own("janet", Janet).unwrap(), janet);
    assert_eq!(CellKind::named("janet").unwrap(), janet);
    for (name, said) in
        [("lstm", "part of this library"), ("Janet", "small letters"), ("", "small")]
    {
        let error = CellKind::own(name, Janet).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let error = CellKind::own("janet", recurve::cell::MinGru).unwrap_err().to_string();
    assert!(error.contains("another cell called `janet`"), "{error}");
    let error = CellKind::named("jannet").unwrap_err().to_string();
    assert!(error.contains("unknown cell `jannet`") && error.contains("janet"), "{error}");
}

/// The document shows the file that is compiled here.
#[test]
fn the_document_shows_this_cell() {
    let document = include_str!("../../../docs/adding-a-cell.md");
    let cell = include_str!("own_cell/janet.rs");
    assert!(document.contains(cell), "docs/adding-a-cell.md shows another text than janet.rs");
    assert!(cell.lines().count() < 60);
}
