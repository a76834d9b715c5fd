//! What rows name, and what is in the directories that they name.
//!
//! Table by table and page by page, each page a statement of its own. No snapshot spans them: what
//! is named while this lasts is young, as the collector's doc says.

use maestro_evidence::collect::Reachable;
use maestro_evidence::store::ArtifactStore;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::{Error, go_on};
use crate::store::named::{self, KeyPlace, Names, StepPlace};

/// Names all of it.
///
/// # Errors
/// Where anything of it could not be read; nothing may be deleted by what was gathered so far.
pub(super) async fn gather(
    conn: &mut PgConnection,
    (store, stop): (&ArtifactStore, &CancellationToken),
    reachable: &mut Reachable,
) -> Result<(), Error> {
    let mut into = Into { store, stop, reachable };
    let mut after = StepPlace::default();
    while let Some((names, last)) = named::by_attempts(&mut *conn, after).await? {
        into.add(names).await?;
        after = last;
    }
    let mut after = StepPlace::default();
    while let Some((names, last)) = named::by_steps(&mut *conn, after).await? {
        into.add(names).await?;
        after = last;
    }
    let mut after = KeyPlace::default();
    while let Some((names, last)) = named::by_results(&mut *conn, &after).await? {
        into.add(names).await?;
        after = last;
    }
    let mut after = KeyPlace::default();
    while let Some((names, last)) = named::by_plans(&mut *conn, &after).await? {
        into.add(names).await?;
        after = last;
    }
    Ok(())
}

struct Into<'a> {
    store: &'a ArtifactStore,
    stop: &'a CancellationToken,
    reachable: &'a mut Reachable,
}

impl Into<'_> {
    async fn add(&mut self, names: Names) -> Result<(), Error> {
        for digest in names.objects {
            self.reachable.add(digest)?;
        }
        for digest in names.trees {
            go_on(self.stop)?;
            self.reachable.add_tree(self.store, digest).await?;
        }
        go_on(self.stop)
    }
}
