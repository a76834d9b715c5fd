//! Where a worker of the pool `llm` calls models, from flags, files and environment.
//!
//! | module | what it reads |
//! |---|---|
//! | [`hosts`] | the file of Ollama hosts, or the one host that the environment names |
//! | [`direct`] | the router's configuration: which deployments are called straight |
//! | [`address`] | addresses of servers |

use std::path::{Path, PathBuf};

use maestro_llm::{Endpoint, Gateway, Places};
use maestro_router::config::Config;
use maestro_router::config::yaml::FILE_BYTES_MAX;

use self::hosts::Variable;
use crate::env_vars;
use crate::error::Error;

pub mod address;
pub mod direct;
pub mod hosts;

/// Where models are called.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelArgs {
    /// The LiteLLM proxy, or another endpoint of OpenAI's protocol; for the pool llm.
    #[arg(long = "litellm", env = env_vars::LITELLM_URL, value_name = "URL")]
    url: Option<String>,
    /// The router's configuration: deployments of it that run on own servers and speak OpenAI's protocol
    /// themselves are called straight, where the router decides for them.
    #[arg(long, env = env_vars::DIRECT, value_name = "FILE")]
    direct: Option<PathBuf>,
    /// The Ollama hosts of ollama.generate; without it the one that MAESTRO_OLLAMA_HOST or OLLAMA_HOST
    /// names.
    #[arg(long, env = env_vars::OLLAMA_HOSTS, value_name = "FILE")]
    ollama_hosts: Option<PathBuf>,
}

impl ModelArgs {
    /// The places that they name.
    pub fn places(&self) -> Result<Places, Error> {
        let ollama = hosts::configured(self.ollama_hosts.as_deref(), &variable)?;
        let direct = match &self.direct {
            Some(file) => direct::read(file, &variable)?,
            None => maestro_llm::direct::Deployments::new(),
        };
        let gateway = match &self.url {
            Some(url) => {
                let key = variable(env_vars::LITELLM_KEY);
                Gateway::At(Endpoint { url: url.clone(), key, offline: None })
            }
            None if !ollama.is_empty() || !direct.is_empty() => Gateway::Nowhere,
            None => {
                let hint = format!(
                    "name it with --litellm or in {}, or name Ollama hosts with --ollama-hosts",
                    env_vars::LITELLM_URL
                );
                return Err(Error::usage("the pool llm needs a gateway to call models at", hint));
            }
        };
        Ok(Places { gateway, direct, ollama })
    }
}

/// The places of a local stack: the gateway that it keeps, the deployments of its router's configuration,
/// and the Ollama hosts of its environment, or the one that listens on this machine.
pub fn of_stack(
    gateway: Gateway,
    router: Option<&Path>,
    variable: Variable<'_>,
) -> Result<Places, Error> {
    let named = variable(env_vars::OLLAMA_HOSTS).map(PathBuf::from);
    let mut ollama = hosts::configured(named.as_deref(), variable)?;
    if ollama.is_empty() {
        ollama.push(hosts::here());
    }
    let direct = match router {
        // A fault of it is told by the stack's router.
        Some(file) => direct::read(file, variable).unwrap_or_default(),
        None => maestro_llm::direct::Deployments::new(),
    };
    Ok(Places { gateway, direct, ollama })
}

/// A variable of the environment that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A file's text, where it is no larger than a configuration may be.
fn text_of(path: &Path, flag: &str) -> Result<String, Error> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFound {
            what: path.display().to_string(),
            hint: Some(format!("name it by {flag}")),
        }),
        Ok(meta) if meta.len() > FILE_BYTES_MAX as u64 => {
            let (path, bytes) = (path.display(), meta.len());
            let message = format!("{path} has {bytes} bytes; expected at most {FILE_BYTES_MAX}");
            Err(Error::usage(message, format!("name a smaller file by {flag}")))
        }
        _ => std::fs::read_to_string(path).map_err(Error::file("read", path)),
    }
}

/// The router's configuration.
fn router(path: &Path) -> Result<Config, Error> {
    let text = text_of(path, "--direct")?;
    Config::read(&text, &path.display().to_string()).map_err(Error::Router)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_stack_calls_its_own_deployments_straight_and_the_ollama_of_its_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (router, hosts) = (dir.path().join("litellm.yaml"), dir.path().join("hosts.yaml"));
        let text = "model_list: [{model_name: own, litellm_params: {model: vllm/x}, model_info: {id: at-own}}]";
        std::fs::write(&router, text).unwrap();
        std::fs::write(&hosts, "hosts: [{url: 'http://gpu-1:11434'}]").unwrap();
        let places = |pairs: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let places = of_stack(Gateway::Nowhere, Some(&router), &variable).unwrap();
            let url = places.ollama.first().map(|host| host.url.clone()).unwrap();
            (places.direct.into_keys().collect::<Vec<_>>(), url)
        };
        let here = "http://127.0.0.1:11434".to_owned();
        assert_eq!(places(&[]), (Vec::new(), here.clone()), "nobody said where it is");
        let base = ("OWN_API_BASE", "http://gpu-1:8000/v1");
        assert_eq!(places(&[base]), (vec!["at-own".to_owned()], here));
        let named = ("MAESTRO_OLLAMA_HOSTS", hosts.to_str().unwrap());
        assert_eq!(places(&[named]).1, "http://gpu-1:11434");
        std::fs::write(&router, "model_lists: []").unwrap();
        assert_eq!(places(&[base]).0, Vec::<String>::new(), "the router tells what is wrong");
    }
}
