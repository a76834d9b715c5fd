//! Check digits: the sums that the identifiers of [`super::identity`] are built on. What is given is
//! an identifier without its separators, in capitals.

/// The digit at a place; 0 where there is none.
pub(super) fn digit(text: &[u8], at: usize) -> u32 {
    text.get(at).map_or(0, |byte| u32::from(byte.wrapping_sub(b'0')))
}

/// A byte; 0 where there is none.
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The number that `len` digits make.
pub(super) fn number(text: &[u8], from: usize, len: usize) -> u64 {
    part(text, from, len)
        .iter()
        .fold(0, |sum, byte| sum * 10 + u64::from(byte.wrapping_sub(b'0') % 10))
}

/// A part; empty where the text is too short.
pub(super) fn part(text: &[u8], from: usize, len: usize) -> &[u8] {
    text.get(from..from + len).unwrap_or_default()
}

/// Whether a part is digits and nothing else.
pub(super) fn digits(text: &[u8], from: usize, len: usize) -> bool {
    let part = part(text, from, len);
    part.len() == len && part.iter().all(u8::is_ascii_digit)
}

/// Whether a part is letters and nothing else.
pub(super) fn letters(text: &[u8], from: usize, len: usize) -> bool {
    let part = part(text, from, len);
    part.len() == len && part.iter().all(u8::is_ascii_alphabetic)
}

/// The sum of digits times weights, from the first digit on.
pub(super) fn weighted(text: &[u8], weights: &[u32]) -> u32 {
    text.iter().zip(weights).map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight).sum()
}

/// 0 to 9 for digits, 10 to 35 for letters.
pub(super) fn base36(byte: u8) -> u32 {
    char::from(byte).to_digit(36).unwrap_or(0)
}

/// Luhn's (ISO/IEC 7812-1), over all digits.
pub(super) fn luhn(text: &[u8]) -> bool {
    luhn_sum(text).is_multiple_of(10)
}

/// Luhn's sum, the last digit being the check digit.
pub(super) fn luhn_sum(text: &[u8]) -> u32 {
    let double = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    text.iter()
        .rev()
        .map(|byte| u32::from(byte.wrapping_sub(b'0')))
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { double(digit) } else { digit })
        .sum()
}

/// The rest by 97 of letters and digits (ISO/IEC 7064, as IBANs use it), first four moved to the end.
pub(super) fn iban_rest(text: &[u8]) -> u32 {
    let turned = text.iter().skip(4).chain(text.iter().take(4));
    turned.fold(0, |rest, byte| {
        let value = base36(*byte);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    })
}

/// ISO/IEC 7064, MOD 11,10, over all digits.
pub(super) fn mod_11_10(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let product = body.iter().fold(10, |product, byte| {
        let sum = (product + u32::from(byte.wrapping_sub(b'0'))) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(check.wrapping_sub(b'0'))
}

/// Verhoeff's, over all digits: the sum is in the dihedral group of the pentagon.
pub(super) fn verhoeff(text: &[u8]) -> bool {
    let rotate = |digit: u32, places: usize| {
        (0..places % 8).fold(digit, |digit, _| match digit {
            0 => 1,
            1 => 5,
            2 => 7,
            3 => 6,
            4 => 2,
            5 => 8,
            6 => 3,
            7 => 0,
            8 => 9,
            _ => 4,
        })
    };
    let product = |one: u32, other: u32| match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => 5 + (one + other) % 5,
        (false, true) => 5 + (one - other) % 5,
        (false, false) => (one + 5 - other) % 5,
    };
    let digits = text.iter().rev().map(|byte| u32::from(byte.wrapping_sub(b'0')) % 10);
    digits.enumerate().fold(0, |sum, (place, digit)| product(sum, rotate(digit, place))) == 0
}

/// Weights 7, 3, 1 over digits, letters and `<` (ICAO 9303): the digit.
pub(super) fn icao(text: &[u8]) -> u32 {
    text.iter()
        .zip([7, 3, 1].iter().cycle())
        .map(|(byte, weight)| base36(*byte) * weight)
        .sum::<u32>()
        % 10
}

/// Whether there is such a day; the year may be any.
pub(super) fn day_of_year(month: u64, day: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_a_changed_digit_does_not() {
        assert!(luhn(b"79927398713") && !luhn(b"79927398714"));
        assert!(verhoeff(b"2363") && !verhoeff(b"2364") && verhoeff(b"123451"));
        assert!(mod_11_10(b"07945") && mod_11_10(b"86095742719") && !mod_11_10(b"86095742718"));
        assert_eq!(iban_rest(b"GB82WEST12345698765432"), 1);
        assert_eq!(icao(b"L898902C3"), 6);
    }

    #[test]
    fn there_is_no_thirtieth_of_february() {
        assert!(day_of_year(2, 29) && !day_of_year(2, 30) && !day_of_year(13, 1));
    }
}
