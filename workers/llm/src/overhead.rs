//! What Maestro adds to a call of a model, beyond the time that the gateway takes for it: the router's
//! question, the price, the word on the bus before the call is made (a second one where the step has a
//! budget), the books after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The times of a call that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    taken: Instant,
    sent: Instant,
    ended: Instant,
}

impl Times {
    /// A call that was taken and sent then, and has ended now.
    pub(crate) fn ending_now(taken: Instant, sent: Instant) -> Self {
        Self { taken, sent, ended: Instant::now() }
    }

    /// From the request to the last byte of the answer.
    pub(crate) fn elapsed(self) -> Duration {
        self.ended.duration_since(self.sent)
    }

    /// The same in milliseconds.
    pub(crate) fn wall_ms(self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// From taking the call until it was sent, and from its end until now, in microseconds.
    pub(crate) fn overhead_us(self) -> u64 {
        micros(self.sent.duration_since(self.taken) + self.ended.elapsed())
    }
}

/// What was added to all calls of an execution, until their answers were handed on.
#[derive(Debug, Default)]
pub(crate) struct Overhead {
    took_us: AtomicU64,
    waited_us: AtomicU64,
}

impl Overhead {
    /// A call ended, for which the gateway took that long.
    pub(crate) fn waited(&self, times: Times) {
        self.waited_us.fetch_add(micros(times.elapsed()), Ordering::Relaxed);
    }

    /// An answer was handed on, of a question that was taken then.
    pub(crate) fn took(&self, taken: Instant) {
        self.took_us.fetch_add(micros(taken.elapsed()), Ordering::Relaxed);
    }

    /// In milliseconds; nothing where no question was measured.
    pub(crate) fn ms(&self) -> Option<f64> {
        let took = self.took_us.load(Ordering::Relaxed);
        let added = took.saturating_sub(self.waited_us.load(Ordering::Relaxed));
        (took > 0).then(|| added as f64 / 1_000.0)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_takes_is_no_overhead() {
        let overhead = Overhead::default();
        assert_eq!(overhead.ms(), None);
        let after = |start: Instant, ms| start + Duration::from_millis(ms);
        let taken = Instant::now() - Duration::from_secs(60);
        let (sent, ended) = (after(taken, 2), after(taken, 502));
        let times = Times { taken, sent, ended };
        overhead.waited(times);
        assert_eq!(times.wall_ms(), 500);
        // It ended a minute ago, less half a second.
        assert!((59_000_000..70_000_000).contains(&times.overhead_us()));
        overhead.took(taken);
        assert!(overhead.ms().is_some_and(|ms| (59_000.0..70_000.0).contains(&ms)));
    }
}
