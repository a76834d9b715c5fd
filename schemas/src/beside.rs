//! What stands beside a step's command: reports that are read, directories that are kept, servers that
//! run as long as it does, and its share of the files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::service::Service;

/// The most globs of reports of a step.
pub const GLOBS_MAX: usize = 20;

/// The most named caches of a step.
pub const CACHES_MAX: usize = 8;

/// The most letters of a cache's name.
pub const CACHE_NAME_MAX: usize = 32;

/// Whether a text names a cache: small letters, digits and `-`, not at the ends.
pub fn is_cache_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=CACHE_NAME_MAX).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The most parts that files are shared out to.
pub const PARTS_MAX: u32 = 256;

/// The most files that are shared out.
pub const FILES_MAX: usize = 10_000;

/// What stands beside a step's command. None of it tells what the command is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Globs of the workspace's JUnit reports, which are read when the command has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub junit: Vec<String>,
    /// Directories that its worker keeps for the project's steps, by name; absent where the step says
    /// nothing of it, and finds those of all package managers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caches: Option<Vec<String>>,
    /// Servers that run as long as its commands do, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// Whether the items of its fan-out are shares of files, each a [`Share`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub splits: bool,
    /// Of a task of such a step, its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// The files that one of several copies of a step is to deal with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Which of the copies, from 0.
    pub index: u32,
    /// How many copies there are.
    pub total: u32,
    /// The files, relative to the workspace, in order.
    pub files: Vec<String>,
}

impl Beside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
