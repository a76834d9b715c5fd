//! Identifiers of [`super::identity`] in a text: a word, or words with single separators between them,
//! whose letters and digits together pass a check, and which are believed for one more reason.

use std::sync::OnceLock;

use super::arithmetic::{day_of_year, number};
use super::identity::{self, Alone, Spec};
use super::near::Near;
use super::scan::Found;
use super::table::Columns;
use super::{Evidence, Tag};

/// An identifier may begin with so many letters before its first digit's word.
pub(super) const PREFIX_MAX: usize = 4;
/// Letters and digits of an identifier, and the least that any has.
const LENGTH_MAX: usize = 34;
const LENGTH_MIN: usize = 6;
/// Words of an identifier.
const GROUPS_MAX: usize = 10;
/// A line this short does not go on in the next.
const WRAPPED_LINE_MIN: usize = 40;
/// Where a line goes on in the next, before what leads that one in (`# `, `> `, ` * `).
const LEAD_MAX: usize = 8;

/// Stands for a line break between groups.
const WRAP: u8 = b'\n';

/// Finds what begins at a word.
pub(super) fn at(bytes: &[u8], start: usize, columns: &mut Columns, found: &mut Vec<Found>) {
    if !may_begin(bytes, start) {
        return;
    }
    let mut chain = Chain::new(start);
    while chain.take_word(bytes) {
        if chain.len >= LENGTH_MIN && chain.digits > 0 {
            chain.judge(bytes, columns, found);
        }
        if !chain.take_separator(bytes) {
            return;
        }
    }
}

/// Not within a longer dashed, dotted or underscored number, nor behind a decimal point.
fn may_begin(bytes: &[u8], start: usize) -> bool {
    let back =
        |by: usize| start.checked_sub(by).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    let digit = bytes.get(start).is_some_and(u8::is_ascii_digit);
    match back(1) {
        b'-' | b'_' => !numbered_word_before(bytes, start - 1),
        b'.' => back(2).is_ascii_alphabetic() && !numbered_word_before(bytes, start - 1) || !digit,
        _ => true,
    }
}

fn numbered_word_before(bytes: &[u8], end: usize) -> bool {
    let before = bytes.get(end.saturating_sub(LENGTH_MAX)..end).unwrap_or_default();
    let word = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
    word.copied().any(|byte| byte.is_ascii_digit())
}

/// Words from a place on, as far as one identifier may go.
struct Chain {
    start: usize,
    end: usize,
    compact: [u8; LENGTH_MAX],
    len: usize,
    digits: usize,
    small: bool,
    groups: [usize; GROUPS_MAX],
    separators: [u8; GROUPS_MAX],
    count: usize,
    closed: bool,
}

impl Chain {
    fn new(start: usize) -> Self {
        Self {
            start,
            end: start,
            compact: [0; LENGTH_MAX],
            len: 0,
            digits: 0,
            small: false,
            groups: [0; GROUPS_MAX],
            separators: [0; GROUPS_MAX],
            count: 0,
            closed: false,
        }
    }

