//! The door for jobs by subject: a message on `submit.<project>` becomes a run, and one that cannot
//! become one lands in the dead letters with its reason.
//!
//! Runs beside the API, as its role. Several processes share the durable; a message is acked only
//! once its submission is stored or its letter kept, so nothing is lost. The same message twice is
//! the same run: its `Nats-Msg-Id` is the key, else the server's time and the body's digest.

use std::time::Duration;

use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::submit::SubmitRequest;
use maestro_streams::Subject;
use maestro_streams::connect::Error as BusError;
use maestro_streams::dead::{self, DeadLetter};
use maestro_streams::delivery::Delivery;
use maestro_streams::fetch::queue::QueueReader;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::address::SubmitSubject;
use maestro_streams::topology::{INTAKE, subject, submit_stream};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Asker, Error};

/// How many messages are on their way to this process at once.
const AT_ONCE_MAX: u32 = 64;

/// The pause before a message is given back that cannot be dealt with now.
const AGAIN: Duration = Duration::from_secs(1);

/// Who asks, as the audit says.
const ACTOR: &str = "subject";

/// What becomes of a message.
enum Verdict {
    /// It is a run, or its letter says why not.
    Done,
    /// Something that is needed is away.
    Later,
}

/// Takes jobs until `stop`.
///
/// # Errors
/// Where the bus does not let this process read them.
pub async fn run(app: App, stop: CancellationToken) -> Result<(), BusError> {
    let connection = app.bus.connection().clone();
    let publisher = Publisher::open(&connection).await?;
    let mut queue = QueueReader::open(&connection, &submit_stream(), INTAKE, AT_ONCE_MAX).await?;
    let door = Door { app, publisher };
    loop {
        let deliveries = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            deliveries = queue.next() => match deliveries {
                Some(deliveries) => deliveries,
                None => return Ok(()),
            },
        };
        for delivery in deliveries {
            match door.take(&delivery).await {
                Verdict::Done => delivery.ack().await,
                Verdict::Later => {
                    tokio::time::sleep(AGAIN).await;
                    delivery.nak().await;
                }
            }
        }
    }
}

struct Door {
    app: App,
    publisher: Publisher,
}

impl Door {
    async fn take(&self, delivery: &Delivery) -> Verdict {
        match SubmitSubject::parse(&delivery.subject) {
            Some(SubmitSubject::Submit { project }) => self.submit(delivery, project).await,
            Some(SubmitSubject::Trigger { project, source }) => {
                let reason = format!("nothing is set up for events of {source}");
                self.bury(delivery, subject::dead_submit(&project), reason).await
            }
            // The stream takes any word where a project stands.
            None => {
                let reason = "its subject names no project that could be: expected 1 to 63 of \
                              a-z, 0-9, '-' and '_', beginning with a letter or digit";
                self.bury(delivery, subject::dead_submit_of_nobody(), reason.to_owned()).await
            }
        }
    }

    async fn submit(&self, delivery: &Delivery, project: ProjectName) -> Verdict {
        let mut request: SubmitRequest = match serde_json::from_slice(&delivery.payload) {
            Ok(request) => request,
            Err(error) => {
                let reason = format!("the body is no submission: {error}");
                return self.bury(delivery, subject::dead_submit(&project), reason).await;
            }
        };
        request.idempotency_key.get_or_insert_with(|| key_of(delivery));
        let asker = Asker { project: project.clone(), actor: ACTOR.to_owned() };
        match self.app.submit_run(&asker, request).await {
            Ok(response) => {
                tracing::info!(run = %response.run, %project, "a job by subject became a run");
                Verdict::Done
            }
            Err(error @ (Error::Store(_) | Error::Objects(_) | Error::Unavailable(_))) => {
                tracing::warn!(%error, %project, "a job by subject has to wait");
                Verdict::Later
            }
            Err(error) => {
                self.bury(delivery, subject::dead_submit(&project), error.to_string()).await
            }
        }
    }

    async fn bury(&self, delivery: &Delivery, subject: Subject, reason: String) -> Verdict {
        let origin = delivery.subject.as_str();
        tracing::warn!(reason, origin, "a job by subject cannot become a run");
        let letter = DeadLetter {
            subject,
            origin: delivery.subject.clone(),
            payload: delivery.payload.clone(),
            reason,
        };
        match dead::letter(&self.publisher, letter).await.is_there() {
            true => Verdict::Done,
            false => Verdict::Later,
        }
    }
}

/// The key under which the same message is the same run.
fn key_of(delivery: &Delivery) -> String {
    match &delivery.message_id {
        Some(id) => format!("subject-{}", Digest::of(id.as_bytes()).to_hex()),
        None => {
            format!("subject-{}-{}", delivery.stored_at_ms, Digest::of(&delivery.payload).to_hex())
        }
    }
}
