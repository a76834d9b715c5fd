//! A connection to the bus: one TCP connection, its events, core messages and requests.
//!
//! A coordinator opens two (what it reads and acks; what it publishes), a worker two for each pool
//! (one of them for logs). A lost connection is made again for as long as the process lives;
//! [`Connection::reconnects`] tells whoever must ask anew for what it had asked for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, Event};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::requests::{Question, Requests};
use crate::topology::permission::Role;
use crate::topology::subject::Subject;

pub use crate::requests::Error as RequestError;

/// How many commands wait for the socket before senders wait.
const CLIENT_CAPACITY: usize = 4_096;
/// How long a core message may wait for a place in the queue to the socket.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server does not know this user, or not with this password.
    #[error("the bus at {url} refuses user {user:?}")]
    Refused {
        /// The server's address.
        url: String,
        /// Who was refused.
        user: String,
    },
    /// No server answered for as long as was waited.
    #[error("no bus answers at {url} within {waited:?}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// For how long it was tried.
        waited: Duration,
        /// What the last try ended with.
        #[source]
        source: async_nats::ConnectError,
    },
    /// A subscription could not be made.
    #[error("cannot subscribe to {subject}")]
    Subscribe {
        /// The subject.
        subject: String,
        /// What the client says.
        #[source]
        source: async_nats::SubscribeError,
    },
    /// The connection went away in the middle.
    #[error("the connection to the bus is down")]
    Disconnected,
}

/// A user and its password. Never shown.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The server's address, as `nats://127.0.0.1:4222`; without user and password.
    pub url: String,
    /// Who this is, for the server's list of connections.
    pub name: String,
    /// What reply subjects begin with; the user's permissions name it.
    pub inbox_prefix: String,
    /// User and password, where the server asks for them.
    pub credentials: Option<Credentials>,
    /// For how long the first connection is tried.
    pub wait: Duration,
}

impl ConnectOptions {
    /// Connects to `url` as one of `role`; `name` is for people.
    pub fn new(url: impl Into<String>, name: impl Into<String>, role: &Role) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            inbox_prefix: role.inbox_prefix(),
            credentials: None,
            wait: Duration::from_secs(10),
        }
    }

    /// Shows these credentials.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }
}

/// Whether the connection stands, and how often it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) connected: bool,
    pub(crate) times: u64,
}

/// What went wrong so far.
#[derive(Debug, Default)]
struct Counted {
    server_errors: AtomicU64,
    slow_consumers: AtomicU64,
    disconnects: AtomicU64,
}

/// What went wrong with a connection so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Errors that the server sent, denied subjects among them.
    pub server_errors: u64,
    /// Messages dropped because their reader was behind.
    pub slow_consumers: u64,
    /// Lost connections.
    pub disconnects: u64,
}

/// A connection; clones share it.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    link: watch::Receiver<Link>,
    reconnects: watch::Receiver<u64>,
    counted: Arc<Counted>,
    requests: Arc<Requests>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("link", &*self.link.borrow()).finish_non_exhaustive()
    }
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Where it was sent to.
    pub subject: Subject,
    /// Where an answer is expected.
    pub reply: Option<Subject>,
    /// Its bytes, from anyone permitted.
    pub payload: Bytes,
}

/// Core messages of a subject.
pub struct Subscription(async_nats::Subscriber);

impl Subscription {
    /// The next one; `None` when the connection is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Received> {
        self.0.next().await.map(|message| Received {
            subject: message.subject,
            reply: message.reply,
            payload: message.payload,
        })
    }
}

impl Connection {
    /// Connects, trying for as long as `options.wait`; a refused user is not tried again.
    pub async fn open(options: ConnectOptions) -> Result<Self, Error> {
        let (link_sender, link) = watch::channel(Link::default());
        let (reconnect_sender, reconnects) = watch::channel(0);
        let counted = Arc::new(Counted::default());
        let events = Events {
            name: options.name.clone(),
            link: link_sender,
            reconnects: reconnect_sender,
            counted: Arc::clone(&counted),
        };
        let client = dial(&options, Arc::new(events)).await?;
        let requests = Requests::open(&client).await.map_err(|_| Error::Disconnected)?;
        Ok(Self { client, link, reconnects, counted, requests: Arc::new(requests) })
    }

    /// Whether the connection stands at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Changes whenever the connection was lost and made again: the server may be a younger one.
    pub fn reconnects(&self) -> watch::Receiver<u64> {
        self.reconnects.clone()
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        Counters {
            server_errors: self.counted.server_errors.load(Ordering::Relaxed),
            slow_consumers: self.counted.slow_consumers.load(Ordering::Relaxed),
            disconnects: self.counted.disconnects.load(Ordering::Relaxed),
        }
    }

