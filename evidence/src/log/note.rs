//! Texts that a key has signed (C2SP signed-note), with ECDSA on P-256 (signature type 0x02).
//!
//! A key is known by its name and its id: the first four bytes of the SHA-256 of its DER
//! `SubjectPublicKeyInfo`, as that type has it. A signature is in DER, over the text's SHA-256.
//! Whatever other keys have signed is passed over, so that witnesses may sign too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Error;
use crate::key::PublicKey;

/// The largest note, in bytes: room for the 16 signatures that a reader must take, and more.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The most signatures that are looked at.
const SIGNATURES_MAX: usize = 64;

/// The bytes of a key's id.
const KEY_ID_BYTES: usize = 4;

/// What begins a signature's line.
const DASH: &str = "\u{2014} ";

/// The name and the keys that notes are verified by.
#[derive(Debug, Clone, Copy)]
pub struct NoteKey<'a> {
    /// The log's origin.
    pub name: &'a str,
    /// Its keys: the newest, and those before it.
    pub keys: &'a [PublicKey],
}

/// What of a key stands in its signatures.
fn key_id(key: &PublicKey) -> [u8; 4] {
    let [one, two, three, four, ..] = *key.fingerprint().as_bytes();
    [one, two, three, four]
}

/// Whether a name may stand in a note.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// A text, which ends with a line break, with a signature of it.
pub fn signed(
    text: &str,
    (name, key): (&str, &PublicKey),
    signature: &[u8],
) -> Result<String, Error> {
    if !is_name(name) {
        return Err(Error::Note("a key's name has spaces, + or control characters"));
    }
    if !text.ends_with('\n') || has_control(text) {
        return Err(Error::Note(
            "its text does not end with a line break, or holds control characters",
        ));
    }
    let bytes = [key_id(key).as_slice(), signature].concat();
    Ok(format!("{text}\n{DASH}{name} {}\n", STANDARD.encode(bytes)))
}

/// The text of a note, once a signature of one of the keys was found, and all of theirs hold.
pub fn open<'a>(note: &'a str, key: &NoteKey<'_>) -> Result<&'a str, Error> {
    let unsigned = |why| Error::Signature { name: key.name.to_owned(), why };
    let (text, lines) = parts(note)?;
    let mut is_signed = false;
    for line in lines {
        let (name, bytes) = signature(line)?;
        let known = |known: &&PublicKey| name == key.name && bytes.starts_with(&key_id(known));
        let Some(known) = key.keys.iter().find(known) else { continue };
        let signature = bytes.get(KEY_ID_BYTES..).unwrap_or_default();
        if !known.verifies(text.as_bytes(), signature) {
            return Err(unsigned("its signature does not hold"));
        }
        is_signed = true;
    }
    if is_signed { Ok(text) } else { Err(unsigned("there is no signature of a key that is known")) }
}

/// The text, which nobody may believe yet, and the lines of signatures.
fn parts(note: &str) -> Result<(&str, Vec<&str>), Error> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(Error::Note("it is too long"));
    }
    if has_control(note) {
        return Err(Error::Note("it holds control characters"));
    }
    let end = note.rfind("\n\n").ok_or(Error::Note("no empty line stands before signatures"))?;
    let (text, signatures) = note.split_at_checked(end + 1).unwrap_or((note, ""));
    let signatures = signatures.strip_prefix('\n').unwrap_or_default();
    let signatures = signatures.strip_suffix('\n');
    let lines = signatures.ok_or(Error::Note("its last line has no end"))?.split('\n');
    let lines: Vec<&str> = lines.collect();
    if lines.len() > SIGNATURES_MAX {
        return Err(Error::Note("it has too many signatures"));
    }
    Ok((text, lines))
}

fn signature(line: &str) -> Result<(&str, Vec<u8>), Error> {
    let malformed = || Error::Note("a line of a signature is malformed");
    let rest = line.strip_prefix(DASH).ok_or_else(malformed)?;
    let (name, encoded) = rest.split_once(' ').ok_or_else(malformed)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| malformed())?;
    if !is_name(name) || bytes.len() <= KEY_ID_BYTES {
        return Err(malformed());
    }
    Ok((name, bytes))
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' && byte != b'\n')
}