    /// Adds the word at the end; false where it is one too many.
    fn take_word(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes.get(self.end..).unwrap_or_default();
        let word = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric());
        let mut taken = 0;
        for byte in word {
            let Some(place) = self.compact.get_mut(self.len) else { return false };
            *place = byte.to_ascii_uppercase();
            self.len += 1;
            taken += 1;
            self.digits += usize::from(byte.is_ascii_digit());
            self.small |= byte.is_ascii_lowercase();
        }
        // Words of prose before any digit are no part of an identifier.
        if taken == 0 || self.digits == 0 && (taken > PREFIX_MAX || self.count > 1) {
            return false;
        }
        let Some(group) = self.groups.get_mut(self.count) else { return false };
        *group = taken;
        self.count += 1;
        self.end += taken;
        true
    }

    /// Goes to the next word where one separator stands between; false where the chain ends.
    fn take_separator(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes.get(self.end..).unwrap_or_default();
        let (separator, width) = match rest {
            _ if self.closed => return false,
            [sign @ (b' ' | b'-' | b'.' | b'/' | b'+'), next, ..]
                if next.is_ascii_alphanumeric() =>
            {
                (*sign, 1)
            }
            [b'(', check, b')', ..] if check.is_ascii_alphanumeric() => {
                self.closed = true;
                (b'(', 1)
            }
            [b')', b' ' | b'-', next, ..] if next.is_ascii_digit() => (b' ', 2),
            [b')', next, ..] if next.is_ascii_digit() => (b' ', 1),
            [b'\n' | b'\r' | b' ' | b'-', ..] => match self.wrap(bytes) {
                Some(width) => (WRAP, width),
                None => return false,
            },
            _ => return false,
        };
        let Some(place) = self.separators.get_mut(self.count) else { return false };
        *place = separator;
        self.end += width;
        true
    }

    /// The width of a line break and what leads the next line in.
    fn wrap(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.get(self.end..)?;
        let first = rest.iter().take(3).position(|byte| *byte == b'\n')?;
        let before = bytes.get(self.end.saturating_sub(WRAPPED_LINE_MIN)..self.end)?;
        let long = before.len() == WRAPPED_LINE_MIN && !before.contains(&b'\n');
        let quiet = rest.iter().take(first).all(|byte| b" \r-".contains(byte));
        let after = rest.get(first + 1..)?;
        let lead = after.iter().take(LEAD_MAX).position(|byte| !b" \t#/*>|-".contains(byte))?;
        let goes_on = after.get(lead)?.is_ascii_alphanumeric();
        (long && quiet && goes_on).then_some(first + 1 + lead)
    }

    fn judge(&self, bytes: &[u8], columns: &mut Columns, found: &mut Vec<Found>) {
        let compact = self.compact.get(..self.len).unwrap_or_default();
        let numeric = self.digits == self.len;
        let end = self.end + usize::from(self.closed);
        let groups = self.groups.get(..self.count).unwrap_or_default();
        if numeric && self.count > 1 && groups.iter().all(|group| *group < 3)
            || numeric && self.count == 2 && self.separators.contains(&b'.')
            || goes_on(bytes, end)
            || !varied(compact)
        {
            return;
        }
        let mut near = None;
        for spec in of_length(self.len) {
            if spec.numeric && !numeric || !(spec.check)(compact) {
                continue;
            }
            let format = self.is_usual(bytes, spec, compact);
            // Words are looked for only where the form does not say enough.
            let context = !format && {
                let near = near.get_or_insert_with(|| {
                    Near::of(bytes, self.start, end, Some(&columns.head(bytes, self.start)))
                });
                near.has(spec.words) || spec.is_national() && near.has(&identity::WORDS)
            };
            if format || context {
                found.push(Found {
                    tag: Tag::Pii,
                    kind: spec.kind,
                    start: self.start,
                    end,
                    evidence: Evidence { check: true, format, context },
                });
            }
        }
    }

    /// Whether the form says enough: stands alone, or is grouped as is usual.
    fn is_usual(&self, bytes: &[u8], spec: &Spec, compact: &[u8]) -> bool {
        let before = self.start.checked_sub(1).and_then(|at| bytes.get(at)).copied();
        if self.count == 1 || self.separators.iter().all(|sign| matches!(sign, 0 | &WRAP)) {
            let part = matches!(before, Some(b'-' | b'+' | b'.' | b'#' | b'_' | b'$'))
                || before == Some(b'/') && !spec.is_distinct();
            let foreign = part || self.digits == self.len && is_of_a_program(compact);
            return !foreign
                && match spec.alone {
                    Alone::Never => false,
                    Alone::Capitals => !self.small,
                    Alone::Always => true,
                };
        }
        if !spec.is_distinct() && self.is_of_a_row(bytes) {
            return false;
        }
        // Digits with spaces between are numbers side by side, where that is not the usual form.
        let free = spec.is_distinct() || self.digits < self.len;
        spec.shapes.iter().any(|shape| self.has_shape(shape.as_bytes(), false, free))
            || self.separators.contains(&WRAP)
                && spec.shapes.iter().any(|shape| self.has_shape(shape.as_bytes(), true, free))
    }

    /// Whether more digits stand before or behind, with spaces between as within: a row of numbers.
    fn is_of_a_row(&self, bytes: &[u8]) -> bool {
        let digit =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        let behind = bytes.get(self.end + 1..).unwrap_or_default();
        let word =
            || behind.iter().take(GROUPS_MAX).take_while(|byte| byte.is_ascii_alphanumeric());
        let hex = word().all(u8::is_ascii_hexdigit) && word().count() == 4;
        let space = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b' ');
        let back = |by| self.start.checked_sub(by);
        self.digits == self.len
            && self.separators.contains(&b' ')
            && (space(back(1)) && digit(back(2))
                || space(Some(self.end)) && (hex || digit(Some(self.end + 1))))
    }

    /// Whether groups are as in a shape, with its separators or one throughout. A line break is any
    /// separator, or none where groups are joined over it.
    fn has_shape(&self, shape: &[u8], joined: bool, free: bool) -> bool {
        let mut own = [(0_usize, 0_u8); GROUPS_MAX];
        let mut count = 0;
        for (group, separator) in self.groups.iter().zip(self.separators).take(self.count) {
            if joined && separator == WRAP && count > 0 {
                if let Some(last) = own.get_mut(count - 1) {
                    last.0 += group;
                }
                continue;
            }
            if let Some(place) = own.get_mut(count) {
                *place = (*group, separator);
            }
            count += 1;
        }
        let own = own.get(..count).unwrap_or_default();
        let same = |one: u8, other: u8| one == other || one == WRAP;
        let uniform = own.iter().skip(1).map(|(_, sign)| *sign).find(|sign| *sign != WRAP);
        let (mut exact, mut one_throughout) = (true, true);
        let mut parts = own.iter();
        let mut wanted = 0_u8;
        for piece in shape.split_inclusive(|byte| !byte.is_ascii_digit()) {
            let size = piece.iter().filter(|byte| byte.is_ascii_digit());
            let size = size.fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'));
            if size == 0 {
                continue;
            }
            let Some((group, sign)) = parts.next() else { return false };
            if *group != size {
                return false;
            }
            exact &= wanted == 0 || same(*sign, wanted);
            one_throughout &= wanted == 0 || uniform.is_none_or(|uniform| same(*sign, uniform));
            wanted = piece.last().copied().filter(|byte| !byte.is_ascii_digit()).unwrap_or(0);
        }
        let free = free || uniform != Some(b' ');
        parts.next().is_none() && (exact || one_throughout && free)
    }
}

