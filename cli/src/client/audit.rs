//! `…/audit` and `/v1/audit`: what was done, and the log that it stands in.

use maestro_evidence::log::note::NOTE_BYTES_MAX;
use maestro_evidence::log::ticket::TICKET_BYTES_MAX;
use maestro_evidence::log::tile::BUNDLE_BYTES_MAX;
use maestro_schemas::api::audit::{AuditCheckpoints, AuditItem, AuditLog, AuditPage, AuditRows};
use maestro_schemas::audit::EntryId;
use maestro_schemas::id::RunId;
use reqwest::Method;

use super::request::escape;
use super::{Client, Error};

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only of this action.
    pub action: Option<String>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// The most entries.
    pub limit: u32,
    /// The former page's `next`.
    pub cursor: Option<String>,
}

impl AuditFilter {
    fn query(&self) -> String {
        let run = self.run.map(|run| run.to_string());
        let of = [
            ("action", self.action.as_deref()),
            ("actor", self.actor.as_deref()),
            ("run", run.as_deref()),
            ("cursor", self.cursor.as_deref()),
        ];
        let given = of.into_iter().filter_map(|(name, value)| Some((name, escape(value?))));
        let given = given.map(|(name, value)| format!("&{name}={value}"));
        format!("?limit={}{}", self.limit, given.collect::<String>())
    }
}

impl Client {
    /// A page of what was done in the project.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, Error> {
        self.get(&self.in_project(&format!("/audit{}", filter.query()))).await
    }

    /// One entry.
    pub async fn audit_entry(&self, id: EntryId) -> Result<AuditItem, Error> {
        self.get(&self.in_project(&format!("/audit/{id}"))).await
    }

    /// The proof of an entry.
    pub async fn audit_proof(&self, id: EntryId) -> Result<String, Error> {
        let bytes =
            self.whole(&self.in_project(&format!("/audit/{id}/proof")), TICKET_BYTES_MAX).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The state of the log as the database has it.
    pub async fn audit_log(&self) -> Result<AuditLog, Error> {
        self.get("/v1/audit").await
    }

    /// The newest checkpoint; none where there is none.
    pub async fn audit_checkpoint(&self) -> Result<Option<String>, Error> {
        let bytes = self.if_there("/v1/audit/checkpoint", NOTE_BYTES_MAX).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Checkpoints that are kept, of trees of more entries than `after`.
    pub async fn audit_checkpoints(&self, after: Option<u64>) -> Result<AuditCheckpoints, Error> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        self.get(&format!("/v1/audit/checkpoints{query}")).await
    }

    /// A tile or a bundle of the log, by its path; none where it is not there.
    pub async fn audit_tile(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.if_there(&format!("/v1/audit/{path}"), BUNDLE_BYTES_MAX).await
    }

    /// Rows of places from `from` on.
    pub async fn audit_rows(&self, from: u64) -> Result<AuditRows, Error> {
        self.get(&format!("/v1/audit/rows?from={from}")).await
    }

    async fn whole(&self, path: &str, most: usize) -> Result<Vec<u8>, Error> {
        self.bytes(self.send(self.request(Method::GET, path)).await?, most).await
    }

    async fn if_there(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.whole(path, most).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}
