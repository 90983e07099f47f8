use super::*;

fn all() -> Vec<OptimiserConfig> {
    vec![
        OptimiserConfig::Sgd(Sgd::default()),
        OptimiserConfig::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.1,
            ..Sgd::default()
        }),
        OptimiserConfig::RmsProp(RmsProp::default()),
        OptimiserConfig::RmsProp(RmsProp { momentum: 0.5, ..RmsProp::default() }),
        OptimiserConfig::Adam(Adam { weight_decay: 0.1, ..Adam::default() }),
        OptimiserConfig::AdamW(AdamW::default()),
    ]
}

fn grads(step: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + step * 3) as f32).sin()).collect()
}

#[test]
fn two_steps_by_hand() {
    let mut sgd =
        Optimiser::new(OptimiserConfig::Sgd(Sgd { momentum: 0.5, ..Sgd::default() }), 1).unwrap();
    let mut w = [1.0f64];
    sgd.step(&mut w, &[2.0], 0.25).unwrap();
    assert_eq!(w, [0.5]);
    sgd.step(&mut w, &[1.0], 0.25).unwrap();
    assert_eq!(w, [0.0]);

    let config = Adam { beta1: 0.5, beta2: 0.75, eps: 1.0, ..Adam::default() };
    let mut adam = Optimiser::new(OptimiserConfig::Adam(config), 1).unwrap();
    let mut w = [1.0f64];
    adam.step(&mut w, &[4.0], 0.5).unwrap();
    assert!((w[0] - (1.0 - 0.5 * 4.0 / 5.0)).abs() < 1e-15);
    adam.step(&mut w, &[0.0], 0.5).unwrap();
    let (m, v) = (1.0 / 0.75, 3.0 / 0.4375f64);
    assert!((w[0] - (0.6 - 0.5 * m / (v.sqrt() + 1.0))).abs() < 1e-15);

    let config = AdamW { weight_decay: 0.5, ..AdamW::default() };
    let mut adamw = Optimiser::new(OptimiserConfig::AdamW(config), 1).unwrap();
    let mut w = [2.0f64];
    adamw.step(&mut w, &[0.0], 0.5).unwrap();
    assert_eq!(w, [1.5]);

    let config = RmsProp { alpha: 0.75, eps: 1.0, ..RmsProp::default() };
    let mut rms = Optimiser::new(OptimiserConfig::RmsProp(config), 1).unwrap();
    let mut w = [1.0f64];
    rms.step(&mut w, &[2.0], 0.5).unwrap();
    assert_eq!(w, [0.5]);
}

#[test]
fn decay_is_off_exactly_where_it_was_switched_off() {
    let config = OptimiserConfig::Sgd(Sgd { weight_decay: 0.5, ..Sgd::default() });
    let ranges = [6..8, 1..3, 2..4, 5..5, 0..1];
    let mut sgd = Optimiser::new(config, 9).unwrap().without_decay(&ranges).unwrap();
    let mut w = [2.0f64; 9];
    sgd.step(&mut w, &[0.0; 9], 1.0).unwrap();
    assert_eq!(w, [2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 1.0]);
    let outside = std::iter::once(8..10).collect::<Vec<_>>();
    let error = Optimiser::<f32>::new(config, 9).unwrap().without_decay(&outside).unwrap_err();
    assert!(error.to_string().contains("8..10"), "{error}");
}

#[test]
fn a_restored_optimiser_continues_bit_for_bit() {
    for config in all() {
        let mut whole = Optimiser::<f32>::new(config, 33).unwrap();
        let mut w = grads(99, 33);
        for step in 0..5 {
            whole.step(&mut w, &grads(step, 33), 0.01).unwrap();
        }
        let mut checkpoint = Checkpoint::new();
        whole.write_to(&mut checkpoint).unwrap();
        let bytes = checkpoint.to_bytes().unwrap();
        let mut resumed = Optimiser::<f32>::new(config, 33).unwrap();
        resumed.read_from(&Checkpoint::from_bytes(&bytes).unwrap()).unwrap();
        assert_eq!(resumed.steps(), 5);
        let mut v = w.clone();
        for step in 5..9 {
            whole.step(&mut w, &grads(step, 33), 0.02).unwrap();
            resumed.step(&mut v, &grads(step, 33), 0.02).unwrap();
        }
        assert_eq!(w.map_bits(), v.map_bits(), "{config:?}");
    }
}

trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}

impl MapBits for Vec<f32> {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|x| x.to_bits()).collect()
    }
}

#[test]
fn the_state_of_another_optimiser_is_refused_and_changes_nothing() {
    let mut other = Checkpoint::new();
    Optimiser::<f32>::new(OptimiserConfig::Sgd(Sgd::default()), 4)
        .unwrap()
        .write_to(&mut other)
        .unwrap();
    let mut adam = Optimiser::<f32>::new(OptimiserConfig::Adam(Adam::default()), 4).unwrap();
    adam.step(&mut [0.0; 4], &[1.0; 4], 0.1).unwrap();
    let error = adam.read_from(&other).unwrap_err();
    assert!(error.to_string().contains("optimiser.first_moment"), "{error}");
    assert_eq!(adam.steps(), 1);

    let mut longer = Checkpoint::new();
    Optimiser::<f32>::new(OptimiserConfig::Adam(Adam::default()), 5)
        .unwrap()
        .write_to(&mut longer)
        .unwrap();
    assert!(adam.read_from(&longer).is_err());
    let mut double = Checkpoint::new();
    Optimiser::<f64>::new(OptimiserConfig::Adam(Adam::default()), 4)
        .unwrap()
        .write_to(&mut double)
        .unwrap();
    let error = adam.read_from(&double).unwrap_err();
    assert!(error.to_string().contains("F64"), "{error}");
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for config in all() {
        let mut optimiser = Optimiser::<f32>::new(config, 3).unwrap();
        assert!(optimiser.step(&mut [0.0; 3], &[0.0; 2], 0.1).is_err());
        assert!(optimiser.step(&mut [0.0; 4], &[0.0; 3], 0.1).is_err());
        assert_eq!(optimiser.steps(), 0);
    }
}

#[test]
fn the_description_is_strict_and_complete() {
    let read = |text: &str| toml::from_str::<OptimiserConfig>(text);
    assert_eq!(read("kind = \"adam\"").unwrap(), OptimiserConfig::Adam(Adam::default()));
    assert_eq!(
        read("kind = \"sgd\"\nmomentum = 0.9").unwrap(),
        OptimiserConfig::Sgd(Sgd { momentum: 0.9, ..Sgd::default() })
    );
    assert!(read("kind = \"sgd\"\nbeta1 = 0.9").unwrap_err().to_string().contains("beta1"));
    assert!(read("kind = \"adamax\"").is_err());
    for config in all() {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(read(&text).unwrap(), config);
        assert!(text.contains(config.kind()));
        assert_eq!(config.with_learning_rate(0.5).learning_rate(), 0.5);
    }
}

#[test]
fn options_out_of_range_are_named() {
    let bad = [
        (OptimiserConfig::Sgd(Sgd { momentum: 1.0, ..Sgd::default() }), "optimiser.momentum"),
        (OptimiserConfig::Sgd(Sgd { nesterov: true, ..Sgd::default() }), "optimiser.nesterov"),
        (
            OptimiserConfig::Sgd(Sgd { learning_rate: f64::NAN, ..Sgd::default() }),
            "optimiser.learning_rate",
        ),
        (
            OptimiserConfig::RmsProp(RmsProp { alpha: -0.1, ..RmsProp::default() }),
            "optimiser.alpha",
        ),
        (OptimiserConfig::RmsProp(RmsProp { eps: 0.0, ..RmsProp::default() }), "optimiser.eps"),
        (OptimiserConfig::Adam(Adam { beta2: 1.0, ..Adam::default() }), "optimiser.beta2"),
        (
            OptimiserConfig::AdamW(AdamW { weight_decay: -1.0, ..AdamW::default() }),
            "optimiser.weight_decay",
        ),
    ];
    for (config, key) in bad {
        let error = Optimiser::<f32>::new(config, 1).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(key), "{error}");
    }
}
