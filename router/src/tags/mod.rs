//! Content tags: what of a text must not go to every provider. The gateway asks before a prompt
//! leaves; `maestro route tags` asks for a person. docs/content-tags.md says what is found and what
//! is not.
//!
//! | part | what it does |
//! |---|---|
//! | [`view`] | the text as it is meant: escapes, other scripts' digits, invisible signs |
//! | [`scan`] | one pass over the words, which asks the rest |
//! | [`number`], [`identity`], [`arithmetic`] | identifiers: groups, kinds, check digits |
//! | [`near`], [`table`] | the words beside a number, and the head of its column |
//! | [`mail`], [`address`], [`zone`] | e-mail and IP addresses, phone numbers, machine-readable zones |
//! | [`secret`], [`assignment`], [`hash`], [`base64`] | keys, tokens, passwords, and what is encoded |
//! | [`export`] | terms and codes of export control |
//!
//! What must stay true: pure, and linear in the text, because every look around a place has a limit
//! (`time_grows_with_the_text_and_no_faster` of tests/tags). What was not looked at is tagged
//! [`Tag::Unscanned`], so that a policy can refuse it.

mod address;
mod arithmetic;
mod assignment;
mod base64;
mod export;
mod hash;
mod identity;
mod mail;
mod near;
mod number;
mod scan;
mod secret;
mod table;
mod view;
mod zone;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A text is scanned up to here; the rest is [`Tag::Unscanned`].
pub const TEXT_BYTES_MAX: usize = 64 << 20;
/// So much is scanned at once; the next part begins [`OVERLAP_BYTES`] before the end of the last.
const PART_BYTES: usize = 4 << 20;
const OVERLAP_BYTES: usize = 4 << 10;
/// Hits of a text; where there are more, the rest is [`Tag::Unscanned`].
pub const HITS_MAX: usize = 10_000;
/// Terms that settings may add.
pub const TERMS_MAX: usize = 1_000;
/// The length of each.
pub const TERM_BYTES_MAX: usize = 200;

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// Something that names a person, or an account or device of theirs.
    Pii,
    /// Something that opens a door.
    Secret,
    /// A marking, code or term of export control.
    ExportCtrl,
    /// A part that was not looked at, because of a limit.
    Unscanned,
}

/// Why a hit is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Check digits, a checksum or a structure that decodes.
    pub check: bool,
    /// A prefix or a grouping that is usual for it.
    pub format: bool,
    /// A word, a key or a column's head beside it.
    pub context: bool,
}

/// A place of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// What it makes of the text.
    pub tag: Tag,
    /// What it is, as `card`, `us_ssn`, `github_token`.
    pub kind: &'static str,
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
    /// Why it is believed.
    pub evidence: Evidence,
}

/// What was found, in the order of places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tags {
    /// The places.
    pub hits: Vec<Hit>,
    /// The tags.
    pub tags: BTreeSet<Tag>,
}

/// What a configuration may add.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Terms that make a text `export_ctrl`, in any case, as `project nightjar`; those beyond
    /// [`TERMS_MAX`] or longer than [`TERM_BYTES_MAX`] make every text [`Tag::Unscanned`], because
    /// they are not looked for.
    pub export_terms: Vec<String>,
}

/// Finds what a text holds.
pub fn tags(text: &str, settings: &Settings) -> Tags {
    let terms = export::Terms::new(&settings.export_terms);
    let mut hits = Vec::new();
    let mut whole = terms.is_complete() && text.len() <= TEXT_BYTES_MAX;
    let mut from = 0;
    loop {
        let to = boundary(text, (from + PART_BYTES).min(TEXT_BYTES_MAX));
        let part = text.get(from..to).unwrap_or_default();
        hits.extend(scan::part(part, &terms).into_iter().map(|hit| Hit {
            start: hit.start + from,
            end: hit.end + from,
            ..hit
        }));
        if to >= text.len().min(TEXT_BYTES_MAX - 3) || hits.len() > HITS_MAX {
            whole &= to >= text.len();
            break;
        }
        from = boundary(text, to - OVERLAP_BYTES);
    }
    let mut hits = settle(hits);
    whole &= hits.len() <= HITS_MAX;
    hits.truncate(HITS_MAX);
    let mut tags: BTreeSet<Tag> = hits.iter().map(|hit| hit.tag).collect();
    if !whole {
        tags.insert(Tag::Unscanned);
    }
    Tags { hits, tags }
}

/// The nearest boundary of characters at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (at.saturating_sub(3)..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// In order, each once, and none of the same tag that lies within a longer one.
fn settle(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end), hit.kind));
    let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
    let mut reach: [(usize, usize); 4] = [(0, 0); 4];
    for hit in hits {
        let Some(reach) = reach.get_mut(hit.tag as usize) else { continue };
        let twin = |other: &&Hit| other.kind == hit.kind && other.start == hit.start;
        let known = kept.iter().rev().take_while(|other| other.start == hit.start).find(twin);
        let within = hit.end <= reach.1 && (hit.start, hit.end) != *reach;
        if known.is_none() && !within {
            kept.push(hit);
            *reach = (hit.start, hit.end.max(reach.1));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_never_divides_a_sign() {
        assert_eq!([0, 1, 2, 3, 9].map(|at| boundary("aé", at)), [0, 1, 1, 3, 3]);
    }

    #[test]
    fn a_text_longer_than_the_limit_is_said_to_be_unscanned() {
        let text = "word ".repeat(TEXT_BYTES_MAX / 5 + 1);
        assert!(tags(&text, &Settings::default()).tags.contains(&Tag::Unscanned));
    }

    #[test]
    fn terms_beyond_the_limit_are_said_to_be_unscanned() {
        let settings = Settings { export_terms: vec!["nightjar".to_owned(); TERMS_MAX + 1] };
        assert!(tags("x", &settings).tags.contains(&Tag::Unscanned));
    }
}
