//! The router over the bus: `route.choose` and `route.learn`, for workers that call models;
//! `route.share`, for processes that serve the API to tell each other what they were told over HTTP.
//!
//! A question that finds the line full is not answered, and its asker asks no model; nor does it where a
//! configuration is named and cannot be used.

use std::sync::Arc;

use maestro_schemas::api::route::{Outcomes, RouteQuestion, Shared};
use maestro_schemas::codec;
use maestro_streams::connect::{Connection, Error as BusError, Received};
use maestro_streams::topology::subject;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::now_ms;
use crate::routing::Routing;
use crate::routing::answer::answer;
use crate::routing::share::tell_others;

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
                    let told = answered(&routing, &received).await;
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

async fn answered(routing: &Routing, received: &Received) -> Option<Vec<u8>> {
    let question: RouteQuestion = codec::decode(&received.payload).ok()?;
    codec::encode(&answer(routing, question).await?).ok()
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
