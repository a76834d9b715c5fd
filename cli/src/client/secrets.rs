//! `…/secrets`: names and versions. A value goes in and never comes out.

use std::time::Duration;

use maestro_evidence::secret::Zeroizing;
use maestro_schemas::api::secrets::{
    SecretDeliveries, SecretPage, SecretVersion, SecretsRevoked, SecretsRewrapped,
};
use maestro_schemas::id::RunId;
use maestro_schemas::name::SecretName;
use maestro_schemas::secret::SecretRef;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::request::escape;
use super::{Client, Error};

const BYTES: &str = "application/octet-stream";

impl Client {
    /// Versions by name, of each the newest first.
    pub async fn secrets(&self, limit: u32, cursor: Option<&str>) -> Result<SecretPage, Error> {
        let cursor = cursor.map(|cursor| format!("&cursor={}", escape(cursor)));
        let query = format!("?limit={limit}{}", cursor.unwrap_or_default());
        self.get(&self.in_project(&format!("/secrets{query}"))).await
    }

    /// Sets a secret that is not set.
    pub async fn set_secret(
        &self,
        name: &SecretName,
        value: &Zeroizing<Vec<u8>>,
    ) -> Result<SecretVersion, Error> {
        self.give(Method::PUT, &self.in_project(&format!("/secrets/{name}")), value).await
    }

    /// Gives a secret a new value; the former is given out for `grace` from now on.
    pub async fn rotate_secret(
        &self,
        name: &SecretName,
        value: &Zeroizing<Vec<u8>>,
        grace: Duration,
    ) -> Result<SecretVersion, Error> {
        let path = format!("/secrets/{name}/rotate?grace_ms={}", grace.as_millis());
        self.give(Method::POST, &self.in_project(&path), value).await
    }

    /// Revokes a version, or all of them.
    pub async fn revoke_secret(&self, secret: &SecretRef) -> Result<SecretsRevoked, Error> {
        let path = match secret.version {
            Some(version) => format!("/secrets/{}/versions/{version}", secret.name),
            None => format!("/secrets/{}", secret.name),
        };
        self.document(self.request(Method::DELETE, &self.in_project(&path))).await
    }

    /// Wraps a page of data keys by the newest key-encryption key.
    pub async fn rewrap_secrets(&self) -> Result<SecretsRewrapped, Error> {
        self.document(self.request(Method::POST, &self.in_project("/secret-keys/rewrap"))).await
    }

    /// Which secrets the attempts of a run were given.
    pub async fn secrets_of_run(&self, run: RunId) -> Result<SecretDeliveries, Error> {
        self.get(&self.in_project(&format!("/runs/{run}/secrets"))).await
    }

    async fn give(
        &self,
        method: Method,
        path: &str,
        value: &Zeroizing<Vec<u8>>,
    ) -> Result<SecretVersion, Error> {
        let request = self.request(method, path).header(CONTENT_TYPE, BYTES);
        self.document(request.body(value.to_vec())).await
    }
}
