//! Artifacts: bytes in object storage, named by their digest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The media type of a [`Tree`] in object storage.
pub const TREE_MEDIA_TYPE: &str = "application/vnd.maestro.tree.v1+json";

/// What an execution's whole output is stored under.
pub const LOG_ROLE: &str = "log";

/// Bytes in object storage, and the role that they play for the step that made or uses them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The name under which later steps ask for it; [`LOG_ROLE`] is the execution's output.
    pub role: String,
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// An RFC 6838 media type; [`TREE_MEDIA_TYPE`] marks a directory.
    pub media_type: String,
}

/// A directory as an object: its files by path and digest, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    /// Every file and symbolic link below the directory; empty directories are not kept.
    pub entries: Vec<TreeEntry>,
}

/// One file of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TreeEntry {
    /// The path below the directory, with `/`, without `.` or `..`.
    pub path: String,
    /// What stands at the path.
    #[serde(flatten)]
    pub kind: TreeEntryKind,
}

/// What stands at a path of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TreeEntryKind {
    /// A file.
    File {
        /// The digest of its bytes.
        digest: Digest,
        /// The number of its bytes.
        size: u64,
        /// Whether its owner may execute it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
    },
    /// A symbolic link that stays within the directory.
    Link {
        /// What the link says, relative to the entry's own directory.
        target: String,
    },
}
