//! Deployments that are called straight: own servers that speak OpenAI's protocol themselves, so that
//! the gateway between would only cost its hop.
//!
//! Which those are is read from the router's configuration by whoever starts the worker. A call goes
//! straight only where the router decided for one of them and its decision is acted on; every other
//! goes through the gateway. What must stay true: a call has the same price both ways, and the router
//! hears of it the same. (`tests/peers/direct.rs`)

use std::collections::BTreeMap;
use std::fmt;

use maestro_kit::log::LogSink;
use serde_json::Value;

use crate::answer::Answer;
use crate::attempt::Attempt;
use crate::call::Caller;
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::price::Price;
use crate::route::Route;

/// What a straight call's deployment begins with in the ledger.
const PREFIX: &str = "direct:";

/// Deployments that are called straight, by their ids.
pub type Deployments = BTreeMap<String, Direct>;

/// A deployment that is called straight.
#[derive(Clone, PartialEq)]
pub struct Direct {
    /// Where it is; `/v1/chat/completions` is put behind it.
    pub url: String,
    /// The key of its `Authorization` header.
    pub key: Option<String>,
    /// The model, as the server itself names it.
    pub model: String,
    /// US dollars per token of a prompt and of an answer, where they are known.
    pub usd_per_token: Option<(f64, f64)>,
    /// The most tokens of an answer.
    pub output_tokens_max: Option<u64>,
}

impl fmt::Debug for Direct {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("url", &self.url).field("model", &self.model).finish()
    }
}

impl Direct {
    fn price(&self) -> Price {
        Price {
            input_cost_per_token: self.usd_per_token.map(|(input, _)| input),
            output_cost_per_token: self.usd_per_token.map(|(_, output)| output),
            max_output_tokens: self.output_tokens_max,
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { url: self.url.clone(), key: self.key.clone(), offline: None }
    }
}

/// The way that one call takes.
pub(crate) enum Way<'a> {
    /// Through the gateway.
    Gateway(Caller<'a>),
    /// Straight to a deployment.
    Straight {
        /// Its id.
        id: String,
        /// What it is.
        direct: &'a Direct,
        /// The client and address of it.
        client: &'a reqwest::Client,
    },
}

impl Attempt<'_> {
    /// Calls the gateway; a stack's own is started now where it does not run.
    pub(crate) async fn caller(&self) -> Result<Caller<'_>, Error> {
        let found = async || {
            let endpoint = self.shared.gateway.endpoint().await.map_err(Error::NoGateway)?;
            if let Some(words) = &endpoint.offline {
                self.execution.log.line(words).await;
            }
            Ok::<_, Error>(endpoint)
        };
        let endpoint = self.endpoint.get_or_try_init(found).await?;
        Ok(Caller { client: self.shared.clients.of(&endpoint.url), endpoint, name: None })
    }

    /// The way of a call that the router decided on.
    pub(crate) async fn way(&self, route: &Route) -> Result<Way<'_>, Error> {
        let known = &self.shared.direct;
        let decided = route.deployment();
        let Some((id, direct)) = decided.and_then(|id| known.get_key_value(id)) else {
            if let Some(id) = decided.filter(|_| !known.is_empty()) {
                self.execution.log.line(&format!("[{id} is called through the gateway]")).await;
            }
            return Ok(Way::Gateway(self.caller().await?));
        };
        let line = format!("[{id} is called straight, at {}]", direct.url);
        self.execution.log.line(&line).await;
        let client = self.shared.clients.of(&direct.url);
        Ok(Way::Straight { id: id.clone(), direct, client })
    }
}

impl Way<'_> {
    /// The name that is asked for: the gateway's, or the server's own.
    pub(crate) fn model(&self, route: &Route) -> String {
        match self {
            Self::Gateway(_) => route.model.clone(),
            Self::Straight { direct, .. } => direct.model.clone(),
        }
    }

    /// Whether the gateway answers by itself.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, Self::Gateway(caller) if caller.endpoint.offline.is_some())
    }

    /// What a call costs.
    pub(crate) async fn price(&self, attempt: &Attempt<'_>, model: &str) -> Result<Price, Error> {
        match self {
            Self::Gateway(caller) => attempt.shared.prices.of(model, caller).await,
            Self::Straight { direct, .. } => Ok(direct.price()),
        }
    }

    /// Makes the call; a gateway is told its name.
    pub(crate) async fn chat(
        &self,
        (model, name): (&str, Option<&str>),
        body: &Value,
        log: &LogSink,
    ) -> Result<Answer, Error> {
        match self {
            Self::Gateway(caller) => Caller { name, ..*caller }.chat(model, body, log).await,
            Self::Straight { id, direct, client } => {
                let endpoint = direct.endpoint();
                let answer = Caller { client, endpoint: &endpoint, name: None }
                    .chat(model, body, log)
                    .await?;
                // What it says that it cost is no gateway's word: the configured price counts.
                let deployment = Some(format!("{PREFIX}{id}"));
                Ok(Answer { deployment, reported_cost: None, ..answer })
            }
        }
    }
}
