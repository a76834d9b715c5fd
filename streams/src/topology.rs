//! The one place that spells streams, subjects and consumers, as data (no I/O).
//!
//! | module | what it holds |
//! |---|---|
//! | here | the words of every subject and stream name, limits, and [`Topology`]: all streams with their configuration |
//! | [`subject`] | builders of every subject |
//! | [`address`] | the same read back: parsers for whoever receives |
//! | [`permission`] | what each role may publish and subscribe to |
//!
//! [`crate::ensure`] turns a [`StreamSpec`] into the server's form; local mode writes
//! [`permission::permissions`] into the server's configuration.

use std::time::Duration;

use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;

pub mod address;
pub mod permission;
pub mod subject;

pub use permission::{Permissions, Role, permissions};

/// What every subject begins with: the project's name and the version of the wire.
pub(crate) const ROOT: &str = "maestro.v1";
const STREAM_PREFIX: &str = "MAESTRO_";

/// Second words of subjects.
pub(crate) mod word {
    pub(crate) const INBOX: &str = "inbox";
    pub(crate) const REPORT: &str = "report";
    pub(crate) const CLAIM: &str = "claim";
    pub(crate) const CALL: &str = "call";
    pub(crate) const COMMAND: &str = "command";
    pub(crate) const TASK: &str = "task";
    pub(crate) const EVENT: &str = "event";
    pub(crate) const SUBMIT: &str = "submit";
    pub(crate) const TRIGGER: &str = "trigger";
    pub(crate) const LOG: &str = "log";
    pub(crate) const SPEND: &str = "spend";
    pub(crate) const DEAD: &str = "dead";
    pub(crate) const HEARTBEAT: &str = "heartbeat";
    pub(crate) const CONTROL: &str = "control";
    pub(crate) const CANCEL: &str = "cancel";
    pub(crate) const DRAIN: &str = "drain";
    pub(crate) const OWNER: &str = "owner";
    pub(crate) const DEMAND: &str = "demand";
    pub(crate) const RPC: &str = "rpc";
    pub(crate) const SECRETS: &str = "secrets";
    /// Stands where a run would, when a message is about several.
    pub(crate) const SEVERAL: &str = "_";
    /// Stands where a project would, when a message names none; no project has such a name.
    pub(crate) const NOBODY: &str = "_";
}

/// How long a task may go un-renewed before it is somebody else's; workers renew each second.
pub const TASK_ACK_WAIT: Duration = Duration::from_secs(4);
/// How often a worker renews what it has in hand.
pub const TASK_RENEW: Duration = Duration::from_secs(1);
/// How often a task is delivered before it counts as one that kills its workers.
pub const TASK_MAX_DELIVER: i64 = 5;
/// How long an inbox message may be in its owner's hands before it is delivered again.
pub const INBOX_ACK_WAIT: Duration = Duration::from_secs(60);
/// The durable of [`Topology::submit`] and [`Topology::dead`] that the coordinators share.
pub const INTAKE: &str = "intake";
/// The header that says why something is a dead letter.
pub const REASON_HEADER: &str = "Maestro-Reason";
/// The header that says which subject a dead letter was first sent to.
pub const ORIGIN_HEADER: &str = "Maestro-Origin";

const MIB: u64 = 1024 * 1024;
const HOUR: Duration = Duration::from_secs(3_600);

/// How many bytes each stream may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Each shard's inbox.
    pub inbox_bytes: u64,
    /// Each pool's tasks.
    pub task_bytes: u64,
    /// Events of all projects.
    pub event_bytes: u64,
    /// Submissions and triggers.
    pub submit_bytes: u64,
    /// Live logs.
    pub log_bytes: u64,
    /// What attempts have spent, a message each.
    pub spend_bytes: u64,
    /// Dead letters and delivery advisories.
    pub dead_bytes: u64,
}

impl Default for Sizes {
    /// About 2 GiB for four shards, and 256 MiB for each pool: fits a laptop's server.
    fn default() -> Self {
        Self {
            inbox_bytes: 256 * MIB,
            task_bytes: 256 * MIB,
            event_bytes: 256 * MIB,
            submit_bytes: 128 * MIB,
            log_bytes: 512 * MIB,
            spend_bytes: 64 * MIB,
            dead_bytes: 128 * MIB,
        }
    }
}

