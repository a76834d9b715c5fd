//! `…/runs/{run}/evidence`, `…/made/{digest}` and `/v1/keys`: what was signed, and with what.

use maestro_schemas::api::evidence::{EvidenceStanding, MadeBy};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use reqwest::Method;

use super::{Client, Error};

/// The largest file of evidence that is fetched, in bytes.
const FILE_BYTES_MAX: usize = 64 << 20;

impl Client {
    /// Where the evidence of a run stands.
    pub async fn evidence(&self, run: RunId) -> Result<EvidenceStanding, Error> {
        self.get(&self.of_run(run, "/evidence")).await
    }

    /// A statement or record of a run; its reader takes the digest anew.
    pub async fn evidence_file(&self, run: RunId, digest: Digest) -> Result<Vec<u8>, Error> {
        let path = self.of_run(run, &format!("/evidence/{digest}"));
        self.bytes(self.send(self.request(Method::GET, &path)).await?, FILE_BYTES_MAX).await
    }

    /// Which run's evidence says how something was made.
    pub async fn made_by(&self, made: Digest) -> Result<MadeBy, Error> {
        self.get(&self.in_project(&format!("/made/{made}"))).await
    }

    /// The list of keys, as its root signed it.
    pub async fn signed_keys(&self) -> Result<Vec<u8>, Error> {
        let response = self.send(self.request(Method::GET, "/v1/keys")).await?;
        self.bytes(response, FILE_BYTES_MAX).await
    }
}
