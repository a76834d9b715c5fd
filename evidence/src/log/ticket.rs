//! An entry's proof as a file that stands for itself (C2SP tlog-proof): the entry, its place, the
//! hashes beside its way up, and the signed head of the tree.
//!
//! The entry is what the format calls extra data. It needs no trust: its hash is the leaf.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maestro_schemas::digest::Digest;

use super::checkpoint::{self, number};
use super::note::{NOTE_BYTES_MAX, NoteKey};
use super::path::{Head, verify_inclusion};
use super::{ENTRY_BYTES_MAX, Error, hash};

/// The largest such file, in bytes.
pub const TICKET_BYTES_MAX: usize = 2 * ENTRY_BYTES_MAX + NOTE_BYTES_MAX + 8 * 1024;

/// The most hashes of a proof: the height of the highest tree.
const HASHES_MAX: usize = 64;

const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Its place, from 0.
    pub index: u64,
    /// The hashes beside its way up.
    pub proof: Vec<Digest>,
    /// The signed head of the tree.
    pub checkpoint: String,
}

impl Ticket {
    /// The file.
    pub fn text(&self) -> String {
        let mut text =
            format!("{FIRST}\nextra {}\nindex {}\n", STANDARD.encode(&self.entry), self.index);
        for hash in &self.proof {
            text.push_str(&STANDARD.encode(hash.as_bytes()));
            text.push('\n');
        }
        text + "\n" + &self.checkpoint
    }

    /// Reads a file; what it says is believed only once it [verifies](Self::verify).
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > TICKET_BYTES_MAX {
            return Err(Error::Ticket("it is too long"));
        }
        let (body, checkpoint) =
            text.split_once("\n\n").ok_or(Error::Ticket("no checkpoint follows"))?;
        let mut lines = body.split('\n');
        if lines.next() != Some(FIRST) {
            return Err(Error::Ticket("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = extra.and_then(|extra| STANDARD.decode(extra).ok());
        let entry = entry.ok_or(Error::Ticket("its second line is not `extra` and an entry"))?;
        let index = lines.next().and_then(|line| number(line.strip_prefix("index ")?));
        let index = index.ok_or(Error::Ticket("its third line is not `index` and a number"))?;
        let hashes = lines.take(HASHES_MAX + 1).map(checkpoint::hash);
        let proof: Option<Vec<Digest>> = hashes.collect();
        let proof = proof.filter(|proof| proof.len() <= HASHES_MAX);
        let proof = proof.ok_or(Error::Ticket("a line after the third is no hash"))?;
        Ok(Self { entry, index, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies that the log whose name and key this is has the entry at its place.
    pub fn verify(&self, key: &NoteKey<'_>) -> Result<Head, Error> {
        let head = checkpoint::open(&self.checkpoint, key)?;
        let leaf = hash::leaf(&self.entry);
        verify_inclusion(leaf, (self.index, head.size), &self.proof, head.root)?;
        Ok(head)
    }
}
