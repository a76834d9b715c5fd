//! `/v1/projects/{project}/objects`: bytes by digest.

use std::path::Path;

use maestro_schemas::digest::Digest;
use reqwest::{Method, Response};
use serde::{Deserialize, Serialize};

use super::{Client, Error};

/// How many digests are asked about at once.
pub const ASK_MAX: usize = 1_000;

#[derive(Serialize)]
struct Asked<'a> {
    digests: &'a [Digest],
}

#[derive(Deserialize)]
struct Missing {
    missing: Vec<Digest>,
}

/// An object's bytes as they come. Its reader checks them against the digest.
#[derive(Debug)]
pub struct ObjectStream {
    client: Client,
    response: Response,
}

impl ObjectStream {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let chunk = self.response.chunk().await.map_err(|source| self.client.broken(source))?;
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }
}

impl Client {
    /// Which of at most [`ASK_MAX`] digests the server has no bytes for.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let answer: Missing =
            self.post(&self.in_project("/objects/missing"), &Asked { digests }).await?;
        Ok(answer.missing)
    }

    /// Stores bytes under their digest.
    pub async fn put_object(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), Error> {
        let request = self.stream(Method::PUT, &self.object(digest)).body(bytes);
        self.send(request).await.map(drop)
    }

    /// Stores a file under its digest, without holding it in memory.
    pub async fn put_file(
        &self,
        digest: Digest,
        path: &Path,
        size: u64,
    ) -> std::io::Result<Result<(), Error>> {
        let file = tokio::fs::File::open(path).await?;
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(
            file,
            256 << 10,
        ));
        let request = self
            .stream(Method::PUT, &self.object(digest))
            .header("content-length", size)
            .body(body);
        Ok(self.send(request).await.map(drop))
    }

    /// Opens an object.
    pub async fn object_stream(&self, digest: Digest) -> Result<ObjectStream, Error> {
        let response = self.send(self.stream(Method::GET, &self.object(digest))).await?;
        Ok(ObjectStream { client: self.clone(), response })
    }

    fn object(&self, digest: Digest) -> String {
        self.in_project(&format!("/objects/{digest}"))
    }
}
