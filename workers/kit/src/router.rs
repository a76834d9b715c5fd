//! The router: which model a call goes to, and what became of it. It is asked over the bus, or at once where
//! it is in the worker's own process; what became of calls all routers hear over the bus.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use maestro_schemas::api::route::{Outcomes, RouteAnswer, RouteQuestion};
use maestro_schemas::call::CallOutcome;
use maestro_schemas::codec;
use maestro_schemas::id::DecisionId;
use maestro_streams::connect::Connection;
use maestro_streams::topology::subject;

/// For an answer; a decision takes a few milliseconds, more for a long prompt.
const PATIENCE: Duration = Duration::from_secs(2);

/// A router in the worker's own process.
pub trait Near: Send + Sync {
    /// What it answers; nothing where it is ending.
    fn choose(&self, question: RouteQuestion) -> Answering<'_>;
}

/// An answer that is being found.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Option<RouteAnswer>> + Send + 'a>>;

/// Asks the router, where there is one.
#[derive(Clone, Default)]
pub struct RouterClient {
    connection: Option<Connection>,
    near: Option<Arc<dyn Near>>,
}

impl RouterClient {
    pub(crate) fn over(connection: Connection, near: Option<Arc<dyn Near>>) -> Self {
        Self { connection: Some(connection), near }
    }

    /// For running a handler without a bus: nobody decides.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Which model a call goes to; in words why there is no answer. Whoever hears nothing makes no
    /// call: it might be one that is forbidden.
    pub async fn choose(&self, question: RouteQuestion) -> Result<RouteAnswer, String> {
        if let Some(near) = &self.near {
            let answer = tokio::time::timeout(PATIENCE, near.choose(question)).await;
            let answer = answer.map_err(|_| "the router takes too long".to_owned())?;
            return answer.ok_or_else(|| "the router is ending".to_owned());
        }
        let Some(connection) = &self.connection else { return Ok(RouteAnswer::Unconfigured) };
        let Some(to) = subject::rpc("route", "choose") else {
            return Ok(RouteAnswer::Unconfigured);
        };
        let bytes = codec::encode(&question).map_err(|error| error.to_string())?;
        let answer = connection.request(to, bytes.into(), PATIENCE).await;
        let answer = answer.map_err(|error| error.to_string())?;
        codec::decode(&answer).map_err(|error| error.to_string())
    }

    /// Tells what became of a call; it may be lost.
    pub async fn learn(&self, outcome: CallOutcome) {
        self.tell(Outcomes { outcomes: vec![outcome], unmade: Vec::new() }).await;
    }

    /// Tells that no call followed a decision; it may be lost.
    pub async fn unmade(&self, decision: DecisionId) {
        self.tell(Outcomes { outcomes: Vec::new(), unmade: vec![decision] }).await;
    }

    async fn tell(&self, outcomes: Outcomes) {
        let (Some(connection), Some(to)) = (&self.connection, subject::rpc("route", "learn"))
        else {
            return;
        };
        if let Ok(bytes) = codec::encode(&outcomes) {
            connection.tell(to, bytes.into()).await;
        }
    }
}
