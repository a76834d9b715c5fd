//! Identifiers of central, eastern and south-eastern Europe, and of Turkey.

use super::{Alone, Spec};
use crate::tags::arithmetic::{byte, day_of_year, digit, mod_11_10, number, part, weighted};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "pl_pesel",
        length: (11, 11),
        numeric: true,
        check: pesel,
        alone: Alone::Always,
        shapes: &[],
        words: &["pesel"],
    },
    Spec {
        kind: "pl_nip",
        length: (10, 10),
        numeric: true,
        check: nip,
        alone: Alone::Never,
        shapes: &["3-3-2-2", "3-2-2-3"],
        words: &["nip", "podatnik", "numeridentyfikacjipodatkowej"],
    },
    Spec {
        kind: "cz_rodne_cislo",
        length: (10, 10),
        numeric: true,
        check: birth_number,
        alone: Alone::Never,
        shapes: &["6-4"],
        words: &["rodnecislo", "rc", "birthnumber"],
    },
    Spec {
        kind: "cz_rodne_cislo",
        length: (9, 9),
        numeric: true,
        check: birth_date,
        alone: Alone::Never,
        shapes: &[],
        words: &["rodnecislo", "rc", "birthnumber"],
    },
    Spec {
        kind: "ro_cnp",
        length: (13, 13),
        numeric: true,
        check: cnp,
        alone: Alone::Always,
        shapes: &[],
        words: &["cnp", "codnumericpersonal"],
    },
    Spec {
        kind: "bg_egn",
        length: (10, 10),
        numeric: true,
        check: egn,
        alone: Alone::Never,
        shapes: &[],
        words: &["egn", "егн", "edinengrazhdanskinomer"],
    },
    Spec {
        kind: "hr_oib",
        length: (11, 11),
        numeric: true,
        check: mod_11_10,
        alone: Alone::Always,
        shapes: &[],
        words: &["oib", "osobniidentifikacijskibroj"],
    },
    Spec {
        kind: "rs_jmbg",
        length: (13, 13),
        numeric: true,
        check: jmbg,
        alone: Alone::Always,
        shapes: &[],
        words: &["jmbg", "emso", "jedinstvenimaticnibroj"],
    },
    Spec {
        kind: "hu_taj",
        length: (9, 9),
        numeric: true,
        check: |text| weighted(text, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == digit(text, 8),
        alone: Alone::Never,
        shapes: &[],
        words: &["taj", "tajszam"],
    },
    Spec {
        kind: "hu_adoazonosito",
        length: (10, 10),
        numeric: true,
        check: |text| {
            text.starts_with(b"8")
                && weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == digit(text, 9)
        },
        alone: Alone::Never,
        shapes: &[],
        words: &["adoazonosito", "adoszam"],
    },
    Spec {
        kind: "ua_rnokpp",
        length: (10, 10),
        numeric: true,
        check: ukrainian,
        alone: Alone::Never,
        shapes: &[],
        words: &["rnokpp", "ipn", "іпн", "рнокпп"],
    },
    Spec {
        kind: "ru_inn",
        length: (12, 12),
        numeric: true,
        check: inn,
        alone: Alone::Always,
        shapes: &[],
        words: &["inn", "инн"],
    },
    Spec {
        kind: "ru_snils",
        length: (11, 11),
        numeric: true,
        check: snils,
        alone: Alone::Always,
        shapes: &["3-3-3 2"],
        words: &["snils", "снилс"],
    },
    Spec {
        kind: "kz_iin",
        length: (12, 12),
        numeric: true,
        check: kazakh,
        alone: Alone::Always,
        shapes: &[],
        words: &["iin", "иин"],
    },
    Spec {
        kind: "tr_kimlik",
        length: (11, 11),
        numeric: true,
        check: turkish,
        alone: Alone::Always,
        shapes: &[],
        words: &["kimlik", "tckn", "tckimlik", "tc", "turkishid"],
    },
];

fn pesel(text: &[u8]) -> bool {
    let month = number(text, 2, 2) % 20;
    day_of_year(month, number(text, 4, 2))
        && weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

fn nip(text: &[u8]) -> bool {
    weighted(text, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == digit(text, 9)
}

fn birth_date(text: &[u8]) -> bool {
    let month = match number(text, 2, 2) {
        month @ 71..=82 => month - 70,
        month @ 51..=62 => month - 50,
        month @ 21..=32 => month - 20,
        month => month,
    };
    day_of_year(month, number(text, 4, 2))
}

fn birth_number(text: &[u8]) -> bool {
    let rest = number(text, 0, 9) % 11;
    birth_date(text) && rest % 10 == u64::from(digit(text, 9))
}

fn cnp(text: &[u8]) -> bool {
    let rest = weighted(text, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    (1..=9).contains(&digit(text, 0))
        && day_of_year(number(text, 3, 2), number(text, 5, 2))
        && matches!(number(text, 7, 2), 1..=52 | 70)
        && (if rest == 10 { 1 } else { rest }) == digit(text, 12)
}

fn egn(text: &[u8]) -> bool {
    let month = match number(text, 2, 2) {
        month @ 41.. => month - 40,
        month @ 21.. => month - 20,
        month => month,
    };
    day_of_year(month, number(text, 4, 2))
        && weighted(text, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == digit(text, 9)
}

fn jmbg(text: &[u8]) -> bool {
    let rest = weighted(text, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest == 0 { Some(0) } else { (11 - rest < 10).then_some(11 - rest) };
    day_of_year(number(text, 2, 2), number(text, 0, 2))
        && matches!(byte(text, 4), b'9' | b'0')
        && check == Some(digit(text, 12))
}

/// Its weights are -1, 5, 7, 9, 4, 6, 10, 5, 7; -1 is 10 by 11.
fn ukrainian(text: &[u8]) -> bool {
    weighted(text, &[10, 5, 7, 9, 4, 6, 10, 5, 7]) % 11 % 10 == digit(text, 9)
        && number(text, 0, 5) > 10_000
}

fn inn(text: &[u8]) -> bool {
    weighted(text, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == digit(text, 10)
        && weighted(text, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == digit(text, 11)
        && number(text, 0, 2) > 0
        && number(text, 0, 10) > 0
}

fn snils(text: &[u8]) -> bool {
    let rest = weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101;
    u64::from(if rest == 100 { 0 } else { rest }) == number(text, 9, 2) && number(text, 0, 9) > 0
}

fn kazakh(text: &[u8]) -> bool {
    let first = weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11;
    let second = weighted(text, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11;
    let check = if first == 10 { second } else { first };
    day_of_year(number(text, 2, 2), number(text, 4, 2)) && check == digit(text, 11)
}

fn turkish(text: &[u8]) -> bool {
    let odd: u32 = [0, 2, 4, 6, 8].iter().map(|at| digit(text, *at)).sum();
    let even: u32 = [1, 3, 5, 7].iter().map(|at| digit(text, *at)).sum();
    let sum: u32 = part(text, 0, 10).iter().map(|byte| u32::from(byte.wrapping_sub(b'0'))).sum();
    byte(text, 0) != b'0'
        && (7 * odd + 90 - even) % 10 == digit(text, 9)
        && sum % 10 == digit(text, 10)
}
