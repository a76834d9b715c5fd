//! One request to a registry: address, credentials, tries, limits.

use std::sync::Arc;
use std::time::Duration;

use maestro_kit::evidence::image::Reference;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::challenge::Challenge;
use super::error::Error;
use crate::container::credentials::Credentials;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// For the next bytes of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// For all of an answer that is read into memory.
const ANSWER_MAX: Duration = Duration::from_mins(2);
/// How often one request is made in all where the other side is busy or gone.
const TRIES: u32 = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// How many redirects are followed.
const REDIRECTS_MAX: u32 = 5;

/// Speaks to registries. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    here: reqwest::Client,
    away: reqwest::Client,
    pub(super) credentials: Credentials,
    pub(super) answer_max: Duration,
    /// Held while a list under a tag is read, changed and written.
    pub(super) lists: Arc<Mutex<()>>,
}

/// One repository of a registry, with the token that was got for it.
pub struct Repository {
    pub(super) client: Client,
    pub(super) registry: String,
    pub(super) name: String,
    base: Url,
    is_here: bool,
    /// What is asked for of the registry's token server.
    pub(super) actions: &'static str,
    shown: Mutex<Option<HeaderValue>>,
}

impl Client {
    /// A client that shows `credentials` to whom they are for.
    pub fn new(credentials: Credentials) -> Result<Self, Error> {
        let unable = |error: reqwest::Error| Error::Unable { problem: error.to_string() };
        let (here, away) = (build(true).map_err(unable)?, build(false).map_err(unable)?);
        Ok(Self { here, away, credentials, answer_max: ANSWER_MAX, lists: Arc::default() })
    }

    /// The same, which waits so long for all of an answer, but for the bytes of layers.
    pub fn with_answer_max(mut self, most: Duration) -> Self {
        self.answer_max = most;
        self
    }

    /// The repository that a reference is of, to read and to write.
    pub fn repository(&self, reference: &Reference) -> Result<Repository, Error> {
        self.to(reference, "pull,push")
    }

    /// The repository that a reference is of, only to read: who may not write there may ask.
    pub fn reader(&self, reference: &Reference) -> Result<Repository, Error> {
        self.to(reference, "pull")
    }

    fn to(&self, reference: &Reference, actions: &'static str) -> Result<Repository, Error> {
        let registry = reference.registry.clone();
        let host = match registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let is_here = is_loopback(host);
        let scheme = if is_here { "http" } else { "https" };
        let address = format!("{scheme}://{host}/v2/{}/", reference.repository);
        let base = Url::parse(&address)
            .map_err(|_| Error::Insecure { address, problem: "it is no address" })?;
        let name = reference.repository.clone();
        Ok(Repository {
            client: self.clone(),
            registry,
            name,
            base,
            is_here,
            actions,
            shown: Mutex::default(),
        })
    }
}

fn build(is_here: bool) -> Result<reqwest::Client, reqwest::Error> {
    // Set once for the process; a second time changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE_MAX)
        .user_agent(concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    if is_here { builder.no_proxy().build() } else { builder.https_only(true).build() }
}

/// Whether a host, with or without a port, is this very machine.
pub(in crate::container) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Repository {
    /// An address below the repository's.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.checked(self.base.join(path).ok(), "it is no address")
    }

    /// An address that an answer names, which may be elsewhere, but not without TLS.
    pub(super) fn location(&self, from: &Url, response: &Response) -> Result<Url, Error> {
        let named = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let url = named.and_then(|named| from.join(named).ok());
        self.checked(url, "an answer names no address to go on at")
    }

    pub(super) fn checked(&self, url: Option<Url>, problem: &'static str) -> Result<Url, Error> {
        let Some(url) = url else {
            return Err(Error::Insecure { address: self.registry.clone(), problem });
        };
        let is_here = url.host_str().is_some_and(is_loopback);
        if url.scheme() == "https" || (url.scheme() == "http" && is_here && self.is_here) {
            return Ok(url);
        }
        let address = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(Error::Insecure { address, problem: "expected https" })
    }

    /// Makes a request until it is answered, with credentials where the registry asks for them.
    /// `made` adds what belongs to each try.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        doing: &str,
        made: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.authorized(method.clone(), url, doing, &made).await {
                Ok(response) if !is_busy(response.status()) => return Ok(response),
                Err(Error::Unreachable { .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.authorized(method, url, doing, &made).await
    }

    async fn authorized(
        &self,
        method: Method,
        url: &Url,
        doing: &str,
        made: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let response = self.once(method.clone(), url, made).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(url) {
            return Ok(response);
        }
        let header = response.headers().get(WWW_AUTHENTICATE);
        let Some(challenge) =
            header.and_then(|header| header.to_str().ok()).and_then(Challenge::parse)
        else {
            return Err(self.refusal(response, doing).await);
        };
        match self.authorization(challenge, doing).await? {
            Some(shown) => *self.shown.lock().await = Some(shown),
            None => return Err(self.refusal(response, doing).await),
        }
        self.once(method, url, made).await
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        made: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let request = made(self.http(url).request(method, url.clone()));
        self.shown(request, url).await.send().await.map_err(|error| self.unreachable(error))
    }

    /// Puts a body that can be sent once; what was sent before it has shown the credentials.
    pub(super) async fn send_body(
        &self,
        url: &Url,
        made: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let request = self.shown(made(self.http(url).request(Method::PUT, url.clone())), url).await;
        request.send().await.map_err(|error| self.unreachable(error))
    }

    /// The request with the credentials where the address is the registry's own.
    async fn shown(&self, request: RequestBuilder, url: &Url) -> RequestBuilder {
        match self.shown.lock().await.clone() {
            Some(shown) if self.is_own(url) => request.header(AUTHORIZATION, shown),
            _ => request,
        }
    }

    /// Gets something, wherever the registry says that it lies.
    pub(super) async fn get(
        &self,
        path: &str,
        doing: &str,
        made: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let url = self.url(path)?;
        self.get_at(url, doing, made).await
    }

    /// Gets what lies at an address, or at another that the answer there names.
    pub(super) async fn get_at(
        &self,
        mut url: Url,
        doing: &str,
        made: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(Method::GET, &url, doing, &made).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = self.location(&url, &response)?;
        }
        let problem = "it redirects without end";
        Err(Error::Insecure { address: self.registry.clone(), problem })
    }

    /// Whether an address is the registry's own, which alone is shown credentials.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    pub(super) fn http(&self, url: &Url) -> &reqwest::Client {
        if url.host_str().is_some_and(is_loopback) { &self.client.here } else { &self.client.away }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example:80", "10.0.0.1", "[fe80::1]:5000", ""]
        {
            assert!(!is_loopback(host), "{host}");
        }
        let client = Client::new(Credentials::default()).expect("a client");
        let repository = |text: &str| {
            client.repository(&text.parse().expect("a reference")).expect("a repository")
        };
        assert_eq!(repository("ghcr.io/a/b:c").base.as_str(), "https://ghcr.io/v2/a/b/");
        assert_eq!(repository("localhost:5000/b").base.scheme(), "http");
        let away = repository("docker.io/a/b");
        assert_eq!(away.base.host_str(), Some("registry-1.docker.io"));
        for address in ["http://127.0.0.1/token", "http://a.example/token", "file:///etc/passwd"] {
            let error = away.checked(Url::parse(address).ok(), "x").expect_err("refused");
            assert_eq!(error.code(), "MAE-7036");
        }
    }
}
