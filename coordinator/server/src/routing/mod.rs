//! The router as a service: what is known of the fleet, the configuration and policies that hold, and
//! the decisions that were made.
//!
//! | file | what it does |
//! |---|---|
//! | here | [`Routing`]: decides, and learns what became of calls |
//! | [`source`] | the configuration's file, read again while it runs |
//! | [`judge`], `question` | asks the policies about each deployment, and what they are told |
//! | [`registry`] | which version of a prompt a text is, and its labels |
//! | [`share`] | learns what other processes were told, and scores of evaluations |
//! | `told` | what is logged, counted and traced of decisions and calls |
//! | [`recorder`] | writes decisions down, in batches, off the path of the answer |
//!
//! The API and the bus ask it ([`crate::api`], [`crate::rpc`]). The decision itself is
//! `maestro_router::decide`'s; nothing here weighs anything. What must stay true: a prompt's text
//! leaves this module by no way, its length and tags do; where policies are configured and cannot
//! answer, nothing is permitted.

pub mod judge;
mod question;
pub mod recorder;
pub mod registry;
pub mod share;
pub mod source;
mod told;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maestro_policies::reload::Policies;
use maestro_router::breaker::{Permit, Standing};
use maestro_router::config::Config;
use maestro_router::decide::{Facts, Failure, choose};
use maestro_router::live::Live;
use maestro_router::objective::Objectives;
use maestro_router::tags::{self, Settings};
use maestro_schemas::api::route::{CallDecided, OUTCOMES_MAX};
use maestro_schemas::call::CallOutcome;
use maestro_schemas::id::{CoordinatorId, DecisionId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{
    Cause, Choice, Mode, Purpose, Registered, RouteDecision, RouteRequest,
};
use maestro_telemetry::metrics::Metrics;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::judge::{Case, Judge, PromptDenied};
use self::recorder::{Decided, Recorder};
use self::registry::Registry;
use self::source::Source;
use crate::store::probe;

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// How often a decision is made anew because somebody else took the probe that it counted on.
const PROBES_LOST_MAX: usize = 8;

/// How long it may take to find out whether another router tries an endpoint out.
const PROBE_WAIT: Duration = Duration::from_millis(500);

/// How many calls may wait to be told to the other routers; the oldest are not told.
const BEGUN_MAX: usize = 4_096;

/// What happened longer ago is not learnt from.
const OUTCOME_AGE_MS_MAX: u64 = 60 * 60 * 1_000;

/// Where the router finds what it is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The configuration, as `deploy/router/litellm.yaml`.
    pub config: Option<PathBuf>,
    /// The directory of policies; where it is named, nothing is permitted that they do not permit.
    pub policies: Option<PathBuf>,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no configuration, or none that was ever good.
    #[error("the router has no configuration: {0}")]
    Unconfigured(String),
    /// The policies forbid its prompt.
    #[error(transparent)]
    Prompt(#[from] PromptDenied),
    /// The request cannot be, or nobody may serve it.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The router. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Routing {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    judge: Option<Judge>,
    live: Mutex<Live>,
    recorder: Recorder,
    registry: Registry,
    pool: PgPool,
    metrics: Metrics,
    /// This process, among those that tell each other what they learn.
    process: CoordinatorId,
    begun: broadcast::Sender<CallDecided>,
}

/// What is to be decided.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The tenant.
    pub project: ProjectName,
    /// What is asked.
    pub request: RouteRequest,
    /// What is wanted.
    pub objectives: Objectives,
    /// What the call is for, where that is told.
    pub purpose: Option<Purpose>,
    /// What [`Routing::registered`] says of the purpose's prompt.
    pub registered: Option<Registered>,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
}

