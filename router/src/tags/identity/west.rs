//! Identifiers of western and southern Europe.

use super::{Alone, Spec};
use crate::tags::arithmetic::{
    base36, byte, day_of_year, digit, digits, icao, letters, luhn, mod_11_10, number, part,
    verhoeff, weighted,
};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "gb_nhs",
        length: (10, 10),
        numeric: true,
        check: nhs,
        alone: Alone::Never,
        shapes: &["3 3 4"],
        words: &["nhs", "nhsnumber", "patient", "nationalhealth"],
    },
    Spec {
        kind: "gb_nino",
        length: (9, 9),
        numeric: false,
        check: nino,
        alone: Alone::Capitals,
        shapes: &["2-2-2-2-1", "2-6-1"],
        words: &["nino", "ni", "nationalinsurance", "nin"],
    },
    Spec {
        kind: "gb_utr",
        length: (10, 10),
        numeric: true,
        check: utr,
        alone: Alone::Never,
        shapes: &[],
        words: &["utr", "uniquetaxpayer", "selfassessment"],
    },
    Spec {
        kind: "ie_pps",
        length: (8, 9),
        numeric: false,
        check: pps,
        alone: Alone::Capitals,
        shapes: &[],
        words: &["pps", "ppsn", "personalpublicservice"],
    },
    Spec {
        kind: "de_steuer_id",
        length: (11, 11),
        numeric: true,
        check: steuer_id,
        alone: Alone::Always,
        shapes: &["2 3 3 3"],
        words: &[
            "steuerid",
            "steueridentif",
            "idnr",
            "tin",
            "steuernummer",
            "steuer",
            "identifikationsnummer",
        ],
    },
    Spec {
        kind: "de_rentenversicherung",
        length: (12, 12),
        numeric: false,
        check: pension,
        alone: Alone::Capitals,
        shapes: &["2-6-1-3", "2-6-1-2-1"],
        words: &[
            "rentenversicherung",
            "sozialversicherung",
            "versicherungsnummer",
            "rvnr",
            "svnr",
            "rvn",
        ],
    },
    Spec {
        kind: "de_personalausweis",
        length: (10, 10),
        numeric: false,
        check: identity_card,
        alone: Alone::Never,
        shapes: &[],
        words: &["personalausweis", "ausweis", "ausweisnummer", "perso", "reisepass", "passport"],
    },
    Spec {
        kind: "at_svnr",
        length: (10, 10),
        numeric: true,
        check: svnr,
        alone: Alone::Never,
        shapes: &["4 6", "4-6"],
        words: &["svnr", "sozialversicherung", "versicherungsnummer", "svn", "ecard", "vsnr"],
    },
    Spec {
        kind: "ch_ahv",
        length: (13, 13),
        numeric: true,
        check: ahv,
        alone: Alone::Always,
        shapes: &["3.4.4.2", "3 4 4 2"],
        words: &["ahv", "avs", "ahvnr", "sozialversicherung", "navs", "ahvnummer"],
    },
    Spec {
        kind: "nl_bsn",
        length: (8, 9),
        numeric: true,
        check: bsn,
        alone: Alone::Never,
        shapes: &[],
        words: &["bsn", "burgerservice", "sofi", "sofinummer"],
    },
    Spec {
        kind: "be_national_number",
        length: (11, 11),
        numeric: true,
        check: belgian,
        alone: Alone::Always,
        shapes: &["2.2.2-3.2", "6-3-2", "2-2-2-3-2"],
        words: &[
            "rijksregister",
            "registrenational",
            "nationalnumber",
            "insz",
            "niss",
            "rrn",
            "nrn",
        ],
    },
    Spec {
        kind: "lu_national_id",
        length: (13, 13),
        numeric: true,
        check: luxembourg,
        alone: Alone::Always,
        shapes: &["8-5", "4-2-2-5", "4-2-2-3-2"],
        words: &["matricule", "luxembourg"],
    },
    Spec {
        kind: "fr_nir",
        length: (15, 15),
        numeric: false,
        check: nir,
        alone: Alone::Always,
        shapes: &["1 2 2 2 3 3 2", "13 2", "1 2 2 2 3 3 1 1", "1 2 2 5 3 2"],
        words: &[
            "nir",
            "insee",
            "securitesociale",
            "secu",
            "numerodesecu",
            "cartevitale",
            "vitale",
        ],
    },
    Spec {
        kind: "it_codice_fiscale",
        length: (16, 16),
        numeric: false,
        check: codice_fiscale,
        alone: Alone::Always,
        shapes: &["3-3-5-5", "6-5-5", "3-3-2-1-2-4-1"],
        words: &["codicefiscale", "cf", "fiscale", "codfisc"],
    },
    Spec {
        kind: "it_partita_iva",
        length: (11, 11),
        numeric: true,
        check: luhn,
        alone: Alone::Never,
        shapes: &[],
        words: &["partitaiva", "piva", "iva"],
    },
    Spec {
        kind: "es_dni",
        length: (9, 9),
        numeric: false,
        check: dni,
        alone: Alone::Capitals,
        shapes: &["8-1", "2.3.3-1", "2 3 3 1"],
        words: &["dni", "nif", "documentonacional"],
    },
    Spec {
        kind: "es_nie",
        length: (9, 9),
        numeric: false,
        check: nie,
        alone: Alone::Capitals,
        shapes: &["1-7-1", "1-1.3.3-1"],
        words: &["nie", "extranjero", "nif"],
    },
    Spec {
        kind: "pt_nif",
        length: (9, 9),
        numeric: true,
        check: nif,
        alone: Alone::Never,
        shapes: &[],
        words: &["nif", "contribuinte", "nipc", "numerofiscal"],
    },
    Spec {
        kind: "gr_afm",
        length: (9, 9),
        numeric: true,
        check: afm,
        alone: Alone::Never,
        shapes: &[],
        words: &["afm", "αφμ"],
    },
    Spec {
        kind: "gr_amka",
        length: (11, 11),
        numeric: true,
        check: |text| day_of_year(number(text, 2, 2), number(text, 0, 2)) && luhn(text),
        alone: Alone::Always,
        shapes: &[],
        words: &["amka", "αμκα"],
    },
];

