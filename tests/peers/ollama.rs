//! A double of an Ollama host, since a real one needs models and GPUs. It replays Ollama's documented API
//! (`docs/api.md` of its repository, docs.ollama.com/api): `POST /api/chat` streamed as lines of JSON,
//! `GET /api/tags`, `/api/ps` and `/api/version`, errors as `{"error": "…"}` with a status or in mid-stream.
//! What it answers is scripted; what it cannot show is how a real host loads, evicts and computes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, StreamExt as _};
use maestro_llm::ollama::Host;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it counts for any question.
pub const PROMPT_TOKENS: u64 = 12;
/// A gibibyte.
pub const GIB: u64 = 1 << 30;
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// How it answers a call.
#[derive(Debug, Clone)]
pub enum Turn {
    /// With this text, a word a line.
    Say(&'static str),
    /// With the first word, and then it hangs up.
    Cut(&'static str),
    /// With the first word, and then with nothing more.
    Hang(&'static str),
    /// With the first word, and then with an error in mid-stream.
    Fail(&'static str),
    /// With this status.
    Refuse(u16),
    /// With a line that is no JSON.
    Garble,
    /// With a line that never ends.
    Endless,
}

#[derive(Default)]
struct Book {
    turns: Vec<Turn>,
    models: BTreeMap<String, u64>,
    loaded: BTreeMap<String, (u64, u64)>,
    gpu: Option<(u64, u64)>,
    version: Option<&'static str>,
    is_mute: bool,
    /// Whether its probe takes questions and never answers.
    hangs: bool,
    chats: Vec<Value>,
    keys: Vec<Option<String>>,
    /// Answers whose connection was closed before their end.
    dropped: usize,
}

type Shared = Arc<Mutex<Book>>;

/// A host on loopback. It ends when it is dropped.
pub struct Ollama {
    book: Shared,
    address: String,
    serving: JoinHandle<()>,
}

impl Ollama {
    /// Starts one that has these models, each of 4 GiB, and answers so; the last turn stands for all that
    /// follow.
    pub async fn start(models: &[&str], turns: impl IntoIterator<Item = Turn>) -> Self {
        let models = models.iter().map(|name| ((*name).to_owned(), 4 * GIB)).collect();
        let turns = turns.into_iter().collect();
        let book = Shared::new(Mutex::new(Book { models, turns, ..Book::default() }));
        let routes = Router::new()
            .route("/api/chat", post(chat))
            .route("/api/tags", get(tags))
            .route("/api/ps", get(ps))
            .route("/api/version", get(version))
            .route("/gpu", get(gpu))
            .with_state(book.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("a server");
        });
        Self { book, address, serving }
    }

    /// It as a worker's configuration has it.
    pub fn host(&self, name: &str) -> Host {
        Host { name: name.to_owned(), url: self.address.clone(), ..Host::default() }
    }

    /// Where its own probe of the GPUs is.
    pub fn probe_url(&self) -> String {
        format!("{}/gpu", self.address)
    }

    /// Has a model loaded, with so many bytes of so many in GPUs.
    pub fn load(&self, model: &str, size: u64, size_vram: u64) {
        self.book().loaded.insert(model.to_owned(), (size, size_vram));
    }

    /// Its probe answers with these bytes in all, and free.
    pub fn gpu(&self, total: u64, free: u64) {
        self.book().gpu = Some((total, free));
    }

    /// Its probe takes questions and never answers from now on.
    pub fn hang_probe(&self) {
        self.book().hangs = true;
    }

    /// Says that it is this version.
    pub fn version(&self, version: &'static str) {
        self.book().version = Some(version);
    }

    /// Answers no question about itself from now on.
    pub fn mute(&self) {
        self.book().is_mute = true;
    }

    /// The requests that it got.
    pub fn chats(&self) -> Vec<Value> {
        self.book().chats.clone()
    }

    /// What stood in the `Authorization` headers of these.
    pub fn keys(&self) -> Vec<Option<String>> {
        self.book().keys.clone()
    }

    /// How many answers lost their reader.
    pub fn dropped(&self) -> usize {
        self.book().dropped
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

impl Drop for Ollama {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tags(State(book): State<Shared>) -> Json<Value> {
    if lock(&book).is_mute {
        tokio::time::sleep(FOR_EVER).await;
    }
    let details = json!({ "format": "gguf", "family": "llama", "parameter_size": "8B", "quantization_level": "Q4_K_M" });
    let entry = |(name, size): (&String, &u64)| json!({ "name": name, "model": name, "modified_at": "2025-10-03T23:34:03.4-07:00", "size": size, "digest": "a2af", "details": details });
    Json(json!({ "models": lock(&book).models.iter().map(entry).collect::<Vec<_>>() }))
}

async fn ps(State(book): State<Shared>) -> Json<Value> {
    let entry = |(name, (size, size_vram)): (&String, &(u64, u64))| json!({ "name": name, "model": name, "size": size, "size_vram": size_vram, "digest": "a2af", "expires_at": "2025-10-17T16:47:07.9-07:00", "context_length": 4096 });
    Json(json!({ "models": lock(&book).loaded.iter().map(entry).collect::<Vec<_>>() }))
}

async fn version(State(book): State<Shared>) -> Json<Value> {
    Json(json!({ "version": lock(&book).version.unwrap_or("0.12.6") }))
}

async fn gpu(State(book): State<Shared>) -> Response {
    if lock(&book).hangs {
        tokio::time::sleep(FOR_EVER).await;
    }
    match lock(&book).gpu {
        Some((total, free)) => {
            Json(json!({ "gpu_memory_total_bytes": total, "gpu_memory_free_bytes": free }))
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn chat(State(book): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let model = full(body["model"].as_str().unwrap_or_default());
    let (turn, size) = {
        let mut book = lock(&book);
        book.chats.push(body);
        let key = headers.get(header::AUTHORIZATION).and_then(|key| key.to_str().ok());
        book.keys.push(key.map(str::to_owned));
        let turn = match book.turns.len() {
            0 | 1 => book.turns.first().cloned(),
            _ => Some(book.turns.remove(0)),
        };
        (turn, book.models.get(&model).copied())
    };
    let (Some(turn), Some(size)) = (turn, size) else {
        return refused(404, &format!("model '{model}' not found"));
    };
    if !matches!(turn, Turn::Refuse(_)) {
        lock(&book).loaded.entry(model.clone()).or_insert((size, size));
    }
    match turn {
        Turn::Say(text) => stream(&book, said(&model, text), Duration::ZERO, true),
        Turn::Cut(text) => stream(&book, first(&model, text), Duration::ZERO, false),
        Turn::Hang(text) => stream(&book, first(&model, text), FOR_EVER, false),
        Turn::Fail(text) => {
            let mut lines = first(&model, text);
            lines.push(format!("{}\n", json!({ "error": "the runner crashed" })));
            stream(&book, lines, Duration::ZERO, true)
        }
        Turn::Refuse(status) => refused(status, &format!("the script says {status}")),
        Turn::Garble => stream(&book, vec!["<html>it works</html>\n".to_owned()], FOR_EVER, true),
        Turn::Endless => stream(&book, vec!["x".repeat(64 << 10); 64], FOR_EVER, true),
    }
}

fn full(model: &str) -> String {
    if model.contains(':') { model.to_owned() } else { format!("{model}:latest") }
}

fn refused(status: u16, words: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, Json(json!({ "error": words }))).into_response()
}

fn line(model: &str, word: &str) -> String {
    let message = json!({ "role": "assistant", "content": word });
    let body = json!({ "model": model, "created_at": "2025-10-26T17:15:24.1Z", "message": message, "done": false });
    format!("{body}\n")
}

fn first(model: &str, text: &str) -> Vec<String> {
    text.split_inclusive(' ').take(1).map(|word| line(model, word)).collect()
}

fn said(model: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.split_inclusive(' ').map(|word| line(model, word)).collect();
    let end = json!({
        "model": model, "created_at": "2025-10-26T17:15:24.2Z", "message": { "role": "assistant", "content": "" },
        "done": true, "done_reason": "stop", "total_duration": 5_000_000, "load_duration": 1_000_000,
        "prompt_eval_count": PROMPT_TOKENS, "prompt_eval_duration": 1_000_000,
        "eval_count": lines.len(), "eval_duration": 3_000_000,
    });
    lines.push(format!("{end}\n"));
    lines
}

/// Counts the answer as dropped where nobody read it to its end.
struct Reader {
    book: Shared,
    is_read: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_read {
            lock(&self.book).dropped += 1;
        }
    }
}

/// The lines, then silence for a while, then the end: of the answer, or of the connection in its midst.
fn stream(book: &Shared, lines: Vec<String>, silence: Duration, is_whole: bool) -> Response {
    let reader = Reader { book: book.clone(), is_read: false };
    let head = futures::stream::iter(lines).map(|text| Ok(Bytes::from(text)));
    let tail = futures::stream::once(async move {
        let mut reader = reader;
        tokio::time::sleep(silence).await;
        reader.is_read = true;
        match is_whole {
            true => Ok(Bytes::new()),
            false => Err(std::io::Error::other("the script hangs up")),
        }
    });
    respond(head.chain(tail))
}

fn respond(pieces: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
