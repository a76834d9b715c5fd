//! The bytes of a plan's workspaces, sent to the server as far as it does not have them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;

use super::snapshot::Snapshot;
use crate::client::objects::ASK_MAX;
use crate::client::{self, Client};
use crate::error::Error;

/// So many objects are sent at once.
const PARALLEL: usize = 8;

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many objects.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Sends the trees and their files. The trees go last: whoever finds one finds its files too.
pub async fn send(
    client: &Client,
    snapshot: &Snapshot,
    trees: &BTreeMap<Digest, Tree>,
) -> Result<Sent, Error> {
    let files: BTreeSet<Digest> = trees.values().flat_map(file_digests).collect();
    let lacking = missing(client, files.into_iter().collect()).await?;
    let size = |digest| snapshot.places.get(digest).map_or(0, |(_, size)| *size);
    let mut sent = Sent { objects: lacking.len() as u64, bytes: lacking.iter().map(size).sum() };
    stream::iter(lacking.into_iter().map(|digest| send_file(client, snapshot, digest)))
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    for digest in missing(client, trees.keys().copied().collect()).await? {
        if let Some(tree) = trees.get(&digest) {
            let bytes = serde_json::to_value(tree)?.to_string().into_bytes();
            sent.objects += 1;
            sent.bytes += bytes.len() as u64;
            client.put_object(digest, bytes).await?;
        }
    }
    Ok(sent)
}

fn file_digests(tree: &Tree) -> impl Iterator<Item = Digest> + '_ {
    tree.entries.iter().filter_map(|entry| match &entry.kind {
        TreeEntryKind::File { digest, .. } => Some(*digest),
        TreeEntryKind::Link { .. } => None,
    })
}

async fn missing(client: &Client, digests: Vec<Digest>) -> Result<Vec<Digest>, client::Error> {
    let mut missing = Vec::new();
    for some in digests.chunks(ASK_MAX) {
        missing.extend(client.missing(some).await?);
    }
    Ok(missing)
}

async fn send_file(client: &Client, snapshot: &Snapshot, digest: Digest) -> Result<(), Error> {
    let Some((path, size)) = snapshot.places.get(&digest) else { return Ok(()) };
    let sent =
        client.put_file(digest, path, *size).await.map_err(super::Error::file("read", path))?;
    match sent {
        // The server takes the digest of what came: another means that the file was written to.
        Err(client::Error::Refused(problem)) if matches!(problem.status, 400 | 422) => {
            Err(super::Error::Changed { path: path.clone() }.into())
        }
        Err(client::Error::Broken { .. })
            if std::fs::metadata(path).map_or(true, |meta| meta.len() != *size) =>
        {
            Err(super::Error::Changed { path: path.clone() }.into())
        }
        other => Ok(other?),
    }
}
