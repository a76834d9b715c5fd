//! The forms in which a value may show: as it is, its lines, and as JSON, URLs, Base64 and hexadecimal
//! write it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// The shortest form that is looked for, in bytes; a shorter one would be found where it is not meant.
pub(super) const BYTES_MIN: usize = 6;
/// The shortest line that is looked for by itself, in bytes.
const LINE_BYTES_MIN: usize = 8;
/// Larger values are looked for in fewer forms: their lines as they are, and one way of writing URLs.
const EVERY_FORM_BYTES_MAX: usize = 16 * 1024;
/// After how many letters programs break lines of Base64 (`base64`, PEM) and of hexadecimal (`xxd -p`).
const BASE64_BREAKS: [usize; 2] = [76, 64];
const HEX_BREAK: usize = 60;

/// Every form of a value, none shorter than [`BYTES_MIN`].
pub(super) fn of(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    let trimmed = value.trim_ascii();
    add(&mut forms, value);
    add(&mut forms, trimmed);
    let mut lines = trimmed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    if trimmed.contains(&b'\n') {
        let long = lines.by_ref().filter(|line| line.len() >= LINE_BYTES_MIN);
        if value.len() <= EVERY_FORM_BYTES_MAX {
            long.for_each(|line| add(&mut forms, line));
        } else {
            forms.extend(long.map(<[u8]>::to_vec));
        }
    }
    forms.retain(|form| form.len() >= BYTES_MIN);
    forms
}

fn add(forms: &mut BTreeSet<Vec<u8>>, text: &[u8]) {
    forms.insert(text.to_vec());
    forms.extend(json(text));
    forms.extend(percent(text));
    base64(forms, text);
    let lower = hex::encode(text);
    broken(forms, &lower, HEX_BREAK);
    let upper = lower.to_ascii_uppercase();
    broken(forms, &upper, HEX_BREAK);
    forms.extend([lower.into_bytes(), upper.into_bytes()]);
}

/// The inside of a JSON string: plain, with `\/`, with `\u` for what is not ASCII, and with both.
fn json(text: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(text) else { return Vec::new() };
    let quoted = Value::from(text).to_string();
    let plain = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let slashed = plain.replace('/', "\\/");
    let mut ascii = String::with_capacity(plain.len());
    for letter in plain.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            let units = letter.encode_utf16(&mut [0; 2]).to_vec();
            ascii.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    let both = ascii.replace('/', "\\/");
    [plain.to_owned(), slashed, ascii, both].map(String::into_bytes).to_vec()
}

/// As parts of URLs and forms write it; programs differ in what they leave as it is.
fn percent(text: &[u8]) -> Vec<Vec<u8>> {
    let left: [&[u8]; 4] = [b"-._~", b"-._~/", b"-._~!*'()", b"-._*"];
    let kinds = if text.len() > EVERY_FORM_BYTES_MAX { 1 } else { left.len() };
    let mut forms = Vec::new();
    for (kind, left) in left.into_iter().enumerate().take(kinds) {
        for upper in [true, false] {
            let mut form = Vec::with_capacity(text.len());
            for byte in text {
                match byte {
                    byte if byte.is_ascii_alphanumeric() || left.contains(byte) => form.push(*byte),
                    b' ' if kind == 3 => form.push(b'+'),
                    byte if upper => form.extend(format!("%{byte:02X}").into_bytes()),
                    byte => form.extend(format!("%{byte:02x}").into_bytes()),
                }
            }
            forms.push(form);
        }
    }
    forms
}

/// At each of the three places that it may have in a longer text, without the letters at its edges that
/// hold bits of its neighbours; and to its last letter where nothing follows.
fn base64(forms: &mut BTreeSet<Vec<u8>>, text: &[u8]) {
    for before in 0..3_usize {
        let padded = [vec![0; before], text.to_vec()].concat();
        let (begin, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for whole in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let inside = whole.get(begin..end).unwrap_or_default();
            forms.insert(inside.as_bytes().to_vec());
            forms.insert(whole.get(begin..).unwrap_or_default().as_bytes().to_vec());
            if before == 0 {
                BASE64_BREAKS.iter().for_each(|width| broken(forms, inside, *width));
            }
        }
    }
}

/// Each of its lines where it is broken after so many letters, but for a last one that is short.
fn broken(forms: &mut BTreeSet<Vec<u8>>, form: &str, width: usize) {
    if form.len() > width {
        let lines = form.as_bytes().chunks(width).filter(|line| line.len() >= LINE_BYTES_MIN);
        forms.extend(lines.map(<[u8]>::to_vec));
    }
}
