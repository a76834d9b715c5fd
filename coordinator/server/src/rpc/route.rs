//! The router over the bus: `route.choose` and `route.learn`, for workers that call models;
//! `route.share`, for processes that serve the API to tell each other what they were told over HTTP.
//!
//! A question that finds the line full is not answered, and its asker asks no model; nor does it where a
//! configuration is named and cannot be used.

use std::sync::Arc;

use maestro_router::decide::Failure;
use maestro_router::objective;
use maestro_schemas::api::route::{Outcomes, RouteAnswer, RouteQuestion, Shared};
use maestro_schemas::codec;
use maestro_schemas::route::{Registered, RouteRequest};
use maestro_streams::connect::{Connection, Error as BusError, Received};
use maestro_streams::topology::subject;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::api::problem::Kind;
use crate::clock::now_ms;
use crate::routing::share::tell_others;
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
    let telling = tokio::spawn(tell_others(routing.words(), connection.clone(), share));
    let _telling = AbortOnDropHandle::new(telling);
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
    let invalid = |invalid| refused(&Error::from(Failure::Invalid(invalid)));
    question.purpose.check().map_err(invalid)?;
    routing.registered(&question.project, &question.purpose).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a prompt cannot be looked up");
        let message = "the registry of prompts does not answer now, so no model is asked";
        of_kind(Kind::Unavailable, message)
    })
}

fn decide(
    routing: &Routing,
    question: RouteQuestion,
    registered: Option<Registered>,
) -> Result<RouteAnswer, RouteAnswer> {
    let RouteQuestion { project, request, purpose } = question;
    let wanted = request.objectives.clone().unwrap_or_default();
    let objectives =
        objective::parse(&wanted).map_err(|error| of_kind(Kind::Objectives, &error.to_string()))?;
    let request = RouteRequest { objectives: None, ..request };
    let (purpose, now_ms) = (Some(purpose), now_ms());
    let asking = Asking { project, request, objectives, purpose, registered, now_ms };
    match routing.choose(asking) {
        Ok(decision) => Ok(RouteAnswer::Decided { decision: Box::new(decision) }),
        Err(Error::Unconfigured) => Ok(RouteAnswer::Unconfigured),
        Err(error) => Err(refused(&error)),
    }
}

/// As HTTP would refuse it.
fn refused(error: &Error) -> RouteAnswer {
    of_kind(Kind::of(error), &error.to_string())
}

fn of_kind(kind: Kind, message: &str) -> RouteAnswer {
    let (code, status, message) = (kind.code().to_owned(), kind.status(), message.to_owned());
    RouteAnswer::Refused { code, status, message }
}

fn learnt(routing: &Routing, received: &Received) {
    let Ok(Outcomes { outcomes, unmade }) = codec::decode(&received.payload) else { return };
    routing.unmade(&unmade);
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
