//! What people, CI and timers ask of a run: held until all that must be known is known, then
//! folded in the order of their arrival.

use std::collections::{BTreeMap, VecDeque};

use maestro_schemas::codec::InboxMessage;
use maestro_schemas::command::{Command, CommandAnswer, CommandKind, Submission};
use maestro_schemas::event::EventKind;
use maestro_schemas::id::RunId;
use maestro_schemas::step::RunState;

use super::batch::Batch;
use super::commit::{AuditRow, RunRow};
use super::inputs::About;
use super::request::{Answer, Ask, DeliveryId, Request};
use super::{Fold, record};
use crate::decide::{begin, cancel};
use crate::plan::CheckedPlan;
use crate::run::Run;
use crate::run::former::Former;

/// The codes of refusals; each has a page in `docs/errors/`.
mod code {
    pub(super) const NO_PLAN: &str = "MAE-3001";
    pub(super) const NO_RUN: &str = "MAE-3002";
    pub(super) const HAS_ENDED: &str = "MAE-3003";
    pub(super) const NO_FORMER: &str = "MAE-3004";
    pub(super) const NO_STEP: &str = "MAE-3005";
    pub(super) const SET_ASIDE: &str = "MAE-3006";
    pub(super) const OF_ANOTHER: &str = "MAE-3007";
}

/// A command that waits to be folded.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) shard: u16,
    delivery: DeliveryId,
    command: Command,
    known: Option<Known>,
    plan: Option<Option<CheckedPlan>>,
    former: Option<Option<Box<Former>>>,
    asked: bool,
    asked_again: bool,
}

#[derive(Debug, Clone)]
struct Known {
    /// What stands under the command's id, and of which run.
    answered: Option<(RunId, CommandAnswer)>,
    /// The shard that has the run, and where the run stood.
    run: Option<(u16, RunState)>,
}

impl Pending {
    pub(super) fn new(shard: u16, delivery: DeliveryId, command: Command) -> Self {
        Self {
            shard,
            delivery,
            command,
            known: None,
            plan: None,
            former: None,
            asked: false,
            asked_again: false,
        }
    }

    /// Forgets what is known of a run that was read before it ended: its owner, who is here, does
    /// not have it any more, so that the rows of now say how it ended.
    fn ask_again_if_ended(&mut self, runs: &BTreeMap<RunId, Run>) {
        let is_unfinished = |known: &Known| {
            known.run.is_some_and(|(shard, state)| shard == self.shard && !state.is_final())
        };
        if matches!(self.command.ask, CommandKind::Cancel { .. })
            && !self.asked_again
            && self.known.as_ref().is_some_and(is_unfinished)
            && !runs.contains_key(&self.command.run)
        {
            self.asked_again = true;
            self.known = None;
        }
    }

    /// The next thing to find out, if any.
    fn next_ask(&self) -> Option<Ask> {
        let run = self.command.run;
        let Some(known) = &self.known else {
            return Some(Ask::Named { run, command: self.command.id });
        };
        let CommandKind::Submit(submission) = &self.command.ask else {
            return None;
        };
        if known.answered.is_some() || known.run.is_some() {
            return None;
        }
        if self.plan.is_none() {
            return Some(Ask::Plan {
                project: self.command.project.clone(),
                digest: submission.plan,
            });
        }
        match (&submission.rerun, &self.former) {
            (Some(rerun), None) => {
                Some(Ask::Former { run: rerun.of, project: self.command.project.clone() })
            }
            _ => None,
        }
    }
}

impl Fold {
    /// Puts a command behind those that wait for the same run, and goes on with the first.
    pub(super) fn take_command(&mut self, batch: &mut Batch, pending: Pending) {
        let line = (pending.shard, pending.command.run);
        self.pending.entry(line).or_default().push_back(pending);
        self.go_on(batch, line);
    }

