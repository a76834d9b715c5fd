//! A shard in its owner's memory, but for its runs.

use super::request::LoadedShard;

/// How long an owner keeps a shard after its last commit, in milliseconds, by Postgres' clock.
pub const LEASE_MS: u64 = 4_000;

/// How often a commit renews the lease where nothing else does, in milliseconds.
pub const RENEWAL_MS: u64 = 1_000;

/// How long a commit may take before its outcome counts as unknown, in milliseconds.
pub const COMMIT_MS_MAX: u64 = 1_500;

/// A shard that this coordinator owns.
#[derive(Debug)]
pub struct Shard {
    /// The owner's epoch.
    pub epoch: u64,
    /// The last batch that was committed, or is being.
    pub batch: u64,
    /// The shard's clock: never goes back.
    pub clock_ms: u64,
    /// When the last commit that landed was sent.
    pub renewed_at_ms: u64,
    /// Up to when its inbox has been read.
    pub read_past_ms: u64,
    /// When it was taken.
    pub acquired_at_ms: u64,
    /// Whether the inbox was read past the take-over and every live attempt ensured.
    pub settled: bool,
}

impl Shard {
    /// A shard that was just taken.
    pub fn acquired(loaded: &LoadedShard, now_ms: u64) -> Self {
        Self {
            epoch: loaded.epoch,
            batch: loaded.batch,
            clock_ms: loaded.clock_ms.max(now_ms),
            renewed_at_ms: now_ms,
            read_past_ms: 0,
            acquired_at_ms: now_ms,
            settled: false,
        }
    }

    /// What was on the bus may be lost: every live attempt is to be ensured again.
    pub const fn unsettle(&mut self, now_ms: u64) {
        self.settled = false;
        self.acquired_at_ms = now_ms;
    }

    /// Whether the lease outlives the longest that a commit sent now may take: only then may the
    /// publishing of a task overlap its commit.
    pub const fn outlives_commit(&self, now_ms: u64) -> bool {
        now_ms + COMMIT_MS_MAX < self.renewed_at_ms + LEASE_MS
    }
}
