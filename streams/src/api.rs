//! JetStream's own questions and answers, in JSON.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connect::{Connection, RequestError};
use crate::topology::subject::Subject;

const PATIENCE: Duration = Duration::from_secs(5);

/// The server's number for "no such stream".
pub(crate) const STREAM_NOT_FOUND: u64 = 10_059;
/// The server's number for "no such consumer".
pub(crate) const CONSUMER_NOT_FOUND: u64 = 10_014;
/// The server's numbers for "a work queue takes one consumer for each message".
pub(crate) const CONSUMER_NOT_UNIQUE: [u64; 2] = [10_099, 10_100];
/// The server's number for "not enough storage for this many bytes".
pub(crate) const NO_STORAGE: u64 = 10_047;

/// Why JetStream did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It refused.
    #[error("the bus refuses {what}: {description} ({number})")]
    Refused {
        /// What was asked.
        what: String,
        /// The server's number of the reason.
        number: u64,
        /// The server's words.
        description: String,
    },
    /// There was no answer.
    #[error("the bus did not answer {what}")]
    Unanswered {
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: RequestError,
    },
    /// The answer is not of the expected form.
    #[error("the bus answered {what} with something unexpected")]
    Malformed {
        /// What was asked.
        what: String,
    },
}

impl Error {
    /// The server's number of the reason, where it gave one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Refused { number, .. } => Some(*number),
            Self::Unanswered { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// Asks `$JS.API.<what>`.
pub(crate) async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    what: &str,
    body: &Value,
) -> Result<T, Error> {
    let payload = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = connection
        .request(Subject::from(format!("$JS.API.{what}")), payload.into(), PATIENCE)
        .await
        .map_err(|source| Error::Unanswered { what: what.to_owned(), source })?;
    read(what, &answer)
}

fn read<T: DeserializeOwned>(what: &str, answer: &[u8]) -> Result<T, Error> {
    let malformed = || Error::Malformed { what: what.to_owned() };
    let answer: Value = serde_json::from_slice(answer).map_err(|_| malformed())?;
    match answer.get("error") {
        None => serde_json::from_value(answer).map_err(|_| malformed()),
        Some(error) => Err(Error::Refused {
            what: what.to_owned(),
            number: error.get("err_code").and_then(Value::as_u64).unwrap_or(0),
            description: error
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or("no reason given")
                .to_owned(),
        }),
    }
}