/// What of a cluster's streams is a choice; fixed once the streams exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// How many inboxes the runs are spread over.
    pub shards: u16,
    /// Copies of each stream: 1, or 3 in a cluster of servers.
    pub replicas: u8,
    /// How many bytes each stream may hold.
    pub sizes: Sizes,
}

impl Default for Topology {
    fn default() -> Self {
        Self { shards: 4, replicas: 1, sizes: Sizes::default() }
    }
}

/// When a stream lets a message go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// When it is acked; a full stream refuses the next one.
    WorkQueue,
    /// When it is old or the stream is full; the oldest goes first.
    Limits {
        /// How old a message may get.
        age_max: Duration,
    },
}

/// How many messages a subject may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerSubject {
    /// Any number.
    Any,
    /// One; a second is refused while the first is there.
    First,
    /// One; a second takes its place.
    Last,
}

/// A stream as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// The subjects that it takes.
    pub subjects: Vec<String>,
    /// When it lets a message go.
    pub retention: Retention,
    /// The most bytes that it holds.
    pub bytes_max: u64,
    /// How many messages a subject may have.
    pub per_subject: PerSubject,
    /// Copies.
    pub replicas: u8,
    /// Its standing consumers. An inbox has none: its consumer is named by the owner's epoch.
    pub consumers: Vec<ConsumerSpec>,
}

/// A pull consumer with explicit acks, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// Its name.
    pub name: String,
    /// The subjects that it is given; empty means all of the stream.
    pub filter: Option<String>,
    /// How long a delivery may stay un-acked.
    pub ack_wait: Duration,
    /// How often a message is delivered; -1 means without end.
    pub deliver_max: i64,
    /// How many deliveries may be un-acked together.
    pub ack_pending_max: u32,
    /// How many pulls may wait together. The server never changes it, and passes over what is
    /// beyond in silence.
    pub waiting_max: u32,
}

impl Topology {
    /// Every stream but those of pools, which come as their workers do.
    pub fn streams(&self) -> Vec<StreamSpec> {
        (0..self.shards)
            .map(|shard| self.inbox(shard))
            .chain([self.event(), self.submit(), self.log(), self.spend(), self.dead()])
            .collect()
    }

    /// The inbox of a shard.
    pub fn inbox(&self, shard: u16) -> StreamSpec {
        self.spec(inbox_stream(shard), Retention::WorkQueue)
            .taking(format!("{ROOT}.{}.{shard}.>", word::INBOX))
            .up_to(self.sizes.inbox_bytes)
    }

    /// The tasks of a pool: a durable for each priority, at most one message on a subject.
    pub fn pool(&self, pool: &PoolName) -> StreamSpec {
        let root = format!("{ROOT}.{}.{pool}", word::TASK);
        StreamSpec {
            per_subject: PerSubject::First,
            consumers: Priority::ALL
                .iter()
                .map(|priority| task_consumer(&root, *priority))
                .collect(),
            ..self
                .spec(task_stream(pool), Retention::WorkQueue)
                .taking(format!("{root}.>"))
                .up_to(self.sizes.task_bytes)
        }
    }

    /// What happened, for eyes.
    pub fn event(&self) -> StreamSpec {
        let age_max = 14 * 24 * HOUR;
        self.spec(event_stream(), Retention::Limits { age_max })
            .taking(format!("{ROOT}.{}.*", word::EVENT))
            .up_to(self.sizes.event_bytes)
    }

    /// Submissions and triggers that anyone permitted publishes.
    pub fn submit(&self) -> StreamSpec {
        let age_max = 7 * 24 * HOUR;
        self.spec(submit_stream(), Retention::Limits { age_max })
            .taking(format!("{ROOT}.{}.*", word::SUBMIT))
            .taking(format!("{ROOT}.{}.*.*", word::TRIGGER))
            .up_to(self.sizes.submit_bytes)
            .read_by(INTAKE)
    }

    /// Live logs.
    pub fn log(&self) -> StreamSpec {
        let age_max = 24 * HOUR;
        self.spec(log_stream(), Retention::Limits { age_max })
            .taking(format!("{ROOT}.{}.>", word::LOG))
            .up_to(self.sizes.log_bytes)
    }

