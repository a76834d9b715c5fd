//! A text as it is meant: escapes resolved, signs of other scripts as ASCII, invisible signs left out,
//! and for each byte the place that it comes from.
//!
//! Resolved are percent, backslash and HTML escapes, and on request those of quoted-printable
//! (RFC 2045, 6.7). Letters and digits are never percent-encoded, so `%41` stays: it is more likely a
//! pattern of SQL.

use std::borrow::Cow;

/// A text and where its bytes come from.
pub(super) struct View<'a> {
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
    /// For each byte, and for the end, the place in the text; nothing where nothing was resolved.
    origin: Option<Vec<u32>>,
}

impl View<'_> {
    /// Where a byte comes from.
    pub(super) fn origin(&self, at: usize) -> usize {
        match &self.origin {
            Some(origin) => origin.get(at).or(origin.last()).map_or(0, |place| *place as usize),
            None => at,
        }
    }
}

/// Whether escapes of quoted-printable are likely: a soft line break, or an escaped equals sign.
pub(super) fn is_quoted_printable(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'=', bytes).any(|at| {
        let after = bytes.get(at + 1..).unwrap_or_default();
        after.starts_with(b"\n") || after.starts_with(b"\r\n") || after.starts_with(b"3D")
    })
}

/// Makes the view. Where there is nothing to resolve it costs no copy.
pub(super) fn view(text: &str, quoted_printable: bool) -> View<'_> {
    let plain = |byte: &u8| byte.is_ascii() && !matches!(byte, b'%' | b'\\' | b'&');
    if !quoted_printable && text.as_bytes().iter().all(plain) {
        return View { bytes: Cow::Borrowed(text.as_bytes()), origin: None };
    }
    let mut writer = Writer {
        text,
        at: 0,
        bytes: Vec::with_capacity(text.len()),
        origin: Vec::with_capacity(text.len() + 1),
        quoted_printable,
    };
    while writer.at < text.len() {
        writer.step();
    }
    writer.origin.push(text.len() as u32);
    View { bytes: Cow::Owned(writer.bytes), origin: Some(writer.origin) }
}

struct Writer<'a> {
    text: &'a str,
    at: usize,
    bytes: Vec<u8>,
    origin: Vec<u32>,
    quoted_printable: bool,
}

impl Writer<'_> {
    fn step(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let Some(&first) = rest.first() else { return };
        let resolved = match first {
            b'%' => percent(rest),
            b'\\' => backslash(rest),
            b'&' => entity(rest),
            b'=' if self.quoted_printable => quoted(rest),
            byte if byte.is_ascii() => None,
            _ => {
                let sign = self.text.get(self.at..).and_then(|rest| rest.chars().next());
                sign.map(|sign| (Some(sign), sign.len_utf8()))
            }
        };
        match resolved {
            Some((sign, width)) => {
                if let Some(sign) = sign {
                    self.push_sign(sign);
                }
                self.at += width;
            }
            None => {
                self.push(first);
                self.at += 1;
            }
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.origin.push(self.at as u32);
    }

    fn push_sign(&mut self, sign: char) {
        match fold(sign) {
            Fold::Drop => {}
            Fold::Byte(byte) => self.push(byte),
            Fold::Keep => {
                let mut buffer = [0; 4];
                for byte in sign.encode_utf8(&mut buffer).bytes() {
                    self.push(byte);
                }
            }
        }
    }
}

/// What an escape stands for, if it is anything, and its width.
type Resolved = Option<(Option<char>, usize)>;

fn hex(bytes: &[u8], from: usize, len: usize) -> Option<u32> {
    let part = bytes.get(from..from + len)?;
    part.iter().try_fold(0, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)?))
}

