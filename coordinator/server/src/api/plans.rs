//! `/v1/projects/{project}/plans`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use maestro_schemas::api::plans::PlanStored;
use maestro_schemas::plan::Plan;

use super::Api;
use super::extract::{InProject, Json, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Route};

/// The largest plan, in bytes.
const PLAN_BYTES_MAX: usize = 32 << 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/projects/{project}/plans",
            Access::InProject(Role::Operator),
            "Stores a plan, and tells for each step whether it would run now.",
            store,
        )
        .takes::<Plan>()
        .answers::<PlanStored>()
        .up_to(PLAN_BYTES_MAX),
        Route::get(
            "/v1/projects/{project}/plans/{digest}",
            Access::InProject(Role::Viewer),
            "A stored plan.",
            show,
        )
        .answers::<Plan>(),
    ]
}

async fn store(
    State(api): State<Api>,
    InProject(asker): InProject,
    Json(plan): Json<Plan>,
) -> Result<axum::Json<PlanStored>, Refusal> {
    Ok(axum::Json(api.app.store_plan(&asker, plan).await?))
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<impl IntoResponse, Refusal> {
    let digest = of_path(&mut parts, &api, "digest").await?;
    let text = api.app.show_plan(&asker.project, digest).await?;
    Ok(([(CONTENT_TYPE, "application/json")], text))
}
