//! The configuration that a local stack's LiteLLM proxy starts with: made here as JSON, which its YAML
//! reader takes too, or rendered from the router's.

use serde_json::{Value, json};

/// What the proxy names the deployments that ask no model.
const OFFLINE_ID: &str = "offline-mock";
/// What every such answer begins with.
const OFFLINE_ANSWER: &str = "[offline mock] No model was asked: no provider's key is set.";
/// How many numbers a mock vector has.
const OFFLINE_DIMENSIONS: usize = 8;

/// What the proxy is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The key that callers must bring.
    pub key: String,
    /// The models that it serves.
    pub models: Models,
}

/// The models that a proxy serves.
#[derive(Debug, Clone, PartialEq)]
pub enum Models {
    /// Any, from the provider that its name says.
    Any,
    /// Any, answered by the proxy itself: no provider's key is there.
    Offline,
    /// These, as LiteLLM's `model_list` has them.
    Listed(Value),
    /// A whole file, made from the router's configuration.
    Rendered(String),
}

impl Config {
    /// The file. Its key is none of its contents where it was rendered elsewhere: the proxy finds it
    /// in its environment.
    pub fn text(&self) -> String {
        match &self.models {
            Models::Any => self.file(online()),
            Models::Offline => self.file(offline()),
            Models::Listed(list) => self.file(list.clone()),
            Models::Rendered(text) => text.clone(),
        }
    }

    fn file(&self, models: Value) -> String {
        let file = json!({
            "model_list": models,
            "litellm_settings": {
                "num_retries": 0, "telemetry": false, "drop_params": true,
                "include_cost_in_streaming_usage": true,
            },
            // Whether to try again, and where, is not the proxy's to decide.
            "router_settings": { "num_retries": 0, "disable_cooldowns": true },
            "general_settings": { "master_key": self.key },
        });
        file.to_string()
    }
}

/// Any model, from the provider that its name says.
fn online() -> Value {
    json!([{ "model_name": "*", "litellm_params": { "model": "*" } }])
}

/// Any model, answered by the proxy itself, for nothing.
fn offline() -> Value {
    let vector = vec![0.125; OFFLINE_DIMENSIONS];
    let deployment = |name: &str, answer: Value| {
        json!({
            "model_name": name,
            "litellm_params": { "model": format!("openai/{name}"), "api_key": "none", "mock_response": answer },
            "model_info": { "id": format!("{OFFLINE_ID}-{}", if name == "*" { "chat" } else { "embedding" }), "input_cost_per_token": 0, "output_cost_per_token": 0 },
        })
    };
    json!([deployment("text-embedding-*", json!(vector)), deployment("*", json!(OFFLINE_ANSWER))])
}
