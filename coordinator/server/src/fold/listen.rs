//! What coordinators hear on core NATS: heartbeats, the others' demand, questions of the api.

use std::collections::HashMap;

use bytes::Bytes;
use maestro_engine::shard::Fold;
use maestro_engine::shard::request::Completion;
use maestro_engine::share::Demand;
use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::digest::Digest;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::RunId;
use maestro_streams::Subject;
use maestro_streams::connect::{Connection, Error, Received};
use maestro_streams::ensure;
use maestro_streams::topology::address::{HeartbeatSubject, InboxKind, InboxSubject};
use maestro_streams::topology::{Topology, subject};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Shell;
use crate::store::action;

/// A question about a run that only its owner can answer.
pub(super) struct Question {
    run: RunId,
    reply: Subject,
    voice: Connection,
}

impl Question {
    /// Answers it where this coordinator owns the run; else somebody else does.
    pub(super) fn answer(self, fold: &Fold, now_ms: u64) {
        let Some(report) = fold.why(self.run, now_ms) else { return };
        if let Ok(bytes) = codec::encode(&Some(report)) {
            tokio::spawn(async move { self.voice.tell(self.reply, bytes.into()).await });
        }
    }
}

/// Begins to listen.
pub(super) async fn start(
    shell: &Shell,
    tell: mpsc::Sender<Completion>,
) -> Result<(mpsc::Receiver<Question>, JoinSet<()>), Error> {
    let mut listeners = JoinSet::new();
    let mut heartbeats = shell.voice.subscribe(&subject::heartbeats()).await?;
    let mut demands = shell.voice.subscribe(&subject::demand()).await?;
    let (ask, questions) = mpsc::channel(64);
    if let Some(why) = subject::rpc("run", "why") {
        let mut asked = shell.voice.subscribe(&why).await?;
        let voice = shell.voice.clone();
        listeners.spawn(async move {
            while let Some(received) = asked.next().await {
                if let Some(question) = question(&voice, received) {
                    // A question that finds the line full is not answered; the asker says so.
                    let _ = ask.try_send(question);
                }
            }
        });
    }
    let demand_to = tell.clone();
    listeners.spawn(async move {
        while let Some(received) = demands.next().await {
            if let Ok(demand) = codec::decode::<Demand>(&received.payload) {
                let _ = demand_to.send(Completion::Demanded(demand)).await;
            }
        }
    });
    let mut registry = Registry::of(shell);
    listeners.spawn(async move {
        while let Some(received) = heartbeats.next().await {
            if let Some(heartbeat) = heartbeat(&received.subject, &received.payload) {
                registry.note(&heartbeat).await;
                let _ = tell.send(Completion::Heard(Box::new(heartbeat))).await;
            }
        }
    });
    Ok((questions, listeners))
}

/// A heartbeat whose pool and worker are those of its subject, which the broker enforces.
fn heartbeat(subject: &Subject, payload: &Bytes) -> Option<Heartbeat> {
    let address = HeartbeatSubject::parse(subject)?;
    let heartbeat: Heartbeat = codec::decode(payload).ok()?;
    (heartbeat.pool == address.pool && heartbeat.worker == address.worker).then_some(heartbeat)
}

fn question(voice: &Connection, received: Received) -> Option<Question> {
    let reply = received.reply?;
    let run = codec::decode(&received.payload).ok()?;
    Some(Question { run, reply, voice: voice.clone() })
}

/// Whether a message says what its subject, which the broker enforces, lets its sender say.
pub(super) fn belongs(
    message: InboxMessage,
    address: &InboxSubject,
) -> Result<InboxMessage, String> {
    match (&message, &address.kind) {
        (InboxMessage::Reports(reports), InboxKind::Report { pool, run }) => {
            let fits = |report: &maestro_schemas::report::Report| {
                report.pool == *pool && run.is_none_or(|run| run == report.run)
            };
            match reports.iter().all(fits) {
                true => Ok(message),
                false => {
                    Err(format!("a report names another pool or run than its subject, {pool}"))
                }
            }
        }
        (InboxMessage::CallBegun(begun), InboxKind::Call { pool, run })
            if begun.pool == *pool && begun.run == *run =>
        {
            Ok(message)
        }
        (InboxMessage::Command(command), InboxKind::Command { run }) if command.run == *run => {
            Ok(message)
        }
        _ => {
            Err("the message is of another kind, or of another run, than its subject says"
                .to_owned())
        }
    }
}

/// A message that was read, as its sender may have sent it: of reports, the subject that one alone
/// goes to.
pub(super) fn written(shard: u16, message: &InboxMessage) -> Option<(Subject, Bytes)> {
    let subject = match message {
        InboxMessage::Command(command) => subject::inbox_command(shard, command.run),
        InboxMessage::Reports(reports) => {
            let report = reports.first()?;
            subject::inbox_report(shard, &report.pool, Some(report.run))
        }
        InboxMessage::CallBegun(begun) => subject::inbox_call(shard, &begun.pool, begun.run),
    };
    Some((subject, codec::encode(message).ok()?.into()))
}

/// Keeps the catalogue and the pools' streams as workers announce them.
struct Registry {
    pool: PgPool,
    bus: Connection,
    topology: Topology,
    /// The digest of what each pool last announced.
    known: HashMap<String, Digest>,
}

impl Registry {
    fn of(shell: &Shell) -> Self {
        Self {
            pool: shell.pool.clone(),
            bus: shell.voice.clone(),
            topology: shell.topology.clone(),
            known: HashMap::new(),
        }
    }

    async fn note(&mut self, heartbeat: &Heartbeat) {
        let Some(actions) = &heartbeat.actions else { return };
        let Ok(text) = serde_json::to_vec(actions) else { return };
        let digest = Digest::of(&text);
        let name = heartbeat.pool.to_string();
        if self.known.get(&name) == Some(&digest)
            || actions.iter().any(|action| action.pool != heartbeat.pool)
        {
            return;
        }
        let made = ensure::ensure(&self.bus, &[self.topology.pool(&heartbeat.pool)]).await;
        let announced = action::announce(&self.pool, actions).await;
        match (made, announced) {
            (Ok(_), Ok(())) => {
                tracing::info!(
                    pool = name,
                    actions = actions.len(),
                    "a pool announced what it serves"
                );
                self.known.insert(name, digest);
            }
            (made, announced) => {
                let error = made
                    .err()
                    .map(|error| error.to_string())
                    .or(announced.err().map(|error| error.to_string()));
                tracing::warn!(pool = name, error, "what a pool serves could not be kept");
            }
        }
    }
}
