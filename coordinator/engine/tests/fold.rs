//! The fold against messages that are not what they should be.

#[cfg(test)]
mod specification {
    use maestro_engine::shard::Fold;
    use maestro_engine::shard::request::{
        Completion, Delivery, DeliveryId, Landing, LoadedShard, Request,
    };
    use maestro_schemas::codec::InboxMessage;
    use maestro_schemas::id::{ExecutionId, RunId, WorkerId};
    use maestro_schemas::outcome::Outcome;
    use maestro_schemas::report::{Report, Usage};
    use maestro_schemas::step::{AttemptToken, StepAddress};

    const SHARD: u16 = 0;

    /// A fold whose commits all land.
    struct Owner {
        fold: Fold,
        now_ms: u64,
        deliveries: u64,
    }

    impl Owner {
        fn new() -> Self {
            Self { fold: Fold::new("one"), now_ms: 1_000_000, deliveries: 0 }
        }

        fn take(&mut self, shard: u16, epoch: u64) {
            let (batch, clock_ms, runs) = (0, self.now_ms, Vec::new());
            let loaded = LoadedShard { shard, epoch, batch, clock_ms, runs };
            self.handle(Completion::Acquired(Box::new(loaded)));
        }

        fn pull(&mut self, shard: u16, message: InboxMessage) -> Vec<Request> {
            self.deliveries += 1;
            let delivery = Delivery { id: DeliveryId(self.deliveries), message: Ok(message) };
            let deliveries = vec![delivery];
            self.handle(Completion::Pulled { shard, deliveries, read_past_ms: None })
        }

        /// What is asked for, commits included, until nothing more follows.
        fn handle(&mut self, completion: Completion) -> Vec<Request> {
            let mut requests = self.fold.handle(self.now_ms, completion);
            while let Some(index) =
                requests.iter().position(|one| matches!(one, Request::Commit(_)))
            {
                requests.remove(index);
                let landed = Completion::Committed(Landing::Done);
                requests.extend(self.fold.handle(self.now_ms, landed));
            }
            requests
        }
    }

    fn report_of_epoch(epoch: u64) -> InboxMessage {
        InboxMessage::Reports(vec![Report {
            run: RunId::generate(),
            step: StepAddress::node(0),
            token: AttemptToken { number: 1, epoch },
            execution: ExecutionId::generate(),
            worker: WorkerId::generate(),
            pool: "build".parse().expect("a name"),
            outcome: Outcome::succeeded(),
            usage: Usage::default(),
        }])
    }

    #[test]
    fn epochs_that_are_made_up_cost_a_shard_one_take_over_a_minute() {
        let mut owner = Owner::new();
        let is_given_up = |requests: &[Request]| {
            requests.iter().any(|one| matches!(one, Request::Release { .. }))
        };
        let is_buried =
            |requests: &[Request]| requests.iter().any(|one| matches!(one, Request::Bury { .. }));
        owner.take(SHARD, 1);
        assert!(is_given_up(&owner.pull(SHARD, report_of_epoch(1_000))), "it may be stale");
        owner.take(SHARD, 2);
        for epoch in 1_000..1_100 {
            owner.now_ms += 500;
            let requests = owner.pull(SHARD, report_of_epoch(epoch));
            assert!(is_buried(&requests) && !is_given_up(&requests), "epoch {epoch}");
        }
        owner.now_ms += 60_000;
        assert!(is_given_up(&owner.pull(SHARD, report_of_epoch(2_000))), "it may be stale again");
    }
}