    pub(super) fn answer_command(&mut self, batch: &mut Batch, line: (u16, RunId), answer: Answer) {
        let Some(first) = self.pending.get_mut(&line).and_then(VecDeque::front_mut) else {
            return;
        };
        first.asked = false;
        match answer {
            Answer::Named { answered, run } => first.known = Some(Known { answered, run }),
            Answer::Plan(plan) => first.plan = Some(plan),
            Answer::Former(former) => {
                first.former = Some(former.map(|loaded| Box::new(Former::read(*loaded))))
            }
            Answer::Result(_)
            | Answer::ItemResults(_)
            | Answer::ItemOutputs(_)
            | Answer::Unavailable
            | Answer::Unreadable(_) => {}
        }
        self.go_on(batch, line);
    }

    /// Folds the first command of a run as long as all that it needs is known.
    fn go_on(&mut self, batch: &mut Batch, line: (u16, RunId)) {
        let (shard, run) = line;
        while let Some(first) = self.pending.get_mut(&line).and_then(VecDeque::front_mut) {
            if first.asked {
                return;
            }
            first.ask_again_if_ended(&self.runs);
            if let CommandKind::Submit(submission) = &first.command.ask
                && first.plan.is_none()
                && let Some((plan, _)) = self.plans.get(&submission.plan)
            {
                first.plan = Some(Some(plan.clone()));
            }
            if let Some(ask) = first.next_ask() {
                first.asked = true;
                let request = self.question(ask, About::Command(shard, run));
                // What this very batch does about the run must stand before its rows are read.
                match batch.commanded.contains(&line) {
                    true => batch.after.push(request),
                    false => self.requests.push(request),
                }
                return;
            }
            let Some(ready) = self.pending.get_mut(&line).and_then(VecDeque::pop_front) else {
                return;
            };
            self.fold_command(batch, ready);
        }
        self.pending.remove(&line);
    }

    fn fold_command(&mut self, batch: &mut Batch, pending: Pending) {
        let shard = pending.shard;
        let delivery = pending.delivery;
        if let Some(reason) = self.poisoned.remove(&pending.command.run) {
            return self.bury_command(batch, pending, reason);
        }
        let command = pending.command.clone();
        let answer = match answered(batch, &pending) {
            Some((run, _)) if run != command.run => {
                return refuse_clash(batch, pending, run);
            }
            Some((_, answer)) => answer,
            None => {
                let answer = self.carry_out(batch, pending);
                self.audit(batch, &command, &answer, shard);
                answer
            }
        };
        if let Some(to) = command.answer_to {
            batch.after.push(Request::Answer { to, command: command.id, answer });
        }
        batch.commanded.insert((shard, command.run));
        batch.ack(shard, delivery);
    }

    /// Neither the command nor a row about it can be kept; its run is set aside.
    fn bury_command(&mut self, batch: &mut Batch, pending: Pending, reason: String) {
        self.quarantine(batch, pending.command.run, reason.clone());
        let said = format!("the run is set aside: {reason}");
        bury(batch, pending, code::SET_ASIDE, said, reason);
    }

    fn audit(&self, batch: &mut Batch, command: &Command, answer: &CommandAnswer, shard: u16) {
        batch.commit.audits.push(AuditRow {
            command: command.id,
            run: command.run,
            project: command.project.clone(),
            actor: command.actor.clone(),
            action: match command.ask {
                CommandKind::Submit(_) => "submit".into(),
                CommandKind::Cancel { .. } => "cancel".into(),
            },
            answer: answer.clone(),
            at_ms: self.shards.get(&shard).map_or(0, |shard| shard.clock_ms),
        });
    }

    fn carry_out(&mut self, batch: &mut Batch, pending: Pending) -> CommandAnswer {
        let id = pending.command.run;
        let stored = pending.known.as_ref().and_then(|known| known.run);
        let in_memory = self.runs.get(&id).map(|run| (run.shard, run.state));
        let found = in_memory.or(stored);
        if let Some((owner, _)) = found
            && owner != pending.shard
        {
            let message = format!("{id} is a run of shard {owner}, not of {}", pending.shard);
            return refuse(code::OF_ANOTHER, message);
        }
        match pending.command.ask.clone() {
            CommandKind::Submit(_) if found.is_some() => CommandAnswer::Accepted,
            CommandKind::Submit(submission) => self.begin(batch, pending, submission),
            CommandKind::Cancel { mut reason } => {
                let facts = match (found, self.facts(id)) {
                    (None, _) => return refuse(code::NO_RUN, format!("there is no run {id}")),
                    (Some((_, state)), _) if state.is_final() => {
                        let message = format!("{id} has ended: {}", state.as_str());
                        return refuse(code::HAS_ENDED, message);
                    }
                    (Some(_), None) => return refuse(code::HAS_ENDED, format!("{id} has ended")),
                    (Some(_), Some(facts)) => facts,
                };
                reason.truncate(reason.floor_char_boundary(cancel::REASON_BYTES_MAX));
                let events = self.runs.get(&id).map(|run| cancel::decide(run, reason, facts));
                self.decided(batch, id, events.unwrap_or_default());
                CommandAnswer::Accepted
            }
        }
    }

