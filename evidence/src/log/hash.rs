//! Leaves, nodes, and the whole of a tree from its leaves one by one.

use maestro_schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

/// A leaf: the hash of 0x00 and the entry.
pub fn leaf(entry: &[u8]) -> Digest {
    hashed(&[&[0], entry])
}

/// A node: the hash of 0x01 and its two children.
pub fn node(left: Digest, right: Digest) -> Digest {
    hashed(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The hash of the tree without entries.
pub fn empty() -> Digest {
    hashed(&[])
}

fn hashed(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Digest::from_bytes(hasher.finalize().into())
}

/// What a tree needs to grow: the hashes of the largest full subtrees that its leaves make, the
/// largest first, which are as many as its size has ones in binary, 64 at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut made = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                made = node(left, made);
            }
        }
        self.peaks.push(made);
        self.size += 1;
    }

    /// The tree's hash.
    pub fn root(&self) -> Digest {
        let folded = self.peaks.iter().copied().rev().reduce(|right, left| node(left, right));
        folded.unwrap_or_else(empty)
    }
}

/// The hash of the tree over some hashes of one level.
pub fn over(hashes: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}
