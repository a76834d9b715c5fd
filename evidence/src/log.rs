//! A log that can only grow: entries as the leaves of a Merkle tree (RFC 6962, section 2.1), signed
//! heads of it, and proofs that need not read it all.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hash`] | leaves and nodes, and the [`Frontier`](hash::Frontier) that a tree grows by |
//! | [`path`] | proofs: that an entry is in a tree, and that a tree is the beginning of another |
//! | [`tile`] | the tree as objects of 256 hashes each, and entries as bundles (C2SP tlog-tiles) |
//! | [`grow`] | which objects change when entries are added |
//! | [`note`] | signed texts (C2SP signed-note), with ECDSA on P-256 |
//! | [`checkpoint`] | a tree's size and hash as such a text (C2SP tlog-checkpoint) |
//! | [`check`] | all of a log against its signed heads and the rows that it was made from |
//! | [`ticket`] | an entry's proof as a file that stands for itself (C2SP tlog-proof) |
//!
//! The coordinator's auditor writes such a log, and whoever verifies it trusts the signing key and
//! nothing else; [`store::log`](crate::store::log) keeps the objects. What must stay true: all here is
//! pure; what comes from elsewhere is refused with its place, and never believed.

pub mod check;
pub mod checkpoint;
pub mod grow;
pub mod hash;
pub mod note;
pub mod path;
pub mod ticket;
pub mod tile;

#[cfg(test)]
mod tests;

/// The largest entry, in bytes; the format's own bound is 65535.
pub const ENTRY_BYTES_MAX: usize = 32 * 1024;

/// Why a part of a log is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A tile holds other than 1 to 256 hashes of 32 bytes, or fewer than it was asked for.
    #[error("{path} has {found} bytes; expected {expected} hashes of 32")]
    Tile {
        /// The tile.
        path: String,
        /// Its bytes.
        found: usize,
        /// How many hashes.
        expected: u16,
    },
    /// A bundle of entries is cut or holds another number of them.
    #[error("{path} cannot be read as {expected} entries")]
    Bundle {
        /// The bundle.
        path: String,
        /// How many entries.
        expected: u16,
    },
    /// An entry is too long to be kept.
    #[error("the entry has {0} bytes; at most {ENTRY_BYTES_MAX} are kept")]
    EntryTooLong(usize),
    /// Hashes do not make the tree that they should.
    #[error("the tree of {size} entries has the hash {found}; expected {expected}")]
    Root {
        /// How many entries.
        size: u64,
        /// What the hashes make.
        found: maestro_schemas::digest::Digest,
        /// What was signed or kept.
        expected: maestro_schemas::digest::Digest,
    },
    /// A proof does not show what it should.
    #[error("the proof does not show {0}")]
    Proof(&'static str),
    /// A text has not the form of a signed note.
    #[error("this is no signed note: {0}")]
    Note(&'static str),
    /// A note bears no signature of the key, or one that is not the key's.
    #[error("the note is not signed by {name}: {why}")]
    Signature {
        /// The key's name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A note is no checkpoint.
    #[error("this is no checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A checkpoint is of another log.
    #[error("the checkpoint is of the log {found:?}; expected {expected:?}")]
    Origin {
        /// The log that it names, cut to 200 characters.
        found: String,
        /// The log that was asked for.
        expected: String,
    },
    /// A file is no proof.
    #[error("this is no proof of an entry: {0}")]
    Ticket(&'static str),
}
