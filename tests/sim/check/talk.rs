//! What is said to others: acks, answers, events.

use maestro_schemas::codec::InboxMessage;
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::event::EventBatch;
use maestro_schemas::id::CommandId;
use maestro_schemas::task::Task;
use serde_json::Value;

use super::{Checked, Checker};
use crate::bus::Content;
use crate::store::Store;

/// The refusal of a command that cannot be kept.
const SET_ASIDE: &str = "MAE-3006";

impl Checker {
    /// What is acked is in the truth: folding it again changes nothing.
    pub fn acked(&self, seq: u64, content: &Content, store: &Store) -> Checked {
        match content {
            Content::Garbage => {
                self.require(3, self.buried.contains(&seq), || "a message vanished".into())
            }
            Content::Message(InboxMessage::Command(command)) => {
                let is_kept = store.audits.contains_key(&command.id) || self.buried.contains(&seq);
                self.require(3, is_kept, || {
                    format!("a command was acked and is in no row: {command:?}")
                })
            }
            Content::Message(InboxMessage::CallBegun(begun)) => {
                let goes_on = store.runs.get(&begun.run).is_some_and(|run| !run.state().is_final());
                let is_kept = store.calls.contains_key(&(begun.execution, begun.ordinal));
                let is_kept = is_kept || !goes_on;
                self.require(8, is_kept, || {
                    format!("a call was acked and is not in the books: {begun:?}")
                })
            }
            Content::Message(InboxMessage::Reports(reports)) => {
                reports.iter().try_for_each(|report| {
                    let live = store.runs.get(&report.run).and_then(|run| {
                        let row = run.dispatch.get(&report.step)?;
                        (row.token == report.token && row.pool == report.pool).then_some(row)
                    });
                    self.require(3, live.is_none(), || {
                        format!("a report was acked and its attempt is live: {report:?}")
                    })
                })
            }
        }
    }

    /// What was answered stands in the rows.
    pub fn answered(&self, command: CommandId, answer: &CommandAnswer, store: &Store) -> Checked {
        if matches!(answer, CommandAnswer::Refused { code, .. } if code == SET_ASIDE) {
            return Ok(());
        }
        let row = store.audits.get(&command);
        self.require(3, row.is_some_and(|row| row.answer == *answer), || {
            format!("{command} was answered {answer:?}; its row says {row:?}")
        })
    }

    /// A task that reads how many outputs a fan-out has names as many as it has items.
    pub fn inputs_are_there(&self, task: &Task, store: &Store) -> Checked {
        let Some(record) = store.runs.get(&task.run) else { return Ok(()) };
        let node = &record.plan.nodes[task.step.node as usize];
        let counts = node.with["n"].as_str().is_some_and(|text| text.contains("| length"));
        let Some(fanout) = node.reads.first().and_then(|source| record.fanouts.get(source)) else {
            return Ok(());
        };
        let with: Value = serde_json::from_slice(&task.with).expect("parameters are JSON");
        self.require(4, !counts || with["n"] == fanout.count, || {
            format!("{} of {} outputs were read by {}", with["n"], fanout.count, task.name)
        })
    }

    /// What is told was committed.
    pub fn told(&self, events: &EventBatch, store: &Store) -> Checked {
        events.entries.iter().try_for_each(|event| {
            let stands = store
                .runs
                .get(&event.run)
                .is_some_and(|run| store.shards[usize::from(run.row.shard)].batch >= event.batch);
            self.require(3, stands, || format!("told and not committed: {event:?}"))
        })
    }
}
