//! How long the page waits for an answer about a model of 2 x 256 units over 2,000 steps. Run by hand on a quiet
//! machine: `cargo test -p recurve-web --test speed -- --ignored --nocapture`.

mod support;

use serde_json::json;
use std::time::Instant;

#[test]
#[ignore = "it measures time, which tells something on a quiet machine only"]
fn how_long_answers_take() {
    let server = support::serve(support::large_run());
    let trace = server.asked("trace", &json!({"from": 0, "count": 2000}));
    assert_eq!(trace["steps"], 2000);
    let id = &trace["id"];
    let cell = json!({"trace": id, "part": 1, "unit": 7, "step": 900, "c": [[7, 1.0]]});
    let gradient = |radius: f64, back: usize, fresh_only: bool| {
        json!({"trace": id, "step": 1500, "back": back, "forget_bias": 1.0, "radius": radius,
               "fresh_only": fresh_only})
    };
    let questions = [
        ("another piece", "trace", json!({"from": 40, "count": 2000})),
        ("a plane", "plane", json!({"trace": id, "part": 1, "plane": "c"})),
        ("a cell", "cell", json!({"trace": id, "part": 1, "unit": 7, "step": 900})),
        ("a changed cell", "cell", cell),
        ("gradient, 60 steps", "gradient", gradient(1.0, 60, false)),
        ("gradient, 200 steps", "gradient", gradient(1.0, 200, false)),
        ("gradient sliders, 60 steps", "gradient", gradient(0.7, 60, true)),
        ("gradient sliders, 200 steps", "gradient", gradient(0.8, 200, true)),
        ("pairs", "pairs", json!({"trace": id, "step": 1500, "back": 60})),
    ];
    for (what, question, body) in &questions {
        let mut times: Vec<f64> = (0..7)
            .map(|_| {
                let started = Instant::now();
                let (status, bytes) = server.numbers(question, body);
                assert_eq!(status, 200, "{what}: {}", String::from_utf8_lossy(&bytes));
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{what}: {:.0} ms ({:.0} to {:.0})", times[3], times[0], times[6]);
    }
}
