//! Dead letters, as somebody reads them who wants to know why.

use async_nats::{ConnectOptions, Subscriber};
use futures::StreamExt as _;
use maestro_streams::topology::{ORIGIN_HEADER, REASON_HEADER};

use super::{Cluster, OBSERVER, PASSWORD, PATIENCE};

/// Dead letters from a moment on.
pub struct DeadLetters(Subscriber);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Why; empty where it does not say.
    pub reason: String,
    /// The subject that it came on; empty where it does not say.
    pub origin: String,
}

impl Cluster {
    /// Dead letters from now on.
    pub async fn dead_letters(&self) -> DeadLetters {
        let options =
            ConnectOptions::with_user_and_password(OBSERVER.to_owned(), PASSWORD.to_owned());
        let client = options.connect(self.nats.url()).await.expect("the bus answers");
        let letters = client.subscribe("maestro.v1.dead.>").await.expect("a subscription");
        client.flush().await.expect("the bus answers");
        DeadLetters(letters)
    }
}

impl DeadLetters {
    /// The next one.
    pub async fn next(&mut self) -> Letter {
        let letter = tokio::time::timeout(PATIENCE, self.0.next()).await;
        let letter = letter.expect("a dead letter in time").expect("an open connection");
        let header = |name| {
            let value = letter.headers.as_ref().and_then(|headers| headers.get(name));
            value.map(ToString::to_string).unwrap_or_default()
        };
        Letter { reason: header(REASON_HEADER), origin: header(ORIGIN_HEADER) }
    }
}
