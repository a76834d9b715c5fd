//! Makes the streams and consumers of the topology where they are missing, and refuses to go on
//! where they are there but differ.
//!
//! Re-applying changes nothing: an update of a stream in use can lose messages, so a difference is
//! for people to look at.

use maestro_schemas::codec::MESSAGE_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api;
use crate::connect::Connection;
use crate::topology::{ConsumerSpec, PerSubject, Retention, StreamSpec};

/// The oldest server that can do all that the topology asks for.
pub const SERVER_LEAST: (i64, i64, i64) = (2, 12, 0);

/// Why the bus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is older than [`SERVER_LEAST`].
    #[error("nats-server {found} is too old; 2.12.0 is the least")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The server has no JetStream.
    #[error("the nats-server at hand has no JetStream; start it with `jetstream {{}}` configured")]
    NoJetStream,
    /// The server takes no message of the size that ours may have.
    #[error(
        "the nats-server takes messages of {found} bytes; {MESSAGE_BYTES_MAX} are needed (max_payload)"
    )]
    PayloadTooSmall {
        /// Its limit in bytes.
        found: usize,
    },
    /// The streams would be larger together than the server allows.
    #[error("the streams hold {wanted} bytes together; the bus allows {allowed} (max_file_store)")]
    TooLarge {
        /// The sum of the streams that are still to be made, in bytes.
        wanted: u64,
        /// What is left, in bytes.
        allowed: u64,
    },
    /// The server has no room for a stream.
    #[error("the bus has no room for stream {stream} of {wanted} bytes (max_file_store)")]
    NoRoom {
        /// The stream.
        stream: String,
        /// Its size in bytes.
        wanted: u64,
    },
    /// A stream or consumer is there with another configuration.
    #[error(
        "{name} exists with {field} {found}, and is wanted with {wanted}; change the one or the other by hand"
    )]
    Differs {
        /// The stream, or the stream and its consumer.
        name: String,
        /// What differs.
        field: String,
        /// As it is.
        found: String,
        /// As it should be.
        wanted: String,
    },
    /// JetStream did not do what was asked.
    #[error("the streams cannot be made")]
    Api(#[from] api::Error),
}

/// Where a stream stood: only to see that a later one is younger or shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMark {
    /// The stream.
    pub stream: String,
    /// When it was made, by the server's clock.
    pub created: String,
    /// The number of its last message.
    pub last_sequence: u64,
}

impl StreamMark {
    /// Whether messages of `earlier` may be gone: every owner then ensures its live attempts.
    pub fn lost_since(&self, earlier: &Self) -> bool {
        self.created != earlier.created || self.last_sequence < earlier.last_sequence
    }
}

#[derive(Deserialize)]
pub(crate) struct StreamInfo {
    config: Value,
    pub(crate) created: String,
    pub(crate) state: State,
}

