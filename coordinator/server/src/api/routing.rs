//! `/route/choose`, `/route/outcomes` and `/route/scores`, for whoever calls and judges models; `…/route/decisions`, for whoever
//! asks why.
//!
//! The project stands in the header `X-Maestro-Project`, since the path of the first is given by the
//! specification that gateways follow.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use maestro_router::decide::Failure;
use maestro_router::objective::{self, Objectives};
use maestro_schemas::api::route::{DecisionPage, DecisionRecord, Learnt, Outcomes, Scores};
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{RouteDecision, RouteRequest};

use super::Api;
use super::admit::Caller;
use super::extract::{InProject, Json, Pairs};
use super::problem::{Kind, Refusal};
use super::role::Role;
use super::route::{Access, Parameter, Route};
use crate::app::Asker;
use crate::app::learn::Unlearnt;
use crate::app::list_decisions::Query;
use crate::clock::now_ms;
use crate::routing::{Asking, Error};

/// The largest request: its messages are read for tags.
const BODY_BYTES_MAX: usize = 8 << 20;
const PROJECT_HEADER: &str = "x-maestro-project";
const OBJECTIVES_HEADER: &str = "x-maestro-objectives";
/// The project that is meant where none is named and the token reaches several.
const PROJECT: &str = "default";

const OF_PROJECT: Parameter = Parameter {
    place: "header",
    name: "X-Maestro-Project",
    summary: "The project that asks; the token's own where it reaches one alone, else `default`.",
};

const CHOOSING: &[Parameter] = &[
    OF_PROJECT,
    Parameter {
        place: "header",
        name: "X-Maestro-Objectives",
        summary: "What counts: quality, latency, cost, reliability, sovereignty, in falling order or with weights, and bounds.",
    },
];

const PAGE: &[Parameter] = &[
    Parameter {
        place: "query",
        name: "since_ms",
        summary: "Only decisions since then, in milliseconds since 1970.",
    },
    Parameter {
        place: "query",
        name: "limit",
        summary: "The most decisions of the page, at most 100; it ends early where the configuration was another one.",
    },
    Parameter { place: "query", name: "cursor", summary: "What the page before gave as `next`." },
];

pub(super) fn routes() -> Vec<Route> {
    let act = Access::Somewhere(Role::Operator);
    vec![
        Route::post("/route/choose", act, "Which model a prompt goes to, and why.", choose)
            .takes::<RouteRequest>()
            .answers::<RouteDecision>()
            .with(CHOOSING)
            .up_to(BODY_BYTES_MAX),
        Route::post(
            "/route/outcomes",
            Access::Somewhere(Role::Admin),
            "What became of calls, to be learnt from.",
            learn,
        )
        .takes::<Outcomes>()
        .answers::<Learnt>()
        .with(&[OF_PROJECT])
        .up_to(1 << 20),
        Route::post(
            "/route/scores",
            Access::Somewhere(Role::Admin),
            "How good answers were by an evaluation, to be learnt from.",
            score,
        )
        .takes::<Scores>()
        .answers::<Learnt>()
        .with(&[OF_PROJECT])
        .up_to(256 << 10),
        Route::get(
            "/v1/projects/{project}/route/decisions",
            Access::InProject(Role::Viewer),
            "Decisions with all that they were made from, the youngest first.",
            list,
        )
        .answers::<DecisionPage>()
        .with(PAGE),
        Route::get(
            "/v1/projects/{project}/route/decisions/{decision}",
            Access::InProject(Role::Viewer),
            "A decision with all that it was made from.",
            show,
        )
        .answers::<DecisionRecord>(),
    ]
}

async fn choose(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<RouteRequest>,
) -> Result<axum::Json<RouteDecision>, Refusal> {
    let project = project(&caller, &headers, Role::Operator)?;
    let objectives = objectives(&headers, &request)?;
    let (routing, now_ms) = (api.app.routing.clone(), now_ms());
    // Tags are looked for in all of the text, and policies may take their time.
    let (purpose, registered) = (None, None);
    let asking = Asking { project, request, objectives, purpose, registered, now_ms };
    let deciding = move || routing.choose(asking);
    let decided = tokio::task::spawn_blocking(deciding).await;
    let broken = |_| Refusal::new(Kind::Fault, "the decision broke off");
    Ok(axum::Json(decided.map_err(broken)??))
}

