//! `/v1/pools`, `/v1/whoami` and the server's own state.

use std::collections::BTreeMap;

use maestro_schemas::api::pools::PoolList;
use reqwest::Method;
use serde::Deserialize;

use super::{Client, Error};

/// Whom a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The token's name.
    pub name: String,
    /// A role for each project.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

impl Client {
    /// The pools that live workers serve.
    pub async fn pools(&self) -> Result<PoolList, Error> {
        self.get("/v1/pools").await
    }

    /// Whom the token belongs to.
    pub async fn whoami(&self) -> Result<Identity, Error> {
        self.get("/v1/whoami").await
    }

    /// Whether the server is ready to work.
    pub async fn ready(&self) -> Result<(), Error> {
        self.send(self.request(Method::GET, "/readyz")).await.map(drop)
    }
}
