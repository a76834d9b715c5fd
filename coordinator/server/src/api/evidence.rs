//! `/v1/projects/{project}/runs/{run}/evidence` and `/v1/keys`: what was signed, and with what.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use maestro_schemas::api::evidence::{EvidenceStanding, MadeBy};

use super::Api;
use super::extract::{InProject, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Route};

const BYTES: &str = "application/octet-stream";

pub(super) fn routes() -> Vec<Route> {
    let look = Access::InProject(Role::Viewer);
    vec![
        Route::get(
            "/v1/projects/{project}/runs/{run}/evidence",
            look,
            "Where the evidence of a run that ended stands.",
            show,
        )
        .answers::<EvidenceStanding>(),
        Route::get(
            "/v1/projects/{project}/runs/{run}/evidence/{digest}",
            look,
            "A statement or record of a run, by its digest; artifacts are objects.",
            read,
        )
        .answers_bytes(BYTES),
        Route::get(
            "/v1/projects/{project}/made/{digest}",
            look,
            "Which run's evidence says how an artifact was made.",
            made_by,
        )
        .answers::<MadeBy>(),
        Route::get(
            "/v1/keys",
            Access::Token,
            "The list of keys that sign, as its root signed it: a Sigstore bundle.",
            keys,
        )
        .answers_bytes(BYTES),
    ]
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<EvidenceStanding>, Refusal> {
    let run = of_path(&mut parts, &api, "run").await?;
    Ok(axum::Json(api.app.show_evidence(&asker.project, run).await?))
}

async fn read(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<impl IntoResponse, Refusal> {
    let run = of_path(&mut parts, &api, "run").await?;
    let digest = of_path(&mut parts, &api, "digest").await?;
    let body = api.app.read_evidence(&asker.project, run, digest).await?;
    Ok(([(CONTENT_TYPE, BYTES)], body))
}

async fn made_by(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<MadeBy>, Refusal> {
    let digest = of_path(&mut parts, &api, "digest").await?;
    Ok(axum::Json(api.app.made_by(&asker.project, digest).await?))
}

async fn keys(State(api): State<Api>) -> Result<impl IntoResponse, Refusal> {
    Ok(([(CONTENT_TYPE, BYTES)], api.app.list_keys().await?))
}
