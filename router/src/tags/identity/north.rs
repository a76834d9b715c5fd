//! Identifiers of northern Europe and the Baltic states.

use super::{Alone, Spec};
use crate::tags::arithmetic::{byte, day_of_year, digit, digits, luhn, number, weighted};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "se_personnummer",
        length: (10, 12),
        numeric: true,
        check: swedish,
        alone: Alone::Never,
        shapes: &["6-4", "8-4", "6+4"],
        words: &["personnummer", "pnr", "personnr", "samordningsnummer", "swedishid"],
    },
    Spec {
        kind: "se_personnummer",
        length: (12, 12),
        numeric: true,
        check: swedish,
        alone: Alone::Always,
        shapes: &[],
        words: &[],
    },
    Spec {
        kind: "no_fodselsnummer",
        length: (11, 11),
        numeric: true,
        check: norwegian,
        alone: Alone::Always,
        shapes: &["6 5"],
        words: &["fodselsnummer", "fodselsnr", "fnr", "personnummer", "dnummer"],
    },
    Spec {
        kind: "dk_cpr",
        length: (10, 10),
        numeric: true,
        check: danish,
        alone: Alone::Never,
        shapes: &["6-4"],
        words: &["cpr", "cprnr", "cprnummer", "personnummer"],
    },
    Spec {
        kind: "dk_cpr",
        length: (10, 10),
        numeric: true,
        check: |text| day_of_year(number(text, 2, 2), number(text, 0, 2)),
        alone: Alone::Never,
        shapes: &[],
        words: &["cpr", "cprnr", "cprnummer"],
    },
    Spec {
        kind: "fi_hetu",
        length: (11, 11),
        numeric: false,
        check: finnish,
        alone: Alone::Always,
        shapes: &[],
        words: &["hetu", "henkilotunnus", "sotu"],
    },
    Spec {
        kind: "fi_hetu",
        length: (10, 10),
        numeric: false,
        check: finnish,
        alone: Alone::Never,
        shapes: &["6-4", "6+4"],
        words: &["hetu", "henkilotunnus", "sotu"],
    },
    Spec {
        kind: "is_kennitala",
        length: (10, 10),
        numeric: true,
        check: icelandic,
        alone: Alone::Never,
        shapes: &["6-4"],
        words: &["kennitala", "kt"],
    },
    Spec {
        kind: "ee_isikukood",
        length: (11, 11),
        numeric: true,
        check: baltic,
        alone: Alone::Always,
        shapes: &[],
        words: &["isikukood", "ik"],
    },
    Spec {
        kind: "lt_asmens_kodas",
        length: (11, 11),
        numeric: true,
        check: baltic,
        alone: Alone::Always,
        shapes: &[],
        words: &["asmenskodas", "ak"],
    },
    Spec {
        kind: "lv_personas_kods",
        length: (11, 11),
        numeric: true,
        check: latvian,
        alone: Alone::Never,
        shapes: &["6-5"],
        words: &["personaskods"],
    },
];

fn swedish(text: &[u8]) -> bool {
    let short = match text.len() {
        10 => text,
        12 if text.starts_with(b"19") || text.starts_with(b"20") => {
            text.get(2..).unwrap_or_default()
        }
        _ => return false,
    };
    let day = number(short, 4, 2);
    day_of_year(number(short, 2, 2), if day > 60 { day - 60 } else { day }) && luhn(short)
}

fn norwegian(text: &[u8]) -> bool {
    let (day, month) = (number(text, 0, 2), number(text, 2, 2));
    let day = if day > 40 { day - 40 } else { day };
    day_of_year(if month > 40 { month - 40 } else { month }, day)
        && weighted(text, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn danish(text: &[u8]) -> bool {
    day_of_year(number(text, 2, 2), number(text, 0, 2))
        && weighted(text, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// With the sign of the century (eleven), or without where it is `-` or `+` (ten).
fn finnish(text: &[u8]) -> bool {
    let from = match (text.len(), byte(text, 6)) {
        (10, _) => 6,
        (11, b'A'..=b'F' | b'U'..=b'Y') => 7,
        _ => return false,
    };
    let rest = (number(text, 0, 6) * 1000 + number(text, from, 3)) % 31;
    digits(text, 0, 6)
        && digits(text, from, 3)
        && day_of_year(number(text, 2, 2), number(text, 0, 2))
        && byte(b"0123456789ABCDEFHJKLMNPRSTUVWXY", rest as usize) == byte(text, from + 3)
}

fn icelandic(text: &[u8]) -> bool {
    let day = number(text, 0, 2);
    day_of_year(number(text, 2, 2), if day > 40 { day - 40 } else { day })
        && matches!(byte(text, 9), b'8' | b'9' | b'0')
        && weighted(text, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Estonia's and Lithuania's.
fn baltic(text: &[u8]) -> bool {
    let first = weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(text, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    (1..=8).contains(&digit(text, 0))
        && day_of_year(number(text, 3, 2), number(text, 5, 2))
        && check == digit(text, 10)
}

fn latvian(text: &[u8]) -> bool {
    let sum = weighted(text, &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let day = number(text, 0, 2);
    (day == 32 || day_of_year(number(text, 2, 2), day))
        && (1101 - sum.min(1101)) % 11 % 10 == digit(text, 10)
}
