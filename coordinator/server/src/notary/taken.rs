//! What was taken over from former runs: their statements about it, and about what it was made from.

use std::collections::{BTreeSet, HashSet, VecDeque};

use maestro_evidence::dsse::Sealed;
use maestro_evidence::statement::Statement;
use maestro_evidence::statement::begun::Link;
use maestro_evidence::statement::provenance::Provenance;
use maestro_evidence::statement::run::{STATEMENTS_MAX, file};
use maestro_schemas::digest::Digest;

use super::files::Files;
use super::made::Made;
use super::{Unsigned, WAITS_MAX};
use crate::store::evidence;

/// The most statements of a former run about one thing.
const TAKEN_MAX: u16 = 100;

/// A step may have its result from another step of this run, whose statement is here then. One that only
/// says that it was handed on is not enough.
pub(super) async fn gather(files: &mut Files<'_>, made: &Made) -> Result<(), Unsigned> {
    let mut seen = made.begun(&BTreeSet::new());
    let wanted: BTreeSet<Digest> = made.unstated().map(|artifact| artifact.digest).collect();
    let mut wanted: VecDeque<Digest> = wanted.into_iter().collect();
    let (mut kept, mut known, mut missing) = (HashSet::new(), BTreeSet::new(), Vec::new());
    while let Some(digest) = wanted.pop_front() {
        if !seen.insert(digest) || kept.len() >= STATEMENTS_MAX {
            continue;
        }
        let (pool, count_max) = (&files.notary.pool, u32::from(TAKEN_MAX) + 1);
        let found = evidence::taken_from(pool, files.due, digest, count_max).await?;
        if found.is_empty() {
            missing.push(digest);
            continue;
        }
        known.insert(digest);
        if found.len() > usize::from(TAKEN_MAX) {
            files.leave_out(format!("statements about {digest} beyond the first {TAKEN_MAX}"));
        }
        for (run, bundle) in found.into_iter().take(usize::from(TAKEN_MAX)) {
            let name = Digest::of(&bundle).short();
            if kept.insert(name.clone()) {
                let path = format!("{}/taken/{run}/{name}.sigstore.json", file::STATEMENTS);
                files.keep(path, &bundle).await?;
            }
            wanted.extend(sources(&bundle));
        }
    }
    let begun = made.begun(&known);
    missing.retain(|digest| !begun.contains(digest));
    if !missing.is_empty() && files.due.tries < WAITS_MAX {
        return Err(Unsigned::NotYet);
    }
    for digest in missing {
        files.leave_out(format!("no run's statement says how {digest} was made"));
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
    read().iter().flat_map(|statement| Link::of(statement).from).collect()
}
