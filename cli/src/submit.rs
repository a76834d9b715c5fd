//! A compiled pipeline sent to a server and begun there.

use std::collections::BTreeMap;

use maestro_engine::plan::Compiled;
use maestro_schemas::api::plans::PlanStored;
use maestro_schemas::api::runs::SubmitResponse;
use maestro_schemas::digest::Digest;
use maestro_schemas::submit::SubmitRequest;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::output::Output;
use crate::source::snapshot::Snapshot;
use crate::source::upload;
use crate::view::summary::bytes;
use crate::view::words::count;

/// A run to begin.
#[derive(Debug, Default)]
pub struct Wish {
    /// What lists are filtered by; goes before the pipeline's own.
    pub labels: BTreeMap<String, String>,
    /// Same key, same request: the same run.
    pub idempotency_key: Option<String>,
}

/// Sends what the plan's workspaces need, then the plan.
pub async fn store(
    client: &Client,
    snapshot: &Snapshot,
    compiled: &Compiled,
    output: Output,
) -> Result<PlanStored, Error> {
    let sent = upload::send(client, snapshot, &compiled.trees).await?;
    if sent.objects > 0 && !output.is_json() {
        output.talk(&format!("sent {}, {}", count(sent.objects, "object"), bytes(sent.bytes)));
    }
    Ok(client.store_plan(&compiled.plan).await?)
}

/// Begins a run of a stored plan.
pub async fn begin(client: &Client, plan: Digest, wish: Wish) -> Result<SubmitResponse, Error> {
    let key = wish.idempotency_key.unwrap_or_else(new_key);
    let request = SubmitRequest {
        plan: Some(plan),
        labels: wish.labels,
        idempotency_key: Some(key),
        ..SubmitRequest::default()
    };
    Ok(client.submit(&request).await?)
}

/// A key of this moment: an unanswered request can be sent again and is still one request.
pub fn new_key() -> String {
    format!("cli-{}", Uuid::now_v7())
}
