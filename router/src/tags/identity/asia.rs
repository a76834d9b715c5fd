//! Identifiers of Asia.

use super::{Alone, Spec};
use crate::tags::arithmetic::{
    base36, byte, day_of_year, digit, digits, letters, luhn, number, part, verhoeff, weighted,
};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "in_aadhaar",
        length: (12, 12),
        numeric: true,
        check: |text| byte(text, 0) > b'1' && verhoeff(text),
        alone: Alone::Always,
        shapes: &["4 4 4"],
        words: &["aadhaar", "aadhar", "adhaar", "uidai", "uid", "आधार"],
    },
    Spec {
        kind: "in_pan",
        length: (10, 10),
        numeric: false,
        check: pan,
        alone: Alone::Capitals,
        shapes: &[],
        words: &["pan", "permanentaccount", "pannumber"],
    },
    Spec {
        kind: "cn_resident_id",
        length: (18, 18),
        numeric: false,
        check: resident,
        alone: Alone::Always,
        shapes: &["6-8-4", "6-4-4-4"],
        words: &["shenfenzheng", "身份证", "公民身份", "residentidentity", "chineseid", "idcard"],
    },
    Spec {
        kind: "kr_rrn",
        length: (13, 13),
        numeric: true,
        check: korean,
        alone: Alone::Always,
        shapes: &["6-7"],
        words: &["rrn", "주민등록번호", "residentregistration", "jumin"],
    },
    Spec {
        kind: "kr_rrn",
        length: (13, 13),
        numeric: true,
        // Since October 2020 the last digits are random.
        check: |text| day_of_year(number(text, 2, 2), number(text, 4, 2)),
        alone: Alone::Never,
        shapes: &[],
        words: &["rrn", "주민등록번호", "residentregistration", "jumin"],
    },
    Spec {
        kind: "jp_my_number",
        length: (12, 12),
        numeric: true,
        check: |text| byte(text, 0) != b'0' && my_number(text),
        alone: Alone::Always,
        shapes: &["4-4-4"],
        words: &["mynumber", "マイナンバー", "個人番号", "kojinbango", "individualnumber"],
    },
    Spec {
        kind: "jp_my_number",
        length: (12, 12),
        numeric: true,
        check: my_number,
        alone: Alone::Never,
        shapes: &[],
        words: &["mynumber", "マイナンバー", "個人番号", "kojinbango", "individualnumber"],
    },
    Spec {
        kind: "sg_nric",
        length: (9, 9),
        numeric: false,
        check: nric,
        alone: Alone::Capitals,
        shapes: &["1-7-1"],
        words: &["nric", "fin", "uin"],
    },
    Spec {
        kind: "hk_hkid",
        length: (8, 9),
        numeric: false,
        check: hkid,
        alone: Alone::Never,
        shapes: &["7(1)", "8(1)"],
        words: &["hkid", "hongkong", "香港身份"],
    },
    Spec {
        kind: "tw_national_id",
        length: (10, 10),
        numeric: false,
        check: taiwanese,
        alone: Alone::Capitals,
        shapes: &[],
        words: &["taiwan", "身分證", "shenfenzheng", "roc"],
    },
    Spec {
        kind: "th_national_id",
        length: (13, 13),
        numeric: true,
        check: thai,
        alone: Alone::Never,
        shapes: &["1-4-5-2-1"],
        words: &["thai", "thaiid", "บัตรประชาชน"],
    },
    Spec {
        kind: "my_mykad",
        length: (12, 12),
        numeric: true,
        check: |text| day_of_year(number(text, 2, 2), number(text, 4, 2)),
        alone: Alone::Never,
        shapes: &["6-2-4"],
        words: &["mykad", "nric", "kadpengenalan"],
    },
    Spec {
        kind: "id_nik",
        length: (16, 16),
        numeric: true,
        check: nik,
        alone: Alone::Never,
        shapes: &[],
        words: &["nik", "ktp", "indukkependudukan"],
    },
    Spec {
        kind: "pk_cnic",
        length: (13, 13),
        numeric: true,
        check: |text| (1..=8).contains(&digit(text, 0)),
        alone: Alone::Never,
        shapes: &["5-7-1"],
        words: &["cnic", "nadra"],
    },
    Spec {
        kind: "il_id",
        length: (9, 9),
        numeric: true,
        check: luhn,
        alone: Alone::Never,
        shapes: &[],
        words: &["teudatzehut", "zehut", "israeli", "תעודתזהות", "מספרזהות", "israel"],
    },
    Spec {
        kind: "ae_emirates_id",
        length: (15, 15),
        numeric: true,
        check: |text| {
            text.starts_with(b"784") && matches!(number(text, 3, 2), 19 | 20) && luhn(text)
        },
        alone: Alone::Always,
        shapes: &["3-4-7-1"],
        words: &["emirates", "eid"],
    },
    Spec {
        kind: "sa_national_id",
        length: (10, 10),
        numeric: true,
        check: |text| matches!(byte(text, 0), b'1' | b'2') && luhn(text),
        alone: Alone::Never,
        shapes: &[],
        words: &["saudi", "iqama", "هوية"],
    },
];

