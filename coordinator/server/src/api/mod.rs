//! The HTTP API: thin handlers over [`crate::app`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`route`] | a route: method, path, who may, what goes in and comes out, its limits |
//! | one file per resource | its routes and handlers |
//! | [`admit`] | who is let in; every route passes it. Tokens are remembered for a moment |
//! | [`problem`] | what went wrong, as RFC 9457 has it |
//! | [`openapi`] | the same routes as an OpenAPI document |
//! | [`serve`] | connections |
//!
//! What must stay true: a route exists only as a row of [`routes`], so that none is without its
//! access (`tests/it/api_access.rs` tries each of them); nothing here writes a run.

pub mod admit;
mod audit;
mod catalogue;
mod cost;
pub mod errors;
mod events;
mod evidence;
mod extract;
mod health;
mod logs;
mod objects;
pub mod openapi;
mod plans;
mod pools;
pub mod problem;
mod promotions;
mod prompts;
pub mod role;
pub mod route;
mod routing;
mod runs;
mod secrets;
pub mod serve;
mod steps;
mod whoami;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use maestro_telemetry::metrics::Metrics;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::recent::Recent;
use crate::routing::Routing;
use admit::Caller;
use problem::{Kind, Refusal};
use route::Route;

/// The most streams, of events and of logs, that are open at once.
pub const STREAMS_MAX: usize = 2_000;

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) app: App,
    pub(crate) metrics: Metrics,
    pub(crate) streams: Arc<Semaphore>,
    /// Whose tokens are known, by the hash of their secret.
    pub(crate) tokens: Arc<Recent<[u8; 32], Caller>>,
}

impl Api {
    /// An API over `app` that counts into `metrics`.
    pub fn new(app: App, metrics: Metrics) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { app, metrics, streams, tokens: Arc::default() }
    }

    /// The router that it asks.
    pub fn routing(&self) -> &Routing {
        &self.app.routing
    }
}

/// Every route there is.
pub fn routes() -> Vec<Route> {
    [
        health::routes(),
        whoami::routes(),
        plans::routes(),
        runs::routes(),
        steps::routes(),
        events::routes(),
        logs::routes(),
        objects::routes(),
        pools::routes(),
        catalogue::routes(),
        cost::routes(),
        promotions::routes(),
        prompts::routes(),
        evidence::routes(),
        audit::routes(),
        secrets::routes(),
        routing::routes(),
        errors::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The routes behind their gates.
pub fn router(api: Api) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let gate = admit::Gate {
            api: api.clone(),
            path: route.path,
            access: route.access,
            time_max: route.time_max,
        };
        let method = route
            .handler
            .layer(DefaultBodyLimit::max(route.body_bytes_max))
            .layer(from_fn_with_state(gate, admit::admit));
        router = router.route(route.path, method);
    }
    router
        .fallback(|| async {
            Refusal::new(Kind::NoRoute, "there is no such path; docs/api.md lists them")
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(Kind::NoMethod, "the path does not take this method")
        })
        .layer(from_fn(bound_headers))
        .layer(from_fn_with_state(api.clone(), finish))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(api)
}

/// The most bytes of a request's headers.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// The most bytes of a request's path and query.
const TARGET_BYTES_MAX: usize = 8 * 1024;

async fn bound_headers(request: Request, next: Next) -> Response {
    let headers = request.headers().iter();
    let size: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if size > HEADER_BYTES_MAX || target > TARGET_BYTES_MAX {
        return Refusal::new(Kind::HeadersTooLarge, format!("at most {HEADER_BYTES_MAX} bytes of headers and {TARGET_BYTES_MAX} of path are taken")).into_response();
    }
    next.run(request).await
}

/// What every answer bears, and its count.
async fn finish(State(api): State<Api>, request: Request, next: Next) -> Response {
    let begun = std::time::Instant::now();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
        headers.entry(name).or_insert(axum::http::HeaderValue::from_static(value));
    }
    api.metrics.api_seconds.observe(begun.elapsed().as_secs_f64());
    response
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler of the API panicked");
    Refusal::new(Kind::Fault, "the server failed; its log has the cause").into_response()
}
