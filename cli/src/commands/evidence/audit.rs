//! The entries of the audit log about a run, each with its proof, written beside its evidence.

use std::path::Path;
use std::time::Duration;

use maestro_evidence::statement::run::file;
use maestro_evidence::verify::audit::{ENTRIES_MAX, SUFFIX};
use maestro_schemas::api::audit::PAGE_MAX;
use maestro_schemas::audit::EntryId;
use maestro_schemas::id::RunId;
use tokio::time::{Instant, sleep};

use super::write::put;
use crate::client::Client;
use crate::client::audit::AuditFilter;
use crate::client::error::Error as Refused;
use crate::error::Error;
use crate::output::Output;

/// For all entries of a run to be signed, which happens every two seconds.
const SIGNED_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks at one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What says that an entry waits for its place.
const WAITS: &str = "MAE-7074";

/// Writes them; gives their number. What has no proof is left out, and that is said.
pub(super) async fn write(
    client: &Client,
    run: RunId,
    place: &Path,
    output: Output,
) -> Result<usize, Error> {
    let until = Instant::now() + SIGNED_WITHIN;
    let mut filter =
        AuditFilter { run: Some(run), limit: u32::from(PAGE_MAX), ..AuditFilter::default() };
    let mut count = 0;
    loop {
        let page = client.audit(&filter).await?;
        for one in page.entries {
            if count >= ENTRIES_MAX {
                output.talk(&format!("only the newest {ENTRIES_MAX} audit entries are written"));
                return Ok(count);
            }
            let id = one.entry.id;
            match proof(client, id, until).await? {
                Ok(proof) => {
                    put(&place.join(format!("{}/{id}{SUFFIX}", file::AUDIT)), proof.as_bytes())?;
                    count += 1;
                }
                Err(why) => output.talk(&format!("the audit entry {id} is left out: {why}")),
            }
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(count),
        }
    }
}

/// The proof of an entry; or in words why the server gives none.
async fn proof(
    client: &Client,
    id: EntryId,
    until: Instant,
) -> Result<Result<String, String>, Error> {
    loop {
        match client.audit_proof(id).await {
            Ok(proof) => return Ok(Ok(proof)),
            Err(error) if error.code() == Some(WAITS) && Instant::now() < until => {}
            Err(Refused::Refused(problem)) => {
                return Ok(Err(Refused::Refused(problem).to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK_EVERY).await;
    }
}
