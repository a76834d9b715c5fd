//! `…/runs/{run}/steps`, `…/attempts`, `…/artifacts`: what is known of a run's parts.

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::api::cached::CacheReport;
use maestro_schemas::api::steps::{AttemptPage, StepPage};
use maestro_schemas::api::tested::{Durations, TestPage};

use super::Api;
use super::extract::{InProject, InRun, Pairs, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};

const CURSOR: &[Parameter] = &[Parameter {
    place: "query",
    name: "cursor",
    summary: "What the page before gave as `next`.",
}];

const PIPELINE: &[Parameter] =
    &[Parameter { place: "query", name: "pipeline", summary: "The pipeline's name; required." }];

const TESTS: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "failed",
        summary: "`true` for those cases only that failed.",
    },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

pub(super) fn routes() -> Vec<Route> {
    let look = Access::InProject(Role::Viewer);
    vec![
        Route::get(
            "/v1/projects/{project}/runs/{run}/steps",
            look,
            "Steps in the plan's order, a fan-out as one.",
            steps,
        )
        .answers::<StepPage>()
        .with(CURSOR),
        Route::get(
            "/v1/projects/{project}/runs/{run}/attempts",
            look,
            "Attempts that have ended, the first to be decided first.",
            attempts,
        )
        .answers::<AttemptPage>()
        .with(CURSOR),
        Route::get(
            "/v1/projects/{project}/runs/{run}/artifacts",
            look,
            "What the steps made.",
            artifacts,
        )
        .answers::<ArtifactList>(),
        Route::get(
            "/v1/projects/{project}/runs/{run}/steps/{step}/why-cached",
            look,
            "Whether a step's result was known, and which part of its key differs where not.",
            why_cached,
        )
        .answers::<CacheReport>(),
        Route::get(
            "/v1/projects/{project}/runs/{run}/tests",
            look,
            "What the tests of the run said, of each step the last attempt that told of any.",
            tests,
        )
        .answers::<TestPage>()
        .with(TESTS),
        Route::get(
            "/v1/projects/{project}/test-durations",
            look,
            "How long the tests of a pipeline's steps took lately.",
            test_durations,
        )
        .answers::<Durations>()
        .with(PIPELINE),
    ]
}

async fn steps(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    mut pairs: Pairs,
) -> Result<Json<StepPage>, Refusal> {
    let cursor = pairs.take("cursor")?;
    pairs.finish()?;
    Ok(Json(api.app.list_steps(&asker.project, run, cursor.as_deref()).await?))
}

async fn attempts(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    mut pairs: Pairs,
) -> Result<Json<AttemptPage>, Refusal> {
    let cursor = pairs.take("cursor")?;
    pairs.finish()?;
    Ok(Json(api.app.list_attempts(&asker.project, run, cursor.as_deref()).await?))
}

async fn artifacts(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
) -> Result<Json<ArtifactList>, Refusal> {
    Ok(Json(api.app.list_artifacts(&asker.project, run).await?))
}

async fn why_cached(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    mut parts: Parts,
) -> Result<Json<CacheReport>, Refusal> {
    let step = of_path(&mut parts, &api, "step").await?;
    Ok(Json(api.app.why_cached(&asker.project, run, step).await?))
}

async fn tests(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    mut pairs: Pairs,
) -> Result<Json<TestPage>, Refusal> {
    let cursor = pairs.take("cursor")?;
    let only_bad = pairs.read("failed", "true or false")?.unwrap_or(false);
    pairs.finish()?;
    let page = api.app.list_tests(&asker.project, run, (only_bad, cursor.as_deref())).await?;
    Ok(Json(page))
}

async fn test_durations(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<Json<Durations>, Refusal> {
    let pipeline = pairs.take("pipeline")?.unwrap_or_default();
    pairs.finish()?;
    Ok(Json(api.app.test_durations(&asker.project, &pipeline).await?))
}
