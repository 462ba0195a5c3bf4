//! Texts cut into terms: words, or runs of characters.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// How a text becomes words, and words become terms.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// Whether letters are made small first.
    pub(crate) lowercase: bool,
    /// What becomes of accents.
    pub(crate) accents: Accents,
    /// What terms are made of.
    pub(crate) unit: Unit,
    /// Characters of the shortest word: 1 or 2.
    pub(crate) shortest: usize,
    /// Words that are left out.
    pub(crate) left_out: HashSet<String>,
    /// Words or characters of the shortest and the longest term.
    pub(crate) terms: (usize, usize),
}

/// What terms are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Words.
    Words,
    /// Characters, spaces included.
    Characters,
    /// Characters of a word and a space around it.
    WithinWords,
}

/// What becomes of accents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Accents {
    /// They stay.
    Stay,
    /// Whatever is not ASCII once it is decomposed is dropped.
    Ascii,
    /// Marks that combine with a letter are dropped.
    Unicode,
}

impl Cut {
    /// Hands each term of `text` to `each`.
    pub(super) fn terms(&self, text: &str, mut each: impl FnMut(&str)) {
        let text = self.prepared(text);
        match self.unit {
            Unit::Words => self.words(&text, each),
            Unit::Characters => windows(&single_spaced(&text), self.terms, each),
            Unit::WithinWords => {
                let words = text.split(is_space).filter(|word| !word.is_empty());
                for word in words {
                    windows_of_word(&format!(" {word} "), self.terms, &mut each);
                }
            }
        }
    }

    fn words(&self, text: &str, mut each: impl FnMut(&str)) {
        let words: Vec<&str> = text
            .split(|c| !is_word(c))
            .filter(|word| word.chars().nth(self.shortest - 1).is_some())
            .filter(|word| !self.left_out.contains(*word))
            .collect();
        let mut term = String::new();
        for length in self.terms.0..=self.terms.1.min(words.len()) {
            for part in words.windows(length) {
                if let [word] = part {
                    each(word);
                    continue;
                }
                term.clear();
                for (index, word) in part.iter().enumerate() {
                    if index > 0 {
                        term.push(' ');
                    }
                    term.push_str(word);
                }
                each(&term);
            }
        }
    }

    fn prepared(&self, text: &str) -> String {
        let text = if self.lowercase {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        match self.accents {
            Accents::Ascii => text.nfkd().filter(char::is_ascii).collect(),
            Accents::Unicode if !text.is_ascii() => text
                .nfkd()
                .filter(|c| canonical_combining_class(*c) == 0)
                .collect(),
            Accents::Stay | Accents::Unicode => text,
        }
    }
}

/// All runs of so many characters (`sklearn/feature_extraction/text.py`, `_char_ngrams`).
fn windows(text: &str, (shortest, longest): (usize, usize), mut each: impl FnMut(&str)) {
    let ends = ends(text);
    for length in shortest..=longest.min(ends.len() - 1) {
        for window in ends.windows(length + 1) {
            each(&text[window[0]..window[length]]);
        }
    }
}

/// The same of a word, which counts once for all lengths it does not reach (`_char_wb_ngrams`).
fn windows_of_word(word: &str, (shortest, longest): (usize, usize), each: &mut impl FnMut(&str)) {
    let count = ends(word).len() - 1;
    windows(word, (shortest, longest.min(count - 1)), &mut *each);
    if longest >= count {
        each(word);
    }
}

/// Where each character begins, and where the last one ends.
fn ends(text: &str) -> Vec<usize> {
    let starts = text.char_indices().map(|(start, _)| start);
    starts.chain([text.len()]).collect()
}

/// Several spaces become one; a single one stays what it is.
fn single_spaced(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let mut kept = c;
        while is_space(c) && characters.next_if(|next| is_space(*next)).is_some() {
            kept = ' ';
        }
        made.push(kept);
    }
    made
}

/// What Python's `\s` matches and `str.split` splits at.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// What Python's `\w` matches: letters, numbers and the underscore. Marks and
/// letters in circles and squares are alphabetic to Unicode, but not to Python.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let framed = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    c.is_alphanumeric() && !framed && !is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(accents: Accents, shortest: usize, terms: (usize, usize)) -> Cut {
        Cut {
            lowercase: true,
            accents,
            shortest,
            unit: Unit::Words,
            left_out: HashSet::from(["the".to_owned()]),
            terms,
        }
    }

    fn terms(cut: &Cut, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        cut.terms(text, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn words_are_runs_of_what_python_calls_so() {
        let plain = cut(Accents::Stay, 2, (1, 1));
        let text = "The É-cole_2, x ⅷⅷ ⒶⒶ ni\u{303}o!";
        assert_eq!(terms(&plain, text), ["cole_2", "ⅷⅷ", "ni"]);
        let single = cut(Accents::Unicode, 1, (1, 1));
        assert_eq!(terms(&single, "The É x"), ["e", "x"]);
        let ascii = cut(Accents::Ascii, 2, (1, 1));
        assert_eq!(terms(&ascii, "Straße CAFÉ ½"), ["strae", "cafe", "12"]);
    }

    #[test]
    fn terms_of_several_words_leave_stop_words_out_first() {
        let pairs = cut(Accents::Stay, 2, (1, 3));
        let expected = ["ab", "cd", "ab cd"];
        assert_eq!(terms(&pairs, "ab the cd"), expected);
        assert!(terms(&cut(Accents::Stay, 2, (2, 2)), "ab").is_empty());
    }

    #[test]
    fn terms_of_characters_are_those_of_scikit_learn() {
        let mut cut = cut(Accents::Stay, 1, (3, 4));
        cut.unit = Unit::Characters;
        assert_eq!(
            terms(&cut, "a \n\tß\u{1c}c"),
            ["a ß", " ß\u{1c}", "ß\u{1c}c", "a ß\u{1c}", " ß\u{1c}c"]
        );
        cut.unit = Unit::WithinWords;
        assert_eq!(terms(&cut, " é\u{1c}ab "), [" é ", " ab", "ab ", " ab "]);
        cut.terms = (5, 6);
        assert_eq!(terms(&cut, "ab abc"), [" ab ", " abc "]);
        assert!(terms(&cut, " ").is_empty());
    }
}
