//! Which model a call goes to, as the router says, and what it is told of the call.

use maestro_kit::action::Execution;
use maestro_schemas::api::route::{RouteAnswer, RouteQuestion};
use maestro_schemas::call::CallClass;
use maestro_schemas::id::DecisionId;
use maestro_schemas::route::{Cause, Mode, Purpose, Refusal, RouteDecision, RouteRequest};
use serde_json::{Value, json};

use crate::error::Error;
use crate::parameters::Sampling;
use crate::request::Call;
use crate::telling::{self, Counted};

/// How many models are tried for one call.
pub(crate) const TRIES_MAX: usize = 5;
/// Longer messages do not fit a question; they are asked about by their length and a tag.
const QUESTION_BYTES_MAX: usize = 512 << 10;
/// The tag of a text that nobody has looked at, so that a policy can say what becomes of it.
const UNSCANNED: &str = "unscanned";

/// Where a call goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    /// What the gateway is asked for: a model, or one deployment of it.
    pub(crate) model: String,
    pub(crate) decided: Option<Decided>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) id: DecisionId,
    /// The deployment that is called: in `advise` not the one that was decided for.
    pub(crate) used: String,
    model: String,
    deployment: String,
    mode: Mode,
    tags: Vec<String>,
    jurisdiction: Option<String>,
    /// The model and deployment that would have been used without the router, where it may be.
    instead_of: Option<[String; 2]>,
    /// What rules forbid, in words.
    forbidden: Vec<String>,
}

/// What a decision says of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// It may be called; it runs there, where that is known.
    Here(Option<String>),
    /// It may be called, though this other deployment was named.
    Permitted(String),
    /// It may not.
    Forbidden,
}

impl Route {
    /// Asks the router for the model of a call that is not counted as under way.
    pub(crate) async fn find(
        execution: &Execution,
        call: &Call,
        (cap_left, tried): (Option<u64>, &[String]),
    ) -> Result<Self, Error> {
        Self::ask(execution, call, request(execution, call, (cap_left, tried))).await
    }

    /// The same for a call that counts until what becomes of it is told.
    pub(crate) async fn find_counted(
        execution: &Execution,
        call: &Call,
        (cap_left, tried): (Option<u64>, &[String]),
    ) -> Result<(Self, Counted), Error> {
        let request = request(execution, call, (cap_left, tried));
        let route = Self::ask(execution, call, RouteRequest { counted: true, ..request }).await?;
        let counted = Counted::new(&execution.router, route.decision());
        Ok((route, counted))
    }

    /// Without a router, the model that the step names.
    async fn ask(execution: &Execution, call: &Call, request: RouteRequest) -> Result<Self, Error> {
        let project = execution.task.project.clone();
        let question = RouteQuestion { project, request, purpose: purpose(execution, call) };
        let answer = execution.router.choose(question).await;
        match answer.map_err(Error::NoRouter)? {
            RouteAnswer::Unconfigured => Ok(Self { model: call.model.clone(), decided: None }),
            RouteAnswer::Decided { decision } => Ok(Self::of(call, *decision)),
            RouteAnswer::Refused { code, status, message } => {
                Err(Error::Routed { code, status, message })
            }
        }
    }

    /// Where the router acts on nothing, the gateway is asked for the model that would be used without it;
    /// but not by its name where rules forbid anything, since the gateway might take a forbidden deployment
    /// of it.
    fn of(call: &Call, decision: RouteDecision) -> Self {
        let choice = decision.choice;
        let excluded = choice.rationale.excluded.iter().filter(|one| forbids(&one.rule));
        let told = excluded.map(|one| format!("{} ({})", one.message, one.rule));
        let forbidden: Vec<String> = told.collect();
        let advised = choice.instead_of.as_ref().filter(|_| choice.mode == Mode::Advise);
        let (model, used) = advised
            .map_or((&choice.model, &choice.deployment), |one| (&one.model, &one.deployment));
        let is_done = choice.mode == Mode::Act || choice.rationale.cause == Cause::Forbidden;
        let by_id = is_done || !forbidden.is_empty() || call.model == *used;
        let name = if by_id { used.clone() } else { model.clone() };
        let decided = Decided {
            id: decision.decision_id,
            used: used.clone(),
            model: choice.model,
            deployment: choice.deployment,
            mode: choice.mode,
            tags: choice.rationale.tags,
            jurisdiction: choice.jurisdiction,
            instead_of: choice.instead_of.map(|other| [other.model, other.deployment]),
            forbidden,
        };
        Self { model: name, decided: Some(decided) }
    }

    /// The decision's id.
    pub(crate) fn decision(&self) -> Option<DecisionId> {
        self.decided.as_ref().map(|decided| decided.id)
    }