fn nhs(text: &[u8]) -> bool {
    let check = (11 - weighted(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    check == digit(text, 9) && number(text, 0, 9) > 0
}

fn nino(text: &[u8]) -> bool {
    let (one, two) = (byte(text, 0), byte(text, 1));
    letters(text, 0, 2)
        && digits(text, 2, 6)
        && matches!(byte(text, 8), b'A'..=b'D')
        && !b"DFIQUV".contains(&one)
        && !b"DFIOQUV".contains(&two)
        && ![&b"BG"[..], b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&part(text, 0, 2))
}

fn utr(text: &[u8]) -> bool {
    let rest = weighted(text.get(1..).unwrap_or_default(), &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    byte(b"21987654321", rest as usize) == byte(text, 0)
}

fn pps(text: &[u8]) -> bool {
    let second = if text.len() == 9 { base36(byte(text, 8)).saturating_sub(9) * 9 } else { 0 };
    let second = if byte(text, 8) == b'W' { 0 } else { second };
    let rest = (weighted(text, &[8, 7, 6, 5, 4, 3, 2]) + second) % 23;
    digits(text, 0, 7)
        && letters(text, 7, text.len() - 7)
        && byte(b"WABCDEFGHIJKLMNOPQRSTUV", rest as usize) == byte(text, 7)
        && matches!(byte(text, 8), 0 | b'A'..=b'I' | b'W')
}

/// One digit of the first ten stands there twice or three times, the others at most once.
fn steuer_id(text: &[u8]) -> bool {
    let times = |digit: u8| text.iter().take(10).filter(|byte| **byte == digit).count();
    let more: Vec<usize> = (b'0'..=b'9').map(times).filter(|times| *times > 1).collect();
    byte(text, 0) != b'0' && matches!(more.as_slice(), [2 | 3]) && mod_11_10(text)
}

fn pension(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    if !(digits(text, 0, 8) && letters(text, 8, 1) && digits(text, 9, 3)) {
        return false;
    }
    let letter = base36(byte(text, 8)) - 9;
    let body = part(text, 0, 8).iter().map(|byte| u32::from(byte - b'0'));
    let tail = part(text, 9, 2).iter().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = body
        .chain([letter / 10, letter % 10])
        .chain(tail)
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    let day = number(text, 2, 2);
    day_of_year(number(text, 4, 2), if day > 50 { day - 50 } else { day })
        && sum % 10 == digit(text, 11)
}

/// Nine signs and ICAO's digit.
fn identity_card(text: &[u8]) -> bool {
    let (body, check) = (part(text, 0, 9), byte(text, 9));
    check.is_ascii_digit()
        && byte(text, 0).is_ascii_alphabetic()
        && body.iter().all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte))
        && icao(body) == u32::from(check - b'0')
}

fn svnr(text: &[u8]) -> bool {
    let rest = weighted(text, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
    let (day, month) = (number(text, 4, 2), number(text, 6, 2));
    rest == digit(text, 3)
        && byte(text, 0) != b'0'
        && (1..=31).contains(&day)
        && (1..=15).contains(&month)
}

fn ahv(text: &[u8]) -> bool {
    text.starts_with(b"756")
        && weighted(text, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

fn bsn(text: &[u8]) -> bool {
    let shift = 9 - text.len();
    let weights: &[u32] = &[9, 8, 7, 6, 5, 4, 3, 2, 10];
    // The last weighs -1, which is 10 by 11.
    number(text, 0, text.len()) > 9_999_999
        && weighted(text, weights.get(shift..).unwrap_or_default()).is_multiple_of(11)
}

fn belgian(text: &[u8]) -> bool {
    let (body, check) = (number(text, 0, 9), number(text, 9, 2));
    let month = number(text, 2, 2) % 20;
    let known = month == 0 || number(text, 4, 2) == 0 || day_of_year(month, number(text, 4, 2));
    known && body > 0 && [body, body + 2_000_000_000].iter().any(|body| 97 - body % 97 == check)
}

fn luxembourg(text: &[u8]) -> bool {
    let (year, body) = (number(text, 0, 4), part(text, 0, 11));
    let last = [body, part(text, 12, 1)].concat();
    (1850..2100).contains(&year)
        && day_of_year(number(text, 4, 2), number(text, 6, 2))
        && luhn(part(text, 0, 12))
        && verhoeff(&last)
}

fn nir(text: &[u8]) -> bool {
    let corsica = match part(text, 5, 2) {
        b"2A" => Some(19),
        b"2B" => Some(18),
        _ => None,
    };
    let month = number(text, 3, 2);
    let plain =
        digits(text, 0, 5) && digits(text, 7, 8) && (corsica.is_some() || digits(text, 5, 2));
    let area = corsica.unwrap_or(number(text, 5, 2));
    let body = (number(text, 0, 5) * 100 + area) * 1_000_000 + number(text, 7, 6);
    plain
        && b"123478".contains(&byte(text, 0))
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - body % 97 == number(text, 13, 2)
}

fn codice_fiscale(text: &[u8]) -> bool {
    // Values of 0 to 9 and A to Z at odd places; digits are as the letters A to J.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let is_number =
        |at: usize| byte(text, at).is_ascii_digit() || b"LMNPQRSTUV".contains(&byte(text, at));
    let form = letters(text, 0, 6)
        && [6, 7, 9, 10, 12, 13, 14].into_iter().all(is_number)
        && b"ABCDEHLMPRST".contains(&byte(text, 8))
        && letters(text, 11, 1)
        && letters(text, 15, 1);
    let value =
        |byte: u8| base36(byte).checked_sub(10).unwrap_or(u32::from(byte.wrapping_sub(b'0')));
    let sum: u32 = part(text, 0, 15)
        .iter()
        .map(|byte| value(*byte))
        .enumerate()
        .map(
            |(place, value)| {
                if place % 2 == 0 { ODD.get(value as usize).copied().unwrap_or(0) } else { value }
            },
        )
        .sum();
    form && sum % 26 == value(byte(text, 15))
}

fn dni_letter(number: u64) -> u8 {
    byte(b"TRWAGMYFPDXBNJZSQVHLCKE", (number % 23) as usize)
}

fn dni(text: &[u8]) -> bool {
    digits(text, 0, 8) && dni_letter(number(text, 0, 8)) == byte(text, 8)
}

fn nie(text: &[u8]) -> bool {
    let prefix = match byte(text, 0) {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return false,
    };
    digits(text, 1, 7) && dni_letter(prefix * 10_000_000 + number(text, 1, 7)) == byte(text, 8)
}

fn nif(text: &[u8]) -> bool {
    let rest = weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    check == digit(text, 8) && b"1235689".contains(&byte(text, 0))
        || check == digit(text, 8) && text.starts_with(b"45")
}

fn afm(text: &[u8]) -> bool {
    weighted(text, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == digit(text, 8)
        && number(text, 0, 9) > 0
}
