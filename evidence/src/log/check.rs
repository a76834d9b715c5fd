//! Compares all of a log with its signed heads and with the rows that it was made from, and names what
//! is not the same.
//!
//! The same entry stands in three places: in its bundle, as a hash in its tile, and as a row. Each of
//! the three makes a tree of its own here; the one whose tree was signed is right, and where another
//! differs from it, that one was changed. It takes a bundle at a time and holds no more of the log.

mod finding;

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;
use serde_json::Value;

use super::grow::{Change, Edge};
use super::hash::{Frontier, leaf};
use super::path::Head;
use super::tile::{Kind, Tile, WIDTH};
pub use finding::{Finding, Where};

/// The most places that are named; of more it is only known that there are more.
pub const NAMED_MAX: usize = 1_000;

/// A row: the place that it says it has, and the entry that it makes.
pub type Row<'a> = (u64, &'a str);

/// What one bundle is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The bundle's bytes.
    pub bundle: Option<&'a [u8]>,
    /// The bytes of the tile over it.
    pub tile: Option<&'a [u8]>,
    /// The rows with the places of its entries, in their order.
    pub rows: &'a [Row<'a>],
}

/// An entry that does not stand the same everywhere.
#[derive(Debug, Clone)]
struct Difference {
    place: u64,
    bundle: Option<String>,
    row: Option<String>,
    tile: Option<Digest>,
}

/// A comparison under way.
#[derive(Debug)]
pub struct Check {
    newest: Head,
    /// Every signed head, the smallest first.
    heads: Vec<Head>,
    trees: [Frontier; 3],
    /// Whether all heads up to here were those of the tree, for each of the three.
    holds: [bool; 3],
    after: u64,
    edge: Edge,
    differences: Vec<Difference>,
    findings: Vec<Finding>,
}

const PLACES: [Where; 3] = [Where::Bundle, Where::Tile, Where::Row];

impl Check {
    /// Begins with the newest head and others that were signed.
    pub fn new(newest: Head, others: &[Head]) -> Self {
        let mut findings = Vec::new();
        let mut heads = vec![newest];
        for head in others {
            if head.size > newest.size {
                let (newest, signed) = (newest.size, head.size);
                findings.push(Finding::RolledBack { newest, signed });
            } else {
                heads.push(*head);
            }
        }
        heads.sort_unstable_by_key(|head| head.size);
        heads.dedup();
        let mut check = Self {
            newest,
            heads,
            trees: Default::default(),
            holds: [true; 3],
            after: 0,
            edge: Edge::default(),
            differences: Vec::new(),
            findings,
        };
        check.pass_heads();
        check
    }

    /// The next bundle, and the tile over it; none at the end.
    pub fn next(&self) -> Option<(Tile, Tile)> {
        let index = self.edge.size() / u64::from(WIDTH);
        let of = |kind| Tile::within(kind, index, self.newest.size);
        let is_there = self.edge.size() < self.newest.size;
        is_there.then(|| Some((of(Kind::Entries)?, of(Kind::Hashes(0))?))).flatten()
    }

    /// Compares the next bundle; answers the higher tiles that must be there by it, or nothing where
    /// the rest cannot be compared.
    pub fn add(&mut self, part: Part<'_>) -> Option<Vec<Change>> {
        let (bundle, tile) = self.next()?;
        let first = self.edge.size();
        let width = u64::from(bundle.width);
        let entries = part.bundle.and_then(|bytes| bundle.entries(bytes).ok());
        let entries = entries.map(|entries| entries.into_iter().map(<[u8]>::to_vec).collect());
        let hashes = part.tile.and_then(|bytes| tile.hashes(bytes).ok());
        for (path, is_there) in [(bundle, entries.is_some()), (tile, hashes.is_some())] {
            if !is_there {
                self.find(Finding::Unreadable { path: path.to_string() });
            }
        }
        let mut rows = BTreeMap::new();
        for (place, text) in part.rows {
            if !(first..first + width).contains(place) || rows.contains_key(place) {
                self.find(Finding::Added { place: *place, id: id_of(text) });
            } else {
                rows.insert(*place, *text);
            }
        }
        let entries: Vec<Vec<u8>> = match entries {
            Some(entries) => entries,
            None => (first..first + width)
                .map(|place| rows.get(&place).map(|row| row.as_bytes().to_vec()))
                .collect::<Option<_>>()?,
        };
        for (place, entry) in (first..).zip(&entries) {
            let hash = usize::try_from(place - first).ok().and_then(|at| hashes.as_ref()?.get(at));
            self.compare(place, entry, hash.copied(), rows.get(&place).copied());
        }
        let changes = self.edge.grow(&entries, 0).ok()?;
        let is_last = self.edge.size() == self.newest.size;
        let wanted = |change: &Change| {
            !matches!(change.tile.kind, Kind::Entries | Kind::Hashes(0))
                && (is_last || change.tile.is_full())
        };
        Some(changes.into_iter().filter(wanted).collect())
    }

