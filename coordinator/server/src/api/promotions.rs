//! `/v1/projects/{project}/promotions`: which artifact may go where.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use maestro_schemas::api::promotions::{Promotion, PromotionPage, PromotionRequest};

use super::Api;
use super::extract::{InProject, Json, Pairs, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::promote::Query;

const PROMOTIONS: &str = "/v1/projects/{project}/promotions";
const PROMOTION: &str = "/v1/projects/{project}/promotions/{promotion}";
const BYTES: &str = "application/octet-stream";

const FILTER: &[Parameter] = &[
    Parameter { place: "query", name: "artifact", summary: "Only of this artifact." },
    Parameter { place: "query", name: "environment", summary: "Only to this environment." },
    Parameter { place: "query", name: "run", summary: "Only by the evidence of this run." },
    Parameter {
        place: "query",
        name: "limit",
        summary: "The most promotions of the page, at most 200.",
    },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

pub(super) fn routes() -> Vec<Route> {
    let (look, approve) = (Access::InProject(Role::Viewer), Access::InProject(Role::Approver));
    vec![
        Route::post(
            PROMOTIONS,
            approve,
            "Lets an artifact go to an environment, where its evidence holds and the policies permit it.",
            promote,
        )
        .takes::<PromotionRequest>()
        .answers::<Promotion>(),
        Route::get(PROMOTIONS, look, "Which artifact may go where, the youngest first.", list)
            .answers::<PromotionPage>()
            .with(FILTER),
        Route::get(PROMOTION, look, "The signed summary of a promotion: a Sigstore bundle.", read)
            .answers_bytes(BYTES),
    ]
}

async fn promote(
    State(api): State<Api>,
    InProject(asker): InProject,
    Json(request): Json<PromotionRequest>,
) -> Result<axum::Json<Promotion>, Refusal> {
    Ok(axum::Json(api.app.promote(&asker, request).await?))
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<PromotionPage>, Refusal> {
    let query = Query {
        artifact: pairs.read("artifact", "sha256: and 64 hexadecimal digits")?,
        environment: pairs.take("environment")?,
        run: pairs.read("run", "a run's id")?,
        limit: pairs.read("limit", "a whole number")?,
        cursor: pairs.take("cursor")?,
    };
    pairs.finish()?;
    Ok(axum::Json(api.app.list_promotions(&asker.project, query).await?))
}

async fn read(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<impl IntoResponse, Refusal> {
    let id = of_path(&mut parts, &api, "promotion").await?;
    let body = api.app.read_promotion(&asker.project, id).await?;
    Ok(([(CONTENT_TYPE, BYTES)], body))
}
