//! Tells a Rust file's code from its comments and literals, without understanding it.

/// A string literal.
pub struct Literal {
    /// The byte of the file that it begins at.
    pub offset: usize,
    /// What stands between the quotes, escapes as written.
    pub text: String,
}

/// A file with comments and the insides of literals blanked, byte for byte as long as before.
pub struct Lexed {
    /// The code; line breaks are where they were.
    pub code: String,
    /// The string literals, in order.
    pub literals: Vec<Literal>,
}

/// Splits a file.
pub fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, code: Vec::new(), literals: Vec::new() };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    Lexed { code: String::from_utf8_lossy(&lexer.code).into_owned(), literals: lexer.literals }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    code: Vec<u8>,
    literals: Vec<Literal>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => self.blank_while(|lexer| lexer.peek(0) != b'\n'),
            (b'/', b'*') => self.block_comment(),
            (b'"', _) => self.string(),
            (b'r', b'"' | b'#') if !self.in_word() => self.raw_string(),
            (b'\'', _) => self.quote(),
            _ => self.keep(),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Whether the byte belongs to a word that began before it; `b` and `c` may prefix a literal.
    fn in_word(&self) -> bool {
        let before = |back: usize| {
            self.at.checked_sub(back).and_then(|at| self.bytes.get(at)).copied().unwrap_or(b' ')
        };
        let of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match before(1) {
            b'b' | b'c' => of_word(before(2)),
            other => of_word(other),
        }
    }

    fn keep(&mut self) {
        self.code.push(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self) {
        self.code.push(if self.peek(0) == b'\n' { b'\n' } else { b' ' });
        self.at += 1;
    }

    fn blank_while(&mut self, goes_on: impl Fn(&Self) -> bool) {
        while self.at < self.bytes.len() && goes_on(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.blank();
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let offset = self.at;
        self.keep();
        while self.at < self.bytes.len() && self.peek(0) != b'"' {
            if self.peek(0) == b'\\' {
                self.blank();
            }
            self.blank();
        }
        self.literal(offset, offset + 1, self.at);
        self.keep();
    }

    fn raw_string(&mut self) {
        let offset = self.at;
        let hashes = self.bytes.iter().skip(self.at + 1).take_while(|byte| **byte == b'#').count();
        if self.peek(1 + hashes) != b'"' {
            // A raw identifier, as `r#type`.
            return self.keep();
        }
        for _ in 0..hashes + 2 {
            self.keep();
        }
        let start = self.at;
        self.blank_while(|lexer| {
            lexer.peek(0) != b'"' || (1..=hashes).any(|ahead| lexer.peek(ahead) != b'#')
        });
        self.literal(offset, start, self.at);
        for _ in 0..=hashes {
            self.keep();
        }
    }

    /// A character literal is blanked; a lifetime is code.
    fn quote(&mut self) {
        let width = match self.peek(1) {
            byte if byte >= 0xf0 => 4,
            byte if byte >= 0xe0 => 3,
            byte if byte >= 0xc0 => 2,
            _ => 1,
        };
        let escaped = self.peek(1) == b'\\';
        if !escaped && self.peek(1 + width) != b'\'' {
            return self.keep();
        }
        self.keep();
        if escaped {
            self.blank();
            self.blank();
        }
        self.blank_while(|lexer| lexer.peek(0) != b'\'');
        self.keep();
    }

    fn literal(&mut self, offset: usize, start: usize, end: usize) {
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.literals.push(Literal { offset, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let lexed =
            lex("let a = \"x{y\"; // {\nlet b = '{'; /* { /* { */ */ let c: &'a str = r#\"\"{\"#;");
        assert!(!lexed.code.contains('{'), "{}", lexed.code);
        assert_eq!(lexed.code.lines().count(), 2);
        assert!(lexed.code.contains("&'a str"));
        let texts: Vec<_> = lexed.literals.iter().map(|literal| literal.text.as_str()).collect();
        assert_eq!(texts, ["x{y", "\"{"]);
    }

    #[test]
    fn escapes_end_nothing_and_a_file_that_breaks_off_is_read_to_its_end() {
        let lexed = lex(r#"f('\'', '\\', "a\"b", b"c", br"d", 'ä', r#type, "open"#);
        let texts: Vec<_> = lexed.literals.iter().map(|literal| literal.text.as_str()).collect();
        assert_eq!(texts, ["a\\\"b", "c", "d", "open"]);
    }
}
