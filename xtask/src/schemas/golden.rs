//! Golden fixtures: bytes of every message kind that must decode for ever.
//!
//! `schemas/golden/v1/<kind>.<number>.json` is written by hand and says what a message holds; the
//! `.msgpack` beside it holds the bytes that the build of its day wrote for that. Here the missing
//! bytes are written; those that stand there are never touched. Where a type gets a field, add the
//! next number. `schemas/tests/golden.rs` reads them all.

use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::Answered;
use maestro_schemas::control::{Cancel, Drain, LogChunk};
use maestro_schemas::event::EventBatch;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::secret::{SecretsAnswer, SecretsQuestion};
use maestro_schemas::task::Task;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkout;
use crate::error::Error;

const FIXTURES: &str = "schemas/golden/v1/";

/// Writes the bytes of each fixture that has none yet.
pub fn add_missing() -> Result<(), Error> {
    let files = checkout::files()?;
    let fixtures =
        files.iter().filter_map(|path| path.strip_prefix(FIXTURES)?.strip_suffix(".json"));
    for fixture in fixtures {
        let path = format!("{FIXTURES}{fixture}.msgpack");
        if files.contains(&path) {
            continue;
        }
        let text = checkout::read(&format!("{FIXTURES}{fixture}.json"))?;
        checkout::write(&path, &bytes(fixture, &text)?)?;
        eprintln!("wrote {path}");
    }
    Ok(())
}

/// What a fixture's JSON is as a message, by the first word of its name.
fn bytes(fixture: &str, text: &str) -> Result<Vec<u8>, Error> {
    match fixture.split('.').next() {
        Some("task") => encode::<Task>(text),
        Some("reports" | "call_begun" | "submit" | "cancel_run") => encode::<InboxMessage>(text),
        Some("event_batch") => encode::<EventBatch>(text),
        Some("heartbeat") => encode::<Heartbeat>(text),
        Some("cancel") => encode::<Cancel>(text),
        Some("drain") => encode::<Drain>(text),
        Some("log_chunk") => encode::<LogChunk>(text),
        Some("secrets_question") => encode::<SecretsQuestion>(text),
        Some("secrets_answer") => encode::<SecretsAnswer>(text),
        Some("answered") => encode::<Answered>(text),
        _ => Err(Error::UnknownFixture { name: fixture.to_owned() }),
    }
}

fn encode<T: Serialize + DeserializeOwned>(text: &str) -> Result<Vec<u8>, Error> {
    let message: T =
        serde_json::from_str(text).map_err(|source| Error::Json { what: "a fixture", source })?;
    Ok(codec::encode(&message)?)
}
