//! The rare lists of a commit, each as one text of JSON that `commit_batch` takes apart.
//!
//! Free-form values are texts of JSON within it, so that nothing reads them on the way.

use maestro_engine::shard::commit::{
    AuditRow, CallRow, FanoutRow, NoticeRow, ResultRow, RunChange, RunEventRow, RunRow, StepRow,
    TimerRow,
};
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use serde_json::{Value, json};

use crate::store::json::text;

type Records = Result<Option<String>, serde_json::Error>;

fn records<R>(rows: &[R], record: impl Fn(&R) -> Result<Value, serde_json::Error>) -> Records {
    if rows.is_empty() {
        return Ok(None);
    }
    let records = rows.iter().map(record).collect::<Result<Vec<Value>, serde_json::Error>>()?;
    text(&records).map(Some)
}

pub(super) fn steps(rows: &[StepRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "run": row.run.uuid(), "node": row.step.node, "item": row.step.item,
            "visit": row.step.visit, "batch": row.batch, "state": row.state.as_str(),
            "reason": row.reason, "blocks": row.blocks, "ended_at_ms": row.ended_at_ms,
            "outputs": (!row.outputs.is_empty()).then(|| text(&row.outputs)).transpose()?,
            "artifacts": (!row.artifacts.is_empty()).then(|| text(&row.artifacts)).transpose()?,
        }))
    })
}

pub(super) fn runs_begun(rows: &[RunRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "id": row.id.uuid(), "project": row.project, "shard": row.shard,
            "pipeline": row.pipeline, "state": row.state.as_str(), "plan": row.plan.to_hex(),
            "labels": row.labels,
            "rerun": row.rerun.as_ref().map(text).transpose()?,
            "rerun_of": row.rerun.as_ref().map(|rerun| rerun.of.uuid()),
            "created_at_ms": row.created_at_ms, "batch": row.batch,
            "steps_total": row.steps_total,
        }))
    })
}

pub(super) fn runs_changed(rows: &[RunChange]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "id": row.id.uuid(), "batch": row.batch, "state": row.state.as_str(),
            "cause": row.cause, "cancel_reason": row.cancel_reason,
            "cancelled_again": row.cancelled_again,
            "steps_total": row.counts.steps_total, "steps_ended": row.counts.steps_ended,
            "steps_failed": row.counts.steps_failed, "steps_cached": row.counts.steps_cached,
            "cost_microusd": row.counts.cost_microusd, "work_ms": row.counts.work_ms,
            "outputs": (!row.outputs.is_empty()).then(|| text(&row.outputs)).transpose()?,
            "ended_at_ms": row.ended_at_ms,
        }))
    })
}

pub(super) fn fanouts(rows: &[FanoutRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "run": row.run.uuid(), "node": row.node, "batch": row.batch, "count": row.count,
            "cursor": row.cursor, "closed": row.closed,
            "items": row.items.as_ref().map(text).transpose()?,
            "reused": row.reused.as_ref().map(hex::encode),
        }))
    })
}

pub(super) fn timers_set(rows: &[TimerRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "run": row.run.uuid(), "node": row.step.node, "item": row.step.item,
            "visit": row.step.visit, "attempt": row.attempt, "lapses": row.lapses,
            "due_at_ms": row.due_at_ms,
        }))
    })
}

pub(super) fn timers_cleared(rows: &[(RunId, StepAddress)]) -> Records {
    records(rows, |(run, step)| {
        Ok(json!({ "run": run.uuid(), "node": step.node, "item": step.item, "visit": step.visit }))
    })
}

pub(super) fn run_events(rows: &[RunEventRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "run": row.run.uuid(), "batch": row.batch, "ordinal": row.ordinal, "at_ms": row.at_ms,
            "event": text(&row.event)?,
        }))
    })
}

pub(super) fn audits(rows: &[AuditRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "command": row.command.uuid(), "run": row.run.uuid(), "project": row.project,
            "actor": row.actor, "action": row.action, "answer": text(&row.answer)?,
            "at_ms": row.at_ms,
        }))
    })
}

pub(super) fn notices(rows: &[NoticeRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "run": row.run.uuid(), "project": row.project, "kind": row.kind,
            "body": text(&row.body)?,
        }))
    })
}

pub(super) fn results(rows: &[ResultRow]) -> Records {
    records(rows, |row| {
        Ok(json!({
            "project": row.project, "key": row.key.to_hex(), "pipeline": row.pipeline,
            "step": row.step, "parts": text(&row.parts)?, "run": row.run.uuid(),
            "outputs": text(&row.outputs)?, "artifacts": text(&row.artifacts)?,
        }))
    })
}

pub(super) fn calls(rows: &[CallRow]) -> Records {
    records(rows, |row| {
        let call = &row.call;
        Ok(json!({
            "execution": row.execution.uuid(), "ordinal": row.ordinal, "run": row.run.uuid(),
            "project": row.project, "pipeline": row.pipeline, "stage": row.stage,
            "step": row.node_id, "node": row.step.node, "item": row.step.item,
            "visit": row.step.visit, "attempt": row.attempt, "batch": row.batch,
            "at_ms": row.at_ms, "model": call.model, "served_by": call.served_by,
            "deployment": call.deployment, "prompt": call.prompt.map(|digest| digest.to_hex()),
            "request": call.request.to_hex(), "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens, "cost_microusd": call.cost_microusd,
            "settled": call.settled, "remembered": call.payer.is_some(), "offline": call.offline,
            "announced": call.announced, "unmade": call.unmade, "wall_ms": call.wall_ms, "overhead_us": call.overhead_us,
            "decision": call.decision.map(|id| id.uuid()),
        }))
    })
}