impl Routing {
    /// Reads what it is told for the first time, and again until `stop`.
    pub fn start(
        options: Options,
        pool: PgPool,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared {
            source: Source::open(options.config),
            judge: options.policies.map(|root| Judge::new(Policies::open(root))),
            live: Mutex::default(),
            recorder: Recorder::start(pool.clone()),
            registry: Registry::new(pool.clone()),
            pool,
            metrics,
            process: CoordinatorId::generate(),
            begun: broadcast::Sender::new(BEGUN_MAX),
        });
        let watched = shared.clone();
        tokio::spawn(async move { watched.watch(stop).await });
        Self { shared }
    }

    /// Whether a configuration is named, be it one that can be used or not.
    pub fn is_wanted(&self) -> bool {
        self.shared.source.is_named()
    }

    /// What the registry knows of the prompt of a call; nothing where no policy asks for it.
    ///
    /// # Errors
    /// Where the database does not answer: then no call may be made that policies might forbid.
    pub async fn registered(
        &self,
        project: &ProjectName,
        purpose: &Purpose,
    ) -> Result<Option<Registered>, crate::store::Error> {
        match (&self.shared.judge, &purpose.prompt) {
            (Some(_), Some(prompt)) => self.shared.registry.find(project, prompt).await.map(Some),
            _ => Ok(None),
        }
    }

    /// What was remembered of prompts is asked for anew: one has a new version or label.
    pub fn forget_prompts(&self) {
        self.shared.registry.forget();
    }

    /// Decides. Takes as long as reading the prompt for tags takes, and asks the database where a probe is
    /// due, so it is no matter for a thread that serves others: call it where one may block.
    pub fn choose(&self, asking: Asking) -> Result<RouteDecision, Error> {
        let telling = told::Telling::begin(&asking);
        let decided = telling.span.in_scope(|| self.decide(asking));
        telling.end(&decided, &self.shared.metrics);
        decided
    }

    fn decide(&self, asking: Asking) -> Result<RouteDecision, Error> {
        let held = match self.shared.source.held() {
            Ok(held) => held,
            Err(why) => return Err(self.without_router(asking, why)),
        };
        let Asking { project, request, objectives, purpose, registered, now_ms } = asking;
        let request = without_text(request);
        let mut facts = Facts {
            now_ms,
            mode: held.config.mode(&project),
            config_version: held.version,
            policy: maestro_router::decide::Policy::Off,
            purpose,
            registered,
            candidates: self.live().candidates(&held.config, now_ms, request.topic.as_deref()),
        };
        if let Some(judge) = &self.shared.judge {
            let case = Case { project: &project, config: &held.config, request: &request };
            judge.judge(case, &mut facts)?;
        }
        let choice = self.settle(&held.config, &mut facts, &request, &objectives)?;
        let decision = RouteDecision { decision_id: DecisionId::generate(), choice };
        if request.counted {
            self.begin(&decision, now_ms);
        }
        self.shared.recorder.keep(Decided {
            id: decision.decision_id,
            project,
            config: held.text.clone(),
            config_digest: held.config.digest,
            facts,
            request,
            objectives,
            choice: decision.choice.clone(),
        });
        Ok(decision)
    }

    /// Counts the call that will follow a decision, here and with the other routers.
    fn begin(&self, decision: &RouteDecision, now_ms: u64) {
        let choice = &decision.choice;
        let fixed = choice.instead_of.as_ref().map(|other| &other.deployment);
        let used = fixed.filter(|_| choice.mode != Mode::Act).unwrap_or(&choice.deployment);
        self.live().begin(decision.decision_id, used, now_ms);
        let (decision_id, deployment) = (decision.decision_id, used.clone());
        // Nobody listens where there is no bus.
        let _ = self.shared.begun.send(CallDecided { decision_id, deployment });
    }

    /// What this router decided, to be told to the others.
    pub(crate) fn begun(&self) -> broadcast::Receiver<CallDecided> {
        self.shared.begun.subscribe()
    }

    /// Why there is no decision where there is no router: a prompt that the policies forbid goes first.
    fn without_router(&self, asking: Asking, why: String) -> Error {
        let (Some(judge), Some(purpose)) = (&self.shared.judge, &asking.purpose) else {
            return Error::Unconfigured(why);
        };
        if purpose.prompt.is_none() {
            return Error::Unconfigured(why);
        }
        let request = without_text(asking.request);
        let registered = asking.registered.unwrap_or_default();
        let permitted = judge.permit_prompt(&asking.project, &request, purpose, &registered);
        permitted.err().unwrap_or(Error::Unconfigured(why))
    }

    /// A choice whose probe, if it is one, is this caller's alone.
    fn settle(
        &self,
        config: &Config,
        facts: &mut Facts,
        request: &RouteRequest,
        objectives: &Objectives,
    ) -> Result<Choice, Error> {
        for _ in 0..PROBES_LOST_MAX {
            let choice = choose(config, facts, request, objectives)?;
            if choice.rationale.cause != Cause::Probe {
                return Ok(choice);
            }
            let permit = self.live().ask(config, &choice.deployment, facts.now_ms);
            let until = match permit {
                Some(Permit::Wait(until)) => until,
                Some(Permit::Probe) if !self.is_alone(config, &choice.deployment) => {
                    facts.now_ms.saturating_add(config.breaker.probe_interval_ms)
                }
                _ => return Ok(choice),
            };
            let lost = facts.candidates.entry(choice.deployment).or_default();
            lost.standing = Standing::Open(until);
        }
        Ok(choose(config, facts, request, objectives)?)
    }

    /// Whether no other router tries the deployment's endpoint out in this interval. Where that cannot be
    /// known it is not tried out.
    fn is_alone(&self, config: &Config, deployment: &str) -> bool {
        let Some(deployment) = config.deployment(deployment) else { return false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let interval = Duration::from_millis(config.breaker.probe_interval_ms);
        let taking = probe::take(&self.shared.pool, &deployment.endpoint, interval);
        let taken = runtime.block_on(async { tokio::time::timeout(PROBE_WAIT, taking).await });
        match taken {
            Ok(Ok(is_alone)) => is_alone,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no probe is taken");
                false
            }
            Err(_) => false,
        }
    }

    /// Learns what became of calls; answers of how many it could. The reporter's clock is not believed
    /// beyond ours, nor an outcome that is older than what is decided from.
    pub fn learn(&self, outcomes: Vec<CallOutcome>, now_ms: u64) -> Result<usize, Error> {
        let held = self.shared.source.held().map_err(Error::Unconfigured)?;
        let mut live = self.live();
        let outcomes = outcomes.into_iter().take(OUTCOMES_MAX);
        let young = outcomes.filter(|one| one.at_ms >= now_ms.saturating_sub(OUTCOME_AGE_MS_MAX));
        let past = young.map(|one| CallOutcome {
            at_ms: one.at_ms.min(now_ms),
            retry_after_ms: one.retry_after_ms.map(|pause| pause.min(OUTCOME_AGE_MS_MAX)),
            ..one
        });
        let learnt = past.filter(|outcome| live.learn(&held.config, outcome));
        Ok(learnt.inspect(|outcome| told::call_ended(outcome, &self.shared.metrics)).count())
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // What it holds is whole between two outcomes.
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            if looked.is_err() {
                tracing::error!("the router's files could not be looked at");
            }
        }
    }

    fn look(&self) {
        if let Some(judge) = &self.judge {
            judge.poll();
        }
        if self.source.poll()
            && let Ok(held) = self.source.held()
        {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.retain(&held.config);
            self.metrics.router.breakers.clear();
        }
        self.tell_breakers();
    }
}

