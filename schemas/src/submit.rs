//! A run to begin, as the API takes it and as `maestro.v1.submit.<project>` takes it, in JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// The largest body of a submission, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A run to begin: exactly one of `plan` and `pipeline`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The digest of a plan that was stored before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// A pipeline's text, compiled by the server; it can name no file beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Values for the pipeline's inputs; only with `pipeline`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// What lists are filtered by: at most 32, each at most 63 bytes and 256 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Same key, same request: the same run. At most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}
