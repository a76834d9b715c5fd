//! Keys in AWS KMS: its JSON protocol, each request signed (SigV4) with the credentials that the usual
//! `AWS_…` variables, a web identity or the machine's role give.
//!
//! | file | what it holds |
//! |---|---|
//! | this one | a client that is bounded in time, size and attempts |
//! | [`arn`] | the name of a key |
//! | [`signer`] | a key that signs evidence |
//! | [`kek`] | a key that wraps data keys |
//!
//! A process that uses it must have installed its default TLS provider (`rustls`) before.

pub mod arn;
pub mod kek;
pub mod signer;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use arn::KeyArn;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is asked where asking again may help.
const ASKED_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const WORDS_CHARS_MAX: usize = 300;

const FORM: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// What the service does not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AWS KMS: {message}")]
pub struct Fault {
    /// Of which kind it is.
    pub kind: FaultKind,
    /// What it said.
    pub message: String,
}

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such key, or it is disabled or being deleted.
    Missing,
    /// The bytes, the key and the context do not belong together.
    Mismatch,
    /// It may go by itself.
    Away,
    /// It will not go by itself: no permission, no credentials, no such question.
    Refused,
}

impl Fault {
    fn away(message: impl fmt::Display) -> Self {
        Self { kind: FaultKind::Away, message: message.to_string() }
    }

    fn refused(message: impl fmt::Display) -> Self {
        Self { kind: FaultKind::Refused, message: message.to_string() }
    }
}

/// The service of a key's region.
#[derive(Clone)]
struct Kms {
    http: reqwest::Client,
    credentials: AwsCredentialProvider,
    region: String,
    endpoint: String,
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Kms {
    /// The service that has this key. `AWS_ENDPOINT_URL_KMS` and `AWS_ENDPOINT_URL` name another place.
    fn of(key: &KeyArn) -> Result<Self, Fault> {
        // A bucket's builder finds credentials in all the usual places; no bucket is meant.
        let found = AmazonS3Builder::from_env().with_bucket_name("credentials").build();
        let found = found.map_err(|error| Fault::refused(format!("no credentials: {error}")))?;
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Fault::refused)?;
        let named = ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"];
        let named = named.iter().find_map(|name| std::env::var(name).ok());
        Ok(Self {
            http,
            credentials: found.credentials().clone(),
            region: key.region().to_owned(),
            endpoint: named.filter(|url| !url.is_empty()).unwrap_or_else(|| key.endpoint()),
        })
    }

    /// What the service answers to `action`.
    async fn call<A: DeserializeOwned>(
        &self,
        action: &str,
        question: &impl Serialize,
    ) -> Result<A, Fault> {
        let body = Bytes::from(serde_json::to_vec(question).map_err(Fault::refused)?);
        let mut asked = 0;
        loop {
            asked += 1;
            match self.ask(action, body.clone()).await {
                Ok(answer) => {
                    return serde_json::from_slice(&answer).map_err(|_| unreadable(action));
                }
                Err(fault) if fault.kind != FaultKind::Away || asked >= ASKED_MAX => {
                    return Err(fault);
                }
                Err(_) => tokio::time::sleep(PAUSE * asked).await,
            }
        }
    }

    async fn ask(&self, action: &str, body: Bytes) -> Result<Vec<u8>, Fault> {
        let request = self.signed(action, body.clone()).await?;
        let mut sent = self.http.post(&self.endpoint).body(body);
        for (name, value) in request.headers() {
            sent = sent.header(name, value);
        }
        let mut answer = sent.send().await.map_err(|error| unreached(&error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreached(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(unreadable(action));
            }
            bytes.extend_from_slice(&chunk);
        }
        match answer.status() {
            status if status.is_success() => Ok(bytes),
            status => Err(fault(status.as_u16(), &bytes)),
        }
    }

    async fn signed(&self, action: &str, body: Bytes) -> Result<HttpRequest, Fault> {
        let found = self.credentials.get_credential().await;
        let credential = found.map_err(|error| Fault::away(format!("no credentials: {error}")))?;
        let mut request = HttpRequest::new(body.into());
        *request.method_mut() = reqwest::Method::POST;
        *request.uri_mut() = self.endpoint.parse().map_err(Fault::refused)?;
        let target = HeaderValue::from_str(&format!("TrentService.{action}"));
        request.headers_mut().insert(CONTENT_TYPE, FORM);
        request.headers_mut().insert(TARGET, target.map_err(Fault::refused)?);
        AwsAuthorizer::new(&credential, "kms", &self.region)
            .try_authorize(&mut request, None)
            .map_err(Fault::refused)?;
        Ok(request)
    }
}

/// Without the address: what stands in it is the operator's own.
fn unreached(error: &reqwest::Error) -> Fault {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    Fault::away(format!("no answer: {words}"))
}

fn unreadable(action: &str) -> Fault {
    Fault::refused(format!("the answer to {action} is none"))
}

fn fault(status: u16, body: &[u8]) -> Fault {
    let refusal: Refusal = serde_json::from_slice(body)
        .unwrap_or_else(|_| Refusal { kind: String::new(), message: String::new() });
    let kind = refusal.kind.rsplit('#').next().unwrap_or_default();
    let words: String = refusal.message.chars().take(WORDS_CHARS_MAX).collect();
    let message = match (kind, words.as_str()) {
        ("", _) => format!("status {status}"),
        (kind, "") => kind.to_owned(),
        (kind, words) => format!("{kind}: {words}"),
    };
    let kind = match kind {
        "NotFoundException" | "DisabledException" | "KMSInvalidStateException" => {
            FaultKind::Missing
        }
        "InvalidCiphertextException" | "IncorrectKeyException" => FaultKind::Mismatch,
        "ThrottlingException"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "DependencyTimeoutException" => FaultKind::Away,
        _ if status >= 500 || status == 429 => FaultKind::Away,
        _ => FaultKind::Refused,
    };
    Fault { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_says_is_told_apart() {
        let kind = |status, body: &str| fault(status, body.as_bytes()).kind;
        for (status, body, expected) in [
            (400, r#"{"__type":"NotFoundException","message":"no key"}"#, FaultKind::Missing),
            (400, r#"{"__type":"com.amazonaws.kms#DisabledException"}"#, FaultKind::Missing),
            (400, r#"{"__type":"InvalidCiphertextException"}"#, FaultKind::Mismatch),
            (400, r#"{"__type":"ThrottlingException","message":"slow"}"#, FaultKind::Away),
            (400, r#"{"__type":"AccessDeniedException","Message":"no"}"#, FaultKind::Refused),
            (503, "<html>", FaultKind::Away),
            (404, "", FaultKind::Refused),
        ] {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
        let long = format!(r#"{{"__type":"X","message":"{}"}}"#, "é".repeat(1_000));
        assert!(fault(400, long.as_bytes()).message.chars().count() < 320);
    }
}
