//! A worker's question and its answer, which the bus carries, or nobody where the worker is in this process.

use maestro_router::decide::Failure;
use maestro_router::objective;
use maestro_schemas::api::route::{RouteAnswer, RouteQuestion};
use maestro_schemas::route::{Registered, RouteRequest};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Asking, Error, Routing};
use crate::api::problem::Kind;
use crate::clock::now_ms;

/// What the router says; nothing where this process is ending.
pub async fn answer(routing: &Routing, question: RouteQuestion) -> Option<RouteAnswer> {
    let told = match known(routing, &question).await {
        Ok(registered) => {
            let routing = routing.clone();
            blocking(move || decide(&routing, question, registered)).await?
        }
        Err(refused) => Err(refused),
    };
    Some(told.unwrap_or_else(|refused| refused))
}

/// Tags are looked for in all of the text, and policies may take their time. Where it can be, that is done
/// on this very thread, which then serves nobody else: waking another takes as long as most decisions.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => Some(tokio::task::block_in_place(work)),
        _ => tokio::task::spawn_blocking(work).await.ok(),
    }
}

/// What the registry knows of the question's prompt.
async fn known(
    routing: &Routing,
    question: &RouteQuestion,
) -> Result<Option<Registered>, RouteAnswer> {
    let invalid = |invalid| refused(&Error::from(Failure::Invalid(invalid)));
    question.purpose.check().map_err(invalid)?;
    routing.registered(&question.project, &question.purpose).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a prompt cannot be looked up");
        let message = "the registry of prompts does not answer now, so no model is asked";
        of_kind(Kind::Unavailable, message)
    })
}

fn decide(
    routing: &Routing,
    question: RouteQuestion,
    registered: Option<Registered>,
) -> Result<RouteAnswer, RouteAnswer> {
    let RouteQuestion { project, request, purpose } = question;
    let wanted = request.objectives.clone().unwrap_or_default();
    let objectives =
        objective::parse(&wanted).map_err(|error| of_kind(Kind::Objectives, &error.to_string()))?;
    let request = RouteRequest { objectives: None, ..request };
    let (purpose, now_ms) = (Some(purpose), now_ms());
    let asking = Asking { project, request, objectives, purpose, registered, now_ms };
    match routing.choose(asking) {
        Ok(decision) => Ok(RouteAnswer::Decided { decision: Box::new(decision) }),
        Err(Error::Unconfigured) => Ok(RouteAnswer::Unconfigured),
        Err(error) => Err(refused(&error)),
    }
}

/// As HTTP would refuse it.
fn refused(error: &Error) -> RouteAnswer {
    of_kind(Kind::of(error), &error.to_string())
}

fn of_kind(kind: Kind, message: &str) -> RouteAnswer {
    let (code, status, message) = (kind.code().to_owned(), kind.status(), message.to_owned());
    RouteAnswer::Refused { code, status, message }
}
