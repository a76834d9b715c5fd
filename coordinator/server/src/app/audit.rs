//! Lists, shows and proves what was done, and hands the log out to whoever verifies it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use maestro_evidence::log::hash::leaf;
use maestro_evidence::log::note::NOTE_BYTES_MAX;
use maestro_evidence::log::path::{self, Head};
use maestro_evidence::log::ticket::Ticket;
use maestro_evidence::log::tile::{
    BUNDLE_BYTES_MAX, Kind, TILE_BYTES_MAX, Tile, WIDTH, holding, subtree,
};
use maestro_evidence::store::log::LogStore;
use maestro_schemas::api::audit::{
    AuditCheckpoints, AuditItem, AuditLog, AuditPage, AuditRows, PAGE_MAX, ROWS_MAX,
};
use maestro_schemas::audit::{AuditEntry, EntryId};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::background::auditor::{ANCHORS, NEWEST};
use crate::store::audit_entry::{self, Filter};
use crate::store::audit_log::{self, State};

/// How many entries a page has where nobody says.
const PAGE_DEFAULT: u16 = 50;

/// The most checkpoints of a page.
const CHECKPOINTS_MAX: usize = 100;

/// The most entries that are counted as waiting.
const WAITING_MAX: u16 = 10_000;

/// The most rows of a page: where places are what they should be, [`ROWS_MAX`].
const ROWS_READ_MAX: u16 = 4 * ROWS_MAX;

/// What is asked for, as texts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only of this action.
    pub action: Option<String>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// The most entries.
    pub limit: Option<u16>,
    /// What the page before said.
    pub cursor: Option<String>,
}

impl App {
    /// A page of what was done in a project, the youngest first.
    pub async fn list_audit(
        &self,
        project: &ProjectName,
        query: Query,
    ) -> Result<AuditPage, Error> {
        let count = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let filter = Filter {
            action: query.action,
            actor: query.actor,
            run: query.run,
            before: query.cursor.as_deref().map(place).transpose()?,
            count_max: count + 1,
        };
        for (field, text) in [("action", &filter.action), ("actor", &filter.actor)] {
            text.as_deref().map_or(Ok(()), |text| super::check_text(field, text))?;
        }
        let mut entries = audit_entry::list(&self.pool, project, &filter).await?;
        let is_last = entries.len() <= usize::from(count);
        entries.truncate(usize::from(count));
        let last = entries.last().map(|item| &item.entry).filter(|_| !is_last);
        let next = last.map(|entry| format!("{}-{}", entry.at_ms, entry.id));
        Ok(AuditPage { entries, next })
    }

    /// One entry of a project.
    pub async fn show_audit(&self, project: &ProjectName, id: EntryId) -> Result<AuditItem, Error> {
        let found = audit_entry::find(&self.pool, project, id).await?;
        found.ok_or_else(|| Error::not_found("entry of the audit log", id))
    }

    /// The proof that an entry of a project is in the log, as a file of its own.
    pub async fn prove_audit(&self, project: &ProjectName, id: EntryId) -> Result<String, Error> {
        let item = self.show_audit(project, id).await?;
        let state = audit_log::state(&self.pool).await?;
        let signed = item.leaf.filter(|leaf| *leaf < state.head.size).zip(state.checkpoint.clone());
        let Some((index, checkpoint)) = signed else { return Err(Error::Unlogged(id)) };
        let log = self.objects.log(&state.origin);
        let entry = entry_at(&log, index, state.head).await?;
        let is_it = serde_json::from_slice(&entry).is_ok_and(|entry: AuditEntry| entry.id == id);
        if !is_it {
            return Err(Error::Broken(format!("place {index} holds another entry than {id}")));
        }
        let proof = proof(&log, index, state.head).await?;
        let place = (index, state.head.size);
        path::verify_inclusion(leaf(&entry), place, &proof, state.head.root)
            .map_err(|error| Error::Broken(format!("entry {index}: {error}")))?;
        Ok(Ticket { entry: entry.to_vec(), index, proof, checkpoint }.text())
    }

    /// The state of the log as the database has it.
    pub async fn show_audit_log(&self) -> Result<AuditLog, Error> {
        let State { origin, assigned, head, public_key, .. } = audit_log::state(&self.pool).await?;
        let (waiting, waiting_since_ms) = audit_entry::backlog(&self.pool, WAITING_MAX).await?;
        let Head { size, root } = head;
        Ok(AuditLog { origin, assigned, size, root, waiting, waiting_since_ms, public_key })
    }

