//! The router over the bus: `route.choose` and `route.learn`, for workers that call models.
//!
//! A question that finds the line full is not answered, and its asker goes on as if there were no
//! router.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use maestro_router::decide::Failure;
use maestro_router::objective;
use maestro_schemas::api::route::{Outcomes, RouteAnswer, RouteQuestion};
use maestro_schemas::codec;
use maestro_schemas::route::RouteRequest;
use maestro_streams::connect::{Connection, Error as BusError, Received};
use maestro_streams::topology::subject;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::problem::Kind;
use crate::routing::{Error, Routing};

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
    let (Some(choose), Some(learn)) =
        (subject::rpc("route", "choose"), subject::rpc("route", "learn"))
    else {
        return Ok(());
    };
    let mut choosing = connection.subscribe_shared(&choose, SHARE).await?;
    // What became of calls is for all of them: each has a picture of its own.
    let mut learning = connection.subscribe(&learn).await?;
    let line = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(received) = choosing.next() => {
                let Ok(place) = line.clone().try_acquire_owned() else { continue };
                let (routing, voice) = (routing.clone(), connection.clone());
                tokio::task::spawn_blocking(move || {
                    let told = answer(&routing, &received);
                    drop(place);
                    if let (Some(reply), Some(bytes)) = (received.reply, told) {
                        tokio::spawn(async move { voice.tell(reply, bytes.into()).await });
                    }
                });
            }
            Some(received) = learning.next() => learnt(&routing, &received),
            else => return Ok(()),
        }
    }
}

/// Each question about a call goes to one of the processes that share this name.
const SHARE: &str = "router";

fn answer(routing: &Routing, received: &Received) -> Option<Vec<u8>> {
    let question: RouteQuestion = codec::decode(&received.payload).ok()?;
    let told = match decide(routing, question) {
        Ok(answer) => answer,
        Err(refused) => refused,
    };
    codec::encode(&told).ok()
}

fn decide(routing: &Routing, question: RouteQuestion) -> Result<RouteAnswer, RouteAnswer> {
    let RouteQuestion { project, request } = question;
    let wanted = request.objectives.clone().unwrap_or_default();
    let objectives = objective::parse(&wanted).map_err(|error| refused(400, "MAE-4003", &error))?;
    let request = RouteRequest { objectives: None, ..request };
    match routing.choose(&project, request, objectives, now_ms()) {
        Ok(decision) => Ok(RouteAnswer::Decided { decision: Box::new(decision) }),
        Err(Error::Unconfigured(_)) => Ok(RouteAnswer::Unconfigured),
        Err(Error::Failed(Failure::Refused(refusal))) => {
            let code = if refusal.status == 403 { Kind::NoModelAllowed } else { Kind::NoModelNow };
            Err(refused(refusal.status, code.code(), &refusal))
        }
        Err(Error::Failed(Failure::Invalid(invalid))) => Err(refused(400, "MAE-4004", &invalid)),
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
