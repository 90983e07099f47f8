//! Products of matrices equal the sum over K written out, for sizes on both sides of every tile.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recurve_kernels::{Element, Engine, Isa, Matrix, Packed, RowsMut, Start, product};

const EPSILON: f64 = f32::EPSILON as f64;

fn numbers<E: Element>(count: usize, seed: u64) -> Vec<E> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| E::from_f64(f64::from(rng.random_range(-1.0_f32..1.0)))).collect()
}

/// `[rows, columns]` stored transposed or not, rows further apart than they need be.
struct Stored<E> {
    data: Vec<E>,
    shape: (usize, usize),
    transposed: bool,
}

impl<E: Element> Stored<E> {
    fn new(rows: usize, columns: usize, transposed: bool, seed: u64) -> Self {
        let (r, c) = if transposed { (columns, rows) } else { (rows, columns) };
        Self { data: numbers(r * (c + 3), seed), shape: (r, c), transposed }
    }
    fn matrix(&self) -> Matrix<'_, E> {
        let matrix = Matrix::new(&self.data, self.shape.0, self.shape.1, self.shape.1 + 3);
        if self.transposed { matrix.transposed() } else { matrix }
    }
    fn at(&self, row: usize, column: usize) -> f64 {
        let (r, c) = if self.transposed { (column, row) } else { (row, column) };
        self.data[r * (self.shape.1 + 3) + c].to_f64()
    }
}

fn check<E: Element>(
    (m, k, n): (usize, usize, usize),
    transposed: [bool; 2],
    engine: Engine,
    epsilon: f64,
) -> Vec<E> {
    let a = Stored::<E>::new(m, k, transposed[0], 1);
    let b = Stored::<E>::new(k, n, transposed[1], 2);
    let bias = numbers::<E>(n, 3);
    let mut packed = Packed::default();
    packed.pack(engine, b.matrix());
    let stride = n + 2;
    let mark = E::from_f64(77.0);
    let mut c = vec![mark; m * stride];
    product(engine, a.matrix(), &packed, Start::Bias(&bias), &mut RowsMut::new(&mut c, n, stride));
    for row in 0..m {
        for column in 0..n {
            let products = (0..k).map(|at| a.at(row, at) * b.at(at, column));
            let (sum, size) = products.fold((0.0, 1.0), |(sum, size), p| (sum + p, size + p.abs()));
            let expected = sum + bias[column].to_f64();
            let got = c[row * stride + column].to_f64();
            let what = format!("{m}×{k}×{n} {transposed:?} {engine:?} [{row}, {column}]");
            assert!(
                // Rounding grows with the size of what is added up, not with the sum.
                (got - expected).abs() <= 8.0 * epsilon * size,
                "{what}: {got} {expected}"
            );
        }
        assert!(
            c[row * stride + n..][..2].iter().all(|v| *v == mark),
            "nothing is written beyond a row"
        );
    }
    // Adding the product once more doubles what is not bias.
    let before = c.clone();
    product(engine, a.matrix(), &packed, Start::Sums, &mut RowsMut::new(&mut c, n, stride));
    for (at, (twice, once)) in c.iter().zip(&before).enumerate() {
        if at % stride < n {
            let bias = bias[at % stride].to_f64();
            let expected = 2.0 * once.to_f64() - bias;
            assert!((twice.to_f64() - expected).abs() <= 8.0 * epsilon * (k + 1) as f64);
        }
    }
    before
}

#[test]
fn products_equal_their_definition() {
    let sizes = [1, 2, 5, 8, 15, 16, 17, 33, 64, 65, 130];
    for isa in Isa::available() {
        let engine = Engine::new(isa);
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            for (at, &size) in sizes.iter().enumerate() {
                let shape =
                    (size, sizes[(at * 3 + 1) % sizes.len()], sizes[(at * 5 + 2) % sizes.len()]);
                check::<f64>(shape, transposed, engine, f64::EPSILON);
                check::<f32>(shape, transposed, engine, EPSILON);
            }
            check::<f32>((300, 530, 70), transposed, engine, EPSILON);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    for isa in Isa::available() {
        for shape in [(300, 200, 130), (40, 300, 700), (2, 900, 1200)] {
            for transposed in [[false, false], [true, true]] {
                let one = check::<f32>(shape, transposed, Engine::new(isa), EPSILON);
                let two =
                    check::<f32>(shape, transposed, Engine::new(isa).with_threads(2), EPSILON);
                assert!(one == two, "{isa} {shape:?}");
            }
        }
    }
}

#[test]
fn a_row_is_the_same_in_any_batch() {
    for isa in Isa::available() {
        let engine = Engine::new(isa);
        let (k, n) = (70, 45);
        let a = numbers::<f32>(19 * k, 4);
        let b = numbers::<f32>(k * n, 5);
        let mut packed = Packed::default();
        packed.pack(engine, Matrix::new(&b, k, n, n));
        let run = |rows: usize, first: usize| {
            let mut c = vec![0.0; rows * n];
            let a = Matrix::new(&a[first * k..], rows, k, k);
            product(engine, a, &packed, Start::Zero, &mut RowsMut::new(&mut c, n, n));
            c
        };
        let all = run(19, 0);
        for row in 0..19 {
            assert!(run(1, row) == all[row * n..][..n], "{isa} row {row}");
        }
    }
}
