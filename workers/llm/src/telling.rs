//! What the router is told of a call: how it ended, or that none was made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maestro_kit::action::Execution;
use maestro_kit::router::RouterClient;
use maestro_schemas::call::{CallClass, CallOutcome};
use maestro_schemas::id::DecisionId;
use maestro_schemas::report::ModelCall;

use crate::answer::Answer;
use crate::error::Error;
use crate::route::{Named, Route};

/// How a call ended: with an answer and what is in the books of it, or not.
pub(crate) type Ended<'a> = Result<(&'a Answer, &'a ModelCall), &'a Error>;

impl Route {
    /// What the router is to be told of a call that counts as under way and has ended.
    pub(crate) fn word(&self, counted: Counted, ended: Ended<'_>, of_it: (Duration, bool)) -> Word {
        Word { counted, outcome: self.outcome(ended, of_it) }
    }

    /// What the router is told of a call that ended, if anything.
    fn outcome(
        &self,
        ended: Ended<'_>,
        (elapsed, fallback): (Duration, bool),
    ) -> Option<CallOutcome> {
        let decided = self.decided.as_ref()?;
        let class = match ended {
            Ok(_) => CallClass::Ok,
            Err(error) => class(error)?,
        };
        let retry_after_ms = match ended {
            Err(Error::Refused { retry_after_ms, .. }) => *retry_after_ms,
            _ => None,
        };
        let (answer, paid) = ended.ok().unzip();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(CallOutcome {
            deployment: decided.used.clone(),
            decision_id: Some(decided.id),
            class,
            at_ms: millis(now),
            latency_ms: millis(elapsed),
            ttft_ms: None,
            retry_after_ms,
            input_tokens: answer.map(|answer| answer.input_tokens),
            output_tokens: answer.map(|answer| answer.output_tokens),
            cost_microusd: paid.filter(|paid| paid.settled).map(|paid| paid.cost_microusd),
            fallback,
            topic: None,
            score: None,
        })
    }

    /// Tells the router how the call of a model ended, where that is the model that it decided for.
    pub(crate) async fn tell_of(
        &self,
        model: &str,
        execution: &Execution,
        ended: Ended<'_>,
        elapsed: Duration,
    ) {
        if matches!(self.of_model(model), Named::Here(_))
            && let Some(outcome) = self.outcome(ended, (elapsed, false))
        {
            execution.router.learn(outcome).await;
        }
    }
}

/// What the router is to be told.
pub(crate) struct Word {
    counted: Counted,
    outcome: Option<CallOutcome>,
}

impl Word {
    /// Tells it.
    pub(crate) async fn tell(self) {
        if let Some(outcome) = self.outcome {
            self.counted.router.learn(outcome).await;
            self.counted.told();
        }
    }
}

/// A call that counts as under way. Dropped before what became of it was told, it says that there was
/// none, or that nobody knows.
pub(crate) struct Counted {
    router: RouterClient,
    decision: Option<DecisionId>,
}

impl Counted {
    pub(crate) fn new(router: &RouterClient, decision: Option<DecisionId>) -> Self {
        Self { router: router.clone(), decision }
    }

    fn told(mut self) {
        self.decision = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(decision) = self.decision.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let router = self.router.clone();
            runtime.spawn(async move { router.unmade(decision).await });
        }
    }
}

/// What a failure says of the provider; nothing where no call was made.
pub(crate) fn class(error: &Error) -> Option<CallClass> {
    match error {
        Error::Connection { .. } => Some(CallClass::Connection),
        Error::Cut { .. } => Some(CallClass::Cut),
        Error::Silent { .. } => Some(CallClass::Timeout),
        Error::Unreadable { .. } => Some(CallClass::Server),
        Error::Refused { status: 429, .. } => Some(CallClass::Throttled),
        Error::Refused { status: 500..=599, words, .. } if is_no_connection(words) => {
            Some(CallClass::Connection)
        }
        Error::Refused { status: 500..=599, .. } => Some(CallClass::Server),
        Error::Refused { .. } => Some(CallClass::Refused),
        _ => None,
    }
}

/// Whether a gateway says that it reached nobody: LiteLLM has no status of its own for that.
fn is_no_connection(words: &str) -> bool {
    ["Connection error", "APIConnectionError"].iter().any(|known| words.contains(known))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
