//! The router over the bus: `route.choose` and `route.learn`, for workers that call models;
//! `route.share`, for processes that serve the API to tell each other what they were told over HTTP.
//!
//! A question that finds the line full is not answered, and its asker asks no model; nor does it where a
//! configuration is named and cannot be used.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use maestro_router::decide::Failure;
use maestro_router::objective;
use maestro_schemas::api::route::{Outcomes, RouteAnswer, RouteQuestion, Shared};
use maestro_schemas::codec;
use maestro_schemas::route::{Registered, RouteRequest};
use maestro_streams::connect::{Connection, Error as BusError, Received};
use maestro_streams::topology::subject;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::problem::Kind;
use crate::routing::{Asking, Error, Routing};

/// The most questions that are being answered at once.
const AT_ONCE_MAX: usize = 256;

/// Answers until `stop`.
///
/// # Errors
/// Where the bus does not let this process listen.
pub async fn run(
    connection: Connection,
    routing: Routing,
    stop: CancellationToken,
) -> Result<(), BusError> {
    let [Some(choose), Some(learn), Some(share)] =
        ["choose", "learn", "share"].map(|method| subject::rpc("route", method))
    else {
        return Ok(());
    };
    let mut choosing = connection.subscribe_shared(&choose, SHARE).await?;
    // What became of calls is for all of them: each has a picture of its own.
    let mut learning = connection.subscribe(&learn).await?;
    let mut sharing = connection.subscribe(&share).await?;
    let mut here = routing.begun();
    let line = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(received) = choosing.next() => {
                let Ok(place) = line.clone().try_acquire_owned() else { continue };
                let (routing, voice) = (routing.clone(), connection.clone());
                tokio::spawn(async move {
                    let told = answer(routing, &received).await;
                    drop(place);
                    if let (Some(reply), Some(bytes)) = (received.reply, told) {
                        voice.tell(reply, bytes.into()).await;
                    }
                });
            }
            Some(received) = learning.next() => learnt(&routing, &received),
            Some(received) = sharing.next() => heard(&routing, &received),
            Ok(begun) = here.recv() => {
                if let Ok(bytes) = codec::encode(&routing.share_begun(begun)) {
                    connection.tell(share.clone(), bytes.into()).await;
                }
            }
            else => return Ok(()),
        }
    }
}

/// Each question about a call goes to one of the processes that share this name.
const SHARE: &str = "router";

async fn answer(routing: Routing, received: &Received) -> Option<Vec<u8>> {
    let question: RouteQuestion = codec::decode(&received.payload).ok()?;
    let told = match known(&routing, &question).await {
        // Tags are looked for in all of the text, and policies may take their time.
        Ok(registered) => {
            tokio::task::spawn_blocking(move || decide(&routing, question, registered))
                .await
                .ok()?
        }
        Err(refused) => Err(refused),
    };
    codec::encode(&told.unwrap_or_else(|refused| refused)).ok()
}

/// What the registry knows of the question's prompt.
async fn known(
    routing: &Routing,
    question: &RouteQuestion,
) -> Result<Option<Registered>, RouteAnswer> {
    question.purpose.check().map_err(|invalid| refused(400, "MAE-4004", &invalid))?;
    routing.registered(&question.project, &question.purpose).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a prompt cannot be looked up");
        let message = "the registry of prompts does not answer now, so no model is asked";
        RouteAnswer::Refused {
            code: Kind::Unavailable.code().to_owned(),
            status: Kind::Unavailable.status(),
            message: message.to_owned(),
        }
    })
}

fn decide(
    routing: &Routing,
    question: RouteQuestion,
    registered: Option<Registered>,
) -> Result<RouteAnswer, RouteAnswer> {
    let RouteQuestion { project, request, purpose } = question;
    let wanted = request.objectives.clone().unwrap_or_default();
    let objectives = objective::parse(&wanted).map_err(|error| refused(400, "MAE-4003", &error))?;
    let request = RouteRequest { objectives: None, ..request };
    let (purpose, now_ms) = (Some(purpose), now_ms());
    let asking = Asking { project, request, objectives, purpose, registered, now_ms };
    match routing.choose(asking) {
        Ok(decision) => Ok(RouteAnswer::Decided { decision: Box::new(decision) }),
        // What may not go out is known to nobody then.
        Err(Error::Unconfigured(_)) if routing.is_wanted() => Err(unusable()),
        Err(Error::Unconfigured(_)) => Ok(RouteAnswer::Unconfigured),
        Err(Error::Prompt(denied)) => Err(refused(403, Kind::PromptDenied.code(), &denied)),
        Err(Error::Failed(Failure::Refused(refusal))) => {
            let code = if refusal.status == 403 { Kind::NoModelAllowed } else { Kind::NoModelNow };
            Err(refused(refusal.status, code.code(), &refusal))
        }
        Err(Error::Failed(Failure::Invalid(invalid))) => Err(refused(400, "MAE-4004", &invalid)),
    }
}

fn unusable() -> RouteAnswer {
    RouteAnswer::Refused {
        code: Kind::Unavailable.code().to_owned(),
        status: Kind::Unavailable.status(),
        message: "the router's configuration cannot be used, so no model is asked; the server's log says what is wrong with it".to_owned(),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn refused(status: u16, code: &str, error: &dyn std::error::Error) -> RouteAnswer {
    RouteAnswer::Refused { code: code.to_owned(), status, message: error.to_string() }
}

fn learnt(routing: &Routing, received: &Received) {
    let Ok(Outcomes { outcomes }) = codec::decode(&received.payload) else { return };
    if let Err(error) = routing.learn(outcomes, now_ms()) {
        tracing::debug!(%error, "outcomes of calls are passed over");
    }
}

fn heard(routing: &Routing, received: &Received) {
    let Ok(shared) = codec::decode::<Shared>(&received.payload) else { return };
    if let Err(error) = routing.hear(shared, now_ms()) {
        tracing::debug!(%error, "what another process was told is passed over");
    }
}
