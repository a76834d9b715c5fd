//! One execution, from task to outcome.

use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::outcome::{Outcome, Outputs};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Shared;
use crate::answer::{Answer, name};
use crate::call::Caller;
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::memo;
use crate::parameters::{Asked, Embed, Sampling, Texts};
use crate::price::{self, Left, Price};
use crate::prompt::{self, Messages};
use crate::request::{BODY_BYTES_MAX, Call, memory_key};
use crate::settle::{Made, Spending};
use crate::structured::{Shape, correction};

/// A longer text is an artifact and no output.
const TEXT_INLINE_MAX: usize = 32 << 10;
/// The role of the whole answer, where it is an artifact.
const ANSWER_ROLE: &str = "answer";
/// The role of vectors.
const VECTORS_ROLE: &str = "vectors";

/// Carries an execution out.
pub(crate) async fn carry_out(shared: Arc<Shared>, execution: Execution) -> Outcome {
    let work = async {
        let endpoint = shared.gateway.endpoint().await.map_err(Error::NoGateway)?;
        Attempt { shared: &shared, execution: &execution, endpoint }.work().await
    };
    // What is dropped here in the middle of a call has been written down at the most it may cost.
    let done = execution.stop.run_until_cancelled(work).await.unwrap_or(Err(Error::Stopped));
    done.unwrap_or_else(Error::into_outcome)
}

struct Attempt<'a> {
    shared: &'a Shared,
    execution: &'a Execution,
    endpoint: Endpoint,
}

/// A conversation that is to end in one answer.
struct Conversation {
    model: String,
    messages: Messages,
    sampling: Sampling,
}

