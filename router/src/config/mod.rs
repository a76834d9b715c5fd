//! The router's configuration: `deploy/router/litellm.yaml`, read once and handed to every decision.
//!
//! | module | what it holds |
//! |---|---|
//! | [`yaml`], [`decode`] | the text as a tree with places; values of our types made from it |
//! | [`file`] | the file's keys as types |
//! | [`price`] | list prices |
//! | [`check`](mod@check) | what no type says: names that exist, numbers in their range |
//! | [`fault`] | what is wrong, where, and what to do |
//!
//! The shell reads the file and keeps the former configuration where [`Config::read`] refuses a new
//! one.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{Mode, Terms};

use crate::breaker::Settings;
use crate::objective::Objective;

mod check;
pub mod decode;
pub mod fault;
pub mod file;
pub mod price;
pub mod yaml;

use self::fault::Faults;
use self::file::{Info, Open, Params};
use self::price::Price;

/// The topic whose quality counts for topics that are not named.
pub const TOPIC_DEFAULT: &str = "default";

/// What may be decided among, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The deployments, in the file's order.
    pub deployments: Vec<Deployment>,
    /// Names that stand for several models.
    pub groups: BTreeMap<String, Vec<String>>,
    /// For a model, those to try after it.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// The model of requests that name none.
    pub default_model: String,
    /// For a tag, in lower case, the only models that such content may go to.
    pub content_tags: BTreeMap<String, BTreeSet<String>>,
    /// What each objective counts where a request does not say.
    pub weights: Terms,
    /// What projects let the router do.
    pub modes: BTreeMap<ProjectName, Mode>,
    /// When providers are left alone.
    pub breaker: Settings,
    /// The address of an OTLP collector.
    pub otel_exporter: Option<String>,
    /// LiteLLM's settings of the proxy itself.
    pub general_settings: Open,
    /// The SHA-256 of the text that it was read from.
    pub digest: Digest,
}

/// One place where a model is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// The id, by which decisions and outcomes name it.
    pub id: String,
    /// The name that callers ask for.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// What fails together: the provider, and the server where its address is given. It has one
    /// breaker.
    pub endpoint: String,
    /// Whether it runs on own servers.
    pub self_hosted: bool,
    /// Where it runs, in lower case.
    pub jurisdiction: Option<String>,
    /// Whether the provider keeps nothing of what it is sent.
    pub zdr: bool,
    /// The most calls at once.
    pub max_concurrency: Option<u32>,
    /// The most tokens of prompt and answer together.
    pub context_tokens: Option<u64>,
    /// The most tokens of an answer.
    pub output_tokens_max: Option<u64>,
    /// What is believed of its answers before any is scored, by topic.
    pub quality: BTreeMap<String, f64>,
    /// What a token costs, where that is known.
    pub price: Option<Price>,
    /// How LiteLLM calls it.
    pub params: Params,
    /// What LiteLLM knows of it.
    pub info: Info,
}

impl Config {
    /// Reads a file's text. `name` is the file as faults name it.
    pub fn read(text: &str, name: &str) -> Result<Self, Faults> {
        let told = |faults| Faults { file: name.to_owned(), faults };
        let root = yaml::parse(text).map_err(|fault| told(vec![fault]))?;
        let file = decode::decode(&root).map_err(|fault| told(vec![fault]))?;
        check::config(file, &root, Digest::of(text.as_bytes())).map_err(told)
    }

    /// What a project lets the router do.
    pub fn mode(&self, project: &ProjectName) -> Mode {
        self.modes.get(project).copied().unwrap_or_default()
    }

    /// The deployment of an id.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }

    /// The deployments of a model, in the file's order.
    pub fn of_model<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Deployment> {
        self.deployments.iter().filter(move |deployment| deployment.model == model)
    }

    /// Whether something may be asked for by this name: a model, a group or a deployment.
    pub fn knows(&self, name: &str) -> bool {
        let is = |deployment: &Deployment| deployment.model == name || deployment.id == name;
        self.groups.contains_key(name) || self.deployments.iter().any(is)
    }
}

impl Deployment {
    /// What is believed of answers on a topic before any is scored.
    pub fn quality_of(&self, topic: Option<&str>) -> Option<f64> {
        let named = topic.and_then(|topic| self.quality.get(topic));
        named.or_else(|| self.quality.get(TOPIC_DEFAULT)).copied()
    }
}

/// The weights that an order of objectives means: the last counts 1, the one before it 2, and so on.
pub fn weights(order: &[Objective]) -> Terms {
    let mut weights = Terms::default();
    for (place, objective) in order.iter().rev().enumerate() {
        *objective.of_mut(&mut weights) = (place + 1) as f64;
    }
    crate::objective::normalised(weights)
}

#[cfg(test)]
mod tests {
    use super::fault::Code;
    use super::*;

    const SPECIFIED: &str = include_str!("../../../deploy/router/litellm.yaml");

