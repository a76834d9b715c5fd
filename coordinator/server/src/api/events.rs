//! `…/runs/{run}/events`: what happens to a run, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::extract::InRun;
use super::problem::{Kind, Refusal};
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::follow_run::Told;

/// How often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

const RESUME: &[Parameter] = &[Parameter {
    place: "header",
    name: "Last-Event-ID",
    summary: "The batch that was seen last: what was committed after it comes first.",
}];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/projects/{project}/runs/{run}/events",
            Access::InProject(Role::Viewer),
            "What happens to a run, until it has ended. `id` is the batch, `data` an event as JSON.",
            events,
        )
        .answers_bytes("text/event-stream")
        .with(RESUME)
        .without_time_limit(),
    ]
}

async fn events(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Refusal> {
    let permit = api.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Refusal::new(Kind::TooManyStreams, "the server has as many streams open as it may")
    })?;
    let told = api.app.follow_run(&asker.project, run, last_seen(&headers)?).await?;
    let messages = ReceiverStream::new(told).filter_map(move |told| {
        let _held = &permit;
        std::future::ready(message(&told).map(Ok))
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn last_seen(headers: &HeaderMap) -> Result<u64, Refusal> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(0);
    };
    let batch = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    batch.ok_or_else(|| Refusal::new(Kind::Parameter, "Last-Event-ID: expected a whole number"))
}

fn message(told: &Told) -> Option<Message> {
    let message = Message::default().data(serde_json::to_string(&told.event).ok()?);
    Some(match told.resume_from {
        Some(batch) => message.id(batch.to_string()),
        None => message,
    })
}