    fn begin(
        &mut self,
        batch: &mut Batch,
        pending: Pending,
        submission: Submission,
    ) -> CommandAnswer {
        let Some(plan) = pending.plan.flatten() else {
            return refuse(
                code::NO_PLAN,
                format!("no plan {} is stored for {}", submission.plan, pending.command.project),
            );
        };
        let Some(shard) = self.shards.get(&pending.shard) else {
            return refuse(code::NO_RUN, "the shard was given up".to_owned());
        };
        let at = record::At { batch: shard.batch + 1, now_ms: shard.clock_ms };
        let facts = crate::decide::Facts { now_ms: shard.clock_ms, epoch: shard.epoch };
        let row = RunRow {
            id: pending.command.run,
            project: pending.command.project,
            shard: pending.shard,
            pipeline: plan.name.clone(),
            state: RunState::Running,
            plan: submission.plan,
            labels: submission.labels,
            rerun: submission.rerun.clone(),
            created_at_ms: at.now_ms,
            batch: at.batch,
            steps_total: Run::steps_known(&plan),
        };
        let (plan, graph) = self.share_plan(submission.plan, plan);
        let run = Run::begin(row.clone(), plan, graph);
        let taken = match (&submission.rerun, pending.former.flatten()) {
            (None, _) => Ok(Vec::new()),
            (Some(rerun), None) => {
                return refuse(code::NO_FORMER, format!("{} is no run that has ended", rerun.of));
            }
            (Some(rerun), Some(former)) => begin::take_over(&run, &former, &rerun.from, facts),
        };
        let events = match taken {
            Ok(events) => events,
            Err(name) => return refuse(code::NO_STEP, format!("the plan has no step {name:?}")),
        };
        batch.touched.insert(run.shard);
        record::keep(batch, &run, at, EventKind::Run { state: RunState::Running, cause: None });
        let id = run.id;
        batch.commit.runs_begun.push(row);
        self.runs.insert(id, run);
        self.decided(batch, id, events);
        CommandAnswer::Accepted
    }
}

/// What stands under a command's id, by the rows or by this very batch, and of which run.
fn answered(batch: &Batch, pending: &Pending) -> Option<(RunId, CommandAnswer)> {
    let known = pending.known.as_ref().and_then(|known| known.answered.clone());
    let audits = &batch.commit.audits;
    let of_this_batch = || audits.iter().find(|row| row.command == pending.command.id);
    known.or_else(|| of_this_batch().map(|row| (row.run, row.answer.clone())))
}

/// A command whose id stands for one about another run: no row can be kept of it, so its message
/// is.
fn refuse_clash(batch: &mut Batch, pending: Pending, other: RunId) {
    let reason = format!("{} is the id of a command about {other}", pending.command.id);
    bury(batch, pending, code::OF_ANOTHER, reason.clone(), reason);
}

/// Refuses a command and keeps its message with the reason.
fn bury(batch: &mut Batch, pending: Pending, code: &str, said: String, reason: String) {
    let Pending { shard, delivery, command, .. } = pending;
    if let Some(to) = command.answer_to.clone() {
        batch.after.push(Request::Answer { to, command: command.id, answer: refuse(code, said) });
    }
    batch.commanded.insert((shard, command.run));
    batch.touched.insert(shard);
    let said = Some(Box::new(InboxMessage::Command(Box::new(command))));
    batch.after.push(Request::Bury { shard, delivery, said, is_last: true, reason });
}

fn refuse(code: &str, message: String) -> CommandAnswer {
    CommandAnswer::Refused { code: code.to_owned(), message }
}
