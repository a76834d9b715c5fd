//! The router as a service: what is known of the fleet, the configuration and policies that hold, and
//! the decisions that were made.
//!
//! | file | what it does |
//! |---|---|
//! | here | [`Routing`]: decides, and learns what became of calls |
//! | [`answer`] | a worker's question, and what it is told |
//! | [`source`] | the configuration's file, read again while it runs |
//! | [`judge`], `question` | asks the policies about each deployment, and what they are told |
//! | `text` | what is read of messages, and what is left of them |
//! | `probe` | a choice that tries a failing provider out: one for all routers |
//! | [`registry`] | which version of a prompt a text is, and its labels |
//! | [`share`] | what processes tell each other: outcomes, scores, calls that begin |
//! | `told` | what is logged, counted and traced of decisions and calls |
//! | [`recorder`] | writes decisions down, in batches, off the path of the answer |
//!
//! The API and the bus ask it ([`crate::api`], [`crate::rpc`]). The decision itself is
//! `maestro_router::decide`'s; nothing here weighs anything. What must stay true: a prompt's text
//! leaves this module by no way, its length and tags do; where policies are configured and cannot
//! answer, nothing is permitted.

pub mod answer;
pub mod judge;
mod probe;
mod question;
pub mod recorder;
pub mod registry;
pub mod share;
pub mod source;
mod text;
mod told;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maestro_policies::input::Promotion;
use maestro_policies::reload::Policies;
use maestro_router::decide::{Facts, Failure};
use maestro_router::live::Live;
use maestro_router::objective::Objectives;
use maestro_schemas::api::route::{OUTCOMES_MAX, Shared as Told};
use maestro_schemas::call::CallOutcome;
use maestro_schemas::id::{CoordinatorId, DecisionId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{Purpose, Registered, RouteDecision, RouteRequest};
use maestro_schemas::verdict::Verdict;
use maestro_telemetry::metrics::Metrics;
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::judge::{Case, Judge, PromptDenied};
use self::recorder::{Decided, Recorder};
use self::registry::Registry;
use self::source::Source;
use self::text::without_text;

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(1);
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
    /// No configuration is named.
    #[error(
        "the router has no configuration: none is named; start the server with --router-config"
    )]
    Unconfigured,
    /// A configuration is named, and it was never good: nobody knows then what may not go out.
    #[error(
        "the router's configuration cannot be used, so no model is asked; the server's log says what is wrong with it"
    )]
    Unusable,
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
    /// What the other processes are to be told.
    told: broadcast::Sender<Told>,
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
            told: broadcast::Sender::new(share::TOLD_MAX),
        });
        let watched = shared.clone();
        tokio::spawn(async move { watched.watch(stop).await });
        Self { shared }
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

    /// What the policies say of a promotion; nothing where there are none. Takes up to some tenths of a
    /// second: call it where one may block.
    pub fn judge_promotion(&self, project: &ProjectName, asked: &Promotion) -> Option<Verdict> {
        self.shared.judge.as_ref().map(|judge| judge.promotion(project, asked))
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
            Err(error) => return Err(self.without_router(asking, error)),
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
        let choice = self.settle(&held.config, &mut facts, (&request, &objectives))?;
        let decision = RouteDecision { decision_id: DecisionId::generate(), choice };
        if request.counted {
            self.begin(&held.config, &decision, now_ms);
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

    /// Why there is no decision where there is no router: a prompt that the policies forbid goes first.
    fn without_router(&self, asking: Asking, error: Error) -> Error {
        let (Some(judge), Some(purpose)) = (&self.shared.judge, &asking.purpose) else {
            return error;
        };
        if purpose.prompt.is_none() {
            return error;
        }
        let request = without_text(asking.request);
        let registered = asking.registered.unwrap_or_default();
        let permitted = judge.permit_prompt(&asking.project, &request, purpose, &registered);
        permitted.err().unwrap_or(error)
    }

    /// Learns what became of calls; answers of how many it could. The reporter's clock is not believed
    /// beyond ours, nor an outcome that is older than what is decided from.
    pub fn learn(&self, outcomes: Vec<CallOutcome>, now_ms: u64) -> Result<usize, Error> {
        let held = self.shared.source.held()?;
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

    /// Counts calls no longer that no call followed after all.
    pub fn unmade(&self, decisions: &[DecisionId]) {
        let mut live = self.live();
        decisions.iter().take(OUTCOMES_MAX).for_each(|decision| live.end(*decision));
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
