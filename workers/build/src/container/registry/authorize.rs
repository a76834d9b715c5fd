//! What is shown to a registry: a name and a password, or a token of its token server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::Repository;
use super::error::Error;
use crate::container::credentials::Credential;

/// The largest token.
const TOKEN_BYTES_MAX: usize = 256 << 10;

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl Repository {
    /// What is shown from now on; nothing where there is nothing to show.
    pub(super) async fn authorization(
        &self,
        challenge: Challenge,
        doing: &str,
    ) -> Result<Option<HeaderValue>, Error> {
        let credential = self.client.credentials.of(&self.registry, &self.name);
        match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                Ok(header(&basic(user, password)))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service }, credential) => {
                let realm =
                    self.checked(Url::parse(&realm).ok(), "its token server is no address")?;
                self.token(realm, service.as_deref(), credential, doing).await
            }
        }
    }

    /// Gets a token for what the repository is used for from the registry's token server.
    async fn token(
        &self,
        mut realm: Url,
        service: Option<&str>,
        credential: Option<&Credential>,
        doing: &str,
    ) -> Result<Option<HeaderValue>, Error> {
        let scope = format!("repository:{}:{}", self.name, self.actions);
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let request = match credential {
            Some(Credential::IdentityToken(token)) => {
                fields.extend([("grant_type", "refresh_token"), ("client_id", "maestro")]);
                fields.push(("refresh_token", token));
                let mut form = realm.clone();
                form.query_pairs_mut().clear().extend_pairs(fields);
                self.http(&realm)
                    .post(realm.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            other => {
                realm.query_pairs_mut().extend_pairs(fields);
                let request = self.http(&realm).get(realm.clone());
                match other {
                    Some(Credential::Password { user, password }) => {
                        request.basic_auth(user, Some(password))
                    }
                    _ => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response, doing).await);
        }
        let bytes = self.body(response, TOKEN_BYTES_MAX, doing).await?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        // The parser's own words could quote the token.
        let token = token.ok_or_else(|| self.answer(200, doing, "its token server gave none"))?;
        Ok(header(&format!("Bearer {token}")))
    }
}

fn basic(user: &str, password: &str) -> String {
    let text = STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}

fn header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
