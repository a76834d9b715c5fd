//! Manifests of a repository, by tag or digest.

use bytes::Bytes;
use maestro_kit::evidence::image::{
    Descriptor, INDEX_MEDIA_TYPE, JSON_BYTES_MAX, MANIFEST_MEDIA_TYPE,
};
use maestro_schemas::digest::Digest;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};

use super::client::Repository;
use super::error::Error;

/// Says in an answer that the registry lists the manifest with what it goes with.
const SUBJECT: &str = "OCI-Subject";
const DOCKERS: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

impl Repository {
    /// The digest of the manifest that a tag or a digest names; nothing where there is none.
    pub async fn resolve(&self, name: &str) -> Result<Option<Digest>, Error> {
        Ok(self.manifest(name).await?.map(|(descriptor, _)| descriptor.digest))
    }

    /// A manifest's bytes with their descriptor; nothing where there is none.
    pub(super) async fn manifest(&self, name: &str) -> Result<Option<(Descriptor, Bytes)>, Error> {
        let doing = format!("giving manifest {name}");
        let accepted = [MANIFEST_MEDIA_TYPE, INDEX_MEDIA_TYPE, DOCKERS[0], DOCKERS[1]].join(", ");
        let response = self
            .get(&format!("manifests/{name}"), &doing, |request| request.header(ACCEPT, &accepted))
            .await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if !status.is_success() => return Err(self.refusal(response, &doing).await),
            _ => {}
        }
        let media_type = media_type(&response);
        let most = usize::try_from(JSON_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = self.body(response, most, &doing).await?;
        let descriptor = Descriptor::of(&media_type, &bytes);
        match name.parse::<Digest>() {
            Ok(wanted) if wanted != descriptor.digest => {
                Err(self.answer(200, &doing, &format!("its bytes are {}", descriptor.digest)))
            }
            _ => Ok(Some((descriptor, bytes))),
        }
    }

    /// Puts a manifest; answers whether the registry lists it with its subject.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<bool, Error> {
        let doing = format!("taking manifest {name}");
        let url = self.url(&format!("manifests/{name}"))?;
        let response = self
            .send(Method::PUT, &url, &doing, |request| {
                request.header(CONTENT_TYPE, media_type).body(bytes.clone())
            })
            .await?;
        if response.status() != StatusCode::CREATED {
            return Err(self.refusal(response, &doing).await);
        }
        Ok(response.headers().contains_key(SUBJECT))
    }
}

/// What an answer is, without parameters.
pub(super) fn media_type(response: &Response) -> String {
    let header = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let plain = header.and_then(|header| header.split(';').next()).unwrap_or_default();
    plain.trim().to_owned()
}
