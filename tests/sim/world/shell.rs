//! What the fold asks for, performed against the models, with all that can go wrong on the way.

use std::sync::Arc;

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::owned::COMMIT_MS_MAX;
use maestro_engine::shard::request::{
    Answer, Ask, AskId, Completion, DeliveryId, Landing, Publication, Request,
};

use maestro_schemas::outcome::FailureClass;
use maestro_schemas::step::{RunState, StepState};

use super::{Checked, Happening, Process, World};
use crate::planted::Planted;
use crate::store::{Landed, Written};

impl World {
    pub fn perform(&mut self, process: Process, request: Request) -> Checked {
        match request {
            Request::Commit(commit) => return self.send_commit(process, commit),
            Request::Publish(publications) => {
                for publication in &publications {
                    self.checker.inputs_are_there(&publication.task, &self.store)?;
                }
                self.publish_all(process, publications);
            }
            Request::Ack { deliveries, .. } => {
                deliveries.into_iter().for_each(|delivery| self.send_ack(process, delivery));
            }
            Request::Tell(events) => return self.checker.told(&events, &self.store),
            Request::Withdraw { run, attempt, pools } => {
                let wanted = |subject: &crate::bus::Subject| {
                    subject.0 == run && attempt.is_none_or(|one| one == (subject.1, subject.2))
                };
                self.coordinators[process.0].publications.retain(|subject, _| !wanted(subject));
                let delay = self.travel();
                self.after(delay, Happening::Purges { run, attempt, pools });
            }
            Request::Stop { pool, cancel } => {
                if self.is_heard() {
                    let delay = self.travel();
                    self.after(delay, Happening::Stops { pool, cancel });
                }
            }
            Request::Answer { command, answer, .. } => {
                self.checker.answered(command, &answer, &self.store)?;
                if self.is_heard() {
                    let delay = self.travel();
                    self.after(delay, Happening::Answered(command, answer));
                }
            }
            Request::Ask(id, ask) => self.send_ask(process, id, ask),
            Request::Bury { delivery, said, is_last, reason, .. } => {
                self.mark(match reason.starts_with("nobody") {
                    true => "a forged token was buried",
                    false => "a message was buried",
                });
                if let Some((_, _, seq)) = self.coordinators[process.0].deliveries.get(&delivery) {
                    self.checker.buried(*seq, said.as_deref());
                }
                if is_last || self.is_planted(Planted::PartsAcked) {
                    self.send_ack(process, delivery);
                } else {
                    self.mark("a part of a message was buried");
                }
            }
            Request::Release { shard, hand_over } => self.release(process, shard, hand_over),
            Request::WakeAt(at_ms) => self.wake_at(process, at_ms),
        }
        Ok(())
    }

    fn send_commit(&mut self, process: Process, commit: Arc<Commit>) -> Checked {
        self.note(|| format!("c{} commits {}", process.0, summary(&commit)));
        let slots = self.workers.iter().map(|worker| worker.slots).sum();
        self.checker.sent(&commit, slots)?;
        self.check_timers(process, &commit)?;
        let coordinator = &mut self.coordinators[process.0];
        coordinator.sendings += 1;
        coordinator.awaits_answer = true;
        coordinator.commit = Some(Arc::clone(&commit));
        let sending = coordinator.sendings;
        let is_slow = self.strikes(self.setting.chances.commit_slow);
        let delay = if is_slow { self.dice.between(100, 3_000) } else { self.dice.between(1, 3) };
        let is_lost = self.strikes(self.setting.chances.commit_unknown);
        let heard = !is_lost;
        if is_lost || delay >= COMMIT_MS_MAX {
            let known_at = self.dice.between(5, COMMIT_MS_MAX);
            self.after(known_at, Happening::CommitUnknown { from: process, sending });
        }
        if heard || self.dice.chance(500) {
            self.after(delay, Happening::CommitArrives { from: process, sending, commit, heard });
        }
        Ok(())
    }

