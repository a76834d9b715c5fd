//! Who reviews the changed file: LiteLLM's proxy, which is started while the project is fetched, and a
//! model by the key that is there. Without a key the proxy answers by itself; without a proxy nobody
//! reviews, and the rest of the story is told all the same.

use std::fmt;

use maestro_llm::Endpoint;
use maestro_llm::gateway::Keeper as _;

use super::place::Place;
use crate::error::Error;
use crate::local::litellm::{Litellm, Options};
use crate::local::paths::Paths;

/// A small model for each provider's key, the first that is set.
const MODELS: [(&str, &str); 7] = [
    ("OPENAI_API_KEY", "gpt-4o-mini"),
    ("ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    ("GEMINI_API_KEY", "gemini/gemini-2.5-flash"),
    ("MISTRAL_API_KEY", "mistral/mistral-small-latest"),
    ("GROQ_API_KEY", "groq/openai/gpt-oss-20b"),
    ("DEEPSEEK_API_KEY", "deepseek/deepseek-chat"),
    ("COHERE_API_KEY", "command-r-08-2024"),
];

/// The proxy that runs, and the model to ask.
pub struct Reviewer {
    /// Where the proxy is called.
    pub endpoint: Endpoint,
    /// The model's name.
    pub model: &'static str,
    proxy: Litellm,
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviewer").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Reviewer {
    /// Starts the proxy, and waits until it takes calls. Where it cannot, what is missing and what would
    /// mend it.
    pub async fn start(place: &Place) -> Result<Self, String> {
        let files = Paths::of_project(&place.project()).map_err(|error| error.to_string())?;
        let proxy = Litellm::new(Options::of_project(&place.project(), files.litellm()));
        let endpoint = proxy.endpoint().await?;
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|key| !key.is_empty());
        Ok(Self { endpoint, model: model(is_set), proxy })
    }

    /// Whether the proxy answers by itself, because no provider's key is there.
    pub fn is_offline(&self) -> bool {
        self.endpoint.offline.is_some()
    }

    /// In words, who reviews.
    pub fn words(&self) -> String {
        if self.is_offline() {
            let [(key, _), ..] = MODELS;
            return format!("offline mock: no model is asked, since no key as {key} is set");
        }
        format!("{} is asked, through LiteLLM's proxy", self.model)
    }

    /// Ends the proxy.
    pub async fn stop(self) -> Result<(), Error> {
        Ok(self.proxy.stop().await?)
    }
}

/// The first whose key is there. For the keys of others the first too: the proxy then says what it lacks.
fn model(is_set: impl Fn(&str) -> bool) -> &'static str {
    let [(_, first), ..] = MODELS;
    MODELS.iter().find(|(key, _)| is_set(key)).map_or(first, |(_, model)| model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env_vars;

    #[test]
    fn the_model_is_one_whose_key_is_there() {
        assert_eq!(model(|_| false), "gpt-4o-mini");
        assert_eq!(model(|key| key == "MISTRAL_API_KEY"), "mistral/mistral-small-latest");
        let known = |key: &str| env_vars::PROVIDER_KEYS.contains(&key);
        assert!(MODELS.iter().all(|(key, _)| known(key)));
    }
}
