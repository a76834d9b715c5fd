//! One execution, from task to outcome.

use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{Outcome, Outputs};
use maestro_schemas::report::ModelCall;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::Shared;
use crate::answer::Answer;
use crate::cap::{Begun, Planned};
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::ollama::parameters::Wish;
use crate::overhead::{Overhead, Times};
use crate::parameters::{Asked, Sampling};
use crate::prompt::{self, Messages};
use crate::request::{Call, memory_key};
use crate::route::{Route, TRIES_MAX};
use crate::structured::{Shape, correction};
use crate::telling::Counted;

/// A longer text is an artifact and no output.
const TEXT_INLINE_MAX: usize = 16 << 10;
/// The role of the whole answer, where it is an artifact.
const ANSWER_ROLE: &str = "answer";

/// The role of an answer that fits a schema, where it is an artifact.
const JSON_ROLE: &str = "json";

/// Carries an execution out.
pub(crate) async fn carry_out(shared: Arc<Shared>, execution: Execution) -> Outcome {
    let attempt = Attempt {
        shared: &shared,
        execution: &execution,
        endpoint: OnceCell::default(),
        overhead: Overhead::default(),
    };
    let work = attempt.work();
    // What is dropped here in the middle of a call has been written down at the most it may cost.
    let done = execution.stop.run_until_cancelled(work).await.unwrap_or(Err(Error::Stopped));
    done.unwrap_or_else(Error::into_outcome)
}

/// An execution, and the gateway once it was needed.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) execution: &'a Execution,
    pub(crate) endpoint: OnceCell<Endpoint>,
    pub(crate) overhead: Overhead,
}

/// A conversation that is to end in one answer.
struct Conversation {
    model: String,
    messages: Messages,
    sampling: Sampling,
    /// What else Ollama is to know, where its hosts are asked and not the gateway.
    ollama: Option<Wish>,
}

impl Attempt<'_> {
    async fn work(&self) -> Result<Outcome, Error> {
        match Asked::parse(&self.execution.task)? {
            Asked::Generate(asked) => {
                let messages = prompt::messages(&asked, self.execution).await?;
                self.converse(Conversation {
                    model: asked.model,
                    messages,
                    sampling: asked.sampling,
                    ollama: None,
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
                    ollama: None,
                })
                .await
            }
            Asked::Embed(asked) => self.embed(asked).await,
            Asked::Ollama(asked) => {
                let (asked, wish) = asked.read()?;
                let messages = prompt::messages(&asked, self.execution).await?;
                let (model, sampling) = (asked.model, asked.sampling);
                let ollama = Some(wish);
                self.converse(Conversation { model, messages, sampling, ollama }).await
            }
        }
    }

    /// Asks until an answer fits what was asked for, or as often as the step allows.
    async fn converse(&self, asked: Conversation) -> Result<Outcome, Error> {
        let Conversation { model, messages, sampling, ollama } = asked;
        let shape = sampling.schema.as_ref().map(Shape::new).transpose()?;
        let repairs = u32::from(sampling.repairs());
        let Messages { list, prompt } = messages;
        let digest = prompt.as_ref().map(|prompt| prompt.digest);
        let max_tokens = sampling.max_tokens;
        let mut call = Call { model, messages: list, prompt, max_tokens, sampling };
        let mut ordinal = 0;
        loop {
            let answer = match &ollama {
                None => self.ask(&call, ordinal).await?,
                Some(wish) => self.ask_ollama(&call, wish, ordinal).await?,
            };
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
        let taken = Instant::now();
        let answer = self.ask_models(call, ordinal).await?;
        self.overhead.took(taken);
        Ok(answer)
    }

    async fn ask_models(&self, call: &Call, ordinal: u32) -> Result<Answer, Error> {
        let mut taken = Instant::now();
        let key = memory_key(&self.execution.task, ordinal, &call.body());
        // Most answers are asked for the first time; where one was had, the decision is of no use.
        let (former, mut found) = tokio::join!(self.recalled(key), self.find(call, &[]));
        if let Some(answer) = former {
            return Ok(answer);
        }
        let mut tried = Vec::new();
        loop {
            let (route, counted) = found?;
            route.vouches(call)?;
            let is_fallback = !tried.is_empty();
            let error = match self.call(call, (&route, counted), (taken, is_fallback)).await {
                Ok(paid) => return Ok(self.remembered(key, paid)),
                Err(error) => error,
            };
            match route.gives_way(&error) {
                Some(deployment) if tried.len() + 1 < TRIES_MAX => {
                    tried.push(deployment.to_owned());
                    let line = format!("\n[superseded: {error}; the next model is asked]");
                    self.execution.log.line(&line).await;
                    taken = Instant::now();
                    found = self.find(call, &tried).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Where a call goes.
    async fn find(&self, call: &Call, tried: &[String]) -> Result<(Route, Counted), Error> {
        let cap_left = self.cap_left().await?;
        Route::find_counted(self.execution, call, (cap_left, tried)).await
    }

    /// One call.
    async fn call(
        &self,
        call: &Call,
        (route, counted): (&Route, Counted),
        (taken, is_fallback): (Instant, bool),
    ) -> Result<(Answer, ModelCall), Error> {
        let way = self.way(route).await?;
        let call = Call { model: way.model(route), ..call.clone() };
        let price = self.known(way.price(self, &route.model).await)?;
        let Begun { body, spending } = self
            .begin(Planned {
                call,
                price,
                body: &Call::body,
                model: route.model.clone(),
                decision: route.decision(),
                offline: way.is_offline(),
            })
            .await?;
        let name = self.name(&spending);
        let sent = Instant::now();
        let ended = way.chat((&route.model, name.as_deref()), &body, &self.execution.log).await;
        let times = Times::ending_now(taken, sent);
        self.overhead.waited(times);
        // In the books before anybody hears of it: this may be stopped at any time.
        let done = spending.done(ended, price, times);
        let told = done.as_ref().map(|(answer, paid)| (answer, paid));
        if route.tell(self.execution, told, (times.elapsed(), is_fallback)).await {
            counted.told();
        }
        done
    }

    /// Whether the gateway answered by itself.
    pub(crate) fn is_offline(&self) -> bool {
        self.execution.ledger.calls().iter().any(|call| call.offline)
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
            ("offline".to_owned(), json!(self.is_offline())),
        ]);
        outputs.extend(self.overhead.ms().map(|ms| ("overhead_ms".to_owned(), json!(ms))));
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
