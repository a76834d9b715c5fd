//! Every message that a former build wrote decodes, and means what it meant.
//!
//! A fixture is a pair: the bytes, never rewritten, and beside them the same message as JSON. The
//! one of the highest number is of the type as it is today, so it also encodes to the same bytes.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::Answered;
use maestro_schemas::control::{Cancel, Drain, LogChunk};
use maestro_schemas::event::EventBatch;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::secret::{SecretsAnswer, SecretsQuestion};
use maestro_schemas::task::Task;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The fixtures of a kind by their number: the bytes and the JSON.
fn fixtures(kind: &str) -> BTreeMap<u32, (Vec<u8>, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1");
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|_| panic!("{path:?} is missing"));
    std::fs::read_dir(&directory)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let number = name.strip_prefix(kind)?.strip_prefix('.')?.parse().ok()?;
            let json = String::from_utf8(read(path.clone())).unwrap();
            Some((number, (read(path.with_extension("msgpack")), json)))
        })
        .collect()
}

fn decodes_for_ever<T: Serialize + DeserializeOwned + PartialEq + Debug>(kind: &str) {
    let fixtures = fixtures(kind);
    for (number, (bytes, json)) in &fixtures {
        let read: T = codec::decode(bytes)
            .unwrap_or_else(|error| panic!("{kind}.{number} does not decode any more: {error:?}"));
        let meant: T = serde_json::from_str(json)
            .unwrap_or_else(|error| panic!("{kind}.{number}.json does not decode: {error}"));
        assert_eq!(read, meant, "{kind}.{number} means something else now");
    }
    let (number, (bytes, json)) = fixtures.last_key_value().expect("a fixture of each kind");
    let written = codec::encode(&serde_json::from_str::<T>(json).unwrap()).unwrap();
    assert_eq!(
        &written,
        bytes,
        "{kind}.{number} is written differently now: keep it, write {kind}.{}.json with what was \
         added, and run `cargo xtask schemas --new-golden`",
        number + 1
    );
}

#[test]
fn tasks_of_former_builds_decode() {
    decodes_for_ever::<Task>("task");
}

#[test]
fn reports_of_former_builds_decode() {
    decodes_for_ever::<InboxMessage>("reports");
    decodes_for_ever::<InboxMessage>("call_begun");
}

#[test]
fn commands_of_former_builds_decode() {
    decodes_for_ever::<InboxMessage>("submit");
    decodes_for_ever::<InboxMessage>("cancel_run");
    decodes_for_ever::<Answered>("answered");
}

#[test]
fn events_of_former_builds_decode() {
    decodes_for_ever::<EventBatch>("event_batch");
}

#[test]
fn questions_for_secrets_of_former_builds_decode() {
    decodes_for_ever::<SecretsQuestion>("secrets_question");
    decodes_for_ever::<SecretsAnswer>("secrets_answer");
}

#[test]
fn heartbeats_of_former_builds_decode() {
    decodes_for_ever::<Heartbeat>("heartbeat");
}

#[test]
fn control_messages_of_former_builds_decode() {
    decodes_for_ever::<Cancel>("cancel");
    decodes_for_ever::<Drain>("drain");
    decodes_for_ever::<LogChunk>("log_chunk");
}
