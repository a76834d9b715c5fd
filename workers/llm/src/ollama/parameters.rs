//! What a step may say in the `with` of `ollama.generate`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::parameters::{Generate as OfGateway, Sampling};

/// Asks a model on an Ollama host.
pub(crate) const GENERATE: &str = "ollama.generate";
/// Parameters of the other actions that mean nothing here.
pub(crate) const NOT_TAKEN: [&str; 4] = ["tools", "hint", "topic", "objectives"];

/// The most models of a chain.
const MODELS_MAX: usize = 16;
/// The longest name of a model, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Parameters of `ollama.generate`: a text, or a prompt with its variables, and one model or several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct Generate {
    /// The model, as Ollama names it: `llama3.2`, `qwen3:32b`. Either this or `models`.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// Models to try in this order. Either this or `model`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 16))]
    pub(crate) models: Option<Vec<String>>,
    /// The name of a prompt: the file `prompts/NAME.md` beside the pipeline. Either this or `prompt`.
    #[serde(default)]
    pub(crate) prompt_template: Option<String>,
    /// Values for the prompt's variables.
    #[serde(default)]
    pub(crate) variables: Map<String, Value>,
    /// What the model is asked. Either this or `prompt_template`.
    #[serde(default)]
    pub(crate) prompt: Option<String>,
    /// The system's message; not beside `prompt_template`, which brings its own.
    #[serde(default)]
    pub(crate) system: Option<String>,
    /// How long the model stays loaded afterwards: `10m`, or seconds; 0 unloads it at once, a negative
    /// number keeps it. Ollama's own default where nothing is said.
    #[serde(default)]
    pub(crate) keep_alive: Option<KeepAlive>,
    /// For how many tokens of prompt and answer together the model is loaded (Ollama's `num_ctx`).
    /// Ollama cuts what is longer.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) context_tokens: Option<u32>,
    #[serde(skip)]
    pub(crate) sampling: Sampling,
}

/// How long a model stays loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum KeepAlive {
    /// Seconds.
    Seconds(i64),
    /// A duration of Ollama's, as `10m`.
    Text(#[schemars(length(min = 1, max = 32))] String),
}

/// What an Ollama host is to know beside what every model is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    /// The models, the first to try first; never empty.
    pub(crate) models: Vec<String>,
    /// How long the model stays loaded.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Tokens of prompt and answer together.
    pub(crate) context_tokens: Option<u32>,
}

impl Generate {
    /// Takes it apart: what `litellm.generate` would be asked with the first model, and the rest.
    pub(crate) fn read(self) -> Result<(OfGateway, Wish), Error> {
        let models = match (self.model, self.models) {
            (Some(model), None) => vec![model],
            (None, Some(models)) => models,
            _ => return Err(wrong("expected one of model and models".to_owned())),
        };
        let is_name = |name: &String| {
            !name.trim().is_empty()
                && name.len() <= NAME_BYTES_MAX
                && !name.chars().any(char::is_control)
        };
        let Some(model) = models.first().cloned().filter(|_| models.len() <= MODELS_MAX) else {
            return Err(wrong(format!("models: {} of them; 1 to {MODELS_MAX} go", models.len())));
        };
        if let Some(name) = models.iter().find(|name| !is_name(name)) {
            return Err(wrong(format!("{name:?} is no name of a model; llama3.2 or qwen3:32b is")));
        }
        let wish =
            Wish { models, keep_alive: self.keep_alive, context_tokens: self.context_tokens };
        let asked = OfGateway {
            model,
            prompt_template: self.prompt_template,
            variables: self.variables,
            prompt: self.prompt,
            system: self.system,
            sampling: self.sampling,
        };
        Ok((asked, wish))
    }
}

fn wrong(problem: String) -> Error {
    Error::Parameters(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(with: Value) -> Result<Vec<String>, String> {
        let asked: Generate = serde_json::from_value(with).unwrap();
        asked.read().map(|(_, wish)| wish.models).map_err(|error| error.to_string())
    }

    #[test]
    fn a_model_or_a_chain_is_named_and_never_both_or_none() {
        assert_eq!(read(json!({"model": "a"})), Ok(vec!["a".to_owned()]));
        assert_eq!(read(json!({"models": ["a", "b"]})).unwrap(), ["a", "b"]);
        for with in [json!({}), json!({"model": "a", "models": ["b"]}), json!({"models": []})] {
            assert!(read(with.clone()).is_err(), "{with}");
        }
        assert!(read(json!({"models": vec!["a"; 17]})).unwrap_err().contains("1 to 16"));
        assert!(read(json!({"model": " "})).unwrap_err().contains("no name of a model"));
    }
}
