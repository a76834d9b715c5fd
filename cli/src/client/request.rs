//! One request: its address, its token, its time, and the reading of its answer.

use std::time::Duration;

use maestro_schemas::api::problem::Problem;
use maestro_schemas::name::ProjectName;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::address::Address;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// For a whole request that is not a stream.
const REQUEST: Duration = Duration::from_secs(60);
/// The largest JSON answer: a page, a plan of 10,000 nodes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest problem document.
const PROBLEM_BYTES_MAX: usize = 256 << 10;

/// A server, a project and a token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    project: ProjectName,
}

impl Client {
    /// Makes no request yet.
    pub fn new(address: Address, project: ProjectName, token: Option<&str>) -> Result<Self, Error> {
        // Set once for the process; a second time changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .user_agent(concat!("maestro/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers(token)?);
        if address.is_loopback() {
            builder = builder.no_proxy();
        }
        if !address.is_tls() {
            // The system's certificates are not needed, and may be missing.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .build()
            .map_err(|source| Error::Setup { server: address.as_str().to_owned(), source })?;
        Ok(Self { http, address, project })
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The project that is meant.
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// A path below the project, as `/runs`.
    pub(super) fn in_project(&self, rest: &str) -> String {
        format!("/v1/projects/{}{rest}", self.project)
    }

    /// A request with the usual time limit.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.stream(method, path).timeout(REQUEST)
    }

    /// A request whose answer may take as long as its reader likes.
    pub(super) fn stream(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.address.at(path))
    }

    /// Gets a document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.document(self.request(Method::GET, path)).await
    }

    /// Posts a document and reads the one that answers it.
    pub(super) async fn post<B, T>(&self, path: &str, body: &B) -> Result<T, Error>
    where
        B: Serialize + ?Sized,
        T: DeserializeOwned,
    {
        self.document(self.request(Method::POST, path).json(body)).await
    }

    /// Sends a request and reads the document that answers it.
    pub(super) async fn document<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Error> {
        let bytes = self.bytes(self.send(request).await?, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::Malformed { server: self.server(), source })
    }

    /// Sends a request; an answer that is no success is an error.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let (http, request) = request.build_split();
        let request = request.map_err(|source| Error::Setup { server: self.server(), source })?;
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let response = http.execute(request).await.map_err(|source| self.failed(source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let bytes = self.bytes(response, PROBLEM_BYTES_MAX).await.unwrap_or_default();
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Error::Refused(Box::new(problem)),
            Err(_) => Error::Unexpected { server: self.server(), status, method, path },
        })
    }

    /// Reads a whole body of at most `most` bytes.
    pub(super) async fn bytes(
        &self,
        mut response: Response,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.broken(source))? {
            if bytes.len().saturating_add(chunk.len()) > most {
                return Err(Error::TooLarge { server: self.server(), most });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The error of a body that broke off.
    pub(super) fn broken(&self, source: reqwest::Error) -> Error {
        Error::Broken { server: self.server(), source: source.without_url() }
    }

    fn failed(&self, source: reqwest::Error) -> Error {
        if source.is_connect() {
            return Error::Unreachable { server: self.server(), source: source.without_url() };
        }
        self.broken(source)
    }

    fn server(&self) -> String {
        self.address.as_str().to_owned()
    }
}

fn headers(token: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| Error::Token)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A text as one segment of a path, or as a value of a query.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_and_a_broken_one_is_refused() {
        let shown = format!("{:?}", headers(Some("secret")).unwrap());
        assert!(!shown.contains("secret"));
        assert!(matches!(headers(Some("a\nb")), Err(Error::Token)));
    }

    #[test]
    fn a_segment_holds_no_separator() {
        assert_eq!(escape("a/b?c=d&e f"), "a%2Fb%3Fc%3Dd%26e%20f");
    }
}
