//! Identifiers of the Americas.

use super::{Alone, Spec};
use crate::tags::arithmetic::{
    base36, byte, day_of_year, digit, digits, letters, luhn, luhn_sum, number, part, weighted,
};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "us_ssn",
        length: (9, 9),
        numeric: true,
        check: ssn,
        alone: Alone::Never,
        shapes: &["3-2-4"],
        words: &["ssn", "socialsecurity", "social", "socsec", "ssno"],
    },
    Spec {
        kind: "us_itin",
        length: (9, 9),
        numeric: true,
        check: itin,
        alone: Alone::Never,
        shapes: &["3-2-4"],
        words: &["itin", "taxpayer", "tin", "ssn"],
    },
    Spec {
        kind: "us_ein",
        length: (9, 9),
        numeric: true,
        check: ein,
        alone: Alone::Never,
        shapes: &[],
        words: &["ein", "fein", "employeridentification", "federaltax"],
    },
    Spec {
        kind: "us_npi",
        length: (10, 10),
        numeric: true,
        // Luhn's sum with the prefix 80840 before it, which adds 24.
        check: |text| {
            matches!(byte(text, 0), b'1' | b'2') && (luhn_sum(text) + 24).is_multiple_of(10)
        },
        alone: Alone::Never,
        shapes: &[],
        words: &["npi", "nationalprovider"],
    },
    Spec {
        kind: "us_aba_routing",
        length: (9, 9),
        numeric: true,
        check: routing,
        alone: Alone::Never,
        shapes: &[],
        words: &["aba", "routing", "rtn", "routingnumber", "transit"],
    },
    Spec {
        kind: "us_dea",
        length: (9, 9),
        numeric: false,
        check: dea,
        alone: Alone::Never,
        shapes: &[],
        words: &["dea", "prescriber", "deanumber"],
    },
    Spec {
        kind: "us_mbi",
        length: (11, 11),
        numeric: false,
        check: medicare_beneficiary,
        alone: Alone::Capitals,
        shapes: &["4-3-4"],
        words: &["mbi", "medicare", "beneficiary"],
    },
    Spec {
        kind: "ca_sin",
        length: (9, 9),
        numeric: true,
        check: |text| {
            luhn(text) && !matches!(byte(text, 0), b'0' | b'8')
                || luhn(text) && text.starts_with(b"046")
        },
        alone: Alone::Never,
        shapes: &["3-3-3"],
        words: &["sin", "socialinsurance", "nas", "assurancesociale"],
    },
    Spec {
        kind: "mx_curp",
        length: (18, 18),
        numeric: false,
        check: curp,
        alone: Alone::Always,
        shapes: &[],
        words: &["curp"],
    },
    Spec {
        kind: "mx_rfc",
        length: (12, 13),
        numeric: false,
        check: rfc,
        alone: Alone::Capitals,
        shapes: &["4-6-3", "3-6-3"],
        words: &["rfc", "registrofederal"],
    },
    Spec {
        kind: "mx_rfc",
        length: (12, 13),
        numeric: false,
        // Not all that were given out have the check digit.
        check: rfc_form,
        alone: Alone::Never,
        shapes: &[],
        words: &["rfc", "registrofederal"],
    },
    Spec {
        kind: "mx_clabe",
        length: (18, 18),
        numeric: true,
        check: clabe,
        alone: Alone::Never,
        shapes: &["3-3-11-1"],
        words: &["clabe", "interbancaria"],
    },
    Spec {
        kind: "mx_nss",
        length: (11, 11),
        numeric: true,
        check: luhn,
        alone: Alone::Never,
        shapes: &[],
        words: &["nss", "imss", "segurosocial"],
    },
    Spec {
        kind: "br_cpf",
        length: (11, 11),
        numeric: true,
        check: cpf,
        alone: Alone::Always,
        shapes: &["3.3.3-2"],
        words: &["cpf", "cadastrodepessoas"],
    },
    Spec {
        kind: "br_cnpj",
        length: (14, 14),
        numeric: false,
        check: cnpj,
        alone: Alone::Always,
        shapes: &["2.3.3/4-2"],
        words: &["cnpj"],
    },
    Spec {
        kind: "br_pis",
        length: (11, 11),
        numeric: true,
        check: pis,
        alone: Alone::Never,
        shapes: &["3.5.2-1"],
        words: &["pis", "pasep", "nis", "nit", "pispasep"],
    },
    Spec {
        kind: "cl_rut",
        length: (8, 9),
        numeric: false,
        check: rut,
        alone: Alone::Never,
        shapes: &["2.3.3-1", "1.3.3-1", "8-1", "7-1"],
        words: &["rut", "rolunico"],
    },
    Spec {
        kind: "ar_cuit",
        length: (11, 11),
        numeric: true,
        check: cuit,
        alone: Alone::Always,
        shapes: &["2-8-1"],
        words: &["cuit", "cuil"],
    },
    Spec {
        kind: "co_nit",
        length: (9, 10),
        numeric: true,
        check: nit,
        alone: Alone::Never,
        shapes: &["3.3.3-1"],
        words: &["nit"],
    },
    Spec {
        kind: "uy_ci",
        length: (8, 8),
        numeric: true,
        check: |text| (10 - weighted(text, &[2, 9, 8, 7, 6, 3, 4]) % 10) % 10 == digit(text, 7),
        alone: Alone::Never,
        shapes: &["1.3.3-1"],
        words: &["cedula"],
    },
    Spec {
        kind: "ec_cedula",
        length: (10, 10),
        numeric: true,
        check: |text| matches!(number(text, 0, 2), 1..=24 | 30) && luhn(text),
        alone: Alone::Never,
        shapes: &[],
        words: &["cedula"],
    },
    Spec {
        kind: "do_cedula",
        length: (11, 11),
        numeric: true,
        check: luhn,
        alone: Alone::Never,
        shapes: &["3-7-1"],
        words: &["cedula"],
    },
];

