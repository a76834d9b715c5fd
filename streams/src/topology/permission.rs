//! What each role may publish and subscribe to. The broker enforces it: a worker can neither read
//! another pool's tasks nor ack, report, claim or log for it, nor send a command.
//!
//! A wildcard stands for whole tokens, so every stream is named in full. Acks are permitted in
//! both of the server's forms (`$JS.ACK.<stream>…` and `$JS.ACK.<domain>.<account>.<stream>…`).

use maestro_schemas::name::{PoolName, ProjectName};

use super::{
    INTAKE, ROOT, event_stream, log_stream, spend_stream, submit_stream, task_stream, word,
};

/// The pool whose workers ask the router, and tell it what became of calls.
const CALLS_MODELS: &str = "llm";
const CHOOSE: &str = "choose";
const LEARN: &str = "learn";
/// What processes that serve the API tell each other; nobody else may.
const SHARE: &str = "share";

fn route(method: &str) -> String {
    format!("{ROOT}.{}.route.{method}", word::RPC)
}

/// Where the workers of a pool ask for secrets: each pool in a place of its own.
fn secrets(pool: &str) -> String {
    format!("{ROOT}.{}.{}.{pool}", word::RPC, word::SECRETS)
}

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// Folds inboxes, publishes tasks, keeps the streams.
    Coordinator,
    /// Answers HTTP, sends commands.
    Api,
    /// Carries out the tasks of one pool.
    Worker(PoolName),
    /// Submits runs of one project by subject.
    Submitter(ProjectName),
}

/// Subjects that a user may publish and subscribe to; all others are denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// May be published.
    pub publish: Vec<String>,
    /// May be subscribed to.
    pub subscribe: Vec<String>,
}

impl Role {
    /// Whether it answers questions on the reply subjects that come with them.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Coordinator | Self::Api)
    }

    /// The role's user name where local mode makes one user of each.
    pub fn user(&self) -> String {
        match self {
            Self::Coordinator => "coordinator".to_owned(),
            Self::Api => "api".to_owned(),
            Self::Worker(pool) => format!("worker-{pool}"),
            Self::Submitter(project) => format!("submitter-{project}"),
        }
    }

    /// What the role's reply subjects begin with. Nobody of another role may subscribe to it.
    pub fn inbox_prefix(&self) -> String {
        format!("_INBOX_{}", self.user())
    }
}

/// What `role` may do.
pub fn permissions(role: &Role) -> Permissions {
    let mut permissions = match role {
        Role::Coordinator => coordinator(),
        Role::Api => api(),
        Role::Worker(pool) => worker(pool),
        Role::Submitter(project) => submitter(project),
    };
    let inbox = format!("{}.>", role.inbox_prefix());
    permissions.subscribe.push(inbox);
    permissions
}

fn under(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("{ROOT}.{word}")).collect()
}

fn coordinator() -> Permissions {
    let mut publish = under(&[">"]);
    publish.extend(["$JS.API.>", "$JS.ACK.>"].map(str::to_owned));
    // Answers to whoever asked; a reply subject's second token is never a wildcard's business.
    publish.extend([Role::Api, Role::Coordinator].map(|role| format!("{}.>", role.inbox_prefix())));
    Permissions { publish, subscribe: under(&["heartbeat.>", "owner.>", "demand", "rpc.>"]) }
}

fn api() -> Permissions {
    let mut publish = under(&["inbox.*.command.*", "submit.*", "trigger.*.*", "rpc.>"]);
    for stream in [log_stream(), event_stream()] {
        publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.>"));
        publish.push(format!("$JS.API.CONSUMER.DELETE.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"));
    }
    let submissions = submit_stream();
    publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{submissions}.{INTAKE}"));
    publish.push(format!("$JS.ACK.{submissions}.>"));
    publish.push(format!("$JS.ACK.*.*.{submissions}.>"));
    publish.push(format!("{ROOT}.{}.{}.*", word::DEAD, word::SUBMIT));
    let mut subscribe = under(&["heartbeat.>", "log.>", "event.>"]);
    subscribe.extend([CHOOSE, LEARN, SHARE].map(route));
    subscribe.push(secrets("*"));
    Permissions { publish, subscribe }
}

fn worker(pool: &PoolName) -> Permissions {
    let stream = task_stream(pool);
    let mut publish = vec![
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"),
        format!("$JS.ACK.{stream}.>"),
        format!("$JS.ACK.*.*.{stream}.>"),
    ];
    publish.extend([
        format!("{ROOT}.{}.*.{}.{pool}.*", word::INBOX, word::REPORT),
        format!("{ROOT}.{}.*.{}.{pool}.*", word::INBOX, word::CLAIM),
        format!("{ROOT}.{}.*.{}.{pool}.*", word::INBOX, word::CALL),
        format!("{ROOT}.{}.{pool}.>", word::SPEND),
        format!("$JS.API.DIRECT.GET.{}.{ROOT}.{}.{pool}.>", spend_stream(), word::SPEND),
        format!("{ROOT}.{}.{pool}.>", word::LOG),
        format!("{ROOT}.{}.{pool}.*", word::HEARTBEAT),
        format!("{ROOT}.{}.{}.{pool}", word::DEAD, word::TASK),
        secrets(pool.as_str()),
    ]);
    if pool.as_str() == CALLS_MODELS {
        publish.extend([CHOOSE, LEARN].map(route));
    }
    Permissions { publish, subscribe: vec![format!("{ROOT}.{}.{pool}.*", word::CONTROL)] }
}

fn submitter(project: &ProjectName) -> Permissions {
    Permissions {
        publish: vec![
            format!("{ROOT}.{}.{project}", word::SUBMIT),
            format!("{ROOT}.{}.{project}.*", word::TRIGGER),
        ],
        subscribe: Vec::new(),
    }
}
