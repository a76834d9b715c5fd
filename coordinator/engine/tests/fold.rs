//! The fold against messages that are not what they should be.

#[cfg(test)]
mod specification {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use maestro_engine::shard::Fold;
    use maestro_engine::shard::commit::Commit;
    use maestro_engine::shard::request::{
        Answer, AskId, Completion, Delivery, DeliveryId, Landing, LoadedShard, Request,
    };
    use maestro_schemas::codec::InboxMessage;
    use maestro_schemas::command::{Command, CommandAnswer, CommandKind, Submission};
    use maestro_schemas::digest::Digest;
    use maestro_schemas::id::{CommandId, ExecutionId, RunId, WorkerId};
    use maestro_schemas::outcome::Outcome;
    use maestro_schemas::report::{Report, Usage};
    use maestro_schemas::step::{AttemptToken, RunState, StepAddress};

    const SHARD: u16 = 0;

    /// A fold whose commits all land, at once unless `lands` says otherwise.
    struct Owner {
        fold: Fold,
        now_ms: u64,
        deliveries: u64,
        commits: Vec<Arc<Commit>>,
        lands: bool,
    }

    impl Owner {
        fn new() -> Self {
            let commits = Vec::new();
            Self { fold: Fold::new("one"), now_ms: 1_000_000, deliveries: 0, commits, lands: true }
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

        /// What is asked for, with what follows the commits that land.
        fn handle(&mut self, completion: Completion) -> Vec<Request> {
            let mut done = Vec::new();
            let mut requests = self.fold.handle(self.now_ms, completion);
            while !requests.is_empty() {
                match requests.remove(0) {
                    Request::Commit(commit) => {
                        self.commits.push(commit);
                        if self.lands {
                            let landed = Completion::Committed(Landing::Done);
                            requests.extend(self.fold.handle(self.now_ms, landed));
                        }
                    }
                    request => done.push(request),
                }
            }
            done
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
            calls: Vec::new(),
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

    fn command(id: CommandId, run: RunId, ask: CommandKind) -> InboxMessage {
        InboxMessage::Command(Box::new(Command {
            id,
            run,
            project: "demo".parse().expect("a name"),
            actor: "ada".to_owned(),
            answer_to: Some("_INBOX.ada".to_owned()),
            ask,
        }))
    }

    fn submit() -> CommandKind {
        let (labels, rerun) = (BTreeMap::new(), None);
        CommandKind::Submit(Submission { plan: Digest::of(b"plan"), labels, rerun })
    }

    fn cancel() -> CommandKind {
        CommandKind::Cancel { reason: "enough".to_owned() }
    }

    fn asked(requests: &[Request]) -> Vec<AskId> {
        let ask = |request: &Request| match request {
            Request::Ask(id, _) => Some(*id),
            _ => None,
        };
        requests.iter().filter_map(ask).collect()
    }

    /// The codes of refusals, with their messages.
    fn refusals(requests: &[Request]) -> Vec<(String, String)> {
        let refusal = |request: &Request| match request {
            Request::Answer { answer: CommandAnswer::Refused { code, message }, .. } => {
                Some((code.clone(), message.clone()))
            }
            _ => None,
        };
        requests.iter().filter_map(refusal).collect()
    }

    #[test]
    fn a_command_about_a_run_of_another_shard_is_refused_and_audited() {
        for ask in [submit(), cancel()] {
            let mut owner = Owner::new();
            owner.take(SHARD, 1);
            let (id, run) = (CommandId::generate(), RunId::generate());
            let question = asked(&owner.pull(SHARD, command(id, run, ask)))[0];
            let answer =
                Answer::Named { answered: None, run: Some((SHARD + 1, RunState::Running)) };
            let requests = owner.handle(Completion::Answered(question, answer));
            assert_eq!(refusals(&requests)[0].0, "MAE-3007");
            let commit = owner.commits.last().expect("a commit");
            assert!(commit.runs_begun.is_empty());
            assert_eq!(commit.audits.iter().map(|row| row.command).collect::<Vec<_>>(), [id]);
        }
    }

    #[test]
    fn a_command_whose_id_is_that_of_a_command_about_another_run_is_refused_and_kept() {
        let mut owner = Owner::new();
        owner.take(SHARD, 1);
        let (id, other) = (CommandId::generate(), RunId::generate());
        let question = asked(&owner.pull(SHARD, command(id, RunId::generate(), submit())))[0];
        let answered = Some((other, CommandAnswer::Accepted));
        let answer = Answer::Named { answered, run: None };
        let requests = owner.handle(Completion::Answered(question, answer));
        assert_eq!(refusals(&requests)[0].0, "MAE-3007");
        assert!(requests.iter().any(|one| matches!(one, Request::Bury { is_last: true, .. })));
        assert!(owner.commits.iter().all(|commit| commit.audits.is_empty()));
    }

    #[test]
    fn two_commands_of_one_id_in_one_batch_leave_one_row() {
        let mut owner = Owner::new();
        owner.take(SHARD, 1);
        let id = CommandId::generate();
        let nobody = || Answer::Named { answered: None, run: None };
        let mut plans = Vec::new();
        for run in [RunId::generate(), RunId::generate()] {
            let question = asked(&owner.pull(SHARD, command(id, run, submit())))[0];
            let requests = owner.handle(Completion::Answered(question, nobody()));
            plans.extend(asked(&requests));
        }
        // A commit in flight lets both answers meet in the next batch.
        owner.lands = false;
        owner.pull(SHARD, report_of_epoch(1));
        for plan in plans {
            owner.handle(Completion::Answered(plan, Answer::Plan(None)));
        }
        owner.lands = true;
        let requests = owner.handle(Completion::Committed(Landing::Done));
        let codes: Vec<_> = refusals(&requests).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["MAE-3001", "MAE-3007"]);
        assert_eq!(owner.commits.last().map(|commit| commit.audits.len()), Some(1));
    }

    #[test]
    fn a_cancel_that_races_with_the_runs_end_is_told_how_it_ended() {
        let mut owner = Owner::new();
        owner.take(SHARD, 1);
        let message = command(CommandId::generate(), RunId::generate(), cancel());
        let question = asked(&owner.pull(SHARD, message))[0];
        let stood = |state| Answer::Named { answered: None, run: Some((SHARD, state)) };
        // The owner does not have the run any more: it ended after its row was read.
        let before = owner.handle(Completion::Answered(question, stood(RunState::Running)));
        assert!(refusals(&before).is_empty(), "{before:?}");
        let again = asked(&before)[0];
        let after = owner.handle(Completion::Answered(again, stood(RunState::Failed)));
        let (code, message) = refusals(&after).remove(0);
        assert_eq!(code, "MAE-3003");
        assert!(message.ends_with("has ended: failed"), "{message}");
    }
}
