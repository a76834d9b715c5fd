//! Asks a host what it has: `GET /api/tags`, `/api/ps` and `/api/version`, and its own probe of the GPUs'
//! memory where it has one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Host;
use super::seen::{Gpu, Loaded, Seen, Version, full_name};
use crate::call::{Caller, Clients, read};
use crate::error::Error;
use crate::gateway::Endpoint;

/// For all answers of a host together.
const PATIENCE: Duration = Duration::from_secs(2);
/// For those that a host can do without.
const PATIENCE_LESS: Duration = Duration::from_secs(1);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// The most models that are kept of a host.
const MODELS_MAX: usize = 4_096;

#[derive(Deserialize)]
struct List<T> {
    /// A host without models may say `null`.
    models: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Running {
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    size_vram: u64,
}

#[derive(Deserialize)]
struct Said {
    version: String,
}

#[derive(Default, Deserialize)]
struct Memory {
    #[serde(default)]
    gpu_memory_total_bytes: Option<u64>,
    #[serde(default)]
    gpu_memory_free_bytes: Option<u64>,
}

/// What a host has now, or in words why it does not say.
pub(crate) async fn ask(host: &Host, clients: &Clients) -> Result<Seen, String> {
    let asked = timeout(PATIENCE, gathered(host, clients)).await;
    let silent = |_| format!("it does not answer within {} s", PATIENCE.as_secs());
    asked.map_err(silent)?.map_err(|error| error.to_string())
}

async fn gathered(host: &Host, clients: &Clients) -> Result<Seen, Error> {
    let endpoint = Endpoint { url: host.url.clone(), key: host.key.clone(), offline: None };
    let caller = Caller { client: clients.of(&host.url), endpoint: &endpoint, name: None };
    let tags = get::<List<Model>>(&caller, host, "/api/tags");
    let ps = get::<List<Running>>(&caller, host, "/api/ps");
    let said = timeout(PATIENCE_LESS, get::<Said>(&caller, host, "/api/version"));
    let (tags, ps, said, gpu) = tokio::join!(tags, ps, said, gpu(host, clients));
    let models = tags?.models.unwrap_or_default().into_iter().take(MODELS_MAX);
    let loaded = ps?.models.unwrap_or_default().into_iter().take(MODELS_MAX);
    let in_memory =
        |one: Running| (full_name(&one.name), Loaded { size: one.size, size_vram: one.size_vram });
    Ok(Seen {
        version: said.ok().and_then(Result::ok).and_then(|said| Version::read(&said.version)),
        models: models.map(|one| (full_name(&one.name), one.size)).collect(),
        loaded: loaded.map(in_memory).collect::<BTreeMap<_, _>>(),
        gpu,
    })
}

/// The memory of its GPUs: by its own probe, and where that is silent by the configuration.
async fn gpu(host: &Host, clients: &Clients) -> Gpu {
    let configured = Gpu { total: host.gpu_memory_bytes, free: None };
    let Some(url) = &host.probe_url else { return configured };
    // The key is the Ollama host's, and no business of the probe's.
    let endpoint = Endpoint { url: url.clone(), key: None, offline: None };
    let caller = Caller { client: clients.of(url), endpoint: &endpoint, name: None };
    let asked = timeout(PATIENCE_LESS, get::<Memory>(&caller, host, "")).await;
    let problem = match asked {
        Ok(Ok(memory)) => {
            let total = memory.gpu_memory_total_bytes.or(configured.total);
            return Gpu { total, free: memory.gpu_memory_free_bytes };
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it is silent for {} s", PATIENCE_LESS.as_secs()),
    };
    tracing::warn!(host = %host.name, problem, "the probe of a host's GPUs does not answer");
    configured
}

async fn get<T: DeserializeOwned>(
    caller: &Caller<'_>,
    host: &Host,
    path: &str,
) -> Result<T, Error> {
    let request = caller.client.get(caller.url(path));
    // Whoever asks for all of it waits no longer than that.
    let response = caller.send_within(&host.name, request, 2 * PATIENCE).await?;
    read(&host.name, response, ANSWER_BYTES_MAX).await
}