/// The request with the tags of its messages, and their length in place of them.
fn without_text(mut request: RouteRequest) -> RouteRequest {
    let text = request.messages.iter().flat_map(texts).collect::<Vec<_>>().join("\n");
    let found = tags::tags(&text, &Settings::default());
    for tag in found.tags {
        let name = serde_json::to_value(tag).ok();
        if let Some(name) = name.as_ref().and_then(Value::as_str)
            && !request.tags.iter().any(|other| other == name)
        {
            request.tags.push(name.to_owned());
        }
    }
    request.prompt_chars = Some(request.chars());
    request.messages.clear();
    request
}

/// Every text of a message: of its content, of parts of it, of functions' arguments. The name of a field
/// stands before its value, and numbers are texts too.
fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::String(text) => vec![Cow::Borrowed(text)],
        Value::Number(number) => vec![Cow::Owned(number.to_string())],
        Value::Array(parts) => parts.iter().flat_map(texts).collect(),
        Value::Object(fields) => {
            let named = |(name, value)| std::iter::once(Cow::Borrowed(name)).chain(texts(value));
            fields.iter().map(|(name, value)| (name.as_str(), value)).flat_map(named).collect()
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_fields_and_numbers_are_looked_at_too() {
        let tagged = |message: Value| {
            let messages = vec![message];
            without_text(RouteRequest { messages, ..RouteRequest::default() }).tags
        };
        assert_eq!(tagged(json!({"role": "user", "DE89 3704 0044 0532 0130 00": "his"})), ["pii"]);
        assert_eq!(
            tagged(json!({"content": [{"card_number": 4_111_111_111_111_111_u64}]})),
            ["pii"]
        );
        assert!(tagged(json!({"role": "user", "content": "Greet."})).is_empty());
    }

    #[test]
    fn of_messages_only_their_length_and_tags_are_left() {
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": "IBAN: DE89 3704 0044 0532 0130 00"}]}]);
        let messages = messages.as_array().unwrap().clone();
        let request = without_text(RouteRequest { messages, ..RouteRequest::default() });
        assert_eq!(request.tags, ["pii"]);
        assert_eq!((request.messages.len(), request.prompt_chars), (0, Some(33)));
    }
}