    /// What each attempt has spent over all its executions: the last word of each. Older than any
    /// attempt may take, it goes.
    pub fn spend(&self) -> StreamSpec {
        let age_max = 3 * 24 * HOUR;
        StreamSpec {
            per_subject: PerSubject::Last,
            ..self
                .spec(spend_stream(), Retention::Limits { age_max })
                .taking(format!("{ROOT}.{}.>", word::SPEND))
                .up_to(self.sizes.spend_bytes)
        }
    }

    /// What could not be taken, with its reason, and the server's own words about deliveries.
    pub fn dead(&self) -> StreamSpec {
        let age_max = 30 * 24 * HOUR;
        self.spec(dead_stream(), Retention::Limits { age_max })
            .taking(format!("{ROOT}.{}.>", word::DEAD))
            .taking("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".to_owned())
            .taking("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>".to_owned())
            .up_to(self.sizes.dead_bytes)
    }

    /// The consumer of a shard's inbox, as the owner of `epoch` makes it.
    pub fn inbox_consumer(&self, epoch: u64) -> ConsumerSpec {
        ConsumerSpec {
            name: epoch_consumer(epoch),
            filter: None,
            ack_wait: INBOX_ACK_WAIT,
            deliver_max: -1,
            ack_pending_max: 8_192,
            waiting_max: 16,
        }
    }

    fn spec(&self, name: String, retention: Retention) -> StreamSpec {
        StreamSpec {
            name,
            subjects: Vec::new(),
            retention,
            bytes_max: 0,
            per_subject: PerSubject::Any,
            replicas: self.replicas,
            consumers: Vec::new(),
        }
    }
}

impl StreamSpec {
    fn taking(mut self, subject: String) -> Self {
        self.subjects.push(subject);
        self
    }

    fn up_to(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    fn read_by(mut self, name: &str) -> Self {
        self.consumers.push(ConsumerSpec {
            name: name.to_owned(),
            filter: None,
            ack_wait: INBOX_ACK_WAIT,
            deliver_max: -1,
            ack_pending_max: 1_024,
            waiting_max: 64,
        });
        self
    }
}

fn task_consumer(root: &str, priority: Priority) -> ConsumerSpec {
    ConsumerSpec {
        name: priority_token(priority),
        filter: Some(format!("{root}.{}.>", priority_token(priority))),
        ack_wait: TASK_ACK_WAIT,
        deliver_max: TASK_MAX_DELIVER,
        ack_pending_max: 4_096,
        waiting_max: 512,
    }
}

/// The token of a priority, and the name of its durable: `p0` to `p3`.
pub fn priority_token(priority: Priority) -> String {
    format!("p{}", priority.rank())
}

/// The name of a shard's inbox stream.
pub fn inbox_stream(shard: u16) -> String {
    format!("{STREAM_PREFIX}INBOX_{shard}")
}

/// The name of a pool's task stream. Pool names are lower case, so no two meet.
pub fn task_stream(pool: &PoolName) -> String {
    format!("{STREAM_PREFIX}TASK_{}", pool.as_str().to_ascii_uppercase())
}

/// The name of the event stream.
pub fn event_stream() -> String {
    format!("{STREAM_PREFIX}EVENT")
}

/// The name of the stream of submissions and triggers.
pub fn submit_stream() -> String {
    format!("{STREAM_PREFIX}SUBMIT")
}

/// The name of the stream of live logs.
pub fn log_stream() -> String {
    format!("{STREAM_PREFIX}LOG")
}

/// The name of the stream of what attempts have spent.
pub fn spend_stream() -> String {
    format!("{STREAM_PREFIX}SPEND")
}

/// The name of the stream of dead letters.
pub fn dead_stream() -> String {
    format!("{STREAM_PREFIX}DEAD")
}

/// The name of an inbox's consumer while the owner has `epoch`.
pub fn epoch_consumer(epoch: u64) -> String {
    format!("epoch-{epoch}")
}

/// The epoch that a consumer of an inbox is named by.
pub fn epoch_of_consumer(name: &str) -> Option<u64> {
    name.strip_prefix("epoch-")?.parse().ok()
}
