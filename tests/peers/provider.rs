//! A provider of models that does what its script says: for answers, prices and faults that a real
//! one cannot be made to show. It speaks OpenAI's protocol.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What it costs, in millionths of a dollar per token.
pub const INPUT_PRICE: u64 = 2;
/// The same for tokens of answers.
pub const OUTPUT_PRICE: u64 = 5;
/// What it says of the length of any question.
pub const INPUT_TOKENS: u64 = 10;

/// How it answers a call.
#[derive(Debug, Clone)]
pub enum Turn {
    /// With this text, a word a piece.
    Say(String),
    /// The same, without a word of how many tokens that took.
    SayUncounted(String),
    /// With a call of a function.
    Call(&'static str, Value),
    /// With this status, and a pause that it asks for.
    Refuse(u16),
    /// With this status, and a pause of a second that it asks for.
    Pause(u16),
    /// With this text, after so long.
    Later(String, Duration),
    /// With this text, a word after each pause, and each piece says how many tokens that took so far, as
    /// vLLM does where it is asked to. They are counted in the bill as they are said.
    Talk(String, Duration),
    /// With the first word, and then it hangs up.
    Cut(String),
    /// With the first word, and then with nothing more.
    Hang(String),
}

/// How a model answers its calls, which are counted from 0.
type Way = Box<dyn FnMut(usize) -> Turn + Send>;

#[derive(Default)]
struct Book {
    scripts: BTreeMap<String, Vec<Turn>>,
    ways: BTreeMap<String, Way>,
    seen: Vec<Value>,
    /// Tokens that are to be paid for, by model.
    bills: BTreeMap<String, u64>,
    /// The model and `User-Agent` of each call of a chat.
    callers: Vec<(String, String)>,
}

/// A provider on loopback. It ends when it is dropped.
pub struct Provider {
    book: Arc<Mutex<Book>>,
    address: String,
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

type Shared = Arc<Mutex<Book>>;

impl Provider {
    /// Starts one that knows no model yet.
    pub async fn start() -> Self {
        let book = Shared::default();
        let routes = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/embeddings", post(embed))
            .fallback(post(missing))
            .with_state(book.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(stopped);
            serving.await.expect("a server");
        });
        Self { book, address: format!("http://{address}/v1"), serving, stop }
    }

    /// Refuses connections from now on.
    pub fn refuse(&self) {
        self.stop.cancel();
    }

    /// Where it is, as `api_base`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Says how a model answers, call by call; the last turn stands for all that follow.
    pub fn script(&self, model: &str, turns: impl IntoIterator<Item = Turn>) {
        let turns = turns.into_iter().collect();
        lock(&self.book).scripts.insert(model.to_owned(), turns);
    }

    /// Says how a model answers, by the number of the call; it goes before a script.
    pub fn behave(&self, model: &str, way: impl FnMut(usize) -> Turn + Send + 'static) {
        lock(&self.book).ways.insert(model.to_owned(), Box::new(way));
    }

    /// The entry for it in LiteLLM's list of models, under its own name and for its prices.
    pub fn deployment(&self, model: &str) -> Value {
        json!({
            "model_name": model,
            "litellm_params": {
                "model": format!("openai/{model}"), "api_base": self.address, "api_key": "none",
            },
            "model_info": {
                "id": format!("at-{model}"),
                "input_cost_per_token": INPUT_PRICE as f64 / 1e6,
                "output_cost_per_token": OUTPUT_PRICE as f64 / 1e6,
                "max_output_tokens": 1_000,
            },
        })
    }

    /// The tokens, in and out, that it wants to be paid for what a model said by [`Turn::Talk`].
    pub fn tokens(&self, model: &str) -> u64 {
        lock(&self.book).bills.get(model).copied().unwrap_or(0)
    }

    /// The requests that it got for a model.
    pub fn seen(&self, model: &str) -> Vec<Value> {
        let book = lock(&self.book);
        book.seen.iter().filter(|body| body["model"] == model).cloned().collect()
    }

    /// What those who called a model say that they are.
    pub fn callers(&self, model: &str) -> Vec<String> {
        let book = lock(&self.book);
        let of_model = book.callers.iter().filter(|(called, _)| called == model);
        of_model.map(|(_, caller)| caller.clone()).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn chat(State(book): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let caller = headers.get(header::USER_AGENT).and_then(|caller| caller.to_str().ok());
    let turn = {
        let mut book = lock(&book);
        book.callers.push((model.clone(), caller.unwrap_or_default().to_owned()));
        book.seen.push(body.clone());
        let number = book.callers.iter().filter(|(called, _)| *called == model).count() - 1;
        let by_way = book.ways.get_mut(&model).map(|way| way(number));
        by_way.or_else(|| match book.scripts.get_mut(&model) {
            Some(turns) if turns.len() > 1 => Some(turns.remove(0)),
            Some(turns) => turns.first().cloned(),
            None => None,
        })
    };
    let is_streamed = body["stream"] == true;
    match turn {
        None => refused(404, 7),
        Some(Turn::Refuse(status)) => refused(status, 7),
        Some(Turn::Pause(status)) => refused(status, 1),
        Some(Turn::Later(text, pause)) => {
            tokio::time::sleep(pause).await;
            let tokens = words(&text).len() as u64;
            if is_streamed { said(&model, &text, tokens) } else { whole(&model, &text, tokens) }
        }
        Some(Turn::Say(text)) => {
            let tokens = words(&text).len() as u64;
            if is_streamed { said(&model, &text, tokens) } else { whole(&model, &text, tokens) }
        }
        Some(Turn::SayUncounted(text)) => stream(pieces(&model, &text, "data: [DONE]\n\n".into())),
        Some(Turn::Talk(text, pause)) => talked(book, &model, &text, pause),
        Some(Turn::Call(name, arguments)) => called(&model, name, &arguments),
        Some(Turn::Cut(text)) => begun(&model, &text, Duration::ZERO),
        Some(Turn::Hang(text)) => begun(&model, &text, Duration::from_secs(3_600)),
    }
}

async fn embed(State(book): State<Shared>, Json(body): Json<Value>) -> Response {
    let texts = body["input"].as_array().map_or(1, Vec::len);
    lock(&book).seen.push(body.clone());
    let vectors: Vec<Value> = (0..texts)
        .map(|index| json!({ "object": "embedding", "index": index, "embedding": [index, 0.5] }))
        .collect();
    Json(json!({
        "object": "list", "model": body["model"], "data": vectors,
        "usage": { "prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS },
    }))
    .into_response()
}

/// What it has no answer for is seen all the same.
async fn missing(State(book): State<Shared>, Json(body): Json<Value>) -> Response {
    lock(&book).seen.push(body);
    refused(404, 7)
}

fn refused(status: u16, seconds: u32) -> Response {
    let body = json!({ "error": { "message": format!("the script says {status}"), "type": "x", "code": status.to_string() } });
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::RETRY_AFTER, seconds.to_string())], Json(body)).into_response()
}

fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn piece(model: &str, delta: Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let body = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice] });
    format!("data: {body}\n\n")
}

