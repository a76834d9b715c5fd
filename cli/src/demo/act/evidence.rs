//! What a stranger can verify: the build's evidence as plain files, and one flipped bit of it.

use std::path::{Path, PathBuf};

use maestro_evidence::verify::{Finding, Question, directory};
use maestro_schemas::id::RunId;

use crate::commands::evidence::write;
use crate::demo::broken::promise;
use crate::demo::facts::Verified;
use crate::demo::fleet::Fleet;
use crate::demo::place::Place;
use crate::demo::voice::Voice;
use crate::error::Error;
use crate::view::words::count;

/// The artifact that a bit is flipped of.
const ARCHIVE: &str = "artifacts/build/package/archive";

/// Tells of it.
pub async fn tell(
    run: RunId,
    place: &Place,
    fleet: &Fleet,
    voice: &Voice,
) -> Result<Verified, Error> {
    let to = place.out().join("evidence");
    if to.exists() {
        std::fs::remove_dir_all(&to).map_err(Error::file("replace", &to))?;
    }
    let writing = write(&fleet.client, run, &to, voice.output);
    voice.while_waiting("writing what the build left", writing).await?;
    let paint = voice.output.paint_talk();
    voice.say(&format!("  maestro verify --dir {}", Place::shown(&to)));
    let found = verify(&to).await?;
    promise(found.verified, "the evidence", "all of it holds", format!("{:?}", found.failures))?;
    let root = found.root.map(|root| root.short()).unwrap_or_default();
    let (files, statements) = (count(found.files as u64, "file"), found.statements);
    voice.say(&format!(
        "  {} {files} are what was signed, and no other is there; {statements} statements, root {root}",
        paint.good("✓")
    ));
    if let Some(link) = found.chain.iter().find(|link| link.made.ends_with("#archive")) {
        voice.say(&format!("    {} was made on {}", link.made, link.builder));
        for source in &link.from {
            voice.say(&paint.dim(&format!("      from {source}")));
        }
    }
    let archive = to.join(ARCHIVE);
    flip(&archive)?;
    voice.say(&format!("  one bit of {ARCHIVE} is flipped:"));
    let found_after = verify(&to).await?;
    let failed = found_after.failures.first().map(|failure| failure.file.clone());
    let told = format!("{:?}", found_after.failures);
    promise(failed.as_deref() == Some(ARCHIVE), "the flipped bit", "its file is named", told)?;
    for failure in &found_after.failures {
        voice.say(&format!("  {} {}: {}", paint.bad("✗"), failure.file, failure.what));
    }
    flip(&archive)?;
    Ok(Verified { files: found.files, statements, flipped: failed })
}

async fn verify(to: &Path) -> Result<Finding, Error> {
    let to: PathBuf = to.to_owned();
    let verifying = tokio::task::spawn_blocking(move || directory(&to, &Question::default()));
    verifying.await.map_err(|error| Error::service("verify", error))
}

/// Flips a bit in the middle of a file; done twice, it is as it was.
fn flip(path: &Path) -> Result<(), Error> {
    let mut bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    std::fs::write(path, bytes).map_err(Error::file("write", path))
}
