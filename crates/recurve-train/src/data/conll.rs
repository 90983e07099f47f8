//! Sentences of words with a tag each, in the column formats of the field.
//!
//! A line is a word with its columns, between tabs or blanks; an empty line ends a sentence. CoNLL-U has the
//! number of the word first: its form is in column 2, its part of speech in column 4, lines of word ranges and
//! empty nodes (`3-4`, `8.1`) and comments are skipped. Else the word is in the first column and the tag in the
//! last, as in CoNLL-2003, whose `-DOCSTART-` lines are skipped. Columns can be named by number.

use super::words::Words;
use super::{Part, read_bytes, shown, utf8};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The columns of a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagColumns {
    /// Of the word.
    pub word: usize,
    /// Of the tag.
    pub tag: usize,
    /// Whether the first column numbers the words.
    pub numbered: bool,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The line it begins on.
    pub line: usize,
    /// Its words.
    pub words: Vec<String>,
    /// Their tags; none where the file has none.
    pub tags: Vec<String>,
    /// The part it belongs to.
    pub part: Part,
}

/// Sentences of a file.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The file, for messages.
    pub name: String,
    /// How it is read.
    pub columns: TagColumns,
    /// In order.
    pub sentences: Vec<Sentence>,
}

impl Tagged {
    /// Reads a file. Columns that are not given are guessed; tags may only be absent where they are not
    /// `needed`.
    ///
    /// # Errors
    /// The file cannot be read, or a line has too few columns: names it.
    pub fn read(
        path: &Path,
        given: (Option<usize>, Option<usize>, Option<TagColumns>),
        needed: bool,
    ) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = read_bytes(path)?;
        Self::parse(&name, utf8(&name, &bytes)?, given, needed)
    }

    /// The same of a text; `name` stands in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(
        name: &str,
        text: &str,
        (word, tag, known): (Option<usize>, Option<usize>, Option<TagColumns>),
        needed: bool,
    ) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tabs = text.lines().any(|line| line.contains('\t'));
        let cut = |line: &'_ str| -> Vec<String> {
            if tabs {
                line.trim_end_matches(['\r', '\n']).split('\t').map(str::to_owned).collect()
            } else {
                line.split_whitespace().map(str::to_owned).collect()
            }
        };
        let lines = || {
            let lines = text.lines().enumerate();
            lines.filter(|(_, line)| !is_comment(line) && !line.starts_with("-DOCSTART-"))
        };
        let first =
            lines().map(|(_, line)| cut(line)).find(|cells| cells.iter().any(|c| !c.is_empty()));
        let Some(first) = first else {
            return Err(Error::usage(format!("{name}: the file holds no words")));
        };
        let columns = known.unwrap_or_else(|| guess(&first, word, tag));
        if columns.word == 0 || (needed && columns.tag == 0) || columns.word == columns.tag {
            return Err(Error::usage(format!(
                "{name}: the word in column {} and the tag in column {}; columns are counted from 1, set \
                 data.word and data.tag",
                columns.word, columns.tag
            )));
        }
        let mut sentences: Vec<Sentence> = vec![];
        let mut open = false;
        for (at, line) in lines() {
            if line.trim().is_empty() {
                open = false;
                continue;
            }
            let cells = cut(line);
            if columns.numbered && cells[0].contains(['-', '.']) {
                continue;
            }
            let cell = |column: usize| {
                let cell = cells.get(column - 1).map(|cell| cell.trim());
                cell.filter(|cell| !cell.is_empty()).ok_or_else(|| {
                    Error::usage(format!(
                        "{name}, line {}: there is nothing in column {column} of `{}`; a line has a word \
                         in column {} and its tag in column {}",
                        at + 1,
                        shown(line),
                        columns.word,
                        columns.tag
                    ))
                })
            };
            if !open {
                let (words, tags) = (vec![], vec![]);
                sentences.push(Sentence { line: at + 1, words, tags, part: Part::Train });
                open = true;
            }
            let sentence = sentences.last_mut().expect("a sentence was begun");
            sentence.words.push(cell(columns.word)?.to_owned());
            match cell(columns.tag) {
                Ok(tag) => sentence.tags.push(tag.to_owned()),
                Err(error) if needed => return Err(error),
                Err(_) => {}
            }
        }
        for sentence in &mut sentences {
            if sentence.tags.len() != sentence.words.len() {
                sentence.tags.clear();
            }
        }
        Ok(Self { name: name.to_owned(), columns, sentences })
    }

    /// Where a word stands, for messages.
    pub fn place(&self, sentence: usize, word: usize) -> String {
        let found = &self.sentences[sentence];
        format!(
            "{}, sentence on line {}, word {} (`{}`)",
            self.name,
            found.line,
            word + 1,
            shown(&found.words[word])
        )
    }
}