impl Spec {
    /// Whether its own form tells it from a row of numbers or a path.
    fn is_distinct(&self) -> bool {
        matches!(self.kind, "card" | "iban")
    }

    /// Whether words that stand beside any national number speak for it.
    fn is_national(&self) -> bool {
        self.kind.as_bytes().get(2) == Some(&b'_')
    }
}

/// Whether a number goes on behind: with a fraction, or with a further part.
fn goes_on(bytes: &[u8], end: usize) -> bool {
    match bytes.get(end..) {
        Some([b'.' | b'-' | b'_', next, ..]) => next.is_ascii_digit(),
        _ => false,
    }
}

/// Numbers that programs are full of: near a power of two, round, or a time.
fn is_of_a_program(compact: &[u8]) -> bool {
    let value = number(compact, 0, compact.len().min(19));
    let near_power = [value.wrapping_sub(1), value, value.wrapping_add(1)];
    let time = matches!(compact.len(), 10 | 12 | 14)
        && (1970..2050).contains(&number(compact, 0, 4))
        && day_of_year(number(compact, 4, 2), number(compact, 6, 2));
    time || compact.ends_with(b"0000") || near_power.iter().any(|value| value.is_power_of_two())
}

/// Whether there are three different signs or more.
fn varied(compact: &[u8]) -> bool {
    let Some(&first) = compact.first() else { return false };
    let second = compact.iter().find(|byte| **byte != first);
    second.is_some_and(|second| compact.iter().any(|byte| *byte != first && byte != second))
        || compact.starts_with(b"4111")
        || compact.starts_with(b"5555")
}

fn of_length(len: usize) -> &'static [&'static Spec] {
    static BY_LENGTH: OnceLock<Vec<Vec<&'static Spec>>> = OnceLock::new();
    let all = BY_LENGTH.get_or_init(|| {
        let fits = |len| {
            identity::all().filter(move |spec| (spec.length.0..=spec.length.1).contains(&len))
        };
        (0..=LENGTH_MAX).map(|len| fits(len).collect()).collect()
    });
    all.get(len).map_or(&[], Vec::as_slice)
}
