//! Servers that run beside a step's commands: started before the first, gone after the last.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::beside::is_cache_name;

/// The most services of a step.
pub const SERVICES_MAX: usize = 8;

/// The most ports of a service.
pub const PORTS_MAX: usize = 8;

/// The only port of a service that names none.
pub const PORT_NAME: &str = "main";

/// How long a service may take to be ready where nothing is said, in milliseconds.
pub const READY_MS: u64 = 60_000;

/// The longest that a service may take to be ready, in milliseconds.
pub const READY_MS_MAX: u64 = 600_000;

/// Where every service listens.
pub const ADDRESS: &str = "127.0.0.1";

/// A server beside a step's commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// What is started, in the step's workspace and with its variables.
    pub command: ServiceCommand,
    /// Variables that it has besides those of its step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Names of the ports that it listens on; its worker chooses their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// What shows that it is ready.
    #[serde(default)]
    pub ready: Ready,
    /// The longest that it may take to be ready, in milliseconds.
    pub ready_ms: u64,
}

/// A program with its arguments, or lines for bash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServiceCommand {
    /// Lines for `bash -eo pipefail`.
    Lines(String),
    /// A program and its arguments; no shell is involved.
    Words(#[schemars(length(min = 1))] Vec<String>),
}

/// What shows that a service is ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// It takes connections on all its ports; one without ports is ready when it has been started.
    #[default]
    Ports,
    /// Its first port answers `GET` of this path with a status from 200 to 399.
    Http(String),
    /// This ends with exit code 0; it is tried again until it does.
    Command(ServiceCommand),
}

/// Whether a text names a service or a port: small letters, digits and `-`, a letter first.
pub fn is_name(name: &str) -> bool {
    is_cache_name(name) && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The variables by which a step and its services find the service `name`: each with which of its
/// ports it holds, or none where it holds [`ADDRESS`].
pub fn variables(name: &str, ports: &[String]) -> Vec<(String, Option<usize>)> {
    let prefix = format!("{}_", capitals(name));
    let host = (!ports.is_empty()).then(|| (format!("{prefix}HOST"), None));
    let numbers = own_variables(ports).into_iter();
    let numbers = numbers.map(|(name, port)| (format!("{prefix}{name}"), Some(port)));
    host.into_iter().chain(numbers).collect()
}

/// The variables by which a service finds its own ports: each with which of them it holds.
pub fn own_variables(ports: &[String]) -> Vec<(String, usize)> {
    let first = (!ports.is_empty()).then(|| ("PORT".to_owned(), 0));
    let each = ports.iter().enumerate();
    let each = each.map(|(index, port)| (format!("PORT_{}", capitals(port)), index));
    first.into_iter().chain(each).collect()
}

fn capitals(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_first_port_and_by_each_name() {
        let ports = ["http".to_owned(), "admin-ui".to_owned()];
        let named = |name: &str, port| (name.to_owned(), port);
        assert_eq!(
            variables("mock-api", &ports),
            [
                named("MOCK_API_HOST", None),
                named("MOCK_API_PORT", Some(0)),
                named("MOCK_API_PORT_HTTP", Some(0)),
                named("MOCK_API_PORT_ADMIN_UI", Some(1)),
            ]
        );
        assert!(variables("db", &[]).is_empty(), "one without ports is not found by any");
    }

    #[test]
    fn a_name_makes_a_name_of_a_variable() {
        assert!(is_name("db") && is_name("mock-api2"));
        assert!(!is_name("2db") && !is_name("-db") && !is_name("DB") && !is_name(""));
    }
}
