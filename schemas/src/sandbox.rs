//! How a step is kept apart from its worker's host: what its author asks for, what a worker has, and
//! what was applied.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The pool of steps that ask for [`Isolation::Strict`]; every build worker with bubblewrap serves it.
pub const STRICT_POOL: &str = "build-strict";

/// The role of the artifact that says what an execution was kept in: an [`Applied`] as JSON.
pub const SANDBOX_ROLE: &str = "sandbox";

/// The most hosts that one step may reach.
pub const HOSTS_MAX: usize = 64;

/// The longest name of a host, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// The port that is meant where none is named.
const PORT_DEFAULT: u16 = 443;

/// What a step asks of the sandbox that it runs in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// None: a process group with limits.
    Plain,
    /// At least [`Level::Landlock`].
    Sandboxed,
    /// [`Level::Bubblewrap`], and no network but what is declared.
    Strict,
}

impl Isolation {
    /// The weakest level that will do.
    pub const fn least(self) -> Level {
        match self {
            Self::Plain => Level::Plain,
            Self::Sandboxed => Level::Landlock,
            Self::Strict => Level::Bubblewrap,
        }
    }

    /// The word of pipelines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sandboxed => "sandboxed",
            Self::Strict => "strict",
        }
    }
}

/// A kind of sandbox, the weakest first.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A process group with limits.
    #[default]
    Plain,
    /// Rules on files and system calls.
    Landlock,
    /// Namespaces of its own, and rules on system calls.
    Bubblewrap,
}

impl Level {
    /// The word of settings and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Landlock => "landlock",
            Self::Bubblewrap => "bubblewrap",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What of the network a step reaches: `none`, `full`, or a list of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Network {
    /// Nothing or all.
    Whole(Reach),
    /// These hosts, each `host` or `host:port`, by HTTPS through a proxy.
    Hosts(#[schemars(length(min = 1, max = 64))] Vec<String>),
}

/// Nothing or all of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing.
    None,
    /// What the worker's host reaches.
    Full,
}

impl Network {
    /// Nothing.
    pub const NONE: Self = Self::Whole(Reach::None);
    /// What the worker's host reaches.
    pub const FULL: Self = Self::Whole(Reach::Full);
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(Reach::None) => f.write_str("none"),
            Self::Whole(Reach::Full) => f.write_str("full"),
            Self::Hosts(hosts) => f.write_str(&hosts.join(" ")),
        }
    }
}

/// A host and a port, as a step lists them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name in lower case, or an address without brackets.
    pub host: String,
    /// The port; 443 where none is named.
    pub port: u16,
}

/// A text that names no host, or a host with a port that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected host or host:port, as packages.example.org:443")]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(NoEndpoint)?)),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Ok(PORT_DEFAULT), str::parse).map_err(|_| NoEndpoint)?;
        let is_address = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name = !text.starts_with('[')
            && !host.is_empty()
            && host.len() <= HOST_BYTES_MAX
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            && host.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if port == 0 || !(is_address || is_name) {
            return Err(NoEndpoint);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

/// What holds a step to its limits, the one that holds best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitsBy {
    /// Control groups, version 2.
    Cgroup2,
    /// Control groups, version 1.
    Cgroup1,
    /// Limits of each process.
    Rlimit,
}

impl LimitsBy {
    /// The word of settings and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup2 => "cgroup2",
            Self::Cgroup1 => "cgroup1",
            Self::Rlimit => "rlimit",
        }
    }
}

/// What a worker keeps its steps in, as it found when it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    /// The best that works there.
    pub level: Level,
    /// What holds a step to its limits.
    pub limits_by: LimitsBy,
    /// Why no better level works, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What an execution was kept in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// The level.
    pub level: Level,
    /// What of the network it reached.
    pub network: Network,
    /// What held it to its limits.
    pub limits_by: LimitsBy,
    /// Its limits.
    pub limits: Limits,
    /// The means, by name, each with its version.
    pub tools: BTreeMap<String, String>,
    /// Whether it read nothing but its inputs and its host's system: in namespaces of its own, without
    /// a network, and without a directory that it shared with other executions.
    #[serde(default)]
    pub hermetic: bool,
    /// Directories of the worker that it shared with other executions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
    /// Servers that ran beside it, each in a sandbox of the same kind, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

/// The most that an execution may take up; absent means that nothing bounds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Mebibytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Processes and threads that live at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Thousandths of a processor core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Mebibytes of its own directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_its_port_or_without() {
        let of = |text: &str| text.parse::<Endpoint>().map(|it| (it.host, it.port));
        assert_eq!(of("Packages.example.org"), Ok(("packages.example.org".into(), 443)));
        assert_eq!(of("127.0.0.1:8080"), Ok(("127.0.0.1".into(), 8080)));
        assert_eq!(of("[::1]:80"), Ok(("::1".into(), 80)));
        assert_eq!(of("[::1]"), Ok(("::1".into(), 443)));
        for text in [
            "",
            "a b",
            "*.example.org",
            "host:0",
            "host:70000",
            "host:",
            "[::1",
            "[x]",
            "::1",
            "-a",
            "a/b",
            "[::1]80",
        ] {
            assert_eq!(of(text), Err(NoEndpoint), "{text}");
        }
    }

    #[test]
    fn a_network_is_a_word_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Network>(text);
        assert_eq!(read("\"none\"").expect("a word"), Network::NONE);
        assert_eq!(read("[\"a.b\"]").expect("a list"), Network::Hosts(vec!["a.b".into()]));
        assert!(read("\"some\"").is_err());
    }
}
