//! The llm pool: calls of language models, through a LiteLLM proxy or straight to an endpoint that
//! speaks OpenAI's protocol.
//!
//! | module | what it does |
//! |---|---|
//! | [`gateway`] | where models are called: given, or started when a step first needs it |
//! | `parameters`, `catalogue` | what a step may say in `with`, for serde and for the catalogue |
//! | `prompt` | the messages of a call: written in the step, or a prompt of its files |
//! | `request` | a call as JSON, and the digest that it is remembered under |
//! | `price` | what a model costs, and whether a call fits what is left of the cap |
//! | `call`, `sse`, `answer` | one call over HTTP: streamed, read, summed up |
//! | `route` | which model a call goes to, as the router says |
//! | `settle` | a call in the books |
//! | `structured` | answers that must fit a JSON Schema, and their repair |
//! | `memo` | answers that were paid for already |
//! | `attempt`, `embed` | one execution, from task to outcome |
//!
//! The kit calls [`LlmPool`] through [`Handler`]. Nothing is decided here about a run. What must
//! stay true: no call is made whose worst case would pass what is left of the attempt's cap; what a
//! call cost is told whether or not the attempt succeeds; keys never reach logs, reports or errors.

mod answer;
mod attempt;
mod call;
mod catalogue;
mod embed;
mod error;
pub mod gateway;
mod memo;
mod parameters;
mod price;
mod prompt;
mod request;
mod route;
mod settle;
mod sse;
mod structured;

use std::sync::Arc;

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_schemas::action::ActionInfo;

pub use gateway::{Endpoint, Gateway};

/// The name of the pool.
pub const POOL: &str = "llm";

/// The actions `litellm.generate`, `litellm.chat` and `litellm.embed`.
#[derive(Clone)]
pub struct LlmPool {
    shared: Arc<Shared>,
}

/// What all executions of a worker share.
struct Shared {
    client: reqwest::Client,
    gateway: Gateway,
    prices: price::Prices,
}

impl LlmPool {
    /// A pool that calls models at `gateway`.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn new(gateway: Gateway) -> Result<Self, reqwest::Error> {
        let shared = Shared {
            client: call::client(gateway.is_here())?,
            gateway,
            prices: price::Prices::default(),
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