fn ssn(text: &[u8]) -> bool {
    let area = number(text, 0, 3);
    (1..900).contains(&area) && area != 666 && number(text, 3, 2) > 0 && number(text, 5, 4) > 0
}

fn itin(text: &[u8]) -> bool {
    byte(text, 0) == b'9' && matches!(number(text, 3, 2), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn ein(text: &[u8]) -> bool {
    !matches!(number(text, 0, 2), 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97)
}

fn routing(text: &[u8]) -> bool {
    weighted(text, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

fn dea(text: &[u8]) -> bool {
    let odd = digit(text, 2) + digit(text, 4) + digit(text, 6);
    let even = digit(text, 3) + digit(text, 5) + digit(text, 7);
    byte(text, 0).is_ascii_alphabetic()
        && byte(text, 1).is_ascii_alphanumeric()
        && digits(text, 2, 7)
        && (odd + 2 * even) % 10 == digit(text, 8)
}

/// CMS' form: C A AN N A AN N A A N N, without S, L, O, I, B and Z.
fn medicare_beneficiary(text: &[u8]) -> bool {
    let letter = |at| letters(text, at, 1) && !b"SLOIBZ".contains(&byte(text, at));
    let number = |at| digits(text, at, 1);
    byte(text, 0) != b'0'
        && [0, 3, 6, 9, 10].into_iter().all(number)
        && [1, 4, 7, 8].into_iter().all(letter)
        && [2, 5].into_iter().all(|at| letter(at) || number(at))
}

fn curp(text: &[u8]) -> bool {
    // N with tilde stands between N and O, so that O and all after it are one more.
    let value = |byte: u8| base36(byte) + u32::from(byte >= b'O');
    let sum: u32 =
        part(text, 0, 17).iter().zip(1..).map(|(byte, place)| value(*byte) * (19 - place)).sum();
    letters(text, 0, 4)
        && digits(text, 4, 6)
        && day_of_year(number(text, 6, 2), number(text, 8, 2))
        && b"HMX".contains(&byte(text, 10))
        && letters(text, 11, 5)
        && digits(text, 17, 1)
        && (10 - sum % 10) % 10 == digit(text, 17)
}

fn rfc(text: &[u8]) -> bool {
    let initials = text.len() - 9;
    let value = |byte: u8| base36(byte) + u32::from(byte >= b'O');
    // A company's has a space before it, which counts 37.
    let sum: u32 = if initials == 3 { 37 * 13 } else { 0 };
    let sum = sum
        + part(text, 0, text.len() - 1)
            .iter()
            .rev()
            .zip(2..)
            .map(|(byte, weight)| value(*byte) * weight)
            .sum::<u32>();
    let check = match 11 - sum % 11 {
        11 => b'0',
        10 => b'A',
        other => b'0' + other as u8,
    };
    rfc_form(text) && check == byte(text, text.len() - 1)
}

fn rfc_form(text: &[u8]) -> bool {
    let initials = text.len() - 9;
    letters(text, 0, initials)
        && digits(text, initials, 6)
        && day_of_year(number(text, initials + 2, 2), number(text, initials + 4, 2))
}

fn clabe(text: &[u8]) -> bool {
    let sum: u32 = text
        .iter()
        .take(17)
        .zip([3, 7, 1].iter().cycle())
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight % 10)
        .sum();
    (10 - sum % 10) % 10 == digit(text, 17)
}

/// The digit by 11 that Brazil uses: 0 where the rest is below 2.
fn brazilian(sum: u32) -> u32 {
    if sum % 11 < 2 { 0 } else { 11 - sum % 11 }
}

fn cpf(text: &[u8]) -> bool {
    let same = text.iter().all(|digit| Some(digit) == text.first());
    !same
        && brazilian(weighted(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(text, 9)
        && brazilian(weighted(text, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(text, 10)
}

/// Letters are permitted in the first twelve since 2026; a sign's value is its code less 48.
fn cnpj(text: &[u8]) -> bool {
    const WEIGHTS: &[u32] = &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let first = brazilian(weighted(text, WEIGHTS.get(1..).unwrap_or_default()));
    let same = text.iter().all(|digit| Some(digit) == text.first());
    digits(text, 12, 2)
        && (digits(text, 0, 12) || digits(text, 8, 4))
        && !same
        && first == digit(text, 12)
        && brazilian(weighted(text, WEIGHTS)) == digit(text, 13)
}

fn pis(text: &[u8]) -> bool {
    brazilian(weighted(text, &[3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(text, 10)
        && number(text, 0, 10) > 0
}

fn rut(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].iter().cycle())
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight)
        .sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        other => b'0' + other as u8,
    };
    body.iter().all(u8::is_ascii_digit) && byte(text, 0) != b'0' && expected == *check
}

fn cuit(text: &[u8]) -> bool {
    let rest = weighted(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = match 11 - rest {
        11 => 0,
        10 => 9,
        other => other,
    };
    matches!(number(text, 0, 2), 20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34)
        && check == digit(text, 10)
}

fn nit(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .rev()
        .zip([3, 7, 13, 17, 19, 23, 29, 37, 41])
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight)
        .sum();
    let rest = sum % 11;
    (if rest < 2 { rest } else { 11 - rest }) == u32::from(check.wrapping_sub(b'0'))
}
