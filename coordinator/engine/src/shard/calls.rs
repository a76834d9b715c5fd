//! Calls of models, entered in the ledger: when they begin, and as reports tell of them, whether or not
//! a report counts.

use maestro_schemas::report::{CALLS_MAX, CallBegun, ModelCall, Report};
use maestro_schemas::step::StepAddress;

use super::Fold;
use super::batch::Batch;
use super::commit::CallRow;
use crate::run::Run;

/// The largest number of tokens, millionths of a dollar or milliseconds of a call that is believed.
const NUMBER_MAX: u64 = 1_000_000_000_000;
/// The longest name of a model or deployment, in characters.
const NAME_CHARS_MAX: usize = 200;

impl Fold {
    /// Enters a call that is about to be made, or announced. Whatever knows more of it takes its place,
    /// in which order it may come.
    pub(super) fn call_begun(&self, batch: &mut Batch, begun: &CallBegun) {
        let Some(run) = self.runs.get(&begun.run) else { return };
        let of_its_pool = run.node(begun.step.node).is_some_and(|node| node.pool == begun.pool);
        if of_its_pool && has_address(begun.step) {
            let made = CallBegun { ordinal: begun.ordinal.min(CALLS_MAX as u32), ..begun.clone() };
            self.enter(batch, run, [made]);
        }
    }

    /// Enters the calls that a report tells of.
    pub(super) fn calls_reported(&self, batch: &mut Batch, report: &Report) {
        let Some(run) = self.runs.get(&report.run) else { return };
        let of_its_pool = run.node(report.step.node).is_some_and(|node| node.pool == report.pool);
        if !of_its_pool || !has_address(report.step) || report.calls.is_empty() {
            return;
        }
        // A call is the row of whoever made it, however many find its answer.
        let made_by =
            |call: &ModelCall, place: u32| call.payer.unwrap_or((report.execution, place));
        let made = report.calls.iter().take(CALLS_MAX).zip(0..).map(|(call, place)| CallBegun {
            run: report.run,
            step: report.step,
            token: report.token,
            execution: made_by(call, place).0,
            pool: report.pool.clone(),
            ordinal: made_by(call, place).1.min(CALLS_MAX as u32),
            call: call.clone(),
        });
        self.enter(batch, run, made);
    }

    fn enter(&self, batch: &mut Batch, run: &Run, made: impl IntoIterator<Item = CallBegun>) {
        let number = self.shards.get(&run.shard).map_or(0, |shard| shard.batch + 1);
        let Some(facts) = self.facts(run.id) else { return };
        let stages = &run.plan.plan().stages;
        let rows = made.into_iter().filter_map(|made| {
            let node = run.node(made.step.node)?;
            let stage = usize::try_from(node.stage).ok().and_then(|index| stages.get(index));
            Some(CallRow {
                execution: made.execution,
                ordinal: made.ordinal,
                run: run.id,
                project: run.project.clone(),
                pipeline: run.plan.plan().name.clone(),
                stage: stage.map(|stage| stage.name.clone()).unwrap_or_default(),
                node_id: node.id.clone(),
                step: made.step,
                attempt: made.token.number,
                batch: number,
                at_ms: facts.now_ms,
                call: plausible(&made.call),
            })
        });
        batch.commit.calls.extend(rows);
        batch.touched.insert(run.shard);
    }
}

fn has_address(step: StepAddress) -> bool {
    i32::try_from(step.item.max(step.visit)).is_ok()
}

/// A call as a row can hold it: numbers that sums can be made of, names without control characters.
/// They come from providers, and no answer of theirs may set a run aside.
fn plausible(call: &ModelCall) -> ModelCall {
    let name = |text: &String| -> String {
        text.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect()
    };
    ModelCall {
        model: name(&call.model),
        served_by: call.served_by.as_ref().map(name),
        deployment: call.deployment.as_ref().map(name),
        input_tokens: call.input_tokens.min(NUMBER_MAX),
        output_tokens: call.output_tokens.min(NUMBER_MAX),
        cost_microusd: call.cost_microusd.min(NUMBER_MAX),
        wall_ms: call.wall_ms.min(NUMBER_MAX),
        ..call.clone()
    }
}
