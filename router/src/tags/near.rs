//! The words beside a place: before it on its line, on the lines above where its own says little, a
//! few behind it, and the head of its column.

/// So far before a place words are looked for, in bytes of its line.
const BEFORE_MAX: usize = 96;
/// So many bytes of each line above.
const ABOVE_MAX: usize = 80;
/// So many lines above, as long as all words found are short of [`LETTERS_FEW`].
const LINES_MAX: usize = 3;
const LETTERS_FEW: usize = 12;
/// So far behind, in the same field.
const AFTER_MAX: usize = 40;
/// Words up to this length must stand apart; `sin` is in `using`.
const SHORT: usize = 6;

/// Words in small letters without what stands between them, and where words begin or end.
#[derive(Default)]
pub(super) struct Near {
    letters: Vec<u8>,
    edges: Vec<bool>,
}

impl Near {
    /// The words beside a range.
    pub(super) fn of(bytes: &[u8], start: usize, end: usize, head: Option<&[u8]>) -> Self {
        let mut near = Self::default();
        near.add(head.unwrap_or_default());
        for line in lines_before(bytes, start).into_iter().rev() {
            near.add(line);
        }
        let after = bytes.get(end..).unwrap_or_default();
        let stop = |byte: &u8| b"\"',;|<>\n\t{}[]&=:".contains(byte);
        let until = after.iter().take(AFTER_MAX).position(stop).unwrap_or(AFTER_MAX);
        near.add(after.get(..until.min(after.len())).unwrap_or_default());
        near
    }

    /// Whether one of these words is there.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has_word(word.as_bytes()))
    }

    fn has_word(&self, word: &[u8]) -> bool {
        let edge = |at: usize| self.edges.get(at).copied().unwrap_or(true);
        let Some(&first) = word.first() else { return false };
        memchr::memchr_iter(first, &self.letters).any(|at| {
            let end = at + word.len();
            let rest = self.letters.get(end..).unwrap_or_default();
            let number = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
            let ends = edge(end) || edge(end + number) || rest.starts_with(b"s") && edge(end + 1);
            self.letters.get(at..).is_some_and(|rest| rest.starts_with(word))
                && (word.len() > SHORT || !word.is_ascii() || edge(at) && ends)
        })
    }

    fn add(&mut self, text: &[u8]) {
        let mut edge = true;
        let mut former = b' ';
        for (at, byte) in text.iter().enumerate() {
            let next = text.get(at + 1).copied().unwrap_or(b' ');
            if byte.is_ascii_alphanumeric() || !byte.is_ascii() {
                let camel = byte.is_ascii_uppercase()
                    && (former.is_ascii_lowercase()
                        || former.is_ascii_uppercase() && next.is_ascii_lowercase());
                self.letters.push(byte.to_ascii_lowercase());
                self.edges.push(edge || camel);
                edge = false;
            } else {
                // Words of one name do not stand in two fields.
                if b",;|\t".contains(byte) {
                    self.letters.push(b' ');
                    self.edges.push(true);
                }
                edge = true;
            }
            former = *byte;
        }
        // What comes next is another text.
        if !text.is_empty() {
            self.letters.push(b' ');
            self.edges.push(true);
        }
    }
}

/// The line's part before a place, then lines above it.
fn lines_before(bytes: &[u8], start: usize) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let (mut end, mut most, mut letters) = (start, BEFORE_MAX, 0);
    for _ in 0..=LINES_MAX {
        let before = bytes.get(..end).unwrap_or_default();
        let floor = end.saturating_sub(most);
        let window = before.get(floor..).unwrap_or_default();
        let begin = memchr::memrchr(b'\n', window).map_or(floor, |at| floor + at + 1);
        let line = bytes.get(begin..end).unwrap_or_default();
        letters +=
            line.iter().filter(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()).count();
        found.push(line);
        if letters > LETTERS_FEW || begin == 0 || begin == floor {
            break;
        }
        (end, most) = (begin - 1, ABOVE_MAX);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(text: &str) -> Near {
        let start = text.find('#').unwrap();
        Near::of(text.as_bytes(), start, start + 1, None)
    }

    #[test]
    fn keys_of_every_manner_are_words() {
        for text in [
            "steuerId = #",
            "STEUER_ID=#",
            "<steuer-id>#",
            "\"steuerId\":\"#",
            "x&steuer-id=#",
            "person:\n  steuerId:\n    value: #",
            "his Steuer ID is\n#",
            "# (Steuer-ID)",
        ] {
            assert!(near(text).has(&["steuerid"]), "{text}");
        }
    }

    #[test]
    fn a_short_word_must_stand_apart() {
        assert!(near("userSIN: #").has(&["sin"]) && near("SINs #").has(&["sin"]));
        assert!(!near("using #").has(&["sin"]) && !near("sinus #").has(&["sin"]));
    }

    #[test]
    fn words_of_the_next_field_are_not_beside_it() {
        assert!(!near("{\"a\": #, \"ssn\": 1}").has(&["ssn"]));
    }
}
