//! Phone numbers and dates of birth: no check digits, so that a word beside them must speak for them,
//! or the grouping of North America's numbering plan.

use super::{Alone, Spec};
use crate::tags::arithmetic::{byte, day_of_year, digits, number, part};

const PHONE: &[&str] = &[
    "phone",
    "phonenumber",
    "telephone",
    "tel",
    "mobile",
    "mobilenumber",
    "cellphone",
    "cellnumber",
    "fax",
    "telefon",
    "telefono",
    "telefone",
    "handynummer",
    "msisdn",
    "whatsapp",
    "电话",
    "手机",
    "電話",
    "전화",
];
const BIRTH: &[&str] = &[
    "dob",
    "dateofbirth",
    "birthdate",
    "birthday",
    "born",
    "birth",
    "geburtsdatum",
    "geboren",
    "naissance",
    "nacimiento",
    "nascita",
    "nascimento",
    "fodselsdato",
    "fodelsedatum",
    "geboortedatum",
    "urodzenia",
    "生年月日",
    "出生",
];

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "phone",
        length: (10, 10),
        numeric: true,
        check: north_american,
        alone: Alone::Never,
        shapes: &["3-3-4", "3 3-4"],
        words: PHONE,
    },
    Spec {
        kind: "phone",
        length: (11, 11),
        numeric: true,
        check: |text| byte(text, 0) == b'1' && north_american(part(text, 1, 10)),
        alone: Alone::Never,
        shapes: &["1-3-3-4", "1 3 3-4"],
        words: PHONE,
    },
    Spec {
        kind: "phone",
        length: (7, 15),
        numeric: true,
        // A day is none.
        check: |text| !date(text),
        alone: Alone::Never,
        shapes: &[],
        words: PHONE,
    },
    Spec {
        kind: "birth_date",
        length: (8, 8),
        numeric: true,
        check: date,
        alone: Alone::Never,
        shapes: &[],
        words: BIRTH,
    },
    Spec {
        kind: "birth_date",
        length: (8, 15),
        numeric: false,
        check: date_in_words,
        alone: Alone::Never,
        shapes: &[],
        words: BIRTH,
    },
];

/// Area and exchange begin with 2 to 9 and do not end with 11.
fn north_american(text: &[u8]) -> bool {
    let code = |from: usize| byte(text, from) > b'1' && part(text, from + 1, 2) != b"11";
    code(0) && code(3)
}

fn date(text: &[u8]) -> bool {
    let (first, second) = (number(text, 0, 2), number(text, 2, 2));
    let year = |year: u64| (1880..2040).contains(&year);
    let year_first =
        year(number(text, 0, 4)) && day_of_year(number(text, 4, 2), number(text, 6, 2));
    let year_last = year(number(text, 4, 4));
    year_first || year_last && (day_of_year(first, second) || day_of_year(second, first))
}

fn date_in_words(text: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV",
        b"DEC",
    ];
    let day = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.get(day..).unwrap_or_default();
    (1..=2).contains(&day)
        && MONTHS.iter().any(|month| rest.starts_with(month))
        && digits(text, text.len() - 4, 4)
}