async fn learn(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(outcomes): Json<Outcomes>,
) -> Result<axum::Json<Learnt>, Refusal> {
    // Providers are shared by all projects, so it takes more than to ask.
    project(&caller, &headers, Role::Admin)?;
    Ok(axum::Json(api.app.learn(outcomes, now_ms())?))
}

async fn score(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(scores): Json<Scores>,
) -> Result<axum::Json<Learnt>, Refusal> {
    // Deployments are shared by all projects too.
    let project = project(&caller, &headers, Role::Admin)?;
    let asker = Asker { project, actor: caller.name.to_string() };
    Ok(axum::Json(api.app.score(&asker, scores).await?))
}

async fn list(
    State(api): State<Api>,
    InProject(asker): InProject,
    mut pairs: Pairs,
) -> Result<axum::Json<DecisionPage>, Refusal> {
    let query = Query {
        since_ms: pairs.read("since_ms", "milliseconds since 1970")?,
        limit: pairs.read("limit", "a whole number")?,
        cursor: pairs.take("cursor")?,
    };
    pairs.finish()?;
    Ok(axum::Json(api.app.list_decisions(&asker.project, query).await?))
}

async fn show(
    State(api): State<Api>,
    InProject(asker): InProject,
    Path((_, decision)): Path<(String, String)>,
) -> Result<axum::Json<DecisionRecord>, Refusal> {
    let id: DecisionId = decision
        .parse()
        .map_err(|error| Refusal::new(Kind::Parameter, format!("decision: {error}")))?;
    Ok(axum::Json(api.app.show_decision(&asker.project, id).await?))
}

/// The project that asks; refused where the caller's token does not reach it.
fn project(caller: &Caller, headers: &HeaderMap, least: Role) -> Result<ProjectName, Refusal> {
    let roles = caller.grants.texts();
    // Whose token reaches one project alone need not name it.
    let own = roles.keys().next().filter(|name| roles.len() == 1 && *name != "*");
    let named = text(headers, PROJECT_HEADER)?.or(own.map(String::as_str)).unwrap_or(PROJECT);
    let project: ProjectName = named
        .parse()
        .map_err(|error| Refusal::new(Kind::Parameter, format!("X-Maestro-Project: {error}")))?;
    match caller.grants.in_project(&project) {
        Some(role) if role >= least => Ok(project),
        _ => {
            let detail = format!("this needs the role {} in the project", least.as_str());
            Err(Refusal::new(Kind::Forbidden, detail))
        }
    }
}

fn objectives(headers: &HeaderMap, request: &RouteRequest) -> Result<Objectives, Refusal> {
    let given = text(headers, OBJECTIVES_HEADER)?.or(request.objectives.as_deref());
    objective::parse(given.unwrap_or_default())
        .map_err(|error| Refusal::new(Kind::Objectives, format!("X-Maestro-Objectives: {error}")))
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let value = headers.get(name).map(|value| value.to_str());
    value
        .transpose()
        .map_err(|_| Refusal::new(Kind::Parameter, format!("{name}: expected visible ASCII")))
}

impl From<Unlearnt> for Refusal {
    fn from(error: Unlearnt) -> Self {
        match error {
            Unlearnt::Told(error) => error.into(),
            Unlearnt::Routing(error) => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(Kind::of(&error), error.to_string())
    }
}

impl Kind {
    /// What it is that the router does not decide.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Unconfigured => Self::NoRouter,
            Error::Unusable => Self::Unavailable,
            Error::Prompt(_) => Self::PromptDenied,
            Error::Failed(Failure::Invalid(_)) => Self::RouteField,
            Error::Failed(Failure::Refused(refusal)) if refusal.status == 403 => {
                Self::NoModelAllowed
            }
            Error::Failed(Failure::Refused(_)) => Self::NoModelNow,
        }
    }
}
