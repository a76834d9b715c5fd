//! The words of an expression, as far as one must know them to tell which names it reads.
//!
//! minijinja parses and evaluates; this only finds names, so that references can be followed,
//! renamed and refused when planning. It never fails: what it does not know is a sign.

use std::ops::Range;

/// One word and where it stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Range<usize>,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword.
    Word(String),
    /// A text in quotes, without them.
    Text(String),
    /// Digits.
    Number,
    /// Any other character.
    Sign(char),
}

impl Token {
    /// Whether it is this sign.
    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// The word, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The words of `text`, in order.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let kind = match first {
            '"' | '\'' => Kind::Text(quoted(&mut rest, first)),
            _ if first.is_alphabetic() || first == '_' => Kind::Word(word(&mut rest, first)),
            _ if first.is_ascii_digit() => {
                word(&mut rest, first);
                Kind::Number
            }
            other => Kind::Sign(other),
        };
        let end = rest.peek().map_or(text.len(), |(next, _)| *next);
        found.push(Token { kind, span: start..end });
    }
    found
}

type Characters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn word(rest: &mut Characters<'_>, first: char) -> String {
    let mut word = String::from(first);
    while let Some((_, next)) = rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_') {
        word.push(next);
    }
    word
}

fn quoted(rest: &mut Characters<'_>, quote: char) -> String {
    let mut text = String::new();
    while let Some((_, next)) = rest.next() {
        match next {
            '\\' => text.extend(rest.next().map(|(_, escaped)| escaped)),
            _ if next == quote => break,
            _ => text.push(next),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_signs_are_told_apart() {
        let kinds: Vec<Kind> =
            tokens("a.b['c d'] + 12").into_iter().map(|token| token.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Word("a".into()),
                Kind::Sign('.'),
                Kind::Word("b".into()),
                Kind::Sign('['),
                Kind::Text("c d".into()),
                Kind::Sign(']'),
                Kind::Sign('+'),
                Kind::Number,
            ]
        );
    }

    #[test]
    fn an_open_quote_ends_with_the_text() {
        assert_eq!(tokens("'ab\\").len(), 1);
    }
}
