//! What changes when entries are added: a few objects at the right edge of the tree.

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;

use super::path::Head;
use super::tile::{Kind, Tile, WIDTH, bundle_bytes, tile_bytes};
use super::{Error, hash};

/// The last tile of each level of a tree, the lowest first: all that a tree needs to grow, and to
/// tell its own hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Digest>>,
}

/// An object to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub tile: Tile,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Edge {
    /// The tiles that the edge of a tree is in, the lowest first. A level whose tiles are all full
    /// has none.
    pub fn tiles(size: u64) -> Vec<Tile> {
        let levels = (0..8).take_while(|level| size >> (8 * level) > 0);
        let last = levels.filter_map(|level: u8| {
            let count = size >> (8 * level);
            Tile::within(Kind::Hashes(level), count / u64::from(WIDTH), size)
        });
        last.collect()
    }

    /// An edge from its [`tiles`](Edge::tiles)' hashes, which must make the tree `head`.
    pub fn read(head: Head, hashes: &BTreeMap<Tile, Vec<Digest>>) -> Result<Self, Error> {
        let mut levels = Vec::new();
        for level in (0u8..8).take_while(|level| head.size >> (8 * level) > 0) {
            let kind = Kind::Hashes(level);
            let index = (head.size >> (8 * level)) / u64::from(WIDTH);
            let tile = Tile::within(kind, index, head.size);
            levels.push(tile.and_then(|tile| hashes.get(&tile)).cloned().unwrap_or_default());
        }
        let edge = Self { size: head.size, levels };
        match edge.head().root {
            root if root == head.root => Ok(edge),
            found => Err(Error::Root { size: head.size, found, expected: head.root }),
        }
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's size and hash.
    pub fn head(&self) -> Head {
        let mut root = None;
        for hashes in &self.levels {
            // Whatever is below stands to the right of what is above.
            let mut peaks = peaks(hashes);
            peaks.extend(root);
            root = super::path::fold(&peaks);
        }
        Head { size: self.size, root: root.unwrap_or_else(hash::empty) }
    }

    /// Adds an entry's leaf, and tells the tiles that are full by it, the lowest first.
    fn push(&mut self, leaf: Digest) -> Vec<Change> {
        let mut full = Vec::new();
        let mut carried = Some(leaf);
        let mut level = 0u8;
        self.size += 1;
        while let Some(hash) = carried.take() {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() == usize::from(WIDTH) {
                let hashes = std::mem::take(hashes);
                let index = (self.size >> (8 * level)) / u64::from(WIDTH) - 1;
                let tile = Tile { kind: Kind::Hashes(level), index, width: WIDTH };
                full.push(Change { tile, bytes: tile_bytes(&hashes) });
                carried = Some(hash::over(&hashes));
                level += 1;
            }
        }
        full
    }

    /// Adds `entries` after the first `kept`, which the tree has already and which begin with its
    /// last bundle: the objects to be written, each before the ones that need it.
    pub fn grow(&mut self, entries: &[Vec<u8>], kept: usize) -> Result<Vec<Change>, Error> {
        let first = self.size - u64::try_from(kept).unwrap_or(0);
        let end = first + u64::try_from(entries.len()).unwrap_or(0);
        let mut changes = Vec::new();
        for (place, some) in (0u64..).zip(entries.chunks(usize::from(WIDTH))) {
            let index = first / u64::from(WIDTH) + place;
            if let Some(tile) = Tile::within(Kind::Entries, index, end) {
                let bytes = bundle_bytes(some.iter().map(Vec::as_slice))?;
                changes.push(Change { tile, bytes });
            }
        }
        for entry in entries.iter().skip(kept) {
            changes.extend(self.push(hash::leaf(entry)));
        }
        for (level, hashes) in (0u8..).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()) {
            let index = (self.size >> (8 * level)) / u64::from(WIDTH);
            let width = u16::try_from(hashes.len()).unwrap_or(WIDTH);
            let tile = Tile { kind: Kind::Hashes(level), index, width };
            changes.push(Change { tile, bytes: tile_bytes(hashes) });
        }
        Ok(changes)
    }
}

/// The hashes of the largest full subtrees over hashes of one level, the largest first.
fn peaks(hashes: &[Digest]) -> Vec<Digest> {
    let mut peaks = Vec::new();
    let mut rest = hashes;
    while !rest.is_empty() {
        let count = 1 << (usize::BITS - 1 - rest.len().leading_zeros());
        let (full, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        peaks.push(hash::over(full));
        rest = after;
    }
    peaks
}
