//! What handlers are given: the project and run of the path, the query, the body; each checked,
//! each refused as a problem.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use maestro_schemas::id::RunId;
use serde::de::DeserializeOwned;

use super::Api;
use super::admit::Caller;
use super::problem::{Kind, Refusal};
use crate::app::Asker;

/// Who asks, in the project of the path.
pub(super) struct InProject(pub(super) Asker);

/// Who asks, and the run of the path.
pub(super) struct InRun {
    pub(super) asker: Asker,
    pub(super) run: RunId,
}

/// One value of the path by its name, read from text.
pub(super) async fn of_path<T>(
    parts: &mut Parts,
    api: &Api,
    name: &'static str,
) -> Result<T, Refusal>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let params = RawPathParams::from_request_parts(parts, api).await;
    let params = params.map_err(|_| Refusal::new(Kind::Parameter, "the path is not UTF-8"))?;
    let text = params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
    text.parse().map_err(|error| Refusal::new(Kind::Parameter, format!("{name}: {error}")))
}

/// The gate has put it there; a route whose gate did not is a fault of ours.
fn left_by_gate<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T, Refusal> {
    let found = parts.extensions.get::<T>().cloned();
    found.ok_or_else(|| Refusal::new(Kind::Fault, "the route has no gate"))
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Refusal> {
        left_by_gate(parts)
    }
}

impl FromRequestParts<Api> for InProject {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Refusal> {
        left_by_gate(parts).map(Self)
    }
}

impl FromRequestParts<Api> for InRun {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        Ok(Self { asker: left_by_gate(parts)?, run: of_path(parts, api, "run").await? })
    }
}

/// The query's names and values, in order. A name may come several times.
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// The values of a name; none is left behind.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) =
            std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == name);
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a name that may come once.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        let mut values = self.take_all(name);
        let value = values.pop();
        match values.is_empty() {
            true => Ok(value),
            false => Err(Refusal::new(Kind::Parameter, format!("{name}: given more than once"))),
        }
    }

    /// The value of a name that may come once, read from text.
    pub(super) fn read<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, Refusal> {
        let value = self.take(name)?.map(|text| text.parse());
        value
            .transpose()
            .map_err(|_| Refusal::new(Kind::Parameter, format!("{name}: expected {expected}")))
    }

    /// Refuses what is left: a name that nothing is known of.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(64).collect();
                Err(Refusal::new(
                    Kind::Parameter,
                    format!("{shown:?} is no parameter of this path"),
                ))
            }
        }
    }
}

impl FromRequestParts<Api> for Pairs {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Refusal> {
        let read = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        read.map(|Query(pairs)| Self(pairs)).map_err(|_| {
            Refusal::new(Kind::Parameter, "the query cannot be read as name=value pairs")
        })
    }
}

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, api).await.map_err(|rejection| match rejection
            .status()
        {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Refusal::new(Kind::TooLarge, "the body is larger than this path takes")
            }
            _ => Refusal::new(Kind::Body, "the body ended before its end"),
        })?;
        // An empty body stands for an empty object: all that it could say has a default, or is missed.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| {
            let found: String = error.to_string().chars().take(500).collect();
            Refusal::new(Kind::Body, found)
        })
    }
}
