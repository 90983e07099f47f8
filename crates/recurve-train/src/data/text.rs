//! A text file as tokens, split into what trains and what validates.
//!
//! The vocabulary is built from the whole file, so that the validation part has no unknown
//! character; words and pieces of words are those of the training part. The model learns from the training part
//! only, the first tokens as they stand. The validation part follows it and chooses the epoch; the test part, where
//! there is one, is the last fraction.

use super::pieces::Pieces;
use super::vocabulary::{Vocabulary, VocabularyKind};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Options of the path from text to tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextOptions {
    /// What a token stands for. Guessed: characters, or bytes where the file is no UTF-8.
    pub vocabulary: Option<VocabularyKind>,
    /// Tokens of a vocabulary of words or subwords, the 256 bytes among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<usize>,
    /// The fraction of the text that validates, the last but for the test part; from 0 to below 1.
    pub validation: f64,
    /// The last fraction of the text, which is looked at once; 0 for none.
    #[serde(skip_serializing_if = "is_none")]
    pub test: f64,
    /// The share of the tokens that is hidden, where blanks are learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<f64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(fraction: &f64) -> bool {
    *fraction == 0.0
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { vocabulary: None, pieces: None, validation: 0.1, test: 0.0, mask: None }
    }
}

/// Tokens of words or subwords where nothing is said.
const PIECES: usize = 2000;

/// A text as tokens.
#[derive(Clone, Debug)]
pub struct Text {
    vocabulary: Vocabulary,
    tokens: Vec<u32>,
    trained: usize,
    validated: usize,
}

impl Text {
    /// Reads a file and builds its vocabulary.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is empty, characters are asked for and it is no UTF-8, the
    /// fraction is out of range, or a part has fewer than two tokens.
    pub fn read(path: &Path, options: &TextOptions) -> Result<Self> {
        let name = path.display().to_string();
        Self::new(&name, &super::read_bytes(path)?, options)
    }

