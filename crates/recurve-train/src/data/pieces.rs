//! Tokens that are pieces of text: frequent words, or pieces that byte pair encoding finds.
//!
//! Tokens 0 to 255 are the bytes, so every text can be written; the others are pieces of several bytes. A text is
//! first cut into words with the blank before them, runs of signs and runs of other blanks; then each is written
//! with the longest pieces that fit, from its beginning. Joined, pieces are the text again, to the byte.
//!
//! *Words* are the most frequent whole ones. *Subwords* are found by joining the most frequent pair of neighbours
//! again and again (Sennrich, Haddow & Birch 2016), never across words; equal counts are decided by the order of
//! the bytes, so the same text always gives the same pieces.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Tokens that are single bytes.
const BYTES: usize = 256;

/// Pieces with their tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Pieces {
    /// Of tokens 256 and on.
    known: Vec<String>,
    index: HashMap<Vec<u8>, u32>,
    longest: usize,
}

impl TryFrom<Vec<String>> for Pieces {
    type Error = &'static str;

    fn try_from(known: Vec<String>) -> std::result::Result<Self, &'static str> {
        let tokens = known.iter().map(|piece| piece.as_bytes().to_vec()).zip(BYTES as u32..);
        let index: HashMap<Vec<u8>, u32> = tokens.collect();
        if index.len() < known.len() || index.keys().any(|piece| piece.len() < 2) {
            return Err("the pieces of the vocabulary are not distinct, or not of several bytes");
        }
        let longest = index.keys().map(Vec::len).max().unwrap_or(1);
        Ok(Self { known, index, longest })
    }
}

impl From<Pieces> for Vec<String> {
    fn from(pieces: Pieces) -> Self {
        pieces.known
    }
}

/// Words with the blank before them, runs of signs, and runs of other blanks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '\'' | '’') => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut letters = rest.chars();
        let first = letters.next()?;
        // A blank goes with the word after it, and alone where another blank follows.
        let led = first == ' ' && letters.next().is_some_and(|c| kind(c) != 1);
        let start = usize::from(led);
        let own = kind(rest[start..].chars().next().unwrap_or(first));
        let same = rest[start..].char_indices().find(|(_, c)| kind(*c) != own);
        let mut end = same.map_or(rest.len(), |(at, _)| start + at);
        // The last blank of several belongs to what follows.
        if own == 1 && end < rest.len() && rest[..end].ends_with(' ') && end > 1 {
            end -= 1;
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

impl Pieces {
    /// The most frequent words of a text, `count` tokens with the bytes.
    pub fn of_words(text: &str, count: usize) -> Result<Self> {
        let room = room(count)?;
        let mut counts: HashMap<&str, usize> = HashMap::new();
        words(text).for_each(|word| *counts.entry(word).or_default() += 1);
        let mut found: Vec<(&str, usize)> =
            counts.into_iter().filter(|(word, count)| word.len() > 1 && *count > 1).collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let known = found.into_iter().take(room).map(|(word, _)| word.to_owned());
        Self::try_from(known.collect::<Vec<_>>()).map_err(Error::failed)
    }

    /// The pieces that byte pair encoding finds in a text, `count` tokens with the bytes.
    pub fn of_subwords(text: &str, count: usize) -> Result<Self> {
        let room = room(count)?;
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        words(text).for_each(|word| *counts.entry(word).or_default() += 1);
        // Letters of several bytes are whole from the beginning, so that pieces are texts.
        let mut names: Vec<String> = vec![];
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut number = |name: String| {
            *numbers.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                names.len() as u32 - 1
            })
        };
        let mut cut: Vec<(Vec<u32>, i64)> = counts
            .iter()
            .map(|(word, count)| (word.chars().map(|c| number(c.to_string())).collect(), *count))
            .collect();
        let mut known: Vec<String> = vec![];
        let mut pairs: HashMap<(u32, u32), i64> = HashMap::new();
        let add = |pairs: &mut HashMap<(u32, u32), i64>, word: &[u32], count: i64| {
            word.windows(2).for_each(|pair| *pairs.entry((pair[0], pair[1])).or_default() += count);
        };
        cut.iter().for_each(|(word, count)| add(&mut pairs, word, *count));
        while known.len() < room {
            let name = |pair: (u32, u32)| (&names[pair.0 as usize], &names[pair.1 as usize]);
            let best = pairs
                .iter()
                .filter(|(_, count)| **count > 1)
                .max_by(|a, b| a.1.cmp(b.1).then_with(|| name(*b.0).cmp(&name(*a.0))));
            let Some((&(left, right), _)) = best else { break };
            let joined = format!("{}{}", names[left as usize], names[right as usize]);
            let at = names.iter().position(|name| *name == joined);
            let token = at.map_or(names.len() as u32, |at| at as u32);
            if at.is_none() {
                names.push(joined.clone());
                known.push(joined);
            }
            for (word, count) in &mut cut {
                if !word.windows(2).any(|pair| pair == [left, right]) {
                    continue;
                }
                add(&mut pairs, word, -*count);
                let mut to = Vec::with_capacity(word.len());
                let mut place = 0;
                while place < word.len() {
                    let pair = word[place] == left && word.get(place + 1) == Some(&right);
                    to.push(if pair { token } else { word[place] });
                    place += 1 + usize::from(pair);
                }
                *word = to;
                add(&mut pairs, word, *count);
            }
            pairs.retain(|_, count| *count > 0);
        }
        Self::try_from(known).map_err(Error::failed)
    }

    /// Tokens, the bytes among them.
    pub fn size(&self) -> usize {
        BYTES + self.known.len()
    }

    /// The tokens of a text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = vec![];
        for word in words(text) {
            let mut rest = word.as_bytes();
            while !rest.is_empty() {
                let longest = rest.len().min(self.longest);
                let found = (2..=longest)
                    .rev()
                    .find_map(|length| Some((length, *self.index.get(&rest[..length])?)));
                let (length, token) = found.unwrap_or((1, u32::from(rest[0])));
                tokens.push(token);
                rest = &rest[length..];
            }
        }
        tokens
    }

    /// The bytes of a token.
    pub fn bytes(&self, token: u32) -> &[u8] {
        const ALL: [u8; BYTES] = {
            let mut all = [0; BYTES];
            let mut at = 0;
            while at < BYTES {
                all[at] = at as u8;
                at += 1;
            }
            all
        };
        match (token as usize).checked_sub(BYTES) {
            None => &ALL[token as usize..][..1],
            Some(at) => self.known[at].as_bytes(),
        }
    }
}

