//! Providers within and without the approved jurisdictions, each behind a post that notes all that is sent
//! to it; and a router, policies and a worker that call them through LiteLLM's own proxy, straight, and as
//! hosts of Ollama.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_cli::local::litellm::{Litellm, Options};
use maestro_cli::service::models::direct::deployments;
use maestro_llm::gateway::Keeper as _;
use maestro_llm::ollama::Host;
use maestro_llm::{Gateway, Places};
use maestro_router::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ollama::{Ollama, Turn as OllamaTurn};
use crate::provider::{Provider, Turn};
use crate::scene::Scene;
use crate::watch::Watch;

/// What the providers without answer: it would be personal data itself.
pub(crate) const FROM_WITHOUT: &str = "He may be paid at DE89 3704 0044 0532 0130 00.";
/// What those within answer.
pub(crate) const FROM_WITHIN: &str = "{\"ok\": true}";
/// What may be tagged and what nobody could look at stays in the EU.
const POLICY: &str = "package maestro.routing

within if startswith(input.candidate.jurisdiction, \"eu\")

deny contains message if {
	some tag in {\"pii\", \"unscanned\"}
	tag in input.step_tags
	not within
	message := sprintf(\"what is tagged %s stays in the EU; choose a model that is run there\", [tag])
}
";

/// Model, deployment, where it runs, whether it is an own server, and how good it is said to be: those
/// without are the better ones, so that a router that may would take them.
const MODELS: [(&str, &str, Option<&str>, bool, f64); 11] = [
    ("best", "best-us", Some("us"), false, 0.99),
    ("chat", "chat-us", Some("us"), false, 0.95),
    ("chat", "chat-eu", Some("eu-de"), false, 0.6),
    ("own", "own-us", Some("us"), true, 0.9),
    ("own", "own-eu", Some("eu-fr"), true, 0.5),
    ("lost", "lost-somewhere", None, false, 0.98),
    ("lone", "lone-cn", Some("cn"), false, 0.97),
    ("failing", "failing-eu", Some("eu-ie"), false, 0.7),
    ("emb", "emb-us", Some("us"), false, 0.9),
    ("emb", "emb-eu", Some("eu-de"), false, 0.5),
    ("emb-abroad", "emb-abroad-us", Some("us"), false, 0.9),
];

/// The providers, and the proxy that knows them.
pub(crate) struct Border {
    pub(crate) within: BTreeMap<&'static str, Watch>,
    pub(crate) without: BTreeMap<&'static str, Watch>,
    pub(crate) hosts: [Ollama; 2],
    proxy: Litellm,
    config: Value,
    _providers: Vec<Provider>,
    _dir: TempDir,
}

impl Border {
    /// Starts all of them.
    pub(crate) async fn open() -> Self {
        let (mut within, mut without) = (BTreeMap::new(), BTreeMap::new());
        let (mut list, mut providers) = (Vec::new(), Vec::new());
        for (model, id, place, is_own, quality) in MODELS {
            let provider = Provider::start().await;
            let is_within = place.is_some_and(|place| place.starts_with("eu"));
            provider.script(id, [turn(id, is_within)]);
            let server = provider.address().trim_start_matches("http://");
            let watch = Watch::before(server.trim_end_matches("/v1")).await;
            list.push(json!({
                "model_name": model,
                "litellm_params": { "model": format!("hosted_vllm/{id}"), "api_base": format!("http://{}/v1", watch.address()) },
                "model_info": { "id": id, "input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7 },
                "maestro": {
                    "jurisdiction": place, "self_hosted": is_own, "quality": { "default": quality },
                },
            }));
            if is_within { &mut within } else { &mut without }.insert(id, watch);
            providers.push(provider);
        }
        let hosts = [host().await, host().await];
        within.insert("host-eu", watched(&hosts[0]).await);
        without.insert("host-us", watched(&hosts[1]).await);
        list.extend([("llama", "eu"), ("llama-us", "us")].map(|(model, place)| {
            json!({
                "model_name": model,
                "litellm_params": { "model": format!("ollama/{model}"), "api_base": "http://127.0.0.1:9" },
                "maestro": { "jurisdiction": place },
            })
        }));
        let chain = |primary: &str, next: &[&str]| json!({ "primary": primary, "on_error": next });
        let config = json!({
            "model_list": list,
            "router": {
                "objectives": ["quality"],
                "fallbacks": [
                    chain("best", &["lost", "chat"]),
                    chain("failing", &["best", "lost", "chat", "own"]),
                ],
            },
        });
        let dir = tempfile::tempdir().expect("a directory");
        let proxy = proxy(&dir, &config).await;
        Self { within, without, hosts, proxy, config, _providers: providers, _dir: dir }
    }

    /// A router in this mode, its policies, and a worker that calls all of these.
    pub(crate) async fn scene(&self, mode: &str) -> Scene {
        let mut config = self.config.clone();
        config["router"]["modes"] = json!({ "default": mode });
        let text = config.to_string();
        let known = Config::read(&text, "litellm.yaml").expect("a configuration");
        let direct = deployments(&known, &|_| None);
        let straight: Vec<&str> = direct.keys().map(String::as_str).collect();
        assert!(["own-eu", "own-us"].iter().all(|id| straight.contains(id)), "{straight:?}");
        let ollama = vec![self.host("host-eu", "eu-de"), self.host("host-us", "us")];
        let gateway = Gateway::Kept(Arc::new(self.proxy.clone()));
        Scene::under(Some(&text), Some(POLICY), Places { gateway, direct, ollama }).await
    }

    /// How much each provider without was sent, but for what Ollama's hosts are asked about themselves.
    pub(crate) fn sent_out(&self) -> BTreeMap<&'static str, usize> {
        let mut sent: BTreeMap<_, _> =
            self.without.iter().map(|(id, watch)| (*id, watch.bytes())).collect();
        sent.insert("host-us", self.hosts[1].chats().len());
        sent
    }

    fn host(&self, name: &'static str, place: &str) -> Host {
        let watch = self.within.get(name).or_else(|| self.without.get(name)).expect("a host");
        Host {
            name: name.to_owned(),
            url: format!("http://{}", watch.address()),
            jurisdiction: Some(place.to_owned()),
            ..Host::default()
        }
    }
}

fn turn(id: &str, is_within: bool) -> Turn {
    match (id, is_within) {
        ("failing-eu", _) => Turn::Refuse(500),
        (_, true) => Turn::Say(FROM_WITHIN.to_owned()),
        (_, false) => Turn::Say(FROM_WITHOUT.to_owned()),
    }
}

async fn host() -> Ollama {
    Ollama::start(&["llama:latest", "llama-us:latest"], [OllamaTurn::Say("from a host")]).await
}

async fn watched(host: &Ollama) -> Watch {
    Watch::before(host.host("x").url.trim_start_matches("http://")).await
}

/// LiteLLM's own, with the configuration that is rendered from the router's for workers.
async fn proxy(dir: &TempDir, config: &Value) -> Litellm {
    let file = dir.path().join("litellm.yaml");
    std::fs::write(&file, config.to_string()).expect("a file");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("border");
    let options = Options::of_project(root, home);
    let proxy = Litellm::new(Options { router: Some(file), ..options });
    let endpoint = proxy.endpoint().await.unwrap_or_else(|error| panic!("{error}"));
    assert!(endpoint.offline.is_none(), "the proxy calls the providers");
    proxy
}
