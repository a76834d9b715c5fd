//! A server beside a step's commands, as an author writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Duration, Scalar};
use crate::service::ServiceCommand;

/// A server that runs as long as its step's commands do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What is started: lines for bash, or a list of a program and its arguments; templates that are
    /// known when planning.
    pub command: ServiceCommand,
    /// Variables that it has besides those of its step; templates that are known when planning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Scalar>,
    /// Names of the ports that it listens on; one, `main`, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<String>>,
    /// What shows that it is ready; that all its ports take connections where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ServiceReady>,
}

/// What shows that a service is ready: at most one of `http` and `command`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceReady {
    /// A path that its first port answers with a status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// What ends with exit code 0 when it is; a template that is known when planning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<ServiceCommand>,
    /// The longest that it may take; `60s` where nothing is said, `10m` at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}
