//! From sequences to sequences: gradients, streams, forks, batches, and agreement with PyTorch.

use crate::support;
use crate::support::fixtures::{Tensors, assert_close, golden};
use crate::support::{Random, isas};
use recurve_nn::seq2seq::{Decoder, Score, Seq2Seq, Seq2SeqDescription, Target};
use recurve_nn::{
    Batch, CellKind, Description, Element, Engine, Entries, Input, Mode, Noise, Precision,
    Recurrent, Transformer,
};

const INPUTS: usize = 3;
const VOCABULARY: usize = 5;
const SOURCE: usize = 4;
const TARGET: usize = 3;
const BATCH: usize = 3;
const NOISE: Noise = Noise { seed: 4, step: 9 };

fn scores() -> Vec<Score> {
    vec![
        Score::Dot,
        Score::General,
        Score::Additive { width: 3 },
        Score::MultiHead { heads: 2 },
        Score::Location { width: 3, filters: 2, reach: 1 },
    ]
}

fn description(score: Score, cell: CellKind) -> Seq2SeqDescription {
    let stack = Recurrent::new(CellKind::Gru, 2).bidirectional();
    Seq2SeqDescription {
        encoder: Description::values(INPUTS).recurrent(stack),
        decoder: Decoder { layers: 2, attention: 3, ..Decoder::new(VOCABULARY, 2, cell, 4) }
            .score(score),
    }
}

/// A batch of sources and targets, and how every logit weighs in the loss.
#[derive(Clone)]
struct Problem {
    description: Seq2SeqDescription,
    weights: Vec<f64>,
    x: Vec<f64>,
    source: Vec<usize>,
    tokens: Vec<u32>,
    target: Vec<usize>,
    dy: Vec<f64>,
}

impl Problem {
    fn new(description: Seq2SeqDescription) -> Self {
        let mut random = Random(3);
        Self {
            weights: random.values(Entries::of_seq2seq(&description).unwrap().len(), 0.9),
            x: random.values(SOURCE * BATCH * INPUTS, 1.0),
            source: vec![3, 4, 2],
            tokens: random.tokens(TARGET * BATCH, VOCABULARY),
            target: vec![2, 1, 3],
            dy: random.values(TARGET * BATCH * VOCABULARY, 1.0),
            description,
        }
    }

    fn model<E: Element>(&self, engine: Engine) -> Seq2Seq<E> {
        let mut model = Seq2Seq::new(&self.description, engine).unwrap();
        model.load(&support::converted::<E>(&self.weights));
        model
    }

    fn target(&self) -> Target<'_> {
        Target { steps: TARGET, tokens: &self.tokens, lengths: &self.target }
    }

    /// The logits `[T, B, V]`, 0 past the end.
    fn logits<E: Element>(&self, model: &mut Seq2Seq<E>, mode: Mode) -> Vec<E> {
        let x = support::converted::<E>(&self.x);
        let batch = Batch::new(SOURCE, BATCH, Input::Values(&x)).lengths(&self.source);
        let rows = model.forward(&batch, self.target(), mode).unwrap();
        let rows: Vec<Vec<E>> = (0..rows.count()).map(|row| rows.row(row).to_vec()).collect();
        let mut to = vec![E::default(); TARGET * BATCH * VOCABULARY];
        for (row, t, b) in model.order().places() {
            to[(t * BATCH + b) * VOCABULARY..][..VOCABULARY].copy_from_slice(&rows[row]);
        }
        to
    }

    fn gradients<E: Element>(&self, model: &mut Seq2Seq<E>) -> Vec<E> {
        let x = support::converted::<E>(&self.x);
        let batch = Batch::new(SOURCE, BATCH, Input::Values(&x)).lengths(&self.source);
        let order = {
            model.forward(&batch, self.target(), Mode::Train(NOISE)).unwrap();
            model.order().clone()
        };
        let places: Vec<_> = order.places().collect();
        let mut judge = |rows: std::ops::Range<usize>, logits: &mut [E]| {
            for (row, to) in rows.zip(logits.chunks_exact_mut(VOCABULARY)) {
                let (_, t, b) = places[row];
                let d = &self.dy[(t * BATCH + b) * VOCABULARY..][..VOCABULARY];
                to.iter_mut().zip(d).for_each(|(to, d)| *to = E::from_f64(*d));
            }
        };
        let mut gradients = vec![E::from_f64(9.0); self.weights.len()];
        model.learn(&batch, self.target(), NOISE, &mut judge, &mut gradients).unwrap();
        gradients
    }
}

