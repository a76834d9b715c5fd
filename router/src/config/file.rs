//! The file as it is written: `deploy/router/litellm.yaml`, key by key.
//!
//! `litellm_params`, `model_info` and `general_settings` are LiteLLM's own: what Maestro does not
//! read of them is handed on as it is.

use std::collections::BTreeMap;

use maestro_schemas::name::ProjectName;
use maestro_schemas::route::Mode;
use serde::Deserialize;
use serde_json::Value;

use crate::breaker::Settings;
use crate::objective::Objective;

/// Keys of LiteLLM's with their values.
pub type Open = BTreeMap<String, Value>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The models, in the order in which they stand for each other where nothing else decides.
    pub model_list: Vec<Model>,
    /// How the router decides.
    #[serde(default)]
    pub router: Router,
    /// What content may go where.
    #[serde(default)]
    pub policies: Policies,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// LiteLLM's settings of the proxy itself, as `master_key`.
    #[serde(default)]
    pub general_settings: Open,
}

/// One deployment of a model. Several may have the same `model_name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name that callers ask for.
    pub model_name: String,
    /// How LiteLLM calls it.
    pub litellm_params: Params,
    /// What LiteLLM knows of it.
    #[serde(default)]
    pub model_info: Info,
    /// What Maestro knows of it.
    #[serde(default)]
    pub maestro: Maestro,
}

/// LiteLLM's parameters of a call.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Params {
    /// `provider/model`; `vllm/` is a server that speaks OpenAI's API.
    pub model: String,
    /// The server's address.
    #[serde(default)]
    pub api_base: Option<String>,
    /// The rest, `api_key` among it.
    #[serde(flatten)]
    pub rest: Open,
}

/// Keys only: among the values are keys of APIs, which no log may show.
impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&String> = self.rest.keys().collect();
        f.debug_struct("Params").field("model", &self.model).field("keys", &keys).finish()
    }
}

/// LiteLLM's description of a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Info {
    /// The deployment's id; made from name, model and address where it is not given.
    #[serde(default)]
    pub id: Option<String>,
    /// US dollars per token of a prompt.
    #[serde(default)]
    pub input_cost_per_token: Option<f64>,
    /// US dollars per token of an answer.
    #[serde(default)]
    pub output_cost_per_token: Option<f64>,
    /// The most tokens of a prompt.
    #[serde(default)]
    pub max_input_tokens: Option<u64>,
    /// The most tokens of an answer.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// The rest.
    #[serde(flatten)]
    pub rest: Open,
}

/// Maestro's own keys of a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maestro {
    /// Who runs it, where that is not what stands before the model's `/`.
    #[serde(default)]
    pub provider: Option<String>,
    /// Where it runs: `eu`, or `eu-de`, which is within `eu`.
    #[serde(default)]
    pub jurisdiction: Option<String>,
    /// Whether the provider keeps nothing of what it is sent.
    #[serde(default)]
    pub zdr: bool,
    /// Whether it runs on own servers; `vllm/` and `ollama/` do where nothing else is said.
    #[serde(default)]
    pub self_hosted: Option<bool>,
    /// The most calls at once, of the whole fleet.
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// The most tokens of prompt and answer together.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// The share of answers that are good, by topic; `default` for topics not named.
    #[serde(default)]
    pub quality: BTreeMap<String, f64>,
}

/// How models are weighed against each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the weighted sum of the objectives' terms.
    #[default]
    MultiObjective,
}

/// How the router decides.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// How models are weighed.
    #[serde(default)]
    pub strategy: Strategy,
    /// The objectives, the most important first.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    /// What is tried after what.
    #[serde(default)]
    pub fallbacks: Vec<Fallback>,
    /// Names that stand for several models.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// The model of requests that name none; without it the first of the list.
    #[serde(default)]
    pub default_model: Option<String>,
    /// What projects let the router do.
    #[serde(default)]
    pub modes: BTreeMap<ProjectName, Mode>,
    /// When providers are left alone.
    #[serde(default)]
    pub breaker: Settings,
}

/// What is tried when a model fails.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The model that failed.
    pub primary: String,
    /// Models to try, in this order.
    pub on_error: Vec<String>,
}

/// What content may go where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// For a tag of content the only models that it may go to.
    #[serde(default)]
    pub content_tags: BTreeMap<String, Vec<String>>,
}

/// Where traces go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The address of an OTLP collector.
    #[serde(default)]
    pub otel_exporter: Option<String>,
}