    /// The newest checkpoint as it stands in object storage.
    pub async fn read_checkpoint(&self) -> Result<Bytes, Error> {
        let state = audit_log::state(&self.pool).await?;
        let log = self.objects.log(&state.origin);
        let found = log.get(NEWEST, NOTE_BYTES_MAX as u64).await?;
        found.ok_or_else(|| Error::not_found("checkpoint", "of the audit log"))
    }

    /// Checkpoints that are kept beside the newest, of trees of more entries than `after`.
    pub async fn list_checkpoints(&self, after: Option<u64>) -> Result<AuditCheckpoints, Error> {
        let state = audit_log::state(&self.pool).await?;
        let log = self.objects.log(&state.origin);
        let after = after.map(|size| format!("{size:020}"));
        let names = log.list(ANCHORS).await?.into_iter();
        let mut names = names.filter(|name| after.as_ref().is_none_or(|after| name > after));
        let mut page = AuditCheckpoints::default();
        for name in names.by_ref().take(CHECKPOINTS_MAX) {
            let bytes = log.get(&format!("{ANCHORS}/{name}"), NOTE_BYTES_MAX as u64).await?;
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            page.checkpoints.push(text);
            page.next = name.parse().ok();
        }
        if names.next().is_none() {
            page.next = None;
        }
        Ok(page)
    }

    /// A tile or a bundle of entries as it stands in object storage, by its path.
    pub async fn read_tile(&self, path: &str) -> Result<Bytes, Error> {
        let unknown = || Error::not_found("tile of the audit log", path);
        let tile = Tile::parse(path).ok_or_else(unknown)?;
        let state = audit_log::state(&self.pool).await?;
        let found = get(&self.objects.log(&state.origin), tile).await?;
        found.ok_or_else(unknown)
    }

    /// Rows with the places from `from` on, as many as a bundle has.
    pub async fn list_audit_rows(&self, from: u64) -> Result<AuditRows, Error> {
        let range = (from, from.saturating_add(u64::from(ROWS_MAX)));
        let (rows, next) = audit_entry::rows(&self.pool, range, ROWS_READ_MAX).await?;
        Ok(AuditRows { rows, next })
    }
}

/// Reads a cursor, as `1700000000000-cmd_…`.
fn place(text: &str) -> Result<(u64, EntryId), Error> {
    let read = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    read.ok_or_else(|| Error::invalid("cursor", "expected what the page before gave as `next`"))
}

async fn get(log: &LogStore, tile: Tile) -> Result<Option<Bytes>, Error> {
    let limit = match tile.kind {
        Kind::Entries => BUNDLE_BYTES_MAX,
        Kind::Hashes(_) => TILE_BYTES_MAX,
    };
    Ok(log.get(&tile.to_string(), limit as u64).await?)
}

/// What must be there and readable.
async fn need(log: &LogStore, tile: Tile) -> Result<Bytes, Error> {
    get(log, tile).await?.ok_or_else(|| Error::Broken(format!("{tile} is missing")))
}

async fn entry_at(log: &LogStore, index: u64, head: Head) -> Result<Bytes, Error> {
    let width = u64::from(WIDTH);
    let broken = || Error::Broken(format!("entry {index} is in no bundle"));
    let tile = Tile::within(Kind::Entries, index / width, head.size).ok_or_else(broken)?;
    let bytes = need(log, tile).await?;
    let entries = tile.entries(&bytes).map_err(|error| Error::Broken(error.to_string()))?;
    let at = usize::try_from(index % width).unwrap_or(usize::MAX);
    let entry = entries.get(at).copied().ok_or_else(broken)?;
    Ok(bytes.slice_ref(entry))
}

async fn proof(log: &LogStore, index: u64, head: Head) -> Result<Vec<Digest>, Error> {
    let broken = |what: &str| Error::Broken(format!("the proof of entry {index}: {what}"));
    let mut tiles: BTreeMap<Tile, Vec<Digest>> = BTreeMap::new();
    let mut proof = Vec::new();
    for range in path::inclusion(index, head.size) {
        let mut hashes = Vec::new();
        for node in path::subtrees(&range) {
            let (tile, of) = holding(node, head.size).ok_or_else(|| broken("no tile has it"))?;
            let read = match tiles.entry(tile) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(place) => {
                    let bytes = need(log, tile).await?;
                    let read = tile.hashes(&bytes).map_err(|error| broken(&error.to_string()))?;
                    place.insert(read)
                }
            };
            let hash = subtree(read, of);
            hashes.push(hash.ok_or_else(|| broken("a tile is too narrow"))?);
        }
        proof.push(path::fold(&hashes).ok_or_else(|| broken("a range is empty"))?);
    }
    Ok(proof)
}