/// A sign of one to four bytes that are each escaped as `mark` and two digits.
fn escaped(rest: &[u8], mark: &[u8]) -> Option<(char, usize)> {
    let width = mark.len() + 2;
    let byte = |index: usize| {
        let from = index * width;
        rest.get(from..)?.starts_with(mark).then_some(())?;
        hex(rest, from + mark.len(), 2).map(|byte| byte as u8)
    };
    let count = match byte(0)? {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let bytes = (0..count).map(byte).collect::<Option<Vec<u8>>>()?;
    let sign = std::str::from_utf8(&bytes).ok()?.chars().next()?;
    Some((sign, count * width))
}

fn percent(rest: &[u8]) -> Resolved {
    let (sign, width) = escaped(rest, b"%")?;
    (!sign.is_ascii_alphanumeric() && (sign >= ' ' || sign == '\n' || sign == '\r' || sign == '\t'))
        .then_some((Some(sign), width))
}

fn quoted(rest: &[u8]) -> Resolved {
    if rest.starts_with(b"=\n") {
        return Some((None, 2));
    }
    if rest.starts_with(b"=\r\n") {
        return Some((None, 3));
    }
    escaped(rest, b"=").map(|(sign, width)| (Some(sign), width))
}

/// Backslashes of one escape: JSON inside of JSON inside of JSON has seven.
const BACKSLASHES_MAX: usize = 8;

/// One backslash or several, as JSON inside of JSON has them.
fn backslash(rest: &[u8]) -> Resolved {
    let run = rest.iter().take(BACKSLASHES_MAX).take_while(|byte| **byte == b'\\').count();
    let behind = rest.get(run..).unwrap_or_default();
    let sign = match behind.first()? {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'"' => '"',
        b'\'' => '\'',
        b'/' => '/',
        b'u' => {
            let value = hex(behind, 1, 4)?;
            return char::from_u32(value).map(|sign| (Some(sign), run + 5));
        }
        b'x' => {
            let (sign, width) = escaped(rest.get(run - 1..)?, b"\\x")?;
            return Some((Some(sign), run - 1 + width));
        }
        _ => return None,
    };
    Some((Some(sign), run + 1))
}

const ENTITIES: [(&[u8], char); 10] = [
    (b"&lt;", '<'),
    (b"&gt;", '>'),
    (b"&amp;", '&'),
    (b"&quot;", '"'),
    (b"&apos;", '\''),
    (b"&nbsp;", ' '),
    (b"&ndash;", '-'),
    (b"&mdash;", '-'),
    (b"&hyphen;", '-'),
    (b"&shy;", '\u{ad}'),
];
/// Digits of a numeric entity.
const ENTITY_DIGITS_MAX: usize = 7;

fn entity(rest: &[u8]) -> Resolved {
    if let Some((name, sign)) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name)) {
        return Some((Some(*sign), name.len()));
    }
    let body = rest.strip_prefix(b"&#")?;
    let (radix, digits) = match body.first()? {
        b'x' | b'X' => (16, body.get(1..)?),
        _ => (10, body),
    };
    let end = digits.iter().take(ENTITY_DIGITS_MAX + 1).position(|byte| *byte == b';')?;
    let value = u32::from_str_radix(std::str::from_utf8(digits.get(..end)?).ok()?, radix).ok()?;
    let width = rest.len() - digits.len() + end + 1;
    char::from_u32(value).map(|sign| (Some(sign), width))
}

enum Fold {
    Drop,
    Byte(u8),
    Keep,
}

/// U+00C0 to U+00FF and U+0100 to U+017F without their accents.
const LATIN: &[u8; 64] = b"AAAAAAACEEEEIIIIDNOOOOO*OUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty";
const LATIN_MORE: &[u8; 128] = b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiJjJjKkkLlLlLlLlLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
/// The first of ten digits that stand in order.
const ZEROS: [u32; 12] = [
    0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1fbf0,
];

fn fold(sign: char) -> Fold {
    let code = u32::from(sign);
    let of = |table: &[u8], from: u32| {
        table.get((code - from) as usize).map_or(Fold::Keep, |byte| Fold::Byte(*byte))
    };
    match code {
        0..=0x7f => Fold::Byte(code as u8),
        0xc0..=0xff => of(LATIN, 0xc0),
        0x100..=0x17f => of(LATIN_MORE, 0x100),
        0xad
        | 0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x2064
        | 0xfe00..=0xfe0f
        | 0xfeff => Fold::Drop,
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Fold::Byte(b' '),
        0x85 | 0x2028 | 0x2029 => Fold::Byte(b'\n'),
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xfe58 | 0xfe63 | 0x30fc | 0x2e3a => Fold::Byte(b'-'),
        0x2018..=0x201b => Fold::Byte(b'\''),
        0x201c..=0x201f => Fold::Byte(b'"'),
        0x2024 | 0xb7 | 0x2022 => Fold::Byte(b'.'),
        0x2044 | 0x2215 => Fold::Byte(b'/'),
        0xff01..=0xff5e => Fold::Byte((code - 0xff01 + 0x21) as u8),
        _ => ZEROS
            .iter()
            .find(|zero| (**zero..**zero + 10).contains(&code))
            .map_or(Fold::Keep, |zero| Fold::Byte(b'0' + (code - zero) as u8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> String {
        String::from_utf8(view(text, false).bytes.into_owned()).unwrap()
    }

    #[test]
    fn escapes_and_signs_of_other_scripts_are_resolved() {
        assert_eq!(resolved("a%20b%C2%A0c%2Dd%41"), "a b c-d%41");
        assert_eq!(
            resolved(r#"{\"a\":\\\"b\\\",\n\u0031\u002d2\xe2\x80\x913}"#),
            "{\"a\":\"b\",\n1-2-3}"
        );
        assert_eq!(resolved("1&#45;2&#x2D;3&nbsp;4&ampx"), "1-2-3 4&ampx");
        assert_eq!(resolved("４１１１\u{200b}1\u{2011}é٣"), "41111-e3");
    }

    #[test]
    fn soft_line_breaks_are_no_breaks() {
        let text = "ssn=3D123-45-=\r\n6789 =E2=80=91";
        assert!(is_quoted_printable(text));
        assert_eq!(view(text, true).bytes.as_ref(), b"ssn=123-45-6789 -");
    }

    #[test]
    fn a_byte_knows_where_it_comes_from() {
        let text = "é%20x";
        let found = view(text, false);
        assert_eq!(found.bytes.as_ref(), b"e x");
        assert_eq!([0, 1, 2, 3].map(|at| found.origin(at)), [0, 2, 5, 6]);
        assert_eq!(view("plain", false).origin(3), 3);
    }
}
