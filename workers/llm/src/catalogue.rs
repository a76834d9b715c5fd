//! What the pool serves, as workers announce it.

use maestro_schemas::action::{ActionInfo, Effect};
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::POOL;
use crate::ollama::parameters as ollama;
use crate::parameters::{CHAT, Chat, EMBED, Embed, GENERATE, Generate, Sampling};

/// The version of all actions; raised when the same parameters begin to give other results.
const VERSION: &str = "1";

/// The pool's actions.
pub(crate) fn actions() -> Vec<ActionInfo> {
    let generate = "Asks a language model, with a text or a prompt of the project.";
    let chat = "Asks a language model, with messages as OpenAI's protocol has them.";
    let embed = "Makes vectors of texts.";
    let ollama = "Asks a model on one of our own Ollama hosts, chosen by what their GPUs hold.";
    [(GENERATE, generate), (CHAT, chat), (EMBED, embed), (ollama::GENERATE, ollama)]
        .into_iter()
        .filter_map(|(name, summary)| action(name, summary, schema(name)))
        .collect()
}

/// The schema of an action's parameters.
pub(crate) fn schema(action: &str) -> Value {
    match action {
        GENERATE => generate_schema(),
        CHAT => sampled(schema_of::<Chat>()),
        ollama::GENERATE => ollama_schema(),
        _ => schema_of::<Embed>(),
    }
}

/// Nothing only where the pool's own name is no name, which the test below excludes.
fn action(name: &str, summary: &str, with_schema: Value) -> Option<ActionInfo> {
    Some(ActionInfo {
        name: name.to_owned(),
        version: VERSION.into(),
        pool: POOL.parse().ok()?,
        summary: summary.to_owned(),
        effect: Effect::Idempotent,
        with_schema,
    })
}

fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn generate_schema() -> Value {
    let mut schema = sampled(schema_of::<Generate>());
    if let Some(object) = schema.as_object_mut() {
        let either = json!([{ "required": ["prompt_template"] }, { "required": ["prompt"] }]);
        object.insert("oneOf".into(), either);
    }
    schema
}

fn ollama_schema() -> Value {
    let mut schema = sampled(schema_of::<ollama::Generate>());
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !ollama::NOT_TAKEN.contains(&name.as_str()));
    }
    if let Some(object) = schema.as_object_mut() {
        let either = |one: &str, other: &str| json!({ "oneOf": [{ "required": [one] }, { "required": [other] }] });
        let both = json!([either("prompt_template", "prompt"), either("model", "models")]);
        object.insert("allOf".into(), both);
    }
    schema
}

/// The schema with the properties of [`Sampling`] beside its own, and no others.
fn sampled(mut schema: Value) -> Value {
    let sampling = schema_of::<Sampling>();
    for part in ["properties", "$defs"] {
        let more = sampling.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(object) = schema.get_mut(part).and_then(Value::as_object_mut) {
            object.extend(more);
        }
    }
    if let Some(object) = schema.as_object_mut() {
        object.insert("additionalProperties".into(), json!(false));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_announced_with_a_schema_of_an_object_that_refuses_unknown_keys() {
        let actions = actions();
        let names: Vec<_> = actions.iter().map(|action| action.name.as_str()).collect();
        let expected = ["litellm.generate", "litellm.chat", "litellm.embed", "ollama.generate"];
        assert_eq!(names, expected);
        for action in &actions {
            assert_eq!(action.with_schema["type"], "object", "{}", action.name);
            assert_eq!(action.with_schema["additionalProperties"], false, "{}", action.name);
        }
    }
}