    fn check_timers(&mut self, (place, _): Process, commit: &Commit) -> Checked {
        if commit.timers_cleared.is_empty() || commit.dispatched.is_empty() {
            return Ok(());
        }
        let coordinator = &self.coordinators[place];
        self.checker.timers_waited(coordinator, commit, (&self.store, &self.bus))
    }

    pub fn commit_arrives(
        &mut self,
        from: Process,
        sending: u64,
        commit: &Arc<Commit>,
        heard: bool,
    ) -> Checked {
        if self.is_store_down() {
            return self.commit_unknown(from, sending);
        }
        let before = self.checker.before(commit, &self.store);
        let sent = Written::Sent(Arc::clone(commit));
        self.store.journal.iter_mut().for_each(|list| list.push(sent.clone()));
        let landed = self.store.land(commit, self.now);
        self.note(|| format!("the commit of c{} lands: {landed:?}", from.0));
        self.checker.landed(commit, &landed, (before, &self.store))?;
        let mark = match landed {
            Landed::New => "a commit landed",
            Landed::Repeated => "a commit landed before",
            Landed::Refused => "a commit was refused",
            Landed::Unacceptable => "a commit was no data",
            Landed::Unfit(_) => "a commit did not fit",
        };
        self.mark(mark);
        self.mark_rows(commit, &landed);
        let landing = match landed {
            Landed::New | Landed::Repeated => Landing::Done,
            Landed::Refused => Landing::Refused,
            Landed::Unacceptable => Landing::Unacceptable("no data (22021)".into()),
            Landed::Unfit(_) => return Ok(()),
        };
        if heard {
            self.tell_landing(from, sending, landing);
        }
        Ok(())
    }

    fn mark_rows(&mut self, commit: &Commit, landed: &Landed) {
        if *landed != Landed::New {
            return;
        }
        for row in &commit.attempts {
            if row.step.visit > 0 && row.state == StepState::Succeeded {
                self.mark("a lost object was made again");
            }
            let class = row.failure.as_ref().map(|failure| failure.class);
            if class == Some(FailureClass::InputLost) {
                self.mark(match row.state {
                    StepState::Waiting => "an input was lost",
                    _ => "an input was lost for good",
                });
            }
            match row.failure.as_ref().map(|failure| failure.message.as_str()) {
                Some(message) if message.starts_with("it ran past") => self.mark("overran"),
                Some(message) if message.starts_with("no worker") => self.mark("unclaimed"),
                Some(message) if message.starts_with("its worker") => self.mark("given up"),
                None if row.worker.is_none() => self.mark("cancelled and silent"),
                _ => self.mark(row.state.as_str()),
            }
        }
        for row in &commit.steps {
            let is_item = self.store.is_fanout(row.run, row.step.node);
            let mark = match row.reason.split(' ').next() {
                Some("its") if row.state == StepState::Cached && is_item => {
                    "an item's result was known"
                }
                Some("its") if row.state == StepState::Cached => "a result was known",
                Some("kept") => "kept by a rerun",
                _ => "concluded",
            };
            self.mark(mark);
        }
        for row in &commit.fanouts {
            self.mark(match (&row.reused, row.closed) {
                (Some(_), _) => "items kept by a rerun",
                (None, true) => "a fan-out was closed",
                (None, false) => "a fan-out went on",
            });
        }
        for change in &commit.runs_changed {
            self.mark(match change.state {
                RunState::Quarantined => "a run was set aside",
                RunState::Cancelled => "a run was cancelled",
                RunState::Succeeded => "a run succeeded",
                RunState::Failed => "a run failed",
                RunState::Running | RunState::Cancelling => "a run changed",
            });
        }
        if !commit.timers_cleared.is_empty() {
            self.mark("a pause was over");
        }
    }

    pub fn commit_unknown(&mut self, from: Process, sending: u64) -> Checked {
        self.tell_landing(from, sending, Landing::Unknown);
        Ok(())
    }

    fn tell_landing(&mut self, to: Process, sending: u64, landing: Landing) {
        let delay = self.dice.between(1, 3);
        let coordinator = &mut self.coordinators[to.0];
        if coordinator.life != to.1 || coordinator.sendings != sending || !coordinator.awaits_answer
        {
            return;
        }
        coordinator.awaits_answer = false;
        self.after(delay, Happening::Completes(to, Completion::Committed(landing)));
    }