/// No check digit; the fourth letter says what holder it has.
fn pan(text: &[u8]) -> bool {
    letters(text, 0, 5)
        && b"ABCFGHJLPT".contains(&byte(text, 3))
        && digits(text, 5, 4)
        && letters(text, 9, 1)
        && number(text, 5, 4) > 0
}

/// GB 11643.
fn resident(text: &[u8]) -> bool {
    let rest = weighted(text, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    digits(text, 0, 17)
        && (1800..2100).contains(&number(text, 6, 4))
        && day_of_year(number(text, 10, 2), number(text, 12, 2))
        && byte(b"10X98765432", rest as usize) == byte(text, 17)
}

fn korean(text: &[u8]) -> bool {
    let sum = weighted(text, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    day_of_year(number(text, 2, 2), number(text, 4, 2)) && (11 - sum % 11) % 10 == digit(text, 12)
}

fn my_number(text: &[u8]) -> bool {
    let rest = weighted(text, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == digit(text, 11)
}

fn nric(text: &[u8]) -> bool {
    let sum = weighted(part(text, 1, 7), &[2, 7, 6, 5, 4, 3, 2]);
    let (sum, table): (u32, &[u8]) = match byte(text, 0) {
        b'S' => (sum, b"JZIHGFEDCBA"),
        b'T' => (sum + 4, b"JZIHGFEDCBA"),
        b'F' => (sum, b"XWUTRQPNMLK"),
        b'G' => (sum + 4, b"XWUTRQPNMLK"),
        b'M' => (sum + 3, b"KLJNPQRTUWX"),
        _ => return false,
    };
    let rest = sum % 11;
    let place = if byte(text, 0) == b'M' { 10 - rest } else { rest };
    digits(text, 1, 7)
        && (byte(table, place as usize) == byte(text, 8)
            || byte(table, rest as usize) == byte(text, 8))
}

fn hkid(text: &[u8]) -> bool {
    let prefix = text.len() - 7;
    let Some((check, body)) = text.split_last() else { return false };
    // One letter has a space before it, which counts 36.
    let sum: u32 = if prefix == 1 { 36 * 9 } else { 0 };
    let sum =
        sum + body.iter().rev().zip(2..).map(|(byte, weight)| base36(*byte) * weight).sum::<u32>();
    let expected = match (11 - sum % 11) % 11 {
        10 => b'A',
        other => b'0' + other as u8,
    };
    letters(text, 0, prefix) && digits(text, prefix, 6) && expected == *check
}

fn taiwanese(text: &[u8]) -> bool {
    let order = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(place) = order.iter().position(|letter| *letter == byte(text, 0)) else {
        return false;
    };
    let code = place as u32 + 10;
    let sum = code / 10 + code % 10 * 9 + weighted(part(text, 1, 9), &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(byte(text, 1), b'1' | b'2' | b'8' | b'9')
        && digits(text, 1, 9)
        && sum.is_multiple_of(10)
}

fn thai(text: &[u8]) -> bool {
    let sum = weighted(text, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    byte(text, 0) != b'0' && (11 - sum % 11) % 10 == digit(text, 12)
}

/// No check digit: place, day (women's is 40 more), month, year, serial.
fn nik(text: &[u8]) -> bool {
    let day = number(text, 6, 2);
    (11..=94).contains(&number(text, 0, 2))
        && day_of_year(number(text, 8, 2), if day > 40 { day - 40 } else { day })
}