fn usage(model: &str, output_tokens: u64) -> String {
    let usage = json!({
        "prompt_tokens": INPUT_TOKENS, "completion_tokens": output_tokens,
        "total_tokens": INPUT_TOKENS + output_tokens,
    });
    let body = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [], "usage": usage });
    format!("data: {body}\n\ndata: [DONE]\n\n")
}

fn stream(pieces: Vec<String>) -> Response {
    let pieces = futures::stream::iter(pieces).map(|text| Ok::<_, Infallible>(Bytes::from(text)));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)).into_response()
}

fn said(model: &str, text: &str, tokens: u64) -> Response {
    stream(pieces(model, text, usage(model, tokens)))
}

fn pieces(model: &str, text: &str, end: String) -> Vec<String> {
    let mut pieces = vec![piece(model, json!({ "role": "assistant", "content": "" }), None)];
    pieces.extend(words(text).iter().map(|word| piece(model, json!({ "content": word }), None)));
    pieces.push(piece(model, json!({}), Some("stop")));
    pieces.push(end);
    pieces
}

fn whole(model: &str, text: &str, tokens: u64) -> Response {
    Json(json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": INPUT_TOKENS, "completion_tokens": tokens, "total_tokens": INPUT_TOKENS + tokens },
    }))
    .into_response()
}

fn called(model: &str, name: &str, arguments: &Value) -> Response {
    let call = |part: Value| json!({ "tool_calls": [part] });
    let text = arguments.to_string();
    let (first, rest) = text.split_at(text.len() / 2);
    let begin = json!({ "index": 0, "id": "call_1", "type": "function", "function": { "name": name, "arguments": first } });
    stream(vec![
        piece(model, call(begin), None),
        piece(model, call(json!({ "index": 0, "function": { "arguments": rest } })), None),
        piece(model, json!({}), Some("tool_calls")),
        usage(model, 1),
    ])
}

/// The first word, then silence for a while, then the end of the connection in mid-stream.
fn begun(model: &str, text: &str, silence: Duration) -> Response {
    let first = words(text).into_iter().next().unwrap_or_default();
    let head =
        futures::stream::iter([Ok(Bytes::from(piece(model, json!({ "content": first }), None)))]);
    let end = futures::stream::once(async move {
        tokio::time::sleep(silence).await;
        Err(std::io::Error::other("the script hangs up"))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(head.chain(end)))
        .into_response()
}

/// A word after each pause. Nobody pays for what is not said any more once the caller has gone.
fn talked(book: Shared, model: &str, text: &str, pause: Duration) -> Response {
    let model = model.to_owned();
    let all = words(text).len();
    let said = futures::stream::unfold((0, words(text).into_iter()), move |(count, mut left)| {
        let (book, model) = (book.clone(), model.clone());
        async move {
            let (bytes, tokens) = match count {
                // The question is paid for once somebody begins to answer it.
                0 => (
                    counted(&model, json!({ "role": "assistant", "content": "" }), None, 0),
                    INPUT_TOKENS,
                ),
                _ if count > all + 1 => return None,
                _ if count > all => {
                    let end = counted(&model, json!({}), Some("stop"), all as u64);
                    (format!("{end}{}", usage(&model, all as u64)), 0)
                }
                _ => {
                    tokio::time::sleep(pause).await;
                    let word = left.next().unwrap_or_default();
                    (counted(&model, json!({ "content": word }), None, count as u64), 1)
                }
            };
            *lock(&book).bills.entry(model).or_default() += tokens;
            Some((Ok::<_, Infallible>(Bytes::from(bytes)), (count + 1, left)))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(said)).into_response()
}

/// A piece that says how many tokens the answer has so far.
fn counted(model: &str, delta: Value, finish: Option<&str>, output_tokens: u64) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let usage = json!({
        "prompt_tokens": INPUT_TOKENS, "completion_tokens": output_tokens,
        "total_tokens": INPUT_TOKENS + output_tokens,
    });
    let body = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice], "usage": usage });
    format!("data: {body}\n\n")
}
