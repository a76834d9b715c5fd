//! Proofs (RFC 6962, sections 2.1.1 and 2.1.2), and how they are verified (RFC 9162, sections
//! 2.1.3.2 and 2.1.4.2).
//!
//! A proof is a list of hashes, each of the tree over a range of entries; which ranges, is told by
//! [`inclusion`] and [`consistency`]. A range falls into [full subtrees](Node), which stand in tiles.

use std::ops::Range;

use maestro_schemas::digest::Digest;

use super::Error;
use super::hash::node;

/// A full subtree: of 2^`level` entries, beginning with the one at `index` * 2^`level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its height.
    pub level: u8,
    /// Its place among those of its height.
    pub index: u64,
}

/// The ranges whose hashes show that the entry `index` is in the tree of `size` entries, from the
/// leaf up. Empty where it cannot be.
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if index >= size {
        return ranges;
    }
    let mut around = 0..size;
    while around.end - around.start > 1 {
        let middle = around.start + split(around.end - around.start);
        if index < middle {
            ranges.push(middle..around.end);
            around.end = middle;
        } else {
            ranges.push(around.start..middle);
            around.start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges whose hashes show that the tree of `old` entries is the beginning of the one of
/// `size`. Empty where the two are one, and where there is nothing to show.
pub fn consistency(old: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= size {
        return ranges;
    }
    let (mut around, mut is_whole) = (0..size, true);
    while around.end > old {
        let middle = around.start + split(around.end - around.start);
        if old <= middle {
            ranges.push(middle..around.end);
            around.end = middle;
        } else {
            ranges.push(around.start..middle);
            around.start = middle;
            is_whole = false;
        }
    }
    if !is_whole {
        ranges.push(around);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `count`, which is 2 or more.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The full subtrees of a range that a proof names, the largest first.
pub fn subtrees(range: &Range<u64>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let left = range.end - start;
        let fits = u64::BITS - 1 - left.leading_zeros();
        let level = fits.min(start.trailing_zeros());
        nodes.push(Node { level: u8::try_from(level).unwrap_or(u8::MAX), index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The hash over a range, by those of its [`subtrees`] in their order.
pub fn fold(hashes: &[Digest]) -> Option<Digest> {
    hashes.iter().copied().rev().reduce(|right, left| node(left, right))
}

/// Verifies that `leaf` is the entry `index` of the tree with the hash `root` over `size` entries.
pub fn verify_inclusion(
    leaf: Digest,
    (index, size): (u64, u64),
    proof: &[Digest],
    root: Digest,
) -> Result<(), Error> {
    const WHAT: Error = Error::Proof("that the entry is in the tree");
    if index >= size {
        return Err(WHAT);
    }
    let (mut place, mut last, mut made) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(WHAT);
        }
        if place % 2 == 1 || place == last {
            made = node(*sibling, made);
            while place.is_multiple_of(2) && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            made = node(made, *sibling);
        }
        (place, last) = (place / 2, last / 2);
    }
    if last == 0 && made == root { Ok(()) } else { Err(WHAT) }
}

/// A tree by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries it has.
    pub size: u64,
    /// Its hash.
    pub root: Digest,
}

/// Verifies that the tree `old` is the beginning of the tree `new`.
pub fn verify_consistency(old: Head, new: Head, proof: &[Digest]) -> Result<(), Error> {
    const WHAT: Error = Error::Proof("that the tree only grew");
    let is_nothing = old.size == 0 && old.root == super::hash::empty();
    if old.size == new.size || is_nothing {
        let holds = proof.is_empty() && (is_nothing || old.root == new.root);
        return if holds && old.size <= new.size { Ok(()) } else { Err(WHAT) };
    }
    if old.size == 0 || old.size > new.size {
        return Err(WHAT);
    }
    let (mut place, mut last) = (old.size - 1, new.size - 1);
    while place % 2 == 1 {
        (place, last) = (place / 2, last / 2);
    }
    // The old tree is a full subtree of the new one: its hash is known and not in the proof.
    let (first, rest) = match (old.size.is_power_of_two(), proof) {
        (true, rest) => (old.root, rest),
        (false, [first, rest @ ..]) => (*first, rest),
        (false, []) => return Err(WHAT),
    };
    let (mut of_old, mut of_new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(WHAT);
        }
        if place % 2 == 1 || place == last {
            (of_old, of_new) = (node(*sibling, of_old), node(*sibling, of_new));
            while place.is_multiple_of(2) && place != 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            of_new = node(of_new, *sibling);
        }
        (place, last) = (place / 2, last / 2);
    }
    let holds = last == 0 && of_old == old.root && of_new == new.root;
    if holds { Ok(()) } else { Err(WHAT) }
}
