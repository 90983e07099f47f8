//! Vocabularies: text to tokens and back, one token per character, byte, word or piece of a word.
//!
//! A character vocabulary holds the characters of the training text in the order of their code
//! points, so the same text always gives the same tokens. It refuses a character it has not seen:
//! a model has learned nothing about it. A byte vocabulary has all 256 bytes, knows everything, and
//! is the choice for files that are no UTF-8. Words and subwords are [`Pieces`], which know everything too.

use super::pieces::Pieces;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What one token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VocabularyKind {
    /// One Unicode character of the training text.
    Characters,
    /// One byte.
    Bytes,
    /// A frequent word with the blank before it; others are spelled in bytes.
    Words,
    /// A piece that byte pair encoding found.
    Subwords,
}

impl VocabularyKind {
    /// What people call a token: `character`, `byte`, `word` or `subword`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Characters => "character",
            Self::Bytes => "byte",
            Self::Words => "word",
            Self::Subwords => "subword",
        }
    }
}

/// The tokens a text model knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum Vocabulary {
    /// These characters, sorted and distinct; the token is the index.
    Characters(Vec<char>),
    /// The bytes 0 to 255; the token is the byte.
    Bytes,
    /// The bytes, and words.
    Words(Pieces),
    /// The bytes, and pieces of words.
    Subwords(Pieces),
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    kind: VocabularyKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    characters: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pieces: Option<Pieces>,
}

impl From<Vocabulary> for Stored {
    fn from(vocabulary: Vocabulary) -> Self {
        let kind = vocabulary.kind();
        match vocabulary {
            Vocabulary::Characters(known) => {
                Self { kind, characters: known.into_iter().collect(), pieces: None }
            }
            Vocabulary::Bytes => Self { kind, characters: String::new(), pieces: None },
            Vocabulary::Words(pieces) | Vocabulary::Subwords(pieces) => {
                Self { kind, characters: String::new(), pieces: Some(pieces) }
            }
        }
    }
}

impl TryFrom<Stored> for Vocabulary {
    type Error = &'static str;

    fn try_from(stored: Stored) -> std::result::Result<Self, &'static str> {
        let known: Vec<char> = stored.characters.chars().collect();
        match stored.kind {
            VocabularyKind::Words | VocabularyKind::Subwords => {
                let pieces = stored.pieces.ok_or("the vocabulary has no pieces")?;
                let words = stored.kind == VocabularyKind::Words;
                Ok(if words { Self::Words(pieces) } else { Self::Subwords(pieces) })
            }
            VocabularyKind::Bytes if known.is_empty() => Ok(Self::Bytes),
            VocabularyKind::Bytes => Err("a byte vocabulary lists no characters"),
            VocabularyKind::Characters if known.is_empty() => Err("the vocabulary is empty"),
            VocabularyKind::Characters if known.windows(2).any(|pair| pair[0] >= pair[1]) => {
                Err("the characters of the vocabulary are not sorted and distinct")
            }
            VocabularyKind::Characters => Ok(Self::Characters(known)),
        }
    }
}

impl Vocabulary {
    /// The characters of a text.
    pub fn of_characters(text: &str) -> Self {
        let mut known: Vec<char> = Vec::new();
        for c in text.chars() {
            if let Err(place) = known.binary_search(&c) {
                known.insert(place, c);
            }
        }
        Self::Characters(known)
    }

    /// What its tokens stand for.
    pub fn kind(&self) -> VocabularyKind {
        match self {
            Self::Characters(_) => VocabularyKind::Characters,
            Self::Bytes => VocabularyKind::Bytes,
            Self::Words(_) => VocabularyKind::Words,
            Self::Subwords(_) => VocabularyKind::Subwords,
        }
    }

    /// What people call a token of it: `character`, `byte`, `word` or `subword`.
    pub fn unit(&self) -> &'static str {
        self.kind().unit()
    }

    /// The number of tokens.
    pub fn size(&self) -> usize {
        match self {
            Self::Characters(known) => known.len(),
            Self::Bytes => 256,
            Self::Words(pieces) | Self::Subwords(pieces) => pieces.size(),
        }
    }

    /// The tokens of a text; `source` names it in messages ("the prompt", a file).
    ///
    /// # Errors
    ///
    /// A character is unknown: names it, where it stands, and what to write instead.
    pub fn encode(&self, source: &str, text: &str) -> Result<Vec<u32>> {
        let known = match self {
            Self::Characters(known) => known,
            Self::Bytes => return Ok(text.bytes().map(u32::from).collect()),
            Self::Words(pieces) | Self::Subwords(pieces) => return Ok(pieces.encode(text)),
        };
        let token = |(index, c): (usize, char)| match known.binary_search(&c) {
            Ok(token) => Ok(token as u32),
            Err(_) => Err(unknown(source, text, index, c, known)),
        };
        text.chars().enumerate().map(token).collect()
    }

    /// The bytes of some tokens. Tokens must be below [`size`](Self::size).
    pub fn decode_bytes(&self, tokens: &[u32]) -> Vec<u8> {
        match self {
            Self::Characters(known) => {
                let text: String = tokens.iter().map(|&token| known[token as usize]).collect();
                text.into_bytes()
            }
            Self::Bytes => tokens.iter().map(|&token| token as u8).collect(),
            Self::Words(pieces) | Self::Subwords(pieces) => {
                tokens.iter().flat_map(|&token| pieces.bytes(token).iter().copied()).collect()
            }
        }
    }

    /// The text of some tokens; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        String::from_utf8_lossy(&self.decode_bytes(tokens)).into_owned()
    }
}

