//! Terms, markings and codes of export control. Some say enough alone; weaker ones add up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::near::Near;
use super::scan::Found;
use super::{Evidence, TERM_BYTES_MAX, TERMS_MAX, Tag};

/// From this weight on, terms make a text `export_ctrl`.
const ENOUGH: u32 = 10;
/// Places of weak terms that are kept.
const WEAK_MAX: usize = 1_000;
/// Words of a term.
const WORDS_MAX: usize = 8;

/// Terms in small letters, with their weights. Between words may stand any one to four signs that
/// are neither letters nor digits.
const TERMS: &[(&str, u32)] = &[
    ("itar", 10),
    ("usml", 10),
    ("eccn", 10),
    ("noforn", 10),
    ("mtcr", 10),
    ("ddtc", 10),
    ("ear99", 10),
    ("export controlled", 10),
    ("export control classification", 10),
    ("export controls", 6),
    ("export control", 6),
    ("export restricted", 10),
    ("export license", 5),
    ("export licence", 5),
    ("export administration regulations", 10),
    ("international traffic in arms", 10),
    ("arms export control act", 10),
    ("united states munitions list", 10),
    ("us munitions list", 10),
    ("munitions list", 10),
    ("commerce control list", 10),
    ("missile technology control regime", 10),
    ("wassenaar arrangement", 10),
    ("nuclear suppliers group", 10),
    ("australia group", 6),
    ("dual use", 6),
    ("dual use goods", 10),
    ("dual use technology", 10),
    ("dual use item", 10),
    ("dual use items", 10),
    ("2021 821", 6),
    ("technical data package", 4),
    ("controlled technical information", 10),
    ("controlled unclassified information", 10),
    ("cui sp expt", 10),
    ("sp expt", 10),
    ("cui expt", 10),
    ("distribution statement b", 10),
    ("distribution statement c", 10),
    ("distribution statement d", 10),
    ("distribution statement e", 10),
    ("distribution statement f", 10),
    ("not releasable to foreign nationals", 10),
    ("rel to usa", 10),
    ("no foreign nationals", 10),
    ("us persons only", 10),
    ("u s persons only", 10),
    ("deemed export", 10),
    ("technical data whose export is restricted", 10),
    ("ausfuhrliste", 10),
    ("ausfuhrgenehmigung", 10),
    ("exportkontrolle", 6),
    ("guidance system", 3),
    ("inertial navigation", 3),
    ("ballistic missile", 4),
    ("warhead", 3),
    ("reentry vehicle", 4),
    ("uranium enrichment", 5),
    ("gas centrifuge", 4),
    ("night vision", 2),
    ("image intensifier tube", 4),
    ("radiation hardened", 3),
    ("nerve agent", 4),
    ("explosive precursor", 3),
    ("stealth coating", 4),
    ("radar absorbing material", 5),
    ("thrust vectoring", 3),
];
const CODE_WORDS: [&str; 6] =
    ["ear", "commercecontrol", "exportcontrol", "export", "ccl", "dualuse"];
const CATEGORY_WORDS: [&str; 4] = ["usml", "itar", "munitionslist", "munitions"];

/// Terms by their first word.
pub(super) struct Terms {
    own: BTreeMap<String, Vec<(String, u32)>>,
    /// Whether a term begins with a word whose first two bytes these are.
    begins: Vec<bool>,
    complete: bool,
}

