//! The names that an expression reads: `inputs.tag`, `steps['build/app'].outputs.digest`.

use std::ops::Range;

use super::token::{Kind, Token, tokens};

/// A name at the head of a path, with the path behind it as far as it is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The first word, as `steps`.
    pub root: String,
    /// The words behind it, by dot or by text in brackets, with the byte behind each.
    pub path: Vec<(String, usize)>,
    /// Where the first word stands, in bytes.
    pub span: Range<usize>,
    /// Whether it is called, as `hash(…)`.
    pub called: bool,
}

impl Name {
    /// The `index`-th word behind the first.
    pub fn segment(&self, index: usize) -> Option<&str> {
        self.path.get(index).map(|(word, _)| word.as_str())
    }

    /// The byte behind the first `count` words of the path.
    pub fn end(&self, count: usize) -> usize {
        match count.checked_sub(1).and_then(|last| self.path.get(last)) {
            Some((_, end)) => *end,
            None => self.span.end,
        }
    }
}

const KEYWORDS: [&str; 14] = [
    "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None",
    "null",
];

/// The names that `text` reads, in order.
pub fn names(text: &str) -> Vec<Name> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        if let Some(root) = token.word()
            && !KEYWORDS.contains(&root)
            && !follows_a_path(before)
            && !is_test(&tokens, index)
            && !is_keyword_argument(&tokens, index)
        {
            found.push(read(&tokens, index, root));
        }
    }
    found
}

fn follows_a_path(before: Option<&Token>) -> bool {
    before.is_some_and(|token| token.is_sign('.') || token.is_sign('|'))
}

fn is_test(tokens: &[Token], index: usize) -> bool {
    let word =
        |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at)).and_then(Token::word);
    word(1) == Some("is") || (word(1) == Some("not") && word(2) == Some("is"))
}

fn is_keyword_argument(tokens: &[Token], index: usize) -> bool {
    let sign = |ahead: usize| tokens.get(index + ahead).is_some_and(|token| token.is_sign('='));
    sign(1) && !sign(2)
}

fn read(tokens: &[Token], index: usize, root: &str) -> Name {
    let span = tokens.get(index).map_or(0..0, |token| token.span.clone());
    let mut path = Vec::new();
    let mut at = index + 1;
    loop {
        match tokens.get(at..).unwrap_or_default() {
            [dot, Token { kind: Kind::Word(word), span }, ..] if dot.is_sign('.') => {
                path.push((word.clone(), span.end));
                at += 2;
            }
            [open, Token { kind: Kind::Text(word), .. }, close, ..]
                if open.is_sign('[') && close.is_sign(']') =>
            {
                path.push((word.clone(), close.span.end));
                at += 3;
            }
            [next, ..] => {
                return Name { root: root.into(), path, span, called: next.is_sign('(') };
            }
            [] => {
                return Name { root: root.into(), path, span, called: false };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(text: &str) -> Vec<String> {
        names(text).into_iter().map(|name| name.root).collect()
    }

    #[test]
    fn filters_tests_keywords_and_texts_are_no_names() {
        assert_eq!(
            roots("inputs.a | default('steps.b', boolean=true) if git is not defined else [item]"),
            ["inputs", "git", "item"]
        );
        assert_eq!(roots("a == b"), ["a", "b"]);
    }

    #[test]
    fn a_path_is_followed_by_dot_and_by_text() {
        let found = names("x + steps['build/app'].outputs.digest[0]");
        let steps = found.get(1).expect("two names");
        assert_eq!(steps.segment(0), Some("build/app"));
        assert_eq!(steps.segment(2), Some("digest"));
        assert_eq!(steps.segment(3), None);
        assert_eq!(steps.end(1), 4 + "steps['build/app']".len());
    }
}
