//! What was asked of the run, as the audit log has it: entries, each with the proof that it is under a head
//! that a key of the list has signed. They are fetched when evidence is exported, so the manifest does not
//! name them; that one is missing is not seen.

use std::collections::BTreeMap;
use std::path::Path;

use maestro_schemas::audit::AuditEntry;
use serde::Serialize;

use super::files::{Folder, read};
use super::records::Command;
use super::{AUDIT, Finding, Manifest};
use crate::key::PublicKey;
use crate::log::checkpoint;
use crate::log::note::NoteKey;
use crate::log::ticket::{TICKET_BYTES_MAX, Ticket};
use crate::moment::Moment;
use crate::statement::run::{RunEvidence, file};

/// The most entries of a directory.
pub const ENTRIES_MAX: usize = 1_000;

/// What a proof's file ends with.
pub const SUFFIX: &str = ".tlog-proof";

/// The one action about a run that is no command: its entry names the run last.
const PROMOTED: &str = "promotion.grant";

/// An entry that is in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// Its id.
    pub id: String,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// The log.
    pub log: String,
    /// Its place there, from 0.
    pub place: u64,
}

/// The proofs.
pub(super) const FILES: Folder = Folder { name: file::AUDIT, suffix: SUFFIX };

/// Checks every entry, and tells of those that hold, the oldest first.
pub(super) fn check(
    directory: &Path,
    manifest: &Manifest,
    commands: &BTreeMap<String, Command>,
    finding: &mut Finding,
) {
    let keys: Vec<PublicKey> = manifest.trust.unrevoked().cloned().collect();
    let said = &manifest.statement.predicate;
    let paths = FILES.paths(directory, ENTRIES_MAX);
    if paths.len() > ENTRIES_MAX {
        finding.fail(AUDIT, file::AUDIT, format!("more than {ENTRIES_MAX} entries"));
    }
    for path in paths {
        let bytes = read(&directory.join(&path), TICKET_BYTES_MAX as u64).unwrap_or_default();
        match logged(&bytes, &keys).and_then(|(entry, logged)| {
            let name = format!("{}/{}{SUFFIX}", file::AUDIT, entry.id);
            is_of(&entry, said, commands)?;
            match name == path {
                true => Ok(logged),
                false => Err(format!("it is the entry {}", entry.id)),
            }
        }) {
            Ok(logged) => finding.entries.push(logged),
            Err(what) => finding.fail(AUDIT, path, what),
        }
    }
    finding.entries.sort_by_key(|one| one.place);
}

/// The entry of a proof that holds, in whichever log these keys have signed.
fn logged(bytes: &[u8], keys: &[PublicKey]) -> Result<(AuditEntry, Logged), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let read = || {
        let ticket = Ticket::parse(text)?;
        let (name, _) = checkpoint::parse(&ticket.checkpoint)?;
        ticket.verify(&NoteKey { name, keys })?;
        Ok::<_, crate::log::Error>((name.to_owned(), ticket))
    };
    let (log, ticket) = read().map_err(|error| error.to_string())?;
    let entry: AuditEntry = serde_json::from_slice(&ticket.entry)
        .map_err(|error| format!("its entry cannot be read: {error}"))?;
    let logged = Logged {
        id: entry.id.to_string(),
        action: entry.action.clone(),
        actor: entry.actor.clone(),
        at: Moment::from_ms(entry.at_ms),
        log,
        place: ticket.index,
    };
    Ok((entry, logged))
}

/// Whether an entry is about this run, and of a command what the run's record says of it.
fn is_of(
    entry: &AuditEntry,
    said: &RunEvidence,
    commands: &BTreeMap<String, Command>,
) -> Result<(), String> {
    let about = entry.about.as_deref().unwrap_or_default();
    let is_of_run = match entry.run {
        Some(run) => run.to_string() == said.run,
        None => entry.action == PROMOTED && about.ends_with(&format!(" by {}", said.run)),
    };
    let project = entry.project.as_ref().map(ToString::to_string);
    if !is_of_run || project.as_ref() != Some(&said.project) {
        return Err("it is about another run".to_owned());
    }
    let Some(command) = commands.get(&entry.id.to_string()) else { return Ok(()) };
    for (what, found, logged) in
        [("action", &command.action, &entry.action), ("actor", &command.actor, &entry.actor)]
    {
        if found != logged {
            let record = file::COMMANDS;
            return Err(format!("its {what} is {logged:?}, and {found:?} in {record}"));
        }
    }
    match command.at_ms == entry.at_ms {
        true => Ok(()),
        false => Err(format!("it is of another time than in {}", file::COMMANDS)),
    }
}