    /// Compares a higher tile with what is there.
    pub fn tile(&mut self, expected: &Change, found: Option<&[u8]>) {
        // Where entries differ, the tiles above them do too.
        if found != Some(expected.bytes.as_slice()) && self.differences.is_empty() {
            self.find(Finding::Tile { path: expected.tile.to_string() });
        }
    }

    /// Says that there is a row with a place behind all that were given.
    pub fn beyond(&mut self, (place, text): Row<'_>) {
        self.find(Finding::Added { place, id: id_of(text) });
    }

    fn compare(&mut self, place: u64, entry: &[u8], tile: Option<Digest>, row: Option<&str>) {
        let of_entry = leaf(entry);
        let of_row = row.map(|row| leaf(row.as_bytes()));
        if (tile != Some(of_entry) || of_row != Some(of_entry))
            && self.differences.len() < NAMED_MAX
        {
            let bundle = std::str::from_utf8(entry).ok().map(str::to_owned);
            let row = row.map(str::to_owned);
            self.differences.push(Difference { place, bundle, row, tile });
        }
        // What is missing is told apart from anything that could stand there.
        let missing = super::hash::empty();
        let leaves = [of_entry, tile.unwrap_or(missing), of_row.unwrap_or(missing)];
        for (tree, leaf) in self.trees.iter_mut().zip(leaves) {
            tree.push(leaf);
        }
        self.pass_heads();
    }

    /// Compares the trees with the heads of their size.
    fn pass_heads(&mut self) {
        let [size, ..] = self.trees.each_ref().map(Frontier::size);
        let of_size: Vec<Head> =
            self.heads.iter().copied().filter(|head| head.size == size).collect();
        for head in of_size {
            let roots = self.trees.each_ref().map(Frontier::root);
            for (holds, root) in self.holds.iter_mut().zip(roots) {
                *holds &= root == head.root;
            }
            if roots.contains(&head.root) {
                self.after = size;
            } else {
                self.find(Finding::Forked { after: self.after, size });
            }
        }
    }

    /// What was found, the first first.
    pub fn finish(mut self) -> Vec<Finding> {
        let right = PLACES.iter().zip(self.holds).find(|(_, holds)| *holds).map(|(at, _)| *at);
        let rows: BTreeMap<String, u64> = self
            .differences
            .iter()
            .filter_map(|one| Some((id_of(one.row.as_deref()?)?, one.place)))
            .collect();
        let mut findings = Vec::new();
        for one in &self.differences {
            findings.extend(one.findings(right, &rows));
        }
        findings.append(&mut self.findings);
        findings.sort_by_key(Finding::place);
        findings.truncate(NAMED_MAX);
        findings
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < NAMED_MAX {
            self.findings.push(finding);
        }
    }
}

impl Difference {
    fn findings(&self, right: Option<Where>, rows: &BTreeMap<String, u64>) -> Vec<Finding> {
        let bundle = self.bundle.as_deref();
        let row = self.row.as_deref();
        let of = |text: Option<&str>| text.map(|text| leaf(text.as_bytes()));
        let expected = match right {
            Some(Where::Tile) => self.tile,
            Some(Where::Row) => of(row),
            // Where nobody is right, what is in the log speaks for itself.
            Some(Where::Bundle) | None => of(bundle),
        };
        let id = bundle.and_then(id_of).filter(|_| right != Some(Where::Row));
        let id = id.or_else(|| row.and_then(id_of));
        let place = self.place;
        let mut findings = Vec::new();
        let fields = || fields(bundle, row);
        if of(bundle) != expected {
            let fields = if of(row) == expected { fields() } else { Vec::new() };
            findings.push(Finding::Changed { place, id: id.clone(), at: Where::Bundle, fields });
        }
        if self.tile.is_some() && self.tile != expected {
            let (id, fields) = (id.clone(), Vec::new());
            findings.push(Finding::Changed { place, id, at: Where::Tile, fields });
        }
        if of(row) != expected {
            let own = bundle.and_then(id_of);
            findings.push(match (row.and_then(id_of), own) {
                (Some(found), Some(own)) if found != own => match rows.get(&own) {
                    Some(now) => Finding::Reordered { place, id: Some(own), now: *now },
                    None => Finding::Dropped { place, id: Some(own) },
                },
                (None, own) if row.is_none() => match own.as_ref().and_then(|own| rows.get(own)) {
                    Some(now) => Finding::Reordered { place, id: own, now: *now },
                    None => Finding::Dropped { place, id: own },
                },
                _ => Finding::Changed { place, id, at: Where::Row, fields: fields() },
            });
        }
        findings
    }
}

/// What an entry names itself by.
fn id_of(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let id = value.get("id")?.as_str()?;
    Some(id.chars().filter(|letter| !letter.is_control()).take(64).collect())
}

/// The fields in which two entries differ.
fn fields(one: Option<&str>, other: Option<&str>) -> Vec<String> {
    let object = |text: Option<&str>| match serde_json::from_str(text?).ok()? {
        Value::Object(fields) => Some(fields),
        _ => None,
    };
    let (Some(one), Some(other)) = (object(one), object(other)) else { return Vec::new() };
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).take(20).cloned().collect()
}

#[cfg(test)]
mod tests;
