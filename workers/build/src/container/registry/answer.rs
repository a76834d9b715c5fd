//! What an answer holds, within its limits, and what one that is no success means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use maestro_kit::evidence::image;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::client::Repository;
use super::error::Error;

/// The largest refusal that is read for its reason.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// How much of a refusal is told, in characters.
const TOLD_MAX: usize = 300;

impl Repository {
    /// The bytes of an answer, of at most `most`; one that comes byte by byte is not waited for.
    pub(super) async fn body(
        &self,
        response: Response,
        most: usize,
        doing: &str,
    ) -> Result<Bytes, Error> {
        let reading = self.whole(response, most, doing);
        tokio::time::timeout(self.client.answer_max, reading).await.unwrap_or_else(|_| {
            let problem = format!("its answer takes longer than {:?}", self.client.answer_max);
            Err(Error::Unreachable { registry: self.registry.clone(), problem })
        })
    }

    async fn whole(&self, response: Response, most: usize, doing: &str) -> Result<Bytes, Error> {
        let status = response.status().as_u16();
        let mut bytes = BytesMut::new();
        let mut stream = response.bytes_stream();
        while let Some(part) = stream.next().await {
            bytes.extend_from_slice(&part.map_err(|error| self.unreachable(error))?);
            if bytes.len() > most {
                let problem = format!("more than {most} bytes");
                return Err(self.answer(status, doing, &problem));
            }
        }
        Ok(bytes.freeze())
    }

    /// What an answer that is no success means.
    pub(super) async fn refusal(&self, response: Response, doing: &str) -> Error {
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let (registry, doing) = (self.registry.clone(), doing.to_owned());
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Error::Throttled { registry, doing, after };
        }
        let body = self.body(response, REFUSAL_BYTES_MAX, &doing).await.unwrap_or_default();
        let problem = told(&String::from_utf8_lossy(&body));
        let problem = if problem.is_empty() { "it gives no reason".to_owned() } else { problem };
        let status = status.as_u16();
        match status {
            401 | 403 => Error::Denied { registry, doing, status, problem },
            _ => Error::Answer { registry, doing, status, problem },
        }
    }

    /// An answer that the specification does not have.
    pub(super) fn answer(&self, status: u16, doing: &str, problem: &str) -> Error {
        Error::Answer {
            registry: self.registry.clone(),
            doing: doing.to_owned(),
            status,
            problem: problem.to_owned(),
        }
    }

    pub(super) fn untrue(&self, source: image::Error) -> Error {
        Error::Untrue { registry: self.registry.clone(), source }
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> Error {
        let error = error.without_url();
        let mut problem = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            problem = format!("{problem}: {error}");
            cause = error.source();
        }
        Error::Unreachable { registry: self.registry.clone(), problem }
    }
}

/// What a registry said, on one line and cut, without what a terminal would obey.
fn told(text: &str) -> String {
    #[derive(Deserialize)]
    struct Refused {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let reasons = serde_json::from_str::<Refused>(text).ok().map(|refused| {
        let each =
            refused.errors.iter().map(|reason| format!("{} {}", reason.code, reason.message));
        each.collect::<Vec<_>>().join("; ")
    });
    let text = reasons.unwrap_or_else(|| text.to_owned());
    let clean = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign });
    clean.take(TOLD_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_told_in_one_line() {
        let text = r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m"},{"code":"X"}]}"#;
        assert_eq!(told(text), "DENIED no [31m; X");
        assert_eq!(told(&"x".repeat(10_000)).len(), TOLD_MAX);
    }
}
