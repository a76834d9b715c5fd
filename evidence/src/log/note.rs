//! Texts that a key has signed (C2SP signed-note), with ECDSA on P-256 (signature type 0x02).
//!
//! A key is known by its name and its id: the first four bytes of the SHA-256 of its DER
//! `SubjectPublicKeyInfo`, as that type has it. A signature is in DER, over the text's SHA-256.
//! Whatever other keys have signed is passed over, so that witnesses may sign too.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use maestro_schemas::digest::Digest;

use super::Error;

/// The largest note, in bytes: room for the 16 signatures that a reader must take, and more.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The most signatures that are looked at.
const SIGNATURES_MAX: usize = 64;

/// What begins a signature's line.
const DASH: &str = "\u{2014} ";

/// Tells whether a signature, in DER, is one of a message.
pub type Verifies<'a> = &'a (dyn Fn(&[u8], &[u8]) -> bool + Send + Sync);

/// Signs notes with a key that it keeps to itself.
pub trait NoteSigner: Send + Sync + fmt::Debug {
    /// The key's DER `SubjectPublicKeyInfo`.
    fn der(&self) -> &[u8];

    /// The same in PEM.
    fn pem(&self) -> String;

    /// Whether a signature, in DER, is one of a message.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;

    /// Signs a message: an ECDSA signature over its SHA-256, in DER.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, String>>;
}

/// A key that notes are verified by.
#[derive(Clone, Copy)]
pub struct NoteKey<'a> {
    /// Its name: the log's origin.
    pub name: &'a str,
    /// Its DER `SubjectPublicKeyInfo`.
    pub der: &'a [u8],
    /// What it has signed.
    pub verifies: Verifies<'a>,
}

/// What of a key stands in its signatures.
fn key_id(der: &[u8]) -> [u8; 4] {
    let [one, two, three, four, ..] = *Digest::of(der).as_bytes();
    [one, two, three, four]
}

/// Whether a name may stand in a note.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// A text, which ends with a line break, with a signature of it.
pub fn signed(text: &str, (name, der): (&str, &[u8]), signature: &[u8]) -> Result<String, Error> {
    if !is_name(name) {
        return Err(Error::Note("a key's name has spaces, + or control characters"));
    }
    if !text.ends_with('\n') || has_control(text) {
        return Err(Error::Note(
            "its text does not end with a line break, or holds control characters",
        ));
    }
    let bytes = [key_id(der).as_slice(), signature].concat();
    Ok(format!("{text}\n{DASH}{name} {}\n", STANDARD.encode(bytes)))
}

/// The text of a note, once a signature of the key was found and holds.
pub fn open<'a>(note: &'a str, key: &NoteKey<'_>) -> Result<&'a str, Error> {
    let unsigned = |why| Error::Signature { name: key.name.to_owned(), why };
    let (text, lines) = parts(note)?;
    let id = key_id(key.der);
    let mut is_signed = false;
    for line in lines {
        let (name, signature) = signature(line)?;
        let Some(signature) = signature.strip_prefix(&id[..]).filter(|_| name == key.name) else {
            continue;
        };
        if !(key.verifies)(text.as_bytes(), signature) {
            return Err(unsigned("its signature does not hold"));
        }
        is_signed = true;
    }
    if is_signed { Ok(text) } else { Err(unsigned("there is no signature of this key")) }
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
    if !is_name(name) || bytes.len() < 5 {
        return Err(malformed());
    }
    Ok((name, bytes))
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' && byte != b'\n')
}
