//! `/v1/projects/{project}/prompts`: versions of prompts, and their labels.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use maestro_schemas::api::prompts::{PromptPage, PromptPush, PromptPushed, PromptText};

use super::Api;
use super::extract::{InProject, Json, Pairs, of_path};
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::prompts::{Label, Query};
use crate::store::prompt::Named;

const PROMPTS: &str = "/v1/projects/{project}/prompts";
const VERSIONS: &str = "/v1/projects/{project}/prompts/{name}";
const VERSION: &str = "/v1/projects/{project}/prompts/{name}/versions/{version}";
const LABEL: &str = "/v1/projects/{project}/prompts/{name}/versions/{version}/labels/{label}";

/// A text of 256 KiB, each of whose bytes may take six as JSON, and its name.
const BODY_BYTES_MAX: usize = 2 << 20;

const PAGE: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "limit",
        summary: "The most versions of the page, at most 200.",
    },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

pub(super) fn routes() -> Vec<Route> {
    let (look, act) = (Access::InProject(Role::Viewer), Access::InProject(Role::Operator));
    let approve = Access::InProject(Role::Approver);
    vec![
        Route::post(PROMPTS, act, "Keeps a prompt: a new version where its text is new.", push)
            .takes::<PromptPush>()
            .answers::<PromptPushed>()
            .up_to(BODY_BYTES_MAX),
        Route::get(PROMPTS, look, "The newest version of each prompt, by name.", list)
            .answers::<PromptPage>()
            .with(PAGE),
        Route::get(VERSIONS, look, "The versions of a prompt, the newest first.", versions)
            .answers::<PromptPage>()
            .with(PAGE),
        Route::get(
            VERSION,
            look,
            "A version with its text: by its number, `newest`, or the newest of a digest.",
            show,
        )
        .answers::<PromptText>(),
        Route::put(LABEL, approve, "Gives a version a label.", set_label).status(204),
        Route::delete(LABEL, approve, "Takes a label from a version.", remove_label).status(204),
    ]
}

async fn push(
    State(api): State<Api>,
    InProject(asker): InProject,
    Json(prompt): Json<PromptPush>,
) -> Result<axum::Json<PromptPushed>, Refusal> {
    Ok(axum::Json(api.app.push_prompt(&asker, prompt).await?))
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    pairs: Pairs,
) -> Result<axum::Json<PromptPage>, Refusal> {
    Ok(axum::Json(api.app.list_prompts(&asker.project, query(pairs)?).await?))
}

async fn versions(
    State(api): State<Api>,
    InProject(asker): InProject,
    pairs: Pairs,
    mut parts: Parts,
) -> Result<axum::Json<PromptPage>, Refusal> {
    let name: String = of_path(&mut parts, &api, "name").await?;
    let named = Named { project: &asker.project, name: &name };
    Ok(axum::Json(api.app.list_versions(named, query(pairs)?).await?))
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut parts: Parts,
) -> Result<axum::Json<PromptText>, Refusal> {
    let name: String = of_path(&mut parts, &api, "name").await?;
    let which: String = of_path(&mut parts, &api, "version").await?;
    let named = Named { project: &asker.project, name: &name };
    Ok(axum::Json(api.app.show_prompt(named, &which).await?))
}

async fn set_label(
    State(api): State<Api>,
    InProject(asker): InProject,
    parts: Parts,
) -> Result<StatusCode, Refusal> {
    api.app.label_prompt(&asker, label(parts, &api).await?, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_label(
    State(api): State<Api>,
    InProject(asker): InProject,
    parts: Parts,
) -> Result<StatusCode, Refusal> {
    api.app.label_prompt(&asker, label(parts, &api).await?, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn label(mut parts: Parts, api: &Api) -> Result<Label, Refusal> {
    Ok(Label {
        name: of_path(&mut parts, api, "name").await?,
        version: of_path(&mut parts, api, "version").await?,
        label: of_path(&mut parts, api, "label").await?,
    })
}

fn query(mut pairs: Pairs) -> Result<Query, Refusal> {
    let query =
        Query { limit: pairs.read("limit", "a whole number")?, cursor: pairs.take("cursor")? };
    pairs.finish()?;
    Ok(query)
}