fn unknown(source: &str, text: &str, index: usize, c: char, known: &[char]) -> Error {
    let before: Vec<char> = text.chars().take(index).collect();
    let line = 1 + before.iter().filter(|&&c| c == '\n').count();
    let column = 1 + before.iter().rev().take_while(|&&c| c != '\n').count();
    let remedy = match stand_in(c, known) {
        Some(other) => format!("write `{}` instead", other.escape_debug()),
        None => "remove it".to_owned(),
    };
    Error::usage(format!(
        "{source}: character {} (line {line}, column {column}) is `{}` (U+{:04X}), which is not among \
         the {} characters the model knows; {remedy}, or train with a vocabulary of bytes",
        index + 1,
        c.escape_debug(),
        u32::from(c),
        known.len()
    ))
}

/// A known character that a reader would take for the same: other case, plain punctuation, the
/// letter without its accent.
fn stand_in(c: char, known: &[char]) -> Option<char> {
    const PLAIN: [(&str, char); 16] = [
        ("‘’‚′`´", '\''),
        ("“”„″«»", '"'),
        ("‐‑‒–—―−", '-'),
        ("\t\r\u{a0}\u{2009}\u{202f}", ' '),
        ("…", '.'),
        ("àáâãäåā", 'a'),
        ("ÀÁÂÃÄÅĀ", 'A'),
        ("èéêëēę", 'e'),
        ("ÈÉÊËĒĘ", 'E'),
        ("ìíîïī", 'i'),
        ("òóôõöøō", 'o'),
        ("ÒÓÔÕÖØŌ", 'O'),
        ("ùúûüū", 'u'),
        ("ÙÚÛÜŪ", 'U'),
        ("çćč", 'c'),
        ("ñń", 'n'),
    ];
    let plain = PLAIN.iter().find(|(fancy, _)| fancy.contains(c)).map(|&(_, plain)| plain);
    let cases = c.to_lowercase().chain(c.to_uppercase());
    plain.into_iter().chain(cases).find(|other| known.binary_search(other).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unknown_character_is_named_with_a_remedy() {
        let vocabulary = Vocabulary::of_characters("hello e\nworld'");
        let message = |text: &str| vocabulary.encode("the prompt", text).unwrap_err().to_string();
        assert_eq!(
            message("he\nwé"),
            "the prompt: character 5 (line 2, column 2) is `é` (U+00E9), which is not among the 10 \
             characters the model knows; write `e` instead, or train with a vocabulary of bytes"
        );
        assert!(message("H").contains("write `h` instead"));
        assert!(message("’").contains("write `\\'` instead"));
        assert!(message("日").contains("remove it, or train"));
    }

    #[test]
    fn tokens_are_sorted_characters_or_bytes() {
        let vocabulary = Vocabulary::of_characters("banana");
        assert_eq!(vocabulary, Vocabulary::Characters(vec!['a', 'b', 'n']));
        assert_eq!(vocabulary.encode("x", "nab").unwrap(), [2, 0, 1]);
        assert_eq!(Vocabulary::Bytes.encode("x", "é").unwrap(), [0xc3, 0xa9]);
        assert_eq!(Vocabulary::Bytes.size(), 256);
    }

    #[test]
    fn a_stored_vocabulary_is_checked() {
        let read = |text: &str| serde_json::from_str::<Vocabulary>(text);
        assert!(read(r#"{"kind":"characters","characters":"ba"}"#).is_err());
        assert!(read(r#"{"kind":"characters"}"#).is_err());
        assert!(read(r#"{"kind":"bytes","characters":"a"}"#).is_err());
        assert_eq!(read(r#"{"kind":"bytes"}"#).unwrap(), Vocabulary::Bytes);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding_and_storing_keeps(text in "\\PC{1,60}") {
            for vocabulary in [Vocabulary::of_characters(&text), Vocabulary::Bytes] {
                let tokens = vocabulary.encode("text", &text).unwrap();
                prop_assert!(tokens.iter().all(|&token| (token as usize) < vocabulary.size()));
                prop_assert_eq!(vocabulary.decode(&tokens), text.clone());
                let stored = serde_json::to_string(&vocabulary).unwrap();
                prop_assert_eq!(serde_json::from_str::<Vocabulary>(&stored).unwrap(), vocabulary);
            }
        }
    }
}
