//! One input after the other, folded into the batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use maestro_schemas::codec::InboxMessage;
use maestro_schemas::id::RunId;
use maestro_schemas::report::Report;
use maestro_schemas::step::StepAddress;

use super::Fold;
use super::batch::Batch;
use super::commands::Pending;
use super::request::{Answer, Ask, AskId, Delivery, DeliveryId, Request};
use crate::decide::lapse::Silence;
use crate::decide::{Facts, report, set_aside};
use crate::run::{Asking, NodeStatus};

/// Something to fold.
#[derive(Debug)]
pub(super) enum Input {
    /// A message from a shard's inbox, but for reports.
    Delivered {
        /// The shard.
        shard: u16,
        /// The message.
        delivery: Delivery,
    },
    /// One report of a message.
    Reported {
        /// The shard.
        shard: u16,
        /// The report.
        report: Box<Report>,
        /// The message.
        delivery: DeliveryId,
        /// Whether it is the message's last.
        is_last: bool,
    },
    /// An answer.
    Answered(AskId, Box<Answer>),
    /// An attempt was silent for too long.
    Lapsed {
        /// The shard.
        shard: u16,
        /// The run.
        run: RunId,
        /// The step.
        step: StepAddress,
        /// How it was silent.
        silence: Silence,
    },
    /// A run was loaded: look at what it can go on with.
    Resumed {
        /// The shard.
        shard: u16,
        /// The run.
        run: RunId,
    },
}

impl Input {
    /// What a message brings: one input for each report of it, so that a bad one stops its own
    /// run only.
    pub(super) fn of(shard: u16, delivery: Delivery) -> Vec<Self> {
        let Delivery { id, message } = delivery;
        match message {
            Ok(InboxMessage::Reports(reports)) if !reports.is_empty() => {
                let last = reports.len() - 1;
                let input = |(index, report)| Self::Reported {
                    shard,
                    report: Box::new(report),
                    delivery: id,
                    is_last: index == last,
                };
                reports.into_iter().enumerate().map(input).collect()
            }
            message => vec![Self::Delivered { shard, delivery: Delivery { id, message } }],
        }
    }

    /// The shard that it belongs to; answers are looked up when they are folded.
    pub(super) const fn shard(&self) -> Option<u16> {
        match self {
            Self::Delivered { shard, .. }
            | Self::Reported { shard, .. }
            | Self::Lapsed { shard, .. }
            | Self::Resumed { shard, .. } => Some(*shard),
            Self::Answered(..) => None,
        }
    }
}

/// What an open question is about.
#[derive(Debug)]
pub(super) struct Asked {
    /// The question, to be asked again where it could not be answered.
    pub(super) ask: Ask,
    /// Whom the answer is for.
    pub(super) about: About,
}

/// Whom an answer is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// The first command in a shard's inbox that waits for a run. Only one shard has the run, but
    /// anybody may ask another for it, and a shard is given up by itself.
    Command(u16, RunId),
    /// A node of a run.
    Node(RunId, u32),
    /// Items of a node of a run.
    Items(RunId, u32),
    /// An open fan-out of a run, and the fan-out that it reads.
    Source(RunId, u32, u32),
}

/// For how long tokens of the future are taken for forged after one was proven to be, in
/// milliseconds.
const FORGED_MS: u64 = 60_000;

/// What an owner thinks of tokens that are newer than its epoch.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The highest epoch of such a token.
    epoch: u64,
    /// Until when no such token is believed.
    forged_until_ms: u64,
}

impl Doubt {
    /// The shard was taken: a token from beyond the new epoch was decided by nobody.
    pub(super) const fn taken(&mut self, epoch: u64, now_ms: u64) {
        if self.epoch > epoch {
            self.forged_until_ms = now_ms + FORGED_MS;
        }
    }
}

/// How long an unanswered question waits before it is asked again, in milliseconds.
const ASK_AGAIN_MS: u64 = 500;