    fn publish_all(&mut self, by: Process, publications: Vec<Publication>) {
        for publication in publications {
            if self.is_planted(Planted::TasksDropped) && publication.task.pool.as_str() == "llm" {
                continue;
            }
            let is_visit = publication.task.step.visit > 0;
            if self.is_planted(Planted::RemakesDropped) && is_visit {
                continue;
            }
            let task = &publication.task;
            let subject = (task.run, task.step, task.token);
            self.coordinators[by.0].publications.insert(subject, publication.clone());
            let delay = self.travel();
            self.after(delay, Happening::Publishes { by, publication });
        }
    }

    fn send_ack(&mut self, process: Process, delivery: DeliveryId) {
        let found = self.coordinators[process.0].deliveries.remove(&delivery);
        let Some((shard, consumer, seq)) = found else {
            return;
        };
        if !self.strikes(self.setting.chances.ack_lost) {
            let delay = self.travel();
            self.after(delay, Happening::Acks { shard, consumer, seq });
        }
    }

    fn send_ask(&mut self, process: Process, id: AskId, ask: Ask) {
        if matches!(ask, Ask::ItemOutputs { .. }) {
            self.mark("outputs of items were asked for");
        }
        if self.is_planted(Planted::AsksDropped) && matches!(ask, Ask::Result { .. }) {
            return;
        }
        self.coordinators[process.0].asks.insert(id, ask);
        let delay = self.dice.between(1, 8);
        self.after(delay, Happening::Asks { by: process, ask: id });
    }

    pub fn answer_ask(&mut self, by: Process, id: AskId) -> Checked {
        if !self.lives(by) {
            return Ok(());
        }
        let Some(ask) = self.coordinators[by.0].asks.get(&id) else {
            return Ok(());
        };
        if let Ask::ItemOutputs { run, node } = ask {
            let is_whole = self.store.runs.get(run).is_some_and(|record| record.node_ended(*node));
            self.checker.require(4, is_whole, || {
                format!("the outputs of {run} {node} are read before all of its items stand")
            })?;
        }
        let answer = match self.is_store_down() {
            true => Answer::Unavailable,
            false => self.store.answer(ask),
        };
        let is_unavailable = self.strikes(self.setting.chances.unavailable);
        let answer = if is_unavailable { Answer::Unavailable } else { answer };
        let delay = self.dice.between(1, 8);
        self.after(delay, Happening::Completes(by, Completion::Answered(id, answer)));
        Ok(())
    }

    fn release(&mut self, by: Process, shard: u16, hand_over: bool) {
        self.note(|| format!("c{} gives shard {shard} up", by.0));
        let Some(holding) = self.let_go(by, shard) else {
            return;
        };
        if hand_over {
            self.store.release(shard, holding.epoch);
        }
    }
}

fn summary(commit: &Commit) -> String {
    let shards: Vec<String> = commit
        .shards
        .iter()
        .map(|advance| format!("{}@{}#{}", advance.shard, advance.epoch, advance.batch))
        .collect();
    let steps = |list: Vec<String>| list.join(" ");
    let dispatched =
        commit.dispatched.iter().map(|row| format!("{}.{}", row.step, row.token.number));
    let ended = commit.attempts.iter().map(|row| format!("{}:{}", row.step, row.state.as_str()));
    let concluded = commit.steps.iter().map(|row| format!("{}:{}", row.step, row.state.as_str()));
    let changed =
        commit.runs_changed.iter().map(|row| format!("{}:{}", row.id, row.state.as_str()));
    format!(
        "{shards:?} dispatched [{}] ended [{}] concluded [{}] runs [{}] begun {} audits {}",
        steps(dispatched.collect()),
        steps(ended.collect()),
        steps(concluded.collect()),
        steps(changed.collect()),
        commit.runs_begun.len(),
        commit.audits.len(),
    )
}