/// Comments of CoNLL-U; a `#` that is a word has a column after it.
fn is_comment(line: &str) -> bool {
    line.starts_with("# ")
        && !line.contains('\t')
        && (line.contains('=') || line.contains("newdoc") || line.contains("newpar"))
}

fn guess(first: &[String], word: Option<usize>, tag: Option<usize>) -> TagColumns {
    let number = first[0].split(['-', '.']).all(|part| part.parse::<u32>().is_ok());
    let numbered = number && first.len() >= 4;
    TagColumns {
        word: word.unwrap_or(if numbered { 2 } else { 1 }),
        tag: tag.unwrap_or(if numbered { 4 } else { first.len() }),
        numbered,
    }
}

/// How a tagger reads words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagReader {
    /// The columns.
    pub columns: TagColumns,
    /// The words it knows, in small letters.
    pub words: Words,
    /// The letters it knows.
    pub letters: Words,
    /// The tags.
    pub tags: Vec<String>,
}

/// What a word is looked up by.
pub(crate) fn folded(word: &str) -> String {
    word.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Tagged> {
        Tagged::parse("x", text, (None, None, None), true)
    }

    #[test]
    fn the_formats_of_the_field() {
        let u = "# sent_id = 1\n# text = I can't\n1\tI\tI\tPRON\tPRP\t_\n2-3\tcan't\t_\t_\t_\t_\n\
                 2\tca\tcan\tAUX\tMD\t_\n3\tn't\tnot\tPART\tRB\t_\n\n1\t#\t#\tSYM\tNN\t_\n";
        let found = read(u).unwrap();
        assert_eq!(found.sentences.len(), 2);
        assert_eq!(found.sentences[0].words, ["I", "ca", "n't"]);
        assert_eq!(found.sentences[0].tags, ["PRON", "AUX", "PART"]);
        assert_eq!((found.sentences[1].line, found.sentences[1].words[0].as_str()), (8, "#"));
        let c = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n. . O O\n";
        let found = read(c).unwrap();
        assert_eq!(found.sentences[0].tags, ["B-ORG", "O"]);
        assert_eq!(found.sentences[1].words, ["."]);
        let two = "the\tDET\ncat\tNOUN\n";
        assert_eq!(read(two).unwrap().sentences[0].tags, ["DET", "NOUN"]);
        let given = Tagged::parse("x", c, (None, Some(2), None), true).unwrap();
        assert_eq!(given.sentences[0].tags, ["NNP", "VBZ"]);
    }

    #[test]
    fn a_line_without_a_tag_is_named() {
        let error = read("the\tDET\ncat\n").unwrap_err().to_string();
        assert!(error.contains("x, line 2") && error.contains("column 2"), "{error}");
        assert!(read("\n\n").unwrap_err().to_string().contains("no words"));
        let none = Tagged::parse("x", "the\ncat\n", (None, Some(2), None), false).unwrap();
        assert!(none.sentences[0].tags.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c#1 \t\n.-]{0,60}") {
            let _ = read(&text);
            let _ = Tagged::parse("x", &text, (Some(2), Some(1), None), false);
        }
    }
}
