//! One execution, from task to outcome.

use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{Outcome, Outputs};
use maestro_schemas::report::ModelCall;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Shared;
use crate::answer::Answer;
use crate::call::Caller;
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::memo::{self, Memory};
use crate::parameters::{Asked, Sampling};
use crate::price::{self, Left, Price};
use crate::prompt::{self, Messages};
use crate::request::{BODY_BYTES_MAX, Call, memory_key};
use crate::route::{Route, TRIES_MAX};
use crate::settle::{Made, Spending};
use crate::structured::{Shape, correction};

/// A longer text is an artifact and no output.
const TEXT_INLINE_MAX: usize = 16 << 10;
/// The role of the whole answer, where it is an artifact.
const ANSWER_ROLE: &str = "answer";

/// The role of an answer that fits a schema, where it is an artifact.
const JSON_ROLE: &str = "json";

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

/// An execution, and where it calls.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) execution: &'a Execution,
    pub(crate) endpoint: Endpoint,
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

    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { client: &self.shared.client, endpoint: &self.endpoint }
    }

    /// Asks until an answer fits what was asked for, or as often as the step allows.
    async fn converse(&self, asked: Conversation) -> Result<Outcome, Error> {
        let Conversation { model, messages, sampling } = asked;
        let shape = sampling.schema.as_ref().map(Shape::new).transpose()?;
        let repairs = u32::from(sampling.repairs());
        let Messages { list, prompt } = messages;
        let digest = prompt.as_ref().map(|prompt| prompt.digest);
        let max_tokens = sampling.max_tokens;
        let mut call = Call { model, messages: list, prompt, max_tokens, sampling };
        let mut ordinal = 0;
        loop {
            let answer = self.ask(&call, ordinal).await?;
            let fitted = shape.as_ref().map(|shape| shape.read(&answer.text)).transpose();
            ordinal += 1;
            match fitted {
                Ok(json) => return self.result(&call.model, answer, json, digest).await,
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

    /// An answer, unless it was paid for already: of the model that the router names, or of the next
    /// where that one fails and the router may act.
    async fn ask(&self, call: &Call, ordinal: u32) -> Result<Answer, Error> {
        let key = memory_key(&self.execution.task, ordinal, &call.body());
        if let Some(Memory { answer, call }) = memo::recall(&self.execution.store, key).await {
            self.execution.log.write(answer.text.clone()).await;
            self.execution.ledger.begin(call);
            return Ok(answer);
        }
        let mut tried = Vec::new();
        loop {
            let cap_left = self.cap_left();
            let route = Route::find(self.execution, call, (cap_left, &tried)).await?;
            let place = self.execution.ledger.calls().len();
            let error = match self.call(call, &route).await {
                Ok((answer, mut paid)) => {
                    paid.payer =
                        Some((self.execution.id, u32::try_from(place).unwrap_or(u32::MAX)));
                    let memory = Memory { answer, call: paid };
                    memo::remember(&self.execution.store, key, &memory).await;
                    return Ok(memory.answer);
                }
                Err(error) => error,
            };
            match route.gives_way(&error) {
                Some(deployment) if tried.len() + 1 < TRIES_MAX => {
                    tried.push(deployment.to_owned());
                    let line = format!("\n[superseded: {error}; the next model is asked]");
                    self.execution.log.line(&line).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// One call.
    async fn call(&self, call: &Call, route: &Route) -> Result<(Answer, ModelCall), Error> {
        let mut call = Call { model: route.model.clone(), ..call.clone() };
        let (price, most) = self.within_cap(&mut call).await?;
        let body = call.body();
        let bytes = body.to_string().len();
        if bytes > BODY_BYTES_MAX {
            let message = format!("the request has {bytes} bytes; the most is {BODY_BYTES_MAX}");
            return Err(Error::Parameters(message));
        }
        let decision = route.decision();
        let prompt = call.prompt.as_ref().map(|prompt| prompt.digest);
        let made = Made { model: call.model.clone(), prompt, body: &body, most, decision };
        let spending =
            Spending::begin(&self.execution.ledger, made, self.endpoint.offline.is_some());
        let started = Instant::now();
        let ended = self.caller().chat(&call.model, &body, &self.execution.log).await;
        let elapsed = started.elapsed();
        route.tell(self.execution, ended.as_ref(), elapsed).await;
        match ended {
            Ok(answer) => {
                let paid = spending.answered(&answer, price, elapsed);
                Ok((answer, paid))
            }
            Err(error) => {
                spending.failed(&error, elapsed);
                Err(error)
            }
        }
    }

    /// What is left of the attempt's cap, where it has one.
    pub(crate) fn cap_left(&self) -> Option<u64> {
        let cap = self.execution.task.cap_microusd?;
        Some(cap.saturating_sub(self.execution.ledger.spent_microusd()))
    }

    /// Lowers the call's tokens to what is left of the cap; answers the price, and the most that
    /// the call may cost.
    async fn within_cap(&self, call: &mut Call) -> Result<(Price, u64), Error> {
        let wanted = call.sampling.max_tokens;
        let price = self.shared.prices.of(&call.model, &self.caller()).await;
        let size = (call.input_bytes(), call.messages.len() as u64);
        let Some(microusd) = self.cap_left() else {
            // Without a cap the price is only told, so a gateway that has none will do.
            let price = price.unwrap_or_default();
            let output = price.answer_tokens(wanted);
            return Ok((price, price.of(price::tokens_max(size), output).unwrap_or(0)));
        };
        let price = price?;
        let tokens = price::fit(&call.model, price, Left { microusd }, size, wanted)?;
        call.max_tokens = Some(tokens);
        let most = price.of(price::tokens_max(size), tokens.into()).unwrap_or(0);
        Ok((price, microusd.min(most)))
    }

    async fn result(
        &self,
        model: &str,
        answer: Answer,
        json: Option<Value>,
        prompt: Option<Digest>,
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
        if let Some(json) = json {
            let bytes = json.to_string().into_bytes();
            if bytes.len() > TEXT_INLINE_MAX {
                artifacts
                    .push(keep(&self.execution.store, JSON_ROLE, "application/json", bytes).await?);
            } else {
                outputs.insert("json".to_owned(), json);
            }
        }
        outputs.extend(prompt.map(|digest| ("prompt".to_owned(), json!(digest.to_string()))));
        Ok(Outcome::Succeeded { outputs, artifacts })
    }
}

/// Keeps bytes as an artifact.
pub(crate) async fn keep(
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
