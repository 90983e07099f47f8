//! temp
use recurve_cell::*;
use recurve_kernels::*;
use std::time::Instant;
fn run<C: Cell>(name: &str, t: usize, b: usize, i: usize, h: usize, engine: Engine) {
    let mut layer = RecurrentLayer::<f32>::new(engine, CellKernels::of::<C>(engine.isa()), i, h);
    let g = C::GATES;
    let rnd = |n: usize| -> Vec<f32> {
        (0..n).map(|k| ((k * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.1).collect()
    };
    let (w, r, bias) = (rnd(g * h * i), rnd(g * h * h), rnd(g * h));
    let steps = Steps::uniform(t, b);
    let x = rnd(t * b * i);
    let mut tape = Tape::new();
    let hr = engine.padded::<f32>(h);
    let xr = engine.padded::<f32>(i);
    let dy = rnd(t * b * hr);
    let mut dx = vec![0.0; t * b * xr];
    let (mut dw, mut dr, mut db) = (w.clone(), r.clone(), bias.clone());
    let mut times = vec![];
    let mut parts = vec![];
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 1.5 || times.len() < 5 {
        let t0 = Instant::now();
        layer.set_weights(Weights { w: &w, r: &r, b: &bias, b_r: &[], p: &[] }, true);
        let t1 = Instant::now();
        let batch =
            Sequences { steps: &steps, x: Rows::new(&x, i, i), initial: [&[], &[]], resets: &[] };
        layer.forward(&batch, true, &mut tape, [&mut [], &mut []]);
        let t2 = Instant::now();
        layer.backward(
            &batch,
            &mut tape,
            Errors {
                dy: Rows::new(&dy, h, hr),
                d_last: [&[], &[]],
                dx: Some(RowsMut::new(&mut dx, i, xr)),
                d_initial: [&mut [], &mut []],
            },
            WeightsMut { w: &mut dw, r: &mut dr, b: &mut db, b_r: &mut [], p: &mut [] },
        );
        let t3 = Instant::now();
        times.push((t3 - t0).as_secs_f64() * 1e3);
        parts.push([
            (t1 - t0).as_secs_f64() * 1e3,
            (t2 - t1).as_secs_f64() * 1e3,
            (t3 - t2).as_secs_f64() * 1e3,
        ]);
    }
    times.sort_by(f64::total_cmp);
    let med = times[times.len() / 2];
    let flops = 6.0 * (t * b * g * h * (i + h)) as f64;
    let p = parts[parts.len() / 2];
    println!(
        "{name:12} threads {} {med:9.2} ms min {:9.2} {:6.1} GF/s  pack {:.2} fwd {:.2} bwd {:.2}",
        engine.threads(),
        times[0],
        flops / med / 1e6,
        p[0],
        p[1],
        p[2]
    );
}
fn main() {
    if let Some(name) = std::env::args().nth(1) {
        let threads = std::env::args().nth(2).unwrap().parse().unwrap();
        let e = Engine::detect().unwrap().with_threads(threads);
        match name.as_str() {
            "large" => run::<Lstm>("large", 50, 64, 1024, 1024, e),
            "charlm" => run::<Lstm>("charlm", 50, 50, 128, 512, e),
            "forecast" => run::<Lstm>("forecast", 168, 64, 7, 128, e),
            "hydrology" => run::<Lstm>("hydrology", 365, 256, 32, 256, e),
            "har" => run::<Lstm>("har", 128, 64, 9, 32, e),
            _ => run::<Gru>("gru-mid", 50, 64, 256, 256, e),
        }
        return;
    }
    for threads in [1, 2] {
        let e = Engine::detect().unwrap().with_threads(threads);
        run::<Lstm>("har", 128, 64, 9, 32, e);
        run::<Lstm>("forecast", 168, 64, 7, 128, e);
        run::<Lstm>("hydrology", 365, 256, 32, 256, e);
        run::<Lstm>("charlm-l1", 50, 50, 128, 512, e);
        run::<Lstm>("ptb-small", 20, 20, 200, 200, e);
        run::<Lstm>("ptb-medium", 35, 20, 650, 650, e);
        run::<Lstm>("large", 50, 64, 1024, 1024, e);
        run::<Gru>("gru-mid", 50, 64, 256, 256, e);
        run::<Rnn<Tanh>>("rnn-mid", 50, 64, 256, 256, e);
    }
}
