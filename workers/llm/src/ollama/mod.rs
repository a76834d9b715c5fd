//! `ollama.generate`: models on Ollama hosts of one's own, asked in Ollama's native API.
//!
//! | module | what it does |
//! |---|---|
//! | [`Host`] | a host, as whoever starts the worker configures it |
//! | `parameters` | what a step may say in `with` |
//! | `choice` | which host a call goes to: a pure function of what is known of them |
//! | `seen` | what is known of a host: models, what is loaded, memory of its GPUs |
//! | `probe` | asks a host for that: `GET /api/tags`, `/api/ps`, `/api/version` |
//! | `fleet` | the hosts of a worker: what was seen of each lately, calls under way, who is left alone |
//! | `permit` | whether the router lets a model be asked, and where it may run |
//! | `generate` | one question: over the chain of models, and over the hosts for each |
//! | `talk`, `line` | one call of `POST /api/chat`: what is sent, the streamed lines, the answer |
//!
//! The API is Ollama's documented one (`docs/api.md` of its repository, docs.ollama.com/api).
//! What must stay true: a host that lacks the model, or that stands where the content may not go, is
//! never asked (`choice`'s property tests); every wait has an end.

use std::fmt;

pub(crate) mod choice;
pub(crate) mod fleet;
mod generate;
mod line;
pub(crate) mod parameters;
mod permit;
mod probe;
pub(crate) mod seen;
mod talk;

/// The port that Ollama listens on where nothing else is said.
pub const PORT: u16 = 11_434;

/// An Ollama host.
#[derive(Clone, Default, PartialEq)]
pub struct Host {
    /// What logs and ledgers call it.
    pub name: String,
    /// Where it is, as `http://gpu-1:11434`.
    pub url: String,
    /// The key of its `Authorization` header, where something before it asks for one.
    pub key: Option<String>,
    /// The memory of its GPUs together, in bytes.
    pub gpu_memory_bytes: Option<u64>,
    /// Where it says what memory its GPUs have: JSON with `gpu_memory_total_bytes` and
    /// `gpu_memory_free_bytes`. It goes before `gpu_memory_bytes`.
    pub probe_url: Option<String>,
    /// The most calls of this worker at once.
    pub max_concurrency: Option<u32>,
    /// Where it runs: `eu`, or `eu-de`, which is within `eu`.
    pub jurisdiction: Option<String>,
    /// US dollars per token of a prompt and of an answer.
    pub usd_per_token: (f64, f64),
}

impl fmt::Debug for Host {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).field("url", &self.url).finish()
    }
}
