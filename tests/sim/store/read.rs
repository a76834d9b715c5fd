//! What the fold asks, answered from the rows.

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::request::{Answer, Ask, KnownResult, LoadedRun};
use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::step::{StepAddress, StepState};

use super::{RunRecord, Store};

type Made = (Outputs, Vec<Artifact>);

impl Store {
    /// Every run of a shard that has not ended.
    pub fn load(&self, shard: u16) -> Vec<LoadedRun> {
        let of_shard =
            |record: &&RunRecord| record.row.shard == shard && !record.state().is_final();
        self.runs.values().filter(of_shard).map(RunRecord::load).collect()
    }

    /// The answer to a question.
    pub fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Plan { digest, .. } => Answer::Plan(self.plans.get(digest).cloned()),
            Ask::Named { shard, run, command } => Answer::Named {
                answered: self.audits.get(command).map(|row| row.answer.clone()),
                state: self
                    .runs
                    .get(run)
                    .filter(|record| record.row.shard == *shard)
                    .map(RunRecord::state),
            },
            Ask::Former { run, project } => {
                let former = self.runs.get(run).filter(|record| {
                    record.row.project == *project
                        && record.change.as_ref().is_some_and(|change| change.ended_at_ms.is_some())
                });
                Answer::Former(former.map(|record| Box::new(record.load())))
            }
            Ask::Result { project, key } => {
                let found = self.results.get(&(project.clone(), *key));
                Answer::Result(found.map(|row| KnownResult {
                    run: row.run,
                    outputs: row.outputs.clone(),
                    artifacts: row.artifacts.clone(),
                }))
            }
            Ask::ItemOutputs { run, node } => Answer::ItemOutputs(self.item_outputs(*run, *node)),
        }
    }

    fn item_outputs(&self, run: RunId, node: u32) -> Vec<Made> {
        let Some(record) = self.runs.get(&run) else { return Vec::new() };
        let Some(fanout) = record.fanouts.get(&node) else { return Vec::new() };
        let reused = fanout.reused.as_deref().unwrap_or_default();
        let former = record.row.rerun.as_ref().and_then(|rerun| {
            let there = same_node(&record.plan, node, &self.runs.get(&rerun.of)?.plan)?;
            Some(self.item_outputs(rerun.of, there))
        });
        (0..fanout.count)
            .map(|item| {
                let kept =
                    reused.get(item as usize / 8).is_some_and(|byte| byte >> (item % 8) & 1 == 1);
                let before = former.as_ref().and_then(|made| made.get(item as usize));
                match (kept, before) {
                    (true, Some(made)) => made.clone(),
                    _ => made(record, StepAddress::item(node, item)),
                }
            })
            .collect()
    }
}

fn same_node(here: &CheckedPlan, node: u32, there: &CheckedPlan) -> Option<u32> {
    let id = &here.nodes.get(node as usize)?.id;
    there.nodes.iter().position(|node| node.id == *id).map(|index| index as u32)
}

fn made(record: &RunRecord, step: StepAddress) -> Made {
    let last = record.attempts.range((step, 0)..=(step, u32::MAX)).next_back();
    match last {
        Some((_, row)) if row.state == StepState::Succeeded => {
            (row.outputs.clone(), row.artifacts.clone())
        }
        _ => Made::default(),
    }
}