/// Every gradient against differences over four points, in f64.
fn check(problem: &mut Problem) {
    let what = format!("{:?}", problem.description);
    let found: Vec<_> = isas()
        .into_iter()
        .map(|isa| problem.gradients(&mut problem.model::<f64>(Engine::new(isa))))
        .collect();
    let mut model = problem.model::<f64>(Engine::new(isas()[0]));
    let entries = Entries::of_seq2seq(&problem.description).unwrap();
    for entry in entries.iter() {
        for at in entry.range.clone() {
            let middle = problem.weights[at];
            let mut loss = |distance: f64| {
                problem.weights[at] = middle + distance;
                model.load(&problem.weights);
                let y = problem.logits(&mut model, Mode::Train(NOISE));
                y.iter().zip(&problem.dy).map(|(y, d)| y * d).sum::<f64>()
            };
            let near = loss(1e-4) - loss(-1e-4);
            let far = loss(2e-4) - loss(-2e-4);
            loss(0.0);
            let expected = (8.0 * near - far) / 12e-4;
            for found in &found {
                let got = found[at];
                let error = (got - expected).abs() / expected.abs().max(got.abs()).max(1e-3);
                assert!(error <= 1e-7, "{what}: {}: {got}, measured {expected}", entry.name);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_loss() {
    for score in scores() {
        for cell in [CellKind::Lstm, CellKind::Gru] {
            check(&mut Problem::new(description(score, cell)));
        }
    }
    let mut plain = description(Score::General, CellKind::LstmPeephole);
    plain.decoder.input_feeding = false;
    plain.decoder.dropout = 0.3;
    plain.encoder = Description::values(INPUTS)
        .linear(4)
        .transformer(Transformer { dropout: 0.2, ..Transformer::encoder(1, 2, 4) });
    check(&mut Problem::new(plain));
    // A source and a target without steps.
    let mut empty = Problem::new(description(
        Score::Location { width: 2, filters: 1, reach: 2 },
        CellKind::Slstm,
    ));
    (empty.source, empty.target) = (vec![0, 4, 2], vec![3, 0, 2]);
    check(&mut empty);
}

/// Token by token, forked and put in another order: the bits of the whole.
#[test]
fn steps_are_the_whole() {
    for score in scores() {
        let problem = Problem::new(description(score, CellKind::Lstm));
        for isa in isas() {
            let mut model = problem.model::<f32>(Engine::new(isa));
            let whole = problem.logits(&mut model, Mode::Infer);
            let x = support::converted::<f32>(&problem.x);
            let batch = Batch::new(SOURCE, BATCH, Input::Values(&x)).lengths(&problem.source);
            let encoded = model.encode(&batch).unwrap();
            assert_eq!((encoded.sources(), encoded.steps(1)), (BATCH, 4));
            let mut state = model.begin(&encoded, &[0, 1, 2]);
            for t in 0..TARGET {
                // Twice the same, backwards.
                state = state.select(&(0..state.rows()).rev().collect::<Vec<_>>());
                let twice: Vec<usize> = (0..state.rows()).chain(0..state.rows()).collect();
                let mut forked = state.select(&twice);
                let of = |row: usize| forked.source(row);
                let sources: Vec<usize> = (0..forked.rows()).map(of).collect();
                let tokens: Vec<u32> =
                    sources.iter().map(|b| problem.tokens[t * BATCH + b]).collect();
                let logits = model.step(&encoded, &mut forked, &tokens);
                for (row, b) in sources.iter().enumerate().filter(|(_, b)| t < problem.target[**b])
                {
                    let expected = &whole[(t * BATCH + b) * VOCABULARY..][..VOCABULARY];
                    assert_eq!(logits.row(row), expected, "{score:?} {isa} {t} {b}");
                }
                for (row, b) in sources.iter().enumerate() {
                    let weights = forked.attention(row);
                    let heads = weights.len() / problem.source[*b];
                    let sum: f32 = weights.iter().sum();
                    assert!((sum - heads as f32).abs() < 1e-5, "{score:?}: {weights:?}");
                }
                state = forked.select(&[0, 1, 2]);
            }
        }
    }
}

#[test]
fn a_batch_and_threads_change_no_bit() {
    for score in scores() {
        let problem = Problem::new(description(score, CellKind::Gru));
        let engine = Engine::detect().unwrap();
        let mut one = problem.model::<f32>(engine.with_threads(1));
        let mut two = problem.model::<f32>(engine.with_threads(2));
        let whole = problem.logits(&mut one, Mode::Infer);
        assert_eq!(whole, problem.logits(&mut two, Mode::Infer));
        assert_eq!(problem.gradients(&mut one), problem.gradients(&mut two));
        for b in 0..BATCH {
            let pick = |values: &[f64], width: usize| -> Vec<f32> {
                let rows = values.chunks_exact(width).skip(b).step_by(BATCH);
                rows.flatten().map(|v| *v as f32).collect()
            };
            let x = pick(&problem.x, INPUTS);
            let tokens: Vec<u32> = problem.tokens.iter().skip(b).step_by(BATCH).copied().collect();
            let (source, lengths) = ([problem.source[b]], [problem.target[b]]);
            let batch = Batch::new(SOURCE, 1, Input::Values(&x)).lengths(&source);
            let target = Target { steps: TARGET, tokens: &tokens, lengths: &lengths };
            let alone = one.forward(&batch, target, Mode::Infer).unwrap();
            for t in 0..problem.target[b] {
                let expected = &whole[(t * BATCH + b) * VOCABULARY..][..VOCABULARY];
                assert_eq!(alone.row(t), expected, "{score:?} {t} {b}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let says = |result: recurve_nn::Result<()>, parts: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?}, expected {parts:?}");
    };
    let engine = Engine::detect().unwrap();
    let new = |change: fn(&mut Seq2SeqDescription)| {
        let mut description = description(Score::General, CellKind::Lstm);
        change(&mut description);
        Seq2Seq::<f32>::new(&description, engine).map(|_| ())
    };
    says(new(|d| d.decoder.hidden = 0), &["decoder: hidden is 0", "at least 1"]);
    says(new(|d| d.decoder.dropout = 1.0), &["decoder: a dropout of 1"]);
    says(
        new(|d| (d.decoder.score, d.decoder.hidden) = (Score::Dot, 5)),
        &["`dot`", "5 units", "width 4", "general"],
    );
    says(new(|d| d.decoder.score = Score::MultiHead { heads: 3 }), &["3 heads", "4 units"]);
    says(
        new(|d| d.encoder = d.encoder.clone().pool(recurve_nn::Pooling::Mean)),
        &["encoder: pooling"],
    );
    says(new(|d| d.encoder = Description::values(0)), &["encoder: input width is 0"]);
    let sound = description(Score::General, CellKind::Lstm);
    let half = engine.with_precision(Precision::Bf16);
    says(Seq2Seq::<f32>::new(&sound, half).map(|_| ()), &["`bf16`", "full precision only"]);

    let problem = Problem::new(sound);
    let mut model = Seq2Seq::<f64>::new(&problem.description, engine).unwrap();
    let batch = Batch::new(SOURCE, BATCH, Input::Values(&problem.x));
    let forward = |model: &mut Seq2Seq<f64>, target: Target<'_>| {
        model.forward(&batch, target, Mode::Infer).map(|_| ())
    };
    says(forward(&mut model, problem.target()), &["no weights yet"]);
    model.load(&problem.weights);
    let target = problem.target();
    says(forward(&mut model, Target { steps: 2, ..target }), &["9 tokens", "expected 6"]);
    says(
        forward(&mut model, Target { lengths: &[1, 9, 1], ..target }),
        &["target: sequence 1 has length 9"],
    );
    says(forward(&mut model, Target { lengths: &[1], ..target }), &["target: 1 lengths"]);
    let strange = [0, 1, 2, 3, 4, 7, 0, 0, 0];
    says(
        forward(&mut model, Target { tokens: &strange, lengths: &[3; 3], ..target }),
        &["token 7 at step 1 of target 2", "the tokens 0 to 4"],
    );
    let text = serde_json::to_string(&problem.description).unwrap();
    let read: Seq2SeqDescription = serde_json::from_str(&text).unwrap();
    assert_eq!(read, problem.description);
}

#[test]
fn torch_decoders() {
    let io = Tensors::read(&golden().join("torch_decoders.safetensors"));
    for (case, score, cell) in [
        ("general", Score::General, CellKind::Lstm),
        ("additive", Score::Additive { width: 3 }, CellKind::Gru),
        ("multi_head", Score::MultiHead { heads: 2 }, CellKind::Lstm),
        ("location", Score::Location { width: 3, filters: 2, reach: 1 }, CellKind::Gru),
    ] {
        let description = description(score, cell);
        let given = |name: &str| io.get(&format!("{case}.{name}")).to_vec();
        let entries = Entries::of_seq2seq(&description).unwrap();
        let problem = Problem {
            weights: entries.iter().flat_map(|entry| given(&entry.name)).collect(),
            x: given("x"),
            source: io.integers("source"),
            tokens: io.integers("tokens").into_iter().map(|token| token as u32).collect(),
            target: io.integers("target"),
            dy: given("loss_wy"),
            description,
        };
        for isa in isas() {
            let mut model = problem.model::<f64>(Engine::new(isa));
            let y = problem.logits(&mut model, Mode::Infer);
            assert_close(&y, &given("y"), 1e-12, &format!("{case} {isa}"));
            let gradients = problem.gradients(&mut model);
            for entry in entries.iter() {
                let got = &gradients[entry.range.clone()];
                let expected = given(&format!("grad.{}", entry.name));
                if expected.iter().all(|d| d.abs() < 1e-14) {
                    // A softmax does not see what is added to all scores.
                    assert!(got.iter().all(|d| d.abs() < 1e-14), "{case} {isa}: {}", entry.name);
                    continue;
                }
                assert_close(got, &expected, 1e-11, &format!("{case} {isa}: {}", entry.name));
            }
        }
    }
}
