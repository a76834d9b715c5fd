//! Identifiers of Africa and Oceania.

use super::{Alone, Spec};
use crate::tags::arithmetic::{byte, day_of_year, digit, luhn, number, weighted};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        kind: "za_id",
        length: (13, 13),
        numeric: true,
        check: south_african,
        alone: Alone::Always,
        shapes: &["6-4-3", "6-4-2-1", "6-4-1-1-1"],
        words: &["southafrica", "said", "rsaid"],
    },
    Spec {
        kind: "eg_national_id",
        length: (14, 14),
        numeric: true,
        check: |text| {
            matches!(byte(text, 0), b'2' | b'3')
                && day_of_year(number(text, 3, 2), number(text, 5, 2))
                && matches!(number(text, 7, 2), 1..=35 | 88)
        },
        alone: Alone::Never,
        shapes: &[],
        words: &["egypt", "raqamqawmi", "الرقمالقومي"],
    },
    Spec {
        kind: "au_tfn",
        length: (8, 9),
        numeric: true,
        check: tfn,
        alone: Alone::Never,
        shapes: &[],
        words: &["tfn", "taxfile"],
    },
    Spec {
        kind: "au_medicare",
        length: (10, 11),
        numeric: true,
        check: |text| {
            matches!(byte(text, 0), b'2'..=b'6')
                && weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digit(text, 8)
        },
        alone: Alone::Never,
        shapes: &["4-5-1", "4-5-1-1"],
        words: &["medicare", "medicarecard"],
    },
    Spec {
        kind: "au_abn",
        length: (11, 11),
        numeric: true,
        check: abn,
        alone: Alone::Never,
        shapes: &["2 3 3 3"],
        words: &["abn", "australianbusiness"],
    },
    Spec {
        kind: "nz_ird",
        length: (8, 9),
        numeric: true,
        check: ird,
        alone: Alone::Never,
        shapes: &[],
        words: &["ird", "irdnumber", "inlandrevenue"],
    },
];

fn south_african(text: &[u8]) -> bool {
    day_of_year(number(text, 2, 2), number(text, 4, 2))
        && matches!(byte(text, 10), b'0'..=b'2')
        && luhn(text)
}

fn tfn(text: &[u8]) -> bool {
    let weights: &[u32] =
        if text.len() == 9 { &[1, 4, 3, 7, 5, 8, 6, 9, 10] } else { &[10, 7, 8, 4, 6, 3, 5, 1] };
    weighted(text, weights).is_multiple_of(11) && number(text, 0, text.len()) > 9_999_999
}

fn abn(text: &[u8]) -> bool {
    let sum = weighted(text, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    // The first digit is counted one less.
    byte(text, 0) != b'0' && (sum - 10).is_multiple_of(89)
}

fn ird(text: &[u8]) -> bool {
    let value = number(text, 0, text.len());
    let Some((check, body)) = text.split_last() else { return false };
    let padded = |weights: [u32; 8]| {
        let skip = 8 - body.len();
        weighted(body, weights.get(skip..).unwrap_or_default()) % 11
    };
    let complement = |rest: u32| if rest == 0 { 0 } else { 11 - rest };
    let first = complement(padded([3, 2, 7, 6, 5, 4, 3, 2]));
    let found = if first == 10 { complement(padded([7, 4, 3, 2, 5, 2, 7, 6])) } else { first };
    (10_000_000..=150_000_000).contains(&value) && found == u32::from(check.wrapping_sub(b'0'))
}