    /// Sends a message that may be lost: at once, or not at all.
    pub async fn tell(&self, subject: Subject, payload: Bytes) {
        if !self.is_connected() {
            return;
        }
        let sent = self.client.publish(subject, payload);
        if !matches!(tokio::time::timeout(TELL_PATIENCE, sent).await, Ok(Ok(()))) {
            tracing::debug!("a message that may be lost was lost");
        }
    }

    /// Asks a question and waits for its one answer.
    pub async fn request(
        &self,
        subject: Subject,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, RequestError> {
        let question = Question { subject, headers: None, payload };
        self.ask(question, within).await.map(|message| message.payload)
    }

    /// The same with headers both ways.
    pub(crate) async fn ask(
        &self,
        question: Question,
        within: Duration,
    ) -> Result<async_nats::Message, RequestError> {
        if !self.is_connected() {
            return Err(RequestError::Disconnected);
        }
        self.requests.ask(&self.client, question, within).await
    }

    /// Subscribes to a subject or filter; it holds across reconnects.
    pub async fn subscribe(&self, subject: &str) -> Result<Subscription, Error> {
        self.subscriber(subject).await.map(Subscription)
    }

    /// The same, where each message goes to one of the subscribers that share the name.
    pub async fn subscribe_shared(
        &self,
        subject: &str,
        share: &str,
    ) -> Result<Subscription, Error> {
        let subscribed = self.client.queue_subscribe(subject.to_owned(), share.to_owned()).await;
        subscribed.map(Subscription).map_err(|_| Error::Disconnected)
    }

    /// A reply subject of this connection's own, that nobody used before.
    pub fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// Sends what is queued and waits for the server to have it, for 2 s at most.
    pub async fn close(&self) {
        if !matches!(tokio::time::timeout(CLOSE_PATIENCE, self.client.flush()).await, Ok(Ok(()))) {
            tracing::warn!("the bus did not take all that was queued before the end");
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    pub(crate) async fn subscriber(&self, subject: &str) -> Result<async_nats::Subscriber, Error> {
        let subscribed = self.client.subscribe(subject.to_owned()).await;
        subscribed.map_err(|source| Error::Subscribe { subject: subject.to_owned(), source })
    }
}

async fn dial(options: &ConnectOptions, events: Arc<Events>) -> Result<Client, Error> {
    let until = Instant::now() + options.wait;
    let mut pause = Duration::from_millis(50);
    loop {
        let source = match client_options(options, Arc::clone(&events))
            .connect(options.url.as_str())
            .await
        {
            Ok(client) => return Ok(client),
            Err(source) => source,
        };
        if matches!(
            source.kind(),
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation
        ) {
            return Err(Error::Refused {
                url: options.url.clone(),
                user: options.credentials.as_ref().map(|c| c.user.clone()).unwrap_or_default(),
            });
        }
        if Instant::now() + pause > until {
            return Err(Error::Unreachable {
                url: options.url.clone(),
                waited: options.wait,
                source,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn client_options(options: &ConnectOptions, events: Arc<Events>) -> async_nats::ConnectOptions {
    let client = async_nats::ConnectOptions::new()
        .name(&options.name)
        .custom_inbox_prefix(&options.inbox_prefix)
        .ping_interval(Duration::from_secs(10))
        .connection_timeout(Duration::from_secs(5))
        .client_capacity(CLIENT_CAPACITY)
        // Every subject is built in `topology` of names that are safe as tokens.
        .skip_subject_validation(true)
        .reconnect_delay_callback(|tries| {
            Duration::from_millis(10u64.saturating_mul(1 << tries.min(7)))
        })
        .event_callback(move |event| {
            events.happened(&event);
            std::future::ready(())
        });
    match &options.credentials {
        Some(Credentials { user, password }) => {
            client.user_and_password(user.clone(), password.clone())
        }
        None => client,
    }
}

/// Where the client's events go.
struct Events {
    name: String,
    link: watch::Sender<Link>,
    reconnects: watch::Sender<u64>,
    counted: Arc<Counted>,
}

impl Events {
    fn happened(&self, event: &Event) {
        let connection = self.name.as_str();
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => {
                self.counted.disconnects.fetch_add(1, Ordering::Relaxed);
                self.link.send_modify(|link| link.connected = false);
                tracing::warn!(connection, "the connection to the bus is lost");
            }
            Event::SlowConsumer(_) => {
                self.counted.slow_consumers.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(connection, "messages are dropped: their reader is behind");
            }
            Event::ServerError(error) => {
                self.counted.server_errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(connection, %error, "the bus reports an error");
            }
            Event::ClientError(error) => tracing::debug!(connection, %error, "the bus client"),
            other => tracing::debug!(connection, %other, "the bus client"),
        }
    }

    fn connected(&self) {
        let mut again = false;
        self.link.send_modify(|link| {
            again = link.times > 0;
            *link = Link { connected: true, times: link.times + 1 };
        });
        if again {
            tracing::info!(connection = self.name, "connected to the bus again");
            self.reconnects.send_modify(|times| *times += 1);
        }
    }
}
