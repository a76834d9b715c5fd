//! What the fold asks, answered from the rows.

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::request::{Answer, Ask, KnownResult, LoadedRun};
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::step::{StepAddress, StepState};

use super::{RunRecord, Store};

type Made = (Outputs, Vec<Artifact>);

impl Store {
    /// Every run of a shard that has not ended.
    pub fn load(&self, shard: u16) -> Vec<LoadedRun> {
        let of_shard =
            |record: &&RunRecord| record.row.shard == shard && !record.state().is_final();
        self.runs.values().filter(of_shard).map(|record| self.load_run(record)).collect()
    }

    /// A run with the outputs of fan-outs that what has begun of it reads.
    pub fn load_run(&self, record: &RunRecord) -> LoadedRun {
        let mut loaded = record.load();
        for source in loaded.sources() {
            let made = self.item_outputs(record.row.id, source);
            let outputs = made.into_iter().map(|(outputs, _)| outputs).collect();
            loaded.item_outputs.insert(source, outputs);
        }
        loaded
    }

    /// Whether a node of a run is a fan-out that was opened.
    pub fn is_fanout(&self, run: RunId, node: u32) -> bool {
        self.runs.get(&run).is_some_and(|record| record.fanouts.contains_key(&node))
    }

    /// The answer to a question.
    pub fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Plan { digest, .. } => Answer::Plan(self.plans.get(digest).cloned()),
            Ask::Named { run, command } => Answer::Named {
                answered: self.audits.get(command).map(|row| (row.run, row.answer.clone())),
                run: self.runs.get(run).map(|record| (record.row.shard, record.state())),
            },
            Ask::Former { run, project } => {
                let former = self.runs.get(run).filter(|record| {
                    record.row.project == *project
                        && record.change.as_ref().is_some_and(|change| change.ended_at_ms.is_some())
                });
                Answer::Former(former.map(|record| Box::new(record.load())))
            }
            Ask::Result { project, key } => Answer::Result(self.result(project, *key)),
            Ask::ItemResults { project, keys } => {
                let known =
                    |(item, key): &(u32, Digest)| Some((*item, self.result(project, *key)?));
                Answer::ItemResults(keys.iter().filter_map(known).collect())
            }
            Ask::ItemOutputs { run, node } => Answer::ItemOutputs(self.item_outputs(*run, *node)),
        }
    }

    fn result(&self, project: &ProjectName, key: Digest) -> Option<KnownResult> {
        let row = self.results.get(&(project.clone(), key))?;
        let (outputs, artifacts) = (row.outputs.clone(), row.artifacts.clone());
        Some(KnownResult { run: row.run, outputs, artifacts })
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
    if let Some(row) = record.steps.get(&step).filter(|row| row.state == StepState::Cached) {
        return (row.outputs.clone(), row.artifacts.clone());
    }
    match last {
        Some((_, row)) if row.state == StepState::Succeeded => {
            (row.outputs.clone(), row.artifacts.clone())
        }
        _ => Made::default(),
    }
}
