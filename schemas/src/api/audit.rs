//! `/v1/audit` and `/v1/projects/{project}/audit`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::digest::Digest;

/// The most entries of a page.
pub const PAGE_MAX: u16 = 200;

/// The most rows that are read at once to be compared with the log.
pub const ROWS_MAX: u16 = 256;

/// The state of the audit log as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLog {
    /// The log's name, which its checkpoints begin with.
    pub origin: String,
    /// How many entries have their place; the last of them may not be signed yet.
    pub assigned: u64,
    /// How many entries the last checkpoint is over.
    pub size: u64,
    /// The hash of their tree.
    pub root: Digest,
    /// How many entries wait for a place, counted up to 10000.
    pub waiting: u64,
    /// Since when the oldest of them waits, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since_ms: Option<u64>,
    /// The public key of its checkpoints, in PEM; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// An entry as its row has it, and its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditItem {
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Its place in the log, from 0; absent while it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
}

/// A page of entries, the youngest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditItem>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A row that has a place, as the entry that it makes now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// The place that the row says it has, from 0.
    pub leaf: u64,
    /// The entry's bytes.
    pub entry: String,
}

/// Rows in the order of their places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRows {
    /// The rows of this page's places.
    pub rows: Vec<AuditRow>,
    /// The place after this page's; absent where no row has a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Checkpoints that were kept, the smallest tree first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditCheckpoints {
    /// The signed texts.
    pub checkpoints: Vec<String>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
