//! `…/runs/{run}/steps`, `…/attempts`, `…/artifacts`: what is known of a run's parts.

use axum::Json;
use axum::extract::State;
use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::api::steps::{AttemptPage, StepPage};

use super::Api;
use super::extract::{InRun, Pairs};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};

const CURSOR: &[Parameter] = &[Parameter {
    place: "query",
    name: "cursor",
    summary: "What the page before gave as `next`.",
}];

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
