//! Machine-readable zones of passports, identity cards and visas (ICAO 9303, parts 4 to 7): lines of
//! 44, 36 or 30 signs whose check digits fit.

use super::arithmetic::{byte, day_of_year, digits, icao, number, part};
use super::scan::Found;
use super::{Evidence, Tag};

/// Finds a line that begins at a word.
pub(super) fn at(bytes: &[u8], start: usize, end: usize) -> Option<Found> {
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    let word = bytes.get(start..end)?;
    if before == Some(&b'<') || word.len() < 5 && byte(bytes, end) != b'<' {
        return None;
    }
    let rest = bytes.get(start..bytes.len().min(start + 45))?;
    let sign = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'<';
    let len = rest.iter().take_while(sign).count();
    let line = rest.get(..len)?.to_ascii_uppercase();
    let fits = match len {
        44 | 36 => passport(&line),
        30 => card_number(&line) || card_dates(&line),
        _ => false,
    };
    let evidence = Evidence { check: true, format: true, context: false };
    fits.then_some(Found { tag: Tag::Pii, kind: "mrz", start, end: start + len, evidence })
}

fn checked(line: &[u8], from: usize, len: usize) -> bool {
    let check = byte(line, from + len);
    check.is_ascii_digit() && icao(part(line, from, len)) == u32::from(check - b'0')
}

fn dated(line: &[u8], from: usize) -> bool {
    digits(line, from, 6)
        && day_of_year(number(line, from + 2, 2), number(line, from + 4, 2))
        && checked(line, from, 6)
}

/// The second line of passports and visas: number, birth, expiry.
fn passport(line: &[u8]) -> bool {
    checked(line, 0, 9) && dated(line, 13) && dated(line, 21)
}

/// The first line of cards: the number behind kind and country.
fn card_number(line: &[u8]) -> bool {
    matches!(byte(line, 0), b'I' | b'A' | b'C')
        && checked(line, 5, 9)
        && part(line, 15, 15).contains(&b'<')
}

/// The second line of cards: birth, expiry.
fn card_dates(line: &[u8]) -> bool {
    dated(line, 0) && dated(line, 8) && matches!(byte(line, 7), b'M' | b'F' | b'X' | b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_specification_are_found() {
        for line in [
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
            "D231458907UTO7408122F1204159<<<<<<<6",
            "I<UTOD231458907<<<<<<<<<<<<<<<",
            "7408122F1204159UTO<<<<<<<<<<<6",
        ] {
            let end = line.find('<').unwrap_or(line.len());
            assert!(at(line.as_bytes(), 0, end).is_some(), "{line}");
            let wrong = line.replace("74081", "74091").replace("14589", "14598");
            assert!(at(wrong.as_bytes(), 0, end).is_none(), "{line}");
        }
    }
}
