//! A choice that tries a failing provider out: one per interval, for all routers together.

use std::time::Duration;

use maestro_router::breaker::{Permit, Standing};
use maestro_router::config::Config;
use maestro_router::decide::{Facts, choose};
use maestro_router::objective::Objectives;
use maestro_schemas::route::{Cause, Choice, Mode, RouteRequest};

use super::{Error, Routing};
use crate::store::probe;

/// How long it may take to find out whether another router tries an endpoint out.
const WAIT: Duration = Duration::from_millis(500);

impl Routing {
    /// A choice whose probe, if it is one, is this caller's alone. Whoever counts its calls does not follow
    /// what it is advised, so no probe is taken for that.
    pub(super) fn settle(
        &self,
        config: &Config,
        facts: &mut Facts,
        (request, objectives): (&RouteRequest, &Objectives),
    ) -> Result<Choice, Error> {
        // Each turn leaves one endpoint less.
        loop {
            let choice = choose(config, facts, request, objectives)?;
            let is_followed = facts.mode == Mode::Act || !request.counted;
            if choice.rationale.cause != Cause::Probe || !is_followed {
                return Ok(choice);
            }
            let Some(deployment) = config.deployment(&choice.deployment) else { return Ok(choice) };
            let Some(until) = self.refused(config, &deployment.endpoint, facts.now_ms) else {
                return Ok(choice);
            };
            for other in config.deployments.iter().filter(|one| one.endpoint == deployment.endpoint)
            {
                let lost = facts.candidates.entry(other.id.clone()).or_default();
                lost.standing = Standing::Open(until);
            }
        }
    }

    /// Until when nobody may try an endpoint out; nothing where this caller may now. Where it cannot be
    /// known what the other routers do it is not tried out.
    fn refused(&self, config: &Config, endpoint: &str, now_ms: u64) -> Option<u64> {
        match self.live().ask(config, endpoint, now_ms) {
            Permit::Wait(until) => return Some(until),
            Permit::Pass => return None,
            Permit::Probe => {}
        }
        let interval = Duration::from_millis(config.breaker.probe_interval_ms);
        let runtime = tokio::runtime::Handle::try_current().ok();
        let taking = async {
            let taking = probe::take(&self.shared.pool, endpoint, interval);
            tokio::time::timeout(WAIT, taking).await
        };
        let wait = match runtime.map(|runtime| runtime.block_on(taking)) {
            Some(Ok(Ok(wait))) => wait?,
            Some(Ok(Err(error))) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no probe is taken");
                interval
            }
            Some(Err(_)) | None => interval,
        };
        let until = now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.live().defer(endpoint, until);
        Some(until)
    }
}
