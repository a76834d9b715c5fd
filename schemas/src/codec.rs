//! The envelope on the wire: MessagePack with named fields, and a version.
//!
//! Within a version fields are only added, and a reader passes over those that it does not know.
//! An unknown version is refused by name. JSON is used where people publish by hand
//! ([`crate::submit`]).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::report::{CallBegun, Report};

/// The version that this build writes.
pub const WIRE_VERSION: u16 = 1;

/// The largest message of any kind, in bytes; a server's `max_payload` must be at least this.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not MessagePack of the expected form.
    #[error("the message does not decode")]
    Malformed(#[source] rmp_serde::decode::Error),
    /// The value cannot be written.
    #[error("the message does not encode")]
    Unwritable(#[source] rmp_serde::encode::Error),
    /// A build newer than this one wrote it.
    #[error("the message has version {found}; this build reads version {WIRE_VERSION}")]
    UnknownVersion {
        /// The version in the message.
        found: u16,
    },
    /// It is larger than any message may be.
    #[error("the message has {found} bytes; the most is {MESSAGE_BYTES_MAX}")]
    TooLarge {
        /// Its size in bytes.
        found: usize,
    },
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    v: u16,
    body: &'a T,
}

#[derive(Deserialize)]
struct Incoming<T> {
    body: T,
}

#[derive(Deserialize)]
struct Version {
    v: u16,
}

/// Writes a message.
pub fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, Error> {
    let bytes =
        rmp_serde::to_vec_named(&Outgoing { v: WIRE_VERSION, body }).map_err(Error::Unwritable)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Error::TooLarge { found: bytes.len() });
    }
    Ok(bytes)
}

/// Reads a message, whatever the sender's bytes are.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Error::TooLarge { found: bytes.len() });
    }
    rmp_serde::from_slice::<Incoming<T>>(bytes).map(|message| message.body).map_err(|malformed| {
        match rmp_serde::from_slice::<Version>(bytes) {
            Ok(Version { v: found }) if found != WIRE_VERSION => Error::UnknownVersion { found },
            _ => Error::Malformed(malformed),
        }
    })
}

/// What arrives in a shard's inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxMessage {
    /// Reports of one worker; several travel together where they ended together.
    Reports(Vec<Report>),
    /// An execution is about to call a model.
    CallBegun(Box<CallBegun>),
    /// Somebody asks something of a run.
    Command(Box<Command>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        a: u32,
    }

    #[derive(Serialize)]
    struct New {
        a: u32,
        b: &'static str,
    }

    #[test]
    fn fields_that_a_newer_writer_added_are_passed_over() {
        let bytes = encode(&New { a: 7, b: "later" }).expect("encodes");
        assert_eq!(decode::<Old>(&bytes).expect("decodes"), Old { a: 7 });
    }

    #[test]
    fn an_unknown_version_is_refused_by_name() {
        #[derive(Serialize)]
        struct Future {
            v: u16,
            body: &'static str,
        }
        let bytes = rmp_serde::to_vec_named(&Future { v: 9, body: "?" }).expect("encodes");
        assert!(matches!(decode::<Old>(&bytes), Err(Error::UnknownVersion { found: 9 })));
    }

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        for length in 0..64u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(97)).collect();
            assert!(decode::<InboxMessage>(&bytes).is_err());
        }
    }
}
