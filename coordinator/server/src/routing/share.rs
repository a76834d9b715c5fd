//! What processes that serve the API tell each other, so that each has the same picture of the fleet:
//! what became of calls, and how good answers were, wherever that was told over HTTP; and which calls are
//! about to be made.
//!
//! Workers tell all of them at once, so nothing of that is told again. What one process was told it has
//! learnt before it tells the others; its own words come back to it and are passed over.

use maestro_router::config::Config;
use maestro_schemas::api::route::{CallDecided, SCORES_MAX, Scored, Shared as Told};
use maestro_schemas::call::CallOutcome;
use maestro_schemas::codec;
use maestro_schemas::id::DecisionId;
use maestro_schemas::route::{Mode, RouteDecision};
use maestro_streams::Subject;
use maestro_streams::connect::Connection;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Error, Routing};

/// The most entries of a message between processes: it stays far below what the bus takes.
const ENTRIES_MAX: usize = 200;
/// How many words may wait to be told; the oldest are not told then.
pub(super) const TOLD_MAX: usize = 4_096;

impl Routing {
    /// Learns how good answers were; answers of how many it could.
    pub fn score(&self, scores: &[Scored]) -> Result<usize, Error> {
        let held = self.shared.source.held()?;
        let mut live = self.live();
        let learnt = scores.iter().take(SCORES_MAX).filter(|one| {
            let is_named = !one.deployment.is_empty();
            is_named && live.score(&held.config, &one.deployment, one.topic.as_deref(), one.score)
        });
        Ok(learnt.count())
    }

    /// Tells the others what this process was told.
    pub fn share(&self, outcomes: &[CallOutcome], scores: &[Scored]) {
        for some in outcomes.chunks(ENTRIES_MAX) {
            self.tell(Told { outcomes: some.to_vec(), ..self.word() });
        }
        for some in scores.chunks(ENTRIES_MAX) {
            self.tell(Told { scores: some.to_vec(), ..self.word() });
        }
    }

    /// Tells the others of decisions that no call followed after all.
    pub fn share_unmade(&self, decisions: &[DecisionId]) {
        for some in decisions.chunks(ENTRIES_MAX) {
            self.tell(Told { unmade: some.to_vec(), ..self.word() });
        }
    }

    /// Counts the call that will follow a decision, here and with the other routers.
    pub(super) fn begin(&self, config: &Config, decision: &RouteDecision, now_ms: u64) {
        let choice = &decision.choice;
        // What is advised is not followed by those who count.
        let advised = choice.instead_of.as_ref().filter(|_| choice.mode == Mode::Advise);
        let used = advised.map_or(&choice.deployment, |other| &other.deployment);
        self.live().begin(config, (decision.decision_id, used), now_ms);
        let (decision_id, deployment) = (decision.decision_id, used.clone());
        self.tell(Told { begun: vec![CallDecided { decision_id, deployment }], ..self.word() });
    }

    /// Learns what another process was told or has decided.
    pub fn hear(&self, told: Told, now_ms: u64) -> Result<usize, Error> {
        if told.from == self.shared.process {
            return Ok(0);
        }
        let held = self.shared.source.held()?;
        let mut live = self.live();
        for call in told.begun.iter().take(ENTRIES_MAX) {
            live.begin(&held.config, (call.decision_id, &call.deployment), now_ms);
        }
        drop(live);
        self.unmade(&told.unmade);
        Ok(self.learn(told.outcomes, now_ms)? + self.score(&told.scores)?)
    }

    /// What the others are to be told, from now on.
    pub(crate) fn words(&self) -> Receiver<Told> {
        self.shared.told.subscribe()
    }

    fn word(&self) -> Told {
        let from = self.shared.process;
        let (outcomes, scores) = (Vec::new(), Vec::new());
        Told { from, outcomes, scores, begun: Vec::new(), unmade: Vec::new() }
    }

    fn tell(&self, told: Told) {
        // Nobody listens where there is no bus.
        let _ = self.shared.told.send(told);
    }
}

/// Tells the others over the bus, as many words at once as have come meanwhile; ends with the router.
pub(crate) async fn tell_others(mut words: Receiver<Told>, connection: Connection, to: Subject) {
    loop {
        let mut told = match words.recv().await {
            Ok(told) => told,
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "other routers are not told of some calls");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        while entries(&told) < ENTRIES_MAX {
            match words.try_recv() {
                Ok(more) => {
                    told.outcomes.extend(more.outcomes);
                    told.scores.extend(more.scores);
                    told.begun.extend(more.begun);
                    told.unmade.extend(more.unmade);
                }
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        match codec::encode(&told) {
            Ok(bytes) => connection.tell(to.clone(), bytes.into()).await,
            Err(error) => tracing::warn!(%error, "what was told of calls is not shared"),
        }
    }
}

fn entries(told: &Told) -> usize {
    told.outcomes.len() + told.scores.len() + told.begun.len() + told.unmade.len()
}
