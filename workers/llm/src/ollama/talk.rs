//! One call of `POST /api/chat`: what is sent, and the streamed lines summed up.

use std::time::Duration;

use futures::StreamExt as _;
use maestro_kit::log::LogSink;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::line::{LINE_BYTES_MAX, Lines, Oversized};
use super::parameters::Wish;
use crate::answer::{Answer, TEXT_BYTES_MAX, name};
use crate::call::{Caller, cut, words};
use crate::error::Error;
use crate::request::Call;
use crate::sse::SILENCE_MAX;

/// For an answer to begin: the host loads the model first, and gives that up by itself after five minutes
/// without progress.
const BEGIN_MAX: Duration = Duration::from_secs(360);

/// A line of a streamed answer.
#[derive(Debug, Default, Deserialize)]
struct Piece {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

/// The body of a request.
pub(crate) fn body(call: &Call, wish: &Wish) -> Value {
    let sampling = &call.sampling;
    let options = [
        ("temperature", sampling.temperature.map(|value| json!(value))),
        ("top_p", sampling.top_p.map(|value| json!(value))),
        ("seed", sampling.seed.map(|value| json!(value))),
        ("stop", (!sampling.stop.is_empty()).then(|| json!(sampling.stop))),
        ("num_predict", call.max_tokens.map(|value| json!(value))),
        ("num_ctx", wish.context_tokens.map(|value| json!(value))),
    ];
    let options = given(options);
    let rest = [
        ("options", (!options.is_empty()).then(|| json!(options))),
        ("format", sampling.schema.clone()),
        ("keep_alive", wish.keep_alive.as_ref().map(|value| json!(value))),
    ];
    let mut body = given(rest);
    body.extend([
        ("model".to_owned(), json!(call.model)),
        ("messages".to_owned(), json!(call.messages)),
        ("stream".to_owned(), json!(true)),
    ]);
    Value::Object(body)
}

fn given<const N: usize>(optional: [(&str, Option<Value>); N]) -> Map<String, Value> {
    optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Caller<'_> {
    /// Asks a model in Ollama's own API; its text goes to `log` as it comes. Dropping this drops the
    /// connection, at which the host stops.
    pub(crate) async fn talk(
        &self,
        model: &str,
        body: &Value,
        log: &LogSink,
    ) -> Result<Answer, Error> {
        let request = self.client.post(self.url("/api/chat")).json(body);
        let response = self.send_within(model, request, BEGIN_MAX).await?;
        let broken = |problem: String| Error::Cut { model: model.to_owned(), problem };
        let unreadable = |problem| Error::Unreadable { model: model.to_owned(), problem };
        let silent = |_| Error::Silent { model: model.to_owned(), seconds: SILENCE_MAX.as_secs() };
        let (mut stream, mut lines) = (response.bytes_stream(), Lines::default());
        let mut answer = Answer::default();
        loop {
            let bytes = match timeout(SILENCE_MAX, stream.next()).await.map_err(silent)? {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Err(broken(words(&error))),
                None => return Err(broken("it ended without saying so".to_owned())),
            };
            let whole = lines.feed(&bytes).map_err(|Oversized| {
                unreadable(format!("a line of it has more than {LINE_BYTES_MAX} bytes"))
            })?;
            for line in whole {
                let (added, is_done) = add(&mut answer, &line).map_err(unreadable)?;
                if !added.is_empty() {
                    log.write(added).await;
                }
                if is_done {
                    return Ok(answer);
                }
            }
        }
    }
}

/// Takes a line; answers the text that it adds and whether it is the last, or says what is wrong with it.
fn add(answer: &mut Answer, line: &[u8]) -> Result<(String, bool), String> {
    let piece: Piece = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if let Some(error) = piece.error {
        let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        return Err(format!("it ended with: {}", cut(&words)));
    }
    if answer.served_by.is_none() {
        answer.served_by = piece.model.as_deref().map(name);
    }
    let added = piece.message.and_then(|message| message.content).unwrap_or_default();
    answer.text.push_str(&added);
    if answer.text.len() > TEXT_BYTES_MAX {
        return Err(format!("it has more than {TEXT_BYTES_MAX} bytes"));
    }
    if piece.done {
        // A count that is 0 is left out.
        answer.is_counted = piece.prompt_eval_count.or(piece.eval_count).is_some();
        answer.input_tokens = piece.prompt_eval_count.unwrap_or(0);
        answer.output_tokens = piece.eval_count.unwrap_or(0);
        answer.finish_reason = piece.done_reason.as_deref().map(name);
    }
    Ok((added, piece.done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ollama::parameters::KeepAlive;
    use crate::parameters::Sampling;

    #[test]
    fn a_request_has_what_was_said_and_nothing_else() {
        let sampling = Sampling {
            temperature: Some(0.5),
            schema: Some(json!({ "type": "object" })),
            ..Sampling::default()
        };
        let messages = vec![json!({ "role": "user", "content": "x" })];
        let call =
            Call { model: "m".into(), messages, prompt: None, sampling, max_tokens: Some(9) };
        let keep_alive = Some(KeepAlive::Text("10m".into()));
        let wish = Wish { models: vec!["m".into()], keep_alive, context_tokens: Some(8192) };
        let expected = json!({
            "model": "m", "messages": [{ "role": "user", "content": "x" }], "stream": true,
            "format": { "type": "object" }, "keep_alive": "10m",
            "options": { "temperature": 0.5, "num_predict": 9, "num_ctx": 8192 },
        });
        assert_eq!(body(&call, &wish), expected);
        let plain = Call { sampling: Sampling::default(), max_tokens: None, ..call };
        let wish = Wish { keep_alive: None, context_tokens: None, ..wish };
        assert_eq!(body(&plain, &wish).as_object().unwrap().len(), 3);
    }

    #[test]
    fn lines_add_up_to_text_and_counts() {
        let mut answer = Answer::default();
        let lines = [
            r#"{"model":"m:latest","created_at":"x","message":{"role":"assistant","content":"He"},"done":false}"#,
            r#"{"model":"m:latest","message":{"role":"assistant","content":"llo","thinking":"?"},"done":false}"#,
            r#"{"model":"m:latest","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":5,"prompt_eval_count":26,"eval_count":2}"#,
        ];
        let found: Vec<(String, bool)> =
            lines.iter().map(|line| add(&mut answer, line.as_bytes()).unwrap()).collect();
        assert_eq!(found.iter().map(|(_, done)| *done).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((answer.text.as_str(), answer.is_counted), ("Hello", true));
        assert_eq!((answer.input_tokens, answer.output_tokens), (26, 2));
        assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
    }

    #[test]
    fn an_error_in_mid_stream_and_what_is_no_json_are_errors() {
        let mut answer = Answer::default();
        let told = add(&mut answer, br#"{"error":"the runner crashed"}"#).unwrap_err();
        assert!(told.contains("the runner crashed"), "{told}");
        assert!(add(&mut answer, b"<html>").is_err());
    }
}
