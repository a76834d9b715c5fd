//! Texts that are encoded in base64 (RFC 4648, either alphabet, wrapped lines or not).

use std::ops::Range;

/// A run shorter or longer than this is not decoded.
const RUN_MIN: usize = 16;
const RUN_MAX: usize = 1 << 20;

/// Decoded texts, and where each stands.
pub(super) fn texts(bytes: &[u8]) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        // Where the sign a whole run ahead is none, no run begins here or before it.
        if let Some(none) = none_within(bytes, at) {
            at = none + 1;
            continue;
        }
        let run = run(bytes, at);
        if run.len() >= RUN_MIN && run.len() <= RUN_MAX {
            found.extend(decode(bytes, &run).map(|text| (run.clone(), text)));
        }
        at = run.end + 1;
    }
    found
}

fn is_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The last byte of the least run from a place on that belongs to none; nothing where all do.
fn none_within(bytes: &[u8], at: usize) -> Option<usize> {
    let least = bytes.get(at..at + RUN_MIN);
    let none = least.map(|least| least.iter().rposition(|byte| !is_sign(*byte)));
    none.map_or(Some(bytes.len()), |none| none.map(|none| at + none))
}

/// Signs from a place on; a line break belongs to them where the line is as long as encoders make it.
fn run(bytes: &[u8], start: usize) -> Range<usize> {
    let mut end = start;
    let mut line = start;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        end += rest.iter().take_while(|byte| is_sign(**byte)).count();
        let width = end - line;
        let rest = bytes.get(end..).unwrap_or_default();
        let broken = usize::from(rest.starts_with(b"\r")) + 1;
        let goes_on = matches!(width, 60 | 64 | 72 | 76)
            && matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..])
            && rest.get(broken).is_some_and(|byte| is_sign(*byte))
            && end - start < RUN_MAX;
        if !goes_on {
            return start..end;
        }
        end += broken;
        line = end;
    }
}

/// The text, if it is one: nine of ten signs are printable, and some are neither letters nor digits.
fn decode(bytes: &[u8], run: &Range<usize>) -> Option<String> {
    let text = bytes.get(run.clone())?;
    // A word, a path or a hash: no use in decoding.
    let small = text.iter().any(u8::is_ascii_lowercase);
    let capital = text.iter().any(u8::is_ascii_uppercase);
    if !small || !capital {
        return None;
    }
    let mut decoded = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.iter().filter(|byte| is_sign(**byte)) {
        bits = bits << 6 | value(*byte);
        held += 6;
        if held >= 8 {
            held -= 8;
            let byte = (bits >> held & 0xff) as u8;
            if byte < 9 {
                return None;
            }
            decoded.push(byte);
        }
    }
    let plain =
        decoded.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')).count();
    let text = String::from_utf8(decoded).ok()?;
    (plain * 10 >= text.len() * 9).then_some(text)
}

fn value(byte: u8) -> u32 {
    match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        _ => 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_and_a_word_is_not() {
        let text = "x: aGVsbG8gd29ybGQsIGhlbGxv, some/path/ofAFileThatIsLong";
        let found = texts(text.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "hello world, hello");
        assert_eq!(&text[found[0].0.clone()], "aGVsbG8gd29ybGQsIGhlbGxv");
    }
}