    /// What the gateway is asked for by a call that no other model can serve: the decided deployment, where
    /// the router names the model too, and else the model, where its text bears no tag and no rule forbids
    /// anything.
    pub(crate) fn keeps_to<'a>(&'a self, model: &'a str) -> Result<&'a str, Error> {
        let name = |decided: &Decided| decided.model == model || decided.deployment == model;
        match &self.decided {
            Some(decided) if name(decided) => Ok(&self.model),
            Some(decided) if !decided.tags.is_empty() => {
                let tags = decided.tags.join(", ");
                let why = format!("a text with the tags {tags} may not go to {model}");
                Err(refused(&why))
            }
            Some(decided) if !decided.forbidden.is_empty() => {
                let why = decided.forbidden.join("; ");
                Err(refused(&format!("the call may not go to {model}: {why}")))
            }
            _ => Ok(model),
        }
    }

    /// Fails where the step says in which jurisdictions it may be worked on, and there is no router that
    /// knows where models run.
    pub(crate) fn vouches(&self, call: &Call) -> Result<(), Error> {
        let places = &call.sampling.jurisdictions;
        if self.decided.is_some() || places.is_empty() {
            return Ok(());
        }
        let places = places.join(", ");
        Err(refused(&format!(
            "the step stays in {places}, and there is no router that knows where {} runs; start the server with --router-config, or leave jurisdictions out",
            call.model
        )))
    }

    /// The deployment that is called, where the router acts on that.
    pub(crate) fn deployment(&self) -> Option<&str> {
        let decided = self.decided.as_ref()?;
        (decided.used == self.model).then_some(&decided.used)
    }

    /// What the decision says of a model that no other can stand for.
    pub(crate) fn of_model(&self, model: &str) -> Named {
        let Some(decided) = &self.decided else { return Named::Here(None) };
        if decided.model == model || decided.deployment == model {
            return Named::Here(decided.jurisdiction.clone());
        }
        match &decided.instead_of {
            Some(names) if names.iter().any(|name| name == model) => {
                Named::Permitted(decided.deployment.clone())
            }
            _ => Named::Forbidden,
        }
    }

    /// The deployment that is not asked for again, where another may be tried after this failure.
    pub(crate) fn gives_way(&self, error: &Error) -> Option<&str> {
        let decided = self.decided.as_ref().filter(|decided| decided.mode == Mode::Act)?;
        let class = telling::class(error)?;
        (class != CallClass::Refused).then_some(&decided.deployment)
    }
}

fn request(
    execution: &Execution,
    call: &Call,
    (cap_left, tried): (Option<u64>, &[String]),
) -> RouteRequest {
    let sampling = &call.sampling;
    let mut messages = call.messages.clone();
    messages.extend(beside(call));
    let bytes: usize = messages.iter().map(|message| message.to_string().len()).sum();
    let is_short = bytes <= QUESTION_BYTES_MAX;
    let mut tags = tags(call);
    if !is_short {
        tags.push(UNSCANNED.to_owned());
    }
    RouteRequest {
        model: Some(call.model.clone()),
        messages: if is_short { messages } else { Vec::new() },
        prompt_chars: (!is_short).then_some(bytes as u64),
        max_output_tokens: call.sampling.max_tokens.map(u64::from),
        tags,
        jurisdictions: sampling.jurisdictions.clone(),
        hint: sampling.hint,
        topic: sampling.topic.clone(),
        cap_microusd: cap_left,
        downgrade: sampling.downgrade,
        objectives: sampling.objectives.clone(),
        tried: tried.to_vec(),
        session: Some(execution.task.run.to_string()),
        ..RouteRequest::default()
    }
}

/// What a provider is sent beside the messages, as one more of them: it is looked at for tags too.
fn beside(call: &Call) -> Option<Value> {
    let Sampling { tools, schema, stop, .. } = &call.sampling;
    if tools.is_empty() && schema.is_none() && stop.is_empty() {
        return None;
    }
    let whole = json!({ "tools": tools, "schema": schema, "stop": stop });
    Some(json!({ "role": "system", "content": whole.to_string() }))
}

/// The step's tags, in lower case as policies have them.
fn tags(call: &Call) -> Vec<String> {
    call.sampling.tags.iter().map(|tag| tag.to_lowercase()).collect()
}

fn refused(why: &str) -> Error {
    let code = Refusal::CODE.to_owned();
    Error::Routed { message: format!("{code} {why}"), code, status: 403 }
}

/// Whether a rule says what is permitted, and not what makes sense at the moment.
fn forbids(rule: &str) -> bool {
    let passing = ["maestro.tried", "maestro.breaker.", "maestro.limit.", "maestro.bound."];
    !passing.iter().any(|name| rule.starts_with(name))
}

/// What the policies are told of the call beside the request.
fn purpose(execution: &Execution, call: &Call) -> Purpose {
    Purpose {
        step: execution.task.name.clone(),
        step_tags: tags(call).into_iter().collect(),
        prompt: call.prompt.clone(),
    }
}
