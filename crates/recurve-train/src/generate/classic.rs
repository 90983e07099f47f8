//! Grammars and noise: the other long-lag tasks of the first papers on the LSTM.

use super::{pick, sample_rng};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// A batch of strings whose next symbol is asked at every step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringBatch {
    /// Steps `T` of the longest string, less its last symbol.
    pub steps: usize,
    /// Symbols `[T,B]`; the steps beyond a string's length hold 0 and mean nothing.
    pub x: Vec<u32>,
    /// Steps of each string `[B]`.
    pub lengths: Vec<usize>,
    /// The symbol that follows `[T,B]`, where there is a step.
    pub y: Vec<u32>,
    /// The symbols that could have followed, a bit for each `[T,B]`.
    pub legal: Vec<u32>,
}

/// Strings side by side: each of them its symbols, and what may follow all but the last.
fn side_by_side(strings: &[(Vec<u32>, Vec<u32>)]) -> StringBatch {
    let lengths: Vec<usize> = strings.iter().map(|(_, legal)| legal.len()).collect();
    let (steps, batch) = (lengths.iter().copied().max().unwrap_or(0), strings.len());
    let mut made = StringBatch {
        steps,
        x: vec![0; steps * batch],
        y: vec![0; steps * batch],
        legal: vec![0; steps * batch],
        lengths,
    };
    for (lane, (symbols, legal)) in strings.iter().enumerate() {
        for (step, legal) in legal.iter().enumerate() {
            let at = step * batch + lane;
            made.x[at] = symbols[step];
            made.y[at] = symbols[step + 1];
            made.legal[at] = *legal;
        }
    }
    made
}

/// The embedded Reber grammar: the last symbol but one is the second, however long the string between them.
///
/// Symbols are `B T P S X V E`, tokens 0 to 6. A string is `B`, then `T` or `P`, a string of the plain Reber
/// grammar, the same `T` or `P` again, and `E`.
///
/// Hochreiter, Schmidhuber (1997), experiment 1, after Reber (1967) and Smith, Zipser (1989).
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedReber {
    /// The seed.
    pub seed: u64,
}

/// The plain grammar: from each state two symbols, each with the state that it leads to; the last state ends.
const REBER: [[(u32, usize); 2]; 5] = {
    const T: u32 = 1;
    const P: u32 = 2;
    const S: u32 = 3;
    const X: u32 = 4;
    const V: u32 = 5;
    [[(T, 1), (P, 2)], [(S, 1), (X, 3)], [(T, 2), (V, 4)], [(X, 2), (S, 5)], [(P, 3), (V, 5)]]
};

impl EmbeddedReber {
    /// The symbols.
    pub const SYMBOLS: usize = 7;
    const B: u32 = 0;
    const E: u32 = 6;

    /// The samples `first..first + batch`.
    pub fn batch(&self, first: u64, batch: usize) -> StringBatch {
        let strings: Vec<_> = (0..batch as u64)
            .map(|lane| Self::string(&mut sample_rng(7, self.seed, first.wrapping_add(lane))))
            .collect();
        side_by_side(&strings)
    }

    fn string(rng: &mut ChaCha8Rng) -> (Vec<u32>, Vec<u32>) {
        let outer = 1 + rng.random_range(0..2_u32);
        let (mut symbols, mut legal) = (vec![Self::B], vec![]);
        let mut put = |symbol: u32, could: u32| {
            symbols.push(symbol);
            legal.push(could);
        };
        put(outer, 1 << 1 | 1 << 2);
        put(Self::B, 1 << Self::B);
        let mut state = 0;
        while let Some(ways) = REBER.get(state) {
            let (symbol, next) = ways[rng.random_range(0..2_usize)];
            put(symbol, 1 << ways[0].0 | 1 << ways[1].0);
            state = next;
        }
        put(Self::E, 1 << Self::E);
        put(outer, 1 << outer);
        put(Self::E, 1 << Self::E);
        (symbols, legal)
    }
}

/// As many `b` as `a`: strings `S aⁿ bⁿ T`, with `n` from 1 to `most`.
///
/// Symbols are `S a b T`, tokens 0 to 3. After the first `b` every symbol is certain, if the `a` were counted.
///
/// Gers, Schmidhuber (2001), LSTM recurrent networks learn simple context-free and context-sensitive languages.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// The greatest `n`.
    pub most: usize,
    /// The seed.
    pub seed: u64,
}

impl Counting {
    /// The symbols.
    pub const SYMBOLS: usize = 4;

    /// The samples `first..first + batch`.
    ///
    /// # Panics
    /// `most` is 0.
    pub fn batch(&self, first: u64, batch: usize) -> StringBatch {
        assert!(self.most > 0, "strings of one `a` at least");
        let string = |lane: u64| {
            let mut rng = sample_rng(8, self.seed, first.wrapping_add(lane));
            let n = pick(&mut rng, 1..self.most + 1);
            let symbols = [&[0][..], &vec![1; n], &vec![2; n], &[3]].concat();
            let either = if n < self.most { 1 << 1 | 1 << 2 } else { 1 << 2 };
            let mut legal = vec![1 << 1];
            legal.extend(vec![1 << 1 | 1 << 2; n - 1]);
            legal.push(either);
            legal.extend(vec![1 << 2; n - 1]);
            legal.push(1 << 3);
            (symbols, legal)
        };
        side_by_side(&(0..batch as u64).map(string).collect::<Vec<_>>())
    }
}