    /// As [`read`](Self::read), from bytes; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn new(name: &str, bytes: &[u8], options: &TextOptions) -> Result<Self> {
        let characters = |text: &str| -> Result<(Vocabulary, Vec<u32>)> {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let vocabulary = Vocabulary::of_characters(text);
            let tokens = vocabulary.encode(name, text)?;
            Ok((vocabulary, tokens))
        };
        let pieces =
            matches!(options.vocabulary, Some(VocabularyKind::Words | VocabularyKind::Subwords));
        if options.pieces.is_some() && !pieces {
            return Err(Error::usage(
                "data.pieces is set, but data.vocabulary is neither words nor subwords; leave it out",
            ));
        }
        let (vocabulary, tokens) = match (options.vocabulary, std::str::from_utf8(bytes)) {
            (None | Some(VocabularyKind::Characters), Ok(text)) => characters(text)?,
            (Some(kind @ (VocabularyKind::Words | VocabularyKind::Subwords)), Ok(text)) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                let count = options.pieces.unwrap_or(PIECES);
                let mut end =
                    (text.len() as f64 * (1.0 - options.validation - options.test)) as usize;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                let vocabulary = if kind == VocabularyKind::Words {
                    Vocabulary::Words(Pieces::of_words(&text[..end], count)?)
                } else {
                    Vocabulary::Subwords(Pieces::of_subwords(&text[..end], count)?)
                };
                let tokens = vocabulary.encode(name, text)?;
                (vocabulary, tokens)
            }
            (Some(kind), Err(_)) if kind != VocabularyKind::Bytes => {
                let error = super::utf8(name, bytes).err();
                let error = error.unwrap_or_else(|| Error::usage(name.to_owned()));
                return Err(error.context(format!("the vocabulary is to be {}s", kind.unit())));
            }
            (None, Err(_)) if super::parquet::is_parquet(bytes) => {
                return Err(super::utf8(name, bytes).err().unwrap_or_else(|| Error::usage(name)));
            }
            (None | Some(_), _) => {
                (Vocabulary::Bytes, bytes.iter().map(|&byte| u32::from(byte)).collect())
            }
        };
        Self::split(name, vocabulary, tokens, (options.validation, options.test))
    }

    /// Reads a file with the vocabulary of a trained model; `parts` are the fractions that validate and test.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), or the file holds a character the model does not know.
    pub fn read_with(path: &Path, vocabulary: &Vocabulary, parts: (f64, f64)) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = super::read_bytes(path)?;
        let tokens = match vocabulary {
            Vocabulary::Bytes => bytes.iter().map(|&byte| u32::from(byte)).collect(),
            _ => {
                let text = super::utf8(&name, &bytes)?;
                vocabulary.encode(&name, text.strip_prefix('\u{feff}').unwrap_or(text))?
            }
        };
        Self::split(&name, vocabulary.clone(), tokens, parts)
    }

    fn split(
        name: &str,
        vocabulary: Vocabulary,
        tokens: Vec<u32>,
        (validation, test): (f64, f64),
    ) -> Result<Self> {
        for (name, part) in [("validation", validation), ("test", test)] {
            if !(0.0..1.0).contains(&part) {
                return Err(Error::usage(format!(
                    "`{name}` is {part}, expected a fraction from 0 to below 1"
                )));
            }
        }
        let share = |part: f64| (tokens.len() as f64 * (1.0 - part)) as usize;
        let (validated, trained) = (share(test), share((validation + test).min(1.0)));
        let sizes = [trained, validated - trained, tokens.len() - validated];
        if trained < 2
            || sizes[1..].iter().zip([validation, test]).any(|(n, part)| part > 0.0 && *n < 2)
        {
            return Err(Error::usage(format!(
                "{name}: {} tokens are too few, they split into {} to train, {} to validate and {} to \
                 test, expected at least 2 of each; give more text or set `validation` and `test` to 0",
                tokens.len(),
                sizes[0],
                sizes[1],
                sizes[2]
            )));
        }
        Ok(Self { vocabulary, tokens, trained, validated })
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// All tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The tokens to learn from.
    pub fn train(&self) -> &[u32] {
        &self.tokens[..self.trained]
    }

    /// The tokens to validate on; empty where the fraction is 0.
    pub fn validation(&self) -> &[u32] {
        &self.tokens[self.trained..self.validated]
    }

    /// The tokens to test on; empty where the fraction is 0.
    pub fn test(&self) -> &[u32] {
        &self.tokens[self.validated..]
    }

    /// What was read, in one line for a person.
    pub fn describe(&self) -> String {
        let kind = self.vocabulary.unit();
        let mut told = format!(
            "{} {kind}s, {} distinct tokens known; the first {} train, {} {} validate",
            self.tokens.len(),
            self.vocabulary.size(),
            self.trained,
            if self.test().is_empty() { "the last" } else { "the next" },
            self.validation().len()
        );
        if !self.test().is_empty() {
            told += &format!(", the last {} test", self.test().len());
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], vocabulary: Option<VocabularyKind>, validation: f64) -> Result<Text> {
        Text::new("t.txt", bytes, &TextOptions { vocabulary, validation, ..TextOptions::default() })
    }

    #[test]
    fn characters_where_it_is_utf8_else_bytes() {
        let text = read("\u{feff}äbäbäbäbäb".as_bytes(), None, 0.2).unwrap();
        assert_eq!(text.vocabulary().size(), 2);
        assert_eq!((text.train().len(), text.validation().len()), (8, 2));
        assert_eq!(text.vocabulary().decode(text.tokens()), "äbäbäbäbäb");
        assert_eq!(read(b"ab\xffab", None, 0.0).unwrap().vocabulary(), &Vocabulary::Bytes);
        let error = read(b"ab\n\xffab", Some(VocabularyKind::Characters), 0.0).unwrap_err();
        assert!(error.to_string().contains("t.txt, line 2: the file is not UTF-8 (byte 0xff)"));
    }

    #[test]
    fn three_parts_stand_one_after_the_other() {
        let options = TextOptions { validation: 0.2, test: 0.3, ..TextOptions::default() };
        let text = Text::new("t.txt", b"abcdefghij", &options).unwrap();
        let shown = |tokens: &[u32]| text.vocabulary().decode(tokens);
        let parts = [text.train(), text.validation(), text.test()].map(shown);
        assert_eq!(parts, ["abcde", "fg", "hij"]);
        assert!(text.describe().ends_with("the next 2 validate, the last 3 test"));
        let more = TextOptions { test: 0.9, ..options };
        assert!(Text::new("t.txt", b"abcdefghij", &more).is_err());
    }

    #[test]
    fn parts_that_are_too_small_or_impossible_are_refused() {
        assert!(read(b"a", None, 0.0).is_err());
        assert!(
            read(b"abcdefgh", None, 0.1).unwrap_err().to_string().contains("8 tokens are too few")
        );
        for fraction in [1.0, -0.1, f64::NAN] {
            assert!(read(b"abcdefgh", None, fraction).is_err());
        }
    }

    #[test]
    fn a_trained_vocabulary_reads_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        std::fs::write(&path, "baab").unwrap();
        let known = Vocabulary::of_characters("ab");
        assert_eq!(Text::read_with(&path, &known, (0.0, 0.0)).unwrap().tokens(), [1, 0, 0, 1]);
        std::fs::write(&path, "baxb").unwrap();
        let error = Text::read_with(&path, &known, (0.0, 0.0)).unwrap_err().to_string();
        assert!(error.contains("new.txt: character 3 (line 1, column 3) is `x`"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_text_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..100), fraction in -0.1_f64..1.1,
        ) {
            if let Ok(text) = read(&bytes, None, fraction) {
                let back = text.vocabulary().decode_bytes(text.tokens());
                prop_assert!(bytes.ends_with(&back));
                prop_assert_eq!(text.train().len() + text.validation().len(), text.tokens().len());
            }
        }
    }
}
