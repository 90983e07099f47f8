//! Words with their letters, and transitions: gradients against differences, and what may not matter.

use crate::support::Random;
use recurve_nn::{
    Batch, CellKind, Description, Engine, Entries, Input, Mode, Network, Noise, Recurrent, Session,
    Words,
};

const VOCABULARY: usize = 5;
const LETTERS: usize = 4;

/// Words of two sentences, of three and two words.
struct Sentences {
    tokens: Vec<u32>,
    forms: Vec<u32>,
    letters: Vec<u32>,
    lengths: Vec<usize>,
}

impl Sentences {
    fn new() -> Self {
        // `[T, B]`; the last place of the second sentence is not read.
        let tokens = vec![1, 3, 0, 1, 4, 0];
        let forms = vec![0, 1, 2, 0, 1, 0];
        // Forms of 2, 3 and 1 letters, `[3, F]`.
        let letters = vec![1, 0, 3, 2, 2, 0, 0, 1, 0];
        Self { tokens, forms, letters, lengths: vec![2, 3, 1] }
    }

    fn batch(&self) -> Batch<'_, f64> {
        let (letters, lengths) = (&self.letters[..], &self.lengths[..]);
        let words = Words { tokens: &self.tokens, forms: &self.forms, letters, lengths };
        Batch::new(3, 2, Input::Words(words)).lengths(&[3, 2])
    }
}

fn description(letter_hidden: usize) -> Description {
    Description::words(VOCABULARY, LETTERS)
        .word_vectors(3, 2, letter_hidden)
        .recurrent(Recurrent::new(CellKind::Lstm, 3).bidirectional())
        .linear(2)
        .transitions()
}

fn weights(description: &Description) -> Vec<f64> {
    Random(11).values(Entries::of(description).unwrap().len(), 0.7)
}

fn forward(description: &Description, weights: &[f64], sentences: &Sentences) -> Vec<f64> {
    let mut network = Network::new(description, Engine::detect().unwrap()).unwrap();
    network.load(weights, false);
    network.forward(&sentences.batch(), None, Mode::Infer).unwrap().to_vec()
}

#[test]
fn gradients_are_those_of_differences() {
    for letter_hidden in [2, 0] {
        let description = description(letter_hidden);
        let mut weights = weights(&description);
        let sentences = Sentences::new();
        let mut network = Network::new(&description, Engine::detect().unwrap()).unwrap();
        network.load(&weights, true);
        let noise = Noise { seed: 1, step: 0 };
        let y = network.forward(&sentences.batch(), None, Mode::Train(noise)).unwrap();
        let dy = Random(5).values(y.len(), 1.0);
        let mut gradients = vec![f64::NAN; weights.len()];
        network.backward(&dy, &mut gradients, None).unwrap();
        let (values, range) = network.transitions().unwrap();
        assert_eq!((values.len(), &weights[range.clone()]), (4 * 2, values));
        assert!(gradients[range].iter().all(|g| *g == 0.0));
        for at in 0..weights.len() {
            let (kept, distance) = (weights[at], 1e-5);
            let mut loss = |w: f64| {
                weights[at] = w;
                let y = forward(&description, &weights, &sentences);
                y.iter().zip(&dy).map(|(y, d)| y * d).sum::<f64>()
            };
            let found = (loss(kept + distance) - loss(kept - distance)) / (2.0 * distance);
            weights[at] = kept;
            let scale = found.abs().max(gradients[at].abs()).max(1e-2);
            assert!(
                (found - gradients[at]).abs() <= 1e-7 * scale,
                "{at}: {found} {}",
                gradients[at]
            );
        }
    }
}

#[test]
fn forms_may_be_shared_or_not_and_stand_in_any_order() {
    let description = description(2);
    let (weights, shared) = (weights(&description), Sentences::new());
    let mut apart = Sentences::new();
    // Each place has a form of its own, with padding that is not read.
    apart.forms = vec![5, 4, 3, 2, 1, 0];
    apart.lengths = vec![1; 6];
    apart.letters = vec![3; 4 * 6];
    for (place, form) in apart.forms.iter().enumerate() {
        let from = shared.forms[place] as usize;
        apart.lengths[*form as usize] = shared.lengths[from];
        for letter in 0..shared.lengths[from] {
            apart.letters[letter * 6 + *form as usize] = shared.letters[letter * 3 + from];
        }
    }
    let (a, b) =
        (forward(&description, &weights, &shared), forward(&description, &weights, &apart));
    assert_eq!(a, b);
}

#[test]
fn what_does_not_fit_is_refused() {
    let description = description(2);
    let mut network = Network::<f64>::new(&description, Engine::detect().unwrap()).unwrap();
    network.load(&weights(&description), false);
    let mut refused = |change: &dyn Fn(&mut Sentences)| {
        let mut sentences = Sentences::new();
        change(&mut sentences);
        network.forward(&sentences.batch(), None, Mode::Infer).unwrap_err().to_string()
    };
    assert!(refused(&|s| s.tokens[0] = 5).contains("below 5"));
    assert!(refused(&|s| s.forms[0] = 3).contains("forms below 3"));
    assert!(refused(&|s| s.letters[0] = 4).contains("letters below 4"));
    assert!(refused(&|s| s.lengths[0] = 0).contains("1 to 3 letters"));
    assert!(refused(&|s| s.lengths[0] = 4).contains("1 to 3 letters"));
    assert!(refused(&|s| s.letters.truncate(8)).contains("letters"));
    assert!(refused(&|s| s.forms.truncate(5)).contains("5 forms"));
    let tokens = Batch::<f64>::new(1, 1, Input::Tokens(&[0]));
    assert!(network.forward(&tokens, None, Mode::Infer).unwrap_err().to_string().contains("words"));
    let model = recurve_nn::Model::<f64>::new(description).unwrap();
    let error = Session::new(&model, Engine::detect().unwrap(), 1).err().unwrap().to_string();
    assert!(error.contains("step by step"), "{error}");
    for wrong in [
        Description::words(5, 4).linear(2),
        Description::words(5, 4).embedding(3),
        Description::values(5).word_vectors(3, 2, 2),
        Description::values(5).transitions().linear(2),
    ] {
        assert!(wrong.widths().is_err(), "{wrong:?}");
    }
}
