//! Vocabularies of words: text to tokens, with one token for all that is unknown.
//!
//! Token 0 is the unknown. The others are the words (or characters) that the training part holds often
//! enough, the most frequent first. Words are runs of letters, digits and apostrophes; every other sign that
//! is no blank is a word of its own. Case does not count for words.

use super::{read_bytes, shown, utf8};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The token of all that is unknown.
pub const UNKNOWN: u32 = 0;

/// What a token of a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// A word or a sign, in small letters.
    #[default]
    Words,
    /// A character.
    Characters,
    /// What stands between blanks, as it is: phones, or text that was cut before.
    Spaced,
}

impl TokenKind {
    /// The tokens of a text as texts.
    pub fn cut(self, text: &str) -> Vec<String> {
        match self {
            Self::Characters => text.chars().map(String::from).collect(),
            Self::Words => words(text),
            Self::Spaced => text.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// What joins tokens to a text again.
    pub fn joint(self) -> &'static str {
        match self {
            Self::Characters => "",
            Self::Words | Self::Spaced => " ",
        }
    }
}

fn words(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '\'' | '’') {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            found.push(c.to_string());
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// Words with a number each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Words {
    known: Vec<String>,
    index: HashMap<String, u32>,
}

impl From<Vec<String>> for Words {
    fn from(known: Vec<String>) -> Self {
        let index = known.iter().cloned().zip(1..).collect();
        Self { known, index }
    }
}

impl From<Words> for Vec<String> {
    fn from(words: Words) -> Self {
        words.known
    }
}

impl Words {
    /// The words that stand at least `min_count` times among `all`, the most frequent first and words of
    /// equal count in their order.
    pub fn count<'a>(all: impl Iterator<Item = &'a str>, min_count: usize) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for word in all {
            *counts.entry(word).or_default() += 1;
        }
        let mut found: Vec<(&str, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= min_count).collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found.into_iter().map(|(word, _)| word.to_owned()).collect::<Vec<_>>().into()
    }

    /// Tokens, the unknown one among them.
    pub fn size(&self) -> usize {
        self.known.len() + 1
    }

    /// The known words; the token of each is its place, counted from 1.
    pub fn known(&self) -> &[String] {
        &self.known
    }

    /// The token of a word.
    pub fn token(&self, word: &str) -> u32 {
        self.index.get(word).copied().unwrap_or(UNKNOWN)
    }
}

/// Vectors of words that were learned elsewhere.
pub(crate) struct Vectors {
    pub(crate) width: usize,
    /// For each known word that the file has, its token and its vector.
    pub(crate) found: Vec<(u32, Vec<f32>)>,
}

/// Reads vectors in the text format of GloVe and word2vec (a word and its numbers on each line, blanks
/// between; word2vec has a first line with two counts), and keeps those of known words. A word that the file
/// has in small letters only is found too.
///
/// # Errors
/// The file cannot be read, a line is no vector or of another width, or it knows none of the words.
pub(crate) fn vectors(path: &Path, words: &Words) -> Result<Vectors> {
    let name = path.display().to_string();
    let bytes = read_bytes(path)?;
    let mut width = 0;
    let mut found: HashMap<u32, Vec<f32>> = HashMap::new();
    let mut lower: HashMap<String, Vec<u32>> = HashMap::new();
    for (word, token) in words.known.iter().zip(1..) {
        lower.entry(word.to_lowercase()).or_default().push(token);
    }
    for (at, line) in utf8(&name, &bytes)?.lines().enumerate() {
        let cells: Vec<&str> = line.trim_end().split(' ').collect();
        if (at == 0 && cells.len() == 2) || line.trim().is_empty() {
            continue;
        }
        if width == 0 {
            width = cells.len() - 1;
        }
        let wrong = |what: String| Error::usage(format!("{name}, line {}: {what}", at + 1));
        if width == 0 || cells.len() <= width {
            return Err(wrong(format!(
                "expected a word and {width} numbers, found {} cells",
                cells.len()
            )));
        }
        // A few words of GloVe hold blanks.
        let (word, numbers) = cells.split_at(cells.len() - width);
        let word = word.join(" ");
        let token = words.token(&word);
        let same: &[u32] = lower.get(&word).map_or(&[], Vec::as_slice);
        if token == UNKNOWN && same.is_empty() {
            continue;
        }
        let vector: Result<Vec<f32>> = numbers
            .iter()
            .map(|cell| {
                let number = cell.parse().ok().filter(|number: &f32| number.is_finite());
                number.ok_or_else(|| wrong(format!("`{}` is not a number", shown(cell))))
            })
            .collect();
        let vector = vector?;
        for token in same {
            found.entry(*token).or_insert_with(|| vector.clone());
        }
        if token != UNKNOWN {
            found.insert(token, vector);
        }
    }
    if found.is_empty() {
        return Err(Error::usage(format!(
            "{name}: none of the {} words of the training part has a vector there",
            words.known.len()
        )));
    }
    let mut found: Vec<(u32, Vec<f32>)> = found.into_iter().collect();
    found.sort_unstable_by_key(|(token, _)| *token);
    Ok(Vectors { width, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_counted() {
        let cut = TokenKind::Words.cut("It's GOOD, very good!");
        assert_eq!(cut, ["it's", "good", ",", "very", "good", "!"]);
        assert_eq!(TokenKind::Characters.cut("aß "), ["a", "ß", " "]);
        let words = Words::count(cut.iter().map(String::as_str), 1);
        assert_eq!((words.token("good"), words.size()), (1, 6));
        assert_eq!((words.token("bad"), words.token("!")), (UNKNOWN, 2));
        assert_eq!(Words::count(cut.iter().map(String::as_str), 2).known(), ["good"]);
        let text = serde_json::to_string(&words).unwrap();
        assert_eq!(serde_json::from_str::<Words>(&text).unwrap(), words);
    }

    #[test]
    fn vectors_of_known_words_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.txt");
        let words: Words = vec!["cat".to_owned(), "The".to_owned(), "dog".to_owned()].into();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            vectors(&path, &words)
        };
        let found = read("4 2\nthe 1 2\nbird 5 6\ncat 3 -4e-1\n").unwrap();
        assert_eq!(found.width, 2);
        assert_eq!(found.found, [(1, vec![3.0, -0.4]), (2, vec![1.0, 2.0])]);
        for (text, expected) in [
            ("cat 1 2\ndog 1\n", "line 2: expected a word and 2 numbers"),
            ("cat 1 x\n", "line 1: `x` is not a number"),
            ("bird 1 2\n", "none of the 3 words"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains("v.txt") && error.contains(expected), "{error}");
        }
    }
}
