//! The Ollama hosts of a worker: a file of them, or the one that the environment names.

use std::path::Path;

use maestro_llm::ollama::{Host, PORT};
use maestro_router::config::fault::{Code, FAULTS_MAX, Fault, Faults};
use maestro_router::config::yaml::Node;
use maestro_router::config::{decode, yaml};
use maestro_schemas::pipeline::Memory;
use serde::Deserialize;

use super::{address, text_of};
use crate::env_vars;
use crate::error::Error;

/// The most hosts.
const HOSTS_MAX: usize = 64;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// A mebibyte.
const MIB: u64 = 1 << 20;
/// How a value that is not in the file is named.
const OF_ENVIRONMENT: &str = "os.environ/";

/// The value of a variable, where it is set.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The hosts; of equals the first is asked first.
    hosts: Vec<Entry>,
}

/// A host as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Its address.
    url: String,
    /// What logs and ledgers call it; host and port where nothing is said.
    #[serde(default)]
    name: Option<String>,
    /// The memory of its GPUs together: `48GiB`, or a number of mebibytes.
    #[serde(default)]
    gpu_memory: Option<Memory>,
    /// Where it says what memory its GPUs have.
    #[serde(default)]
    probe_url: Option<String>,
    /// The most calls of a worker at once.
    #[serde(default)]
    max_concurrency: Option<u32>,
    /// Where it runs: `eu`, or `eu-de`, which is within `eu`.
    #[serde(default)]
    jurisdiction: Option<String>,
    /// US dollars per token of a prompt; 0 where nothing is said.
    #[serde(default)]
    input_cost_per_token: Option<f64>,
    /// US dollars per token of an answer; 0 where nothing is said.
    #[serde(default)]
    output_cost_per_token: Option<f64>,
    /// The key of its `Authorization` header, as `os.environ/NAME`.
    #[serde(default)]
    api_key: Option<String>,
}

/// The hosts of a file, else the one that a variable names, else none.
pub fn configured(file: Option<&Path>, variable: Variable<'_>) -> Result<Vec<Host>, Error> {
    if let Some(path) = file {
        let text = text_of(path, "--ollama-hosts")?;
        return read(&text, &path.display().to_string(), variable).map_err(Error::Hosts);
    }
    let named = |name| Some((name, variable(name)?));
    let Some((name, text)) =
        [env_vars::OLLAMA_HOST, env_vars::OLLAMAS_OWN_HOST].into_iter().find_map(named)
    else {
        return Ok(Vec::new());
    };
    let url = address::of_ollama(&text).ok_or_else(|| {
        let hint = format!("expected {}, or as gpu-1:{PORT}", address::EXPECTED);
        Error::usage(format!("{name} names no Ollama host"), hint)
    })?;
    Ok(vec![at(url)])
}

/// The host that listens on this machine, where Ollama does by itself.
pub fn here() -> Host {
    at(format!("http://127.0.0.1:{PORT}"))
}

fn at(url: String) -> Host {
    Host { name: address::place(&url), url, ..Host::default() }
}

/// Reads a file's text. `name` is the file as faults name it.
pub fn read(text: &str, name: &str, variable: Variable<'_>) -> Result<Vec<Host>, Faults> {
    let told = |faults| Faults { file: name.to_owned(), faults };
    let root = yaml::parse(text).map_err(|fault| told(vec![fault]))?;
    let file: File = decode::decode(&root).map_err(|fault| told(vec![fault]))?;
    let mut checker = Checker { root: &root, variable, faults: Vec::new() };
    let hosts = checker.hosts(file.hosts);
    if checker.faults.is_empty() {
        return Ok(hosts);
    }
    checker.faults.truncate(FAULTS_MAX);
    checker.faults.sort_by_key(|fault| fault.at);
    Err(told(checker.faults))
}

