//! A tree's head as a text that can be signed (C2SP tlog-checkpoint): the log's name, how many
//! entries it has, and its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maestro_schemas::digest::Digest;

use super::Error;
use super::note::{self, NoteKey};
use super::path::Head;

/// The text that is signed.
pub fn text(origin: &str, head: Head) -> String {
    format!("{origin}\n{}\n{}\n", head.size, STANDARD.encode(head.root.as_bytes()))
}

/// The head that one of the keys has signed for the log of their name.
pub fn open(checkpoint: &str, key: &NoteKey<'_>) -> Result<Head, Error> {
    let (origin, head) = parse(note::open(checkpoint, key)?)?;
    if origin != key.name {
        let found = origin.chars().take(200).collect();
        return Err(Error::Origin { found, expected: key.name.to_owned() });
    }
    Ok(head)
}

/// Reads a checkpoint's text, whoever signed it. Lines after the third are passed over.
pub fn parse(text: &str) -> Result<(&str, Head), Error> {
    let mut lines = text.split('\n');
    let origin = lines.next().filter(|line| !line.is_empty());
    let origin = origin.ok_or(Error::Checkpoint("it names no log"))?;
    let size = lines.next().and_then(number);
    let size = size.ok_or(Error::Checkpoint("its second line is no number of entries"))?;
    let root = lines.next().and_then(hash);
    let root = root.ok_or(Error::Checkpoint("its third line is no hash"))?;
    Ok((origin, Head { size, root }))
}

/// A number without a sign and without zeros before it.
pub(super) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Digest> {
    STANDARD.decode(text).ok()?.try_into().ok().map(Digest::from_bytes)
}
