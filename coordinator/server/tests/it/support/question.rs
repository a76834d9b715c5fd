//! Questions to the router as workers ask them, and the files that it answers by.

use std::path::Path;
use std::time::Duration;

use maestro_schemas::api::route::{RouteAnswer, RouteQuestion};
use maestro_schemas::codec;
use maestro_schemas::digest::Digest;
use maestro_schemas::route::{PromptRef, Purpose};
use maestro_server::routing::Options;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use serde_json::Value;

use super::stack::Stack;

/// A router's configuration, where there is one, and a global bundle of these policies.
pub fn files(config: Option<&str>, policies: &[(&str, &str)]) -> (tempfile::TempDir, Options) {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let file = dir.path().join("litellm.yaml");
    config.inspect(|text| put(&file, text));
    let root = dir.path().join("policies");
    for (name, text) in policies {
        put(&root.join("global").join(name), text);
    }
    (dir, Options { config: config.map(|_| file), policies: Some(root) })
}

/// Asks as a worker of the pool `llm` does.
pub async fn ask(stack: &Stack, request: Value, prompt: Option<(&str, &str)>) -> RouteAnswer {
    let prompt = prompt.map(|(name, text)| PromptRef {
        name: name.to_owned(),
        digest: Digest::of(text.as_bytes()),
    });
    let step_tags = ["draft".to_owned()].into();
    let question = RouteQuestion {
        project: "demo".parse().unwrap(),
        request: serde_json::from_value(request).unwrap(),
        purpose: Purpose { step: "main/ask".to_owned(), step_tags, prompt },
    };
    let bytes = codec::encode(&question).unwrap();
    let to = subject::rpc("route", "choose").unwrap();
    let worker = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    let answer = worker.request(to, bytes.into(), Duration::from_secs(5)).await.unwrap();
    codec::decode(&answer).unwrap()
}

/// The code, the status and the words of a refusal.
pub fn refused(answer: RouteAnswer) -> (String, u16, String) {
    match answer {
        RouteAnswer::Refused { code, status, message } => (code, status, message),
        other => panic!("expected a refusal: {other:?}"),
    }
}
