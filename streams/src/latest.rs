//! The last word on a subject: read, and replaced where nobody else has replaced it meanwhile.
//!
//! For streams of [`PerSubject::Last`](crate::topology::PerSubject). The server compares
//! (`Nats-Expected-Last-Subject-Sequence`), so that of two who have read the same word one is told
//! that he was late.

use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use crate::connect::{Connection, RequestError};
use crate::requests::Question;
use crate::topology::subject::Subject;

const PATIENCE: Duration = Duration::from_secs(5);
const EXPECTED_HEADER: &str = "Nats-Expected-Last-Subject-Sequence";
const SEQUENCE_HEADER: &str = "Nats-Sequence";
/// The server's number for "another message is the last one".
const LATE: u64 = 10_071;

/// A word, and its number by which it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its number in the stream; 0 stands for none.
    pub number: u64,
    /// What it says.
    pub bytes: Bytes,
}

/// Why a word is not read or not replaced.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Somebody else was faster; it is to be read again.
    #[error("somebody else wrote it meanwhile")]
    Late,
    /// The bus is not there; what was sent may have been stored or not.
    #[error("the bus did not answer")]
    Unanswered(#[from] RequestError),
    /// The server does not do it, in its words.
    #[error("the bus refuses: {0}")]
    Refused(String),
}

/// The last word on a subject of a stream, where there is one.
pub async fn read(
    connection: &Connection,
    stream: &str,
    subject: &Subject,
) -> Result<Option<Word>, Error> {
    let question = Question {
        subject: Subject::from(format!("$JS.API.DIRECT.GET.{stream}.{subject}")),
        headers: None,
        payload: Bytes::new(),
    };
    let answer = connection.ask(question, PATIENCE).await?;
    match answer.status {
        Some(StatusCode::NOT_FOUND) => return Ok(None),
        Some(status) if status != StatusCode::OK => {
            return Err(Error::Refused(answer.description.unwrap_or_else(|| status.to_string())));
        }
        _ => {}
    }
    let number = answer.headers.as_ref().and_then(|headers| headers.get(SEQUENCE_HEADER));
    let number = number.and_then(|number| number.as_str().parse().ok());
    let unnumbered = || Error::Refused("an answer without a number".to_owned());
    Ok(Some(Word { number: number.ok_or_else(unnumbered)?, bytes: answer.payload }))
}

/// Replaces the word of number `former`, or says the first where that is 0; answers its number.
pub async fn replace(
    connection: &Connection,
    subject: Subject,
    former: u64,
    bytes: Bytes,
) -> Result<u64, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(EXPECTED_HEADER, former.to_string());
    let question = Question { subject, headers: Some(headers), payload: bytes };
    let answer = connection.ask(question, PATIENCE).await?;
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    match answer.get("error") {
        None => {
            let number = answer.get("seq").and_then(Value::as_u64);
            number.ok_or_else(|| Error::Refused("an answer without a number".to_owned()))
        }
        Some(error) if error.get("err_code").and_then(Value::as_u64) == Some(LATE) => {
            Err(Error::Late)
        }
        Some(error) => {
            let words = error.get("description").and_then(Value::as_str);
            Err(Error::Refused(words.unwrap_or("no reason given").to_owned()))
        }
    }
}
