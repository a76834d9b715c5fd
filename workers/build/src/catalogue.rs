//! What the pool serves, as workers announce it.

use maestro_schemas::action::{ActionInfo, Effect};
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::POOL;
use crate::container::{self, Container};
use crate::parameters::{Build, Shell, Test};
use crate::preset::Toolchain;

/// The version of all actions; raised when the same parameters begin to give other results.
const VERSION: &str = "1";

/// The pool's actions.
pub(crate) fn actions() -> Vec<ActionInfo> {
    let builds = Toolchain::ALL.into_iter().map(|toolchain| {
        let name = format!("build.{toolchain}");
        let summary = format!("Builds a {toolchain} project in a workspace of its own.");
        action(name, summary, schema_of::<Build>())
    });
    std::iter::once(action(
        "shell".into(),
        "Runs a command or a script in a workspace of its own.".into(),
        shell_schema(),
    ))
    .chain(builds)
    .chain(std::iter::once(action(
        "test.*".into(),
        "Runs a suite of a project's tests in a workspace of its own.".into(),
        schema_of::<Test>(),
    )))
    .chain(std::iter::once(action(
        container::NAME.into(),
        "Makes an image of a container, keeps it and pushes it.".into(),
        schema_of::<Container>(),
    )))
    .flatten()
    .collect()
}

/// Nothing only where the pool's own name is no name, which the test below excludes.
fn action(name: String, summary: String, with_schema: Value) -> Option<ActionInfo> {
    Some(ActionInfo {
        name,
        version: VERSION.into(),
        pool: POOL.parse().ok()?,
        summary,
        effect: Effect::Idempotent,
        with_schema,
    })
}

fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

fn shell_schema() -> Value {
    let mut schema = schema_of::<Shell>();
    if let Some(object) = schema.as_object_mut() {
        let either = json!([{ "required": ["script"] }, { "required": ["command"] }]);
        object.insert("oneOf".into(), either);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_announced_with_a_schema_of_an_object() {
        let actions = actions();
        let names: Vec<_> = actions.iter().map(|action| action.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "shell",
                "build.typescript",
                "build.rust",
                "build.python",
                "build.go",
                "test.*",
                "container.build"
            ]
        );
        for action in &actions {
            assert_eq!(action.with_schema["type"], "object", "{}", action.name);
        }
    }

    #[test]
    fn build_parameters_may_hold_further_keys_and_shell_parameters_may_not() {
        assert_eq!(shell_schema()["additionalProperties"], json!(false));
        assert!(schema_of::<Build>().get("additionalProperties").is_none());
    }
}
