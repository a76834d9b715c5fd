//! What processes that serve the API tell each other, so that each has the same picture of the fleet:
//! what became of calls, and how good answers were, wherever that was told over HTTP; and which calls are
//! about to be made.
//!
//! Workers tell all of them at once, so nothing of that is told again. What one process was told it has
//! learnt before it tells the others; its own words come back to it and are passed over.

use maestro_schemas::api::route::{CallDecided, SCORES_MAX, Scored, Shared};
use maestro_schemas::call::{CallOutcome, NAME_BYTES_MAX};

use super::{Error, Routing};

/// The most entries of a message between processes: it stays far below what the bus takes.
const ENTRIES_MAX: usize = 200;

impl Routing {
    /// Learns how good answers were; answers of how many it could.
    pub fn score(&self, scores: &[Scored]) -> Result<usize, Error> {
        let held = self.shared.source.held().map_err(Error::Unconfigured)?;
        let mut live = self.live();
        let learnt = scores.iter().take(SCORES_MAX).filter(|one| {
            let is_named = !one.deployment.is_empty();
            is_named && live.score(&held.config, &one.deployment, one.topic.as_deref(), one.score)
        });
        Ok(learnt.count())
    }

    /// What the others are to be told, in messages that the bus takes.
    pub fn shares(&self, outcomes: &[CallOutcome], scores: &[Scored]) -> Vec<Shared> {
        let from = self.shared.process;
        let outcomes = outcomes.chunks(ENTRIES_MAX).map(|some| {
            let outcomes = some.to_vec();
            Shared { from, outcomes, scores: Vec::new(), begun: Vec::new() }
        });
        let scores = scores.chunks(ENTRIES_MAX).map(|some| {
            let scores = some.to_vec();
            Shared { from, outcomes: Vec::new(), scores, begun: Vec::new() }
        });
        outcomes.chain(scores).collect()
    }

    /// A call that this process decided on, as the others are told of it.
    pub(crate) fn share_begun(&self, begun: CallDecided) -> Shared {
        let from = self.shared.process;
        Shared { from, outcomes: Vec::new(), scores: Vec::new(), begun: vec![begun] }
    }

    /// Learns what another process was told or has decided.
    pub fn hear(&self, shared: Shared, now_ms: u64) -> Result<usize, Error> {
        if shared.from == self.shared.process {
            return Ok(0);
        }
        let begun = shared.begun.iter().take(ENTRIES_MAX);
        for call in begun.filter(|call| call.deployment.len() <= NAME_BYTES_MAX) {
            self.live().begin(call.decision_id, &call.deployment, now_ms);
        }
        Ok(self.learn(shared.outcomes, now_ms)? + self.score(&shared.scores)?)
    }
}
