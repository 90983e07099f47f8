//! Convolutions and attention agree with PyTorch: outputs and every gradient.

use crate::support::fixtures::{Tensors, assert_close, golden};
use crate::support::{Data, Problem, isas};
use recurve_nn::{
    Attention, Description, Element, Engine, Entries, Positions, State, Tcn, Transformer,
};

const STEPS: usize = 6;
const BATCH: usize = 3;

fn check<E: Element>(case: &str, problem: &Problem, io: &Tensors, tolerance: f64) {
    let given = |name: &str| io.get(&format!("{case}.{name}"));
    for isa in isas() {
        let pass = problem.run::<E>(Engine::new(isa).with_threads(2));
        let what = format!("{case} {isa} {}", std::any::type_name::<E>());
        assert_close(&pass.y, given("y"), tolerance, &what);
        assert_close(&pass.dx, given("grad.x"), tolerance, &format!("{what}: dx"));
        for entry in Entries::of(&problem.description).unwrap().iter() {
            let got = &pass.gradients[entry.range.clone()];
            let expected = given(&format!("grad.{}", entry.name));
            assert_close(got, expected, tolerance, &format!("{what}: {}", entry.name));
        }
    }
}

#[test]
fn torch_sequences() {
    let io = Tensors::read(&golden().join("torch_sequences.safetensors"));
    let values = Description::values;
    let norm = Tcn { kernel: 2, weight_norm: true, ..Tcn::new(4, 3) };
    let positions = Positions::Learned { most: STEPS + 2 };
    let cases = [
        ("tcn", values(3).tcn(Tcn::new(4, 2))),
        ("tcn_norm", values(4).tcn(norm)),
        ("attention", values(6).attention(Attention { heads: 3, causal: false, context: 0 })),
        ("attention_causal", values(6).attention(Attention { heads: 2, causal: true, context: 4 })),
        (
            "transformer",
            values(6).transformer(Transformer { positions, ..Transformer::encoder(2, 2, 8) }),
        ),
        ("transformer_causal", values(6).transformer(Transformer::causal(2, 3, 5, 3))),
    ];
    for (case, description) in cases {
        let given = |name: &str| io.get(&format!("{case}.{name}")).to_vec();
        let entries = Entries::of(&description).unwrap();
        let problem = Problem {
            weights: entries.iter().flat_map(|entry| given(&entry.name)).collect(),
            steps: STEPS,
            batch: BATCH,
            data: Data::Values(given("x")),
            lengths: Some(io.integers("lengths")),
            resets: None,
            initial: State::zero(&description, BATCH),
            dy: given("loss_wy"),
            d_last: State::zero(&description, BATCH),
            description,
        };
        check::<f64>(case, &problem, &io, 1e-12);
        check::<f32>(case, &problem, &io, 3e-5);
    }
}
