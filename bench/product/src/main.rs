//! Times Recurve's own product of two square matrices, the right one packed beforehand.

use clap::Parser;
use contract::{Mode, Shape, time};
use recurve_kernels::{Engine, Matrix, Packed, RowsMut, Start, product};

fn main() {
    let shape = Shape::parse();
    shape.require(shape.mode == Mode::Product, "times products of matrices only");
    shape.require(shape.dtype == "f32", "only products of f32 are timed here");
    let engine = match Engine::detect() {
        Ok(engine) => engine.with_threads(shape.threads),
        Err(error) => return shape.require(false, &error.to_string()),
    };
    let n = shape.hidden;
    let numbers = |seed: usize| -> Vec<f32> {
        (0..n * n).map(|at| ((at * 7 + seed) % 1013) as f32 / 506.0 - 1.0).collect()
    };
    let (a, b) = (numbers(1), numbers(2));
    let mut packed = Packed::default();
    packed.pack(engine, Matrix::new(&b, n, n, n));
    let mut c = vec![0.0_f32; n * n];
    time("recurve", env!("CARGO_PKG_VERSION"), &shape, || {
        let left = Matrix::new(&a, n, n, n);
        product(engine, left, &packed, Start::Zero, &mut RowsMut::new(&mut c, n, n));
    });
}
