//! One call over HTTP.

use std::time::Duration;

use maestro_kit::log::LogSink;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{Answer, Gathering};
use crate::error::{Error, WORDS_BYTES_MAX};
use crate::gateway::Endpoint;
use crate::sse::{Pieces, SILENCE_MAX};

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is not streamed.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest refusal that is read for its reason.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// For an answer that is no model's.
const GET: Duration = Duration::from_secs(10);

/// Under which name `deploy/router/maestro_hook.py` tells what a call cost.
const NAME_HEADER: &str = "x-maestro-call";

/// Who calls, and where.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) client: &'a Client,
    pub(crate) endpoint: &'a Endpoint,
    /// What a gateway that tells what calls cost is to call this one by.
    pub(crate) name: Option<&'a str>,
}

/// The clients of all calls of a worker.
pub(crate) struct Clients {
    here: Client,
    away: Client,
}

impl Clients {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { here: client(true)?, away: client(false)? })
    }

    /// The one for an address; what is on this very machine is reached by no proxy.
    pub(crate) fn of(&self, url: &str) -> &Client {
        if is_loopback(url) { &self.here } else { &self.away }
    }
}

/// Whether an address is on this machine.
fn is_loopback(url: &str) -> bool {
    ["//127.", "//localhost", "//[::1]"].iter().any(|host| url.contains(host))
}

fn client(is_here: bool) -> Result<Client, reqwest::Error> {
    // Set once for the process; a second time changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT)
        .user_agent(concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    if is_here { builder.no_proxy().build() } else { builder.build() }
}

impl Caller<'_> {
    fn with_headers(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match self.name {
            Some(name) => request.header(NAME_HEADER, name),
            None => request,
        };
        match &self.endpoint.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// A gateway's words may hold what it was asked with.
    fn without_key(&self, words: &str) -> String {
        match &self.endpoint.key {
            Some(key) if !key.is_empty() => words.replace(key.as_str(), "***"),
            _ => words.to_owned(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.url.trim_end_matches('/'))
    }

    /// Asks a chat model; its text goes to `log` as it comes.
    pub(crate) async fn chat(
        &self,
        model: &str,
        body: &Value,
        log: &LogSink,
    ) -> Result<Answer, Error> {
        let request = self.client.post(self.url("/v1/chat/completions")).json(body);
        let response = self.send(model, request).await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let deployment = header("x-litellm-model-id").map(str::to_owned);
        let cost = header("x-litellm-response-cost").and_then(|cost| cost.parse().ok());
        let mut gathering = Gathering::new(deployment, cost);
        let mut pieces = Pieces::new(response.bytes_stream(), model);
        while let Some(piece) = pieces.next().await? {
            let unreadable = |problem| Error::Unreadable { model: model.to_owned(), problem };
            let added = gathering.add(&piece).map_err(unreadable)?;
            if !added.is_empty() {
                log.write(added).await;
            }
        }
        Ok(gathering.finish())
    }

    /// Asks for something that is not streamed; answers its JSON and headers.
    pub(crate) async fn post(
        &self,
        model: &str,
        path: &str,
        body: &Value,
    ) -> Result<(Value, HeaderMap), Error> {
        let response = self.send(model, self.client.post(self.url(path)).json(body)).await?;
        let headers = response.headers().clone();
        Ok((read(model, response, ANSWER_BYTES_MAX).await?, headers))
    }

    async fn send(&self, model: &str, request: RequestBuilder) -> Result<Response, Error> {
        self.send_within(model, request, SILENCE_MAX).await
    }

    /// Sends a request; the answer must begin in this time.
    pub(crate) async fn send_within(
        &self,
        model: &str,
        request: RequestBuilder,
        wait: Duration,
    ) -> Result<Response, Error> {
        let silent = |_| Error::Silent { model: model.to_owned(), seconds: wait.as_secs() };
        let sent =
            tokio::time::timeout(wait, self.with_headers(request).send()).await.map_err(silent)?;
        let response = sent.map_err(|error| broken(model, &error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let retry_after_ms = retry_after_ms(response.headers());
        let words = match read::<Value>(model, response, REFUSAL_BYTES_MAX).await {
            Ok(body) => self.without_key(&refusal(&body)),
            Err(_) => "it gave no reason".to_owned(),
        };
        Err(Error::Refused { model: model.to_owned(), status, words, retry_after_ms })
    }
}

/// Gets a document of the gateway's own.
pub(crate) async fn get<T: DeserializeOwned>(
    caller: &Caller<'_>,
    path: &str,
    model: &str,
) -> Result<T, Error> {
    let request = caller.client.get(caller.url(path)).timeout(GET);
    let response = caller.send(model, request).await?;
    read(model, response, ANSWER_BYTES_MAX).await
}

/// Reads a document of at most so many bytes.
pub(crate) async fn read<T: DeserializeOwned>(
    model: &str,
    mut response: Response,
    bytes_max: usize,
) -> Result<T, Error> {
    let mut bytes = Vec::new();
    let silent = |_| Error::Silent { model: model.to_owned(), seconds: SILENCE_MAX.as_secs() };
    loop {
        let chunk = tokio::time::timeout(SILENCE_MAX, response.chunk()).await.map_err(silent)?;
        let Some(chunk) = chunk.map_err(|error| broken(model, &error))? else { break };
        bytes.extend_from_slice(&chunk);
        if bytes.len() > bytes_max {
            let problem = format!("it has more than {bytes_max} bytes");
            return Err(Error::Unreadable { model: model.to_owned(), problem });
        }
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Unreadable { model: model.to_owned(), problem: error.to_string() })
}

/// A request that reached nobody was free; one that broke later may have been carried out.
fn broken(model: &str, error: &reqwest::Error) -> Error {
    let (model, problem) = (model.to_owned(), words(error));
    if error.is_connect() {
        Error::Connection { model, problem }
    } else {
        Error::Cut { model, problem }
    }
}

/// An HTTP error with its causes, but without its address, which may hold a key.
pub(crate) fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    if words.is_empty() { "the connection failed".to_owned() } else { cut(&words.join(": ")) }
}

/// What a refusal says in OpenAI's form or Ollama's, or as it is.
fn refusal(body: &Value) -> String {
    let places = ["/error/message", "/detail", "/error"];
    let message = places.iter().find_map(|place| body.pointer(place).filter(|one| one.is_string()));
    cut(&message.and_then(Value::as_str).map_or_else(|| body.to_string(), str::to_owned))
}

/// The beginning of somebody's words.
pub(crate) fn cut(words: &str) -> String {
    let beginning = words.get(..words.floor_char_boundary(WORDS_BYTES_MAX)).unwrap_or_default();
    beginning.chars().filter(|letter| !letter.is_control()).collect()
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); its form as a date is passed over.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1_000.0) as u64)
}
