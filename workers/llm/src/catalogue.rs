//! What the pool serves, as workers announce it.

use maestro_schemas::action::{ActionInfo, Effect};
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::POOL;
use crate::parameters::{CHAT, Chat, EMBED, Embed, GENERATE, Generate, Sampling};

/// The version of all actions; raised when the same parameters begin to give other results.
const VERSION: &str = "1";

/// The pool's actions.
pub(crate) fn actions() -> Vec<ActionInfo> {
    let generate = "Asks a language model, with a text or a prompt of the project.";
    let chat = "Asks a language model, with messages as OpenAI's protocol has them.";
    let embed = "Makes vectors of texts.";
    [(GENERATE, generate), (CHAT, chat), (EMBED, embed)]
        .into_iter()
        .filter_map(|(name, summary)| action(name, summary, schema(name)))
        .collect()
}

/// The schema of an action's parameters.
pub(crate) fn schema(action: &str) -> Value {
    match action {
        GENERATE => generate_schema(),
        CHAT => sampled(schema_of::<Chat>()),
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
        assert_eq!(names, ["litellm.generate", "litellm.chat", "litellm.embed"]);
        for action in &actions {
            assert_eq!(action.with_schema["type"], "object", "{}", action.name);
            assert_eq!(action.with_schema["additionalProperties"], false, "{}", action.name);
        }
    }
}
