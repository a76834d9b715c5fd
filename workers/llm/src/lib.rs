//! The llm pool: calls of language models, through a LiteLLM proxy, straight to an endpoint that speaks
//! OpenAI's protocol, or on Ollama hosts of one's own.
//!
//! | module | what it does |
//! |---|---|
//! | [`gateway`] | where models are called: given, or started when a step first needs it |
//! | [`direct`] | deployments that are called straight, past the gateway |
//! | [`ollama`] | `ollama.generate`: hosts, the choice among them, Ollama's own protocol |
//! | `parameters`, `catalogue` | what a step may say in `with`, for serde and for the catalogue |
//! | `prompt` | the messages of a call: written in the step, or a prompt of its files |
//! | `request` | a call as JSON, and the digest that it is remembered under |
//! | `price` | what a model costs, and whether a call fits what is left of the cap |
//! | `call`, `sse`, `answer` | one call over HTTP: streamed, read, summed up |
//! | `route`, `telling` | which model a call goes to, as the router says; what it is told of the call |
//! | `cap`, `settle` | a call in the books: cut to what is left, and written down; what became of it |
//! | `structured` | answers that must fit a JSON Schema, and their repair |
//! | `memo` | answers that were paid for already |
//! | `attempt`, `chat`, `embed` | one execution, from task to outcome; its questions to chat models; vectors |
//!
//! The kit calls [`LlmPool`] through [`Handler`]. Nothing is decided here about a run. What must
//! stay true: no call is made whose worst case would pass what is left of the attempt's cap; what a
//! call cost is told whether or not the attempt succeeds; keys never reach logs, reports or errors.

mod answer;
mod attempt;
mod call;
mod cap;
mod catalogue;
mod chat;
pub mod direct;
mod embed;
mod error;
pub mod gateway;
mod memo;
pub mod ollama;
mod overhead;
mod parameters;
mod price;
mod prompt;
mod request;
mod route;
mod settle;
mod sse;
mod structured;
mod telling;

use std::sync::Arc;

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_schemas::action::ActionInfo;

pub use gateway::{Endpoint, Gateway};

/// The name of the pool.
pub const POOL: &str = "llm";

/// Where a worker calls models.
pub struct Places {
    /// The gateway.
    pub gateway: Gateway,
    /// The deployments of the router's configuration that are called straight, by their ids.
    pub direct: direct::Deployments,
    /// The Ollama hosts.
    pub ollama: Vec<ollama::Host>,
}

impl From<Gateway> for Places {
    fn from(gateway: Gateway) -> Self {
        Self { gateway, direct: direct::Deployments::new(), ollama: Vec::new() }
    }
}

/// The actions `litellm.generate`, `litellm.chat`, `litellm.embed` and `ollama.generate`.
#[derive(Clone)]
pub struct LlmPool {
    shared: Arc<Shared>,
}

/// What all executions of a worker share.
struct Shared {
    clients: call::Clients,
    gateway: Gateway,
    prices: price::Prices,
    direct: direct::Deployments,
    fleet: Arc<ollama::fleet::Fleet>,
}

impl LlmPool {
    /// A pool that calls models at these places; a [`Gateway`] alone will do.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn new(places: impl Into<Places>) -> Result<Self, reqwest::Error> {
        let Places { gateway, direct, ollama } = places.into();
        let shared = Shared {
            clients: call::Clients::new()?,
            gateway,
            prices: price::Prices::default(),
            direct,
            fleet: Arc::new(ollama::fleet::Fleet::new(ollama)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the pool serves, for a catalogue without a worker.
    pub fn catalogue() -> Vec<ActionInfo> {
        catalogue::actions()
    }
}

impl Handler for LlmPool {
    fn actions(&self) -> Vec<ActionInfo> {
        catalogue::actions()
    }

    fn alone_from(&self) -> u32 {
        4
    }

    fn carry_out(&self, execution: Execution) -> Carried {
        Box::pin(attempt::carry_out(self.shared.clone(), execution))
    }
}
