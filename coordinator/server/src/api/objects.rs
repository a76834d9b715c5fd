//! `/v1/projects/{project}/objects`: bytes by digest.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use maestro_schemas::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::extract::{InProject, Json, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Route};

const BYTES: &str = "application/octet-stream";

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// At most 10,000 digests.
    digests: Vec<Digest>,
}

/// What must be uploaded.
#[derive(Debug, Serialize, JsonSchema)]
struct Missing {
    /// Those that this project has not uploaded, or that are gone.
    missing: Vec<Digest>,
}

pub(super) fn routes() -> Vec<Route> {
    let (look, act) = (Access::InProject(Role::Viewer), Access::InProject(Role::Operator));
    vec![
        Route::post(
            "/v1/projects/{project}/objects/missing",
            act,
            "Which objects must be uploaded.",
            missing,
        )
        .takes::<Asked>()
        .answers::<Missing>()
        .up_to(2 << 20),
        // The store itself bounds an object.
        Route::put(
            "/v1/projects/{project}/objects/{digest}",
            act,
            "Takes an object, whose bytes must have the digest.",
            put,
        )
        .takes_bytes(BYTES)
        .status(204)
        .up_to(usize::MAX)
        .without_time_limit(),
        Route::get(
            "/v1/projects/{project}/objects/{digest}",
            look,
            "An object that the project uploaded or its runs made.",
            get,
        )
        .answers_bytes(BYTES)
        .without_time_limit(),
    ]
}

async fn missing(
    State(api): State<Api>,
    InProject(asker): InProject,
    Json(asked): Json<Asked>,
) -> Result<axum::Json<Missing>, Refusal> {
    let missing = api.app.missing_objects(&asker.project, asked.digests).await?;
    Ok(axum::Json(Missing { missing }))
}

async fn put(
    State(api): State<Api>,
    InProject(asker): InProject,
    request: axum::extract::Request,
) -> Result<StatusCode, Refusal> {
    let (mut parts, body) = request.into_parts();
    let digest: Digest = of_path(&mut parts, &api, "digest").await?;
    let bytes = body.into_data_stream().map(|read| read.map_err(std::io::Error::other));
    api.app.put_object(&asker, digest, Box::pin(bytes)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn get(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<Response, Refusal> {
    let digest: Digest = of_path(&mut parts, &api, "digest").await?;
    let reader = api.app.read_object(&asker.project, digest).await?;
    let size = HeaderValue::from(reader.size);
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(BYTES)), (CONTENT_LENGTH, size)];
    Ok((headers, Body::from_stream(reader.into_stream())).into_response())
}