struct Checker<'a> {
    root: &'a Node,
    variable: Variable<'a>,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn hosts(&mut self, entries: Vec<Entry>) -> Vec<Host> {
        if entries.is_empty() || entries.len() > HOSTS_MAX {
            let expected = format!("1 to {HOSTS_MAX} of them");
            self.add(&["hosts"], "the list of hosts is empty or too long", expected);
        }
        let mut hosts: Vec<Host> = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let index = index.to_string();
            let host = self.host(&index, entry);
            if hosts.iter().any(|other| other.name == host.name) {
                let place = self.root.place(&["hosts", &index, "name"]);
                let message = format!("two hosts are called {:?}", host.name);
                let fault = Fault::new(Code::Doubled, place, message);
                self.faults.push(fault.hint("give each a `name` of its own"));
            }
            hosts.push(host);
        }
        hosts
    }

    fn host(&mut self, index: &str, entry: Entry) -> Host {
        let at = |key: &'static str| ["hosts", index, key];
        let url = self.address(&at("url"), &entry.url);
        let place = Some(address::place(&url)).filter(|place| !place.is_empty());
        let name = entry.name.or(place).unwrap_or_else(|| format!("host {index}"));
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let expected = format!("1 to {NAME_BYTES_MAX} bytes of letters and signs");
            self.add(&at("name"), "the name is empty, too long or unprintable", expected);
        }
        let gpu_memory_bytes = entry.gpu_memory.as_ref().map(|memory| {
            let mebibytes = memory.as_mebibytes().unwrap_or_else(|| {
                self.add(&at("gpu_memory"), "this is no amount of memory", "as 48GiB or 24576MiB");
                0
            });
            u64::from(mebibytes) * MIB
        });
        if entry.max_concurrency == Some(0) {
            self.add(&at("max_concurrency"), "a host without calls is none", "1 or more");
        }
        let costs = [entry.input_cost_per_token, entry.output_cost_per_token];
        if costs.iter().flatten().any(|cost| !(0.0..=1.0).contains(cost)) {
            let key = at("input_cost_per_token");
            self.add(&key, "a price is out of its range", "US dollars per token, 0 to 1");
        }
        Host {
            name,
            url,
            key: entry.api_key.and_then(|key| self.key(&at("api_key"), &key)),
            gpu_memory_bytes,
            probe_url: entry.probe_url.map(|url| self.address(&at("probe_url"), &url)),
            max_concurrency: entry.max_concurrency,
            jurisdiction: entry.jurisdiction.map(|place| place.to_lowercase()),
            usd_per_token: (costs[0].unwrap_or(0.0), costs[1].unwrap_or(0.0)),
        }
    }

    fn address(&mut self, path: &[&str], text: &str) -> String {
        address::server(text).unwrap_or_else(|| {
            self.add(path, "this is no address of a server", address::EXPECTED);
            String::new()
        })
    }

    /// The value that a key names; the key itself never stands in the file.
    fn key(&mut self, path: &[&str], text: &str) -> Option<String> {
        let Some(name) = text.strip_prefix(OF_ENVIRONMENT) else {
            self.add(path, "a key stands in the file", "os.environ/NAME, a variable of the worker");
            return None;
        };
        let value = (self.variable)(name);
        if value.is_none() {
            self.add(path, &format!("the variable {name} is not set"), "a variable of the worker");
        }
        value
    }

    fn add(&mut self, path: &[&str], message: &str, expected: impl Into<String>) {
        let fault = Fault::new(Code::InvalidValue, self.root.place(path), message);
        self.faults.push(fault.expected(expected));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "KEY").then(|| "sk-of-the-environment".to_owned())
    }

    fn faults(text: &str) -> Vec<(Code, u32)> {
        let found = read(text, "hosts.yaml", &variable).unwrap_err();
        assert!(!found.to_string().contains("sk-literal"), "{found}");
        found.faults.iter().map(|fault| (fault.code, fault.at.line)).collect()
    }

    #[test]
    fn a_file_is_read_with_its_sizes_places_prices_and_keys() {
        let text = "hosts:
- {url: 'http://gpu-1:11434/', gpu_memory: 1.5GiB, max_concurrency: 4, jurisdiction: EU-de}
- url: http://gpu-2:11434
  name: two
  gpu_memory: 2048
  probe_url: http://gpu-2:9400/gpu
  input_cost_per_token: 1e-7
  api_key: os.environ/KEY
";
        let hosts = read(text, "hosts.yaml", &variable).unwrap();
        let first = Host {
            name: "gpu-1:11434".into(),
            url: "http://gpu-1:11434".into(),
            gpu_memory_bytes: Some(1536 << 20),
            max_concurrency: Some(4),
            jurisdiction: Some("eu-de".into()),
            ..Host::default()
        };
        let second = Host {
            name: "two".into(),
            url: "http://gpu-2:11434".into(),
            key: Some("sk-of-the-environment".into()),
            gpu_memory_bytes: Some(2 << 30),
            probe_url: Some("http://gpu-2:9400/gpu".into()),
            usd_per_token: (1e-7, 0.0),
            ..Host::default()
        };
        assert_eq!(hosts, [first, second]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_a_key_is_never_shown() {
        assert_eq!(faults("hosts: []\n"), [(Code::InvalidValue, 1)]);
        assert_eq!(faults("host: []\n"), [(Code::UnknownKey, 1)]);
        assert_eq!(faults("hosts:\n- {}\n"), [(Code::MissingKey, 2)]);
        assert_eq!(faults("hosts:\n- {url: gpu-1}\n"), [(Code::InvalidValue, 2)]);
        let text = "hosts:\n- url: http://a\n- url: http://a\n";
        assert_eq!(faults(text), [(Code::Doubled, 3)]);
        let text = "hosts:\n- url: http://a\n  gpu_memory: 8 gigs\n  max_concurrency: 0\n  input_cost_per_token: 7\n  api_key: sk-literal\n  probe_url: x\n";
        let lines: Vec<u32> = faults(text).into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        let text = "hosts:\n- url: http://a\n  api_key: os.environ/NOBODY\n";
        assert_eq!(faults(text), [(Code::InvalidValue, 3)]);
    }

    #[test]
    fn without_a_file_the_environment_names_one_host_and_ours_goes_before_ollamas_own() {
        let of = |pairs: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            configured(None, &variable)
                .map(|hosts| hosts.into_iter().map(|host| host.url).collect())
        };
        let urls = |found: Result<Vec<String>, Error>| found.unwrap();
        assert_eq!(urls(of(&[])), Vec::<String>::new());
        assert_eq!(urls(of(&[("OLLAMA_HOST", "gpu-1")])), ["http://gpu-1:11434"]);
        let both = [("OLLAMA_HOST", "gpu-1"), ("MAESTRO_OLLAMA_HOST", "https://gpu-2")];
        assert_eq!(urls(of(&both)), ["https://gpu-2"]);
        assert!(of(&[("OLLAMA_HOST", "two words")]).is_err());
    }
}
