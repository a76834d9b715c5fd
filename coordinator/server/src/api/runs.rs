//! `/v1/projects/{project}/runs`: submit, list, show, cancel, rerun, why.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use maestro_schemas::api::runs::{
    CancelRequest, RerunRequest, RunDetail, RunPage, SubmitResponse, WhyReport,
};
use maestro_schemas::submit::{BODY_BYTES_MAX, SubmitRequest};

use super::Api;
use super::extract::{InProject, InRun, Json, Pairs};
use super::problem::{Kind, Refusal};
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::list_runs::Query;

const RUNS: &str = "/v1/projects/{project}/runs";
const KEY_HEADER: &str = "idempotency-key";

const KEY: &[Parameter] = &[Parameter {
    place: "header",
    name: "Idempotency-Key",
    summary: "Same key, same request: the same run. May stand in the body instead.",
}];

const FILTERS: &[Parameter] = &[
    Parameter { place: "query", name: "state", summary: "Only runs in this state." },
    Parameter { place: "query", name: "pipeline", summary: "Only runs of this pipeline." },
    Parameter {
        place: "query",
        name: "label",
        summary: "Only runs with this label, as name=value; may come several times.",
    },
    Parameter { place: "query", name: "limit", summary: "The most runs of the page, at most 200." },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

pub(super) fn routes() -> Vec<Route> {
    let (look, act) = (Access::InProject(Role::Viewer), Access::InProject(Role::Operator));
    vec![
        Route::post(RUNS, act, "Submits a run; answers once it is committed.", submit)
            .takes::<SubmitRequest>()
            .answers::<SubmitResponse>()
            .with(KEY)
            .status(201)
            .up_to(BODY_BYTES_MAX),
        Route::get(RUNS, look, "Runs of the project, the youngest first.", list)
            .answers::<RunPage>()
            .with(FILTERS),
        Route::get("/v1/projects/{project}/runs/{run}", look, "A run.", show)
            .answers::<RunDetail>(),
        Route::post(
            "/v1/projects/{project}/runs/{run}/cancel",
            act,
            "Asks for a run to end early.",
            cancel,
        )
        .takes::<CancelRequest>()
        .status(202),
        Route::post(
            "/v1/projects/{project}/runs/{run}/rerun",
            act,
            "Makes a new run that refers to what a former one has finished.",
            rerun,
        )
        .takes::<RerunRequest>()
        .answers::<SubmitResponse>()
        .with(KEY)
        .status(201)
        .up_to(1 << 20),
        Route::get(
            "/v1/projects/{project}/runs/{run}/why",
            look,
            "Why each waiting step waits.",
            why,
        )
        .answers::<WhyReport>(),
    ]
}

type Submitted = (StatusCode, axum::Json<SubmitResponse>);

async fn submit(
    State(api): State<Api>,
    InProject(asker): InProject,
    headers: HeaderMap,
    Json(mut request): Json<SubmitRequest>,
) -> Result<Submitted, Refusal> {
    request.idempotency_key = key(&headers, request.idempotency_key)?;
    Ok(submitted(api.app.submit_run(&asker, request).await?))
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<RunPage>, Refusal> {
    let query = Query {
        state: pairs.take("state")?,
        pipeline: pairs.take("pipeline")?,
        labels: pairs.take_all("label"),
        limit: pairs.read("limit", "a whole number")?,
        cursor: pairs.take("cursor")?,
    };
    pairs.finish()?;
    Ok(axum::Json(api.app.list_runs(&asker.project, query).await?))
}

async fn show(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
) -> Result<axum::Json<RunDetail>, Refusal> {
    Ok(axum::Json(api.app.show_run(&asker.project, run).await?))
}

/// 200 once the cancellation is committed, 202 where that is not known yet.
async fn cancel(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    Json(request): Json<CancelRequest>,
) -> Result<StatusCode, Refusal> {
    let committed = api.app.cancel_run(&asker, run, &request.reason).await?;
    Ok(if committed { StatusCode::OK } else { StatusCode::ACCEPTED })
}

async fn rerun(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
    headers: HeaderMap,
    Json(mut request): Json<RerunRequest>,
) -> Result<Submitted, Refusal> {
    request.idempotency_key = key(&headers, request.idempotency_key)?;
    Ok(submitted(api.app.rerun(&asker, run, request).await?))
}

async fn why(
    State(api): State<Api>,
    InRun { asker, run }: InRun,
) -> Result<axum::Json<WhyReport>, Refusal> {
    Ok(axum::Json(api.app.why_waiting(&asker.project, run).await?))
}

fn submitted(response: SubmitResponse) -> Submitted {
    let status = match (response.committed, response.repeated) {
        (false, _) => StatusCode::ACCEPTED,
        (true, true) => StatusCode::OK,
        (true, false) => StatusCode::CREATED,
    };
    (status, axum::Json(response))
}

/// The key from the header or the body; where both are given they must be the same.
fn key(headers: &HeaderMap, in_body: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(KEY_HEADER).filter(|value| !value.is_empty()) else {
        return Ok(in_body);
    };
    let refuse = |what: &str| Refusal::new(Kind::Parameter, format!("Idempotency-Key: {what}"));
    let in_header = value.to_str().map_err(|_| refuse("expected visible ASCII"))?;
    match in_body {
        Some(other) if other != in_header => Err(refuse("the body names another key")),
        _ => Ok(Some(in_header.to_owned())),
    }
}