impl Attempt<'_> {
    async fn work(&self) -> Result<Outcome, Error> {
        if let Some(words) = &self.endpoint.offline {
            self.execution.log.line(words).await;
        }
        match Asked::parse(&self.execution.task)? {
            Asked::Generate(asked) => {
                let messages = prompt::messages(&asked, self.execution).await?;
                self.converse(Conversation {
                    model: asked.model,
                    messages,
                    sampling: asked.sampling,
                })
                .await
            }
            Asked::Chat(asked) => {
                let list = asked.messages.into_iter().map(Value::Object).collect();
                let messages = Messages { list, prompt: None };
                self.converse(Conversation {
                    model: asked.model,
                    messages,
                    sampling: asked.sampling,
                })
                .await
            }
            Asked::Embed(asked) => self.embed(asked).await,
        }
    }

    fn caller(&self) -> Caller<'_> {
        Caller { client: &self.shared.client, endpoint: &self.endpoint }
    }

    /// Asks until an answer fits what was asked for, or as often as the step allows.
    async fn converse(&self, asked: Conversation) -> Result<Outcome, Error> {
        let Conversation { model, messages, sampling } = asked;
        let shape = sampling.schema.as_ref().map(Shape::new).transpose()?;
        let repairs = u32::from(sampling.repairs());
        let mut call =
            Call { model, messages: messages.list, max_tokens: sampling.max_tokens, sampling };
        let mut ordinal = 0;
        loop {
            let answer = self.ask(&mut call, messages.prompt, ordinal).await?;
            let fitted = shape.as_ref().map(|shape| shape.read(&answer.text)).transpose();
            ordinal += 1;
            match fitted {
                Ok(json) => return self.result(&call.model, answer, json, messages.prompt).await,
                Err(problem) if ordinal > repairs => {
                    return Err(Error::Unfit { model: call.model, calls: ordinal, problem });
                }
                Err(problem) => {
                    self.execution
                        .log
                        .line(&format!("\n[it does not fit the schema: {problem}]"))
                        .await;
                    call.messages.extend(correction(&answer.text, &problem));
                }
            }
        }
    }

    /// One call, unless its answer was paid for already.
    async fn ask(
        &self,
        call: &mut Call,
        prompt: Option<maestro_schemas::digest::Digest>,
        ordinal: u32,
    ) -> Result<Answer, Error> {
        let wanted = call.sampling.max_tokens;
        let (price, most) = self.within_cap(call, wanted).await?;
        let body = call.body();
        let bytes = body.to_string().len();
        if bytes > BODY_BYTES_MAX {
            let message = format!("the request has {bytes} bytes; the most is {BODY_BYTES_MAX}");
            return Err(Error::Parameters(message));
        }
        let key = memory_key(&self.execution.task, ordinal, &body);
        let made = Made { model: call.model.clone(), prompt, body: &body, most };
        let spending =
            Spending::begin(&self.execution.ledger, made, self.endpoint.offline.is_some());
        if let Some(answer) = memo::recall(&self.execution.store, key).await {
            self.execution.log.write(answer.text.clone()).await;
            spending.remembered(&answer);
            return Ok(answer);
        }
        let started = Instant::now();
        match self.caller().chat(&call.model, &body, &self.execution.log).await {
            Ok(answer) => {
                memo::remember(&self.execution.store, key, &answer).await;
                spending.answered(&answer, price, started.elapsed());
                Ok(answer)
            }
            Err(error) => {
                spending.failed(&error, started.elapsed());
                Err(error)
            }
        }
    }

    /// Lowers the call's tokens to what is left of the cap; answers the price, and the most that
    /// the call may cost.
    async fn within_cap(
        &self,
        call: &mut Call,
        wanted: Option<u32>,
    ) -> Result<(Price, u64), Error> {
        let price = self.shared.prices.of(&call.model, &self.caller()).await;
        let Some(cap) = self.execution.task.cap_microusd else {
            // Without a cap the price is only told, so a gateway that has none will do.
            let price = price.unwrap_or_default();
            let output = wanted.map(u64::from).or(price.max_output_tokens).unwrap_or(0);
            return Ok((price, price.of(call.input_bytes(), output).unwrap_or(0)));
        };
        let price = price?;
        let left = Left { microusd: cap.saturating_sub(self.execution.ledger.spent_microusd()) };
        let size = (call.input_bytes(), call.messages.len() as u64);
        let tokens = price::fit(&call.model, price, left, size, wanted)?;
        call.max_tokens = Some(tokens);
        Ok((
            price,
            left.microusd.min(price.of(size.0 + 16 * (size.1 + 1), tokens.into()).unwrap_or(0)),
        ))
    }

    async fn result(
        &self,
        model: &str,
        answer: Answer,
        json: Option<Value>,
        prompt: Option<maestro_schemas::digest::Digest>,
    ) -> Result<Outcome, Error> {
        let mut artifacts = Vec::new();
        let mut outputs = Outputs::from([
            ("model".to_owned(), json!(answer.served_by.as_deref().unwrap_or(model))),
            ("finish_reason".to_owned(), json!(answer.finish_reason)),
            ("input_tokens".to_owned(), json!(answer.input_tokens)),
            ("output_tokens".to_owned(), json!(answer.output_tokens)),
            ("cost_usd".to_owned(), json!(self.execution.ledger.spent_microusd() as f64 / 1e6)),
            ("offline".to_owned(), json!(self.endpoint.offline.is_some())),
        ]);
        if answer.text.len() > TEXT_INLINE_MAX {
            artifacts.push(
                keep(
                    &self.execution.store,
                    ANSWER_ROLE,
                    "text/plain; charset=utf-8",
                    answer.text.into_bytes(),
                )
                .await?,
            );
        } else {
            outputs.insert("text".to_owned(), json!(answer.text));
        }
        if !answer.tool_calls.is_empty() {
            outputs.insert("tool_calls".to_owned(), json!(answer.tool_calls));
        }
        outputs.extend(json.map(|json| ("json".to_owned(), json)));
        outputs.extend(prompt.map(|digest| ("prompt".to_owned(), json!(digest.to_string()))));
        Ok(Outcome::Succeeded { outputs, artifacts })
    }

    async fn embed(&self, asked: Embed) -> Result<Outcome, Error> {
        let Embed { model, input, dimensions } = asked;
        let count = match &input {
            Texts::One(_) => 1,
            Texts::Several(texts) => texts.len(),
        };
        let mut body = json!({ "model": model, "input": input, "encoding_format": "float" });
        if let (Some(object), Some(dimensions)) = (body.as_object_mut(), dimensions) {
            object.insert("dimensions".to_owned(), json!(dimensions));
        }
        let price = self.shared.prices.of(&model, &self.caller()).await.unwrap_or_default();
        // No token is shorter than a byte.
        let most = price.of(json!(input).to_string().len() as u64, 0).unwrap_or(0);
        self.check_cap(&model, price, most)?;
        let made = Made { model: model.clone(), prompt: None, body: &body, most };
        let spending =
            Spending::begin(&self.execution.ledger, made, self.endpoint.offline.is_some());
        let started = Instant::now();
        let (answer, headers) = match self.caller().post(&model, "/v1/embeddings", &body).await {
            Ok(found) => found,
            Err(error) => {
                spending.failed(&error, started.elapsed());
                return Err(error);
            }
        };
        let answered = embedded(&answer, &headers);
        spending.answered(&answered, price, started.elapsed());
        let vectors = vectors(&model, &answer, count)?;
        let dimensions = vectors.first().map_or(0, Vec::len);
        let bytes = serde_json::to_vec(&vectors).unwrap_or_default();
        let artifact = keep(&self.execution.store, VECTORS_ROLE, "application/json", bytes).await?;
        let outputs = Outputs::from([
            ("model".to_owned(), json!(answered.served_by.unwrap_or(model))),
            ("vectors".to_owned(), json!(count)),
            ("dimensions".to_owned(), json!(dimensions)),
            ("input_tokens".to_owned(), json!(answered.input_tokens)),
            ("cost_usd".to_owned(), json!(self.execution.ledger.spent_microusd() as f64 / 1e6)),
            ("offline".to_owned(), json!(self.endpoint.offline.is_some())),
        ]);
        Ok(Outcome::Succeeded { outputs, artifacts: vec![artifact] })
    }

    fn check_cap(&self, model: &str, price: Price, most: u64) -> Result<(), Error> {
        let Some(cap) = self.execution.task.cap_microusd else { return Ok(()) };
        let left = cap.saturating_sub(self.execution.ledger.spent_microusd());
        if price.input_cost_per_token.is_some() && most <= left {
            return Ok(());
        }
        let message = format!(
            "a call of {model} may cost {}; {} is left of the step's budget",
            if price.input_cost_per_token.is_some() {
                price::usd(most)
            } else {
                "what is not known".to_owned()
            },
            price::usd(left)
        );
        Err(Error::Cap(message))
    }
}

