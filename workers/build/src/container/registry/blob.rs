//! Blobs of a repository: is one there, put one, get one.

use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use maestro_kit::evidence::image::{Descriptor, LAYER_BYTES_MAX};
use maestro_schemas::digest::Digest;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::client::Repository;
use super::error::Error;

/// How often a blob's upload is begun in all.
const UPLOADS_MAX: u32 = 2;

/// Where a blob's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// In memory.
    Memory(&'a Bytes),
    /// In a file.
    File(&'a Path),
}

impl Source<'_> {
    async fn body(self) -> Result<Body, Error> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone().into()),
            Self::File(path) => {
                let file = File::open(path).await.map_err(unable)?;
                Ok(Body::wrap_stream(ReaderStream::with_capacity(file, 256 << 10)))
            }
        }
    }
}

impl Repository {
    /// Whether a blob is there.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let doing = format!("asking after blob {}", blob.digest);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.send(Method::HEAD, &url, &doing, |request| request).await?;
        match response.status() {
            status if status.is_success() || status.is_redirection() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refusal(response, &doing).await),
        }
    }

    /// Puts a blob unless it is there; answers whether it was sent.
    pub(super) async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Source<'_>,
    ) -> Result<bool, Error> {
        if self.has_blob(blob).await? {
            return Ok(false);
        }
        for _ in 1..UPLOADS_MAX {
            match self.upload(blob, source).await {
                Ok(()) => return Ok(true),
                // A token may have run out under way; beginning anew gets another.
                Err(error) if error.is_transient() || matches!(error, Error::Denied { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.upload(blob, source).await?;
        Ok(true)
    }

    async fn upload(&self, blob: &Descriptor, source: Source<'_>) -> Result<(), Error> {
        let doing = format!("taking blob {}", blob.digest);
        let at = self.url("blobs/uploads/")?;
        let begin = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let begun = self.send(Method::POST, &at, &doing, begin).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(self.refusal(begun, &doing).await);
        }
        let mut to: Url = self.location(&at, &begun)?;
        to.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let body = source.body().await?;
        let ended = self
            .send_body(&to, |request| {
                request
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, blob.size)
                    .body(body)
            })
            .await?;
        if ended.status() != StatusCode::CREATED {
            return Err(self.refusal(ended, &doing).await);
        }
        Ok(())
    }

    /// Gets a blob whose size the caller has found small enough.
    pub(super) async fn small_blob(&self, blob: &Descriptor) -> Result<Bytes, Error> {
        let doing = format!("giving blob {}", blob.digest);
        let response =
            self.get(&format!("blobs/{}", blob.digest), &doing, |request| request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &doing).await);
        }
        let most = usize::try_from(blob.size).unwrap_or(usize::MAX);
        let bytes = self.body(response, most, &doing).await?;
        if Digest::of(&bytes) != blob.digest {
            return Err(self.answer(200, &doing, "it gave other bytes"));
        }
        Ok(bytes)
    }

    /// Gets a blob into a new file, of exactly the size and the digest that are wanted.
    pub(super) async fn get_blob(&self, blob: &Descriptor, path: &Path) -> Result<(), Error> {
        let doing = format!("giving blob {}", blob.digest);
        if blob.size > LAYER_BYTES_MAX {
            let problem = format!("its manifest says {} bytes, more than are taken", blob.size);
            return Err(self.answer(200, &doing, &problem));
        }
        let response =
            self.get(&format!("blobs/{}", blob.digest), &doing, |request| request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &doing).await);
        }
        let mut file = File::create_new(path).await.map_err(unable)?;
        let (mut hasher, mut size) = (Sha256::new(), 0u64);
        let mut stream = response.bytes_stream();
        while let Some(part) = stream.next().await {
            let part = part.map_err(|error| self.unreachable(error))?;
            size += part.len() as u64;
            if size > blob.size {
                break;
            }
            hasher.update(&part);
            file.write_all(&part).await.map_err(unable)?;
        }
        file.flush().await.map_err(unable)?;
        let digest = Digest::from_bytes(hasher.finalize().into());
        if size == blob.size && digest == blob.digest {
            return Ok(());
        }
        let problem =
            format!("it gave {digest} of {size} bytes or more, expected {} bytes", blob.size);
        Err(self.answer(200, &doing, &problem))
    }
}

pub(super) fn unable(error: std::io::Error) -> Error {
    Error::Unable { problem: error.to_string() }
}
