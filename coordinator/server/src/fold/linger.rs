//! Announcements of calls of models: nobody waits until they are in the books, and whoever announced one is
//! about to make it. They are folded with what comes next, or after a moment, in the order of the inbox.

use std::time::Duration;

use maestro_streams::fetch::inbox::{BATCH_MAX, InboxDelivery};
use maestro_streams::topology::address::InboxKind;
use tokio::time::{Instant, sleep_until};

/// How long one waits for company.
const LINGER: Duration = Duration::from_millis(20);

/// What was read and is not folded yet.
#[derive(Default)]
pub(super) struct Lingering {
    held: Vec<InboxDelivery>,
    until: Option<Instant>,
}

impl Lingering {
    /// Takes what was read; answers what is to be folded now.
    pub(super) fn take_in(&mut self, batch: Vec<InboxDelivery>) -> Vec<InboxDelivery> {
        let has_others = !batch.iter().all(is_call);
        self.held.extend(batch);
        if has_others || self.held.len() >= BATCH_MAX {
            return self.take();
        }
        if !self.held.is_empty() && self.until.is_none() {
            self.until = Some(Instant::now() + LINGER);
        }
        Vec::new()
    }

    /// All that is held.
    pub(super) fn take(&mut self) -> Vec<InboxDelivery> {
        self.until = None;
        std::mem::take(&mut self.held)
    }

    /// Done when what is held has waited long enough; never where nothing is.
    pub(super) async fn due(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// A shard is somebody else's: what is held of it will be given out to that one.
    pub(super) fn forget(&mut self, shard: u16) {
        self.held.retain(|delivery| delivery.shard != shard);
    }
}

fn is_call(delivery: &InboxDelivery) -> bool {
    delivery.address.as_ref().is_some_and(|address| matches!(address.kind, InboxKind::Call { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use maestro_schemas::id::RunId;
    use maestro_schemas::name::PoolName;
    use maestro_streams::topology::address::InboxSubject;
    use maestro_streams::topology::subject;

    fn delivery(id: u64, shard: u16, is_call: bool) -> InboxDelivery {
        let (pool, run): (PoolName, _) = ("llm".parse().unwrap(), RunId::generate());
        let subject = match is_call {
            true => subject::inbox_call(shard, &pool, run),
            false => subject::inbox_report(shard, &pool, Some(run)),
        };
        InboxDelivery {
            id,
            shard,
            epoch: 1,
            address: InboxSubject::parse(&subject),
            subject,
            sequence: id,
            delivered: 1,
            pending: 0,
            stored_at_ms: 0,
            payload: Bytes::new(),
        }
    }

    fn ids(batch: &[InboxDelivery]) -> Vec<u64> {
        batch.iter().map(|delivery| delivery.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn announcements_wait_a_moment_for_company_and_keep_their_order() {
        let mut lingering = Lingering::default();
        let since = Instant::now();
        assert!(lingering.take_in(vec![delivery(1, 0, true)]).is_empty());
        assert!(lingering.take_in(vec![delivery(2, 1, true)]).is_empty());
        lingering.due().await;
        assert_eq!((since.elapsed(), ids(&lingering.take())), (LINGER, vec![1, 2]));

        assert!(lingering.take_in(vec![delivery(3, 0, true)]).is_empty());
        let mixed = vec![delivery(4, 1, true), delivery(5, 0, false)];
        assert_eq!(ids(&lingering.take_in(mixed)), [3, 4, 5], "nothing waits that somebody awaits");
        assert!(lingering.take().is_empty());
    }

    #[tokio::test]
    async fn no_more_than_a_batch_waits_and_nothing_of_a_shard_that_is_given_up() {
        let mut lingering = Lingering::default();
        let many: Vec<_> = (1..BATCH_MAX as u64).map(|id| delivery(id, 0, true)).collect();
        assert!(lingering.take_in(many).is_empty());
        lingering.take_in(vec![delivery(0, 1, true)]).into_iter().for_each(drop);
        assert!(lingering.take().is_empty(), "a whole batch is folded at once");
        let two = vec![delivery(1, 0, true), delivery(2, 1, true)];
        assert!(lingering.take_in(two).is_empty());
        lingering.forget(0);
        assert_eq!(ids(&lingering.take()), [2]);
    }
}