fn add(map: &mut BTreeMap<String, Vec<(String, u32)>>, term: &str, weight: u32) {
    let small = term.to_ascii_lowercase();
    let words: Vec<&str> = small
        .split(|sign: char| !sign.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(first) = words.first() {
        map.entry((*first).to_owned()).or_default().push((words.join(" "), weight));
    }
}

impl Terms {
    /// Those that are built in, and a configuration's.
    pub(super) fn new(more: &[String]) -> Self {
        static BUILT_IN: OnceLock<BTreeMap<String, Vec<(String, u32)>>> = OnceLock::new();
        let built_in = BUILT_IN.get_or_init(|| {
            let mut map = BTreeMap::new();
            TERMS.iter().for_each(|(term, weight)| add(&mut map, term, *weight));
            map
        });
        let mut own = built_in.clone();
        let fits = |term: &&String| {
            term.len() <= TERM_BYTES_MAX
                && term
                    .split(|sign: char| !sign.is_ascii_alphanumeric())
                    .filter(|word| !word.is_empty())
                    .count()
                    <= WORDS_MAX
                && term.bytes().any(|byte| byte.is_ascii_alphanumeric())
        };
        let complete = more.len() <= TERMS_MAX && more.iter().all(|term| fits(&term));
        more.iter().take(TERMS_MAX).filter(fits).for_each(|term| add(&mut own, term, ENOUGH));
        let mut begins = vec![false; 1 << 16];
        for word in own.keys().map(String::as_bytes).chain([&b"category"[..]]) {
            if let Some(place) = begins.get_mut(pair(word)) {
                *place = true;
            }
        }
        Self { own, begins, complete }
    }

    /// Whether all of the configuration's terms are looked for.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }
}

fn pair(word: &[u8]) -> usize {
    let small = |at: usize| word.get(at).map_or(0, |byte| usize::from(byte | 0x20));
    small(0) << 8 | small(1)
}

/// What one pass has found so far.
pub(super) struct Export<'a> {
    terms: &'a Terms,
    weak: Vec<(Found, u32, &'a str)>,
    strong: Vec<Found>,
}

impl<'a> Export<'a> {
    pub(super) fn new(terms: &'a Terms) -> Self {
        Self { terms, weak: Vec::new(), strong: Vec::new() }
    }

    /// Looks at a word.
    pub(super) fn word(&mut self, bytes: &[u8], start: usize, end: usize) {
        let word = bytes.get(start..end).unwrap_or_default();
        if word.len() == 5 && word.get(2..5).is_some_and(|tail| tail.iter().all(u8::is_ascii_digit))
        {
            self.strong.extend(code(bytes, start, end));
        }
        if self.terms.begins.get(pair(word)) != Some(&true) {
            return;
        }
        let mut small = [0; 63];
        let Some(small) = small.get_mut(..word.len()) else { return };
        small.copy_from_slice(word);
        small.make_ascii_lowercase();
        if small == b"category" {
            self.strong.extend(category(bytes, start, end));
        }
        let Some(terms) = std::str::from_utf8(small).ok().and_then(|word| self.terms.own.get(word))
        else {
            return;
        };
        for (term, weight) in terms {
            let Some(end) = follow(bytes, start, term) else { continue };
            // A short term in small letters is more often a name in a program.
            if term.len() < 5 && word.iter().any(u8::is_ascii_lowercase) {
                continue;
            }
            let evidence = Evidence { check: false, format: true, context: false };
            let found = Found { tag: Tag::ExportCtrl, kind: "export_term", start, end, evidence };
            if *weight >= ENOUGH {
                self.strong.push(found);
            } else if self.weak.len() < WEAK_MAX {
                self.weak.push((found, *weight, term));
            }
        }
    }

    /// Strong ones, and weak ones where different ones add up to enough.
    pub(super) fn found(&mut self) -> Vec<Found> {
        let mut seen = BTreeSet::new();
        let sum: u32 = self.weak.iter().filter(|weak| seen.insert(weak.2)).map(|weak| weak.1).sum();
        let mut found = std::mem::take(&mut self.strong);
        if sum >= ENOUGH || !found.is_empty() {
            found.extend(self.weak.iter().map(|weak| weak.0));
        }
        found
    }
}

/// The end of a term that begins at a word, if all its words follow.
fn follow(bytes: &[u8], start: usize, term: &str) -> Option<usize> {
    const BETWEEN_MAX: usize = 4;
    let mut at = start;
    for (place, word) in term.split(' ').enumerate() {
        if place > 0 {
            let rest = bytes.get(at..)?;
            let between = rest.iter().take(BETWEEN_MAX + 1);
            let width = between.take_while(|byte| !byte.is_ascii_alphanumeric()).count();
            at += (1..=BETWEEN_MAX).contains(&width).then_some(width)?;
        }
        let found = bytes.get(at..at + word.len())?;
        found.eq_ignore_ascii_case(word.as_bytes()).then_some(())?;
        at += word.len();
    }
    (!bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
}

fn hit(kind: &'static str, start: usize, end: usize) -> Found {
    let evidence = Evidence { check: false, format: true, context: true };
    Found { tag: Tag::ExportCtrl, kind, start, end, evidence }
}

/// A number of the Commerce Control List or of the EU's list, as 5A002.a.1, with a word beside it.
fn code(bytes: &[u8], start: usize, end: usize) -> Option<Found> {
    let word = bytes.get(start..end)?;
    let form = matches!(word, [b'0'..=b'9', b'A'..=b'E' | b'a'..=b'e', ..]);
    let capital = matches!(word, [_, b'A'..=b'E', ..]);
    let near = || {
        let near = Near::of(bytes, start, end, None);
        near.has(&["eccn"]) || capital && near.has(&CODE_WORDS)
    };
    let tail = bytes.get(end..)?.iter().take(12);
    let tail = tail.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    (form && near()).then(|| hit("export_code", start, end + tail))
}

/// A category of the munitions list, as `Category XI(b)`, with a word beside it.
fn category(bytes: &[u8], start: usize, end: usize) -> Option<Found> {
    let rest = bytes.get(end..)?.strip_prefix(b" ")?;
    let roman = rest.iter().take(6).take_while(|byte| b"IVX".contains(byte)).count();
    let apart = !rest.get(roman).is_some_and(u8::is_ascii_alphanumeric);
    let end = end + 1 + roman;
    let near = || Near::of(bytes, start, end, None).has(&CATEGORY_WORDS);
    (roman > 0 && apart && near()).then(|| hit("usml_category", start, end))
}

#[cfg(test)]
mod tests {
    use crate::tags::{Settings, tags};

    fn kinds(text: &str) -> Vec<&'static str> {
        tags(text, &Settings::default()).hits.iter().map(|hit| hit.kind).collect()
    }

    #[test]
    fn markings_and_codes_are_found() {
        for text in [
            "EXPORT CONTROLLED",
            "ITAR restricted",
            "SECRET//NOFORN",
            "dual-use item",
            "CUI//SP-EXPT",
            "contains technical data whose export is restricted by the Arms Export Control Act",
        ] {
            assert!(kinds(text).contains(&"export_term"), "{text}");
        }
        assert!(kinds("classified as ECCN 5A002.a.1").contains(&"export_code"));
        assert!(kinds("USML Category XI(b)").contains(&"usml_category"));
    }

    #[test]
    fn one_weak_term_is_not_enough_and_several_are() {
        assert!(kinds("a guidance system").is_empty());
        assert!(kinds("0x5A002, 5A002, export default, category II").is_empty());
        assert!(
            !kinds("a guidance system, inertial navigation, thrust vectoring, warhead").is_empty()
        );
    }

    #[test]
    fn a_configured_term_is_found() {
        let settings = Settings { export_terms: vec!["Project Nightjar".to_owned()] };
        assert_eq!(tags("of PROJECT-NIGHTJAR, too", &settings).hits.len(), 1);
    }
}
