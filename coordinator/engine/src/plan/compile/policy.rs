//! Timeout, retry, resources, concurrency, cache: how a step is run, not what it does.

use maestro_schemas::action::Effect;
use maestro_schemas::pipeline::{Cache, Defaults, Duration, Retry, StepResources};
use maestro_schemas::plan::{Priority, Resources, RetryPolicy};

use super::gather::Frame;
use super::node::{Builder, SiteOf};
use crate::pipeline::{Code, Fault, Position};
use crate::plan::check::{RETRIES_MAX, TIMEOUT_MS_MAX};

/// The longest that an attempt may run where nothing is said: 30 minutes.
pub const TIMEOUT_MS_DEFAULT: u64 = 30 * 60 * 1000;

impl Builder<'_> {
    /// What the step's pipeline, or else one that uses it, says of all steps.
    pub(super) fn default<T>(
        &self,
        site: &SiteOf<'_>,
        field: impl Fn(&Defaults) -> Option<T>,
    ) -> Option<T> {
        self.outward(site)
            .find_map(|frame| frame.source.pipeline.defaults.as_ref().and_then(&field))
    }

    /// The step's pipeline, then those that use it, the first one last.
    pub(super) fn outward<'s>(&'s self, site: &SiteOf<'s>) -> impl Iterator<Item = &'s Frame> {
        let caller = |frame: &&'s Frame| {
            frame.call.as_ref().and_then(|call| self.graph.frames.get(call.site.frame))
        };
        std::iter::successors(Some(site.frame), caller)
    }

    /// The longest that one attempt may run, in milliseconds.
    pub(super) fn timeout(&self, site: &SiteOf<'_>) -> Result<u64, Fault> {
        let own = site.draft.site.step.timeout.clone();
        let Some(timeout) = own.or_else(|| self.default(site, |defaults| defaults.timeout.clone()))
        else {
            return Ok(TIMEOUT_MS_DEFAULT);
        };
        match duration(&timeout, site.at("timeout"))? {
            millis @ 1..=TIMEOUT_MS_MAX => Ok(millis),
            millis => Err(Fault::new(
                Code::InvalidValue,
                site.at("timeout"),
                "the timeout is out of bounds",
            )
            .found(format!("{millis} ms"))
            .expected("1ms to 3d")),
        }
    }

    /// When a failed attempt is followed by another.
    pub(super) fn retry(&self, site: &SiteOf<'_>) -> Result<RetryPolicy, Fault> {
        let own = site.draft.site.step.retry.clone();
        let mut policy = RetryPolicy::default();
        match own.or_else(|| self.default(site, |defaults| defaults.retry.clone())) {
            None => {}
            Some(Retry::Max(max)) => policy.retries_max = max.min(RETRIES_MAX),
            Some(Retry::Settings(settings)) => {
                let at = site.at("retry");
                policy.retries_max = settings.max.unwrap_or(policy.retries_max).min(RETRIES_MAX);
                policy.factor = settings.factor.unwrap_or(policy.factor);
                if let Some(delay) = &settings.delay {
                    policy.delay_ms = duration(delay, at)?;
                    policy.delay_ms_max = policy.delay_ms_max.max(policy.delay_ms);
                }
                if let Some(delay) = &settings.max_delay {
                    policy.delay_ms_max = duration(delay, at)?;
                }
                policy.on = settings.on.unwrap_or(policy.on);
            }
        }
        Ok(policy)
    }

    /// What of a worker the step takes up.
    pub(super) fn resources(&self, site: &SiteOf<'_>) -> Result<Resources, Fault> {
        let own = site.draft.site.step.resources.clone();
        let wanted: StepResources = own
            .or_else(|| self.default(site, |defaults| defaults.resources.clone()))
            .unwrap_or_default();
        let mut resources = Resources::default();
        resources.slots = wanted.slots.unwrap_or(resources.slots);
        resources.cpu_millis =
            (wanted.cpu.unwrap_or_default() * 1000.0).round().clamp(0.0, 1e8) as u32;
        resources.gpu = wanted.gpu.unwrap_or_default();
        if let Some(memory) = &wanted.memory {
            resources.memory_mib = memory.as_mebibytes().ok_or_else(|| {
                Fault::new(Code::InvalidValue, site.at("resources"), "this is no amount of memory")
                    .found(format!("{memory:?}"))
                    .expected("a number with MiB, GiB or TiB, as 512MiB")
            })?;
        }
        Ok(resources)
    }

    /// Which ready step goes first.
    pub(super) fn priority(&self, site: &SiteOf<'_>) -> Priority {
        let own = site.draft.site.step.priority;
        own.or(self.default(site, |defaults| defaults.priority)).unwrap_or_default()
    }

    /// The name of the limit that it holds one of.
    pub(super) fn concurrency(&self, site: &SiteOf<'_>) -> Result<Option<String>, Fault> {
        match &site.draft.site.step.concurrency {
            Some(text) => self.known_text(site.spot("concurrency", false), text).map(Some),
            None => Ok(None),
        }
    }
}

pub(super) fn duration(duration: &Duration, at: Position) -> Result<u64, Fault> {
    duration.as_millis().map_err(|error| {
        Fault::new(Code::InvalidValue, at, "this is no length of time")
            .found(error.found)
            .expected("as 90s, 10m or 1h30m")
    })
}

/// US dollars in millionths.
pub(super) fn microusd(dollars: f64) -> u64 {
    (dollars * 1e6).round().clamp(0.0, 9e15) as u64
}

/// Whether a step's results are kept, and with what salt.
pub(super) fn cache(site: &SiteOf<'_>, effect: Effect) -> Result<(bool, Option<String>), Fault> {
    let is_pure = effect == Effect::Pure;
    let (wanted, salt) = match &site.draft.site.step.cache {
        None => (is_pure, None),
        Some(Cache::Enabled(wanted)) => (*wanted, None),
        Some(Cache::Policy(policy)) => (true, Some(policy.salt.clone())),
    };
    if wanted && !is_pure {
        return Err(Fault::new(
            Code::InvalidValue,
            site.at("cache"),
            "only a pure step's results are kept",
        )
        .found(format!("effect: {}", if effect == Effect::Once { "once" } else { "idempotent" }))
        .hint("write effect: pure if the step does nothing but make its result"));
    }
    Ok((wanted, salt))
}
