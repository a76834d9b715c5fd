//! What a container of an image starts with.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::manifest::Platform;

/// An image's configuration. What is not named here is kept as the base has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Where it runs.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was made, where the author says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The first process.
    #[serde(default)]
    pub config: Option<Process>,
    /// The layers' unpacked digests.
    pub rootfs: RootFs,
    /// Where each layer comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<History>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The layers' unpacked digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The lowest first.
    pub diff_ids: Vec<Digest>,
}

/// Where a layer comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether there is no layer of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_layer: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The first process of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Process {
    /// Who it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it listens on, as `8080/tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Map<String, Value>>>,
    /// Its variables, as `NAME=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or the program where there is no entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// What is said of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What an image has otherwise than its base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The program; the base's arguments then count no more.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub cmd: Option<Vec<String>>,
    /// Variables, which join those of the base and win over them.
    pub env: BTreeMap<String, String>,
    /// Who it runs as.
    pub user: Option<String>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// Labels, which join those of the base and win over them.
    pub labels: BTreeMap<String, String>,
    /// Ports, which join those of the base.
    pub ports: BTreeSet<String>,
}

impl ImageConfig {
    /// The configuration of an image without a layer.
    pub(super) fn empty(platform: Platform) -> Self {
        let rootfs = RootFs { kind: "layers".into(), diff_ids: Vec::new() };
        let config = Some(Process::default());
        Self { platform, created: None, config, rootfs, history: None, rest: Map::new() }
    }

    /// Puts a layer on top.
    pub(super) fn add_layer(&mut self, diff_id: Digest) {
        self.rootfs.diff_ids.push(diff_id);
        // A base without a history would get one that tells of fewer layers than there are.
        let told = self.rootfs.diff_ids.len() == 1 || self.history.is_some();
        if told {
            let created_by = Some("maestro container.build".to_owned());
            let made = History { created_by, ..History::default() };
            self.history.get_or_insert_default().push(made);
        }
    }

    /// Applies what the author says.
    pub(super) fn apply(&mut self, changes: &Changes) {
        let process = self.config.get_or_insert_default();
        if let Some(entrypoint) = &changes.entrypoint {
            process.entrypoint = Some(entrypoint.clone());
            process.cmd = None;
        }
        if let Some(cmd) = &changes.cmd {
            process.cmd = Some(cmd.clone());
        }
        if let Some(user) = &changes.user {
            process.user = Some(user.clone());
        }
        if let Some(workdir) = &changes.workdir {
            process.working_dir = Some(workdir.clone());
        }
        if !changes.labels.is_empty() {
            process.labels.get_or_insert_default().extend(changes.labels.clone());
        }
        if !changes.ports.is_empty() {
            let ports = changes.ports.iter().map(|port| (port.clone(), Map::new()));
            process.exposed_ports.get_or_insert_default().extend(ports);
        }
        if !changes.env.is_empty() {
            process.set_variables(&changes.env);
        }
    }
}

impl History {
    /// Leaves away what is remarked of `place`; answers whether something was.
    pub(super) fn forget(&mut self, place: &str) -> bool {
        let remark = self.rest.get("comment").and_then(Value::as_str);
        remark.is_some_and(|text| text.contains(place)) && self.rest.remove("comment").is_some()
    }
}

impl Process {
    fn set_variables(&mut self, variables: &BTreeMap<String, String>) {
        let env = self.env.get_or_insert_default();
        env.retain(|line| {
            let name = line.split('=').next().unwrap_or_default();
            !variables.contains_key(name)
        });
        env.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_base_keeps_what_is_not_changed_and_what_nobody_here_knows() {
        let text = json!({
            "architecture": "arm", "os": "linux", "variant": "v7", "os.features": ["x"],
            "config": {
                "Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Entrypoint": null,
                "StopSignal": "SIGINT", "Labels": {"a": "1", "b": "2"},
            },
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let mut config: ImageConfig = serde_json::from_value(text).expect("a configuration");
        config.apply(&Changes {
            entrypoint: Some(vec!["/app".into()]),
            env: BTreeMap::from([("A".into(), "2".into())]),
            labels: BTreeMap::from([("b".into(), "3".into())]),
            ports: BTreeSet::from(["80/tcp".into()]),
            ..Changes::default()
        });
        let expected = json!({
            "architecture": "arm", "os": "linux", "variant": "v7", "os.features": ["x"],
            "config": {
                "Env": ["PATH=/bin", "A=2"], "Entrypoint": ["/app"], "StopSignal": "SIGINT",
                "Labels": {"a": "1", "b": "3"}, "ExposedPorts": {"80/tcp": {}},
            },
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        assert_eq!(serde_json::to_value(&config).expect("json"), expected);
    }
}
