//! What somebody did, as it stands in the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::id::{ActId, CommandId, RunId};
use crate::name::ProjectName;

/// The form of entries that this build writes.
pub const ENTRY_VERSION: u32 = 1;

/// The largest answer that an entry holds, in bytes of JSON; of a larger one it holds the digest.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Which entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryId {
    /// A command about a run.
    Command(CommandId),
    /// Anything else.
    Act(ActId),
}

/// Why a text names no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} names no entry of the audit log; expected cmd_… or act_…")]
pub struct InvalidEntryId {
    /// The text as it was given, cut to 64 characters.
    pub found: String,
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(id) => id.fmt(f),
            Self::Act(id) => id.fmt(f),
        }
    }
}

impl std::str::FromStr for EntryId {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, InvalidEntryId> {
        let command = text.parse().map(Self::Command);
        command
            .or_else(|_| text.parse().map(Self::Act))
            .map_err(|_| InvalidEntryId { found: text.chars().take(64).collect() })
    }
}

impl Serialize for EntryId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for EntryId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntryId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(cmd|act)_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        })
    }
}

/// An entry of the audit log: who did what, where, when, and what was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// The form of the entry: 1.
    pub v: u32,
    /// The command, or whatever else it was.
    pub id: EntryId,
    /// When, in milliseconds since 1970: of a command by its shard's clock, else by the database's.
    pub at_ms: u64,
    /// Who: a token's name, `subject` for a message that anyone permitted published, or `maestro`.
    pub actor: String,
    /// What, as `submit` or `prompt.label`.
    pub action: String,
    /// The tenant; absent where it concerns them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The run that it was asked of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What it was done to, as `code_review@3 approved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The digest of what was asked, where that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// What was answered; of more than 16 KiB its digest, as `{"digest": "sha256:…"}`.
    pub answer: Value,
}

impl AuditEntry {
    /// The bytes that stand in the log: JSON with sorted keys and no spaces.
    ///
    /// # Errors
    /// Never for an entry that was read from rows; only for what JSON cannot hold.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| value.to_string())
    }
}

/// An answer as an entry holds it.
pub fn answer_of(value: Value) -> Value {
    if value.to_string().len() <= ANSWER_BYTES_MAX {
        return value;
    }
    serde_json::json!({ "digest": Digest::of_json(&value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            v: ENTRY_VERSION,
            id: "cmd_01h455vb4pex5vsknk084sn02q".parse().expect("an id"),
            at_ms: 1_700_000_000_000,
            actor: "ada".into(),
            action: "cancel".into(),
            project: "demo".parse().ok(),
            run: "run_01h455vb4pex5vsknk084sn02q".parse().ok(),
            about: None,
            request: None,
            answer: serde_json::json!({ "kind": "accepted" }),
        }
    }

    #[test]
    fn an_entry_has_one_form_with_sorted_keys_for_ever() {
        let text = entry().canonical().expect("json");
        assert_eq!(
            text,
            "{\"action\":\"cancel\",\"actor\":\"ada\",\"answer\":{\"kind\":\"accepted\"},\
             \"at_ms\":1700000000000,\"id\":\"cmd_01h455vb4pex5vsknk084sn02q\",\"project\":\"demo\",\
             \"run\":\"run_01h455vb4pex5vsknk084sn02q\",\"v\":1}"
        );
        let read: AuditEntry = serde_json::from_str(&text).expect("an entry");
        assert_eq!(read, entry());
    }

    #[test]
    fn of_a_large_answer_the_digest_stands_there() {
        let large = serde_json::json!("x".repeat(ANSWER_BYTES_MAX));
        let kept = answer_of(large.clone());
        assert_eq!(kept, serde_json::json!({ "digest": Digest::of_json(&large) }));
        assert_eq!(answer_of(kept.clone()), kept);
    }

    #[test]
    fn only_commands_and_acts_are_entries() {
        for text in ["run_01h455vb4pex5vsknk084sn02q", "", "cmd_"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