    fn fault(text: &str) -> (Code, u32, u32) {
        let faults = Config::read(text, "r.yaml").unwrap_err().faults;
        let first = faults.first().unwrap();
        (first.code, first.at.line, first.at.column)
    }

    fn with(more: &str) -> String {
        format!("model_list:\n- model_name: a\n  litellm_params: {{model: openai/x}}\n{more}")
    }

    #[test]
    fn the_file_that_ships_is_read() {
        let config = Config::read(SPECIFIED, "litellm.yaml").unwrap();
        let models: Vec<&str> = config.deployments.iter().map(|one| one.model.as_str()).collect();
        assert_eq!(models, ["gpt-4o", "sonnet-3.7", "ig-local-70b"]);
        assert_eq!(config.fallbacks.get("gpt-4o").unwrap(), &["sonnet-3.7", "ig-local-70b"]);
        assert!(config.content_tags.get("pii").unwrap().contains("ig-local-70b"));
        assert!((config.weights.quality - 5.0 / 15.0).abs() < 1e-8);
        assert!((config.weights.sovereignty - 1.0 / 15.0).abs() < 1e-8);
        let prices: Vec<bool> = config.deployments.iter().map(|one| one.price.is_some()).collect();
        assert_eq!(prices, [true, true, false], "own servers have no list price");
        assert!(config.deployments.last().unwrap().self_hosted);
        assert_eq!(config.mode(&"any".parse().unwrap()), Mode::Shadow);
    }

    #[test]
    fn ids_stay_when_models_are_put_in_another_order_and_differ_between_servers() {
        let one = "- model_name: a\n  litellm_params: {model: vllm/x, api_base: 'http://one'}\n";
        let two = "- model_name: a\n  litellm_params: {model: vllm/x, api_base: 'http://two'}\n";
        let ids = |first: &str, second: &str| -> BTreeSet<String> {
            let config = Config::read(&format!("model_list:\n{first}{second}"), "r.yaml").unwrap();
            config.deployments.into_iter().map(|one| one.id).collect()
        };
        assert_eq!(ids(one, two), ids(two, one));
        assert_eq!(ids(one, two).len(), 2);
        assert_eq!(ids(one, one).len(), 2, "twice the same is two deployments");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(fault("model_lists: []\n"), (Code::UnknownKey, 1, 1));
        assert_eq!(fault("router: {}\n"), (Code::MissingKey, 1, 1));
        assert_eq!(fault("model_list: []\n"), (Code::InvalidValue, 1, 13));
        let text = with("router:\n  fallbacks:\n  - primary: a\n    on_error: [b]\n");
        assert_eq!(fault(&text), (Code::UnknownName, 7, 16));
        assert_eq!(fault(&with("policies: {content_tags: {pii: [b]}}\n")).0, Code::UnknownName);
        assert_eq!(fault(&with("router: {groups: {a: [a]}}\n")).0, Code::Doubled);
        assert_eq!(fault(&with("router: {groups: {g: []}}\n")).0, Code::InvalidValue);
        assert_eq!(fault(&with("router: {default_model: b}\n")).0, Code::UnknownName);
        assert_eq!(fault(&with("router: {objectives: [speed]}\n")), (Code::InvalidValue, 4, 23));
        assert_eq!(fault(&with("router: {modes: {p: on}}\n")), (Code::InvalidValue, 4, 21));
        assert_eq!(fault(&with("router: {breaker: {failure_share: 2}}\n")).0, Code::InvalidValue);
        assert_eq!(fault(&with("  maestro: {quality: {x: 7}}\n")), (Code::InvalidValue, 4, 26));
        let text = with("  model_info: {input_cost_per_token: 0.1}\n");
        assert_eq!(fault(&text), (Code::MissingKey, 4, 15));
        let text = with("  model_info: {id: d}\n").replace("openai/", "");
        assert_eq!(fault(&text), (Code::InvalidValue, 3, 27));
    }

    #[test]
    fn several_wrong_names_are_told_at_once() {
        let text = with("router: {fallbacks: [{primary: b, on_error: [c]}], default_model: d}\n");
        assert_eq!(Config::read(&text, "r.yaml").unwrap_err().faults.len(), 3);
    }

    #[test]
    fn a_configured_price_goes_before_the_list() {
        let text =
            with("  model_info: {input_cost_per_token: 1e-6, output_cost_per_token: 2e-6}\n")
                .replace("openai/x", "openai/gpt-4o");
        let config = Config::read(&text, "r.yaml").unwrap();
        let price = config.deployments.first().unwrap().price.clone().unwrap();
        assert_eq!((price.input_usd, price.basis.as_str()), (1e-6, "configured"));
    }

    #[test]
    fn keys_of_apis_do_not_show_in_debug_output() {
        let text = with("").replace("openai/x", "openai/x, api_key: sk-hidden");
        let shown = format!("{:?}", Config::read(&text, "r.yaml").unwrap());
        assert!(shown.contains("api_key") && !shown.contains("sk-hidden"), "{shown}");
    }
}
