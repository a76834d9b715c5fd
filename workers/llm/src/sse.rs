//! An answer's bytes as they come, as the pieces that they are.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use maestro_schemas::sse::{Oversized, Parser};

use crate::error::Error;

/// The longest that a model may say nothing once it has been asked.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(120);

/// The data line that ends a stream.
const DONE: &str = "[DONE]";

/// The pieces of a streamed answer.
pub(crate) struct Pieces<S> {
    bytes: S,
    parser: Parser,
    ready: std::vec::IntoIter<String>,
    model: String,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Pieces<S> {
    pub(crate) fn new(bytes: S, model: &str) -> Self {
        Self {
            bytes,
            parser: Parser::default(),
            ready: Vec::new().into_iter(),
            model: model.to_owned(),
        }
    }

    /// The next piece; nothing after the last. A stream that ends without saying that it is the end
    /// was cut.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            match self.ready.next() {
                Some(data) if data == DONE => return Ok(None),
                Some(data) => return Ok(Some(data)),
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let model = || self.model.clone();
        let silent = |_| Error::Silent { model: model(), seconds: SILENCE_MAX.as_secs() };
        let read = tokio::time::timeout(SILENCE_MAX, self.bytes.next()).await.map_err(silent)?;
        let broken = |problem: String| Error::Cut { model: model(), problem };
        let bytes = match read {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Err(broken(crate::call::words(&error))),
            None => return Err(broken("it ended without saying so".to_owned())),
        };
        let messages = self.parser.feed(&bytes).map_err(|Oversized| Error::Unreadable {
            model: model(),
            problem: "a piece of it is too large".to_owned(),
        })?;
        self.ready =
            messages.into_iter().map(|message| message.data).collect::<Vec<_>>().into_iter();
        Ok(())
    }
}
