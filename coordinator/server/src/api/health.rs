//! `/healthz`, `/readyz`, `/metrics`: for those who keep the process, without a token.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use maestro_telemetry::metrics::MEDIA_TYPE;

use super::Api;
use super::problem::{Kind, Refusal};
use super::route::{Access, Route};
use crate::store::shard;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", Access::Public, "Whether the process lives.", healthy)
            .answers_bytes("text/plain"),
        Route::get("/readyz", Access::Public, "Whether requests can be served.", ready)
            .answers_bytes("text/plain"),
        Route::get("/metrics", Access::Public, "Metrics in the OpenMetrics text format.", metrics)
            .answers_bytes("application/openmetrics-text"),
    ]
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(State(api): State<Api>) -> Result<&'static str, Refusal> {
    if shard::count(&api.app.pool).await? == 0 {
        return Err(Refusal::new(Kind::Unavailable, "no coordinator has laid out the shards yet"));
    }
    if !api.app.bus.is_connected() {
        return Err(Refusal::new(Kind::Unavailable, "the bus cannot be reached now"));
    }
    Ok("ok\n")
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(CONTENT_TYPE, MEDIA_TYPE)], api.metrics.text())
}
