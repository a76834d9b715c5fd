//! One execution, from task to outcome.

use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{Outcome, Outputs};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::Shared;
use crate::answer::Answer;
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::ollama::parameters::Wish;
use crate::overhead::Overhead;
use crate::parameters::{Asked, Sampling};
use crate::prompt::{self, Messages};
use crate::request::Call;
use crate::structured::{Shape, correction};

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