/// Two kinds of sequence that differ in their first steps only; the rest is noise.
///
/// A sequence has from `T` to `1.1 T` steps of normal noise with variance 0.2. Its first `told` steps are 1 in a
/// sequence of class 1 and -1 in one of class 0; where `noisy`, noise is added to them.
///
/// Hochreiter, Schmidhuber (1997), experiment 3, after Bengio, Simard, Frasconi (1994).
#[derive(Clone, Copy, Debug)]
pub struct TwoSequences {
    /// The shortest sequence, `T`.
    pub steps: usize,
    /// The first steps, which tell the class; at least 1.
    pub told: usize,
    /// Whether they are noisy too.
    pub noisy: bool,
    /// The seed.
    pub seed: u64,
}

/// A batch of the two-sequence problem.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoSequencesBatch {
    /// Steps `T` of the longest.
    pub steps: usize,
    /// Numbers `[T,B]`; 0 beyond the length of a sequence.
    pub x: Vec<f32>,
    /// Steps of each `[B]`.
    pub lengths: Vec<usize>,
    /// Classes `[B]`.
    pub y: Vec<u32>,
}

impl TwoSequences {
    /// The samples `first..first + batch`.
    ///
    /// # Panics
    /// There are fewer steps than those that tell, or none that do.
    pub fn batch(&self, first: u64, batch: usize) -> TwoSequencesBatch {
        assert!((1..=self.steps).contains(&self.told), "some of the steps tell the class");
        let noise = Normal::new(0.0, 0.2_f64.sqrt()).expect("a normal distribution");
        let longest = self.steps + self.steps / 10;
        let mut made = TwoSequencesBatch {
            steps: longest,
            x: vec![0.0; longest * batch],
            lengths: vec![],
            y: vec![],
        };
        for lane in 0..batch {
            let mut rng = sample_rng(9, self.seed, first.wrapping_add(lane as u64));
            let class = rng.random_range(0..2_u32);
            let length = pick(&mut rng, self.steps..longest + 1);
            for step in 0..length {
                let told = if class == 1 { 1.0 } else { -1.0 };
                let drawn = noise.sample(&mut rng);
                made.x[step * batch + lane] = match (step < self.told, self.noisy) {
                    (true, false) => told,
                    (true, true) => told + drawn,
                    (false, _) => drawn,
                } as f32;
            }
            made.lengths.push(length);
            made.y.push(class);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(made: &StringBatch) -> Vec<(Vec<u32>, Vec<u32>)> {
        let batch = made.lengths.len();
        let lane = |lane: usize| {
            let of = |values: &[u32]| {
                (0..made.lengths[lane]).map(|step| values[step * batch + lane]).collect::<Vec<_>>()
            };
            (of(&made.x).into_iter().chain(of(&made.y).last().copied()).collect(), of(&made.legal))
        };
        (0..batch).map(lane).collect()
    }

    #[test]
    fn a_string_of_reber_ends_as_it_began_and_what_follows_is_legal() {
        let made = EmbeddedReber { seed: 1 }.batch(3, 200);
        let mut shown = std::collections::BTreeSet::new();
        for (symbols, legal) in strings(&made) {
            let end = symbols.len();
            assert_eq!((symbols[0], symbols[2], symbols[end - 1]), (0, 0, 6));
            assert_eq!(symbols[1], symbols[end - 2]);
            assert_eq!(legal[end - 3], 1 << symbols[1]);
            for (next, legal) in symbols[1..].iter().zip(&legal) {
                assert!(legal >> next & 1 == 1 && legal.count_ones() <= 2);
            }
            let names: String = symbols
                .iter()
                .map(|symbol| "BTPSXVE".as_bytes()[*symbol as usize] as char)
                .collect();
            shown.insert(names);
        }
        // The shortest strings of the grammar are 9 symbols long.
        assert!(shown.contains("BTBTXSETE") && shown.contains("BPBPVVEPE"), "{shown:?}");
        assert!(shown.iter().all(|string| string.len() >= 9));
        assert_eq!(
            EmbeddedReber { seed: 1 }.batch(3, 5).x,
            EmbeddedReber { seed: 1 }.batch(3, 5).x
        );
    }

    #[test]
    fn there_are_as_many_b_as_a() {
        let made = Counting { most: 4, seed: 1 }.batch(0, 100);
        let mut met = std::collections::BTreeSet::new();
        for (symbols, legal) in strings(&made) {
            let count = |symbol: u32| symbols.iter().filter(|own| **own == symbol).count();
            assert_eq!((count(0), count(1), count(3)), (1, count(2), 1));
            assert_eq!(
                legal.iter().filter(|legal| **legal == 6).count(),
                count(1) - usize::from(count(1) == 4)
            );
            assert!(symbols[1..].iter().zip(&legal).all(|(next, legal)| legal >> next & 1 == 1));
            met.insert(count(1));
        }
        assert_eq!(met.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn only_the_first_steps_tell_the_class() {
        let task = TwoSequences { steps: 50, told: 3, noisy: false, seed: 1 };
        let made = task.batch(0, 40);
        for lane in 0..40 {
            let told = if made.y[lane] == 1 { 1.0 } else { -1.0 };
            assert!((0..3).all(|step| made.x[step * 40 + lane] == told));
            assert!((50..=55).contains(&made.lengths[lane]));
            assert_ne!(made.x[3 * 40 + lane], told);
        }
        let noisy = TwoSequences { noisy: true, ..task }.batch(0, 40);
        assert!((0..40).all(|lane| noisy.x[lane].abs() != 1.0));
        assert_eq!(noisy.y, made.y);
    }
}
