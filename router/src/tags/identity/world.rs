//! Identifiers of no one country: payment cards, accounts, devices, vehicles.

use super::{Alone, Spec};
use crate::tags::arithmetic::{base36, byte, digits, iban_rest, letters, luhn, number};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "card",
        length: (14, 16),
        numeric: true,
        check: card_common,
        alone: Alone::Always,
        shapes: &[],
        words: &[],
    },
    Spec {
        kind: "card",
        length: (14, 19),
        numeric: true,
        check: card,
        alone: Alone::Never,
        shapes: &[
            "4-4-4-4",
            "4-6-5",
            "4-6-4",
            "4-4-4-4-3",
            "4-4-4-4-2",
            "4-4-4-4-1",
            "6-13",
            "8-8",
        ],
        words: &[
            "card",
            "creditcard",
            "debitcard",
            "cardnumber",
            "ccnumber",
            "pan",
            "visa",
            "mastercard",
            "amex",
            "kreditkarte",
            "kartennummer",
            "tarjeta",
            "cartebancaire",
            "cartao",
            "cc",
            "diners",
            "jcb",
            "unionpay",
        ],
    },
    Spec {
        kind: "card",
        length: (12, 13),
        numeric: true,
        check: card_short,
        alone: Alone::Never,
        shapes: &[],
        words: &["card", "creditcard", "cardnumber", "ccnumber", "visa", "pan"],
    },
    Spec {
        kind: "iban",
        length: (15, 34),
        numeric: false,
        check: iban,
        alone: Alone::Always,
        shapes: &[
            "4-4-4-3",
            "4-4-4-4",
            "4-4-4-4-1",
            "4-4-4-4-2",
            "4-4-4-4-3",
            "4-4-4-4-4",
            "4-4-4-4-4-1",
            "4-4-4-4-4-2",
            "4-4-4-4-4-3",
            "4-4-4-4-4-4",
            "4-4-4-4-4-4-1",
            "4-4-4-4-4-4-2",
            "4-4-4-4-4-4-3",
            "4-4-4-4-4-4-4",
            "4-4-4-4-4-4-4-1",
            "4-4-4-4-4-4-4-2",
            "4-4-4-4-4-4-4-3",
        ],
        words: &["iban", "account", "bank", "konto", "compte", "cuenta", "conto"],
    },
    Spec {
        kind: "imei",
        length: (15, 15),
        numeric: true,
        check: luhn,
        alone: Alone::Never,
        shapes: &["2-6-6-1"],
        words: &["imei", "deviceid", "handset", "equipmentidentity"],
    },
    Spec {
        kind: "imei",
        length: (15, 15),
        numeric: true,
        // What most devices' type codes begin with: the two bodies that assign them.
        check: |text| matches!(number(text, 0, 2), 35 | 86) && luhn(text),
        alone: Alone::Always,
        shapes: &["2-6-6-1", "6-2-6-1", "8-6-1"],
        words: &[],
    },
    Spec {
        kind: "vin",
        length: (17, 17),
        numeric: false,
        check: vin,
        alone: Alone::Capitals,
        shapes: &[],
        words: &["vin", "vehicle", "chassis", "fahrgestell", "fin"],
    },
    Spec {
        kind: "passport",
        length: (7, 9),
        numeric: false,
        check: passport,
        alone: Alone::Never,
        shapes: &[],
        words: &[
            "passport",
            "reisepass",
            "passeport",
            "pasaporte",
            "passaporto",
            "passaporte",
            "paspoort",
        ],
    },
    Spec {
        kind: "passport",
        length: (9, 9),
        numeric: true,
        check: |text| text.len() == 9,
        alone: Alone::Never,
        shapes: &[],
        words: &["passport", "passportno", "passportnumber", "passeport", "pasaporte"],
    },
];

/// Issuers by ISO/IEC 7812, with the lengths that each uses.
fn card(text: &[u8]) -> bool {
    let (two, three, four) = (number(text, 0, 2), number(text, 0, 3), number(text, 0, 4));
    let lengths: &[usize] = match four {
        4000..=4999 => &[16, 19],
        2221..=2720 => &[16],
        2200..=2204 => &[16, 19],
        3528..=3589 => &[16, 19],
        6011 => &[16, 19],
        _ if (51..=55).contains(&two) => &[16],
        _ if two == 34 || two == 37 => &[15],
        _ if (300..=305).contains(&three) || [36, 38, 39].contains(&two) => &[14, 16, 19],
        _ if (644..=649).contains(&three) || [62, 65, 81, 60].contains(&two) => &[16, 17, 18, 19],
        _ if (50..=69).contains(&two) => &[16, 19],
        9792 => &[16],
        _ => &[],
    };
    lengths.contains(&text.len()) && luhn(text) && varied(text)
}

/// The issuers whose cards are met everywhere; the numbers of others are too often those of programs.
fn card_common(text: &[u8]) -> bool {
    let (two, four) = (number(text, 0, 2), number(text, 0, 4));
    let common = matches!(two, 34 | 36 | 37 | 38 | 40..=49 | 51..=55 | 62 | 65)
        || matches!(four, 2221..=2720 | 3000..=3059 | 3528..=3589 | 6011 | 6440..=6499);
    common && card(text)
}

fn card_short(text: &[u8]) -> bool {
    let two = number(text, 0, 2);
    let visa = text.len() == 13 && two / 10 == 4;
    (visa || (50..=69).contains(&two)) && luhn(text) && varied(text)
}

/// Whether three digits or more occur in it.
fn varied(text: &[u8]) -> bool {
    let seen = text.iter().fold(0_u32, |seen, byte| seen | 1 << (byte.wrapping_sub(b'0') & 15));
    seen.count_ones() > 2 || text.starts_with(b"4111") || text.starts_with(b"5555")
}

/// Countries' lengths by the IBAN registry.
const IBAN_LENGTHS: [(&[u8], usize); 89] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
    (b"HN", 28),
];

fn iban(text: &[u8]) -> bool {
    digits(text, 2, 2)
        && IBAN_LENGTHS
            .iter()
            .any(|(country, length)| text.starts_with(country) && text.len() == *length)
        && iban_rest(text) == 1
}

/// ISO 3779 with the check digit of 49 CFR 565.
fn vin(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'I' | b'O' | b'Q' => None,
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'R' => Some(u32::from(byte - b'J') + 1),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let sum: Option<u32> =
        text.iter().zip(WEIGHTS).map(|(byte, weight)| Some(value(*byte)? * weight)).sum();
    let is_check = |sum: u32| match sum % 11 {
        10 => byte(text, 8) == b'X',
        rest => base36(byte(text, 8)) == rest && byte(text, 8).is_ascii_digit(),
    };
    let some_letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count() >= 2;
    sum.is_some_and(is_check) && some_letters && digits(text, 14, 3)
}

fn passport(text: &[u8]) -> bool {
    let prefix = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    (1..=2).contains(&prefix)
        && letters(text, 0, prefix)
        && text.iter().skip(prefix).filter(|byte| byte.is_ascii_digit()).count() >= 5
}
