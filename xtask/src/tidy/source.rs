//! A Rust file: its code apart from its literals, and its tests apart from the rest.

use std::ops::Range;

use super::lexer::{Literal, lex};

/// A Rust file of the checkout.
pub struct Source {
    /// The path below the root, with `/`.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The same with comments and the insides of literals blanked.
    pub code: String,
    /// The string literals.
    pub literals: Vec<Literal>,
    /// The bytes of what stands under `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
}

impl Source {
    /// Reads a file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let lexed = lex(text);
        let tests = test_ranges(&lexed.code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: lexed.code,
            literals: lexed.literals,
            tests,
        }
    }

    /// Whether the whole file is a test or a benchmark, by its path.
    pub fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
    }

    /// Whether a byte belongs to a test.
    pub fn in_test(&self, offset: usize) -> bool {
        self.is_test() || self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The number, from 1, of the line that a byte stands in.
    pub fn line(&self, offset: usize) -> usize {
        self.code.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// `path:line` of a byte.
    pub fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.line(offset))
    }

    /// How many lines stand outside of tests.
    pub fn plain_lines(&self) -> usize {
        let of_tests: usize = self
            .tests
            .iter()
            .map(|range| self.line(range.end).saturating_sub(self.line(range.start)) + 1)
            .sum();
        self.text.lines().count().saturating_sub(of_tests)
    }
}

/// The byte after the bracket that closes the one at `open`; the end where none does.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        if ranges.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        let after = start + attribute.len();
        let stop =
            code.bytes().enumerate().skip(after).find(|(_, byte)| matches!(byte, b'{' | b';'));
        if let Some((open, b'{')) = stop {
            ranges.push(start..closing(code, open));
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_is_told_from_the_rest() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("x/src/lib.rs", text);
        assert_eq!(source.plain_lines(), 2);
        assert!(source.in_test(text.find("fn b").expect("there")));
        assert!(!source.in_test(text.find("fn c").expect("there")));
        assert!(Source::new("x/tests/it/main.rs", "").is_test());
    }
}