fn embedded(answer: &Value, headers: &reqwest::header::HeaderMap) -> Answer {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    Answer {
        served_by: answer.get("model").and_then(Value::as_str).map(name),
        deployment: header("x-litellm-model-id").as_deref().map(name),
        input_tokens: answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).unwrap_or(0),
        reported_cost: header("x-litellm-response-cost").and_then(|cost| cost.parse().ok()),
        ..Answer::default()
    }
}

/// The vectors in the order of the texts.
fn vectors(model: &str, answer: &Value, count: usize) -> Result<Vec<Vec<f64>>, Error> {
    let unreadable = |problem: String| Error::Unreadable { model: model.to_owned(), problem };
    let data = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let vector = |one: &Value| -> Option<Vec<f64>> {
        one.get("embedding")?.as_array()?.iter().map(Value::as_f64).collect()
    };
    let mut placed = Vec::with_capacity(data.len());
    for (place, one) in data.iter().enumerate() {
        let index = one.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
        let vector = vector(one)
            .ok_or_else(|| unreadable(format!("vector {index} is no list of numbers")))?;
        placed.push((index, vector));
    }
    if placed.len() != count {
        return Err(unreadable(format!("{} vectors for {count} texts", placed.len())));
    }
    placed.sort_by_key(|(index, _)| *index);
    Ok(placed.into_iter().map(|(_, vector)| vector).collect())
}

async fn keep(
    store: &ArtifactStore,
    role: &str,
    media_type: &str,
    bytes: Vec<u8>,
) -> Result<Artifact, Error> {
    let stored = store.put(bytes).await.map_err(Error::store("cannot keep the answer"))?;
    Ok(Artifact {
        role: role.to_owned(),
        digest: stored.digest,
        size: stored.size,
        media_type: media_type.to_owned(),
    })
}
