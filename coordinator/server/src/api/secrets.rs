//! `/v1/projects/{project}/secrets`: names and versions. A value goes in and never comes out.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use maestro_evidence::secret::{Zeroize as _, Zeroizing};
use maestro_schemas::api::secrets::{
    SecretDeliveries, SecretPage, SecretVersion, SecretsRevoked, SecretsRewrapped,
};
use maestro_schemas::name::SecretName;
use maestro_schemas::secret::{SecretRef, VALUE_BYTES_MAX};

use super::Api;
use super::extract::{InProject, InRun, Pairs, of_path};
use super::problem::{Kind, Refusal};
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::secrets::{Change, GRACE_DEFAULT, GRACE_MAX};

const SECRETS: &str = "/v1/projects/{project}/secrets";
const SECRET: &str = "/v1/projects/{project}/secrets/{name}";
const ROTATE: &str = "/v1/projects/{project}/secrets/{name}/rotate";
const VERSION: &str = "/v1/projects/{project}/secrets/{name}/versions/{version}";
const REWRAP: &str = "/v1/projects/{project}/secret-keys/rewrap";
const OF_RUN: &str = "/v1/projects/{project}/runs/{run}/secrets";
const BYTES: &str = "application/octet-stream";

const PAGE: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "limit",
        summary: "The most versions of the page, at most 200.",
    },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

const GRACE: &[Parameter] = &[Parameter {
    place: "query",
    name: "grace_ms",
    summary: "How long the version that is replaced is given out to steps that name it, in milliseconds; 3600000 where nothing is said, 0 for not at all, at most 30 days.",
}];

pub(super) fn routes() -> Vec<Route> {
    let (look, rule) = (Access::InProject(Role::Viewer), Access::InProject(Role::Admin));
    vec![
        Route::get(SECRETS, look, "Versions of secrets by name, without their values.", list)
            .answers::<SecretPage>()
            .with(PAGE),
        Route::put(SECRET, rule, "Sets a secret that is not set.", set)
            .takes_bytes(BYTES)
            .answers::<SecretVersion>()
            .up_to(2 * VALUE_BYTES_MAX)
            .status(201),
        Route::post(ROTATE, rule, "Gives a secret a new value.", rotate)
            .takes_bytes(BYTES)
            .answers::<SecretVersion>()
            .up_to(2 * VALUE_BYTES_MAX)
            .with(GRACE)
            .status(201),
        Route::delete(SECRET, rule, "Revokes every version of a secret.", revoke)
            .answers::<SecretsRevoked>(),
        Route::delete(VERSION, rule, "Revokes a version of a secret.", revoke_version)
            .answers::<SecretsRevoked>(),
        Route::post(
            REWRAP,
            rule,
            "Wraps up to 100 data keys of the project by the newest key-encryption key.",
            rewrap,
        )
        .answers::<SecretsRewrapped>(),
        Route::get(OF_RUN, look, "Which secrets the attempts of a run were given.", of_run)
            .answers::<SecretDeliveries>(),
    ]
}

/// A body that is a value.
struct Value(Zeroizing<Vec<u8>>);

impl FromRequest<Api> for Value {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, api).await.map_err(|rejection| match rejection
            .status()
        {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let most = format!("a value has at most {VALUE_BYTES_MAX} bytes");
                Refusal::new(Kind::SecretUnfit, most)
            }
            _ => Refusal::new(Kind::Body, "the body ended before its end"),
        })?;
        let value = Zeroizing::new(bytes.to_vec());
        if let Ok(mut bytes) = bytes.try_into_mut() {
            bytes.as_mut().zeroize();
        }
        Ok(Self(value))
    }
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<SecretPage>, Refusal> {
    let page = (pairs.read("limit", "a whole number")?, pairs.take("cursor")?);
    pairs.finish()?;
    Ok(axum::Json(api.app.list_secrets(&asker.project, page).await?))
}

async fn set(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
    Value(value): Value,
) -> Result<(StatusCode, axum::Json<SecretVersion>), Refusal> {
    let name: SecretName = of_path(&mut parts, &api, "name").await?;
    let made = api.app.keep_secret(&asker, (name, Change::Set), value).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

async fn rotate(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
    mut parts: Parts,
    Value(value): Value,
) -> Result<(StatusCode, axum::Json<SecretVersion>), Refusal> {
    let name: SecretName = of_path(&mut parts, &api, "name").await?;
    let grace = pairs.read("grace_ms", "milliseconds")?.map(Duration::from_millis);
    pairs.finish()?;
    let grace = grace.unwrap_or(GRACE_DEFAULT);
    if grace > GRACE_MAX {
        return Err(Refusal::new(Kind::Parameter, "grace_ms: expected at most 30 days"));
    }
    let made = api.app.keep_secret(&asker, (name, Change::Rotate { grace }), value).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

async fn revoke(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<SecretsRevoked>, Refusal> {
    let name = of_path(&mut parts, &api, "name").await?;
    Ok(axum::Json(api.app.revoke_secret(&asker, SecretRef { name, version: None }).await?))
}

async fn revoke_version(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<SecretsRevoked>, Refusal> {
    let name = of_path(&mut parts, &api, "name").await?;
    let version = Some(of_path(&mut parts, &api, "version").await?);
    Ok(axum::Json(api.app.revoke_secret(&asker, SecretRef { name, version }).await?))
}

async fn rewrap(
    State(api): State<Api>,
    InProject(asker): InProject,
) -> Result<axum::Json<SecretsRewrapped>, Refusal> {
    Ok(axum::Json(api.app.rewrap_secrets(&asker).await?))
}

async fn of_run(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
) -> Result<axum::Json<SecretDeliveries>, Refusal> {
    Ok(axum::Json(api.app.list_deliveries(&asker.project, run).await?))
}
