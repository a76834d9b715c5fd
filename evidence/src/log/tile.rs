//! Objects of a log: tiles of up to 256 hashes, and bundles of as many entries.
//!
//! The tile `n` of level `l` holds the hashes of the full subtrees of 256^`l` entries from `n` * 256
//! on. One that is not full yet bears its width in its path, and is never written again; the next
//! wider one begins with what it holds.

use std::fmt;

use maestro_schemas::digest::Digest;

use super::path::Node;
use super::{ENTRY_BYTES_MAX, Error, hash};

/// Hashes of a full tile, and entries of a full bundle.
pub const WIDTH: u16 = 256;

/// The bytes of a hash.
const HASH_BYTES: usize = 32;

/// The bytes of the largest bundle.
pub const BUNDLE_BYTES_MAX: usize = WIDTH as usize * (ENTRY_BYTES_MAX + 2);

/// The bytes of a full tile.
pub const TILE_BYTES_MAX: usize = WIDTH as usize * HASH_BYTES;

/// The highest level that a tree of fewer than 2^64 entries has.
const LEVEL_MAX: u8 = 7;

/// Which of a log's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// An object of a log, by its path below the log's own place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Its place among those of its kind.
    pub index: u64,
    /// How many it holds, from 1 to [`WIDTH`].
    pub width: u16,
}

impl Tile {
    /// The tile or bundle with the place `index` in a tree of `size`; none where it is not in it.
    pub fn within(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            Kind::Hashes(level) if level > LEVEL_MAX => return None,
            Kind::Hashes(level) => level,
            Kind::Entries => 0,
        };
        let left = (size >> (8 * level)).checked_sub(index.checked_mul(u64::from(WIDTH))?)?;
        let width = u16::try_from(left).unwrap_or(WIDTH).min(WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// Whether nothing can be added to it.
    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The path of the full one, below which those that are not full lie.
    pub fn full_path(&self) -> String {
        let kind = match self.kind {
            Kind::Hashes(level) => level.to_string(),
            Kind::Entries => "entries".to_owned(),
        };
        let mut digits = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            digits.push(rest % 1_000);
            rest /= 1_000;
        }
        let mut path = format!("tile/{kind}");
        while let Some(three) = digits.pop() {
            let mark = if digits.is_empty() { "" } else { "x" };
            path.push_str(&format!("/{mark}{three:03}"));
        }
        path
    }

    /// Reads a path; none where there can be no such object, or it is written otherwise.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
        };
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => {
                (digits, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?)
            }
            None => (rest, WIDTH),
        };
        let index = digits.split('/').try_fold(0u64, |index, part| {
            let three: u64 = part.trim_start_matches('x').parse().ok().filter(|n| *n < 1_000)?;
            index.checked_mul(1_000)?.checked_add(three)
        })?;
        let tile = Self { kind, index, width };
        // One object has one path.
        (tile.to_string() == path).then_some(tile)
    }

    /// Reads the hashes of the tile out of the object's bytes.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Digest>, Error> {
        if bytes.len() != usize::from(self.width) * HASH_BYTES {
            let (path, found) = (self.to_string(), bytes.len());
            return Err(Error::Tile { path, found, expected: self.width });
        }
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
    }

    /// Reads the entries of the bundle out of the object's bytes.
    pub fn entries<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, Error> {
        let unreadable = || Error::Bundle { path: self.to_string(), expected: self.width };
        let (mut entries, mut rest) = (Vec::with_capacity(usize::from(self.width)), bytes);
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or_else(unreadable)?;
            if entries.len() == usize::from(self.width) {
                return Err(unreadable());
            }
            entries.push(entry);
            rest = after;
        }
        let is_whole = rest.is_empty() && entries.len() == usize::from(self.width);
        if is_whole { Ok(entries) } else { Err(unreadable()) }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_path())?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Hashes as a tile has them.
pub fn tile_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Entries as a bundle has them.
pub fn bundle_bytes<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).ok().filter(|_| entry.len() <= ENTRY_BYTES_MAX);
        let length = length.ok_or(Error::EntryTooLong(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The tile of a tree of `size` that a full subtree can be made from, and which of its hashes; none
/// where the subtree is not in the tree.
pub fn holding(node: Node, size: u64) -> Option<(Tile, std::ops::Range<usize>)> {
    let (level, height) = (node.level / 8, node.level % 8);
    let first = node.index.checked_shl(u32::from(height))?;
    let tile = Tile::within(Kind::Hashes(level), first / u64::from(WIDTH), size)?;
    let start = usize::try_from(first % u64::from(WIDTH)).ok()?;
    let end = start + (1 << height);
    (end <= usize::from(tile.width)).then_some((tile, start..end))
}

/// The hash of a full subtree, by the tile that [`holding`] names.
pub fn subtree(hashes: &[Digest], of: std::ops::Range<usize>) -> Option<Digest> {
    hashes.get(of).map(hash::over)
}
