//! `…/runs/{run}/steps/{step}/log`: an attempt's output, whole or as it comes.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::Api;
use super::extract::{InRun, Pairs, of_path};
use super::problem::{Kind, Refusal};
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::read_log::LogOf;

const PARAMETERS: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "attempt",
        summary: "The attempt's number; the last one where none is given.",
    },
    Parameter {
        place: "query",
        name: "follow",
        summary: "`true` to go on until a live attempt has ended.",
    },
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/projects/{project}/runs/{run}/steps/{step}/log",
            Access::InProject(Role::Viewer),
            "What an attempt wrote, standard output and error in the order of their arrival.",
            log,
        )
        .answers_bytes("text/plain")
        .with(PARAMETERS)
        .without_time_limit(),
    ]
}

async fn log(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    mut pairs: Pairs,
    mut parts: Parts,
) -> Result<Response, Refusal> {
    let permit = api.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Refusal::new(Kind::TooManyStreams, "the server has as many streams open as it may")
    })?;
    let step = of_path(&mut parts, &api, "step").await?;
    let attempt = pairs.read("attempt", "an attempt's number")?;
    let follow = pairs.read("follow", "true or false")?.unwrap_or(false);
    pairs.finish()?;
    let log = api.app.read_log(&asker.project, LogOf { run, step, attempt }, follow).await?;
    let bytes = log.into_stream().map(move |read| {
        let _held = &permit;
        read
    });
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(bytes)).into_response())
}