#[derive(Deserialize)]
pub(crate) struct State {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

#[derive(Deserialize)]
pub(crate) struct ConsumerInfo {
    config: Value,
    #[serde(default)]
    pub(crate) num_pending: u64,
    #[serde(default)]
    pub(crate) num_ack_pending: u64,
    #[serde(default)]
    pub(crate) num_redelivered: u64,
    #[serde(default)]
    pub(crate) num_waiting: u64,
}

#[derive(Deserialize)]
struct AccountInfo {
    storage: u64,
    limits: AccountLimits,
}

#[derive(Deserialize)]
struct AccountLimits {
    max_storage: i64,
}

/// Refuses a server that cannot do what the topology asks for, by name.
pub async fn check_server(connection: &Connection) -> Result<(), Error> {
    let (major, minor, patch) = SERVER_LEAST;
    let info = connection.client().server_info();
    if !connection.client().is_server_compatible(major, minor, patch) {
        return Err(Error::TooOld { found: info.version });
    }
    if info.max_payload < MESSAGE_BYTES_MAX {
        return Err(Error::PayloadTooSmall { found: info.max_payload });
    }
    account(connection).await.map(|_| ())
}

async fn account(connection: &Connection) -> Result<AccountInfo, Error> {
    match api::ask(connection, "INFO", &Value::Null).await {
        Ok(info) => Ok(info),
        Err(api::Error::Unanswered {
            source: crate::connect::RequestError::NobodyListens, ..
        }) => Err(Error::NoJetStream),
        Err(api::Error::Refused { number: 10_039 | 10_076, .. }) => Err(Error::NoJetStream),
        Err(error) => Err(error.into()),
    }
}

/// Makes what is missing, refuses what differs, and says where each stream stands.
pub async fn ensure(
    connection: &Connection,
    wanted: &[StreamSpec],
) -> Result<Vec<StreamMark>, Error> {
    let mut found = Vec::with_capacity(wanted.len());
    for spec in wanted {
        found.push(stream_info(connection, &spec.name).await?);
    }
    let missing = wanted.iter().zip(&found).filter(|(_, info)| info.is_none());
    check_room(connection, missing.map(|(spec, _)| spec.bytes_max).sum()).await?;
    let mut marks = Vec::with_capacity(wanted.len());
    for (spec, info) in wanted.iter().zip(found) {
        let info = match info {
            Some(info) => info,
            None => create_stream(connection, spec).await?,
        };
        differs(&spec.name, &stream_config(spec), &info.config)?;
        for consumer in &spec.consumers {
            ensure_consumer(connection, &spec.name, consumer).await?;
        }
        marks.push(StreamMark {
            stream: spec.name.clone(),
            created: info.created,
            last_sequence: info.state.last_seq,
        });
    }
    Ok(marks)
}

async fn check_room(connection: &Connection, wanted: u64) -> Result<(), Error> {
    let AccountInfo { storage, limits } = account(connection).await?;
    match u64::try_from(limits.max_storage) {
        Ok(most) if wanted > most.saturating_sub(storage) => {
            Err(Error::TooLarge { wanted, allowed: most.saturating_sub(storage) })
        }
        // Below zero: the account has no limit of its own, and the server checks its own.
        _ => Ok(()),
    }
}

pub(crate) async fn stream_info(
    connection: &Connection,
    stream: &str,
) -> Result<Option<StreamInfo>, api::Error> {
    let what = format!("STREAM.INFO.{stream}");
    match api::ask(connection, &what, &Value::Null).await {
        Err(error) if error.number() == Some(api::STREAM_NOT_FOUND) => Ok(None),
        info => info.map(Some),
    }
}

pub(crate) async fn consumer_info(
    connection: &Connection,
    stream: &str,
    consumer: &str,
) -> Result<Option<ConsumerInfo>, api::Error> {
    let what = format!("CONSUMER.INFO.{stream}.{consumer}");
    match api::ask(connection, &what, &Value::Null).await {
        Err(error) if error.number() == Some(api::CONSUMER_NOT_FOUND) => Ok(None),
        info => info.map(Some),
    }
}

async fn create_stream(connection: &Connection, spec: &StreamSpec) -> Result<StreamInfo, Error> {
    let what = format!("STREAM.CREATE.{}", spec.name);
    match api::ask(connection, &what, &stream_config(spec)).await {
        Err(error) if error.number() == Some(api::NO_STORAGE) => {
            Err(Error::NoRoom { stream: spec.name.clone(), wanted: spec.bytes_max })
        }
        info => Ok(info?),
    }
}

/// Makes a consumer where it is missing; refuses one that differs. Answers what stands there.
pub(crate) async fn ensure_consumer(
    connection: &Connection,
    stream: &str,
    spec: &ConsumerSpec,
) -> Result<ConsumerInfo, Error> {
    let info = match consumer_info(connection, stream, &spec.name).await? {
        Some(info) => info,
        None => {
            let what = match &spec.filter {
                Some(filter) => format!("CONSUMER.CREATE.{stream}.{}.{filter}", spec.name),
                None => format!("CONSUMER.CREATE.{stream}.{}", spec.name),
            };
            let body = json!({ "stream_name": stream, "config": consumer_config(spec), "action": "create" });
            api::ask(connection, &what, &body).await?
        }
    };
    let name = format!("consumer {} of {stream}", spec.name);
    differs(&name, &consumer_config(spec), &info.config)?;
    Ok(info)
}

fn stream_config(spec: &StreamSpec) -> Value {
    let mut config = json!({
        "name": spec.name,
        "subjects": spec.subjects,
        "storage": "file",
        "num_replicas": spec.replicas,
        "max_bytes": spec.bytes_max,
        "max_msgs": -1,
        "max_consumers": -1,
    });
    let set = match spec.retention {
        Retention::WorkQueue => json!({ "retention": "workqueue", "discard": "new", "max_age": 0 }),
        Retention::Limits { age_max } => {
            json!({ "retention": "limits", "discard": "old", "max_age": nanos(age_max) })
        }
    };
    let per_subject = match spec.per_subject {
        PerSubject::Any => json!({ "max_msgs_per_subject": -1 }),
        PerSubject::First => json!({ "max_msgs_per_subject": 1, "discard_new_per_subject": true }),
        // Whoever asks for the last one names its subject in that of the question. Where there is no room
        // for another subject it is refused, since a word that went would be taken for none.
        PerSubject::Last => {
            json!({ "max_msgs_per_subject": 1, "allow_direct": true, "discard": "new" })
        }
    };
    for more in [set, per_subject] {
        if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
            config.extend(more);
        }
    }
    config
}

fn consumer_config(spec: &ConsumerSpec) -> Value {
    let mut config = json!({
        "name": spec.name,
        "durable_name": spec.name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": nanos(spec.ack_wait),
        "max_deliver": spec.deliver_max,
        "max_ack_pending": spec.ack_pending_max,
        "max_waiting": spec.waiting_max,
    });
    if let (Value::Object(config), Some(filter)) = (&mut config, &spec.filter) {
        config.insert("filter_subject".to_owned(), json!(filter));
    }
    config
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the server passed over in silence shows here too: it answers with what it really set.
fn differs(name: &str, wanted: &Value, found: &Value) -> Result<(), Error> {
    let Value::Object(fields) = wanted else {
        return Ok(());
    };
    for (field, value) in fields {
        let there = found.get(field).unwrap_or(&Value::Null);
        let absent_is_zero = there.is_null() && (value == 0 || value == false);
        if there != value && !absent_is_zero {
            return Err(Error::Differs {
                name: name.to_owned(),
                field: field.clone(),
                found: there.to_string(),
                wanted: value.to_string(),
            });
        }
    }
    Ok(())
}