impl Fold {
    /// Folds one input; false where the batch is abandoned: the engine panicked, and everything is
    /// given up so that the run can be set aside from what was committed, or this owner is stale.
    pub(super) fn fold_input(&mut self, batch: &mut Batch, input: Input, now_ms: u64) -> bool {
        if let Input::Reported { shard, report, .. } = &input
            && self.is_stale(*shard, report, now_ms)
        {
            batch.touched.insert(*shard);
            std::mem::take(&mut batch.touched)
                .into_iter()
                .for_each(|one| self.drop_shard(one, true));
            return false;
        }
        let suspect = self.suspect(&input);
        let folded = catch_unwind(AssertUnwindSafe(|| self.fold_one(batch, input, now_ms)));
        if folded.is_ok() {
            match batch.touched.is_empty() {
                true => batch.about.clear(),
                false => batch.about.extend(suspect),
            }
            return true;
        }
        self.poisoned.extend(suspect.map(|run| (run, "the engine panicked over it".to_owned())));
        let numbers: Vec<u16> = self.shards.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.drop_shard(number, true));
        false
    }

    /// The run that an input is about, where it is about one.
    fn suspect(&self, input: &Input) -> Option<RunId> {
        match input {
            Input::Delivered { delivery, .. } => match delivery.message.as_ref().ok()? {
                InboxMessage::Reports(_) => None,
                InboxMessage::CallBegun(begun) => Some(begun.run),
                InboxMessage::Command(command) => Some(command.run),
            },
            Input::Reported { report, .. } => Some(report.run),
            Input::Answered(ask, _) => self.asked.get(ask).map(|asked| match asked.about {
                About::Command(_, run)
                | About::Node(run, _)
                | About::Items(run, _)
                | About::Source(run, ..) => run,
            }),
            Input::Lapsed { run, .. } | Input::Resumed { run, .. } => Some(*run),
        }
    }

    fn fold_one(&mut self, batch: &mut Batch, input: Input, now_ms: u64) {
        match input {
            Input::Delivered { shard, delivery } => self.fold_delivery(batch, shard, delivery),
            Input::Reported { shard, report, delivery, is_last } => {
                self.fold_reported(batch, *report, (shard, delivery, is_last));
            }
            Input::Answered(ask, answer) => self.fold_answer(batch, ask, *answer, now_ms),
            Input::Lapsed { run, step, silence, .. } => {
                let Some(facts) = self.facts(run) else { return };
                let events = self
                    .runs
                    .get(&run)
                    .map(|run| crate::decide::lapse::decide(run, step, silence, facts));
                self.decided(batch, run, events.unwrap_or_default());
            }
            Input::Resumed { run, .. } => self.resume(batch, run),
        }
    }

    fn fold_delivery(&mut self, batch: &mut Batch, shard: u16, delivery: Delivery) {
        match delivery.message {
            Err(reason) => {
                batch.touched.insert(shard);
                let delivery = delivery.id;
                batch.after.push(Request::Bury {
                    shard,
                    delivery,
                    said: None,
                    is_last: true,
                    reason,
                });
            }
            Ok(InboxMessage::Reports(_)) => batch.ack(shard, delivery.id),
            Ok(InboxMessage::CallBegun(begun)) => {
                self.call_begun(batch, &begun);
                batch.ack(shard, delivery.id);
            }
            Ok(InboxMessage::Command(command)) => {
                self.take_command(batch, Pending::new(shard, delivery.id, *command));
            }
        }
    }

    fn fold_reported(
        &mut self,
        batch: &mut Batch,
        report: Report,
        (shard, delivery, is_last): (u16, DeliveryId, bool),
    ) {
        if self.is_from_the_future(shard, &report) {
            let reason = format!("nobody decided an attempt at epoch {}", report.token.epoch);
            batch.touched.insert(shard);
            let said = Some(Box::new(InboxMessage::Reports(vec![report])));
            batch.after.push(Request::Bury { shard, delivery, said, is_last, reason });
            return;
        }
        self.fold_report(batch, report);
        if is_last {
            batch.ack(shard, delivery);
        }
    }

    /// A token newer than this owner's epoch tells it that it is stale, unless it found out before
    /// that the token is none that anybody decided.
    ///
    /// Who was just proven a forger is not believed: else each higher epoch that is made up costs
    /// the shard a take-over. An owner that is stale all the same loses nothing by burying the
    /// message: a burial is acked only after a commit at the owner's own epoch landed, and a stale
    /// owner's never does.
    fn is_stale(&mut self, shard: u16, report: &Report, now_ms: u64) -> bool {
        if !self.is_from_the_future(shard, report) {
            return false;
        }
        let doubt = self.doubts.entry(shard).or_default();
        let is_news = report.token.epoch > doubt.epoch && now_ms >= doubt.forged_until_ms;
        doubt.epoch = report.token.epoch.max(doubt.epoch);
        is_news
    }

    fn is_from_the_future(&self, shard: u16, report: &Report) -> bool {
        self.shards.get(&shard).is_some_and(|shard| report.token.epoch > shard.epoch)
    }

    fn fold_report(&mut self, batch: &mut Batch, report: Report) {
        let id = report.run;
        if let Some(reason) = self.poisoned.remove(&id) {
            return self.quarantine(batch, id, reason);
        }
        self.calls_reported(batch, &report);
        let Some(facts) = self.facts(id) else { return };
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let of_its_pool = run.node(report.step.node).is_some_and(|node| node.pool == report.pool);
        let events = if of_its_pool { report::decide(run, report, facts) } else { Vec::new() };
        self.decided(batch, id, events);
    }

    /// Sets a run aside.
    pub(super) fn quarantine(&mut self, batch: &mut Batch, id: RunId, reason: String) {
        let Some(facts) = self.facts(id) else { return };
        let run = self.runs.get(&id);
        let events = run.map(|run| set_aside::decide(run, reason, facts)).unwrap_or_default();
        self.decided(batch, id, events);
    }

    fn fold_answer(&mut self, batch: &mut Batch, id: AskId, answer: Answer, now_ms: u64) {
        let Some(asked) = self.asked.remove(&id) else {
            return;
        };
        if matches!(answer, Answer::Unavailable) {
            self.asks_again.insert((now_ms + ASK_AGAIN_MS, id));
            self.asked.insert(id, asked);
            return;
        }
        if let Answer::Unreadable(reason) = answer {
            return match asked.about {
                // Nobody answers so where there is no run yet; whatever it was is asked anew.
                About::Command(shard, run) => {
                    self.answer_command(batch, (shard, run), Answer::Unavailable)
                }
                About::Node(run, _) | About::Items(run, _) | About::Source(run, ..) => {
                    self.quarantine(batch, run, reason)
                }
            };
        }
        match asked.about {
            About::Command(shard, run) => self.answer_command(batch, (shard, run), answer),
            About::Node(run, node) => self.answer_node(batch, run, node, answer),
            About::Items(run, node) => self.answer_items(batch, (run, node), answer),
            About::Source(run, node, source) => {
                self.answer_source(batch, run, (node, source), answer);
            }
        }
    }

    fn answer_source(
        &mut self,
        batch: &mut Batch,
        id: RunId,
        (node, source): (u32, u32),
        answer: Answer,
    ) {
        if let (Some(run), Answer::ItemOutputs(items)) = (self.runs.get_mut(&id), answer) {
            let outputs = items.into_iter().map(|(outputs, _)| outputs).collect();
            run.item_outputs.insert(source, Arc::new(outputs));
            self.queue_fanout(Some(batch), id, node);
        }
    }

    fn answer_node(&mut self, batch: &mut Batch, id: RunId, node: u32, answer: Answer) {
        let Some(facts) = self.facts(id) else { return };
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let NodeStatus::Asking(asking) = *run.status(node) else {
            return;
        };
        match (asking, answer) {
            (Asking::Result, Answer::Result(Some(known))) => {
                let event =
                    crate::run::advance::known_result(StepAddress::node(node), known, facts);
                self.decided(batch, id, vec![event]);
            }
            (Asking::ItemOutputs(source), Answer::ItemOutputs(items)) => {
                let outputs = items.into_iter().map(|(outputs, _)| outputs).collect();
                run.item_outputs.insert(source, Arc::new(outputs));
                run.opened.push_back(node);
                self.advance(batch, id);
            }
            _ => {
                run.opened.push_back(node);
                self.advance(batch, id);
            }
        }
    }

    /// Asks a question about a node.
    pub(super) fn ask(&mut self, ask: Ask, about: About) {
        let request = self.question(ask, about);
        self.requests.push(request);
    }

    /// A question about a node or a command, to be asked when its asker says.
    pub(super) fn question(&mut self, ask: Ask, about: About) -> Request {
        self.asks_made += 1;
        let id = AskId(self.asks_made);
        self.asked.insert(id, Asked { ask: ask.clone(), about });
        Request::Ask(id, ask)
    }

    /// Asks again what could not be answered.
    pub(super) fn ask_again(&mut self, now_ms: u64) {
        while let Some((at, id)) = self.asks_again.first().copied() {
            if at > now_ms {
                return;
            }
            self.asks_again.remove(&(at, id));
            if let Some(asked) = self.asked.get(&id) {
                self.requests.push(Request::Ask(id, asked.ask.clone()));
            }
        }
    }

    /// What a decision about a run may know; `None` where its shard is not owned.
    pub(super) fn facts(&self, run: RunId) -> Option<Facts> {
        let shard = self.shards.get(&self.runs.get(&run)?.shard)?;
        Some(Facts { now_ms: shard.clock_ms, epoch: shard.epoch })
    }
}
