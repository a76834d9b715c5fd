//! What people, CI and timers ask of a run: held until all that must be known is known, then
//! folded in the order of their arrival.

use std::collections::VecDeque;

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
}

#[derive(Debug, Clone)]
struct Known {
    answered: Option<CommandAnswer>,
    state: Option<RunState>,
}

impl Pending {
    pub(super) fn new(shard: u16, delivery: DeliveryId, command: Command) -> Self {
        Self { shard, delivery, command, known: None, plan: None, former: None, asked: false }
    }

    /// The next thing to find out, if any.
    fn next_ask(&self) -> Option<Ask> {
        let run = self.command.run;
        let Some(known) = &self.known else {
            return Some(Ask::Named { shard: self.shard, run, command: self.command.id });
        };
        let CommandKind::Submit(submission) = &self.command.ask else {
            return None;
        };
        if known.answered.is_some() || known.state.is_some() {
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
            Answer::Named { answered, state } => first.known = Some(Known { answered, state }),
            Answer::Plan(plan) => first.plan = Some(plan),
            Answer::Former(former) => {
                first.former = Some(former.map(|loaded| Box::new(Former::read(*loaded))))
            }
            Answer::Result(_)
            | Answer::ItemResults(_)
            | Answer::ItemOutputs(_)
            | Answer::Unavailable => {}
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
        let answered = pending.known.as_ref().and_then(|known| known.answered.clone());
        let command = pending.command.clone();
        let answer = match answered {
            Some(answer) => answer,
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
        let Pending { shard, delivery, command, .. } = pending;
        self.quarantine(batch, command.run, reason.clone());
        let answer = refuse(code::SET_ASIDE, format!("the run is set aside: {reason}"));
        if let Some(to) = command.answer_to.clone() {
            batch.after.push(Request::Answer { to, command: command.id, answer });
        }
        batch.commanded.insert((shard, command.run));
        batch.touched.insert(shard);
        let said = Some(Box::new(InboxMessage::Command(Box::new(command))));
        batch.after.push(Request::Bury { shard, delivery, said, is_last: true, reason });
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
        let stored = pending.known.as_ref().and_then(|known| known.state);
        match pending.command.ask.clone() {
            CommandKind::Submit(_) if stored.is_some() || self.runs.contains_key(&id) => {
                CommandAnswer::Accepted
            }
            CommandKind::Submit(submission) => self.begin(batch, pending, submission),
            CommandKind::Cancel { mut reason } => {
                let Some(facts) = self.facts(id) else {
                    return match stored {
                        Some(state) => {
                            refuse(code::HAS_ENDED, format!("{id} has ended: {}", state.as_str()))
                        }
                        None => refuse(code::NO_RUN, format!("there is no run {id}")),
                    };
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

fn refuse(code: &str, message: String) -> CommandAnswer {
    CommandAnswer::Refused { code: code.to_owned(), message }
}
