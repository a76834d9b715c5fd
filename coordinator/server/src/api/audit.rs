//! `/v1/projects/{project}/audit`: what was done; and `/v1/audit`: the log that it stands in, as
//! C2SP tlog-tiles has it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use maestro_schemas::api::audit::{AuditCheckpoints, AuditItem, AuditLog, AuditPage, AuditRows};
use maestro_schemas::audit::EntryId;

use super::Api;
use super::extract::{InProject, Pairs, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::audit::Query;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

const FILTERS: &[Parameter] = &[
    Parameter { place: "query", name: "action", summary: "Only entries of this action." },
    Parameter { place: "query", name: "actor", summary: "Only what this actor did." },
    Parameter { place: "query", name: "run", summary: "Only what was asked of this run." },
    Parameter { place: "query", name: "limit", summary: "The most entries, at most 200." },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

const AFTER: &[Parameter] =
    &[Parameter { place: "query", name: "after", summary: "What the page before gave as `next`." }];

const FROM: &[Parameter] = &[Parameter {
    place: "query",
    name: "from",
    summary: "The first place, a multiple of 256 where bundles are compared; 0 where it is absent.",
}];

pub(super) fn routes() -> Vec<Route> {
    [of_project(), of_log()].into_iter().flatten().collect()
}

fn of_project() -> Vec<Route> {
    let look = Access::InProject(Role::Viewer);
    vec![
        Route::get(
            "/v1/projects/{project}/audit",
            look,
            "What was done in the project, the youngest first.",
            list,
        )
        .answers::<AuditPage>()
        .with(FILTERS),
        Route::get(
            "/v1/projects/{project}/audit/{entry}",
            look,
            "An entry of the audit log.",
            show,
        )
        .answers::<AuditItem>(),
        Route::get(
            "/v1/projects/{project}/audit/{entry}/proof",
            look,
            "The proof that an entry is in the audit log, as C2SP tlog-proof has it.",
            prove,
        )
        .answers_bytes(TEXT),
    ]
}

fn of_log() -> Vec<Route> {
    // Its entries are those of all projects.
    let look = Access::Everywhere(Role::Viewer);
    vec![
        Route::get("/v1/audit", look, "The state of the audit log.", log).answers::<AuditLog>(),
        Route::get(
            "/v1/audit/checkpoint",
            look,
            "The newest signed head of the audit log, as C2SP tlog-checkpoint has it.",
            checkpoint,
        )
        .answers_bytes(TEXT),
        Route::get(
            "/v1/audit/checkpoints",
            look,
            "Signed heads that are kept, the smallest tree first.",
            checkpoints,
        )
        .answers::<AuditCheckpoints>()
        .with(AFTER),
        Route::get(
            "/v1/audit/tile/{*tile}",
            look,
            "A tile or a bundle of entries, as C2SP tlog-tiles has it.",
            tile,
        )
        .answers_bytes(BYTES),
        Route::get(
            "/v1/audit/rows",
            look,
            "Rows by their places, as the entries that they make now.",
            rows,
        )
        .answers::<AuditRows>()
        .with(FROM),
    ]
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<AuditPage>, Refusal> {
    let query = Query {
        action: pairs.take("action")?,
        actor: pairs.take("actor")?,
        run: pairs.read("run", "a run's id")?,
        limit: pairs.read("limit", "a whole number")?,
        cursor: pairs.take("cursor")?,
    };
    pairs.finish()?;
    Ok(axum::Json(api.app.list_audit(&asker.project, query).await?))
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<AuditItem>, Refusal> {
    let entry: EntryId = of_path(&mut parts, &api, "entry").await?;
    Ok(axum::Json(api.app.show_audit(&asker.project, entry).await?))
}

async fn prove(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<impl IntoResponse, Refusal> {
    let entry: EntryId = of_path(&mut parts, &api, "entry").await?;
    let proof = api.app.prove_audit(&asker.project, entry).await?;
    Ok(([(CONTENT_TYPE, TEXT)], proof))
}

async fn log(State(api): State<Api>) -> Result<axum::Json<AuditLog>, Refusal> {
    Ok(axum::Json(api.app.show_audit_log().await?))
}

async fn checkpoint(State(api): State<Api>) -> Result<impl IntoResponse, Refusal> {
    Ok(([(CONTENT_TYPE, TEXT)], api.app.read_checkpoint().await?))
}

async fn checkpoints(
    State(api): State<Api>,
    mut pairs: Pairs,
) -> Result<axum::Json<AuditCheckpoints>, Refusal> {
    let after = pairs.read("after", "a whole number")?;
    pairs.finish()?;
    Ok(axum::Json(api.app.list_checkpoints(after).await?))
}

async fn tile(State(api): State<Api>, mut parts: Parts) -> Result<impl IntoResponse, Refusal> {
    let path: String = of_path(&mut parts, &api, "tile").await?;
    Ok(([(CONTENT_TYPE, BYTES)], api.app.read_tile(&format!("tile/{path}")).await?))
}

async fn rows(State(api): State<Api>, mut pairs: Pairs) -> Result<axum::Json<AuditRows>, Refusal> {
    let from = pairs.read("from", "a whole number")?;
    pairs.finish()?;
    Ok(axum::Json(api.app.list_audit_rows(from.unwrap_or(0)).await?))
}
