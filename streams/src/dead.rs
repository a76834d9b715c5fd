//! Dead letters: what nobody could take, kept with the reason and the subject it came on.

use async_nats::HeaderMap;
use bytes::Bytes;
use maestro_schemas::codec::MESSAGE_BYTES_MAX;

use crate::publish::{PublishResult, Publisher};
use crate::topology::subject::Subject;
use crate::topology::{ORIGIN_HEADER, REASON_HEADER};

/// The longest reason that is kept, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;

/// The most bytes of a message that are kept: with its headers a letter is as long as a message may
/// be.
pub const PAYLOAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 4 * REASON_BYTES_MAX;

/// Something that could not be taken.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Where it goes: one of `topology::subject::dead_…`.
    pub subject: Subject,
    /// The subject that it came on.
    pub origin: Subject,
    /// Its bytes; what is beyond [`PAYLOAD_BYTES_MAX`] is cut, and the reason says so.
    pub payload: Bytes,
    /// Why, for people; what is beyond [`REASON_BYTES_MAX`] is cut.
    pub reason: String,
}

/// Keeps a dead letter. Who sends it acks what it came from after this says that it is there.
pub async fn letter(publisher: &Publisher, mut letter: DeadLetter) -> PublishResult {
    let found = letter.payload.len();
    if found > PAYLOAD_BYTES_MAX {
        letter.payload.truncate(PAYLOAD_BYTES_MAX);
        letter.reason = format!("(cut: it had {found} bytes) {}", letter.reason);
    }
    let mut headers = HeaderMap::new();
    headers.insert(REASON_HEADER, one_line(&letter.reason).as_str());
    headers.insert(ORIGIN_HEADER, one_line(&letter.origin).as_str());
    publisher.publish_one(letter.subject, Some(headers), letter.payload).await
}

/// A header's value holds no line ends; what a stranger sent may.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if line.len() + character.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        line.push(character);
    }
    line
}