/// Pieces beside the bytes.
fn room(count: usize) -> Result<usize> {
    count.checked_sub(BYTES).filter(|room| *room > 0 && count <= 1 << 20).ok_or_else(|| {
        Error::usage(format!(
            "data.pieces is {count}; the 256 bytes are among them, so give more, at most {}",
            1 << 20
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_take_the_blank_before_them() {
        let cut: Vec<&str> = words("It's  a cat,\n the cat!").collect();
        assert_eq!(cut, ["It's", " ", " a", " cat", ",", "\n", " the", " cat", "!"]);
        let known = Pieces::of_words("a cat, the cat, a dog, the cat", 259).unwrap();
        assert_eq!(Vec::from(known.clone()), [" cat", " the"]);
        let tokens = known.encode("the cat");
        assert_eq!(tokens, [116, 104, 101, 256]);
    }

    #[test]
    fn the_most_frequent_pairs_are_joined_first() {
        // l-o 4 times, then lo-w 3 times, then the blank before: " low" twice.
        let pieces = Pieces::of_subwords("low low low lot", 260).unwrap();
        assert_eq!(Vec::from(pieces.clone()), ["lo", " lo", " low"]);
        assert_eq!(pieces.encode("low lots"), [256, 119, 257, 116, 115]);
        for count in [0, 256, 1 << 21] {
            assert!(Pieces::of_subwords("low", count).unwrap_err().is_usage());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[aé b\n,.]{0,40}", other in "\\PC{0,30}", count in 257..300_usize) {
            for pieces in [Pieces::of_words(&text, count), Pieces::of_subwords(&text, count)] {
                let pieces = pieces.unwrap();
                prop_assert!(pieces.size() <= count);
                for text in [&text, &other] {
                    let tokens = pieces.encode(text);
                    prop_assert!(tokens.iter().all(|token| (*token as usize) < pieces.size()));
                    let bytes: Vec<u8> =
                        tokens.iter().flat_map(|token| pieces.bytes(*token).to_vec()).collect();
                    prop_assert_eq!(&bytes[..], text.as_bytes());
                }
                let stored = serde_json::to_string(&pieces).unwrap();
                prop_assert_eq!(serde_json::from_str::<Pieces>(&stored).unwrap(), pieces);
            }
        }
    }
}
