//! `/v1/projects/{project}/cost`: what calls of models cost, and what gateways tell of that.

use axum::extract::State;
use axum::http::StatusCode;
use maestro_schemas::api::cost::{CostReport, Settlements};

use super::Api;
use super::extract::{InProject, Json, Pairs};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::show_cost::Query;
use crate::clock::now_ms;

const FILTERS: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "by",
        summary: "What a row is about: project, model, deployment, run, pipeline, stage, step, prompt or day.",
    },
    Parameter { place: "query", name: "run", summary: "Only calls of this run." },
    Parameter {
        place: "query",
        name: "since_ms",
        summary: "Only calls since then, in milliseconds since 1970; where it is absent those of the last 30 days, and all of a run where one is named.",
    },
    Parameter { place: "query", name: "until_ms", summary: "Only calls before then." },
    Parameter { place: "query", name: "limit", summary: "The most rows, at most 1000." },
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/projects/{project}/cost",
            Access::InProject(Role::Viewer),
            "What calls of models took and cost, the dearest first; days in their order.",
            show,
        )
        .answers::<CostReport>()
        .with(FILTERS),
        Route::post(
            "/v1/projects/{project}/cost/settlements",
            Access::InProject(Role::Admin),
            "What calls cost by a gateway's own report, where their worker could not say.",
            settle,
        )
        .takes::<Settlements>()
        .status(204)
        .up_to(1 << 20),
    ]
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<CostReport>, Refusal> {
    let query = Query {
        by: pairs.take("by")?,
        run: pairs.take("run")?,
        since_ms: pairs.read("since_ms", "milliseconds since 1970")?,
        until_ms: pairs.read("until_ms", "milliseconds since 1970")?,
        limit: pairs.read("limit", "a whole number")?,
    };
    pairs.finish()?;
    Ok(axum::Json(api.app.show_cost(&asker.project, query, now_ms()).await?))
}

async fn settle(
    State(api): State<Api>,
    InProject(asker): InProject,
    Json(told): Json<Settlements>,
) -> Result<StatusCode, Refusal> {
    api.app.settle_calls(&asker, told).await?;
    Ok(StatusCode::NO_CONTENT)
}
