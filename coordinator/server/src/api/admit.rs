//! The gate of every route: whose token it is, and whether its roles reach.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maestro_schemas::name::ProjectName;
use maestro_telemetry::metrics::Answer;
use sha2::{Digest as _, Sha256};

use super::Api;
use super::problem::{Kind, Refusal};
use super::role::Grants;
use super::route::Access;
use crate::app::Asker;
use crate::store::token;

/// The longest secret that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 512;

/// A route's gate.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) api: Api,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) time_max: Option<Duration>,
}

/// Who was let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) grants: Arc<Grants>,
}

/// A new secret for a token: 32 random bytes as text.
pub fn new_secret() -> String {
    format!("mst_{}", hex::encode(rand::random::<[u8; 32]>()))
}

/// What of a secret stands in the database.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Lets a request through to its handler, within the route's time.
pub(super) async fn admit(
    State(gate): State<Gate>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let response = match let_in(&gate, &params, request).await {
        Ok(request) => within(gate.time_max, next.run(request)).await,
        Err(refusal) => refusal.into_response(),
    };
    let answer = Answer { route: gate.path.to_owned(), status: response.status().as_u16() };
    gate.api.metrics.api_requests.get_or_create(&answer).inc();
    response
}

async fn within(time_max: Option<Duration>, answer: impl Future<Output = Response>) -> Response {
    let Some(time_max) = time_max else { return answer.await };
    tokio::time::timeout(time_max, answer).await.unwrap_or_else(|_| {
        Refusal::new(
            Kind::TimedOut,
            format!("the request was not done within {} s", time_max.as_secs()),
        )
        .into_response()
    })
}

async fn let_in(
    gate: &Gate,
    params: &RawPathParams,
    mut request: Request,
) -> Result<Request, Refusal> {
    if gate.access == Access::Public {
        return Ok(request);
    }
    let caller = caller(&gate.api, secret(request.headers())).await?;
    let highest = caller.grants.highest();
    match gate.access {
        Access::Public | Access::Token => {}
        Access::Somewhere(role) if highest >= Some(role) => {}
        Access::Somewhere(role) => return Err(forbidden(role.as_str(), "any project")),
        Access::Everywhere(role) if caller.grants.everywhere() >= Some(role) => {}
        Access::Everywhere(role) => return Err(forbidden(role.as_str(), "every project")),
        Access::InProject(role) => {
            let project = project(params)?;
            if caller.grants.in_project(&project) < Some(role) {
                return Err(forbidden(role.as_str(), project.as_str()));
            }
            request.extensions_mut().insert(Asker { project, actor: caller.name.to_string() });
        }
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

async fn caller(api: &Api, secret: Option<String>) -> Result<Caller, Refusal> {
    let refuse =
        || Refusal::new(Kind::NoToken, "the request bears no token that this server knows");
    let hash = hash(&secret.ok_or_else(refuse)?);
    if let Some(caller) = api.tokens.find(&hash) {
        return Ok(caller);
    }
    // Taken before it is asked, so that what is remembered is never younger than it looks.
    let at = Instant::now();
    let found = token::by_hash(&api.app.pool, hash).await?.ok_or_else(refuse)?;
    let caller = Caller { name: found.name.into(), grants: Arc::new(Grants::of(&found.roles)) };
    api.tokens.keep(hash, at, caller.clone());
    Ok(caller)
}

/// What stands behind `Bearer`, if it can be a secret at all.
fn secret(headers: &HeaderMap) -> Option<String> {
    let (scheme, secret) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let fits =
        scheme.eq_ignore_ascii_case("bearer") && (1..=SECRET_BYTES_MAX).contains(&secret.len());
    fits.then(|| secret.trim().to_owned())
}

fn project(params: &RawPathParams) -> Result<ProjectName, Refusal> {
    let text = params.iter().find(|(name, _)| *name == "project").map_or("", |(_, value)| value);
    text.parse().map_err(|error: maestro_schemas::name::InvalidName| {
        Refusal::new(Kind::Parameter, format!("project: {error}"))
    })
}

fn forbidden(role: &str, place: &str) -> Refusal {
    Refusal::new(
        Kind::Forbidden,
        format!("this needs the role {role} in {place}, which the token does not have"),
    )
}
