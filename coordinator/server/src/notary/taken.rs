//! What was taken over from former runs: their statements about it, and about what it was made from.

use std::collections::{BTreeSet, HashSet, VecDeque};

use maestro_evidence::dsse::Sealed;
use maestro_evidence::statement::Statement;
use maestro_evidence::statement::provenance::{MADE_PREFIX, Provenance};
use maestro_evidence::statement::run::{STATEMENTS_MAX, file};
use maestro_schemas::digest::Digest;

use super::files::Files;
use super::made::Made;
use super::{Unsigned, WAITS_MAX};
use crate::store::evidence;

pub(super) async fn gather(files: &mut Files<'_>, made: &Made) -> Result<(), Unsigned> {
    let wanted: BTreeSet<Digest> = made.unstated().map(|artifact| artifact.digest).collect();
    let mut wanted: VecDeque<Digest> = wanted.into_iter().collect();
    let mut seen: HashSet<Digest> = made.stated.clone();
    let mut kept = HashSet::new();
    while let Some(digest) = wanted.pop_front() {
        if !seen.insert(digest) || kept.len() >= STATEMENTS_MAX {
            continue;
        }
        match evidence::about(&files.notary.pool, &files.due.project, digest).await? {
            None if files.due.tries < WAITS_MAX => return Err(Unsigned::NotYet),
            None => files.leave_out(format!("no run's statement is about {digest}")),
            Some((run, bundle)) => {
                let name = Digest::of(&bundle).short();
                if kept.insert(name.clone()) {
                    let path = format!("{}/taken/{run}/{name}.sigstore.json", file::STATEMENTS);
                    files.keep(path, &bundle).await?;
                }
                wanted.extend(sources(&bundle));
            }
        }
    }
    Ok(())
}

/// What the statement says that its subjects were made from, as far as steps made that. It was signed
/// here, and whoever verifies the evidence verifies it again.
fn sources(bundle: &[u8]) -> Vec<Digest> {
    let read = || {
        let sealed = Sealed::parse(bundle).ok()?;
        Statement::<Provenance>::read(sealed.unverified()).ok()
    };
    let Some(statement) = read() else { return Vec::new() };
    let dependencies = statement.predicate.build_definition.resolved_dependencies;
    let made = dependencies.iter().filter(|source| source.uri.starts_with(MADE_PREFIX));
    made.filter_map(|source| source.digest.as_sha256()).collect()
}
